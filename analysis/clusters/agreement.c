#include "analysis/clusters/agreement.h"
#include "analysis/matrix.h"
#include "engine/rng.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A labeling with its values renumbered 0 … count − 1. */
typedef struct partition {
    uint32_t *member; /* (n) */
    uint64_t *size;   /* (count) */
    size_t count;
} partition;

/* Two partitions of n points, points in order of cluster, so that a contingency row is a run of them. */
typedef struct pairing {
    size_t n;
    partition labels, clusters;
    uint32_t *order;    /* (n) points sorted by cluster */
    uint32_t *tally;    /* (labels.count) scratch, all zero between uses */
    uint32_t *shuffled; /* (n) labels in another order */
} pairing;

static bool partition_make(partition *p, const int32_t *values, size_t n, uint32_t *order, error *err) {
    p->member = malloc(n * sizeof *p->member);
    p->size = calloc(n, sizeof *p->size);
    if (!p->member || !p->size) return error_memory(err, 12 * n, "a labeling");
    if (!matrix_order(values, n, order, err)) return false;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || values[order[i]] != values[order[i - 1]]) p->count++;
        p->member[order[i]] = (uint32_t)(p->count - 1);
        p->size[p->count - 1]++;
    }
    return true;
}

static double entropy(const partition *p, size_t n) {
    double h = 0;
    for (size_t i = 0; i < p->count; i++) h -= (double)p->size[i] / (double)n * log((double)p->size[i] / (double)n);
    return h;
}

/* Calls for each cell of the contingency table that is not empty: f(context, cluster, label, count). */
typedef void cell_visit(void *context, size_t cluster, size_t label, uint32_t count);

static void visit_cells(const pairing *p, const uint32_t *label, cell_visit *visit, void *context) {
    size_t start = 0;
    for (size_t k = 0; k < p->clusters.count; k++) {
        size_t end = start + p->clusters.size[k];
        for (size_t i = start; i < end; i++) p->tally[label[p->order[i]]]++;
        for (size_t i = start; i < end; i++) {
            uint32_t l = label[p->order[i]], count = p->tally[l];
            if (count == 0) continue;
            p->tally[l] = 0;
            visit(context, k, l, count);
        }
        start = end;
    }
}

typedef struct information_sum {
    const pairing *p;
    double sum;
} information_sum;

static void add_information(void *context, size_t cluster, size_t label, uint32_t count) {
    information_sum *s = context;
    double n = (double)s->p->n, a = (double)s->p->clusters.size[cluster], b = (double)s->p->labels.size[label];
    s->sum += count / n * (log(count / a) - log(b / n));
}

static double information(const pairing *p, const uint32_t *label) {
    information_sum s = {p, 0};
    visit_cells(p, label, add_information, &s);
    return fmax(s.sum, 0);
}

/* Mutual information over the mean entropy; scikit-learn's special cases: two constants agree, no information is 0. */
static double normalised(const pairing *p, double mi) {
    if (p->labels.count == 1 && p->clusters.count == 1) return 1;
    if (mi <= DBL_EPSILON) return 0;
    return mi / (0.5 * (entropy(&p->labels, p->n) + entropy(&p->clusters, p->n)));
}

/* ---- expected mutual information ----------------------------------------------------------------------------------
 */

/* Sizes that occur, with how often: (count) pairs in size[0 … count), times[0 … count). */
typedef struct size_groups {
    uint64_t *size, *times;
    size_t count;
} size_groups;

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool group_sizes(size_groups *g, const partition *p, error *err) {
    g->size = malloc(p->count * sizeof *g->size);
    g->times = calloc(p->count, sizeof *g->times);
    if (!g->size || !g->times) return error_memory(err, 16 * p->count, "cluster sizes");
    memcpy(g->size, p->size, p->count * sizeof *g->size);
    qsort(g->size, p->count, sizeof *g->size, by_size);
    for (size_t i = 0; i < p->count; i++) {
        if (i == 0 || g->size[i] != g->size[g->count - 1]) g->size[g->count++] = g->size[i];
        g->times[g->count - 1]++;
    }
    return true;
}

/*
 * E[MI] over permutations of one labeling (Vinh, Epps & Bailey, JMLR 2010, eq. 24a): each cell is hypergeometric, and
 * its term depends on the two marginals alone, so cells with equal marginals are computed once.
 */
static bool expected_information(const pairing *p, double *out, error *err) {
    size_groups a = {0}, b = {0};
    size_t n = p->n;
    double *log_factorial = malloc((n + 1) * sizeof *log_factorial), *part = NULL;
    bool ok = group_sizes(&a, &p->clusters, err) && group_sizes(&b, &p->labels, err);
    part = calloc(a.count + 1, sizeof *part);
    if (!log_factorial || !part) ok = error_memory(err, n * sizeof *log_factorial, "log factorials");
    if (!ok) goto done;
    log_factorial[0] = 0;
    for (size_t i = 1; i <= n; i++) log_factorial[i] = lgamma((double)i + 1);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < a.count; i++)
        for (size_t j = 0; j < b.count; j++) {
            uint64_t x = a.size[i], y = b.size[j], low = x + y > n ? x + y - n : 1, high = x < y ? x : y;
            double fixed =
                log_factorial[x] + log_factorial[y] + log_factorial[n - x] + log_factorial[n - y] - log_factorial[n];
            double sum = 0, marginal = log((double)n) - log((double)x) - log((double)y);
            for (uint64_t k = low < 1 ? 1 : low; k <= high; k++) {
                double log_p = fixed - log_factorial[k] - log_factorial[x - k] - log_factorial[y - k] -
                               log_factorial[n - x - y + k];
                sum += (double)k / (double)n * (marginal + log((double)k)) * exp(log_p);
            }
            part[i] += sum * (double)a.times[i] * (double)b.times[j];
        }
    *out = 0;
    for (size_t i = 0; i < a.count; i++) *out += part[i];
