/* A paper's table: its figures without any run, and beside those of runs what seeds allow to be said. */
#include "engine/files/file.h"
#include "experiments/paper/paper_table.h"
#include "tests/experiments/program.h"

#include <math.h>

static void write_run(const char *method, int codes, int seed, double linear, double ami) {
    char path[256], text[1024];
    error err = {0};
    snprintf(path, sizeof path, "%s/results/table1-small/table1-small_%s_codes-%d_seed-%d", folder, method, codes,
             seed);
    ck_assert(file_make_folders(path, &err));
    strcat(path, "/run.json");
    snprintf(text, sizeof text,
             "{\"id\": \"table1-small_%s_codes-%d_seed-%d\", \"status\": \"finished\", \"method\": \"%s\", \"swept\": "
             "{\"method.codes\": %d, \"train.seed\": %d}, \"spec\": {\"data.name\": \"cifar10\", \"backbone.name\": "
             "\"falcon8\", \"backbone.width\": 32, \"train.epochs\": 6, \"train.batch\": 64, \"method.codes\": %d, "
             "\"train.seed\": %d, \"data.limit\": 5000}, \"final\": {\"linear\": %.17g, \"prototype_nmi\": 0.4, "
             "\"prototype_nmi_chance\": 0.35, \"prototype_ami\": %.17g}}",
             method, codes, seed, method, codes, seed, codes, seed, linear, ami);
    ck_assert(file_write(path, text, strlen(text), &err));
}

/* Another sweep in the same store, that varied what table1's runs are told apart by no more than their scale. */
static void write_other_sweep(void) {
    error err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/results/other/other_epochs-1", folder);
    ck_assert(file_make_folders(path, &err));
    strcat(path, "/run.json");
    static const char text[] =
        "{\"id\": \"other_epochs-1\", \"status\": \"finished\", \"method\": \"falcon\", \"swept\": "
        "{\"train.epochs\": 1, \"train.batch\": 8}, \"spec\": {\"train.epochs\": 1}, \"final\": {}}";
    ck_assert(file_write(path, text, strlen(text), &err));
}

static void read_table(paper_table *t) {
    char results[96];
    error err = {0};
    snprintf(results, sizeof results, "%s/results", folder);
    ck_assert_msg(paper_table_read(t, "table1", results, NULL, &err), "%s", err.text);
}

static const paper_row *row_of(const paper_table *t, const char *method, double codes) {
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].n && strcmp(t->rows[i].method, method) == 0 && t->rows[i].codes == codes) return &t->rows[i];
    ck_abort_msg("no row of %s", method);
}

/* `seeds` of each: FALCON above SwAV in accuracy, as good as GEDI, below it in AMI. */
static void write_runs(int seeds) {
    static const double noise[] = {0.004, -0.003, 0.001, -0.002, 0.003};
    for (int i = 0; i < seeds; i++) {
        write_run("falcon", 16384, i, 0.68 + noise[i], 0.10 + noise[i]);
        write_run("falcon", 64, i, 0.66 + 2 * noise[i], 0.12);
        write_run("swav", 64, i, 0.56 - noise[i], 0.08);
        write_run("gedi", 64, i, 0.68 + noise[(i + 2) % 5], 0.30 + noise[4 - i]);
    }
}

START_TEST(test_published_figures_stand_alone_where_nothing_was_run) {
    const said *s = mews("table table1 --csv");
    ck_assert_msg(s->code == 0 && strstr(s->out, "cifar10,falcon,,0.35,0.68,"), "%s%s", s->out, s->err);
    ck_assert_ptr_nonnull(strstr(s->out, "cifar100,chance,16384 random codes,0.63,0.01,"));
    ck_assert_ptr_nonnull(
        strstr(mews("table table2 --markdown")->out, "| imagenet100 | dino | 100 codes | 64.1 | 87.0 |"));
    ck_assert_ptr_nonnull(strstr(mews("table table2 --latex")->out, "\\toprule"));
    ck_assert_ptr_nonnull(strstr(mews("table table1")->out, "NMI is not adjusted for chance"));
    refused("table tabel1", "there is no table `tabel1`; did you mean `table1`?");
    refused("table figure", "there is no table `figure`; there are table1, table2 and any sweep by its name or folder");
    refused("table table1 --csv --latex", "one of --markdown, --csv and --latex");
}
END_TEST

START_TEST(test_runs_stand_on_the_published_row_of_their_method_and_codes) {
    paper_table t;
    write_runs(3);
    read_table(&t);
    const paper_row *falcon = row_of(&t, "falcon", 16384), *few = row_of(&t, "falcon", 64);
    ck_assert_str_eq(falcon->published[1], "0.68");
    ck_assert_str_eq(few->published[1], "");
    ck_assert_str_eq(few->setting, "codes 64");
    ck_assert_uint_eq(falcon->n, 3);
    ck_assert_str_eq(falcon->scale, "falcon8 width 32, 6 epochs, batch 64, 5000 images");
    ck_assert(falcon->reference && !few->reference);
    paper_table_free(&t);
}
END_TEST

