/*
 * The tape keeps nodes and tensors in chunked arenas that are reused from step to step. Whether a value must outlive
 * the forward pass is known from the op's rule (`keeps`): each such use is counted when the op is recorded and taken
 * off when its backward has run; at zero the memory returns to the pool.
 */
#include "engine/tape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arenas -------------------------------------------------------------------------------------------------------- */

enum { CHUNK = 256 };

/* Chunks never move, so pointers to tensors stay good while the arena grows. */
typedef struct arena {
    void **chunks;
    size_t count, chunk_count, item_size;
} arena;

static void *arena_take(arena *a) {
    if (a->count == a->chunk_count * CHUNK) {
        void **grown = realloc(a->chunks, (a->chunk_count + 1) * sizeof *grown);
        if (!grown) return NULL;
        a->chunks = grown;
        void *chunk = malloc(CHUNK * a->item_size);
        if (!chunk) return NULL;
        a->chunks[a->chunk_count++] = chunk;
    }
    void *item = (char *)a->chunks[a->count / CHUNK] + a->count % CHUNK * a->item_size;
    a->count++;
    return memset(item, 0, a->item_size);
}

static void *arena_at(const arena *a, size_t i) { return (char *)a->chunks[i / CHUNK] + i % CHUNK * a->item_size; }

static void arena_free(arena *a) {
    for (size_t i = 0; i < a->chunk_count; i++) free(a->chunks[i]);
    free(a->chunks);
}

struct tape {
    backend *backend;
    arena nodes, tensors;
    bool statistics;        /* running statistics follow the batches */
    bool recording, walked; /* walked: backward has run since the last reset */
    double flops;
    traffic *traffic; /* where it is counted, or NULL */
    const tape_listener *listener;
    const tape_follower *follower;
    error failed;
    const char *file;
    int line;
};

tape *tape_create(backend *b, error *err) {
    tape *t = calloc(1, sizeof *t);
    if (!t) {
        error_memory(err, sizeof *t, "the tape");
        return NULL;
    }
    *t = (tape){.backend = b,
                .nodes.item_size = sizeof(node),
                .tensors.item_size = sizeof(tensor),
                .recording = true,
                .statistics = true,
                .file = "?"};
    return t;
}

/* The same values as reals, where they are stored shorter. */
static tensor *widened(tape *t, tensor *x) {
    return x && x->bfloat16 ? tape_apply(t, OP_widen, (op_attributes){.affine = {0, 0}}, 1, &x) : x;
}

static void give_back(tape *t, real **memory) {
    if (*memory) t->backend->release(t->backend, *memory);
    *memory = NULL;
}

void tape_reset(tape *t) {
    for (size_t i = 0; i < t->nodes.count; i++) {
        node *n = arena_at(&t->nodes, i);
        for (int s = 0; s < OP_SAVED; s++) give_back(t, &n->saved[s]);
    }
    for (size_t i = 0; i < t->tensors.count; i++) {
        tensor *x = arena_at(&t->tensors, i);
        if (!x->lasting) give_back(t, &x->data);
        if (!x->lasting) give_back(t, &x->grad);
    }
    t->nodes.count = t->tensors.count = 0;
    t->flops = 0;
    t->walked = false;
}

void tape_destroy(tape *t) {
    if (!t) return;
    tape_reset(t);
    arena_free(&t->nodes);
    arena_free(&t->tensors);
    free(t);
}

backend *tape_backend(const tape *t) { return t->backend; }

double tape_flops(const tape *t) { return t->flops; }

void tape_count_traffic(tape *t, traffic *to) { t->traffic = to; }

static void count_traffic(tape *t, const node *n, op_pass pass) {
    if (t->traffic) traffic_add(t->traffic, t->backend, n, pass);
}

tape *tape_at(tape *t, const char *file, int line) {
    t->file = file;
    t->line = line;
    return t;
}

