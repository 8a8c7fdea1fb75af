/*
 * The diagnosis page and the comparison of several files: whatever the matrix, there is a page that stands alone, with
 * its verdicts and its figures; several files are told apart by the shortest names that do.
 */
#include "analysis/files/npy.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>

/* rows × cols of noise in `rank` directions, and labels 0, 1, 2 in turn. */
static void write_noise(const char *name, size_t rows, size_t cols, size_t rank) {
    char path[160];
    error err = {0};
    float *x = calloc(rows * cols, sizeof *x);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) x[i * cols + j] = (float)rng_normal(&r) * (j < rank ? 1 : 1e-3f);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(npy_write(path, NPY_F32, rows, cols, x, &err), "%s", err.text);
    free(x);
}

static void write_labels(const char *name, size_t rows, int classes) {
    char path[160];
    error err = {0};
    int32_t *y = malloc(rows * sizeof *y);
    ck_assert_ptr_nonnull(y);
    for (size_t i = 0; i < rows; i++) y[i] = (int32_t)i % classes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert(npy_write(path, NPY_I32, rows, 0, y, &err));
    free(y);
}

static char *page(const char *name) {
    char path[160];
    size_t size;
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = file_read(path, &size, &err);
    ck_assert_msg(text != NULL, "%s", err.text);
    return text;
}

static int count(const char *text, const char *what) {
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) found++;
    return found;
}

static void drawn(const char *words, int figures, int cards) {
    char command[512];
    snprintf(command, sizeof command, "diagnose %s --html page.html", words);
    const said *s = mews(command);
    ck_assert_msg(s->code == 0 && !*s->err, "%s: %d %s", words, s->code, s->err);
    char *text = page("page.html");
    ck_assert_int_eq(count(text, "<figure"), figures);
    ck_assert_int_eq(count(text, "<section class=\"card"), cards);
    ck_assert_msg(!strstr(text, "<script") && !strstr(text, "src=\"http") && !strstr(text, "url(") &&
                      !strstr(text, "<link rel=\"stylesheet"),
                  "%s: the page fetches something", words);
    ck_assert(!strstr(text, ">nan") && !strstr(text, " nan") && !strstr(text, "-nan"));
    free(text);
}

START_TEST(test_a_page_holds_a_card_for_each_mode_and_every_figure_there_are_data_for) {
    write_noise("a.npy", 400, 24, 24);
    write_labels("labels.npy", 400, 3);
    write_labels("codes.npy", 400, 8);
    drawn("a.npy", 5, 4); /* spectra, map, heat maps, clusters, mixture */
    drawn("a.npy --labels labels.npy --assignments codes.npy", 5, 4);
}
END_TEST

START_TEST(test_a_matrix_of_any_size_and_state_has_a_page) {
    static const struct {
        size_t rows, cols, rank;
    } sizes[] = {{2, 3, 3}, {1, 4, 4}, {5, 1, 1}, {30, 200, 200}, {40, 6, 0}, {3000, 3, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_noise("a.npy", sizes[i].rows, sizes[i].cols, sizes[i].rank);
        const said *s = mews("diagnose a.npy --html page.html");
        ck_assert_msg(s->code == 0 && !*s->err, "%zu x %zu: %d %s", sizes[i].rows, sizes[i].cols, s->code, s->err);
    }
}
END_TEST

START_TEST(test_a_constant_matrix_has_a_page) {
    float x[60];
    char path[160];
    error err = {0};
    for (int i = 0; i < 60; i++) x[i] = 2;
    snprintf(path, sizeof path, "%s/a.npy", folder);
    ck_assert(npy_write(path, NPY_F32, 20, 3, x, &err));
    const said *s = mews("diagnose a.npy --html page.html");
    ck_assert_msg(s->code == 0 && !*s->err, "%d %s", s->code, s->err);
}
END_TEST

START_TEST(test_a_name_that_looks_like_html_stays_text) {
    write_noise("x<b>&'.npy", 50, 4, 4);
    const said *s = mews("diagnose \"x<b>&'.npy\" --html page.html");
    ck_assert_msg(s->code == 0, "%s", s->err);
    char *text = page("page.html");
    ck_assert_ptr_nonnull(strstr(text, "x&lt;b&gt;&amp;&#39;.npy"));
    ck_assert_ptr_null(strstr(text, "x<b>"));
    free(text);
}
END_TEST

START_TEST(test_several_files_are_compared_in_a_table_a_page_and_json) {
    shell("mkdir -p runs/one runs/two");
    write_noise("runs/one/embeddings.npy", 300, 16, 16);
    write_noise("runs/two/embeddings.npy", 200, 24, 2);
    write_labels("labels.npy", 300, 3);
    drawn("runs/one/embeddings.npy runs/two/embeddings.npy", 6, 8);
    const said *s = mews("diagnose runs/one/embeddings.npy runs/two/embeddings.npy");
    ck_assert_msg(strstr(s->out, "\none  healthy ") && strstr(s->out, "\ntwo  healthy           collapsed "), "%s",
                  s->out);
    ck_assert_ptr_nonnull(strstr(s->out, "\none   300       16 "));
    char path[128];
    mews("diagnose runs/one/embeddings.npy runs/two/embeddings.npy --json");
    snprintf(path, sizeof path, "%s/out", folder);
    json_t *list = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "name")), "two");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "d")), 24);
    json_decref(list);
    s = mews("diagnose runs/one/embeddings.npy runs/two/embeddings.npy --fail-on dimensional");
    ck_assert_int_eq(s->code, 3);
    ck_assert_ptr_nonnull(strstr(s->err, "mews: runs/two/embeddings.npy: collapsed: dimensional\n"));
}
END_TEST

