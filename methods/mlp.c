/*
 * A stack of layers as data: mlp_create adds the parameters in the order in which PyTorch's Sequential would hold them,
 * mlp_forward applies them. BatchNorm and the ReLU behind it are one op.
 */
#include "methods/mlp.h"

#include <stdio.h>

/* Linear and what follows it: two places in the Sequential, three with BatchNorm. */
static void layer_name(char *out, size_t size, const char *name, const mlp_shape *s, int layer, int part) {
    snprintf(out, size, "%s.%d", name, layer * (s->without_norm ? 2 : 3) + part);
}

static bool add_linear(mlp *m, parameters *p, const char *name, int layer, error *err) {
    const mlp_shape *s = &m->shape;
    bool last = layer == s->layers - 1;
    int64_t in = layer ? s->hidden : s->in, out = last ? s->out : s->hidden;
    bool biased = last ? !s->without_last_bias : !s->without_bias;
    if (s->deviation == 0)
        return parameters_linear(p, name, in, out, &m->weight[layer], biased ? &m->bias[layer] : NULL, err);
    char part[112];
    snprintf(part, sizeof part, "%s.weight", name);
    m->weight[layer] = parameters_add(p, part, ROLE_WEIGHT, 2, (int64_t[]){out, in}, INIT_NORMAL, s->deviation, err);
    if (!m->weight[layer] || !biased) return m->weight[layer] != NULL;
    snprintf(part, sizeof part, "%s.bias", name);
    m->bias[layer] = parameters_add(p, part, ROLE_BIAS, 2, (int64_t[]){1, out}, INIT_VALUE, 0, err);
    return m->bias[layer] != NULL;
}

mlp_shape mlp_dino_head(int64_t in, int64_t hidden, int64_t out, bool batchnorm) {
    return (mlp_shape){.layers = 3,
                       .in = in,
                       .hidden = hidden,
                       .out = out,
                       .without_norm = !batchnorm,
                       .gelu = true,
                       .deviation = 0.02};
}

bool mlp_create(mlp *m, parameters *p, const char *name, mlp_shape shape, error *err) {
    *m = (mlp){.shape = shape};
    char place[96];
    for (int i = 0; i < shape.layers; i++) {
        bool last = i == shape.layers - 1;
        layer_name(place, sizeof place, name, &shape, i, 0);
        if (!add_linear(m, p, place, i, err)) return false;
        if (last ? shape.last == MLP_LINEAR : shape.without_norm) continue;
        layer_name(place, sizeof place, name, &shape, i, 1);
        if (!parameters_batchnorm(p, place, last ? shape.out : shape.hidden, !last || shape.last == MLP_NORM,
                                  &m->norm[i], err))
            return false;
    }
    return true;
}

tensor *mlp_hidden(const mlp *m, tape *t, tensor *x, int groups, bool training) {
    const mlp_shape *s = &m->shape;
    for (int i = 0; i < s->layers - 1; i++) {
        x = op_linear(t, x, m->weight[i], m->bias[i]);
        bool relu = !s->gelu && s->leak == 0;
        if (!s->without_norm) x = op_batchnorm(t, x, &m->norm[i], NULL, relu, groups, training);
        if (s->gelu)
            x = op_gelu(t, x);
        else if (s->leak > 0)
            x = op_leaky_relu(t, x, s->leak);
        else if (s->without_norm)
            x = op_relu(t, x);
    }
    return x;
}

tensor *mlp_forward(const mlp *m, tape *t, tensor *x, int groups, bool training) {
    int last = m->shape.layers - 1;
    x = op_linear(t, mlp_hidden(m, t, x, groups, training), m->weight[last], m->bias[last]);
    return m->shape.last == MLP_LINEAR ? x : op_batchnorm(t, x, &m->norm[last], NULL, false, groups, training);
}

int mlp_attainable(const mlp *m) {
    const mlp_shape *s = &m->shape;
    int64_t in = s->layers > 1 ? s->hidden : s->in;
    return (int)(in < s->out ? in : s->out);
}
