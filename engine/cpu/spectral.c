/*
 * Functions of eigenvalues and singular values, by LAPACK, each forward beside its backward. Both gradients are written
 * so that no difference of two eigenvalues is divided by: repeated ones are values like any other.
 */
#include "engine/cpu/cpu.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#ifdef MEWS_DOUBLE
#define eigenvectors LAPACKE_dsyevd
#define singular_vectors LAPACKE_dgesdd
static const double EPSILON = DBL_EPSILON;
#else
#define eigenvectors LAPACKE_ssyevd
#define singular_vectors LAPACKE_sgesdd
static const double EPSILON = FLT_EPSILON;
#endif

/* out = X·Y of (d, d) matrices, either transposed. */
static void multiply(const real *x, bool transpose_x, const real *y, bool transpose_y, real *out, int64_t d) {
    cblas_rgemm(CblasRowMajor, transpose_x ? CblasTrans : CblasNoTrans, transpose_y ? CblasTrans : CblasNoTrans,
                (blasint)d, (blasint)d, (blasint)d, 1, x, (blasint)d, y, (blasint)d, 0, out, (blasint)d);
}

/*
 * S = Vᵀ·diag(λ)·V with eigenvectors in V's rows → R = Vᵀ·diag(λ^−½)·V.
 * dS = Vᵀ·(K ∘ (V·dR·Vᵀ))·V, K_ij the divided difference of λ^−½ at λ_i and λ_j (Daleckii & Krein), which is
 * −r_i·r_j·r_i·r_j/(r_i + r_j) in r = λ^−½: nothing vanishes where λ_i = λ_j.
 */
static bool inverse_root_forward(backend *b, node *n) {
    const int64_t d = n->out->shape[0];
    real *v = n->saved[0], *root = n->saved[1];
    real *scaled = b->allocate(b, (size_t)(d * d) * sizeof *scaled);
    if (!scaled) return cpu_fail(b, "out of memory");
    memcpy(v, n->in[0]->data, (size_t)(d * d) * sizeof *v);
    /* symmetric, so that LAPACK's columns are rows here */
    lapack_int failed = eigenvectors(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)d, v, (lapack_int)d, root);
    bool ok = failed == 0 ? root[0] > 0 : false;
    if (failed < 0)
        cpu_fail(b, "the matrix holds values that are not numbers");
    else if (failed > 0)
        cpu_fail(b, "its eigenvalues were not found");
    else if (!ok)
        cpu_fail(
            b,
            "the matrix is not positive definite (its least eigenvalue is %.3g): as a covariance, what it is of has "
            "collapsed to fewer directions",
            (double)root[0]);
    for (int64_t i = 0; ok && i < d; i++) {
        root[i] = (real)(1 / sqrt((double)root[i]));
        for (int64_t k = 0; k < d; k++) scaled[i * d + k] = v[i * d + k] * root[i];
    }
    if (ok) multiply(v, true, scaled, false, n->out->data, d);
    b->release(b, scaled);
    return ok;
}

static bool inverse_root_backward(backend *b, node *n) {
    tensor *x = n->in[0];
    const int64_t d = x->shape[0];
    const real *v = n->saved[0], *root = n->saved[1];
    size_t bytes = (size_t)(d * d) * sizeof(real);
    real *inner = b->allocate(b, bytes), *outer = b->allocate(b, bytes);
    bool ok = inner && outer;
    if (ok) {
        multiply(v, false, n->out->grad, false, outer, d);
        multiply(outer, false, v, true, inner, d);
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++) {
                real product = root[i] * root[j];
                inner[i * d + j] *= -product * product / (root[i] + root[j]);
            }
        multiply(v, true, inner, false, outer, d);
        multiply(outer, false, v, false, inner, d);
        const bool add = x->grad_ready;
        for (int64_t r = 0; r < d; r++)
            for (int64_t c = 0; c < d; c++)
                x->grad[r * d + c] = (add ? x->grad[r * d + c] : 0) + (inner[r * d + c] + inner[c * d + r]) / 2;
        grad_done(x);
    }
    if (inner) b->release(b, inner);
    if (outer) b->release(b, outer);
    return ok || cpu_fail(b, "out of memory");
}
const kernel cpu_kernel_inverse_root = {inverse_root_forward, inverse_root_backward};

/*
 * ‖X‖_* = Σ σ_i, X = U·diag(σ)·Vᵀ; dX = U·Vᵀ over the directions with σ_i > 0: where some vanish this is the shortest
 * of the subgradients. A row-major X is LAPACK's Xᵀ, whose polar factor is that of X, transposed: the same memory.
 */
typedef struct svd_room {
    real *copy, *u, *vt, *sigma;
} svd_room;

static bool nuclear_norm_of(const real *x, int64_t rows, int64_t cols, svd_room s, real *polar, double *norm) {
    const int64_t k = rows < cols ? rows : cols, most = rows < cols ? cols : rows;
    memcpy(s.copy, x, (size_t)(rows * cols) * sizeof *x);
    if (singular_vectors(LAPACK_COL_MAJOR, 'S', (lapack_int)cols, (lapack_int)rows, s.copy, (lapack_int)cols, s.sigma,
                         s.u, (lapack_int)cols, s.vt, (lapack_int)k) != 0)
        return false;
    *norm = 0;
    int64_t rank = 0;
    for (int64_t i = 0; i < k; i++) {
        *norm += (double)s.sigma[i];
        rank += (double)s.sigma[i] > (double)most * EPSILON * (double)s.sigma[0];
    }
    if (rank == 0)
        memset(polar, 0, (size_t)(rows * cols) * sizeof *polar);
    else
        cblas_rgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)cols, (blasint)rows, (blasint)rank, 1, s.u,
                    (blasint)cols, s.vt, (blasint)k, 0, polar, (blasint)cols);
    return true;
}

static bool nuclear_norm_forward(backend *b, node *n) {
    const int64_t groups = n->out->shape[0], rows = n->in[0]->shape[0] / groups, cols = n->in[0]->shape[1];
    const int64_t k = rows < cols ? rows : cols, size = rows * cols;
    real *room = b->allocate(b, (size_t)(size + cols * k + k * rows + k) * sizeof *room);
    if (!room) return cpu_fail(b, "out of memory");
    svd_room s = {room, room + size, room + size + cols * k, room + size + cols * k + k * rows};
    bool ok = true;
    for (int64_t i = 0; ok && i < groups; i++) {
        double norm;
        ok = nuclear_norm_of(n->in[0]->data + i * size, rows, cols, s, n->saved[0] + i * size, &norm);
        if (ok) n->out->data[i] = (real)norm;
    }
    b->release(b, room);
    return ok || cpu_fail(b, "its singular values were not found: it holds values that are not numbers");
}

static bool nuclear_norm_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const int64_t groups = n->out->shape[0], size = tensor_count(x) / groups;
    const bool add = x->grad_ready;
    for (int64_t i = 0; i < groups; i++)
        for (int64_t k = i * size; k < (i + 1) * size; k++)
            x->grad[k] = (add ? x->grad[k] : 0) + n->out->grad[i] * n->saved[0][k];
    grad_done(x);
    return true;
}
const kernel cpu_kernel_nuclear_norm = {nuclear_norm_forward, nuclear_norm_backward};
