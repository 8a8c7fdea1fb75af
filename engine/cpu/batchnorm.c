/*
 * Batch normalisation, with the residual sum and the ReLU folded in: forward reads its input twice (statistics, then
 * values), backward reads twice too. x̂ is recomputed from x rather than kept, and so is, without a residual, which
 * values the ReLU let through. Statistics are sums about a pivot (a sample's own value), which keeps single precision
 * safe from a large mean; partial sums of fixed chunks of samples are added in order in double, so the bits do not
 * depend on the number of threads. What is kept for a channel is a real; the loops over values are written out for
 * either storage of them.
 */
#include "engine/cpu/bfloat16.h"
#include "engine/cpu/cpu.h"
#ifndef MEWS_DOUBLE
#include "engine/cpu/products.h"
#endif

#include <math.h>
#include <string.h>

/* Work is cut into (group, chunk of samples, block of channels). */
typedef struct plan {
    planes p;
    int64_t groups, per_group, chunk, chunks; /* samples in a group, in a chunk; chunks in a group */
    int64_t channels;
    bool brief; /* values are stored in bfloat16 */
} plan;

#ifdef MEWS_DOUBLE
#define INLINE static inline __attribute__((always_inline))
#endif

enum { CHUNKS = 32 };

/* How a pixel's lanes are written: as values, or as a register of a block, into the caches or past them. */
typedef enum writing { AS_VALUES, AS_BLOCK, PAST_CACHES } writing;

static plan plan_of(const node *n) {
    plan s = {.p = planes_of(n->in[0]), .groups = n->with.norm.groups};
    s.per_group = s.p.n / s.groups;
    s.chunk = (s.per_group + CHUNKS - 1) / CHUNKS;
    s.chunks = (s.per_group + s.chunk - 1) / s.chunk;
    s.channels = s.p.blocks * s.p.lanes;
    s.brief = n->in[0]->bfloat16;
    return s;
}

typedef struct task {
    int64_t group, block, first, last; /* samples [first, last) */
    int64_t slot;                      /* of partial sums: group·chunks + chunk */
} task;

static task task_of(const plan *s, int64_t i) {
    int64_t block = i % s->p.blocks, slot = i / s->p.blocks, group = slot / s->chunks, k = slot % s->chunks;
    int64_t first = group * s->per_group + k * s->chunk, end = (group + 1) * s->per_group;
    return (task){group, block, first, first + s->chunk < end ? first + s->chunk : end, slot};
}

static int64_t task_count(const plan *s) { return s->groups * s->chunks * s->p.blocks; }

/* Where a plane begins, in values. */
static int64_t plane(const plan *s, int64_t sample, int64_t block) {
    return (sample * s->p.blocks + block) * s->p.pixels * s->p.lanes;
}

/* How a tensor of the input's shape is written: past the caches where all of it is larger than they are. */
static writing writing_of(const plan *s) {
#ifndef MEWS_DOUBLE
    if (s->p.lanes != BLOCK_LANES) return AS_VALUES;
    return beyond_caches(s->p.n * s->p.blocks * s->p.pixels * s->p.lanes, s->brief) ? PAST_CACHES : AS_BLOCK;
#else
    (void)s;
    return AS_VALUES;
#endif
}

static void written(writing how) {
#ifndef MEWS_DOUBLE
    if (how == PAST_CACHES) pixels_streamed();
#else
    (void)how;
#endif
}

/* `width` lanes of a pixel to element k on. */
INLINE void lanes_put(void *to, int64_t k, const real *lanes, int width, writing how, bool brief) {
#ifndef MEWS_DOUBLE
    if (how != AS_VALUES) {
        vec value;
        memcpy(&value, lanes, sizeof value);
        pixel_write(value_at(to, k, brief), 0, value, brief, how == PAST_CACHES);
        return;
    }
#else
    (void)how;
#endif
#pragma omp simd
    for (int l = 0; l < width; l++) value_put(to, k + l, lanes[l], brief);
}

/* Statistics ------------------------------------------------------------------------------------------------------ */

