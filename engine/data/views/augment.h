/*
 * Augmentation: from one image to the random views that self-supervised learning compares. Each step gives what Pillow
 * and torchvision give for the same parameters (bicubic antialiased resize, colour jitter in a random order, greyscale,
 * solarise, Gaussian blur by box filters), within one grey level. What is drawn depends only on (seed, epoch, sample,
 * view), so any thread may make any view.
 */
#ifndef MEWS_AUGMENT_H
#define MEWS_AUGMENT_H

#include "engine/error.h"
#include "engine/data/views/resize.h"
#include "engine/fields.h"
#include "engine/rng.h"

#include <stddef.h>
#include <stdint.h>

/* Views 0 and 1 are global (the second may differ: solarise), those from AUGMENT_VIEWS on are local: small crops of a
   size of their own. */
enum { AUGMENT_VIEWS = 2, AUGMENT_MAX_LOCAL = 64, AUGMENT_MAX_STEPS = 16 };

typedef struct augment_options {
    int preset;                /* choice: asymmetric, symmetric, …, custom; sets every row the spec does not */
    double crop_min, crop_max; /* area of the random resized crop as a share of the image; 1, 1 = none */
    double ratio_min, ratio_max;
    int interpolation;                                    /* of crops; choice: bicubic, bilinear */
    double flip;                                          /* probability */
    double jitter, brightness, contrast, saturation, hue; /* probability; strengths */
    double greyscale;
    double blur, blur_min, blur_max;  /* probability; sigma in pixels */
    double blur_second, blur_local;   /* probability on the second view and on local ones; < 0: as blur */
    double solarize, solarize_second; /* probability on the first and on the second view */
    int64_t solarize_threshold;
    int64_t global_crops, local_crops; /* views of each kind */
    int64_t local_size;                /* side of a local view, pixels */
    double local_min, local_max;       /* area of its crop as a share of the image */
    double steps[AUGMENT_MAX_STEPS];   /* probabilities of the further steps, in the order of their list */
} augment_options;

/* A further step: changes a view's pixels (size, size, 3) where they stand, the last thing that happens to them. What
 * it draws, it draws from `random`, which is this view's and step's own. */
typedef void augment_step(uint8_t *rgb, int size, rng *random);

extern const field_table augment_fields;
extern const field_condition augment_conditions[]; /* of keys that do nothing beside some values of others */

/* Overwrites every row but `preset` with the preset's values; the spec's own keys are then set on top. */
void augment_apply_preset(augment_options *options);

/* ERROR_USAGE for what no single row can see: a lower bound above its upper one, local views without a size. */
bool augment_check(const augment_options *options, error *err);

/* What is drawn for one view, exposed so that tests and tools can hold every step against the reference. */
typedef struct augment_draw {
    int top, left, height, width; /* crop box in the source image */
    bool flip, jitter, greyscale, solarize, blur;
    int order[4]; /* of brightness 0, contrast 1, saturation 2, hue 3 */
    double brightness, contrast, saturation, hue, sigma;
    uint64_t steps; /* the seed of what the further steps draw */
} augment_draw;

/* For an image of width×height; where no crop is asked for, the box is the square in its middle. */
augment_draw augment_sample(const augment_options *options, int width, int height, int view, rng *random);

typedef struct augmenter augmenter; /* scratch memory and tables of one thread */

/* Ready for sources of up to source_size a side: these allocate nothing and cannot fail. 0: made ready as they come. */
augmenter *augmenter_create(int source_size, int target_size, resize_kernel kernel, error *err);
void augmenter_destroy(augmenter *a);

/* source: RGB, rows `stride` bytes apart, with the draw's box inside; target: target_size×target_size×3 bytes RGB. */
bool augment_image(augmenter *a, const augment_options *options, const augment_draw *draw, const uint8_t *source,
                   size_t stride, uint8_t *target, error *err);

/* out = (rgb/255 − mean)/std per channel; rgb and out: (pixels, 3). */
void augment_normalize(const uint8_t *rgb, int pixels, const float mean[3], const float std[3], float *out);

#endif
