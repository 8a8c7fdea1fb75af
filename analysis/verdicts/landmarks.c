#include "analysis/verdicts/landmarks.h"
#include "analysis/verdicts/contrast.h"

#include <math.h>

const struct landmark_figure landmark_figures[LANDMARK_FIGURES] = {
    [LANDMARK_COLUMNS] = {"columns", "columns"},
    [LANDMARK_CONTRAST] = {"contrast", "contrast"},
    [LANDMARK_VARIANCE_SHARE] = {"variance_share", "variance share"},
    [LANDMARK_SPREAD] = {"spread", "spread"},
    [LANDMARK_EFFECTIVE_RANK] = {"effective_rank", "effective rank"},
    [LANDMARK_EFFECTIVE_RANK_SHARE] = {"effective_rank_share", "of possible"},
    [LANDMARK_RANKME] = {"rankme", "RankMe"},
    [LANDMARK_K90] = {"k90", "k90"},
    [LANDMARK_K99] = {"k99", "k99"},
    [LANDMARK_RANK] = {"rank", "rank above rounding"},
    [LANDMARK_GAP_FACTOR] = {"gap_factor", "largest drop"},
    [LANDMARK_ALPHA] = {"alpha", "α"},
    [LANDMARK_EXPLAINED_AREA] = {"explained_area", "explained area"},
    [LANDMARK_CODES] = {"codes", "codes"},
    [LANDMARK_CODES_USED_OF_EXPECTED] = {"codes_used_of_expected", "used of expected"},
    [LANDMARK_EVEN_SHARE] = {"even_share", "even use"},
    [LANDMARK_INFORMATION_SHARE] = {"information_share", "information"},
    [LANDMARK_WITHIN_SHARE] = {"within_share", "variance in clusters"},
    [LANDMARK_POINT_SHARE] = {"point_share", "rows in points"},
};

/* ---- measured ---------------------------------------------------------------------------------------------------- */

const char *const landmarks_sources[] = {
    "2,048 CIFAR-10 test images at 32×32 (tests/verdicts/landmarks.py)",
    "2,000 CIFAR-10 images at 32×32, torchvision 0.29.2, networks untrained, seed 0 (tests/verdicts/real.py)",
    "2,048 CIFAR-10 test images; resnet8 of width 16, 4 epochs of 8,192 images, seed 0 (tests/verdicts/landmarks.py; "
    "experiments/README.md, a run against its own network)",
    "10,000 CIFAR-10 test images; resnet8 of width 32, 8 epochs of 20,480 images, seed 0 (experiments/README.md, every "
    "method at one small scale)",
    NULL,
};

/* Figures that stand in those tables; what they do not hold is not a number. */
#define ONLY_CODES(columns, codes, used)                                                                               \
    { columns, N, N, N, N, N, N, N, N, N, N, N, N, codes, used, N, N, N, N }
