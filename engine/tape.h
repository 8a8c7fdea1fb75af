/*
 * The tape: ops write themselves down as they run, and tape_backward walks back over them. All memory comes from the
 * backend's pool; a value is given back as soon as its last backward use has passed, and the same blocks serve the next
 * step. Errors stick: the first failed op keeps its message with the op's name and the caller's file and line, later
 * ops do nothing and return NULL, and one tape_check at the end reports it.
 */
#ifndef MEWS_TAPE_H
#define MEWS_TAPE_H

#include "engine/backend.h"

typedef struct tape tape;

tape *tape_create(backend *b, error *err);
void tape_destroy(tape *t);
backend *tape_backend(const tape *t);
void tape_reset(tape *t);         /* forgets every op and tensor of the last step */
double tape_flops(const tape *t); /* operations in convolutions and products since the last reset */

/* Bytes that ops move are added to `to`, which stays the caller's and has to last; NULL: they are not counted. */
void tape_count_traffic(tape *t, traffic *to);

/* Values from the host: pixels (n,h,w,c), or a matrix (rows, cols). No gradient flows into them unless asked. */
tensor *tape_images(tape *t, const float *pixels, int64_t n, int64_t h, int64_t w, int64_t c);
tensor *tape_matrix(tape *t, const float *values, int64_t rows, int64_t cols);
void tape_require_grad(tensor *x);

/* d loss / d everything that requires a gradient; loss is 1×1. Adds to gradients of parameters that hold one.
   Once between resets. */
void tape_backward(tape *t, tensor *loss);

/*
 * Who follows a backward pass. `done` hears of every lasting tensor that requires a gradient once no op that is left
 * adds to it: it may be read from then on, and written after tape_backward. `between` is called after each op.
 */
typedef struct tape_follower {
    void (*done)(void *context, tensor *x);
    void (*between)(void *context);
    void *context;
} tape_follower;

/* NULL: nobody. The follower stays the caller's, and has to last. */
void tape_follow(tape *t, const tape_follower *follower);

/* While off, ops run but are not recorded. Returns what it was. */
bool tape_set_recording(tape *t, bool on);

/* While off, BatchNorm that normalises by a batch's statistics leaves its running ones as they are. Returns what it
   was. */
bool tape_set_statistics(tape *t, bool moving);
bool tape_moves_statistics(const tape *t);

/* The same values, through which no gradient flows. */
tensor *tape_stop_gradient(tape *t, tensor *x);

/* Writes a value over a buffer or parameter of the same shape, outside the record: a queue, a centre, normalised
   weights. Backward passes that still want the old values would read the new ones: assign before they are used. */
void tape_assign(tape *t, tensor *lasting, const tensor *value);

/*
 * What goes by in a network, told to whoever listens: `hear` may read the value and run ops on it, but not keep it. A
 * layer's value is images (N,H,W,C), a row a sample (N, d), or a row a token (N·T, d). Where `heads` is not 0 it is
 * what a layer's attention reads instead: q, k and v (N·T, 3d), as op_attention takes them.
 */
typedef struct tape_layer {
    tensor *value;
    int64_t samples, patches; /* of tokens: N, and how many of a sample's stand for patches, which come last */
    bool class_token;         /* the first of a sample's tokens represents it */
    int64_t heads;
} tape_layer;
typedef struct tape_listener {
    void (*hear)(void *context, tape *t, const char *name, const tape_layer *layer);
    void *context;
} tape_listener;

/* NULL: nobody. The listener stays the caller's, and has to last. */
void tape_listen(tape *t, const tape_listener *listener);

bool tape_has_listener(const tape *t);

/* Networks tell of their layers as they are computed, under a name like "layer1.0"; nothing happens where nobody
   listens. */
void tape_tell(tape *t, tape_layer layer, const char *name, ...) __attribute__((format(printf, 3, 4)));

/* Gives back what unrecorded ops have made since tape_mark, all but `keep`: a teacher's activations. */
size_t tape_mark(const tape *t);
void tape_release(tape *t, size_t mark, const tensor *keep);

/* Gives back a value that no later op of the forward pass will read, through a stopped gradient or not. Backward makes
   it again, bit for bit, from its op's inputs where it needs it: memory for the price of a second forward of that op.
 */
void tape_forget(tape *t, tensor *x);

/* Keeps a value (not its gradient) until tape_reset, past its last backward use. */
void tape_keep(tensor *x);

void tape_read(tape *t, const tensor *x, float *host);      /* rows×cols, or N,H,W,C */
void tape_read_grad(tape *t, const tensor *x, float *host); /* of a leaf, after tape_backward */
double tape_scalar(tape *t, const tensor *x);               /* of a 1×1 tensor; NaN on a failed tape */

/* Memory that ran out between ops, told as an op's own failure is: bytes, for what. Returns NULL. */
tensor *tape_out_of_memory(tape *t, size_t bytes, const char *what);

bool tape_check(tape *t, error *err); /* reports the first error, if any, and clears it */

/* Used by the ops' constructors: where the caller stands, then one op. */
tape *tape_at(tape *t, const char *file, int line);
tensor *tape_apply(tape *t, op_id op, op_attributes with, int inputs, tensor *const *in);

#endif
