#include "analysis/clusters/lloyd.h"
#include "analysis/clusters/few.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Up to this many centres are met without BLAS, which spends the time of a product this thin on packing the rows. */
enum { FEW = 64 };

void lloyd_free(lloyd *l) {
    free(l->scale);
    free(l->mean);
    free(l->square);
    free(l->centres);
    free(l->offset);
    free(l->packed);
    free(l->summed);
    free(l->sums);
    free(l->counts);
    free(l->assignment);
    free(l->distance);
    free(l->upper);
    free(l->lower);
    free(l->move);
}

/* Columns a thread owns: rows are read in as long pieces as there are threads, and no sum has two owners. */
static size_t slice_cols(size_t d) {
    size_t threads = (size_t)omp_get_max_threads(), share = (d + threads - 1) / threads;
    return (share + 15) / 16 * 16;
}

bool lloyd_make(lloyd *l, matrix m, const kmeans_options *options, error *err) {
    size_t n = m.rows, d = m.cols, k = options->clusters, step = slice_cols(d);
    *l = (lloyd){.m = m, .k = k};
    l->scale = malloc(n * sizeof *l->scale);
    l->mean = calloc(d, sizeof *l->mean);
    l->square = malloc(n * sizeof *l->square);
    l->centres = malloc(k * d * sizeof *l->centres);
    l->offset = malloc(few_stride(k) * sizeof *l->offset);
    l->packed = calloc(k <= FEW ? few_stride(k) * d : 1, sizeof *l->packed);
    l->summed = malloc(n * sizeof *l->summed);
    l->sums = malloc(k * d * sizeof *l->sums);
    l->counts = malloc(k * sizeof *l->counts);
    l->assignment = malloc(n * sizeof *l->assignment);
    l->distance = malloc(n * sizeof *l->distance);
    l->upper = malloc(n * sizeof *l->upper);
    l->lower = malloc(n * sizeof *l->lower);
    l->move = malloc(k * sizeof *l->move);
    if (!l->scale || !l->mean || !l->square || !l->centres || !l->offset || !l->packed || !l->summed || !l->sums ||
        !l->counts || !l->assignment || !l->distance || !l->upper || !l->lower || !l->move)
        return error_memory(err, 44 * n + 12 * k * d, "k-means");
    if (options->normalise) matrix_row_norms(m, l->square);
    for (size_t i = 0; i < n; i++)
        l->scale[i] = !options->normalise ? 1 : l->square[i] > 0 ? (float)(1 / l->square[i]) : 0;
#pragma omp parallel for schedule(static)
    for (size_t slice = 0; slice < d; slice += step) {
        size_t end = smaller(slice + step, d);
        for (size_t i = 0; i < n; i++)
            for (size_t j = slice; j < end; j++) l->mean[j] += (double)l->scale[i] * m.data[i * d + j] / (double)n;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        l->square[i] = 0;
        for (size_t j = 0; j < d; j++) {
            double x = (double)l->scale[i] * m.data[i * d + j] - l->mean[j];
            l->square[i] += x * x;
        }
    }
    return true;
}

/* ---- Rows to centres ---- */

/* Products of `rows` rows with all centres: dots (rows, its stride). Returns its stride. */
static size_t multiply(const lloyd *l, const float *x, size_t rows, float *dots) {
    size_t d = l->m.cols, k = l->k;
    if (k <= FEW) {
        few_multiply(x, rows, d, l->packed, k, dots);
        return few_stride(k);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)k, (int)d, 1, x, (int)d, l->centres, (int)d, 0,
                dots, (int)k);
    return k;
}

static void set_offsets(lloyd *l) {
    size_t d = l->m.cols;
    for (size_t c = 0; c < l->k; c++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            double x = l->centres[c * d + j];
            sum += x * (x + 2 * l->mean[j]);
        }
        l->offset[c] = (float)sum;
    }
    for (size_t c = l->k; c < few_stride(l->k); c++) l->offset[c] = INFINITY;
    for (size_t c = 0; l->k <= FEW && c < l->k; c++) few_pack(l->centres + c * d, c, d, l->packed);
}

/* The index of the least score offset + scale·dot, the first of equals, its value and the next least; dot is
 * overwritten. */
static size_t least(const float *offset, float scale, float *dot, size_t k, float *value, float *next) {
    float most = INFINITY, second = INFINITY;
    size_t at = 0;
#pragma omp simd reduction(min : most)
    for (size_t c = 0; c < k; c++) {
        dot[c] = offset[c] + scale * dot[c];
        most = dot[c] < most ? dot[c] : most;
    }
    while (at + 1 < k && dot[at] != most) at++;
    dot[at] = INFINITY;
#pragma omp simd reduction(min : second)
    for (size_t c = 0; c < k; c++) second = dot[c] < second ? dot[c] : second;
    *value = most, *next = second;
    return at;
}