done:
    free(a.size);
    free(a.times);
    free(b.size);
    free(b.times);
    free(log_factorial);
    free(part);
    return ok;
}

static double adjusted(const pairing *p, double mi, double expected) {
    if (p->labels.count == 1 && p->clusters.count == 1) return 1;
    double room = 0.5 * (entropy(&p->labels, p->n) + entropy(&p->clusters, p->n)) - expected;
    room = room < 0 ? fmin(room, -DBL_EPSILON) : fmax(room, DBL_EPSILON);
    return (mi - expected) / room;
}

/* ---- pairs, matching, chance --------------------------------------------------------------------------------------
 */

static void add_square(void *context, size_t cluster, size_t label, uint32_t count) {
    (void)cluster, (void)label;
    *(double *)context += (double)count * count;
}

static double rand_index(const pairing *p) {
    double n = (double)p->n, together = 0, clusters = 0, labels = 0;
    visit_cells(p, p->labels.member, add_square, &together);
    for (size_t i = 0; i < p->clusters.count; i++)
        clusters += (double)p->clusters.size[i] * (double)p->clusters.size[i];
    for (size_t i = 0; i < p->labels.count; i++) labels += (double)p->labels.size[i] * (double)p->labels.size[i];
    /* Ordered pairs together in both, in one only, in neither. */
    double both = together - n, first = clusters - together, second = labels - together;
    double neither = n * n - together - first - second;
    if (first == 0 && second == 0) return 1;
    return 2 * (both * neither - first * second) /
           ((both + first) * (first + neither) + (both + second) * (second + neither));
}

typedef struct table {
    double *weight;
    size_t cols;
} table;

static void fill_cell(void *context, size_t cluster, size_t label, uint32_t count) {
    table *t = context;
    t->weight[label * t->cols + cluster] = count;
}

static bool matched_share(const pairing *p, double *out, error *err) {
    size_t rows = p->labels.count, cols = p->clusters.count;
    table t = {calloc(rows * cols, sizeof(double)), cols};
    int32_t *match = malloc(rows * sizeof *match);
    bool ok = (t.weight && match) || error_memory(err, rows * cols * sizeof(double), "a contingency table");
    if (ok) visit_cells(p, p->labels.member, fill_cell, &t);
    ok = ok && agreement_match(t.weight, rows, cols, match, err);
    double sum = 0;
    for (size_t i = 0; ok && i < rows; i++)
        if (match[i] >= 0) sum += t.weight[i * cols + (size_t)match[i]];
    *out = sum / (double)p->n;
    free(t.weight);
    free(match);
    return ok;
}

static void chance_level(pairing *p, uint64_t seed, double *mean, double *sd) {
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < AGREEMENT_PERMUTATIONS; i++) {
        rng r = rng_stream(seed, RNG_PERMUTATION, 0, p->n, i);
        memcpy(p->shuffled, p->labels.member, p->n * sizeof *p->shuffled);
        rng_shuffle(&r, p->shuffled, p->n);
        double nmi = normalised(p, information(p, p->shuffled));
        sum += nmi, squares += nmi * nmi;
    }
    *mean = sum / AGREEMENT_PERMUTATIONS;
    *sd = sqrt(fmax(squares / AGREEMENT_PERMUTATIONS - *mean * *mean, 0));
}

bool agreement_compute(const int32_t *labels, const int32_t *clusters, size_t n, uint64_t seed, agreement *out,
                       error *err) {
    *out = (agreement){0};
    if (n == 0) return error_set(err, ERROR_RUN, "no points to compare two labelings on");
    pairing p = {.n = n, .order = malloc(n * sizeof *p.order), .shuffled = malloc(n * sizeof *p.shuffled)};
    bool ok = (p.order && p.shuffled) || error_memory(err, 8 * n, "two labelings");
    ok = ok && partition_make(&p.labels, labels, n, p.order, err) &&
         partition_make(&p.clusters, clusters, n, p.order, err);
    if (ok) p.tally = calloc(p.labels.count, sizeof *p.tally);
    if (ok && !p.tally) ok = error_memory(err, p.labels.count * sizeof *p.tally, "a tally");
    if (ok) {
        out->information = information(&p, p.labels.member);
        out->nmi = normalised(&p, out->information);
        out->ari = rand_index(&p);
        chance_level(&p, seed, &out->nmi_chance, &out->nmi_chance_sd);
        ok = expected_information(&p, &out->expected_information, err) && matched_share(&p, &out->accuracy, err);
        out->ami = adjusted(&p, out->information, out->expected_information);
    }
    free(p.labels.member);
    free(p.labels.size);
    free(p.clusters.member);
    free(p.clusters.size);
    free(p.order);
    free(p.shuffled);
    free(p.tally);
    return ok;
}
