#include "engine/fields.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct sample {
    bool symmetric;
    int64_t codes;
    double beta, free;
    int projector;
    unsigned metrics;
    char path[FIELD_TEXT_SIZE];
} sample;

static const char *const projectors[] = {"l2", "tanh", NULL};
static const char *const metrics[] = {"linear", "knn", "kmeans", NULL};
static const field rows[] = {
    {"symmetric", FIELD_BOOL, offsetof(sample, symmetric), "true", 0, 0, NULL, true, "both orders"},
    {"codes", FIELD_INT, offsetof(sample, codes), "2048", 1, 1 << 20, NULL, true, "codes"},
    {"beta", FIELD_REAL, offsetof(sample, beta), "1.0", 0, INFINITY, NULL, true, "weight"},
    {"free", FIELD_REAL, offsetof(sample, free), "0.1", 0, 0, NULL, true, "any"},
    {"projector", FIELD_CHOICE, offsetof(sample, projector), "tanh", 0, 0, projectors, true, "output"},
    {"metrics", FIELD_SET, offsetof(sample, metrics), "[linear, kmeans]", 0, 0, metrics, false, "what"},
    {"path", FIELD_TEXT, offsetof(sample, path), "", 0, 0, NULL, false, "where"},
};
static const field_table table = {"method", rows, sizeof rows / sizeof *rows, sizeof(sample)};

static const char *refusal(const char *key, const char *text) {
    static error err;
    err = (error){0};
    sample s;
    fields_defaults(&table, &s);
    ck_assert(!field_parse(&table, fields_find(&table, key), &s, text, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    return err.text;
}

static sample with(const char *key, const char *text) {
    error err = {0};
    sample s;
    fields_defaults(&table, &s);
    ck_assert_msg(field_parse(&table, fields_find(&table, key), &s, text, &err), "%s", err.text);
    return s;
}

START_TEST(test_defaults_are_what_the_rows_say) {
    sample s;
    fields_defaults(&table, &s);
    ck_assert(s.symmetric);
    ck_assert_int_eq(s.codes, 2048);
    ck_assert_double_eq(s.beta, 1.0);
    ck_assert_int_eq(s.projector, 1);
    ck_assert_uint_eq(s.metrics, 1u | 4u);
    ck_assert_str_eq(s.path, "");
}
END_TEST

START_TEST(test_text_becomes_the_option_it_says) {
    ck_assert(!with("symmetric", "no").symmetric);
    ck_assert_int_eq(with("codes", "64").codes, 64);
    ck_assert_double_eq(with("beta", "2.5e-1").beta, 0.25);
    ck_assert_double_eq(with("free", "-7").free, -7);
    ck_assert_int_eq(with("projector", "l2").projector, 0);
    ck_assert_uint_eq(with("metrics", "knn,linear").metrics, 3);
    ck_assert_uint_eq(with("metrics", "[knn, kmeans]").metrics, 6);
    ck_assert_uint_eq(with("metrics", "[]").metrics, 0);
    ck_assert_str_eq(with("path", "/a b/\"c\"").path, "/a b/\"c\"");
}
END_TEST

START_TEST(test_refusals_say_what_the_key_takes) {
    ck_assert_str_eq(refusal("codes", "many"), "`method.codes` takes an integer from 1 to 1048576, not `many`");
    ck_assert_str_eq(refusal("codes", "0"), "`method.codes` takes an integer from 1 to 1048576, not `0`");
    ck_assert_str_eq(refusal("codes", "1e3"), "`method.codes` takes an integer from 1 to 1048576, not `1e3`");
    ck_assert_str_eq(refusal("codes", "99999999999999999999"),
                     "`method.codes` takes an integer from 1 to 1048576, not `99999999999999999999`");
    ck_assert_str_eq(refusal("beta", "-1"), "`method.beta` takes a number of at least 0, not `-1`");
    ck_assert_str_eq(refusal("beta", "nan"), "`method.beta` takes a number of at least 0, not `nan`");
    ck_assert_str_eq(refusal("free", "1e999"), "`method.free` takes a number, not `1e999`");
    ck_assert_str_eq(refusal("free", ""), "`method.free` takes a number, not ``");
    ck_assert_str_eq(refusal("symmetric", "maybe"), "`method.symmetric` takes true or false, not `maybe`");
    ck_assert_str_eq(refusal("projector", "tahn"), "`method.projector` does not know `tahn`; did you mean `tanh`?");
    ck_assert_str_eq(refusal("projector", "relu6"), "`method.projector` takes one of: l2, tanh, not `relu6`");
    ck_assert_str_eq(refusal("metrics", "[knn, kmean]"),
                     "`method.metrics` does not know `kmean`; did you mean `kmeans`?");
    char text[FIELD_TEXT_SIZE + 1];
    memset(text, 'x', FIELD_TEXT_SIZE);
    text[FIELD_TEXT_SIZE] = '\0';
    ck_assert_str_eq(refusal("path", text), "`method.path` takes at most 1023 letters, not 1024");
}
END_TEST

START_TEST(test_an_unknown_key_gets_the_nearest_one) {
    error err = {0};
    ck_assert_ptr_null(fields_require(&table, "code", &err));
    ck_assert_str_eq(err.text, "unknown key `method.code`; did you mean `method.codes`?");
    err = (error){0};
    ck_assert_ptr_null(fields_require(&table, "temperature", &err));
    ck_assert_str_eq(err.text, "unknown key `method.temperature`; `mews keys method` lists what there is");
    ck_assert_int_eq(err.code, ERROR_USAGE);
}
END_TEST

START_TEST(test_numbers_are_written_short_and_read_back_to_the_same_bits) {
    const double values[] = {0, 1, -2, 0.1, 1e-4, 1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789, 1e22, 2.5e-8};
    char out[64], back[64];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        sample s = {.free = values[i]};
        field_format(fields_find(&table, "free"), &s, out, sizeof out);
        ck_assert_ptr_nonnull(strchr(out, '.'));
        sample t = with("free", out);
        ck_assert_mem_eq(&t.free, &values[i], sizeof(double));
        ck_assert_str_eq(field_format(fields_find(&table, "free"), &t, back, sizeof back), out);
    }
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = 1e-4}, out, sizeof out), "0.0001");
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = 1e-8}, out, sizeof out), "1.0e-8");
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = 1}, out, sizeof out), "1.0");
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = 20}, out, sizeof out), "20.0");
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = -1200}, out, sizeof out), "-1200.0");
    ck_assert_str_eq(field_format(fields_find(&table, "free"), &(sample){.free = 2e6}, out, sizeof out), "2.0e+6");
}
END_TEST

