/* A contact sheet shows the bytes of the images and of the views: without augmentation these are the same. */
#include "engine/data/sheet.h"
#include "tests/engine/data_bench.h"

enum { SCALE = 8, STEP = BENCH_SIDE * SCALE + 4 }; /* images of 8 pixels are enlarged to 64, 4 stand between */

typedef struct picture {
    int width, height;
    uint8_t *pixels;
} picture;

static picture read_png(const char *path) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    picture p = {(int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image))};
    ck_assert(png_image_finish_read(&image, NULL, p.pixels, 0, NULL));
    return p;
}

/* The small image that stands enlarged at (left, top). */
static void cut(const picture *p, int left, int top, uint8_t out[BENCH_BYTES]) {
    for (int y = 0; y < BENCH_SIDE * SCALE; y++)
        for (int x = 0; x < BENCH_SIDE * SCALE; x++) {
            const uint8_t *from = p->pixels + ((size_t)(top + y) * (size_t)p->width + (size_t)(left + x)) * 3;
            uint8_t *to = out + (y / SCALE * BENCH_SIDE + x / SCALE) * 3;
            if (y % SCALE == 0 && x % SCALE == 0) memcpy(to, from, 3);
            ck_assert_mem_eq(to, from, 3);
        }
}

static void must_show(const picture *p, int left, int top, const uint8_t *image) {
    uint8_t shown[BENCH_BYTES];
    cut(p, left, top, shown);
    ck_assert_mem_eq(shown, image, BENCH_BYTES);
}

START_TEST(test_a_sheet_shows_images_by_class_and_the_views_of_the_first_batch) {
    bench b;
    bench_begin(&b);
    char name[64], path[300];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "train/%s/%d.png", i % 2 ? "odd" : "even", i);
        bench_image(&b, name, (uint32_t)i);
    }
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    augment_options augment;
    fields_defaults(&augment_fields, &augment);
    ck_assert(field_parse(&augment_fields, fields_find(&augment_fields, "preset"), &augment, "none", &b.err));
    augment_apply_preset(&augment);
    snprintf(path, sizeof path, "%s/sheet.png", b.folder);
    ck_assert_msg(sheet_write(set, &augment, 7, path, &b.err), "%s", b.err.text);
    picture p = read_png(path);
    for (int label = 0, seen; label < 2; label++) {
        seen = 0;
        for (uint32_t i = 0; i < 12; i++)
            if (dataset_label(set, SPLIT_TRAIN, i) == label)
                must_show(&p, 4 + STEP * seen++, 4 + STEP * label, dataset_image(set, SPLIT_TRAIN, i));
    }
    uint8_t original[BENCH_BYTES];
    for (int sample = 0; sample < 5; sample++) { /* five groups of an image and two views in a row */
        int left = 4 + sample * (3 * STEP + 12), top = 4 + 2 * STEP + 24;
        cut(&p, left, top, original);
        must_show(&p, left + STEP, top, original);
        must_show(&p, left + 2 * STEP, top, original);
    }
    free(p.pixels);
    ck_assert(!sheet_write(set, &augment, 7, "/proc/nowhere/sheet.png", &b.err));
    ck_assert_ptr_nonnull(strstr(b.err.text, "/proc/nowhere/sheet.png"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

Suite *suite_sheet(void) {
    Suite *s = suite_create("sheet");
    TCase *t = tcase_create("png");
    tcase_add_test(t, test_a_sheet_shows_images_by_class_and_the_views_of_the_first_batch);
    suite_add_tcase(s, t);
    return s;
}
