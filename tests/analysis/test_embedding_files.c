/*
 * Files of embeddings as today's libraries write them (tests/golden/make_embeddings.py): every one holds the same
 * matrix, x[i][j] = ((5 i + 3 j) mod 7 − 3) / 2, and what a format does to it is undone or told.
 */
#include "analysis/diagnose/labels.h"
#include "analysis/files/array_file.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 6, D = 4 };

static double value(uint64_t i, uint64_t j) { return (double)((int)(5 * i + 3 * j) % 7 - 3) / 2; }

static const char *at(const char *file) {
    static char path[256];
    snprintf(path, sizeof path, "tests/golden/embeddings/%s", file);
    return path;
}

/* What is to be read, and what comes out: scale · x + offset. */
typedef struct case_of {
    const char *file, *tensor, *type;
    double scale, offset;
    array_tokens tokens;
} case_of;

static const case_of cases[] = {
    /* torch 2.15, zip: central directory, padding, zip64, views, typed and untyped storages, flags, attributes */
    {"torch/plain.pt", NULL, NULL, 1, 0, 0},
    {"torch/zip.pt", "float32", NULL, 1, 0, 0},
    {"torch/zip.pt", "float64", NULL, 1, 0, 0},
    {"torch/zip.pt", "float16", NULL, 1, 0, 0},
    {"torch/zip.pt", "bfloat16", NULL, 1, 0, 0},
    {"torch/zip.pt", "int8", NULL, 2, 0, 0},
    {"torch/zip.pt", "int64", NULL, 2, 0, 0},
    {"torch/zip.pt", "slice", NULL, 1, 0, 0},
    {"torch/zip.pt", "transposed", NULL, 1, 0, 0},
    {"torch/zip.pt", "negated", NULL, 1, 0, 0},
    {"torch/zip.pt", "float8_e4m3fn", NULL, 1, 0, 0},
    {"torch/zip.pt", "float8_e5m2", NULL, 1, 0, 0},
    {"torch/zip.pt", "uint16", NULL, 2, 3, 0},
    {"torch/zip.pt", "uint64", NULL, 2, 3, 0},
    {"torch/zip.pt", "parameter", NULL, 1, 0, 0},
    {"torch/zip.pt", "attributed", NULL, 1, 0, 0},
    {"torch/zip.pt", "tail", NULL, 1, 0, 0},
    {"torch/zip.pt", "squeezed", NULL, 1, 0, 0},
    {"torch/zip.pt", "maps", NULL, 1, 0, 0},
    {"torch/zip.pt", "tokens", NULL, 1, 0, TOKENS_CLS},
    {"torch/zip.pt", "tokens", NULL, 1, 2, TOKENS_MEAN},
    {"torch/zip.pt", "numpy", NULL, 1, 0, 0},
    {"torch/zip.pt", "nested.deep.0", NULL, 1, 0, 0},
    {"torch/zip.pt", "deep.0", NULL, 1, 0, 0},
    /* torch's older form */
    {"torch/plain-legacy.pth", NULL, NULL, 1, 0, 0},
    {"torch/legacy.pt", "float32", NULL, 1, 0, 0},
    {"torch/legacy.pt", "bfloat16", NULL, 1, 0, 0},
    {"torch/legacy.pt", "slice", NULL, 1, 0, 0},
    {"torch/legacy.pt", "negated", NULL, 1, 0, 0},
    {"torch/legacy.pt", "float8_e5m2", NULL, 1, 0, 0},
    {"torch/legacy.pt", "uint16", NULL, 2, 3, 0},
    {"torch/legacy.pt", "attributed", NULL, 1, 0, 0},
    /* shards: DCP, an index, a pattern */
    {"dcp", "x", NULL, 1, 0, 0},
    {"dcp", "half", NULL, 1, 0, 0},
    {"safetensors/sharded/model.safetensors.index.json", "x", NULL, 1, 0, 0},
    {"safetensors/sharded/model.safetensors.index.json", "other", NULL, 1, 0, 0},
    {"safetensors/sharded", "other", NULL, 1, 0, 0}, /* the folder of an index */
    {"torch/sharded", "x", NULL, 1, 0, 0},
    {"torch/sharded/pytorch_model.bin.index.json", "other", NULL, 1, 0, 0},
    {"numpy/part-*.npy", NULL, NULL, 1, 0, 0},
    /* pickles */
    {"pickle/2.pkl", "x", NULL, 1, 0, 0},
    {"pickle/5.pkl", "columns", NULL, 1, 0, 0},
    {"pickle/tensors-2.pkl", "float32", NULL, 1, 0, 0}, /* pickle.dump of tensors: their storages stand inside */
    {"pickle/tensors-5.pkl", "float32", NULL, 1, 0, 0},
    {"pickle/tensors-5.pkl", "bfloat16", NULL, 1, 0, 0},
    {"pickle/tensors-5.pkl", "uint16", NULL, 2, 3, 0},
    {"pickle/tensors-5.pkl", "slice", NULL, 1, 0, 0},
    {"pickle/tensors-2.pkl", "negated", NULL, 1, 0, 0},
    {"pickle/ml_dtypes.pkl", "bfloat16", NULL, 1, 0, 0},
    {"pickle/ml_dtypes.pkl", "float8_e4m3fn", NULL, 1, 0, 0},
    {"pickle/jax.pkl", "float32", NULL, 1, 0, 0},
    {"pickle/jax.pkl", "bfloat16", NULL, 1, 0, 0},
    {"pickle/batches.pkl", "batches.*.z", NULL, 1, 0, 0}, /* what a loop appended, one batch behind another */
    {"pickle/batches.pkl", "rows.*", NULL, 1, 0, 0},
    {"pickle/long-names.pkl", "x", NULL, 1, 0, 0}, /* beside names that are cut */
    {"torch/batches.pt", NULL, NULL, 1, 0, 0},
    {"torch/quantized-legacy.pt", "float32", NULL, 1, 0, 0},
    /* NumPy, ml_dtypes */
    {"numpy/bfloat16.npy", NULL, NULL, 1, 0, 0},
    {"numpy/disguised.npy", NULL, "bfloat16", 1, 0, 0},
    {"numpy/float8_e5m2.npy", NULL, NULL, 1, 0, 0},
    {"numpy/float8_e4m3fn.npy", NULL, "float8_e4m3fn", 1, 0, 0},
    {"numpy/int4.npy", NULL, "int4", 2, 0, 0},
    {"numpy/column-major.npy", NULL, NULL, 1, 0, 0},
    {"numpy/squeezed.npy", NULL, NULL, 1, 0, 0},
    {"numpy/maps.npy", NULL, NULL, 1, 0, 0},
    {"numpy/tokens.npy", NULL, NULL, 1, 0, TOKENS_CLS},
    {"numpy/tokens.npy", NULL, NULL, 1, 2, TOKENS_MEAN},
    {"numpy/objects.npy", "x", NULL, 1, 0, 0},
    {"numpy/plain.npz", NULL, NULL, 1, 0, 0}, /* neither labels nor ids nor what is empty are candidates */
    {"numpy/packed.npz", "x", NULL, 1, 0, 0},
    {"numpy/zip-in-disguise.npy", "x", NULL, 1, 0, 0},
    {"numpy/lzma.npz", "x", NULL, 1, 0, 0},
    {"numpy/bzip2.npz", "x", NULL, 1, 0, 0},
    {"numpy/odd.npz", "x", NULL, 1, 0, 0}, /* of two members of one name the last */
    /* HDF5 */
    {"hdf5/kinds.h5", "x", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "group/deep", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "deep", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "gzip", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "lzf", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "resizable", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "half", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "big", NULL, 1, 0, 0},
    {"hdf5/kinds.h5", "bfloat16", "bfloat16", 1, 0, 0},
    {"hdf5/kinds.h5", "float8_e4m3fn", "float8_e4m3fn", 1, 0, 0},
    {"hdf5/virtual.h5", "whole", NULL, 1, 0, 0},
    {"hdf5/v110.h5", "x", NULL, 1, 0, 0},
    {"hdf5/pandas-fixed.h5", "frame/block0_values", NULL, 1, 0, 0},
    {"hdf5/pandas-table.h5", "frame/table/values_block_0", NULL, 1, 0, 0},
    /* MATLAB */
    {"matlab/plain.mat", "x", NULL, 1, 0, 0},
    {"matlab/plain.mat", "single", NULL, 1, 0, 0},
    {"matlab/plain.mat", "half", NULL, 1, 0, 0},
    {"matlab/packed.mat", "x", NULL, 1, 0, 0},
    {"matlab/old.mat", "x", NULL, 1, 0, 0},
    {"matlab/lists.mat", "run.x", NULL, 1, 0, 0}, /* a structure's fields */
    {"matlab/lists.mat", "deep.x", NULL, 2, 0, 0},
    {"matlab/v73.mat", "x", NULL, 1, 0, 0}, /* HDF5 with its dimensions turned round */
    {"matlab/v73.mat", "single", NULL, 1, 0, 0},
    {"matlab/v73.mat", "run/x", NULL, 2, 0, 0},
    {"matlab/v73.mat", "tokens", NULL, 1, 0, TOKENS_CLS},
    {"matlab/v73.mat", "tokens", NULL, 1, 2, TOKENS_MEAN},
    /* text */
    {"tables/counted.csv", NULL, NULL, 1, 0, 0}, /* names 0, 1, 2, … are no row */
    {"tables/counted-no-index.csv", NULL, NULL, 1, 0, 0},
    {"tables/ids.csv", NULL, NULL, 1, 0, 0}, /* ids and labels are no dimensions */
    {"tables/numpy.txt", NULL, NULL, 1, 0, 0},
    {"tables/numpy.csv", NULL, NULL, 1, 0, 0},
    {"tables/vectors.tsv", NULL, NULL, 1, 0, 0},
    /* vectors' own */
    {"vectors/x.fvecs", NULL, NULL, 1, 0, 0},
    {"vectors/x.bvecs", NULL, NULL, 2, 3, 0},
    {"vectors/x.ivecs", NULL, NULL, 2, 0, 0},
    {"vectors/l2.faiss", NULL, NULL, 1, 0, 0},
    {"vectors/ip.faiss", NULL, NULL, 1, 0, 0},
    {"vectors/ids.faiss", NULL, NULL, 1, 0, 0},
    /* safetensors: neighbours of what is not read, and what the reference accepts */
    {"safetensors/kinds.safetensors", "float32", NULL, 1, 0, 0},
    {"safetensors/kinds.safetensors", "bfloat16", NULL, 1, 0, 0},
    {"safetensors/kinds.safetensors", "float16", NULL, 1, 0, 0},
    {"safetensors/kinds.safetensors", "float8_e4m3fn", NULL, 1, 0, 0},
    {"safetensors/kinds.safetensors", "float8_e5m2", NULL, 1, 0, 0},
    {"safetensors/null-metadata.safetensors", "x", NULL, 1, 0, 0},
    {"safetensors/blanks.safetensors", "x", NULL, 1, 0, 0},
    {"safetensors/doubled.safetensors", "x", NULL, 1, 0, 0},
    {"safetensors/sub-byte.safetensors", "x", NULL, 1, 0, 0},
};