/* What the centres are to all rows in one pass. */
typedef struct centres_now {
    double longest, offset; /* the largest ‖c‖ and |offset_c| */
    double mean;            /* ‖μ‖ */
    double most, next;      /* the largest move and the one after it; and whose the largest is */
    size_t mover;
} centres_now;

static centres_now look_at_centres(const lloyd *l) {
    size_t d = l->m.cols;
    centres_now now = {0};
    for (size_t j = 0; j < d; j++) now.mean += l->mean[j] * l->mean[j];
    now.mean = sqrt(now.mean);
    for (size_t c = 0; c < l->k; c++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) square += (double)l->centres[c * d + j] * l->centres[c * d + j];
        now.longest = fmax(now.longest, sqrt(square));
        now.offset = fmax(now.offset, fabs((double)l->offset[c]));
        if (!l->bounded) continue;
        if (l->move[c] > now.most)
            now.next = now.most, now.most = l->move[c], now.mover = c;
        else
            now.next = fmax(now.next, l->move[c]);
    }
    return now;
}

/* By how much a score in float32 may miss the true one: a product of d terms, and the addition to the offset. */
static double score_error(const lloyd *l, const centres_now *now, size_t i) {
    double length = sqrt(l->square[i]) + now->mean, terms = (double)l->m.cols + 8;
    return 0x1p-23 * (terms * length * now->longest + 2 * now->offset) + 1e-12 * l->square[i];
}

/* Whether row i, its bounds brought up to date, is certain to be where it was. */
static bool stays(lloyd *l, const centres_now *now, size_t i) {
    size_t own = (size_t)l->assignment[i];
    double upper = l->upper[i] += l->move[own], lower = l->lower[i] -= own == now->mover ? now->next : now->most;
    return lower > upper && lower * lower - upper * upper > 2 * score_error(l, now, i);
}

/* Row i to the nearest centre by its products; whether it was in another cluster. */
static bool settle(lloyd *l, const centres_now *now, size_t i, float *dots) {
    float nearest, next;
    int32_t best = (int32_t)least(l->offset, -2 * l->scale[i], dots, l->k, &nearest, &next);
    double slack = score_error(l, now, i);
    bool moved = l->assignment[i] != best;
    l->assignment[i] = best;
    l->distance[i] = fmax(l->square[i] + (double)nearest, 0);
    l->upper[i] = sqrt(l->distance[i] + slack);
    l->lower[i] = sqrt(fmax(l->square[i] + (double)next - slack, 0));
    return moved;
}

/* A thread's room: products, and rows that are looked at although their neighbours are not. */
typedef struct desk {
    size_t height; /* of such rows at a time */
    float *dots, *rows;
    uint32_t *which; /* (a block's rows) */
} desk;

static bool desk_make(desk *at, const lloyd *l) {
    enum { ROOM = 1 << 20 };
    size_t d = l->m.cols ? l->m.cols : 1, fits = ROOM / d;
    at->height = fits < 8 ? 8 : smaller(fits, LLOYD_BLOCK_ROWS);
    at->dots = malloc(LLOYD_BLOCK_ROWS * few_stride(l->k) * sizeof *at->dots);
    at->rows = malloc(at->height * d * sizeof *at->rows);
    at->which = malloc(LLOYD_BLOCK_ROWS * sizeof *at->which);
    return at->dots && at->rows && at->which;
}

static void desk_clear(desk *at) {
    free(at->dots);
    free(at->rows);
    free(at->which);
}

/* Rows [start, start + rows). Returns how many changed their cluster. */
static size_t assign_block(lloyd *l, const centres_now *now, size_t start, size_t rows, desk *at) {
    size_t d = l->m.cols, moved = 0, count = 0;
    for (size_t i = start; l->bounded && i < start + rows; i++)
        if (!stays(l, now, i)) at->which[count++] = (uint32_t)(i - start);
    if (!l->bounded || 4 * count > 3 * rows) { /* nearly all: as they lie */
        size_t stride = multiply(l, l->m.data + start * d, rows, at->dots);
        for (size_t i = 0; i < rows; i++) moved += settle(l, now, start + i, at->dots + i * stride);
        return moved;
    }
    for (size_t first = 0; first < count; first += at->height) {
        size_t some = smaller(at->height, count - first);
        for (size_t r = 0; r < some; r++)
            memcpy(at->rows + r * d, l->m.data + (start + at->which[first + r]) * d, d * sizeof *at->rows);
        size_t stride = multiply(l, at->rows, some, at->dots);
        for (size_t r = 0; r < some; r++) moved += settle(l, now, start + at->which[first + r], at->dots + r * stride);
    }
    return moved;
}

