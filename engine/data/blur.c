/*
 * A pass runs down the columns of a plane with a running sum for each, so that the vectors run along the rows; the
 * horizontal passes are made on the transposed plane.
 */
#include "engine/data/blur.h"

#include <math.h>

enum { PASSES = 3, FRACTION = 24 }; /* bits behind the point of the weights */

/* A box of 2·radius+1 pixels of weight `inner` with a pixel of weight `outer` at either end. */
typedef struct box {
    int radius;
    uint32_t inner, outer;
} box;

/*
 * [7], [11] and [14] of Gwosdek et al., with single-precision roundings where Pillow has them. Three times the variance
 * is a sum because a product might be fused with the subtraction that follows, and a weight's last bit is then off.
 */
static box box_for(double sigma) {
    float s = (float)sigma, variance = s * s / PASSES;
    float length = (float)sqrt(12.0 * (double)variance + 1.0), whole = (float)floor(((double)length - 1.0) / 2.0);
    float triple = variance + 2 * variance, next = (whole + 1) * (whole + 1);
    float share = (2 * whole + 1) * (whole * (whole + 1) - triple) / (6 * (variance - next));
    float radius = whole + share;
    box b = {.radius = (int)radius, .inner = (uint32_t)((1 << FRACTION) / (radius * 2 + 1))};
    b.outer = ((1 << FRACTION) - (2 * (uint32_t)b.radius + 1) * b.inner) / 2;
    return b;
}

/* Pixels beyond an edge are the edge's. */
static void pass(const uint8_t *restrict in, uint8_t *restrict out, uint32_t *restrict sums, int side, box b) {
    int last = side - 1;
    for (int x = 0; x < side; x++) sums[x] = in[x] * ((uint32_t)b.radius + 1);
    for (int k = 0; k < b.radius; k++) {
        const uint8_t *row = in + (size_t)(k < last ? k : last) * side;
#pragma omp simd
        for (int x = 0; x < side; x++) sums[x] += row[x];
    }
    for (int y = 0; y < side; y++, out += side) {
        int before = y - b.radius - 1, newest = y + b.radius, after = newest + 1;
        const uint8_t *left = in + (size_t)(before > 0 ? before : 0) * side;
        const uint8_t *entering = in + (size_t)(newest < last ? newest : last) * side;
        const uint8_t *right = in + (size_t)(after < last ? after : last) * side;
#pragma omp simd
        for (int x = 0; x < side; x++) {
            sums[x] += (uint32_t)entering[x] - left[x];
            uint32_t sum = sums[x] * b.inner + ((uint32_t)left[x] + right[x]) * b.outer;
            out[x] = (uint8_t)((sum + (1u << (FRACTION - 1))) >> FRACTION);
        }
    }
}

static void transpose(const uint8_t *restrict in, uint8_t *restrict out, int side) {
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) out[(size_t)x * side + y] = in[(size_t)y * side + x];
}

size_t blur_scratch(int side) { return (size_t)side * sizeof(uint32_t) + 2 * (size_t)side * side; }

void blur_gaussian(uint8_t *planes, int side, double sigma, void *scratch) {
    box b = box_for(sigma);
    size_t area = (size_t)side * side;
    uint32_t *sums = scratch;
    uint8_t *one = (uint8_t *)(sums + side), *two = one + area;
    for (int c = 0; c < 3; c++, planes += area) {
        transpose(planes, one, side);
        pass(one, two, sums, side, b);
        pass(two, one, sums, side, b);
        pass(one, two, sums, side, b);
        transpose(two, planes, side);
        pass(planes, one, sums, side, b);
        pass(one, two, sums, side, b);
        pass(two, planes, sums, side, b);
    }
}
