/*
 * `mews compare`: two runs beside each other: the keys in which their specs differ, their final figures with the
 * difference, and their histories at the same steps. Reads the run directories themselves.
 */
#include "analysis/report/study/records.h"
#include "experiments/commands/command.h"
#include "experiments/run/run_name.h"
#include "experiments/commands/terminal.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    char folders[2][1024];
    records records[2];
    history histories[2];
} pair;

static const record *run_of(const pair *p, int i) { return &p->records[i].items[0]; }

static const json_t *part_of(const pair *p, int i, const char *part) {
    return json_object_get(run_of(p, i)->run, part);
}

/* {key: [a, b]} of one object of both records; a key that one lacks is null there. */
static json_t *beside(const pair *p, const char *part, bool differing_only) {
    json_t *out = json_object();
    const char *key;
    json_t *value;
    for (int i = 0; i < 2; i++) json_object_foreach((json_t *)part_of(p, i, part), key, value) {
            json_t *a = json_object_get(part_of(p, 0, part), key), *b = json_object_get(part_of(p, 1, part), key);
            if (json_object_get(out, key) || (differing_only && a && b && json_equal(a, b))) continue;
            json_object_set_new(out, key, json_pack("[O?, O?]", a, b));
        }
    return out;
}

/* ---- Histories ---- */

enum { MOST_LINES = 12 };

static const double *column(const pair *p, int i, const char *name) { return history_column(&p->histories[i], name); }

/* Rows of both histories at the same step that hold the column; steps ascend, and may stand in several lines. */
typedef struct common_rows {
    size_t (*rows)[2];
    size_t count;
} common_rows;

static common_rows find_common(const pair *p, const char *name) {
    common_rows out = {0};
    const double *at[2] = {column(p, 0, "step"), column(p, 1, "step")};
    const double *values[2] = {column(p, 0, name), column(p, 1, name)};
    size_t n = p->histories[0].rows, m = p->histories[1].rows, j = 0;
    if (!at[0] || !at[1] || !values[0] || !values[1] || !(out.rows = malloc((n + 1) * sizeof *out.rows))) return out;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[0][i])) continue;
        while (j < m && !(at[1][j] >= at[0][i] && isfinite(values[1][j]))) j++;
        if (j < m && at[1][j] == at[0][i]) out.rows[out.count][0] = i, out.rows[out.count++][1] = j;
    }
    return out;
}

/* [[step, a, b], …] of a column that both have: all, or MOST_LINES spread evenly from the first to the last. */
static json_t *histories_of(const pair *p, const char *name, bool all) {
    json_t *lines = json_array();
    common_rows common = find_common(p, name);
    size_t shown = all || common.count < MOST_LINES ? common.count : MOST_LINES;
    for (size_t k = 0; k < shown; k++) {
        const size_t *row = common.rows[shown > 1 ? k * (common.count - 1) / (shown - 1) : 0];
        json_array_append_new(lines, json_pack("[f, f, f]", column(p, 0, "step")[row[0]], column(p, 0, name)[row[0]],
                                               column(p, 1, name)[row[1]]));
    }
    free(common.rows);
    return lines;
}

/* {column: lines} for what the training wrote; step and epoch are where, not what. */
static json_t *all_histories(const pair *p, bool all) {
    json_t *out = json_object();
    for (size_t c = 0; c < p->histories[0].columns; c++) {
        const char *name = p->histories[0].names[c];
        if (strcmp(name, "step") == 0 || strcmp(name, "epoch") == 0) continue;
        json_t *lines = histories_of(p, name, all);
        if (json_array_size(lines) > 0)
            json_object_set_new(out, name, lines);
        else
            json_decref(lines);
    }
    return out;
}

/* ---- Printing ---- */

