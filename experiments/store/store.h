/*
 * The index of a results folder: <results>/runs.db, an SQLite file that anything may read (README.md tells its tables).
 * The run directories are the truth. The index repeats what their run.json say, one transaction a run, and every reader
 * first brings it up to date with what has changed on the disk, so a process killed between the two loses nothing.
 */
#ifndef MEWS_STORE_H
#define MEWS_STORE_H

#include "engine/error.h"

#include <stddef.h>
#include <stdint.h>

enum { STORE_SCHEMA = 3 }; /* PRAGMA user_version; a higher one is refused, a lower one made anew */

typedef struct store store;

/* Opens <results>/runs.db, and makes it when there is none. ERROR_RUN when it cannot be written, is damaged, or was
 * made by a newer program. */
store *store_open(const char *results, error *err);

/* Opens it and brings it up to date; where it cannot be written, an index in memory of what stands on the disk. */
store *store_open_current(const char *results, error *err);
void store_close(store *s);

/* Repeats what the run directory "<name>/<id>" says now, or forgets it when it is gone. */
bool store_note(store *s, const char *folder, error *err);

/* Brings the index up to date: run directories whose run.json changed, came or went since they were noted. */
bool store_refresh(store *s, error *err);

/* Makes the index anew from the directories, in one transaction; a damaged one is replaced. */
bool store_rebuild(const char *results, size_t *runs, error *err);

/*
 * One run's directory (any path to it) has changed: notes it in its results folder's index. Opens and closes that;
 * makes it only when `make`, otherwise passes over results without one.
 */
bool store_note_run(const char *run_folder, bool make, error *err);

/* ---- Reading ---- */

typedef enum cell_type { CELL_NONE, CELL_NUMBER, CELL_TEXT } cell_type;

/* A value of the index; a number has its text, too. */
typedef struct cell {
    cell_type type;
    double number;
    char *text;
} cell;

/* What one key is in every run. */
typedef struct store_column {
    char key[96];
    bool figure;
    cell *cells; /* one a run, in the order of store_runs */
} store_column;

typedef struct store_runs {
    int64_t *runs;  /* numbers as in the index */
    char **folders; /* "<name>/<id>", ascending */
    size_t count;
    store_column *columns; /* those asked for so far */
    size_t column_count;
} store_runs;

/* All runs, by folder, without columns. */
bool store_runs_read(store *s, store_runs *all, error *err);
void store_runs_free(store_runs *all);

/*
 * The index of the column `key`: a column of the table `runs` ("status"), a spec's key ("method.codes") or a final
 * figure ("linear"). Reads it on first use. ERROR_USAGE with the nearest key when no run has it.
 */
bool store_runs_column(store *s, store_runs *all, const char *key, size_t *column, error *err);

/* The keys of a kind that any run has, ascending; *keys is to be freed. */
typedef enum store_kind { STORE_SETTINGS, STORE_SWEPT, STORE_FIGURES } store_kind;
bool store_keys(store *s, store_kind kind, char (**keys)[96], size_t *count, error *err);

#endif
