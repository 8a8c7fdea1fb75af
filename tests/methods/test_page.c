/*
 * The page that shows how to write a method keeps its word: its C block, with its line in the registry, is linked into
 * a program of its own when the tests are built ($MEWS-page beside $MEWS), and its YAML block is trained here by that
 * program, a few steps on a narrow backbone. Nothing is copied by hand.
 */
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>

/* The program with the page's method stands beside the ordinary one. */
static void setup(void) {
    char target[PATH_MAX];
    program_setup();
    ck_assert_ptr_nonnull(realpath(program, target));
    snprintf(program, sizeof program, "%.1000s-page", target);
    ck_assert_msg(access(program, X_OK) == 0, "%s is not there: run `make test`", program);
}

/* The page's block between "```<language>" and "```". */
static char *block_of_page(const char *language) {
    static char page[65536];
    char fence[16];
    FILE *file = fopen("methods/README.md", "r");
    ck_assert_ptr_nonnull(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    snprintf(fence, sizeof fence, "\n```%s\n", language);
    char *start = strstr(page, fence), *end = start ? strstr(start + strlen(fence), "\n```") : NULL;
    ck_assert_msg(end != NULL, "methods/README.md has no %s block", language);
    end[1] = '\0';
    return start + strlen(fence);
}

/* Loss on the first and on the last line of a run's history. */
static void losses_of(const char *id, double *first, double *last) {
    char path[512], line[4096];
    snprintf(path, sizeof path, "%s/results/first/%s/metrics.jsonl", folder, id);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    *first = *last = NAN;
    while (fgets(line, sizeof line, file)) {
        json_t *root = json_loads(line, 0, NULL), *loss = json_object_get(root, "loss");
        if (loss && isnan(*first)) *first = json_number_value(loss);
        if (loss) *last = json_number_value(loss);
        if (loss) ck_assert_ptr_nonnull(json_object_get(root, "uniform")); /* the parts that the method reports */
        json_decref(root);
    }
    fclose(file);
}

START_TEST(test_the_method_of_the_page_is_known_to_the_program) {
    ck_assert_ptr_nonnull(strstr(mews("methods")->out, "\nalign_uniform "));
    ck_assert_ptr_nonnull(strstr(mews("keys method")->out, "method of align_uniform"));
}
END_TEST

START_TEST(test_the_method_of_the_page_trains_as_the_page_says) {
    error err = {0};
    char path[128];
    const char *spec = block_of_page("yaml");
    snprintf(path, sizeof path, "%s/first.yaml", folder);
    ck_assert(file_write(path, spec, strlen(spec), &err));
    const said *s = mews("sweep first.yaml --set backbone.width=4 --set data.limit=256 --set train.batch=64 "
                         "--set train.threads=1 --set train.log_every=1 --set eval.metrics=[collapse] "
                         "--set eval.sample=200");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("ls results/first | grep lambda > runs");
    char runs[1024], *rest = runs;
    read_start("runs", runs, sizeof runs);
    int count = 0;
    for (char *id; (id = strtok_r(rest, "\n", &rest)); count++) {
        double first, last;
        losses_of(id, &first, &last);
        ck_assert_msg(last < first - 0.05, "%s: the loss went from %g to %g", id, first, last);
    }
    ck_assert_int_eq(count, 2);
}
END_TEST

Suite *suite_page(void) {
    Suite *s = suite_create("page");
    TCase *t = tcase_create("methods/README.md");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_the_method_of_the_page_is_known_to_the_program);
    tcase_add_test(t, test_the_method_of_the_page_trains_as_the_page_says);
    suite_add_tcase(s, t);
    return s;
}
