/*
 * The whole way of somebody new, at toy scale and without a network: the README's sweep and its page, a loss and a
 * backbone of one's own (of the pages that show how, linked into $MEWS-page), embeddings out of PyTorch, and a table
 * for a paper, which LaTeX sets where it is installed.
 */
#include "tests/experiments/program.h"

#include <limits.h>

static char plain[1100], own[1100], here[1024];

static void setup(void) {
    char target[PATH_MAX];
    program_setup();
    ck_assert_ptr_nonnull(realpath(program, target));
    snprintf(plain, sizeof plain, "%.1000s", target);
    snprintf(own, sizeof own, "%.1000s-page", target);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
}

/* Runs the program, or the one with own parts, and wants it to succeed. */
static const said *run(const char *with, const char *words) {
    snprintf(program, sizeof program, "%.1090s", with);
    const said *s = mews(words);
    ck_assert_msg(s->code == 0, "mews %.300s: %.600s", words, s->err);
    return s;
}

#define TOY                                                                                                            \
    "--set data.size=8 --set data.limit=64 --set data.cache=cache --set backbone.width=2 --set train.batch=32 "        \
    "--set train.epochs=1 --set train.threads=1 --set eval.sample=200 "

/* As LaTeX reads it: braces in pairs, in every row as many columns as are declared, nothing special that is not
 * escaped. */
static void check_tabular(const char *text) {
    int depth = 0, columns = 0, cells = 1, rows = 0;
    const char *at = strstr(text, "\\begin{tabular}{");
    ck_assert_msg(at == text, "%.300s", text);
    for (at += strlen("\\begin{tabular}{"); *at != '}'; at++) columns++;
    for (at++; *at; at++) {
        if (*at == '\\' && at[1] == '\\') {
            ck_assert_msg(cells == columns || strstr(text, "\\multicolumn"), "a row of %d cells, not %d", cells,
                          columns);
            cells = 1, rows++, at++;
        } else if (*at == '\\') {
            at++; /* escaped, or a command's first letter */
        } else {
            ck_assert_msg(!strchr("_%#", *at), "unescaped: %.60s", at);
            depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
            cells += *at == '&';
        }
        ck_assert_int_ge(depth, 0);
    }
    ck_assert_int_eq(depth, 0);
    ck_assert_int_ge(rows, 3); /* the heads and two settings */
    ck_assert_ptr_nonnull(strstr(text, "\\toprule"));
    ck_assert_ptr_nonnull(strstr(text, "\\end{tabular}\n"));
}

START_TEST(test_a_newcomer_comes_from_the_first_sweep_to_a_table_in_a_paper) {
    char words[2048];
    /* the README's sweep, a part of it, and the page that it ends with */
    snprintf(words, sizeof words,
             "sweep %s/experiments/ablation-dims.yaml --block falcon-codes --set name=first " TOY
             "--set sweep.method.codes=[16,64] --set sweep.train.seed=[0,1]",
             here);
    ck_assert_ptr_nonnull(strstr(run(plain, words)->out, "4 of 4 runs finished"));
    ck_assert_ptr_nonnull(strstr(run(plain, "report first")->out, "open results/first/index.html"));
    shell("grep -q 'The four collapses' results/first/index.html");

    /* a loss and a backbone of one's own */
    shell("printf 'name: own\\ndata: {name: shapes}\\nmethod: {name: align_uniform, hidden: 16, features: 8}\\n"
          "backbone: {name: plain}\\neval: [knn, nesum, collapse]\\nsweep: {method.lambda: [1, 0]}\\n' > own.yaml");
    ck_assert_ptr_nonnull(strstr(run(own, "sweep own.yaml " TOY)->out, "2 of 2 runs finished"));
    ck_assert_ptr_nonnull(strstr(run(own, "runs --best nesum")->out, "own_lambda-"));
    run(own, "report own");

    /* embeddings as PyTorch saved them */
    snprintf(words, sizeof words, "diagnose %s/tests/golden/embeddings/torch/plain.pt --json", here);
    ck_assert_ptr_nonnull(strstr(run(plain, words)->out, "\"dimensional\":{\"verdict\""));

    /* a table for a paper */
    static char table[32768];
    snprintf(table, sizeof table, "%.32000s", run(plain, "table first --latex")->out);
    check_tabular(table);
    ck_assert_ptr_nonnull(strstr(table, "16 codes & 2 & 0."));
    ck_assert_ptr_nonnull(strstr(table, "$\\pm$"));
    shell("cp out table.tex; printf '%s\\n' '\\documentclass{article}' '\\usepackage{booktabs}' '\\begin{document}' "
          "'\\input{table}' '\\end{document}' > paper.tex");
    if (system("command -v pdflatex >/dev/null") != 0)
        fprintf(stderr, "newcomer: pdflatex is not installed, so the table was not set\n");
    else
        shell("pdflatex -interaction=nonstopmode -halt-on-error paper.tex > tex.log && test -s paper.pdf");
}
END_TEST

