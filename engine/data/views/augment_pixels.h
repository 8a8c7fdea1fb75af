/*
 * The pixels of a view: crop, resize, colours, blur. Most of a loader thread's time, so it is built for each
 * instruction set, with the resizer, the colour steps and the blur in it; augment_image calls the build that was
 * chosen.
 */
#ifndef MEWS_AUGMENT_PIXELS_H
#define MEWS_AUGMENT_PIXELS_H

#include "engine/data/views/augment.h"

typedef bool augment_run(augmenter *a, const augment_options *options, const augment_draw *draw, const uint8_t *source,
                         size_t stride, uint8_t *target, error *err);

struct augmenter {
    augment_run *run; /* augment_pixels of this process's build */
    int target_size;
    resizer *resizer;
    uint8_t *planes;  /* (3, target_size, target_size) */
    uint8_t *scratch; /* the blur's */
};

augment_run augment_pixels;

#endif
