/*
 * SVHN's cropped digits (Netzer et al. 2011; ufldl.stanford.edu/housenumbers): train_32x32.mat and test_32x32.mat,
 * MATLAB files of version 5 with X (32×32×3×n, bytes) and y (n labels of any kind of number, where 10 stands for the
 * digit 0). libmatio reads files by name only, so the bytes go into a file that exists in memory alone: an archive
 * needs no unpacking, and one road serves both. MATLAB's arrays lie column by column.
 */
#include "engine/data/sets/format.h"
#include "engine/data/sets/mat_guard.h"
#include "engine/files/file.h"

#include <math.h>
#include <matio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIDE = 32, IMAGE = 3 * SIDE * SIDE, MOST = 1 << 20, COPY = 1 << 20 };

/* The stream's bytes in a file that has no name; −1 with a message. */
static int copy_stream(format_reading *r, const source_item *item, error *err) {
    size_t got = COPY, total = 0;
    char *buffer = malloc(COPY);
    int file = memfd_create("mews-mat", MFD_CLOEXEC);
    bool done = buffer && file >= 0;
    if (!done) error_memory(err, COPY, "a file in memory");
    while (done && got == COPY) {
        if (!(done = source_stream(r->from, buffer, COPY, &got, err))) break;
        if ((total += got) > SOURCE_MAX_BYTES) {
            done = format_refuse(r, item, err, " is larger than 256 MiB");
            break;
        }
        if (!file_put(file, buffer, got)) done = error_memory(err, total, item->name);
    }
    free(buffer);
    if (done) return file;
    if (file >= 0) close(file);
    return -1;
}

/* The dimensions say how many images there are; MATLAB drops a last one of 1. */
static bool check_images(format_reading *r, const source_item *item, const matvar_t *x, uint32_t *count, error *err) {
    if (!x) return format_refuse(r, item, err, " holds no variable X");
    bool shaped =
        (x->rank == 4 || x->rank == 3) && x->dims && x->dims[0] == SIDE && x->dims[1] == SIDE && x->dims[2] == 3;
    size_t n = shaped && x->rank == 4 ? x->dims[3] : 1;
    if (!shaped || x->class_type != MAT_C_UINT8 || x->isComplex || n < 1 || n > MOST)
        return format_refuse(r, item, err, ": X is not an array of 32x32x3xN bytes");
    *count = (uint32_t)n;
    return true;
}

static bool read_x(format_reading *r, const source_item *item, mat_t *mat, format_part *part, error *err) {
    uint32_t count = 0;
    matvar_t *x = Mat_VarReadInfo(mat, "X");
    bool done = check_images(r, item, x, &count, err);
    if (done && (Mat_VarReadDataAll(mat, x) != 0 || !x->data || x->nbytes != (size_t)count * IMAGE))
        done = format_refuse(r, item, err, ": X cannot be read; the file is damaged or ends early");
    done = done && format_append(r, part, x->data, IMAGE, count, SIDE, LAYOUT_COLUMNS, err);
    Mat_VarFree(x);
    return done;
}

/* Element i of an array of any kind of number; NaN for what is none. */
static double number_at(const matvar_t *y, size_t i) {
    switch (y->class_type) {
    case MAT_C_DOUBLE: return ((const double *)y->data)[i];
    case MAT_C_SINGLE: return (double)((const float *)y->data)[i];
    case MAT_C_INT8: return ((const int8_t *)y->data)[i];
    case MAT_C_UINT8: return ((const uint8_t *)y->data)[i];
    case MAT_C_INT16: return ((const int16_t *)y->data)[i];
    case MAT_C_UINT16: return ((const uint16_t *)y->data)[i];
    case MAT_C_INT32: return ((const int32_t *)y->data)[i];
    case MAT_C_UINT32: return ((const uint32_t *)y->data)[i];
    case MAT_C_INT64: return (double)((const int64_t *)y->data)[i];
    case MAT_C_UINT64: return (double)((const uint64_t *)y->data)[i];
    default: return NAN;
    }
}

/* Bytes of one, 0 for what is no number. */
static size_t number_bytes(const matvar_t *y) {
    switch (y->class_type) {
    case MAT_C_INT8:
    case MAT_C_UINT8: return 1;
    case MAT_C_INT16:
    case MAT_C_UINT16: return 2;
    case MAT_C_SINGLE:
    case MAT_C_INT32:
    case MAT_C_UINT32: return 4;
    case MAT_C_DOUBLE:
    case MAT_C_INT64:
    case MAT_C_UINT64: return 8;
    default: return 0;
    }
}

static bool read_y(format_reading *r, const source_item *item, mat_t *mat, format_part *part, error *err) {
    uint8_t *labels = NULL;
    matvar_t *y = Mat_VarReadInfo(mat, "y");
    bool done = y || format_refuse(r, item, err, " holds no variable y");
    bool shaped =
        done && y->rank == 2 && y->dims && (y->dims[0] == 1 || y->dims[1] == 1) && !y->isComplex && number_bytes(y);
    size_t n = shaped ? y->dims[0] * y->dims[1] : 0, each = shaped ? number_bytes(y) : 0;
    if (done && (!shaped || n > MOST)) done = format_refuse(r, item, err, ": y is not a column of numbers");
    if (done && (Mat_VarReadDataAll(mat, y) != 0 || !y->data || y->nbytes != n * each))
        done = format_refuse(r, item, err, ": y cannot be read; the file is damaged or ends early");
    if (done && !(labels = malloc(n + 1))) done = error_memory(err, n, "labels");
    for (size_t i = 0; done && i < n; i++) {
        double label = number_at(y, i);
        if (!(label >= 1 && label <= 10) || label != (int)label)
            done = format_refuse(r, item, err, ": record %zu has label %g; labels go from 1 to 10", i, label);
        else
            labels[i] = (uint8_t)((int)label % 10);
    }
    done = done && format_add_labels(r, item, part, labels, 1, (uint32_t)n, 0, err);
    free(labels);
    Mat_VarFree(y);
    return done;
}

static bool may_be_read(format_reading *r, const source_item *item, const char *path, error *err) {
    file_map map;
    if (!file_map_open(&map, path, err)) return false;
    const char *wrong = mat_guard(map.data, map.size, (uint64_t)MOST * IMAGE);
    file_map_close(&map);
    return !wrong || format_refuse(r, item, err, " is not a MATLAB file of version 5 with X and y: %s", wrong);
}

static bool read_mat(format_reading *r, const source_item *item, format_part *part, error *err) {
    char path[64];
    int file = copy_stream(r, item, err);
    if (file < 0) return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (!may_be_read(r, item, path, err)) {
        close(file);
        return false;
    }
    mat_t *mat = Mat_Open(path, MAT_ACC_RDONLY);
    bool done = (mat && Mat_GetVersion(mat) == MAT_FT_MAT5) ||
                format_refuse(r, item, err, " is not a MATLAB file of version 5");
    done = done && read_x(r, item, mat, part, err) && (Mat_Rewind(mat), read_y(r, item, mat, part, err));
    if (mat) Mat_Close(mat);
    close(file);
    return done;
}

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

const format format_svhn = {
    .title = "SVHN",
    .classes = 10,
    .class_names = digits,
    .parts = 2,
    .part = {{.split = PACK_TRAIN, .official = 73257}, {.split = PACK_TEST, .official = 26032}},
    .files = 2,
    .file = {{"train_32x32.mat", 0, true, read_mat}, {"test_32x32.mat", 1, true, read_mat}},
};

bool svhn_import(importer *im, error *err) { return format_import(im, &format_svhn, err); }
