/*
 * An array_file is one array, or the same one of several files that continue each other. Opening gets each file's
 * offers (array_box), chooses one (array_choose), loads it, and looks at a few of its elements for the mistakes that
 * shapes do not show; reading is a walk over rows in steps of bytes, with short ways for plain float32 and float64.
 */
#include "analysis/files/array_choose.h"

#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKED_AT = 4096 };

struct array_part {
    array_box *box;
    strided array;
    array_layout layout;
    void *memory;   /* the array's, where it is not the file's own */
    uint64_t first; /* number of its first row among all */
    uint64_t rows;  /* as handed out */
};

/* ---- a look at the elements -------------------------------------------------------------------------------------- */

/* As bfloat16, is this a size that embeddings have? As an integer it would be one of 10,240 of the 65,536. */
static bool is_bfloat_size(uint16_t bits) {
    int exponent = bits >> 7 & 255;
    return exponent >= 127 - 20 && exponent < 127 + 20;
}

/* Integers of 16 bits that are bfloat16 in disguise (frameworks hand them to NumPy as such), and unsigned ones about a
 * zero point. */
static bool look_at_integers(const array_part *p, const array_request *r, const char *name, error *err) {
    const strided *a = &p->array;
    const array_layout *l = &p->layout;
    uint64_t count = l->rows * l->cols, step = count / LOOKED_AT + 1, looked = 0, zeros = 0, sizes = 0;
    double sum = 0, squares = 0;
    bool sixteen = a->type == ELEMENT_U16 || a->type == ELEMENT_I16;
    bool is_unsigned = a->type == ELEMENT_U8 || a->type == ELEMENT_U16 || a->type == ELEMENT_U4;
    if (r->dims != 2 || r->type || (!sixteen && !is_unsigned)) return true;
    for (uint64_t i = 0; i < count; i += step, looked++) {
        const uint8_t *at = a->data + i / l->cols * l->row_step + i % l->cols * l->col_step;
        double x = strided_double(a, at);
        sum += x, squares += x * x;
        zeros += x == 0;
        sizes += sixteen && is_bfloat_size((uint16_t)(int)x);
    }
    if (sixteen && looked > zeros && (double)sizes >= 0.99 * (double)(looked - zeros))
        return error_set(err, ERROR_USAGE,
                         "%s: its 16-bit integers look like bfloat16 under another name; `--dtype bfloat16` reads them "
                         "so, `--dtype %s` as the integers that they claim to be",
                         name, element_name(a->type));
    double mean = sum / (double)looked, sd = sqrt(fmax(0, squares / (double)looked - mean * mean));
    if (is_unsigned && mean > sd)
        array_box_note(p->box,
                       "%s holds unsigned integers about %.4g; if they are quantised, subtract their zero point first: "
                       "a common offset draws all rows towards one direction",
                       name, mean);
    return true;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool take_type(array_part *p, const array_request *r, const char *name, error *err) {
    element_type type;
    if (!r->type) {
        if (p->array.type != ELEMENT_OPAQUE) return true;
        return error_set(err, ERROR_USAGE,
                         "%s: holds elements of %zu bytes of a type that the file does not name; `--dtype TYPE` does "
                         "(bfloat16, float8_e4m3fn, float8_e5m2, int4, …)",
                         name, p->array.width);
    }
    if (!element_named(r->type, &type))
        return error_set(err, ERROR_USAGE,
                         "--dtype: `%.40s` is no type; types are named as NumPy and ml_dtypes do "
                         "(float32, bfloat16, float8_e4m3fn, int4, …)",
                         r->type);
    if (element_size(type) != p->array.width)
        return error_set(err, ERROR_USAGE, "%s: holds elements of %zu bytes; %s has %zu", name, p->array.width, r->type,
                         element_size(type));
    p->array.type = type;
    return true;
}

/* Whether what was chosen is a matrix, or a vector where that will do. */
static bool check_layout(const array_part *p, const array_request *r, const char *name, error *err) {
    const array_layout *l = &p->layout;
    char shape[200];
    strided_tell_shape(p->array.dims, p->array.shape, shape, sizeof shape);
    if (p->array.dims == 0)
        return error_set(err, ERROR_RUN, "%s: holds a single number; a vector or a matrix is expected", name);
    if (l->dims == 1 && r->dims == 2 && !element_is_text(p->array.type))
        return error_set(err, r->tensor ? ERROR_USAGE : ERROR_RUN,
                         "%s: is a vector of %" PRIu64 "; embeddings are a matrix (n × d)", name, l->rows);
    if (element_is_text(p->array.type) && (r->dims == 2 || l->dims > 1))
        return error_set(err, ERROR_RUN, "%s: holds strings (%s)%s", name, shape,
                         r->dims == 2 ? "; embeddings are numbers, and strings would do as labels"
                                      : "; one a row is expected");
    if (l->dims > 3 || (l->dims == 3 && r->dims == 1))
        return error_set(err, ERROR_RUN, "%s: has the shape %s; a matrix (n × d)%s is expected", name, shape,
                         r->dims == 1 ? " or a vector" : " or tokens (n × t × d)");
    if (l->dims == 3 && !r->tokens)
        return error_set(err, ERROR_USAGE,
                         "%s: has the shape %s; where that is n × t × d, `--tokens cls`, `mean` or `all` says which of "
                         "each row's %" PRIu64 " tokens count",
                         name, shape, p->array.shape[p->array.dims - 2]);
    return true;
}

static bool load_part(array_part *p, const array_request *r, const char *name, size_t which, error *err) {
    const array_offer *o = &p->box->offers[which];
    bool named_type = r->type && o->array.type == ELEMENT_OPAQUE;
    if (o->problem && !named_type) return error_set(err, ERROR_RUN, "%s: %s", name, o->problem);
    p->array = o->array;
    p->layout = array_layout_of(&o->array, r);
    if (!check_layout(p, r, name, err)) return false;
    if (!array_box_load(p->box, which, &p->array, &p->memory, err)) return false;
    p->layout = array_layout_of(&p->array, r);
    return (element_is_text(p->array.type) || take_type(p, r, name, err)) && look_at_integers(p, r, name, err);
}

/* Chooses in each box, the same in all: parts continue each other. */
static bool load_parts(array_file *a, const char *file, const array_request *r, error *err) {
    for (size_t i = 0; i < a->count; i++) {
        array_part *p = &a->parts[i], *first = &a->parts[0];
        size_t which = 0;
        char *name = NULL;
        if (!array_choose(p->box, r, &which, err)) return false;
        const char *tensor = p->box->offers[which].name;
        if (asprintf(&name, "%s%s%s", p->box->name, tensor ? ": " : "", tensor ? tensor : "") < 0)
            return error_memory(err, strlen(file), "a file's name");
        bool ok = load_part(p, r, name, which, err);
        if (ok && (p->layout.dims != first->layout.dims || p->layout.cols != first->layout.cols ||
                   p->layout.tokens != first->layout.tokens ||
                   element_is_text(p->array.type) != element_is_text(first->array.type)))
            ok = error_set(err, ERROR_RUN, "%s: has %" PRIu64 " columns, where %s, which it continues, has %" PRIu64,
                           name, p->layout.cols, first->box->name, first->layout.cols);
        if (i == 0 && asprintf(&a->name, "%s%s%s", file, tensor ? ": " : "", tensor ? tensor : "") < 0) {
            a->name = NULL;
            ok = error_memory(err, strlen(file), "a file's name");
        }
        free(name);
        if (!ok) return false;
        p->rows = p->layout.rows * (r->tokens == TOKENS_ALL ? p->layout.tokens : 1);
        p->first = a->rows;
        a->rows += p->rows;
        if (!a->note) a->note = p->box->note;
        p->box->note = NULL;
    }
    return true;
}

static void describe(array_file *a, const array_request *r) {
    const array_part *p = &a->parts[0];
    element_type type = p->array.type;
    a->how = p->layout.dims == 3 ? r->tokens : TOKENS_NONE;
    a->dims = p->layout.dims == 3 ? 2 : p->layout.dims;
    a->cols = p->layout.cols;
    a->tokens = a->how == TOKENS_ALL ? p->layout.tokens : 1;
    a->text = element_is_text(type);
    a->integers = element_is_integer(type);
    a->wide = type == ELEMENT_F64;
    strided plain = p->array;
    bool whole = a->count == 1 && a->how != TOKENS_MEAN && a->how != TOKENS_CLS && strided_is_plain(&plain);
    if (whole && type == ELEMENT_F32 && (uintptr_t)plain.data % sizeof(float) == 0)
        a->floats = (const void *)plain.data;
}

static bool finish(array_file *a, const char *file, const array_request *r, bool opened, error *err) {
    if (opened && load_parts(a, file, r, err)) {
        describe(a, r);
        return true;
    }
    array_close(a);
    return false;
}

/* ---- patterns ---------------------------------------------------------------------------------------------------- */

/* part-2 before part-10: runs of digits compare as numbers. */
static int natural(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    while (*x && *y) {
        size_t i = strspn(x, "0123456789"), j = strspn(y, "0123456789");
        if (i && j) {
            while (i > 1 && *x == '0') x++, i--;
            while (j > 1 && *y == '0') y++, j--;
            int order = i != j ? (i > j) - (i < j) : strncmp(x, y, i);
            if (order) return order;
            x += i, y += j;
        } else if (*x != *y) {
            return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
        } else {
            x++, y++;
        }
    }
    return (*x != 0) - (*y != 0);
}

static bool open_paths(array_file *a, char *const *paths, size_t count, const char *apart, error *err) {
    a->parts = calloc(count, sizeof *a->parts);
    if (!a->parts) return error_memory(err, count * sizeof *a->parts, "a list of files");
    for (; a->count < count; a->count++)
        if (!(a->parts[a->count].box = array_box_open(paths[a->count], apart, err))) return false;
    return true;
}

static bool is_pattern(const char *path) { return strpbrk(path, "*?[") && access(path, F_OK) != 0; }

static bool open_pattern(array_file *a, const char *pattern, const char *apart, error *err) {
    glob_t found = {0};
    int status = glob(pattern, 0, NULL, &found);
    bool ok = status == 0 || (status == GLOB_NOMATCH ? error_set(err, ERROR_USAGE, "no file matches %s", pattern)
                                                     : error_memory(err, 1 << 10, "a list of files"));
    if (ok) {
        qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, natural);
        ok = open_paths(a, found.gl_pathv, found.gl_pathc, apart, err);
    }
    globfree(&found);
    return ok;
}