bool tape_set_recording(tape *t, bool on) {
    bool was = t->recording;
    t->recording = on;
    return was;
}

bool tape_set_statistics(tape *t, bool moving) {
    bool was = t->statistics;
    t->statistics = moving;
    return was;
}

bool tape_moves_statistics(const tape *t) { return t->statistics; }

tensor *tape_out_of_memory(tape *t, size_t bytes, const char *what) {
    error_memory(&t->failed, bytes, what);
    return NULL;
}

bool tape_check(tape *t, error *err) {
    if (t->failed.code == ERROR_NONE) return true;
    error_set(err, t->failed.code, "%s", t->failed.text);
    t->failed.code = ERROR_NONE;
    return false;
}

static bool failed(const tape *t) { return t->failed.code != ERROR_NONE; }

/* Tensors ------------------------------------------------------------------------------------------------------- */

/* Chooses the layout, too. */
static size_t bytes_behind(const tape *t, tensor *x) {
    return (size_t)t->backend->layout(t->backend, x) * tensor_value_size(x);
}

static tensor *new_tensor(tape *t, tensor_kind kind, int rank, const int64_t *shape, bool bfloat16) {
    tensor *x = arena_take(&t->tensors);
    if (!x) {
        error_memory(&t->failed, CHUNK * sizeof *x, "the tape's tensors");
        return NULL;
    }
    x->kind = kind;
    x->rank = rank;
    x->bfloat16 = bfloat16;
    memcpy(x->shape, shape, (size_t)rank * sizeof *shape);
    size_t bytes = bytes_behind(t, x);
    x->data = t->backend->allocate(t->backend, bytes);
    if (!x->data) {
        error_memory(&t->failed, bytes, "a tensor");
        return NULL;
    }
    return x;
}

static tensor *from_host(tape *t, tensor_kind kind, int rank, const int64_t *shape, const float *host) {
    if (failed(t)) return NULL;
    tensor *x = new_tensor(t, kind, rank, shape, false);
    if (x) t->backend->write(t->backend, x, host);
    return x;
}

tensor *tape_images(tape *t, const float *pixels, int64_t n, int64_t h, int64_t w, int64_t c) {
    return from_host(t, TENSOR_IMAGES, 4, (int64_t[]){n, h, w, c}, pixels);
}

tensor *tape_matrix(tape *t, const float *values, int64_t rows, int64_t cols) {
    return from_host(t, TENSOR_PLAIN, 2, (int64_t[]){rows, cols}, values);
}

void tape_require_grad(tensor *x) {
    if (x) x->requires_grad = true;
}

void tape_keep(tensor *x) {
    if (x) x->uses++;
}

tensor *tape_stop_gradient(tape *t, tensor *x) {
    if (failed(t) || !x) return NULL;
    tensor *view = arena_take(&t->tensors);
    if (!view) {
        error_memory(&t->failed, CHUNK * sizeof *view, "the tape's tensors");
        return NULL;
    }
    *view = *x;
    view->requires_grad = view->grad_ready = false;
    view->grad = NULL;
    view->lasting = true; /* the memory is x's */
    tape_keep(x);
    return view;
}

void tape_forget(tape *t, tensor *x) {
    if (failed(t) || !x || x->lasting) return;
    if (x->maker || (!x->uses && !x->requires_grad)) give_back(t, &x->data);
}

void tape_assign(tape *t, tensor *lasting, const tensor *value) {
    if (failed(t) || !lasting || !value) return;
    int64_t count = tensor_count(lasting);
    if (!lasting->lasting || lasting->kind != TENSOR_PLAIN || value->kind != TENSOR_PLAIN || value->bfloat16 ||
        tensor_count(value) != count || !value->data) {
        error_set(&t->failed, ERROR_RUN, "%lld values cannot be assigned to a tensor of %lld",
                  (long long)tensor_count(value), (long long)count);
        return;
    }
    t->backend->copy(t->backend, lasting->data, value->data, count);
}

