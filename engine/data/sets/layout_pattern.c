/*
 * data.train and data.test: shell patterns (with @(a|b) as bash has it). A pattern that fits folders makes them splits,
 * whose classes are the folders in them; `.` is the source itself. One that fits no folder but images makes those the
 * split: their class is the first folder of their paths in which they differ (`@(cat|dog)/train/?*`, a class's own
 * splits).
 */
#include "engine/data/sets/layout_parts.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fits(const char *pattern, const char *path) {
    return fnmatch(pattern, path, FNM_PATHNAME | FNM_EXTMATCH) == 0;
}

bool layout_fits(const char *pattern, const char *path, const char *wrapper) {
    size_t n = strlen(wrapper);
    return fits(pattern, path) || (n && strncmp(path, wrapper, n) == 0 && fits(pattern, path + n));
}

const char *layout_folder_at(const char *path, int depth, size_t *length) {
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
        if (depth-- == 0) return *length = (size_t)(slash - path), path;
    return NULL;
}

/* Without a slash or "./" at its ends; false when it is too long. */
static bool clean_pattern(const char *pattern, char out[1024]) {
    while (strncmp(pattern, "./", 2) == 0) pattern += 2;
    size_t n = strlen(pattern);
    while (n > 1 && pattern[n - 1] == '/') n--;
    if (n >= 1024) return false;
    memcpy(out, pattern, n);
    out[n] = '\0';
    return true;
}

/* ---- Folders ---- */

static bool node_fits(const folder_node *n, const folder_node *top, const char *pattern, const char *wrapper) {
    char path[4096];
    if (strcmp(pattern, ".") == 0) return n == top;
    if (n->length == 0 || n->length > sizeof path) return false;
    memcpy(path, n->path, n->length - 1);
    path[n->length - 1] = '\0';
    return layout_fits(pattern, path, wrapper);
}

static bool is_in(const folder_node *n, const folder_node *other) {
    for (; n; n = n->parent)
        if (n == other) return true;
    return false;
}

/* The folders with images that the pattern fits, none of them in another. */
static int find_folders(const folder_tree *t, const folder_node *top, const char *pattern, const char *wrapper,
                        const folder_node *found[LAYOUT_ROOTS + 1]) {
    int count = 0;
    for (size_t i = 0; i < t->count && count <= LAYOUT_ROOTS; i++) {
        const folder_node *n = &t->nodes[i];
        bool inside = false;
        for (int j = 0; j < count; j++) inside |= is_in(n, found[j]);
        if (n->below && !inside && node_fits(n, top, pattern, wrapper)) found[count++] = n;
    }
    return count;
}

static bool check_apart(const folder_node *const *train, int trains, const folder_node *const *test, int tests,
                        const layout_paths *p, error *err) {
    for (int i = 0; i < trains; i++)
        for (int j = 0; j < tests; j++)
            if (is_in(train[i], test[j]) || is_in(test[j], train[i]))
                return error_set(err, ERROR_USAGE, "%s: data.train and data.test both take %.*s", p->source,
                                 (int)train[i]->length, train[i]->length ? train[i]->path : "all of it");
    return true;
}

static bool take_folders(layout *l, const layout_paths *p, const folder_node *const *train, int trains,
                         const folder_node *const *test, int tests, error *err) {
    int with = 0;
    for (int i = 0; i < trains + tests; i++) with += (i < trains ? train[i] : test[i - trains])->image_children > 0;
    if (with && with < trains + tests)
        return error_set(err, ERROR_USAGE,
                         "%s: some of the folders that data.train%s take%s hold class folders and "
                         "some do not",
                         p->source, tests ? " and data.test" : "", tests ? "" : "s");
    l->labelled = with > 0, l->hold_out = tests == 0;
    return check_apart(train, trains, test, tests, p, err) &&
           layout_add_splits(l, p, train, trains, LAYOUT_TRAIN, err) &&
           layout_add_splits(l, p, test, tests, LAYOUT_TEST, err);
}

/* ---- Files ---- */

