/*
 * The pages that show how to write a method, a backbone, an augmentation, a metric and a reader keep their word: their
 * C blocks, each with its line in its list, are linked into a program of its own when the tests are built ($MEWS-page
 * beside $MEWS), and their YAML blocks are run here by that program, a few steps on a narrow backbone. Nothing is
 * copied by hand.
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

/* A page's block between "```<language>" and "```". */
static char *block_of_page(const char *path, const char *language) {
    static char page[65536];
    char fence[16];
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    snprintf(fence, sizeof fence, "\n```%s\n", language);
    char *start = strstr(page, fence), *end = start ? strstr(start + strlen(fence), "\n```") : NULL;
    ck_assert_msg(end != NULL, "%s has no %s block", path, language);
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
    ck_assert_ptr_nonnull(strstr(mews("methods")->out, "align_uniform "));
    ck_assert_ptr_nonnull(strstr(mews("keys method")->out, "method of align_uniform"));
}
END_TEST

/* The spec of a page as a file here. */
static void write_spec_of(const char *page, const char *name) {
    error err = {0};
    char path[128];
    const char *spec = block_of_page(page, "yaml");
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    ck_assert(file_write(path, spec, strlen(spec), &err));
}

/* What makes any of these specs small. */
#define SMALL                                                                                                          \
    " --set backbone.width=4 --set data.limit=256 --set train.batch=64 --set train.threads=1 --set train.log_every=1 " \
    "--set eval.sample=200"

START_TEST(test_the_method_of_the_page_trains_as_the_page_says) {
    write_spec_of("methods/README.md", "first");
    const said *s = mews("sweep first.yaml --set eval.metrics=[collapse]" SMALL);
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

/* A final figure of the one run of results/NAME. */
static double figure_of(const char *name, const char *figure) {
    char command[300], path[400];
    snprintf(command, sizeof command, "ls -d results/%s/*/ > run", name);
    shell(command);
    read_start("run", path, sizeof path);
    path[strcspn(path, "\n")] = '\0';
    snprintf(command, sizeof command, "%s/%.200srun.json", folder, path);
    json_t *record = json_load_file(command, 0, NULL),
           *value = json_object_get(json_object_get(record, "final"), figure);
    ck_assert_msg(json_is_number(value), "%s has no %s", command, figure);
    double number = json_number_value(value);
    json_decref(record);
    return number;
}

START_TEST(test_the_backbone_of_the_page_trains_and_is_measured) {
    write_spec_of("engine/backbones/README.md", "own");
    ck_assert_ptr_nonnull(strstr(mews("backbones")->out, "three convolutions of stride 2; BatchNorm and ReLU"));
    const said *s = mews("train own.yaml --set eval.metrics=[knn,collapse]" SMALL);
    ck_assert_msg(s->code == 0, "%s", s->err);
    double rank = figure_of("own-backbone", "rankme_backbone");
    ck_assert_msg(rank > 1 && rank <= 16, "%g of 4 x 4 columns", rank);
    s = mews("bench step --backbone plain --width 4 --batch 16 --json");
    ck_assert_msg(s->code == 0 && strstr(s->out, "\"seconds\""), "%s", s->err);
}
END_TEST

START_TEST(test_the_augmentation_of_the_page_is_seen_by_runs_that_ask_for_it) {
    write_spec_of("engine/data/steps/README.md", "own");
    ck_assert_ptr_nonnull(strstr(mews("keys augment.cutout")->out, "probability of a grey square"));
    const said *s = mews("train own.yaml --set eval.metrics=[knn]" SMALL);
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("train own.yaml --set eval.metrics=[knn] --set name=without --set augment.cutout=0" SMALL);
    ck_assert_msg(s->code == 0, "%s", s->err);
    /* another id, and other losses from the first step on */
    shell("for n in own-step without; do ls results/$n | tail -c 9; done | uniq -d > ids; ! test -s ids");
    shell(
        "for n in own-step without; do grep -m1 -o '\"loss\":[^,]*' results/$n/*/metrics.jsonl; done | uniq -d > same; "
        "! test -s same");
    refused("train own.yaml --set augment.cutot=1",
            "unknown key `augment.cutot` in --set augment.cutot=1; did you mean `augment.cutout`?");
}
END_TEST

START_TEST(test_the_metric_of_the_page_is_measured_and_listed) {
    write_spec_of("analysis/metrics/README.md", "own");
    const said *s = mews("train own.yaml" SMALL);
    ck_assert_msg(s->code == 0, "%s", s->err);
    double nesum = figure_of("own-metric", "nesum"), uniformity = figure_of("own-metric", "uniformity");
    ck_assert_msg(nesum > 1 && nesum < 16, "NESum %g", nesum);
    ck_assert_msg(uniformity < 0 && uniformity > -8, "uniformity %g", uniformity); /* at a distance of 2: -8 */
    s = mews("runs --best nesum --where 'nesum > 1'");
    ck_assert_msg(s->code == 0 && strstr(s->out, "own-metric_"), "%s%s", s->out, s->err);
    s = mews("train own.yaml --set eval.metrics=[nesun]");
    ck_assert_msg(s->code == 2 && strstr(s->err, "did you mean `nesum`?"), "%s", s->err);
}
END_TEST

START_TEST(test_the_reader_of_the_page_reads) {
    enum { ROWS = 96, COLS = 8 };
    char path[128];
    unsigned state = 1, size[2] = {ROWS, COLS};
    snprintf(path, sizeof path, "%s/x.fbin", folder);
    FILE *binary = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/x.csv", folder);
    FILE *text = fopen(path, "w");
    ck_assert(binary && text);
    fwrite(size, 4, 2, binary);
    for (int i = 0; i < ROWS * COLS; i++) {
        state = state * 1664525 + 1013904223;
        float x = (float)(state >> 8) / (1 << 24) + (float)(i % COLS);
        fwrite(&x, 4, 1, binary);
        fprintf(text, "%.9g%c", (double)x, i % COLS == COLS - 1 ? '\n' : ',');
    }
    fclose(binary);
    fclose(text);
    const said *s = mews("diagnose x.fbin --json --fast");
    ck_assert_msg(s->code == 0 && strstr(s->out, "\"rankme\":"), "%s", s->err);
    double rank = atof(strstr(s->out, "\"rankme\":") + strlen("\"rankme\":"));
    s = mews("diagnose x.csv --json --fast");
    ck_assert_double_eq_tol(atof(strstr(s->out, "\"rankme\":") + strlen("\"rankme\":")), rank, 1e-6);
    ck_assert_double_gt(rank, 1.5);
    shell("head -c 1000 x.fbin >y.fbin");
    refused_with(1, "diagnose y.fbin", "y.fbin: claims 96 rows of 8 columns in 992 bytes");
}
END_TEST

Suite *suite_page(void) {
    Suite *s = suite_create("page");
    TCase *t = tcase_create("the pages");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_the_method_of_the_page_is_known_to_the_program);
    tcase_add_test(t, test_the_method_of_the_page_trains_as_the_page_says);
    tcase_add_test(t, test_the_backbone_of_the_page_trains_and_is_measured);
    tcase_add_test(t, test_the_augmentation_of_the_page_is_seen_by_runs_that_ask_for_it);
    tcase_add_test(t, test_the_metric_of_the_page_is_measured_and_listed);
    tcase_add_test(t, test_the_reader_of_the_page_reads);
    suite_add_tcase(s, t);
    return s;
}
