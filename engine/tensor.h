/*
 * A tensor: a shape, a place in the backend's memory, and what the tape needs to know to give that memory back in time.
 * There are two worlds. Images (N,H,W,C) have a memory layout that belongs to the backend; plain tensors (matrices,
 * weights) are row-major. Nothing above engine/backend.h looks behind `data`: ask for a copy with tensor_read.
 */
#ifndef MEWS_TENSOR_H
#define MEWS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The engine computes in single precision; tests compile it in double to hold gradients against finite differences. */
#ifdef MEWS_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* Signs are a matrix of ±1 that the backend packs into bits: only ops on codes take one. */
typedef enum tensor_kind { TENSOR_PLAIN, TENSOR_IMAGES, TENSOR_SIGNS } tensor_kind;

typedef struct tensor {
    tensor_kind kind;
    int rank;           /* plain: 2 for matrices (rows, cols), 4 for convolution weights (out, in, height, width) */
    int64_t shape[4];   /* images: N, H, W, C */
    int lanes;          /* images: channels that lie side by side in memory; the backend's business */
    real *data, *grad;  /* the backend's memory */
    bool bfloat16;      /* both hold bfloat16, two bytes a value, rather than reals */
    bool requires_grad; /* a gradient may flow into it */
    bool grad_ready;    /* `grad` holds a value: add to it rather than write */
    bool held;          /* parameters: its gradient was taken away, so that it stays as it is for a step */
    bool lasting;       /* parameters and buffers: not the tape's to release */
    int uses;           /* backward steps that still need `data` */
    int unmet;          /* parameters, while a backward pass is followed: steps that may still add to `grad` */
    struct node *maker; /* the recorded op that can make `data` again; NULL for leaves */
} tensor;

static inline int64_t tensor_count(const tensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= t->shape[i];
    return count;
}
/* Bytes of one value in memory. */
static inline size_t tensor_value_size(const tensor *t) { return t->bfloat16 ? sizeof(uint16_t) : sizeof(real); }

static inline int64_t tensor_rows(const tensor *t) { return t->shape[0]; }
static inline int64_t tensor_cols(const tensor *t) { return t->shape[1]; }

#endif
