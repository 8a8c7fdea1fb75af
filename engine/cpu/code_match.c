/*
 * FALCON's loss over blocks of codes. Three passes over the logits Z, which are kept while they fit and otherwise made
 * again for every pass (a transform costs less than the memory's answer, a product more, but a million codes have no
 * choice):
 *
 *   1  rows      running maximum and sum: log Σ_j exp z_ij
 *   2  columns   log p̄_j, a log-sum-exp over the rows of log p_ij = z_ij − log Σ; then the rows' sums X and R or F
 *   3  gradient  dZ in place of Z, and from it dH
 *
 * With weights w for (first, second) view as target: the invariance adds −(w/n)·p_ij·(log p'_ij − X_i) to dz_ij, where
 * X_i = Σ_j p_ij log p'_ij, and −(w/n)·(p_ij − p'_ij) to dz'_ij. The prior adds, reverse, (w/n)·p_ij·(q_j − R_i) with
 * q_j = log(c·p̄_j) and R_i = Σ_j p_ij q_j, or, forward, −(w/nc)·(e_ij − p_ij F_i) with e_ij = exp(log p_ij − log p̄_j)
 * and F_i = Σ_j e_ij.
 *
 * Where the codes are split over peers the passes run over this process' own. After pass 1 the rows' maxima and sums
 * meet, after pass 2 X and R or F, and after pass 3 dH: engine/codes.h says what that sends.
 */
#include "engine/cpu/codes.h"
#include "engine/cpu/vector_math.h"

#include <math.h>

/* STRETCH: columns whose sums are taken in single precision, and that one thread takes at a time. */
enum { STRETCH = 512, PARALLEL_FROM = 1 << 14, VIEWS = 2 };

/* A row in pass 1: Σ_j exp(z_j − most). */
typedef struct running {
    double most, sum;
} running;

/* What is kept for backward: of each row log Σ exp z, X and R (or F); of each view's codes log p̄. */
typedef struct statistics {
    real *log_sum, *cross, *prior; /* (2n) */
    real *log_mean[VIEWS];         /* (c) */
} statistics;

typedef struct match {
    code_product product;
    node *node;
    statistics s;
    peers *peers;     /* who has the other codes, or NULL */
    int64_t n, codes; /* pairs; codes of this process */
    double total;     /* c */
    real *logits;     /* kept (2n, stride), or a block of them */
    int64_t stride;
    bool kept, reverse;
    int priors;    /* views on which the prior acts */
    double weight; /* of each order of the views: 1, or ½ for both */
} match;

static bool begin(match *m, backend *b, node *n) {
    int64_t rows = n->in[0]->shape[0], c = n->with.codes.count;
    real *saved = n->saved[0];
    *m = (match){.node = n,
                 .s = {saved, saved + rows, saved + 2 * rows, {saved + 3 * rows, saved + 3 * rows + c}},
                 .peers = n->with.codes.split ? b->peers : NULL,
                 .n = rows / VIEWS,
                 .codes = c,
                 .total = (double)n->with.codes.total,
                 .logits = n->saved[1],
                 .stride = code_match_stride(c),
                 .kept = n->saved[1] != NULL,
                 .reverse = n->with.codes.reverse,
                 .priors = n->with.codes.symmetric ? 2 : 1,
                 .weight = n->with.codes.symmetric ? 0.5 : 1};
    if (!code_product_begin(&m->product, b, n)) return false;
    if (m->kept) return true;
    m->stride = code_match_stride(smaller(m->product.block, c));
    m->logits = b->allocate(b, (size_t)(rows * m->stride) * sizeof(real));
    return m->logits || cpu_fail(b, "out of memory");
}

static void end(match *m, backend *b) {
    if (!m->kept) b->release(b, m->logits);
    code_product_end(&m->product);
}

/* The block of Z that begins at code `first`: made, unless it was kept and has been made before. NULL: out of memory.
 */
