#include "tests/engine/image_bench.h"

#include <string.h>

START_TEST(test_jpeg_and_png_of_every_kind_decode_to_pillows_bytes) { image_bench_pillows_bytes("images", 26); }
END_TEST

START_TEST(test_a_file_that_breaks_off_is_an_error_wherever_it_breaks) {
    safetensors *golden = golden_file("images");
    const safetensors_entry *file;
    for (size_t at = 0; (file = image_bench_next(golden, &at));)
        for (uint64_t size = 0; size + 2 < file->bytes; size += 1 + file->bytes / 40)
            ck_assert_msg(!image_bench_harmed(file, size, UINT64_MAX), "%s, %d bytes", file->name, (int)size);
    safetensors_close(golden);
}
END_TEST

START_TEST(test_no_flipped_bit_does_harm) {
    safetensors *golden = golden_file("images");
    const safetensors_entry *file;
    for (size_t at = 0; (file = image_bench_next(golden, &at));)
        for (uint64_t i = 0; i < file->bytes; i += 5) image_bench_harmed(file, file->bytes, 8 * i + i / 5 % 8);
    safetensors_close(golden);
}
END_TEST

/* Headers that promise 65,500×65,500 pixels: nothing must be allocated for them. */
START_TEST(test_an_image_of_too_many_pixels_is_refused_by_its_header) {
    safetensors *golden = golden_file("images");
    const safetensors_entry *jpeg = safetensors_find(golden, "jpeg_444.file");
    uint8_t *copy = malloc(jpeg->bytes);
    memcpy(copy, jpeg->data, jpeg->bytes);
    uint64_t i = 2;
    while (copy[i + 1] != 0xC0) i += 2 + (uint64_t)copy[i + 2] * 256 + copy[i + 3]; /* to the frame's header */
    memcpy(copy + i + 5, "\xFF\xDC\xFF\xDC", 4);
    image decoded;
    error err = {0};
    ck_assert(!image_decode(copy, jpeg->bytes, &decoded, &err));
    ck_assert_str_eq(err.text, "an image of 65500×65500 pixels; at most 64 megapixels are taken");
    free(copy);
    safetensors_close(golden);

    static const uint8_t header[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x40\0\0\0\x40\0\x08\x02\0\0\0\x26\xaa\x87\xd3\0\0\0\x01IDAT";
    err = (error){0};
    ck_assert(!image_decode(header, sizeof header - 1, &decoded, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "16384×16384"));
}
END_TEST

START_TEST(test_what_is_neither_jpeg_nor_png_is_named_so) {
    image decoded;
    error err = {0};
    ck_assert(!image_decode((const uint8_t *)"GIF89a", 6, &decoded, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "none of the formats that are read"));
    err = (error){0};
    ck_assert(!image_decode((const uint8_t *)"", 0, &decoded, &err));
    ck_assert_str_eq(err.text, "empty");
}
END_TEST

START_TEST(test_fitting_equals_torchvisions_resize_and_centre_crop) {
    safetensors *golden = golden_file("images");
    error err = {0};
    resizer *r = resizer_create(RESIZE_BICUBIC, &err);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "fit_%d.source", i);
        const safetensors_entry *source = safetensors_find(golden, name);
        snprintf(name, sizeof name, "fit_%d.target", i);
        const safetensors_entry *target = safetensors_find(golden, name);
        int side = (int)target->shape[0];
        image from = {(int)source->shape[1], (int)source->shape[0], malloc(source->bytes)};
        memcpy(from.pixels, source->data, source->bytes);
        uint8_t *fitted = malloc(target->bytes);
        ck_assert(image_fit(r, &from, side, side, fitted, &err));
        ck_assert_mem_eq(fitted, target->data, target->bytes);
        free(fitted);
        image_free(&from);
    }
    resizer_destroy(r);
    safetensors_close(golden);
}
END_TEST

START_TEST(test_a_strip_is_too_long_to_fit) {
    image strip = {3000, 2, calloc(3000 * 2, 3)};
    uint8_t target[8 * 8 * 3];
    error err = {0};
    resizer *r = resizer_create(RESIZE_BICUBIC, &err);
    ck_assert(!image_fit(r, &strip, 8, 8, target, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "3000×2"));
    resizer_destroy(r);
    image_free(&strip);
}
END_TEST

Suite *suite_images(void) {
    Suite *s = suite_create("images");
    TCase *t = tcase_create("decode");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_jpeg_and_png_of_every_kind_decode_to_pillows_bytes);
    tcase_add_test(t, test_a_file_that_breaks_off_is_an_error_wherever_it_breaks);
    tcase_add_test(t, test_no_flipped_bit_does_harm);
    tcase_add_test(t, test_an_image_of_too_many_pixels_is_refused_by_its_header);
    tcase_add_test(t, test_what_is_neither_jpeg_nor_png_is_named_so);
    tcase_add_test(t, test_fitting_equals_torchvisions_resize_and_centre_crop);
    tcase_add_test(t, test_a_strip_is_too_long_to_fit);
    suite_add_tcase(s, t);
    return s;
}
