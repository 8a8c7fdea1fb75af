/*
 * Small images are enlarged by whole factors without smoothing, so that every pixel can be seen. The views come from a
 * loader of one thread; undoing its normalisation gives back the bytes, since rounding errors are far below half a grey
 * level.
 */
#include "engine/data/sheet.h"

#include "engine/data/loader.h"
#include "engine/data/views/views.h"
#include "engine/files/file.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 64, GAP = 4, GROUP = 12, BLANK = 24, COLUMNS = 16, CLASS_ROWS = 20, SAMPLES = 16, PAPER = 255 };

typedef struct canvas {
    int tile, scale, columns, rows; /* pixels a tile, pixels a pixel */
    int split_row;                  /* rows from here on stand lower by BLANK */
    int width, height;
    uint8_t *pixels;
} canvas;

static void place_tile(const canvas *c, int row, int column, int shift, const uint8_t *image, int side) {
    int left = GAP + column * (c->tile + GAP) + shift,
        top = GAP + row * (c->tile + GAP) + (row >= c->split_row ? BLANK : 0);
    for (int y = 0; y < side * c->scale; y++)
        for (int x = 0; x < side * c->scale; x++)
            memcpy(c->pixels + ((size_t)(top + y) * (size_t)c->width + (size_t)(left + x)) * 3,
                   image + ((size_t)(y / c->scale) * (size_t)side + (size_t)(x / c->scale)) * 3, 3);
}

/* ---- Images by class ---- */

static int class_rows(const dataset *set) {
    int classes = dataset_classes(set);
    return classes < CLASS_ROWS ? classes : CLASS_ROWS;
}

static bool draw_classes(const canvas *c, const dataset *set, plain_maker *plain, uint8_t *tile, error *err) {
    int filled[CLASS_ROWS] = {0}, rows = class_rows(set);
    for (uint32_t i = 0; i < dataset_count(set, SPLIT_TRAIN); i++) {
        int label = dataset_label(set, SPLIT_TRAIN, i);
        if (label >= rows || filled[label] >= c->columns) continue;
        if (!view_plain(plain, set, SPLIT_TRAIN, i, tile, err)) return false;
        place_tile(c, label, filled[label]++, 0, tile, dataset_size(set));
    }
    return true;
}

/* ---- Views ---- */

static void undo_normalisation(const dataset *set, const float *from, int side, uint8_t *out) {
    const float *mean = dataset_mean(set), *std = dataset_std(set);
    for (int i = 0; i < side * side * 3; i++) {
        float value = 255 * (from[i] * std[i % 3] + mean[i % 3]);
        out[i] = (uint8_t)lroundf(fminf(fmaxf(value, 0), 255));
    }
}

/* Each sample takes 1 + views + locals tiles; as many samples stand side by side as fit. */
static bool draw_batch(const canvas *c, const dataset *set, const loader_batch *batch, plain_maker *plain,
                       uint8_t *pixels, error *err) {
    int side = dataset_size(set), each = 1 + batch->views + batch->locals;
    int across = c->columns / each < 1 ? 1 : c->columns / each;
    for (int i = 0; i < batch->pairs; i++) {
        int row = c->split_row + i / across, column = i % across * each, shift = i % across * GROUP;
        if (!view_plain(plain, set, SPLIT_PRETRAIN, batch->samples[i], pixels, err)) return false;
        place_tile(c, row, column++, shift, pixels, side);
        for (int v = 0; v < batch->views + batch->locals; v++) {
            bool local = v >= batch->views;
            size_t nth = (size_t)(local ? v - batch->views : v) * (size_t)batch->pairs + (size_t)i;
            int its = local ? batch->local_size : side;
            size_t values = (size_t)its * (size_t)its * 3;
            undo_normalisation(set, (local ? batch->local : batch->pixels) + nth * values, its, pixels);
            place_tile(c, row, column++, shift, pixels, its);
        }
    }
    return true;
}

/* ---- The sheet ---- */

static bool write_png(const canvas *c, const char *path, error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)c->width,
                       .height = (png_uint_32)c->height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes = 0;
    void *data = NULL;
    bool done = png_image_write_to_memory(&image, NULL, &bytes, 0, c->pixels, 0, NULL) && (data = malloc(bytes)) &&
                png_image_write_to_memory(&image, data, &bytes, 0, c->pixels, 0, NULL);
    if (!done) error_set(err, ERROR_RUN, "cannot make %s: %s", path, *image.message ? image.message : "out of memory");
    done = done && file_write(path, data, bytes, err);
    free(data);
    return done;
}

bool sheet_write(const dataset *set, const augment_options *augment, uint64_t seed, const char *path, error *err) {
    loader_batch batch;
    int side = dataset_size(set), scale = side < TILE ? TILE / side : 1;
    uint32_t images = dataset_count(set, SPLIT_PRETRAIN);
    int views = (int)augment->global_crops, each = 1 + views + (int)augment->local_crops;
    int pairs = images < SAMPLES ? (int)images : SAMPLES;
    canvas c = {.tile = side * scale, .scale = scale, .columns = each > COLUMNS ? each : COLUMNS};
    int across = c.columns / each;
    c.split_row = class_rows(set);
    c.rows = c.split_row + (pairs + across - 1) / across;
    c.width = GAP + c.columns * (c.tile + GAP) + (across - 1) * GROUP, c.height = GAP + c.rows * (c.tile + GAP) + BLANK;
    size_t bytes = (size_t)c.width * (size_t)c.height * 3, tile_bytes = (size_t)side * (size_t)side * 3;
    bool done = false;
    plain_maker plain = {0};
    uint8_t *tile = malloc(tile_bytes);
    loader *from = loader_open(set, SPLIT_PRETRAIN, augment, views, pairs, seed, 0, 0, 1, err);
    if (!from || !loader_next(from, &batch, err)) goto done;
    if (!tile || !(c.pixels = malloc(bytes))) {
        error_memory(err, bytes, "a contact sheet");
        goto done;
    }
    memset(c.pixels, PAPER, bytes);
    done = draw_classes(&c, set, &plain, tile, err) && draw_batch(&c, set, &batch, &plain, tile, err) &&
           write_png(&c, path, err);
done:
    plain_maker_free(&plain);
    loader_close(from);
    free(c.pixels);
    free(tile);
    return done;
}
