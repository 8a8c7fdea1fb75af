/*
 * The central directory is found from the end of the file (APPNOTE 4.3: end record, perhaps its zip64 form), and what
 * lies before the archive, if anything does, shifts all its offsets, as Python reckons. A packed member goes to
 * libarchive behind a header that is written here, with the directory's sizes: streams leave those of the member's own
 * header zero.
 */
#include "analysis/files/zip.h"
#include "engine/files/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MOST = 65535,
    STORED = 0,
    ENCRYPTED = 1
};

/* ---- the directory ----------------------------------------------------------------------------------------------- */

typedef struct directory {
    const uint8_t *at;
    uint64_t size, count, shift; /* shift: what lies before the archive */
} directory;

static const uint8_t *find_end(const uint8_t *bytes, size_t size) {
    if (size < END_SIZE) return NULL;
    size_t least = size > END_SIZE + COMMENT_MOST ? size - END_SIZE - COMMENT_MOST : 0;
    for (size_t i = size - END_SIZE + 1; i-- > least;)
        if (memcmp(bytes + i, "PK\5\6", 4) == 0) return bytes + i;
    return NULL;
}

static bool find_directory(const uint8_t *bytes, size_t size, directory *d) {
    const uint8_t *end = find_end(bytes, size), *after = end;
    if (!end) return false;
    uint64_t offset = file_little_endian(end + 16, 4);
    d->count = file_little_endian(end + 10, 2), d->size = file_little_endian(end + 12, 4);
    if (end - bytes >= LOCATOR_SIZE + END64_SIZE && memcmp(end - LOCATOR_SIZE, "PK\6\7", 4) == 0) {
        const uint8_t *end64 = end - LOCATOR_SIZE - END64_SIZE; /* without an extensible part, which nobody writes */
        if (memcmp(end64, "PK\6\6", 4) == 0) {
            after = end64;
            d->count = file_little_endian(end64 + 32, 8), d->size = file_little_endian(end64 + 40, 8),
            offset = file_little_endian(end64 + 48, 8);
        }
    }
    uint64_t before = (uint64_t)(after - bytes);
    if (d->size > before || offset > before - d->size) return false;
    d->shift = before - d->size - offset;
    d->at = after - d->size;
    return true;
}

/* Sizes and offset that do not fit 32 bits stand in an extra field, those alone, in this order. */
static bool read_zip64(zip_member *m, const uint8_t *extra, size_t size) {
    uint64_t *const wide[] = {&m->size, &m->packed, &m->header};
    while (size >= 4) {
        size_t id = file_little_endian(extra, 2), length = file_little_endian(extra + 2, 2);
        if (length > size - 4) return false;
        if (id == 1) {
            const uint8_t *at = extra + 4;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] != 0xffffffff) continue;
                if (at + 8 > extra + 4 + length) return false;
                *wide[i] = file_little_endian(at, 8);
                at += 8;
            }
            return true;
        }
        extra += 4 + length, size -= 4 + length;
    }
    return true;
}

/* One entry of the directory, and where the next begins; NULL: broken. */
static const uint8_t *read_entry(zip_member *m, const uint8_t *at, const uint8_t *end, uint64_t shift) {
    if (end - at < ENTRY_SIZE || memcmp(at, "PK\1\2", 4) != 0) return NULL;
    size_t name = file_little_endian(at + 28, 2), extra = file_little_endian(at + 30, 2),
           comment = file_little_endian(at + 32, 2);
    if ((size_t)(end - at) - ENTRY_SIZE < name + extra + comment) return NULL;
    *m = (zip_member){.flags = (uint16_t)file_little_endian(at + 8, 2),
                      .method = (uint16_t)file_little_endian(at + 10, 2),
                      .checksum = (uint32_t)file_little_endian(at + 16, 4),
                      .packed = file_little_endian(at + 20, 4),
                      .size = file_little_endian(at + 24, 4),
                      .header = file_little_endian(at + 42, 4)};
    if (!read_zip64(m, at + ENTRY_SIZE + name, extra) || __builtin_add_overflow(m->header, shift, &m->header))
        return NULL;
    if (!(m->name = strndup((const char *)at + ENTRY_SIZE, name))) return NULL;
    return at + ENTRY_SIZE + name + extra + comment;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const zip_member *)a)->name, ((const zip_member *)b)->name);
}

static int by_name_and_place(const void *a, const void *b) {
    const zip_member *x = a, *y = b;
    int order = by_name(a, b);
    return order ? order : (x->header > y->header) - (x->header < y->header);
}

/* Of equal names the last: writers append. */
static void drop_earlier(zip *z) {
    size_t kept = 0;
    if (z->count == 0) return;
    qsort(z->members, z->count, sizeof *z->members, by_name_and_place);
    for (size_t i = 0; i < z->count; i++) {
        if (i + 1 < z->count && by_name(&z->members[i], &z->members[i + 1]) == 0)
            free(z->members[i].name);
        else
            z->members[kept++] = z->members[i];
    }
    z->count = kept;
}

