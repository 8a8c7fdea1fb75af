/*
 * Opening goes in three steps: get the bytes mapped (a file, or standard input spooled into one), tell the kind by the
 * first of them, and choose one array of those the file offers. Whatever a name in the file may be, choosing happens on
 * shapes and names alone; no element is read before a caller asks for rows.
 */
#include "analysis/files/array_file.h"
#include "analysis/files/npz.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { NAMES_TOLD = 12 };

uint64_t array_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 32;
}

/* ---- kinds of files ---------------------------------------------------------------------------------------------- */

typedef enum file_kind { KIND_UNKNOWN, KIND_NPY, KIND_NPZ, KIND_SAFETENSORS } file_kind;

/* By the first bytes: each kind has its own. */
static file_kind kind_of_bytes(const uint8_t *bytes, size_t size) {
    if (size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0) return KIND_NPY;
    if (size >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0)) return KIND_NPZ;
    return size > 8 && bytes[8] == '{' ? KIND_SAFETENSORS : KIND_UNKNOWN;
}

/* By its name, when the bytes say nothing: the reader of that kind knows best what is wrong with it. */
static file_kind kind_of_name(const char *path) {
    static const struct {
        const char *ending;
        file_kind kind;
    } kinds[] = {{".npy", KIND_NPY}, {".npz", KIND_NPZ}, {".safetensors", KIND_SAFETENSORS}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(path), tail = strlen(kinds[i].ending);
        if (length > tail && strcmp(path + length - tail, kinds[i].ending) == 0) return kinds[i].kind;
    }
    return KIND_UNKNOWN;
}

/* ---- standard input ---------------------------------------------------------------------------------------------- */

static bool write_all(int file, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(file, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n, size -= (size_t)n;
    }
    return true;
}

