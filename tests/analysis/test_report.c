/*
 * A report made from a synthetic sweep: FALCON over three numbers of codes with three seeds, one of whose runs failed,
 * and names that are as hostile as a user can type.
 */
#include "analysis/files/npy.h"
#include "analysis/report/plots/gnuplot.h"
#include "analysis/report/report.h"
#include "tests/scratch.h"

#include <check.h>
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTILE "s<b>\"&'%d{x}_1`id`"

enum { N = 60, D = 8 };
static const int codes[] = {4, 16, 64};

static void save(const char *folder, const char *name, json_t *json) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(json_dump_file(json, path, 0), 0);
    json_decref(json);
}

static void save_arrays(const char *folder, int used) {
    float embeddings[N * D];
    int32_t labels[N], assigned[N];
    char path[600];
    error err = {0};
    for (int i = 0; i < N; i++) {
        labels[i] = i % 3, assigned[i] = i % used;
        for (int j = 0; j < D; j++) embeddings[i * D + j] = (float)sin(1.7 * i * (j + 1) + labels[i]);
    }
    snprintf(path, sizeof path, "%s/embeddings.npy", folder);
    ck_assert(npy_write(path, NPY_F32, N, D, embeddings, &err));
    snprintf(path, sizeof path, "%s/labels.npy", folder);
    ck_assert(npy_write(path, NPY_I32, N, 0, labels, &err));
    snprintf(path, sizeof path, "%s/assignments.npy", folder);
    ck_assert(npy_write(path, NPY_I32, N, 0, assigned, &err));
}

/* Measured midway before the first step and after two epochs; looked at then and at the end, when rank was lost. */
static void save_history(const char *folder, int k, int seed) {
    static const char look[] =
        "{\"step\": %d, \"epoch\": %d, \"collapse\": {\"embed\": {\"rankme\": %g}, \"backbone\": {\"rankme\": 3}, "
        "\"dimensional\": {\"verdict\": \"%s\"}, \"cluster\": {\"verdict\": \"healthy\"}}}\n";
    char path[600];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    FILE *file = fopen(path, "w");
    fprintf(file, look, 0, 0, 2.0, "healthy");
    for (int epoch = 0; epoch <= 2; epoch += 2)
        fprintf(file,
                "{\"step\": %d, \"epoch\": %d, \"figures\": {\"linear\": %g, \"kmeans_ami\": 0.1}, \"time\": "
                "{\"figures\": 1}}\n",
                12 * epoch, epoch, 0.1 + 0.1 * k + 0.01 * seed + 0.05 * epoch);
    fprintf(file, look, 30, 5, 1.5, "collapsed");
    for (int step = 1; step <= 30; step++)
        fprintf(file,
                "{\"step\": %d, \"epoch\": 0, \"loss\": %g, \"prior\": %g, \"lr\": 0.001, \"time\": {\"step\": 1}}\n",
                step, 5 - 0.1 * step, 2.0);
    fputs("{\"step\": 31, \"lo", file); /* killed while writing */
    fclose(file);
}

static json_t *verdict(const char *name, double statistic) {
    return json_pack("{s:s, s:f, s:s}", "verdict", name, "statistic", statistic, "sentence", "It <says> so.");
}

