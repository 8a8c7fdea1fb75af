/*
 * Elementwise kernels: activations and arithmetic, each forward beside its backward. Formulas in terms of x (input),
 * y (output) and g (gradient of the loss with respect to y).
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"
#include "engine/cpu/vector_math.h"

#include <math.h>
#include <string.h>

enum { PARALLEL_FROM = 1 << 15 }; /* fewer elements are done sooner by one thread */

/* Constants go by value: a loop that reads them behind a pointer, where the results might land, is not vectorised. */
#define ELEMENTS _Pragma("omp parallel for simd schedule(static) firstprivate(k0, k1) if (count > PARALLEL_FROM)")

/* A unary kernel's loops over values of one storage: BRIEF is a constant wherever they are written out. */
#define UNARY_VALUES(value)                                                                                            \
    ELEMENTS for (int64_t i = 0; i < count; i++) {                                                                     \
        const real x = value_get(in, i, BRIEF);                                                                        \
        value_put(out, i, (value), BRIEF);                                                                             \
    }
#define UNARY_SLOPES(slope)                                                                                            \
    if (add) ELEMENTS for (int64_t i = 0; i < count; i++) {                                                            \
            const real g = value_get(from_g, i, BRIEF);                                                                \
            value_put(to, i, value_get(to, i, BRIEF) + (slope), BRIEF);                                                \
        }                                                                                                              \
    else                                                                                                               \
        ELEMENTS for (int64_t i = 0; i < count; i++) {                                                                 \
            const real g = value_get(from_g, i, BRIEF);                                                                \
            value_put(to, i, (slope), BRIEF);                                                                          \
        }

/* A unary kernel from its constants k0 and k1 and two expressions. */
#define UNARY_KERNEL(name, first, second, value, slope)                                                                \
    static bool name##_forward(backend *b, node *n) {                                                                  \
        (void)b;                                                                                                       \
        int64_t count = tensor_count(n->out);                                                                          \
        const void *in = n->in[0]->data;                                                                               \
        void *out = n->out->data;                                                                                      \
        const real k0 = (real)(first), k1 = (real)(second);                                                            \
        (void)k0, (void)k1;                                                                                            \
        if (n->out->bfloat16) {                                                                                        \
            enum { BRIEF = true };                                                                                     \
            UNARY_VALUES(value)                                                                                        \
        } else {                                                                                                       \
            enum { BRIEF = false };                                                                                    \
            UNARY_VALUES(value)                                                                                        \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    static bool name##_backward(backend *b, node *n) {                                                                 \
        (void)b;                                                                                                       \
        int64_t count = tensor_count(n->out);                                                                          \
        const void *from_x = n->in[0]->data, *from_y = n->out->data, *from_g = n->out->grad;                           \
        void *to = n->in[0]->grad;                                                                                     \
        const bool add = n->in[0]->grad_ready;                                                                         \
        const real k0 = (real)(first), k1 = (real)(second);                                                            \
        (void)from_x, (void)from_y, (void)k0, (void)k1;                                                                \
        if (n->out->bfloat16) {                                                                                        \
            enum { BRIEF = true };                                                                                     \
            UNARY_SLOPES(slope)                                                                                        \
        } else {                                                                                                       \
            enum { BRIEF = false };                                                                                    \
            UNARY_SLOPES(slope)                                                                                        \
        }                                                                                                              \
        grad_done(n->in[0]);                                                                                           \
        return true;                                                                                                   \
    }                                                                                                                  \
    const kernel cpu_kernel_##name = {name##_forward, name##_backward};

#define INPUT value_get(from_x, i, BRIEF)
#define OUTPUT value_get(from_y, i, BRIEF)

UNARY_KERNEL(relu, 0, 0, x<0 ? 0 : x, OUTPUT> 0 ? g : 0) /* NaN stays NaN, for the run to notice */
UNARY_KERNEL(leaky_relu, n->with.leaky.slope, 0, x *(x > 0 ? 1 : k0), g *(INPUT > 0 ? 1 : k0))
UNARY_KERNEL(tanh, 0, 0, fast_tanh(x), g *(1 - OUTPUT * OUTPUT))
UNARY_KERNEL(exp, 0, 0, fast_exp(x), g *OUTPUT)
UNARY_KERNEL(affine, n->with.affine.scale, n->with.affine.shift, x *k0 + k1, g *k0)

