/*
 * No convolution of a backbone falls to a loop that was written as a reference: for every backbone, stem and some
 * widths, a step at every pair of instruction sets that mews and oneDNN may be held to. oneDNN names its kernels
 * itself.
 */
#include "engine/backbone.h"
#include "engine/isa.h"
#include "engine/ops.h"
#include "tests/golden/golden.h"

#include <stdlib.h>
#include <string.h>

typedef struct net_case {
    const char *name, *stem, *stem_padding, *width;
    int side;
} net_case;

/* Widths of whole registers, of half ones (8 lanes' worth, 4 lanes' worth) and of none. */
static const net_case nets[] = {
    {"resnet8", "cifar", "1", "16", 16},  {"resnet8", "cifar", "1", "24", 16},     {"resnet8", "cifar", "1", "12", 16},
    {"resnet8", "cifar", "1", "5", 16},   {"resnet8", "imagenet", "1", "16", 64},  {"resnet18", "cifar", "1", "32", 16},
    {"resnet18", "cifar", "2", "16", 16}, {"resnet18", "imagenet", "1", "16", 64}, {"falcon8", "cifar", "1", "16", 16},
    {"falcon8", "cifar", "1", "20", 16},
};
static const char *const isas[][2] = {{"v3", "AVX2"}, {"v4", "AVX512_CORE"}, {"v4", "AVX2"}};
enum { NETS = sizeof nets / sizeof *nets, ISAS = sizeof isas / sizeof *isas, IMAGES = 4, CHANNELS = 3 };

typedef struct seen {
    int passes;
    const char *setting, *net;
} seen;

static void hold(void *context, const char *convolution, const char *kernel) {
    seen *s = context;
    s->passes++;
    ck_assert_msg(strstr(kernel, "ref") == NULL, "%s, %s: %s is computed by %s", s->setting, s->net, convolution,
                  kernel);
}

static void set(void *options, const char *key, const char *value) {
    error err = {0};
    const field *row = fields_require(&backbone_fields, key, &err);
    ck_assert_msg(row && field_parse(&backbone_fields, row, options, value, &err), "%s", err.text);
}

static void step(const net_case *c, const char *setting) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    backbone_options options;
    fields_defaults(&backbone_fields, &options);
    set(&options, "name", c->name);
    set(&options, "stem", c->stem);
    set(&options, "stem_padding", c->stem_padding);
    set(&options, "width", c->width);
    parameters *p = parameters_create(b, 0, &err);
    backbone *net = backbone_create(&options, p, "backbone", &err);
    ck_assert_msg(net != NULL, "%s", err.text);
    tape *t = tape_create(b, &err);
    int64_t count = (int64_t)IMAGES * c->side * c->side * CHANNELS;
    float *images = malloc((size_t)count * sizeof *images);
    for (int64_t i = 0; i < count; i++) images[i] = (float)(i * 7 % 13) - 6;
    tensor *x = tape_images(t, images, IMAGES, c->side, c->side, CHANNELS);
    tape_backward(t, op_sum(t, backbone_forward(net, t, x, 1, true), AXIS_ALL));
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    seen s = {0, setting, c->name};
    b->convolutions(b, hold, &s);
    ck_assert_int_ge(s.passes, 12); /* forward and weights of five shapes at the least, data of most */
    free(images);
    tape_destroy(t);
    backbone_destroy(net);
    parameters_destroy(p);
    b->destroy(b);
}

/* Each test is a process of its own, so that oneDNN reads the environment anew. */
START_TEST(test_no_convolution_of_a_backbone_falls_to_a_reference_kernel) {
    const char *const *setting = isas[_i];
    if (atoi(setting[0] + 1) > isa_processor_level()) return;
    setenv("MEWS_ISA", setting[0], 1);
    setenv("ONEDNN_MAX_CPU_ISA", setting[1], 1);
    error err = {0};
    if (!isa_choose(&err)) unsetenv("MEWS_ISA"); /* a build for one processor has its own set alone */
    for (int i = 0; i < NETS; i++) step(&nets[i], setting[0]);
}
END_TEST

Suite *suite_conv_kernels(void) {
    Suite *s = suite_create("conv_kernels");
    TCase *t = tcase_create("backbones");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_no_convolution_of_a_backbone_falls_to_a_reference_kernel, 0, ISAS);
    suite_add_tcase(s, t);
    return s;
}
