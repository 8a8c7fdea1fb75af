/*
 * Removing. The run's lease is held until its directory has another name, one that begins with a dot: neither the index
 * nor a sweep sees it from then on, and the same run may begin anew.
 */
#include "experiments/store/remove.h"
#include "experiments/run/run.h"
#include "experiments/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark[] = ".removed-";

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

/* A folder with all that is in it; links are removed, not followed. */
static bool remove_tree(const char *path, error *err) {
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ||
           error_set(err, ERROR_RUN, "cannot remove %s: %s", path, strerror(errno));
}

static void remove_leftovers(const char *parent) {
    DIR *directory = opendir(parent);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[2048];
        error ignored = {0}; /* the next removal tries again */
        snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
        if (strncmp(entry->d_name, mark, strlen(mark)) == 0) remove_tree(path, &ignored);
    }
    if (directory) closedir(directory);
}

/* A run that lies elsewhere and is only linked here: the link goes, what it points at is not ours to remove. */
static bool remove_link(const char *folder, bool *is_link, error *err) {
    char path[2048];
    struct stat status;
    error unindexed = {0};
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    snprintf(path, sizeof path, "%.*s", (int)length, folder);
    *is_link = lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
    if (!*is_link) return true;
    if (unlink(path) != 0) return error_set(err, ERROR_RUN, "cannot remove %s: %s", path, strerror(errno));
    store_note_run(path, false, &unindexed);
    return true;
}

bool remove_run(const char *folder, error *err) {
    run r;
    bool is_link;
    if (!remove_link(folder, &is_link, err) || is_link) return err->code == ERROR_NONE;
    char away[2600];
    char *whole = realpath(folder, NULL), *slash = whole ? strrchr(whole, '/') : NULL;
    error unindexed = {0}; /* the next reader of the index sees that the run is gone */
    if (!slash || slash == whole) {
        free(whole);
        return error_set(err, ERROR_USAGE, "%s is no run's folder", folder);
    }
    bool done = run_open_folder(&r, whole, err);
    if (done) {
        *slash = '\0';
        remove_leftovers(whole);
        snprintf(away, sizeof away, "%.2000s/%s%.500s", whole, mark, slash + 1);
        *slash = '/';
        done = rename(whole, away) == 0 || error_set(err, ERROR_RUN, "cannot remove %s: %s", folder, strerror(errno));
        run_close(&r);
    }
    if (done) {
        store_note_run(whole, false, &unindexed);
        done = remove_tree(away, err);
        *slash = '\0';
        rmdir(whole); /* when this was the last run of its name */
    }
    free(whole);
    return done;
}
