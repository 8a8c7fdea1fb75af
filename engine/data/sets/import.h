/*
 * What the importers of the several sources share. An importer appends images to the pack, names the classes and lists
 * the samples of each split in logical order; it knows nothing of caches, locks or splits into validation.
 */
#ifndef MEWS_IMPORT_H
#define MEWS_IMPORT_H

#include "engine/data/sets/account.h"
#include "engine/data/dataset.h"
#include "engine/data/pack.h"

typedef struct importer importer;

struct importer {
    const char *path; /* source: directory or archive; unused by shapes */
    int size;         /* side of the images that a run sees */
    bool files;       /* images are packed as the files they come in */
    pack_writer pack;
    dataset_progress progress; /* both may be NULL */
    void (*warn)(void *, const char *);
    void *context;
    bool enlarged; /* said already that images are scaled up */
    const data_options *options;
    account account;                                      /* of the source's files */
    bool (*wanted)(const importer *im, const char *name); /* which images are decoded; NULL = all */
    const char *unwanted;                                 /* what the others are, for the account */
    const char *list;                                     /* name of a file that is read besides the images, or NULL */
    const char *const *listed; /* what data.class_list names, sorted and NULL-terminated; NULL = every class */
};

void import_progress(importer *im, const char *what, uint64_t done, uint64_t total);
void import_warn(importer *im, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Warns, once in an import, when an image of this size has to grow. */
void import_warn_enlarged(importer *im, int width, int height);

/* Brings `count` images of side×side×3 bytes to the pack's size, in parallel, and appends them. */
bool import_append_square(importer *im, const uint8_t *images, uint32_t count, int side, error *err);

bool shapes_import(importer *im, error *err);
bool cifar_import(importer *im, error *err);
bool cifar100_import(importer *im, error *err);
bool svhn_import(importer *im, error *err);
bool stl10_import(importer *im, error *err);
bool mnist_import(importer *im, error *err);
bool fashion_import(importer *im, error *err);
bool tiny_imagenet_import(importer *im, error *err);
bool folder_import(importer *im, error *err);

#endif
