/*
 * What a Vision Transformer promises beside timm's figures: stochastic depth that follows the sample and not the batch,
 * representations that neither evaluation nor a listener changes, sizes that its patches divide, and files with timm's
 * shapes.
 */
#include "engine/backbone.h"
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, SAMPLES = 4, VIEWS = 2, IMAGES = SAMPLES * VIEWS, PIXELS = SIDE * SIDE * 3, D = 64 };

typedef struct bench {
    backend *backend;
    parameters *parameters;
    backbone *net;
    tape *tape;
} bench;

static backbone_options small(void) {
    return (backbone_options){.name = 3, .width = D, .depth = 3, .patch = 4, .side = SIDE};
}

static bench open_bench(backbone_options options) {
    error err = {0};
    bench b = {.backend = backend_cpu(2, &err)};
    b.parameters = parameters_create(b.backend, 1, &err);
    b.net = backbone_create(&options, b.parameters, "backbone", &err);
    b.tape = tape_create(b.backend, &err);
    ck_assert_msg(b.net && b.tape, "%s", err.text);
    return b;
}

static void close_bench(bench *b) {
    tape_destroy(b->tape);
    backbone_destroy(b->net);
    parameters_destroy(b->parameters);
    b->backend->destroy(b->backend);
}

/* The same four images, seen twice, whose samples are called `samples` in that order. */
static tensor *run_images(bench *b, const uint32_t *samples, uint32_t epoch, bool training, int first_view) {
    static float images[IMAGES * PIXELS];
    for (int i = 0; i < IMAGES; i++)
        for (int k = 0; k < PIXELS; k++) images[i * PIXELS + k] = sinf((float)(i % SAMPLES * 7 + k));
    backbone_pass pass = {.groups = 2,
                          .training = training,
                          .samples = samples,
                          .pairs = SAMPLES,
                          .first_view = first_view,
                          .epoch = epoch};
    tape_reset(b->tape);
    return backbone_run(b->net, b->tape, tape_images(b->tape, images, IMAGES, SIDE, SIDE, 3), &pass);
}

static void check_tape(const bench *b) {
    error err = {0};
    bool ok = tape_check(b->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
}

static void represent_from(bench *b, const uint32_t *samples, uint32_t epoch, bool training, int first_view,
                           float *out) {
    tape_read(b->tape, run_images(b, samples, epoch, training, first_view), out);
    check_tape(b);
}

static void represent(bench *b, const uint32_t *samples, uint32_t epoch, bool training, float *out) {
    represent_from(b, samples, epoch, training, 0, out);
}

static const uint32_t order[] = {11, 12, 13, 14};

START_TEST(test_stochastic_depth_is_drawn_anew_for_every_epoch_sample_and_view) {
    backbone_options options = small();
    options.drop_path = 0.9;
    bench b = open_bench(options);
    static float first[IMAGES * D], second[IMAGES * D];
    represent(&b, order, 0, true, first);
    represent(&b, order, 0, true, second);
    ck_assert_mem_eq(first, second, sizeof first);
    represent(&b, order, 1, true, second);
    ck_assert_mem_ne(first, second, sizeof first);
    ck_assert_mem_ne(first, first + SAMPLES * D, SAMPLES * D * sizeof *first); /* the same images in the other view */
    close_bench(&b);
}
END_TEST

START_TEST(test_stochastic_depth_follows_the_sample_wherever_it_stands_in_the_batch) {
    backbone_options options = small();
    options.drop_path = 0.9;
    bench b = open_bench(options);
    static float here[IMAGES * D], there[IMAGES * D];
    static const uint32_t other[] = {21, 12, 23, 24}; /* the second sample alone is the same */
    represent(&b, order, 0, true, here);
    represent(&b, other, 0, true, there);
    for (int v = 0; v < VIEWS; v++)
        ck_assert_mem_eq(here + (v * SAMPLES + 1) * D, there + (v * SAMPLES + 1) * D, D * sizeof *here);
    ck_assert_mem_ne(here, there, sizeof here);
    close_bench(&b);
}
END_TEST

START_TEST(test_nothing_is_dropped_in_evaluation_and_for_a_teacher) {
    backbone_options options = small();
    static float dropping[IMAGES * D], plain[IMAGES * D];
    bench b = open_bench(options);
    represent(&b, order, 0, true, plain);
    close_bench(&b);
    options.drop_path = 0.9;
    b = open_bench(options);
    represent(&b, order, 0, false, dropping);
    ck_assert_mem_eq(dropping, plain, sizeof plain);
    represent(&b, NULL, 0, true, dropping);
    ck_assert_mem_eq(dropping, plain, sizeof plain);
    close_bench(&b);
}
END_TEST

/* How many rows a listener is told of the last block. */
static void hear_rows(void *context, tape *t, const char *name, const tape_layer *layer) {
    (void)t;
    if (!strcmp(name, "blocks.2") && !layer->heads) *(int64_t *)context = layer->value->shape[0];
}

/* Representations, and behind them the gradient of their weighted sum by every parameter; how much memory that took. */
static uint64_t learn(backbone_options options, const tape_listener *listener, float *out) {
    static float weights[IMAGES * D];
    bench b = open_bench(options);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < IMAGES * D; i++) weights[i] = (float)rng_normal(&r);
    tape_listen(b.tape, listener);
    tensor *z = run_images(&b, order, 0, true, 0);
    tape_read(b.tape, z, out);
    tape_backward(b.tape, op_sum(b.tape, op_mul(b.tape, z, tape_matrix(b.tape, weights, IMAGES, D)), AXIS_ALL));
    out += IMAGES * D;
    for (size_t i = 0; i < b.parameters->count; out += tensor_count(&b.parameters->items[i++]->value))
        tape_read_grad(b.tape, &b.parameters->items[i]->value, out);
    check_tape(&b);
    const uint64_t peak = b.backend->memory(b.backend).bytes_peak;
    close_bench(&b);
    return peak;
}

