#include "engine/buckets.h"

#include <stdlib.h>
#include <string.h>

static bool is_ours(const buckets *b, const parameter *one) {
    return one->value.requires_grad && strncmp(one->name, b->prefix, strlen(b->prefix)) == 0;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Begins the sums of full buckets; at the end, of what is left. */
static void begin_sums(buckets *b, bool end) {
    peers *p = b->peers;
    while (!b->lost && b->begun < b->used && (end || b->used - b->begun >= BUCKET_VALUES)) {
        size_t count = least(b->used - b->begun, BUCKET_VALUES);
        b->lost = !p->begin_sum(p, p->mine + b->begun, p->sums + b->begun, count);
        b->begun += count;
    }
}

static void join(buckets *b, tensor *x) {
    backend *from = b->all->backend;
    int64_t count = tensor_count(x);
    from->read_real(from, (real *)(b->peers->mine + b->used), x->grad, count); /* float outside the double build */
    b->queue[b->count++] = x;
    b->used += (size_t)count;
}

static bool is_queued(const buckets *b, const tensor *x) {
    for (size_t i = 0; i < b->count; i++)
        if (b->queue[i] == x) return true;
    return false;
}

static void on_done(void *context, tensor *x) {
    buckets *b = context;
    for (size_t i = 0; x->grad_ready && i < b->all->count; i++)
        if (&b->all->items[i]->value == x && is_ours(b, b->all->items[i])) join(b, x);
}

/* What an op gathers would stand behind the sums that are on their way to the same machines, and everyone would wait
 * for it. So, in a pass that gathers, sums begin right after an op that did: a convolution or two come before the next.
 */
static void on_between(void *context) {
    buckets *b = context;
    uint64_t gathers = b->peers->traffic.gathers;
    bool gathered = gathers != b->gathers;
    b->gathers = gathers;
    b->gathering = b->gathering || gathered;
    if (gathered || !b->gathering) begin_sums(b, false);
    b->lost = b->lost || !b->peers->look(b->peers, false);
}

static bool take_room(peers *p, size_t total, error *err) {
    if (total <= p->room) return true;
    float *mine = realloc(p->mine, total * sizeof *mine);
    if (mine) p->mine = mine;
    float *sums = mine ? realloc(p->sums, total * sizeof *sums) : NULL;
    if (sums) p->sums = sums, p->room = total;
    return sums || error_memory(err, 2 * total * sizeof *sums, "gradients");
}

bool buckets_begin(buckets *b, peers *p, parameters *all, const char *prefix, tape *t, error *err) {
    size_t total = 0;
    *b = (buckets){.peers = p,
                   .tape = t,
                   .all = all,
                   .prefix = prefix,
                   .gathers = p->traffic.gathers,
                   .follower = {on_done, on_between, b}};
    for (size_t i = 0; i < all->count; i++)
        if (is_ours(b, all->items[i])) total += (size_t)tensor_count(&all->items[i]->value);
    if (!take_room(p, total, err)) return false;
    b->queue = malloc((all->count + 1) * sizeof(tensor *));
    if (!b->queue) return error_memory(err, all->count * sizeof(tensor *), "gradients");
    tape_follow(t, &b->follower);
    return true;
}

bool buckets_finish(buckets *b, error *err) {
    peers *p = b->peers;
    for (size_t i = 0; i < b->all->count; i++) {
        tensor *x = &b->all->items[i]->value;
        if (is_ours(b, b->all->items[i]) && x->grad_ready && !is_queued(b, x)) join(b, x);
    }
    begin_sums(b, true);
    b->lost = b->lost || !p->look(p, true);
    const float *from = p->sums;
    for (size_t i = 0; !b->lost && i < b->count; i++) {
        int64_t count = tensor_count(b->queue[i]);
        b->all->backend->write_real(b->all->backend, b->queue[i]->grad, (const real *)from, count);
        from += count;
    }
    return !b->lost || error_set(err, ERROR_RUN, "the gradients could not be summed over %d processes", p->count);
}

void buckets_drop(buckets *b) {
    if (b->tape) tape_follow(b->tape, NULL);
    free(b->queue);
    *b = (buckets){0};
}
