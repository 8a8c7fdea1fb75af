/*
 * A diagnosis as a JSON object. Keys are fixed: scripts read them, and the report draws from them alone. What is not a
 * number (a share of nothing, an interval that was not asked for) is null, never a made-up 0.
 */
#include "analysis/verdicts/collapse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* JSON has no infinity: a number beyond all others, which is only ever a condition number, is null as well. */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void put(json_t *to, const char *key, double x) { json_object_set_new(to, key, number(x)); }

static void put_count(json_t *to, const char *key, size_t x) {
    json_object_set_new(to, key, json_integer((json_int_t)x));
}

/* key, key_share, key_noise, key_noise_share. */
static void put_rank(json_t *to, const char *key, const rank_figure *r) {
    char name[64];
    put(to, key, r->value);
    snprintf(name, sizeof name, "%s_share", key);
    put(to, name, r->share);
    snprintf(name, sizeof name, "%s_noise", key);
    put(to, name, r->noise);
    snprintf(name, sizeof name, "%s_noise_share", key);
    put(to, name, r->noise_share);
}

static json_t *array(const double *x, size_t count) {
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(a, number(x[i]));
    return a;
}

static void put_spectrum(json_t *to, const spectrum *s) {
    put_count(to, "n", s->n);
    put_count(to, "d", s->d);
    put_rank(to, "rankme", &s->rankme);
    put(to, "rankme_without_epsilon", s->rankme_without_epsilon);
    put_rank(to, "effective_rank", &s->effective_rank);
    put_rank(to, "participation_ratio", &s->participation_ratio);
    put_rank(to, "numerical_rank", &s->numerical_rank);
    put(to, "condition_number", s->condition_number);
    put(to, "alpha_req", s->alpha);
    put(to, "alpha_req_authors", s->alpha_authors);
    put_count(to, "alpha_req_authors_first", s->alpha_authors_first);
    put_count(to, "alpha_req_authors_last", s->alpha_authors_last);
    put(to, "alpha_req_r2", s->alpha_r2);
    put_count(to, "alpha_req_first", s->alpha_first);
    put_count(to, "alpha_req_last", s->alpha_last);
    put(to, "correlation_off_diagonal", s->correlation_off_diagonal);
    put_count(to, "constant_columns", s->constant_columns);
    put(to, "mean_squared_norm", s->mean_squared_norm);
    put(to, "total_variance", s->total_variance);
}

static void put_usage(json_t *to, const usage_figures *f) {
    put_count(to, "codes", f->codes);
    put(to, "codes_used", f->used);
    put(to, "codes_used_share", f->used_share);
    put(to, "codes_used_expected", f->used_expected);
    put(to, "codes_used_of_expected", f->used_of_expected);
    put(to, "perplexity", f->perplexity);
    put(to, "perplexity_share", f->perplexity_share);
    put(to, "hard_perplexity", f->hard_perplexity);
    put(to, "hard_perplexity_expected", f->hard_perplexity_expected);
    put(to, "mean_assignment_entropy", f->entropy_mean);
    put(to, "row_entropy", f->row_entropy);
    put(to, "information", f->information);
    put(to, "information_share", f->information_share);
    put(to, "codes_alive", f->alive);
    put(to, "codes_alive_most", f->alive_most);
    put(to, "code_top_share", f->top);
}

json_t *collapse_verdict_json(const collapse_verdict *v) {
    json_t *o = json_object();
    json_object_set_new(o, "verdict", json_string(verdict_name(v->verdict)));
    json_object_set_new(o, "statistic_name", json_string(v->statistic_name));
    put(o, "statistic", v->statistic);
    put(o, "expected", v->expected);
    put(o, "low", v->low);
    put(o, "high", v->high);
    put(o, "threshold_warning", v->threshold_warning);
    put(o, "threshold_collapsed", v->threshold_collapsed);
    json_object_set_new(o, "rule", v->rule ? json_string(v->rule) : json_null());
    json_object_set_new(o, "borderline", json_boolean(v->borderline));
    json_object_set_new(o, "against", *v->against ? json_string(v->against) : json_null());
    json_object_set_new(o, "onset", v->onset >= 0 ? json_integer(v->onset) : json_null());
    json_object_set_new(o, "sentence", json_string(v->sentence));
    return o;
}

/* [{cluster, rows, effective_rank, effective_rank_share, variance, singular_values}], the largest clusters first. */
static json_t *clusters_json(const cluster_spectra *c) {
    json_t *list = json_array();
    for (size_t i = 0; i < c->count; i++) {
        const cluster_spectrum *s = &c->list[i];
        json_t *o = json_object();
        put_count(o, "cluster", (size_t)s->cluster);
        put_count(o, "rows", s->rows);
        put(o, "effective_rank", s->effective_rank);
        put(o, "effective_rank_share", s->share);
        put(o, "variance", s->variance);
        json_object_set_new(o, "singular_values", array(s->singular_values, s->count));
        json_array_append_new(list, o);
    }
    return list;
}

/* Their numbers, from 0; of very many the first. */
static json_t *dead_columns(const collapse *c) {
    enum { NAMED = 256 };
    uint32_t columns[NAMED];
    size_t count = spectrum_dead_columns(&c->spectrum, c->evidence.precision, columns, NAMED);
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < NAMED; i++) json_array_append_new(list, json_integer(columns[i]));
    return list;
}

json_t *collapse_to_json(const collapse *c) {
    json_t *root = json_object(), *verdicts = json_object(), *codes = json_array();
    put_spectrum(root, &c->spectrum);
    json_object_set_new(root, "dead_columns", dead_columns(c));
    put(root, "mean_resultant", c->mean_resultant);
    put(root, "spread", c->spread);
    put(root, "variance_share", c->variance_share);
    if (c->has_usage) put_usage(root, &c->usage);
    put_count(root, "cluster_rows", c->cluster_rows);
    put_count(root, "clusters_used", c->clusters_used);
    json_object_set_new(root, "clusters_by_kmeans", json_boolean(c->clusters_by_kmeans));
    put(root, "within_share", c->within_share);
    put(root, "within_effective_rank", c->clusters.effective_rank);
    put(root, "within_effective_rank_share", c->clusters.share);
    json_object_set_new(root, "cluster_spectra", clusters_json(&c->clusters));
    put(root, "rank_across_views", c->across.effective_rank);
    put(root, "directions_across_views", isnan(c->across.effective_rank) ? (double)NAN : c->across.directions);
    put(root, "across_views_chance", isnan(c->across.effective_rank) ? (double)NAN : c->across.chance);
    put(root, "point_share", c->point_share);
    put(root, "point_rows", c->point_size);
    put(root, "point_clusters", c->point_clusters);
    json_object_set_new(root, "evidence", evidence_to_json(&c->evidence));
    put(root, "class_within_share", c->class_within_share);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        json_object_set_new(verdicts, collapse_mode_name((collapse_mode)mode),
                            collapse_verdict_json(&c->verdicts[mode]));
    json_object_set_new(root, "verdicts", verdicts);
    json_object_set_new(root, "singular_values", array(c->spectrum.singular_values, c->spectrum.count));
    json_object_set_new(root, "singular_values_centred", array(c->spectrum.singular_values_centred, c->spectrum.count));
    json_object_set_new(root, "singular_values_noise",
                        array(c->spectrum.noise, c->spectrum.noise ? c->spectrum.count : 0));
    for (size_t i = 0; i < c->code_counts_shown; i++)
        json_array_append_new(codes, json_integer((json_int_t)c->code_counts[i]));
    json_object_set_new(root, "code_usage", codes);
    return root;
}