static array_request request_of(const case_of *c) {
    return (array_request){.tensor = c->tensor, .dims = 2, .option = "--tensor", .tokens = c->tokens, .type = c->type};
}

START_TEST(test_every_file_holds_the_same_matrix) {
    const case_of *c = &cases[_i];
    array_request request = request_of(c);
    array_file a;
    error err = {0};
    double doubles[N * D];
    float floats[N * D];
    ck_assert_msg(array_open(&a, at(c->file), &request, &err), "%s", err.text);
    ck_assert_msg(a.rows == N && a.cols == D, "%s: %d × %d", a.name, (int)a.rows, (int)a.cols);
    array_read_double(&a, 0, N, doubles);
    array_read_float(&a, 0, N, floats);
    for (uint64_t k = 0; k < N * D; k++) {
        double wanted = c->scale * value(k / D, k % D) + c->offset;
        ck_assert_msg(doubles[k] == wanted, "%s: element %d is %g, not %g", a.name, (int)k, doubles[k], wanted);
        ck_assert_msg((double)floats[k] == wanted, "%s: float %d is %g, not %g", a.name, (int)k, (double)floats[k],
                      wanted);
        ck_assert(!a.floats || (double)a.floats[k] == wanted);
    }
    array_forget(&a, 0, N);
    array_read_double(&a, N - 1, 1, doubles);
    ck_assert_double_eq(doubles[0], c->scale * value(N - 1, 0) + c->offset);
    array_close(&a);
}
END_TEST

