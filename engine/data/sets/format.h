/*
 * What the importers of published binary formats share. A format is a few files known by name, each with images, labels
 * or both; they may come in any order, from a directory or an archive, and keep the authors' order in the data set.
 * Whatever does not fit (a record cut short, a label out of range, a file missing or there twice) is refused by name.
 */
#ifndef MEWS_FORMAT_H
#define MEWS_FORMAT_H

#include "engine/data/sets/import.h"
#include "engine/data/sets/source.h"

enum { FORMAT_MAX_FILES = 8, FORMAT_MAX_PARTS = 6 };

/* The images of one of the authors' sets, and their labels once these have been read. */
typedef struct format_part {
    int split;         /* PACK_TRAIN, PACK_TEST, PACK_UNLABELLED */
    uint32_t official; /* images in the authors' own files: another number is warned of */
    uint32_t images, slot;
    uint32_t *labels, labelled;
} format_part;

typedef struct format_reading {
    importer *im;
    source *from;
    const struct format *format;
    format_part parts[FORMAT_MAX_PARTS];
} format_reading;

typedef struct format_file {
    const char *name; /* last part of its path; the same with .gz behind it will do */
    int part;
    bool streamed; /* read by source_stream, since it may be large */
    /* The file's bytes are in item->data (unpacked if they were .gz) or wait in the stream. */
    bool (*read)(format_reading *r, const source_item *item, format_part *part, error *err);
} format_file;

typedef struct format {
    const char *title; /* "CIFAR-100", for messages */
    int classes;
    const char *const *class_names;
    int parts, files;
    format_part part[FORMAT_MAX_PARTS]; /* split and official number */
    format_file file[FORMAT_MAX_FILES];
} format;

/* Reads every file of the format, names the classes and lists the samples part by part. */
bool format_import(importer *im, const format *f, error *err);

/* Does a file of this name belong to the format? */
bool format_has(const format *f, const char *name);

/* "SOURCE: FILE" and what is wrong, which begins with ": " or " "; returns false. */
bool format_refuse(const format_reading *r, const source_item *item, error *err, const char *wrong, ...)
    __attribute__((format(printf, 4, 5)));

/* How the bytes of an image lie: three planes by rows, three planes by columns (MATLAB's order), or one grey plane. */
typedef enum format_layout { LAYOUT_ROWS, LAYOUT_COLUMNS, LAYOUT_GREY } format_layout;

/*
 * Appends `count` images of side×side to the part: image i begins at images + i·stride. May be called again and again.
 */
bool format_append(format_reading *r, format_part *part, const uint8_t *images, size_t stride, uint32_t count, int side,
                   format_layout layout, error *err);

/* Room for `count` more labels behind those the part has, or NULL. */
uint32_t *format_grow_labels(format_part *part, uint32_t count, error *err);

/* Appends labels first … first+classes−1 as 0 … classes−1; `stride` bytes from one to the next. */
bool format_add_labels(format_reading *r, const source_item *item, format_part *part, const uint8_t *labels,
                       size_t stride, uint32_t count, int first, error *err);

extern const format format_cifar10, format_cifar100, format_cifar10_python, format_cifar100_python, format_svhn,
    format_stl10, format_mnist;
extern const char *const cifar10_classes[], *const cifar100_classes[];

#endif