#define N NAN
static const landmark measured[] = {
    {"raw pixels",
     1,
     {3072, 0.5541, 0.211, 0.1814, 517.7, 0.2529, 361.7, 87, 446, 2047, 1.674, 1.866, 0.9844, N, N, N, N, 0.8118, 0}},
    {"64 principal components of the pixels",
     1,
     {64, 1.824, 1, 0.999, 49.16, 0.7681, 49.16, 28, 59, 64, 1.674, 1.244, 0.8736, N, N, N, N, 0.7846, 0}},
    {"resnet18, untrained", 2, {512, 0.478, N, N, 206.0, 0.402, N, N, 200, N, N, N, N, N, N, N, N, N, N}},
    {"mobilenet_v3_small, untrained", 2, {576, 0.965, N, N, 48.5, 0.084, N, N, 45, N, N, N, N, N, N, N, N, N, N}},
    {"shufflenet_v2_x0_5, untrained", 2, {1024, 1.32, N, N, 35.8, 0.035, N, N, 9, N, N, N, N, N, N, N, N, N, N}},
    {"resnet8, untrained, backbone",
     3,
     {64, 0.4929, 0.1483, 0.06192, 17.23, 0.2692, 7.667, 2, 14, 64, 5.454, 1.725, 0.9876, N, N, N, N, N, N}},
    {"supervised, backbone",
     3,
     {64, 0.7936, 0.3467, 0.3074, 26.73, 0.4177, 18.92, 5, 27, 64, 1.758, 2.242, 0.9711, N, N, N, N, N, N}},
    {"SimCLR, backbone",
     3,
     {64, 0.9531, 0.4446, 0.3818, 24.58, 0.3841, 19.44, 6, 21, 64, 2.001, 2.673, 0.9704, N, N, N, N, N, N}},
    {"VICReg, backbone",
     3,
     {64, 0.6509, 0.2969, 0.2753, 33.76, 0.5275, 23.89, 10, 37, 64, 1.354, 2.367, 0.9429, N, N, N, N, N, N}},
    {"FALCON, backbone",
     3,
     {64, 1.041, 0.4907, 0.353, 17.32, 0.2707, 13.94, 3, 11, 64, 2.276, 2.33, 0.9849, N, N, N, N, N, N}},
    {"SimCLR, embeddings",
     3,
     {128, 0.8956, 0.4621, 0.4621, 13.48, 0.1053, 10.96, 4, 6, 128, 2.919, 2.801, 0.9928, N, N, N, N, 0.5463, 0}},
    {"BYOL, embeddings",
     3,
     {128, 1.056, 0.614, 0.5279, 19.69, 0.1538, 16.63, 4, 9, 128, 1.663, 2.797, 0.9906, N, N, N, N, 0.6712, 0}},
    {"Barlow Twins, embeddings",
     3,
     {512, 2.042, 0.6756, 0.6323, 90.27, 0.1763, 76.42, 7, 37, 512, 1.595, 2.15, 0.9934, N, N, N, N, 0.2774, 0}},
    {"VICReg, embeddings",
     3,
     {512, 1.983, 0.6712, 0.6588, 209.4, 0.4091, 186.3, 31, 213, 512, 1.182, 1.912, 0.9717, N, N, N, N, 0.3867, 0}},
    {"SwAV, embeddings",
     3,
     {128, 0.6741, 0.2482, 0.2482, 16.81, 0.1313, 9.878, 2, 6, 128, 2.203, 2.125, 0.9957, 256, 0.6213, 0.2176, 0.03956,
      0.1096, 0}},
    {"DINO, embeddings",
     3,
     {128, 0.6549, 0.2766, 0.2766, 25.36, 0.1981, 15.91, 4, 12, 128, 2.136, 2.3, 0.9892, 512, 0.04178, 0.01756, 0.01951,
      0.3891, 0}},
    {"FALCON, embeddings",
     3,
     {512, 1.316, 0.8756, 0.8756, 11.18, 0.1747, 11.07, 3, 5, 64, 2.473, 2.354, 0.9897, 2048, 0.095, 0.03915, 0.03498,
      0.08235, 0}},
    {"collapsed: SimSiam, no stop-gradient, embeddings",
     3,
     {512, 0.06156, 0.9963, 0.02821, 44.42, 0.08676, 4.054, 2, 22, 317, 5.769, 2.272, 0.9982, N, N, N, N, 0.002478, 0}},
    {"collapsed: SwAV, no Sinkhorn, embeddings",
     3,
     {128, 0.07354, 0.003962, 0.003962, 66.49, 0.5194, 5.652, 17, 73, 128, 1.41, 1.793, 0.9526, 256, 0.003908, 0.004164,
      5.762e-07, 1, 0}},
    {"collapsed: DINO, no centring, embeddings",
     3,
     {128, 0.3236, 0.06478, 0.06478, 35.99, 0.2811, 11.95, 5, 26, 128, 1.783, 2.221, 0.9854, 512, 0.003979, 0.002282,
      0.01134, 0.9865, 0}},
    {"collapsed: FALCON, beta 1000, embeddings",
     3,
     {512, 0.4432, 0.13, 0.13, 17.06, 0.2666, 5.2, 3, 14, 64, 4.263, 2.228, 0.9898, 2048, 0.002317, 0.0009578, 0.01371,
      0.607, 0}},
    {"untrained, FALCON's codes", 4, ONLY_CODES(128, 2048, 0.0034)},
    {"FALCON, codes", 4, ONLY_CODES(128, 2048, 0.037)},
    {"SwAV, prototypes", 4, ONLY_CODES(128, 256, 0.984)},
    {"DINO, prototypes", 4, ONLY_CODES(64, 128, 0.141)},
    {"Self-Classifier, classes", 4, ONLY_CODES(128, 128, 0.992)},
    {"GEDI, clusters", 4, ONLY_CODES(512, 32, 1)},
};
#undef N