/* Where nobody listens the last block makes the class token alone. */
START_TEST(test_who_listens_changes_nothing_but_the_memory) {
    enum { MOST = 1 << 18, TOKENS = 1 + SIDE / 4 * (SIDE / 4) };
    static float alone[MOST], heard[MOST];
    int64_t rows = 0;
    const tape_listener listener = {hear_rows, &rows};
    backbone_options options = small();
    if (_i) options.registers = 2, options.layer_scale = 0.1, options.drop_path = 0.5, options.recompute = _i == 2;
    memset(alone, 0, sizeof alone), memset(heard, 0, sizeof heard);
    const uint64_t less = learn(options, NULL, alone), more = learn(options, &listener, heard);
    ck_assert_int_eq(rows, IMAGES * (TOKENS + options.registers));
    ck_assert_uint_lt(less, more);
    double apart = 0, most = 0;
    for (int i = 0; i < MOST; i++) apart = fmax(apart, fabs((double)(alone[i] - heard[i])));
    for (int i = IMAGES * D; i < MOST; i++) most = fmax(most, fabs((double)heard[i]));
    ck_assert_msg(most > 1 && apart < 1e-6 * most, "%g apart, gradients up to %g", apart, most);
}
END_TEST

/* Of four patches floor(4·0.5) = 2 stay: what lies under the others changes nothing. */
START_TEST(test_a_view_that_loses_patches_sees_as_many_as_are_left) {
    backbone_options options = small();
    static float whole[IMAGES * D], first[IMAGES * D], second[IMAGES * D];
    bench b = open_bench(options);
    represent(&b, order, 0, true, whole);
    close_bench(&b);
    options.patch_drop = 0.5;
    b = open_bench(options);
    represent(&b, order, 0, true, first);
    represent(&b, order, 0, true, second);
    ck_assert_mem_eq(first, second, sizeof first);
    for (int i = 0; i < IMAGES; i++) ck_assert_mem_ne(first + i * D, whole + i * D, D * sizeof *first);
    ck_assert_mem_ne(first, first + SAMPLES * D, SAMPLES * D * sizeof *first); /* the same images in the other view */
    represent(&b, order, 1, true, second);
    ck_assert_mem_ne(first, second, sizeof first);
    represent(&b, NULL, 0, true, second); /* a teacher */
    ck_assert_mem_eq(second, whole, sizeof whole);
    represent(&b, order, 0, false, second); /* evaluation */
    ck_assert_mem_eq(second, whole, sizeof whole);
    represent_from(&b, order, 0, true, VIEWS, second); /* local views */
    ck_assert_mem_eq(second, whole, sizeof whole);
    close_bench(&b);
}
END_TEST

