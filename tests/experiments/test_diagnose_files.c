/*
 * `mews diagnose` on files as they lie about: labels inside, shards, pipes, folders, tables, and the mistakes that the
 * shapes of files do not show.
 */
#include "analysis/files/npy.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <math.h>

enum { N = 240, D = 8, CLASSES = 3 };

static void setup(void) {
    char here[1024];
    program_setup();
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    char link[128], target[1200];
    snprintf(target, sizeof target, "%s/tests/golden/embeddings", here);
    snprintf(link, sizeof link, "%s/golden", folder);
    ck_assert_int_eq(symlink(target, link), 0);
}

static const char *at(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Normal numbers around CLASSES points: rows [first, first + rows) of one matrix. */
static void write_rows(const char *name, size_t first, size_t rows) {
    float *x = calloc(N * D, sizeof *x);
    error err = {0};
    ck_assert_ptr_nonnull(x);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) x[i * D + j] = (float)rng_normal(&r) + (j == i % CLASSES ? 6 : 0);
    ck_assert_msg(npy_write(at(name), NPY_F32, rows, D, x + first * D, &err), "%s", err.text);
    free(x);
}

static void write_labels(const char *name, int none) {
    int64_t labels[N];
    error err = {0};
    for (int i = 0; i < N; i++) labels[i] = i < none ? -1 : i % CLASSES;
    ck_assert(npy_write(at(name), NPY_I64, N, 0, labels, &err));
}

static json_t *diagnosis(const char *words) {
    char all[512], path[128];
    snprintf(all, sizeof all, "diagnose --json %s", words);
    const said *s = mews(all);
    ck_assert_msg(s->code == 0 && !*s->err, "%s: %d, %s", words, s->code, s->err);
    snprintf(path, sizeof path, "%s/out", folder);
    json_t *root = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

static double number(const json_t *root, const char *key) {
    const json_t *value = json_object_get(root, key);
    ck_assert_msg(json_is_number(value), "%s is no number", key);
    return json_number_value(value);
}

static void assert_same(const char *words, const json_t *as) {
    static const char *const keys[] = {"rankme", "effective_rank", "spread", "nc1", "class_within_share",
                                       "n",      "classes"};
    json_t *d = diagnosis(words);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_msg(number(d, keys[i]) == number(as, keys[i]), "%s: %s", words, keys[i]);
    json_decref(d);
}

START_TEST(test_shards_in_natural_order_are_one_matrix) {
    write_rows("all.npy", 0, N);
    write_labels("labels.npy", 0);
    write_rows("part-2.npy", 0, 100);
    write_rows("part-9.npy", 100, 60);
    write_rows("part-10.npy", 160, 80);
    json_t *whole = diagnosis("all.npy -l labels.npy");
    assert_same("'part-*.npy' -l labels.npy", whole);
    json_decref(whole);
    write_labels("part-3.npy", 0);
    refused_with(1, "diagnose 'part-*.npy'", "part-3.npy: is a vector of 240; embeddings are a matrix (n × d)");
    refused("diagnose 'shard-*.npy'", "no file matches shard-*.npy");
}
END_TEST

START_TEST(test_labels_inside_a_file_are_found_also_from_a_pipe) {
    const said *s = mews("diagnose golden/numpy/plain.npz --labels-in y");
    ck_assert_msg(s->code == 0 && strstr(s->out, "NC1"), "%s", s->err);
    s = mews("diagnose - -t x --labels-in größe <golden/numpy/plain.npz");
    ck_assert_msg(s->code == 0 && strstr(s->out, "NC1"), "%s", s->err);
    s = mews("diagnose golden/tables/pandas.csv --labels-in species");
    ck_assert_msg(s->code == 0 && strstr(s->out, "NC1") && strstr(s->out, "`column 0` (pandas' index)"), "%s", s->out);
    s = mews("diagnose golden/numpy/plain.npz --labels-in yy");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "plain.npz: no tensor `yy`; did you mean `y`?"));
}
END_TEST

START_TEST(test_rows_without_a_label_are_left_out_of_what_needs_labels) {
    write_rows("all.npy", 0, N);
    write_rows("some.npy", 60, N - 60);
    write_labels("none.npy", 60);
    json_t *d = diagnosis("all.npy -l none.npy");
    ck_assert_double_eq(number(d, "rows_unlabelled"), 60);
    ck_assert_double_eq(number(d, "classes"), CLASSES);
    ck_assert_double_eq(number(d, "n"), N);
    int64_t labels[N];
    error err = {0};
    for (int i = 60; i < N; i++) labels[i - 60] = i % CLASSES;
    ck_assert(npy_write(at("labels.npy"), NPY_I64, N - 60, 0, labels, &err));
    json_t *some = diagnosis("some.npy -l labels.npy");
    ck_assert_double_eq_tol(number(d, "nc1"), number(some, "nc1"), 1e-9);
    ck_assert_double_eq_tol(number(d, "class_within_share"), number(some, "class_within_share"), 1e-9);
    ck_assert_double_eq_tol(number(d, "lidar"), number(some, "lidar"), 1e-9);
    json_decref(d);
    json_decref(some);
    const said *s = mews("diagnose all.npy -l none.npy");
    ck_assert_ptr_nonnull(strstr(s->out, "60 rows have no label"));
}
END_TEST

