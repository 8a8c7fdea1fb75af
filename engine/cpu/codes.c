/*
 * Products with a dictionary of codes, block by block, for each way of storing one: a BLAS product, looked-up sums of
 * signs, or fast Walsh-Hadamard transforms. Rows of H are shared out among threads, sums run over blocks in order: for
 * signs and Hadamard codes the same bits for any number of threads.
 */
#include "engine/cpu/codes.h"
#include "engine/cpu/gemm_brief.h"
#include "engine/cpu/signs.h"
#include "engine/cpu/tiles.h"

#include <cblas.h>
#include <omp.h>
#include <string.h>

/* A block of Z is to lie in the last-level cache, and be wide enough for a product to run at full speed. */
enum { BLOCK_VALUES = 1 << 21, BLOCK_LEAST = 512, BLOCK_MOST = 8192 };

static int64_t block_of(int64_t rows, int64_t order) {
    int64_t block = BLOCK_LEAST;
    while (block < BLOCK_MOST && 2 * block * rows <= BLOCK_VALUES) block *= 2;
    return block > order ? block : order; /* both powers of two */
}

bool code_product_begin(code_product *p, backend *b, const node *n) {
    const tensor *h = n->in[0], *values = n->in[1];
    *p = (code_product){.backend = b,
                        .kind = n->with.codes.kind,
                        .rows = h->shape[0],
                        .features = h->shape[1],
                        .codes = n->with.codes.count,
                        .place = n->with.codes.place,
                        .held = values->shape[1],
                        .order = n->with.codes.kind == CODES_HADAMARD ? values->shape[1] : 0,
                        .values = values,
                        .position = n->in[2],
                        .alpha = (real)n->with.codes.alpha,
                        .h = h->data};
    p->block = block_of(p->rows, p->order);
    int64_t longest = p->block > p->features ? p->block : p->features;
    p->per_thread = p->kind == CODES_SIGNS ? signs_scratch(longest) : p->kind == CODES_HADAMARD ? p->order : 0;
    if (p->per_thread) p->scratch = b->allocate(b, (size_t)(p->per_thread * omp_get_max_threads()) * sizeof(real));
    if (p->per_thread && !p->scratch) return cpu_fail(b, "out of memory");
    if (!p->position) return true;
    size_t bytes = (size_t)(p->rows * p->order) * sizeof(real);
    p->placed = b->allocate(b, bytes);
    if (!p->placed) return cpu_fail(b, "out of memory");
    memset(p->placed, 0, bytes);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t k = 0; k < p->features; k++)
            p->placed[r * p->order + (int64_t)p->position->data[k]] = h->data[r * p->features + k];
    p->h = p->placed;
    return true;
}

void code_product_end(code_product *p) {
    if (!p->backend) return;
    p->backend->release(p->backend, p->scratch);
    p->backend->release(p->backend, p->placed);
    p->backend->release(p->backend, p->sum);
    *p = (code_product){0};
}

/* Transforms ------------------------------------------------------------------------------------------------------ */

/* A last block of `count` codes needs a transform of the next power of two only: below it, bits above it do not
 * count. */
static int64_t length_for(const code_product *p, int64_t count) {
    int64_t length = p->order;
    while (length / 2 >= count) length /= 2;
    return length;
}

/* One row and one diagonal: z (count) = α·H_F (d ∘ h). */
static void transform(const code_product *p, const real *h, const real *d, int64_t count, real *z, real *scratch) {
    int64_t order = p->order, length = length_for(p, count);
    real *x = count == order ? z : scratch;
    const real alpha = p->alpha;
#pragma omp simd
    for (int64_t k = 0; k < length; k++) x[k] = alpha * d[k] * h[k];
    for (int64_t from = length; from < order; from += length)
#pragma omp simd
        for (int64_t k = 0; k < length; k++) x[k] += alpha * d[from + k] * h[from + k];
    hadamard_transform(x, length);
    if (x != z) memcpy(z, x, (size_t)count * sizeof *z);
}

/* Its transpose: to (F) += α·d ∘ (H_F dz). */
static void transform_back(const code_product *p, const real *dz, const real *d, int64_t count, real *to,
                           real *scratch) {
    int64_t order = p->order, length = length_for(p, count);
    const real alpha = p->alpha;
    memcpy(scratch, dz, (size_t)count * sizeof *dz);
    memset(scratch + count, 0, (size_t)(length - count) * sizeof *scratch);
    hadamard_transform(scratch, length);
    for (int64_t from = 0; from < order; from += length)
#pragma omp simd
        for (int64_t k = 0; k < length; k++) to[from + k] += alpha * d[from + k] * scratch[k];
}

static real *own_scratch(const code_product *p) { return p->scratch + omp_get_thread_num() * p->per_thread; }

/* Products -------------------------------------------------------------------------------------------------------- */

/* In bfloat16: W's columns from code `first` on (f, count), or turned (count, f). */
static operand block_of_codes(const code_product *p, int64_t first, bool turn) {
    first += p->place;
    if (p->kind == CODES_DENSE) {
        const operand columns = rows_of(p->values->data + first, p->held, false);
        return turn ? turned(columns) : columns;
    }
    const packing words = packing_of(p->values, turn);
    return (operand){words.words + (turn ? first / WORD * words.wide : first), words.wide, 1, false, true};
}

/* Where it is faster: without tiles a dictionary would be rounded and widened again for nothing. */
static bool multiplies_brief(const code_product *p) {
#ifdef TILES_BUILT
    return p->backend->bfloat16 && (p->kind == CODES_DENSE || (p->kind == CODES_SIGNS && p->backend->tiles));
#else
    (void)p;
    return false;
#endif
}

