/*
 * Writing the index. Every change is a transaction that begins with the write lock (BEGIN IMMEDIATE) and reads run.json
 * only then: whoever comes last has read last, so no old record can overwrite a new one. SQLite's rollback journal is
 * kept rather than WAL, because the index is then a single file that can be copied, or opened where nobody may write.
 * A run's number is made of its folder's name, so that an index built anew equals one that grew.
 */
#include "experiments/store/store.h"
#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "engine/files/lease.h"
#include "engine/files/record.h"
#include "experiments/store/store_file.h"
#include "experiments/store/store_pages.h"
#include "analysis/verdicts/collapse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 60000,      /* how long to wait for other writers */
    APPLICATION = 0x6d657773, /* "mews": PRAGMA application_id */
};

/* A key's or a figure's column of the view. */
#define SETTING(KEY) ", (SELECT value FROM settings s WHERE s.key = '" KEY "' AND s.run = runs.run) AS \"" KEY "\""
#define FIGURE(NAME) ", (SELECT value FROM figures f WHERE f.metric = '" NAME "' AND f.run = runs.run) AS " NAME

/* clang-format off */
static const char schema[] =
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, id TEXT NOT NULL, name TEXT, block TEXT,"
    " status TEXT, reason TEXT, stopped TEXT, method TEXT, data TEXT, data_checksum TEXT, version TEXT,"
    " threads INTEGER, seconds_train REAL, seconds_eval REAL, stamp TEXT NOT NULL,"
    " representation TEXT, dimensional TEXT, cluster TEXT, intracluster TEXT);"
    "CREATE TABLE settings (key TEXT NOT NULL, run INTEGER NOT NULL, value, swept INTEGER NOT NULL,"
    " PRIMARY KEY (key, run)) WITHOUT ROWID;"
    "CREATE INDEX settings_swept ON settings (key) WHERE swept = 1;"
    "CREATE TABLE figures (metric TEXT NOT NULL, run INTEGER NOT NULL, value REAL, PRIMARY KEY (metric, run))"
    " WITHOUT ROWID;"
    "CREATE VIEW overview AS SELECT runs.*"
    SETTING("method.codes") SETTING("method.features") SETTING("train.epochs") SETTING("train.seed")
    FIGURE("linear") FIGURE("knn") FIGURE("kmeans_nmi") FIGURE("kmeans_ami")
    FIGURE("prototype_nmi") FIGURE("prototype_nmi_chance") FIGURE("prototype_ami")
    FIGURE("rankme") FIGURE("rankme_backbone")
    " FROM runs;"
    "PRAGMA application_id = 1835366259; PRAGMA user_version = 3;";

/* An index of an earlier schema holds nothing that the directories do not: it is made anew. */
static const char forget_all[] = "DROP VIEW overview; DROP TABLE runs; DROP TABLE settings; DROP TABLE figures";
/* clang-format on */

/* A run's rows of a table whose key comes first: every key there is, and of each the one row, without a scan. */
#define FORGET(TABLE, KEY)                                                                                             \
    "WITH RECURSIVE k(x) AS (SELECT min(" KEY ") FROM " TABLE " UNION ALL SELECT (SELECT min(" KEY ") FROM " TABLE     \
    " WHERE " KEY " > x) FROM k WHERE x IS NOT NULL) DELETE FROM " TABLE " WHERE run = ?1 AND " KEY                    \
    " IN (SELECT x FROM k WHERE x IS NOT NULL)"

static const char *const sql[STORE_STATEMENTS] = {
    [STORE_FORGET_RUN] = "DELETE FROM runs WHERE run = ?1",
    [STORE_FORGET_SETTINGS] = FORGET("settings", "key"),
    [STORE_FORGET_FIGURES] = FORGET("figures", "metric"),
    [STORE_ADD_RUN] =
        ("INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
         "?19, ?20)"), /* clang wants to know that no comma is missing */
    [STORE_ADD_SETTING] = "INSERT OR REPLACE INTO settings VALUES (?1, ?2, ?3, ?4)",
    [STORE_ADD_FIGURE] = "INSERT INTO figures VALUES (?1, ?2, ?3)",
};

/* ---- SQLite ---- */

static bool refuse_damaged(const store *s, const char *why, error *err) {
    return error_set(err, ERROR_RUN, "%s is damaged (%s); `mews index` makes it anew from the run directories", s->path,
                     why);
}

bool store_refuse(store *s, error *err) {
    int code = sqlite3_errcode(s->db) & 0xFF;
    bool changed = sqlite3_extended_errcode(s->db) == SQLITE_IOERR_DATA;
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT || changed)
        return refuse_damaged(s, changed ? "the checksum of a page does not hold" : sqlite3_errmsg(s->db), err);
    if (code == SQLITE_BUSY)
        return error_set(err, ERROR_RUN, "%s: another process has kept it locked for %d s", s->path,
                         PATIENCE_MS / 1000);
    return error_set(err, ERROR_RUN, "%s: %s", s->path, sqlite3_errmsg(s->db));
}

