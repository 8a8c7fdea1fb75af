/*
 * The figures of one subject: the verdicts of collapse.h, and what a second view or labels allow beyond them. Keys that
 * a run's records hold already (prototype_nmi, …) keep their names here.
 */
#include "analysis/diagnose/diagnose.h"
#include "engine/rng.h"
#include "analysis/verdicts/collapse_history.h"
#include "analysis/verdicts/jackknife.h"
#include "analysis/verdicts/landmarks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LiDAR of the same classes dealt to other rows: what it scores where labels say nothing. */
static bool lidar_by_chance(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    size_t n = s->labelled.rows;
    uint32_t *order = malloc(n * sizeof *order);
    int32_t *labels = malloc(n * sizeof *labels);
    bool ok = (order && labels) || error_memory(err, 8 * n, "permuted labels");
    for (size_t i = 0; ok && i < n; i++) order[i] = (uint32_t)i;
    rng r = rng_stream(seed, RNG_PERMUTATION, 0, 0, 2);
    if (ok) rng_shuffle(&r, order, n);
    for (size_t i = 0; ok && i < n; i++) labels[i] = s->labels[order[i]];
    ok = ok && lidar_of_classes(s->labelled, labels, s->classes, &d->lidar_chance, err);
    free(order);
    free(labels);
    return ok;
}

/* LiDAR of each row with another input's view: what it scores where views share nothing. */
static bool lidar_of_strangers(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    size_t n = s->second.rows, width = s->second.cols;
    uint32_t *order = malloc(n * sizeof *order);
    float *values = malloc(n * width * sizeof *values);
    bool ok = (order && values) || error_memory(err, n * width * sizeof *values, "permuted views");
    for (size_t i = 0; ok && i < n; i++) order[i] = (uint32_t)i;
    rng r = rng_stream(seed, RNG_PERMUTATION, 0, 0, 2);
    if (ok) rng_shuffle(&r, order, n);
    for (size_t i = 0; ok && i < n; i++)
        memcpy(values + i * width, s->second.data + order[i] * width, width * sizeof *values);
    ok = ok && lidar_of_views(s->embeddings, (matrix){values, n, width}, &d->lidar_chance, err);
    free(order);
    free(values);
    return ok;
}

/* What clusters, views and prototypes show beyond the verdicts. */
static bool structure_make(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    const int32_t *clusters = d->collapse.assignment;
    if (s->second.data && !lidar_of_views(s->embeddings, s->second, &d->lidar, err)) return false;
    if (!s->second.data && s->labels && !lidar_of_classes(s->labelled, s->labels, s->classes, &d->lidar, err))
        return false;
    d->lidar_chance.value = NAN;
    if (s->second.data && !lidar_of_strangers(d, s, seed, err)) return false;
    if (!s->second.data && s->labels && !lidar_by_chance(d, s, seed, err)) return false;
    if (s->prototypes.data && !duplicates_compute(s->prototypes, &d->duplicates, err)) return false;
    return blocks_compute(s->embeddings, clusters, seed, &d->blocks, err) &&
           silhouette_compute(s->embeddings, clusters, seed, &d->silhouette, err) &&
           mixture_curve_compute(s->embeddings, seed, &d->mixture, err);
}

/* A run's own looks, epoch by epoch, tell what changed and since when. */
static bool note_course(diagnosis *d, const char *run, error *err) {
    collapse_history h;
    if (!collapse_history_read_run(&h, run, err)) return false;
    collapse_history_conclude(&h, &d->collapse);
    collapse_history_free(&h);
    return true;
}

/* The variance within classes of the rows that have one; where all have, collapse_compute has taken it. */
static bool labelled_share(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    size_t n = s->labelled.rows;
    within classes;
    uint8_t *blocks = malloc(n);
    bool ok = (blocks || error_memory(err, n, "blocks of rows")) && jackknife_draw(n, NULL, seed, blocks, err) &&
              jackknife_within(s->labelled, s->labels, (size_t)s->classes, blocks, &classes, err);
    if (ok) d->collapse.class_within_share = classes.share.value;
    free(blocks);
    return ok;
}

