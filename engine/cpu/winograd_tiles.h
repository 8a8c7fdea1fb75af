/*
 * Winograd's F(4×4, 3×3): 16 outputs of a 3×3 window from 36 products where the direct sum takes 144 (Lavin & Gray,
 * "Fast algorithms for convolutional neural networks", 2016). With B, G, A the Cook-Toom matrices of the points
 * 0, ±p, ±q, ∞:
 *
 *   Y  = Aᵀ[ Σ_c (G w Gᵀ) ⊙ (Bᵀ d B) ] A            output tile 4×4 from input tile d 6×6 and window w 3×3
 *   ∂w = Gᵀ[ Σ_tiles (Bᵀ d B) ⊙ (A ∂Y Aᵀ) ] G       the same sums, turned round
 *
 * The points decide the rounding error: 0, ±1, ±2 of the paper lose a factor of 4 against the direct sum, ±11/16 and
 * ±3/2 a factor of 2 (measured over a grid of points; their powers are exact in single precision).
 *
 * Everything works on one vector of channels a pixel; the loops are unrolled by the compiler. A tile's 36 values go
 * to 36 places that lie `stride` vectors apart, one for each of the 36 matrix products.
 */
#ifndef MEWS_WINOGRAD_TILES_H
#define MEWS_WINOGRAD_TILES_H

#include "engine/cpu/products.h"

enum { TILE = 4, HALO = 6, POINTS = HALO * HALO, WINDOW = 3 };

/* p, q, p² and q² */
#define P 0.6875f
#define Q 1.5f
#define PP (P * P)
#define QQ (Q * Q)

/* Bᵀ x: six values, `from` apart, to six values, `to` apart. */
INLINE void input_line(const vec *x, int64_t from, vec *y, int64_t to) {
    vec x0 = x[0], x1 = x[from], x2 = x[2 * from], x3 = x[3 * from], x4 = x[4 * from], x5 = x[5 * from];
    vec even_p = x4 - QQ * x2, odd_p = P * (x3 - QQ * x1);
    vec even_q = x4 - PP * x2, odd_q = Q * (x3 - PP * x1);
    y[0] = PP * QQ * x0 - (PP + QQ) * x2 + x4;
    y[to] = even_p + odd_p;
    y[2 * to] = even_p - odd_p;
    y[3 * to] = even_q + odd_q;
    y[4 * to] = even_q - odd_q;
    y[5 * to] = PP * QQ * x1 - (PP + QQ) * x3 + x5;
}

/* Aᵀ m: six values to four. */
INLINE void output_line(const vec *m, int64_t from, vec *y, int64_t to) {
    vec sum_p = m[from] + m[2 * from], difference_p = m[from] - m[2 * from];
    vec sum_q = m[3 * from] + m[4 * from], difference_q = m[3 * from] - m[4 * from];
    y[0] = m[0] + sum_p + sum_q;
    y[to] = P * difference_p + Q * difference_q;
    y[2 * to] = PP * sum_p + QQ * sum_q;
    y[3 * to] = P * PP * difference_p + Q * QQ * difference_q + m[5 * from];
}

/* A g: four values to six. */
INLINE void gradient_line(const vec *g, int64_t from, vec *y, int64_t to) {
    vec g0 = g[0], g1 = g[from], g2 = g[2 * from], g3 = g[3 * from];
    vec even_p = g0 + PP * g2, odd_p = P * (g1 + PP * g3);
    vec even_q = g0 + QQ * g2, odd_q = Q * (g1 + QQ * g3);
    y[0] = g0;
    y[to] = even_p + odd_p;
    y[2 * to] = even_p - odd_p;
    y[3 * to] = even_q + odd_q;
    y[4 * to] = even_q - odd_q;
    y[5 * to] = g3;
}

/* 1/N(x), N(x) = Π over the other finite points of (x − point): the rows of G are (1, x, x²)/N(x). */
#define WEIGHT_0 (1 / (PP * QQ))
#define WEIGHT_P (1 / (2 * PP * (PP - QQ)))
#define WEIGHT_Q (1 / (2 * QQ * (QQ - PP)))

/* G w: three values to six. */
INLINE void window_line(const vec *w, int64_t from, vec *y, int64_t to) {
    vec w0 = w[0], w1 = w[from], w2 = w[2 * from];
    vec even_p = WEIGHT_P * (w0 + PP * w2), odd_p = WEIGHT_P * P * w1;
    vec even_q = WEIGHT_Q * (w0 + QQ * w2), odd_q = WEIGHT_Q * Q * w1;
    y[0] = WEIGHT_0 * w0;
    y[to] = even_p + odd_p;
    y[2 * to] = even_p - odd_p;
    y[3 * to] = even_q + odd_q;
    y[4 * to] = even_q - odd_q;
    y[5 * to] = w2;
}

/* Gᵀ u: six values to three. */
INLINE void window_gradient_line(const vec *u, int64_t from, vec *y, int64_t to) {
    vec sum_p = WEIGHT_P * (u[from] + u[2 * from]), difference_p = WEIGHT_P * (u[from] - u[2 * from]);
    vec sum_q = WEIGHT_Q * (u[3 * from] + u[4 * from]), difference_q = WEIGHT_Q * (u[3 * from] - u[4 * from]);
    y[0] = WEIGHT_0 * u[0] + sum_p + sum_q;
    y[to] = P * difference_p + Q * difference_q;
    y[2 * to] = PP * sum_p + QQ * sum_q + u[5 * from];
}

/* Both dimensions: the columns of `in` (rows × columns) through one line transform, then the rows. */
#define TRANSFORM(line, in, in_side, out, out_side, stride)                                                            \
    do {                                                                                                               \
        vec half_[(out_side) * (in_side)];                                                                             \
        for (int j_ = 0; j_ < (in_side); j_++) line((in) + j_, in_side, half_ + j_, in_side);                          \
        for (int i_ = 0; i_ < (out_side); i_++)                                                                        \
            line(half_ + i_ * (in_side), 1, (out) + i_ * (out_side) * (stride), stride);                               \
    } while (0)

#endif
