/*
 * Heat maps of a small, a middle and a large setting: correlations between embedding dimensions, and cosines between
 * samples sorted by class and by code. A picture of at most 88 × 88 cells shows every k-th dimension or sample with
 * its true value; averaging cells would wash out exactly the off-diagonal that the reader looks for.
 */
#include "analysis/report/figures.h"
#include "analysis/matrix.h"
#include "analysis/files/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAT_SIDE = 88, HEAT_SETTINGS = 3, HEAT_ROWS = 20000, HEAT_PANEL = 134 };

/* What is read of one run. Rows are taken evenly from all of them when there are more than HEAT_ROWS. */
typedef struct sample {
    float *embeddings;       /* (n, d) */
    int32_t *labels, *codes; /* (n), or NULL */
    size_t n, d;
} sample;

static void sample_free(sample *s) {
    free(s->embeddings);
    free(s->labels);
    free(s->codes);
    *s = (sample){0};
}

static uint64_t row_of(size_t i, size_t taken, uint64_t total) {
    return (uint64_t)((double)i * (double)total / (double)taken);
}

static bool read_groups(const char *path, uint64_t rows, size_t taken, int32_t **out, error *err) {
    npy array;
    bool ok = false;
    if (access(path, F_OK) != 0) return true;
    if (!npy_open(&array, path, err)) return false;
    if (array.rows != rows || array.cols != 1) {
        error_set(err, ERROR_RUN, "%s: holds %llu × %llu numbers; one for each of %llu embeddings is expected", path,
                  (unsigned long long)array.rows, (unsigned long long)array.cols, (unsigned long long)rows);
        goto done;
    }
    *out = malloc(taken * sizeof **out);
    if (!*out) {
        error_memory(err, taken * sizeof **out, path);
        goto done;
    }
    for (size_t i = 0; i < taken; i++) {
        int64_t value;
        if (!npy_read_int(&array, row_of(i, taken, rows), 1, &value, err)) {
            error_prefix(err, "%s", path);
            goto done;
        }
        (*out)[i] = (int32_t)value;
    }
    ok = true;
done:
    npy_close(&array);
    return ok;
}

static bool read_sample(const record *r, sample *s, error *err) {
    char path[4096];
    npy array;
    bool ok = false;
    *s = (sample){0};
    snprintf(path, sizeof path, "%s/embeddings.npy", r->folder);
    if (access(path, F_OK) != 0) return true;
    if (!npy_open(&array, path, err)) return false;
    if (array.rows < 2 || array.cols < 2) {
        npy_close(&array);
        return true;
    }
    s->n = array.rows < HEAT_ROWS ? (size_t)array.rows : HEAT_ROWS;
    s->d = (size_t)array.cols;
    s->embeddings = malloc(s->n * s->d * sizeof *s->embeddings);
    if (!s->embeddings) {
        error_memory(err, s->n * s->d * sizeof *s->embeddings, path);
        goto done;
    }
    for (size_t i = 0; i < s->n; i++) npy_read_float(&array, row_of(i, s->n, array.rows), 1, s->embeddings + i * s->d);
    snprintf(path, sizeof path, "%s/labels.npy", r->folder);
    if (!read_groups(path, array.rows, s->n, &s->labels, err)) goto done;
    snprintf(path, sizeof path, "%s/assignments.npy", r->folder);
    ok = read_groups(path, array.rows, s->n, &s->codes, err);
done:
    npy_close(&array);
    if (!ok) sample_free(s);
    return ok;
}

static plot_panel *add_heat(plot *p, const char *title, size_t side, double low) {
    plot_panel *panel = plot_add_panel(p, title, "", "");
    double *cells = malloc(side * side * sizeof *cells);
    if (!panel || !cells) {
        free(cells);
        return NULL;
    }
    panel->cells = cells, panel->side = side;
    panel->cell_low = low, panel->cell_high = 1;
    return panel;
}

