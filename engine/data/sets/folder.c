/*
 * Images in folders named after their classes, in a directory or an archive. layout.h says which folders are splits and
 * which are classes. Classes are numbered by name, in natural order (2 before 10); the logical order takes the classes
 * in turn, file by file in order of name, so that any first part of a split is balanced and nothing depends on the
 * order of the files in the source. Images without class folders have no labels, and everything else is the same.
 */
#include "engine/data/codecs/decode.h"
#include "engine/data/sets/layout.h"

#include "engine/natural.h"
#include "engine/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double test_share = 0.1;

typedef struct sample {
    const char *name;
    uint32_t slot, label, rank;
    layout_split split;
} sample;

typedef struct classes {
    char **names;                         /* in natural order, each once */
    uint32_t count, *images[LAYOUT_NONE]; /* (count) per split */
} classes;

/* ---- Classes ---- */

static int by_name(const void *a, const void *b) { return natural_order(*(char *const *)a, *(char *const *)b); }

/* Where the class of this name stands, or c->count. */
static uint32_t class_find(const classes *c, const char *name) {
    char **found = c->count ? bsearch(&name, c->names, c->count, sizeof *c->names, by_name) : NULL;
    return found ? (uint32_t)(found - c->names) : c->count;
}

/* Likewise for the class that a path lies in; `last` is where the class of the path before stands, or c->count. */
static bool class_of(const classes *c, layout_place p, uint32_t last, uint32_t *out, error *err) {
    *out = last;
    if (last < c->count && strncmp(c->names[last], p.class_name, p.length) == 0 && !c->names[last][p.length])
        return true;
    char *name = strndup(p.class_name, p.length);
    if (!name) return error_memory(err, p.length, "a class name");
    *out = class_find(c, name);
    free(name);
    return true;
}

static void classes_free(classes *c) {
    for (uint32_t i = 0; i < c->count; i++) free(c->names[i]);
    for (int s = 0; s < LAYOUT_NONE; s++) free(c->images[s]);
    free(c->names);
}

