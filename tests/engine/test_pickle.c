/*
 * Pickles as Python writes them in every protocol, from tests/golden/make_embeddings.py, and as nobody should.
 */
#include "engine/files/file.h"
#include "engine/files/pickle.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 6, D = 4 };

static double value(int i, int j) { return ((5 * i + 3 * j) % 7 - 3) / 2.0; }

static pickle *open_pickle(const char *name, char **bytes) {
    char path[128];
    size_t size = 0, used = 0;
    error err = {0};
    snprintf(path, sizeof path, "tests/golden/embeddings/pickle/%s.pkl", name);
    *bytes = file_read(path, &size, &err);
    ck_assert_msg(*bytes != NULL, "%s", err.text);
    pickle *p = pickle_parse((const uint8_t *)*bytes, size, path, &used, &err);
    ck_assert_msg(p != NULL, "%s", err.text);
    ck_assert_uint_eq(used, size);
    return p;
}

static void assert_matrix(const pickle_value *v, element_type type) {
    ck_assert_msg(v && v->kind == PICKLE_ARRAY, "no array");
    ck_assert_int_eq(v->array->type, type);
    ck_assert_int_eq(v->array->dims, 2);
    ck_assert_uint_eq(v->array->shape[0], N);
    ck_assert_uint_eq(v->array->shape[1], D);
    for (uint64_t i = 0; i < N; i++)
        for (uint64_t j = 0; j < D; j++)
            ck_assert_double_eq(strided_double(v->array, strided_at(v->array, (uint64_t[]){i, j})),
                                value((int)i, (int)j));
}

START_TEST(test_every_protocol_says_the_same) {
    static const char *const names[] = {"ant", "bee", "größe"};
    char file[8], text[32], *bytes;
    snprintf(file, sizeof file, "%d", _i);
    pickle *p = open_pickle(file, &bytes);
    const pickle_value *root = pickle_root(p);
    assert_matrix(pickle_get(root, "x"), ELEMENT_F32);
    assert_matrix(pickle_get(root, "big"), ELEMENT_F64);
    assert_matrix(pickle_get(root, "columns"), ELEMENT_F16);
    for (size_t i = 0; i < N; i++) {
        uint64_t label;
        ck_assert(pickle_size(pickle_item(pickle_get(root, "y"), i), &label) && label == i % 3);
        ck_assert(pickle_is(pickle_item(pickle_get(root, "names"), i), names[i % 3]));
        ck_assert(pickle_is(pickle_item(pickle_get(root, "objects"), i), names[i % 3]));
        const strided *strings = pickle_get(root, "strings")->array;
        strided_text(strings, strided_at(strings, (uint64_t[]){i}), text, sizeof text);
        ck_assert_str_eq(text, names[i % 3]);
    }
    ck_assert_int_eq(pickle_get(root, "long")->kind, PICKLE_LONG);
    ck_assert_int_eq(pickle_get(root, "negative")->integer, -3);
    ck_assert_int_eq(pickle_get(root, "wide")->integer, INT64_C(1) << 40);
    ck_assert_double_eq(pickle_get(root, "real")->real, 0.1);
    ck_assert_int_eq(pickle_get(root, "none")->kind, PICKLE_NONE);
    ck_assert_int_eq(pickle_item(pickle_get(root, "flags"), 0)->integer, 1);
    ck_assert_int_eq(pickle_item(pickle_get(root, "flags"), 1)->integer, 0);
    ck_assert_int_eq(pickle_get(root, "set")->kind, PICKLE_SET);
    ck_assert_uint_eq(pickle_get(root, "bytes")->size, 2);
    ck_assert_mem_eq(pickle_get(root, "bytes")->bytes, "\0\xff", 2);
    ck_assert_double_eq(pickle_get(root, "scalar")->real, 1.5);
    ck_assert_int_eq(pickle_get(root, "count")->integer, 7);
    ck_assert_int_eq(pickle_get(pickle_get(root, "ordered"), "a")->integer, 1);
    const char *const *globals;
    ck_assert_uint_eq(pickle_globals(p, &globals), 0); /* all that it held is known here */
    pickle_free(p);
    free(bytes);
}
END_TEST

