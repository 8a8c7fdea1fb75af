/*
 * Reading .npz by libarchive. The archive is walked twice: once for names and headers, once for the member that was
 * chosen, since a zip's members are compressed one by one and skipping one costs next to nothing. What a member claims
 * is believed only as far as the archive's own size allows.
 */
#include "analysis/files/npz.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Deflate's best: a pair of 1-bit codes stands for 258 bytes. */
enum { DEFLATE_BEST = 1032, MEMBERS_MOST = 4096 };

static struct archive *open_zip(const npz *z, const char *name, error *err) {
    struct archive *a = archive_read_new();
    if (!a) {
        error_memory(err, 1 << 16, "an archive's reader");
        return NULL;
    }
    archive_read_support_format_zip(a);
    if (archive_read_open_memory(a, z->bytes, z->size) == ARCHIVE_OK) return a;
    error_set(err, ERROR_RUN, "%s: is not a zip archive: %s", name, archive_error_string(a));
    archive_read_free(a);
    return NULL;
}

/* The next member's name, or NULL at the end or with an error. */
static const char *next_member(struct archive *a, const char *name, error *err) {
    struct archive_entry *entry;
    int status = archive_read_next_header(a, &entry);
    if (status == ARCHIVE_EOF) return NULL;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
        const char *why = archive_error_string(a);
        error_set(err, ERROR_RUN, "%s: is a damaged zip archive: %s", name, why ? why : "it ends early");
        return NULL;
    }
    const char *member = archive_entry_pathname(entry);
    return member ? member : "";
}

/* Up to `size` bytes of the current member; false when they cannot be unpacked. */
static bool unpack(struct archive *a, uint8_t *out, size_t size, size_t *got) {
    for (*got = 0; *got < size;) {
        la_ssize_t n = archive_read_data(a, out + *got, size - *got);
        if (n < 0) return false;
        if (n == 0) break;
        *got += (size_t)n;
    }
    return true;
}

/* name.npy → name; false for what is no array. */
static bool array_name(const char *path, char *out, size_t size) {
    size_t length = strlen(path);
    if (length < 5 || strcmp(path + length - 4, ".npy") != 0) return false;
    snprintf(out, size, "%.*s", (int)(length - 4 < size ? length - 4 : size - 1), path);
    return true;
}

static void read_start(struct archive *a, npz_member *m, uint8_t *start) {
    error why = {0};
    size_t got;
    if (!unpack(a, start, NPY_LONGEST_START, &got)) {
        const char *text = archive_error_string(a);
        snprintf(m->problem, sizeof m->problem, "cannot be unpacked: %.200s", text ? text : "damaged");
    } else if (!npy_parse_header(&m->shape, start, got, m->name, &m->bytes, &why)) {
        size_t prefix = strlen(m->name) + 2; /* "name: " */
        snprintf(m->problem, sizeof m->problem, "%.250s", why.text + prefix);
        m->bytes = 0;
    }
}

bool npz_open(npz *z, const uint8_t *bytes, size_t size, const char *name, error *err) {
    *z = (npz){.bytes = bytes, .size = size};
    uint8_t *start = malloc(NPY_LONGEST_START);
    struct archive *a = open_zip(z, name, err);
    const char *path;
    error failed = {0};
    bool ok = a && (start || error_memory(err, NPY_LONGEST_START, "an array's header"));
    for (size_t place = 0; ok && (path = next_member(a, name, &failed)); place++) {
        npz_member m = {.place = place};
        if (!array_name(path, m.name, sizeof m.name)) continue;
        if (z->count == MEMBERS_MOST) {
            error_set(&failed, ERROR_RUN, "%s: holds more than %d arrays", name, MEMBERS_MOST);
            break;
        }
        read_start(a, &m, start);
        npz_member *members = realloc(z->members, (z->count + 1) * sizeof *members);
        if (!members) {
            error_memory(&failed, (z->count + 1) * sizeof *members, "an archive's list");
            break;
        }
        z->members = members;
        z->members[z->count++] = m;
    }
    if (failed.code) ok = error_set(err, failed.code, "%s", failed.text);
    if (a) archive_read_free(a);
    free(start);
    if (!ok) npz_close(z);
    return ok;
}

void npz_close(npz *z) {
    free(z->members);
    *z = (npz){0};
}

bool npz_read(const npz *z, size_t which, const char *name, uint64_t limit, npy *array, uint8_t **bytes, error *err) {
    const npz_member *m = &z->members[which];
    *bytes = NULL;
    if (m->bytes == 0) return error_set(err, ERROR_RUN, "%s: %s", name, m->problem);
    if (m->bytes / DEFLATE_BEST > z->size)
        return error_set(err, ERROR_RUN, "%s: claims %" PRIu64 " bytes, more than an archive of %zu can hold", name,
                         m->bytes, z->size);
    if (m->bytes > limit)
        return error_set(err, ERROR_RUN, "%s: unpacks to %.1f GiB, where this machine has room for %.1f", name,
                         (double)m->bytes / (1 << 30), (double)limit / (1 << 30));
    struct archive *a = open_zip(z, name, err);
    if (!a) return false;
    size_t got = 0, most = (size_t)m->bytes + 1; /* one more shows that there is more */
    bool ok = true;
    for (size_t place = 0; ok && place <= m->place; place++) ok = next_member(a, name, err) != NULL;
    if (ok && !(*bytes = malloc(most))) ok = error_memory(err, most, name);
    if (ok && !unpack(a, *bytes, most, &got)) {
        const char *why = archive_error_string(a);
        ok = error_set(err, ERROR_RUN, "%s: cannot be unpacked: %s", name, why ? why : "damaged");
    }
    archive_read_free(a);
    ok = ok && npy_parse(array, *bytes, got, name, err);
    if (!ok) {
        free(*bytes);
        *bytes = NULL;
    }
    return ok;
}
