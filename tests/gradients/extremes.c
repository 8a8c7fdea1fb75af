/* The extreme losses in double precision: what stands in the golden file is what this program computes. */
#include "tests/gradients/extremes.h"
#include "tests/gradients/gradients.h"

static void write_line(FILE *file, const extreme *e, const extreme_outcome *got) {
    fprintf(file, "%s %s, n %d, scale %g%s%s | ", e->method, e->settings, e->pairs, e->scale,
            e->width ? ", objective" : "", e->constant ? ", constant" : "");
    for (int n = 0; n < EXTREME_NUMBERS && !got->refused; n++) fprintf(file, "%.17g ", got->numbers[n]);
    fprintf(file, "%s\n", got->refused ? "refused" : "");
}

START_TEST(test_extreme_losses_in_double_precision_are_finite_and_as_noted) {
    const char *path = getenv("MEWS_WRITE_EXTREMES");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file)
        fprintf(file, "# method, settings | loss, |dz|, two signed sums of dz, |dparameters| in double precision\n");
    for (int i = 0; i < EXTREMES; i++) {
        const extreme *e = &extremes[i];
        extreme_outcome got = extreme_compute(e), want;
        if (file) write_line(file, e, &got);
        for (int n = 0; n < EXTREME_NUMBERS && !got.refused; n++)
            ck_assert_msg(isfinite(got.numbers[n]), "%s %s: number %d is %g", e->method, e->settings, n,
                          got.numbers[n]);
        if (file) continue;
        ck_assert_msg(extreme_golden(i, &want), "case %d has no golden line", i);
        ck_assert_msg(got.refused == want.refused, "%s %s: %s", e->method, e->settings, got.why);
        double size = fmax(fabs(want.numbers[1]), 1e-30);
        for (int n = 0; n < EXTREME_NUMBERS && !got.refused; n++) {
            double of = n == 0 ? fmax(fabs(want.numbers[0]), 1) : n == 4 ? fmax(want.numbers[4], 1e-30) : size;
            ck_assert_msg(fabs(got.numbers[n] - want.numbers[n]) <= 1e-7 * of + 1e-12,
                          "%s %s: number %d is %.17g, not %.17g", e->method, e->settings, n, got.numbers[n],
                          want.numbers[n]);
        }
    }
    if (file) fclose(file);
}
END_TEST

Suite *suite_extremes(void) {
    Suite *s = suite_create("extremes");
    TCase *t = tcase_create("double precision");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_extreme_losses_in_double_precision_are_finite_and_as_noted);
    suite_add_tcase(s, t);
    return s;
}
