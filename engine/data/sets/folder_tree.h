/*
 * The folders of a source as a tree, with the images in them counted: what layout.c looks at.
 */
#ifndef MEWS_FOLDER_TREE_H
#define MEWS_FOLDER_TREE_H

#include "engine/error.h"

#include <stdint.h>

typedef struct folder_node {
    const char *path; /* `length` bytes with a slash behind; "" for the source */
    size_t length, name_at;
    struct folder_node *parent, *child, *last, *next;
    uint32_t direct, below;  /* images in the folder itself, and in all of it */
    uint32_t image_children; /* folders in it that hold images, at any depth */
} folder_node;

typedef struct folder_tree {
    folder_node *nodes; /* parents before their children, children in order of name; nodes[0] is the source */
    size_t count;
} folder_tree;

/* `paths`, sorted by strcmp, must outlive the tree; those with a slash behind are folders. */
bool folder_tree_build(folder_tree *t, const char *const *paths, size_t count, error *err);
void folder_tree_free(folder_tree *t);

/* The next child of `parent` behind `child` (NULL: the first) that holds images. */
folder_node *folder_next(const folder_node *parent, const folder_node *child);

/* "train.X1", of at most `size` − 1 bytes. */
char *folder_name(const folder_node *n, char *out, size_t size);

#endif