/* What is not read, and the words that say why. */
static const struct {
    const char *file, *tensor, *words;
} refusals[] = {
    {"torch/zip.pt", "tokens", "has the shape 6 × 3 × 4; where that is n × t × d, `--tokens cls`"},
    {"torch/zip.pt", "complex", "is of `torch.ComplexFloatStorage`, which is not read"},
    {"torch/zip.pt", "sparse", "is rebuilt by `torch._utils._rebuild_sparse_tensor`, which is not read"},
    {"torch/zip.pt", NULL, "--tensor NAME says which is meant"},
    {"torch/module-legacy.pt", NULL, "is an object of `torch.nn.modules.linear.Linear`, which is not built"},
    {"torch/module.pt", NULL, "is an object of `torch.nn.modules.linear.Linear`, which is not built"},
    {"torch/legacy.pt", "complex", "is of `torch.ComplexFloatStorage`, which is not read"},
    {"numpy/disguised.npy", NULL, "its 16-bit integers look like bfloat16 under another name; `--dtype bfloat16`"},
    {"numpy/float8_e4m3fn.npy", NULL,
     "holds elements of 1 bytes of a type that the file does not name; `--dtype TYPE`"},
    {"numpy/int4.npy", NULL, "of a type that the file does not name"},
    {"numpy/tokens.npy", NULL, "has the shape 6 × 3 × 4"},
    {"numpy/complex.npy", NULL, "holds '<c8': complex numbers"},
    {"numpy/dates.npy", NULL, "holds '<M8[s]': dates or times"},
    {"labels/strings.npy", NULL, "holds strings (6); embeddings are numbers, and strings would do as labels"},
    {"hdf5/kinds.h5", "bfloat16", "of a type that the file does not name"},
    {"hdf5/kinds.h5", "complex", "holds complex numbers"},
    {"hdf5/kinds.h5", "unwritten", "was never written: it would read as zeros"},
    {"hdf5/kinds.h5", "partly", "was not written to its end: 2 of 3 chunks are missing and would read as zeros"},
    {"hdf5/virtual.h5", "lost", "is virtual, and its source `x` of gone.h5 is missing: it would read as zeros"},
    {"hdf5/virtual.h5", "unmapped", "is virtual, and 16 of its 24 values have no source: they would read as zeros"},
    {"hdf5/latest.h5", "x", "h5py.File(…, libver='v110') writes one that it does"},
    {"matlab/plain.mat", "complex", "holds complex numbers"},
    {"tables/missing-polars.csv", NULL, "line 3 is empty: a missing value to some writers and nothing to others"},
    {"vectors/hnsw.faiss", NULL, "is a faiss index of kind `IHNf`, which is not read; flat ones"},
    {"safetensors/kinds.safetensors", "complex", "is of C64, which is not read"},
    {"safetensors/kinds.safetensors", "nine", "is of more than 8 dimensions, which is not read"},
    {"safetensors/sub-byte.safetensors", "f4", "is of F4, which is not read"},
    {"torch/quantized-legacy.pt", "q", "is rebuilt by `torch._utils._rebuild_qtensor`, which is not read"},
    {"pickle/tensors-5.pkl", "complex", "is of `torch.ComplexFloatStorage`, which is not read"},
    {"pickle/batches.pkl", "complex", "is a NumPy array of a type that is not read"},
    {"torch/expanded.pt", NULL, "holds no matrix (n × d), only `0` (4611686018427387904 × 1)"}, /* no sum of these */
    {"dcp/__0_0.distcp", NULL, "is one file of a checkpoint of torch.distributed; name its folder"},
    {"dcp/.metadata", NULL, "name its folder, `tests/golden/embeddings/dcp`"},
    {"hdf5/linked.h5", NULL, "is a link to `/x` of kinds.h5, which is not followed; name that file"},
    {"matlab/lists.mat", "mixed", "is a cell array that does not hold strings"},
    {"tables/holes-word.csv", NULL, "has `?` in line 4, where `b` holds numbers"},
    {"tables/decimal-comma.csv", NULL, "has `-1,5` in line 2; numbers are read with a decimal point"},
    {"tables/utf-16.csv", NULL, "is text in UTF-16, which is not read; iconv"},
    {"tables/lists.json", NULL, "is JSON, or lists as Python prints them, which are not read"},
    {"numpy/part-1?.np", NULL, "no file matches tests/golden/embeddings/numpy/part-1?.np"},
    {"hdf5", NULL, "is a folder, and neither a run's (embeddings.npy) nor a checkpoint in shards (.metadata, "},
};

