/*
 * The options of augmentation with their presets, what is drawn for a view, and who makes its pixels. One more step is
 * a file in steps/ and a line in this list.
 */
#include "engine/data/views/augment_pixels.h"
#include "engine/data/views/blur.h"
#include "engine/isa.h"

#include <math.h>
#include <stdlib.h>

#define STEPS(X) X(posterize, "probability of keeping but the upper four of each value's eight bits")

#define X(name, help) augment_step augment_step_##name;
STEPS(X)
#undef X

static const struct {
    const char *name;
    augment_step *apply;
} steps[] = {
#define X(name, help) {#name, augment_step_##name},
    STEPS(X)
#undef X
};

enum {
#define X(name, help) STEP_##name,
    STEPS(X)
#undef X
        STEPS_THERE
};
_Static_assert((int)STEPS_THERE <= (int)AUGMENT_MAX_STEPS, "more steps than augment_options has room for");

/* ---- options ---------------------------------------------------------------------------------------------------- */

enum { ASYMMETRIC, SYMMETRIC, SYMMETRIC_WEAK, DINO, SWAV, NONE, CUSTOM };

static const char *const presets[] = {
    [ASYMMETRIC] = "asymmetric",
    [SYMMETRIC] = "symmetric",
    [SYMMETRIC_WEAK] = "symmetric_weak",
    [DINO] = "dino",
    [SWAV] = "swav",
    [NONE] = "none",
    [CUSTOM] = "custom",
    NULL,
};

static const char *const interpolations[] = {"bicubic", "bilinear", NULL}; /* in the order of resize_kernel */

