/*
 * An archive is streamed: libarchive decompresses what it must and nothing is ever written to the disk. Only regular
 * files count. libarchive gives names in the locale of the thread that asks, and none at all where that cannot spell
 * them; so it is asked under a UTF-8 locale, whatever the program's own.
 */
#include "engine/data/sets/source_parts.h"

#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BLOCK = 1 << 18 };

/* Archives break off in one way, by far, that their reader can mend: a download or a copy that did not finish. */
static bool ends_early(struct archive *a) {
    static const char *const words[] = {"truncated", "unexpected end", "premature",
                                        "no progress is possible"}; /* xz: it waits for bytes that do not come */
    const char *why = archive_error_string(a);
    for (size_t i = 0; why && i < sizeof words / sizeof *words; i++)
        if (strcasestr(why, words[i])) return true;
    return false;
}

bool source_archive_failed(struct archive *a, const char *path, const char *member, error *err) {
    const char *why = archive_error_string(a);
    bool early = ends_early(a);
    return error_set(err, ERROR_RUN, "%s %s%s%s: %s%s", path, early ? "ends early" : "is damaged", member ? " at " : "",
                     member ? member : "", why ? why : "it cannot be read",
                     early ? "; its download or copy did not come to its end" : "");
}

struct archive *source_open_archive(const char *path, error *err) {
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
    archive_read_set_format_option(a, "tar", "read_concatenated_archives", "1"); /* cat a.tar b.tar */
    if (archive_read_open_filename(a, path, READ_BLOCK) == ARCHIVE_OK) return a;
    if (euidaccess(path, R_OK) != 0)
        error_set(err, ERROR_USAGE, "cannot read %s: %s", path, strerror(errno));
    else if (ends_early(a))
        source_archive_failed(a, path, NULL, err);
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
        item->problem = source_too_large;
        return true;
    }
    size_t capacity = sized ? (size_t)size + 1 : READ_BLOCK;
    if (!(item->data = malloc(capacity))) return error_memory(err, capacity, item->name);
    for (;;) {
        if (item->size == capacity) {
            if (capacity > SOURCE_MAX_BYTES) {
                item->problem = source_too_large;
                break;
            }
            uint8_t *larger = realloc(item->data, 2 * capacity);
            if (!larger) return error_memory(err, 2 * capacity, item->name);
            item->data = larger, capacity *= 2;
        }
        la_ssize_t n = archive_read_data(s->archive, item->data + item->size, capacity - item->size);
        if (n == 0) return true;
        if (n < 0) {
            if (n == ARCHIVE_FATAL) return source_archive_failed(s->archive, s->path, item->name, err);
            item->problem = "damaged in the archive";
            break;
        }
        item->size += (size_t)n;
    }
    free(item->data);
    item->data = NULL, item->size = 0;
    return true;
}

/* The name as it was written, in UTF-8 where the archive says how it is meant. */
static const char *name_of(struct archive_entry *entry) {
    const char *name = archive_entry_pathname(entry);
    if (!name) name = archive_entry_pathname_utf8(entry);
    return name ? name : "(a name that cannot be read)";
}

/* Why the member is passed over; NULL: it is not. */
static const char *problem_of(struct archive_entry *entry, const char *name, bool folder) {
    if (archive_entry_symlink(entry)) return "a link";
    if (archive_entry_hardlink(entry)) return "a hard link to another member";
    if (!folder && archive_entry_filetype(entry) != AE_IFREG) return "not a regular file";
    if (!folder && !stays_inside(name)) return "its name leads out of the archive";
    if (!folder && archive_entry_is_encrypted(entry)) return "encrypted";
    return NULL;
}

static bool next_member(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    struct archive_entry *entry;
    const char *name;
    int status;
    do {
        status = archive_read_next_header(s->archive, &entry);
        if (status == ARCHIVE_EOF) return false;
        if (status == ARCHIVE_FATAL || status == ARCHIVE_FAILED) {
            if (s->next > 0 || ends_early(s->archive)) return source_archive_failed(s->archive, s->path, NULL, err);
            return error_set(err, ERROR_USAGE, "%s is neither a directory nor an archive (tar, zip): %s", s->path,
                             archive_error_string(s->archive));
        }
        s->next++;
        name = name_of(entry);
        while (strncmp(name, "./", 2) == 0) name += 2;
    } while (status == ARCHIVE_RETRY || !*name); /* "./" is the archive itself */
    bool folder = archive_entry_filetype(entry) == AE_IFDIR, slash = name[strlen(name) - 1] == '/';
    if (asprintf(&item->name, "%s%s", name, folder && !slash ? "/" : "") < 0) {
        item->name = NULL;
        return error_memory(err, PATH_MAX, "a file's name");
    }
    item->problem = problem_of(entry, name, folder);
    item->kind = item->problem ? SOURCE_SKIPPED : folder ? SOURCE_FOLDER : SOURCE_FILE;
    item->link = item->problem && (archive_entry_hardlink(entry) || archive_entry_symlink(entry));
    source_want want = item->kind == SOURCE_FILE ? choose(context, name) : SOURCE_PASS;
    item->streamed = want == SOURCE_STREAM;
    return want != SOURCE_READ || read_member(s, entry, item, err);
}

bool source_next_in_archive(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    locale_t before = s->utf8 ? uselocale(s->utf8) : (locale_t)0;
    bool got = next_member(s, choose, context, item, err);
    if (s->utf8) uselocale(before);
    return got;
}
