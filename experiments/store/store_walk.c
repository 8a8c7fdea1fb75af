/*
 * The index against the directories. A walk lists every run.json with its time and size; merged with the same list out
 * of the index, what differs is noted again. Ten thousand directories take some hundredths of a second, so that readers
 * can afford to do this every time.
 */
#include "engine/files/lease.h"
#include "experiments/store/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 256 }; /* changed runs that share a transaction in a refresh */

typedef struct found {
    char *folder, stamp[64];
} found;

typedef struct found_list {
    found *items;
    size_t count, room;
} found_list;

static bool list_add(found_list *list, const char *folder, const char *stamp, error *err) {
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        found *grown = realloc(list->items, room * sizeof *grown);
        if (!grown) return error_memory(err, room * sizeof *grown, "the list of runs");
        list->items = grown, list->room = room;
    }
    found *added = &list->items[list->count];
    if (!(added->folder = strdup(folder))) return error_memory(err, strlen(folder), "the list of runs");
    snprintf(added->stamp, sizeof added->stamp, "%s", stamp);
    list->count++;
    return true;
}

static void list_free(found_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->items[i].folder);
    free(list->items);
    *list = (found_list){0};
}

static int by_folder(const void *a, const void *b) {
    return strcmp(((const found *)a)->folder, ((const found *)b)->folder);
}

/* What a living sweep has yet to begin: {id: record}. */
static bool note_queue(store *s, const char *name, const char *file, error *err) {
    char path[2600], folder[600];
    const char *id;
    json_t *record;
    snprintf(path, sizeof path, "%.1900s/%s/%s", s->results, name, file);
    json_t *note = lease_note(path);
    bool done = true;
    json_object_foreach(note, id, record) {
        snprintf(folder, sizeof folder, "%.255s/%.300s", name, id);
        done = done && json_object_set(s->queued, folder, record) == 0;
    }
    json_decref(note);
    return done || error_memory(err, 1 << 12, "the list of queued runs");
}

