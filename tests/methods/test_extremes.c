/*
 * Losses at the edge of what floats hold (tests/gradients/extremes.h), in single precision beside double: finite and
 * near, or refused with a line where double precision refuses them, too.
 *
 * The bound, with ε = 2⁻²⁴: a logit of size s is right to s·ε, and sums of some thousand terms cost up to 64 ε; so is
 * a loss, relatively. A probability is right to that relatively, and with it a gradient, but for what a logit's slope,
 * |loss| over the inputs' scale, makes of it. BatchNorm of two samples gives ±1 whatever they are: its gradient is what
 * is left of a cancellation, and gets 64 times as much. A batch without variance stands on ReLU's kink, where rounding
 * decides the gradient, and on the singular point of L2 normalisation, where it decides FALCON's loss: there the
 * losses that are not singular are compared, up to BatchNorm's factor 1/√1e-5, and the rest has to be finite.
 */
#include "tests/gradients/extremes.h"

#include <check.h>
#include <float.h>

START_TEST(test_a_loss_is_finite_and_near_its_double_or_both_are_refused) {
    const extreme *e = &extremes[_i];
    extreme_outcome got = extreme_compute(e), want;
    ck_assert_msg(extreme_golden(_i, &want), "case %d has no golden line", _i);
    if (getenv("MEWS_SHOW_EXTREMES"))
        printf("%s %s n %d: loss %g (double %g), |dz| %g (%g) %s\n", e->method, e->settings, e->pairs, got.numbers[0],
               want.numbers[0], got.numbers[1], want.numbers[1], got.why);
    ck_assert_msg(got.refused == want.refused, "%s %s: %s", e->method, e->settings,
                  got.refused ? got.why : "is not refused, as in double precision");
    if (got.refused) {
        ck_assert_msg(strstr(got.why, "collapsed") || strstr(got.why, "method."), "%s", got.why);
        return;
    }
    for (int n = 0; n < EXTREME_NUMBERS; n++)
        ck_assert_msg(isfinite(got.numbers[n]), "%s %s: number %d is %g", e->method, e->settings, n, got.numbers[n]);
    if (e->constant && strstr(e->settings, "prior forward")) return; /* L2 normalisation of nothing */
    const double eps = (double)FLT_EPSILON / 2, bound = eps * (64 + 4 * e->logits) * (e->constant ? 316 : 1);
    double slope = fabs(want.numbers[0]) / e->scale, cancelled = e->pairs == 2 ? 64 : 1;
    for (int n = 0; n < (e->constant ? 1 : EXTREME_NUMBERS); n++) {
        double size = n == 0 ? fmax(fabs(want.numbers[0]), 1) : want.numbers[n == 4 ? 4 : 1] * cancelled + slope;
        double allowed = (n == 0 ? 1 : 16) * bound * size, off = fabs(got.numbers[n] - want.numbers[n]);
        ck_assert_msg(off <= allowed, "%s %s: number %d is %g, in double precision %g; off by %.3g, allowed %.3g",
                      e->method, e->settings, n, got.numbers[n], want.numbers[n], off, allowed);
    }
}
END_TEST

Suite *suite_extremes(void) {
    Suite *s = suite_create("extremes");
    TCase *t = tcase_create("extremes");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_a_loss_is_finite_and_near_its_double_or_both_are_refused, 0, EXTREMES);
    suite_add_tcase(s, t);
    return s;
}
