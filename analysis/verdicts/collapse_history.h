/*
 * The verdicts of a run over its epochs, as they stand in metrics.jsonl: one line an epoch with an object "collapse".
 * The file is the only state there is: whoever goes on with a run reads back what was found so far. Epochs are counted
 * from 1: the verdict of epoch 7 is that of the weights after seven passes over the data.
 */
#ifndef MEWS_ANALYSIS_COLLAPSE_HISTORY_H
#define MEWS_ANALYSIS_COLLAPSE_HISTORY_H

#include "analysis/verdicts/course.h"

typedef struct collapse_moment {
    verdict verdict;
    double statistic, expected, threshold_warning, threshold_collapsed; /* as in collapse_verdict */
    bool borderline;
} collapse_moment;

typedef struct collapse_epoch {
    int64_t epoch; /* 0: the untrained network */
    collapse_moment modes[COLLAPSE_MODES];
    bool kept; /* what it was judged by is there: not in runs of earlier versions */
    course_point point;
} collapse_epoch;

typedef struct collapse_history {
    collapse_epoch *items;
    size_t count;
    int64_t rows; /* how many the verdicts rest on; 0 when there is no line */
} collapse_history;

/* Reads the lines of `path` (metrics.jsonl) that have verdicts. No file is no lines, and a last line that was cut off
 * ends it; ERROR_RUN for a whole line that is not JSON. */
bool collapse_history_read(collapse_history *h, const char *path, error *err);
/* The same of a run's folder; what metrics.jsonl lacks is taken from the object "course" of diagnosis.json: an
 * evaluation looks again at a run that an earlier version trained. */
bool collapse_history_read_run(collapse_history *h, const char *folder, error *err);
void collapse_history_free(collapse_history *h);

/* The run at `now`, which need not be in the history, with its step 0 and its best epoch up to then. */
course collapse_history_course(const collapse_history *h, const course_point *now);

/* Puts the verdicts that rest on the run's course in place of those that a matrix allows by itself: dimensional and
 * cluster, and representation unless the matrix by itself is worse. */
void collapse_history_judge(const collapse_history *h, const course_point *now, collapse *c);

/* Appends an epoch, and makes its line's object: {rows, rankme, embed: {…}, backbone: {…}, codes: {…},
 * representation: {verdict, statistic, …}, …}. */
bool collapse_history_add(collapse_history *h, const course_point *now, const collapse *c, error *err);
json_t *collapse_history_json(const course_point *now, const collapse *c);

/* The first epoch from which the mode is collapsed in every one to the last; −1 when the last is not. */
int64_t collapse_history_onset(const collapse_history *h, collapse_mode mode);
/* How many epochs to the last it has surely been collapsed: without those whose interval crosses the threshold. */
size_t collapse_history_streak(const collapse_history *h, collapse_mode mode);

/* Puts the onsets into the verdicts that say collapsed. */
void collapse_history_note(const collapse_history *h, collapse *c);

/* Both for the last epoch of a whole run. What its history does not show is unknown, and the sentence says why. */
void collapse_history_conclude(const collapse_history *h, collapse *c);

/*
 * Where a statistic lies on a scale that is the same for all modes: below 1/3 collapsed, below 2/3 a warning, 1 at what
 * the null scores; linear in between. NaN when there is none.
 */
double collapse_gauge(double statistic, double threshold_collapsed, double threshold_warning, double expected);

#endif
