/* A library that crashes on a file is a damaged file and no crash of ours; what it reads arrives as it was. */
#include "analysis/files/array_guard.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 3000, COLS = 1001 }; /* more than one piece of what is handed over */
static const float plain[] = {1, 2, 3};
static int opened; /* in this process */

static bool open_well(array_box *b, error *err) {
    (void)b, (void)err;
    opened++;
    return true;
}

static bool open_badly(array_box *b, error *err) {
    (void)b, (void)err;
    raise(SIGSEGV);
    return true;
}

static bool load_matrix(array_box *b, size_t which, strided *out, void **memory, error *err) {
    float *x = malloc(sizeof(float) * ROWS * COLS);
    (void)b, (void)which, (void)err;
    for (int i = 0; x && i < ROWS * COLS; i++) x[i] = (float)i;
    *memory = x;
    out->data = (const uint8_t *)(x + 1); /* not where the memory begins */
    return x != NULL;
}

static bool load_in_place(array_box *b, size_t which, strided *out, void **memory, error *err) {
    (void)which, (void)memory, (void)err;
    out->data = b->bytes + sizeof(float);
    return true;
}

/* A library that lost its way: an array that ends behind its file. */
static bool load_beyond(array_box *b, size_t which, strided *out, void **memory, error *err) {
    *out = (strided){.dims = 1, .shape = {4}, .width = sizeof(float), .strides = {sizeof(float)}};
    return load_in_place(b, which, out, memory, err);
}

static bool refuse(array_box *b, size_t which, strided *out, void **memory, error *err) {
    (void)which, (void)out, (void)memory;
    return error_set(err, ERROR_RUN, "%s: nothing in it", b->name);
}

/* Half-way: the memory is there, the reading ends. */
static bool load_badly(array_box *b, size_t which, strided *out, void **memory, error *err) {
    load_matrix(b, which, out, memory, err);
    raise(SIGABRT);
    return true;
}

static bool be_killed(array_box *b, size_t which, strided *out, void **memory, error *err) {
    (void)b, (void)which, (void)out, (void)memory, (void)err;
    raise(SIGKILL);
    return true;
}

typedef bool loader(array_box *b, size_t which, strided *out, void **memory, error *err);

static bool load(loader *l, strided *out, void **memory, error *err) {
    array_format format = {.kind = "a file", .library = "libsome", .open = open_well, .load = l};
    array_offer offer = {.name = "x"};
    array_box b = {.name = "a.file",
                   .bytes = (const uint8_t *)plain,
                   .size = sizeof plain,
                   .format = &format,
                   .offers = &offer,
                   .count = 1};
    *memory = NULL, *out = (strided){0}, *err = (error){0};
    return array_guard_load(&b, 0, out, memory, err);
}

START_TEST(test_what_crashes_at_opening_is_damaged) {
    array_format format = {.kind = "a file", .library = "libsome", .open = open_badly};
    array_box b = {.name = "a.file", .format = &format};
    error err = {0};
    ck_assert(!array_guard_open(&b, &err));
    ck_assert_int_eq(err.code, ERROR_RUN);
    ck_assert_str_eq(err.text, "a.file: is damaged: libsome crashes on it (Segmentation fault)");
    format.open = open_well;
    ck_assert(array_guard_open(&b, &err));
    ck_assert_int_eq(opened, 1);
}
END_TEST

START_TEST(test_what_is_loaded_arrives_as_it_was) {
    strided a;
    void *memory;
    error err;
    ck_assert_msg(load(load_matrix, &a, &memory, &err), "%s", err.text);
    for (int i = 1; i < ROWS * COLS; i++) ck_assert(((const float *)(const void *)a.data)[i - 1] == (float)i);
    ck_assert(a.data == (const uint8_t *)memory + sizeof(float));
    free(memory);
    ck_assert_msg(load(load_in_place, &a, &memory, &err), "%s", err.text);
    ck_assert_ptr_null(memory);
    ck_assert(a.data == (const uint8_t *)&plain[1]);
}
END_TEST

START_TEST(test_what_cannot_be_loaded_is_told) {
    strided a;
    void *memory;
    error err;
    ck_assert(!load(refuse, &a, &memory, &err));
    ck_assert_str_eq(err.text, "a.file: nothing in it");
    ck_assert(!load(load_badly, &a, &memory, &err));
    ck_assert_str_eq(err.text, "a.file: is damaged: libsome crashes on it (Aborted)");
    ck_assert_ptr_null(memory);
    ck_assert(!load(be_killed, &a, &memory, &err));
    ck_assert_str_eq(err.text, "a.file: reading it was killed, as happens when memory runs out");
    ck_assert(!load(load_beyond, &a, &memory, &err));
    ck_assert_str_eq(err.text, "a.file: x is damaged");
}
END_TEST

Suite *suite_guard(void);
Suite *suite_guard(void) {
    Suite *suite = suite_create("guard");
    TCase *tests = tcase_create("guard");
    tcase_add_test(tests, test_what_crashes_at_opening_is_damaged);
    tcase_add_test(tests, test_what_is_loaded_arrives_as_it_was);
    tcase_add_test(tests, test_what_cannot_be_loaded_is_told);
    suite_add_tcase(suite, tests);
    return suite;
}