START_TEST(test_what_is_not_read_is_told_by_name) {
    array_request request = {.tensor = refusals[_i].tensor, .dims = 2, .option = "--tensor"};
    array_file a;
    error err = {0};
    bool opened = array_open(&a, at(refusals[_i].file), &request, &err);
    ck_assert_msg(!opened, "%s was read", refusals[_i].file);
    ck_assert_msg(strstr(err.text, refusals[_i].words) != NULL, "'%s' does not say '%s'", err.text, refusals[_i].words);
}
END_TEST

START_TEST(test_tokens_may_all_be_rows) {
    array_request request = {.dims = 2, .tokens = TOKENS_ALL};
    array_file a;
    error err = {0};
    static const double more[] = {0, 1, 5};
    double row[D];
    ck_assert_msg(array_open(&a, at("numpy/tokens.npy"), &request, &err), "%s", err.text);
    ck_assert_uint_eq(a.rows, 3 * N);
    ck_assert_uint_eq(a.tokens, 3);
    for (uint64_t i = 0; i < a.rows; i++) {
        array_read_double(&a, i, 1, row);
        for (uint64_t j = 0; j < D; j++) ck_assert_double_eq(row[j], value(i / 3, j) + more[i % 3]);
    }
    array_close(&a);
}
END_TEST

