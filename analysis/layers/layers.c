#include "analysis/layers/layers.h"
#include "analysis/verdicts/relative.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *layer_view_name(layer_view view) {
    static const char *const names[] = {"pooled", "class", "all"};
    return names[view];
}

void layers_free(layers *l) {
    free(l->items);
    *l = (layers){0};
}

/* No pair is formed: the cosines of all rows add up to the squared length of their summed directions. */
bool layer_mean_cosine(matrix m, double *out, error *err) {
    double present = 0, square = 0, *sum = calloc(m.cols, sizeof *sum);
    if (!sum) return error_memory(err, m.cols * sizeof *sum, "a layer's mean direction");
    for (size_t i = 0; i < m.rows; i++) {
        const float *x = m.data + i * m.cols;
        double norm = 0;
        for (size_t j = 0; j < m.cols; j++) norm += (double)x[j] * (double)x[j];
        if (!(norm > 0)) continue;
        norm = sqrt(norm), present++;
        for (size_t j = 0; j < m.cols; j++) sum[j] += (double)x[j] / norm;
    }
    for (size_t j = 0; j < m.cols; j++) square += sum[j] * sum[j];
    free(sum);
    *out = present > 1 ? (square - present) / (present * (present - 1)) : (double)NAN;
    return true;
}

static bool take_alone(matrix m, layer_figures *out, error *err) {
    spectrum s;
    row_source rows = rows_of(m);
    if (!spectrum_compute(m, false, &s, err)) return false;
    out->rankme = s.rankme.value, out->effective_rank = s.effective_rank.value;
    out->numerical_rank = s.numerical_rank.value;
    bool ok = evidence_with_spectrum(&rows, &s, NULL, &out->evidence, err);
    spectrum_free(&s);
    return ok;
}

/* The verdict leaves out rows that lie far out, and is blind to a common offset. Where a few rows are all that still
 * varies, or the offset nearly all that there is, both ranks of the whole matrix are low, and that is said. */
static void judge_all_rows(const layer_figures *now, const layer_figures *then, const char *name, collapse_verdict *v) {
    double kept = fmax(now->rankme / then->rankme, now->effective_rank / then->effective_rank);
    verdict worse = kept < RELATIVE_KEPT_COLLAPSED ? VERDICT_COLLAPSED
                    : kept < RELATIVE_KEPT_WARNING ? VERDICT_WARNING
                                                   : VERDICT_HEALTHY;
    if (!(kept < RELATIVE_KEPT_WARNING) || worse <= v->verdict) return;
    v->verdict = worse, v->rule = "reference_all_rows", v->statistic_name = "rank_kept", v->statistic = kept;
    v->threshold_warning = RELATIVE_KEPT_WARNING, v->threshold_collapsed = RELATIVE_KEPT_COLLAPSED,
    v->borderline = false;
    v->low = v->high = (double)NAN;
    snprintf(v->sentence, sizeof v->sentence,
             "Of all rows, RankMe is %.1f and the effective rank %.1f, where %s has %.1f and %.1f.", now->rankme,
             now->effective_rank, name, then->rankme, then->effective_rank);
}

bool layer_take(matrix m, const layer_figures *reference, const char *reference_name, uint64_t seed, layer_figures *out,
                error *err) {
    *out = (layer_figures){.rows = m.rows, .cols = m.cols};
    if (!layer_mean_cosine(m, &out->mean_cosine, err)) return false;
    if (!reference) return take_alone(m, out, err);
    collapse_input with = {.embeddings = m,
                           .quick = true,
                           .seed = seed,
                           .reference = &reference->evidence,
                           .reference_name = reference_name};
    collapse c;
    if (!collapse_compute(&with, &c, err)) return false;
    out->rankme = c.spectrum.rankme.value, out->effective_rank = c.spectrum.effective_rank.value;
    out->numerical_rank = c.spectrum.numerical_rank.value, out->evidence = c.evidence;
    out->representation = c.verdicts[COLLAPSE_REPRESENTATION];
    out->dimensional = c.verdicts[COLLAPSE_DIMENSIONAL];
    judge_all_rows(out, reference, reference_name, &out->dimensional);
    collapse_free(&c);
    return true;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void put(json_t *to, const char *key, double x) {
    json_object_set_new(to, key, isfinite(x) ? json_real(x) : json_null());
}

static json_t *view_json(const layer_figures *f) {
    if (!f->rows) return json_null();
    json_t *one = json_pack("{s:I, s:I}", "rows", (json_int_t)f->rows, "cols", (json_int_t)f->cols);
    put(one, "rankme", f->rankme);
    put(one, "effective_rank", f->effective_rank);
    put(one, "numerical_rank", f->numerical_rank);
    put(one, "mean_cosine", f->mean_cosine);
    if (f->dimensional.rule)
        json_object_set_new(one, "verdicts",
                            json_pack("{s:o, s:o}", "representation", collapse_verdict_json(&f->representation),
                                      "dimensional", collapse_verdict_json(&f->dimensional)));
    return one;
}

static json_t *tokens_json(const layer *l) {
    const token_figures *f = &l->tokens;
    if (!f->images) return json_null();
    json_t *one = json_pack("{s:I, s:I}", "images", (json_int_t)f->images, "patches", (json_int_t)f->patches);
    put(one, "rank", f->rank);
    put(one, "mean_cosine", f->mean_cosine);
    put(one, "within_share", f->within_share);
    put(one, "massive_share", f->massive_share);
    put(one, "largest_over_median", f->largest_over_median);
    if (l->token_verdict.rule) json_object_set_new(one, "verdict", collapse_verdict_json(&l->token_verdict));
    return one;
}

static json_t *attention_json(const attention_figures *f) {
    if (!f->images) return json_null();
    json_t *one = json_object();
    put(one, "entropy", f->entropy);
    put(one, "entropy_class", f->entropy_first);
    put(one, "entropy_uniform", f->uniform);
    return one;
}

json_t *layer_to_json(const layer *l) {
    json_t *one = json_pack("{s:s}", "name", l->name);
    for (int v = 0; one && v < LAYER_VIEWS; v++)
        json_object_set_new(one, layer_view_name((layer_view)v), view_json(&l->views[v]));
    if (one) json_object_set_new(one, "tokens", tokens_json(l));
    if (one) json_object_set_new(one, "attention", attention_json(&l->attention));
    return one;
}
