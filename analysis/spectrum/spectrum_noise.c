/*
 * What isotropic Gaussian noise scores. The singular values of an n×d Gaussian matrix have, exactly, the distribution
 * of those of a d×d bidiagonal matrix whose diagonal is χ_n, χ_{n−1}, …, χ_{n−d+1} and whose off-diagonal is χ_{d−1},
 * …, χ_1 (Silverstein 1985; Dumitriu & Edelman 2002). So the null is sampled in O(d) and solved in O(d²) at any n,
 * right also where the Marchenko-Pastur limit is not, and needs no cache. Taking out the column means leaves n − 1 such
 * rows.
 */
#include "analysis/spectrum/spectrum.h"
#include "engine/rng.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

/* Draws are averaged until about this many singular values have been seen: large spectra hardly vary. */
enum { NOISE_VALUES = 1024, NOISE_MAX_DRAWS = 64 };

/* χ_k as the root of twice a Gamma(k/2) variable, by Marsaglia & Tsang's squeeze (ACM TOMS 2000). */
static double chi(rng *r, double k) {
    if (k == 1) return fabs(rng_normal(r));
    double shape = k / 2 - 1.0 / 3, scale = 1 / sqrt(9 * shape);
    for (;;) {
        double x = rng_normal(r), v = 1 + scale * x;
        if (v <= 0) continue;
        v = v * v * v;
        if (log(1 - rng_uniform(r)) < 0.5 * x * x + shape * (1 - v + log(v))) return sqrt(2 * shape * v);
    }
}

static size_t draws(size_t count) {
    size_t wanted = (NOISE_VALUES + count - 1) / count;
    return wanted < NOISE_MAX_DRAWS ? wanted : NOISE_MAX_DRAWS;
}

/* One draw: sigma (min(n, d)), descending; off is scratch of the same size. With B the bidiagonal matrix, the roots of
 * the eigenvalues of the tridiagonal BᵀB, which take a third of the time that singular values of B do. */
static bool draw_values(size_t n, size_t d, uint32_t draw, double *sigma, double *off, error *err) {
    size_t tall = n > d ? n : d, count = n > d ? d : n;
    rng r = rng_stream(0, RNG_NULL, (uint32_t)n, d, draw);
    for (size_t i = 0; i < count; i++) sigma[i] = chi(&r, (double)(tall - i));
    double above = 0;
    for (size_t i = 0; i < count; i++) {
        double next = i + 1 < count ? chi(&r, (double)(count - 1 - i)) : 0, diagonal = sigma[i];
        off[i] = diagonal * next, sigma[i] = diagonal * diagonal + above * above, above = next;
    }
    if (LAPACKE_dsterf((lapack_int)count, sigma, off))
        return error_set(err, ERROR_RUN, "singular values of %zu×%zu noise did not converge", n, d);
    for (size_t i = 0; i < count / 2; i++) {
        double swap = sigma[i];
        sigma[i] = sigma[count - 1 - i], sigma[count - 1 - i] = swap;
    }
    for (size_t i = 0; i < count; i++) sigma[i] = sqrt(fmax(sigma[i], 0));
    return true;
}

bool spectrum_noise(size_t n, size_t d, noise_ranks *out, double *mean, error *err) {
    size_t count = n < d ? n : d, repeats = draws(count), centred = n - 1 < d ? n - 1 : d;
    double *sigma = malloc(2 * count * sizeof *sigma), share = 1 / (double)repeats;
    if (!sigma) return error_memory(err, 2 * count * sizeof *sigma, "a noise spectrum");
    *out = (noise_ranks){.numerical_rank = (double)centred};
    for (size_t j = 0; j < count; j++) mean[j] = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < repeats; i++) {
        ok = draw_values(n, d, (uint32_t)i, sigma, sigma + count, err);
        if (!ok) break;
        out->rankme += share * spectrum_rankme(sigma, count);
        for (size_t j = 0; j < count; j++) mean[j] += share * sigma[j];
        if (!centred) continue;
        ok = draw_values(n - 1, d, (uint32_t)i, sigma, sigma + count, err);
        if (!ok) break;
        out->effective_rank += share * spectrum_effective_rank(sigma, centred);
        out->participation_ratio += share * spectrum_participation_ratio(sigma, centred);
    }
    free(sigma);
    return ok;
}