/* The runs of one name; what begins with a dot is being removed, or somebody else's. */
static bool walk_name(store *s, found_list *list, int results, const char *name, error *err) {
    int file = openat(results, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = file >= 0 ? fdopendir(file) : NULL;
    bool done = true;
    int reason = errno;
    if (!directory && file >= 0) close(file);
    if (!directory && error_may_pass(reason))
        return error_set(err, ERROR_RUN, "cannot read %s/%s: %s", s->results, name, strerror(reason));
    if (!directory) return true; /* no folder, or one that is closed to us */
    for (struct dirent *entry; done && (entry = readdir(directory));)
        if (strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0 && entry->d_type != DT_DIR)
            done = note_queue(s, name, entry->d_name, err);
    rewinddir(directory);
    for (struct dirent *entry; done && (entry = readdir(directory));) {
        char folder[600], stamp[64];
        if (*entry->d_name == '.' || entry->d_type == DT_REG) continue;
        snprintf(folder, sizeof folder, "%s/%s", name, entry->d_name);
        store_stamp(s, folder, stamp);
        /* what is only queued comes below, with or without a folder */
        done = !*stamp || strcmp(stamp, "queued") == 0 || list_add(list, folder, stamp, err);
    }
    closedir(directory);
    return done;
}

/* Runs that have no record yet. */
static bool add_queued(store *s, found_list *list, error *err) {
    const char *folder;
    json_t *record;
    json_object_foreach(s->queued, folder, record) {
        char stamp[64];
        store_stamp(s, folder, stamp);
        if (strcmp(stamp, "queued") == 0 && !list_add(list, folder, stamp, err)) return false;
    }
    return true;
}

/* The run directories on the disk, and what is queued, by folder. */
static bool walk(store *s, found_list *list, error *err) {
    DIR *directory = opendir(s->results);
    bool done = true;
    if (!directory) return error_set(err, ERROR_RUN, "cannot read %s: %s", s->results, strerror(errno));
    json_decref(s->queued);
    s->queued = json_object();
    for (struct dirent *entry; done && (entry = readdir(directory));)
        if (*entry->d_name != '.' && entry->d_type != DT_REG)
            done = walk_name(s, list, dirfd(directory), entry->d_name, err);
    closedir(directory);
    done = done && add_queued(s, list, err);
    if (done && list->count) qsort(list->items, list->count, sizeof *list->items, by_folder);
    return done;
}

/* The runs in the index, by folder. */
static bool list_known(store *s, found_list *list, error *err) {
    sqlite3_stmt *query = NULL;
    static const char text[] = "SELECT folder, stamp FROM runs ORDER BY folder";
    if (sqlite3_prepare_v2(s->db, text, -1, &query, NULL) != SQLITE_OK) return store_refuse(s, err);
    int step;
    bool done = true;
    while (done && (step = sqlite3_step(query)) == SQLITE_ROW)
        done = list_add(list, (const char *)sqlite3_column_text(query, 0), (const char *)sqlite3_column_text(query, 1),
                        err);
    if (done && step != SQLITE_DONE) done = store_refuse(s, err);
    sqlite3_finalize(query);
    return done;
}

/* Keeps of two sorted lists the folders that are not the same in both. */
static bool differences(const found_list *disk, const found_list *known, found_list *changed, error *err) {
    size_t i = 0, j = 0;
    while (i < disk->count || j < known->count) {
        int order = i == disk->count    ? 1
                    : j == known->count ? -1
                                        : strcmp(disk->items[i].folder, known->items[j].folder);
        const found *one = order <= 0 ? &disk->items[i] : &known->items[j];
        bool same = order == 0 && strcmp(one->stamp, known->items[j].stamp) == 0;
        if (!same && !list_add(changed, one->folder, "", err)) return false;
        i += order <= 0, j += order >= 0;
    }
    return true;
}

static bool write_changed(store *s, const found_list *changed, bool in_transaction, error *err) {
    bool done = true;
    for (size_t i = 0; done && i < changed->count;) {
        if (!in_transaction && !store_begin(s, err)) return false;
        for (size_t last = i + BATCH; done && i < changed->count && i < last; i++)
            done = store_write_run(s, changed->items[i].folder, err);
        if (!in_transaction) done = store_end(s, done, err);
    }
    return done;
}

bool store_refresh(store *s, error *err) {
    found_list disk = {0}, known = {0}, changed = {0};
    bool done = walk(s, &disk, err) && list_known(s, &known, err) && differences(&disk, &known, &changed, err) &&
                write_changed(s, &changed, false, err);
    list_free(&disk);
    list_free(&known);
    list_free(&changed);
    return done;
}

/* Everything anew in one transaction. */
static bool fill_anew(const char *results, size_t *runs, error *err) {
    found_list disk = {0};
    store *s = store_open(results, err);
    bool done = s && store_begin(s, err) &&
                store_end(s,
                          store_execute(s, "DELETE FROM runs; DELETE FROM settings; DELETE FROM figures", err) &&
                              walk(s, &disk, err) && write_changed(s, &disk, true, err),
                          err);
    *runs = disk.count;
    list_free(&disk);
    store_close(s);
    return done;
}

bool store_rebuild(const char *results, size_t *runs, error *err) {
    char path[1100], journal[1120];
    error first = {0};
    if (!store_path(results, path, err)) return false;
    if (fill_anew(results, runs, &first)) return true;
    /* Damage shows anywhere: on opening, or only where a page is read. A journal of the old file must not be played
     * into the new one. */
    snprintf(journal, sizeof journal, "%s-journal", path);
    if (!strstr(first.text, "is damaged") || unlink(path) != 0) return error_set(err, first.code, "%s", first.text);
    unlink(journal);
    return fill_anew(results, runs, err);
}
