/*
 * STL-10 in its authors' binary form (Coates, Lee, Ng 2011; cs.stanford.edu/~acoates/stl10): images of 96×96 as three
 * planes, each column by column, labels from 1 in a file of their own, and 100,000 images without labels in
 * unlabeled_X.bin, which is 2.7 GB and is read only under data.unlabelled.
 */
#include "engine/data/sets/format.h"

#include <stdlib.h>

enum { SIDE = 96, IMAGE = 3 * SIDE * SIDE, BLOCK = 256 };

static bool read_images(format_reading *r, const source_item *item, format_part *part, error *err) {
    size_t got = (size_t)BLOCK * IMAGE, total = 0;
    uint8_t *images = malloc(got);
    bool done = images || error_memory(err, got, "a block of images");
    while (done && got == (size_t)BLOCK * IMAGE) {
        if (!(done = source_stream(r->from, images, (size_t)BLOCK * IMAGE, &got, err))) break;
        total += got;
        if (got % IMAGE != 0)
            done = format_refuse(r, item, err, " has %zu bytes, which is not a whole number of images of %d bytes",
                                 total, IMAGE);
        else
            done = format_append(r, part, images, IMAGE, (uint32_t)(got / IMAGE), SIDE, LAYOUT_COLUMNS, err);
        import_progress(r->im, "importing STL-10", r->im->pack.images, 0);
    }
    free(images);
    return done;
}

static bool read_labels(format_reading *r, const source_item *item, format_part *part, error *err) {
    return format_add_labels(r, item, part, item->data, 1, (uint32_t)item->size, 1, err);
}

static const char *const names[] = {"airplane", "bird",  "car",    "cat",  "deer",
                                    "dog",      "horse", "monkey", "ship", "truck"};

const format format_stl10 = {
    .title = "STL-10",
    .classes = 10,
    .class_names = names,
    .parts = 3,
    .part = {{.split = PACK_TRAIN, .official = 5000},
             {.split = PACK_TEST, .official = 8000},
             {.split = PACK_UNLABELLED, .official = 100000}},
    .files = 5,
    .file = {{"train_X.bin", 0, true, read_images},
             {"train_y.bin", 0, false, read_labels},
             {"test_X.bin", 1, true, read_images},
             {"test_y.bin", 1, false, read_labels},
             {"unlabeled_X.bin", 2, true, read_images}},
};

bool stl10_import(importer *im, error *err) { return format_import(im, &format_stl10, err); }
