/*
 * A scene is built in layers, all as functions of the point: the wallpaper says where ink lies, two gradients say what
 * ink and paper look like there, blots cover a part, noise goes over everything. Edges are antialiased by taking 3×3
 * points a pixel. Everything is computed in double and every decision is a comparison, so that a compiler which fuses a
 * multiplication with an addition still draws the same bytes.
 */
#include "engine/data/shapes.h"

#include "engine/rng.h"

#include <math.h>
#include <stdbool.h>

enum { SAMPLES = 3, MAX_BLOTS = 2 };

const char *const shapes_class_names[SHAPES_CLASSES] = {"stripes",   "grid",   "checks", "dots",    "rings",
                                                        "triangles", "bricks", "zigzag", "crosses", "honeycomb"};

typedef struct colour {
    double rgb[3];
} colour;

typedef struct blot {
    bool round;
    double x, y, cosine, sine, width, height, opacity;
    colour paint;
} blot;

typedef struct scene {
    int label;
    double width;                                      /* of lines and figures, 0 … 1 within what the class allows */
    double a[2][2], origin[2];                         /* from pixels to wallpaper units */
    double bend, bend_phase, bend_rate, bend_along[2]; /* a wave of displacement across its direction */
    colour paper, ink, slope[2];                       /* colours and the gradient over the image along x and y */
    double noise;
    int blots;
    blot blot[MAX_BLOTS];
} scene;

/* Distance from the middle of the unit interval that x falls in, −1/2 … 1/2. */
static double centred(double x) { return x - floor(x) - 0.5; }

static double mix(double low, double high, double share) { return low + (high - low) * share; }

static bool honeycomb(double u, double v, double thickness) {
    /* Two interleaved rectangular lattices of centres: the nearer centre owns the point. */
    const double tall = 1.7320508075688772;
    double ax = centred(u), ay = centred(v / tall) * tall;
    double bx = centred(u + 0.5), by = centred(v / tall + 0.5) * tall;
    bool first = ax * ax + ay * ay < bx * bx + by * by;
    double x = fabs(first ? ax : bx), y = fabs(first ? ay : by);
    double edge = fmax(x, 0.5 * x + 0.8660254037844386 * y); /* 1/2 on the border of the hexagon */
    return edge > 0.5 - thickness;
}

/* Is there ink at (u, v)? One cell of the wallpaper is about 1×1. */
static bool inked(int label, double u, double v, double width) {
    double x = centred(u), y = centred(v);
    switch (label) {
    case 0: return fabs(x) < mix(0.18, 0.32, width);
    case 1: return fabs(x) > mix(0.42, 0.34, width) || fabs(y) > mix(0.42, 0.34, width);
    case 2: return (x < 0) != (y < 0);
    case 3: return x * x + y * y < mix(0.07, 0.14, width);
    case 4: return fabs(sqrt(x * x + y * y) - 0.32) < mix(0.07, 0.12, width);
    case 5: {
        double b = v * 1.1547005383792515, a = u - 0.5 * b;
        return a - floor(a) + b - floor(b) > 1;
    }
    case 6: {
        double row = floor(v), along = centred(u * 0.55 + 0.5 * (row - 2 * floor(row / 2)));
        return fabs(y) > mix(0.42, 0.35, width) || fabs(along) > mix(0.46, 0.42, width);
    }
    case 7: return fabs(centred(v + 0.9 * fabs(centred(0.6 * u)))) < mix(0.18, 0.30, width);
    case 8: {
        double arm = mix(0.08, 0.14, width), reach = 0.39;
        return (fabs(x) < arm && fabs(y) < reach) || (fabs(y) < arm && fabs(x) < reach);
    }
    default: return honeycomb(u, v, mix(0.07, 0.12, width));
    }
}

static double luminance(const colour *c) { return 0.299 * c->rgb[0] + 0.587 * c->rgb[1] + 0.114 * c->rgb[2]; }

/* Muted: vivid colours would tell images apart so well that nothing else would need learning. */
static colour random_colour(rng *r) {
    colour c;
    double grey = rng_between(r, 0.1, 0.9);
    for (int k = 0; k < 3; k++) c.rgb[k] = grey + rng_between(r, -0.05, 0.05);
    return c;
}

