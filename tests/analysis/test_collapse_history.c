/*
 * When a collapse began, read back from metrics.jsonl.
 */
#include "analysis/verdicts/collapse_history.h"
#include "engine/files/file.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A history whose dimensional verdicts are these letters (h, w, c, u), an epoch each, from 1. */
static collapse_history history(const char *verdicts, const char *tail) {
    static const struct {
        char letter;
        const char *word;
    } words[] = {{'h', "healthy"}, {'w', "warning"}, {'c', "collapsed"}, {'u', "unknown"}};
    char path[SCRATCH];
    scratch_file(path);
    FILE *out = fopen(path, "w");
    for (int epoch = 1; verdicts[epoch - 1]; epoch++) {
        const char *word = "";
        for (int k = 0; k < 4; k++)
            if (words[k].letter == verdicts[epoch - 1]) word = words[k].word;
        fprintf(out, "{\"step\":%d,\"epoch\":%d.0,\"loss\":1}\n", epoch, epoch);
        fprintf(out,
                "{\"step\":%d,\"epoch\":%d,\"collapse\":{\"rows\":64,\"dimensional\":{\"verdict\":\"%s\",\"statistic\":"
                "0.2,\"expected\":1,\"threshold_warning\":0.5,\"threshold_collapsed\":0.25}}}\n",
                epoch, epoch, word);
    }
    fputs(tail, out);
    fclose(out);
    collapse_history h;
    error err = {0};
    ck_assert_msg(collapse_history_read(&h, path, &err), "%s", err.text);
    unlink(path);
    return h;
}

static void begins(const char *verdicts, int onset, size_t streak) {
    collapse_history h = history(verdicts, "");
    ck_assert_uint_eq(h.count, strlen(verdicts));
    ck_assert_int_eq(collapse_history_onset(&h, COLLAPSE_DIMENSIONAL), onset);
    ck_assert_uint_eq(collapse_history_streak(&h, COLLAPSE_DIMENSIONAL), streak);
    ck_assert_int_eq(collapse_history_onset(&h, COLLAPSE_CLUSTER), -1);
    collapse_history_free(&h);
}

START_TEST(test_a_collapse_begins_where_it_stays_to_the_end) {
    begins("hhccc", 3, 3);
    begins("cchcc", 4, 2);
    begins("ccccc", 1, 5);
    begins("ccccw", -1, 0);
    begins("ccucc", 4, 2); /* what is not known is not collapsed */
    begins("h", -1, 0);
    begins("", -1, 0);
}
END_TEST

START_TEST(test_a_line_cut_in_half_ends_the_history) {
    collapse_history h = history("hc", "{\"step\":9,\"epoch\":3,\"collapse\":{\"dimen");
    ck_assert_uint_eq(h.count, 2);
    ck_assert_int_eq(collapse_history_onset(&h, COLLAPSE_DIMENSIONAL), 2);
    ck_assert_int_eq(h.rows, 64);
    ck_assert_double_eq(h.items[1].modes[COLLAPSE_DIMENSIONAL].threshold_warning, 0.5);
    ck_assert(isnan(h.items[1].modes[COLLAPSE_CLUSTER].statistic));
    collapse_history_free(&h);
}
END_TEST

START_TEST(test_only_a_verdict_of_collapse_gets_an_onset) {
    collapse_history h = history("hcc", "");
    collapse c = {0};
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) c.verdicts[mode].onset = -1;
    collapse_history_note(&h, &c);
    ck_assert_int_eq(c.verdicts[COLLAPSE_DIMENSIONAL].onset, -1);
    c.verdicts[COLLAPSE_DIMENSIONAL].verdict = c.verdicts[COLLAPSE_CLUSTER].verdict = VERDICT_COLLAPSED;
    collapse_history_note(&h, &c);
    ck_assert_int_eq(c.verdicts[COLLAPSE_DIMENSIONAL].onset, 2);
    ck_assert_int_eq(c.verdicts[COLLAPSE_CLUSTER].onset, -1);
    collapse_history_free(&h);
}
END_TEST

START_TEST(test_the_gauge_puts_every_mode_on_one_scale) {
    ck_assert_double_eq(collapse_gauge(0, 0.25, 0.5, 1), 0);
    ck_assert_double_eq_tol(collapse_gauge(0.25, 0.25, 0.5, 1), 1 / 3.0, 1e-12);
    ck_assert_double_eq_tol(collapse_gauge(0.5, 0.25, 0.5, 1), 2 / 3.0, 1e-12);
    ck_assert_double_eq_tol(collapse_gauge(1, 0.25, 0.5, 1), 1, 1e-12);
    ck_assert_double_eq_tol(collapse_gauge(0.75, 0.25, 0.5, 1), 5 / 6.0, 1e-12);
    ck_assert_double_eq(collapse_gauge(7, 0.25, 0.5, 1), 1);
    ck_assert_double_eq_tol(collapse_gauge(0.9, 0.25, 0.5, 0.1), 1, 1e-12); /* a null below the thresholds */
    ck_assert(isnan(collapse_gauge(NAN, 0.25, 0.5, 1)) && isnan(collapse_gauge(1, 0, 0, 1)));
}
END_TEST

Suite *suite_collapse_history(void) {
    Suite *s = suite_create("collapse_history");
    TCase *t = tcase_create("onset");
    tcase_add_test(t, test_a_collapse_begins_where_it_stays_to_the_end);
    tcase_add_test(t, test_a_line_cut_in_half_ends_the_history);
    tcase_add_test(t, test_only_a_verdict_of_collapse_gets_an_onset);
    tcase_add_test(t, test_the_gauge_puts_every_mode_on_one_scale);
    suite_add_tcase(s, t);
    return s;
}
