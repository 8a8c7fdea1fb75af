/*
 * The importers' common ground: progress, warnings, images that come in one known size; and the importer of the
 * built-in drawings, which is nothing but this. Images are drawn, resized and written a block at a time: within a block
 * all cores work, and the blocks are appended in order, so that the file does not depend on the number of threads.
 */
#include "engine/data/sets/import.h"

#include "engine/data/views/resize.h"
#include "engine/data/shapes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 512 }; /* images */

void import_progress(importer *im, const char *what, uint64_t done, uint64_t total) {
    if (im->progress) im->progress(im->context, what, done, total);
}

void import_warn(importer *im, const char *format, ...) {
    if (!im->warn) return;
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    im->warn(im->context, line);
}

void import_warn_enlarged(importer *im, int width, int height) {
    int shortest = width < height ? width : height;
    if (im->enlarged || shortest >= im->size) return;
    im->enlarged = true;
    import_warn(im, "images of %d×%d are scaled up to data.size %d", width, height, im->size);
}

bool import_append_square(importer *im, const uint8_t *images, uint32_t count, int side, error *err) {
    if (side == im->size) return pack_append(&im->pack, images, count, err);
    import_warn_enlarged(im, side, side);
    size_t from = (size_t)side * (size_t)side * 3, to = (size_t)im->size * (size_t)im->size * 3;
    uint8_t *resized = malloc(to * BLOCK);
    if (!resized) return error_memory(err, to * BLOCK, "resized images");
    bool done = true;
    for (uint32_t first = 0; done && first < count; first += BLOCK) {
        uint32_t n = count - first < BLOCK ? count - first : BLOCK;
#pragma omp parallel
        {
            error local = {0};
            resizer *r = resizer_create(RESIZE_BICUBIC, &local);
#pragma omp for schedule(static)
            for (uint32_t i = 0; i < n; i++)
                if (r)
                    resize_image(r, images + (first + i) * from, (size_t)side * 3, (resize_box){0, 0, side, side},
                                 false, resized + i * to, im->size, im->size, &local);
            resizer_destroy(r);
            if (local.code)
#pragma omp critical(import_error)
                done = error_set(err, local.code, "%s", local.text);
        }
        done = done && pack_append(&im->pack, resized, n, err);
    }
    free(resized);
    return done;
}

bool shapes_import(importer *im, error *err) {
    enum { BYTES = SHAPES_SIZE * SHAPES_SIZE * 3 };
    static const uint32_t counts[PACK_SPLITS] = {SHAPES_TRAIN, SHAPES_TEST};
    bool done = false;
    uint8_t *images = malloc((size_t)BYTES * BLOCK);
    if (!images) return error_memory(err, (size_t)BYTES * BLOCK, "drawings");
    for (int c = 0; c < SHAPES_CLASSES; c++)
        if (!pack_add_class(&im->pack, shapes_class_names[c], err)) goto done;
    for (int split = 0; split < PACK_SPLITS; split++)
        for (uint32_t first = 0; first < counts[split]; first += BLOCK) {
            uint32_t n = counts[split] - first < BLOCK ? counts[split] - first : BLOCK, slot = im->pack.images;
#pragma omp parallel for schedule(static)
            for (uint32_t i = 0; i < n; i++) shapes_draw(split, first + i, images + (size_t)i * BYTES);
            if (!import_append_square(im, images, n, SHAPES_SIZE, err)) goto done;
            for (uint32_t i = 0; i < n; i++)
                if (!pack_add_sample(&im->pack, split, slot + i, (uint32_t)shapes_label(first + i), err)) goto done;
            import_progress(im, "drawing shapes", im->pack.images, SHAPES_TRAIN + SHAPES_TEST);
        }
    done = true;
done:
    free(images);
    return done;
}
