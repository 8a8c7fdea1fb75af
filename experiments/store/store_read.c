/*
 * Reading the index by columns: one key over all runs is a stretch of one B-tree, so a listing of ten thousand runs
 * reads what it shows and nothing else. No text of the user's ever becomes SQL; keys are bound.
 */
#include "experiments/store/store_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the table `runs` that are keys, too. */
static const char *const run_columns[] = {
    "folder",         "id",          "name",          "block",        "status",  "reason",        "stopped",
    "method",         "data",        "data_checksum", "version",      "threads", "seconds_train", "seconds_eval",
    "representation", "dimensional", "cluster",       "intracluster", NULL,
};

static sqlite3_stmt *query_for(store *s, const char *text, const char *key, error *err) {
    sqlite3_stmt *query = NULL;
    if (sqlite3_prepare_v2(s->db, text, -1, &query, NULL) != SQLITE_OK ||
        (key && sqlite3_bind_text(query, 1, key, -1, SQLITE_TRANSIENT) != SQLITE_OK)) {
        store_refuse(s, err);
        sqlite3_finalize(query);
        return NULL;
    }
    return query;
}

bool store_runs_read(store *s, store_runs *all, error *err) {
    *all = (store_runs){0};
    size_t room = 0;
    int step = SQLITE_DONE;
    sqlite3_stmt *query = query_for(s, "SELECT run, folder FROM runs ORDER BY folder", NULL, err);
    while (query && (step = sqlite3_step(query)) == SQLITE_ROW) {
        if (all->count == room) {
            room = room ? 2 * room : 256;
            int64_t *runs = realloc(all->runs, room * sizeof *runs);
            if (runs) all->runs = runs;
            char **folders = realloc(all->folders, room * sizeof *folders);
            if (folders) all->folders = folders;
            if (!runs || !folders) break;
        }
        all->runs[all->count] = sqlite3_column_int64(query, 0);
        if (!(all->folders[all->count] = strdup((const char *)sqlite3_column_text(query, 1)))) break;
        all->count++;
    }
    if (query && step == SQLITE_ROW) error_memory(err, room * sizeof(char *), "the list of runs");
    if (query && step != SQLITE_ROW && step != SQLITE_DONE) store_refuse(s, err);
    sqlite3_finalize(query);
    if (err->code == ERROR_NONE) return true;
    store_runs_free(all);
    return false;
}

void store_runs_free(store_runs *all) {
    for (size_t c = 0; c < all->column_count; c++) {
        for (size_t i = 0; i < all->count; i++) free(all->columns[c].cells[i].text);
        free(all->columns[c].cells);
    }
    for (size_t i = 0; i < all->count; i++) free(all->folders[i]);
    free(all->columns);
    free(all->folders);
    free(all->runs);
    *all = (store_runs){0};
}

/* ---- Keys ---- */

/* The first key of a kind after another one, without a scan. */
static const char *const next_key[] = {
    [STORE_SETTINGS] = "SELECT min(key) FROM settings WHERE key > ?1",
    [STORE_SWEPT] = "SELECT min(key) FROM settings WHERE swept = 1 AND key > ?1",
    [STORE_FIGURES] = "SELECT min(metric) FROM figures WHERE metric > ?1",
};

bool store_keys(store *s, store_kind kind, char (**keys)[96], size_t *count, error *err) {
    sqlite3_stmt *query = query_for(s, next_key[kind], "", err);
    const char *text;
    int step = SQLITE_DONE;
    *keys = NULL, *count = 0;
    while (query && (step = sqlite3_step(query)) == SQLITE_ROW &&
           (text = (const char *)sqlite3_column_text(query, 0))) {
        char(*grown)[96] = realloc(*keys, (*count + 1) * sizeof *grown);
        if (!grown) {
            error_memory(err, (*count + 1) * sizeof *grown, "the keys of the index");
            break;
        }
        *keys = grown;
        snprintf(grown[*count], sizeof *grown, "%.95s", text);
        sqlite3_reset(query);
        sqlite3_bind_text(query, 1, grown[(*count)++], -1, SQLITE_TRANSIENT);
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE) store_refuse(s, err);
    sqlite3_finalize(query);
    return err->code == ERROR_NONE;
}

static bool refuse_key(store *s, const char *key, error *err) {
    enum { MOST = 600 };
    char(*settings)[96] = NULL, (*figures)[96] = NULL;
    const char *names[MOST + 1], *near = NULL;
    size_t n = 0, setting_count, figure_count = 0;
    if (!store_keys(s, STORE_SETTINGS, &settings, &setting_count, err) ||
        !store_keys(s, STORE_FIGURES, &figures, &figure_count, err))
        goto done;
    for (; run_columns[n]; n++) names[n] = run_columns[n];
    for (size_t i = 0; i < figure_count && n < MOST; i++) names[n++] = figures[i];
    for (size_t i = 0; i < setting_count && n < MOST; i++) names[n++] = settings[i];
    names[n] = NULL;
    for (size_t i = 0; !near && i < n; i++) { /* `codes` for `method.codes` */
        const char *dot = strchr(names[i], '.');
        if (dot && strcmp(dot + 1, key) == 0) near = names[i];
    }
    if (!near) near = error_nearest(key, names);
    if (near)
        error_set(err, ERROR_USAGE, "no run has `%.90s`; did you mean `%s`?", key, near);
    else
        error_set(
            err, ERROR_USAGE,
            "no run has `%.90s`: a key is one of a spec (`mews keys`), a final figure, or one of id, name, block, "
            "status, method, data",
            key);
done:
    free(settings);
    free(figures);
    return false;
}

