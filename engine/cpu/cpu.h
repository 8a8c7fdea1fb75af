/*
 * Inside the CPU backend: its context, the kernels' table, and how images lie in memory.
 *
 * Images are stored as [n][blocks][pixels][lanes] with channel = block·lanes + lane. With lanes = BLOCK_LANES
 * a pixel of a block is one register, with lanes = C it is NHWC and with lanes = 1 NCHW, so one loop serves all three;
 * a matrix is the case blocks = pixels = 1, lanes = cols.
 */
#ifndef MEWS_CPU_H
#define MEWS_CPU_H

#include "engine/backend.h"

/* Floats in a register of the instruction set that is compiled for. */
#if defined(__AVX512F__)
enum { BLOCK_LANES = 16 };
#elif defined(__AVX2__)
enum { BLOCK_LANES = 8 };
#else
enum { BLOCK_LANES = 4 };
#endif

typedef struct cpu_context {
    struct pool *pool;
    struct conv_plans *plans; /* oneDNN primitives by shape */
    struct conv_notes *notes; /* which kernels computed what */
    char failure[256];
} cpu_context;

typedef struct planes {
    int64_t n, blocks, pixels, lanes;
} planes;

static inline planes planes_of(const tensor *t) {
    if (t->kind == TENSOR_IMAGES)
        return (planes){t->shape[0], t->shape[3] / t->lanes, t->shape[1] * t->shape[2], t->lanes};
    return (planes){t->shape[0], 1, 1, t->rank > 1 ? t->shape[1] : 1};
}

/* Whether backward must produce a gradient for an input. */
static inline bool wants_grad(const tensor *t) { return t && t->requires_grad; }

/* Notes that `t`'s gradient now holds a value. */
static inline void grad_done(tensor *t) { t->grad_ready = true; }

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

bool cpu_fail(backend *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define X(name) extern const kernel cpu_kernel_##name;
OP_LIST(X)
#undef X

/* pool.c: memory that is reused from step to step. */
struct pool *pool_create(void);
void pool_destroy(struct pool *p);
void *pool_allocate(struct pool *p, size_t bytes);
void pool_release(struct pool *p, void *memory);
backend_memory pool_statistics(const struct pool *p);

/* onednn.c */
struct conv_plans *conv_plans_create(error *err);
void conv_plans_destroy(struct conv_plans *plans);

/* conv_notes.c */
struct conv_notes *conv_notes_create(void);
void conv_notes_destroy(struct conv_notes *notes);
void conv_notes_visit(const backend *b, void (*visit)(void *context, const char *convolution, const char *kernel),
                      void *context);

/* linear.c: whether backward goes through the gradient once more for the bias. */
bool cpu_linear_sums_apart(const node *n);

/* batchnorm.c */
double cpu_batchnorm_reads_again(backend *b, const node *n, op_pass pass);

/* update.c */
double cpu_sum_squares(backend *b, const real *x, int64_t count);
void cpu_average(backend *b, real *to, const real *from, double keep, int64_t count);
void cpu_update_sgd(backend *b, const update *u);
void cpu_update_adam(backend *b, const update *u);
void cpu_update_adamw(backend *b, const update *u);

#ifdef MEWS_DOUBLE
#define cblas_rgemm cblas_dgemm
#else
#define cblas_rgemm cblas_sgemm
#endif

#endif