static size_t read_some(int file, uint8_t *out, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(file, out + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

/* A nameless file in TMPDIR, and the bytes that may go into it: half of what is free there. */
static int open_spool(uint64_t *limit, error *err) {
    const char *folder = getenv("TMPDIR");
    char path[1024];
    struct statvfs space;
    snprintf(path, sizeof path, "%.1000s/mews-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkstemp(path);
    if (file < 0) {
        error_set(err, ERROR_RUN, "cannot keep standard input in %s: %s", path, strerror(errno));
        return -1;
    }
    unlink(path);
    *limit = fstatvfs(file, &space) == 0 ? (uint64_t)space.f_bavail * space.f_frsize / 2 : UINT64_C(1) << 32;
    return file;
}

/* Something that is no array at all is refused by its first block; an endless pipe ends at the limit. */
static bool spool_input(file_map *map, error *err) {
    enum { BLOCK = 1 << 20 };
    static const char name[] = "standard input";
    uint64_t limit = 0, total = 0;
    uint8_t *block = malloc(BLOCK);
    int file = block ? open_spool(&limit, err) : -1;
    bool ok = file >= 0 || error_memory(err, BLOCK, name);
    for (size_t got = BLOCK; ok && got == BLOCK;) {
        got = read_some(STDIN_FILENO, block, BLOCK);
        if (total == 0 && got == 0)
            ok = error_set(err, ERROR_RUN, "%s: is empty", name);
        else if (total == 0 && kind_of_bytes(block, got) == KIND_UNKNOWN)
            ok = error_set(err, ERROR_RUN, "%s: is neither .npy, .npz nor .safetensors", name);
        else if ((total += got) > limit)
            ok = error_set(err, ERROR_RUN, "%s: is longer than the %.1f GiB there is room for; give a file instead",
                           name, (double)limit / (1 << 30));
        else if (!write_all(file, block, got))
            ok = error_set(err, ERROR_RUN, "cannot keep %s: %s", name, strerror(errno));
    }
    if (ok) {
        void *data = mmap(NULL, total, PROT_READ, MAP_SHARED, file, 0);
        if (data == MAP_FAILED)
            ok = error_set(err, ERROR_RUN, "cannot map %s: %s", name, strerror(errno));
        else
            *map = (file_map){.data = data, .size = total};
    }
    if (file >= 0) close(file);
    free(block);
    return ok;
}

/* ---- which array ------------------------------------------------------------------------------------------------- */

/* What a file offers: its tensors' names and shapes. */
typedef struct offer {
    const char *name;
    int dims; /* −1: unreadable */
    uint64_t rows, cols;
} offer;

/* "`a` (10 × 20), `b` (5)" of the offers with at least `dims` dimensions. */
static void tell_offers(const offer *offers, size_t count, int dims, char *out, size_t size) {
    size_t length = 0, told = 0, left = 0;
    out[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (offers[i].dims < dims) continue;
        if (told == NAMES_TOLD || length + 100 > size) {
            left++;
            continue;
        }
        char shape[64] = "unreadable";
        if (offers[i].dims == 0) snprintf(shape, sizeof shape, "a number");
        if (offers[i].dims == 1) snprintf(shape, sizeof shape, "%" PRIu64, offers[i].rows);
        if (offers[i].dims == 2)
            snprintf(shape, sizeof shape, "%" PRIu64 " × %" PRIu64, offers[i].rows, offers[i].cols);
        if (offers[i].dims > 2) snprintf(shape, sizeof shape, "%d dimensions", offers[i].dims);
        length +=
            (size_t)snprintf(out + length, size - length, "%s`%.40s` (%s)", told++ ? ", " : "", offers[i].name, shape);
    }
    if (left && length < size) snprintf(out + length, size - length, " and %zu more", left);
}

static bool fits(const offer *o, int dims) { return o->dims >= dims && o->dims <= 2; }

static bool choose_named(const offer *offers, size_t count, const char *file, const array_request *r, size_t *chosen,
                         error *err) {
    const char **names = calloc(count + 1, sizeof *names);
    char told[600];
    if (!names) return error_memory(err, (count + 1) * sizeof *names, "tensor names");
    for (size_t i = 0; i < count; i++) names[i] = offers[i].name;
    const char *near = error_nearest(r->tensor, names);
    free(names);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(offers[i].name, r->tensor) != 0) continue;
        *chosen = i;
        if (offers[i].dims < 0 || fits(&offers[i], r->dims)) return true; /* unreadable ones explain themselves */
        return error_set(err, ERROR_USAGE, "%s: tensor `%.60s` has %d dimensions; a matrix (n × d) is expected", file,
                         r->tensor, offers[i].dims);
    }
    tell_offers(offers, count, -1, told, sizeof told);
    if (near) return error_set(err, ERROR_USAGE, "%s: no tensor `%.60s`; did you mean `%s`?", file, r->tensor, near);
    return error_set(err, ERROR_USAGE, "%s: no tensor `%.60s`; it holds %s", file, r->tensor, count ? told : "none");
}

static bool choose(const offer *offers, size_t count, const char *file, const array_request *r, size_t *chosen,
                   error *err) {
    if (r->tensor) return choose_named(offers, count, file, r, chosen, err);
    size_t found = 0;
    char told[600];
    for (size_t i = 0; i < count; i++) {
        if (!fits(&offers[i], r->dims)) continue;
        if (found++ == 0) *chosen = i;
        if (r->usual && strcmp(offers[i].name, r->usual) == 0) {
            *chosen = i;
            return true;
        }
    }
    if (found == 1) return true;
    const char *wanted = r->dims == 2 ? "matrix (n × d)" : "vector or matrix";
    tell_offers(offers, count, found ? r->dims : -1, told, sizeof told);
    if (found == 0) return error_set(err, ERROR_RUN, "%s: holds no %s%s%s", file, wanted, count ? ", only " : "", told);
    return error_set(err, ERROR_USAGE, "%s: holds %zu arrays: %s; %s%s", file, found, told,
                     r->option ? r->option : "give the one that is meant in a file of its own",
                     r->option ? " NAME says which is meant" : "");
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool set_name(array_file *a, const char *file, const char *tensor, error *err) {
    if (asprintf(&a->name, "%s%s%s", file, tensor ? ": " : "", tensor ? tensor : "") >= 0) return true;
    a->name = NULL;
    return error_memory(err, strlen(file), "a file's name");
}

static void take_npy(array_file *a) {
    npy_dtype type = a->array.dtype;
    a->is_npy = true;
    a->dims = a->array.dims, a->rows = a->array.rows, a->cols = a->array.cols;
    a->wide = type == NPY_F64;
    a->integers = !a->wide && type != NPY_F32 && type != NPY_F16;
    bool plain = type == NPY_F32 && !a->array.fortran && !a->array.swapped;
    if (plain && (uintptr_t)a->array.data % sizeof(float) == 0) a->floats = (const void *)a->array.data;
}

static bool open_npy(array_file *a, const char *file, const array_request *r, error *err) {
    if (r->tensor)
        return error_set(err, ERROR_USAGE, "%s: an .npy file holds one array, without a name; leave `%s %.60s` out",
                         file, r->option ? r->option : "--tensor", r->tensor);
    if (!npy_parse(&a->array, a->map.data, a->map.size, file, err) || !set_name(a, file, NULL, err)) return false;
    take_npy(a);
    return true;
}

static bool open_npz(array_file *a, const char *file, const array_request *r, error *err) {
    npz z;
    size_t chosen = 0;
    if (!npz_open(&z, a->map.data, a->map.size, file, err)) return false;
    offer *offers = calloc(z.count + 1, sizeof *offers);
    bool ok = offers || error_memory(err, (z.count + 1) * sizeof *offers, "tensor names");
    for (size_t i = 0; ok && i < z.count; i++) {
        const npz_member *m = &z.members[i];
        offers[i] = (offer){m->name, m->bytes ? m->shape.dims : -1, m->shape.rows, m->shape.cols};
    }
    ok = ok && choose(offers, z.count, file, r, &chosen, err) && set_name(a, file, z.members[chosen].name, err) &&
         npz_read(&z, chosen, a->name, array_memory() / 2, &a->array, &a->unpacked, err);
    if (ok) take_npy(a);
    free(offers);
    npz_close(&z);
    return ok;
}

static bool open_safetensors(array_file *a, const char *file, const array_request *r, error *err) {
    size_t chosen = 0, count;
    if (!(a->tensors = safetensors_parse(a->map.data, a->map.size, file, err))) return false;
    count = safetensors_count(a->tensors);
    offer *offers = calloc(count + 1, sizeof *offers);
    if (!offers) return error_memory(err, (count + 1) * sizeof *offers, "tensor names");
    for (size_t i = 0; i < count; i++) {
        const safetensors_entry *e = safetensors_at(a->tensors, i);
        offers[i] = (offer){e->name, e->dims, e->shape[0], e->dims == 2 ? e->shape[1] : 1};
    }
    bool ok = choose(offers, count, file, r, &chosen, err) && set_name(a, file, offers[chosen].name, err);
    if (ok) {
        a->entry = safetensors_at(a->tensors, chosen);
        safetensors_dtype type = a->entry->dtype;
        a->dims = offers[chosen].dims, a->rows = offers[chosen].rows, a->cols = offers[chosen].cols;
        a->wide = type == ST_F64;
        a->integers = !a->wide && type != ST_F32 && type != ST_F16 && type != ST_BF16;
        if (type == ST_F32 && (uintptr_t)a->entry->data % sizeof(float) == 0) a->floats = a->entry->data;
    }
    free(offers);
    return ok;
}

static bool open_mapped(array_file *a, const char *file, const array_request *r, error *err) {
    file_kind kind = kind_of_bytes(a->map.data, a->map.size);
    if (a->map.size == 0) return error_set(err, ERROR_RUN, "%s: is empty", file);
    switch (kind != KIND_UNKNOWN ? kind : kind_of_name(file)) {
    case KIND_NPY: return open_npy(a, file, r, err);
    case KIND_NPZ: return open_npz(a, file, r, err);
    case KIND_SAFETENSORS: return open_safetensors(a, file, r, err);
    case KIND_UNKNOWN: break;
    }
    return error_set(err, ERROR_RUN, "%s: is neither .npy, .npz nor .safetensors", file);
}

bool array_open(array_file *a, const char *path, const array_request *request, error *err) {
    *a = (array_file){0};
    bool piped = strcmp(path, "-") == 0;
    if ((piped ? spool_input(&a->map, err) : file_map_open(&a->map, path, err)) &&
        open_mapped(a, piped ? "standard input" : path, request, err))
        return true;
    array_close(a);
    return false;
}

void array_close(array_file *a) {
    safetensors_close(a->tensors);
    free(a->unpacked);
    free(a->name);
    file_map_close(&a->map);
    *a = (array_file){0};
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

void array_read_double(const array_file *a, uint64_t first, uint64_t count, double *out) {
    if (a->is_npy)
        npy_read_double(&a->array, first, count, out);
    else
        safetensors_entry_double(a->entry, first * a->cols, count * a->cols, out);
}

void array_read_float(const array_file *a, uint64_t first, uint64_t count, float *out) {
    if (a->floats) {
        memcpy(out, a->floats + first * a->cols, count * a->cols * sizeof *out);
    } else if (a->is_npy) {
        npy_read_float(&a->array, first, count, out);
    } else {
        for (uint64_t i = first * a->cols; i < (first + count) * a->cols; i++) {
            double x;
            safetensors_entry_double(a->entry, i, 1, &x);
            *out++ = (float)x;
        }
    }
}

void array_forget(const array_file *a, uint64_t first, uint64_t count) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)a->map.data, end = start + a->map.size;
    if (!a->map.data || a->unpacked) return;
    bool by_rows = a->is_npy ? !a->array.fortran : true; /* a block of columns' rows lies all over the file */
    if (by_rows) {
        uintptr_t data = (uintptr_t)(a->is_npy ? a->array.data : a->entry->data);
        uint64_t width = (a->is_npy ? npy_dtype_size(a->array.dtype) : a->entry->bytes / a->entry->count) * a->cols;
        start = data + first * width, end = start + count * width;
    }
    start -= start % page;
    madvise((void *)start, end - start, MADV_DONTNEED); /* a hint: what it cannot do costs memory only */
}

bool array_read_int(const array_file *a, uint64_t first, uint64_t count, int64_t *out, error *err) {
    if (!a->integers) return error_set(err, ERROR_RUN, "%s: holds floats; integers are expected", a->name);
    if (a->is_npy) return npy_read_int(&a->array, first, count, out, err) || error_prefix(err, "%s", a->name);
    for (uint64_t i = first * a->cols; i < (first + count) * a->cols; i++) {
        double x;
        safetensors_entry_double(a->entry, i, 1, &x);
        if (x > 0x1p53 || x < -0x1p53)
            return error_set(err, ERROR_RUN, "%s: row %" PRIu64 " holds %.0f, which is too large", a->name, i / a->cols,
                             x);
        *out++ = (int64_t)x;
    }
    return true;
}