void tape_follow(tape *t, const tape_follower *follower) { t->follower = follower; }

void tape_listen(tape *t, const tape_listener *listener) { t->listener = listener; }

bool tape_has_listener(const tape *t) { return t->listener != NULL; }

void tape_tell(tape *t, tape_layer layer, const char *format, ...) {
    char name[64];
    va_list args;
    if (!t->listener || failed(t) || !layer.value) return;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    t->listener->hear(t->listener->context, t, name, &layer);
}

size_t tape_mark(const tape *t) { return t->tensors.count; }

void tape_release(tape *t, size_t mark, const tensor *keep) {
    for (size_t i = mark; i < t->tensors.count; i++) {
        tensor *x = arena_at(&t->tensors, i);
        if (x != keep && !x->lasting && !x->uses && !x->requires_grad) give_back(t, &x->data);
    }
}

void tape_read(tape *t, const tensor *x, float *host) {
    if (failed(t) || !x) return;
    if (!x->data) {
        error_set(&t->failed, ERROR_RUN, "a value was read after the backward pass released it: tape_keep it before");
        return;
    }
    t->backend->read(t->backend, x, host);
}

void tape_read_grad(tape *t, const tensor *x, float *host) {
    if (failed(t) || !x) return;
    tensor as_value = *x;
    as_value.data = x->grad;
    if (x->grad_ready)
        t->backend->read(t->backend, &as_value, host);
    else
        memset(host, 0, (size_t)tensor_count(x) * sizeof *host);
}

double tape_scalar(tape *t, const tensor *x) {
    real value = (real)NAN;
    if (!failed(t) && x) t->backend->read_real(t->backend, &value, x->data, 1);
    return (double)value;
}

/* Forward ------------------------------------------------------------------------------------------------------- */

static tensor *op_failed(tape *t, const node *n, const char *why) {
    char shapes[256] = "";
    size_t used = 0;
    for (int i = 0; i < n->inputs; i++) {
        const tensor *x = n->in[i];
        if (!x) continue;
        for (int k = 0; k < x->rank && used < sizeof shapes - 24; k++)
            used += (size_t)snprintf(shapes + used, sizeof shapes - used, "%s%lld",
                                     k      ? "x"
                                     : used ? ", "
                                            : "",
                                     (long long)x->shape[k]);
    }
    error_set(&t->failed, ERROR_RUN, "op %s at %s:%d: %s (inputs: %s)", op_rules[n->op]->name, n->file, n->line, why,
              shapes);
    return NULL;
}

static bool reserve_saved(tape *t, node *n) {
    for (int s = 0; s < OP_SAVED; s++) {
        if (!n->saved_count[s]) continue;
        n->saved[s] = t->backend->allocate(t->backend, (size_t)n->saved_count[s] * sizeof(real));
        if (!n->saved[s]) return false;
    }
    return true;
}

static void count_uses(node *n, int by) {
    unsigned keeps = op_keeps(n);
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] && keeps & KEEP_IN(i)) n->in[i]->uses += by;
    if (keeps & KEEP_OUT) n->out->uses += by;
}

static bool makes_bfloat16(const tape *t, const node *n) {
    op_makes makes = op_rules[n->op]->makes;
    return makes == MAKES_BFLOAT16 ? t->backend->bfloat16 : makes == MAKES_LIKE_INPUT && n->in[0]->bfloat16;
}

/* Fills in n->out and runs the op; false with a message where it cannot. */
static bool run_forward(tape *t, node *n) {
    const kernel *k = &t->backend->kernels[n->op];
    tensor shape = {.kind = TENSOR_PLAIN};
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] && !n->in[i]->data) return op_failed(t, n, "an input was forgotten or released before") != NULL;
    n->out = &shape;
    const char *why = k->forward ? op_rules[n->op]->shape(n) : "this backend has no kernel for it";
    n->out = NULL;
    if (why) return op_failed(t, n, why) != NULL;
    n->out = new_tensor(t, shape.kind, shape.rank, shape.shape, makes_bfloat16(t, n));
    if (!n->out) return false;
    if (!reserve_saved(t, n)) return op_failed(t, n, "out of memory") != NULL;
    count_traffic(t, n, PASS_FORWARD);
    return k->forward(t->backend, n) || op_failed(t, n, t->backend->failure(t->backend)) != NULL;
}

