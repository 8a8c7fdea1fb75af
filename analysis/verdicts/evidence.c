#include "analysis/verdicts/evidence.h"
#include "analysis/verdicts/contrast.h"
#include "analysis/verdicts/copies.h"
#include "analysis/verdicts/jackknife.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* Above this share of distinct rows, copies move no figure of the spectrum, and it is not taken a second time. */
static const double DISTINCT_ENOUGH = 0.99;

static const evidence_options defaults = {0};

/* What rounding to the precision of the values leaves in an empty direction: errors of about u|x| in every entry, whose
 * singular values lie below (√n + √d) times that. */
static double rounding_floor(const spectrum *s, double precision) {
    return precision * sqrt(s->mean_squared_norm / (double)s->d) * (sqrt((double)s->n) + sqrt((double)s->d));
}

static void take_dimension(const spectrum *s, collapse_evidence *e) {
    const double *sigma = s->singular_values_centred;
    size_t n = s->n, count = (size_t)fmin((double)(n - 1), fmin(e->attainable, (double)s->count));
    double floor = rounding_floor(s, e->precision);
    e->possible = (double)count;
    e->effective_rank = spectrum_effective_rank(sigma, count);
    e->effective_rank_share = count ? e->effective_rank / (double)count : NAN;
    e->rankme = s->rankme.value, e->participation_ratio = s->participation_ratio.value;
    e->k90 = (double)spectrum_directions(sigma, count, 0.9), e->k99 = (double)spectrum_directions(sigma, count, 0.99);
    for (size_t i = 0; i < count && sigma[i] > floor; i++) e->rank++;
    e->explained_area = spectrum_explained_area(sigma, count);
    e->alpha = s->alpha, e->alpha_first = (double)s->alpha_first, e->alpha_last = (double)s->alpha_last;
    spectrum_gap gap = spectrum_find_gap(sigma, count, (double)s->d, floor);
    e->gap_place = (double)gap.place, e->gap_factor = gap.factor, e->gap_variance = gap.variance;
    e->outlier_columns = (double)s->outliers, e->outlier_ratio = s->outlier_ratio;
    e->dead_columns = (double)spectrum_dead_columns(s, e->precision, NULL, 0);
    e->trimmed_k90 = e->k90, e->trimmed_k99 = e->k99, e->trimmed_rank = e->rank;
    e->trimmed_alpha = e->alpha, e->trimmed_explained_area = e->explained_area;
    if (s->outliers) {
        size_t rank = 0;
        count = (size_t)fmin((double)count, (double)s->trimmed_count), sigma = s->trimmed;
        gap = spectrum_find_gap(sigma, count, (double)s->d, floor);
        while (rank < count && sigma[rank] > floor) rank++;
        e->trimmed_k90 = (double)spectrum_directions(sigma, count, 0.9);
        e->trimmed_k99 = (double)spectrum_directions(sigma, count, 0.99);
        e->trimmed_rank = (double)rank, e->trimmed_alpha = spectrum_fit_power_law(sigma, rank).alpha;
        e->trimmed_explained_area = spectrum_explained_area(sigma, count);
    }
    e->trimmed_effective_rank = spectrum_effective_rank(sigma, count);
    e->trimmed_effective_rank_share = count ? e->trimmed_effective_rank / (double)count : NAN;
    e->trimmed_gap_place = (double)gap.place, e->trimmed_gap_factor = gap.factor;
    e->trimmed_gap_variance = gap.variance;
}

/* The interval of the effective rank, without the outlier columns where there are any. blocks are of `rows`. */
static bool take_interval(const row_source *rows, const spectrum *s, const uint8_t *blocks, collapse_evidence *e,
                          error *err) {
    jackknife rank;
    bool *keep = s->outliers ? malloc(s->d * sizeof *keep) : NULL;
    if (s->outliers && !keep) return error_memory(err, s->d, "columns");
    for (size_t j = 0; keep && j < s->d; j++) keep[j] = s->column_variances[j] < s->outlier_variance;
    bool ok = jackknife_rank(rows, blocks, keep, e->trimmed_effective_rank, &rank, err);
    if (ok) jackknife_interval(&rank, &e->effective_rank_low, &e->effective_rank_high);
    free(keep);
    return ok;
}

/* Of rows without copies, whose spectrum is s; blocks are theirs, NULL: no interval. */
static bool take_all(const row_source *rows, const spectrum *s, const uint8_t *blocks, collapse_evidence *e,
                     error *err) {
    take_dimension(s, e);
    return !blocks || take_interval(rows, s, blocks, e, err);
}

static bool take_distinct(const row_source *rows, const copies *c, const uint8_t *blocks, collapse_evidence *e,
                          error *err) {
    distinct_rows some;
    spectrum s;
    uint8_t *own = blocks ? malloc(c->distinct) : NULL;
    if (blocks && !own) return error_memory(err, c->distinct, "blocks of rows");
    for (size_t i = 0; own && i < c->distinct; i++) own[i] = blocks[c->first[i]];
    bool ok = copies_source(c, rows, &some, err);
    if (ok) {
        ok = spectrum_compute_rows(&some.source, false, &s, err);
        if (ok) {
            ok = take_all(&some.source, &s, own, e, err);
            spectrum_free(&s);
        }
        copies_source_free(&some);
    }
    free(own);
    return ok;
}

