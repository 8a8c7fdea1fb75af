#include "analysis/diagnose/labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = 1024 };

/* A row's label before classes are numbered: a whole number, or a string. */
typedef struct raw {
    int64_t value;
    char *text;
    bool none;
    size_t row; /* among those asked for */
} raw;

static int by_label(const void *a, const void *b) {
    const raw *x = a, *y = b;
    if (x->none || y->none) return y->none - x->none;
    if (x->text) return strcmp(x->text, y->text);
    return (x->value > y->value) - (x->value < y->value);
}

/* ---- one row ----------------------------------------------------------------------------------------------------- */

static bool whole_number(const array_file *a, uint64_t row, double x, raw *r, error *err) {
    r->none = isnan(x);
    if (r->none) return true;
    if (x != floor(x) || fabs(x) > 0x1p53)
        return error_set(err, ERROR_RUN, "%s: row %" PRIu64 " holds %g; labels are whole numbers or strings", a->name,
                         row, x);
    r->value = (int64_t)x;
    return true;
}

/* The column with the row's only 1. */
static bool hot_column(const array_file *a, uint64_t row, const double *values, raw *r, error *err) {
    size_t ones = 0, zeros = 0;
    for (uint64_t j = 0; j < a->cols; j++) {
        ones += values[j] == 1, zeros += values[j] == 0;
        if (values[j] == 1) r->value = (int64_t)j;
    }
    r->none = ones == 0 && zeros == a->cols;
    if (r->none || (ones == 1 && zeros == a->cols - 1)) return true;
    return error_set(err, ERROR_RUN,
                     "%s: is %" PRIu64 " × %" PRIu64 " and row %" PRIu64
                     " is not one-hot; labels are one a row, or a column a class with a single 1 a row",
                     a->name, a->rows, a->cols, row);
}

static bool read_label(const array_file *a, uint64_t row, double *work, raw *r, error *err) {
    if (a->text) {
        char text[LETTERS];
        array_read_text(a, row, text, sizeof text);
        r->none = !*text;
        return (r->text = strdup(text)) || error_memory(err, strlen(text), "labels");
    }
    if (a->cols == 1 && a->integers) return array_read_int(a, row, 1, &r->value, err);
    array_read_double(a, row, 1, work);
    return a->cols == 1 ? whole_number(a, row, *work, r, err) : hot_column(a, row, work, r, err);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

/* −1 is no label where the others are 0 and up; {−1, 1} are two classes. `sorted` holds the labels in order. */
static bool minus_one_is_none(const array_file *a, const raw *sorted, size_t count) {
    size_t i = 0;
    if (a->text || a->cols > 1) return false;
    while (i < count && sorted[i].none) i++;
    if (i == count || sorted[i].value != -1) return false;
    while (i < count && sorted[i].value == -1) i++;
    return i < count && !(sorted[i].value == 1 && sorted[count - 1].value == 1);
}

static void number(label_set *out, raw *sorted, size_t count, bool minus_one) {
    const raw *last = NULL;
    for (size_t i = 0; i < count; i++) {
        raw *r = &sorted[i];
        if (r->none || (minus_one && r->value == -1)) {
            out->labels[r->row] = -1;
            out->unlabelled++;
            continue;
        }
        if (!last || by_label(last, r) != 0) out->classes++;
        out->labels[r->row] = out->classes - 1;
        last = r;
    }
}

bool labels_read(label_set *out, const array_file *a, const uint64_t *rows, size_t count, uint64_t repeat,
                 const int64_t *none, error *err) {
    raw *all = calloc(count + 1, sizeof *all);
    double *work = malloc(a->cols * sizeof *work);
    *out = (label_set){.labels = malloc((count + 1) * sizeof *out->labels)};
    bool ok = (all && work && out->labels) || error_memory(err, count * sizeof *all, "labels");
    for (size_t i = 0; ok && i < count; i++) {
        all[i].row = i;
        ok = read_label(a, rows[i] / repeat, work, &all[i], err);
        if (ok && none && !a->text && all[i].value == *none) all[i].none = true;
    }
    if (ok) {
        qsort(all, count, sizeof *all, by_label);
        number(out, all, count, minus_one_is_none(a, all, count));
        if (out->classes == 0) ok = error_set(err, ERROR_RUN, "%s: none of the rows has a label", a->name);
    }
    for (size_t i = 0; all && i < count; i++) free(all[i].text);
    free(all);
    free(work);
    if (!ok) {
        free(out->labels);
        *out = (label_set){0};
    }
    return ok;
}