#ifdef MEWS_DOUBLE
#define R(function) function
#else
#define R(function) function##f
#endif

UNARY_KERNEL(log, 0, 0, R(log)(x), g / INPUT)
UNARY_KERNEL(sqrt, 0, 0, R(sqrt)(x), OUTPUT == 0 ? 0 : g / (2 * OUTPUT))

UNARY_KERNEL(sin, 0, 0, fast_sin(x), g *fast_cos(INPUT))
UNARY_KERNEL(cos, 0, 0, fast_cos(x), -g *fast_sin(INPUT))
UNARY_KERNEL(abs, 0, 0, x<0 ? -x : x, INPUT> 0 ? g : INPUT < 0 ? -g : 0)

/* x·Φ(x), Φ the normal distribution function; its slope is Φ(x) + x·φ(x). */
static inline real gelu_value(real x) {
    real slope;
    return fast_gelu(x, &slope);
}
static inline real gelu_slope(real x) {
    real slope;
    fast_gelu(x, &slope);
    return slope;
}
UNARY_KERNEL(gelu, 0, 0, gelu_value(x), g *gelu_slope(INPUT))

/* Arithmetic with broadcasting ------------------------------------------------------------------------------------ */

/* Strides that walk a matrix of the result's shape; 0 along a dimension that the operand repeats. */
typedef struct walk {
    int64_t row, col;
} walk;

static walk walk_of(const tensor *x) {
    if (x->rank != 2 || x->kind == TENSOR_IMAGES) return (walk){0, 1}; /* same shape: one long row */

    return (walk){x->shape[0] > 1 ? x->shape[1] : 0, x->shape[1] > 1};
}

static void extent(const tensor *out, int64_t *rows, int64_t *cols) {
    bool matrix = out->rank == 2 && out->kind == TENSOR_PLAIN;
    *rows = matrix ? out->shape[0] : 1;
    *cols = matrix ? out->shape[1] : tensor_count(out);
}

