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