/* RFC 4180: a quotation mark is doubled, and what holds a comma stands in them. */
START_TEST(test_values_with_commas_and_quotes_are_quoted_in_csv) {
    error err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/results/own/own_1", folder);
    ck_assert(file_make_folders(path, &err));
    strcat(path, "/run.json");
    static const char text[] =
        "{\"id\": \"own_1\", \"name\": \"own\", \"status\": \"finished\", \"method\": \"a \\\"b\\\", c\", \"swept\": "
        "{\"method.name\": \"a \\\"b\\\", c\"}, \"spec\": {\"method.name\": \"a \\\"b\\\", c\"}, \"final\": {\"knn\": "
        "0.5}}";
    ck_assert(file_write(path, text, sizeof text - 1, &err));
    const said *s = mews("table own --csv");
    ck_assert_msg(strstr(s->out, "\"a \"\"b\"\", c\""), "%s%s", s->out, s->err);
}
END_TEST

START_TEST(test_five_seeds_tell_methods_apart_and_four_set_nothing_in_bold) {
    paper_table t;
    write_runs(4);
    read_table(&t);
    for (size_t i = 0; i < t.count; i++)
        for (int m = 0; m < PAPER_MEASURED; m++) ck_assert(!t.rows[i].bold[m]);
    paper_table_free(&t);
    write_runs(5);
    read_table(&t);
    const paper_row *falcon = row_of(&t, "falcon", 16384), *swav = row_of(&t, "swav", 64),
                    *gedi = row_of(&t, "gedi", 64);
    ck_assert(isnan(falcon->p[0]) && swav->p[0] < 0.001 && gedi->p[0] > 0.5);
    ck_assert(falcon->bold[0] && gedi->bold[0] && !swav->bold[0]);
    ck_assert(gedi->bold[3] && !falcon->bold[3]);  /* AMI */
    ck_assert(!falcon->bold[1] && !gedi->bold[1]); /* NMI is never judged */
    ck_assert(isnan(gedi->p[1]));
    paper_table_free(&t);
    const said *s = mews("table table1");
    ck_assert_msg(strstr(s->out, "*0.681 ± 0.003*") != NULL, "%s", s->out);
    s = mews("table table1 --latex");
    ck_assert_msg(strstr(s->out, "\\textbf{0.681 $\\pm$ 0.003} & ") != NULL, "%s", s->out);
    ck_assert_msg(strstr(s->out, "Measured with falcon8 width 32, 6 epochs") != NULL, "%s", s->out);
    ck_assert_ptr_null(strstr(s->out, "scale here"));
}
END_TEST