#define REAL(name, standard, low, high, text)                                                                          \
    { #name, FIELD_REAL, offsetof(augment_options, name), standard, low, high, NULL, true, text }

/* The fallbacks are those of `asymmetric`. `preset` decides nothing beyond the rows it sets, so it is no identity. */
static const field rows[] = {
    {"preset", FIELD_CHOICE, offsetof(augment_options, preset), "asymmetric", 0, 0, presets, false,
     "sets every other key that the spec does not; short form: `augment: PRESET`; custom leaves them alone"},
    REAL(crop_min, "0.08", 1e-4, 1,
         "smallest area of the random resized crop, share of the image; 1 with crop_max 1: no crop"),
    REAL(crop_max, "1", 1e-4, 1, "largest area of the random resized crop, share of the image"),
    REAL(ratio_min, "0.75", 0.01, 100, "smallest ratio of the crop's width to its height"),
    REAL(ratio_max, "1.3333333333333333", 0.01, 100, "largest ratio of the crop's width to its height"),
    {"interpolation", FIELD_CHOICE, offsetof(augment_options, interpolation), "bicubic", 0, 0, interpolations,
     IDENTITY_IF_SET,
     "how crops are resized; bilinear: torchvision's default, which SwAV's and SimSiam's authors left"},
    REAL(flip, "0.5", 0, 1, "probability of mirroring left to right"),
    REAL(jitter, "0.8", 0, 1, "probability of colour jitter, its four steps in a random order"),
    REAL(brightness, "0.4", 0, 10, "jitter: brightness by a factor within 1 -/+ this, at least 0"),
    REAL(contrast, "0.4", 0, 10, "jitter: contrast by a factor within 1 -/+ this, at least 0"),
    REAL(saturation, "0.2", 0, 10, "jitter: saturation by a factor within 1 -/+ this, at least 0"),
    REAL(hue, "0.1", 0, 0.5, "jitter: hue turned by at most this share of the full circle"),
    REAL(greyscale, "0.2", 0, 1, "probability of greyscale"),
    REAL(blur, "0", 0, 1, "probability of Gaussian blur"),
    REAL(blur_min, "0.1", 0.01, 100, "smallest sigma of the blur, pixels"),
    REAL(blur_max, "2", 0.01, 100, "largest sigma of the blur, pixels"),
    {"blur_second", FIELD_REAL, offsetof(augment_options, blur_second), "-1", -1, 1, NULL, IDENTITY_IF_SET,
     "probability of blur on the second view; below 0: the same as blur"},
    {"blur_local", FIELD_REAL, offsetof(augment_options, blur_local), "-1", -1, 1, NULL, IDENTITY_IF_SET,
     "probability of blur on small views; below 0: the same as blur"},
    REAL(solarize, "0", 0, 1, "probability of inverting bright values, first view"),
    REAL(solarize_second, "0.2", 0, 1, "probability of inverting bright values, second view"),
    {"solarize_threshold", FIELD_INT, offsetof(augment_options, solarize_threshold), "128", 0, 256, NULL, true,
     "solarize inverts values of 0 to 255 from this one on"},
    {"global_crops", FIELD_INT, offsetof(augment_options, global_crops), "2", 1, AUGMENT_VIEWS, NULL, true,
     "whole-size views of each image: 2, or 1 for a method that compares none (supervised)"},
    {"local_crops", FIELD_INT, offsetof(augment_options, local_crops), "0", 0, AUGMENT_MAX_LOCAL, NULL, true,
     "small views of each image beside the global ones (multi-crop), coloured as the first view is"},
    {"local_size", FIELD_INT, offsetof(augment_options, local_size), "0", 0, 1024, NULL, true,
     "side of the small views in pixels; 0 = not defined, so that there are none"},
    REAL(local_min, "0.05", 1e-4, 1, "smallest area of a small view's crop, share of the image"),
    REAL(local_max, "0.4", 1e-4, 1, "largest area of a small view's crop, share of the image"),
#define X(name, help)                                                                                                  \
    {#name,           FIELD_REAL, offsetof(augment_options, steps) + STEP_##name * sizeof(double), "0.0", 0, 1, NULL,  \
     IDENTITY_IF_SET, help},
    STEPS(X)
#undef X
};

const field_condition augment_conditions[] = {
    {"brightness", "jitter!=0"},
    {"contrast", "jitter!=0"},
    {"saturation", "jitter!=0"},
    {"hue", "jitter!=0"},
    {"blur_min", "blur!=0"},
    {"blur_min", "blur_second!=-1|0"},
    {"blur_min", "blur_local!=-1|0"},
    {"blur_max", "blur!=0"},
    {"blur_max", "blur_second!=-1|0"},
    {"blur_max", "blur_local!=-1|0"},
    {"blur_local", "local_crops!=0"},
    {"solarize_threshold", "solarize!=0"},
    {"solarize_threshold", "solarize_second!=0"},
    {"local_size", "local_crops!=0"},
    {"local_min", "local_crops!=0"},
    {"local_max", "local_crops!=0"},
    {0},
};

const field_table augment_fields = {
    .section = "augment", .rows = rows, .count = sizeof rows / sizeof *rows, .size = sizeof(augment_options)};

void augment_apply_preset(augment_options *options) {
    int preset = options->preset;
    if (preset == CUSTOM) return;
    augment_options o = {
        .preset = preset,
        .crop_min = 0.08,
        .crop_max = 1,
        .ratio_min = 0.75,
        .ratio_max = 4.0 / 3,
        .flip = 0.5,
        .jitter = 0.8,
        .brightness = 0.4,
        .contrast = 0.4,
        .saturation = 0.2,
        .hue = 0.1,
        .greyscale = 0.2,
        .blur_min = 0.1,
        .blur_max = 2,
        .blur_second = -1,
        .blur_local = -1,
        .solarize_threshold = 128,
        .global_crops = AUGMENT_VIEWS,
        .local_min = 0.05,
        .local_max = 0.4,
    };
    if (preset == ASYMMETRIC) o.solarize_second = 0.2;
    if (preset == SYMMETRIC) o.brightness = o.contrast = o.saturation = 0.8, o.hue = 0.2, o.blur = 0.5;
    if (preset == SYMMETRIC_WEAK) o.saturation = 0.4, o.blur = 0.5;
    /* The authors' own at 224 pixels, with their small views of 96. */
    if (preset == DINO) {
        o.crop_min = 0.4, o.blur = 1, o.blur_second = 0.1, o.blur_local = 0.5, o.solarize_second = 0.2;
        o.local_crops = 8, o.local_size = 96, o.local_min = 0.05, o.local_max = 0.4;
    }
    if (preset == SWAV) {
        o.crop_min = 0.14, o.brightness = o.contrast = o.saturation = 0.8, o.hue = 0.2, o.blur = 0.5;
        o.local_crops = 6, o.local_size = 96, o.local_min = 0.05, o.local_max = 0.14;
    }
    if (preset == NONE) o.crop_min = 1, o.flip = o.jitter = o.greyscale = 0;
    *options = o;
}

static bool ordered(const char *name, double low, double high, error *err) {
    if (low <= high) return true;
    return error_set(err, ERROR_USAGE, "augment.%s_min is %g, above augment.%s_max, which is %g", name, low, name,
                     high);
}

static bool locals_defined(const augment_options *o, error *err) {
    if (!o->local_crops || o->local_size) return true;
    return error_set(err, ERROR_USAGE,
                     "augment.local_crops asks for %lld small views, but augment.local_size defines none: set it to "
                     "their side in pixels, about half of the image's",
                     (long long)o->local_crops);
}

bool augment_check(const augment_options *o, error *err) {
    return ordered("crop", o->crop_min, o->crop_max, err) && ordered("ratio", o->ratio_min, o->ratio_max, err) &&
           ordered("blur", o->blur_min, o->blur_max, err) && ordered("local", o->local_min, o->local_max, err) &&
           locals_defined(o, err);
}

/* ---- what is drawn ---------------------------------------------------------------------------------------------- */

/* The square in the middle. */
static void centre_crop(int width, int height, augment_draw *draw) {
    draw->width = draw->height = width < height ? width : height;
    draw->top = (height - draw->height) / 2, draw->left = (width - draw->width) / 2;
}

/*
 * torchvision's RandomResizedCrop: ten tries at an area (uniform) and a ratio (log-uniform) whose box fits, else the
 * largest central box whose ratio is allowed.
 */
static void sample_crop(const augment_options *o, int width, int height, bool local, rng *random, augment_draw *draw) {
    double least = local ? o->local_min : o->crop_min, most = local ? o->local_max : o->crop_max;
    double low = log(o->ratio_min), high = log(o->ratio_max);
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = (double)width * height * rng_between(random, least, most);
        double ratio = exp(rng_between(random, low, high));
        double across = rint(sqrt(area * ratio)), down = rint(sqrt(area / ratio));
        if (across < 1 || across > width || down < 1 || down > height) continue;
        draw->width = (int)across, draw->height = (int)down;
        draw->top = (int)rng_below(random, (uint32_t)(height - draw->height + 1));
        draw->left = (int)rng_below(random, (uint32_t)(width - draw->width + 1));
        return;
    }
    double ratio = (double)width / height;
    draw->width = width, draw->height = height;
    if (ratio < o->ratio_min) draw->height = (int)rint(width / o->ratio_min);
    if (ratio > o->ratio_max) draw->width = (int)rint(height * o->ratio_max);
    draw->height = draw->height > 0 ? draw->height : 1;
    draw->width = draw->width > 0 ? draw->width : 1;
    draw->top = (height - draw->height) / 2, draw->left = (width - draw->width) / 2;
}

