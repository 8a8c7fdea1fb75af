/*
 * Images in folders named after their classes, in a directory or an archive. Two layouts are known: train/<class>/…
 * beside test/<class>/… (or val/ for want of test/), and plain <class>/…, of which a tenth, drawn once and for all,
 * becomes the test split. Anything may stand in front, as archives often have a folder of their own. Classes are
 * numbered by name; the logical order takes the classes in turn, file by file in order of name, so that any first
 * part of a split is balanced and nothing depends on the order of the files in the source.
 */
#include "engine/data/decode.h"

#include "engine/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_TRAIN, FOLDER_TEST, FOLDER_VAL, FOLDER_NONE };

static const char *const split_names[] = {"train", "test", "val"};
static const double test_share = 0.1;

/* Where a path puts what it names: the split's folder and the class's, which need not end the path. */
typedef struct place {
    int split;
    const char *name; /* of the class, `length` bytes; NULL when the path lies in no class */
    size_t length;
} place;

typedef struct sample {
    const char *name;
    uint32_t slot, label, rank;
    int split;
} sample;

typedef struct classes {
    char **names;                         /* sorted, each once */
    uint32_t count, *images[FOLDER_NONE]; /* (count) per split */
} classes;

/* ---- Reading paths ---- */

/* train/<class>/ anywhere in the path. */
static place place_in_split(const char *path) {
    for (const char *part = path, *slash; (slash = strchr(part, '/')); part = slash + 1) {
        const char *after = strchr(slash + 1, '/');
        for (int s = 0; after && s < FOLDER_NONE; s++)
            if ((size_t)(slash - part) == strlen(split_names[s]) &&
                strncmp(part, split_names[s], strlen(split_names[s])) == 0)
                return (place){s, slash + 1, (size_t)(after - slash - 1)};
    }
    return (place){.split = FOLDER_NONE};
}

/* The folder that the file stands in, or the last folder of a path that ends in a slash. */
static place place_in_class(const char *path) {
    const char *end = strrchr(path, '/'), *start = end;
    if (!end) return (place){.split = FOLDER_NONE};
    while (start > path && start[-1] != '/') start--;
    return (place){FOLDER_TRAIN, start, (size_t)(end - start)};
}

static int depth(const char *path) {
    int slashes = 0;
    for (; *path; path++) slashes += *path == '/';
    return slashes;
}

/* ---- Classes ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static uint32_t class_find(const classes *c, place p) {
    uint32_t low = 0, high = c->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = strncmp(c->names[middle], p.name, p.length);
        if (order == 0) order = c->names[middle][p.length] != '\0';
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void classes_free(classes *c) {
    for (uint32_t i = 0; i < c->count; i++) free(c->names[i]);
    for (int s = 0; s < FOLDER_NONE; s++) free(c->images[s]);
    free(c->names);
}

/* Is this folder one that ought to hold a class's images? */
static place place_of_folder(const char *folder, bool split, int class_depth) {
    if (split) {
        place p = place_in_split(folder);
        return p.name && p.name[p.length + 1] == '\0' ? p : (place){.split = FOLDER_NONE};
    }
    return depth(folder) == class_depth ? place_in_class(folder) : (place){.split = FOLDER_NONE};
}

