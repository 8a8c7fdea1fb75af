/* What the OpenMP runtime reads before main begins, put right by starting the program again, once. */
#ifndef MEWS_START_H
#define MEWS_START_H

/* The environment's variable that then names what was overruled, as "NAME=VALUE NAME=VALUE". */
#define START_OVERRULED "MEWS_OVERRULED"

/* Returns where nothing is to be put right, or where the program cannot be started again. */
void start_settle(char **argv);

#endif
