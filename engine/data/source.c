/*
 * A directory is listed whole and sorted first, then read file by file. An archive is streamed: libarchive decompresses
 * what it must and nothing is ever written to the disk. Only regular files count in an archive; in a directory links
 * are followed, since they are the user's own (subsets of large data sets are often folders of links), to a depth that
 * no cycle survives.
 */
#include "engine/data/source.h"

#include "engine/files/checksum.h"
#include "engine/files/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 8, READ_BLOCK = 1 << 18 };

typedef struct listing {
    char **names; /* relative paths, sorted; folders end in a slash */
    size_t count, capacity;
} listing;

struct source {
    char *path;
    struct archive *archive; /* NULL for a directory */
    listing files;
    size_t next;    /* items given out */
    FILE *stream;   /* the directory's file that is being streamed, or NULL */
    char *streamed; /* name of the item that is being streamed */
};

static const char too_large[] = "larger than 256 MiB";

/* ---- Directories ---- */

static bool listing_add(listing *l, char *name, error *err) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 256;
        char **names = realloc(l->names, capacity * sizeof *names);
        if (!names) return error_memory(err, capacity * sizeof *names, "a list of files");
        l->names = names, l->capacity = capacity;
    }
    l->names[l->count++] = name;
    return true;
}

static void listing_free(listing *l) {
    for (size_t i = 0; i < l->count; i++) free(l->names[i]);
    free(l->names);
    *l = (listing){0};
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lists what lies below root/prefix; prefix is "" or ends in a slash. */
static bool list_below(listing *l, const char *root, const char *prefix, int depth, error *err) {
    bool done = false;
    char *folder = NULL, *name = NULL;
    DIR *dir = NULL;
    if (asprintf(&folder, "%s/%s", root, prefix) < 0) {
        folder = NULL;
        return error_memory(err, PATH_MAX, "a file's name");
    }
    if (!(dir = opendir(folder))) {
        error_set(err, ERROR_RUN, "cannot read %s: %s", folder, strerror(errno));
        goto done;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat status;
        if (entry->d_name[0] == '.') continue; /* ".", "..", and what nobody means to be seen */
        if (fstatat(dirfd(dir), entry->d_name, &status, 0) != 0) continue; /* a link that leads nowhere */
        bool folder_too = S_ISDIR(status.st_mode) && depth < MAX_DEPTH;
        if (!folder_too && !S_ISREG(status.st_mode)) continue;
        if (asprintf(&name, "%s%s%s", prefix, entry->d_name, folder_too ? "/" : "") < 0) {
            name = NULL;
            error_memory(err, PATH_MAX, "a file's name");
            goto done;
        }
        if (!listing_add(l, name, err)) goto done;
        const char *added = name;
        name = NULL;
        if (folder_too && !list_below(l, root, added, depth + 1, err)) goto done;
    }
    done = true;
done:
    if (dir) closedir(dir);
    free(name);
    free(folder);
    return done;
}

static bool list_directory(listing *l, const char *root, error *err) {
    if (!list_below(l, root, "", 0, err)) return false;
    if (l->count) qsort(l->names, l->count, sizeof *l->names, by_name);
    return true;
}

static bool next_in_directory(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    if (s->next == s->files.count) return false;
    const char *name = s->files.names[s->next++];
    char *path = NULL;
    if (!(item->name = strdup(name)) || asprintf(&path, "%s/%s", s->path, name) < 0)
        return error_memory(err, PATH_MAX, "a file's name");
    struct stat status;
    error unread = {0};
    bool folder = name[strlen(name) - 1] == '/';
    source_want want = folder ? SOURCE_PASS : choose(context, name);
    if (folder) item->kind = SOURCE_FOLDER;
    if (want == SOURCE_STREAM) {
        item->streamed = (s->stream = fopen(path, "rbe"));
        if (!item->streamed) item->problem = "cannot be read";
    }
    if (want != SOURCE_READ)
        goto done;
    else if (stat(path, &status) == 0 && status.st_size > SOURCE_MAX_BYTES)
        item->problem = too_large;
    else if (!(item->data = (uint8_t *)file_read(path, &item->size, &unread)))
        item->problem = "cannot be read";
done:
    free(path);
    return true;
}

/* ---- Archives ---- */

/* Archives break off in one way, by far, that their reader can mend: a download or a copy that did not finish. */
static bool ends_early(struct archive *a) {
    static const char *const words[] = {"truncated", "unexpected end", "premature",
                                        "no progress is possible"}; /* xz: it waits for bytes that do not come */
    const char *why = archive_error_string(a);
    for (size_t i = 0; why && i < sizeof words / sizeof *words; i++)
        if (strcasestr(why, words[i])) return true;
    return false;
}

static bool archive_failed(struct archive *a, const char *path, const char *member, error *err) {
    const char *why = archive_error_string(a);
    bool early = ends_early(a);
    return error_set(err, ERROR_RUN, "%s %s%s%s: %s%s", path, early ? "ends early" : "is damaged", member ? " at " : "",
                     member ? member : "", why ? why : "it cannot be read",
                     early ? "; its download or copy did not come to its end" : "");
}

static struct archive *open_archive(const char *path, error *err) {
    struct archive *a = archive_read_new();
    if (!a) {
        error_memory(err, READ_BLOCK, "an archive's reader");
        return NULL;
    }
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_zip(a);
    if (archive_read_open_filename(a, path, READ_BLOCK) == ARCHIVE_OK) return a;
    if (euidaccess(path, R_OK) != 0)
        error_set(err, ERROR_USAGE, "cannot read %s: %s", path, strerror(errno));
    else if (ends_early(a))
        archive_failed(a, path, NULL, err);
    else
        error_set(err, ERROR_USAGE, "%s is neither a directory nor an archive (tar, zip)", path);
    archive_read_free(a);
    return NULL;
}

/* A relative path that stays where it is put. */
static bool stays_inside(const char *name) {
    if (name[0] == '/' || name[0] == '\0') return false;
    for (const char *part = name; part; part = strchr(part, '/'), part = part ? part + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return false;
    return true;
}

/* Reads the member whose header was read last; what is too large or damaged becomes the item's problem. */
static bool read_member(source *s, struct archive_entry *entry, source_item *item, error *err) {
    bool sized = archive_entry_size_is_set(entry);
    int64_t size = sized ? archive_entry_size(entry) : 0;
    if (size < 0 || size > SOURCE_MAX_BYTES) {
        item->problem = too_large;
        return true;
    }
    size_t capacity = sized ? (size_t)size + 1 : READ_BLOCK;
    if (!(item->data = malloc(capacity))) return error_memory(err, capacity, item->name);
    for (;;) {
        if (item->size == capacity) {
            if (capacity > SOURCE_MAX_BYTES) {
                item->problem = too_large;
                break;
            }
            uint8_t *larger = realloc(item->data, 2 * capacity);
            if (!larger) return error_memory(err, 2 * capacity, item->name);
            item->data = larger, capacity *= 2;
        }
        la_ssize_t n = archive_read_data(s->archive, item->data + item->size, capacity - item->size);
        if (n == 0) return true;
        if (n < 0) {
            if (n == ARCHIVE_FATAL) return archive_failed(s->archive, s->path, item->name, err);
            item->problem = "damaged in the archive";
            break;
        }
        item->size += (size_t)n;
    }
    free(item->data);
    item->data = NULL, item->size = 0;
    return true;
}

static bool next_in_archive(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    struct archive_entry *entry;
    const char *name;
    int status;
    do {
        status = archive_read_next_header(s->archive, &entry);
        if (status == ARCHIVE_EOF) return false;
        if (status == ARCHIVE_FATAL || status == ARCHIVE_FAILED) {
            if (s->next > 0 || ends_early(s->archive)) return archive_failed(s->archive, s->path, NULL, err);
            return error_set(err, ERROR_USAGE, "%s is neither a directory nor an archive (tar, zip): %s", s->path,
                             archive_error_string(s->archive));
        }
        s->next++;
        name = archive_entry_pathname(entry);
        if (!name) name = "(a name that cannot be read)";
        while (strncmp(name, "./", 2) == 0) name += 2;
    } while (status == ARCHIVE_RETRY || !*name); /* "./" is the archive itself */
    bool folder = archive_entry_filetype(entry) == AE_IFDIR, slash = name[strlen(name) - 1] == '/';
    if (asprintf(&item->name, "%s%s", name, folder && !slash ? "/" : "") < 0) {
        item->name = NULL;
        return error_memory(err, PATH_MAX, "a file's name");
    }
    item->kind = SOURCE_SKIPPED;
    if (archive_entry_hardlink(entry) || archive_entry_symlink(entry))
        item->problem = "a link";
    else if (!folder && archive_entry_filetype(entry) != AE_IFREG)
        item->problem = "not a regular file";
    else if (!folder && !stays_inside(name))
        item->problem = "its name leads out of the archive";
    else
        item->kind = folder ? SOURCE_FOLDER : SOURCE_FILE;
    source_want want = item->kind == SOURCE_FILE ? choose(context, name) : SOURCE_PASS;
    item->streamed = want == SOURCE_STREAM;
    return want != SOURCE_READ || read_member(s, entry, item, err);
}

/* ---- Either ---- */

source *source_open(const char *path, error *err) {
    struct stat status;
    source *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        error_memory(err, sizeof *s, "a source of files");
        goto failed;
    }
    if (stat(path, &status) != 0) {
        error_set(err, ERROR_USAGE, "cannot read %s: %s", path, strerror(errno));
        goto failed;
    }
    if (S_ISDIR(status.st_mode)) {
        if (!list_directory(&s->files, path, err)) goto failed;
    } else if (!S_ISREG(status.st_mode)) {
        error_set(err, ERROR_USAGE, "%s is neither a directory nor an archive (tar, zip)", path);
        goto failed;
    } else if (!(s->archive = open_archive(path, err)))
        goto failed;
    return s;
failed:
    source_close(s);
    return NULL;
}

void source_close(source *s) {
    if (!s) return;
    if (s->archive) archive_read_free(s->archive);
    if (s->stream) fclose(s->stream);
    free(s->streamed);
    listing_free(&s->files);
    free(s->path);
    free(s);
}

uint64_t source_count(const source *s) { return s->archive ? 0 : s->files.count; }

bool source_next(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    *item = (source_item){0};
    if (s->stream) fclose(s->stream);
    free(s->streamed);
    s->stream = NULL, s->streamed = NULL;
    bool got =
        s->archive ? next_in_archive(s, choose, context, item, err) : next_in_directory(s, choose, context, item, err);
    if (got && item->streamed && !(s->streamed = strdup(item->name)))
        got = error_memory(err, strlen(item->name) + 1, "a file's name");
    if (!got) source_item_free(item);
    return got;
}

bool source_stream(source *s, void *out, size_t size, size_t *got, error *err) {
    *got = 0;
    if (!s->archive) {
        *got = fread(out, 1, size, s->stream);
        return !ferror(s->stream) ||
               error_set(err, ERROR_RUN, "cannot read %s/%s: %s", s->path, s->streamed, strerror(errno));
    }
    while (*got < size) {
        la_ssize_t n = archive_read_data(s->archive, (char *)out + *got, size - *got);
        if (n == 0) break;
        if (n < 0) return archive_failed(s->archive, s->path, s->streamed, err);
        *got += (size_t)n;
    }
    return true;
}

void source_item_free(source_item *item) {
    free(item->name);
    free(item->data);
    *item = (source_item){0};
}

static void fold(char sum[65], const char *name, const struct stat *status) {
    char line[PATH_MAX + 256];
    int n = snprintf(line, sizeof line, "%s %s %lld %lld.%09ld", sum, name, (long long)status->st_size,
                     (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
    checksum_sha256(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1, sum);
}

bool source_fingerprint(const char *path, char out[65], error *err) {
    struct stat status;
    char real[PATH_MAX];
    listing files = {0};
    bool done = false;
    int folder = -1;
    out[0] = '\0';
    if (stat(path, &status) != 0 || !realpath(path, real))
        return error_set(err, ERROR_USAGE, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode)) {
        fold(out, real, &status);
        return true;
    }
    if (!list_directory(&files, path, err)) goto done;
    if ((folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    checksum_sha256(real, strlen(real), out);
    for (size_t i = 0; i < files.count; i++)
        if (fstatat(folder, files.names[i], &status, 0) == 0) fold(out, files.names[i], &status);
    done = true;
done:
    if (folder >= 0) close(folder);
    listing_free(&files);
    return done;
}