/* By hand: a mean over the patches that are left, which floor says are one, of patches that stand apart. */
START_TEST(test_each_patch_is_as_likely_to_be_lost_as_any_other) {
    enum { DRAWS = 400, PATCHES = 4 };
    backbone_options options = small();
    options.depth = 1, options.pool = POOL_MEAN, options.patch_drop = 0.7;
    bench b = open_bench(options);
    static float images[IMAGES * PIXELS], out[IMAGES * D];
    int kept[PATCHES] = {0}, kinds = 0;
    float seen[PATCHES];
    for (int k = 0; k < PIXELS; k++) images[k] = sinf((float)k * (float)k);
    for (uint32_t i = 0; i < DRAWS; i++) {
        backbone_pass pass = {.groups = 1, .training = true, .samples = &i, .pairs = 1};
        tape_reset(b.tape);
        tape_read(b.tape, backbone_run(b.net, b.tape, tape_images(b.tape, images, 1, SIDE, SIDE, 3), &pass), out);
        int k = 0;
        while (k < kinds && seen[k] != out[0]) k++;
        ck_assert_int_lt(k, PATCHES); /* there are no more outcomes than patches */
        if (k == kinds) seen[kinds++] = out[0];
        kept[k]++;
    }
    ck_assert_int_eq(kinds, PATCHES);
    for (int k = 0; k < PATCHES; k++) ck_assert_msg(kept[k] > 60 && kept[k] < 140, "%d of %d", kept[k], DRAWS);
    close_bench(&b);
}
END_TEST

START_TEST(test_a_size_that_the_patch_does_not_divide_is_refused_with_its_neighbours) {
    backbone_options options = small();
    error err = {0};
    ck_assert(!backbone_check_side(&options, 30, "data.size", &err));
    ck_assert_str_eq(err.text, "data.size 30: vit_tiny cuts images into patches of 4 pixels (backbone.patch), which do "
                               "not divide that; 28 or 32 would do");
    ck_assert(!backbone_check_side(&options, 3, "augment.local_size", &err));
    ck_assert(backbone_check_side(&options, 32, "data.size", &err));
    options.name = 0;
    ck_assert(backbone_check_side(&options, 30, "data.size", &err));
}
END_TEST

START_TEST(test_files_have_timms_names_and_shapes) {
    static const struct {
        const char *name;
        int dims;
        uint64_t shape[4];
    } expected[] = {
        {"backbone.cls_token", 3, {1, 1, D}},
        {"backbone.reg_token", 3, {1, 2, D}},
        {"backbone.pos_embed", 3, {1, 4, D}},
        {"backbone.patch_embed.proj.weight", 4, {D, 3, 4, 4}},
        {"backbone.patch_embed.proj.bias", 1, {D}},
        {"backbone.blocks.2.norm1.weight", 1, {D}},
        {"backbone.blocks.2.attn.qkv.weight", 2, {3 * D, D}},
        {"backbone.blocks.0.attn.proj.bias", 1, {D}},
        {"backbone.blocks.0.ls1.gamma", 1, {D}},
        {"backbone.blocks.0.mlp.fc2.weight", 2, {D, 4 * D}},
        {"backbone.norm.bias", 1, {D}},
    };
    backbone_options options = small();
    options.registers = 2, options.layer_scale = 0.1;
    bench b = open_bench(options);
    error err = {0};
    char folder[SCRATCH], path[96];
    scratch_folder(folder);
    checkpoint_place place = {.folder = folder, .run = "vit"};
    checkpoint_position at = {0};
    optimizer none = {.parameters = b.parameters};
    bool saved = checkpoint_save(&place, b.parameters, &none, &at, &err);
    ck_assert_msg(saved, "%s", err.text);
    snprintf(path, sizeof path, "%s/checkpoint-00000000.safetensors", folder);
    safetensors *file = safetensors_open(path, &err);
    ck_assert_msg(file != NULL, "%s", err.text);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const safetensors_entry *e = safetensors_find(file, expected[i].name);
        ck_assert_msg(e != NULL, "no %s", expected[i].name);
        ck_assert_int_eq(e->dims, expected[i].dims);
        for (int k = 0; k < e->dims; k++) ck_assert_uint_eq(e->shape[k], expected[i].shape[k]);
    }
    safetensors_close(file);
    close_bench(&b);
}
END_TEST

Suite *suite_vit(void) {
    Suite *s = suite_create("vit");
    TCase *t = tcase_create("transformers");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_stochastic_depth_is_drawn_anew_for_every_epoch_sample_and_view);
    tcase_add_test(t, test_stochastic_depth_follows_the_sample_wherever_it_stands_in_the_batch);
    tcase_add_test(t, test_nothing_is_dropped_in_evaluation_and_for_a_teacher);
    tcase_add_loop_test(t, test_who_listens_changes_nothing_but_the_memory, 0, 3);
    tcase_add_test(t, test_a_view_that_loses_patches_sees_as_many_as_are_left);
    tcase_add_test(t, test_each_patch_is_as_likely_to_be_lost_as_any_other);
    tcase_add_test(t, test_a_size_that_the_patch_does_not_divide_is_refused_with_its_neighbours);
    tcase_add_test(t, test_files_have_timms_names_and_shapes);
    suite_add_tcase(s, t);
    return s;
}
