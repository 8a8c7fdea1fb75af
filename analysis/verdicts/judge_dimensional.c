/*
 * The embeddings span a subspace. A file alone is called collapsed only for what nobody would dispute: one point, one
 * or two directions, a cliff behind an eighth of the directions that its columns could show. How low a rank is healthy
 * depends on method and training (measured: 0.02 to 0.24 of noise's among short healthy runs), so everything else wants
 * a reference.
 */
#include "analysis/clusters/kmeans.h"
#include "analysis/verdicts/judge.h"
#include "analysis/verdicts/relative.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Behind how many of the attainable directions a cliff is a collapse, and a warning. */
static const double CLIFF_COLLAPSED = 1.0 / 8, CLIFF_WARNING = 1.0 / 4;
/* One or two directions are few wherever this many were attainable. */
static const double ONE_OF = 4, TWO_OF = 12;
/* Effective rank over what is possible. Published networks reach 0.1 to 0.3 (RankMe, table 1); a spectrum of i^-2,
 * where generalisation breaks down (Agrawal et al. 2022), has 0.23 of 512 and 0.14 of 2,048. */
static const double RANK_WARNING = 0.1;
/* A smooth spectrum of no more than this effective rank is one or two directions. */
static const double RANK_COLLAPSED = 2.5, RANK_OF = 20;
/* An effective rank asks for twice as many rows: n isotropic rows show nearly n directions. */
static const double ROWS_PER_RANK = 2;
/* What clusters leave of the variance: beyond the second, tight clusters are the only thing to see; beyond the first,
 * they are classes in a space of their own variation. */
static const double CLASSES_KEEP = 0.02, CLASSES_TIGHT = 0.002;
/* Clusters explain a cliff when cutting at them leaves no more variance than stands behind it, give or take; and the
 * room inside them is not low itself. */
static const double EXPLAINED = 2, ROOM_INSIDE = 0.25;
enum { EXPLAIN_ROWS = 2000, EXPLAIN_CLUSTERS = 200 };

/* Whether k-means with one cluster more than the cliff has directions leaves what stands behind the cliff: then those
 * directions are the ones between clusters, and no subspace. *left: the share of variance inside. */
static bool clusters_explain(const judging *j, double place, double behind, double *left, bool *explain, error *err) {
    matrix m = j->in->embeddings;
    size_t k = (size_t)place + 1, d = m.cols, rows = m.rows < EXPLAIN_ROWS ? m.rows : EXPLAIN_ROWS;
    *explain = false, *left = 1;
    if (k < 2 || k > EXPLAIN_CLUSTERS || rows < 4 * k) return true;
    float *sample = malloc(rows * d * sizeof *sample);
    if (!sample) return error_memory(err, rows * d * sizeof *sample, "a sample of the rows");
    kmeans clusters = {0};
    within w;
    kmeans_options with = {.clusters = k, .restarts = 3, .iterations = 30, .seed = j->in->seed};
    uint8_t *blocks = calloc(rows, 1);
    bool ok = blocks || error_memory(err, rows, "blocks of rows");
    ok = ok && matrix_sample(m, rows, j->in->seed, 6, sample, err);
    matrix part = {sample, rows, d};
    ok = ok && kmeans_compute(part, &with, &clusters, err) &&
         jackknife_within(part, clusters.assignment, k, blocks, &w, err);
    if (ok) *left = w.share.value;
    if (ok && w.share.value <= EXPLAINED * behind) {
        cluster_spectra inside;
        ok = cluster_spectra_compute(part, clusters.assignment, &inside, err);
        *explain = ok && inside.share >= ROOM_INSIDE;
        if (ok) cluster_spectra_free(&inside);
    }
    kmeans_free(&clusters);
    free(blocks);
    free(sample);
    return ok;
}

static void say_low(collapse_verdict *v, const collapse_evidence *e) {
    judge_say(
        v,
        "Low rank for %.0f columns: an effective rank of %.1f of %.0f possible directions; %.0f carry 99 %% of the "
        "variance. Narrow inputs, a few classes or a projector that is meant to compress look alike: compare "
        "with the pixels, an untrained network or an earlier checkpoint (--reference).",
        e->cols, e->trimmed_effective_rank, e->possible, e->k99);
}