START_TEST(test_strings_of_python_2_are_bytes) {
    char *bytes;
    pickle *p = open_pickle("python2", &bytes);
    const pickle_value *data = pickle_get(pickle_root(p), "data"), *labels = pickle_get(pickle_root(p), "labels");
    ck_assert_int_eq(data->kind, PICKLE_ARRAY);
    ck_assert_int_eq(data->array->type, ELEMENT_U8);
    ck_assert(strided_is_plain(data->array));
    ck_assert_mem_eq(data->array->data, "\1\2\3\xfd\xfe\xff", 6);
    ck_assert_int_eq(pickle_item(labels, 1)->integer, 1);
    pickle_free(p);
    free(bytes);
}
END_TEST

START_TEST(test_nothing_runs_and_what_would_have_is_named) {
    static const char call[] = "cos\nsystem\n(S'touch pwned'\ntR.";
    error err = {0};
    pickle *p = pickle_parse((const uint8_t *)call, sizeof call - 1, "x.pkl", NULL, &err);
    const char *const *globals;
    ck_assert_msg(p != NULL, "%s", err.text);
    ck_assert_int_eq(pickle_root(p)->kind, PICKLE_OBJECT);
    ck_assert_uint_eq(pickle_globals(p, &globals), 1);
    ck_assert_str_eq(globals[0], "os.system");
    pickle_free(p);
}
END_TEST

START_TEST(test_broken_pickles_are_refused_with_their_place) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } cases[] = {
        {"", 0, "ends too early (at byte 0)"},
        {"]", 1, "ends too early"},
        {".", 1, "takes more from its stack than is there"},
        {"(.", 2, "takes more from its stack than is there"},
        {"t.", 2, "closes a bracket that was never opened"},
        {"h\0.", 3, "recalls a value that it never had"},
        {"Nr\xff\xff\xff\xff.", 7, "under a number out of order"},
        {"X\xff\xff\xff\x7f.", 6, "ends too early"},
        {"(K\1d.", 5, "a key and no value"},
        {"K\1K\1a.", 6, "adds items to what is no container"},
        {"K\1K\1R.", 6, "calls what cannot be called"},
        {"\x82\1.", 3, "names classes by numbers"},
        {"\x97.", 2, "keeps its buffers outside of itself"},
        {"?.", 2, "holds a byte that is no opcode"},
        {"I12x\n.", 6, "holds a number that is none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error err = {0};
        ck_assert_ptr_null(pickle_parse((const uint8_t *)cases[i].bytes, cases[i].size, "x.pkl", NULL, &err));
        ck_assert_msg(strstr(err.text, cases[i].words) && strstr(err.text, "x.pkl"), "%s: not %s", err.text,
                      cases[i].words);
    }
}
END_TEST

START_TEST(test_memory_is_bounded_by_the_pickles_size) {
    enum { DOUBLINGS = 3000 }; /* (v, v) of itself, over and over: a tree beyond all memory as a short graph */
    char bytes[2 + 6 * DOUBLINGS], *at = bytes;
    error err = {0};
    *at++ = ']';
    for (int i = 0; i < DOUBLINGS; i++) memcpy(at, "2\x86", 2), at += 2;
    *at++ = '.';
    pickle *p = pickle_parse((const uint8_t *)bytes, (size_t)(at - bytes), "x.pkl", NULL, &err);
    ck_assert_msg(p != NULL, "%s", err.text);
    pickle_free(p);
}
END_TEST

Suite *suite_pickle(void) {
    Suite *s = suite_create("pickle");
    TCase *t = tcase_create("pickle");
    tcase_add_loop_test(t, test_every_protocol_says_the_same, 0, 6);
    tcase_add_test(t, test_strings_of_python_2_are_bytes);
    tcase_add_test(t, test_nothing_runs_and_what_would_have_is_named);
    tcase_add_test(t, test_broken_pickles_are_refused_with_their_place);
    tcase_add_test(t, test_memory_is_bounded_by_the_pickles_size);
    suite_add_tcase(s, t);
    return s;
}
