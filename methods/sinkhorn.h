/*
 * Sinkhorn-Knopp: assignments of a batch made balanced, for methods that predict them.
 */
#ifndef MEWS_SINKHORN_H
#define MEWS_SINKHORN_H

#include "engine/ops.h"

/*
 * log Q (n, c) → log Q, its columns brought to one sum and its rows to 1 in turn, `iterations` times (Cuturi 2013; SwAV,
 * eq. 5). The last move is that of the rows, so that a sample's shares sum to 1. On logarithms nothing overflows.
 */
tensor *sinkhorn_knopp(tape *t, tensor *log_q, int64_t iterations);

#endif