static void say_healthy(collapse_verdict *v, const collapse_evidence *e) {
    double share = e->trimmed_effective_rank_share;
    const char *few = e->independent <= e->attainable
                          ? " Fewer rows than columns bound the rank and flatter its share: more rows show more."
                          : "";
    if (e->outlier_columns > 0 && e->effective_rank < 0.9 * e->trimmed_effective_rank)
        judge_say(
            v,
            "%.0f outlier column%s (%.0f times the median standard deviation) hide%s an effective rank of %.1f of "
            "%.0f directions; with %s it is %.1f.%s",
            e->outlier_columns, e->outlier_columns > 1 ? "s" : "", e->outlier_ratio, e->outlier_columns > 1 ? "" : "s",
            e->trimmed_effective_rank, e->possible, e->outlier_columns > 1 ? "them" : "it", e->effective_rank, few);
    else if (share >= 0.9)
        judge_say(v, "The embeddings fill their space: an effective rank of %.1f of %.0f possible directions.%s",
                  e->trimmed_effective_rank, e->possible, few);
    else
        judge_say(v,
                  "No collapse of dimension: an effective rank of %.1f of %.0f possible directions; %.0f carry 99 %% "
                  "of the variance.%s",
                  e->trimmed_effective_rank, e->possible, e->k99, few);
}

/* The verdict of a file alone. */
static bool judge_alone(const judging *j, collapse_verdict *v, error *err) {
    const collapse_evidence *e = &j->c->evidence;
    double most = fmax(CLIFF_COLLAPSED * e->attainable, e->attainable >= TWO_OF ? 2 : e->attainable >= ONE_OF ? 1 : 0);
    double place = e->trimmed_gap_place;
    bool cliff = spectrum_clear_gap(place, e->cols, e->trimmed_gap_factor, e->trimmed_gap_variance);
    bool low = e->trimmed_effective_rank <= RANK_COLLAPSED && e->possible >= RANK_OF;
    if (low || (cliff && place <= most)) {
        double left = 1;
        bool explained = false;
        v->verdict = VERDICT_COLLAPSED, v->rule = low ? "directions" : "gap";
        if (cliff && !clusters_explain(j, place, 1 - e->trimmed_gap_variance, &left, &explained, err)) return false;
        if (explained && left >= CLASSES_TIGHT) {
            v->verdict = left >= CLASSES_KEEP ? VERDICT_HEALTHY : VERDICT_WARNING, v->rule = "clusters";
            judge_say(v,
                      "The cliff behind %.0f directions is %.0f clusters' own: inside them the embeddings vary in all "
                      "directions alike, with %.2g of the variance.",
                      place, place + 1, left);
        } else if (cliff) {
            judge_say(
                v,
                "The embeddings lie in %.0f of %.0f attainable directions: behind them the spectrum falls by a "
                "factor of %.3g, and they carry %.2f %% of the variance. Usual with few codes or prototypes (the "
                "rank is at most their number), a head wider than its backbone (--attainable says its width), and "
                "weak decorrelation.",
                place, e->attainable, e->trimmed_gap_factor, 100 * e->trimmed_gap_variance);
        } else {
            judge_say(v,
                      "The embeddings have hardly more than one or two directions: an effective rank of %.1f of %.0f.",
                      e->trimmed_effective_rank, e->possible);
        }
        return true;
    }
    if (cliff && place <= CLIFF_WARNING * e->attainable) {
        double left;
        bool explained;
        if (!clusters_explain(j, place, 1 - e->trimmed_gap_variance, &left, &explained, err)) return false;
        if (!explained || left < CLASSES_KEEP) {
            v->verdict = VERDICT_WARNING, v->rule = "gap";
            judge_say(
                v,
                "A cliff behind %.0f of %.0f attainable directions: the spectrum falls by a factor of %.3g there. "
                "Compare with an earlier checkpoint or an untrained network (--reference).",
                place, e->attainable, e->trimmed_gap_factor);
            return true;
        }
    }
    if (v->verdict == VERDICT_WARNING) {
        say_low(v, e);
    } else if (e->independent < ROWS_PER_RANK * e->trimmed_effective_rank) {
        v->verdict = VERDICT_UNKNOWN, v->borderline = false, v->rule = "rows";
        judge_say(
            v,
            "%.0f distinct rows are too few for an effective rank of %.1f, which grows with them: noise of this size "
            "would look the same. Give at least twice as many rows as it says.",
            e->independent, e->trimmed_effective_rank);
    } else {
        say_healthy(v, e);
    }
    return true;
}

/* The last shared direction stands this far above chance (a smooth spectrum's stands just above it), the last of one to
 * three further; and of the variance behind them, views share hardly anything. */
static const double ABOVE_CHANCE = 2, FEW_ABOVE_CHANCE = 4, SHARED_BEHIND = 0.1;
/* Where clusters are what views share, cutting at them leaves this much of it at most; a cloud keeps more. */
static const double BETWEEN = 0.2;
enum { FEW_SHARED = 3 };

/* A cliff that only two views show: behind it, a floor of what they do not share hides that few directions tell inputs
 * apart. Said where the one view's spectrum looks like more. */
