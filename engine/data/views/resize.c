/*
 * The resize stands on the hot path of every augmentation, so both passes run sixteen lanes wide, whatever the
 * machine's vectors are (the compiler splits or joins them). The horizontal pass takes four rows at a time: four RGBX
 * pixels of one column are sixteen bytes, and one coefficient scales them all. The vertical pass runs along the rows.
 * Tables of coefficients depend only on (source length, target length) and are kept from call to call.
 */
#include "engine/data/views/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRECISION = 32 - 8 - 2, /* Pillow's: fractional bits that leave room for 8-bit pixels and two bits of overshoot */
    LANES = 16,
    ROWS = 4, /* rows per step of the horizontal pass: ROWS pixels of 4 bytes fill the lanes */
};

typedef int32_t lanes __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint16_t halves __attribute__((vector_size(LANES * sizeof(uint16_t)))); /* gcc converts well only by halves */
typedef uint8_t bytes __attribute__((vector_size(LANES)));

typedef struct table {
    int source, target, taps; /* lengths; most coefficients per target pixel */
    int *first, *count;       /* (target): source pixels that a target pixel sees */
    int32_t *weights;         /* (target, taps), fixed point */
    size_t capacity;          /* bytes at `memory` */
    void *memory;
} table;

/* Table slots by source length, so that no two lengths up to RESIZE_MAX_RESERVED drive each other out. */
struct resizer {
    table tables[RESIZE_MAX_RESERVED];
    uint8_t *columns, *middle;
    size_t columns_capacity, middle_capacity;
    resize_kernel kernel;
};

resizer *resizer_create(resize_kernel kernel, error *err) {
    resizer *r = calloc(1, sizeof *r);
    if (r)
        r->kernel = kernel;
    else
        error_memory(err, sizeof *r, "a resizer");
    return r;
}

void resizer_destroy(resizer *r) {
    if (!r) return;
    for (int i = 0; i < RESIZE_MAX_RESERVED; i++) free(r->tables[i].memory);
    free(r->columns);
    free(r->middle);
    free(r);
}

static bool grow(void *memory, size_t *capacity, size_t bytes_needed, error *err) {
    if (*capacity >= bytes_needed) return true;
    void **p = memory, *larger = realloc(*p, bytes_needed);
    if (!larger) return error_memory(err, bytes_needed, "resizing an image");
    *p = larger;
    *capacity = bytes_needed;
    return true;
}

/* Keys' cubic convolution kernel with a = −1/2. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double bilinear(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static bool table_fill(table *t, resize_kernel kernel, int source, int target, error *err) {
    double (*weight)(double) = kernel == RESIZE_BICUBIC ? bicubic : bilinear;
    double scale = (double)source / target, stretch = scale < 1 ? 1 : scale;
    double support = (kernel == RESIZE_BICUBIC ? 2 : 1) * stretch;
    int taps = (int)ceil(support) * 2 + 1;
    size_t integers = (size_t)target * 2 * sizeof(int), weights = (size_t)target * taps * sizeof(int32_t);
    size_t doubles = (size_t)taps * sizeof(double);
    t->source = t->target = 0;
    if (!grow(&t->memory, &t->capacity, doubles + integers + weights, err)) return false;
    double *exact = t->memory;
    t->first = (int *)(exact + taps);
    t->count = t->first + target;
    t->weights = (int32_t *)(t->count + target);
    memset(t->weights, 0, weights);
    for (int i = 0; i < target; i++) {
        double centre = (i + 0.5) * scale, sum = 0;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > source) end = source;
        for (int k = 0; k < end - first; k++) sum += exact[k] = weight((k + first - centre + 0.5) * (1 / stretch));
        for (int k = 0; k < end - first; k++) {
            double w = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << PRECISION);
            t->weights[i * taps + k] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        t->first[i] = first;
        t->count[i] = end - first;
    }
    t->source = source, t->target = target, t->taps = taps;
    return true;
}

static const table *table_for(resizer *r, int source, int target, error *err) {
    table *t = &r->tables[source % RESIZE_MAX_RESERVED];
    if ((t->source != source || t->target != target) && !table_fill(t, r->kernel, source, target, err)) return NULL;
    return t;
}

/* Bytes of the columns buffer (quads of RGBX) and of one row of the intermediate image, with room to read past it. */
static size_t columns_bytes(int width) { return (size_t)width * ROWS * 4; }
static size_t middle_stride(int width) { return ((size_t)width * 3 + LANES - 1) / LANES * LANES + LANES; }

static bool scratch(resizer *r, int source_width, int source_height, int width, error *err) {
    size_t rows = ((size_t)source_height + ROWS - 1) / ROWS * ROWS;
    return grow(&r->columns, &r->columns_capacity, columns_bytes(source_width), err) &&
           grow(&r->middle, &r->middle_capacity, middle_stride(width) * rows, err);
}