START_TEST(test_views_with_a_stride_of_0_and_chunks_that_shrink_are_read) {
    static const struct {
        const char *file, *tensor;
        uint64_t rows, turn;
    } more[] = {{"torch/zip.pt", "repeated", N, 1},
                {"torch/legacy.pt", "repeated", N, 1},
                {"hdf5/kinds.h5", "lzf_shrinks", 20 * N, N}};
    for (size_t f = 0; f < sizeof more / sizeof *more; f++) {
        array_request request = {.tensor = more[f].tensor, .dims = 2};
        array_file a;
        error err = {0};
        double row[D];
        ck_assert_msg(array_open(&a, at(more[f].file), &request, &err), "%s", err.text);
        ck_assert_uint_eq(a.rows, more[f].rows);
        for (uint64_t i = 0; i < a.rows; i++) {
            array_read_double(&a, i, 1, row);
            for (uint64_t j = 0; j < D; j++) ck_assert_double_eq(row[j], value(i % more[f].turn, j));
        }
        array_close(&a);
    }
}
END_TEST

/* ---- labels ---- */

static const struct {
    const char *file, *tensor;
} labels[] = {
    {"labels/floats.npy", NULL},
    {"labels/strings.npy", NULL},
    {"labels/bytes.npy", NULL},
    {"labels/objects.npy", NULL},
    {"labels/one-hot.npy", NULL},
    {"labels/column.npy", NULL},
    {"labels/row.npy", NULL},
    {"labels/large.npy", NULL},
    {"labels/lines.txt", NULL},
    {"labels/words.txt", NULL},
    {"numpy/labels-*.npy", NULL},
    {"numpy/plain.npz", "y"},
    {"numpy/plain.npz", "größe"},
    {"numpy/plain.npz", "column"},
    {"numpy/odd.npz", "bare"},
    {"numpy/objects.npy", "y"},
    {"numpy/objects.npy", "names"},
    {"torch/zip.pt", "y"},
    {"torch/zip.pt", "names"},
    {"torch/legacy.pt", "names"},
    {"dcp", "y"},
    {"hdf5/kinds.h5", "y"},
    {"hdf5/kinds.h5", "names"},
    {"hdf5/kinds.h5", "fixed"},
    {"matlab/plain.mat", "y"},
    {"matlab/plain.mat", "names"},
    {"tables/pandas.csv", "species"},
    {"tables/pandas.csv", "number"},
    {"tables/polars.csv", "number"},
    {"tables/metadata.tsv", NULL},
    {"pickle/0.pkl", "names"},
    {"pickle/5.pkl", "strings"},
    {"pickle/4.pkl", "y"},
    {"safetensors/kinds.safetensors", "large"},
    {"pickle/batches.pkl", "batches.*.y"},
    {"pickle/batches.pkl", "scalars"},
    {"pickle/tensors-5.pkl", "y"},
    {"matlab/lists.mat", "run.y"},
    {"matlab/lists.mat", "cells"},
    {"matlab/v73.mat", "y"},
    {"matlab/v73.mat", "row"},
    {"matlab/v73.mat", "cells"},
    {"matlab/v73.mat", "letters"},
    {"tables/ids.csv", "label"},
};

