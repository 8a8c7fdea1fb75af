/*
 * The backbones beside PyTorch's, from the same weights and images (tests/golden/make_backbones.py): features,
 * gradients with respect to images and every parameter, and the running statistics that a training step leaves.
 */
#include "engine/backbone.h"
#include "tests/golden/golden.h"

#include <string.h>

/* Uniform in [−1, 1) from a hash of the name and the index, as the script makes it. */
static void noise(const char *name, int64_t count, float *values) {
    uint32_t key = 2166136261u;
    for (; *name; name++) key = (key ^ (unsigned char)*name) * 16777619u;
    for (int64_t i = 0; i < count; i++) {
        uint32_t h = (uint32_t)((uint64_t)(i + 1) * 2654435761u) ^ key;
        h = (h ^ h >> 16) * 0x85ebca6bu;
        h = (h ^ h >> 13) * 0xc2b2ae35u;
        h ^= h >> 16;
        values[i] = (float)((double)(h >> 8) / (1 << 23) - 1);
    }
}

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static void fill(parameters *p) {
    for (size_t i = 0; i < p->count; i++) {
        tensor *t = &p->items[i]->value;
        const char *name = p->items[i]->name;
        int64_t count = tensor_count(t);
        float *values = malloc((size_t)count * sizeof *values);
        noise(name, count, values);
        double scale = t->rank == 4 ? sqrt(6.0 / (double)(t->shape[1] * t->shape[2] * t->shape[3])) : 0.25;
        bool vector = t->shape[0] == 1, weight = ends_with(name, ".weight");
        if (t->rank == 2 && weight && !vector) scale = sqrt(3 / (double)t->shape[1]);
        bool about_one = t->rank == 2 && vector && (weight || ends_with(name, ".running_var"));
        for (int64_t k = 0; k < count; k++) values[k] = (float)(about_one + scale * (double)values[k]);
        p->backend->write(p->backend, t, values);
        free(values);
    }
}

/*
 * What a gradient may differ by, in units of its norm. In single precision some maxima and signs that nearly tie fall
 * otherwise, and normalising over the few pixels of a deep network's last layers blows that up: of this training
 * resnet50 PyTorch's own single precision differs from its double by up to 7e-3, of torchvision's resnet18 by 2.7e-3
 * (channels last, without oneDNN; its double does as much with inputs that are off by a millionth). Finite differences
 * in double precision hold the gradients themselves (tests/gradients).
 */
static double gradient_tolerance(const char *label) {
    return strcmp(label, "resnet50.8.train") == 0     ? 3e-2
           : strcmp(label, "torchvision50.eval") == 0 ? 5e-3
           : strcmp(label, "torchvision.train") == 0  ? 4e-3
                                                      : 1e-4;
}

/* A gradient's norm and its projections beside the golden ones, in units of the norm. */
static void compare_summary(const safetensors *file, const char *label, const char *name, const float *gradient,
                            int64_t count) {
    enum { SIDES = 4 };
    const double tolerance = gradient_tolerance(label);
    array expected = golden(file, label, name);
    double norm = 0, size = (double)expected.values[0];
    for (int64_t i = 0; i < count; i++) norm += (double)gradient[i] * (double)gradient[i];
    ck_assert_msg(fabs(sqrt(norm) - size) <= tolerance * size, "%s: gradient of %s has norm %.8g, expected %.8g", label,
                  name, sqrt(norm), size);
    float *side = malloc((size_t)count * sizeof *side);
    for (int k = 0; k < SIDES; k++) {
        char key[160];
        snprintf(key, sizeof key, "%s.%d", name, k);
        noise(key, count, side);
        double dot = 0, length = 0;
        for (int64_t i = 0; i < count; i++) {
            dot += (double)gradient[i] * (double)side[i];
            length += (double)side[i] * (double)side[i];
        }
        ck_assert_msg(fabs(dot / sqrt(length) - (double)expected.values[k + 1]) <= tolerance * size,
                      "%s: gradient of %s along direction %d is %.8g, expected %.8g (norm %.3g)", label, name, k,
                      dot / sqrt(length), (double)expected.values[k + 1], size);
    }
    free(side);
}

static void compare_parameters(const safetensors *file, const char *label, tape *t, const parameters *p,
                               bool training) {
    for (size_t i = 0; i < p->count; i++) {
        const parameter *one = p->items[i];
        int64_t count = tensor_count(&one->value);
        float *host = malloc((size_t)count * sizeof *host);
        if (one->value.requires_grad) {
            tape_read_grad(t, &one->value, host);
            compare_summary(file, label, one->name, host, count);
        } else if (training) {
            p->backend->read(p->backend, &one->value, host);
            assert_close(host, golden(file, label, one->name), strstr(label, "50") ? 1e-4 : 1e-5, label, one->name);
        }
        free(host);
    }
}

/* vit_tiny's plan with two blocks of two heads, its positions for images of `size` pixels. */
#define VIT(size, ...)                                                                                                 \
    { .name = 3, .width = 128, .depth = 2, .patch = 4, .side = size, __VA_ARGS__ }