bool evidence_with_spectrum(const row_source *rows, const spectrum *s, const evidence_options *options,
                            collapse_evidence *e, error *err) {
    const evidence_options *o = options ? options : &defaults;
    size_t n = rows->rows;
    *e = (collapse_evidence){
        .rows = (double)n, .cols = (double)rows->cols, .effective_rank_low = NAN, .effective_rank_high = NAN};
    e->attainable = o->attainable > 0 ? fmin(o->attainable, e->cols) : e->cols;
    copies c;
    uint8_t *blocks = malloc(n);
    jackknife spread;
    if (!blocks) return error_memory(err, n, "blocks of rows");
    if (!copies_find(rows, &c, err)) return free(blocks), false;
    bool ok = true;
    for (size_t i = 0; o->blocks && i < n; i++) blocks[i] = o->blocks[i];
    if (!o->blocks) ok = jackknife_draw(n, NULL, o->seed, blocks, err);
    e->distinct = (double)c.distinct, e->zero_rows = (double)c.zero_rows, e->precision = c.precision;
    e->independent = o->groups ? fmin(e->distinct, (double)o->groups) : e->distinct;
    e->largest_copy = (double)c.largest / (double)n;
    e->variance = s->total_variance;
    e->whole_effective_rank = s->effective_rank.value, e->whole_rankme = s->rankme.value;
    e->variance_share = s->mean_squared_norm > 0 ? s->total_variance / s->mean_squared_norm : 0;
    contrast apart;
    ok = ok && contrast_take(rows, c.first, c.distinct, o->seed, &apart, err) &&
         jackknife_spread(rows, blocks, &spread, err);
    if (ok) e->spread = spread.value, e->contrast = c.distinct > 1 ? apart.value : 0;
    if (ok) e->contrast_low = o->intervals ? apart.low : NAN, e->contrast_high = o->intervals ? apart.high : NAN;
    const uint8_t *for_interval = o->intervals ? blocks : NULL;
    ok = ok && copies_leave_outliers(&c, rows, s->column_means, err);
    e->outlier_rows = (double)c.outliers;
    if (ok && !c.outliers && e->distinct >= DISTINCT_ENOUGH * e->rows)
        ok = take_all(rows, s, for_interval, e, err);
    else
        ok = ok && take_distinct(rows, &c, for_interval, e, err);
    copies_free(&c);
    free(blocks);
    return ok;
}

bool evidence_take(const row_source *rows, const evidence_options *options, collapse_evidence *out, error *err) {
    spectrum s;
    if (!spectrum_compute_rows(rows, false, &s, err)) return false;
    bool ok = evidence_with_spectrum(rows, &s, options, out, err);
    spectrum_free(&s);
    return ok;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

#define FIGURE(name)                                                                                                   \
    { #name, offsetof(collapse_evidence, name) }
static const struct {
    const char *name;
    size_t at;
} figures[] = {
    FIGURE(rows),
    FIGURE(distinct),
    FIGURE(cols),
    FIGURE(independent),
    FIGURE(zero_rows),
    FIGURE(outlier_rows),
    FIGURE(largest_copy),
    FIGURE(attainable),
    FIGURE(precision),
    FIGURE(variance),
    FIGURE(variance_share),
    FIGURE(contrast),
    FIGURE(contrast_low),
    FIGURE(contrast_high),
    FIGURE(spread),
    FIGURE(possible),
    FIGURE(effective_rank),
    FIGURE(effective_rank_share),
    FIGURE(effective_rank_low),
    FIGURE(effective_rank_high),
    FIGURE(rankme),
    FIGURE(participation_ratio),
    FIGURE(k90),
    FIGURE(k99),
    FIGURE(rank),
    FIGURE(gap_place),
    FIGURE(gap_factor),
    FIGURE(gap_variance),
    FIGURE(alpha),
    FIGURE(alpha_first),
    FIGURE(alpha_last),
    FIGURE(explained_area),
    FIGURE(outlier_columns),
    FIGURE(outlier_ratio),
    FIGURE(trimmed_effective_rank),
    FIGURE(trimmed_effective_rank_share),
    FIGURE(trimmed_gap_place),
    FIGURE(trimmed_gap_factor),
    FIGURE(trimmed_gap_variance),
    FIGURE(trimmed_k90),
    FIGURE(trimmed_k99),
    FIGURE(trimmed_rank),
    FIGURE(trimmed_alpha),
    FIGURE(trimmed_explained_area),
    FIGURE(whole_effective_rank),
    FIGURE(whole_rankme),
    FIGURE(dead_columns),
};

json_t *evidence_to_json(const collapse_evidence *e) {
    json_t *to = json_object();
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        double x = *(const double *)((const char *)e + figures[i].at);
        json_object_set_new(to, figures[i].name, isfinite(x) ? json_real(x) : json_null());
    }
    return to;
}

bool evidence_from_json(const json_t *from, collapse_evidence *e) {
    *e = (collapse_evidence){0};
    if (!json_is_object(from)) return false;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const json_t *x = json_object_get(from, figures[i].name);
        *(double *)((char *)e + figures[i].at) = json_is_number(x) ? json_number_value(x) : (double)NAN;
    }
    return true;
}