/* ---- beside them ------------------------------------------------------------------------------------------------- */

static landmark empty(const char *name) {
    landmark l = {.name = name};
    for (int k = 0; k < LANDMARK_FIGURES; k++) l.figures[k] = NAN;
    return l;
}

static landmark own(const collapse *c) {
    const collapse_evidence *e = &c->evidence;
    landmark l = empty("here");
    double *f = l.figures;
    f[LANDMARK_COLUMNS] = e->cols, f[LANDMARK_CONTRAST] = e->contrast, f[LANDMARK_VARIANCE_SHARE] = e->variance_share;
    f[LANDMARK_SPREAD] = e->spread, f[LANDMARK_EFFECTIVE_RANK] = e->effective_rank;
    f[LANDMARK_EFFECTIVE_RANK_SHARE] = e->effective_rank_share, f[LANDMARK_RANKME] = e->rankme;
    f[LANDMARK_K90] = e->k90, f[LANDMARK_K99] = e->k99, f[LANDMARK_RANK] = e->rank;
    f[LANDMARK_GAP_FACTOR] = e->gap_factor, f[LANDMARK_ALPHA] = e->alpha;
    f[LANDMARK_EXPLAINED_AREA] = e->explained_area;
    f[LANDMARK_WITHIN_SHARE] = c->within_share, f[LANDMARK_POINT_SHARE] = c->point_share;
    if (!c->has_usage) return l;
    const usage_figures *u = &c->usage;
    f[LANDMARK_CODES] = (double)u->codes, f[LANDMARK_CODES_USED_OF_EXPECTED] = u->used_of_expected;
    f[LANDMARK_EVEN_SHARE] = u->hard_perplexity / u->hard_perplexity_expected;
    f[LANDMARK_INFORMATION_SHARE] = u->information_share;
    return l;
}

/* Read off the null's own singular values, which spectrum_noise draws. */
static landmark noise(const collapse *c) {
    const spectrum *s = &c->spectrum;
    size_t most = s->n - 1 < s->d ? s->n - 1 : s->d;
    landmark l = empty("white noise of this size");
    double *f = l.figures;
    f[LANDMARK_COLUMNS] = (double)s->d, f[LANDMARK_CONTRAST] = CONTRAST_OF_NOISE,
    f[LANDMARK_VARIANCE_SHARE] = f[LANDMARK_SPREAD] = 1;
    f[LANDMARK_EFFECTIVE_RANK] = s->effective_rank.noise, f[LANDMARK_RANKME] = s->rankme.noise;
    f[LANDMARK_EFFECTIVE_RANK_SHARE] = most ? s->effective_rank.noise / (double)most : NAN;
    f[LANDMARK_RANK] = s->numerical_rank.noise, f[LANDMARK_POINT_SHARE] = 0;
    if (!s->noise) return l;
    f[LANDMARK_K90] = (double)spectrum_directions(s->noise, s->count, 0.9);
    f[LANDMARK_K99] = (double)spectrum_directions(s->noise, s->count, 0.99);
    f[LANDMARK_EXPLAINED_AREA] = spectrum_explained_area(s->noise, s->count);
    return l;
}

size_t landmarks_beside(const collapse *c, landmark *out) {
    size_t count = sizeof measured / sizeof *measured;
    out[0] = own(c), out[1] = noise(c);
    for (size_t i = 0; i < count; i++) out[2 + i] = measured[i];
    return 2 + count;
}

json_t *landmarks_json(const collapse *c) {
    landmark list[LANDMARKS_MOST];
    size_t count = landmarks_beside(c, list);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *source = list[i].source ? landmarks_sources[list[i].source - 1] : "";
        json_t *row = json_pack("{s:s, s:s}", "name", list[i].name, "source", source);
        for (int k = 0; k < LANDMARK_FIGURES; k++) {
            double x = list[i].figures[k];
            json_object_set_new(row, landmark_figures[k].key, isfinite(x) ? json_real(x) : json_null());
        }
        json_array_append_new(rows, row);
    }
    return rows;
}
