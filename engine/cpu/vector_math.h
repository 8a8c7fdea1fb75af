/*
 * exp, tanh, sin and cos for whole rows, written so that the compiler turns a loop of calls into vector code: the C
 * library's is a call per element. Cephes' scheme: split off a power of two, a polynomial for the rest; within 2 units
 * in the last place, and the same bits on every machine. Below −87.3 (where exp is a denormal float) it gives 0,
 * above 88.3 infinity, and NaN for NaN.
 */
#ifndef MEWS_VECTOR_MATH_H
#define MEWS_VECTOR_MATH_H

#include "engine/tensor.h"

#include <math.h>
#include <string.h>

#ifdef MEWS_DOUBLE

static inline real fast_exp(real x) { return exp(x); }
static inline real fast_tanh(real x) { return tanh(x); }
static inline real fast_sin(real x) { return sin(x); }
static inline real fast_cos(real x) { return cos(x); }

static inline real normal_tail(real x, real *density) {
    *density = exp(-x * x / 2);
    return erfc(x * 0.70710678118654752440) / 2;
}

#else

static inline float fast_exp(float x) {
    const float log2_e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    float raised = x > -87.3f ? x : -87.3f; /* NaN too, which no integer can hold */
    float clamped = raised < 88.3f ? raised : 88.3f;
    float power = floorf(clamped * log2_e + 0.5f);
    float r = clamped - power * ln2_high - power * ln2_low;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)power + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    float result = x < -87.3f ? 0.0f : p * scale;
    return x != x ? x : x > 88.3f ? INFINITY : result;
}

/* tanh x = 1 − 2/(exp(2x) + 1); near 0, where that loses digits, its odd Taylor polynomial. */
static inline float fast_tanh(float x) {
    float square = x * x;
    float small = x * (1 + square * (-1.0f / 3 + square * (2.0f / 15 - square * (17.0f / 315))));
    float large = 1 - 2 / (fast_exp(2 * x) + 1);
    return square < 0.04f ? small : large;
}

/* 1 − Φ(x) for x ≥ 0, and √(2π) times the density there. Mills' ratio (1 − Φ)/φ is a polynomial of degree 8 in 1/(1 +
   0.3·x) within 1.3e-7 of itself up to x = 13.5, where φ is below the smallest float (fitted by weighted least
   squares).
 */
static inline float normal_tail(float x, float *density) {
    float t = 1 / (1 + 0.3f * x);
    float p = 3.593198955059052e-2f;
    p = p * t - 1.582770049571991e-1f;
    p = p * t + 2.0820823311805725e-1f;
    p = p * t - 5.539522692561150e-2f;
    p = p * t + 1.2946988642215729e-1f;
    p = p * t + 9.963730722665787e-2f;
    p = p * t + 1.2079838663339615e-1f;
    p = p * t + 1.1962638795375824e-1f;
    *density = fast_exp(-0.5f * x * x);
    return *density * p * t;
}

/*
 * sin(x + quarters·π/2): x is taken to the nearest multiple of π/2 in double, which loses nothing that a float has up
 * to |x| of 2^26, and Cephes' polynomials do the rest, within 2 units in the last place of 1. Above that results stay
 * between −1 and 1 and mean nothing; NaN stays NaN.
 */
static inline float fast_turn(float x, double quarters) {
    double multiple = floor((double)x * 0.63661977236758134 + 0.5);
    float r = (float)((double)x - multiple * 1.5707963267948966 - multiple * 6.123233995736766e-17);
    double quadrant = multiple + quarters;
    quadrant -= 4 * floor(quadrant * 0.25);
    r = r < -0.79f ? -0.79f : r > 0.79f ? 0.79f : r;
    float z = r * r;
    float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    float cosine =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
    float value = quadrant == 1 || quadrant == 3 ? cosine : sine;
    return quadrant >= 2 ? -value : value;
}

static inline float fast_sin(float x) { return fast_turn(x, 0); }
static inline float fast_cos(float x) { return fast_turn(x, 1); }

#endif

/* GELU x·Φ(x) and its slope Φ(x) + x·φ(x). */
static inline real fast_gelu(real x, real *slope) {
    real density, tail = normal_tail(x < 0 ? -x : x, &density);
    real below = x < 0 ? tail : 1 - tail;
    *slope = below + x * density * (real)0.39894228040143267794;
    return x * below;
}
#endif
