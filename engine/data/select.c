/*
 * One shuffle of the training split decides everything, so that a smaller limit, a steeper tail and a validation split
 * all nest. The long tail is that of Cao et al. (2019, LDAM) and Cui et al. (2019): with C classes and imbalance ρ
 * class i keeps the share ρ^(−i/(C−1)) of what the largest class has, the first class being the head.
 */
#include "engine/data/select.h"

#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Classes ---- */

/*
 * The next name of "[cat, 'Tinca tinca', \"a, b\"]" from *rest on, cut out in place; NULL at the end. Quotes keep
 * commas, brackets and blanks; inside double ones \ takes the next letter as it is.
 */
static char *next_name(char **rest) {
    char *from = *rest + strspn(*rest, " \t,[]"), quote = *from;
    if (!*from) return NULL;
    if (quote != '"' && quote != '\'') {
        size_t n = strcspn(from, ",[]");
        *rest = from + n + (from[n] != '\0');
        while (n && strchr(" \t", from[n - 1])) n--;
        from[n] = '\0';
        return from;
    }
    char *name = ++from, *to = name;
    for (; *from && *from != quote; from++) *to++ = quote == '"' && *from == '\\' && from[1] ? *++from : *from;
    *rest = from + (*from != '\0');
    *to = '\0';
    return name;
}