/* Rank and accuracy rise with the codes, NMI as much as chance does, AMI not at all. */
static void save_run(const char *sweep, int k, int seed) {
    char folder[512], id[64];
    snprintf(id, sizeof id, "run-codes=%d-seed=%d", codes[k], seed);
    snprintf(folder, sizeof folder, "%.400s/%s", sweep, id);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    double wobble = (seed + k) % 3 * 0.002;
    json_t *swept = json_pack("{s:i, s:i}", "method.codes", codes[k], "train.seed", seed);
    json_t *spec = json_pack("{s:s, s:i, s:i, s:s, s:s, s:i}", "method.name", "falcon", "method.codes", codes[k],
                             "train.seed", seed, "data.name", HOSTILE, "backbone.name", "resnet8", "train.epochs", 5);
    json_t *final =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "rankme", 2 + 2.0 * k + wobble, "rankme_noise_share",
                  0.25 + 0.25 * k + wobble, "linear", 0.5 + 0.1 * k + wobble, "prototype_nmi", 0.2 + 0.15 * k + wobble,
                  "prototype_nmi_chance", 0.05 + 0.15 * k + wobble, "prototype_ami", 0.2 + wobble, "my_own_metric",
                  12.5, "kmeans_ami", 0.3 + wobble);
    if (k == 1) json_object_set_new(final, "kmeans_ami", json_null());
    save(folder, "run.json",
         json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s}, s:s, s:o, s:o, s:o, s:{s:f, s:f}}", "id", id, "name", "toy",
                   "block", HOSTILE, "status", "finished", "version", "1", "threads", 2, "machine", "processor",
                   "cpu <1>", "method", "falcon", "swept", swept, "spec", spec, "final", final, "seconds", "train",
                   10.0, "eval", 1.0));
    json_t *sigma = json_array(), *usage = json_array();
    for (int i = 0; i < D; i++) json_array_append_new(sigma, json_real(exp(-i * (3.0 - k))));
    for (int i = 0; i < codes[k] && i < N; i++) json_array_append_new(usage, json_integer(N / codes[k]));
    save(folder, "diagnosis.json",
         json_pack("{s:i, s:i, s:O, s:o, s:o, s:i, s:f, s:{s:o, s:o, s:o, s:o}}", "n", N, "d", D, "singular_values",
                   sigma, "singular_values_centred", sigma, "code_usage", usage, "codes_used", codes[k],
                   "codes_used_expected", 0.9 * codes[k], "verdicts", "representation", verdict("healthy", 0.9),
                   "dimensional", k ? verdict("healthy", 0.8) : verdict("collapsed", 0.1), "cluster",
                   verdict("healthy", 1), "intracluster", verdict("unknown", 0)));
    save_arrays(folder, codes[k]);
    save_history(folder, k, seed);
}

static void save_failed(const char *sweep) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/run-failed", sweep);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    save(folder, "run.json",
         json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:i}, s:{}, s:{}}", "id", "run-failed", "block", HOSTILE, "status",
                   "failed", "reason", "step 7: the loss is <NaN> & more", "method", "falcon", "swept", "method.codes",
                   256, "final", "seconds"));
}

static char sweep[64];

/* A run of a study that takes one key at a time away from a method's setting, lr 0.1 and batch 64. */
static void save_one_key(const char *method, const char *key, double value, const char *dimensional) {
    char folder[512], id[96], block[96];
    snprintf(id, sizeof id, "%s-%s-%g", method, key, value);
    snprintf(block, sizeof block, "%s %s", method, key);
    snprintf(folder, sizeof folder, "%s/%s", sweep, id);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    json_t *spec = json_pack("{s:s, s:f, s:f, s:i}", "method.name", method, "optimizer.lr", 0.1, "train.batch", 64.0,
                             "train.seed", 0);
    json_object_set_new(spec, key, json_real(value));
    save(folder, "run.json",
         json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:f}, s:o, s:{s:f}, s:{s:f, s:f}}", "id", id, "name", "keys", "block",
                   block, "status", "finished", "method", method, "swept", key, value, "spec", spec, "final", "rankme",
                   4.0, "seconds", "train", 1.0, "eval", 1.0));
    save(folder, "diagnosis.json",
         json_pack("{s:i, s:i, s:{s:o, s:o, s:o, s:o}}", "n", N, "d", D, "verdicts", "representation",
                   verdict("healthy", 0.9), "dimensional", verdict(dimensional, 0.5), "cluster", verdict("unknown", 0),
                   "intracluster", verdict("unknown", 0)));
}

static void make_sweep(void) { scratch_folder(sweep); }

static void fill_sweep(void) {
    for (int k = 0; k < 3; k++)
        for (int seed = 0; seed < 3; seed++) save_run(sweep, k, seed);
    save_failed(sweep);
}

/* Drawn once for the tests that only read it, by a child: OpenMP's threads would not survive Check's forks. */
static void make_report(void) {
    error err = {0};
    int status = 1;
    make_sweep();
    fill_sweep();
    pid_t child = fork();
    if (child == 0) _exit(!report_write(sweep, NULL, 0, NULL, NULL, &err));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static void remove_sweep(void) { scratch_remove(sweep); }

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    char *text = calloc(size + 1, 1);
    rewind(file);
    ck_assert_uint_eq(fread(text, 1, size, file), size);
    fclose(file);
    return text;
}