static void print_pairs(const char *head, const json_t *pairs, bool with_difference) {
    const char *key;
    json_t *values;
    int widths[2] = {5, 12};
    char a[128], b[128];
    json_object_foreach((json_t *)pairs, key, values) {
        int letters = terminal_letters(key), first;
        record_scalar(json_array_get(values, 0), a, sizeof a);
        first = terminal_letters(a);
        if (letters > widths[0]) widths[0] = letters;
        if (first > widths[1]) widths[1] = first;
    }
    printf("\n%s\n", head);
    if (json_object_size(pairs) == 0) printf("  none\n");
    json_object_foreach((json_t *)pairs, key, values) {
        const json_t *x = json_array_get(values, 0), *y = json_array_get(values, 1);
        record_scalar(x, a, sizeof a);
        record_scalar(y, b, sizeof b);
        printf("  %-*s  %-*s  %-12s", widths[0], key, widths[1], json_is_null(x) ? "-" : a, json_is_null(y) ? "-" : b);
        if (with_difference && json_is_number(x) && json_is_number(y))
            printf("  %+.4g", json_number_value(y) - json_number_value(x));
        putchar('\n');
    }
}

static void print_histories(const json_t *histories) {
    const char *name;
    json_t *lines, *line;
    size_t i;
    json_object_foreach((json_t *)histories, name, lines) {
        printf("\n%s by step\n", name);
        json_array_foreach(lines, i, line)
            printf("  %8.0f  %-12.6g  %-12.6g\n", json_number_value(json_array_get(line, 0)),
                   json_number_value(json_array_get(line, 1)), json_number_value(json_array_get(line, 2)));
    }
}

static bool read_pair(pair *p, const arguments *args, error *err) {
    const char *results = arguments_value(args, "--out", "results");
    for (int i = 0; i < 2; i++) {
        if (!run_name_find(args->words[i], results, p->folders[i], err) ||
            !records_read(&p->records[i], p->folders[i], err))
            return false;
        const records *all = &p->records[i];
        for (size_t k = 0; k < all->unreadable_count; k++) fprintf(stderr, "mews: warning: %s\n", all->unreadable[k]);
        if (!history_read(&p->histories[i], run_of(p, i), err)) return false;
    }
    return true;
}

static bool run_compare(const command_context *context, const arguments *args, error *err) {
    (void)context;
    pair p = {0};
    bool json = arguments_has(args, "--json"), done = read_pair(&p, args, err);
    if (done) {
        json_t *all = json_pack("{s:[s, s], s:[s, s], s:o, s:o, s:o, s:o}", "runs", run_of(&p, 0)->id,
                                run_of(&p, 1)->id, "status", run_of(&p, 0)->status, run_of(&p, 1)->status, "spec",
                                beside(&p, "spec", true), "final", beside(&p, "final", false), "verdicts",
                                beside(&p, "verdicts", false), "history", all_histories(&p, json));
        if (json) {
            watch_print_json(json_incref(all));
        } else {
            for (int i = 0; i < 2; i++) printf("%c  %s  (%s)\n", 'A' + i, run_of(&p, i)->id, run_of(&p, i)->status);
            print_pairs("keys that differ: A, B", json_object_get(all, "spec"), false);
            print_pairs("final figures: A, B, B - A", json_object_get(all, "final"), true);
            print_pairs("verdicts: A, B", json_object_get(all, "verdicts"), false);
            print_histories(json_object_get(all, "history"));
        }
        json_decref(all);
    }
    for (int i = 0; i < 2; i++) {
        history_free(&p.histories[i]);
        records_free(&p.records[i]);
    }
    return done;
}

static const option options[] = {
    {"--json", NULL, NULL, "print one JSON object on stdout, with the whole histories"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {0},
};

const command command_compare = {
    .name = "compare",
    .rules = {.words = "A B", .min_words = 2, .max_words = 2, .options = options},
    .summary = "two runs beside each other: what differs, figures, histories",
    .details = "A and B are runs' folders, their ids, or a part of the id (its hash, say) that no other run has.\n",
    .run = run_compare,
};