static size_t count_fitting(const layout *l, const layout_paths *p, const char *pattern) {
    size_t n = 0;
    for (size_t i = 0; i < p->image_count; i++) n += layout_fits(pattern, p->images[i], l->wrapper);
    return n;
}

/* Folders that the paths begin with in common. */
static int common_folders(const char *a, const char *b, int most) {
    int depth = 0;
    for (; depth < most; depth++) {
        size_t n = 0, m = 0;
        const char *p = layout_folder_at(a, depth, &n), *q = layout_folder_at(b, depth, &m);
        if (!p || !q || n != m || strncmp(p, q, n) != 0) break;
    }
    return depth;
}

/* Where the classes of the training files are: the first folder in which their paths differ. */
static bool find_classes(layout *l, const layout_paths *p, error *err) {
    const char *first = NULL;
    size_t with = 0, fitting = 0, length;
    l->class_depth = 4096;
    for (size_t i = 0; i < p->image_count; i++) {
        if (!layout_fits(l->train, p->images[i], l->wrapper)) continue;
        if (!first) first = p->images[i];
        l->class_depth = common_folders(first, p->images[i], l->class_depth);
        fitting++;
    }
    for (size_t i = 0; i < p->image_count; i++)
        if (layout_fits(l->train, p->images[i], l->wrapper))
            with += layout_folder_at(p->images[i], l->class_depth, &length) != NULL;
    l->labelled = with > 0;
    return with == 0 || with == fitting ||
           error_set(err, ERROR_USAGE,
                     "%s: %zu of the %zu images that data.train takes lie in class folders, the "
                     "others do not",
                     p->source, with, fitting);
}

static bool take_files(layout *l, const layout_paths *p, const char *train, const char *test, error *err) {
    for (size_t i = 0; i < p->image_count && *test; i++)
        if (layout_fits(train, p->images[i], l->wrapper) && layout_fits(test, p->images[i], l->wrapper))
            return error_set(err, ERROR_USAGE, "%s: data.train and data.test both take %s", p->source, p->images[i]);
    l->train = p->train, l->test = *test ? p->test : NULL;
    l->hold_out = !*test;
    return find_classes(l, p, err);
}

/* ---- Both ---- */

static bool refuse_pattern(const folder_node *top, const layout_paths *p, const char *key, const char *pattern,
                           error *err) {
    char names[512] = "", name[128];
    size_t used = 0;
    int shown = 0;
    for (const folder_node *n = NULL; (n = folder_next(top, n)) && shown < 3 && used < sizeof names; shown++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s/", shown ? ", " : "; it holds ",
                                 folder_name(n, name, sizeof name));
    return error_set(err, ERROR_USAGE, "%s: %s: no folder and no image is called %s%s%s", p->source, key, pattern,
                     names, top->image_children > 3 ? ", …" : "");
}

bool layout_read_patterns(layout *l, const folder_tree *t, const layout_paths *p, error *err) {
    char train[1024], test[1024];
    const folder_node *trains[LAYOUT_ROOTS + 1], *tests[LAYOUT_ROOTS + 1], *top = layout_unwrap(t->nodes);
    if (!*p->train)
        return error_set(err, ERROR_USAGE,
                         "data.test says where the test images are; data.train has to say where "
                         "those to train on are");
    if (!clean_pattern(p->train, train) || !clean_pattern(p->test, test))
        return error_set(err, ERROR_USAGE, "data.train and data.test take patterns of at most 1023 letters");
    int n = find_folders(t, top, train, l->wrapper, trains), m = 0;
    if (*test) m = find_folders(t, top, test, l->wrapper, tests);
    bool train_files = n == 0 && count_fitting(l, p, train), test_files = *test && m == 0 && count_fitting(l, p, test);
    if (n == 0 && !train_files) return refuse_pattern(top, p, "data.train", train, err);
    if (*test && m == 0 && !test_files) return refuse_pattern(top, p, "data.test", test, err);
    if (*test && train_files != test_files)
        return error_set(err, ERROR_USAGE, "%s: of data.train and data.test one takes folders and the other images",
                         p->source);
    return train_files ? take_files(l, p, train, test, err) : take_folders(l, p, trains, n, tests, m, err);
}
