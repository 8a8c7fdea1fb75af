/*
 * All inputs to one point. What decides is what survives a translation: how far rows lie from their mean, beside their
 * size and the precision of the values. A mean cosine near 1 is no collapse: a common offset, which any later layer
 * takes out, does the same.
 */
#include "analysis/verdicts/contrast.h"
#include "analysis/verdicts/judge.h"
#include "analysis/verdicts/relative.h"

#include <math.h>
#include <string.h>

/*
 * Standard deviation over root mean square. Rounding leaves half a unit roundoff u of it, arithmetic in float16 a few;
 * networks compute in float32, whose sums of thousands of terms leave up to a hundred of its u = 6e-8 (float64 files
 * hold what such a network computed). An offset of a thousand standard deviations leaves 1e-3.
 */
static const double ROUNDINGS_COLLAPSED = 4, ROUNDINGS_WARNING = 8;
static const double CONTRAST_COLLAPSED = 3e-5, CONTRAST_WARNING = 3e-4;
/* One value on four rows in five is one point, whatever the rest does. */
static const double COPIES_COLLAPSED = 0.8, COPIES_WARNING = 0.6;

static void judge_copies(const collapse_evidence *e, collapse_verdict *v) {
    jackknife others = jackknife_alone(1 - e->largest_copy);
    *v = judge_figure("other_rows", &others, 1, 1 - COPIES_WARNING, 1 - COPIES_COLLAPSED);
    v->rule = "copies";
    judge_say(
        v,
        "%.1f %% of the %.0f rows are exact copies of one another%s: that many inputs map to one point. The other "
        "figures are of the %.0f distinct rows.",
        100 * e->largest_copy, e->rows, e->zero_rows >= e->largest_copy * e->rows - 0.5 ? " (rows of zeros)" : "",
        e->distinct);
}

static void say_contrast(collapse_verdict *v, const collapse_evidence *e) {
    double cosine = 1 - e->spread;
    if (v->verdict == VERDICT_COLLAPSED)
        judge_say(v,
                  "All inputs map to one point: rows differ by %.2g of their size, no more than rounding leaves (the "
                  "values have a precision of %.1g). Usual where nothing keeps the views apart: no stop-gradient, "
                  "predictor, centring or variance term.",
                  e->contrast, fmax(e->precision, 0x1p-24));
    else if (v->verdict == VERDICT_WARNING)
        judge_say(
            v,
            "Rows differ by %.2g of their size only. Either all inputs are on their way to one point, or a common "
            "offset is that large: compare with an earlier checkpoint (--reference).",
            e->contrast);
    else if (cosine > 0.9)
        judge_say(v,
                  "Different inputs get different embeddings. Two of them have a mean cosine of %.4f because all share "
                  "an offset; about it they differ by %.2g of their size, far above the precision of the values.",
                  cosine, e->contrast);
    else
        judge_say(v, "Different inputs get different embeddings: two of them have a mean cosine of %.3f.", cosine);
}

void judge_representation(const judging *j) {
    collapse *c = j->c;
    collapse_verdict *v = &c->verdicts[COLLAPSE_REPRESENTATION];
    const collapse_evidence *e = &c->evidence;
    double collapsed = fmax(ROUNDINGS_COLLAPSED * e->precision, CONTRAST_COLLAPSED);
    double warning = fmax(ROUNDINGS_WARNING * e->precision, CONTRAST_WARNING);
    jackknife contrast = jackknife_alone(e->rows > 1 ? e->contrast : NAN);
    *v = judge_figure("contrast", &contrast, CONTRAST_OF_NOISE, warning, collapsed);
    v->low = e->contrast_low, v->high = e->contrast_high;
    judge_borderline(v);
    if (v->verdict == VERDICT_UNKNOWN) {
        judge_say(v, "One row cannot show whether different inputs are told apart.");
        return;
    }
    say_contrast(v, e);
    if (v->verdict == VERDICT_COLLAPSED) return;
    if (j->in->reference) {
        relative_input with = {.now = e, .then = j->in->reference, .against = j->in->reference_name};
        relative_representation(&with, v);
    }
    if (e->largest_copy >= COPIES_WARNING && e->rows >= JUDGE_ROWS) judge_copies(e, v);
}
