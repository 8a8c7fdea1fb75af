#include "engine/traffic.h"
#include "engine/backend.h"

double traffic_of(backend *b, const tensor *x) {
    if (!x) return 0;
    tensor shape = *x; /* layout() sets a tensor's lanes */
    return (double)b->layout(b, &shape) * (double)tensor_value_size(x);
}

static double saved_of(const node *n) {
    double bytes = 0;
    for (int i = 0; i < OP_SAVED; i++) bytes += (double)n->saved_count[i] * sizeof(real);
    return bytes;
}

static double forward_of(backend *b, const node *n) {
    double bytes = traffic_of(b, n->out) + saved_of(n);
    for (int i = 0; i < n->inputs; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++) seen = seen || n->in[k] == n->in[i];
        if (!seen) bytes += traffic_of(b, n->in[i]);
    }
    return bytes;
}

/* Written, and read before where something is there already. */
static double gradient_of(backend *b, const tensor *x) {
    if (!x || !x->requires_grad) return 0;
    return traffic_of(b, x) * (x->grad_ready ? 2 : 1);
}

/* Whether backward is two products, one for each factor. */
static bool is_product(const node *n) { return op_rules[n->op]->flops && n->inputs > 1 && n->op != OP_feed_forward; }

static double backward_of(backend *b, const node *n) {
    double bytes = saved_of(n);
    unsigned keeps = op_keeps(n);
    bool product = is_product(n);
    if (product)
        for (int i = 0; i < 2; i++)
            if (n->in[i]->requires_grad) bytes += traffic_of(b, n->out) + traffic_of(b, n->in[1 - i]);
    if (!product) bytes += traffic_of(b, n->out);
    for (int i = 0; i < n->inputs; i++) {
        if (!product && keeps & KEEP_IN(i)) bytes += traffic_of(b, n->in[i]);
        bytes += gradient_of(b, n->in[i]);
    }
    if (keeps & KEEP_OUT) bytes += traffic_of(b, n->out);
    return bytes;
}

void traffic_add(traffic *to, backend *b, const node *n, op_pass pass) {
    op_traffic *op = &to->ops[n->op];
    double least = pass == PASS_BACKWARD ? backward_of(b, n) : forward_of(b, n);
    op->moved += least + b->reads_again(b, n, pass);
    op->least += pass == PASS_AGAIN ? 0 : least;
    op->passes++;
}