bool resizer_reserve(resizer *r, int source, int target, error *err) {
    for (int i = 1; i <= source; i++)
        if (!table_for(r, i, target, err)) return false;
    return scratch(r, source, source, target, err);
}

/* A whole step in one: wide vectors as arguments or results have no settled calling convention on narrower machines. */
static inline bytes weighted(const uint8_t *p, size_t step, const int32_t *weights, int count) {
    lanes sum = (lanes){0} + (1 << (PRECISION - 1));
    for (int k = 0; k < count; k++, p += step) {
        bytes b;
        memcpy(&b, p, sizeof b);
        sum += __builtin_convertvector(__builtin_convertvector(b, halves), lanes) * weights[k];
    }
    sum >>= PRECISION;
    sum &= ~(sum >> 31);       /* below 0: 0 */
    sum |= (lanes)(sum > 255); /* above 255: all ones, of which the low byte stays */
    return __builtin_convertvector(__builtin_convertvector(sum, halves), bytes);
}

/* Rows y … y+ROWS−1 of the box into columns[x][row] = RGBX; rows past the end repeat the last. */
static void gather(uint8_t *columns, const uint8_t *corner, size_t stride, int width, int height, int y) {
    for (int i = 0; i < ROWS; i++) {
        const uint8_t *row = corner + (size_t)(y + i < height ? y + i : height - 1) * stride;
        uint8_t *out = columns + 4 * i;
        for (int x = 0; x + 1 < width; x++) memcpy(out + (size_t)x * ROWS * 4, row + 3 * (size_t)x, 4);
        memcpy(out + (size_t)(width - 1) * ROWS * 4, row + 3 * (size_t)(width - 1), 3);
        out[(size_t)(width - 1) * ROWS * 4 + 3] = 0;
    }
}

static void horizontal(resizer *r, const table *t, const uint8_t *corner, size_t stride, int height, bool flip) {
    size_t step = middle_stride(t->target);
    for (int y = 0; y < height; y += ROWS) {
        gather(r->columns, corner, stride, t->source, height, y);
        uint8_t *out = r->middle + (size_t)y * step;
        for (int i = 0; i < t->target; i++) {
            /* Written four bytes at a time, each X under the next pixel: so pixels are written from left to right. */
            int from = flip ? t->target - 1 - i : i;
            bytes b = weighted(r->columns + (size_t)t->first[from] * ROWS * 4, ROWS * 4,
                               t->weights + (size_t)from * t->taps, t->count[from]);
            for (int k = 0; k < ROWS; k++) memcpy(out + (size_t)k * step + 3 * (size_t)i, (uint8_t *)&b + 4 * k, 4);
        }
    }
}

static void copy_rows(uint8_t *out, size_t step, const uint8_t *corner, size_t stride, int width, int height,
                      bool flip) {
    for (int y = 0; y < height; y++, out += step, corner += stride) {
        if (!flip)
            memcpy(out, corner, (size_t)width * 3);
        else
            for (int x = 0; x < width; x++) memcpy(out + 3 * (size_t)x, corner + 3 * (size_t)(width - 1 - x), 3);
    }
}

static void vertical(const table *t, const uint8_t *middle, size_t step, uint8_t *target, int width) {
    int row = width * 3;
    for (int i = 0; i < t->target; i++, target += row) {
        const uint8_t *from = middle + (size_t)t->first[i] * step;
        const int32_t *weights = t->weights + (size_t)i * t->taps;
        for (int j = 0; j < row; j += LANES) {
            bytes b = weighted(from + j, step, weights, t->count[i]);
            memcpy(target + j, &b, (size_t)(row - j < LANES ? row - j : LANES));
        }
    }
}

bool resize_image(resizer *r, const uint8_t *source, size_t stride, resize_box box, bool flip, uint8_t *target,
                  int width, int height, error *err) {
    const uint8_t *corner = source + (size_t)box.top * stride + (size_t)box.left * 3;
    /* A pass between equal lengths has one weight of exactly 1 and changes nothing. */
    if (box.width == width && box.height == height) {
        copy_rows(target, (size_t)width * 3, corner, stride, width, height, flip);
        return true;
    }
    const table *across = table_for(r, box.width, width, err), *down = NULL;
    if (!across || !scratch(r, box.width, box.height, width, err)) return false;
    if (box.width == width)
        copy_rows(r->middle, middle_stride(width), corner, stride, width, box.height, flip);
    else
        horizontal(r, across, corner, stride, box.height, flip);
    /* Only now: both lengths may share one slot. */
    if (!(down = table_for(r, box.height, height, err))) return false;
    vertical(down, r->middle, middle_stride(width), target, width);
    return true;
}