static real *block_at(const match *m, int64_t first, int64_t count, bool made) {
    real *z = m->logits + (m->kept ? first : 0);
    if (m->kept && made) return z;
    return code_product_forward(&m->product, first, count, z, m->stride) ? z : NULL;
}

/* Every peer's `bytes` at `mine`, in the order of ranks, in memory to be released. NULL: a failure. */
static void *gather(const match *m, backend *b, const void *mine, size_t bytes) {
    void *all = b->allocate(b, bytes * (size_t)m->peers->count);
    if (!all) {
        cpu_fail(b, "out of memory");
        return NULL;
    }
    if (m->peers->gather(m->peers, mine, all, bytes)) return all;
    cpu_fail(b, "the other processes cannot be reached");
    b->release(b, all);
    return NULL;
}

/* Pass 1 ---------------------------------------------------------------------------------------------------------- */

static void meet(running *r, const real *z, int64_t count) {
    real most = -INFINITY;
#pragma omp simd reduction(max : most)
    for (int64_t j = 0; j < count; j++) most = z[j] > most ? z[j] : most;
    if ((double)most > r->most) {
        r->sum *= exp(r->most - (double)most);
        r->most = (double)most;
    }
    most = (real)r->most;
    for (int64_t first = 0; first < count; first += STRETCH) {
        int64_t last = smaller(first + STRETCH, count);
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < last; j++) sum += fast_exp(z[j] - most);
        r->sum += (double)sum;
    }
}

/* Of everyone's codes. */
static bool share_row_sums(const match *m, backend *b, running *row) {
    int64_t rows = 2 * m->n;
    running *all = gather(m, b, row, (size_t)rows * sizeof *row);
    for (int64_t i = 0; all && i < rows; i++) {
        running whole = {.most = -INFINITY};
        for (int r = 0; r < m->peers->count; r++) whole.most = fmax(whole.most, all[r * rows + i].most);
        for (int r = 0; r < m->peers->count; r++)
            whole.sum += all[r * rows + i].sum * exp(all[r * rows + i].most - whole.most);
        row[i] = whole;
    }
    b->release(b, all);
    return all != NULL;
}

static bool row_sums(match *m, backend *b) {
    int64_t rows = 2 * m->n;
    running *row = b->allocate(b, (size_t)rows * sizeof *row);
    if (!row) return cpu_fail(b, "out of memory");
    for (int64_t i = 0; i < rows; i++) row[i] = (running){.most = -INFINITY};
    bool ok = true;
    for (int64_t first = 0; ok && first < m->codes; first += m->product.block) {
        int64_t count = smaller(m->product.block, m->codes - first);
        const real *z = block_at(m, first, count, false);
        if (!(ok = z != NULL)) break;
#pragma omp parallel for schedule(static) if (m->n * count > PARALLEL_FROM)
        for (int64_t i = 0; i < rows; i++) meet(&row[i], z + i * m->stride, count);
    }
    ok = ok && (!m->peers || share_row_sums(m, b, row));
    for (int64_t i = 0; ok && i < rows; i++) m->s.log_sum[i] = (real)(row[i].most + log(row[i].sum));
    b->release(b, row);
    return ok;
}

/* Pass 2 ---------------------------------------------------------------------------------------------------------- */

/* log p̄ (count ≤ STRETCH) of n rows of z; returns this stretch's part of the prior. */
static double column_means(const match *m, const real *z, const real *log_sum, int64_t count, real *log_mean) {
    real most[STRETCH], sum[STRETCH];
    for (int64_t j = 0; j < count; j++) most[j] = -INFINITY, sum[j] = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const real *row = z + i * m->stride, shift = log_sum[i];
#pragma omp simd
        for (int64_t j = 0; j < count; j++) most[j] = row[j] - shift > most[j] ? row[j] - shift : most[j];
    }
    for (int64_t i = 0; i < m->n; i++) {
        const real *row = z + i * m->stride, shift = log_sum[i];
#pragma omp simd
        for (int64_t j = 0; j < count; j++) sum[j] += fast_exp(row[j] - shift - most[j]);
    }
    double c = m->total, part = 0;
    for (int64_t j = 0; j < count; j++) {
        double value = (double)most[j] + log((double)sum[j]) - log((double)m->n);
        log_mean[j] = (real)value;
        part += m->reverse ? exp(value) * (value + log(c)) : -value / c;
    }
    return part;
}