bool array_open(array_file *a, const char *path, const array_request *request, error *err) {
    char *one = (char *)path;
    *a = (array_file){0};
    bool ok =
        is_pattern(path) ? open_pattern(a, path, request->apart, err) : open_paths(a, &one, 1, request->apart, err);
    return finish(a, strcmp(path, "-") == 0 ? "standard input" : path, request, ok, err);
}

bool array_open_memory(array_file *a, const char *name, const strided *array, const array_request *request,
                       error *err) {
    *a = (array_file){.parts = calloc(1, sizeof *a->parts)};
    if (!a->parts) return error_memory(err, sizeof *a->parts, "a list of files");
    if ((a->parts[0].box = array_box_of_memory(name, array, err))) a->count = 1;
    return finish(a, name, request, a->count == 1, err);
}

bool array_open_beside(array_file *a, const array_file *first, const array_request *request, error *err) {
    *a = (array_file){.parts = calloc(first->count, sizeof *a->parts)};
    if (!a->parts) return error_memory(err, first->count * sizeof *a->parts, "a list of files");
    for (; a->count < first->count; a->count++) {
        a->parts[a->count].box = first->parts[a->count].box;
        a->parts[a->count].box->users++;
    }
    return finish(a, first->parts[0].box->name, request, true, err);
}

