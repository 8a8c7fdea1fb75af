/*
 * The figures of one subject: the verdicts of collapse.h, and what a second view or labels allow beyond them. Keys that
 * a run's records hold already (prototype_nmi, …) keep their names here.
 */
#include "experiments/diagnose.h"

#include <math.h>
#include <stdio.h>

bool diagnosis_make(diagnosis *d, const subject *s, uint64_t seed, error *err) {
    *d = (diagnosis){0};
    collapse_input input = {.embeddings = s->embeddings,
                            .assignment = s->assignment,
                            .codes = s->usage ? usage_codes(s->usage) : 0,
                            .usage = s->usage,
                            .labels = s->labels,
                            .classes = s->classes,
                            .seed = seed};
    size_t n = s->embeddings.rows;
    if (!collapse_compute(&input, &d->collapse, err)) return error_prefix(err, "%s", s->name);
    if (!s->assignment) {
        collapse_verdict *v = &d->collapse.verdicts[COLLAPSE_CLUSTER];
        snprintf(v->sentence, sizeof v->sentence,
                 "No assignments were given, so nothing tells which codes are unused.");
    }
    bool ok = uniformity_compute(s->embeddings, seed, &d->uniformity, err);
    if (ok && s->second.data) {
        ok = alignment_compute(s->embeddings, s->second, &d->alignment, err);
        d->has_alignment = ok;
    }
    if (ok && s->labels) {
        ok = neural_collapse_compute(s->embeddings, s->labels, s->classes, seed, &d->neural_collapse, err);
        d->has_neural_collapse = ok;
    }
    if (ok && s->labels && s->assignment) {
        ok = agreement_compute(s->labels, s->assignment, n, seed, &d->agreement, err);
        d->has_agreement = ok;
    }
    if (!ok) diagnosis_free(d);
    return ok || error_prefix(err, "%s", s->name);
}

void diagnosis_free(diagnosis *d) { collapse_free(&d->collapse); }

static void put(json_t *to, const char *key, double x) {
    json_object_set_new(to, key, isfinite(x) ? json_real(x) : json_null());
}

json_t *diagnosis_json(const diagnosis *d, const subject *s) {
    json_t *to = collapse_to_json(&d->collapse);
    if (!to) return NULL;
    json_object_set_new(to, "source", json_string(s->name));
    json_object_set_new(to, "rows_given", json_integer((json_int_t)s->rows_given));
    json_object_set_new(to, "rows_dropped", json_integer((json_int_t)s->dropped));
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
    }
    if (d->has_agreement) {
        put(to, "prototype_nmi", d->agreement.nmi);
        put(to, "prototype_nmi_chance", d->agreement.nmi_chance);
        put(to, "prototype_ami", d->agreement.ami);
    }
    return to;
}