/* A pair's sums in pass 2, for either view: X and R (or F). */
typedef struct shares {
    double cross[VIEWS], prior[VIEWS];
} shares;

/* R's term p·log(c·p̄), or F's exp(log p − log p̄). */
static inline __attribute__((always_inline)) real prior_term(real p, real log_p, real log_mean, real log_codes,
                                                             bool reverse) {
    return reverse ? p * (log_mean + log_codes) : fast_exp(log_p - log_mean);
}

static inline __attribute__((always_inline)) void pair_shares(shares *s, const real *z1, const real *z2, real log_sum1,
                                                              real log_sum2, const real *log_mean1,
                                                              const real *log_mean2, real log_codes, int64_t count,
                                                              const bool reverse, const bool both) {
    for (int64_t first = 0; first < count; first += STRETCH) {
        int64_t last = smaller(first + STRETCH, count);
        real cross1 = 0, cross2 = 0, prior1 = 0, prior2 = 0;
#pragma omp simd reduction(+ : cross1, cross2, prior1, prior2)
        for (int64_t j = first; j < last; j++) {
            real l1 = z1[j] - log_sum1, l2 = z2[j] - log_sum2, p1 = fast_exp(l1);
            cross1 += p1 * l2;
            prior1 += prior_term(p1, l1, log_mean1[j], log_codes, reverse);
            if (both) {
                real p2 = fast_exp(l2);
                cross2 += p2 * l1;
                prior2 += prior_term(p2, l2, log_mean2[j], log_codes, reverse);
            }
        }
        s->cross[0] += (double)cross1, s->prior[0] += (double)prior1;
        s->cross[1] += (double)cross2, s->prior[1] += (double)prior2;
    }
}

static void add_shares(const match *m, shares *to, const real *z, int64_t i, int64_t first, int64_t count) {
    const statistics *s = &m->s;
    const real *z1 = z + i * m->stride, *z2 = z + (m->n + i) * m->stride;
    const real *mean1 = s->log_mean[0] + first, *mean2 = s->log_mean[1] + first;
    const real log_sum1 = s->log_sum[i], log_sum2 = s->log_sum[m->n + i], log_codes = (real)log(m->total);
    if (m->reverse && m->priors == VIEWS)
        pair_shares(to, z1, z2, log_sum1, log_sum2, mean1, mean2, log_codes, count, true, true);
    else if (m->reverse)
        pair_shares(to, z1, z2, log_sum1, log_sum2, mean1, mean2, log_codes, count, true, false);
    else if (m->priors == VIEWS)
        pair_shares(to, z1, z2, log_sum1, log_sum2, mean1, mean2, log_codes, count, false, true);
    else
        pair_shares(to, z1, z2, log_sum1, log_sum2, mean1, mean2, log_codes, count, false, false);
}

/* The pairs' sums over everyone's codes, and the prior, which takes the place of one more pair. */
static bool share_priors(const match *m, backend *b, shares *share, double *prior) {
    size_t values = (size_t)(m->n + 1) * sizeof *share / sizeof(double);
    share[m->n] = (shares){.cross = {*prior}};
    double *all = gather(m, b, share, values * sizeof *all), *to = (double *)share;
    for (size_t i = 0; all && i < values; i++) {
        to[i] = 0;
        for (size_t r = 0; r < (size_t)m->peers->count; r++) to[i] += all[r * values + i];
    }
    *prior = share[m->n].cross[0];
    b->release(b, all);
    return all != NULL;
}

