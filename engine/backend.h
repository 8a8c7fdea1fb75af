/*
 * The seam between what is computed and on what. A backend owns memory and fills a table of kernels indexed by op, and
 * a few whole-parameter updates for optimisers. Everything above asks for copies and never looks behind tensor.data.
 * A kernel's forward writes n->out->data; its backward reads n->out->grad and, for each input that requires a gradient,
 * writes in->grad, or adds to it when in->grad_ready. A backend with a missing row cannot run that op: the tape says
 * so.
 */
#ifndef MEWS_BACKEND_H
#define MEWS_BACKEND_H

#include "engine/error.h"
#include "engine/op.h"
#include "engine/peers.h"
#include "engine/traffic.h"

typedef struct backend backend;

typedef struct kernel {
    bool (*forward)(backend *b, node *n); /* false: out of memory or a library's refusal; backend_failure says which */
    bool (*backward)(backend *b, node *n);
} kernel;

/* One step of an optimiser for one parameter; the formulas stand in engine/optimizer.h. */
typedef struct update {
    real *value, *first, *second; /* parameter; optimiser state (may be NULL) */
    const real *grad;
    int64_t count;
    double lr, weight_decay, momentum, beta1, beta2, eps, correction1, correction2, trust, grad_scale;
} update;

typedef struct backend_memory {
    uint64_t bytes_held;  /* taken from the system, in use or pooled */
    uint64_t bytes_peak;  /* most that was in use at once */
    uint64_t allocations; /* times the system was asked */
} backend_memory;

struct backend {
    const char *name;
    const char *isa; /* which build of it: engine/isa.h */
    int threads;
    peers *peers;  /* who shares batches with this process, or NULL */
    bool sharded;  /* what is recorded now sees a part of the batch: BatchNorm's statistics are everyone's */
    bool tiles;    /* bfloat16 is multiplied by the processor's tiles (AMX) */
    bool direct;   /* convolutions as direct sums only, at two to three times the cost */
    bool bfloat16; /* what is recorded now stores images and tokens in bfloat16; codes' products take it */
    void *context; /* the backend's own */
    kernel kernels[OP_COUNT];

    void *(*allocate)(backend *b, size_t bytes); /* from the pool; 64-byte aligned; NULL when out of memory */
    void (*release)(backend *b, void *memory);   /* back to the pool */
    backend_memory (*memory)(const backend *b);
    const char *(*failure)(const backend *b); /* why the last kernel returned false */
    void (*destroy)(backend *b);
    /* Bytes that an op's pass reads a second time, where its kernel does; engine/traffic.h. */
    double (*reads_again)(backend *b, const node *n, op_pass pass);
    /* Calls visit for each pass of each shape of convolution that has run, with the name of the kernel that ran it. */
    void (*convolutions)(const backend *b, void (*visit)(void *context, const char *convolution, const char *kernel),
                         void *context);

    /* Number of values behind a tensor, padding of its layout included; chooses `lanes` for images. A value is as
       long as tensor_value_size says. */
    int64_t (*layout)(backend *b, tensor *t);
    void (*write)(backend *b, tensor *t, const float *host); /* images as N,H,W,C; plain tensors row-major */
    void (*read)(backend *b, const tensor *t, float *host);
    /* Rows first … first + count − 1 of a matrix, in order from the first on; for signs, first is a multiple of 32. */
    void (*write_rows)(backend *b, tensor *t, int64_t first, int64_t count, const float *host);
    void (*write_real)(backend *b, real *to, const real *host, int64_t count);
    void (*read_real)(backend *b, real *host, const real *from, int64_t count);
    void (*fill)(backend *b, real *to, double value, int64_t count);
    void (*copy)(backend *b, real *to, const real *from, int64_t count);
    /* to ← keep·to + (1 − keep)·from: a teacher's step */
    void (*average)(backend *b, real *to, const real *from, double keep, int64_t count);

    /* Columns (rows, cols) with cols ≤ rows become orthonormal; of normal numbers, uniformly distributed (Haar). */
    bool (*orthonormalize)(backend *b, float *columns, int64_t rows, int64_t cols);

    double (*sum_squares)(backend *b, const real *x, int64_t count);
    void (*update_sgd)(backend *b, const update *u);
    void (*update_adam)(backend *b, const update *u);  /* weight decay added to the gradient */
    void (*update_adamw)(backend *b, const update *u); /* weight decay apart from the gradient */
};

/* The CPU backend: oneDNN convolutions, OpenBLAS products, OpenMP for the rest. threads 0: threads_default() of
 * engine/threads.h. */
backend *backend_cpu(int threads, error *err);

#endif