/* XML as far as it matters: tags nest, attributes are quoted, no bare & or <. Returns what is wrong, or NULL. */
static const char *xml_fault(const char *at) {
    char stack[32][32];
    int depth = 0;
    if (strncmp(at, "<?xml", 5) == 0) at = strstr(at, "?>") + 2;
    for (; *at; at++) {
        if (*at == '&') {
            const char *end = strchr(at, ';');
            if (!end || end - at > 8) return at;
        }
        if (*at != '<') continue;
        bool closing = at[1] == '/';
        const char *name = at + 1 + closing;
        size_t length = strcspn(name, " \t\n/>");
        if (!isalpha((unsigned char)*name) || length >= sizeof *stack) return at;
        for (at = name + length; *at && *at != '>'; at++) {
            if (*at == '<') return at;
            if (*at != '=') continue;
            const char *start = at + 1 + strspn(at + 1, " ");
            if (*start != '"' && *start != '\'') return at;
            at = strchr(start + 1, *start);
            if (!at) return name;
        }
        if (!*at) return name;
        if (at[-1] == '/') continue;
        if (!closing) {
            if (depth == 32) return name;
            snprintf(stack[depth++], sizeof *stack, "%.*s", (int)length, name);
        } else if (depth == 0 || strlen(stack[--depth]) != length || strncmp(stack[depth], name, length) != 0) {
            return name;
        }
    }
    return depth ? "a tag is not closed" : NULL;
}

static void assert_figure(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/figures/%s.svg", sweep, name);
    char *svg = read_text(path);
    const char *fault = xml_fault(svg);
    ck_assert_msg(!fault, "%s is malformed at: %.80s", path, fault ? fault : "");
    ck_assert_msg(strstr(svg, "<path") || strstr(svg, "<image"), "%s is empty", path);
    free(svg);
    snprintf(path, sizeof path, "%s/figures/%s.png", sweep, name);
    char *png = read_text(path);
    ck_assert_mem_eq(png, "\x89PNG", 4);
    free(png);
    snprintf(path, sizeof path, "%s/figures/%s.pdf", sweep, name);
    char *pdf = read_text(path);
    ck_assert_mem_eq(pdf, "%PDF", 4);
    free(pdf);
}

static void assert_says(const char *text, const char *words) {
    ck_assert_msg(strstr(text, words) != NULL, "nowhere: %s", words);
}

START_TEST(test_a_sweep_becomes_a_page_that_says_what_was_found) {
    char path[600];
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    assert_says(page, "RankMe rises from 2.0 at 4 codes to 6.0 at 64 codes");
    assert_says(page, "Linear accuracy rises from 0.502 at 4 codes to 0.702 at 64 codes");
    assert_says(page, "AMI of the codes shows no trend that stands out from its seeds");
    assert_says(page, "NMI of the codes goes from 0.202 to 0.502");
    assert_says(page, "which is more than the whole rise");
    assert_says(
        page, "clustering improves with the number of codes (it measures NMI, which chance raises too; AMI is compared "
              "here). These runs do not show it");
    assert_says(page, "RankMe is at most the number of codes at 1 of the 1 setting with fewer codes than dimensions");
    assert_says(page, "Dimensional collapse: collapsed at 4 codes; healthy at 16 and 64 codes.");
    assert_says(page, "3 seeds a setting");
    assert_says(page, "my_own_metric");
    assert_says(page, "0.502 <span class=\"sd\">± 0.002</span>");
    assert_says(page, "<td class=\"n\">–</td>"); /* the figure that 16 codes lack */
    assert_says(page, "It &lt;says&gt; so.");
    free(page);
}
END_TEST

START_TEST(test_every_figure_is_drawn_and_well_formed) {
    static const char *const names[] = {"overview", "quality",  "rank",        "spectra",           "usage",
                                        "loss",     "verdicts", "correlation", "adjacency-classes", "adjacency-codes"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_figure(names[i]);
}
END_TEST

START_TEST(test_figures_over_training_end_with_the_final_ones) {
    char path[600];
    snprintf(path, sizeof path, "%s/figures/progress.csv", sweep);
    char *text = read_text(path); /* mean, least and most of three seeds */
    assert_says(text, ",\"16\",0,0.21,0.2,0.22\n");
    assert_says(text, ",\"16\",2,0.31,0.3,0.32\n");
    assert_says(text, ",\"16\",5,0.602,0.6,0.604\n");
    assert_says(text, "\"Agreement with the classes: AMI, k-means\"");
    assert_says(text, "\"Directions of held-out images, RankMe: embeddings\"");
    ck_assert(!strstr(text, "NMI, codes")); /* nobody measured it midway */
    free(text);
    assert_figure("progress");
}
END_TEST

/* One key is in the overview as it is; all runs took as long, so accuracy against seconds would show nothing. */
START_TEST(test_what_would_say_nothing_is_not_drawn) {
    static const char *const names[] = {"effects", "cost"};
    char path[600];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/figures/%s.svg", sweep, names[i]);
        ck_assert_msg(access(path, F_OK) != 0, "%s was drawn", path);
    }
}
END_TEST

