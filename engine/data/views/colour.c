/*
 * To match Pillow byte for byte, the arithmetic keeps Pillow's mixture of single and double precision. The compiler may
 * fuse a product and a sum of one precision into one rounding, which Pillow's build does not: so wherever that could
 * show, the product is taken in the other precision (exact in double, then rounded to single by the cast).
 */
#include "engine/data/views/colour.h"

static inline uint8_t luma(int r, int g, int b) { return (uint8_t)((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16); }

/* from + factor·(to − from). */
static inline uint8_t blend(int from, int to, float factor) {
    float step = (float)((double)factor * (to - from));
    int v = (int)((float)from + step);
    v = v < 0 ? 0 : v;
    return (uint8_t)(v > 255 ? 255 : v);
}

void colour_split(const uint8_t *rgb, int pixels, uint8_t *planes) {
    uint8_t *r = planes, *g = r + pixels, *b = g + pixels;
#pragma omp simd
    for (int i = 0; i < pixels; i++) r[i] = rgb[3 * i], g[i] = rgb[3 * i + 1], b[i] = rgb[3 * i + 2];
}

void colour_join(const uint8_t *planes, int pixels, uint8_t *rgb) {
    const uint8_t *r = planes, *g = r + pixels, *b = g + pixels;
#pragma omp simd
    for (int i = 0; i < pixels; i++) rgb[3 * i] = r[i], rgb[3 * i + 1] = g[i], rgb[3 * i + 2] = b[i];
}

static void blend_with(uint8_t *planes, int pixels, int grey, double factor) {
    float f = (float)factor;
#pragma omp simd
    for (int i = 0; i < 3 * pixels; i++) planes[i] = blend(grey, planes[i], f);
}

void colour_brightness(uint8_t *planes, int pixels, double factor) { blend_with(planes, pixels, 0, factor); }

void colour_contrast(uint8_t *planes, int pixels, double factor) {
    const uint8_t *r = planes, *g = r + pixels, *b = g + pixels;
    int64_t sum = 0;
    for (int start = 0; start < pixels; start += 4096) { /* short enough for 32 bits */
        uint32_t part = 0;
        int end = start + 4096 < pixels ? start + 4096 : pixels;
#pragma omp simd reduction(+ : part)
        for (int i = start; i < end; i++) part += luma(r[i], g[i], b[i]);
        sum += part;
    }
    blend_with(planes, pixels, (int)((double)sum / pixels + 0.5), factor);
}

void colour_saturation(uint8_t *planes, int pixels, double factor) {
    uint8_t *r = planes, *g = r + pixels, *b = g + pixels;
    float f = (float)factor;
#pragma omp simd
    for (int i = 0; i < pixels; i++) {
        int grey = luma(r[i], g[i], b[i]);
        r[i] = blend(grey, r[i], f), g[i] = blend(grey, g[i], f), b[i] = blend(grey, b[i], f);
    }
}

static inline int larger(int a, int b) { return a > b ? a : b; }
static inline int smaller(int a, int b) { return a < b ? a : b; }

/*
 * RGB to HSV, the hue turned, and back (the hexcone model of Smith 1978, as Python's colorsys has it), H, S and V
 * rounded to bytes on the way as they are in a Pillow image. A grey pixel has chroma 0 and so S = 0: it comes back as
 * it was, whatever its hue.
 */
void colour_hue(uint8_t *planes, int pixels, double turn) {
    uint8_t *red = planes, *green = red + pixels, *blue = green + pixels;
    int shift = (uint8_t)(int)(turn * 255);
#pragma omp simd
    for (int i = 0; i < pixels; i++) {
        int r = red[i], g = green[i], b = blue[i];
        int v = larger(r, larger(g, b)), chroma = v - smaller(r, smaller(g, b));
        float divisor = (float)larger(chroma, 1);

        /* Sixths of a turn: from red, green or blue, whichever is largest, towards one of its neighbours. */
        int is_red = r == v, is_green = g == v;
        float ahead = (float)(v - (is_red ? b : is_green ? r : g)) / divisor;
        float behind = (float)(v - (is_red ? g : is_green ? b : r)) / divisor;
        float base = is_red ? 0.0f : is_green ? 2.0f : 4.0f;
        float sixths = (float)((double)base + (double)ahead - (double)behind);
        double turned = (double)sixths / 6.0 + 1.0;
        float hue = (float)(turned >= 1 ? turned - 1 : turned);
        int h = ((int)((double)hue * 255.0) + shift) & 255;
        int s = (int)((double)((float)chroma / (float)larger(v, 1)) * 255.0);

        /* And back: in each sector one channel is V, one is V(1 − S), and one is on its way up or down. */
        double position = (double)h * 6.0 / 255.0;
        int sector = (int)position;
        float f = (float)(position - sector), saturation = (float)((double)s / 255.0);
        double down = (double)(saturation * f), up = (double)saturation * (1.0 - (double)f);
        double odd = sector & 1;
        int low = (int)(v * (1.0 - (double)saturation) + 0.5);
        int middle = (int)(v * (1.0 - (odd * down + (1 - odd) * up)) + 0.5);
        red[i] = (uint8_t)(sector == 0 || sector >= 5 ? v : sector == 1 || sector == 4 ? middle : low);
        green[i] = (uint8_t)(sector == 1 || sector == 2 ? v : sector == 0 || sector == 3 ? middle : low);
        blue[i] = (uint8_t)(sector == 3 || sector == 4 ? v : sector == 2 || sector == 5 ? middle : low);
    }
}

void colour_greyscale(uint8_t *planes, int pixels) {
    uint8_t *r = planes, *g = r + pixels, *b = g + pixels;
#pragma omp simd
    for (int i = 0; i < pixels; i++) r[i] = g[i] = b[i] = luma(r[i], g[i], b[i]);
}

void colour_solarize(uint8_t *planes, int pixels, int threshold) {
#pragma omp simd
    for (int i = 0; i < 3 * pixels; i++) planes[i] = planes[i] < threshold ? planes[i] : (uint8_t)(255 - planes[i]);
}
