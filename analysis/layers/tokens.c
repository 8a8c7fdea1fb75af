#include "analysis/layers/tokens.h"
#include "analysis/layers/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A patch that keeps a hundredth of the variance says, of what patches say at all, a hundredth about itself and the
 * rest about its image: pooling loses nothing there, and whatever needs places finds none.
 */
static const double TOKENS_COLLAPSED = 0.01, TOKENS_WARNING = 0.1;
/* Below this the patches of all images are one point but for float32's rounding. */
static const double ONE_POINT = 1e-9;

bool token_sums_begin(token_sums *s, size_t patches, size_t cols, error *err) {
    *s = (token_sums){.patches = patches, .cols = cols, .total = calloc(cols, sizeof(double))};
    return s->total || error_memory(err, cols * sizeof(double), "sums of tokens");
}

/* What one image adds. */
typedef struct image_sums {
    double rank, cosine, squares, between, massive, largest;
    error failed;
} image_sums;

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The state's magnitudes in order, into `sorted` (count). */
static void take_massive(const float *state, size_t count, float *sorted, image_sums *out) {
    for (size_t i = 0; i < count; i++) sorted[i] = fabsf(state[i]);
    qsort(sorted, count, sizeof *sorted, ascending);
    double median = (double)sorted[count / 2], most = (double)sorted[count - 1];
    size_t first = count;
    while (first > 0 && (double)sorted[first - 1] > TOKENS_MASSIVE * median) first--;
    out->massive = (double)(count - first);
    out->largest = median > 0 ? most / median : most > 0 ? INFINITY : 1;
}

/* sum (cols): of the image's patches. */
static void take_image(const token_sums *s, const float *state, size_t tokens, double *sum, image_sums *out) {
    matrix patches = {state + (tokens - s->patches) * s->cols, s->patches, s->cols};
    size_t values = tokens * s->cols, rank = patches.rows < patches.cols ? patches.rows : patches.cols;
    float *sorted = malloc(values * sizeof *sorted);
    double *sigma = malloc(rank * sizeof *sigma);
    bool ok = (sorted && sigma) || error_memory(&out->failed, values * sizeof *sorted, "the tokens of an image");
    ok = ok && spectrum_singular_values(patches, false, sigma, NULL, &out->failed) &&
         layer_mean_cosine(patches, &out->cosine, &out->failed);
    if (ok) {
        out->rank = spectrum_rankme(sigma, rank);
        take_massive(state, values, sorted, out);
        for (size_t j = 0; j < s->cols; j++) sum[j] = 0;
        for (size_t i = 0; i < s->patches; i++)
            for (size_t j = 0; j < s->cols; j++) {
                double x = (double)patches.data[i * s->cols + j];
                out->squares += x * x, sum[j] += x;
            }
        for (size_t j = 0; j < s->cols; j++) out->between += sum[j] * sum[j] / (double)s->patches;
    }
    free(sorted);
    free(sigma);
}

/* Images are looked at side by side and added in order, so that threads change no bit. */
bool token_sums_add(token_sums *s, const float *states, size_t images, size_t tokens, error *err) {
    image_sums *each = calloc(images + 1, sizeof *each);
    double *sums = calloc(images * s->cols + 1, sizeof *sums);
    bool ok = (each && sums) || error_memory(err, images * s->cols * sizeof *sums, "sums of tokens");
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < (ok ? images : 0); i++)
        take_image(s, states + i * tokens * s->cols, tokens, sums + i * s->cols, &each[i]);
    for (size_t i = 0; ok && i < images; i++) {
        const image_sums *one = &each[i];
        ok = !one->failed.code || error_set(err, one->failed.code, "%s", one->failed.text);
        s->rank += one->rank, s->cosine += one->cosine, s->squares += one->squares, s->between += one->between;
        s->massive += one->massive, s->largest += one->largest;
        for (size_t j = 0; j < s->cols; j++) s->total[j] += sums[i * s->cols + j];
    }
    s->images += images, s->values += (double)(images * tokens * s->cols);
    free(each);
    free(sums);
    return ok;
}

token_figures token_sums_end(token_sums *s) {
    double images = (double)s->images, all = images * (double)s->patches, mean = 0;
    for (size_t j = 0; j < s->cols; j++) mean += s->total[j] * s->total[j] / all;
    double within = (s->squares - s->between) / (all - images), total = (s->squares - mean) / (all - 1);
    if (within < 0) within = 0; /* by rounding; one patch an image leaves NaN */
    token_figures out = {.images = s->images,
                         .patches = s->patches,
                         .rank = s->rank / images,
                         .mean_cosine = s->cosine / images,
                         .within_share = total > 0 ? within / total : (double)NAN,
                         .massive_share = s->massive / s->values,
                         .largest_over_median = s->largest / images,
                         .precision_share = s->squares > 0 ? total * all / s->squares : (double)NAN};
    free(s->total);
    *s = (token_sums){0};
    return out;
}

__attribute__((format(printf, 2, 3))) static void say(collapse_verdict *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(v->sentence, sizeof v->sentence, format, args);
    va_end(args);
}

void tokens_judge(const token_figures *f, collapse_verdict *v) {
    *v = (collapse_verdict){.statistic_name = "within_share",
                            .statistic = f->within_share,
                            .expected = 1,
                            .low = NAN,
                            .high = NAN,
                            .threshold_warning = TOKENS_WARNING,
                            .threshold_collapsed = TOKENS_COLLAPSED,
                            .rule = "within_share",
                            .onset = -1};
    if (f->images < 2 || f->patches < 2) {
        v->rule = "too_few", v->statistic = NAN;
        say(v, "%zu image%s of %zu patch%s cannot show whether patches differ within an image.", f->images,
            f->images == 1 ? "" : "s", f->patches, f->patches == 1 ? "" : "es");
    } else if (!(f->precision_share > ONE_POINT)) {
        v->verdict = VERDICT_COLLAPSED, v->rule = "one_point", v->statistic = 0;
        say(v, "The patches of all images are one point.");
    } else if (f->within_share < TOKENS_COLLAPSED) {
        v->verdict = VERDICT_COLLAPSED;
        say(v,
            "The patches of an image are one token: differences between them carry %.2g of the variance of all "
            "patches, and differences between images the rest.",
            f->within_share);
    } else if (f->within_share < TOKENS_WARNING) {
        v->verdict = VERDICT_WARNING;
        say(v,
            "The patches of an image are nearly alike: differences between them carry %.2g of all patches' variance.",
            f->within_share);
    } else {
        v->verdict = VERDICT_HEALTHY;
        say(v, "Patches keep what is their own: differences within an image carry %.2g of all patches' variance.",
            f->within_share);
    }
}