/* Σ(x − pivot), Σ(x − pivot)² over one plane for `width` lanes; inlined with a constant width for full registers. */
INLINE void plane_moments(const void *x, int64_t pixels, int64_t lanes, int width, const real *pivot, double *sum,
                          double *squares, bool brief) {
    real s[BLOCK_LANES] = {0}, q[BLOCK_LANES] = {0};
    for (int64_t i = 0; i < pixels; i++)
#pragma omp simd
        for (int l = 0; l < width; l++) {
            real d = value_get(x, i * lanes + l, brief) - pivot[l];
            s[l] += d;
            q[l] += d * d;
        }
    for (int l = 0; l < width; l++) sum[l] += (double)s[l], squares[l] += (double)q[l];
}

INLINE void chunk_moments(const plan *s, const void *x, task t, const real *pivot, double *sum, double *squares,
                          bool brief) {
    int64_t lanes = s->p.lanes;
    for (int64_t i = t.first; i < t.last; i++)
        for (int64_t l = 0; l < lanes; l += BLOCK_LANES) {
            const void *from = value_at(x, plane(s, i, t.block) + l, brief);
            if (lanes - l >= BLOCK_LANES)
                plane_moments(from, s->p.pixels, lanes, BLOCK_LANES, pivot + l, sum + l, squares + l, brief);
            else
                plane_moments(from, s->p.pixels, lanes, (int)(lanes - l), pivot + l, sum + l, squares + l, brief);
        }
}

/* The value of the group's first pixel in each channel. */
static void take_pivots(const plan *s, const void *x, int64_t group, real *pivot) {
    for (int64_t c = 0; c < s->channels; c++)
        pivot[c] = value_get(x, plane(s, group * s->per_group, c / s->p.lanes) + c % s->p.lanes, s->brief);
}

/* Group's mean and variance from the chunks' sums. */
static void group_moments(const plan *s, int64_t group, const real *pivot, const double *partial, double *mean,
                          double *variance) {
    double count = (double)(s->per_group * s->p.pixels);
    int64_t half = s->groups * s->chunks * s->channels;
    for (int64_t c = 0; c < s->channels; c++) {
        double sum = 0, squares = 0;
        for (int64_t k = group * s->chunks; k < (group + 1) * s->chunks; k++) {
            sum += partial[k * s->channels + c];
            squares += partial[half + k * s->channels + c];
        }
        double shift = sum / count, var = squares / count - shift * shift;
        mean[c] = (double)pivot[c] + shift;
        variance[c] = var < 0 ? 0 : var;
    }
}

/* Means and variances (2·totals) of equal parts of the batch into those of the whole of it, added in the order of
 * ranks: var = mean(var_r) + var(mean_r). */
static bool share_moments(backend *b, double *moments, int64_t totals) {
    int count = b->peers->count;
    double *all = b->allocate(b, (size_t)(2 * totals * count) * sizeof *all);
    if (!all) return cpu_fail(b, "out of memory");
    bool done = b->peers->gather(b->peers, moments, all, (size_t)(2 * totals) * sizeof *all);
    for (int64_t c = 0; done && c < totals; c++) {
        double mean = 0, variance = 0;
        for (int r = 0; r < count; r++) mean += all[2 * totals * r + c] / count;
        for (int r = 0; r < count; r++) {
            double apart = all[2 * totals * r + c] - mean;
            variance += (all[2 * totals * r + totals + c] + apart * apart) / count;
        }
        moments[c] = mean, moments[totals + c] = variance;
    }
    b->release(b, all);
    return done || cpu_fail(b, "the other processes cannot be reached");
}

/* What is kept for the passes, and the running statistics (variance unbiased, as PyTorch's). */
static void finish_group(node *n, const plan *s, int64_t group, const double *means, const double *variances,
                         double count) {
    double m = n->with.norm.momentum;
    for (int64_t c = 0; c < s->channels; c++) {
        double mean = means[c], var = variances[c];
        n->saved[0][group * s->channels + c] = (real)mean;
        n->saved[1][group * s->channels + c] = (real)(1 / sqrt(var + n->with.norm.eps));
        real *running_mean = n->in[3]->data + c, *running_var = n->in[4]->data + c;
        *running_mean = (real)((1 - m) * (double)*running_mean + m * mean);
        *running_var = (real)((1 - m) * (double)*running_var + m * var * count / (count - 1 > 1 ? count - 1 : 1));
    }
}