static const struct {
    const char *label;
    backbone_options options;
    int side;
    bool training;
} cases[] = {
    {"resnet8.16.train", {.name = 0, .width = 16, .stem_padding = 1}, 16, true},
    {"resnet8.16.eval", {.name = 0, .width = 16, .stem_padding = 1}, 16, false},
    {"resnet8.5.train", {.name = 0, .width = 5, .stem_padding = 1}, 15, true},
    {"resnet8.5.eval", {.name = 0, .width = 5, .stem_padding = 1}, 15, false},
    {"resnet18.16.train", {.name = 1, .width = 16, .stem_padding = 1}, 16, true},
    {"resnet18.16.eval", {.name = 1, .width = 16, .stem_padding = 1}, 16, false},
    {"resnet18.8.padded.train", {.name = 1, .width = 8, .stem_padding = 2}, 16, true},
    {"falcon8.16.train", {.name = 2, .width = 16, .stem_padding = 1}, 16, true},
    {"falcon8.16.eval", {.name = 2, .width = 16, .stem_padding = 1}, 16, false},
    {"torchvision.train", {.name = 1, .width = 64, .stem_padding = 2, .stem = 1}, 50, true},
    {"torchvision.eval", {.name = 1, .width = 64, .stem_padding = 1, .stem = 1}, 50, false},
    {"resnet50.8.train", {.name = 6, .width = 8, .stem_padding = 1}, 48, true},
    {"torchvision50.eval", {.name = 6, .width = 64, .stem = 1}, 50, false},
    {"vit", VIT(16, .pool = 0), 16, true},
    {"vit", VIT(16, .recompute = true), 16, true},
    {"vit.registers", VIT(16, .registers = 3, .layer_scale = 0.5), 16, true},
    {"vit.mean", VIT(16, .pool = 1), 16, true},
    {"vit.timm.larger", VIT(16, .interpolation = 1), 24, true},
    {"vit.timm.smaller", VIT(24, .interpolation = 1), 16, true},
    {"vit.timm.registers", VIT(24, .interpolation = 1, .registers = 3), 16, true},
    {"vit.dino.larger", VIT(16, .pool = 0), 24, true},
    {"vit.dino.smaller", VIT(24, .pool = 0), 16, true},
    {"vit.sincos", VIT(16, .positions = 1), 16, true},
};
enum { CASES = sizeof cases / sizeof *cases, N = 4 };

START_TEST(test_backbone_matches_pytorch_from_the_same_weights) {
    const char *label = cases[_i].label;
    int side = cases[_i].side;
    error err = {0};
    backend *b = backend_cpu(0, &err);
    parameters *p = parameters_create(b, 0, &err);
    backbone *net = backbone_create(&cases[_i].options, p, "backbone", &err);
    tape *t = tape_create(b, &err);
    ck_assert_msg(net && t, "%s", err.text);
    fill(p);
    safetensors *file = golden_file("backbones");

    int64_t pixels = (int64_t)2 * N * side * side * 3;
    float *images = malloc((size_t)pixels * sizeof *images);
    noise("images", pixels, images);
    tensor *x = tape_images(t, images, (int64_t)2 * N, side, side, 3);
    tape_require_grad(x);
    tensor *features = backbone_forward(net, t, x, 2, cases[_i].training);
    array expected = golden(file, label, "features");
    ck_assert_int_eq(backbone_features(net), expected.shape[1]);
    float *host = malloc((size_t)expected.count * sizeof *host), *r = malloc((size_t)expected.count * sizeof *r);
    tape_read(t, features, host);
    noise("loss", expected.count, r);
    tensor *weights = tape_matrix(t, r, expected.shape[0], expected.shape[1]);
    tape_backward(t, op_sum(t, op_mul(t, features, weights), AXIS_ALL));
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);

    /* rounding through 53 layers that normalise by the batch */
    assert_close(host, expected, strcmp(label, "resnet50.8.train") == 0 ? 5e-5 : 1e-5, label, "features");
    tape_read_grad(t, x, images);
    compare_summary(file, label, "images", images, pixels);
    compare_parameters(file, label, t, p, cases[_i].training);
    free(images);
    free(host);
    free(r);
    safetensors_close(file);
    tape_destroy(t);
    backbone_destroy(net);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

/* The first value of a BatchNorm's weights. */
static double first_weight(backbone_options options, const char *name) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 0, &err);
    backbone *net = backbone_create(&options, p, "backbone", &err);
    ck_assert_msg(net != NULL, "%s", err.text);
    const parameter *one = parameters_find(p, name);
    ck_assert_msg(one != NULL, "%s", name);
    double value = (double)one->value.data[0];
    backbone_destroy(net);
    parameters_destroy(p);
    b->destroy(b);
    return value;
}

START_TEST(test_blocks_begin_as_the_identity_only_where_that_is_asked_for) {
    backbone_options deep = {.name = 6, .width = 2, .stem_padding = 1},
                     basic = {.name = 1, .width = 2, .stem_padding = 1};
    ck_assert_double_eq(first_weight(deep, "backbone.layer4.2.bn3.weight"), 1); /* as torchvision */
    deep.zero_init_residual = basic.zero_init_residual = true;
    ck_assert_double_eq(first_weight(deep, "backbone.layer4.2.bn3.weight"), 0); /* as timm */
    ck_assert_double_eq(first_weight(deep, "backbone.layer4.2.bn2.weight"), 1);
    ck_assert_double_eq(first_weight(deep, "backbone.layer1.0.downsample.1.weight"), 1);
    ck_assert_double_eq(first_weight(basic, "backbone.layer2.1.bn2.weight"), 0);
    ck_assert_double_eq(first_weight(basic, "backbone.layer2.1.bn1.weight"), 1);
}
END_TEST

Suite *suite_backbones(void) {
    Suite *s = suite_create("backbones");
    TCase *t = tcase_create("pytorch");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_backbone_matches_pytorch_from_the_same_weights, 0, CASES);
    tcase_add_test(t, test_blocks_begin_as_the_identity_only_where_that_is_asked_for);
    suite_add_tcase(s, t);
    return s;
}
