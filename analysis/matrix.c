#include "analysis/matrix.h"
#include "engine/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of about 8 MiB of doubles: large enough for BLAS to run at speed, small beside any matrix worth blocking. */
enum { TILE_DOUBLES = 1 << 20, TILE_MIN_ROWS = 64, TILE_MAX_ROWS = 4096 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t tile_rows(size_t cols) {
    size_t rows = TILE_DOUBLES / (cols ? cols : 1);
    return rows < TILE_MIN_ROWS ? TILE_MIN_ROWS : smaller(rows, TILE_MAX_ROWS);
}

void matrix_tile(matrix m, size_t first_row, size_t rows, size_t first_col, size_t cols, const double *means,
                 double *out, size_t stride) {
#pragma omp parallel for schedule(static) if (rows * cols > 1 << 16)
    for (size_t i = 0; i < rows; i++) {
        const float *x = m.data + (first_row + i) * m.cols + first_col;
        double *y = out + i * stride;
        if (means)
            for (size_t j = 0; j < cols; j++) y[j] = (double)x[j] - means[first_col + j];
        else
            for (size_t j = 0; j < cols; j++) y[j] = x[j];
    }
}

void matrix_block(matrix m, size_t first_row, size_t rows, const double *means, double *out) {
    matrix_tile(m, first_row, rows, 0, m.cols, means, out, m.cols);
}

bool matrix_check(matrix m, const char *name, error *err) {
    if (!m.data || m.rows == 0 || m.cols == 0)
        return error_set(err, ERROR_RUN, "%s: a matrix of %zu rows and %zu columns has nothing to analyse", name,
                         m.rows, m.cols);
    size_t bad = m.rows;
#pragma omp parallel for schedule(static) reduction(min : bad)
    for (size_t i = 0; i < m.rows; i++) {
        const float *x = m.data + i * m.cols;
        float poison = 0; /* x·0 is NaN for NaN and infinity, and NaN stays */
#pragma omp simd reduction(+ : poison)
        for (size_t j = 0; j < m.cols; j++) poison += x[j] * 0.0f;
        if (poison != 0 && i < bad) bad = i;
    }
    if (bad == m.rows) return true;
    size_t col = 0;
    while (isfinite(m.data[bad * m.cols + col])) col++;
    return error_set(err, ERROR_RUN, "%s: %s at row %zu, column %zu; every entry has to be finite", name,
                     isnan(m.data[bad * m.cols + col]) ? "NaN" : "infinity", bad, col);
}

bool labels_check(const int32_t *labels, size_t count, int classes, const char *name, error *err) {
    for (size_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return error_set(err, ERROR_RUN, "%s: row %zu has label %d; labels are 0 to %d", name, i, labels[i],
                             classes - 1);
    return true;
}

bool matrix_means(matrix m, double *means, error *err) {
    size_t height = tile_rows(m.cols), blocks = (m.rows + height - 1) / height;
    double *sums = calloc(blocks * m.cols, sizeof *sums);
    if (!sums) return error_memory(err, blocks * m.cols * sizeof *sums, "column sums");
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = b * height; i < smaller((b + 1) * height, m.rows); i++)
            for (size_t j = 0; j < m.cols; j++) sums[b * m.cols + j] += m.data[i * m.cols + j];
    for (size_t j = 0; j < m.cols; j++) {
        double sum = 0;
        for (size_t b = 0; b < blocks; b++) sum += sums[b * m.cols + j];
        means[j] = sum / (double)m.rows;
    }
    free(sums);
    return true;
}

void matrix_row_norms(matrix m, double *norms) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m.rows; i++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < m.cols; j++) sum += (double)m.data[i * m.cols + j] * m.data[i * m.cols + j];
        norms[i] = sqrt(sum);
    }
}

static void mirror(double *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
}

bool matrix_gram(matrix m, size_t first, size_t count, const double *means, double *out, error *err) {
    size_t height = smaller(tile_rows(m.cols), count ? count : 1);
    double *tile = malloc(height * m.cols * sizeof *tile);
    if (!tile) return error_memory(err, height * m.cols * sizeof *tile, "a tile of the matrix");
    memset(out, 0, m.cols * m.cols * sizeof *out);
    for (size_t i = 0; i < count; i += height) {
        size_t rows = smaller(height, count - i);
        matrix_block(m, first + i, rows, means, tile);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)m.cols, (int)rows, 1, tile, (int)m.cols, 1, out,
                    (int)m.cols);
    }
    mirror(out, m.cols);
    free(tile);
    return true;
}

