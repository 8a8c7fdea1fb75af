#include "analysis/diagnose/duplicates.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 512 };

/* Union-find: the group of prototype i, paths halved on the way. */
static uint32_t group_of(uint32_t *parent, uint32_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* Σ of sin^(d−2) over angles from 0 to `end`, by Simpson's rule. */
static double cap(double end, size_t d) {
    enum { STEPS = 20000 };
    double sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        double weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
        sum += weight * pow(sin(end * i / STEPS), (double)d - 2);
    }
    return sum * end / (3 * STEPS);
}

/* Twins among c independent directions: each of the others lies in the cap about one with the cap's share of the
 * sphere. */
static double expected_twins(size_t c, size_t d) {
    double share = d == 1   ? 0.5
                   : d == 2 ? acos(DUPLICATES_COSINE) / M_PI
                            : cap(acos(DUPLICATES_COSINE), d) / cap(M_PI, d);
    return -(double)c * expm1(((double)c - 1) * log1p(-share));
}

static void note_pairs(const float *cosines, size_t a, size_t rows, size_t b, size_t cols, uint32_t *parent, bool *twin,
                       float *largest) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = a == b ? i + 1 : 0; j < cols; j++) {
            float cosine = cosines[i * BLOCK + j];
            if (cosine > *largest) *largest = cosine;
            if (!(cosine > (float)DUPLICATES_COSINE)) continue;
            twin[a + i] = twin[b + j] = true;
            uint32_t first = group_of(parent, (uint32_t)(a + i)), second = group_of(parent, (uint32_t)(b + j));
            parent[first > second ? first : second] = first > second ? second : first;
        }
}

bool duplicates_compute(matrix m, duplicates *out, error *err) {
    size_t c = m.rows, d = m.cols;
    *out = (duplicates){.prototypes = c, .cosine_largest = NAN};
    if (c > DUPLICATES_PROTOTYPES)
        return error_set(err, ERROR_RUN, "%zu prototypes; at most %d are compared with each other", c,
                         DUPLICATES_PROTOTYPES);
    if (!matrix_check(m, "prototypes", err)) return false;
    float *unit = malloc(c * d * sizeof *unit), *cosines = malloc(BLOCK * BLOCK * sizeof *cosines), largest = -1;
    double *norms = malloc(c * sizeof *norms);
    uint32_t *parent = malloc(c * sizeof *parent);
    bool *twin = calloc(c, sizeof *twin), ok = unit && cosines && norms && parent && twin;
    if (!ok) {
        error_memory(err, c * (d + 4) * sizeof *unit, "prototypes' directions");
        goto done;
    }
    matrix_row_norms(m, norms);
    for (size_t i = 0; i < c; i++) {
        parent[i] = (uint32_t)i;
        for (size_t j = 0; j < d; j++) unit[i * d + j] = norms[i] > 0 ? (float)(m.data[i * d + j] / norms[i]) : 0;
    }
    for (size_t a = 0; a < c; a += BLOCK)
        for (size_t b = a; b < c; b += BLOCK) {
            size_t rows = smaller(BLOCK, c - a), cols = smaller(BLOCK, c - b);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)d, 1, unit + a * d, (int)d,
                        unit + b * d, (int)d, 0, cosines, BLOCK);
            note_pairs(cosines, a, rows, b, cols, parent, twin, &largest);
        }
    for (size_t i = 0; i < c; i++) out->twins += twin[i], out->distinct += group_of(parent, (uint32_t)i) == i;
    out->twins_expected = expected_twins(c, d);
    if (c > 1) out->cosine_largest = (double)largest;
done:
    free(unit);
    free(cosines);
    free(norms);
    free(parent);
    free(twin);
    return ok;
}