bool diagnosis_make(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    *d = (diagnosis){0};
    collapse_input input = {.embeddings = s->embeddings,
                            .second = s->second,
                            .all = s->all.rows ? &s->all : NULL,
                            .assignment = s->assignment,
                            .codes = s->usage ? usage_codes(s->usage) : 0,
                            .usage = s->usage,
                            .labels = s->unlabelled ? NULL : s->labels,
                            .classes = s->classes,
                            .quick = s->fast,
                            .attainable = s->attainable,
                            .reference = s->reference_name ? &s->reference : NULL,
                            .reference_name = s->reference_name,
                            .groups = s->sampled ? NULL : s->groups,
                            .assignments_are = s->assignments_are,
                            .score_range = s->score_range,
                            .codes_guessed = s->codes_guessed,
                            .seed = seed};
    if (!collapse_compute(&input, &d->collapse, err)) return error_prefix(err, "%s", s->name);
    if (!s->assignment) {
        collapse_verdict *v = &d->collapse.verdicts[COLLAPSE_CLUSTER];
        snprintf(v->sentence, sizeof v->sentence,
                 "No assignments were given, so nothing tells which codes are unused.");
    }
    bool ok = !s->run || note_course(d, s->run, err);
    if (s->fast) {
        if (!ok) diagnosis_free(d);
        return ok;
    }
    ok = ok && uniformity_compute(s->embeddings, seed, &d->uniformity, err);
    if (ok && s->second.data) {
        ok = alignment_compute(s->embeddings, s->second, &d->alignment, err);
        d->has_alignment = ok;
    }
    if (ok && s->labels && s->unlabelled) ok = labelled_share(d, s, seed, err);
    if (ok && s->labels) {
        ok = neural_collapse_compute(s->labelled, s->labels, s->classes, seed, &d->neural_collapse, err) &&
             label_probes_compute(s->labelled, s->labels, s->classes, s->unlabelled || s->sampled ? NULL : s->groups,
                                  seed, &d->probes, err);
        d->has_neural_collapse = ok;
    }
    if (ok && s->labels && s->assignment && !s->unlabelled) {
        ok = agreement_compute(s->labels, s->assignment, s->embeddings.rows, seed, &d->agreement, err);
        d->has_agreement = ok;
    }
    ok = ok && structure_make(d, s, seed, err);
    if (!ok) diagnosis_free(d);
    return ok || error_prefix(err, "%s", s->name);
}

void diagnosis_free(diagnosis *d) { collapse_free(&d->collapse); }

static void put(json_t *to, const char *key, double x) {
    json_object_set_new(to, key, isfinite(x) ? json_real(x) : json_null());
}

static void put_count(json_t *to, const char *key, size_t x) {
    json_object_set_new(to, key, json_integer((json_int_t)x));
}

/* {rows, varying_columns, low, high, points: [{components, log_likelihood, …}]} */
static json_t *mixture_json(const mixture_curve *c) {
    json_t *to = json_object(), *points = json_array();
    put_count(to, "rows", c->rows);
    put_count(to, "seeds", MIXTURE_SEEDS);
    put_count(to, "varying_columns", c->varying);
    put(to, "low", c->low);
    put(to, "high", c->high);
    for (size_t i = 0; i < c->count; i++) {
        const mixture_point *p = &c->points[i];
        json_t *point = json_object();
        put_count(point, "components", p->components);
        put(point, "log_likelihood", p->log_likelihood);
        put(point, "log_likelihood_sd", p->log_likelihood_sd);
        put(point, "entropy", p->entropy);
        put(point, "entropy_sd", p->entropy_sd);
        put(point, "entropy_per_dimension", p->entropy_per_dimension);
        put(point, "entropy_padded", p->entropy_padded);
        json_array_append_new(points, point);
    }
    json_object_set_new(to, "points", points);
    return to;
}