static scene compose(int split, uint32_t index) {
    rng r = rng_stream(SHAPES_VERSION, RNG_SHAPES, (uint32_t)split, index, 0);
    scene s = {.label = shapes_label(index), .width = rng_uniform(&r)};
    const double turn = 6.283185307179586;
    double period = 6 * pow(1.8, rng_uniform(&r)), angle = turn * rng_uniform(&r), shear = rng_between(&r, -0.15, 0.15);
    double aspect = pow(1.25, rng_between(&r, -0.5, 0.5)), c = cos(angle), n = sin(angle);
    s.a[0][0] = c * aspect / period, s.a[0][1] = -n * aspect / period;
    s.a[1][0] = (n + shear * c) / aspect / period, s.a[1][1] = (c - shear * n) / aspect / period;
    for (int k = 0; k < 2; k++) s.origin[k] = 10 * rng_uniform(&r);
    s.bend = 1.2 * rng_uniform(&r), angle = turn * rng_uniform(&r);
    s.bend_along[0] = cos(angle), s.bend_along[1] = sin(angle);
    s.bend_phase = turn * rng_uniform(&r), s.bend_rate = turn / rng_between(&r, 20, 50);

    /* Ink and paper must differ in luminance: some views are greyscale. */
    double contrast = rng_between(&r, 0.25, 0.6);
    do s.paper = random_colour(&r), s.ink = random_colour(&r);
    while (fabs(luminance(&s.paper) - luminance(&s.ink)) < contrast);
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 3; j++) s.slope[k].rgb[j] = rng_between(&r, -0.15, 0.15);
    s.noise = rng_between(&r, 0.02, 0.08);

    s.blots = (int)rng_below(&r, MAX_BLOTS + 1);
    for (int i = 0; i < s.blots; i++) {
        blot *b =
            &s.blot[i]; /* filled line by line: an initialiser would leave the order of the draws to the compiler */
        b->round = rng_below(&r, 2);
        angle = turn * rng_uniform(&r);
        b->cosine = cos(angle), b->sine = sin(angle);
        b->x = rng_between(&r, 0, SHAPES_SIZE);
        b->y = rng_between(&r, 0, SHAPES_SIZE);
        b->width = rng_between(&r, 2, 7);
        b->height = rng_between(&r, 2, 7);
        b->opacity = rng_between(&r, 0.5, 1);
        b->paint = random_colour(&r);
    }
    return s;
}

static bool covers(const blot *b, double x, double y) {
    double u = ((x - b->x) * b->cosine + (y - b->y) * b->sine) / b->width;
    double v = ((y - b->y) * b->cosine - (x - b->x) * b->sine) / b->height;
    return b->round ? u * u + v * v < 1 : fabs(u) < 1 && fabs(v) < 1;
}

/* The wave at a point is the sine of a sum: a table along each axis spares a sine for every point. */
enum { POINTS = SHAPES_SIZE * SAMPLES };

typedef struct waves {
    double sine[2][POINTS], cosine[2][POINTS];
} waves;

static double place(int i) { return (i + 0.5) / SAMPLES; }

static void waves_fill(waves *w, const scene *s) {
    for (int axis = 0; axis < 2; axis++)
        for (int i = 0; i < POINTS; i++) {
            double phase = s->bend_rate * s->bend_along[axis] * place(i) + (axis ? s->bend_phase : 0);
            w->sine[axis][i] = sin(phase), w->cosine[axis][i] = cos(phase);
        }
}

static colour look(const scene *s, const waves *w, int i, int j) {
    double x = place(i), y = place(j);
    double wave = s->bend * (w->sine[0][i] * w->cosine[1][j] + w->cosine[0][i] * w->sine[1][j]);
    double px = x - wave * s->bend_along[1], py = y + wave * s->bend_along[0];
    double u = s->a[0][0] * px + s->a[0][1] * py + s->origin[0], v = s->a[1][0] * px + s->a[1][1] * py + s->origin[1];
    colour c = inked(s->label, u, v, s->width) ? s->ink : s->paper;
    for (int b = 0; b < s->blots; b++)
        if (covers(&s->blot[b], x, y))
            for (int k = 0; k < 3; k++) c.rgb[k] = mix(c.rgb[k], s->blot[b].paint.rgb[k], s->blot[b].opacity);
    return c;
}

/* Triangular, with standard deviation 1: the sum of two uniform numbers cut from one word. */
static double grain(rng *r) {
    uint32_t bits = rng_bits(r);
    return ((double)(bits >> 16) + (double)(bits & 0xFFFF) - 65535) * (2.449489742783178 / 65536);
}

void shapes_draw(int split, uint32_t index, uint8_t *pixels) {
    scene s = compose(split, index);
    waves w;
    waves_fill(&w, &s);
    rng noise = rng_stream(SHAPES_VERSION, RNG_SHAPES, (uint32_t)split, index, 1);
    for (int y = 0; y < SHAPES_SIZE; y++)
        for (int x = 0; x < SHAPES_SIZE; x++, pixels += 3) {
            colour sum = {{0}};
            for (int j = y * SAMPLES; j < (y + 1) * SAMPLES; j++)
                for (int i = x * SAMPLES; i < (x + 1) * SAMPLES; i++) {
                    colour c = look(&s, &w, i, j);
                    for (int k = 0; k < 3; k++) sum.rgb[k] += c.rgb[k];
                }
            double across = (x + 0.5) / SHAPES_SIZE - 0.5, down = (y + 0.5) / SHAPES_SIZE - 0.5;
            for (int k = 0; k < 3; k++) {
                double light = across * s.slope[0].rgb[k] + down * s.slope[1].rgb[k];
                double value = 255 * (sum.rgb[k] / (SAMPLES * SAMPLES) + light + s.noise * grain(&noise));
                pixels[k] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5);
            }
        }
}
