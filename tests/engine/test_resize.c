#include "engine/data/views/resize.h"
#include "tests/golden/golden.h"

#include <string.h>

static const uint8_t *bytes_of(const safetensors *file, const char *name, uint64_t *count) {
    const safetensors_entry *entry = safetensors_find(file, name);
    ck_assert_msg(entry != NULL, "golden values lack %s", name);
    if (count) *count = entry->bytes;
    return entry->data;
}

/* The loop's number: 0 bicubic, 1 bilinear. */
START_TEST(test_resized_crops_equal_pillows_byte_for_byte) {
    safetensors *file = golden_file("resize");
    enum { WIDTH = 64 };
    int32_t cases[32][7];
    uint64_t bytes;
    const uint8_t *source = bytes_of(file, "source", NULL), *table = bytes_of(file, "cases", &bytes);
    ck_assert_uint_le(bytes, sizeof cases);
    memcpy(cases, table, bytes);
    error err = {0};
    resizer *r = resizer_create((resize_kernel)_i, &err);
    for (size_t i = 0; i < bytes / sizeof *cases; i++) {
        const int32_t *c = cases[i];
        char name[32];
        uint64_t size;
        snprintf(name, sizeof name, "%s_%zu", _i == RESIZE_BICUBIC ? "target" : "bilinear", i);
        const uint8_t *expected = bytes_of(file, name, &size);
        ck_assert_uint_eq(size, (uint64_t)c[4] * (uint64_t)c[5] * 3);
        uint8_t *target = malloc(size);
        ck_assert(
            resize_image(r, source, WIDTH * 3, (resize_box){c[0], c[1], c[2], c[3]}, c[6], target, c[4], c[5], &err));
        ck_assert_msg(memcmp(target, expected, size) == 0, "case %zu differs from Pillow", i);
        free(target);
    }
    resizer_destroy(r);
    safetensors_close(file);
}
END_TEST

START_TEST(test_a_constant_image_stays_constant_at_any_size) {
    uint8_t source[40 * 30 * 3], target[64 * 64 * 3];
    memset(source, 201, sizeof source);
    error err = {0};
    resizer *r = resizer_create(RESIZE_BICUBIC, &err);
    for (int side = 1; side <= 64; side += 7) {
        ck_assert(resize_image(r, source, 40 * 3, (resize_box){1, 2, 33, 27}, false, target, side, side, &err));
        for (int i = 0; i < side * side * 3; i++) ck_assert_uint_eq(target[i], 201);
    }
    resizer_destroy(r);
}
END_TEST

/* What lies outside the box must not shine in, and nothing may be written past the target. */
START_TEST(test_nothing_outside_the_box_is_read_and_nothing_outside_the_target_written) {
    uint8_t a[32 * 32 * 3], b[32 * 32 * 3], first[32 * 32 * 3 + 16], second[32 * 32 * 3 + 16];
    memset(a, 0, sizeof a);
    memset(b, 255, sizeof b);
    for (int y = 10; y < 21; y++)
        for (int x = 9; x < 22; x++)
            for (int k = 0; k < 3; k++) a[(y * 32 + x) * 3 + k] = b[(y * 32 + x) * 3 + k] = (uint8_t)(x * y + 50 * k);
    memset(first, 77, sizeof first);
    memset(second, 77, sizeof second);
    error err = {0};
    resizer *r = resizer_create(RESIZE_BICUBIC, &err);
    ck_assert(resize_image(r, a, 96, (resize_box){9, 10, 13, 11}, false, first, 32, 32, &err));
    ck_assert(resize_image(r, b, 96, (resize_box){9, 10, 13, 11}, false, second, 32, 32, &err));
    ck_assert_mem_eq(first, second, sizeof first);
    for (size_t i = 32 * 32 * 3; i < sizeof first; i++) ck_assert_uint_eq(first[i], 77);
    resizer_destroy(r);
}
END_TEST

START_TEST(test_a_flip_mirrors_the_result) {
    uint8_t source[32 * 32 * 3], plain[32 * 32 * 3], flipped[32 * 32 * 3];
    for (int i = 0; i < 32 * 32 * 3; i++) source[i] = (uint8_t)(i * 7919 >> 4);
    error err = {0};
    resizer *r = resizer_create(RESIZE_BICUBIC, &err);
    for (int width = 20; width <= 32; width += 12) { /* 32: no pass across */
        ck_assert(resize_image(r, source, 96, (resize_box){0, 3, width, 25}, false, plain, 32, 32, &err));
        ck_assert(resize_image(r, source, 96, (resize_box){0, 3, width, 25}, true, flipped, 32, 32, &err));
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) ck_assert_mem_eq(plain + (y * 32 + x) * 3, flipped + (y * 32 + 31 - x) * 3, 3);
    }
    resizer_destroy(r);
}
END_TEST

/* One slot holds the tables of two lengths in turn: neither may be taken for the other. */
START_TEST(test_lengths_that_share_a_table_slot_do_not_mix) {
    enum { LONG = RESIZE_MAX_RESERVED + 3 };
    uint8_t *tall = malloc(LONG * 3 * 3), alone[8 * 8 * 3], again[8 * 8 * 3];
    for (int i = 0; i < LONG * 9; i++) tall[i] = (uint8_t)(i * i >> 3);
    error err = {0};
    resizer *one = resizer_create(RESIZE_BICUBIC, &err), *other = resizer_create(RESIZE_BICUBIC, &err);
    ck_assert(resize_image(one, tall, 9, (resize_box){0, 0, 3, LONG}, false, alone, 8, 8, &err));
    ck_assert(resizer_reserve(other, 32, 8, &err));
    for (int i = 0; i < 2; i++)
        ck_assert(resize_image(other, tall, 9, (resize_box){0, 0, 3, LONG}, false, again, 8, 8, &err));
    ck_assert_mem_eq(alone, again, sizeof alone);
    resizer_destroy(one);
    resizer_destroy(other);
    free(tall);
}
END_TEST

Suite *suite_resize(void) {
    Suite *s = suite_create("resize");
    TCase *t = tcase_create("bicubic");
    tcase_add_loop_test(t, test_resized_crops_equal_pillows_byte_for_byte, 0, 2);
    tcase_add_test(t, test_a_constant_image_stays_constant_at_any_size);
    tcase_add_test(t, test_nothing_outside_the_box_is_read_and_nothing_outside_the_target_written);
    tcase_add_test(t, test_a_flip_mirrors_the_result);
    tcase_add_test(t, test_lengths_that_share_a_table_slot_do_not_mix);
    suite_add_tcase(s, t);
    return s;
}