static void open_labels(array_file *a, const char *file, const char *tensor) {
    array_request request = {.tensor = tensor, .dims = 1, .usual = "labels,y"};
    error err = {0};
    ck_assert_msg(array_open(a, at(file), &request, &err), "%s", err.text);
}

static const uint64_t rows[N] = {0, 1, 2, 3, 4, 5};

START_TEST(test_labels_are_taken_as_they_come) {
    array_file a;
    label_set set;
    error err = {0};
    open_labels(&a, labels[_i].file, labels[_i].tensor);
    ck_assert_uint_eq(a.rows, N);
    ck_assert_msg(labels_read(&set, &a, rows, N, 1, NULL, &err), "%s", err.text);
    ck_assert_msg(set.classes == 3, "%s: %d classes", a.name, set.classes);
    ck_assert_uint_eq(set.unlabelled, 0);
    for (int i = 0; i < N; i++) ck_assert_msg(set.labels[i] == i % 3, "%s: label %d is %d", a.name, i, set.labels[i]);
    free(set.labels);
    array_close(&a);
}
END_TEST

START_TEST(test_minus_one_and_nothing_are_no_labels) {
    array_file a;
    label_set set;
    error err = {0};
    open_labels(&a, "labels/none.npy", NULL);
    ck_assert(labels_read(&set, &a, rows, N, 1, NULL, &err));
    ck_assert_int_eq(set.classes, 3);
    ck_assert_uint_eq(set.unlabelled, 1);
    ck_assert_int_eq(set.labels[5], -1);
    free(set.labels);
    array_close(&a);
    open_labels(&a, "labels/two.npy", NULL); /* −1 and 1 are the two classes of many a benchmark */
    ck_assert(labels_read(&set, &a, rows, N, 1, NULL, &err));
    ck_assert_int_eq(set.classes, 2);
    ck_assert_uint_eq(set.unlabelled, 0);
    free(set.labels);
    array_close(&a);
    static const char *const missing[][2] = {
        {"tables/missing-pandas.csv", "label"}, {"labels/objects-none.npy", NULL}, {"pickle/batches.pkl", "words"}};
    for (int f = 0; f < 3; f++) {
        open_labels(&a, missing[f][0], missing[f][1]);
        ck_assert(labels_read(&set, &a, rows, N, 1, NULL, &err));
        ck_assert_int_eq(set.classes, f < 2 ? 2 : 3);
        ck_assert_uint_eq(set.unlabelled, 1);
        ck_assert_int_eq(set.labels[1], -1);
        free(set.labels);
        array_close(&a);
    }
}
END_TEST

