/*
 * A network seen through a few held-out images, the same ones whenever it is looked at: before the first step, after
 * every epoch, at the end. They pass as in evaluation and leave no trace in the network (BatchNorm keeps its running
 * statistics), so a run's bits do not depend on being watched.
 */
#ifndef MEWS_LOOK_H
#define MEWS_LOOK_H

#include "analysis/verdicts/collapse_history.h"
#include "experiments/run/model.h"

/* Ranks and histograms of fewer images say too little; more cost more of an epoch than they tell. */
enum { LOOK_ROWS = 2048 };

/* What is said where training diverged. */
#define LOOK_ADVICE "A smaller optimizer.lr, a longer optimizer.warmup or optimizer.clip may help"

/* What is looked at: rows are images of the split a run is judged on. */
typedef struct look_at {
    const dataset *data;
    dataset_split split;
    uint32_t rows; /* 0: nothing is held out */
} look_at;

look_at look_choose(const dataset *data);

/* Which image of the held-out ones is row `row` of `rows` (at most held_out): the same in every epoch and every run. */
uint32_t look_image(uint32_t row, uint32_t rows, uint32_t held_out);

/* The model after `epoch` epochs: what a run's history keeps of it, and its four collapses as these rows alone show
 * them. `intervals`: of the ranks, ten eigenproblems more. `figures` (or NULL): what is trained beside the method says
 * of these rows, NaN where nothing is. A network that diverged is an error. */
bool look_take(const model *m, const look_at *at, int64_t epoch, bool intervals, course_point *point, collapse *c,
               online_figures *figures, error *err);

/* The same of the network that the spec begins with: parameters are drawn again from the seed. */
bool look_take_untrained(const spec *s, const look_at *at, course_point *point, collapse *c, error *err);

#endif
