/*
 * Reading a layout, by patterns or by names, and then using it: a path lies in the root whose prefix it begins with.
 */
#include "engine/data/sets/layout_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* "train.X1/, train.X2/, … (4)" */
static size_t describe_split(const layout *l, layout_split split, const char *what, size_t used, char *out,
                             size_t size) {
    int shown = 0, count = 0;
    for (int i = 0; i < l->count; i++) {
        if (l->roots[i].split != split) continue;
        if (++count > 3 || used >= size) continue;
        const char *prefix = l->roots[i].prefix;
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s%s", shown++ ? ", " : what, *prefix ? prefix : "all", "");
    }
    if (count > 3 && used < size) used += (size_t)snprintf(out + used, size - used, ", … (%d folders)", count);
    return used < size ? used : size - 1;
}

static void describe(layout *l) {
    if (l->note[0]) return;
    size_t used = 0, size = sizeof l->note;
    if (l->train)
        used = (size_t)snprintf(l->note, size, "training images are those like %.100s%s%.100s", l->train,
                                l->test ? ", test images those like " : "", l->test ? l->test : "");
    used = describe_split(l, LAYOUT_TRAIN, "training images in ", used, l->note, size);
    used = describe_split(l, LAYOUT_TEST, "; test images in ", used, l->note, size);
    used = describe_split(l, LAYOUT_VAL, "; validation images in ", used, l->note, size);
    used += (size_t)snprintf(l->note + used, size - used, "; %s",
                             l->labelled ? "classes are the folders in them" : "no class folders: no labels");
    if (l->hold_out && used < size)
        snprintf(l->note + used, size - used, "; a tenth of the images, drawn once, is the test split");
}

bool layout_read(layout *l, layout_paths *p, error *err) {
    size_t count = p->image_count + p->folder_count;
    folder_tree t = {0};
    *l = (layout){0};
    const char **all = malloc((count + 1) * sizeof *all);
    if (!all) return error_memory(err, count * sizeof *all, "a list of files");
    if (p->image_count) memcpy(all, p->images, p->image_count * sizeof *all);
    if (p->folder_count) memcpy(all + p->image_count, p->folders, p->folder_count * sizeof *all);
    qsort(all, count, sizeof *all, by_text);
    bool done = folder_tree_build(&t, all, count, err);
    if (done) {
        const folder_node *top = layout_unwrap(t.nodes);
        done = (l->wrapper = strndup(top->path, top->length)) || error_memory(err, top->length, "a folder's name");
    }
    done = done && (*p->train || *p->test ? layout_read_patterns : layout_read_names)(l, &t, p, err);
    if (done) describe(l);
    folder_tree_free(&t);
    free(all);
    if (!done) layout_free(l);
    return done;
}

void layout_free(layout *l) {
    for (int i = 0; i < l->count; i++) free(l->roots[i].prefix);
    free(l->wrapper);
    *l = (layout){0};
}

layout_place layout_place_of(const layout *l, const char *path) {
    layout_place place = {.split = LAYOUT_NONE};
    size_t n = strlen(path);
    bool folder = n && path[n - 1] == '/';
    if (l->train) { /* images by their whole names */
        if (!folder && layout_fits(l->train, path, l->wrapper))
            place.split = LAYOUT_TRAIN;
        else if (!folder && l->test && layout_fits(l->test, path, l->wrapper))
            place.split = LAYOUT_TEST;
        if (place.split != LAYOUT_NONE && l->labelled)
            place.class_name = layout_folder_at(path, l->class_depth, &place.length);
        return place;
    }
    for (int i = 0; i < l->count; i++) {
        size_t length = strlen(l->roots[i].prefix);
        if (strncmp(path, l->roots[i].prefix, length) != 0) continue;
        place.split = l->roots[i].split;
        const char *rest = path + length, *slash = strchr(rest, '/');
        if (slash && l->labelled && (!folder || slash[1] == '\0'))
            place.class_name = rest, place.length = (size_t)(slash - rest);
        return place;
    }
    return place;
}
