/*
 * A directory is listed whole and sorted first, then read file by file. Links are followed, since they are the user's
 * own (subsets of large data sets are often folders of links), but not into a folder that they lie in. What cannot be
 * followed or is no file stays in the list with the reason. Names that begin with a dot are not looked at.
 */
#include "engine/data/sets/source_parts.h"

#include "engine/files/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

/* The folders that are open, innermost first. */
typedef struct open_folder {
    const struct open_folder *parent;
    dev_t device;
    ino_t inode;
    int depth;
} open_folder;

/* Takes `name` over, also when it fails. */
static bool add(source_listing *l, char *name, const char *problem, bool link, error *err) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 256;
        source_entry *entries = realloc(l->entries, capacity * sizeof *entries);
        if (!entries) return free(name), error_memory(err, capacity * sizeof *entries, "a list of files");
        l->entries = entries, l->capacity = capacity;
    }
    l->entries[l->count++] = (source_entry){name, problem, link};
    return true;
}

void source_listing_free(source_listing *l) {
    for (size_t i = 0; i < l->count; i++) free(l->entries[i].name);
    free(l->entries);
    *l = (source_listing){0};
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const source_entry *)a)->name, ((const source_entry *)b)->name);
}

/* Why what `status` describes (of a link: what it leads to) is not taken; NULL when it is. */
static const char *problem_of(const struct stat *status, const open_folder *in) {
    if (S_ISREG(status->st_mode)) return NULL;
    if (!S_ISDIR(status->st_mode)) return "not a regular file";
    for (const open_folder *o = in; o; o = o->parent)
        if (o->device == status->st_dev && o->inode == status->st_ino) return "a link to a folder that it lies in";
    return in->depth < MAX_DEPTH ? NULL : "a folder more than 16 folders deep";
}

static bool list_below(source_listing *l, const char *root, const char *prefix, const open_folder *in, error *err);

static bool list_entry(source_listing *l, const char *root, const char *prefix, DIR *dir, const char *base,
                       const open_folder *in, error *err) {
    struct stat own, status;
    char *name;
    bool leads = fstatat(dirfd(dir), base, &status, 0) == 0;
    bool link = fstatat(dirfd(dir), base, &own, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(own.st_mode);
    if (!leads && !link) return true; /* it went while this was read */
    const char *problem = leads ? problem_of(&status, in) : "a link that leads nowhere";
    bool folder = !problem && S_ISDIR(status.st_mode);
    if (asprintf(&name, "%s%s%s", prefix, base, folder ? "/" : "") < 0)
        return error_memory(err, PATH_MAX, "a file's name");
    size_t at = l->count;
    if (!add(l, name, problem, link && problem, err)) return false;
    open_folder inner = {in, status.st_dev, status.st_ino, in->depth + 1};
    return !folder || list_below(l, root, l->entries[at].name, &inner, err);
}

/* Lists what lies below root/prefix; prefix is "" or ends in a slash. */
static bool list_below(source_listing *l, const char *root, const char *prefix, const open_folder *in, error *err) {
    char *folder = NULL, *own = strdup(prefix); /* the list may move */
    if (!own || asprintf(&folder, "%s/%s", root, prefix) < 0) {
        free(own);
        return error_memory(err, PATH_MAX, "a file's name");
    }
    DIR *dir = opendir(folder);
    bool done = dir || error_set(err, ERROR_RUN, "cannot read %s: %s", folder, strerror(errno));
    for (struct dirent *entry; done && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') done = list_entry(l, root, own, dir, entry->d_name, in, err);
    if (dir) closedir(dir);
    free(folder);
    free(own);
    return done;
}

bool source_list_directory(source_listing *l, const char *root, error *err) {
    struct stat status = {0};
    stat(root, &status);
    open_folder top = {NULL, status.st_dev, status.st_ino, 0};
    if (!list_below(l, root, "", &top, err)) return false;
    if (l->count) qsort(l->entries, l->count, sizeof *l->entries, by_name);
    return true;
}

bool source_next_in_directory(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    if (s->next == s->files.count) return false;
    const source_entry *entry = &s->files.entries[s->next++];
    const char *name = entry->name;
    char *path = NULL;
    if (!(item->name = strdup(name)) || asprintf(&path, "%s/%s", s->path, name) < 0)
        return error_memory(err, PATH_MAX, "a file's name");
    struct stat status;
    error unread = {0};
    bool folder = name[strlen(name) - 1] == '/';
    source_want want = folder || entry->problem ? SOURCE_PASS : choose(context, name);
    if (folder) item->kind = SOURCE_FOLDER;
    if (entry->problem) item->kind = SOURCE_SKIPPED, item->problem = entry->problem, item->link = entry->link;
    if (want == SOURCE_STREAM) {
        item->streamed = (s->stream = fopen(path, "rbe"));
        if (!item->streamed) error_set(&unread, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
    } else if (want == SOURCE_READ) {
        if (stat(path, &status) == 0 && status.st_size > SOURCE_MAX_BYTES)
            item->problem = source_too_large;
        else
            item->data = (uint8_t *)file_read(path, &item->size, &unread);
    }
    if (unread.code) item->problem = "cannot be read";
    free(path);
    return !error_is_shortage(&unread) || error_set(err, unread.code, "%s", unread.text);
}
