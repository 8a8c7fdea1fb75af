#include "analysis/spectrum/eigenvalues.h"
#include "analysis/spectrum/moments.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Eigenvalues of a Gram matrix are right to about 1e-15 of the largest: below 1e-5 of σ₁ a singular value read off them
 * begins to miss its fifth digit, and RankMe adds up hundreds of those. */
static const double GRAM_SPAN = 1e-5;
/* A Gram matrix in single precision will do where its error, at most, is this share of every eigenvalue (Weyl): the
 * smallest singular value is then right to half of it. Measured, 10,000 × 512: that to 1e-5, the ranks to 2e-7. */
static const double FAST_TRUST = 1e-3;
/* Products that single precision is worth its check for: a hundredth of a second's. */
static const double FAST_WORK = 1e9;
/* Beyond this many columns a wide matrix's correlations would take more memory than they tell. */
enum { CORRELATION_COLUMNS = 8192 };

static void moments_free(moments *mo) {
    free(mo->means);
    free(mo->variances);
    free(mo->gram);
    free(mo->shift);
    free(mo->triangle);
}

/* Of a wide matrix, whose Gram matrix does not hold them. */
static bool wide_moments(moments *mo, error *err) {
    size_t d = mo->m.cols;
    double *row = malloc(d * sizeof *row);
    mo->shift = malloc(mo->m.rows * sizeof *mo->shift);
    bool ok = (row && mo->shift) || error_memory(err, (d + mo->m.rows) * sizeof *row, "a row");
    for (size_t i = 0; ok && i < mo->m.rows; i++) {
        rows_block(&mo->m, i, 1, mo->means, row);
        mo->shift[i] = cblas_ddot((int)d, row, 1, mo->means, 1);
        for (size_t j = 0; j < d; j++) mo->variances[j] += row[j] * row[j];
    }
    free(row);
    return ok;
}

/* A column's variance bounds the least eigenvalue from above and the largest from below: where these tell a steep
 * spectrum already, no Gram matrix will do. */
static bool tells_steep(const moments *mo) {
    double least = INFINITY, most = 0;
    for (size_t j = 0; j < mo->m.cols; j++) {
        if (mo->variances[j] == 0) continue;
        least = fmin(least, mo->variances[j]), most = fmax(most, mo->variances[j]);
    }
    return mo->tall && least < GRAM_SPAN * GRAM_SPAN * most;
}

static bool take_gram(moments *mo, bool fast, error *err) {
    mo->doubt = 0;
    if (!mo->tall) return rows_gram_wide(&mo->m, mo->means, mo->gram, err);
    return fast ? rows_gram_fast(&mo->m, mo->means, mo->gram, &mo->doubt, err)
                : rows_gram(&mo->m, 0, mo->m.rows, mo->means, mo->gram, err);
}

/* mo is to be freed whether or not this succeeds. */
static bool moments_take(moments *mo, row_source m, error *err) {
    *mo = (moments){.m = m, .tall = m.rows >= m.cols, .side = smaller(m.rows, m.cols)};
    mo->means = malloc(m.cols * sizeof *mo->means);
    mo->variances = calloc(m.cols, sizeof *mo->variances);
    mo->gram = malloc(mo->side * mo->side * sizeof *mo->gram);
    if (!mo->means || !mo->variances || !mo->gram)
        return error_memory(err, (mo->side * mo->side + 2 * m.cols) * sizeof(double), "a Gram matrix");
    if (!rows_means(&m, mo->means, err)) return false;
    /* A NaN or infinity is in its column's mean; which entry it was is looked for only then. */
    for (size_t j = 0; j < m.cols; j++)
        if (!isfinite(mo->means[j]) && !rows_check(&m, "embeddings", err)) return false;
    if (!take_gram(mo, (double)m.rows * (double)m.cols * (double)m.cols > FAST_WORK, err)) return false;
    if (mo->tall)
        for (size_t j = 0; j < m.cols; j++) mo->variances[j] = mo->gram[j * m.cols + j];
    else if (!wide_moments(mo, err))
        return false;
    for (size_t j = 0; j < m.cols; j++) {
        double floor = MATRIX_CONSTANT * mo->means[j];
        mo->variances[j] /= (double)m.rows;
        if (mo->variances[j] > floor * floor) continue;
        mo->variances[j] = 0;
        mo->constant++;
    }
    return true;
}

