#include "engine/data/codecs/photo.h"
#include "tests/engine/data_bench.h"
#include "tests/engine/photo_bench.h"

enum { WIDTH = 173, HEIGHT = 139, BOXES = 60 };

static photo open_photo(const uint8_t *file, size_t size) {
    photo p;
    error err = {0};
    ck_assert_msg(photo_open(&p, file, size, &err), "%s", err.text);
    return p;
}

static void decode(const photo *p, int shrink, resize_box box, photo_part *part) {
    error err = {0};
    ck_assert_msg(photo_decode(p, shrink, box, part, &err), "%s", err.text);
}

/* Small and large boxes, among them single rows and columns and those that touch the edges. */
static resize_box some_box(rng *r, int width, int height) {
    int w = 1 + (int)rng_below(r, (uint32_t)(rng_below(r, 3) ? width : width / 8 + 1)),
        h = 1 + (int)rng_below(r, (uint32_t)(rng_below(r, 3) ? height : height / 8 + 1));
    w = w < width ? w : width, h = h < height ? h : height;
    int left = (int)rng_below(r, (uint32_t)(width - w + 1)), top = (int)rng_below(r, (uint32_t)(height - h + 1));
    switch (rng_below(r, 6)) {
    case 0: left = 0; break;
    case 1: left = width - w; break;
    case 2: top = 0; break;
    case 3: top = height - h; break;
    }
    return (resize_box){left, top, w, h};
}

static void check_parts(const char *name, const photo *p, int shrink, uint32_t key) {
    int width = photo_shrunk(p->width, shrink), height = photo_shrunk(p->height, shrink);
    photo_part whole = {0}, part = {0};
    rng r = rng_stream(1, RNG_TEST, 2, key, 0);
    decode(p, shrink, (resize_box){0, 0, width, height}, &whole);
    for (int i = 0; i < BOXES; i++) {
        resize_box b = some_box(&r, width, height);
        decode(p, shrink, b, &part);
        for (int y = 0; y < b.height; y++)
            ck_assert_msg(memcmp(part.corner + (size_t)y * part.stride,
                                 whole.corner + (size_t)(b.top + y) * whole.stride + 3 * (size_t)b.left,
                                 3 * (size_t)b.width) == 0,
                          "%s, 1/%d: row %d of %dx%d at %d, %d", name, shrink, y, b.width, b.height, b.left, b.top);
    }
    photo_part_free(&whole);
    photo_part_free(&part);
}

START_TEST(test_a_part_has_the_pixels_of_the_whole) {
    const jpeg_kind *kind = &jpeg_kinds[_i];
    for (uint32_t key = 0; key < 3; key++) {
        size_t size;
        uint8_t *file = photo_jpeg(kind, key, WIDTH - 5 * (int)key, HEIGHT + 11 * (int)key, &size);
        photo p = open_photo(file, size);
        for (int shrink = 1; shrink <= 8; shrink *= 2) check_parts(kind->name, &p, shrink, key);
        free(file);
    }
}
END_TEST

START_TEST(test_a_part_of_a_png_has_the_pixels_of_the_whole) {
    size_t size;
    uint8_t *file = bench_png(7, 41, 29, &size);
    photo p = open_photo(file, size);
    check_parts("PNG", &p, 1, 0);
    free(file);
}
END_TEST

/* The corners of the scene as it was, seen through each of EXIF's orientations. */
START_TEST(test_a_photo_is_seen_as_the_camera_was_held) {
    static const int first[9][2] = {{0, 0}, {0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}, {1, 0}, {1, 1}, {0, 1}};
    size_t size;
    uint8_t *upright = photo_jpeg(&jpeg_kinds[0], 3, WIDTH, HEIGHT, &size);
    photo plain = open_photo(upright, size);
    photo_part whole = {0}, part = {0};
    decode(&plain, 1, (resize_box){0, 0, WIDTH, HEIGHT}, &whole);
    for (int orientation = 1; orientation <= 8; orientation++) {
        jpeg_kind kind = jpeg_kinds[0];
        kind.orientation = orientation;
        uint8_t *file = photo_jpeg(&kind, 3, WIDTH, HEIGHT, &size);
        photo p = open_photo(file, size);
        bool side = orientation >= 5;
        ck_assert_int_eq(p.orientation, orientation);
        ck_assert_int_eq(p.width, side ? HEIGHT : WIDTH);
        ck_assert_int_eq(p.height, side ? WIDTH : HEIGHT);
        decode(&p, 1, (resize_box){0, 0, p.width, p.height}, &part);
        for (int y = 0; y < p.height; y += p.height - 1)
            for (int x = 0; x < p.width; x += p.width - 1) {
                /* Where this corner lies in the file: the first pixel seen is at first[…], the rest follows. */
                int u = side ? y > 0 : x > 0, v = side ? x > 0 : y > 0;
                if (orientation == 6 || orientation == 8) { /* a quarter turn mirrors one of the two */
                    u = orientation == 8 ? 1 - (y > 0) : y > 0;
                    v = orientation == 6 ? 1 - (x > 0) : x > 0;
                } else {
                    u = first[orientation][0] ? 1 - u : u;
                    v = first[orientation][1] ? 1 - v : v;
                }
                ck_assert_msg(
                    memcmp(part.corner + (size_t)y * part.stride + 3 * (size_t)x,
                           whole.corner + (size_t)v * (HEIGHT - 1) * whole.stride + 3 * (size_t)u * (WIDTH - 1),
                           3) == 0,
                    "orientation %d, corner %d, %d", orientation, x, y);
            }
        check_parts("turned", &p, 1, (uint32_t)orientation);
        check_parts("turned", &p, 2, (uint32_t)orientation);
        free(file);
    }
    photo_part_free(&whole);
    photo_part_free(&part);
    free(upright);
}
END_TEST

