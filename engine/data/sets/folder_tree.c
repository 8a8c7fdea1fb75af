/*
 * Sorted paths list each folder's content in one stretch, so one pass with the chain of open folders builds the tree.
 */
#include "engine/data/sets/folder_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slashes of all paths: no more folders than that. */
static size_t count_slashes(const char *const *paths, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (const char *p = paths[i]; (p = strchr(p, '/')); p++) {
            size_t length = (size_t)(p + 1 - paths[i]);
            n += i == 0 || strncmp(paths[i - 1], paths[i], length) != 0; /* the one before opened it */
        }
    return n;
}

static folder_node *open_folder(folder_tree *t, folder_node *parent, const char *path, size_t length) {
    folder_node *n = &t->nodes[t->count++];
    *n = (folder_node){.path = path, .length = length, .name_at = parent->length, .parent = parent};
    if (parent->last)
        parent->last->next = n;
    else
        parent->child = n;
    parent->last = n;
    return n;
}

bool folder_tree_build(folder_tree *t, const char *const *paths, size_t count, error *err) {
    size_t most = count_slashes(paths, count) + 1;
    *t = (folder_tree){.nodes = malloc(most * sizeof *t->nodes), .count = 1};
    if (!t->nodes) return error_memory(err, most * sizeof *t->nodes, "a tree of folders");
    folder_node *at = t->nodes;
    *at = (folder_node){.path = ""};
    for (size_t i = 0; i < count; i++) {
        const char *path = paths[i];
        while (strncmp(path, at->path, at->length) != 0) at = at->parent;
        for (const char *slash; (slash = strchr(path + at->length, '/'));)
            at = open_folder(t, at, path, (size_t)(slash + 1 - path));
        if (path[at->length]) at->direct++;
    }
    for (size_t i = t->count; i-- > 0;) {
        folder_node *n = &t->nodes[i];
        n->below += n->direct;
        if (!n->parent) continue;
        n->parent->below += n->below;
        n->parent->image_children += n->below > 0;
    }
    return true;
}

void folder_tree_free(folder_tree *t) {
    free(t->nodes);
    *t = (folder_tree){0};
}

folder_node *folder_next(const folder_node *parent, const folder_node *child) {
    folder_node *n = child ? child->next : parent->child;
    while (n && n->below == 0) n = n->next;
    return n;
}

char *folder_name(const folder_node *n, char *out, size_t size) {
    size_t length = n->length ? n->length - n->name_at - 1 : 0;
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), n->path + n->name_at);
    return out;
}