bool spectrum_of_gram(double *gram, size_t d, double *sigma, error *err) {
    if (d == 0) return true;
    if (!eigenvalues(gram, 'U', d, sigma))
        return error_set(err, ERROR_RUN, "eigenvalues of a %zu×%zu Gram matrix did not converge", d, d);
    for (size_t i = 0; i < d / 2; i++) {
        double swap = sigma[i];
        sigma[i] = sigma[d - 1 - i];
        sigma[d - 1 - i] = swap;
    }
    for (size_t i = 0; i < d; i++) sigma[i] = sqrt(fmax(sigma[i], 0));
    return true;
}

/* ---- the steep road: QR of blocks ---------------------------------------------------------------------------------
 */

/* Singular values of the upper triangle of r (side, side), column by column with leading dimension ld. */
static bool triangle_values(const double *r, size_t side, size_t ld, double *sigma, error *err) {
    double *copy = calloc(side * side, sizeof *copy), none = 0;
    if (!copy) return error_memory(err, side * side * sizeof *copy, "a triangle of QR");
    for (size_t j = 0; j < side; j++) memcpy(copy + j * side, r + j * ld, (j + 1) * sizeof *copy);
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)side, (lapack_int)side, copy, (lapack_int)side,
                                     sigma, &none, 1, &none, 1);
    free(copy);
    if (info) return error_set(err, ERROR_RUN, "singular values of a %zu×%zu triangle did not converge", side, side);
    return true;
}

/*
 * Factors the (height, side) stack in place: R stands in its first `side` rows. What was zero under their diagonal
 * stays so, for the reflection of a column has no part in rows where that column is zero: the stack is ready for more
 * rows.
 */
static bool factor(double *stack, size_t height, size_t used, size_t side, double *tau, error *err) {
    if (LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (lapack_int)used, (lapack_int)side, stack, (lapack_int)height, tau))
        return error_set(err, ERROR_RUN, "QR of a %zu×%zu block failed", used, side);
    return true;
}

/*
 * R of the tall matrix (or of the transposed wide one), block after block below the R so far: triangle (side, side),
 * column by column. The stack is column-major: a wide matrix's tile fits it as it stands, a tall one's is transposed.
 */
static bool triangle_of(const moments *mo, const double *means, double *triangle, error *err) {
    size_t side = mo->side, length = mo->tall ? mo->m.rows : mo->m.cols;
    size_t block = smaller(length, 3 * side > 512 ? 3 * side : 512), height = side + block;
    double *stack = calloc(height * side, sizeof *stack), *tau = malloc(side * sizeof *tau);
    double *tile = mo->tall ? malloc(block * side * sizeof *tile) : NULL;
    bool ok = stack && tau && (tile || !mo->tall);
    if (!ok) error_memory(err, (height + block) * side * sizeof *stack, "blocks of QR");
    for (size_t start = 0; ok && start < length; start += block) {
        size_t count = smaller(block, length - start);
        if (mo->tall) {
            rows_block(&mo->m, start, count, means, tile);
            for (size_t j = 0; means && j < side; j++)
                for (size_t i = 0; mo->variances[j] == 0 && i < count; i++) tile[i * side + j] = 0;
            cblas_domatcopy(CblasRowMajor, CblasTrans, count, side, 1, tile, side, stack + side, height);
        } else {
            rows_tile(&mo->m, 0, side, start, count, means, stack + side, height);
        }
        ok = factor(stack, height, side + count, side, tau, err);
    }
    for (size_t j = 0; ok && j < side; j++) memcpy(triangle + j * side, stack + j * height, side * sizeof *triangle);
    free(stack);
    free(tau);
    free(tile);
    return ok;
}

/* With X = 1μᵀ + C, XᵀX = CᵀC + nμμᵀ: R of a tall X is R of [R of C; √n μᵀ], so one pass over its rows does for both.
 */
static bool values_by_qr(moments *mo, bool centred, double *sigma, error *err) {
    size_t side = mo->side, height = side + 1;
    double *stack = malloc(height * side * sizeof *stack), *tau = malloc(side * sizeof *tau);
    bool ok = stack && tau, again = !mo->tall || !mo->triangle;
    if (!mo->triangle) mo->triangle = malloc(side * side * sizeof *mo->triangle);
    ok = ok && mo->triangle;
    if (!ok) error_memory(err, 2 * height * side * sizeof *stack, "a triangle of QR");
    if (ok && again) ok = triangle_of(mo, mo->tall || centred ? mo->means : NULL, mo->triangle, err);
    if (ok && mo->tall && !centred) {
        for (size_t j = 0; j < side; j++) {
            memcpy(stack + j * height, mo->triangle + j * side, side * sizeof *stack);
            stack[j * height + side] = sqrt((double)mo->m.rows) * mo->means[j];
        }
        ok = factor(stack, height, height, side, tau, err) && triangle_values(stack, side, height, sigma, err);
    } else if (ok) {
        ok = triangle_values(mo->triangle, side, side, sigma, err);
    }
    free(stack);
    free(tau);
    return ok;
}