/* |correlation| between every k-th dimension. */
static bool correlation_panel(const sample *s, const char *setting, plot *p, error *err) {
    size_t side = s->d < HEAT_SIDE ? s->d : HEAT_SIDE;
    char title[200];
    float *thin = malloc(s->n * side * sizeof *thin);
    double *square = malloc(side * side * sizeof *square);
    bool ok = false;
    if (!thin || !square) {
        error_memory(err, s->n * side * sizeof *thin, "a heat map");
        goto done;
    }
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < side; j++) thin[i * side + j] = s->embeddings[i * s->d + j * s->d / side];
    if (!matrix_covariance((matrix){thin, s->n, side}, square, err)) goto done;
    double off = matrix_correlation(square, side);
    snprintf(title, sizeof title, "%.150s: %.2f", setting, off);
    plot_panel *panel = add_heat(p, title, side, 0);
    if (!panel) {
        error_memory(err, side * side * sizeof *square, "a heat map");
        goto done;
    }
    for (size_t i = 0; i < side * side; i++) panel->cells[i] = fabs(square[i]);
    ok = true;
done:
    free(thin);
    free(square);
    return ok;
}

/* Codes renumbered so that the most used comes first: blocks then shrink along the diagonal. */
static bool rank_codes(const int32_t *codes, size_t n, int32_t *ranks, error *err) {
    uint32_t *order = malloc(n * sizeof *order);
    if (!order || !matrix_order(codes, n, order, err)) {
        free(order);
        return error_memory(err, n * sizeof *order, "a heat map");
    }
    for (size_t i = 0, start = 0; i < n; i++) {
        if (i + 1 < n && codes[order[i + 1]] == codes[order[i]]) continue;
        int32_t size = (int32_t)(i + 1 - start);
        for (; start <= i; start++) ranks[order[start]] = -size;
    }
    /* equal sizes must not mix: sort by (size, code) by sorting the stable order of codes once more, by size */
    int32_t *sizes = malloc(n * sizeof *sizes);
    uint32_t *second = malloc(n * sizeof *second);
    bool ok = sizes && second;
    if (ok) {
        for (size_t i = 0; i < n; i++) sizes[i] = ranks[order[i]];
        ok = matrix_order(sizes, n, second, err);
        for (size_t i = 0; ok && i < n; i++) ranks[order[second[i]]] = (int32_t)i;
    }
    free(order);
    free(sizes);
    free(second);
    return ok || error_memory(err, n * sizeof *order, "a heat map");
}

/* Cosines between samples, every k-th in the order of `keys`. */
static bool adjacency_panel(const sample *s, const int32_t *keys, const char *title, plot *p, error *err) {
    size_t side = s->n < HEAT_SIDE ? s->n : HEAT_SIDE, shown = side;
    uint32_t *order = malloc(s->n * sizeof *order);
    float *thin = malloc(side * s->d * sizeof *thin);
    plot_panel *panel = add_heat(p, title, side, -1);
    bool ok = false;
    if (!order || !thin || !panel) {
        error_memory(err, side * s->d * sizeof *thin, "a heat map");
        goto done;
    }
    if (!matrix_order(keys, s->n, order, err)) goto done;
    for (size_t i = 0; i < side; i++)
        memcpy(thin + i * s->d, s->embeddings + (size_t)order[i * s->n / side] * s->d, s->d * sizeof *thin);
    ok = matrix_adjacency((matrix){thin, side, s->d}, NULL, side, MATRIX_MEAN, panel->cells, &shown, err);
done:
    free(order);
    free(thin);
    return ok;
}

typedef enum heat_kind { HEAT_CORRELATION, HEAT_BY_CLASS, HEAT_BY_CODE } heat_kind;

static bool by_code_panel(const sample *s, const char *setting, plot *p, error *err) {
    int32_t *ranks = malloc(s->n * sizeof *ranks);
    bool ok = ranks ? rank_codes(s->codes, s->n, ranks, err) && adjacency_panel(s, ranks, setting, p, err)
                    : error_memory(err, s->n * sizeof *ranks, "a heat map");
    free(ranks);
    return ok;
}