/* The table of verdicts and the overview come before any word on them, and what can wait is folded. */
START_TEST(test_verdicts_and_the_overview_stand_first) {
    char path[600];
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    const char *verdicts = strstr(page, "<table>"), *overview = strstr(page, "data-name=\"overview\"");
    const char *found = strstr(page, "<h2 id=\"found\">"), *folded = strstr(page, "<details");
    ck_assert(verdicts && overview && found && folded);
    ck_assert(verdicts < overview && overview < found && found < folded);
    assert_says(page, "<a href=\"#verdicts\">The four collapses</a>");
    assert_says(page, "<td class=\"collapsed\" data-mode=\"dimensional\">");
    free(page);
}
END_TEST

static double width_of(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/figures/%s.svg", sweep, name);
    char *svg = read_text(path);
    double width = strtod(strstr(svg, "width=\"") + 7, NULL);
    free(svg);
    return width;
}

/* More values than a report has panels a row, and an edge on one side. */
START_TEST(test_settings_that_collapse_are_drawn_as_a_map) {
    static const char *const methods[] = {"byol", "swav"};
    error err = {0};
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < 20; i++) {
            double value = 0.02 * (i + 1);
            save_one_key(methods[m], "optimizer.lr", value, m == 0 && value > 0.25 ? "collapsed" : "healthy");
        }
    }
    static const char *const others[] = {"dino", "simsiam"};
    for (int m = 0; m < 2; m++)
        for (int batch = 16; batch <= 256; batch *= 2) save_one_key(others[m], "train.batch", batch, "healthy");
    char path[600];
    snprintf(path, sizeof path, "%s/figures/map.svg", sweep);
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    ck_assert_int_ne(access(path, F_OK), 0); /* every method had one key varied: that is no map */
    for (int m = 0; m < 2; m++)
        for (int batch = 16; batch <= 256; batch *= 2) save_one_key(methods[m], "train.batch", batch, "healthy");
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    assert_figure("map");
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    assert_says(page, "Which settings collapse");
    assert_says(page, "Edges in optimizer.lr: byol ×2.6.");
    const char *map = strstr(page, "data-name=\"map\""), *verdicts = strstr(page, "<table>");
    ck_assert(map && verdicts && map < verdicts && !strstr(map + 1, "data-name=\"map\""));
    snprintf(path, sizeof path, "%s/figures/map.svg", sweep);
    char *svg = read_text(path);
    assert_says(svg, ">0.4<"); /* the twentieth value has its tile and its tick */
    free(page);
    free(svg);
}
END_TEST

/* Each method but one varies a single key, so that nothing tells its own setting of that key. */
START_TEST(test_a_map_of_empty_rows_is_not_drawn) {
    error err = {0};
    char path[600];
    for (int i = 1; i <= 4; i++) {
        save_one_key("byol", "optimizer.lr", 0.05 * i, "healthy");
        save_one_key("swav", "optimizer.lr", 0.05 * i, "healthy");
        save_one_key("swav", "train.batch", 32 * i, "healthy");
        save_one_key("dino", "train.batch", 32 * i, "collapsed");
    }
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/figures/map.svg", sweep);
    ck_assert_msg(access(path, F_OK) != 0, "%s was drawn", path);
}
END_TEST

/* No run is called anything but healthy for its dimensions. */
START_TEST(test_the_overview_marks_the_worst_of_the_four_verdicts) {
    error err = {0};
    char path[700];
    fill_sweep();
    for (int k = 0; k < 3; k++)
        for (int seed = 0; seed < 3; seed++) {
            snprintf(path, sizeof path, "%s/run-codes=%d-seed=%d", sweep, codes[k], seed);
            save(path, "diagnosis.json",
                 json_pack("{s:i, s:i, s:{s:o, s:o}}", "n", N, "d", D, "verdicts", "representation",
                           verdict(k ? "healthy" : "collapsed", 0.1), "dimensional", verdict("healthy", 0.8)));
        }
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/figures/overview.svg", sweep);
    char *svg = read_text(path);
    assert_says(svg, "collapsed");
    free(svg);
}
END_TEST