bool store_execute(store *s, const char *text, error *err) {
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK || store_refuse(s, err);
}

static bool number_of(store *s, const char *text, int64_t *out, error *err) {
    sqlite3_stmt *query = NULL;
    bool done = sqlite3_prepare_v2(s->db, text, -1, &query, NULL) == SQLITE_OK && sqlite3_step(query) == SQLITE_ROW;
    if (done)
        *out = sqlite3_column_int64(query, 0);
    else
        store_refuse(s, err);
    sqlite3_finalize(query);
    return done;
}

static bool run_statement(store *s, sqlite3_stmt *statement, error *err) {
    bool done = sqlite3_step(statement) == SQLITE_DONE || store_refuse(s, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return done;
}

/* ---- Opening ---- */

/* Makes the tables in a file that has none; refuses a newer or a foreign one. Inside a transaction. *anew: the file is
 * empty now, and its pages have to be made anew before there can be tables. */
static bool check_schema(store *s, bool *anew, error *err) {
    int64_t version, application, tables;
    bool carries = store_pages_carry(s->db);
    *anew = false;
    if (!number_of(s, "PRAGMA user_version", &version, err) ||
        !number_of(s, "PRAGMA application_id", &application, err) ||
        !number_of(s, "SELECT count(*) FROM sqlite_master", &tables, err))
        return false;
    if (tables == 0) return (*anew = !carries) || store_execute(s, schema, err);
    if (application != APPLICATION)
        return error_set(err, ERROR_RUN, "%s is a database of something else; move it away", s->path);
    if (version > STORE_SCHEMA)
        return error_set(err, ERROR_RUN,
                         "%s was made by a newer mews (schema %lld, this one knows %d); use that one, or remove the "
                         "file: `mews index` makes it anew",
                         s->path, (long long)version, STORE_SCHEMA);
    if (version < STORE_SCHEMA && carries) return store_execute(s, forget_all, err) && store_execute(s, schema, err);
    if (version < STORE_SCHEMA) return (*anew = true) && store_execute(s, forget_all, err);
    return carries || refuse_damaged(s, "its pages carry no checksums", err);
}

/* An index of a schema before checksums is emptied, and by VACUUM its pages become such that carry them. Whoever comes
 * between the two finds it empty and does the same. */
static bool make_ready(store *s, error *err) {
    bool anew = true;
    for (int i = 0; anew && i < 3; i++) {
        if (!store_execute(s, "BEGIN IMMEDIATE", err) || !check_schema(s, &anew, err) ||
            !store_execute(s, "COMMIT", err) || (anew && !store_execute(s, "VACUUM", err)))
            return false;
    }
    return !anew || refuse_damaged(s, "its pages carry no checksums", err);
}

static bool prepare(store *s, error *err) {
    for (int i = 0; i < STORE_STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL) != SQLITE_OK)
            return store_refuse(s, err);
    return true;
}