static bool keep_named(selection *s, const pack *p, const char *list, error *err) {
    char copy[FIELD_TEXT_SIZE], *rest = copy;
    strncpy(copy, list, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    for (char *name; (name = next_name(&rest));) {
        uint32_t c = 0;
        while (c < p->classes && strcmp(p->class_names[c], name) != 0) c++;
        if (c == p->classes) {
            const char *near = error_nearest(name, p->class_names);
            return error_set(err, ERROR_USAGE, "data.classes: this data set has no class `%s`%s%s%s", name,
                             near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
        }
        if (s->renumbered[c] == 0) return error_set(err, ERROR_USAGE, "data.classes names `%s` twice", name);
        s->renumbered[c] = 0;
    }
    return true;
}

static bool choose_classes(selection *s, const pack *p, const char *list, error *err) {
    s->kept = calloc((size_t)p->classes + 1, sizeof *s->kept);
    s->renumbered = calloc((size_t)p->classes + 1, sizeof *s->renumbered);
    if (!s->kept || !s->renumbered) return error_memory(err, p->classes * sizeof *s->kept, "classes");
    bool all = strspn(list, " []") == strlen(list);
    for (uint32_t c = 0; c < p->classes && !all; c++) s->renumbered[c] = -1;
    if (!all && !keep_named(s, p, list, err)) return false;
    for (uint32_t c = 0; c < p->classes; c++)
        if (s->renumbered[c] == 0) s->renumbered[c] = (int)s->classes, s->kept[s->classes++] = c;
    return true;
}

/* The samples of a packed list whose classes are kept, in its order. */
static uint32_t list_kept(const selection *s, const pack *p, int list, uint32_t *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->counts[list]; i++)
        if (p->classes == 0 || s->renumbered[p->labels[list][i]] >= 0) out[n++] = i;
    return n;
}

/* ---- The long tail ---- */

/* Keeps the first of each class, as many as the tail allows; returns how many. */
static uint32_t thin(const selection *s, const pack *p, double imbalance, uint32_t *samples, uint32_t count,
                     uint32_t *quota) {
    const uint32_t *labels = p->labels[PACK_TRAIN];
    uint32_t most = 0, n = 0;
    for (uint32_t i = 0; i < count; i++) quota[s->renumbered[labels[samples[i]]]]++;
    for (uint32_t c = 0; c < s->classes; c++) most = quota[c] > most ? quota[c] : most;
    for (uint32_t c = 0; c < s->classes; c++) {
        double share = s->classes > 1 ? pow(imbalance, -(double)c / (s->classes - 1)) : 1;
        double left = floor(most * share + 1e-9); /* so that 5000/100 is 50 whatever pow's last bit */
        if (left < 1) left = 1;
        if (left < quota[c]) quota[c] = (uint32_t)left;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *left = &quota[s->renumbered[labels[samples[i]]]];
        if (*left > 0) --*left, samples[n++] = samples[i];
    }
    return n;
}

/* ---- Splits ---- */

static uint32_t cut(uint32_t count, int64_t limit) { return limit > 0 && limit < count ? (uint32_t)limit : count; }

/* `part` of a split that has `all`, allocated for itself. */
static bool take(selection *s, dataset_split split, const uint32_t *part, uint32_t count, error *err) {
    s->samples[split] = malloc(((size_t)count + 1) * sizeof *part);
    if (!s->samples[split]) return error_memory(err, count * sizeof *part, "a data set's order");
    if (count) memcpy(s->samples[split], part, count * sizeof *part);
    s->counts[split] = count;
    return true;
}

static bool split_training(selection *s, const pack *p, const data_options *options, uint32_t *order, error *err) {
    uint32_t *quota = NULL, all = list_kept(s, p, PACK_TRAIN, order);
    rng random = rng_stream((uint64_t)options->seed, RNG_SUBSET, 0, 0, 0);
    rng_shuffle(&random, order, all);
    uint32_t validation = (uint32_t)llround(options->validation * all), training = all - validation;
    if (training == 0) return error_set(err, ERROR_USAGE, "data.validation leaves none of %u images to train on", all);
    if (options->imbalance > 1) {
        if (!(quota = calloc(s->classes, sizeof *quota)))
            return error_memory(err, s->classes * sizeof *quota, "class counts");
        training = thin(s, p, options->imbalance, order + validation, training, quota);
        free(quota);
    }
    bool done = take(s, SPLIT_VALIDATION, order, validation, err) &&
                take(s, SPLIT_TRAIN, order + validation, cut(training, options->limit), err);
    if (!done || !options->unlabelled)
        return done && take(s, SPLIT_PRETRAIN, s->samples[SPLIT_TRAIN], s->counts[SPLIT_TRAIN], err);
    /* Those without labels go behind the training images, and all are shuffled once more. */
    memmove(order, order + validation, training * sizeof *order);
    for (uint32_t i = 0; i < p->counts[PACK_UNLABELLED]; i++) order[training++] = p->counts[PACK_TRAIN] + i;
    random = rng_stream((uint64_t)options->seed, RNG_SUBSET, 2, 0, 0);
    rng_shuffle(&random, order, training);
    return take(s, SPLIT_PRETRAIN, order, cut(training, options->limit), err);
}

bool selection_make(selection *s, const pack *p, const data_options *options, error *err) {
    *s = (selection){0};
    uint32_t most = p->counts[PACK_TRAIN] + p->counts[PACK_UNLABELLED];
    if (p->counts[PACK_TEST] > most) most = p->counts[PACK_TEST];
    uint32_t *order = malloc(((size_t)most + 1) * sizeof *order);
    bool done = order || error_memory(err, most * sizeof *order, "a data set's order");
    if (done && options->unlabelled && (options->imbalance > 1 || options->classes[0]))
        done = error_set(err, ERROR_USAGE, "data.%s needs labels, which data.unlabelled's images do not have",
                         options->imbalance > 1 ? "imbalance" : "classes");
    if (done && p->classes == 0 && (options->imbalance > 1 || options->classes[0]))
        done = error_set(err, ERROR_USAGE, "data.%s needs labels, and these images have none",
                         options->imbalance > 1 ? "imbalance" : "classes");
    done = done && choose_classes(s, p, options->classes, err) && split_training(s, p, options, order, err) &&
           take(s, SPLIT_TEST, order, list_kept(s, p, PACK_TEST, order), err);
    free(order);
    if (!done) selection_free(s);
    return done;
}

void selection_free(selection *s) {
    for (int i = 0; i < SPLIT_COUNT; i++) free(s->samples[i]);
    free(s->kept);
    free(s->renumbered);
    *s = (selection){0};
}
