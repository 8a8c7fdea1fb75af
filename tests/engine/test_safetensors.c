#include "engine/files/file.h"
#include "engine/files/safetensors.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void setup(void) { scratch_file(path); }

static void teardown(void) { unlink(path); }

/* Opens a file of this header (its length may be lied about) and `space` bytes 0, 1, 2, … of data. */
static safetensors *open_made(const char *header, uint64_t claimed, size_t space, error *err) {
    size_t length = strlen(header);
    uint8_t *bytes = calloc(1, 8 + length + space);
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(claimed >> 8 * i);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < space; i++) bytes[8 + length + i] = (uint8_t)i;
    *err = (error){0};
    ck_assert(file_write(path, bytes, 8 + length + space, err));
    free(bytes);
    return safetensors_open(path, err);
}

static void refused_length(const char *header, uint64_t claimed, size_t space, const char *because) {
    error err;
    ck_assert_ptr_null(open_made(header, claimed, space, &err));
    ck_assert_int_eq(err.code, ERROR_RUN);
    ck_assert_msg(strstr(err.text, because) && strstr(err.text, path), "%s", err.text);
}

static void refused(const char *header, size_t space, const char *because) {
    refused_length(header, strlen(header), space, because);
}

START_TEST(test_what_is_written_reads_back) {
    error err = {0};
    float f[6] = {1, -2, 0.5f, 3e-30f, 4, INFINITY};
    double d = 0.1;
    int64_t i[2] = {-5, 1ll << 40};
    safetensors_item items[] = {{"z.weight", ST_F32, 2, {2, 3}, f},
                                {"a", ST_F64, 0, {0}, &d},
                                {"m", ST_I64, 1, {2}, i},
                                {"none", ST_F32, 1, {0}, NULL}};
    const char *metadata[] = {"step", "17", "name", "größe \"x\"", NULL};
    ck_assert(safetensors_write(path, items, 4, metadata, &err));
    safetensors *st = safetensors_open(path, &err);
    ck_assert_msg(st, "%s", err.text);
    ck_assert_uint_eq(safetensors_count(st), 4);
    ck_assert_str_eq(safetensors_at(st, 0)->name, "a");
    ck_assert_str_eq(safetensors_at(st, 3)->name, "z.weight");
    const safetensors_entry *e = safetensors_find(st, "z.weight");
    ck_assert_int_eq(e->dims, 2);
    ck_assert_uint_eq(e->shape[1], 3);
    ck_assert_mem_eq(e->data, f, sizeof f);
    ck_assert_ptr_null(safetensors_find(st, "b"));
    ck_assert_str_eq(safetensors_metadata(st, "name"), "größe \"x\"");
    ck_assert_ptr_null(safetensors_metadata(st, "other"));
    float back[6];
    double two[2];
    ck_assert(safetensors_read_float(st, "z.weight", back, 6, &err));
    ck_assert_mem_eq(back, f, sizeof f);
    ck_assert(safetensors_read_double(st, "m", two, 2, &err));
    ck_assert_double_eq(two[0], -5);
    ck_assert_double_eq(two[1], (double)(1ll << 40));
    ck_assert(!safetensors_read_float(st, "z.weight", back, 5, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "tensor `z.weight` holds 6 elements, not 5"));
    err = (error){0};
    ck_assert(!safetensors_read_float(st, "y", back, 6, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "no tensor `y`"));
    safetensors_close(st);
}
END_TEST

START_TEST(test_data_begins_at_a_multiple_of_eight) {
    error err = {0};
    float f = 1;
    for (size_t extra = 0; extra < 9; extra++) {
        char name[16] = "";
        memset(name, 'x', extra + 1);
        safetensors_item item = {name, ST_F32, 1, {1}, &f};
        ck_assert(safetensors_write(path, &item, 1, NULL, &err));
        size_t size;
        char *a = file_read(path, &size, &err);
        ck_assert_uint_eq((uint8_t)a[0] % 8, 0);
        free(a);
    }
}
END_TEST

START_TEST(test_halves_convert_exactly) {
    error err = {0};
    const uint16_t half[] = {0x3555, 0xc000, 0x0001, 0x7c00}, brain[] = {0x3eab};
    safetensors_item items[] = {{"half", ST_F16, 1, {4}, half}, {"brain", ST_BF16, 1, {1}, brain}};
    ck_assert(safetensors_write(path, items, 2, NULL, &err));
    safetensors *st = safetensors_open(path, &err);
    ck_assert_msg(st, "%s", err.text);
    double h[4], b;
    ck_assert(safetensors_read_double(st, "half", h, 4, &err));
    ck_assert_double_eq(h[0], 0.333251953125);
    ck_assert_double_eq(h[1], -2);
    ck_assert_double_eq(h[2], ldexp(1, -24));
    ck_assert(isinf(h[3]));
    ck_assert(safetensors_read_double(st, "brain", &b, 1, &err));
    ck_assert_double_eq(b, 0.333984375);
    safetensors_close(st);
}
END_TEST

#define TENSOR(name, dtype, shape, from, to)                                                                           \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #from "," #to "]}"

START_TEST(test_headers_that_lie_about_their_length_are_refused) {
    const char *good = "{" TENSOR("a", "U8", "4", 0, 4) "}";
    error err;
    safetensors *st = open_made(good, strlen(good), 4, &err);
    ck_assert_msg(st, "%s", err.text);
    safetensors_close(st);
    refused_length(good, strlen(good) + 5, 4, "header claims");
    refused_length(good, UINT64_MAX, 4, "header claims");
    refused_length(good, UINT64_MAX - 7, 4, "header claims");
    refused_length(good, strlen(good) - 1, 4, "bad safetensors header");
    ck_assert(file_write(path, "1234567", 7, &err));
    ck_assert_ptr_null(safetensors_open(path, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "too short"));
    err = (error){0};
    ck_assert(file_write(path, "", 0, &err));
    ck_assert_ptr_null(safetensors_open(path, &err));
}
END_TEST