/* `unwritable` tells why it failed, where reading alone would do. */
static store *open_at(const char *results, const char *path, bool *unwritable, error *err) {
    *unwritable = false;
    store *s = calloc(1, sizeof *s);
    if (!s || !(s->results = strdup(results)) || !(s->path = strdup(path))) {
        error_memory(err, strlen(results), "the index of runs");
        store_close(s);
        return NULL;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const char *pages = store_pages_vfs();
    bool done = pages ? sqlite3_open_v2(path, &s->db, flags, pages) == SQLITE_OK || store_refuse(s, err)
                      : error_memory(err, sizeof(sqlite3_vfs), "the index of runs");
    if (done) sqlite3_busy_timeout(s->db, PATIENCE_MS);
    if (done && (store_pages_ask(s->db) || store_refuse(s, err)) && make_ready(s, err) && prepare(s, err)) return s;
    int code = s->db ? sqlite3_errcode(s->db) & 0xFF : SQLITE_NOMEM;
    *unwritable = code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_FULL;
    store_close(s);
    return NULL;
}

bool store_path(const char *results, char path[1100], error *err) {
    if (snprintf(path, 1100, "%s/runs.db", results) < 1100) return true;
    return error_set(err, ERROR_USAGE, "%.200s…: the path is too long", results);
}

static store *open_in(const char *results, bool *unwritable, error *err) {
    char path[1100];
    struct stat status;
    *unwritable = false;
    if (!store_path(results, path, err)) return NULL;
    if (stat(results, &status) == 0 && S_ISDIR(status.st_mode)) return open_at(results, path, unwritable, err);
    error_set(err, ERROR_USAGE, "there is no results folder %s; `mews train` and `mews sweep` make one", results);
    return NULL;
}

store *store_open(const char *results, error *err) {
    bool unwritable;
    return open_in(results, &unwritable, err);
}

store *store_open_current(const char *results, error *err) {
    bool unwritable;
    error first = {0};
    store *s = open_in(results, &unwritable, &first);
    if (!s && unwritable)
        s = open_at(results, ":memory:", &unwritable, err);
    else if (!s)
        error_set(err, first.code, "%s", first.text);
    if (s && store_refresh(s, err)) return s;
    store_close(s);
    return NULL;
}

void store_close(store *s) {
    if (!s) return;
    for (int i = 0; i < STORE_STATEMENTS; i++) sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    json_decref(s->queued);
    free(s->results);
    free(s->path);
    free(s);
}

/* ---- One run ---- */

/* 52 bits, which a double holds, too: R and JavaScript read whole numbers as doubles. */
static int64_t number_of_run(const char *folder) {
    char digits[65];
    checksum_sha256(folder, strlen(folder), digits);
    digits[13] = '\0';
    return strtoll(digits, NULL, 16);
}

static bool is_held(const store *s, const char *folder) {
    char path[2048];
    snprintf(path, sizeof path, "%.1000s/%.600s/%s", s->results, folder, LEASE_FILE);
    return access(path, F_OK) == 0 && lease_is_held(path);
}

void store_stamp(const store *s, const char *folder, char out[64]) {
    char path[2048];
    struct stat status;
    const char *queued = json_object_get(s->queued, folder) ? ":queued" : "";
    snprintf(path, sizeof path, "%.1000s/%.600s/run.json", s->results, folder);
    snprintf(out, 64, "%s", *queued ? queued + 1 : "");
    if (stat(path, &status) == 0)
        snprintf(out, 64, "%lld.%09ld:%lld%s", (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                 (long long)status.st_size, is_held(s, folder) ? ":held" : queued);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text) {
    if (text) sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
}

/* A value of run.json as it would stand in YAML; lists as "[a, b]". */
static void bind_json(sqlite3_stmt *statement, int at, const json_t *value) {
    char list[1024];
    size_t used = 1, i;
    json_t *item;
    if (json_is_integer(value)) sqlite3_bind_int64(statement, at, json_integer_value(value));
    if (json_is_real(value)) sqlite3_bind_double(statement, at, json_real_value(value));
    if (json_is_boolean(value)) bind_text(statement, at, json_is_true(value) ? "true" : "false");
    if (json_is_string(value)) bind_text(statement, at, json_string_value(value));
    if (!json_is_array(value)) return;
    strcpy(list, "[");
    json_array_foreach(value, i, item) if (json_is_string(item) && used < sizeof list) used +=
        (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", json_string_value(item));
    if (used < sizeof list) snprintf(list + used, sizeof list - used, "]");
    bind_text(statement, at, list);
}

/* A record says "running" from its beginning to its end; whether somebody is at it, the lease knows. */
static const char *status_of(const store *s, const char *folder, const json_t *record) {
    const char *status = json_string_value(json_object_get(record, "status"));
    if (!status || strcmp(status, "running") != 0 || is_held(s, folder)) return status;
    return json_object_get(s->queued, folder) ? "queued" : "interrupted";
}

static bool add_run(store *s, int64_t run, const char *folder, const json_t *record, const char *problem,
                    const char *stamp, error *err) {
    sqlite3_stmt *add = s->statements[STORE_ADD_RUN];
    const json_t *seconds = json_object_get(record, "seconds"), *data = json_object_get(record, "data");
    static const char *const texts[] = {"block", "status", "reason", "stopped", "method"};
    const char *slash = strrchr(folder, '/'), *id = json_string_value(json_object_get(record, "id"));
    sqlite3_bind_int64(add, 1, run);
    bind_text(add, 2, folder);
    bind_text(add, 3, id ? id : slash ? slash + 1 : folder);
    sqlite3_bind_text(add, 4, folder, slash ? (int)(slash - folder) : -1, SQLITE_TRANSIENT);
    for (int i = 0; i < 5; i++) bind_text(add, 5 + i, json_string_value(json_object_get(record, texts[i])));
    bind_text(add, 6, status_of(s, folder, record));
    if (problem) bind_text(add, 6, "unreadable"), bind_text(add, 7, problem);
    bind_text(add, 10, json_string_value(json_object_get(data, "name")));
    bind_text(add, 11, json_string_value(json_object_get(data, "checksum")));
    bind_text(add, 12, json_string_value(json_object_get(record, "version")));
    bind_json(add, 13, json_object_get(record, "threads"));
    bind_json(add, 14, json_object_get(seconds, "train"));
    bind_json(add, 15, json_object_get(seconds, "eval"));
    bind_text(add, 16, stamp);
    const json_t *verdicts = json_object_get(record, "verdicts");
    for (int i = 0; i < COLLAPSE_MODES; i++)
        bind_text(add, 17 + i, json_string_value(json_object_get(verdicts, collapse_mode_name((collapse_mode)i))));
    return run_statement(s, add, err);
}

static bool add_setting(store *s, int64_t run, const char *key, const json_t *value, bool swept, error *err) {
    sqlite3_stmt *add = s->statements[STORE_ADD_SETTING];
    bind_text(add, 1, key);
    sqlite3_bind_int64(add, 2, run);
    bind_json(add, 3, value);
    sqlite3_bind_int(add, 4, swept);
    return run_statement(s, add, err);
}

static bool add_values(store *s, int64_t run, const json_t *record, error *err) {
    json_t *spec = json_object_get(record, "spec"), *swept = json_object_get(record, "swept"), *value;
    sqlite3_stmt *add = s->statements[STORE_ADD_FIGURE];
    const char *key;
    json_object_foreach(spec, key,
                        value) if (!add_setting(s, run, key, value, json_object_get(swept, key), err)) return false;
    json_object_foreach(swept, key, value) if (!json_object_get(spec, key) &&
                                               !add_setting(s, run, key, value, true, err)) return false;
    json_object_foreach(json_object_get(record, "final"), key, value) {
        bind_text(add, 1, key);
        sqlite3_bind_int64(add, 2, run);
        if (json_is_number(value)) sqlite3_bind_double(add, 3, json_number_value(value));
        if (!run_statement(s, add, err)) return false;
    }
    return true;
}

static bool forget(store *s, int64_t run, error *err) {
    bool known = false;
    for (int i = STORE_FORGET_RUN; i <= STORE_FORGET_FIGURES; i++) {
        if (i > STORE_FORGET_RUN && !known) break;
        sqlite3_bind_int64(s->statements[i], 1, run);
        if (!run_statement(s, s->statements[i], err)) return false;
        known |= sqlite3_changes(s->db) > 0;
    }
    return true;
}

bool store_write_run(store *s, const char *folder, error *err) {
    char path[2048], stamp[64];
    error wrong = {0};
    int64_t run = number_of_run(folder);
    snprintf(path, sizeof path, "%s/%s/run.json", s->results, folder);
    store_stamp(s, folder, stamp);
    if (!forget(s, run, err)) return false;
    if (!*stamp) return true;
    json_t *record =
        strcmp(stamp, "queued") == 0 ? json_incref(json_object_get(s->queued, folder)) : record_read(path, &wrong);
    if (error_is_shortage(&wrong)) return error_set(err, wrong.code, "%s", wrong.text);
    if (error_is_unread(&wrong)) *stamp = '\0'; /* the next look may find it otherwise */
    size_t place = strlen(path) - strlen("run.json"); /* the index says the same wherever results are called from */
    const char *problem = strncmp(wrong.text, path, strlen(path)) == 0 ? wrong.text + place : wrong.text;
    bool done = add_run(s, run, folder, record, record ? NULL : problem, stamp, err) &&
                (!record || add_values(s, run, record, err));
    json_decref(record);
    return done;
}

bool store_begin(store *s, error *err) { return store_execute(s, "BEGIN IMMEDIATE", err); }

bool store_end(store *s, bool well, error *err) {
    if (well && store_execute(s, "COMMIT", err)) return true;
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool store_note(store *s, const char *folder, error *err) {
    return store_begin(s, err) && store_end(s, store_write_run(s, folder, err), err);
}

bool store_note_run(const char *run_folder, bool make, error *err) {
    char *copy = strdup(run_folder), *whole = NULL, folder[600], database[4200], results[4100];
    size_t length = copy ? strlen(copy) : 0;
    while (length > 1 && copy[length - 1] == '/') copy[--length] = '\0';
    /* the directory itself may be gone; what it stands in is resolved */
    char *id = copy ? strrchr(copy, '/') : NULL;
    if (id) *id++ = '\0', whole = realpath(*copy ? copy : "/", NULL);
    char *name = whole ? strrchr(whole, '/') : NULL;
    bool done = true;
    if (name && name > whole && *id) {
        snprintf(results, sizeof results, "%.*s", (int)(name - whole), whole);
        snprintf(folder, sizeof folder, "%.250s/%.300s", name + 1, id);
        snprintf(database, sizeof database, "%s/runs.db", results);
        if (make || access(database, F_OK) == 0) {
            store *s = store_open(results, err);
            done = s && store_note(s, folder, err);
            store_close(s);
        }
    }
    free(whole);
    free(copy);
    return done;
}