/* ---- the flat road: a Gram matrix ----------------------------------------------------------------------------------
 */

/* Gram matrix of the tall matrix's columns that are not all zero: a (side, side) holds it packed. Returns its size. */
static size_t tall_gram(const moments *mo, bool centred, double *a, size_t *active) {
    size_t d = mo->side, kept = 0;
    double n = (double)mo->m.rows;
    for (size_t j = 0; j < d; j++)
        if (mo->variances[j] > 0 || (!centred && mo->means[j] != 0)) active[kept++] = j;
    for (size_t p = 0; p < kept; p++)
        for (size_t q = 0; q < kept; q++) {
            size_t i = active[p], j = active[q];
            a[p * kept + q] = mo->gram[i * d + j] + (centred ? 0 : n * mo->means[i] * mo->means[j]);
        }
    return kept;
}

/* Gram matrix of the wide matrix's rows: (c_i + μ)·(c_j + μ) = c_i·c_j + c_i·μ + c_j·μ + μ·μ. */
static size_t wide_gram(const moments *mo, bool centred, double *a) {
    size_t n = mo->side;
    memcpy(a, mo->gram, n * n * sizeof *a);
    if (centred) return mo->constant < mo->m.cols ? n : 0;
    double square = cblas_ddot((int)mo->m.cols, mo->means, 1, mo->means, 1);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) a[i * n + j] += mo->shift[i] + mo->shift[j] + square;
    return n;
}

/* Singular values by the Gram matrix as it stands: sigma (side), the first *rank of which can differ from zero. */
static bool values_by_gram(const moments *mo, bool centred, double *sigma, size_t *rank, error *err) {
    size_t side = mo->side, kept = 0;
    double *a = malloc(side * side * sizeof *a);
    size_t *active = malloc(side * sizeof *active);
    bool ok = a && active;
    if (!ok) error_memory(err, side * side * sizeof *a, "a Gram matrix");
    if (ok) {
        kept = mo->tall ? tall_gram(mo, centred, a, active) : wide_gram(mo, centred, a);
        for (size_t j = 0; j < side; j++) sigma[j] = 0;
        ok = spectrum_of_gram(a, kept, sigma, err);
    }
    free(a);
    free(active);
    *rank = smaller(kept, centred ? mo->m.rows - 1 : mo->m.rows);
    return ok;
}

static bool values(moments *mo, bool centred, double *sigma, bool *by_qr, error *err) {
    size_t rank = 0;
    bool steep = tells_steep(mo);
    if (!values_by_gram(mo, centred, sigma, &rank, err)) return false;
    if (!steep && rank > 0 && mo->doubt > FAST_TRUST * sigma[rank - 1] * sigma[rank - 1] &&
        (!take_gram(mo, false, err) || !values_by_gram(mo, centred, sigma, &rank, err)))
        return false;
    if (rank > 0 && (steep || sigma[rank - 1] < GRAM_SPAN * sigma[0])) {
        if (by_qr) *by_qr = true;
        if (!values_by_qr(mo, centred, sigma, err)) return false;
    }
    for (size_t j = rank; j < mo->side; j++) sigma[j] = 0;
    return true;
}

bool spectrum_singular_values(matrix m, bool centred, double *sigma, bool *by_qr, error *err) {
    moments mo;
    if (by_qr) *by_qr = false;
    bool ok = moments_take(&mo, rows_of(m), err) && values(&mo, centred, sigma, by_qr, err);
    moments_free(&mo);
    return ok;
}

static rank_figure figure(double value, size_t most, double noise) {
    return (rank_figure){value, most ? value / (double)most : NAN, noise, noise > 0 ? value / noise : NAN};
}

