#include "tests/verdicts/draw.h"

#include <math.h>
#include <stdlib.h>

double drawn_normal(rng *r) { return rng_normal(r); }

double *drawn_white(rng *r, size_t n, size_t d) {
    double *x = malloc(n * d * sizeof *x);
    for (size_t i = 0; i < n * d; i++) x[i] = drawn_normal(r);
    return x;
}

/* (n, k)·(k, d) / √k, plus floor · noise. */
double *drawn_low_rank(rng *r, size_t n, size_t d, size_t k, double floor) {
    double *a = drawn_white(r, n, k), *b = drawn_white(r, k, d), *x = drawn_white(r, n, d);
    for (size_t i = 0; i < n * d; i++) x[i] *= floor;
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < k; l++) {
            double w = a[i * k + l] / sqrt((double)k);
            for (size_t j = 0; j < d; j++) x[i * d + j] += w * b[l * d + j];
        }
    free(a);
    free(b);
    return x;
}

/* Columns scaled by s, then reflected twice, so that no axis is special. */
void drawn_turn(rng *r, double *x, size_t n, size_t d) {
    double *v = malloc(d * sizeof *v);
    for (int k = 0; k < 3; k++) {
        double norm = 0;
        for (size_t j = 0; j < d; j++) v[j] = drawn_normal(r), norm += v[j] * v[j];
        for (size_t i = 0; i < n; i++) {
            double dot = 0;
            for (size_t j = 0; j < d; j++) dot += x[i * d + j] * v[j];
            for (size_t j = 0; j < d; j++) x[i * d + j] -= 2 * dot / norm * v[j];
        }
    }
    free(v);
}

/* Points about k centres: x (n, d) noise of the spread of each cluster; number (n) takes each row's. */
double *drawn_clusters(rng *r, size_t n, size_t d, size_t k, double apart, const double *spread, int32_t *number) {
    double *centres = drawn_white(r, k, d), *x = drawn_white(r, n, d);
    for (size_t i = 0; i < n; i++) {
        number[i] = (int32_t)rng_below(r, (uint32_t)k);
        for (size_t j = 0; j < d; j++)
            x[i * d + j] = spread[number[i]] * x[i * d + j] + apart * centres[(size_t)number[i] * d + j];
    }
    free(centres);
    return x;
}

size_t drawn_pick(rng *r, const size_t *from, size_t count) { return from[rng_below(r, (uint32_t)count)]; }
double drawn_pick_number(rng *r, const double *from, size_t count) { return from[rng_below(r, (uint32_t)count)]; }

void drawn_layer_norm(double *x, size_t n, size_t d) {
    for (size_t i = 0; i < n; i++) {
        double mean = 0, square = 0;
        for (size_t j = 0; j < d; j++) mean += x[i * d + j] / (double)d;
        for (size_t j = 0; j < d; j++) x[i * d + j] -= mean, square += x[i * d + j] * x[i * d + j] / (double)d;
        for (size_t j = 0; j < d; j++) x[i * d + j] /= sqrt(square) + 1e-6;
    }
}

double drawn_student(rng *r, double degrees) {
    double chi = 0;
    for (int k = 0; k < (int)degrees; k++) chi += pow(drawn_normal(r), 2);
    return sqrt(degrees / chi);
}
