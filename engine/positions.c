#include "engine/positions.h"

#include <math.h>
#include <string.h>

/* Keys' cubic convolution kernel (1981). */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
    return 0;
}

/* One row of weights over `from` places: taps beyond the border count for the border. */
static void dino_row(int from, double scale, int i, double *row) {
    double at = (i + 0.5) / scale - 0.5;
    int first = (int)floor(at) - 1;
    for (int k = 0; k < 4; k++) {
        int place = first + k < 0 ? 0 : first + k >= from ? from - 1 : first + k;
        row[place] += cubic(at - (first + k), -0.75);
    }
}

/* A kernel as wide as the shrinking asks for, cut off at the border and made to sum to 1. */
static void timm_row(int from, int to, int i, double *row) {
    double scale = (double)from / to, wide = scale > 1 ? scale : 1, centre = scale * (i + 0.5), sum = 0;
    int first = (int)(centre - 2 * wide + 0.5), end = (int)(centre + 2 * wide + 0.5);
    first = first < 0 ? 0 : first;
    end = end > from ? from : end;
    for (int j = first; j < end; j++) sum += row[j] = cubic((j - centre + 0.5) / wide, -0.5);
    for (int j = first; j < end; j++) row[j] /= sum;
}

void positions_resampling(resampling how, int from, int to, float *weights) {
    double axis[to][from];
    memset(axis, 0, sizeof axis);
    for (int i = 0; i < to; i++)
        if (how == RESAMPLING_DINO)
            dino_row(from, (to + 0.1) / from, i, axis[i]);
        else
            timm_row(from, to, i, axis[i]);
    for (int y = 0; y < to; y++)
        for (int x = 0; x < to; x++)
            for (int v = 0; v < from; v++)
                for (int u = 0; u < from; u++)
                    weights[((y * to + x) * from + v) * from + u] = (float)(axis[y][v] * axis[x][u]);
}

void positions_sincos(int side, int64_t d, float *table) {
    int64_t quarter = d / 4;
    for (int64_t p = 0; p < (int64_t)side * side; p++)
        for (int64_t i = 0; i < quarter; i++) {
            double omega = pow(10000, -(double)i / (double)quarter);
            double x = (double)(p % side) * omega, y = (double)(p / side) * omega;
            float *row = table + p * d + i;
            row[0] = (float)sin(x), row[quarter] = (float)cos(x);
            row[2 * quarter] = (float)sin(y), row[3 * quarter] = (float)cos(y);
        }
}
