/*
 * The commands of the run store: runs (lists them), index (makes results/runs.db anew), rm (takes runs away).
 */
#include "experiments/commands/command.h"
#include "experiments/store/filter.h"
#include "experiments/store/listing.h"
#include "experiments/store/remove.h"
#include "experiments/run/judgement.h"
#include "experiments/run/run_name.h"
#include "experiments/sweep/watch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- runs ---- */

enum { MOST_COLUMNS = 256 };

typedef struct view {
    store *store;
    store_runs all;
    filter *filter; /* or NULL */
    size_t columns[MOST_COLUMNS], column_count;
    size_t *rows, count;
} view;

static bool show(view *v, const char *key, error *err) {
    size_t column;
    if (!store_runs_column(v->store, &v->all, key, &column, err)) return false;
    for (size_t i = 0; i < v->column_count; i++)
        if (v->columns[i] == column) return true;
    if (v->column_count == MOST_COLUMNS) return error_set(err, ERROR_USAGE, "more than %d columns", MOST_COLUMNS);
    v->columns[v->column_count++] = column;
    return true;
}

static bool show_all(view *v, store_kind kind, error *err) {
    char(*keys)[96];
    size_t count;
    bool done = store_keys(v->store, kind, &keys, &count, err);
    for (size_t i = 0; done && i < count; i++) done = show(v, keys[i], err);
    free(keys);
    return done;
}

/* A comma-separated list of keys. */
static bool show_list(view *v, const char *list, error *err) {
    char key[96];
    for (size_t length; *list; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        if (length >= sizeof key) return error_set(err, ERROR_USAGE, "--show: `%.60s…` is too long for a key", list);
        snprintf(key, sizeof key, "%.*s", (int)length, list);
        if (length && !show(v, key, err)) return error_prefix(err, "--show");
    }
    return true;
}

static bool is_empty(const view *v, const store_column *column) {
    for (size_t i = 0; i < v->all.count; i++)
        if (column->cells[i].type != CELL_NONE) return false;
    return true;
}

/* What is shown without being asked for: on a terminal what has room, elsewhere everything that differs. */
static bool choose_columns(view *v, bool all_of_them, error *err) {
    static const char *const more[] = {"folder", "name", "block", "method", "data", "reason"};
    static const char *const modes[] = {"representation", "dimensional", "cluster", "intracluster"};
    static const char *const few[] = {"linear", "knn", "kmeans_ami", "prototype_ami", "rankme"};
    static const char *const verdicts[] = {"dimensional", "cluster"};
    if (!show(v, "id", err) || !show(v, "status", err)) return false;
    for (size_t i = 0; all_of_them && i < sizeof more / sizeof *more; i++)
        if (!show(v, more[i], err)) return false;
    if (all_of_them && !(show_all(v, STORE_SWEPT, err) && show_all(v, STORE_FIGURES, err))) return false;
    for (size_t i = 0; all_of_them && i < sizeof modes / sizeof *modes; i++)
        if (!show(v, modes[i], err)) return false;
    if (all_of_them) return true;
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        error none = {0};
        if (!show(v, few[i], &none) && none.code != ERROR_USAGE) return error_set(err, none.code, "%s", none.text);
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        if (!show(v, verdicts[i], err)) return false;
        if (is_empty(v, &v->all.columns[v->columns[v->column_count - 1]])) v->column_count--; /* none was judged */
    }
    return true;
}

static bool choose_rows(view *v, const char *name, error *err) {
    v->rows = malloc((v->all.count + 1) * sizeof *v->rows);
    if (!v->rows) return error_memory(err, v->all.count * sizeof *v->rows, "the list of runs");
    size_t length = strlen(name);
    for (size_t i = 0; i < v->all.count; i++) {
        const char *folder = v->all.folders[i];
        bool here = !length || (strncmp(folder, name, length) == 0 && folder[length] == '/');
        if (here && (!v->filter || filter_holds(v->filter, &v->all, i))) v->rows[v->count++] = i;
    }
    return true;
}

/* "linear": figures from the largest, anything else from the smallest; "-linear" the other way. */
static bool sort_rows(view *v, const char *key, error *err) {
    size_t column;
    bool turned = *key == '-';
    if (!store_runs_column(v->store, &v->all, key + turned, &column, err)) return error_prefix(err, "--sort");
    const store_column *by = &v->all.columns[column];
    listing_sort(v->rows, v->count, by, by->figure != turned);
    return true;
}

static const char *text_of(const view *v, size_t column, size_t row) {
    const char *text = v->all.columns[column].cells[row].text;
    return text ? text : "";
}