static bool batch_statistics(backend *b, node *n, const plan *s) {
    int64_t slots = s->groups * s->chunks, half = slots * s->channels;
    int64_t totals = s->groups * s->channels;
    double *partial = b->allocate(b, (size_t)(2 * (half + totals)) * sizeof *partial), *moments = partial + 2 * half;
    real *pivot = b->allocate(b, (size_t)(s->groups * s->channels) * sizeof *pivot);
    if (!partial || !pivot) {
        b->release(b, partial);
        b->release(b, pivot);
        return cpu_fail(b, "out of memory");
    }
    for (int64_t g = 0; g < s->groups; g++) take_pivots(s, n->in[0]->data, g, pivot + g * s->channels);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < task_count(s); i++) {
        task t = task_of(s, i);
        double *sum = partial + t.slot * s->channels + t.block * s->p.lanes, *squares = sum + half;
        memset(sum, 0, (size_t)s->p.lanes * sizeof *sum);
        memset(squares, 0, (size_t)s->p.lanes * sizeof *squares);
        const real *about = pivot + t.group * s->channels + t.block * s->p.lanes;
        if (s->brief)
            chunk_moments(s, n->in[0]->data, t, about, sum, squares, true);
        else
            chunk_moments(s, n->in[0]->data, t, about, sum, squares, false);
    }
    for (int64_t g = 0, c = 0; g < s->groups; g++, c += s->channels)
        group_moments(s, g, pivot + c, partial, moments + c, moments + totals + c);
    bool shared = !n->with.norm.shared || share_moments(b, moments, totals);
    double count = (double)(s->per_group * s->p.pixels) * (n->with.norm.shared ? b->peers->count : 1);
    for (int64_t g = 0, c = 0; shared && g < s->groups; g++, c += s->channels)
        finish_group(n, s, g, moments + c, moments + totals + c, count);
    b->release(b, partial);
    b->release(b, pivot);
    return shared;
}

static void running_statistics(node *n, const plan *s) {
    for (int64_t i = 0; i < s->groups * s->channels; i++) {
        int64_t c = i % s->channels;
        n->saved[0][i] = n->in[3]->data[c];
        n->saved[1][i] = (real)(1 / sqrt((double)n->in[4]->data[c] + n->with.norm.eps));
    }
}

/* Forward: y = γ·(x − mean)/std + β (+ residual) (then ReLU) --------------------------------------------------------
 */

INLINE void plane_normalize(const void *x, const void *residual, void *y, int64_t pixels, int64_t lanes, int width,
                            const real *scale, const real *shift, bool relu, writing how, bool brief) {
    for (int64_t i = 0; i < pixels; i++) {
        const int64_t k = i * lanes;
        real out[BLOCK_LANES];
#pragma omp simd
        for (int l = 0; l < width; l++) {
            real v = value_get(x, k + l, brief) * scale[l] + shift[l];
            if (residual) v += value_get(residual, k + l, brief);
            out[l] = relu && v < 0 ? 0 : v;
        }
        lanes_put(y, k, out, width, how, brief);
    }
}

/* y = scale·x + shift in `width` lanes of a task's channels from `l` on. */
static void affine(const plan *s, const node *n, task t, int64_t l, int width, real *scale, real *shift) {
    const int64_t first = t.block * s->p.lanes + l;
    const real *mean = n->saved[0] + t.group * s->channels + first;
    const real *inverse = n->saved[1] + t.group * s->channels + first;
    for (int k = 0; k < width; k++) {
        scale[k] = (n->in[1] ? n->in[1]->data[first + k] : 1) * inverse[k];
        shift[k] = (n->in[2] ? n->in[2]->data[first + k] : 0) - mean[k] * scale[k];
    }
}