static bool match_priors(match *m, backend *b, double *prior) {
    int64_t stretches = (smaller(m->product.block, m->codes) + STRETCH - 1) / STRETCH;
    shares *share = b->allocate(b, (size_t)(m->n + 1) * sizeof *share);
    double *part = b->allocate(b, (size_t)(m->priors * stretches) * sizeof *part);
    bool ok = (share && part) || cpu_fail(b, "out of memory");
    for (int64_t i = 0; ok && i < m->n; i++) share[i] = (shares){.cross = {0}};
    *prior = 0;
    for (int64_t first = 0; ok && first < m->codes; first += m->product.block) {
        int64_t count = smaller(m->product.block, m->codes - first), tasks = (count + STRETCH - 1) / STRETCH;
        const real *z = block_at(m, first, count, true);
        if (!(ok = z != NULL)) break;
#pragma omp parallel if (m->n * count > PARALLEL_FROM)
        {
#pragma omp for schedule(static)
            for (int64_t k = 0; k < tasks * m->priors; k++) {
                int64_t view = k / tasks, at = k % tasks * STRETCH;
                part[k] = column_means(m, z + view * m->n * m->stride + at, m->s.log_sum + view * m->n,
                                       smaller(STRETCH, count - at), m->s.log_mean[view] + first + at);
            }
#pragma omp for schedule(static)
            for (int64_t i = 0; i < m->n; i++) add_shares(m, &share[i], z, i, first, count);
        }
        for (int64_t k = 0; k < tasks * m->priors; k++) *prior += part[k];
    }
    ok = ok && (!m->peers || share_priors(m, b, share, prior));
    for (int64_t i = 0; ok && i < 2 * m->n; i++) {
        m->s.cross[i] = (real)share[i % m->n].cross[i / m->n];
        m->s.prior[i] = (real)share[i % m->n].prior[i / m->n];
    }
    b->release(b, share);
    b->release(b, part);
    return ok;
}

static bool code_match_forward(backend *b, node *n) {
    match m = {0};
    double prior = 0, invariance = 0;
    bool ok = begin(&m, b, n) && row_sums(&m, b) && match_priors(&m, b, &prior);
    if (ok) {
        for (int64_t i = 0; i < m.priors * m.n; i++) invariance -= (double)m.s.cross[i];
        n->out->data[0] = (real)(m.weight * invariance / (double)m.n);
        n->out->data[1] = (real)(m.weight * prior);
    }
    end(&m, b);
    return ok;
}

/* Pass 3 ---------------------------------------------------------------------------------------------------------- */

/* What one row of dZ takes: its own log Σ, X and R (or F), and its view's log p̄. */
typedef struct row_terms {
    real log_sum, cross, prior;
    const real *log_mean;
} row_terms;

/* The prior's part of dz for one row, where it acts: reverse p·(log(c·p̄) − R), forward −(e − p·F)/c, times `weight`. */
static inline __attribute__((always_inline)) real prior_slope(real p, real log_p, real log_mean, real row,
                                                              real log_codes, real inverse_codes, bool reverse) {
    return reverse ? p * (log_mean + log_codes - row) : (p * row - fast_exp(log_p - log_mean)) * inverse_codes;
}

/* Both views' rows at once, since each needs the other's: z becomes dz. */
static inline __attribute__((always_inline)) void pair_slopes(const match *m, real *z1, real *z2, row_terms a,
                                                              row_terms b, real pull, real prior_weight, int64_t count,
                                                              const bool reverse, const bool both) {
    const real log_codes = (real)log(m->total), inverse_codes = 1 / (real)m->total;
#pragma omp simd
    for (int64_t j = 0; j < count; j++) {
        real l1 = z1[j] - a.log_sum, l2 = z2[j] - b.log_sum, p1 = fast_exp(l1), p2 = fast_exp(l2);
        real d1 = pull * p1 * (a.cross - l2), d2 = pull * (p2 - p1);
        d1 += prior_weight * prior_slope(p1, l1, a.log_mean[j], a.prior, log_codes, inverse_codes, reverse);
        if (both) {
            d1 += pull * (p1 - p2);
            d2 += pull * p2 * (b.cross - l1);
            d2 += prior_weight * prior_slope(p2, l2, b.log_mean[j], b.prior, log_codes, inverse_codes, reverse);
        }
        z1[j] = d1;
        z2[j] = d2;
    }
}