static double sample_factor(rng *random, double strength) {
    return rng_between(random, strength < 1 ? 1 - strength : 0, 1 + strength);
}

/* Everything is drawn whether it is used or not, so that changing one step's setting leaves the others' draws alone. */
augment_draw augment_sample(const augment_options *o, int width, int height, int view, rng *random) {
    augment_draw draw = {.order = {0, 1, 2, 3}};
    draw.flip = rng_uniform(random) < o->flip;
    draw.jitter = rng_uniform(random) < o->jitter;
    draw.greyscale = rng_uniform(random) < o->greyscale;
    bool local = view >= AUGMENT_VIEWS;
    double blur = view == 0 ? o->blur : local ? o->blur_local : o->blur_second;
    draw.blur = rng_uniform(random) < (blur < 0 ? o->blur : blur);
    draw.solarize = rng_uniform(random) < (view == 0 || local ? o->solarize : o->solarize_second);
    for (int i = 3; i > 0; i--) {
        int j = (int)(rng_uniform(random) * (i + 1)), swap = draw.order[i];
        draw.order[i] = draw.order[j];
        draw.order[j] = swap;
    }
    draw.brightness = sample_factor(random, o->brightness);
    draw.contrast = sample_factor(random, o->contrast);
    draw.saturation = sample_factor(random, o->saturation);
    draw.hue = rng_between(random, -o->hue, o->hue);
    draw.sigma = rng_between(random, o->blur_min, o->blur_max);
    if ((local ? o->local_min : o->crop_min) >= 1)
        centre_crop(width, height, &draw);
    else
        sample_crop(o, width, height, local, random, &draw);
    draw.steps = (uint64_t)rng_bits(random) << 32;
    draw.steps |= rng_bits(random);
    return draw;
}

