#include "analysis/verdicts/jackknife.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 97.5 % point of Student's t with JACKKNIFE_BLOCKS − 1 = 9 degrees of freedom. */
static const double STUDENT_9 = 2.2622;

void jackknife_count(const uint8_t *blocks, size_t n, size_t *counts) {
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) counts[g] = 0;
    for (size_t i = 0; i < n; i++) counts[blocks[i]]++;
}

jackknife jackknife_alone(double value) {
    jackknife j = {.value = value};
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) j.without[g] = NAN;
    return j;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct member {
    int64_t group;
    uint32_t row;
} member;

static int by_group(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

bool jackknife_draw(size_t n, const int64_t *groups, uint64_t seed, uint8_t *blocks, error *err) {
    uint32_t *order = malloc(n * sizeof *order);
    member *members = groups ? malloc(n * sizeof *members) : NULL;
    bool ok = (order && (members || !groups)) || error_memory(err, n * sizeof *members, "blocks of rows");
    size_t distinct = 0;
    for (size_t i = 0; ok && groups && i < n; i++) members[i] = (member){groups[i], (uint32_t)i};
    if (ok && groups) qsort(members, n, sizeof *members, by_group);
    for (size_t i = 0; ok && i < n; i++) distinct += !groups || i == 0 || members[i].group != members[i - 1].group;
    for (size_t i = 0; ok && i < distinct; i++) order[i] = (uint32_t)i;
    rng r = rng_stream(seed, RNG_SUBSET, 2, 0, 0);
    if (ok) rng_shuffle(&r, order, distinct); /* order[i]: the place of group i in the deal */
    for (size_t i = 0, g = 0; ok && i < n; i++) {
        if (groups && i > 0) g += members[i].group != members[i - 1].group;
        if (!groups) g = i;
        blocks[groups ? members[i].row : i] = (uint8_t)(order[g] % JACKKNIFE_BLOCKS);
    }
    free(order);
    free(members);
    return ok;
}

bool jackknife_firsts(size_t n, const int64_t *groups, bool *first, error *err) {
    member *members = malloc(n * sizeof *members);
    if (!members) return error_memory(err, n * sizeof *members, "groups of rows");
    for (size_t i = 0; i < n; i++) members[i] = (member){groups[i], (uint32_t)i};
    qsort(members, n, sizeof *members, by_group);
    for (size_t i = 0; i < n; i++) first[members[i].row] = i == 0 || members[i].group != members[i - 1].group;
    free(members);
    return true;
}

void jackknife_interval(const jackknife *e, double *low, double *high) {
    double mean = 0, sum = 0, groups = JACKKNIFE_BLOCKS;
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) mean += e->without[g] / groups;
    for (int g = 0; g < JACKKNIFE_BLOCKS; g++) sum += (e->without[g] - mean) * (e->without[g] - mean);
    double margin = STUDENT_9 * sqrt((groups - 1) / groups * sum);
    *low = isnan(margin) ? NAN : fmax(e->value - margin, 0);
    *high = e->value + margin;
}

/* ---- spread -------------------------------------------------------------------------------------------------------
 */

/* The mean cosine of two rows drawn with replacement is ‖Σ u‖²/n², to which pairs of zero rows add theirs. */
static double spread(const double *sum, size_t d, double zeros, double n) {
    double square = 0;
    for (size_t j = 0; j < d; j++) square += sum[j] * sum[j];
    return n > 0 ? fmax(1 - (square + zeros * zeros) / (n * n), 0) : NAN;
}

/* A tile's rows put to unit length in place, zero rows left alone: zeros (JACKKNIFE_BLOCKS) counts those. */
static void to_unit(double *tile, const uint8_t *blocks, size_t rows, size_t d, double *zeros) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        double *x = tile + i * d, square = 0;
#pragma omp simd reduction(+ : square)
        for (size_t j = 0; j < d; j++) square += x[j] * x[j];
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t j = 0; j < d; j++) x[j] *= scale;
        if (scale == 0) x[0] = NAN; /* marked for the count, which is not the threads' */
    }
    for (size_t i = 0; i < rows; i++)
        if (isnan(tile[i * d])) zeros[blocks[i]]++, tile[i * d] = 0;
}

bool jackknife_spread(const row_source *s, const uint8_t *blocks, jackknife *out, error *err) {
    size_t n = s->rows, d = s->cols, height = rows_tile_height(d), counts[JACKKNIFE_BLOCKS];
    double *tile = malloc(height * d * sizeof *tile), *sums = calloc((JACKKNIFE_BLOCKS + 2) * d, sizeof *sums);
    double zeros[JACKKNIFE_BLOCKS] = {0}, all_zeros = 0;
    bool ok = (tile && sums) || error_memory(err, (height + 12) * d * sizeof *sums, "mean directions");
    if (!ok) goto done;
    enum { SLICE = 128 };
    double *all = sums + JACKKNIFE_BLOCKS * d, *rest = all + d;
    jackknife_count(blocks, n, counts);
    for (size_t first = 0; first < n; first += height) {
        size_t rows = smaller(height, n - first);
        rows_block(s, first, rows, NULL, tile);
        to_unit(tile, blocks + first, rows, d, zeros);
#pragma omp parallel for schedule(static)
        for (size_t slice = 0; slice < d; slice += SLICE)
            for (size_t i = 0; i < rows; i++) {
                double *to = sums + blocks[first + i] * d;
                for (size_t j = slice; j < smaller(slice + SLICE, d); j++) to[j] += tile[i * d + j];
            }
    }
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        all_zeros += zeros[g];
        for (size_t j = 0; j < d; j++) all[j] += sums[g * d + j];
    }
    out->value = spread(all, d, all_zeros, (double)n);
    for (size_t g = 0; g < JACKKNIFE_BLOCKS; g++) {
        for (size_t j = 0; j < d; j++) rest[j] = all[j] - sums[g * d + j];
        out->without[g] = spread(rest, d, all_zeros - zeros[g], (double)(n - counts[g]));
    }
done:
    free(tile);
    free(sums);
    return ok;
}