bool code_product_forward(const code_product *p, int64_t first, int64_t count, real *z, int64_t ld) {
    if (multiplies_brief(p)) {
        const operand h = rows_of(p->h, p->features, false), logits = rows_of(z, ld, false);
        return gemm_brief(p->backend, &(brief_product){p->rows, count, p->features, h, block_of_codes(p, first, false),
                                                       p->alpha, false, logits, NULL});
    }
    if (p->kind == CODES_SIGNS) {
        signs_product(p->values, false, p->rows, p->h, p->features, 0, p->features, p->place + first, count, p->alpha,
                      false, z, ld, p->scratch, p->per_thread, p->backend->bfloat16);
    } else if (p->kind == CODES_DENSE) {
        cblas_rgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)p->rows, (blasint)count, (blasint)p->features,
                    p->alpha, p->h, (blasint)p->features, p->values->data + p->place + first, (blasint)p->held, 0, z,
                    (blasint)ld);
    } else {
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t at = 0; at < count; at += p->order)
                transform(p, p->h + r * p->order, p->values->data + p->place + first + at,
                          smaller(p->order, count - at), z + r * ld + at, own_scratch(p));
    }
    return true;
}

bool code_product_gradient_begin(code_product *p, bool add, real *to) {
    if (!add) memset(to, 0, (size_t)(p->rows * p->features) * sizeof *to);
    if (!p->position) return true;
    size_t bytes = (size_t)(p->rows * p->order) * sizeof(real);
    p->sum = p->backend->allocate(p->backend, bytes);
    if (!p->sum) return cpu_fail(p->backend, "out of memory");
    memset(p->sum, 0, bytes);
    return true;
}

bool code_product_gradient(const code_product *p, int64_t first, int64_t count, const real *dz, int64_t ld, real *to) {
    if (multiplies_brief(p)) {
        const operand slopes = rows_of(dz, ld, false), dh = rows_of(to, p->features, false);
        return gemm_brief(p->backend, &(brief_product){p->rows, p->features, count, slopes,
                                                       block_of_codes(p, first, true), p->alpha, true, dh, NULL});
    }
    if (p->kind == CODES_SIGNS) {
        signs_product(p->values, true, p->rows, dz, ld, p->place + first, count, 0, p->features, p->alpha, true, to,
                      p->features, p->scratch, p->per_thread, p->backend->bfloat16);
    } else if (p->kind == CODES_DENSE) {
        cblas_rgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)p->rows, (blasint)p->features, (blasint)count,
                    p->alpha, dz, (blasint)ld, p->values->data + p->place + first, (blasint)p->held, 1, to,
                    (blasint)p->features);
    } else {
        real *sum = p->sum ? p->sum : to;
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t at = 0; at < count; at += p->order)
                transform_back(p, dz + r * ld + at, p->values->data + p->place + first + at,
                               smaller(p->order, count - at), sum + r * p->order, own_scratch(p));
    }
    return true;
}

void code_product_gradient_end(const code_product *p, real *to) {
    if (!p->sum) return;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t k = 0; k < p->features; k++)
            to[r * p->features + k] += p->sum[r * p->order + (int64_t)p->position->data[k]];
}

bool code_product_weights(const code_product *p, int64_t first, int64_t count, const real *dz, int64_t ld, bool add,
                          real *dw) {
    if (multiplies_brief(p)) {
        const operand h = turned(rows_of(p->h, p->features, false)), slopes = rows_of(dz, ld, false);
        return gemm_brief(p->backend, &(brief_product){p->features, count, p->rows, h, slopes, p->alpha, add,
                                                       rows_of(dw + first, p->codes, false), NULL});
    }
    cblas_rgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)p->features, (blasint)count, (blasint)p->rows,
                p->alpha, p->h, (blasint)p->features, dz, (blasint)ld, add ? 1 : 0, dw + first, (blasint)p->codes);
    return true;
}

/* The op: logits as a matrix -------------------------------------------------------------------------------------- */

static bool code_logits_forward(backend *b, node *n) {
    code_product p;
    bool ok = code_product_begin(&p, b, n);
    for (int64_t first = 0; ok && first < p.codes; first += p.block)
        ok = code_product_forward(&p, first, smaller(p.block, p.codes - first), n->out->data + first, p.codes);
    code_product_end(&p);
    return ok;
}

static bool code_logits_backward(backend *b, node *n) {
    tensor *h = n->in[0], *w = n->in[1];
    const real *g = n->out->grad;
    code_product p;
    bool ok = code_product_begin(&p, b, n);
    ok = ok && (!wants_grad(h) || code_product_gradient_begin(&p, h->grad_ready, h->grad));
    for (int64_t first = 0; ok && first < p.codes; first += p.block) {
        int64_t count = smaller(p.block, p.codes - first);
        ok = (!wants_grad(h) || code_product_gradient(&p, first, count, g + first, p.codes, h->grad)) &&
             (!wants_grad(w) || code_product_weights(&p, first, count, g + first, p.codes, w->grad_ready, w->grad));
    }
    if (ok && wants_grad(h)) {
        code_product_gradient_end(&p, h->grad);
        grad_done(h);
    }
    if (ok && wants_grad(w)) grad_done(w);
    code_product_end(&p);
    return ok;
}
const kernel cpu_kernel_code_logits = {code_logits_forward, code_logits_backward};