START_TEST(test_a_run_shows_since_when_it_is_collapsed) {
    shell("mkdir -p run; printf '{\"spec\":{\"method.name\":\"falcon\",\"data.name\":\"shapes\",\"train.epochs\":3}}' >"
          "run/run.json; for e in 1 2 3; do v=healthy; s=0.9; test $e = 1 || { v=collapsed; s=0.1; }; printf "
          "'{\"step\":%d,\"epoch\":%d,\"loss\":1.%d}\\n{\"step\":%d,\"epoch\":%d,\"collapse\":{\"rows\":64,"
          "\"dimensional\":{\"verdict\":\"%s\",\"statistic\":%s,\"expected\":1,\"threshold_warning\":0.5,"
          "\"threshold_collapsed\":0.25}}}\\n' $e $e $e $e $e $v $s; done >run/metrics.jsonl");
    write_noise("run/embeddings.npy", 200, 24, 2);
    drawn("run", 6, 4);
    char *text = page("page.html");
    ck_assert_ptr_nonnull(strstr(text, "<b>Since epoch 2</b>"));
    ck_assert_ptr_nonnull(strstr(text, "dimensional, from 2"));
    ck_assert_ptr_nonnull(strstr(text, "falcon on shapes, 3 epochs."));
    free(text);
    ck_assert_ptr_nonnull(strstr(mews("diagnose run")->out, "; since epoch 2\n"));
}
END_TEST

START_TEST(test_what_cannot_be_compared_or_written_is_one_line) {
    write_noise("a.npy", 50, 4, 4);
    refused("diagnose a.npy a.npy --assignments codes.npy", "--assignments is of one file; 2 were named");
    refused("diagnose - - </dev/null", "standard input (`-`) can be only one of the files");
    refused("diagnose $(seq 61)", "`61` is one word too many for `mews diagnose`");
    const said *s = mews("diagnose a.npy --html nowhere/page.html");
    ck_assert_int_eq(s->code, 1);
    ck_assert_ptr_nonnull(strstr(s->err, "mews: cannot write nowhere/page.html"));
}
END_TEST

/* A set of embeddings NAME-1.csv … NAME-COUNT.csv, of fewer directions each. */
static void write_series(const char *name, int count) {
    char command[600];
    snprintf(
        command, sizeof command,
        "for e in $(seq %d); do awk -v e=$e 'BEGIN { srand(e); for (i = 0; i < 120; i++) { line = \"\"; for (k = 0; k "
        "< 6; k++) line = line (k ? \",\" : \"\") (rand() - 0.5) * (k * e > 12 ? 0.001 : 1); print line } }' "
        ">%s-$e.csv; done",
        count, name);
    shell(command);
}

static char *page_text(const char *name) {
    static char text[1 << 22];
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

START_TEST(test_files_that_differ_in_one_number_are_a_series_in_its_order) {
    write_series("epoch", 13);
    const said *s = mews("diagnose epoch-*.csv --html series.html");
    ck_assert_msg(s->code == 0, "%s", s->err);
    const char *page = page_text("series.html");
    ck_assert_ptr_nonnull(strstr(page, "One thing at 13 times: verdicts and ranks over epoch"));
    const char *second = strstr(page, ">epoch-2.csv<"), *tenth = strstr(page, ">epoch-10.csv<");
    ck_assert(second && tenth && second < tenth); /* the shell had them the other way round */
    s = mews("diagnose epoch-1.csv epoch-2.csv --html pair.html");
    ck_assert_int_eq(s->code, 0);
    ck_assert_ptr_null(strstr(page_text("pair.html"), "One thing at"));
    shell("mv epoch-3.csv other.csv");
    s = mews("diagnose *.csv --html many.html");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "13 files are too many to tell apart on one page, at most 12"));
}
END_TEST

Suite *suite_diagnosis_page(void) {
    Suite *s = suite_create("diagnosis_page");
    TCase *t = tcase_create("diagnosis");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_a_page_holds_a_card_for_each_mode_and_every_figure_there_are_data_for);
    tcase_add_test(t, test_a_matrix_of_any_size_and_state_has_a_page);
    tcase_add_test(t, test_a_constant_matrix_has_a_page);
    tcase_add_test(t, test_a_name_that_looks_like_html_stays_text);
    tcase_add_test(t, test_several_files_are_compared_in_a_table_a_page_and_json);
    tcase_add_test(t, test_a_run_shows_since_when_it_is_collapsed);
    tcase_add_test(t, test_what_cannot_be_compared_or_written_is_one_line);
    tcase_add_test(t, test_files_that_differ_in_one_number_are_a_series_in_its_order);
    suite_add_tcase(s, t);
    return s;
}
