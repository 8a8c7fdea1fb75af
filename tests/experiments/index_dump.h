/* Every row of every table of an index of runs, as text: two indices are the same when these are. */
#ifndef MEWS_TESTS_INDEX_DUMP_H
#define MEWS_TESTS_INDEX_DUMP_H

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static inline char *index_dump(const char *path) {
    static const char *const queries[] = {"SELECT * FROM runs ORDER BY 1", "SELECT * FROM settings ORDER BY 1, 2",
                                          "SELECT * FROM figures ORDER BY 1, 2"};
    char *text = NULL;
    size_t size;
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    FILE *out = open_memstream(&text, &size);
    for (int q = 0; q < 3; q++) {
        sqlite3_stmt *query;
        ck_assert_int_eq(sqlite3_prepare_v2(db, queries[q], -1, &query, NULL), SQLITE_OK);
        while (sqlite3_step(query) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(query); c++)
                fprintf(out, "%s|", sqlite3_column_text(query, c) ? (const char *)sqlite3_column_text(query, c) : "");
            putc('\n', out);
        }
        sqlite3_finalize(query);
    }
    fclose(out);
    sqlite3_close(db);
    return text;
}

static inline size_t lines_with(const char *text, const char *word) {
    size_t n = 0;
    for (; (text = strstr(text, word)); text++) n++;
    return n;
}

#endif
