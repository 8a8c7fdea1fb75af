/*
 * .npy files as NumPy writes them (bytes spelled out here), and as nobody should.
 */
#include "analysis/files/npy.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file of version 1 or 2 with this header text and data; returns its size. */
static size_t make_file(uint8_t *out, int version, const char *header, const void *data, size_t size) {
    size_t length = strlen(header), start = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version, out[7] = 0;
    out[8] = (uint8_t)(length & 255), out[9] = (uint8_t)(length >> 8);
    if (version > 1) out[10] = out[11] = 0;
    memcpy(out + start, header, length);
    if (size) memcpy(out + start + length, data, size);
    return start + length + size;
}

static bool parse(npy *a, const char *header, const void *data, size_t size, error *err) {
    static uint8_t file[4096]; /* the array points into it until the next call */
    return npy_parse(a, file, make_file(file, 1, header, data, size), "x.npy", err);
}

static void assert_refused(const char *header, size_t size, const char *words) {
    static const char zeros[512];
    npy a;
    error err = {0};
    ck_assert_msg(!parse(&a, header, zeros, size, &err), "accepted: %s", header);
    ck_assert_int_eq(err.code, ERROR_RUN);
    ck_assert_msg(strstr(err.text, words) && strstr(err.text, "x.npy"), "'%s' does not say '%s'", err.text, words);
}

START_TEST(test_row_major_floats_read_as_they_stand) {
    const float data[6] = {1, 2, 3, 4, 5, 6.5f};
    float out[4];
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", data, sizeof data, &err));
    ck_assert_uint_eq(a.rows, 3);
    ck_assert_uint_eq(a.cols, 2);
    npy_read_float(&a, 1, 2, out);
    ck_assert_float_eq(out[0], 3);
    ck_assert_float_eq(out[3], 6.5f);
}
END_TEST

START_TEST(test_fortran_order_is_transposed_on_reading) {
    const double data[6] = {1, 3, 5, 2, 4, 6};
    double out[6];
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{\"shape\":(3,2),\"descr\":\"<f8\",\"fortran_order\":True}", data, sizeof data, &err));
    npy_read_double(&a, 0, 3, out);
    for (int i = 0; i < 6; i++) ck_assert_double_eq(out[i], i + 1);
}
END_TEST

START_TEST(test_big_endian_integers_are_turned_round) {
    const uint8_t data[4] = {0xFF, 0xFE, 0x01, 0x00}; /* −2 and 256 */
    int64_t out[2];
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", data, sizeof data, &err));
    ck_assert_int_eq(a.array.dims, 1);
    ck_assert(npy_read_int(&a, 0, 2, out, &err));
    ck_assert_int_eq(out[0], -2);
    ck_assert_int_eq(out[1], 256);
}
END_TEST

START_TEST(test_half_floats_keep_their_special_values) {
    const uint16_t data[6] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x7E00, 0x3555};
    double out[6];
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{'descr': '<f2', 'fortran_order': False, 'shape': (6, 1), }", data, sizeof data, &err));
    npy_read_double(&a, 0, 6, out);
    ck_assert_double_eq(out[0], 1);
    ck_assert_double_eq(out[1], -2);
    ck_assert_double_eq(out[2], ldexp(1, -24));
    ck_assert(isinf(out[3]) && isnan(out[4]));
    ck_assert_double_eq(out[5], 1365 * ldexp(1, -12));
}
END_TEST

START_TEST(test_large_integers_survive_and_too_large_ones_are_named) {
    const uint64_t data[2] = {(1ull << 53) + 1, ~0ull};
    int64_t out[2];
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{'descr': '<u8', 'fortran_order': False, 'shape': (2,), }", data, sizeof data, &err));
    ck_assert(npy_read_int(&a, 0, 1, out, &err));
    ck_assert_int_eq(out[0], (1ll << 53) + 1);
    ck_assert(!npy_read_int(&a, 0, 2, out, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "row 1 holds 18446744073709551615"));
}
END_TEST