/* Every point to its nearest centre; *changed: how many are in another cluster than before. */
static bool assign(lloyd *l, size_t *changed, error *err) {
    size_t n = l->m.rows, moved = 0;
    bool ok = true;
    set_offsets(l);
    centres_now now = look_at_centres(l);
#pragma omp parallel reduction(+ : moved) reduction(&& : ok)
    {
        desk at;
        ok = desk_make(&at, l);
#pragma omp for schedule(static)
        for (size_t start = 0; start < n; start += LLOYD_BLOCK_ROWS)
            if (ok) moved += assign_block(l, &now, start, smaller(LLOYD_BLOCK_ROWS, n - start), &at);
        desk_clear(&at);
    }
    *changed = moved;
    l->bounded = ok;
    return ok || error_memory(err, LLOYD_BLOCK_ROWS * l->k * sizeof(float), "distances");
}

static void count_rows(lloyd *l) {
    memset(l->counts, 0, l->k * sizeof *l->counts);
    for (size_t i = 0; i < l->m.rows; i++) l->counts[l->assignment[i]]++;
}

static bool has_empty(const lloyd *l) {
    for (size_t c = 0; c < l->k; c++)
        if (l->counts[c] == 0) return true;
    return false;
}

/* A cluster that ran empty takes the point farthest from its centre, out of a cluster that can spare it. */
static bool fill_empty(lloyd *l, error *err) {
    size_t d = l->m.cols, changed;
    count_rows(l);
    if (!has_empty(l)) return true;
    l->bounded = false; /* how far a row is has to be known of all of them */
    if (!assign(l, &changed, err)) return false;
    l->bounded = false; /* centres jump */
    for (size_t c = 0; c < l->k; c++) {
        if (l->counts[c] > 0) continue;
        size_t farthest = l->m.rows;
        for (size_t i = 0; i < l->m.rows; i++)
            if (l->counts[l->assignment[i]] > 1 && (farthest == l->m.rows || l->distance[i] > l->distance[farthest]))
                farthest = i;
        l->counts[l->assignment[farthest]]--;
        l->assignment[farthest] = (int32_t)c;
        l->distance[farthest] = 0;
        l->counts[c] = 1;
        for (size_t j = 0; j < d; j++)
            l->centres[c * d + j] = (float)((double)l->scale[farthest] * l->m.data[farthest * d + j] - l->mean[j]);
    }
    return true;
}

/* Centres to the means of their points. Only points that changed clusters move from sum to sum; a thread owns columns,
 * so the order of every sum is the rows'. Returns Σ of the squared moves. */
static double update(lloyd *l) {
    size_t n = l->m.rows, d = l->m.cols, step = slice_cols(d);
#pragma omp parallel for schedule(static)
    for (size_t slice = 0; slice < d; slice += step) {
        size_t end = smaller(slice + step, d);
        for (size_t i = 0; i < n; i++) {
            if (l->summed[i] == l->assignment[i]) continue;
            const float *x = l->m.data + i * d;
            double *to = l->sums + (size_t)l->assignment[i] * d, scale = (double)l->scale[i];
            double *from = l->summed[i] < 0 ? NULL : l->sums + (size_t)l->summed[i] * d;
            for (size_t j = slice; j < end; j++) to[j] += scale * (double)x[j];
            for (size_t j = slice; from && j < end; j++) from[j] -= scale * (double)x[j];
        }
    }
    memcpy(l->summed, l->assignment, n * sizeof *l->summed);
    double moved = 0;
    for (size_t c = 0; c < l->k; c++) {
        double own = 0;
        for (size_t j = 0; j < d; j++) {
            float centre = (float)(l->sums[c * d + j] / (double)l->counts[c] - l->mean[j]);
            double step = (double)centre - l->centres[c * d + j];
            own += step * step;
            l->centres[c * d + j] = centre;
        }
        l->move[c] = sqrt(own) * (1 + 1e-12);
        moved += own;
    }
    return moved;
}

/* The inertia of the assignment as it stands, from the differences themselves. distance is overwritten. */
double lloyd_inertia(lloyd *l) {
    size_t n = l->m.rows, d = l->m.cols;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        const float *centre = l->centres + (size_t)l->assignment[i] * d;
        l->distance[i] = 0;
        for (size_t j = 0; j < d; j++) {
            double x = (double)l->scale[i] * l->m.data[i * d + j] - l->mean[j] - centre[j];
            l->distance[i] += x * x;
        }
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += l->distance[i];
    return sum;
}

bool lloyd_descend(lloyd *l, int iterations, double tolerance, int *done, error *err) {
    for (size_t i = 0; i < l->m.rows; i++) l->assignment[i] = l->summed[i] = -1;
    memset(l->sums, 0, l->k * l->m.cols * sizeof *l->sums);
    size_t changed;
    l->bounded = false;
    for (*done = 1; *done <= iterations; ++*done) {
        if (!assign(l, &changed, err)) return false;
        if (!fill_empty(l, err)) return false;
        if (changed == 0) return true;
        if (update(l) <= tolerance) break;
    }
    if (!assign(l, &changed, err)) return false;
    return fill_empty(l, err);
}