START_TEST(test_a_table_that_cannot_be_made_says_why) {
    shell("printf 'name: one\\ndata: {name: shapes}\\nmethod: {name: vicreg, hidden: 8, features: 4}\\n"
          "eval: [knn, collapse]\\nsweep: {method.mu: [25, 0]}\\n' > one.yaml");
    run(plain, "sweep one.yaml " TOY);
    const said *s = run(plain, "table one --csv --figures knn,rankme");
    ck_assert_ptr_nonnull(strstr(s->out, "part,setting,n,knn,knn sd,rankme,rankme sd,collapse\n"));
    ck_assert_ptr_nonnull(
        strstr(run(plain, "table results/one --markdown")->out, "| part | setting | n | kNN accuracy |"));
    refused("table one --figures kn", "no finished run of one has a figure `kn`; did you mean `knn`?");
    refused("table one --where 'knn > 0'", "--where chooses runs for a published table; a sweep has its own");
    refused("table table1 --figures knn", "--figures is for the table of a sweep; table1 has those of the paper");
    refused("table oen", "there is no table `oen`; there are table1, table2 and any sweep by its name or folder");
    shell("grep -q '\"ranges\"' results/one/*/run.json && grep -A6 '\"loss\": {' results/one/*/run.json | "
          "grep -q least_step");
}
END_TEST

static void assert_no_line_is_longer(const char *text, size_t most) {
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        ck_assert_msg(strcspn(line, "\n") <= most, "%.100s", line);
}

START_TEST(test_tables_and_help_fit_a_narrow_terminal) {
    shell("printf 'name: one\ndata: {name: shapes}\nmethod: {name: vicreg, hidden: 8, features: 4}\n"
          "eval: [knn, kmeans, collapse]\nsweep: {method.mu: [25, 0]}\n' > one.yaml");
    run(plain, "sweep one.yaml " TOY);
    ck_assert_int_eq(setenv("COLUMNS", "48", 1), 0);
    const said *s = run(plain, "runs");
    assert_no_line_is_longer(s->out, 50); /* the ellipsis of a short id is three bytes */
    ck_assert_ptr_nonnull(strstr(s->out, "not shown, for want of width:"));
    assert_no_line_is_longer(strstr(run(plain, "help report")->out, "options:"), 48);
    unsetenv("COLUMNS");
    ck_assert_ptr_null(strstr(run(plain, "runs")->out, "not shown"));
}
END_TEST

Suite *suite_newcomer(void) {
    Suite *s = suite_create("newcomer");
    TCase *t = tcase_create("the first hour");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_a_newcomer_comes_from_the_first_sweep_to_a_table_in_a_paper);
    tcase_add_test(t, test_a_table_that_cannot_be_made_says_why);
    tcase_add_test(t, test_tables_and_help_fit_a_narrow_terminal);
    suite_add_tcase(s, t);
    return s;
}