static bool correlations(const moments *mo, double *out, error *err) {
    size_t d = mo->m.cols;
    *out = NAN;
    if (d > CORRELATION_COLUMNS) return true;
    double *c = malloc(d * d * sizeof *c);
    bool ok = c || error_memory(err, d * d * sizeof *c, "a correlation matrix");
    if (ok && mo->tall)
        memcpy(c, mo->gram, d * d * sizeof *c);
    else if (ok)
        ok = rows_gram(&mo->m, 0, mo->m.rows, mo->means, c, err);
    for (size_t j = 0; ok && j < d; j++)
        if (mo->variances[j] == 0) c[j * d + j] = 0;
    if (ok) *out = matrix_correlation(c, d);
    free(c);
    return ok;
}

/*
 * What rounding to float32 leaves in a direction that is empty, over σ₁: σ₁ is at least ‖X‖_F over the root of the
 * shorter side s, so at most √s ε/2. s ε allows for the arithmetic before; the rows' number has no part in it.
 */
static double rank_tolerance(size_t n, size_t d) {
    enum { SIDE_LEAST = 64 };
    double side = (double)smaller(n, d);
    return fmax(side, SIDE_LEAST) * (double)FLT_EPSILON;
}

bool spectrum_compute(matrix m, bool noise, spectrum *s, error *err) {
    row_source rows = rows_of(m);
    return spectrum_compute_rows(&rows, noise, s, err);
}

bool spectrum_compute_rows(const row_source *rows, bool noise, spectrum *s, error *err) {
    size_t n = rows->rows, d = rows->cols, count = smaller(n, d);
    *s = (spectrum){.n = n, .d = d, .count = count};
    moments mo = {0};
    noise_ranks null = {NAN, NAN, NAN, NAN};
    bool ok = rows_shape_check(rows, "embeddings", err);
    if (!ok) return false;
    s->singular_values = malloc(count * sizeof(double));
    s->singular_values_centred = malloc(count * sizeof(double));
    if (noise) s->noise = malloc(count * sizeof(double));
    if (!s->singular_values || !s->singular_values_centred || (noise && !s->noise))
        ok = error_memory(err, 3 * count * sizeof(double), "a spectrum");
    ok = ok && moments_take(&mo, *rows, err) && values(&mo, true, s->singular_values_centred, &s->by_qr, err) &&
         values(&mo, false, s->singular_values, &s->by_qr, err) &&
         correlations(&mo, &s->correlation_off_diagonal, err) && (!noise || spectrum_noise(n, d, &null, s->noise, err));
    if (!ok) goto done;

    size_t most = smaller(n - 1, d), rank = 0;
    const double *sigma = s->singular_values_centred;
    while (rank < most && sigma[rank] > sigma[0] * rank_tolerance(n, d)) rank++;
    s->rankme = figure(spectrum_rankme(s->singular_values, count), count, null.rankme);
    s->effective_rank = figure(spectrum_effective_rank(sigma, count), most, null.effective_rank);
    s->participation_ratio = figure(spectrum_participation_ratio(sigma, count), most, null.participation_ratio);
    s->numerical_rank = figure((double)rank, most, null.numerical_rank);
    s->condition_number = most == 0 ? NAN : sigma[most - 1] > 0 ? sigma[0] / sigma[most - 1] : INFINITY;
    power_law law = spectrum_fit_power_law(sigma, rank);
    s->alpha = law.alpha, s->alpha_r2 = law.r2, s->alpha_first = law.first, s->alpha_last = law.last;
    law = spectrum_fit_power_law_as_authors(sigma, rank);
    s->alpha_authors = law.alpha, s->alpha_authors_first = law.first, s->alpha_authors_last = law.last;
    s->rankme_without_epsilon = spectrum_effective_rank(s->singular_values, count);
    s->constant_columns = mo.constant;
    if (!(ok = spectrum_outliers(&mo, s, err))) goto done;
    for (size_t j = 0; j < d; j++) {
        s->total_variance += mo.variances[j];
        s->mean_squared_norm += mo.variances[j] + mo.means[j] * mo.means[j];
    }
    for (size_t j = 0; noise && j < count; j++) s->noise[j] *= sqrt(s->total_variance / (double)d);
    s->column_means = mo.means, s->column_variances = mo.variances; /* handed over */
    mo.means = mo.variances = NULL;
done:
    moments_free(&mo);
    if (!ok) spectrum_free(s);
    return ok;
}

void spectrum_free(spectrum *s) {
    free(s->singular_values);
    free(s->singular_values_centred);
    free(s->column_means);
    free(s->column_variances);
    free(s->trimmed);
    free(s->noise);
    s->noise = NULL;
    s->singular_values = s->singular_values_centred = s->column_means = s->column_variances = s->trimmed = NULL;
}