static void slopes(const match *m, real *z, int64_t first, int64_t count) {
    const real *g = m->node->out->grad;
    const real pull = (real)(m->weight * (double)g[0] / (double)m->n);
    const real prior_weight = (real)(m->weight * (double)g[1] / (double)m->n);
    const statistics *s = &m->s;
#pragma omp parallel for schedule(static) if (m->n * count > PARALLEL_FROM)
    for (int64_t i = 0; i < m->n; i++) {
        int64_t k = m->n + i;
        real *z1 = z + i * m->stride, *z2 = z + k * m->stride;
        row_terms a = {s->log_sum[i], s->cross[i], s->prior[i], s->log_mean[0] + first};
        row_terms b = {s->log_sum[k], s->cross[k], s->prior[k], s->log_mean[1] + first};
        if (m->reverse && m->priors == 2)
            pair_slopes(m, z1, z2, a, b, pull, prior_weight, count, true, true);
        else if (m->reverse)
            pair_slopes(m, z1, z2, a, b, pull, prior_weight, count, true, false);
        else if (m->priors == 2)
            pair_slopes(m, z1, z2, a, b, pull, prior_weight, count, false, true);
        else
            pair_slopes(m, z1, z2, a, b, pull, prior_weight, count, false, false);
    }
}

/* Where dH is made: in its place, or beside it where it is this process' part of a sum. */
typedef struct embedding_slopes {
    real *made, *sum;
} embedding_slopes;

static bool embeddings_begin(match *m, backend *b, const tensor *h, embedding_slopes *to) {
    size_t bytes = (size_t)tensor_count(h) * sizeof *to->made;
    if (!m->peers) to->made = h->grad;
    if (!m->peers) return code_product_gradient_begin(&m->product, h->grad_ready, h->grad);
    to->made = b->allocate(b, bytes);
    to->sum = b->allocate(b, bytes);
    return ((to->made && to->sum) || cpu_fail(b, "out of memory")) &&
           code_product_gradient_begin(&m->product, false, to->made);
}

static bool embeddings_end(const match *m, backend *b, tensor *h, const embedding_slopes *to) {
    int64_t count = tensor_count(h);
    code_product_gradient_end(&m->product, to->made);
    if (m->peers) { /* floats outside the double build */
        if (!peers_sum(m->peers, (const float *)(const void *)to->made, (float *)(void *)to->sum, (size_t)count))
            return cpu_fail(b, "the other processes cannot be reached");
        for (int64_t i = 0; i < count; i++) h->grad[i] = (h->grad_ready ? h->grad[i] : 0) + to->sum[i];
    }
    grad_done(h);
    return true;
}

static bool code_match_backward(backend *b, node *n) {
    tensor *h = n->in[0], *w = n->in[1];
    match m = {0};
    embedding_slopes dh = {0};
    bool ok = begin(&m, b, n) && (!wants_grad(h) || embeddings_begin(&m, b, h, &dh));
    for (int64_t first = 0; ok && first < m.codes; first += m.product.block) {
        int64_t count = smaller(m.product.block, m.codes - first);
        real *z = block_at(&m, first, count, true);
        if (!(ok = z != NULL)) break;
        slopes(&m, z, first, count);
        ok = (!wants_grad(h) || code_product_gradient(&m.product, first, count, z, m.stride, dh.made)) &&
             (!wants_grad(w) || code_product_weights(&m.product, first, count, z, m.stride, w->grad_ready, w->grad));
    }
    ok = ok && (!wants_grad(h) || embeddings_end(&m, b, h, &dh));
    if (ok && wants_grad(w)) grad_done(w);
    if (m.peers) b->release(b, dh.made);
    b->release(b, dh.sum);
    end(&m, b);
    return ok;
}
const kernel cpu_kernel_code_match = {code_match_forward, code_match_backward};
