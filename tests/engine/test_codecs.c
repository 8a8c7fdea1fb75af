/*
 * WebP, TIFF, BMP and PNM: their pixels are Pillow's (tests/golden/make_codecs.py), any part of them is that part of
 * the whole, and what is damaged or of a kind that is not read is an error.
 */
#include "engine/data/codecs/photo.h"
#include "tests/engine/data_bench.h"
#include "tests/engine/image_bench.h"

#include <string.h>

START_TEST(test_webp_tiff_bmp_and_pnm_decode_to_pillows_bytes) { image_bench_pillows_bytes("codecs", 35); }
END_TEST

START_TEST(test_a_part_of_such_an_image_is_that_part_of_the_whole) {
    safetensors *golden = golden_file("codecs");
    const safetensors_entry *file;
    for (size_t at = 0; (file = image_bench_next(golden, &at));) {
        photo p;
        photo_part whole = {0}, part = {0};
        error err = {0};
        ck_assert(photo_open(&p, file->data, file->bytes, &err));
        ck_assert_int_eq(photo_shrink(&p, p.width, p.height, 1), 1);
        ck_assert(photo_decode(&p, 1, (resize_box){0, 0, p.width, p.height}, &whole, &err));
        resize_box box = {p.width / 3, p.height / 4, (p.width + 2) / 3, (p.height + 2) / 3};
        ck_assert(photo_decode(&p, 1, box, &part, &err));
        for (int y = 0; y < box.height; y++)
            ck_assert_mem_eq(part.corner + (size_t)y * part.stride,
                             whole.corner + (size_t)(box.top + y) * whole.stride + 3 * (size_t)box.left,
                             3 * (size_t)box.width);
        photo_part_free(&part);
        photo_part_free(&whole);
    }
    safetensors_close(golden);
}
END_TEST

START_TEST(test_no_such_file_that_is_cut_or_flipped_does_harm) {
    safetensors *golden = golden_file("codecs");
    const safetensors_entry *file;
    for (size_t at = 0; (file = image_bench_next(golden, &at));)
        for (uint64_t i = 0; i < 120 && i < file->bytes; i++) {
            uint64_t at_share = i * file->bytes / 120;
            if (i % 2)
                image_bench_harmed(file, file->bytes, 8 * (i < 60 ? i : at_share) + i / 2 % 8);
            else
                image_bench_harmed(file, at_share, UINT64_MAX);
        }
    safetensors_close(golden);
}
END_TEST

START_TEST(test_a_header_that_promises_more_than_64_megapixels_is_refused) {
    static const char pnm[] = "P6\n99999 99999\n255\n";
    uint8_t bmp[64] = "BM";
    image decoded;
    error err = {0};
    ck_assert(!image_decode((const uint8_t *)pnm, sizeof pnm - 1, &decoded, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "99999×99999 pixels; at most 64 megapixels"));
    bmp[14] = 40, bmp[20] = 1, bmp[24] = 1; /* 65,536 × 65,536 */
    err = (error){0};
    ck_assert(!image_decode(bmp, sizeof bmp, &decoded, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "65536×65536 pixels"));
}
END_TEST

START_TEST(test_the_endings_of_image_folder_are_read_and_the_first_bytes_tell_the_format) {
    static const char *const files[] = {"webp_lossy", "bmp_RGB", "tiff_raw", "ppm", "pgm", "tiff_16"};
    static const char *const endings[] = {"webp", "bmp", "tif", "ppm", "PGM", "jpg"};
    safetensors *golden = golden_file("codecs");
    bench b;
    bench_begin(&b);
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.file", files[i % 6]);
        const safetensors_entry *file = safetensors_find(golden, name);
        ck_assert_ptr_nonnull(file);
        snprintf(name, sizeof name, "%s/ant/%d.%s", i < 6 ? "train" : "test", i, endings[i % 6]);
        bench_write(&b, name, file->data, file->bytes);
    }
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), 6);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), 6);
    ck_assert_ptr_null(strstr(b.said, "skipped"));
    dataset_close(set);
    safetensors_close(golden);
    bench_end(&b);
}
END_TEST

/* 16 bits that hold a camera's 10: the upper 8 are all but black. */
START_TEST(test_images_of_16_bits_that_hold_only_10_are_told) {
    uint8_t pgm[17 + 2 * 64] = "P5\n8 8\n65535\n";
    for (size_t i = 13; i < 13 + 2 * 64; i += 2) pgm[i] = 3, pgm[i + 1] = (uint8_t)i;
    bench b;
    bench_begin(&b);
    bench_write(&b, "train/ant/0.pgm", pgm, 13 + 2 * 64);
    bench_image(&b, "train/ant/1.png", 1);
    bench_image(&b, "test/ant/1.png", 2);
    data_options options = bench_options(&b, "folder", b.source);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_ptr_nonnull(strstr(b.said, "1 images of 16 bits hold no value above 4095, so that their upper 8 bits"));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

Suite *suite_codecs(void) {
    Suite *s = suite_create("codecs");
    TCase *t = tcase_create("codecs");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_webp_tiff_bmp_and_pnm_decode_to_pillows_bytes);
    tcase_add_test(t, test_a_part_of_such_an_image_is_that_part_of_the_whole);
    tcase_add_test(t, test_no_such_file_that_is_cut_or_flipped_does_harm);
    tcase_add_test(t, test_a_header_that_promises_more_than_64_megapixels_is_refused);
    tcase_add_test(t, test_the_endings_of_image_folder_are_read_and_the_first_bytes_tell_the_format);
    tcase_add_test(t, test_images_of_16_bits_that_hold_only_10_are_told);
    suite_add_tcase(s, t);
    return s;
}