START_TEST(test_headers_over_100_megabytes_are_refused) {
    error err = {0};
    const uint64_t length = (100u << 20) + 1;
    ck_assert(file_write(path, &length, 8, &err));
    ck_assert_int_eq(truncate(path, (off_t)length + 8), 0);
    ck_assert_ptr_null(safetensors_open(path, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "header claims 104857601 bytes"));
}
END_TEST

START_TEST(test_bad_json_is_refused) {
    refused("[]", 0, "not an object");
    refused("nonsense", 0, "bad safetensors header");
    refused("{" TENSOR("a", "U8", "2", 0, 2) "," TENSOR("a", "U8", "2", 2, 4) "}", 4,
            "leaves a hole before it"); /* of equal names the last counts */
    refused("{\"a\":3}", 0, "`a` has no dtype");
    refused("{\"a\":{\"dtype\":\"F33\"}}", 0, "no shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}", 0, "no shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "no data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0]}}", 0, "no data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0.0]}}", 0, "no data_offsets");
}
END_TEST

START_TEST(test_shapes_that_overflow_or_do_not_fit_are_refused) {
    refused("{" TENSOR("a", "F32", "4294967296,4294967296", 0, 0) "}", 0, "beyond all memory");
    refused("{" TENSOR("a", "F64", "2305843009213693952", 0, 0) "}", 0, "beyond all memory");
    refused("{" TENSOR("a", "U8", "-1", 0, 4) "}", 4, "not a size");
    refused("{" TENSOR("a", "U8", "2.0", 0, 2) "}", 2, "not a size");
    refused("{" TENSOR("a", "F32", "2", 0, 4) "}", 4, "does not fit its bytes");
    refused("{" TENSOR("a", "U8", "2", 0, 4) "}", 4, "does not fit its bytes");
}
END_TEST

START_TEST(test_a_tensor_that_is_not_read_is_no_fault_of_its_neighbours) {
    safetensors *st;
    error err = {0};
    float value;
    static const char header[] = "{" TENSOR("a", "F33", "3", 0, 5) "," TENSOR("b", "C64", "1", 5, 13) "," TENSOR(
        "c", "U8", "1,1,1,1,1,1,1,1,1", 13, 14) "," TENSOR("d", "U8", "1", 14, 15) "}";
    st = open_made(header, strlen(header), 15, &err);
    ck_assert_msg(st != NULL, "%s", err.text);
    ck_assert_str_eq(safetensors_find(st, "a")->unread, "F33");
    ck_assert_uint_eq(safetensors_find(st, "a")->bytes, 5);
    ck_assert_str_eq(safetensors_find(st, "b")->unread, "C64");
    ck_assert_str_eq(safetensors_find(st, "c")->unread, "more than 8 dimensions");
    ck_assert(safetensors_read_float(st, "d", &value, 1, &err) && value == 14);
    ck_assert(!safetensors_read_float(st, "b", &value, 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "tensor `b` is of C64, which is not read"));
    safetensors_close(st);
}
END_TEST

START_TEST(test_offsets_outside_overlapping_or_with_holes_are_refused) {
    refused("{" TENSOR("a", "U8", "4", 0, 4) "}", 3, "outside the file");
    refused("{" TENSOR("a", "U8", "4", 4, 0) "}", 4, "outside the file");
    refused("{" TENSOR("a", "U8", "1", 9223372036854775806, 9223372036854775807) "}", 4, "outside the file");
    refused("{" TENSOR("a", "U8", "4", 0, 4) "," TENSOR("b", "U8", "4", 2, 6) "}", 6, "`b` overlaps");
    refused("{" TENSOR("a", "U8", "4", 0, 4) "," TENSOR("b", "U8", "4", 0, 4) "}", 4, "overlaps");
    refused("{" TENSOR("a", "U8", "2", 0, 2) "," TENSOR("b", "U8", "2", 4, 6) "}", 6, "`b` overlaps another or leaves");
    refused("{" TENSOR("a", "U8", "2", 1, 3) "}", 3, "leaves a hole");
    refused("{" TENSOR("a", "U8", "2", 0, 2) "}", 3, "bytes after the last tensor");
    refused("{}", 1, "bytes after the last tensor");
}
END_TEST

START_TEST(test_two_tensors_of_one_name_are_not_written) {
    error err = {0};
    float f = 1;
    safetensors_item items[] = {{"a", ST_F32, 1, {1}, &f}, {"a", ST_F32, 1, {1}, &f}};
    ck_assert(!safetensors_write(path, items, 2, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "two tensors are called `a`"));
}
END_TEST

Suite *suite_safetensors(void) {
    Suite *suite = suite_create("safetensors");
    TCase *tests = tcase_create("safetensors");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_what_is_written_reads_back);
    tcase_add_test(tests, test_data_begins_at_a_multiple_of_eight);
    tcase_add_test(tests, test_halves_convert_exactly);
    tcase_add_test(tests, test_headers_that_lie_about_their_length_are_refused);
    tcase_add_test(tests, test_headers_over_100_megabytes_are_refused);
    tcase_add_test(tests, test_bad_json_is_refused);
    tcase_add_test(tests, test_shapes_that_overflow_or_do_not_fit_are_refused);
    tcase_add_test(tests, test_a_tensor_that_is_not_read_is_no_fault_of_its_neighbours);
    tcase_add_test(tests, test_offsets_outside_overlapping_or_with_holes_are_refused);
    tcase_add_test(tests, test_two_tensors_of_one_name_are_not_written);
    suite_add_tcase(suite, tests);
    return suite;
}
