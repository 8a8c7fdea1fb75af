/*
 * The CPU backend: its table of kernels, its memory, and the copies between host arrays and tensors.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/codes.h"
#include "engine/threads.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cpu_fail(backend *b, const char *format, ...) {
    cpu_context *context = b->context;
    va_list args;
    va_start(args, format);
    vsnprintf(context->failure, sizeof context->failure, format, args);
    va_end(args);
    return false;
}

static const char *cpu_failure(const backend *b) { return ((const cpu_context *)b->context)->failure; }

static void *cpu_allocate(backend *b, size_t bytes) { return pool_allocate(((cpu_context *)b->context)->pool, bytes); }

static void cpu_release(backend *b, void *memory) { pool_release(((cpu_context *)b->context)->pool, memory); }

static backend_memory cpu_memory(const backend *b) { return pool_statistics(((const cpu_context *)b->context)->pool); }

/* Blocks of channels where they divide evenly; few channels (pixels) plane by plane; else NHWC. */
static int64_t cpu_layout(backend *b, tensor *t) {
    (void)b;
    if (t->kind == TENSOR_IMAGES) {
        int64_t c = t->shape[3];
        t->lanes = c <= 4 ? 1 : c % BLOCK_LANES == 0 ? BLOCK_LANES : (int)c;
    }
    return t->kind == TENSOR_SIGNS ? signs_layout(t->shape[0], t->shape[1]) : tensor_count(t);
}

static void cpu_write_rows(backend *b, tensor *t, int64_t first, int64_t count, const float *host) {
    (void)b;
    if (t->kind == TENSOR_SIGNS)
        signs_write(t, first, count, host);
    else
        for (int64_t i = 0; i < count * t->shape[1]; i++) t->data[first * t->shape[1] + i] = (real)host[i];
}

static void cpu_write(backend *b, tensor *t, const float *host) {
    if (t->kind == TENSOR_SIGNS) {
        cpu_write_rows(b, t, 0, t->shape[0], host);
        return;
    }
    if (t->kind != TENSOR_IMAGES) {
        for (int64_t i = 0; i < tensor_count(t); i++) t->data[i] = (real)host[i];
        return;
    }
    planes p = planes_of(t);
    int64_t channels = p.blocks * p.lanes;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < p.n; n++)
        for (int64_t k = 0; k < p.blocks; k++) {
            real *to = t->data + (n * p.blocks + k) * p.pixels * p.lanes;
            const float *from = host + n * p.pixels * channels + k * p.lanes;
            for (int64_t i = 0; i < p.pixels; i++)
                for (int64_t l = 0; l < p.lanes; l++) to[i * p.lanes + l] = (real)from[i * channels + l];
        }
}

static void cpu_read(backend *b, const tensor *t, float *host) {
    (void)b;
    if (t->kind == TENSOR_SIGNS) {
        signs_read(t, host);
        return;
    }
    if (t->kind != TENSOR_IMAGES) {
        for (int64_t i = 0; i < tensor_count(t); i++) host[i] = (float)value_get(t->data, i, t->bfloat16);
        return;
    }
    planes p = planes_of(t);
    int64_t channels = p.blocks * p.lanes;
    for (int64_t n = 0; n < p.n; n++)
        for (int64_t k = 0; k < p.blocks; k++) {
            int64_t from = (n * p.blocks + k) * p.pixels * p.lanes;
            float *to = host + n * p.pixels * channels + k * p.lanes;
            for (int64_t i = 0; i < p.pixels; i++)
                for (int64_t l = 0; l < p.lanes; l++)
                    to[i * channels + l] = (float)value_get(t->data, from + i * p.lanes + l, t->bfloat16);
        }
}