/* ‖(float Gram − TᵀT) v‖ of one block, v random signs: T its exact rows about the means. work (cols · 2 + rows). */
static double block_error(matrix m, size_t first, size_t rows, const double *means, const float *gram, uint64_t block,
                          double *work) {
    size_t d = m.cols;
    double *sign = work, *want = work + d, *along = want + d, square = 0;
    rng r = rng_stream(0, RNG_NULL, 1, block, 0);
    for (size_t j = 0; j < d; j++) sign[j] = rng_bits(&r) & 1 ? 1 : -1;
    for (size_t i = 0; i < rows; i++) {
        const float *x = m.data + (first + i) * d;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < d; j++) sum += ((double)x[j] - means[j]) * sign[j];
        along[i] = sum;
    }
    for (size_t j = 0; j < d; j++) want[j] = 0;
    for (size_t i = 0; i < rows; i++) {
        const float *x = m.data + (first + i) * d;
#pragma omp simd
        for (size_t j = 0; j < d; j++) want[j] += along[i] * ((double)x[j] - means[j]);
    }
    for (size_t i = 0; i < d; i++) { /* only the upper half is filled */
        double sum = 0;
        for (size_t j = i; j < d; j++) sum += (double)gram[i * d + j] * sign[j];
        for (size_t j = i + 1; j < d; j++) want[j] -= (double)gram[i * d + j] * sign[i];
        want[i] -= sum;
    }
    for (size_t j = 0; j < d; j++) square += want[j] * want[j];
    return sqrt(square);
}

bool matrix_gram_fast(matrix m, const double *means, double *out, double *error_norm, error *err) {
    enum { HEIGHT = 1024, CHECKED = 8 }; /* every CHECKED-th block is checked: they are alike */
    size_t d = m.cols, blocks = (m.rows + HEIGHT - 1) / HEIGHT;
    float *tile = malloc(HEIGHT * d * sizeof *tile), *gram = malloc(d * d * sizeof *gram);
    double *work = malloc((2 * d + HEIGHT) * sizeof *work), sum = 0;
    bool ok = (tile && gram && work) || error_memory(err, (HEIGHT + d) * d * sizeof *tile, "a tile of the matrix");
    if (ok) memset(out, 0, d * d * sizeof *out);
    for (size_t b = 0; ok && b < blocks; b++) {
        size_t first = b * HEIGHT, rows = smaller(HEIGHT, m.rows - first);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < rows; i++) {
            const float *x = m.data + (first + i) * d;
            for (size_t j = 0; j < d; j++) tile[i * d + j] = (float)((double)x[j] - means[j]);
        }
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)rows, 1, tile, (int)d, 0, gram, (int)d);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < d; i++)
            for (size_t j = i; j < d; j++) out[i * d + j] += (double)gram[i * d + j];
        if (b % CHECKED == 0) sum += CHECKED * block_error(m, first, rows, means, gram, b, work);
    }
    if (ok) mirror(out, d);
    *error_norm = sum;
    free(tile);
    free(gram);
    free(work);
    return ok;
}

bool matrix_gram_rows(matrix m, const double *means, double *out, error *err) {
    size_t width = smaller(tile_rows(m.rows), m.cols);
    double *tile = malloc(m.rows * width * sizeof *tile);
    if (!tile) return error_memory(err, m.rows * width * sizeof *tile, "a tile of the matrix");
    memset(out, 0, m.rows * m.rows * sizeof *out);
    for (size_t j = 0; j < m.cols; j += width) {
        size_t cols = smaller(width, m.cols - j);
        matrix_tile(m, 0, m.rows, j, cols, means, tile, width);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)m.rows, (int)cols, 1, tile, (int)width, 1, out,
                    (int)m.rows);
    }
    mirror(out, m.rows);
    free(tile);
    return true;
}

bool matrix_covariance(matrix m, double *out, error *err) {
    double *means = malloc(m.cols * sizeof *means);
    if (!means) return error_memory(err, m.cols * sizeof *means, "column means");
    bool ok = matrix_means(m, means, err) && matrix_gram(m, 0, m.rows, means, out, err);
    if (ok) cblas_dscal((int)(m.cols * m.cols), 1 / (double)m.rows, out, 1);
    free(means);
    return ok;
}

double matrix_correlation(double *covariance, size_t d) {
    double sum = 0;
    size_t varying = 0;
    for (size_t i = 0; i < d; i++) varying += covariance[i * d + i] > 0;
    for (size_t i = 0; i < d; i++) {
        double si = covariance[i * d + i];
        for (size_t j = i + 1; j < d; j++) {
            double product = sqrt(si) * sqrt(covariance[j * d + j]);
            double r = product > 0 ? covariance[i * d + j] / product : 0;
            covariance[i * d + j] = covariance[j * d + i] = r;
            sum += fabs(r);
        }
    }
    for (size_t i = 0; i < d; i++) covariance[i * d + i] = covariance[i * d + i] > 0;
    return varying > 1 ? sum / (0.5 * (double)varying * (double)(varying - 1)) : 0;
}

void matrix_choose(size_t rows, size_t wanted, uint64_t seed, uint32_t draw, uint32_t *out) {
    rng r = rng_stream(seed, RNG_SUBSET, 1, 0, draw);
    size_t taken = 0;
    for (size_t i = 0; taken < wanted; i++)
        if (wanted == rows || rng_uniform(&r) * (double)(rows - i) < (double)(wanted - taken))
            out[taken++] = (uint32_t)i;
}

bool matrix_sample(matrix m, size_t wanted, uint64_t seed, uint32_t draw, float *out, error *err) {
    uint32_t *rows = malloc(wanted * sizeof *rows);
    if (!rows) return error_memory(err, wanted * sizeof *rows, "row numbers");
    matrix_choose(m.rows, wanted, seed, draw, rows);
    for (size_t i = 0; i < wanted; i++) memcpy(out + i * m.cols, m.data + rows[i] * m.cols, m.cols * sizeof *out);
    free(rows);
    return true;
}