/* A small, a middle and a large setting of one series. */
/* `odd`: why arrays of a run cannot be read, which leaves the others their picture. */
static bool heat_group(figure_subject subject, heat_kind kind, plot *p, error *odd, error *err) {
    size_t chosen[FIGURE_MOST_LINES], many = figure_choose(subject.series, HEAT_SETTINGS, chosen);
    char name[300];
    if (!plot_begin_group(p, figure_name_series(subject, name, sizeof name))) return error_memory(err, 1, "a figure");
    bool ok = true;
    for (size_t k = 0; k < many && ok; k++) {
        const study_point *point = &subject.series->points[chosen[k]];
        char setting[160];
        sample s;
        error why = {0};
        if (!read_sample(point->records[0], &s, &why)) {
            if (error_is_shortage(&why)) return error_set(err, why.code, "%s", why.text);
            if (!odd->code) *odd = why;
            continue;
        }
        study_setting(subject.block, point, setting, sizeof setting);
        if (s.embeddings && kind == HEAT_CORRELATION)
            ok = correlation_panel(&s, setting, p, err);
        else if (s.embeddings && kind == HEAT_BY_CLASS && s.labels)
            ok = adjacency_panel(&s, s.labels, setting, p, err);
        else if (s.embeddings && kind == HEAT_BY_CODE && s.codes)
            ok = by_code_panel(&s, setting, p, err);
        sample_free(&s);
    }
    return ok;
}

static bool heat_figure(const figure_scope *at, heat_kind kind, plot *p, figure *f, error *err) {
    f->heat = f->folded = true;
    p->columns = 9, p->width = HEAT_PANEL, p->height = HEAT_PANEL + 14;
    error odd = {0};
    for (size_t i = 0; i < at->count; i++)
        if (!heat_group(at->series[i], kind, p, &odd, err)) return false;
    size_t used = strlen(f->caption);
    if (odd.code) snprintf(f->caption + used, sizeof f->caption - used, " Left out: %.300s.", odd.text);
    if (odd.code && kind == HEAT_CORRELATION) snprintf(f->left_out, sizeof f->left_out, "%.399s", odd.text);
    return true;
}

bool figure_correlations(const figure_scope *at, plot *p, figure *f, error *err) {
    snprintf(f->name, sizeof f->name, "correlation");
    snprintf(f->title, sizeof f->title, "Which dimensions say the same");
    snprintf(
        f->caption, sizeof f->caption,
        "Absolute correlation between embedding dimensions, and its mean off the diagonal: the diagonal alone stands "
        "out when they are decorrelated. At most %d dimensions, evenly taken, of the first seed.",
        HEAT_SIDE);
    return heat_figure(at, HEAT_CORRELATION, p, f, err);
}

bool figure_by_class(const figure_scope *at, plot *p, figure *f, error *err) {
    snprintf(f->name, sizeof f->name, "adjacency-classes");
    snprintf(f->title, sizeof f->title, "Which samples are near each other, sorted by class");
    snprintf(
        f->caption, sizeof f->caption,
        "Cosine between test samples. Blocks on the diagonal are clusters; strong colour all over is a collapse to "
        "one point or to few directions. At most %d samples, evenly taken, of the first seed.",
        HEAT_SIDE);
    return heat_figure(at, HEAT_BY_CLASS, p, f, err);
}

bool figure_by_code(const figure_scope *at, plot *p, figure *f, error *err) {
    snprintf(f->name, sizeof f->name, "adjacency-codes");
    snprintf(f->title, sizeof f->title, "The same, sorted by code");
    snprintf(f->caption, sizeof f->caption,
             "The same cosines with samples in order of the code that they are assigned to, the largest first.");
    return heat_figure(at, HEAT_BY_CODE, p, f, err);
}