static bool collect_classes(classes *c, const found *f, bool split, int class_depth, error *err) {
    size_t most = (size_t)f->count + f->folder_count;
    char **names = calloc(most + 1, sizeof *names);
    if (!names) return error_memory(err, most * sizeof *names, "class names");
    c->names = names;
    for (size_t i = 0; i < most; i++) {
        const char *path = i < f->count ? f->images[i].name : f->folders[i - f->count];
        place p = i >= f->count ? place_of_folder(path, split, class_depth)
                                : (split ? place_in_split(path) : place_in_class(path));
        /* Files come class by class as a rule: most repetitions need no search. */
        if (!p.name ||
            (c->count && strncmp(names[c->count - 1], p.name, p.length) == 0 && names[c->count - 1][p.length] == '\0'))
            continue;
        if (!(names[c->count] = strndup(p.name, p.length))) return error_memory(err, p.length, "a class name");
        c->count++;
    }
    qsort(names, c->count, sizeof *names, by_text);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (kept && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    c->count = kept;
    for (int s = 0; s < FOLDER_NONE; s++)
        if (!(c->images[s] = calloc((size_t)c->count + 1, sizeof *c->images[s])))
            return error_memory(err, c->count * sizeof *c->images[s], "class counts");
    return true;
}

static bool check_classes(const importer *im, const classes *c, const found *f, bool split, int class_depth,
                          error *err) {
    for (uint32_t i = 0; i < f->folder_count; i++) {
        place p = place_of_folder(f->folders[i], split, class_depth);
        if (p.name && c->images[p.split][class_find(c, p)] == 0)
            return error_set(err, ERROR_RUN, "%s: class folder %s holds no image (JPEG, PNG) that can be read",
                             im->path, f->folders[i]);
    }
    for (uint32_t i = 0; i < c->count; i++)
        if (c->images[FOLDER_TRAIN][i] == 0)
            return error_set(err, ERROR_RUN, "%s: class `%s` is in %s/ but not in train/", im->path, c->names[i],
                             split_names[c->images[FOLDER_TEST][i] ? FOLDER_TEST : FOLDER_VAL]);
    return true;
}

static bool check_listed(const importer *im, const classes *c, error *err) {
    for (const char *const *l = im->listed; l && *l; l++) {
        uint32_t at = class_find(c, (place){FOLDER_TRAIN, *l, strlen(*l)});
        if (at == c->count || strcmp(c->names[at], *l) != 0)
            return error_set(err, ERROR_USAGE, "%s holds no class `%s`, which data.class_list names", im->path, *l);
    }
    return true;
}

/* ---- Samples ---- */

static int by_class_and_name(const void *a, const void *b) {
    const sample *p = a, *q = b;
    if (p->split != q->split) return p->split < q->split ? -1 : 1;
    if (p->label != q->label) return p->label < q->label ? -1 : 1;
    return strcmp(p->name, q->name);
}

static int by_turn(const void *a, const void *b) {
    const sample *p = a, *q = b;
    if (p->split != q->split) return p->split < q->split ? -1 : 1;
    if (p->rank != q->rank) return p->rank < q->rank ? -1 : 1;
    return p->label < q->label ? -1 : p->label > q->label;
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
    for (uint32_t i = 0; i < (uint32_t)lround(test_share * count); i++) samples[order[i]].split = FOLDER_TEST;
    free(order);
    return true;
}

static bool list_samples(importer *im, const found *f, classes *c, bool split, error *err) {
    bool done = false;
    uint32_t count = 0, outside = 0, unused = 0, tests = 0;
    sample *samples = calloc((size_t)f->count + 1, sizeof *samples);
    if (!samples) return error_memory(err, f->count * sizeof *samples, "a list of images");
    for (uint32_t i = 0; i < f->count; i++) {
        place p = split ? place_in_split(f->images[i].name) : place_in_class(f->images[i].name);
        if (!p.name) {
            outside++;
            continue;
        }
        uint32_t label = class_find(c, p);
        c->images[p.split][label]++;
        tests += p.split == FOLDER_TEST;
        samples[count++] =
            (sample){.name = f->images[i].name, .slot = f->images[i].slot, .label = label, .split = p.split};
    }
    order_samples(samples, count);
    if (!split && !hold_out(samples, count, err)) goto done;
    for (uint32_t i = 0; i < c->count; i++)
        if (!pack_add_class(&im->pack, c->names[i], err)) goto done;
    for (uint32_t i = 0; i < count; i++) {
        int to = samples[i].split == FOLDER_TRAIN ? PACK_TRAIN : PACK_TEST;
        if (samples[i].split == FOLDER_VAL && tests)
            unused++;
        else if (!pack_add_sample(&im->pack, to, samples[i].slot, samples[i].label, err))
            goto done;
    }
    if (outside) import_warn(im, "%s: %u images lie outside the class folders and are not used", im->path, outside);
    if (unused) import_warn(im, "%s: the %u images of val/ are not used, since there is a test/", im->path, unused);
    done = true;
done:
    free(samples);
    return done;
}

bool folder_arrange(importer *im, const found *f, error *err) {
    classes c = {0};
    bool split = false;
    int class_depth = 0;
    if (f->count == 0) return error_set(err, ERROR_RUN, "%s holds no images (JPEG, PNG)", im->path);
    for (uint32_t i = 0; i < f->count && !split; i++) split = place_in_split(f->images[i].name).name != NULL;
    for (uint32_t i = 0; i < f->count && !split; i++)
        if (depth(f->images[i].name) > class_depth) class_depth = depth(f->images[i].name);
    bool done = collect_classes(&c, f, split, class_depth, err) && list_samples(im, f, &c, split, err) &&
                check_classes(im, &c, f, split, class_depth, err) && check_listed(im, &c, err);
    classes_free(&c);
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
    if (im->listed) im->wanted = is_listed;
    source *from = source_open(im->path, err);
    bool done = from && decode_source(im, from, &f, err) && folder_arrange(im, &f, err);
    found_free(&f);
    source_close(from);
    return done;
}
