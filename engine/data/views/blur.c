/*
 * A pass runs down strips of columns with a running sum for each column, so that the vectors run along the rows; the
 * horizontal passes are made on the transposed plane.
 */
#include "engine/data/views/blur.h"

#include <math.h>
#include <string.h>

enum {
    PASSES = 3,
    FRACTION = 24, /* bits behind the point of the weights */
    LANES = 16,    /* columns of a strip */
};

typedef uint32_t lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint16_t halves __attribute__((vector_size(LANES * sizeof(uint16_t)))); /* gcc converts well only by halves */
typedef uint8_t bytes __attribute__((vector_size(LANES)));

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

/* By pointer: wide vectors as arguments or results have no settled calling convention on narrower machines. */
static inline void load(lanes *out, const uint8_t *p, size_t count) {
    bytes b = {0};
    memcpy(&b, p, count);
    *out = __builtin_convertvector(__builtin_convertvector(b, halves), lanes);
}

/* One pass over `count` columns; pixels beyond an edge are the edge's. */
static inline void pass_strip(const uint8_t *in, uint8_t *out, int side, box b, size_t count) {
    int last = side - 1;
    size_t stride = (size_t)side;
    lanes sums, left, right, entering;
    load(&sums, in, count);
    sums *= (uint32_t)b.radius + 1;
    for (int k = 0; k < b.radius; k++) {
        load(&entering, in + (k < last ? k : last) * stride, count);
        sums += entering;
    }
    for (int y = 0; y < side; y++, out += stride) {
        int before = y - b.radius - 1, newest = y + b.radius, after = newest + 1;
        load(&left, in + (before > 0 ? before : 0) * stride, count);
        load(&right, in + (after < last ? after : last) * stride, count);
        load(&entering, in + (newest < last ? newest : last) * stride, count);
        sums += entering - left;
        lanes blurred = (sums * b.inner + (left + right) * b.outer + (1u << (FRACTION - 1))) >> FRACTION;
        bytes narrow = __builtin_convertvector(__builtin_convertvector(blurred, halves), bytes);
        memcpy(out, &narrow, count);
    }
}

/* The last strip of a row that is no whole number of strips overlaps the one before. */
static void pass(const uint8_t *in, uint8_t *out, int side, box b) {
    if (side < LANES) {
        pass_strip(in, out, side, b, (size_t)side);
        return;
    }
    for (int x = 0; x < side; x += LANES) {
        int from = x + LANES <= side ? x : side - LANES;
        pass_strip(in + from, out + from, side, b, LANES);
    }
}

/* Exchanges the high part of every other group of `bits` bits of a with the low part of b. */
static inline void exchange(uint64_t *a, uint64_t *b, int bits, uint64_t low) {
    uint64_t t = (*a >> bits ^ *b) & low;
    *b ^= t;
    *a ^= t << bits;
}

/*
 * Eight by eight bytes in eight words (little-endian): blocks of 4, of 2 and of 1 change places. Byte by byte is slow,
 * above all because the passes' vectors would read what single bytes have only just written.
 */
static void transpose_block(const uint8_t *in, uint8_t *out, size_t stride) {
    uint64_t w[8];
    for (int i = 0; i < 8; i++) memcpy(&w[i], in + i * stride, 8);
    for (int i = 0; i < 4; i++) exchange(&w[i], &w[i + 4], 32, 0x00000000FFFFFFFF);
    for (int i = 0; i < 8; i += 4)
        for (int k = i; k < i + 2; k++) exchange(&w[k], &w[k + 2], 16, 0x0000FFFF0000FFFF);
    for (int i = 0; i < 8; i += 2) exchange(&w[i], &w[i + 1], 8, 0x00FF00FF00FF00FF);
    for (int i = 0; i < 8; i++) memcpy(out + i * stride, &w[i], 8);
}

static void transpose(const uint8_t *restrict in, uint8_t *restrict out, int side) {
    size_t stride = (size_t)side;
    int blocks = side / 8 * 8;
    for (int y = 0; y < blocks; y += 8)
        for (int x = 0; x < blocks; x += 8) transpose_block(in + y * stride + x, out + x * stride + y, stride);
    for (int y = 0; y < side; y++)
        for (int x = y < blocks ? blocks : 0; x < side; x++) out[x * stride + y] = in[y * stride + x];
}

size_t blur_scratch(int side) { return 2 * (size_t)side * side; }

void blur_gaussian(uint8_t *planes, int side, double sigma, uint8_t *scratch) {
    box b = box_for(sigma);
    size_t area = (size_t)side * side;
    uint8_t *one = scratch, *two = scratch + area;
    for (int c = 0; c < 3; c++, planes += area) {
        transpose(planes, one, side);
        pass(one, two, side, b);
        pass(two, one, side, b);
        pass(one, two, side, b);
        transpose(two, planes, side);
        pass(planes, one, side, b);
        pass(one, two, side, b);
        pass(two, planes, side, b);
    }
}