void array_close(array_file *a) {
    for (size_t i = 0; i < a->count; i++) {
        free(a->parts[i].memory);
        array_box_leave(a->parts[i].box);
    }
    free(a->parts);
    free(a->note);
    free(a->name);
    *a = (array_file){0};
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const array_part *part_of(const array_file *a, uint64_t row) {
    size_t i = 0;
    while (row >= a->parts[i].first + a->parts[i].rows) i++;
    return &a->parts[i];
}

/* Where a row as handed out begins. */
static const uint8_t *row_at(const array_file *a, const array_part *p, uint64_t row) {
    const array_layout *l = &p->layout;
    row -= p->first;
    if (a->how != TOKENS_ALL) return p->array.data + row * l->row_step;
    return p->array.data + row / l->tokens * l->row_step + row % l->tokens * l->token_step;
}

static void read_row(const array_file *a, uint64_t row, double *out) {
    const array_part *p = part_of(a, row);
    const array_layout *l = &p->layout;
    const uint8_t *at = row_at(a, p, row);
    uint64_t tokens = a->how == TOKENS_MEAN ? l->tokens : 1;
    bool plain = p->array.type == ELEMENT_F64 && l->col_step == sizeof *out && !p->array.swapped && !p->array.negated;
    if (tokens == 1 && plain) {
        memcpy(out, at, l->cols * sizeof *out);
        return;
    }
    for (uint64_t j = 0; j < l->cols; j++) {
        double sum = 0;
        for (uint64_t t = 0; t < tokens; t++)
            sum += strided_double(&p->array, at + j * l->col_step + t * l->token_step);
        out[j] = sum / (double)tokens;
    }
}

void array_read_double(const array_file *a, uint64_t first, uint64_t count, double *out) {
    for (uint64_t i = 0; i < count; i++) read_row(a, first + i, out + i * a->cols);
}

void array_read_float(const array_file *a, uint64_t first, uint64_t count, float *out) {
    if (a->floats) {
        memcpy(out, a->floats + first * a->cols, count * a->cols * sizeof *out);
        return;
    }
    for (uint64_t i = 0; i < count; i++, out += a->cols) {
        const array_part *p = part_of(a, first + i);
        const array_layout *l = &p->layout;
        const uint8_t *at = row_at(a, p, first + i);
        uint64_t tokens = a->how == TOKENS_MEAN ? l->tokens : 1;
        bool plain =
            p->array.type == ELEMENT_F32 && l->col_step == sizeof *out && !p->array.swapped && !p->array.negated;
        if (plain && tokens == 1) {
            memcpy(out, at, l->cols * sizeof *out);
            continue;
        }
        for (uint64_t j = 0; j < l->cols; j++) {
            double sum = 0;
            for (uint64_t t = 0; t < tokens; t++)
                sum += strided_double(&p->array, at + j * l->col_step + t * l->token_step);
            out[j] = (float)(sum / (double)tokens);
        }
    }
}

bool array_read_int(const array_file *a, uint64_t first, uint64_t count, int64_t *out, error *err) {
    if (!a->integers) return error_set(err, ERROR_RUN, "%s: holds floats; integers are expected", a->name);
    for (uint64_t i = first; i < first + count; i++) {
        const array_part *p = part_of(a, i);
        const uint8_t *at = row_at(a, p, i);
        for (uint64_t j = 0; j < a->cols; j++, out++)
            if (!strided_int(&p->array, at + j * p->layout.col_step, out))
                return error_set(err, ERROR_RUN, "%s: row %" PRIu64 " holds %" PRIu64 ", which is too large", a->name,
                                 i, (uint64_t)*out);
    }
    return true;
}

void array_read_text(const array_file *a, uint64_t row, char *out, size_t size) {
    const array_part *p = part_of(a, row);
    strided_text(&p->array, row_at(a, p, row), out, size);
}

void array_forget(const array_file *a, uint64_t first, uint64_t count) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < a->count; i++) {
        const array_part *p = &a->parts[i];
        const array_layout *l = &p->layout;
        uintptr_t map = (uintptr_t)p->box->map.data, end = map + p->box->map.size, start = map;
        uintptr_t data = (uintptr_t)p->array.data;
        if (data < map || data >= end) continue; /* in memory of its own */
        if (first >= p->first + p->rows || first + count <= p->first) continue;
        bool by_rows = l->row_step >= l->cols * l->col_step && l->row_step >= l->tokens * l->token_step;
        if (by_rows && a->how != TOKENS_ALL) { /* else a block of rows lies all over the file */
            uint64_t from = first > p->first ? first - p->first : 0;
            uint64_t to = first + count < p->first + p->rows ? first + count - p->first : p->rows;
            start = data + from * l->row_step;
            if (data + to * l->row_step < end) end = data + to * l->row_step;
        }
        start -= start % page;
        if (start < end) madvise((void *)start, end - start, MADV_DONTNEED); /* a hint: failing costs memory only */
    }
}
