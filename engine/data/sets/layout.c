/*
 * The rules, from the top of the tree of folders down. Wrapping folders are passed first; then the folders of one level
 * are looked at together, since only their company says whether `train` is a split or a class of vehicles. Every way
 * out that is not a layout is a message which ends in the two keys that settle it.
 */
#include "engine/data/sets/layout_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 128, LISTED = 64 };

/* ---- Folders of one level ---- */

/* The folders that hold images, by what their names say. */
typedef struct level {
    const folder_node *splits[LAYOUT_VAL + 1][LAYOUT_ROOTS];
    int counts[LAYOUT_VAL + 1];
    const folder_node *others[LISTED]; /* the first that name no split */
    size_t other_count;
    bool flat; /* none of them holds folders with images */
} level;

static layout_split split_of(const folder_node *n) {
    return layout_split_of(n->path + n->name_at, n->length ? n->length - n->name_at - 1 : 0);
}

static bool is_flat(const folder_node *n) { return n->image_children == 0; }

static bool look_at(const folder_node *top, level *out, const layout_paths *p, error *err) {
    *out = (level){.flat = true};
    for (const folder_node *n = NULL; (n = folder_next(top, n));) {
        layout_split split = split_of(n);
        out->flat = out->flat && is_flat(n);
        if (split == LAYOUT_NONE) {
            if (out->other_count < LISTED) out->others[out->other_count] = n;
            out->other_count++;
        } else if (out->counts[split] == LAYOUT_ROOTS) {
            return error_set(err, ERROR_USAGE, "%s holds more than %d folders of one split", p->source, LAYOUT_ROOTS);
        } else {
            out->splits[split][out->counts[split]++] = n;
        }
    }
    return true;
}

/* "a/, b/, c/, …" of the folders in `parent` that hold images. */
static char *list_children(const folder_node *parent, char *out, size_t size) {
    char name[NAME];
    size_t used = 0, shown = 0;
    out[0] = '\0';
    for (const folder_node *n = NULL; (n = folder_next(parent, n)) && used < size; shown++) {
        if (shown == 3) {
            snprintf(out + used, size - used, ", …");
            break;
        }
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s/", shown ? ", " : "", folder_name(n, name, sizeof name));
    }
    return out;
}

/* ---- Refusals ---- */

static const char settle[] = "data.train and data.test, patterns like `train*`, say which folders are meant";

static bool refuse_readings(const layout_paths *p, error *err, const char *first, const char *second) {
    return error_set(err, ERROR_USAGE, "%s can be read in two ways: %s, or %s; %s", p->source, first, second, settle);
}

/* ---- Roots ---- */

static bool add_root(layout *l, const layout_paths *p, const folder_node *n, layout_split split, error *err) {
    if (l->count == LAYOUT_ROOTS)
        return error_set(err, ERROR_USAGE, "%s: more than %d folders are splits", p->source, LAYOUT_ROOTS);
    char *prefix = strndup(n->path, n->length);
    if (!prefix) return error_memory(err, n->length, "a folder's name");
    l->roots[l->count++] = (layout_root){prefix, split};
    return true;
}

/* seg_train/seg_train/…: people's zips often hold their folder twice. */
static const folder_node *descend(const folder_node *n) {
    while (n->direct == 0 && n->image_children == 1 && split_of(n) != LAYOUT_NONE &&
           split_of(folder_next(n, NULL)) == split_of(n))
        n = folder_next(n, NULL);
    return n;
}

/* Splits at one level: all with classes, or all without. */
bool layout_add_splits(layout *l, const layout_paths *p, const folder_node *const *nodes, int count, layout_split split,
                       error *err) {
    for (int i = 0; i < count; i++)
        if (!add_root(l, p, descend(nodes[i]), split, err)) return false;
    return true;
}

/* ---- Several folders of one split ---- */

/* The name without a part's number at its end: train.X1 and train.X2 are parts; train2014 and train2017 are not. */
static size_t stem_length(const char *name) {
    size_t n = strlen(name), digits = 0;
    while (n && isdigit((unsigned char)name[n - 1])) n--, digits++;
    if (digits == 0 || digits > 2) return 0;
    if (n && (name[n - 1] == 'X' || name[n - 1] == 'x')) n--;
    return n;
}

/* May these folders be taken together? */
static bool are_parts(const folder_node *const *nodes, int count) {
    char first[NAME], other[NAME];
    folder_name(nodes[0], first, sizeof first);
    size_t stem = stem_length(first);
    for (int i = 1; i < count; i++) {
        folder_name(nodes[i], other, sizeof other);
        if (!stem || stem_length(other) != stem || strncmp(first, other, stem) != 0) return false;
    }
    return true;
}

