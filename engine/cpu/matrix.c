/*
 * Matrix kernels: products by OpenBLAS, reductions and row surgery. Sums run over chunks of a fixed size, added in
 * order, in double precision: the same bits for any number of threads.
 */
#include "engine/cpu/gemm.h"
#include "engine/cpu/vector_math.h"

#include <math.h>
#include <string.h>

/* Products -------------------------------------------------------------------------------------------------------- */

static bool matmul_forward(backend *back, node *n) {
    (void)back;
    const tensor *a = n->in[0], *b = n->in[1];
    bool ta = n->with.matmul.transpose_a, tb = n->with.matmul.transpose_b;
    gemm(ta, tb, n->out->shape[0], n->out->shape[1], a->shape[!ta], n->with.matmul.alpha, a->data, a->shape[1], b->data,
         b->shape[1], false, n->out->data);
    return true;
}

/* C = α A B: dA = α G Bᵀ, dB = α Aᵀ G; a transposed operand receives the transpose of that. */
static bool matmul_backward(backend *back, node *n) {
    (void)back;
    tensor *a = n->in[0], *b = n->in[1];
    bool ta = n->with.matmul.transpose_a, tb = n->with.matmul.transpose_b;
    const real *g = n->out->grad;
    double alpha = n->with.matmul.alpha;
    int64_t m = n->out->shape[0], cols = n->out->shape[1], k = a->shape[!ta];
    if (wants_grad(a)) {
        if (ta)
            gemm(tb, true, k, m, cols, alpha, b->data, b->shape[1], g, cols, a->grad_ready, a->grad);
        else
            gemm(false, !tb, m, k, cols, alpha, g, cols, b->data, b->shape[1], a->grad_ready, a->grad);
        grad_done(a);
    }
    if (wants_grad(b)) {
        if (tb)
            gemm(true, ta, cols, k, m, alpha, g, cols, a->data, a->shape[1], b->grad_ready, b->grad);
        else
            gemm(!ta, false, k, cols, m, alpha, a->data, a->shape[1], g, cols, b->grad_ready, b->grad);
        grad_done(b);
    }
    return true;
}
const kernel cpu_kernel_matmul = {matmul_forward, matmul_backward};

/* Reductions ------------------------------------------------------------------------------------------------------ */

static bool sum_forward(backend *b, node *n) {
    const tensor *x = n->in[0];
    int64_t rows = x->shape[0], cols = x->shape[1];
    if (n->with.reduce.axis == AXIS_ROWS) return cpu_sum_rows(b, x->data, false, rows, cols, false, n->out->data);
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < cols; c++) sum += (double)x->data[r * cols + c];
        if (n->with.reduce.axis == AXIS_COLS) n->out->data[r] = (real)sum;
        total += sum;
    }
    if (n->with.reduce.axis == AXIS_ALL) n->out->data[0] = (real)total;
    return true;
}

static bool sum_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t rows = x->shape[0], cols = x->shape[1];
    op_axis axis = n->with.reduce.axis;
    const bool add = x->grad_ready;
#pragma omp parallel for schedule(static) if (rows * cols > 32768)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            real g = n->out->grad[axis == AXIS_ROWS ? c : axis == AXIS_COLS ? r : 0];
            real *to = x->grad + r * cols + c;
            *to = (add ? *to : 0) + g;
        }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_sum = {sum_forward, sum_backward};

static bool sum_squares_forward(backend *b, node *n) {
    n->out->data[0] = (real)cpu_sum_squares(b, n->in[0]->data, tensor_count(n->in[0]));
    return true;
}

static bool sum_squares_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    const real twice = 2 * n->out->grad[0];
    const bool add = x->grad_ready;
#pragma omp parallel for simd schedule(static) if (count > 32768)
    for (int64_t i = 0; i < count; i++) x->grad[i] = (add ? x->grad[i] : 0) + twice * x->data[i];
    grad_done(x);
    return true;
}
const kernel cpu_kernel_sum_squares = {sum_squares_forward, sum_squares_backward};

static bool diagonal_forward(backend *b, node *n) {
    (void)b;
    int64_t c = n->in[0]->shape[1];
    for (int64_t i = 0; i < c; i++) n->out->data[i] = n->in[0]->data[i * c + i];
    return true;
}

static bool diagonal_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t c = x->shape[1];
    if (!x->grad_ready) memset(x->grad, 0, (size_t)(c * c) * sizeof(real));
    for (int64_t i = 0; i < c; i++) x->grad[i * c + i] += n->out->grad[i];
    grad_done(x);
    return true;
}
const kernel cpu_kernel_diagonal = {diagonal_forward, diagonal_backward};

/* Rows ------------------------------------------------------------------------------------------------------------ */

static void add_rows(tensor *x, int64_t first, const real *g, int64_t rows) {
    int64_t cols = x->shape[1];
    real *to = x->grad + first * cols;
    for (int64_t i = 0; i < rows * cols; i++) to[i] += g[i];
}

static void start_grad(tensor *x) {
    if (!x->grad_ready) memset(x->grad, 0, (size_t)tensor_count(x) * sizeof(real));
    grad_done(x);
}

static bool slice_rows_forward(backend *b, node *n) {
    (void)b;
    int64_t cols = n->out->shape[1];
    memcpy(n->out->data, n->in[0]->data + n->with.slice.first * cols,
           (size_t)(n->with.slice.count * cols) * sizeof(real));
    return true;
}

static bool slice_rows_backward(backend *b, node *n) {
    (void)b;
    start_grad(n->in[0]);
    add_rows(n->in[0], n->with.slice.first, n->out->grad, n->with.slice.count);
    return true;
}
const kernel cpu_kernel_slice_rows = {slice_rows_forward, slice_rows_backward};