static bool collect_classes(classes *c, const found *f, const layout *l, error *err) {
    size_t most = (size_t)f->count + f->folder_count;
    char **names = calloc(most + 1, sizeof *names);
    if (!names) return error_memory(err, most * sizeof *names, "class names");
    c->names = names;
    for (size_t i = 0; i < most; i++) {
        layout_place p = layout_place_of(l, i < f->count ? f->images[i].name : f->folders[i - f->count]);
        /* Files come class by class as a rule: most repetitions need no search. */
        if (!p.class_name || (c->count && strncmp(names[c->count - 1], p.class_name, p.length) == 0 &&
                              names[c->count - 1][p.length] == '\0'))
            continue;
        if (!(names[c->count] = strndup(p.class_name, p.length))) return error_memory(err, p.length, "a class name");
        c->count++;
    }
    qsort(names, c->count, sizeof *names, by_name);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (kept && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    c->count = kept;
    for (int s = 0; s < LAYOUT_NONE; s++)
        if (!(c->images[s] = calloc((size_t)c->count + 1, sizeof *c->images[s])))
            return error_memory(err, c->count * sizeof *c->images[s], "class counts");
    return true;
}

/* No class may be lost, be it for want of images or because only the test split has it. */
static bool check_classes(const importer *im, const classes *c, const found *f, const layout *l, error *err) {
    static const char *const words[] = {"training", "test", "validation"};
    char why[512];
    for (uint32_t i = 0; i < f->folder_count; i++) {
        layout_place p = layout_place_of(l, f->folders[i]);
        uint32_t at;
        if (!p.class_name) continue;
        if (!class_of(c, p, c->count, &at, err)) return false;
        if (c->images[p.split][at] == 0)
            return error_set(err, ERROR_USAGE,
                             "%s: class folder %s holds no image that can be read%s%s; take it away, or data.train "
                             "says which folders are meant",
                             im->path, f->folders[i], account_skipped(&im->account) ? "; " : "",
                             account_brief(&im->account, why, sizeof why));
    }
    for (uint32_t i = 0; i < c->count; i++) {
        int other = c->images[LAYOUT_TEST][i] ? LAYOUT_TEST : LAYOUT_VAL;
        if (c->images[LAYOUT_TRAIN][i]) continue;
        return error_set(err, ERROR_USAGE, "%s: class `%s` is among the %s images but not among those to train on",
                         im->path, c->names[i], words[other]);
    }
    return true;
}

static bool check_listed(const importer *im, const classes *c, error *err) {
    for (const char *const *l = im->listed; l && *l; l++)
        if (class_find(c, *l) == c->count)
            return error_set(err, ERROR_USAGE, "%s holds no class `%s`, which data.class_list names", im->path, *l);
    return true;
}

/* ---- Samples ---- */

static int by_class_and_name(const void *a, const void *b) {
    const sample *p = a, *q = b;
    if (p->split != q->split) return p->split < q->split ? -1 : 1;
    if (p->label != q->label) return p->label < q->label ? -1 : 1;
    int order = strcmp(p->name, q->name);
    return order ? order : (p->slot > q->slot) - (p->slot < q->slot);
}

static int by_turn(const void *a, const void *b) {
    const sample *p = a, *q = b;
    if (p->split != q->split) return p->split < q->split ? -1 : 1;
    if (p->rank != q->rank) return p->rank < q->rank ? -1 : 1;
    return p->label < q->label ? -1 : p->label > q->label;
}

/* Of members of one name an archive means the last, as unpacking it would leave them. */
static void drop_replaced(importer *im, classes *c, sample *samples, uint32_t *count) {
    uint32_t kept = 0;
    qsort(samples, *count, sizeof *samples, by_class_and_name);
    for (uint32_t i = 0; i < *count; i++) {
        const sample *s = &samples[i];
        if (i + 1 < *count && s->split == s[1].split && s->label == s[1].label && strcmp(s->name, s[1].name) == 0) {
            account_skip(&im->account, s->name, "replaced by a later member of the same name");
            if (s->label != PACK_NO_LABEL) c->images[s->split][s->label]--;
        } else {
            samples[kept++] = *s;
        }
    }
    *count = kept;
}

static void order_samples(sample *samples, uint32_t count) {
    qsort(samples, count, sizeof *samples, by_class_and_name);
    for (uint32_t i = 1; i < count; i++)
        if (samples[i].split == samples[i - 1].split && samples[i].label == samples[i - 1].label)
            samples[i].rank = samples[i - 1].rank + 1;
    qsort(samples, count, sizeof *samples, by_turn);
}

/* Moves a tenth to the test split; the draw depends on nothing but the number of samples. */
static bool hold_out(sample *samples, uint32_t count, error *err) {
    uint32_t *order = malloc(((size_t)count + 1) * sizeof *order);
    if (!order) return error_memory(err, count * sizeof *order, "a data set's order");
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    rng random = rng_stream(0, RNG_SUBSET, 1, 0, 0);
    rng_shuffle(&random, order, count);
    for (uint32_t i = 0; i < (uint32_t)lround(test_share * count); i++) samples[order[i]].split = LAYOUT_TEST;
    free(order);
    return true;
}

/* The images that lie in a split, and in a class where there are classes; the others go into the account. */
static bool place_images(importer *im, const found *f, classes *c, const layout *l, sample *samples, uint32_t *count,
                         error *err) {
    uint32_t last = c->count;
    for (uint32_t i = 0; i < f->count; i++) {
        const found_image *image = &f->images[i];
        layout_place p = layout_place_of(l, image->name);
        if (p.split == LAYOUT_NONE || (l->labelled && !p.class_name)) {
            account_skip(&im->account, image->name,
                         p.split == LAYOUT_NONE ? "in no folder of a split" : "in no class folder");
            continue;
        }
        uint32_t label = PACK_NO_LABEL;
        if (l->labelled) {
            if (!class_of(c, p, last, &label, err)) return false;
            last = label;
            c->images[p.split][label]++;
        }
        samples[(*count)++] = (sample){.name = image->name, .slot = image->slot, .label = label, .split = p.split};
    }
    return true;
}

static bool list_samples(importer *im, const found *f, classes *c, const layout *l, error *err) {
    bool done = false;
    uint32_t count = 0, tests = 0;
    sample *samples = calloc((size_t)f->count + 1, sizeof *samples);
    if (!samples) return error_memory(err, f->count * sizeof *samples, "a list of images");
    if (!place_images(im, f, c, l, samples, &count, err)) goto done;
    drop_replaced(im, c, samples, &count);
    for (uint32_t i = 0; i < count; i++) tests += samples[i].split == LAYOUT_TEST;
    order_samples(samples, count);
    if (l->hold_out && !hold_out(samples, count, err)) goto done;
    for (uint32_t i = 0; i < c->count; i++)
        if (!pack_add_class(&im->pack, c->names[i], err)) goto done;
    for (uint32_t i = 0; i < count; i++) {
        int to = samples[i].split == LAYOUT_TRAIN ? PACK_TRAIN : PACK_TEST;
        if (samples[i].split == LAYOUT_VAL && tests)
            account_skip(&im->account, samples[i].name, "a validation image, since there are test images");
        else if (!pack_add_sample(&im->pack, to, samples[i].slot, samples[i].label, err))
            goto done;
        else
            im->account.used++;
    }
    done = true;
done:
    free(samples);
    return done;
}

/* How the folders were understood, and the order of the classes where it is not that of the bytes. */
static void note_layout(importer *im, const layout *l, const classes *c) {
    char names[256] = "";
    size_t used = 0;
    bool natural = false;
    account_note(&im->account, "%s", l->note);
    for (uint32_t i = 1; i < c->count; i++) natural |= strcmp(c->names[i - 1], c->names[i]) > 0;
    for (uint32_t i = 0; natural && i < c->count && used < sizeof names - 8; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", c->names[i]);
    if (natural)
        account_note(&im->account, "classes are numbered in natural order: %s%s", names,
                     used >= sizeof names - 8 ? ", …" : "");
    if (c->count == 1)
        account_note(&im->account, "one class, %s: there is nothing to tell apart by labels", c->names[0]);
}

static bool read_layout(importer *im, const found *f, layout *l, error *err) {
    const char **images = malloc(((size_t)f->count + 1) * sizeof *images);
    if (!images) return error_memory(err, f->count * sizeof *images, "a list of images");
    for (uint32_t i = 0; i < f->count; i++) images[i] = f->images[i].name;
    layout_paths paths = {.source = im->path,
                          .images = images,
                          .image_count = f->count,
                          .folders = (const char **)f->folders,
                          .folder_count = f->folder_count,
                          .train = im->options->train,
                          .test = im->options->test};
    bool done = layout_read(l, &paths, err);
    free(images);
    return done;
}

bool folder_arrange(importer *im, const found *f, error *err) {
    classes c = {0};
    layout l = {0};
    char why[512];
    if (f->count == 0)
        return error_set(err, ERROR_USAGE, "%s holds no images that can be read (%s)%s%s", im->path, decode_endings,
                         account_skipped(&im->account) ? "; " : "", account_brief(&im->account, why, sizeof why));
    bool done = read_layout(im, f, &l, err) && collect_classes(&c, f, &l, err) && list_samples(im, f, &c, &l, err) &&
                check_classes(im, &c, f, &l, err) && check_listed(im, &c, err);
    if (done) note_layout(im, &l, &c);
    classes_free(&c);
    layout_free(&l);
    return done;
}

/* Does the image, or the folder, lie in a class that data.class_list names? */
static bool is_listed(const importer *im, const char *name) {
    for (const char *part = name, *slash; (slash = strchr(part, '/')); part = slash + 1)
        for (const char *const *l = im->listed; *l; l++)
            if (strncmp(part, *l, (size_t)(slash - part)) == 0 && !(*l)[slash - part]) return true;
    return false;
}

bool folder_import(importer *im, error *err) {
    found f = {0};
    if (im->listed) im->wanted = is_listed, im->unwanted = "of a class that data.class_list does not name";
    source *from = source_open(im->path, err);
    bool done = from && decode_source(im, from, &f, err) && folder_arrange(im, &f, err);
    found_free(&f);
    source_close(from);
    return done;
}