static bool check_parts(const level *v, const layout_paths *p, error *err) {
    char first[NAME], second[NAME];
    for (int s = LAYOUT_TRAIN; s <= LAYOUT_VAL; s++)
        if (v->counts[s] > 1 && !are_parts(v->splits[s], v->counts[s]))
            return error_set(err, ERROR_USAGE, "%s holds %s/ and %s/, and both names say the same split; %s", p->source,
                             folder_name(v->splits[s][0], first, sizeof first),
                             folder_name(v->splits[s][1], second, sizeof second), settle);
    return true;
}

/* ---- Classes that may be splits, splits that may be classes ---- */

static bool holds_class(const folder_node *split, const char *name, size_t length) {
    for (const folder_node *c = NULL; (c = folder_next(split, c));)
        if (c->length - c->name_at == length && strncmp(c->path + c->name_at, name, length) == 0) return true;
    return false;
}

/* A folder beside the splits that holds their classes, or is called like one, is a split or a class that would be
   lost. */
static bool check_others(const level *v, const layout_paths *p, error *err) {
    const folder_node *train = descend(v->splits[LAYOUT_TRAIN][0]);
    char name[NAME], split[NAME];
    for (size_t i = 0; i < v->other_count && i < LISTED; i++) {
        const folder_node *o = v->others[i];
        folder_name(o, name, sizeof name);
        folder_name(v->splits[LAYOUT_TRAIN][0], split, sizeof split);
        if (holds_class(train, o->path + o->name_at, o->length - o->name_at))
            return error_set(err, ERROR_USAGE, "%s: the class %s stands in %s/ and beside it; %s", p->source, name,
                             split, settle);
        for (const folder_node *c = NULL; (c = folder_next(o, c));)
            if (holds_class(train, c->path + c->name_at, c->length - c->name_at))
                return error_set(err, ERROR_USAGE,
                                 "%s: %s/ holds classes of %s/, but its name says no split that is known; %s",
                                 p->source, name, split, settle);
    }
    return true;
}

static const folder_node *child_split(const folder_node *n) {
    for (const folder_node *c = NULL; (c = folder_next(n, c));)
        if (split_of(c) != LAYOUT_NONE) return c;
    return NULL;
}

static bool has_word(const folder_node *n, const char *word) {
    char name[NAME];
    return strcasestr(folder_name(n, name, sizeof name), word) != NULL;
}

/* Folders that are to be classes: do they look like something else? */
static bool check_plain(const folder_node *top, const level *v, const layout_paths *p, error *err) {
    char first[4 * NAME], second[4 * NAME], name[NAME], inner[NAME];
    const folder_node *train = NULL, *test = NULL;
    for (const folder_node *n = NULL; (n = folder_next(top, n));) {
        const folder_node *split = child_split(n);
        folder_name(n, name, sizeof name);
        if (split) {
            folder_name(split, inner, sizeof inner);
            snprintf(first, sizeof first, "%s/ is a class, and its %s/ with all else in it belongs to that", name,
                     inner);
            snprintf(second, sizeof second, "%s/ in it is a split (data.train: '*/train/*' where each class has one)",
                     inner);
            return refuse_readings(p, err, first, second);
        }
        if (!train && has_word(n, "train")) train = n;
        if (!test && (has_word(n, "test") || has_word(n, "val"))) test = n;
    }
    if (!train || !test || train == test || v->other_count > 4) return true;
    folder_name(train, name, sizeof name), folder_name(test, inner, sizeof inner);
    snprintf(first, sizeof first, "%s/ and %s/ are splits", name, inner);
    snprintf(second, sizeof second, "they are classes (data.train: .)");
    return refuse_readings(p, err, first, second);
}

/* One class whose folders may be the classes. */
static bool check_single(const folder_node *split, const layout_paths *p, error *err) {
    const folder_node *only = folder_next(split, NULL);
    char name[NAME], classes[2 * NAME], first[4 * NAME], second[8 * NAME];
    if (!only || split->image_children != 1 || split->direct || only->direct || only->image_children < 2) return true;
    folder_name(only, name, sizeof name);
    list_children(only, classes, sizeof classes);
    snprintf(first, sizeof first, "%.*s holds one class, %s", (int)split->length, split->path, name);
    snprintf(second, sizeof second, "its classes are %s (data.train: '%.*s%s')", classes,
             (int)(split->length < 256 ? split->length : 256), split->path, name);
    return refuse_readings(p, err, first, second);
}

/* ---- The layouts ---- */

static bool plain_classes(layout *l, const folder_node *top, const level *v, const layout_paths *p, error *err) {
    char first[4 * NAME], second[4 * NAME], names[2 * NAME];
    list_children(top, names, sizeof names);
    if (top->direct && top->image_children < 2) {
        snprintf(first, sizeof first, "%u images without classes beside the folder %s", top->direct, names);
        snprintf(second, sizeof second, "one class, %s, beside %u images that are not used", names, top->direct);
        return refuse_readings(p, err, first, second);
    }
    l->labelled = l->hold_out = true;
    snprintf(l->note, sizeof l->note,
             "classes are the folders %s; a tenth of the images, drawn once, is the test split", names);
    return check_plain(top, v, p, err) && add_root(l, p, top, LAYOUT_TRAIN, err);
}