static bool judge_across(const judging *j, collapse_verdict *v, error *err) {
    const across *a = &j->c->across;
    const spectrum *s = &j->c->spectrum;
    const collapse_evidence *e = &j->c->evidence;
    double place = a->directions, left, behind = 0, all = 0;
    bool explained;
    if (isnan(a->effective_rank) || v->verdict == VERDICT_COLLAPSED ||
        !(a->drop >= (place > FEW_SHARED ? ABOVE_CHANCE : FEW_ABOVE_CHANCE)) || place > CLIFF_COLLAPSED * e->attainable)
        return true;
    for (size_t i = 0; i < s->count; i++) {
        double square = s->singular_values_centred[i] * s->singular_values_centred[i];
        all += square, behind += (double)i < place ? 0 : square;
    }
    if (a->behind > SHARED_BEHIND * behind / (double)s->n) return true; /* chance hides what is behind */
    behind /= all;
    if (!clusters_explain(j, place, behind, &left, &explained, err)) return false;
    explained = explained && left - behind <= BETWEEN * (1 - behind);
    v->verdict = explained ? VERDICT_WARNING : VERDICT_COLLAPSED, v->rule = "across_views", v->borderline = false;
    v->statistic = a->effective_rank / e->possible, v->low = v->high = NAN;
    judge_say(
        v,
        "Only %.0f of %.0f attainable directions are shared by the two views of an input%s: the effective rank of "
        "%.1f is for the most part a floor that the views do not share.",
        place, e->attainable, explained ? ", and they are those between clusters" : "", e->trimmed_effective_rank);
    return true;
}

bool collapse_undisputed(const collapse *c) {
    const collapse_verdict *v = &c->verdicts[COLLAPSE_DIMENSIONAL];
    const collapse_evidence *e = &c->evidence;
    bool one_point = strcmp(v->rule, "one_point") == 0, few = strcmp(v->rule, "directions") == 0;
    return v->verdict == VERDICT_COLLAPSED &&
           (one_point || few || (strcmp(v->rule, "gap") == 0 && e->trimmed_gap_place <= 2));
}

bool judge_dimensional(const judging *j, error *err) {
    collapse *c = j->c;
    const collapse_evidence *e = &c->evidence;
    collapse_verdict *v = &c->verdicts[COLLAPSE_DIMENSIONAL];
    jackknife none = jackknife_alone(e->possible > 0 ? e->trimmed_effective_rank_share : NAN);
    *v = judge_figure("effective_rank_share", &none, 1, RANK_WARNING, fmin(RANK_COLLAPSED / e->possible, RANK_WARNING));
    if (isfinite(e->effective_rank_low)) {
        v->low = e->effective_rank_low / e->possible, v->high = e->effective_rank_high / e->possible;
        v->borderline = v->low < RANK_WARNING && v->high >= RANK_WARNING;
    }
    v->rule = "effective_rank";
    const collapse_verdict *point = &c->verdicts[COLLAPSE_REPRESENTATION];
    if (e->rows > 1 &&
        (e->effective_rank == 0 || (point->verdict == VERDICT_COLLAPSED && e->contrast < point->threshold_collapsed))) {
        v->verdict = VERDICT_COLLAPSED, v->rule = "one_point", v->borderline = false;
        v->statistic = 0, v->low = v->high = NAN;
        judge_say(v, "All rows are one point%s: there is no direction to speak of.",
                  e->effective_rank > 0 ? " but for rounding, which points everywhere" : "");
        return true;
    }
    if (e->independent < JUDGE_ROWS) {
        v->verdict = VERDICT_UNKNOWN, v->rule = "rows", v->borderline = false;
        judge_say(
            v,
            "%.0f distinct rows span at most %.0f directions: too few to tell a low rank from a small sample. Give "
            "%d rows or more, better several times the %.0f columns.",
            e->independent, fmax(e->independent - 1, 0), JUDGE_ROWS, e->cols);
        return true;
    }
    if (v->verdict == VERDICT_COLLAPSED) v->verdict = VERDICT_WARNING; /* by the rules below only */
    if (!judge_alone(j, v, err)) return false;
    if (v->verdict == VERDICT_COLLAPSED) v->borderline = false;
    if (v->verdict == VERDICT_HEALTHY && point->verdict == VERDICT_WARNING && strcmp(point->rule, "contrast") == 0) {
        v->verdict = VERDICT_UNKNOWN, v->rule = "contrast", v->borderline = false;
        judge_say(v,
                  "Rows differ by %.2g of their size only: whether their %.1f directions are the embeddings' own or "
                  "noise around one point, a file alone does not tell.",
                  e->contrast, e->trimmed_effective_rank);
    }
    if (!judge_across(j, v, err)) return false;
    if (!j->in->reference) return true;
    bool undisputed = collapse_undisputed(c);
    collapse_verdict against;
    relative_dimensional(&(relative_input){.now = e, .then = j->in->reference, .against = j->in->reference_name},
                         &against);
    if (!undisputed && against.verdict != VERDICT_UNKNOWN) *v = against;
    return true;
}
