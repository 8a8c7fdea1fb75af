/*
 * CIFAR-10 in its authors' binary form (Krizhevsky 2009; cs.toronto.edu/~kriz/cifar.html): data_batch_1 … 5.bin and
 * test_batch.bin, each 10,000 records of one byte of label and 3,072 bytes of image, channel by channel. They are read
 * from a directory or from the .tar.gz as it is downloaded, and keep the authors' order.
 */
#include "engine/data/import.h"
#include "engine/data/source.h"

#include "engine/data/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE, OFFICIAL_RECORDS = 10000, CLASSES = 10, FILES = 6 };

static const char *const files[FILES] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

static const char *const class_names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"};

static const char *base_name(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* Which of the files, or FILES. */
static int file_index(const char *name) {
    int i = 0;
    while (i < FILES && strcmp(base_name(name), files[i]) != 0) i++;
    return i;
}

static bool is_batch(const char *name) { return file_index(name) < FILES; }
static bool none_wanted(const char *name) { return name == NULL; }

/* One batch as its records lie in the pack. */
typedef struct records {
    uint8_t *labels;
    uint32_t count, slot;
} records;

static bool read_batch(importer *im, const source_item *item, records *out, error *err) {
    if (!item->data) return error_set(err, ERROR_RUN, "%s: %s: %s", im->path, item->name, item->problem);
    if (item->size == 0 || item->size % RECORD != 0)
        return error_set(err, ERROR_RUN, "%s: %s has %zu bytes, which is not a whole number of records of %d bytes",
                         im->path, item->name, item->size, RECORD);
    uint32_t n = (uint32_t)(item->size / RECORD);
    if (n != OFFICIAL_RECORDS)
        import_warn(im, "%s: %s holds %u images; CIFAR-10's own file holds %d", im->path, item->name, n,
                    OFFICIAL_RECORDS);
    uint8_t *pixels = malloc((size_t)n * 3 * PLANE);
    *out = (records){.labels = malloc(n), .count = n, .slot = im->pack.images};
    bool done = false;
    if (!pixels || !out->labels) {
        error_memory(err, item->size, item->name);
        goto done;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *record = item->data + (size_t)i * RECORD;
        if (record[0] >= CLASSES) {
            error_set(err, ERROR_RUN, "%s: %s: record %u has label %d; labels go from 0 to %d", im->path, item->name, i,
                      record[0], CLASSES - 1);
            goto done;
        }
        out->labels[i] = record[0];
        for (int p = 0; p < PLANE; p++)
            for (int k = 0; k < 3; k++) pixels[((size_t)i * PLANE + p) * 3 + k] = record[1 + k * PLANE + p];
    }
    done = import_append_square(im, pixels, n, SIDE, err);
done:
    free(pixels);
    return done;
}

static bool binary_import(importer *im, error *err) {
    records batches[FILES] = {0};
    source_item item = {0};
    bool done = false;
    source *from = source_open(im->path, err);
    if (!from) return false;
    for (uint32_t seen = 0; source_next(from, is_batch, &item, err); source_item_free(&item)) {
        int i = item.kind == SOURCE_FILE ? file_index(item.name) : FILES;
        if (item.kind == SOURCE_SKIPPED) import_warn(im, "%s: skipping %s: %s", im->path, item.name, item.problem);
        if (i == FILES) continue;
        if (batches[i].labels) {
            error_set(err, ERROR_RUN, "%s holds %s twice", im->path, files[i]);
            goto done;
        }
        if (!read_batch(im, &item, &batches[i], err)) goto done;
        import_progress(im, "importing CIFAR-10", ++seen, FILES);
    }
    if (err->code) goto done;
    for (int c = 0; c < CLASSES; c++)
        if (!pack_add_class(&im->pack, class_names[c], err)) goto done;
    for (int i = 0; i < FILES; i++) {
        if (!batches[i].labels) {
            error_set(err, ERROR_RUN, "%s holds no %s, which belongs to CIFAR-10", im->path, files[i]);
            goto done;
        }
        int split = i == FILES - 1 ? PACK_TEST : PACK_TRAIN;
        for (uint32_t j = 0; j < batches[i].count; j++)
            if (!pack_add_sample(&im->pack, split, batches[i].slot + j, batches[i].labels[j], err)) goto done;
    }
    done = true;
done:
    for (int i = 0; i < FILES; i++) free(batches[i].labels);
    source_item_free(&item);
    source_close(from);
    return done;
}

/* ---- What is at a path ---- */

typedef enum content { CONTENT_ERROR, CONTENT_NEITHER, CONTENT_CIFAR, CONTENT_IMAGES } content;

/* The first file of either kind decides. */
static content look_into(const char *path, error *err) {
    content what = CONTENT_NEITHER;
    error local = {0};
    source_item item;
    source *from = source_open(path, err);
    if (!from) return CONTENT_ERROR;
    while (what == CONTENT_NEITHER && source_next(from, none_wanted, &item, &local)) {
        if (item.kind == SOURCE_FILE && is_batch(item.name))
            what = CONTENT_CIFAR;
        else if (item.kind == SOURCE_FILE && decode_is_image(item.name))
            what = CONTENT_IMAGES;
        source_item_free(&item);
    }
    source_close(from);
    if (!local.code) return what;
    error_set(err, local.code, "%s", local.text);
    return CONTENT_ERROR;
}

static bool neither(const char *path, error *err) {
    return error_set(err, ERROR_USAGE, "%s holds neither images (JPEG, PNG) nor CIFAR-10's binary files (%s, …)", path,
                     files[0]);
}

int dataset_guess(const char *path, error *err) {
    content what = look_into(path, err);
    const field *row = fields_find(&data_fields, "name");
    const char *name = what == CONTENT_CIFAR ? "cifar10" : "folder";
    if (what == CONTENT_NEITHER) neither(path, err);
    if (what == CONTENT_ERROR || what == CONTENT_NEITHER) return -1;
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], name) == 0) return i;
    return -1;
}

bool cifar_import(importer *im, error *err) {
    switch (look_into(im->path, err)) {
    case CONTENT_CIFAR: return binary_import(im, err);
    case CONTENT_IMAGES: return folder_import(im, err);
    case CONTENT_NEITHER: return neither(im->path, err);
    default: return false;
    }
}