/* An op that failed, or that nobody walks back over, needs no record. */
static void drop_last(tape *t, node *n) {
    for (int s = 0; s < OP_SAVED; s++) give_back(t, &n->saved[s]);
    t->nodes.count--;
}

/* Inputs as the op takes them. */
static void take_inputs(tape *t, op_id op, int inputs, tensor *const *in, tensor **taken) {
    unsigned brief = op_rules[op]->brief;
    int64_t count = 0; /* of values in the first of those that may be stored so */
    for (int i = 0; i < inputs; i++) {
        if (!in[i] || !(brief & KEEP_IN(i))) continue;
        if (!count) count = tensor_count(in[i]);
        if (!in[i]->bfloat16 || tensor_count(in[i]) != count) brief = 0;
    }
    for (int i = 0; i < inputs; i++) taken[i] = brief & KEEP_IN(i) ? in[i] : widened(t, in[i]);
}

tensor *tape_apply(tape *t, op_id op, op_attributes with, int inputs, tensor *const *in) {
    if (failed(t)) return NULL;
    tensor *taken[OP_INPUTS];
    take_inputs(t, op, inputs, in, taken);
    if (failed(t)) return NULL;
    node *n = arena_take(&t->nodes);
    if (!n) {
        error_memory(&t->failed, CHUNK * sizeof *n, "the tape's ops");
        return NULL;
    }
    *n = (node){.op = op, .inputs = inputs, .with = with, .file = t->file, .line = t->line};
    memcpy(n->in, taken, (size_t)inputs * sizeof *taken);

    if (!run_forward(t, n)) {
        drop_last(t, n);
        return NULL;
    }
    tensor *out = n->out;
    if (op_rules[op]->flops) t->flops += op_rules[op]->flops(n);
    for (int i = 0; i < inputs; i++) out->requires_grad |= n->in[i] && n->in[i]->requires_grad;
    out->requires_grad &= t->recording;
    if (out->requires_grad) {
        count_uses(n, +1);
        out->maker = n;
    } else
        drop_last(t, n);
    return out;
}

/* Backward ------------------------------------------------------------------------------------------------------ */

enum { SMALL = 4096 }; /* values this few are not worth releasing, and their owners may want to read them later */

static void release_if_idle(tape *t, tensor *x) {
    if (x && x->uses == 0 && !x->lasting && tensor_count(x) > SMALL) give_back(t, &x->data);
}

static bool reserve_grad(tape *t, tensor *x) {
    if (x->grad) return true;
    tensor shape = *x;
    size_t bytes = bytes_behind(t, &shape);
    x->grad = t->backend->allocate(t->backend, bytes);
    return x->grad || error_memory(&t->failed, bytes, "a gradient");
}

/* Makes a forgotten value again, and first what its op reads; of that, what was forgotten too is forgotten again, or
   a whole chain of values would stand at once. */
static bool remember(tape *t, tensor *x) {
    if (!x || x->data) return true;
    node *n = x->maker;
    if (!n) {
        error_set(&t->failed, ERROR_RUN,
                  "backward needs a value that was forgotten or released, and no recorded op can "
                  "make it again: tape_keep it");
        return false;
    }
    tensor shape = *x;
    bool gone[OP_INPUTS] = {false};
    for (int i = 0; i < n->inputs; i++) {
        gone[i] = n->in[i] && !n->in[i]->data;
        if (!remember(t, n->in[i])) return false;
    }
    size_t bytes = bytes_behind(t, &shape);
    x->data = t->backend->allocate(t->backend, bytes);
    if (!x->data) return error_memory(&t->failed, bytes, "a tensor");
    n->again = true;
    count_traffic(t, n, PASS_AGAIN);
    if (!t->backend->kernels[n->op].forward(t->backend, n))
        return op_failed(t, n, t->backend->failure(t->backend)) != NULL;
    for (int i = 0; i < n->inputs; i++)
        if (gone[i]) give_back(t, &n->in[i]->data);
    return true;
}