/* Q of the columns' QR factors, each column with the sign that makes R's diagonal positive. */
static bool cpu_orthonormalize(backend *b, float *columns, int64_t rows, int64_t cols) {
    (void)b;
    float *tau = malloc((size_t)cols * 2 * sizeof *tau), *sign = tau + cols;
    bool ok = tau &&
              LAPACKE_sgeqrf(LAPACK_ROW_MAJOR, (lapack_int)rows, (lapack_int)cols, columns, (lapack_int)cols, tau) == 0;
    for (int64_t j = 0; ok && j < cols; j++) sign[j] = columns[j * cols + j] < 0 ? -1 : 1;
    ok = ok && LAPACKE_sorgqr(LAPACK_ROW_MAJOR, (lapack_int)rows, (lapack_int)cols, (lapack_int)cols, columns,
                              (lapack_int)cols, tau) == 0;
    for (int64_t i = 0; ok && i < rows * cols; i++) columns[i] *= sign[i % cols];
    free(tau);
    return ok;
}

static void cpu_copy(backend *b, real *to, const real *from, int64_t count) {
    (void)b;
    memcpy(to, from, (size_t)count * sizeof *to);
}

static void cpu_fill(backend *b, real *to, double value, int64_t count) {
    (void)b;
    for (int64_t i = 0; i < count; i++) to[i] = (real)value;
}

/* BatchNorm's sums, and the gradient of a bias where that is a pass of its own. */
static double cpu_reads_again(backend *b, const node *n, op_pass pass) {
    if (n->op == OP_batchnorm) return cpu_batchnorm_reads_again(b, n, pass);
    bool bias = n->op == OP_conv2d || n->op == OP_patch_embed || (n->op == OP_linear && cpu_linear_sums_apart(n));
    return bias && pass == PASS_BACKWARD && wants_grad(n->in[2]) ? traffic_of(b, n->out) : 0;
}

static void cpu_destroy(backend *b) {
    cpu_context *context = b->context;
    if (context) {
        conv_plans_destroy(context->plans);
        conv_notes_destroy(context->notes);
        pool_destroy(context->pool);
    }
    free(context);
    free(b);
}

/* A pthread OpenBLAS keeps a pool of its own that fights OpenMP's for the cores; a sequential one leaves them idle. */
static bool check_blas(error *err) {
    enum { OPENBLAS_IS_OPENMP = 2 };
    if (openblas_get_parallel() == OPENBLAS_IS_OPENMP) return true;
    return error_set(err, ERROR_RUN,
                     "the OpenBLAS that was loaded is not its OpenMP build (it is %s): install libopenblas0-openmp, or "
                     "put its folder first in LD_LIBRARY_PATH",
                     openblas_get_parallel() == 1 ? "the pthread build" : "the sequential build");
}

backend *backend_cpu(int threads, error *err) {
    if (!check_blas(err) || !(threads = threads_use(threads, err))) return NULL;
    backend *b = calloc(1, sizeof *b);
    cpu_context *context = calloc(1, sizeof *context);
    if (!b || !context) {
        error_memory(err, sizeof *b + sizeof *context, "the backend");
        free(b);
        free(context);
        return NULL;
    }
    *b = (backend){
        .name = "cpu",
        .threads = threads,
        .context = context,
        .kernels =
            {
#define X(name) [OP_##name] = cpu_kernel_##name,
                OP_LIST(X)
#undef X
            },
        .allocate = cpu_allocate,
        .release = cpu_release,
        .memory = cpu_memory,
        .failure = cpu_failure,
        .reads_again = cpu_reads_again,
        .convolutions = conv_notes_visit,
        .destroy = cpu_destroy,
        .layout = cpu_layout,
        .write = cpu_write,
        .read = cpu_read,
        .write_rows = cpu_write_rows,
        .orthonormalize = cpu_orthonormalize,
        .write_real = cpu_copy,
        .read_real = cpu_copy,
        .fill = cpu_fill,
        .copy = cpu_copy,
        .average = cpu_average,
        .sum_squares = cpu_sum_squares,
        .update_sgd = cpu_update_sgd,
        .update_adam = cpu_update_adam,
        .update_adamw = cpu_update_adamw,
    };
    context->pool = pool_create();
    context->plans = conv_plans_create(err);
    context->notes = conv_notes_create();
    if (!context->pool || !context->plans || !context->notes) {
        error_memory(err, sizeof(void *), "the backend");
        cpu_destroy(b);
        return NULL;
    }
    return b;
}