/* Of each block of each sweep the first finished run that has the figure: rows are sorted by it. */
static bool keep_best(view *v, const char *key, error *err) {
    size_t name, block, status, figure, kept = 0;
    if (!store_runs_column(v->store, &v->all, "name", &name, err) ||
        !store_runs_column(v->store, &v->all, "block", &block, err) ||
        !store_runs_column(v->store, &v->all, "status", &status, err) ||
        !store_runs_column(v->store, &v->all, key, &figure, err))
        return false;
    if (!v->all.columns[figure].figure)
        return error_set(err, ERROR_USAGE, "--best takes a final figure, as in linear, not `%s`", key);
    for (size_t i = 0; i < v->count; i++) {
        size_t row = v->rows[i];
        bool has =
            v->all.columns[figure].cells[row].type == CELL_NUMBER && strcmp(text_of(v, status, row), "finished") == 0;
        for (size_t k = 0; k < kept && has; k++)
            has = strcmp(text_of(v, name, row), text_of(v, name, v->rows[k])) != 0 ||
                  strcmp(text_of(v, block, row), text_of(v, block, v->rows[k])) != 0;
        if (has) v->rows[kept++] = row;
    }
    v->count = kept;
    return true;
}

static bool list_runs(view *v, const arguments *args, const char *name, error *err) {
    const char *where = arguments_value(args, "--where", NULL), *sort = arguments_value(args, "--sort", NULL);
    const char *shown = arguments_value(args, "--show", ""), *best = arguments_value(args, "--best", NULL);
    if (best && sort) return error_set(err, ERROR_USAGE, "--best sorts by its figure; --sort has no place beside it");
    if (best) sort = best;
    bool csv = arguments_has(args, "--csv"), json = arguments_has(args, "--json");
    if (where && !(v->filter = filter_parse(where, err))) return false;
    if (!store_runs_read(v->store, &v->all, err) || (v->filter && !filter_bind(v->filter, v->store, &v->all, err)))
        return false;
    if (!choose_columns(v, csv || json, err) || !show_list(v, shown, err)) return false;
    const char *key;
    for (size_t i = 0; v->filter && (key = filter_key(v->filter, i)); i++)
        if (!show(v, key, err)) return false;
    if (!choose_rows(v, name, err) || (sort && (!sort_rows(v, sort, err) || !show(v, sort + (*sort == '-'), err))))
        return false;
    if (best && !keep_best(v, best + (*best == '-'), err)) return error_prefix(err, "--best");
    if (v->count == 0 && !csv && !json) {
        printf("no runs%s\n", where ? " fulfil this" : "");
        return true;
    }
    listing l = {v->rows, v->count, v->columns, v->column_count};
    listing_print(stdout, &v->all, &l, json ? LISTING_JSON : csv ? LISTING_CSV : LISTING_TEXT);
    return true;
}

static bool run_runs(const command_context *context, const arguments *args, error *err) {
    (void)context;
    char results[1024], name[64];
    view v = {0};
    if (arguments_has(args, "--csv") && arguments_has(args, "--json"))
        return error_set(err, ERROR_USAGE, "--csv or --json, not both");
    if (!run_name_place(args->word_count ? args->words[0] : "results", results, name, err)) return false;
    v.store = store_open_current(results, err);
    bool done = v.store && list_runs(&v, args, name, err);
    filter_free(v.filter);
    free(v.rows);
    store_runs_free(&v.all);
    store_close(v.store);
    return done;
}

static const option runs_options[] = {
    {"--where", "-w", "CONDITION", "only runs that fulfil it, as in \"method.codes > 1000 and status = finished\""},
    {"--sort", NULL, "KEY", "by a key: figures from the largest, else from the smallest; -KEY the other way"},
    {"--best", "-b", "FIGURE", "of each block the run with the largest figure, the best first; -FIGURE: the smallest"},
    {"--show", NULL, "KEY,...", "more columns"},
    {"--json", NULL, NULL, "print an array of objects, with every swept key and every figure"},
    {"--csv", NULL, NULL, "the same as CSV"},
    {0},
};

const command command_runs = {
    .name = "runs",
    .rules = {.words = "[DIR]", .max_words = 1, .options = runs_options},
    .summary = "the runs there are, with their figures",
    .details =
        "DIR is a results folder (default: results) or one name in it (results/ablation-dims). A key is one of a\n"
        "spec (`mews keys`), a final figure, or id, name, block, status (queued, running, interrupted,\n"
        "stopped, failed, finished), method, data, seconds_train, or a verdict: representation, dimensional, cluster,\n"
        "intracluster (healthy, warning, collapsed, unknown). Conditions:\n"
        "= != < <= > >=, and, or, not, parentheses, quotes; a run without the key does not fulfil them.\n",
    .run = run_runs,
};

