/*
 * Sorting columns, each by itself; equal values keep their order, so that the bits depend on nothing else, and NaN
 * comes last. The gradient of a sorted value is that of the row it came from, which is what is saved.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>

typedef struct entry {
    real value;
    int32_t row;
} entry;

static int compare(const void *a, const void *b) {
    const entry *x = a, *y = b;
    bool x_nan = isnan(x->value), y_nan = isnan(y->value);
    if (x_nan != y_nan) return x_nan - y_nan;
    if (!x_nan && x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->row - y->row;
}

static bool sort_forward(backend *b, node *n) {
    const int64_t rows = n->out->shape[0], cols = n->out->shape[1];
    bool ok = true;
#pragma omp parallel for schedule(static) reduction(&& : ok) if (rows * cols > 4096)
    for (int64_t c = 0; c < cols; c++) {
        entry *column = malloc((size_t)rows * sizeof *column);
        ok = ok && column;
        if (!column) continue;
        for (int64_t r = 0; r < rows; r++) column[r] = (entry){n->in[0]->data[r * cols + c], (int32_t)r};
        qsort(column, (size_t)rows, sizeof *column, compare);
        for (int64_t r = 0; r < rows; r++) {
            n->out->data[r * cols + c] = column[r].value;
            n->saved[0][r * cols + c] = (real)column[r].row;
        }
        free(column);
    }
    return ok || cpu_fail(b, "out of memory");
}

static bool sort_backward(backend *b, node *n) {
    (void)b;
    tensor *x = n->in[0];
    const int64_t rows = n->out->shape[0], cols = n->out->shape[1];
    const bool add = x->grad_ready;
#pragma omp parallel for schedule(static) if (rows * cols > 32768)
    for (int64_t c = 0; c < cols; c++)
        for (int64_t r = 0; r < rows; r++) {
            real *to = x->grad + (int64_t)n->saved[0][r * cols + c] * cols + c;
            *to = (add ? *to : 0) + n->out->grad[r * cols + c];
        }
    grad_done(x);
    return true;
}
const kernel cpu_kernel_sort = {sort_forward, sort_backward};