INLINE void chunk_normalize(const plan *s, node *n, task t, writing how, bool brief) {
    int64_t lanes = s->p.lanes;
    bool relu = n->with.norm.relu;
    for (int64_t l = 0; l < lanes; l += BLOCK_LANES) {
        int width = lanes - l < BLOCK_LANES ? (int)(lanes - l) : BLOCK_LANES;
        real scale[BLOCK_LANES], shift[BLOCK_LANES];
        affine(s, n, t, l, width, scale, shift);
        for (int64_t i = t.first; i < t.last; i++) {
            int64_t offset = plane(s, i, t.block) + l;
            const void *x = value_at(n->in[0]->data, offset, brief);
            const void *residual = n->in[5] ? value_at(n->in[5]->data, offset, brief) : NULL;
            void *y = value_at(n->out->data, offset, brief);
            if (width == BLOCK_LANES && residual)
                plane_normalize(x, residual, y, s->p.pixels, lanes, BLOCK_LANES, scale, shift, relu, how, brief);
            else if (width == BLOCK_LANES)
                plane_normalize(x, NULL, y, s->p.pixels, lanes, BLOCK_LANES, scale, shift, relu, how, brief);
            else
                plane_normalize(x, residual, y, s->p.pixels, lanes, width, scale, shift, relu, AS_VALUES, brief);
        }
    }
    written(how);
}

static bool batchnorm_forward(backend *b, node *n) {
    plan s = plan_of(n);
    const writing how = writing_of(&s);
    if (n->again) /* the statistics stand, and the running ones have seen this batch */
        ;
    else if (!n->with.norm.training)
        running_statistics(n, &s);
    else if (!batch_statistics(b, n, &s))
        return false;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < task_count(&s); i++) {
        if (s.brief)
            chunk_normalize(&s, n, task_of(&s, i), how, true);
        else
            chunk_normalize(&s, n, task_of(&s, i), how, false);
    }
    return true;
}

/*
 * Backward. With g the gradient after the ReLU's mask and x̂ = (x − mean)/std:
 *   dγ = Σ g·x̂, dβ = Σ g, dresidual = g, dx = γ/std·(g − [mean(g) + x̂·mean(g·x̂)]), the bracket in training only.
 */

/* What says whether the ReLU let a value through: nothing, where there is none; the input, which is read anyway; the
   output, where a residual was added. */
typedef enum gate { OPEN, BY_INPUT, BY_OUTPUT } gate;

/* Each of them with each storage, as constants of the compiler's. */
#define EACH_GATE(X)                                                                                                   \
    X(OPEN, false) X(OPEN, true) X(BY_INPUT, false) X(BY_INPUT, true) X(BY_OUTPUT, false) X(BY_OUTPUT, true)

static gate gate_of(const node *n) { return !n->with.norm.relu ? OPEN : n->in[5] ? BY_OUTPUT : BY_INPUT; }

INLINE real gated(real arriving, const void *x, const void *y, int64_t k, real scale, real shift, gate by, bool brief) {
    if (by == OPEN) return arriving;
    real v = by == BY_INPUT ? value_get(x, k, brief) * scale + shift : value_get(y, k, brief);
    return v <= 0 ? 0 : arriving;
}

INLINE void plane_sums(const void *x, const void *y, const void *g, int64_t pixels, int64_t lanes, int width,
                       const real *mean, const real *inverse, const real *scale, const real *shift, gate by,
                       double *sum, double *dot, bool brief) {
    real s[BLOCK_LANES] = {0}, d[BLOCK_LANES] = {0};
    for (int64_t i = 0; i < pixels; i++)
#pragma omp simd
        for (int l = 0; l < width; l++) {
            int64_t k = i * lanes + l;
            real masked = gated(value_get(g, k, brief), x, y, k, scale[l], shift[l], by, brief);
            s[l] += masked;
            d[l] += masked * (value_get(x, k, brief) - mean[l]);
        }
    for (int l = 0; l < width; l++) sum[l] += (double)s[l], dot[l] += (double)d[l] * (double)inverse[l];
}

INLINE void chunk_sums(const plan *s, node *n, task t, double *sum, double *dot, gate by, bool brief) {
    int64_t lanes = s->p.lanes, at = t.group * s->channels + t.block * lanes;
    for (int64_t l = 0; l < lanes; l += BLOCK_LANES) {
        const int width = lanes - l < BLOCK_LANES ? (int)(lanes - l) : BLOCK_LANES;
        const real *mean = n->saved[0] + at + l, *inverse = n->saved[1] + at + l;
        real scale[BLOCK_LANES], shift[BLOCK_LANES];
        affine(s, n, t, l, width, scale, shift);
        for (int64_t i = t.first; i < t.last; i++) {
            int64_t offset = plane(s, i, t.block) + l;
            const void *x = value_at(n->in[0]->data, offset, brief), *g = value_at(n->out->grad, offset, brief);
            const void *y = by == BY_OUTPUT ? value_at(n->out->data, offset, brief) : NULL;
            if (width == BLOCK_LANES)
                plane_sums(x, y, g, s->p.pixels, lanes, BLOCK_LANES, mean, inverse, scale, shift, by, sum + l, dot + l,
                           brief);
            else
                plane_sums(x, y, g, s->p.pixels, lanes, width, mean, inverse, scale, shift, by, sum + l, dot + l,
                           brief);
        }
    }
}