typedef enum source { NOWHERE, OF_RUNS, OF_SETTINGS, OF_FIGURES } source;

/* NOWHERE also when the index cannot be read, with the error. */
static source source_of(store *s, const char *key, error *err) {
    static const char *const texts[] = {"SELECT 1 FROM settings WHERE key = ?1 LIMIT 1",
                                        "SELECT 1 FROM figures WHERE metric = ?1 LIMIT 1"};
    for (int i = 0; run_columns[i]; i++)
        if (strcmp(run_columns[i], key) == 0) return OF_RUNS;
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *query = query_for(s, texts[i], key, err);
        int step = query ? sqlite3_step(query) : SQLITE_ERROR;
        if (query && step != SQLITE_ROW && step != SQLITE_DONE) store_refuse(s, err);
        sqlite3_finalize(query);
        if (step == SQLITE_ROW) return i == 0 ? OF_SETTINGS : OF_FIGURES;
        if (step != SQLITE_DONE) return NOWHERE;
    }
    return NOWHERE;
}

/* ---- Columns ---- */

typedef struct place {
    int64_t run;
    size_t row;
} place;

static int by_run(const void *a, const void *b) {
    int64_t x = ((const place *)a)->run, y = ((const place *)b)->run;
    return (x > y) - (x < y);
}

static bool take(sqlite3_stmt *query, cell *out) {
    int type = sqlite3_column_type(query, 1);
    if (type == SQLITE_NULL) return true;
    const char *text = (const char *)sqlite3_column_text(query, 1);
    out->type = type == SQLITE_TEXT ? CELL_TEXT : CELL_NUMBER;
    out->number = type == SQLITE_TEXT ? 0 : sqlite3_column_double(query, 1);
    return (out->text = strdup(text ? text : "")) != NULL;
}

/* The query gives (run, value) by run. */
static bool fill(store *s, const store_runs *all, sqlite3_stmt *query, cell *cells, error *err) {
    place *places = malloc((all->count + 1) * sizeof *places);
    int step = SQLITE_DONE;
    bool done = places != NULL;
    for (size_t i = 0; done && i < all->count; i++) places[i] = (place){all->runs[i], i};
    if (done) qsort(places, all->count, sizeof *places, by_run);
    for (size_t i = 0; done && (step = sqlite3_step(query)) == SQLITE_ROW;) {
        int64_t run = sqlite3_column_int64(query, 0);
        while (i < all->count && places[i].run < run) i++;
        if (i < all->count && places[i].run == run) done = take(query, &cells[places[i].row]);
    }
    free(places);
    if (!done) return error_memory(err, all->count * sizeof *places, "a column of the index");
    return step == SQLITE_DONE || store_refuse(s, err);
}

static sqlite3_stmt *column_query(store *s, const char *key, source from, error *err) {
    char text[128];
    if (from == OF_SETTINGS)
        return query_for(s, "SELECT run, value FROM settings WHERE key = ?1 ORDER BY run", key, err);
    if (from == OF_FIGURES)
        return query_for(s, "SELECT run, value FROM figures WHERE metric = ?1 ORDER BY run", key, err);
    snprintf(text, sizeof text, "SELECT run, %s FROM runs ORDER BY run", key); /* a name out of run_columns */
    return query_for(s, text, NULL, err);
}

bool store_runs_column(store *s, store_runs *all, const char *key, size_t *column, error *err) {
    for (*column = 0; *column < all->column_count; ++*column)
        if (strcmp(all->columns[*column].key, key) == 0) return true;
    source from = strlen(key) < 96 ? source_of(s, key, err) : NOWHERE;
    if (from == NOWHERE && err->code) return false;
    if (from == NOWHERE) return refuse_key(s, key, err);
    store_column *grown = realloc(all->columns, (all->column_count + 1) * sizeof *grown);
    cell *cells = calloc(all->count + 1, sizeof *cells);
    if (grown) all->columns = grown;
    if (!grown || !cells) {
        free(cells);
        return error_memory(err, all->count * sizeof *cells, "a column of the index");
    }
    store_column *added = &grown[all->column_count++];
    *added = (store_column){.figure = from == OF_FIGURES, .cells = cells};
    snprintf(added->key, sizeof added->key, "%s", key);
    sqlite3_stmt *query = column_query(s, key, from, err);
    bool done = query && fill(s, all, query, cells, err);
    sqlite3_finalize(query);
    return done;
}