START_TEST(test_floats_are_no_integers) {
    const float data[1] = {1};
    int64_t out;
    npy a;
    error err = {0};
    ck_assert(parse(&a, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", data, sizeof data, &err));
    ck_assert(!npy_read_int(&a, 0, 1, &out, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "integers are expected"));
}
END_TEST

START_TEST(test_hostile_headers_are_refused_by_name) {
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 20, "is cut short");
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 28, "bytes after its array");
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }", 0, "other than a size");
    assert_refused("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0, "overflows");
    assert_refused("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }", 0,
                   "other than a size");
    assert_refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, "holds records");
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4,
                   "more than 8 dimensions");
    assert_refused("{'descr': '<f4', 'shape': (1,), }", 4, "lacks 'fortran_order'");
    assert_refused("{'descr': '<f4', 'fortran_order': None, 'shape': (1,), }", 4, "neither True nor False");
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "unknown key 'x'");
    assert_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, "not closed");
    assert_refused("__import__('os')", 0, "not a dictionary");
}
END_TEST

START_TEST(test_types_that_are_not_read_are_told_beside_their_shape) {
    static const struct {
        const char *descr, *words;
        size_t size;
    } types[] = {{"|O", "a pickle", 8},
                 {"<c16", "complex numbers", 96},
                 {"<f16", "float64 and shorter", 96},
                 {"|V7", "records", 42}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[96], zeros[512] = {0};
        npy a;
        error err = {0};
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3, 1), }",
                 types[i].descr);
        ck_assert_msg(parse(&a, header, zeros, types[i].size, &err), "%s", err.text);
        ck_assert_msg(strstr(a.problem, types[i].words) && strstr(a.problem, types[i].descr), "%s", a.problem);
        ck_assert_int_eq(a.array.dims, 3);
        ck_assert_uint_eq(a.array.shape[1], 3);
    }
}
END_TEST

START_TEST(test_wrong_magic_version_and_header_length_are_refused) {
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }";
    uint8_t file[256];
    npy a;
    error err = {0};
    size_t size = make_file(file, 2, header, NULL, 0);
    ck_assert(npy_parse(&a, file, size, "x.npy", &err)); /* version 2, and an array of nothing, are fine */
    for (size_t cut = 0; cut < size; cut++) {
        error why = {0};
        ck_assert(!npy_parse(&a, file, cut, "x.npy", &why));
    }
    file[11] = 0x7F;
    ck_assert(!npy_parse(&a, file, size, "x.npy", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "claims a header"));
    file[11] = 0, file[6] = 9, err = (error){0};
    ck_assert(!npy_parse(&a, file, size, "x.npy", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "version 9"));
    file[0] = 'P', err = (error){0};
    ck_assert(!npy_parse(&a, file, size, "x.npy", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is not an .npy file"));
}
END_TEST

START_TEST(test_what_is_written_reads_back) {
    char folder[SCRATCH], path[64];
    const int32_t labels[3] = {7, -1, 2000000000};
    const float matrix[6] = {0, 1, 2, 3, 4, 5};
    int64_t back[3];
    float floats[6];
    npy a;
    error err = {0};
    scratch_folder(folder);
    snprintf(path, sizeof path, "%s/a.npy", folder);
    ck_assert(npy_write(path, NPY_I32, 3, 0, labels, &err));
    ck_assert_msg(npy_open(&a, path, &err), "%s", err.text);
    ck_assert_int_eq(a.array.dims, 1);
    ck_assert_uint_eq((uintptr_t)a.array.data % 64, 0);
    ck_assert(npy_read_int(&a, 0, 3, back, &err));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(back[i], labels[i]);
    npy_close(&a);
    ck_assert(npy_write(path, NPY_F32, 2, 3, matrix, &err));
    ck_assert(npy_open(&a, path, &err));
    ck_assert_int_eq(a.array.dims, 2);
    npy_read_float(&a, 0, 2, floats);
    ck_assert_mem_eq(floats, matrix, sizeof matrix);
    npy_close(&a);
    unlink(path);
    rmdir(folder);
}
END_TEST

Suite *suite_npy(void) {
    Suite *s = suite_create("npy");
    TCase *t = tcase_create("npy");
    tcase_add_test(t, test_row_major_floats_read_as_they_stand);
    tcase_add_test(t, test_fortran_order_is_transposed_on_reading);
    tcase_add_test(t, test_big_endian_integers_are_turned_round);
    tcase_add_test(t, test_half_floats_keep_their_special_values);
    tcase_add_test(t, test_large_integers_survive_and_too_large_ones_are_named);
    tcase_add_test(t, test_floats_are_no_integers);
    tcase_add_test(t, test_hostile_headers_are_refused_by_name);
    tcase_add_test(t, test_types_that_are_not_read_are_told_beside_their_shape);
    tcase_add_test(t, test_wrong_magic_version_and_header_length_are_refused);
    tcase_add_test(t, test_what_is_written_reads_back);
    suite_add_tcase(s, t);
    return s;
}
