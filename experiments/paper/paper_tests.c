/*
 * What a table may say of its rows: paired tests over seeds, each row against FALCON's and against the best, corrected
 * by Holm within one data set, scale and figure. A row told a method's labels (supervised) takes no part.
 */
#include "analysis/statistics.h"
#include "experiments/paper/paper_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The paired p of two rows over the seeds that both have. */
static double paired(const paper_row *a, const paper_row *b, int m, size_t *pairs) {
    double x[PAPER_SEEDS], y[PAPER_SEEDS];
    *pairs = 0;
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if (a->seeds[i] == b->seeds[j] && isfinite(a->values[m][i]) && isfinite(b->values[m][j]) &&
                *pairs < PAPER_SEEDS) {
                x[*pairs] = a->values[m][i], y[*pairs] = b->values[m][j], ++*pairs;
                break;
            }
    return statistics_paired_p(x, y, *pairs);
}

/* Rows that may be compared: the same data at the same scale. */
static bool comparable(const paper_row *a, const paper_row *b) {
    return a->n && b->n && strcmp(a->data, b->data) == 0 && strcmp(a->scale, b->scale) == 0;
}

/* Tests every row comparable to `reference` against it; p (count) takes Holm's corrected values. */
static void test_against(const paper_table *t, const paper_row *reference, int m, double *p) {
    size_t pairs;
    for (size_t i = 0; i < t->count; i++) {
        const paper_row *row = &t->rows[i];
        bool tested = row != reference && comparable(row, reference) && strcmp(row->method, "supervised") != 0;
        p[i] = tested ? paired(row, reference, m, &pairs) : (double)NAN;
    }
    statistics_holm(p, t->count);
}

bool paper_table_judge(paper_table *t, error *err) {
    enum { ENOUGH_SEEDS = 5 };
    double *p = malloc((t->count + 1) * sizeof *p);
    if (!p) return error_memory(err, t->count * sizeof *p, "a table's tests");
    for (size_t i = 0; i < t->count; i++) { /* FALCON with the most codes of its data and scale */
        paper_row *row = &t->rows[i];
        row->reference = row->n && strcmp(row->method, "falcon") == 0;
        for (size_t j = 0; j < t->count && row->reference; j++) {
            const paper_row *other = &t->rows[j];
            bool beats = comparable(row, other) && strcmp(other->method, "falcon") == 0 &&
                         (other->codes > row->codes || (other->codes == row->codes && j < i));
            row->reference = !beats;
        }
    }
    for (int m = 0; m < PAPER_MEASURED && t->measured[m]; m++)
        for (size_t i = 0; t->judged[m] && i < t->count; i++) {
            paper_row *row = &t->rows[i];
            double mean = statistics_mean(row->values[m], row->n);
            bool best = row->n >= ENOUGH_SEEDS && isfinite(mean) && strcmp(row->method, "supervised") != 0;
            for (size_t j = 0; j < t->count && best; j++)
                if (comparable(row, &t->rows[j]) && strcmp(t->rows[j].method, "supervised") != 0)
                    best = !(statistics_mean(t->rows[j].values[m], t->rows[j].n) > mean);
            if (row->reference) {
                test_against(t, row, m, p);
                for (size_t j = 0; j < t->count; j++)
                    if (!isnan(p[j])) t->rows[j].p[m] = p[j];
            }
            if (!best) continue;
            test_against(t, row, m, p);
            row->bold[m] = true;
            for (size_t j = 0; j < t->count; j++)
                if (p[j] > 0.05 && t->rows[j].n >= ENOUGH_SEEDS) t->rows[j].bold[m] = true;
        }
    free(p);
    return true;
}