static bool remember_kept(tape *t, node *n) {
    unsigned keeps = op_keeps(n);
    for (int i = 0; i < n->inputs; i++)
        if (keeps & KEEP_IN(i) && !remember(t, n->in[i])) return false;
    return !(keeps & KEEP_OUT) || remember(t, n->out);
}

static bool node_backward(tape *t, node *n) {
    const kernel *k = &t->backend->kernels[n->op];
    if (!k->backward) return op_failed(t, n, "this backend has no backward kernel for it") != NULL;
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] && n->in[i]->requires_grad && !reserve_grad(t, n->in[i])) return false;
    if (!remember_kept(t, n)) return false;
    count_traffic(t, n, PASS_BACKWARD);
    if (!k->backward(t->backend, n)) return op_failed(t, n, t->backend->failure(t->backend)) != NULL;
    for (int i = 0; i < 2 && op_rules[n->op]->flops; i++) { /* attention multiplies parts of its one input */
        const tensor *factor = n->inputs > 1 ? n->in[i] : n->in[0];
        if (factor->requires_grad) t->flops += op_rules[n->op]->flops(n);
    }
    return true;
}

static bool is_followed(const tensor *x) { return x && x->lasting && x->requires_grad; }

/* How many steps back may add to each parameter's gradient: those that it is an input of. */
static void count_unmet(tape *t, int by) {
    for (size_t i = 0; i < t->nodes.count; i++) {
        node *n = arena_at(&t->nodes, i);
        for (int k = 0; k < n->inputs; k++)
            if (is_followed(n->in[k])) n->in[k]->unmet = by ? n->in[k]->unmet + by : 0;
    }
}

static void tell_follower(tape *t, node *n) {
    if (!t->follower) return;
    for (int k = 0; k < n->inputs; k++)
        if (is_followed(n->in[k]) && --n->in[k]->unmet == 0) t->follower->done(t->follower->context, n->in[k]);
    t->follower->between(t->follower->context);
}

void tape_backward(tape *t, tensor *loss) {
    if (failed(t) || !loss) return;
    if (tensor_count(loss) != 1) {
        error_set(&t->failed, ERROR_RUN, "backward needs a 1x1 loss, not %lld values", (long long)tensor_count(loss));
        return;
    }
    if (t->walked) {
        error_set(&t->failed, ERROR_RUN,
                  "backward runs once between resets, since it releases what it has read: add "
                  "the losses up first");
        return;
    }
    if (!loss->requires_grad || !reserve_grad(t, loss)) return;
    t->walked = true;
    t->backend->fill(t->backend, loss->grad, 1, 1);
    loss->grad_ready = true;

    if (t->follower) {
        count_unmet(t, 0);
        count_unmet(t, 1);
    }
    for (size_t i = 0; i < t->nodes.count; i++) release_if_idle(t, ((node *)arena_at(&t->nodes, i))->out);
    for (size_t i = t->nodes.count; i-- > 0 && !failed(t);) {
        node *n = arena_at(&t->nodes, i);
        if (n->out->grad_ready && !node_backward(t, n)) return;
        count_uses(n, -1);
        give_back(t, &n->out->grad);
        n->out->grad_ready = false;
        for (int s = 0; s < OP_SAVED; s++) give_back(t, &n->saved[s]);
        for (int k = 0; k < n->inputs; k++) release_if_idle(t, n->in[k]);
        release_if_idle(t, n->out);
        tell_follower(t, n);
    }
}