START_TEST(test_figures_are_as_wide_as_a_journals_column) {
    error err = {0};
    fill_sweep();
    ck_assert_msg(report_write(sweep, NULL, 3.4, NULL, NULL, &err), "%s", err.text);
    ck_assert_double_eq_tol(width_of("overview"), 3.4 * 96, 0.51);
    ck_assert_double_eq_tol(width_of("spectra"), 3.4 * 96, 0.51);
    ck_assert_double_eq_tol(width_of("correlation"), 3.4 * 96, 0.51);
}
END_TEST

START_TEST(test_the_page_says_what_each_key_did_and_what_to_run_next) {
    char path[600];
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    assert_says(page, "<code>method.codes</code>, 3 values: 4, 16, 64. 9 runs of 3 settings, 3 seeds.");
    assert_says(page, "method.codes matters for linear accuracy (p &lt; 0.001");
    assert_says(page, "<b>0.702</b>");
    assert_says(page, "run-failed failed: step 7: the loss is &lt;NaN&gt;");
    assert_says(page, "method.codes is best at the upper end of what was tried, 64");
    assert_says(page, "1 of 3 settings collapsed in some mode. The nearest that did not: for 4 codes it has "
                      "method.codes = 16.");
    assert_says(page, "Every run with its verdicts (9)");
    free(page);
}
END_TEST

START_TEST(test_the_numbers_stand_beside_the_figures_as_csv) {
    char path[600];
    snprintf(path, sizeof path, "%s/figures/runs.csv", sweep);
    char *text = read_text(path);
    ck_assert_ptr_eq(strstr(text, "number,run,method,method.codes,train.seed,\"linear\","), text);
    assert_says(text, "\n1,\"run-codes=4-seed=0\",\"falcon\",\"4\",\"0\",0.5,");
    assert_says(text, ",healthy,collapsed,healthy,unknown,10,1\n");
    free(text);
    snprintf(path, sizeof path, "%s/figures/effects.csv", sweep);
    text = read_text(path);
    assert_says(text, ",\"method.codes\",\"linear\",\"64\",0.702,0.2,");
    free(text);
    snprintf(path, sizeof path, "%s/figures/settings.csv", sweep);
    text = read_text(path);
    assert_says(text, ",\"\",\"4 codes\",\"linear\",3,0.502,");
    free(text);
}
END_TEST

START_TEST(test_hostile_names_stay_text_and_failed_runs_are_listed) {
    char path[600];
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    ck_assert_ptr_null(strstr(page, "s<b>"));
    assert_says(page, "s&lt;b&gt;&quot;&amp;&#39;%d{x}_1`id`");
    ck_assert_ptr_null(strstr(page, "uid=")); /* what `id` would have printed */
    assert_says(page, "1 run did not finish");
    assert_says(page, "step 7: the loss is &lt;NaN&gt; &amp; more");
    ck_assert_ptr_null(strstr(page, "<script"));
    ck_assert_ptr_null(strstr(page, "id='gpPt")); /* ids of many figures in one page carry their figure's name */
    ck_assert_ptr_nonnull(strstr(page, "id='rank-1-gpPt"));
    ck_assert_ptr_null(strstr(page, "src=\"http"));
    free(page);
}
END_TEST

START_TEST(test_one_run_by_itself_has_a_page) {
    char folder[512], path[600];
    error err = {0};
    save_run(sweep, 1, 0);
    snprintf(folder, sizeof folder, "%s/run-codes=16-seed=0/", sweep);
    snprintf(path, sizeof path, "%s/elsewhere.html", sweep);
    ck_assert_msg(report_write(folder, path, 0, NULL, NULL, &err), "%s", err.text);
    char *page = read_text(path);
    assert_says(page, "1 run of falcon");
    assert_says(page, "One seed a setting");
    assert_says(page, "run-codes=16-seed=0/figures/spectra."); /* links reach the figures from where the page is */
    free(page);
}
END_TEST

