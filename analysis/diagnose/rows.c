#include "analysis/diagnose/rows.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of half a MiB of doubles stay in the cache from being filled to being used. A Gram matrix wants taller ones, of
 * about 8 MiB: large enough for BLAS to run at speed, small beside any matrix worth blocking. */
enum { TILE_DOUBLES = 1 << 16, GRAM_DOUBLES = 1 << 20, TILE_MIN_ROWS = 64, TILE_MAX_ROWS = 4096 };

static size_t height_of(size_t doubles, size_t cols) {
    size_t rows = doubles / (cols ? cols : 1);
    return rows < TILE_MIN_ROWS ? TILE_MIN_ROWS : smaller(rows, TILE_MAX_ROWS);
}

size_t rows_tile_height(size_t cols) { return height_of(TILE_DOUBLES, cols); }

void rows_tile(const row_source *s, size_t first_row, size_t rows, size_t first_col, size_t cols, const double *means,
               double *out, size_t stride) {
    if (!s->floats && !s->doubles) s->read(s->context, first_row, rows, out);
#pragma omp parallel for schedule(static) if (rows * cols > 1 << 16)
    for (size_t i = 0; i < rows; i++) {
        double *y = out + i * stride;
        size_t start = (first_row + i) * s->cols + first_col;
        for (size_t j = 0; s->floats && j < cols; j++) y[j] = (double)s->floats[start + j];
        if (s->doubles) memcpy(y, s->doubles + start, cols * sizeof *y);
        for (size_t j = 0; means && j < cols; j++) y[j] -= means[first_col + j];
    }
}

void rows_block(const row_source *s, size_t first_row, size_t rows, const double *means, double *out) {
    rows_tile(s, first_row, rows, 0, s->cols, means, out, s->cols);
}

static double *new_tile(size_t rows, size_t cols, error *err) {
    double *tile = malloc(rows * cols * sizeof *tile);
    if (!tile) error_memory(err, rows * cols * sizeof *tile, "a tile of the matrix");
    return tile;
}

bool rows_shape_check(const row_source *s, const char *name, error *err) {
    bool some = (s->floats || s->doubles || s->read) && s->rows > 0 && s->cols > 0;
    return some || error_set(err, ERROR_RUN, "%s: a matrix of %zu rows and %zu columns has nothing to analyse", name,
                             s->rows, s->cols);
}

bool rows_check(const row_source *s, const char *name, error *err) {
    size_t d = s->cols, height = rows_tile_height(d);
    if (!rows_shape_check(s, name, err)) return false;
    double *tile = new_tile(height, d, err);
    bool ok = tile != NULL;
    for (size_t start = 0; ok && start < s->rows; start += height) {
        size_t rows = smaller(height, s->rows - start), bad = rows;
        const float *x = s->floats ? s->floats + start * d : NULL;
        if (!x) rows_block(s, start, rows, NULL, tile);
        for (size_t i = 0; i < rows && bad == rows; i++) {
            float single = 0; /* x·0 is NaN for NaN and infinity, and NaN stays */
            double poison = 0;
#pragma omp simd reduction(+ : single)
            for (size_t j = 0; j < (x ? d : 0); j++) single += x[i * d + j] * 0.0f;
#pragma omp simd reduction(+ : poison)
            for (size_t j = 0; j < (x ? 0 : d); j++) poison += tile[i * d + j] * 0.0;
            if (single != 0 || poison != 0) bad = i;
        }
        if (bad == rows) continue;
        size_t col = 0;
        if (x) rows_block(s, start, rows, NULL, tile);
        while (isfinite(tile[bad * d + col])) col++;
        ok = error_set(err, ERROR_RUN, "%s: %s at row %zu, column %zu; every entry has to be finite", name,
                       isnan(tile[bad * d + col]) ? "NaN" : "infinity", start + bad, col);
    }
    free(tile);
    return ok;
}

bool rows_means(const row_source *s, double *means, error *err) {
    enum { SLICE = 128 };
    size_t d = s->cols, height = rows_tile_height(d);
    double *tile = new_tile(height, d, err), *sums = calloc(d, sizeof *sums);
    bool ok = tile && (sums || error_memory(err, d * sizeof *sums, "column sums"));
    for (size_t start = 0; ok && start < s->rows; start += height) {
        size_t rows = smaller(height, s->rows - start);
        const float *x = s->floats ? s->floats + start * d : NULL;
        if (!x) rows_block(s, start, rows, NULL, tile);
#pragma omp parallel for schedule(static) if (rows * d > 1 << 16)
        for (size_t slice = 0; slice < d; slice += SLICE) {
            size_t end = smaller(slice + SLICE, d);
            for (size_t i = 0; x && i < rows; i++)
                for (size_t j = slice; j < end; j++) sums[j] += (double)x[i * d + j];
            for (size_t i = 0; !x && i < rows; i++)
                for (size_t j = slice; j < end; j++) sums[j] += tile[i * d + j];
        }
    }
    for (size_t j = 0; ok && j < d; j++) means[j] = sums[j] / (double)s->rows;
    free(tile);
    free(sums);
    return ok;
}

