#include "experiments/run/landing.h"
#include "engine/files/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char gathering[] = ".landing", decided[] = ".landed", without[] = "without-", last[] = "run.json";

char *landing_path(const char *folder, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s/%s", folder, gathering, name);
    return out;
}

static bool refuse(const char *folder, const char *name, error *err) {
    return error_set(err, ERROR_RUN, "cannot write %s/%s: %s", folder, name, strerror(errno));
}

static void remove_folder(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    rmdir(path);
}

bool landing_begin(const char *folder, error *err) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, gathering);
    remove_folder(path);
    return mkdir(path, 0777) == 0 || refuse(folder, gathering, err);
}

bool landing_without(const char *folder, const char *name, error *err) {
    char path[1200], mark[128];
    snprintf(mark, sizeof mark, "%s%s", without, name);
    return file_write(landing_path(folder, mark, path, sizeof path), "", 0, err);
}

/* Each file to its place, the record last: as long as it is missing, the old one stands for what was before. */
static bool move_all(const char *folder, error *err) {
    char from[1200], name[300] = "";
    snprintf(from, sizeof from, "%s/%s", folder, decided);
    int to = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = to >= 0 ? opendir(from) : NULL;
    bool ok = d != NULL;
    for (struct dirent *e; ok && (e = readdir(d));) {
        snprintf(name, sizeof name, "%s", e->d_name);
        if (*name == '.' || strcmp(name, last) == 0) continue;
        if (strncmp(name, without, strlen(without)) == 0)
            ok = (unlinkat(to, name + strlen(without), 0) == 0 || errno == ENOENT) && unlinkat(dirfd(d), name, 0) == 0;
        else
            ok = renameat(dirfd(d), name, to, name) == 0;
    }
    ok = ok && (renameat(dirfd(d), last, to, last) == 0 || errno == ENOENT) && fsync(to) == 0;
    if (!ok) refuse(folder, *name && d ? name : decided, err);
    if (d) closedir(d);
    if (to >= 0) close(to);
    if (ok) rmdir(from);
    return ok;
}

bool landing_commit(const char *folder, error *err) {
    char from[1200], to[1200];
    snprintf(from, sizeof from, "%s/%s", folder, gathering);
    snprintf(to, sizeof to, "%s/%s", folder, decided);
    return (rename(from, to) == 0 || refuse(folder, decided, err)) && move_all(folder, err);
}

bool landing_is_pending(const char *folder) {
    char path[1200];
    snprintf(path, sizeof path, "%.1100s/%s", folder, decided);
    return access(path, F_OK) == 0;
}

bool landing_recover(const char *folder, error *err) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, gathering);
    remove_folder(path);
    snprintf(path, sizeof path, "%s/%s", folder, decided);
    return access(path, F_OK) != 0 || move_all(folder, err);
}
