/*
 * What the folders of a source mean: which of them are splits, and where the classes are. The names decide, as people
 * choose them: train, Training, train2017, ILSVRC2012_img_train, seg_test, train.X1 … beside val.X; any number of
 * wrapping folders may stand in front. Classes are torchvision's ImageFolder's: the first level of folders below the
 * split. Where names can be read in two ways nothing is guessed: the error says both, and data.train and data.test,
 * patterns for the splits' folders (or for the files themselves), say which is meant.
 *
 *   train/<class>/…  test/<class>/…     splits and classes; val/ is the test split for want of test/
 *   <class>/…                           classes; a tenth is set apart as the test split
 *   train/1.png …  test/1.png …         splits without labels
 *   1.png …                             images without labels; a tenth is set apart
 */
#ifndef MEWS_LAYOUT_H
#define MEWS_LAYOUT_H

#include "engine/error.h"

#include <stdint.h>

typedef enum layout_split { LAYOUT_TRAIN, LAYOUT_TEST, LAYOUT_VAL, LAYOUT_NONE } layout_split;

/* The split that a folder's name stands for, whatever its case; LAYOUT_NONE: it names none. */
layout_split layout_split_of(const char *name, size_t length);

enum { LAYOUT_ROOTS = 64 };

/* A folder that is a split; its classes are the folders in it. */
typedef struct layout_root {
    char *prefix; /* its path with a slash behind, "" for the source itself */
    layout_split split;
} layout_root;

typedef struct layout {
    layout_root roots[LAYOUT_ROOTS];
    int count;
    bool labelled;            /* the splits hold class folders; otherwise images, without labels */
    bool hold_out;            /* there is no test split: a tenth of the training images becomes it */
    const char *train, *test; /* patterns of files rather than folders, or NULL */
    int class_depth;          /* of such files: the folder of their path that is the class */
    char *wrapper;            /* the folders in front of everything, with a slash behind */
    char note[512];           /* in words, for people */
} layout;

typedef struct layout_paths {
    const char *source;   /* for messages */
    const char **images;  /* paths of images that can be used, */
    const char **folders; /* and of folders that stand in the source, each with a slash behind */
    size_t image_count, folder_count;
    const char *train, *test; /* data.train, data.test; "" = by the names */
} layout_paths;

/* ERROR_USAGE where a split or a class would be lost, or a guess were needed. `paths` is sorted; it must outlive l. */
bool layout_read(layout *l, layout_paths *paths, error *err);
void layout_free(layout *l);

/* Where a path lies: its split, and its class as `length` bytes of the path (NULL: in no class). */
typedef struct layout_place {
    layout_split split;
    const char *class_name;
    size_t length;
} layout_place;

/* `path` is an image's, or a folder's with a slash behind: then class_name is given for class folders alone. */
layout_place layout_place_of(const layout *l, const char *path);

#endif
