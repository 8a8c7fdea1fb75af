/*
 * Data sets: labelled images, 8-bit RGB, in a training and a test split. Whatever the source (the built-in drawings,
 * the files of a published format, a folder or an archive of images), it is imported once into one packed, checksummed
 * file that is memory-mapped from then on. Labels are for evaluation; pretraining never looks at them.
 *
 * data.packing says what is packed: pixels, all images brought to one size, which suits small images; or the files as
 * they are, decoded again for every view, which suits photographs, whose crops are taken from the whole image and whose
 * pixels would not fit a disk. The choice is the spec's, not the size's, since the views are not the same.
 */
#ifndef MEWS_DATASET_H
#define MEWS_DATASET_H

#include "engine/data/codecs/photo.h"
#include "engine/error.h"
#include "engine/fields.h"

#include <stdint.h>

/* SPLIT_PRETRAIN is what is trained on without labels: SPLIT_TRAIN, and under data.unlabelled what has no labels too.
 */
typedef enum dataset_split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLIT_PRETRAIN, SPLIT_COUNT } dataset_split;

enum { LABELS_FINE, LABELS_COARSE };
enum { PACKING_PIXELS, PACKING_FILES };
enum { DECODE_EXACT, DECODE_SCALED };

typedef struct data_options {
    int name;                      /* choice: shapes, cifar10, … */
    char path[FIELD_TEXT_SIZE];    /* directory or archive; "" = as `mews data fetch` left it; unused by shapes */
    char train[FIELD_TEXT_SIZE];   /* pattern of the folders, or files, of a folder's training split; "" = by name */
    char test[FIELD_TEXT_SIZE];    /* likewise of its test split */
    int64_t size;                  /* side of the square images that a network sees, pixels */
    int packing;                   /* PACKING_ */
    int decode;                    /* DECODE_: how files are decoded for a view */
    int64_t limit;                 /* train on the first N of a seeded shuffle of the training split; 0 = all */
    double validation;             /* share of the training split held out for choosing settings; it comes off first */
    double imbalance;              /* images of the first class per image of the last one, exponentially in between */
    char classes[FIELD_TEXT_SIZE]; /* a list of names: only these; "" = all */
    char class_list[FIELD_TEXT_SIZE]; /* file with a class folder a line: only these are imported; "" = all */
    int labels;                       /* LABELS_: of CIFAR-100 */
    bool unlabelled;                  /* pretrain on STL-10's unlabelled images, too */
    int64_t seed;                     /* of the shuffle behind limit, validation and imbalance */
    char mean[FIELD_TEXT_SIZE], std[FIELD_TEXT_SIZE]; /* of each channel, for the normalisation; "": the images' own */
    char cache[FIELD_TEXT_SIZE]; /* folder of packed files; "" = $XDG_CACHE_HOME/mews or ~/.cache/mews */
} data_options;

extern const field_table data_fields;
extern const field_condition data_conditions[];

typedef struct dataset dataset;

/* Says what goes on during a long import; done of total images (total 0 = not known yet). */
typedef void (*dataset_progress)(void *context, const char *what, uint64_t done, uint64_t total);

/* The folder of packed files and downloads: data.cache or its default, PATH_MAX bytes. */
bool dataset_cache(const data_options *options, char *out, error *err);

/*
 * Opens the data set, importing it into the cache on first use. The training and validation splits are shuffled by
 * data.seed; the test split keeps the source's order, or takes the classes in turn where the source is a folder.
 * data.classes numbers its classes anew, in the source's order, in every split; data.imbalance thins the training split
 * alone.
 * Warnings (images skipped) go to `warn`, a line each. Errors name the file and what is wrong with it.
 */
dataset *dataset_open(const data_options *options, dataset_progress progress, void (*warn)(void *, const char *),
                      void *context, error *err);
void dataset_close(dataset *set);

const char *dataset_name(const dataset *set);
int dataset_size(const dataset *set);    /* data.size */
int dataset_classes(const dataset *set); /* 0: images without labels */
const char *dataset_class_name(const dataset *set, int label);
const char *dataset_checksum(const dataset *set); /* SHA-256 of the packed content, 64 hexadecimal digits */
const float *dataset_mean(const dataset *set);    /* per channel, of the training split, in 0 … 1 */
const float *dataset_std(const dataset *set);     /* likewise; 1 for a channel that is the same everywhere */

/* Do its images have labels that tell anything apart: two classes or more? */
bool dataset_is_labelled(const dataset *set);

/* What the import made of the source's files, lines of text: how they were read, how many were used and which not. */
const char *dataset_account(const dataset *set);

/* Reads every image and holds it against the checksum. */
bool dataset_verify(const dataset *set, error *err);

/* The choice of data.name that fits the files at `path`; −1 with ERROR_USAGE when nothing there is known. */
int dataset_guess(const char *path, error *err);

uint32_t dataset_count(const dataset *set, dataset_split split);
int dataset_label(const dataset *set, dataset_split split, uint32_t i); /* −1 where there is none */

/* Are its images pixels (dataset_image) or files (dataset_photo)? And may a view's file be decoded smaller than it is?
 */
bool dataset_has_pixels(const dataset *set);
bool dataset_decodes_scaled(const dataset *set);

/* size × size × 3 bytes, row-major RGB, inside the mapped file. */
const uint8_t *dataset_image(const dataset *set, dataset_split split, uint32_t i);

/* The image's file, inside the mapped one. It was decoded when it was packed, so an error means damage since then. */
bool dataset_photo(const dataset *set, dataset_split split, uint32_t i, photo *out, error *err);

#endif
