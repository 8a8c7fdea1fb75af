/* The open index, as store.c (one run), store_walk.c (all runs) and store_read.c share it; for nobody else. */
#ifndef MEWS_STORE_FILE_H
#define MEWS_STORE_FILE_H

#include "experiments/store/store.h"

#include <fcntl.h>
#include <jansson.h>
#include <sqlite3.h>

enum {
    STORE_FORGET_RUN,
    STORE_FORGET_SETTINGS,
    STORE_FORGET_FIGURES,
    STORE_ADD_RUN,
    STORE_ADD_SETTING,
    STORE_ADD_FIGURE,
    STORE_STATEMENTS,
};

struct store {
    sqlite3 *db;
    char *results, *path;
    json_t *queued; /* {folder: record} of the runs that living sweeps have yet to begin, as of the last walk */
    sqlite3_stmt *statements[STORE_STATEMENTS];
};

bool store_path(const char *results, char path[1100], error *err); /* "<results>/runs.db" */
bool store_execute(store *s, const char *text, error *err);

/* Begins a transaction with the write lock; ends it well, or as if it had not been. */
bool store_begin(store *s, error *err);
bool store_end(store *s, bool well, error *err);

/* Puts what the directory says into the index; inside a transaction. */
bool store_write_run(store *s, const char *folder, error *err);

/* What tells one state of a run from another: its run.json's time and size, and who is at it. "" when there is none. */
void store_stamp(const store *s, const char *folder, char out[64]);

/* Says what SQLite has against it. Returns false. */
bool store_refuse(store *s, error *err);

#endif