static void put_structure(json_t *to, const diagnosis *d, const subject *s) {
    if (s->second.data || s->labels) {
        put(to, "lidar", d->lidar.value);
        put(to, "lidar_unbiased", d->lidar.unbiased);
        put(to, "lidar_share", d->lidar.share);
        put(to, "lidar_chance", d->lidar_chance.value);
        put_count(to, "lidar_groups", d->lidar.groups);
        json_object_set_new(to, "lidar_by", json_string(s->second.data ? "views" : "labels"));
    }
    put(to, "cosine_within", d->blocks.within);
    put(to, "cosine_between", d->blocks.between);
    put(to, "block_contrast", d->blocks.contrast);
    put(to, "block_contrast_chance", d->blocks.chance);
    put(to, "block_contrast_chance_sd", d->blocks.chance_sd);
    put_count(to, "block_rows", d->blocks.rows);
    put(to, "silhouette", d->silhouette.value);
    put_count(to, "silhouette_rows", d->silhouette.rows);
    json_object_set_new(to, "mixture", mixture_json(&d->mixture));
    if (!s->prototypes.data) return;
    put_count(to, "prototypes", d->duplicates.prototypes);
    put_count(to, "prototypes_distinct", d->duplicates.distinct);
    put_count(to, "prototype_twins", d->duplicates.twins);
    put(to, "prototype_twins_expected", d->duplicates.twins_expected);
    put(to, "prototype_cosine_largest", d->duplicates.cosine_largest);
}

static void put_probes(json_t *to, const label_probes *p) {
    put(to, "knn", p->knn);
    put(to, "linear", p->linear);
    put(to, "accuracy_chance", p->chance);
    put(to, "kmeans_nmi", p->kmeans.nmi);
    put(to, "kmeans_nmi_chance", p->kmeans.nmi_chance);
    put(to, "kmeans_ami", p->kmeans.ami);
    put_count(to, "probe_rows_fitted", p->fitted);
    put_count(to, "probe_rows_scored", p->scored);
}

/* How the files were read, where they could be read in more ways than one. */
static void put_reading(json_t *to, const subject *s) {
    static const char *const readings[] = {[ASSIGNMENTS_PROBABILITIES] = "probabilities",
                                           [ASSIGNMENTS_HARD] = "codes",
                                           [ASSIGNMENTS_SCORES] = "scores of an unknown temperature"};
    if (s->usage) {
        const char *reading = s->temperature > 0 ? "scores over --temperature" : readings[s->assignments_are];
        json_object_set_new(to, "assignments_read_as", json_string(reading));
        json_object_set_new(to, "codes_guessed", json_boolean(s->codes_guessed));
        put_count(to, "rows_unassigned", s->unassigned);
    }
    if (s->labels) put_count(to, "rows_unlabelled", s->unlabelled);
    if (s->reference_name) {
        json_object_set_new(to, "reference", json_string(s->reference_name));
        json_object_set_new(to, "reference_evidence", evidence_to_json(&s->reference));
    }
}

json_t *diagnosis_json(const diagnosis *d, const subject *s) {
    json_t *to = collapse_to_json(&d->collapse);
    if (!to) return NULL;
    json_object_set_new(to, "source", json_string(s->name));
    json_object_set_new(to, "rows_given", json_integer((json_int_t)s->rows_given));
    json_object_set_new(to, "rows_dropped", json_integer((json_int_t)s->dropped));
    if (s->note) json_object_set_new(to, "note", json_string(s->note));
    if (s->sampled) put_count(to, "sample_rows", s->embeddings.rows);
    put_reading(to, s);
    if (s->fast) return to;
    json_object_set_new(to, "landmarks", landmarks_json(&d->collapse));
    put(to, "uniformity", d->uniformity.value);
    put(to, "uniformity_expected", d->uniformity.expected);
    json_object_set_new(to, "uniformity_rows", json_integer((json_int_t)d->uniformity.rows));
    if (d->has_alignment) {
        put(to, "alignment", d->alignment.value);
        put(to, "alignment_chance", d->alignment.chance);
        put(to, "invariance", d->alignment.invariance);
    }
    if (d->has_neural_collapse) {
        json_object_set_new(to, "classes", json_integer((json_int_t)d->neural_collapse.classes));
        put(to, "nc1", d->neural_collapse.nc1);
        put(to, "nc1_chance", d->neural_collapse.chance);
        put_probes(to, &d->probes);
    }
    if (d->has_agreement) {
        put(to, "prototype_nmi", d->agreement.nmi);
        put(to, "prototype_nmi_chance", d->agreement.nmi_chance);
        put(to, "prototype_ami", d->agreement.ami);
    }
    put_structure(to, d, s);
    return to;
}
