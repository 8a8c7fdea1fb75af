/*
 * Kernels on square matrices: LAPACK's Cholesky factor, BLAS' triangular systems, each forward beside its backward
 * (Murray 2016, "Differentiation of the Cholesky decomposition"). Matrices are row-major; of a lower triangle nothing
 * above the diagonal is read.
 */
#include "engine/cpu/cpu.h"

#include <cblas.h>
#include <lapacke.h>
#include <string.h>

#ifdef MEWS_DOUBLE
#define factorize LAPACKE_dpotrf
#define cblas_rtrmm cblas_dtrmm
#define cblas_rtrsm cblas_dtrsm
#else
#define factorize LAPACKE_spotrf
#define cblas_rtrmm cblas_strmm
#define cblas_rtrsm cblas_strsm
#endif

static void clear_above_diagonal(real *x, int64_t d) {
    for (int64_t r = 0; r < d; r++) memset(x + r * d + r + 1, 0, (size_t)(d - r - 1) * sizeof *x);
}

/* x ← x·L⁻¹, or x·L⁻ᵀ; x (n, d). */
static void solve_right(real *x, int64_t n, const real *l, int64_t d, bool transpose) {
    cblas_rtrsm(CblasRowMajor, CblasRight, CblasLower, transpose ? CblasTrans : CblasNoTrans, CblasNonUnit, (blasint)n,
                (blasint)d, 1, l, (blasint)d, x, (blasint)d);
}

static bool add_diagonal_forward(backend *b, node *n) {
    (void)b;
    int64_t d = n->out->shape[0];
    memcpy(n->out->data, n->in[0]->data, (size_t)(d * d) * sizeof(real));
    for (int64_t i = 0; i < d; i++) n->out->data[i * d + i] += (real)n->with.affine.shift;
    return true;
}

static bool add_diagonal_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const bool add = x->grad_ready;
    for (int64_t i = 0; i < tensor_count(x); i++) x->grad[i] = (add ? x->grad[i] : 0) + n->out->grad[i];
    grad_done(x);
    return true;
}
const kernel cpu_kernel_add_diagonal = {add_diagonal_forward, add_diagonal_backward};

/* S = L·Lᵀ. dS = ½(P + Pᵀ), P = L⁻ᵀ·Φ(Lᵀ·dL)·L⁻¹, where Φ keeps the lower triangle and halves its diagonal. ---------
 */

static bool cholesky_forward(backend *b, node *n) {
    int64_t d = n->out->shape[0];
    memcpy(n->out->data, n->in[0]->data, (size_t)(d * d) * sizeof(real));
    lapack_int failed = factorize(LAPACK_ROW_MAJOR, 'L', (lapack_int)d, n->out->data, (lapack_int)d);
    if (failed > 0)
        return cpu_fail(
            b,
            "the matrix is not positive definite (its leading %lld x %lld part is singular): as a covariance, "
            "what it is of has collapsed to fewer directions",
            (long long)failed, (long long)failed);
    if (failed < 0) return cpu_fail(b, "the matrix holds values that are not numbers");
    clear_above_diagonal(n->out->data, d);
    return true;
}

static bool cholesky_backward(backend *b, node *n) {
    tensor *x = n->in[0];
    int64_t d = x->shape[0];
    const real *l = n->out->data;
    size_t bytes = (size_t)(d * d) * sizeof(real);
    real *p = b->allocate(b, bytes);
    if (!p) return cpu_fail(b, "out of memory");
    memcpy(p, n->out->grad, bytes);
    clear_above_diagonal(p, d);
    cblas_rtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (blasint)d, (blasint)d, 1, l,
                (blasint)d, p, (blasint)d);
    clear_above_diagonal(p, d);
    for (int64_t i = 0; i < d; i++) p[i * d + i] /= 2;
    cblas_rtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (blasint)d, (blasint)d, 1, l,
                (blasint)d, p, (blasint)d);
    solve_right(p, d, l, d, false);
    const bool add = x->grad_ready;
    for (int64_t r = 0; r < d; r++)
        for (int64_t c = 0; c < d; c++)
            x->grad[r * d + c] = (add ? x->grad[r * d + c] : 0) + (p[r * d + c] + p[c * d + r]) / 2;
    b->release(b, p);
    grad_done(x);
    return true;
}
const kernel cpu_kernel_cholesky = {cholesky_forward, cholesky_backward};

/* Y = X·L⁻ᵀ. dX = dY·L⁻¹, dL = −lower(dXᵀ·Y). --------------------------------------------------------------------- */

static bool triangular_solve_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], d = n->out->shape[1];
    memcpy(n->out->data, n->in[0]->data, (size_t)(rows * d) * sizeof(real));
    solve_right(n->out->data, rows, n->in[1]->data, d, true);
    return true;
}

static bool triangular_solve_backward(backend *b, node *n) {
    const tensor *l = n->in[1];
    int64_t rows = n->out->shape[0], d = n->out->shape[1];
    real *dx = b->allocate(b, (size_t)(rows * d) * sizeof *dx), *dl = b->allocate(b, (size_t)(d * d) * sizeof *dl);
    bool ok = dx && dl;
    if (ok) {
        memcpy(dx, n->out->grad, (size_t)(rows * d) * sizeof *dx);
        solve_right(dx, rows, l->data, d, false);
        cblas_rgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)d, (blasint)d, (blasint)rows, -1, dx, (blasint)d,
                    n->out->data, (blasint)d, 0, dl, (blasint)d);
        clear_above_diagonal(dl, d);
    }
    for (int i = 0; ok && i < 2; i++) {
        tensor *to = n->in[i];
        const real *from = i ? dl : dx;
        if (!wants_grad(to)) continue;
        for (int64_t k = 0; k < tensor_count(to); k++) to->grad[k] = (to->grad_ready ? to->grad[k] : 0) + from[k];
        grad_done(to);
    }
    if (dx) b->release(b, dx);
    if (dl) b->release(b, dl);
    return ok || cpu_fail(b, "out of memory");
}
const kernel cpu_kernel_triangular_solve = {triangular_solve_forward, triangular_solve_backward};