/* dx = a·g − b·x − c per channel (b = c = 0 in evaluation), and the residual's gradient. */
typedef struct slopes {
    real a[BLOCK_LANES], b[BLOCK_LANES], c[BLOCK_LANES], scale[BLOCK_LANES], shift[BLOCK_LANES];
} slopes;

INLINE void plane_slope(const void *x, const void *y, const void *g, void *dx, void *dres, int64_t pixels,
                        int64_t lanes, int width, const slopes *k, bool add_x, bool add_res, gate by, writing how,
                        bool brief) {
    for (int64_t i = 0; i < pixels; i++) {
        const int64_t at = i * lanes;
        real masked[BLOCK_LANES], to_x[BLOCK_LANES];
#pragma omp simd
        for (int l = 0; l < width; l++) {
            masked[l] = gated(value_get(g, at + l, brief), x, y, at + l, k->scale[l], k->shift[l], by, brief);
            to_x[l] = k->a[l] * masked[l] - k->b[l] * value_get(x, at + l, brief) - k->c[l];
        }
        if (dx) {
            for (int l = 0; add_x && l < width; l++) to_x[l] += value_get(dx, at + l, brief);
            lanes_put(dx, at, to_x, width, how, brief);
        }
        if (dres) {
            for (int l = 0; add_res && l < width; l++) masked[l] += value_get(dres, at + l, brief);
            lanes_put(dres, at, masked, width, how, brief);
        }
    }
}

/* What a task's channels from `l` on need of the whole batch. */
static void find_slopes(const plan *s, const node *n, task t, int64_t l, int width, const double *sums,
                        const double *dots, double count, slopes *to) {
    const int64_t at = t.group * s->channels + t.block * s->p.lanes + l;
    affine(s, n, t, l, width, to->scale, to->shift);
    for (int k = 0; k < width; k++) {
        double inverse = (double)n->saved[1][at + k], mean = (double)n->saved[0][at + k];
        double scale = (n->in[1] ? (double)n->in[1]->data[t.block * s->p.lanes + l + k] : 1) * inverse;
        double slope = n->with.norm.training ? scale * inverse * dots[at + k] / count : 0;
        to->a[k] = (real)scale;
        to->b[k] = (real)slope;
        to->c[k] = (real)(n->with.norm.training ? scale * sums[at + k] / count - slope * mean : 0);
    }
}

INLINE void chunk_slope(const plan *s, node *n, task t, const double *sums, const double *dots, double count, gate by,
                        writing how, bool brief) {
    int64_t lanes = s->p.lanes;
    tensor *x = n->in[0], *residual = n->in[5];
    bool to_x = wants_grad(x), to_res = wants_grad(residual);
    /* An input that is its own residual receives both parts: the second adds to the first. */
    bool add_x = x->grad_ready, add_res = to_res && (residual->grad_ready || (to_x && residual == x));
    for (int64_t l = 0; l < lanes; l += BLOCK_LANES) {
        int width = lanes - l < BLOCK_LANES ? (int)(lanes - l) : BLOCK_LANES;
        slopes k;
        find_slopes(s, n, t, l, width, sums, dots, count, &k);
        for (int64_t i = t.first; i < t.last; i++) {
            int64_t offset = plane(s, i, t.block) + l;
            const void *px = value_at(x->data, offset, brief), *g = value_at(n->out->grad, offset, brief);
            const void *y = by == BY_OUTPUT ? value_at(n->out->data, offset, brief) : NULL;
            void *dx = to_x ? value_at(x->grad, offset, brief) : NULL;
            void *dres = to_res ? value_at(residual->grad, offset, brief) : NULL;
            if (width == BLOCK_LANES && dx && !dres && !add_x)
                plane_slope(px, y, g, dx, NULL, s->p.pixels, lanes, BLOCK_LANES, &k, false, false, by, how, brief);
            else if (width == BLOCK_LANES && dx && dres && !add_x && !add_res)
                plane_slope(px, y, g, dx, dres, s->p.pixels, lanes, BLOCK_LANES, &k, false, false, by, how, brief);
            else
                plane_slope(px, y, g, dx, dres, s->p.pixels, lanes, width, &k, add_x, add_res, by, AS_VALUES, brief);
        }
    }
    written(how);
}