START_TEST(test_fractions_are_no_labels) {
    array_file a;
    label_set set;
    error err = {0};
    open_labels(&a, "labels/halves.npy", NULL);
    ck_assert(!labels_read(&set, &a, rows, N, 1, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "row 0 holds 0.5; labels are whole numbers or strings"));
    array_close(&a);
}
END_TEST

START_TEST(test_a_label_stands_for_all_tokens_of_its_row) {
    static const uint64_t tokens[4] = {0, 1, 2, 17};
    array_file a;
    label_set set;
    error err = {0};
    open_labels(&a, "labels/floats.npy", NULL);
    ck_assert(labels_read(&set, &a, tokens, 4, 3, NULL, &err));
    ck_assert(set.labels[0] == 0 && set.labels[2] == 0 &&
              set.labels[3] == 1); /* rows 0 and 5: classes 0 and 2, of which 1 is not there */
    free(set.labels);
    array_close(&a);
}
END_TEST

/* ---- tables ---- */

START_TEST(test_a_column_of_labels_is_no_part_of_the_matrix) {
    static const char *const files[] = {"tables/pandas.csv", "tables/pandas-no-index.csv", "tables/polars.csv"};
    for (int f = 0; f < 3; f++) {
        array_request request = {.dims = 2, .apart = "number"}, beside = {.dims = 1, .tensor = "species"};
        array_file a, words;
        error err = {0};
        double row[D];
        char text[16];
        ck_assert_msg(array_open(&a, at(files[f]), &request, &err), "%s", err.text);
        ck_assert_uint_eq(a.cols, D);
        array_read_double(&a, 4, 1, row);
        for (uint64_t j = 0; j < D; j++) ck_assert_double_eq(row[j], value(4, j));
        ck_assert_ptr_nonnull(a.note); /* what is left out is said: pandas' index, and words */
        ck_assert_msg((strstr(a.note, "`column 0` (pandas' index)") != NULL) == (f == 0), "%s", a.note);
        ck_assert_msg(strstr(a.note, "`species` (words)") != NULL && !strstr(a.note, "number"), "%s", a.note);
        ck_assert_msg(array_open_beside(&words, &a, &beside, &err), "%s", err.text);
        array_close(&a);
        array_read_text(&words, 2, text, sizeof text);
        ck_assert_str_eq(text, "größe");
        array_close(&words);
    }
}
END_TEST

START_TEST(test_a_missing_number_is_nan_however_it_is_written) {
    static const char *const files[] = {"tables/holes-pandas.csv", "tables/holes-polars.csv", "tables/holes-numpy.csv",
                                        "tables/holes-NA.csv", "tables/holes-null.csv"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        array_request request = {.dims = 2};
        array_file a;
        error err = {0};
        double row[D];
        ck_assert_msg(array_open(&a, at(files[f]), &request, &err), "%s", err.text);
        array_read_double(&a, 2, 1, row);
        ck_assert(isnan(row[1]) && row[0] == value(2, 0) && row[2] == value(2, 2));
        array_close(&a);
    }
}
END_TEST

Suite *suite_embedding_files(void) {
    Suite *s = suite_create("embedding_files");
    TCase *t = tcase_create("embedding_files");
    tcase_add_loop_test(t, test_every_file_holds_the_same_matrix, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, test_what_is_not_read_is_told_by_name, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(t, test_views_with_a_stride_of_0_and_chunks_that_shrink_are_read);
    tcase_add_test(t, test_tokens_may_all_be_rows);
    tcase_add_loop_test(t, test_labels_are_taken_as_they_come, 0, sizeof labels / sizeof *labels);
    tcase_add_test(t, test_minus_one_and_nothing_are_no_labels);
    tcase_add_test(t, test_fractions_are_no_labels);
    tcase_add_test(t, test_a_label_stands_for_all_tokens_of_its_row);
    tcase_add_test(t, test_a_column_of_labels_is_no_part_of_the_matrix);
    tcase_add_test(t, test_a_missing_number_is_nan_however_it_is_written);
    suite_add_tcase(s, t);
    return s;
}