START_TEST(test_a_shrunken_photo_is_nearly_its_average) {
    size_t size;
    uint8_t *file = photo_jpeg(&jpeg_kinds[2], 1, WIDTH, HEIGHT, &size);
    photo p = open_photo(file, size);
    photo_part whole = {0}, small = {0};
    decode(&p, 1, (resize_box){0, 0, WIDTH, HEIGHT}, &whole);
    for (int shrink = 2; shrink <= 8; shrink *= 2) {
        int width = photo_shrunk(WIDTH, shrink), height = photo_shrunk(HEIGHT, shrink);
        decode(&p, shrink, (resize_box){0, 0, width, height}, &small);
        double off = 0;
        for (int y = 0; y < height - 1; y++)
            for (int x = 0; x < width - 1; x++) {
                double sum = 0;
                for (int i = 0; i < shrink * shrink; i++)
                    sum += whole.corner[(size_t)(y * shrink + i / shrink) * whole.stride +
                                        3 * (size_t)(x * shrink + i % shrink) + 1];
                off += fabs(sum / (shrink * shrink) - small.corner[(size_t)y * small.stride + 3 * (size_t)x + 1]);
            }
        ck_assert_double_lt(off / ((width - 1) * (height - 1)), 4);
    }
    photo_part_free(&whole);
    photo_part_free(&small);
    free(file);
}
END_TEST

START_TEST(test_a_crop_is_shrunk_to_no_less_than_the_view) {
    photo jpeg = {.codec = &codec_jpeg}, png = {.codec = &codec_png};
    ck_assert_int_eq(photo_shrink(&jpeg, 447, 900, 224), 1);
    ck_assert_int_eq(photo_shrink(&jpeg, 448, 900, 224), 2);
    ck_assert_int_eq(photo_shrink(&jpeg, 900, 896, 224), 4);
    ck_assert_int_eq(photo_shrink(&jpeg, 9000, 9000, 224), 8);
    ck_assert_int_eq(photo_shrink(&jpeg, 3, 3, 224), 1);
    ck_assert_int_eq(photo_shrink(&png, 9000, 9000, 224), 1);
}
END_TEST

START_TEST(test_exif_that_makes_no_sense_turns_nothing) {
    static const uint8_t good[] = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0};
    ck_assert_int_eq(codec_orientation(good, sizeof good), 6);
    for (size_t cut = 0; cut < sizeof good; cut++) {
        uint8_t *part = malloc(cut + 1); /* of its own, so that a sanitizer sees what reads past it */
        memcpy(part, good, cut);
        ck_assert_int_eq(codec_orientation(part, cut), 1);
        free(part);
    }
    for (size_t i = 0; i < sizeof good; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t bad[sizeof good];
            memcpy(bad, good, sizeof good);
            bad[i] ^= (uint8_t)(1 << bit);
            int orientation = codec_orientation(bad, sizeof bad);
            ck_assert(orientation >= 1 && orientation <= 8);
        }
}
END_TEST

Suite *suite_photo(void) {
    Suite *s = suite_create("photo");
    TCase *t = tcase_create("parts");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_a_part_has_the_pixels_of_the_whole, 0, JPEG_KINDS);
    tcase_add_test(t, test_a_part_of_a_png_has_the_pixels_of_the_whole);
    tcase_add_test(t, test_a_photo_is_seen_as_the_camera_was_held);
    tcase_add_test(t, test_a_shrunken_photo_is_nearly_its_average);
    tcase_add_test(t, test_a_crop_is_shrunk_to_no_less_than_the_view);
    tcase_add_test(t, test_exif_that_makes_no_sense_turns_nothing);
    suite_add_tcase(s, t);
    return s;
}