static void mirror(double *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
}

bool rows_gram(const row_source *s, size_t first, size_t count, const double *means, double *out, error *err) {
    size_t d = s->cols, height = smaller(height_of(GRAM_DOUBLES, d), count ? count : 1);
    double *tile = new_tile(height, d, err);
    if (!tile) return false;
    memset(out, 0, d * d * sizeof *out);
    for (size_t i = 0; i < count; i += height) {
        size_t rows = smaller(height, count - i);
        rows_block(s, first + i, rows, means, tile);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)rows, 1, tile, (int)d, 1, out, (int)d);
    }
    mirror(out, d);
    free(tile);
    return true;
}

/* (float Gram − TᵀT) v of one block, in v's place: T (rows, d) its exact rows. Returns ‖v‖. along (rows), want (d). */
static double error_times(const double *tile, size_t rows, size_t d, const float *gram, double *v, double *along,
                          double *want) {
    cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)d, 1, tile, (int)d, v, 1, 0, along, 1);
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)rows, (int)d, 1, tile, (int)d, along, 1, 0, want, 1);
    for (size_t i = 0; i < d; i++) { /* only the upper half is filled */
        double sum = 0, vi = v[i];
        const float *row = gram + i * d;
#pragma omp simd reduction(+ : sum)
        for (size_t j = i + 1; j < d; j++) sum += (double)row[j] * v[j], want[j] -= (double)row[j] * vi;
        want[i] -= sum + (double)row[i] * vi;
    }
    memcpy(v, want, d * sizeof *v);
    return cblas_dnrm2((int)d, v, 1);
}

/* The largest eigenvalue of that difference E, as two steps of power iteration from random signs v find it: ‖E²v‖/‖Ev‖
 * is no less than 0.7 of it for an E of independent errors and all of it for one of a single direction; twice that. */
static double block_error(const double *tile, size_t rows, size_t d, const float *gram, uint64_t block, double *work) {
    double *v = work, *want = work + d, *along = want + d;
    rng r = rng_stream(0, RNG_NULL, 1, block, 0);
    for (size_t j = 0; j < d; j++) v[j] = rng_bits(&r) & 1 ? 1 : -1;
    double once = error_times(tile, rows, d, gram, v, along, want);
    return once > 0 ? 2 * error_times(tile, rows, d, gram, v, along, want) / once : 0;
}

/* A block's rows about the means, rounded: out (rows, d). `tile` takes them exactly when asked for or read. */
static void float_block(const row_source *s, size_t first, size_t rows, const double *means, bool exact, double *tile,
                        float *out) {
    size_t d = s->cols;
    if (exact || !s->floats) rows_block(s, first, rows, means, tile);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        const float *x = s->floats ? s->floats + (first + i) * d : NULL;
        for (size_t j = 0; j < d; j++) out[i * d + j] = (float)(x ? (double)x[j] - means[j] : tile[i * d + j]);
    }
}

bool rows_gram_fast(const row_source *s, const double *means, double *out, double *doubt, error *err) {
    enum { HEIGHT = 2048, CHECKED = 8 }; /* every CHECKED-th block is checked: they are alike */
    size_t d = s->cols, blocks = (s->rows + HEIGHT - 1) / HEIGHT;
    float *rounded = malloc(HEIGHT * d * sizeof *rounded), *gram = malloc(d * d * sizeof *gram);
    double *tile = malloc(HEIGHT * d * sizeof *tile), *work = malloc((2 * d + HEIGHT) * sizeof *work), sum = 0;
    bool ok = (rounded && gram && tile && work) ||
              error_memory(err, (3 * HEIGHT + d) * d * sizeof *gram, "a tile of the matrix");
    if (ok) memset(out, 0, d * d * sizeof *out);
    for (size_t b = 0; ok && b < blocks; b++) {
        size_t first = b * HEIGHT, rows = smaller(HEIGHT, s->rows - first);
        bool checked = b % CHECKED == 0;
        float_block(s, first, rows, means, checked, tile, rounded);
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)rows, 1, rounded, (int)d, 0, gram, (int)d);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < d; i++)
            for (size_t j = i; j < d; j++) out[i * d + j] += (double)gram[i * d + j];
        if (checked) sum += CHECKED * block_error(tile, rows, d, gram, b, work);
    }
    if (ok) mirror(out, d);
    *doubt = sum;
    free(rounded);
    free(gram);
    free(tile);
    free(work);
    return ok;
}

bool rows_gram_wide(const row_source *s, const double *means, double *out, error *err) {
    size_t n = s->rows, width = smaller(height_of(GRAM_DOUBLES, n), s->cols);
    double *tile = new_tile(n, width, err);
    if (!tile) return false;
    memset(out, 0, n * n * sizeof *out);
    for (size_t j = 0; j < s->cols; j += width) {
        size_t cols = smaller(width, s->cols - j);
        rows_tile(s, 0, n, j, cols, means, tile, width);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)cols, 1, tile, (int)width, 1, out, (int)n);
    }
    mirror(out, n);
    free(tile);
    return true;
}