static bool concat_rows_forward(backend *b, node *n) {
    (void)b;
    int64_t head = tensor_count(n->in[0]);
    memcpy(n->out->data, n->in[0]->data, (size_t)head * sizeof(real));
    memcpy(n->out->data + head, n->in[1]->data, (size_t)tensor_count(n->in[1]) * sizeof(real));
    return true;
}

static bool concat_rows_backward(backend *b, node *n) {
    (void)b;
    const real *g = n->out->grad;
    for (int i = 0; i < 2; i++) {
        if (wants_grad(n->in[i])) {
            start_grad(n->in[i]);
            add_rows(n->in[i], 0, g, n->in[i]->shape[0]);
        }
        g += tensor_count(n->in[i]);
    }
    return true;
}
const kernel cpu_kernel_concat_rows = {concat_rows_forward, concat_rows_backward};

/* Copies `rows` runs of `cols` values between matrices whose rows are `from_row` and `to_row` values long. */
static void copy_cols(real *to, int64_t to_row, const real *from, int64_t from_row, int64_t rows, int64_t cols,
                      bool add) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * to_row + c] = (add ? to[r * to_row + c] : 0) + from[r * from_row + c];
}

static bool concat_cols_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1], first = n->in[0]->shape[1], second = cols - first;
    copy_cols(n->out->data, cols, n->in[0]->data, first, rows, first, false);
    copy_cols(n->out->data + first, cols, n->in[1]->data, second, rows, second, false);
    return true;
}

static bool concat_cols_backward(backend *b, node *n) {
    (void)b;
    const real *g = n->out->grad;
    for (int i = 0; i < 2; i++) {
        tensor *x = n->in[i];
        int64_t cols = x->shape[1];
        if (wants_grad(x)) {
            copy_cols(x->grad, cols, g, n->out->shape[1], x->shape[0], cols, x->grad_ready);
            grad_done(x);
        }
        g += cols;
    }
    return true;
}
const kernel cpu_kernel_concat_cols = {concat_cols_forward, concat_cols_backward};

static bool reshape_forward(backend *b, node *n) {
    (void)b;
    memcpy(n->out->data, n->in[0]->data, (size_t)tensor_count(n->out) * sizeof(real));
    return true;
}

static bool reshape_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    copy_cols(x->grad, count, n->out->grad, count, 1, count, x->grad_ready);
    grad_done(x);
    return true;
}
const kernel cpu_kernel_reshape = {reshape_forward, reshape_backward};

/* Every peer computes what follows alike, so each has the whole gradient and takes its own rows of it. */
static bool gather_rows_forward(backend *b, node *n) {
    int64_t groups = n->with.gather.groups, count = n->with.gather.peers, values = tensor_count(n->in[0]);
    int64_t part = values / groups; /* a group's values of one peer */
    real *all = b->allocate(b, (size_t)(values * count) * sizeof *all);
    if (!all) return cpu_fail(b, "out of memory");
    bool done = b->peers->gather(b->peers, n->in[0]->data, all, (size_t)values * sizeof *all);
    for (int64_t g = 0; done && g < groups; g++)
        for (int64_t r = 0; r < count; r++)
            memcpy(n->out->data + (g * count + r) * part, all + r * values + g * part, (size_t)part * sizeof *all);
    b->release(b, all);
    return done || cpu_fail(b, "the other processes cannot be reached");
}

static bool gather_rows_backward(backend *b, node *n) {
    (void)b;
    int64_t groups = n->with.gather.groups, rows = n->in[0]->shape[0] / groups;
    int64_t part = rows * n->in[0]->shape[1];
    start_grad(n->in[0]);
    for (int64_t g = 0; g < groups; g++)
        add_rows(n->in[0], g * rows, n->out->grad + (g * n->with.gather.peers + n->with.gather.rank) * part, rows);
    return true;
}
const kernel cpu_kernel_gather_rows = {gather_rows_forward, gather_rows_backward};

/* y = x/max(‖x‖, ε) per row; dx = (g − y·⟨g, y⟩)/‖x‖, or g/ε where the floor held. Saved: max(‖x‖, ε). ---------------
 */

static const double NORM_FLOOR = 1e-12;

static bool l2_normalize_forward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
#pragma omp parallel for schedule(static) if (rows * cols > 32768)
    for (int64_t r = 0; r < rows; r++) {
        const real *x = n->in[0]->data + r * cols;
        real *y = n->out->data + r * cols;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < cols; c++) sum += (double)x[c] * (double)x[c];
        double norm = sqrt(sum) > NORM_FLOOR ? sqrt(sum) : NORM_FLOOR;
        const real inverse = (real)(1 / norm);
        for (int64_t c = 0; c < cols; c++) y[c] = x[c] * inverse;
        n->saved[0][r] = (real)norm;
    }
    return true;
}

static bool l2_normalize_backward(backend *b, node *n) {
    (void)b;
    int64_t rows = n->out->shape[0], cols = n->out->shape[1];
    const bool add = n->in[0]->grad_ready;
#pragma omp parallel for schedule(static) if (rows * cols > 32768)
    for (int64_t r = 0; r < rows; r++) {
        const real *y = n->out->data + r * cols, *g = n->out->grad + r * cols, norm = n->saved[0][r];
        real *to = n->in[0]->grad + r * cols;
        double dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < cols; c++) dot += (double)g[c] * (double)y[c];
        const real along = norm > (real)NORM_FLOOR ? (real)dot : 0, inverse = 1 / norm;
        for (int64_t c = 0; c < cols; c++) to[c] = (add ? to[c] : 0) + (g[c] - y[c] * along) * inverse;
    }
    grad_done(n->in[0]);
    return true;
}
const kernel cpu_kernel_l2_normalize = {l2_normalize_forward, l2_normalize_backward};