bool zip_open(zip *z, const uint8_t *bytes, size_t size, const char *name, error *err) {
    directory d = {0};
    *z = (zip){.bytes = bytes, .size = size};
    if (!find_directory(bytes, size, &d))
        return error_set(err, ERROR_RUN, "%s: is a damaged zip archive: its directory, at the end, is missing", name);
    if (d.count > d.size / ENTRY_SIZE) d.count = d.size / ENTRY_SIZE + 1; /* refused below */
    z->members = calloc(d.count + 1, sizeof *z->members);
    if (!z->members) return error_memory(err, (d.count + 1) * sizeof *z->members, "an archive's list");
    const uint8_t *at = d.at, *end = d.at + d.size;
    for (uint64_t i = 0; i < d.count; i++) {
        at = read_entry(&z->members[z->count], at, end, d.shift);
        if (!at) {
            zip_close(z);
            return error_set(err, ERROR_RUN, "%s: is a damaged zip archive: entry %llu of its directory is broken",
                             name, (unsigned long long)i);
        }
        z->count++;
    }
    drop_earlier(z);
    return true;
}

void zip_close(zip *z) {
    for (size_t i = 0; i < z->count; i++) free(z->members[i].name);
    free(z->members);
    *z = (zip){0};
}

const zip_member *zip_find(const zip *z, const char *name) {
    zip_member wanted = {.name = (char *)name};
    return z->count ? bsearch(&wanted, z->members, z->count, sizeof wanted, by_name) : NULL;
}

/* ---- the members ------------------------------------------------------------------------------------------------- */

/* Where a member's bytes lie, packed or not. */
static const uint8_t *member_bytes(const zip *z, const zip_member *m) {
    if (m->header > z->size || z->size - m->header < LOCAL_SIZE) return NULL;
    const uint8_t *local = z->bytes + m->header;
    uint64_t room = z->size - m->header - LOCAL_SIZE,
             skip = file_little_endian(local + 26, 2) + file_little_endian(local + 28, 2);
    if (memcmp(local, "PK\3\4", 4) != 0 || skip > room || m->packed > room - skip) return NULL;
    return local + LOCAL_SIZE + skip;
}

const uint8_t *zip_stored(const zip *z, const zip_member *m) {
    return m->method == STORED && !(m->flags & ENCRYPTED) && m->packed == m->size ? member_bytes(z, m) : NULL;
}

/* What libarchive is given: a header, then the member. */
typedef struct feed {
    uint8_t header[LOCAL_SIZE + 1 + 20];
    const uint8_t *data;
    uint64_t size;
    int step;
} feed;

static void put(uint8_t *out, uint64_t value, int size) {
    for (int i = 0; i < size; i++) out[i] = (uint8_t)(value >> 8 * i);
}

static void make_header(feed *f, const zip_member *m) {
    uint8_t *h = f->header;
    memcpy(h, "PK\3\4", 4);
    put(h + 4, 63, 2);
    put(h + 6, m->flags & 2, 2); /* lzma's end mark */
    put(h + 8, m->method, 2);
    put(h + 14, m->checksum, 4);
    put(h + 18, 0xffffffff, 4), put(h + 22, 0xffffffff, 4);
    put(h + 26, 1, 2), put(h + 28, 20, 2);
    h[30] = 'x';
    put(h + 31, 1, 2), put(h + 33, 16, 2), put(h + 35, m->size, 8), put(h + 43, m->packed, 8);
}

static la_ssize_t feed_next(struct archive *a, void *context, const void **bytes) {
    (void)a;
    feed *f = context;
    f->step++;
    *bytes = f->step == 1 ? f->header : f->data;
    return f->step == 1 ? (la_ssize_t)sizeof f->header : f->step == 2 ? (la_ssize_t)f->size : 0;
}

static bool unpack_by_libarchive(struct archive *a, feed *f, uint8_t *out, size_t size, size_t *got) {
    struct archive_entry *entry;
    archive_read_support_format_zip_streamable(a);
    if (archive_read_open(a, f, NULL, feed_next, NULL) != ARCHIVE_OK) return false;
    int status = archive_read_next_header(a, &entry);
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return false;
    while (*got < size) {
        la_ssize_t n = archive_read_data(a, out + *got, size - *got);
        if (n < 0) return false;
        if (n == 0) break;
        *got += (size_t)n;
    }
    return true;
}

bool zip_unpack(const zip *z, const zip_member *m, uint8_t *out, size_t size, size_t *got, error *err) {
    *got = 0;
    if (m->flags & ENCRYPTED) return error_set(err, ERROR_RUN, "is encrypted");
    feed f = {.data = member_bytes(z, m), .size = m->packed};
    if (!f.data) return error_set(err, ERROR_RUN, "is cut short");
    if (m->method == STORED) {
        *got = m->packed < size ? (size_t)m->packed : size;
        memcpy(out, f.data, *got);
        return true;
    }
    struct archive *a = archive_read_new();
    if (!a) return error_memory(err, 1 << 16, "an archive's reader");
    make_header(&f, m);
    bool ok = unpack_by_libarchive(a, &f, out, size, got);
    if (!ok) {
        const char *why = archive_error_string(a);
        error_set(err, ERROR_RUN, "cannot be unpacked: %.200s", why ? why : "damaged");
    }
    archive_read_free(a);
    return ok;
}
