/*
 * Accuracy against cost: every setting with the seconds that its training took and the figure that runs are ranked by,
 * and which of them nothing else beats in both.
 */
#ifndef MEWS_COST_H
#define MEWS_COST_H

#include "analysis/report/study/study.h"

typedef struct cost_point {
    const study_block *block;
    const study_series *series;
    const study_point *point;
    double seconds, value; /* means over seeds; both finite */
    bool front;            /* no setting is as quick and better, or as good and quicker */
} cost_point;

typedef struct cost {
    const char *metric;
    cost_point *points; /* the quickest first (count) */
    size_t count;
    bool told; /* seconds say something: three settings and more, each repeated, on the same threads of the same
                  machine, and settings differ by several times what their seeds do */
} cost;

bool cost_read(cost *c, const study *s, error *err);
void cost_free(cost *c);

/* "falcon, codes = 64, method.beta = 1". Returns `out`. */
char *cost_name(const cost_point *p, bool with_block, char *out, size_t size);

#endif