START_TEST(test_a_pipe_with_a_name_is_read_like_a_file) {
    write_rows("all.npy", 0, N);
    write_labels("labels.npy", 0);
    json_t *d = diagnosis("all.npy -l labels.npy");
    shell("mkfifo pipe; (cat all.npy >pipe &)");
    assert_same("pipe -l labels.npy", d);
    json_decref(d);
}
END_TEST

START_TEST(test_every_library_reads_from_a_pipe_too) {
    static const char *const files[] = {"hdf5/v110.h5", "matlab/packed.mat", "torch/zip.pt -t float32",
                                        "numpy/packed.npz"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char words[256];
        const char *options = strchr(files[i], ' ');
        int length = options ? (int)(options - files[i]) : (int)strlen(files[i]);
        snprintf(words, sizeof words, "diagnose - %s <golden/%.*s", options ? options : "-t x", length, files[i]);
        const said *s = mews(words);
        ck_assert_msg(s->code == 0 && strstr(s->out, "6 rows, 4 columns"), "%s: %s", files[i], s->err);
    }
}
END_TEST

START_TEST(test_folders_and_strangers_get_one_clear_line) {
    shell("mkdir empty; gzip -c /dev/null >x.npy.gz; printf PAR1 >x.parquet");
    refused_with(1, "diagnose empty",
                 "empty: is a folder, and neither a run's (embeddings.npy) nor a checkpoint in shards (.metadata, "
                 "model.safetensors.index.json); name a file in it, or several as 'empty/part-*.npy'");
    refused_with(1, "diagnose x.npy.gz",
                 "x.npy.gz: is packed by gzip, which is not read; gunzip -c FILE | mews diagnose -");
    refused_with(1, "diagnose x.parquet",
                 "x.parquet: is a Parquet table, which is not read; save its columns as a matrix, by np.save");
    const said *s = mews("diagnose golden/numpy/zip-in-disguise.npy");
    ck_assert_msg(s->code == 0 && strstr(s->out, "is an .npz archive, in spite of its name"), "%s%s", s->out, s->err);
}
END_TEST

START_TEST(test_a_zero_point_is_told_beside_the_verdicts) {
    uint8_t x[N * D];
    error err = {0};
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N * D; i++) x[i] = (uint8_t)(128 + 10 * rng_normal(&r));
    ck_assert(npy_write(at("quantised.npy"), NPY_U8, N, D, x, &err));
    json_t *d = diagnosis("quantised.npy");
    const char *note = json_string_value(json_object_get(d, "note"));
    ck_assert_msg(note && strstr(note, "subtract their zero point first: a common offset"), "%s", note ? note : "none");
    json_decref(d);
}
END_TEST

START_TEST(test_tokens_and_types_are_chosen_by_options) {
    const said *s = mews("diagnose golden/numpy/tokens.npy --tokens all -l golden/labels/strings.npy");
    ck_assert_msg(s->code == 0 && strstr(s->out, "18 rows, 4 columns") && strstr(s->out, "NC1"), "%s%s", s->out,
                  s->err);
    /* what stands beside the rows is per input, and its tokens share it; a reference has tokens of its own */
    error err = {0};
    ck_assert(npy_write(at("codes.npy"), NPY_I64, 6, 0, (int64_t[]){0, 1, 2, 0, 1, 2}, &err));
    json_t *d = diagnosis("golden/numpy/tokens.npy --tokens all -a codes.npy --codes 3 --groups codes.npy --reference "
                          "golden/numpy/tokens.npy");
    ck_assert_double_eq(number(d, "n"), 18);
    ck_assert_double_eq(number(d, "codes_used"), 3);
    json_decref(d);
    s = mews("diagnose golden/numpy/tokens.npy --tokens all --reference golden/numpy/column-major.npy");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "column-major.npy: 6 rows, but "), "%s", s->err);
    refused("diagnose x.npy --tokens some", "--tokens takes cls, mean or all, not `some`");
    s = mews("diagnose golden/numpy/bfloat16.npy --dtype bfloat61");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "--dtype: `bfloat61` is no type"));
    s = mews("diagnose golden/numpy/bfloat16.npy --dtype float32");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "holds elements of 2 bytes; float32 has 4"));
}
END_TEST

Suite *suite_diagnose_files(void) {
    Suite *suite = suite_create("diagnose_files");
    TCase *tests = tcase_create("diagnose_files");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, program_teardown);
    tcase_add_test(tests, test_shards_in_natural_order_are_one_matrix);
    tcase_add_test(tests, test_labels_inside_a_file_are_found_also_from_a_pipe);
    tcase_add_test(tests, test_rows_without_a_label_are_left_out_of_what_needs_labels);
    tcase_add_test(tests, test_a_pipe_with_a_name_is_read_like_a_file);
    tcase_add_test(tests, test_every_library_reads_from_a_pipe_too);
    tcase_add_test(tests, test_folders_and_strangers_get_one_clear_line);
    tcase_add_test(tests, test_a_zero_point_is_told_beside_the_verdicts);
    tcase_add_test(tests, test_tokens_and_types_are_chosen_by_options);
    suite_add_tcase(suite, tests);
    return suite;
}