START_TEST(test_every_default_is_written_as_it_reads) {
    sample s;
    char out[FIELD_TEXT_SIZE];
    fields_defaults(&table, &s);
    for (size_t i = 0; i < table.count; i++)
        ck_assert_str_eq(field_format(&rows[i], &s, out, sizeof out), rows[i].fallback);
}
END_TEST

START_TEST(test_domains_are_said_in_words) {
    char out[128];
    ck_assert_str_eq(field_domain(&rows[0], out, sizeof out), "true or false");
    ck_assert_str_eq(field_domain(&rows[1], out, sizeof out), "integer from 1 to 1048576");
    ck_assert_str_eq(field_domain(&rows[2], out, sizeof out), "number of at least 0");
    ck_assert_str_eq(field_domain(&rows[3], out, sizeof out), "number");
    ck_assert_str_eq(field_domain(&rows[4], out, sizeof out), "one of: l2, tanh");
    ck_assert_str_eq(field_domain(&rows[5], out, sizeof out), "any of: linear, knn, kmeans");
    char narrow[12];
    ck_assert_str_eq(field_domain(&rows[4], narrow, sizeof narrow), "one of: l2,");
}
END_TEST

Suite *suite_fields(void) {
    Suite *suite = suite_create("fields");
    TCase *tests = tcase_create("fields");
    tcase_add_test(tests, test_defaults_are_what_the_rows_say);
    tcase_add_test(tests, test_text_becomes_the_option_it_says);
    tcase_add_test(tests, test_refusals_say_what_the_key_takes);
    tcase_add_test(tests, test_an_unknown_key_gets_the_nearest_one);
    tcase_add_test(tests, test_numbers_are_written_short_and_read_back_to_the_same_bits);
    tcase_add_test(tests, test_every_default_is_written_as_it_reads);
    tcase_add_test(tests, test_domains_are_said_in_words);
    suite_add_tcase(suite, tests);
    return suite;
}
