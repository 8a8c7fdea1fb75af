/*
 * What the trial's matrices are drawn from. Matrices (n, d) are malloced.
 */
#ifndef MEWS_TESTS_DRAW_H
#define MEWS_TESTS_DRAW_H

#include "engine/rng.h"

#include <stddef.h>
#include <stdint.h>

double drawn_normal(rng *r);
double *drawn_white(rng *r, size_t n, size_t d);
double *drawn_low_rank(rng *r, size_t n, size_t d, size_t k, double floor);
void drawn_turn(rng *r, double *x, size_t n, size_t d);
double *drawn_clusters(rng *r, size_t n, size_t d, size_t k, double apart, const double *spread, int32_t *number);
size_t drawn_pick(rng *r, const size_t *from, size_t count);
double drawn_pick_number(rng *r, const double *from, size_t count);
void drawn_layer_norm(double *x, size_t n, size_t d);
double drawn_student(rng *r, double degrees);
#define PICK(r, ...) drawn_pick(r, (size_t[]){__VA_ARGS__}, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t))
#define PICK_NUMBER(r, ...)                                                                                            \
    drawn_pick_number(r, (double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double))

#endif