/* Adds the groups' sums to a parameter's gradient. */
static void give_parameter(tensor *parameter, const double *sums, const plan *s) {
    if (!wants_grad(parameter)) return;
    for (int64_t c = 0; c < s->channels; c++) {
        double total = parameter->grad_ready ? (double)parameter->grad[c] : 0;
        for (int64_t g = 0; g < s->groups; g++) total += sums[g * s->channels + c];
        parameter->grad[c] = (real)total;
    }
    grad_done(parameter);
}

/* Everyone's sums, added in the order of ranks. */
static bool share_sums(backend *b, double *sums, int64_t count) {
    int peers = b->peers->count;
    double *all = b->allocate(b, (size_t)(count * peers) * sizeof *all);
    if (!all) return cpu_fail(b, "out of memory");
    bool done = b->peers->gather(b->peers, sums, all, (size_t)count * sizeof *all);
    for (int64_t c = 0; done && c < count; c++) {
        sums[c] = 0;
        for (int r = 0; r < peers; r++) sums[c] += all[count * r + c];
    }
    b->release(b, all);
    return done || cpu_fail(b, "the other processes cannot be reached");
}

static bool batchnorm_backward(backend *b, node *n) {
    plan s = plan_of(n);
    const gate by = gate_of(n);
    const writing how = writing_of(&s);
    int64_t slots = s.groups * s.chunks, half = slots * s.channels, totals = s.groups * s.channels;
    double *partial = b->allocate(b, (size_t)(2 * half + 2 * totals) * sizeof *partial);
    if (!partial) return cpu_fail(b, "out of memory");
    double *sums = partial + 2 * half, *dots = sums + totals;
    memset(partial, 0, (size_t)(2 * half + 2 * totals) * sizeof *partial);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < task_count(&s); i++) {
        task t = task_of(&s, i);
        double *sum = partial + t.slot * s.channels + t.block * s.p.lanes;
#define X(gate_, brief_)                                                                                               \
    if (by == gate_ && s.brief == brief_) chunk_sums(&s, n, t, sum, sum + half, gate_, brief_);
        EACH_GATE(X)
#undef X
    }
    for (int64_t k = 0; k < slots; k++)
        for (int64_t c = 0; c < s.channels; c++) {
            sums[k / s.chunks * s.channels + c] += partial[k * s.channels + c];
            dots[k / s.chunks * s.channels + c] += partial[half + k * s.channels + c];
        }
    give_parameter(n->in[1], dots, &s); /* of this part of the batch: the parts' gradients are summed afterwards */
    give_parameter(n->in[2], sums, &s);
    double count = (double)(s.per_group * s.p.pixels);
    if (n->with.norm.shared) {
        if (!share_sums(b, sums, 2 * totals)) {
            b->release(b, partial);
            return false;
        }
        count *= b->peers->count;
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < task_count(&s); i++) {
#define X(gate_, brief_)                                                                                               \
    if (by == gate_ && s.brief == brief_) chunk_slope(&s, n, task_of(&s, i), sums, dots, count, gate_, how, brief_);
        EACH_GATE(X)
#undef X
    }
    if (wants_grad(n->in[0])) grad_done(n->in[0]);
    if (wants_grad(n->in[5])) grad_done(n->in[5]);
    b->release(b, partial);
    return true;
}

/* Statistics are taken before values, and sums before slopes. */
double cpu_batchnorm_reads_again(backend *b, const node *n, op_pass pass) {
    double values = traffic_of(b, n->in[0]);
    if (pass == PASS_BACKWARD) return values * (gate_of(n) == BY_OUTPUT ? 3 : 2);
    return pass == PASS_FORWARD && n->with.norm.training ? values : 0;
}

const kernel cpu_kernel_batchnorm = {batchnorm_forward, batchnorm_backward};
