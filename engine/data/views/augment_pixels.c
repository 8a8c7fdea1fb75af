/*
 * A view is made in one go: crop, resize and flip by the resizer (the flip commutes with every later step, all of them
 * being even in x), then the colour steps and the blur on planes, then back to pixels. The order is that of the
 * pipelines whose settings the presets quote: crop, jitter, greyscale, blur, solarise, flip.
 */
#include "engine/data/views/augment_pixels.h"
#include "engine/data/views/blur.h"
#include "engine/data/views/colour.h"

/* A strength of 0 draws a turn of exactly 0, which torchvision skips too: HSV in bytes does not come back unchanged. */
static void jitter(const augment_draw *draw, uint8_t *planes, int pixels) {
    for (int i = 0; i < 4; i++) switch (draw->order[i]) {
        case 0: colour_brightness(planes, pixels, draw->brightness); break;
        case 1: colour_contrast(planes, pixels, draw->contrast); break;
        case 2: colour_saturation(planes, pixels, draw->saturation); break;
        case 3:
            if (draw->hue != 0) colour_hue(planes, pixels, draw->hue);
            break;
        }
}

bool augment_pixels(augmenter *a, const augment_options *options, const augment_draw *draw, const uint8_t *source,
                    size_t stride, uint8_t *target, error *err) {
    int size = a->target_size, pixels = size * size;
    resize_box box = {.left = draw->left, .top = draw->top, .width = draw->width, .height = draw->height};
    if (!resize_image(a->resizer, source, stride, box, draw->flip, target, size, size, err)) return false;
    if (!draw->jitter && !draw->greyscale && !draw->blur && !draw->solarize) return true;
    colour_split(target, pixels, a->planes);
    if (draw->jitter) jitter(draw, a->planes, pixels);
    if (draw->greyscale) colour_greyscale(a->planes, pixels);
    if (draw->blur) blur_gaussian(a->planes, size, draw->sigma, a->scratch);
    if (draw->solarize) colour_solarize(a->planes, pixels, (int)options->solarize_threshold);
    colour_join(a->planes, pixels, target);
    return true;
}
