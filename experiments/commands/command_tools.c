/*
 * The commands that work on what is there: report (a results folder), bench (the yardsticks). Each is a thin door to
 * the part that does the work.
 */
#include "analysis/report/report.h"
#include "experiments/bench/bench.h"
#include "experiments/commands/command.h"
#include "experiments/sweep/results_folder.h"
#include "experiments/run/run_name.h"
#include "experiments/sweep/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- report ---- */

static void on_report_line(void *context, const char *line) { terminal_line(context, "%s", line); }

/* "3.4in", "86mm", "8.6cm" in inches: what journals call a column. */
static bool parse_width(const char *text, double *inches, error *err) {
    static const struct {
        const char *name;
        double inches;
    } units[] = {{"in", 1}, {"cm", 1 / 2.54}, {"mm", 1 / 25.4}};
    *inches = 0;
    if (!text) return true;
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0) *inches = value * units[i].inches;
    return (*inches >= 1.5 && *inches <= 40) ||
           error_set(err, ERROR_USAGE, "--width takes 1.5in to 40in, as in 3.4in, 86mm or 8.6cm, not `%s`", text);
}

/* The name of a folder in results/; a folder; or a run's id, hash or any part that no other run has. */
static bool find_results(const char *word, char folder[1024], error *err) {
    struct stat about;
    if (results_folder_find(word, "results", folder)) return true;
    snprintf(folder, 1024, "%.1023s", word);
    if (stat(folder, &about) == 0 || strchr(word, '/')) return true;
    return stat("results", &about) != 0 || run_name_find(word, "results", folder, err);
}

static bool run_report(const command_context *context, const arguments *args, error *err) {
    (void)context;
    terminal t = terminal_open(stderr);
    double inches;
    char folder[1024];
    const char *dir = folder, *html = arguments_value(args, "--html", NULL);
    if (!parse_width(arguments_value(args, "--width", NULL), &inches, err) ||
        !find_results(args->words[0], folder, err))
        return false;
    if (!report_write(dir, html, inches, on_report_line, &t, err) || !report_print_table(dir, stdout, err))
        return false;
    size_t length = strlen(dir);
    bool slash = length && dir[length - 1] == '/';
    printf("\nopen %s%s%s\n", html ? html : dir, html || slash ? "" : "/", html ? "" : "index.html");
    return true;
}

static const option report_options[] = {
    {"--html", NULL, "FILE", "where the page goes (default: DIR/index.html)"},
    {"--width", NULL, "WIDTH", "how wide the figures' files are, as a journal's column is: 3.4in, 86mm"},
    {0},
};
const command command_report = {
    .name = "report",
    .rules = {.words = "DIR", .min_words = 1, .max_words = 1, .options = report_options},
    .summary = "tables, plots and one HTML page for a sweep or a run",
    .details = "DIR is a sweep's folder (results/NAME, or NAME alone) or one run's (also its id, or a part of that). "
               "The page says what each swept key did, with intervals,\n"
               "what collapsed and what to run next; DIR/figures holds every figure as SVG, PDF and\n"
               "PNG, and all numbers as CSV.\n",
    .go_on = "run the same command to begin again",
    .run = run_report,
};

/* ---- bench ---- */

static void print_figures(const json_t *figures) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(void *)figures, key, value) {
        if (json_is_array(value)) { /* sentences; series are for --json */
            for (size_t i = 0; i < json_array_size(value); i++)
                if (json_is_string(json_array_get(value, i)))
                    printf("  %s\n", json_string_value(json_array_get(value, i)));
            continue;
        }
        char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        printf("  %-16s %s\n", key, text ? text : json_string_value(value));
        free(text);
    }
}

static bool run_bench(const command_context *context, const arguments *args, error *err) {
    bench_options o;
    fields_defaults(&bench_fields, &o);
    if (!arguments_fields(args, &bench_fields, &o, err)) return false;
    o.peers = context->peers;
    o.traffic = arguments_has(args, "--traffic");
    if (o.traffic && strcmp(args->words[0], "step") != 0)
        return error_set(err, ERROR_USAGE, "--traffic is of `mews bench step`, not of %s", args->words[0]);
    json_t *figures = bench_run(args->words[0], &o, err);
    if (!figures) return false;
    if (o.peers && o.peers->rank) { /* rank 0 tells */
        json_decref(figures);
        return true;
    }
    if (arguments_has(args, "--json")) {
        watch_print_json(figures);
        return true;
    }
    print_figures(figures);
    json_decref(figures);
    return true;
}

static const option bench_options_table[] = {
    {"--traffic", NULL, NULL, "step: count the bytes that it moves, and the least there is to move"},
    {"--json", NULL, NULL, "print the figures as one JSON object on stdout"},
    {0},
};
const command command_bench = {
    .name = "bench",
    .rules = {.words = "NAME", .min_words = 1, .max_words = 1, .options = bench_options_table, .fields = &bench_fields},
    .summary = "the yardsticks: step, loss, augment, loader, spectrum, kmeans, knn, scaling, peers, machine",
    .details =
        "NAME is step (a training step), loss (the FALCON loss and its gradient), augment (pairs of views a second),\n"
        "loader (photographs to views), spectrum (RankMe of a matrix), kmeans, knn, or scaling (a step's time over\n"
        "batch, width and codes, drawn to --out), or peers (a step that the processes of `mpirun -n K mews bench\n"
        "peers` share, and what of adding up their gradients is hidden behind the backward pass), or machine (what\n"
        "products and memory can do here). Prints the median, least and most of the repetitions. gflops count the\n"
        "products of the definition, so that an algorithm which needs fewer of them may go beyond the machine's peak.\n"
        "--traffic adds the bytes that a step's ops read and write, op by op: what they move, and the least, in which\n"
        "each value crosses once for each pass that needs it (engine/traffic.h); memory_share is the part of the step\n"
        "that they would take at the rate at which this machine reads memory.\n"
        "`make bench` prints a table of them, beside PyTorch, faiss and albumentations where those are installed.\n",
    .go_on = "run the same command to begin again",
    .run = run_bench,
};