/* ---- pixels ----------------------------------------------------------------------------------------------------- */

augmenter *augmenter_create(int source_size, int target_size, resize_kernel kernel, error *err) {
    if (source_size > RESIZE_MAX_RESERVED || target_size > RESIZE_MAX_RESERVED) {
        error_set(err, ERROR_USAGE, "cannot augment images of %d to %d pixels a side: at most %d are supported",
                  source_size, target_size, RESIZE_MAX_RESERVED);
        return NULL;
    }
    augmenter *a = calloc(1, sizeof *a);
    if (!a) {
        error_memory(err, sizeof *a, "an augmenter");
        return NULL;
    }
    size_t planes = 3 * (size_t)target_size * target_size, scratch = blur_scratch(target_size);
    const isa *own = isa_choose(err);
    if (!own) goto fail;
    a->run = own->augment;
    a->target_size = target_size;
    if (!(a->planes = malloc(planes)) || !(a->scratch = malloc(scratch))) {
        error_memory(err, planes + scratch, "an augmenter");
        goto fail;
    }
    if (!(a->resizer = resizer_create(kernel, err)) || !resizer_reserve(a->resizer, source_size, target_size, err))
        goto fail;
    return a;
fail:
    augmenter_destroy(a);
    return NULL;
}

void augmenter_destroy(augmenter *a) {
    if (!a) return;
    resizer_destroy(a->resizer);
    free(a->planes);
    free(a->scratch);
    free(a);
}

/* FNV-1a, so that a step draws the same wherever it stands in the list. */
static uint64_t hash_of(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

bool augment_image(augmenter *a, const augment_options *options, const augment_draw *draw, const uint8_t *source,
                   size_t stride, uint8_t *target, error *err) {
    if (!a->run(a, options, draw, source, stride, target, err)) return false;
    for (uint32_t i = 0; i < STEPS_THERE; i++) {
        if (options->steps[i] <= 0) continue;
        rng random = rng_stream(draw->steps, RNG_STEP, 0, hash_of(steps[i].name), 0);
        if (rng_uniform(&random) < options->steps[i]) steps[i].apply(target, a->target_size, &random);
    }
    return true;
}

/* A block of 16 pixels: 48 values, a whole number of vectors, in which the three channels' constants repeat. */
enum { BLOCK = 48 };

void augment_normalize(const uint8_t *rgb, int pixels, const float mean[3], const float std[3], float *out) {
    float scale[BLOCK], shift[BLOCK];
    for (int i = 0; i < BLOCK; i++) scale[i] = 1 / (255 * std[i % 3]), shift[i] = -mean[i % 3] / std[i % 3];
    int count = 3 * pixels, i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
#pragma omp simd
        for (int k = 0; k < BLOCK; k++) out[i + k] = (float)rgb[i + k] * scale[k] + shift[k];
    }
    for (int k = 0; i + k < count; k++) out[i + k] = (float)rgb[i + k] * scale[k] + shift[k];
}
