/* The program's version, as `mews --version` prints it and every run's record keeps it. */
#ifndef MEWS_VERSION_H
#define MEWS_VERSION_H

#define MEWS_VERSION "0.1.0"

#endif
