/*
 * Transformers' weights from a file: positions of another grid come resampled, and what cannot be taken is said in one
 * line with the key that decides it.
 */
#include "engine/backbone.h"
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "experiments/run/weights.h"
#include "tests/scratch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { D = 64 };

typedef struct network {
    backend *backend;
    parameters *parameters;
    backbone *net;
} network;

static network make(backbone_options options, uint64_t seed) {
    error err = {0};
    network n = {.backend = backend_cpu(1, &err)};
    n.parameters = parameters_create(n.backend, seed, &err);
    n.net = backbone_create(&options, n.parameters, "backbone", &err);
    ck_assert_msg(n.net != NULL, "%s", err.text);
    return n;
}

static void drop(network *n) {
    backbone_destroy(n->net);
    parameters_destroy(n->parameters);
    n->backend->destroy(n->backend);
}

static backbone_options plan(int64_t patch, int64_t side, int64_t registers) {
    return (backbone_options){.name = 3, .width = D, .depth = 1, .patch = patch, .side = side, .registers = registers};
}

static char folder[SCRATCH];

static void make_folder(void) { scratch_folder(folder); }
static void remove_folder(void) { scratch_remove(folder); }

/* A checkpoint of a network whose every position is (1, 2, …, D). */
static void save(backbone_options options, char path[96]) {
    network n = make(options, 1);
    const parameter *positions = parameters_find(n.parameters, "backbone.pos_embed");
    for (int64_t i = 0; i < tensor_count(&positions->value); i++) positions->value.data[i] = (real)(i % D + 1);
    error err = {0};
    optimizer none = {.parameters = n.parameters};
    bool saved = checkpoint_save(&(checkpoint_place){.folder = folder, .run = "vit"}, n.parameters, &none,
                                 &(checkpoint_position){0}, &err);
    ck_assert_msg(saved, "%s", err.text);
    snprintf(path, 96, "%s/checkpoint-00000000.safetensors", folder);
    drop(&n);
}

/* Loads it into another network; "" or what was wrong. */
static const char *load(const char *path, backbone_options options, weights_found *found, float *positions) {
    static error err;
    err = (error){0};
    network n = make(options, 2);
    bool ok = weights_load(n.parameters, path, "", RESAMPLING_DINO, found, &err);
    const parameter *one = parameters_find(n.parameters, "backbone.pos_embed");
    if (ok && positions) n.backend->read(n.backend, &one->value, positions);
    drop(&n);
    return ok ? "" : err.text;
}

START_TEST(test_positions_of_another_grid_come_resampled) {
    char path[96];
    weights_found found;
    float positions[(4 * 4 + 1) * D];
    save(plan(4, 32, 0), path);
    ck_assert_str_eq(load(path, plan(4, 32, 0), &found, NULL), "");
    ck_assert_int_eq(found.grid, 0);
    ck_assert_str_eq(load(path, plan(4, 16, 0), &found, positions), "");
    ck_assert_int_eq(found.grid, 8);
    ck_assert_int_eq(found.own_grid, 4);
    for (int i = 0; i < 17 * D; i++) ck_assert_float_eq_tol(positions[i], (float)(i % D + 1), 1e-4F);
}
END_TEST

START_TEST(test_what_a_file_cannot_give_is_said_with_its_key) {
    static const struct {
        int64_t patch, registers;
        const char *says;
    } cases[] = {
        {8, 2, "its patches are 4 pixels wide, where backbone.patch is 8"},
        {4, 5, "holds 2 registers, where backbone.registers asks for 5"},
    };
    char path[96];
    weights_found found;
    save(plan(4, 32, 2), path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *said = load(path, plan(cases[i].patch, 32, cases[i].registers), &found, NULL);
        ck_assert_msg(strstr(said, cases[i].says) && !strchr(said, '\n'), "%s", said);
    }
}
END_TEST

/* Registers of one dimension, as no library writes them. */
START_TEST(test_registers_without_rows_are_none) {
    static safetensors_item items[64];
    char path[96], odd[96];
    error err = {0};
    weights_found found;
    size_t count = 0;
    save(plan(4, 32, 2), path);
    safetensors *st = safetensors_open(path, &err);
    ck_assert_msg(st != NULL, "%s", err.text);
    for (size_t i = 0; i < safetensors_count(st) && count < 64; i++) {
        const safetensors_entry *e = safetensors_at(st, i);
        safetensors_item *to = &items[count++];
        *to = (safetensors_item){.name = e->name, .dtype = e->dtype, .dims = e->dims, .data = e->data};
        memcpy(to->shape, e->shape, sizeof e->shape);
        if (strcmp(e->name, "backbone.reg_token") == 0) to->dims = 1, to->shape[0] = 2 * D;
    }
    snprintf(odd, sizeof odd, "%s/odd.safetensors", folder);
    ck_assert_msg(safetensors_write(odd, items, count, NULL, &err), "%s", err.text);
    safetensors_close(st);
    const char *said = load(odd, plan(4, 32, 2), &found, NULL);
    ck_assert_msg(strstr(said, "holds 0 registers, where backbone.registers asks for 2"), "%s", said);
}
END_TEST

Suite *suite_vit_weights(void) {
    Suite *s = suite_create("vit_weights");
    TCase *t = tcase_create("files");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, test_positions_of_another_grid_come_resampled);
    tcase_add_test(t, test_what_a_file_cannot_give_is_said_with_its_key);
    tcase_add_test(t, test_registers_without_rows_are_none);
    suite_add_tcase(s, t);
    return s;
}
