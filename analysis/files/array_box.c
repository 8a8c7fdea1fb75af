/*
 * Getting a file's bytes: mapped where it is one, spooled into a nameless file first where it is a pipe. Something that
 * is no array at all is refused by a pipe's first block, and an endless pipe ends at half of what is free in TMPDIR.
 */
#include "analysis/files/array_box.h"
#include "analysis/files/array_file.h"
#include "analysis/files/array_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- memory ------------------------------------------------------------------------------------------------------ */

uint64_t array_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 32;
}

void *array_box_memory(const array_box *b, const char *what, uint64_t bytes, error *err) {
    uint64_t limit = array_memory() / 2;
    if (bytes > limit) {
        error_set(err, ERROR_RUN, "%s: %s unpacks to %.1f GiB, where this machine has room for %.1f", b->name, what,
                  (double)bytes / (1 << 30), (double)limit / (1 << 30));
        return NULL;
    }
    void *memory = calloc(bytes ? bytes : 1, 1); /* zeros cost nothing until they are touched */
    if (!memory) error_memory(err, bytes, b->name);
    return memory;
}

/* ---- pipes ------------------------------------------------------------------------------------------------------- */

/* A nameless file in TMPDIR, and the bytes that may go into it. */
static int open_spool(const char *name, uint64_t *limit, error *err) {
    const char *folder = getenv("TMPDIR");
    char path[1024];
    struct statvfs space;
    snprintf(path, sizeof path, "%.1000s/mews-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkostemp(path, O_CLOEXEC);
    if (file < 0) {
        error_set(err, ERROR_RUN, "cannot keep %s in %s: %s", name, path, strerror(errno));
        return -1;
    }
    unlink(path);
    *limit = fstatvfs(file, &space) == 0 ? (uint64_t)space.f_bavail * space.f_frsize / 2 : UINT64_C(1) << 32;
    return file;
}

static bool spool(array_box *b, int pipe, error *err) {
    enum { BLOCK = 1 << 20 };
    uint64_t limit = 0, total = 0;
    uint8_t *block = malloc(BLOCK);
    b->file = block ? open_spool(b->name, &limit, err) : -1;
    bool ok = b->file >= 0 || error_memory(err, BLOCK, b->name);
    for (size_t got = BLOCK; ok && got == BLOCK;) {
        got = file_take(pipe, block, BLOCK);
        if (total == 0 && got == 0)
            ok = error_set(err, ERROR_RUN, "%s: is empty", b->name);
        else if (total == 0 && !array_format_of(b->name, block, got, err))
            ok = false;
        else if ((total += got) > limit)
            ok = error_set(err, ERROR_RUN, "%s: is longer than the %.1f GiB there is room for; give a file instead",
                           b->name, (double)limit / (1 << 30));
        else if (!file_put(b->file, block, got))
            ok = error_set(err, ERROR_RUN, "cannot keep %s: %s", b->name, strerror(errno));
    }
    if (ok) {
        void *data = mmap(NULL, total, PROT_READ, MAP_SHARED, b->file, 0);
        if (data == MAP_FAILED)
            ok = error_set(err, ERROR_RUN, "cannot map %s: %s", b->name, strerror(errno));
        else
            b->map = (file_map){.data = data, .size = total};
    }
    free(block);
    return ok;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool is_pipe(const struct stat *s) {
    return S_ISFIFO(s->st_mode) || S_ISCHR(s->st_mode) || S_ISSOCK(s->st_mode);
}

static bool get_bytes(array_box *b, const char *path, error *err) {
    struct stat status;
    bool input = strcmp(path, "-") == 0, ok;
    if (input) {
        ok = spool(b, STDIN_FILENO, err);
    } else if (stat(path, &status) == 0 && is_pipe(&status)) {
        int pipe = open(path, O_RDONLY | O_CLOEXEC);
        ok = pipe >= 0 ? spool(b, pipe, err) : error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
        if (pipe >= 0) close(pipe);
    } else {
        ok = file_map_open(&b->map, path, err);
    }
    if (ok && b->file >= 0) {
        free(b->path);
        if (asprintf(&b->path, "/proc/self/fd/%d", b->file) < 0) b->path = NULL;
        ok = b->path || error_memory(err, 32, "a file's name");
    }
    b->bytes = b->map.data, b->size = b->map.size;
    if (ok && b->size == 0) return error_set(err, ERROR_RUN, "%s: is empty", b->name);
    return ok;
}

array_box *array_box_open(const char *path, const char *apart, error *err) {
    struct stat status;
    char index[4096];
    array_box *b = calloc(1, sizeof *b);
    bool folder = strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    if (folder && array_folder_index(path, index, sizeof index)) path = index, folder = false;
    if (b)
        *b = (array_box){.name = strdup(strcmp(path, "-") == 0 ? "standard input" : path),
                         .path = strdup(path),
                         .file = -1,
                         .users = 1,
                         .apart = apart};
    bool ok = (b && b->name && b->path) || error_memory(err, strlen(path), "a file's name");
    if (ok && folder) {
        b->format = array_format_of_folder(path, err);
    } else if (ok && get_bytes(b, path, err)) {
        b->format = array_format_of(b->name, b->bytes, b->size, err);
    }
    if (ok && b->format && array_guard_open(b, err)) {
        if (!folder) array_format_note(b);
        return b;
    }
    array_box_leave(b);
    return NULL;
}

array_box *array_box_of_memory(const char *name, const strided *array, error *err) {
    static const array_format memory = {.kind = "memory"};
    array_box *b = calloc(1, sizeof *b);
    if (b) *b = (array_box){.name = strdup(name), .format = &memory, .file = -1, .users = 1};
    if (b && b->name && array_box_offer(b, NULL, array, NULL, err)) return b;
    if (!b || !b->name) error_memory(err, sizeof *b, "a name");
    array_box_leave(b);
    return NULL;
}

void array_box_leave(array_box *b) {
    if (!b || --b->users > 0) return;
    if (b->format && b->format->close) b->format->close(b);
    for (size_t i = 0; i < b->count; i++) {
        free(b->offers[i].name);
        free(b->offers[i].problem);
    }
    for (size_t i = 0; i < b->kept_count; i++) free(b->kept[i]);
    free(b->kept);
    pickle_free(b->pickle);
    free(b->offers);
    free(b->note);
    free(b->name);
    free(b->path);
    file_map_close(&b->map);
    if (b->file >= 0) close(b->file);
    free(b);
}

bool array_box_load(array_box *b, size_t which, strided *out, void **memory, error *err) {
    *memory = NULL;
    *out = b->offers[which].array;
    if (b->offers[which].parts) return array_box_put_together(b, which, out, memory, err);
    return out->data || array_guard_load(b, which, out, memory, err);
}

/* ---- what formats say -------------------------------------------------------------------------------------------- */

array_offer *array_box_offer(array_box *b, const char *name, const strided *array, const char *problem, error *err) {
    if (b->count == b->room) {
        size_t room = b->room ? 2 * b->room : 8;
        array_offer *offers = realloc(b->offers, room * sizeof *offers);
        if (!offers) {
            error_memory(err, room * sizeof *offers, "tensor names");
            return NULL;
        }
        b->offers = offers, b->room = room;
    }
    array_offer *o = &b->offers[b->count];
    *o = (array_offer){.place = b->count};
    if (array) o->array = *array;
    if (name) o->name = strdup(name);
    if (problem) o->problem = strdup(problem);
    b->count++;
    if ((!name || o->name) && (!problem || o->problem)) return o;
    error_memory(err, 256, "tensor names");
    return NULL;
}

bool array_box_keep(array_box *b, void *memory, error *err) {
    void **kept = memory ? realloc(b->kept, (b->kept_count + 1) * sizeof *kept) : NULL;
    if (!kept) {
        free(memory);
        return error_memory(err, 1 << 10, b->name);
    }
    b->kept = kept;
    b->kept[b->kept_count++] = memory;
    return true;
}

void array_box_note(array_box *b, const char *format, ...) {
    va_list args;
    if (b->note) return;
    va_start(args, format);
    if (vasprintf(&b->note, format, args) < 0) b->note = NULL;
    va_end(args);
}
