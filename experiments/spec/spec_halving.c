/*
 * Reading `halving:`. A list is brought to the form that --set has it in, so that there is one place that knows what a
 * value may be.
 */
#include "experiments/spec/spec_halving.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const halving_figure halving_figures[] = {
    {"rankme", "embed", "rankme", NULL},
    {"effective_rank", "embed", "effective_rank", NULL},
    {"backbone_rankme", "backbone", "rankme", NULL},
    {"backbone_effective_rank", "backbone", "effective_rank", NULL},
    {"codes_used", "codes", "codes_used", "codes"},
    {"code_hard_perplexity", "codes", "code_hard_perplexity", "codes"},
    {"online_linear", NULL, "online_linear", "linear"},
    {"online_knn", NULL, "online_knn", "knn"},
    {0},
};

enum { FIGURES = sizeof halving_figures / sizeof *halving_figures };

static const char *const own_keys[] = {"figure", "rungs", "keep", NULL};

/* ---- Values ---- */

static bool set_figure(spec_halving *h, const char *value, const char *where, error *err) {
    const char *names[FIGURES] = {0}, *near;
    for (int i = 0; halving_figures[i].name; i++) {
        names[i] = halving_figures[i].name;
        if (strcmp(value, names[i]) == 0) return h->figure = &halving_figures[i], true;
    }
    if (strcmp(value, "linear") == 0 || strcmp(value, "knn") == 0)
        return error_set(
            err, ERROR_USAGE,
            "%s: `halving.figure` %s is measured at a run's end alone; `online_%s` is recorded after every "
            "epoch, with `eval: {online: [%s]}`",
            where, value, value, value);
    near = error_nearest(value, names);
    return error_set(err, ERROR_USAGE,
                     near ? "%s: `halving.figure` knows no `%.60s`; did you mean `%s`?"
                          : "%s: `halving.figure` knows no `%.60s`; it takes what is recorded after every epoch: "
                            "rankme, effective_rank, backbone_rankme, backbone_effective_rank, codes_used, "
                            "code_hard_perplexity, online_linear or online_knn%s",
                     where, value, near ? near : "");
}

static bool refuse_rung(const char *where, const char *text, error *err) {
    return error_set(err, ERROR_USAGE,
                     "%s: `halving.rungs` takes epochs (1, 2, …) or shares of train.epochs below 1, not `%.60s`", where,
                     text);
}

/* "[1, 2, 4]", or one of them. */
static bool set_rungs(spec_halving *h, const char *value, const char *where, error *err) {
    char copy[FIELD_TEXT_SIZE], *rest = copy, *word, *end;
    snprintf(copy, sizeof copy, "%s", value);
    h->count = 0;
    while ((word = strsep(&rest, "[], "))) {
        if (!*word) continue;
        double rung = strtod(word, &end);
        if (*end || !(rung > 0 && rung <= 1e9) || (rung >= 1 && rung != floor(rung)))
            return refuse_rung(where, word, err);
        if (h->count == HALVING_MOST_RUNGS)
            return error_set(err, ERROR_USAGE, "%s: `halving.rungs` has more than %d", where, HALVING_MOST_RUNGS);
        if (h->count && rung <= h->rungs[h->count - 1])
            return error_set(err, ERROR_USAGE, "%s: `halving.rungs` rise: %s does not lie above %g", where, word,
                             h->rungs[h->count - 1]);
        h->rungs[h->count++] = rung;
    }
    return h->count > 0 || refuse_rung(where, value, err);
}

static bool set_keep(spec_halving *h, const char *value, const char *where, error *err) {
    char *end;
    h->keep = strtod(value, &end);
    return (*value && !*end && h->keep > 0 && h->keep < 1) ||
           error_set(err, ERROR_USAGE,
                     "%s: `halving.keep` takes the share of settings that go on, above 0 and below 1, not `%.60s`",
                     where, value);
}

bool spec_halving_set(spec_halving *h, const char *what, const char *value, const char *where, error *err) {
    if (strcmp(what, "figure") == 0) return set_figure(h, value, where, err);
    if (strcmp(what, "rungs") == 0) return set_rungs(h, value, where, err);
    if (strcmp(what, "keep") == 0) return set_keep(h, value, where, err);
    const char *near = error_nearest(what, own_keys);
    return error_set(err, ERROR_USAGE, "unknown key `halving.%.60s` in %s; %s%s%s", what, where,
                     near ? "did you mean `" : "it takes figure, rungs and keep", near ? near : "", near ? "`?" : "");
}

/* ---- Reading ---- */

static bool each_key(reader *r, void *context, const char *key, const yaml_node_t *key_node, const yaml_node_t *value) {
    spec_halving *h = context;
    char where[SPEC_WHERE_SIZE];
    settings one = {0};
    reader_where(r, key_node, where);
    bool done =
        reader_add(r, &one, key, value, key_node) && spec_halving_set(h, key, one.items[0].value, where, r->err);
    settings_free(&one);
    return done;
}

bool spec_halving_read(reader *r, spec_halving *h, const yaml_node_t *key_node, const yaml_node_t *value) {
    if (value->type != YAML_MAPPING_NODE)
        return reader_refuse(r, key_node, "takes a mapping: {figure: online_linear, rungs: [1, 2, 4], keep: 0.5}",
                             "halving");
    *h = (spec_halving){.keep = 0.5};
    reader_where(r, key_node, h->where);
    return reader_each(r, value, h, each_key);
}

bool spec_halving_check(const spec_halving *h, error *err) {
    if (!*h->where || (h->figure && h->count)) return true;
    return error_set(err, ERROR_USAGE,
                     h->figure ? "%s: `halving` needs `rungs: [EPOCH, …]`, where settings are judged"
                               : "%s: `halving` needs `figure: NAME`, by which settings are judged",
                     h->where);
}

static bool records(const spec_halving *h, const spec *s, error *err) {
    const char *needs = h->figure->needs;
    if (!needs) return true;
    if (strcmp(needs, "codes") == 0)
        return s->method->codes || error_set(err, ERROR_USAGE, "%s: `halving.figure` %s: %s has no codes", h->where,
                                             h->figure->name, s->method->name);
    unsigned online = strcmp(needs, "linear") == 0 ? EVAL_ONLINE_LINEAR : EVAL_ONLINE_KNN;
    return (s->eval.online & online) ||
           error_set(err, ERROR_USAGE, "%s: `halving.figure` %s is recorded with `eval: {online: [%s]}` alone",
                     h->where, h->figure->name, needs);
}

bool spec_halving_fits(const spec_halving *h, const spec *s, error *err) {
    int64_t epochs = s->train.epochs, before = 0;
    for (size_t k = 0; k < h->count; k++) {
        int64_t at = spec_halving_epoch(h, k, epochs);
        if (at >= epochs)
            return error_set(err, ERROR_USAGE, "%s: `halving.rungs`: %g is not below train.epochs %lld", h->where,
                             h->rungs[k], (long long)epochs);
        if (at == before)
            return error_set(err, ERROR_USAGE, "%s: `halving.rungs`: %g and %g are both epoch %lld of %lld", h->where,
                             h->rungs[k - 1], h->rungs[k], (long long)at, (long long)epochs);
        before = at;
    }
    return records(h, s, err);
}

int64_t spec_halving_epoch(const spec_halving *h, size_t rung, int64_t epochs) {
    double at = h->rungs[rung] >= 1 ? h->rungs[rung] : round(h->rungs[rung] * (double)epochs);
    return at < 1 ? 1 : (int64_t)at;
}
