/* The metrics: a word of `eval:` each, which is also the figure's name. A new one is a file here and a name at the end.
 */
#ifndef MEWS_METRICS_LIST_H
#define MEWS_METRICS_LIST_H

#define METRICS(X) X(uniformity)

#endif
