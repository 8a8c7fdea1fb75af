/*
 * Views lie below each other, n rows each, n being the rows of the assignment they are held against.
 */
#include "methods/multi_crop.h"

tensor *multi_crop_cross_entropy(tape *t, tensor *sum, tensor *log_q, tensor *log_p, int skip) {
    if (!log_q || !log_p) return NULL;
    int64_t n = tensor_rows(log_q), views = tensor_rows(log_p) / n;
    for (int64_t v = 0; v < views; v++) {
        if (v == skip) continue;
        tensor *one = op_soft_cross_entropy(t, log_q, op_slice_rows(t, log_p, v * n, n));
        sum = sum ? op_add(t, sum, one) : one;
    }
    return sum;
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