static bool flat_images(layout *l, const folder_node *top, const layout_paths *p, error *err) {
    l->hold_out = true;
    snprintf(l->note, sizeof l->note,
             "no class folders: images without labels; a tenth of them, drawn once, is the test split");
    return add_root(l, p, top, LAYOUT_TRAIN, err);
}

/* Does one of the split's folders hold class folders? */
static bool has_classes(const level *v, layout_split s) {
    for (int i = 0; i < v->counts[s]; i++)
        if (!is_flat(descend(v->splits[s][i]))) return true;
    return false;
}

static bool labelled_splits(layout *l, const level *v, const layout_paths *p, error *err) {
    char train[NAME], test[NAME];
    folder_name(v->splits[LAYOUT_TRAIN][0], train, sizeof train);
    bool tests = has_classes(v, LAYOUT_TEST), vals = has_classes(v, LAYOUT_VAL);
    layout_split without = v->counts[LAYOUT_TEST] ? LAYOUT_TEST : LAYOUT_VAL;
    if (!has_classes(v, LAYOUT_TRAIN))
        return error_set(err, ERROR_USAGE, "%s: %s/ holds no class folders, but %s/ does; %s", p->source, train,
                         folder_name(v->splits[tests ? LAYOUT_TEST : LAYOUT_VAL][0], test, sizeof test), settle);
    if (v->counts[without] && !tests && !vals)
        return error_set(err, ERROR_USAGE,
                         "%s: %s/ holds no class folders, so its images have no labels to test with; data.train: %s "
                         "leaves it alone and sets apart a tenth of the training images",
                         p->source, folder_name(v->splits[without][0], test, sizeof test), train);
    l->labelled = true;
    if (!check_others(v, p, err) || !check_single(descend(v->splits[LAYOUT_TRAIN][0]), p, err)) return false;
    for (int s = LAYOUT_TRAIN; s <= LAYOUT_VAL; s++)
        if (!layout_add_splits(l, p, v->splits[s], v->counts[s], (layout_split)s, err)) return false;
    return true;
}

static bool flat_splits(layout *l, const level *v, const layout_paths *p, error *err) {
    l->hold_out = !v->counts[LAYOUT_TEST] && !v->counts[LAYOUT_VAL];
    for (int s = LAYOUT_TRAIN; s <= LAYOUT_VAL; s++)
        if (!layout_add_splits(l, p, v->splits[s], v->counts[s], (layout_split)s, err)) return false;
    return true;
}

/* Which layout is it, at a level where some names say splits? */
static bool read_splits(layout *l, const folder_node *top, const level *v, const layout_paths *p, error *err) {
    char names[2 * NAME], first[4 * NAME];
    list_children(top, names, sizeof names);
    if (!v->counts[LAYOUT_TRAIN])
        return error_set(err, ERROR_USAGE, "%s holds %s but no folder whose name says that it is for training; %s",
                         p->source, names, settle);
    bool only_train = v->counts[LAYOUT_TRAIN] == 1 && !v->counts[LAYOUT_TEST] && !v->counts[LAYOUT_VAL];
    if (v->flat && only_train && v->other_count >= 2) return plain_classes(l, top, v, p, err); /* bus, train, tram */
    if (v->flat && v->other_count) {
        snprintf(first, sizeof first, "%s are classes (data.train: .)", names);
        return refuse_readings(p, err, first, "those whose names say so are splits without labels");
    }
    if (!check_parts(v, p, err)) return false;
    bool classes = has_classes(v, LAYOUT_TRAIN) || has_classes(v, LAYOUT_TEST) || has_classes(v, LAYOUT_VAL);
    return classes ? labelled_splits(l, v, p, err) : flat_splits(l, v, p, err);
}

/* Passes the folders that only wrap. One whose neighbours hold no image may itself be a class: it wraps only if folders
   with images are in it. */
const folder_node *layout_unwrap(const folder_node *top) {
    while (top->direct == 0 && top->image_children == 1) {
        const folder_node *only = folder_next(top, NULL);
        bool alone = top->child == only && !only->next;
        if (split_of(only) != LAYOUT_NONE || (!alone && is_flat(only))) break;
        top = only;
    }
    return top;
}

bool layout_read_names(layout *l, const folder_tree *t, const layout_paths *p, error *err) {
    const folder_node *top = layout_unwrap(t->nodes);
    level v;
    if (is_flat(top)) return flat_images(l, top, p, err);
    if (!look_at(top, &v, p, err)) return false;
    bool splits = v.counts[LAYOUT_TRAIN] || v.counts[LAYOUT_TEST] || v.counts[LAYOUT_VAL];
    return splits ? read_splits(l, top, &v, p, err) : plain_classes(l, top, &v, p, err);
}
