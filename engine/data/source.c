/*
 * A directory is listed whole and sorted first, then read file by file. An archive is streamed: libarchive decompresses
 * what it must and nothing is ever written to the disk. Only regular files count in an archive; in a directory links
 * are followed, since they are the user's own (subsets of large data sets are often folders of links), to a depth that
 * no cycle survives.
 */
#include "engine/data/source.h"

#include "engine/file.h"

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
    char **names; /* relative paths, sorted */
    size_t count, capacity;
} listing;

struct source {
    char *path;
    source_warn warn;
    void *context;
    struct archive *archive; /* NULL for a directory */
    listing files;
    size_t next;
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
        if (folder_too ? !list_below(l, root, name, depth + 1, err) : !listing_add(l, name, err)) goto done;
        if (folder_too) free(name);
        name = NULL;
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

static bool next_in_directory(source *s, bool (*wanted)(const char *name), source_file *file, error *err) {
    if (s->next == s->files.count) return false;
    const char *name = s->files.names[s->next++];
    char *path = NULL;
    if (!(file->name = strdup(name)) || asprintf(&path, "%s/%s", s->path, name) < 0)
        return error_memory(err, PATH_MAX, "a file's name");
    struct stat status;
    error unread = {0};
    if (!wanted(name)) goto done;
    if (stat(path, &status) == 0 && status.st_size > SOURCE_MAX_BYTES)
        file->problem = too_large;
    else if (!(file->data = (uint8_t *)file_read(path, &file->size, &unread)))
        file->problem = "cannot be read";
done:
    free(path);
    return true;
}

/* ---- Archives ---- */

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

static void pass_over(source *s, const char *name, const char *why) {
    char line[PATH_MAX + 256];
    snprintf(line, sizeof line, "%s: skipping %s: %s", s->path, name, why);
    if (s->warn) s->warn(s->context, line);
}

/* Reads the member whose header was read last; what is too large or damaged becomes the file's problem. */
static bool read_member(source *s, struct archive_entry *entry, source_file *file, error *err) {
    bool sized = archive_entry_size_is_set(entry);
    int64_t size = sized ? archive_entry_size(entry) : 0;
    if (size < 0 || size > SOURCE_MAX_BYTES) {
        file->problem = too_large;
        return true;
    }
    size_t capacity = sized ? (size_t)size + 1 : READ_BLOCK;
    if (!(file->data = malloc(capacity))) return error_memory(err, capacity, file->name);
    for (;;) {
        if (file->size == capacity) {
            if (capacity > SOURCE_MAX_BYTES) {
                file->problem = too_large;
                break;
            }
            uint8_t *larger = realloc(file->data, 2 * capacity);
            if (!larger) return error_memory(err, 2 * capacity, file->name);
            file->data = larger, capacity *= 2;
        }
        la_ssize_t n = archive_read_data(s->archive, file->data + file->size, capacity - file->size);
        if (n == 0) return true;
        if (n < 0) {
            if (n == ARCHIVE_FATAL)
                return error_set(err, ERROR_RUN, "%s is damaged at %s: %s", s->path, file->name,
                                 archive_error_string(s->archive));
            file->problem = "damaged in the archive";
            break;
        }
        file->size += (size_t)n;
    }
    free(file->data);
    file->data = NULL, file->size = 0;
    return true;
}

static bool next_in_archive(source *s, bool (*wanted)(const char *name), source_file *file, error *err) {
    for (;;) {
        struct archive_entry *entry;
        int status = archive_read_next_header(s->archive, &entry);
        if (status == ARCHIVE_EOF) return false;
        if (status == ARCHIVE_RETRY) continue;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return error_set(err, ERROR_RUN, "%s is damaged: %s", s->path, archive_error_string(s->archive));
        const char *name = archive_entry_pathname(entry);
        if (!name) name = "(a name that cannot be read)";
        while (strncmp(name, "./", 2) == 0) name += 2;
        if (archive_entry_filetype(entry) == AE_IFDIR) continue;
        if (archive_entry_hardlink(entry) || archive_entry_symlink(entry))
            pass_over(s, name, "a link");
        else if (archive_entry_filetype(entry) != AE_IFREG)
            pass_over(s, name, "not a regular file");
        else if (!stays_inside(name))
            pass_over(s, name, "its name leads out of the archive");
        else {
            if (!(file->name = strdup(name))) return error_memory(err, strlen(name), "a file's name");
            return !wanted(name) || read_member(s, entry, file, err);
        }
    }
}

/* ---- Either ---- */

source *source_open(const char *path, source_warn warn, void *context, error *err) {
    struct stat status;
    source *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        error_memory(err, sizeof *s, "a source of files");
        goto failed;
    }
    s->warn = warn, s->context = context;
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
    listing_free(&s->files);
    free(s->path);
    free(s);
}

uint64_t source_count(const source *s) { return s->archive ? 0 : s->files.count; }

bool source_next(source *s, bool (*wanted)(const char *name), source_file *file, error *err) {
    *file = (source_file){0};
    bool got = s->archive ? next_in_archive(s, wanted, file, err) : next_in_directory(s, wanted, file, err);
    if (!got) source_file_free(file);
    return got;
}

void source_file_free(source_file *file) {
    free(file->name);
    free(file->data);
    *file = (source_file){0};
}

static void fold(char sum[65], const char *name, const struct stat *status) {
    char line[PATH_MAX + 256];
    int n = snprintf(line, sizeof line, "%s %s %lld %lld.%09ld", sum, name, (long long)status->st_size,
                     (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
    file_sha256(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1, sum);
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
    file_sha256(real, strlen(real), out);
    for (size_t i = 0; i < files.count; i++)
        if (fstatat(folder, files.names[i], &status, 0) == 0) fold(out, files.names[i], &status);
    done = true;
done:
    if (folder >= 0) close(folder);
    listing_free(&files);
    return done;
}