#define BINARY_FORWARD(name, value)                                                                                    \
    static bool name##_forward(backend *back, node *n) {                                                               \
        (void)back;                                                                                                    \
        int64_t rows, cols;                                                                                            \
        extent(n->out, &rows, &cols);                                                                                  \
        walk wa = walk_of(n->in[0]), wb = walk_of(n->in[1]);                                                           \
        const int64_t chunk = rows > 1 ? cols : PARALLEL_FROM, chunks = rows > 1 ? rows : (cols + chunk - 1) / chunk;  \
        _Pragma("omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)") for (int64_t k = 0; k < chunks;  \
                                                                                           k++) {                      \
            int64_t r = rows > 1 ? k : 0, first = rows > 1 ? 0 : k * chunk;                                            \
            int64_t last = first + chunk < cols ? first + chunk : cols;                                                \
            const real *pa = n->in[0]->data + r * wa.row, *pb = n->in[1]->data + r * wb.row;                           \
            real *out = n->out->data + r * cols;                                                                       \
            _Pragma("omp simd") for (int64_t c = first; c < last; c++) {                                               \
                const real a = pa[c * wa.col], b = pb[c * wb.col];                                                     \
                out[c] = (value);                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return true;                                                                                                   \
    }

BINARY_FORWARD(add_reals, a + b)
BINARY_FORWARD(sub, a - b)
BINARY_FORWARD(mul, a *b)
BINARY_FORWARD(div, a / b)

/* d out / d operand at one element, times g. */
static inline real operand_slope(op_id op, int operand, real a, real b, real y, real g) {
    switch (op) {
    case OP_add: return g;
    case OP_sub: return operand ? -g : g;
    case OP_mul: return operand ? g * a : g * b;
    default: return operand ? -g * y / b : g / b; /* div */
    }
}

/* What backward reads and writes of one row; an operand whose values the rule does not keep may be gone, and g, which
   is always there, stands in its place. */
typedef struct row {
    op_id op;
    int operand;
    const real *a, *b, *y, *g;
    int64_t a_step, b_step;
    real *to;
} row;

static row row_of(const node *n, int operand, int64_t r, int64_t cols) {
    walk wa = walk_of(n->in[0]), wb = walk_of(n->in[1]), wx = walk_of(n->in[operand]);
    const real *g = n->out->grad + r * cols;
    row w = {n->op, operand, g, g, g, g, 1, 1, n->in[operand]->grad + r * wx.row};
    if (n->op == OP_mul) w.a = n->in[0]->data + r * wa.row, w.a_step = wa.col;
    if (n->op == OP_mul || n->op == OP_div) w.b = n->in[1]->data + r * wb.row, w.b_step = wb.col;
    if (n->op == OP_div) w.y = n->out->data + r * cols;
    return w;
}

static void row_slopes(row w, int64_t first, int64_t last, bool add) {
#pragma omp simd
    for (int64_t c = first; c < last; c++)
        w.to[c] =
            (add ? w.to[c] : 0) + operand_slope(w.op, w.operand, w.a[c * w.a_step], w.b[c * w.b_step], w.y[c], w.g[c]);
}

/*
 * Gradients sum over the dimensions along which an operand was repeated: rows in order, so the bits do not depend on
 * the number of threads.
 */
static void binary_operand(node *n, int operand) {
    tensor *x = n->in[operand];
    int64_t rows, cols;
    extent(n->out, &rows, &cols);
    walk wx = walk_of(x);
    const bool whole = wx.col && (rows == 1 || wx.row), add = x->grad_ready; /* nothing was repeated */
    if (whole) {
        const int64_t chunk = rows > 1 ? cols : PARALLEL_FROM, chunks = rows > 1 ? rows : (cols + chunk - 1) / chunk;
#pragma omp parallel for schedule(static) if (rows * cols > PARALLEL_FROM)
        for (int64_t k = 0; k < chunks; k++) {
            int64_t first = rows > 1 ? 0 : k * chunk, last = first + chunk < cols ? first + chunk : cols;
            row_slopes(row_of(n, operand, rows > 1 ? k : 0, cols), first, last, add);
        }
        grad_done(x);
        return;
    }
    for (int64_t i = 0; !add && i < tensor_count(x); i++) x->grad[i] = 0;
    for (int64_t r = 0; r < rows; r++) {
        row w = row_of(n, operand, r, cols);
        if (wx.col) {
            row_slopes(w, 0, cols, true);
            continue;
        }
        double sum = 0;
        for (int64_t c = 0; c < cols; c++)
            sum += (double)operand_slope(w.op, operand, w.a[c * w.a_step], w.b[c * w.b_step], w.y[c], w.g[c]);
        w.to[0] += (real)sum;
    }
    grad_done(x);
}

/* Operands in bfloat16 have one shape (op.h). */
static bool add_forward(backend *b, node *n) {
    if (!n->out->bfloat16) return add_reals_forward(b, n);
    const bfloat *x = (const bfloat *)n->in[0]->data, *y = (const bfloat *)n->in[1]->data;
    bfloat *out = (bfloat *)n->out->data;
    const int64_t count = tensor_count(n->out);
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
    for (int64_t i = 0; i < count; i++) out[i] = bfloat_round(bfloat_value(x[i]) + bfloat_value(y[i]));
    return true;
}

static void pass_gradient(const tensor *out, tensor *x) {
    const int64_t count = tensor_count(x);
    const bfloat *g = (const bfloat *)out->grad;
    bfloat *to = (bfloat *)x->grad;
    if (x->grad_ready) {
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FROM)
        for (int64_t i = 0; i < count; i++) to[i] = bfloat_round(bfloat_value(to[i]) + bfloat_value(g[i]));
    } else
        memcpy(to, g, (size_t)count * sizeof *to);
    grad_done(x);
}

static bool binary_backward(backend *b, node *n) {
    (void)b;
    for (int i = 0; i < 2; i++) {
        if (!wants_grad(n->in[i])) continue;
        if (n->out->bfloat16)
            pass_gradient(n->out, n->in[i]);
        else
            binary_operand(n, i);
    }
    return true;
}

const kernel cpu_kernel_add = {add_forward, binary_backward};
const kernel cpu_kernel_sub = {sub_forward, binary_backward};
const kernel cpu_kernel_mul = {mul_forward, binary_backward};
const kernel cpu_kernel_div = {div_forward, binary_backward};