START_TEST(test_a_folder_without_runs_gets_one_clear_line) {
    error err = {0};
    ck_assert(!report_write(sweep, NULL, 0, NULL, NULL, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    assert_says(err.text, sweep);
    assert_says(err.text, "holds no runs");
    err = (error){0};
    ck_assert(!report_write("/nowhere/at/all", NULL, 0, NULL, NULL, &err));
    assert_says(err.text, "/nowhere/at/all: no such results directory");
}
END_TEST

START_TEST(test_only_failed_runs_still_make_a_page) {
    char path[600];
    error err = {0};
    save_failed(sweep);
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    assert_says(page, "no run has finished");
    free(page);
}
END_TEST

START_TEST(test_where_nothing_can_be_written_the_page_goes_elsewhere_with_its_figures) {
    char path[600], html[600];
    error err = {0};
    save_failed(sweep);
    snprintf(path, sizeof path, "%s/figures", sweep);
    FILE *way = fopen(path, "w"); /* stands in the way, as a read-only disk would */
    ck_assert_ptr_nonnull(way);
    fclose(way);
    ck_assert(!report_write(sweep, NULL, 0, NULL, NULL, &err));
    assert_says(err.text, "/figures");
    assert_says(err.text, "--html FILE puts the page and its figures elsewhere");
    err = (error){0};
    snprintf(html, sizeof html, "%s/run-failed/page.html", sweep);
    ck_assert_msg(report_write(sweep, html, 0, NULL, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/run-failed/page-figures/runs.csv", sweep);
    free(read_text(path));
    free(read_text(html));
}
END_TEST

START_TEST(test_without_gnuplot_the_package_is_named) {
    error err = {0};
    fill_sweep();
    setenv("PATH", "/nowhere", 1);
    ck_assert(!report_write(sweep, NULL, 0, NULL, NULL, &err));
    assert_says(err.text, "gnuplot-nox");
}
END_TEST

START_TEST(test_the_table_is_aligned_text) {
    char *text = NULL;
    size_t size;
    error err = {0};
    fill_sweep();
    FILE *out = open_memstream(&text, &size);
    ck_assert_msg(report_print_table(sweep, out, &err), "%s", err.text);
    fclose(out);
    assert_says(text, "  codes        linear           AMI           NMI        chance      AMI k-m.    RankMe      of "
                      "noise  R D C I\n"
                      "      4  0.502 ±0.002  0.202 ±0.002  0.202 ±0.002  0.052 ±0.002  0.302 ±0.002  2.0 ±0.0  0.252 "
                      "±0.002  H C H –\n"
                      "     16  0.602 ±0.002  0.202 ±0.002  0.352 ±0.002  0.202 ±0.002             –  4.0 ±0.0");
    assert_says(text, "run-failed: failed: step 7");
    assert_says(text, "\nmethod.codes matters for linear accuracy (p < 0.001 after Holm's");
    assert_says(text, "\nnext\nrun-failed failed: step 7");
    free(text);
}
END_TEST

static void keep_line(void *context, const char *line) {
    if (strstr(line, ".npy")) snprintf(context, 600, "%s", line);
}

START_TEST(test_arrays_that_do_not_fit_are_named_and_the_page_is_made_without_them) {
    char path[600];
    const int32_t few[3] = {0, 1, 2};
    error err = {0};
    save_run(sweep, 1, 0);
    snprintf(path, sizeof path, "%s/run-codes=16-seed=0/labels.npy", sweep);
    ck_assert(npy_write(path, NPY_I32, 3, 0, few, &err));
    char said[600] = "";
    ck_assert_msg(report_write(sweep, NULL, 0, keep_line, said, &err), "%s", err.text);
    assert_says(said, "labels.npy: holds 3 × 1 numbers; one for each of 60 embeddings is expected");
    snprintf(path, sizeof path, "%s/index.html", sweep);
    char *page = read_text(path);
    assert_says(page, "</html>");
    free(page);
}
END_TEST

/* An empty record, one whose history has a hole, one whose diagnosis cannot be read, and what a killed report left
 * behind. */
START_TEST(test_bad_neighbours_are_listed_and_the_others_reported) {
    char path[600], *page;
    error err = {0};
    save_run(sweep, 0, 0);
    save_run(sweep, 1, 0);
    save_run(sweep, 2, 0);
    snprintf(path, sizeof path, "%s/run-codes=64-seed=0/run.json", sweep);
    ck_assert(file_write(path, "", 0, &err));
    snprintf(path, sizeof path, "%s/run-codes=4-seed=0/metrics.jsonl", sweep);
    ck_assert(file_write(path, "{\"step\": 1}\n{\"st\0\0\n{\"step\": 3}\n", 31, &err));
    snprintf(path, sizeof path, "%s/run-codes=16-seed=0/diagnosis.json", sweep);
    ck_assert(unlink(path) == 0 && mkdir(path, 0777) == 0);
    pid_t dead = fork();
    if (dead == 0) _exit(0);
    ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
    snprintf(path, sizeof path, "%s/index.html.tmp-%ld", sweep, (long)dead);
    ck_assert(file_write(path, "half", 4, &err));
    ck_assert_msg(report_write(sweep, NULL, 0, NULL, NULL, &err), "%s", err.text);
    ck_assert_int_ne(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/index.html", sweep);
    page = read_text(path);
    assert_says(page, "run-codes=64-seed=0/run.json:1: ");
    assert_says(page, "metrics.jsonl:2: is no line of a history; what follows is left out");
    assert_says(page, "run-codes=16-seed=0/diagnosis.json: not a file");
    assert_says(page, "1 run did not finish and is missing"); /* of the other two something is */
    assert_says(page, "</html>");
    free(page);
}
END_TEST

/* A disk that was full for a while leaves a script with a hole, which is no figure. */
START_TEST(test_a_script_that_lost_a_part_is_not_drawn) {
    char path[600], *out;
    size_t size;
    error err = {0};
    snprintf(path, sizeof path, "%s/script", sweep);
    ck_assert(file_write(path, "print 1\n", 8, &err));
    FILE *script = fopen(path, "r");
    ck_assert_msg(gnuplot_run(script, &out, &size, &err), "%s", err.text);
    free(out);
    ck_assert_int_eq(fputs("print 2\n", script), EOF); /* it is open to be read */
    ck_assert(!gnuplot_run(script, &out, &size, &err));
    fclose(script);
}
END_TEST

Suite *suite_report(void) {
    Suite *s = suite_create("report");
    TCase *page = tcase_create("page"), *t = tcase_create("report");
    tcase_set_timeout(page, 120); /* gnuplot draws several figures, perhaps on a busy machine */
    tcase_add_unchecked_fixture(page, make_report, remove_sweep);
    tcase_add_test(page, test_a_sweep_becomes_a_page_that_says_what_was_found);
    tcase_add_test(page, test_every_figure_is_drawn_and_well_formed);
    tcase_add_test(page, test_figures_over_training_end_with_the_final_ones);
    tcase_add_test(page, test_what_would_say_nothing_is_not_drawn);
    tcase_add_test(page, test_verdicts_and_the_overview_stand_first);
    tcase_add_test(page, test_the_page_says_what_each_key_did_and_what_to_run_next);
    tcase_add_test(page, test_the_numbers_stand_beside_the_figures_as_csv);
    tcase_add_test(page, test_hostile_names_stay_text_and_failed_runs_are_listed);
    suite_add_tcase(s, page);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, make_sweep, remove_sweep);
    tcase_add_test(t, test_figures_are_as_wide_as_a_journals_column);
    tcase_add_test(t, test_settings_that_collapse_are_drawn_as_a_map);
    tcase_add_test(t, test_a_map_of_empty_rows_is_not_drawn);
    tcase_add_test(t, test_the_overview_marks_the_worst_of_the_four_verdicts);
    tcase_add_test(t, test_one_run_by_itself_has_a_page);
    tcase_add_test(t, test_a_folder_without_runs_gets_one_clear_line);
    tcase_add_test(t, test_only_failed_runs_still_make_a_page);
    tcase_add_test(t, test_where_nothing_can_be_written_the_page_goes_elsewhere_with_its_figures);
    tcase_add_test(t, test_without_gnuplot_the_package_is_named);
    tcase_add_test(t, test_the_table_is_aligned_text);
    tcase_add_test(t, test_arrays_that_do_not_fit_are_named_and_the_page_is_made_without_them);
    tcase_add_test(t, test_bad_neighbours_are_listed_and_the_others_reported);
    tcase_add_test(t, test_a_script_that_lost_a_part_is_not_drawn);
    suite_add_tcase(s, t);
    return s;
}
