/*
 * The door to both kinds of source, and what tells one state of a source from another.
 */
#include "engine/data/sets/source_parts.h"

#include "engine/files/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char source_too_large[] = "larger than 256 MiB";

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
        if (!source_list_directory(&s->files, path, err)) goto failed;
    } else if (!S_ISREG(status.st_mode)) {
        error_set(err, ERROR_USAGE, "%s is neither a directory nor an archive (tar, zip)", path);
        goto failed;
    } else {
        s->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); /* without it names are as they were */
        if (!(s->archive = source_open_archive(path, err))) goto failed;
    }
    return s;
failed:
    source_close(s);
    return NULL;
}

void source_close(source *s) {
    if (!s) return;
    if (s->archive) archive_read_free(s->archive);
    if (s->utf8) freelocale(s->utf8);
    if (s->stream) fclose(s->stream);
    free(s->streamed);
    source_listing_free(&s->files);
    free(s->path);
    free(s);
}

uint64_t source_count(const source *s) { return s->archive ? 0 : s->files.count; }

bool source_next(source *s, source_chooser choose, const void *context, source_item *item, error *err) {
    *item = (source_item){0};
    if (s->stream) fclose(s->stream);
    free(s->streamed);
    s->stream = NULL, s->streamed = NULL;
    bool got = s->archive ? source_next_in_archive(s, choose, context, item, err)
                          : source_next_in_directory(s, choose, context, item, err);
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
        if (n < 0) return source_archive_failed(s->archive, s->path, s->streamed, err);
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
    source_listing files = {0};
    bool done = false;
    int folder = -1;
    out[0] = '\0';
    if (stat(path, &status) != 0 || !realpath(path, real))
        return error_set(err, ERROR_USAGE, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode)) {
        fold(out, real, &status);
        return true;
    }
    if (!source_list_directory(&files, path, err)) goto done;
    if ((folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    checksum_sha256(real, strlen(real), out);
    for (size_t i = 0; i < files.count; i++)
        if (fstatat(folder, files.entries[i].name, &status, 0) == 0) fold(out, files.entries[i].name, &status);
    done = true;
done:
    if (folder >= 0) close(folder);
    source_listing_free(&files);
    return done;
}
