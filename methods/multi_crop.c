/*
 * Views lie below each other, n rows each, n being the rows of the assignment they are held against.
 */
#include "methods/multi_crop.h"

/* sum + H(q, p_v) over the views of log_p, all but view `skip` (−1: none); `sum` is NULL to begin with. */
static tensor *add_cross_entropies(tape *t, tensor *sum, tensor *log_q, tensor *log_p, int skip) {
    if (!log_q || !log_p) return NULL;
    int64_t n = tensor_rows(log_q), views = tensor_rows(log_p) / n;
    for (int64_t v = 0; v < views; v++) {
        if (v == skip) continue;
        tensor *one = op_soft_cross_entropy(t, log_q, op_slice_rows(t, log_p, v * n, n));
        sum = sum ? op_add(t, sum, one) : one;
    }
    return sum;
}

tensor *multi_crop_cross_entropy(const method_model *m, tape *t, tensor *const *log_q, tensor *log_p, tensor *local) {
    tensor *sum = NULL;
    for (int i = 0; i < m->views; i++) {
        sum = add_cross_entropies(t, sum, log_q[i], log_p, i);
        if (local) sum = add_cross_entropies(t, sum, log_q[i], local, -1);
    }
    return op_scale(t, sum, 1.0 / (m->views * (m->views - 1 + m->locals)));
}

tensor *multi_crop_project(method_model *m, const method_context *context, tape *t, tensor *representations,
                           multi_crop_head head, tensor **local) {
    *local = NULL;
    if (!context->local) return head(m, t, representations, method_groups(m));
    if (m->batchnorm != BATCHNORM_ALL) {
        tensor *global = head(m, t, representations, method_groups(m));
        *local = head(m, t, context->local, method_local_groups(m));
        return global;
    }
    int64_t global = (int64_t)m->views * m->pairs, rest = (int64_t)m->locals * m->pairs;
    tensor *all = head(m, t, op_concat_rows(t, representations, context->local), 1);
    *local = op_slice_rows(t, all, global, rest);
    return op_slice_rows(t, all, 0, global);
}

/* sum + the mean of (z_v − μ)² of every view of z, n rows each. */
static tensor *add_distances(tape *t, tensor *sum, tensor *z, tensor *center, int views, int n) {
    for (int v = 0; v < views; v++) {
        tensor *one = op_mean_squares(t, op_sub(t, center, op_slice_rows(t, z, (int64_t)v * n, n)));
        sum = sum ? op_add(t, sum, one) : one;
    }
    return sum;
}

tensor *multi_crop_center_distance(const method_model *m, tape *t, tensor *global, tensor *local) {
    int n = m->pairs, views = m->views + (local ? m->locals : 0);
    tensor *center = op_slice_rows(t, global, 0, n);
    for (int v = 1; v < m->views; v++) center = op_add(t, center, op_slice_rows(t, global, (int64_t)v * n, n));
    center = op_scale(t, center, 1.0 / m->views);
    tensor *sum = add_distances(t, NULL, global, center, m->views, n);
    if (local) sum = add_distances(t, sum, local, center, m->locals, n);
    return op_scale(t, sum, 1.0 / views);
}