START_TEST(test_orders_by_accuracy_and_by_ami_stand_beside_each_other) {
    write_runs(2);
    const said *s = mews("table table1");
    static const char *const lines[] = {
        "\ncifar10, from the largest mean down:\n",
        "\n  by accuracy: falcon codes 16384, gedi, falcon codes 64, swav\n",
        "\n  by AMI: gedi, falcon codes 64, falcon codes 16384, swav\n",
        "\n  accuracy and AMI put 4 of 6 pairs in the same order.\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(s->out, lines[i]) != NULL, "%s: %s", lines[i], s->out);
    shell("sed -i 's/\"train.epochs\": 6/\"train.epochs\": 7/' results/table1-small/*swav*/run.json");
    ck_assert_ptr_null(strstr(mews("table table1")->out, "largest mean")); /* two scales have no order */
}
END_TEST

START_TEST(test_a_setting_is_what_differs_among_runs_of_a_method) {
    paper_table t;
    write_runs(2);
    write_other_sweep();
    read_table(&t);
    ck_assert_str_eq(row_of(&t, "falcon", 64)->setting, "codes 64");
    ck_assert_str_eq(row_of(&t, "swav", 64)->setting, ""); /* the same codes in all its runs */
    paper_table_free(&t);
    ck_assert_ptr_nonnull(strstr(mews("table table1 --where \"name = 'table1-small'\"")->out, "codes 64"));
}
END_TEST

START_TEST(test_a_seed_that_ran_twice_counts_once) {
    paper_table t;
    write_runs(3);
    shell("cp -r results/table1-small results/table1-again");
    read_table(&t);
    ck_assert_uint_eq(row_of(&t, "falcon", 16384)->n, 3);
    paper_table_free(&t);
}
END_TEST

static void write_table2_run(const char *method, const char *key, int codes, int epochs, const char *data, int seed) {
    char path[256], text[1024];
    error err = {0};
    snprintf(path, sizeof path, "%s/results/table2-x/table2-x_%s-%d-%s-%d", folder, method, codes, data, seed);
    ck_assert(file_make_folders(path, &err));
    strcat(path, "/run.json");
    snprintf(text, sizeof text,
             "{\"id\": \"table2-x_%s-%d-%s-%d\", \"status\": \"finished\", \"method\": \"%s\", \"swept\": "
             "{\"method.%s\": %d, \"train.seed\": %d}, \"spec\": {\"data.name\": \"%s\", \"backbone.name\": "
             "\"vit_tiny\", \"backbone.width\": 128, \"train.epochs\": %d, \"train.batch\": 64, \"method.%s\": %d, "
             "\"train.seed\": %d}, \"final\": {\"linear\": 0.1%d, \"linear_top5\": 0.3}}",
             method, codes, data, seed, method, key, codes, seed, data, epochs, key, codes, seed, seed);
    ck_assert(file_write(path, text, strlen(text), &err));
}

/* The paper's Table 2 beside runs on other data: its figures for as many codes in brackets, DINO's prototypes among
   them, and rows of fewer epochs than its 100 labelled so. */
START_TEST(test_runs_on_other_data_stand_beside_the_papers_figures_for_as_many_codes) {
    for (int seed = 0; seed < 2; seed++) {
        write_table2_run("dino", "prototypes", 1000, 6, "folder", seed);
        write_table2_run("falcon", "codes", 10000, 6, "folder", seed);
        write_table2_run("falcon", "codes", 77, 120, "folder", seed);
    }
    write_table2_run("falcon", "codes", 500, 100, "imagenet100", 0);
    write_table2_run("falcon", "codes", 500, 6, "imagenet100", 1); /* its own data, which is not elsewhere */
    const said *s = mews("table table2 --markdown");
    static const char *const lines[] = {
        "| folder | dino |  | (65.1) | (88.7) | 2 | 10.5 ± 0.7 |",
        "| folder | falcon | codes 10000 | (72.9) | (92.3) | 2 | 10.5 ± 0.7 |",
        "| folder | falcon | codes 77 |  |  | 2 |",
        "| vit_tiny width 128, 6 epochs, batch 64; under-trained: 6 of the paper's 100 epochs |",
        "| vit_tiny width 128, 120 epochs, batch 64 |",
        "| imagenet100 | falcon | 500 codes | 68.4 | 89.9 | 1 | 10.0 |",
        "| imagenet100 | falcon |  |  |  | 1 | 11.0 |",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(s->out, lines[i]) != NULL, "%s: %s", lines[i], s->out);
    ck_assert_ptr_null(strstr(mews("table table2 --csv")->out, "(65.1)"));
    ck_assert_ptr_nonnull(
        strstr(mews("table table2")->out, "Under-trained rows had fewer epochs than the paper's 100."));
}
END_TEST

START_TEST(test_other_runs_are_chosen_by_a_condition) {
    write_runs(2);
    ck_assert_ptr_null(strstr(mews("table table1 --where 'method = swav'")->out, "reference"));
    ck_assert_ptr_nonnull(strstr(mews("table table1 --where 'method = falcon'")->out, "reference"));
    refused("table table1 --where 'metod = swav'", "--where: no run has `metod`; did you mean `method`?");
}
END_TEST

START_TEST(test_a_run_that_cannot_be_read_is_named_beside_the_table) {
    write_runs(2);
    shell("printf '{\"id\": ' >results/table1-small/table1-small_swav_codes-64_seed-1/run.json");
    const said *s = mews("table table1");
    ck_assert_int_eq(s->code, 0);
    ck_assert_str_eq(s->err,
                     "mews: warning: table1-small/table1-small_swav_codes-64_seed-1 cannot be read, and the table is "
                     "without it; `mews runs --where \"status = unreadable\"` says why\n");
    ck_assert_ptr_nonnull(strstr(mews("runs --where 'status = unreadable' --show reason")->out, "run.json:1: "));
}
END_TEST

Suite *suite_table(void) {
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_published_figures_stand_alone_where_nothing_was_run);
    tcase_add_test(tests, test_runs_stand_on_the_published_row_of_their_method_and_codes);
    tcase_add_test(tests, test_values_with_commas_and_quotes_are_quoted_in_csv);
    tcase_add_test(tests, test_five_seeds_tell_methods_apart_and_four_set_nothing_in_bold);
    tcase_add_test(tests, test_orders_by_accuracy_and_by_ami_stand_beside_each_other);
    tcase_add_test(tests, test_a_setting_is_what_differs_among_runs_of_a_method);
    tcase_add_test(tests, test_a_seed_that_ran_twice_counts_once);
    tcase_add_test(tests, test_runs_on_other_data_stand_beside_the_papers_figures_for_as_many_codes);
    tcase_add_test(tests, test_other_runs_are_chosen_by_a_condition);
    tcase_add_test(tests, test_a_run_that_cannot_be_read_is_named_beside_the_table);
    suite_add_tcase(suite, tests);
    return suite;
}
