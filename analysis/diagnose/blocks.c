/*
 * Neither pairs nor the matrix of cosines are ever formed: the cosines inside a cluster add up to the squared length of
 * its summed directions. Each permutation has one owner, so the thread count decides no bit.
 */
#include "analysis/diagnose/blocks.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>

typedef struct directions {
    size_t n, d;
    float *unit;    /* (n, d) */
    double present; /* rows that are not zero: their cosine with themselves is 1 */
    double total;   /* ‖Σ u‖² */
} directions;

/* ‖Σ of the rows' directions‖²; sum (d) is scratch. */
static double squared_sum(const directions *u, const uint32_t *rows, size_t count, double *sum) {
    double square = 0;
    for (size_t j = 0; j < u->d; j++) sum[j] = 0;
    for (size_t i = 0; i < count; i++) {
        const float *x = u->unit + (size_t)rows[i] * u->d;
        for (size_t j = 0; j < u->d; j++) sum[j] += x[j];
    }
    for (size_t j = 0; j < u->d; j++) square += sum[j] * sum[j];
    return square;
}

/*
 * Of clusters given as runs of equal keys: order (n) sorts keys (n), and row `row[order[i]]` of the directions stands
 * at the i-th place. members (n) and sum (d) are scratch.
 */
static void measure(const directions *u, const int32_t *keys, const uint32_t *order, const uint32_t *row,
                    uint32_t *members, double *sum, double *within, double *between) {
    double inside = 0, pairs = 0, n = (double)u->n;
    for (size_t i = 0; i < u->n; i++) members[i] = row ? row[order[i]] : order[i];
    for (size_t start = 0, end; start < u->n; start = end) {
        for (end = start; end < u->n && keys[order[end]] == keys[order[start]];) end++;
        double count = (double)(end - start);
        inside += squared_sum(u, members + start, end - start, sum);
        pairs += count * (count - 1);
    }
    double across = n * (n - 1) - pairs;
    *within = pairs > 0 ? (inside - u->present) / pairs : NAN;
    *between = across > 0 ? (u->total - inside) / across : NAN;
}

static void take_directions(matrix m, const uint32_t *rows, directions *u) {
    size_t d = u->d;
    for (size_t i = 0; i < u->n; i++) {
        const float *x = m.data + rows[i] * d;
        double norm = 0;
        for (size_t j = 0; j < d; j++) norm += (double)x[j] * x[j];
        norm = sqrt(norm);
        u->present += norm > 0;
        for (size_t j = 0; j < d; j++) u->unit[i * d + j] = norm > 0 ? (float)(x[j] / norm) : 0;
    }
}

bool blocks_compute(matrix m, const int32_t *assignment, uint64_t seed, block_structure *out, error *err) {
    enum { RUNS = BLOCKS_PERMUTATIONS };
    size_t n = smaller(m.rows, BLOCKS_ROWS), d = m.cols;
    *out = (block_structure){.chance = NAN, .chance_sd = NAN, .rows = n};
    uint32_t *rows = malloc(n * sizeof *rows), *order = malloc(n * sizeof *order);
    uint32_t *scratch = malloc((2 * RUNS + 1) * n * sizeof *scratch);
    int32_t *keys = malloc(n * sizeof *keys);
    directions u = {.n = n, .d = d, .unit = malloc(n * d * sizeof(float))};
    double *sums = malloc((RUNS + 1) * d * sizeof *sums), within[RUNS], between[RUNS];
    bool ok = rows && order && scratch && keys && u.unit && sums;
    if (!ok) error_memory(err, n * (d + 60) * sizeof(float), "directions of the rows");
    if (!ok) goto done;
    matrix_choose(m.rows, n, seed, 3, rows);
    for (size_t i = 0; i < n; i++) keys[i] = assignment[rows[i]];
    if (!(ok = matrix_order(keys, n, order, err))) goto done;
    take_directions(m, rows, &u);
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)i;
    u.total = squared_sum(&u, rows, n, sums);
    measure(&u, keys, order, NULL, scratch, sums, &out->within, &out->between);
    out->contrast = out->within - out->between;
    if (isnan(out->contrast)) goto done;
#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < RUNS; p++) {
        uint32_t *row = scratch + (2 * p + 1) * n;
        rng r = rng_stream(seed, RNG_PERMUTATION, 1, p, 2);
        for (size_t i = 0; i < n; i++) row[i] = (uint32_t)i;
        rng_shuffle(&r, row, n);
        measure(&u, keys, order, row, row + n, sums + (p + 1) * d, &within[p], &between[p]);
    }
    double mean = 0, square = 0;
    for (size_t p = 0; p < RUNS; p++) mean += (within[p] - between[p]) / RUNS;
    for (size_t p = 0; p < RUNS; p++) square += pow(within[p] - between[p] - mean, 2);
    out->chance = mean, out->chance_sd = sqrt(square / (RUNS - 1));
done:
    free(rows);
    free(order);
    free(scratch);
    free(keys);
    free(u.unit);
    free(sums);
    return ok;
}
