/*
 * Where patches are: tables of sines and cosines, and the resampling of a table that was learned for another grid.
 */
#ifndef MEWS_POSITIONS_H
#define MEWS_POSITIONS_H

#include <stdint.h>

/*
 * Both are bicubic and take each axis apart.
 *   DINO  torch's interpolate with a = −0.75 and no antialiasing, by a factor of (to + 0.1)/from, as DINO's code asks
 * for TIMM  by size, antialiased when it shrinks, a = −0.5, as timm's resample_abs_pos_embed does (and Pillow) From 14
 * to 6 they differ by 5 % on smooth tables and 82 % on random ones.
 */
typedef enum resampling { RESAMPLING_DINO, RESAMPLING_TIMM } resampling;

/* weights (to², from²): a table (from², D) of a grid, row by row, becomes weights·table of the other one. */
void positions_resampling(resampling how, int from, int to, float *weights);

/* table (side², d), d a multiple of 4: sin and cos of x·ω, then of y·ω, with ω_i = 10000^(−i/(d/4)) (MoCo v3, MAE). */
void positions_sincos(int side, int64_t d, float *table);

#endif
