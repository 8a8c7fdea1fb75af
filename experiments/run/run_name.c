/*
 * From words to run directories. A path that holds a run.json is taken as it is; anything else is looked up in the
 * index, which knows every id.
 */
#include "experiments/run/run_name.h"
#include "experiments/store/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool holds_record(const char *folder) {
    char path[1100];
    return snprintf(path, sizeof path, "%s/run.json", folder) < (int)sizeof path && access(path, F_OK) == 0;
}

static void trim_slashes(const char *path, char out[1024]) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    snprintf(out, 1024, "%.*s", (int)(length < 1023 ? length : 1023), path);
}

static const char *id_of(const char *folder) { return strrchr(folder, '/') + 1; }

static bool refuse(const store_runs *all, const char *word, const char *results, size_t matches, error *err) {
    if (matches)
        return error_set(err, ERROR_USAGE,
                         "%zu runs have `%.200s` in their ids; give more of it (`mews runs` lists them)", matches,
                         word);
    const char **ids = calloc(all->count + 1, sizeof *ids), *near = NULL;
    for (size_t i = 0; ids && i < all->count; i++) ids[i] = id_of(all->folders[i]);
    if (ids) near = error_nearest(word, ids);
    if (near)
        error_set(err, ERROR_USAGE, "there is no run `%.200s` in %s; did you mean `%s`?", word, results, near);
    else
        error_set(err, ERROR_USAGE, "there is no run `%.200s` in %s; `mews runs` lists what there is", word, results);
    free(ids);
    return false;
}

bool run_name_find(const char *word, const char *results, char folder[1024], error *err) {
    trim_slashes(word, folder);
    if (holds_record(folder)) return true;
    store *s = store_open_current(results, err);
    store_runs all = {0};
    bool done = s && store_runs_read(s, &all, err);
    size_t matches = 0, exact = 0, parts = 0;
    const char *found = NULL, *same = NULL, *inside = NULL;
    for (size_t i = 0; done && i < all.count; i++) {
        const char *id = id_of(all.folders[i]);
        if (strcmp(id, word) == 0 || strcmp(all.folders[i], word) == 0) exact++, same = all.folders[i];
        if (strncmp(id, word, strlen(word)) == 0) matches++, found = all.folders[i];
        if (strstr(id, word)) parts++, inside = all.folders[i];
    }
    if (exact == 1) found = same, matches = 1;
    if (!matches) found = inside, matches = parts; /* "9a45b83c", "codes-1024" */
    if (done) done = *word && matches == 1 ? true : refuse(&all, word, results, matches, err);
    if (done) snprintf(folder, 1024, "%s/%s", results, found);
    store_runs_free(&all);
    store_close(s);
    return done;
}

bool run_name_place(const char *dir, char results[1024], char name[64], error *err) {
    trim_slashes(dir, results);
    *name = '\0';
    DIR *directory = opendir(results);
    if (!directory) return error_set(err, ERROR_USAGE, "there is no results folder %s", dir);
    bool holds_runs = false;
    for (struct dirent *entry; !holds_runs && (entry = readdir(directory));) {
        char path[2048];
        snprintf(path, sizeof path, "%s/%s", results, entry->d_name);
        holds_runs = *entry->d_name != '.' && entry->d_type != DT_REG && holds_record(path);
    }
    closedir(directory);
    if (!holds_runs) return true;
    char *whole = realpath(results, NULL), *slash = whole ? strrchr(whole, '/') : NULL;
    if (slash && slash > whole && strlen(slash) < 64 && slash - whole < 1024) {
        snprintf(name, 64, "%s", slash + 1);
        snprintf(results, 1024, "%.*s", (int)(slash - whole), whole);
    }
    free(whole);
    return true;
}