/* ---- index ---- */

/* Judges every run of the index again; what cannot be read is told and passed over. */
static bool judge_all(const command_context *context, const char *results, error *err) {
    store *s = store_open_current(results, err);
    store_runs all = {0};
    bool done = s && store_runs_read(s, &all, err);
    size_t judged = 0, changed = 0, failed = 0;
    terminal t = terminal_open(stderr);
    for (size_t i = 0; done && i < all.count && !*context->interrupted; i++) {
        char folder[2048];
        bool other, kept;
        error why = {0};
        snprintf(folder, sizeof folder, "%.1000s/%.1000s", results, all.folders[i]);
        terminal_status(&t, false, "judging %zu/%zu: %s", i + 1, all.count, all.folders[i]);
        if (!judgement_again(folder, &kept, &other, &why)) {
            terminal_line(&t, "mews: warning: %s: %s", all.folders[i], why.text);
            failed++;
        } else if (kept) {
            judged++, changed += other;
        }
    }
    terminal_clear(&t);
    if (done && *context->interrupted) done = error_set(err, EXIT_INTERRUPTED, "interrupted");
    if (done)
        printf("%zu of %zu %s judged again, %zu with another verdict\n", judged, all.count,
               all.count == 1 ? "run" : "runs", changed);
    if (done && failed) done = error_set(err, ERROR_RUN, "%zu runs could not be judged", failed);
    store_runs_free(&all);
    store_close(s);
    return done;
}

static bool run_index(const command_context *context, const arguments *args, error *err) {
    size_t runs;
    const char *results = args->word_count ? args->words[0] : "results";
    if (arguments_has(args, "--judge") && !judge_all(context, results, err)) return false;
    if (!store_rebuild(results, &runs, err)) return false;
    printf("%s/runs.db: %zu %s\n", results, runs, runs == 1 ? "run" : "runs");
    return true;
}

static const option index_options[] = {
    {"--judge", NULL, NULL, "judge every run again by today's rules, from what it kept"},
    {0},
};

const command command_index = {
    .name = "index",
    .rules = {.words = "[DIR]", .max_words = 1, .options = index_options},
    .summary = "make the index of runs, results/runs.db, anew from the run directories",
    .details =
        "Needed only when the index is damaged: commands that read it bring it up to date by themselves.\n"
        "--judge rewrites the verdicts in run.json and diagnosis.json. A run of an earlier version did not look at\n"
        "its network before the first step, so its dimensional verdict is unknown until `mews eval` has looked.\n",
    .go_on = "run the same command to begin again",
    .run = run_index,
};

/* ---- rm ---- */

static bool confirmed(const arguments *args, size_t count, error *err) {
    if (arguments_has(args, "--yes")) return true;
    if (!isatty(STDIN_FILENO))
        return error_set(err, ERROR_USAGE, "`mews rm` asks before it removes; without a terminal it needs --yes");
    char answer[16] = "";
    fprintf(stderr, "Remove %zu %s with all files? [y/N] ", count, count == 1 ? "run" : "runs");
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y')) return true;
    return error_set(err, ERROR_RUN, "nothing removed");
}

static bool run_rm(const command_context *context, const arguments *args, error *err) {
    (void)context;
    const char *results = arguments_value(args, "--out", "results");
    char(*folders)[1024] = malloc(args->word_count * sizeof *folders);
    bool done = folders != NULL || error_memory(err, args->word_count * sizeof *folders, "a list of runs");
    for (size_t i = 0; done && i < args->word_count; i++)
        done = run_name_find(args->words[i], results, folders[i], err);
    for (size_t i = 0; done && i < args->word_count && !arguments_has(args, "--yes"); i++)
        fprintf(stderr, "%s\n", folders[i]);
    done = done && confirmed(args, args->word_count, err);
    for (size_t i = 0; done && i < args->word_count; i++) {
        done = remove_run(folders[i], err);
        if (done) printf("removed %s\n", folders[i]);
    }
    free(folders);
    return done;
}

static const option rm_options[] = {
    {"--yes", "-y", NULL, "do not ask"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {0},
};

const command command_rm = {
    .name = "rm",
    .rules = {.words = "RUN...", .min_words = 1, .max_words = MAX_GIVEN, .options = rm_options},
    .summary = "remove runs: their directories and their lines in the index",
    .details = "RUN is a run's folder, its id, or a part of the id (its hash, say) that no other run has.\n",
    .run = run_rm,
};
