#include "engine/data/views/augment.h"
#include "engine/data/views/blur.h"
#include "engine/data/views/colour.h"
#include "tests/golden/golden.h"

#include <string.h>

enum { SIZE = 32, PIXELS = SIZE * SIZE, BYTES = 3 * PIXELS, COLUMNS = 19 };

static const void *bytes_of(const safetensors *file, const char *name, uint64_t *count) {
    const safetensors_entry *entry = safetensors_find(file, name);
    ck_assert_msg(entry != NULL, "no golden %s", name);
    *count = entry->count;
    return entry->data;
}

static augment_options preset(const char *name) {
    augment_options options;
    error err = {0};
    fields_defaults(&augment_fields, &options);
    ck_assert(field_parse(&augment_fields, fields_find(&augment_fields, "preset"), &options, name, &err));
    augment_apply_preset(&options);
    return options;
}

static augment_draw draw_of(const double *row) {
    augment_draw draw = {
        .top = (int)row[1],
        .left = (int)row[2],
        .height = (int)row[3],
        .width = (int)row[4],
        .flip = row[5] != 0,
        .jitter = row[6] != 0,
        .greyscale = row[7] != 0,
        .blur = row[8] != 0,
        .solarize = row[9] != 0,
        .brightness = row[14],
        .contrast = row[15],
        .saturation = row[16],
        .hue = row[17],
        .sigma = row[18],
    };
    for (int i = 0; i < 4; i++) draw.order[i] = (int)row[10 + i];
    return draw;
}

START_TEST(test_views_are_those_of_torchvision_byte_for_byte) {
    safetensors *file = golden_file("augment");
    uint64_t sources_count, views_count, cases_count;
    const uint8_t *sources = bytes_of(file, "sources", &sources_count);
    const uint8_t *views = bytes_of(file, "views", &views_count), *cases = bytes_of(file, "cases", &cases_count);
    ck_assert_uint_eq(cases_count / COLUMNS, views_count / BYTES);
    ck_assert_uint_gt(views_count / BYTES, 60);
    error err = {0};
    augmenter *a = augmenter_create(SIZE, SIZE, RESIZE_BICUBIC, &err);
    ck_assert_msg(a != NULL, "%s", err.text);
    augment_options options = preset("asymmetric");
    for (uint64_t i = 0; i < cases_count / COLUMNS; i++) {
        double row[COLUMNS];
        memcpy(row, cases + i * sizeof row, sizeof row);
        augment_draw draw = draw_of(row);
        uint8_t view[BYTES];
        ck_assert(augment_image(a, &options, &draw, sources + (size_t)row[0] * BYTES, 3 * SIZE, view, &err));
        for (int k = 0; k < BYTES; k++)
            ck_assert_msg(view[k] == views[i * BYTES + k], "case %d, byte %d: %d instead of %d", (int)i, k, view[k],
                          views[i * BYTES + k]);
    }
    augmenter_destroy(a);
    safetensors_close(file);
}
END_TEST

typedef void colour_step(uint8_t *planes, int pixels, double factor);

static void check_every_colour(const char *name, colour_step *step, double factor) {
    enum { BLOCK = 65536 };
    static uint8_t planes[3 * BLOCK];
    safetensors *file = golden_file("augment");
    uint64_t count;
    const uint8_t *expected = bytes_of(file, name, &count);
    ck_assert_uint_eq(count, 256);
    for (int red = 0; red < 256; red++) {
        for (int i = 0; i < BLOCK; i++)
            planes[i] = (uint8_t)red, planes[BLOCK + i] = (uint8_t)(i >> 8), planes[2 * BLOCK + i] = (uint8_t)i;
        step(planes, BLOCK, factor);
        uint64_t sum = 0, wanted;
        for (uint64_t i = 0; i < 3 * BLOCK; i++) sum += (i + 1) * planes[i];
        memcpy(&wanted, expected + 8 * red, 8);
        ck_assert_msg(sum == wanted, "%s: a colour of red %d differs", name, red);
    }
    safetensors_close(file);
}

START_TEST(test_every_colour_turns_as_pillow_turns_it) { check_every_colour("every_colour.hue", colour_hue, 0.137); }
END_TEST

START_TEST(test_every_colour_is_saturated_as_pillow_does) {
    check_every_colour("every_colour.saturation", colour_saturation, 1.2);
}
END_TEST

START_TEST(test_every_colour_takes_contrast_as_pillow_does) {
    check_every_colour("every_colour.contrast", colour_contrast, 0.6);
}
END_TEST

START_TEST(test_splitting_and_joining_give_the_image_back) {
    for (int pixels = 1; pixels < 200; pixels += 33) {
        uint8_t rgb[600], planes[600], back[600];
        for (int i = 0; i < 3 * pixels; i++) rgb[i] = (uint8_t)(37 * i + 11);
        colour_split(rgb, pixels, planes);
        for (int i = 0; i < pixels; i++) ck_assert_uint_eq(planes[2 * pixels + i], rgb[3 * i + 2]);
        colour_join(planes, pixels, back);
        ck_assert_mem_eq(rgb, back, (size_t)(3 * pixels));
    }
}
END_TEST

START_TEST(test_blur_keeps_a_flat_image_and_spreads_a_point_evenly) {
    enum { N = 17 };
    uint8_t planes[3 * N * N];
    uint8_t *scratch = malloc(blur_scratch(N));
    memset(planes, 201, sizeof planes);
    blur_gaussian(planes, N, 1.7, scratch);
    for (size_t i = 0; i < sizeof planes; i++) ck_assert_uint_eq(planes[i], 201);
    memset(planes, 0, sizeof planes);
    planes[N * N + N / 2 * N + N / 2] = 255;
    blur_gaussian(planes, N, 1.0, scratch);
    const uint8_t *green = planes + N * N;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            ck_assert_uint_eq(green[y * N + x], green[y * N + N - 1 - x]);
            ck_assert_uint_eq(green[y * N + x], green[(N - 1 - y) * N + x]);
            ck_assert_uint_eq(planes[y * N + x], 0);
        }
    ck_assert_int_lt(abs(green[N / 2 * N + N / 2] - 41), 4); /* 255/2πσ² */
    free(scratch);
}
END_TEST

START_TEST(test_none_leaves_images_as_they_are) {
    augment_options options = preset("none");
    error err = {0};
    augmenter *a = augmenter_create(SIZE, SIZE, RESIZE_BICUBIC, &err);
    uint8_t source[BYTES], target[BYTES];
    for (int i = 0; i < BYTES; i++) source[i] = (uint8_t)(i * 7 + i / 50);
    for (uint32_t i = 0; i < 50; i++) {
        rng random = rng_stream(5, RNG_AUGMENT, 0, i, i & 1);
        augment_draw draw = augment_sample(&options, SIZE, SIZE, (int)i & 1, &random);
        ck_assert(augment_image(a, &options, &draw, source, 3 * SIZE, target, &err));
        ck_assert_mem_eq(source, target, BYTES);
    }
    augmenter_destroy(a);
}
END_TEST

START_TEST(test_images_of_other_sizes_come_out_at_the_target_size) {
    enum { SOURCE = 45, TARGET = 20 };
    static uint8_t source[SOURCE * SOURCE * 3], target[TARGET * TARGET * 3];
    memset(source, 90, sizeof source);
    augment_options options = preset("asymmetric");
    options.jitter = options.solarize = options.solarize_second = 0;
    error err = {0};
    augmenter *a = augmenter_create(SOURCE, TARGET, RESIZE_BICUBIC, &err);
    rng random = rng_stream(5, RNG_AUGMENT, 0, 0, 0);
    augment_draw draw = augment_sample(&options, SOURCE, SOURCE, 0, &random);
    ck_assert(augment_image(a, &options, &draw, source, 3 * SOURCE, target, &err));
    for (size_t i = 0; i < sizeof target; i++) ck_assert_uint_eq(target[i], 90);
    augmenter_destroy(a);
    ck_assert_ptr_null(augmenter_create(4000, 32, RESIZE_BICUBIC, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
}
END_TEST

START_TEST(test_crops_are_distributed_as_torchvisions) {
    enum { DRAWS = 40000, FIGURES = 6 };
    safetensors *file = golden_file("augment");
    double means[FIGURES], deviations[FIGURES], sums[FIGURES] = {0};
    error err = {0};
    ck_assert(safetensors_read_double(file, "crop.means", means, FIGURES, &err));
    ck_assert(safetensors_read_double(file, "crop.deviations", deviations, FIGURES, &err));
    augment_options options = preset("asymmetric");
    for (uint32_t i = 0; i < DRAWS; i++) {
        rng random = rng_stream(2, RNG_TEST, 0, i, 0);
        augment_draw d = augment_sample(&options, SIZE, SIZE, 0, &random);
        ck_assert(d.top >= 0 && d.left >= 0 && d.height > 0 && d.width > 0);
        ck_assert(d.top + d.height <= SIZE && d.left + d.width <= SIZE);
        double figures[FIGURES] = {d.top, d.left, d.height, d.width, d.height * d.width, d.height * d.width == PIXELS};
        for (int k = 0; k < FIGURES; k++) sums[k] += figures[k];
    }
    /* Four standard errors of a difference between our draws and torchvision's 200,000. */
    for (int k = 0; k < FIGURES; k++)
        ck_assert_double_lt(fabs(sums[k] / DRAWS - means[k]), 4 * deviations[k] * sqrt(1.0 / DRAWS + 1.0 / 200000));
    safetensors_close(file);
}
END_TEST

START_TEST(test_crop_ratios_stay_in_their_bounds) {
    enum { LARGE = 500 };
    augment_options options = preset("asymmetric");
    double smallest = 10, largest = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        rng random = rng_stream(3, RNG_TEST, 0, i, 0);
        augment_draw d = augment_sample(&options, LARGE, LARGE, 0, &random);
        double area = (double)d.height * d.width / (LARGE * LARGE), ratio = (double)d.width / d.height;
        smallest = fmin(smallest, ratio), largest = fmax(largest, ratio);
        ck_assert(area > 0.079 && area <= 1);
    }
    ck_assert_double_gt(smallest, 0.745);
    ck_assert_double_lt(smallest, 0.755);
    ck_assert_double_gt(largest, 1.325);
    ck_assert_double_lt(largest, 1.342);
}
END_TEST

/* Ratios that no box of the area asked for can have inside the image leave the central box of the nearest ratio. */
START_TEST(test_a_crop_that_cannot_fit_falls_back_to_the_centre) {
    augment_options options = preset("asymmetric");
    options.crop_min = options.crop_max = 0.999, options.ratio_min = 2, options.ratio_max = 3;
    rng random = rng_stream(3, RNG_TEST, 0, 0, 0);
    augment_draw d = augment_sample(&options, SIZE, SIZE, 0, &random);
    ck_assert(d.width == SIZE && d.height == SIZE / 2 && d.left == 0 && d.top == SIZE / 4);
    options.ratio_min = 0.2, options.ratio_max = 0.5;
    d = augment_sample(&options, SIZE, SIZE, 0, &random);
    ck_assert(d.width == SIZE / 2 && d.height == SIZE && d.left == SIZE / 4 && d.top == 0);
}
END_TEST

START_TEST(test_steps_happen_as_often_and_as_strongly_as_asked) {
    enum { DRAWS = 24000 };
    augment_options options = preset("symmetric");
    int flips = 0, jitters = 0, greys = 0, blurs = 0, solarized = 0, orders[256] = {0};
    double brightness = 0, hue = 0, sigma = 0;
    options.solarize_second = 0.3, options.brightness = 1.5;
    for (uint32_t i = 0; i < DRAWS; i++) {
        rng random = rng_stream(4, RNG_TEST, 0, i, 1);
        augment_draw d = augment_sample(&options, SIZE, SIZE, 1, &random);
        flips += d.flip, jitters += d.jitter, greys += d.greyscale, blurs += d.blur, solarized += d.solarize;
        orders[d.order[0] | d.order[1] << 2 | d.order[2] << 4 | d.order[3] << 6]++;
        brightness += d.brightness, hue += d.hue, sigma += d.sigma;
        ck_assert(d.brightness >= 0 && d.brightness <= 2.5 && d.contrast >= 0.2 - 1e-12 && d.contrast <= 1.8);
        ck_assert(d.hue >= -0.2 && d.hue <= 0.2 && d.sigma >= 0.1 && d.sigma <= 2);
    }
    ck_assert_double_lt(fabs((double)flips / DRAWS - 0.5), 0.013);
    ck_assert_double_lt(fabs((double)jitters / DRAWS - 0.8), 0.011);
    ck_assert_double_lt(fabs((double)greys / DRAWS - 0.2), 0.011);
    ck_assert_double_lt(fabs((double)blurs / DRAWS - 0.5), 0.013);
    ck_assert_double_lt(fabs((double)solarized / DRAWS - 0.3), 0.012);
    ck_assert_double_lt(fabs(brightness / DRAWS - 1.25), 0.02); /* uniform from 0, not from −0.5 */
    ck_assert_double_lt(fabs(hue / DRAWS), 0.004);
    ck_assert_double_lt(fabs(sigma / DRAWS - 1.05), 0.015);
    int seen = 0;
    for (int i = 0; i < 256; i++) {
        if (orders[i] == 0) continue;
        seen++;
        ck_assert_int_lt(abs(orders[i] - DRAWS / 24), 130);
    }
    ck_assert_int_eq(seen, 24);
}
END_TEST

START_TEST(test_only_the_second_asymmetric_view_is_solarized) {
    augment_options options = preset("asymmetric");
    int solarized[2] = {0};
    for (uint32_t i = 0; i < 2000; i++)
        for (int view = 0; view < 2; view++) {
            rng random = rng_stream(4, RNG_TEST, 0, i, (uint32_t)view);
            solarized[view] += augment_sample(&options, SIZE, SIZE, view, &random).solarize;
        }
    ck_assert_int_eq(solarized[0], 0);
    ck_assert_int_gt(solarized[1], 330);
    ck_assert_int_lt(solarized[1], 470);
}
END_TEST

START_TEST(test_local_crops_have_areas_of_their_own_and_the_first_views_colours) {
    augment_options options = preset("asymmetric");
    double least = 1, most = 0, sum = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        rng random = rng_stream(5, RNG_TEST, 0, i, AUGMENT_VIEWS);
        augment_draw d = augment_sample(&options, 500, 500, AUGMENT_VIEWS + (int)(i % 5), &random);
        double area = (double)d.height * d.width / 250000;
        least = fmin(least, area), most = fmax(most, area), sum += area;
        ck_assert(!d.solarize);
    }
    ck_assert(least > 0.049 && least < 0.055 && most > 0.395 && most < 0.401);
    ck_assert_double_lt(fabs(sum / 4000 - 0.225), 0.007);
}
END_TEST

START_TEST(test_local_crops_without_a_size_are_refused_by_name) {
    augment_options options = preset("asymmetric");
    error err = {0};
    options.local_crops = 6;
    ck_assert(!augment_check(&options, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert(strstr(err.text, "augment.local_crops") && strstr(err.text, "augment.local_size"));
    options.local_size = 16;
    ck_assert(augment_check(&options, &err));
}
END_TEST

START_TEST(test_defaults_are_those_of_the_asymmetric_preset) {
    augment_options defaults, named = preset("asymmetric");
    memset(&defaults, 0, sizeof defaults);
    fields_defaults(&augment_fields, &defaults);
    for (size_t i = 0; i < augment_fields.count; i++) {
        char one[64], two[64];
        field_format(&augment_fields.rows[i], &defaults, one, sizeof one);
        field_format(&augment_fields.rows[i], &named, two, sizeof two);
        ck_assert_msg(strcmp(one, two) == 0, "%s: default %s, preset %s", augment_fields.rows[i].key, one, two);
    }
}
END_TEST

START_TEST(test_custom_leaves_the_other_keys_alone) {
    augment_options options = preset("custom");
    options.hue = 0.31, options.crop_min = 0.5;
    augment_apply_preset(&options);
    ck_assert_double_eq(options.hue, 0.31);
    ck_assert_double_eq(options.crop_min, 0.5);
}
END_TEST

START_TEST(test_bounds_the_wrong_way_round_are_refused_by_name) {
    augment_options options = preset("asymmetric");
    error err = {0};
    ck_assert(augment_check(&options, &err));
    options.blur_min = 3;
    ck_assert(!augment_check(&options, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "augment.blur_min is 3, above augment.blur_max"));
}
END_TEST

START_TEST(test_normalizing_subtracts_the_mean_and_divides_by_the_deviation) {
    const float mean[3] = {0.4914f, 0.4822f, 0.4465f}, std[3] = {0.247f, 0.243f, 0.261f};
    enum { N = 37 };
    uint8_t rgb[3 * N];
    float out[3 * N + 1];
    for (int i = 0; i < 3 * N; i++) rgb[i] = (uint8_t)(i * 91);
    out[3 * N] = 7;
    augment_normalize(rgb, N, mean, std, out);
    for (int i = 0; i < 3 * N; i++)
        ck_assert_double_lt(fabs(out[i] - (rgb[i] / 255.0 - (double)mean[i % 3]) / (double)std[i % 3]), 1e-6);
    ck_assert_float_eq(out[3 * N], 7);
}
END_TEST

START_TEST(test_a_further_step_changes_its_share_of_the_views_and_nothing_else) {
    static uint8_t plain[BYTES], stepped[BYTES];
    error err = {0};
    augment_options options = {.preset = 0}, with;
    augment_apply_preset(&options);
    with = options;
    with.steps[0] = 0.25; /* posterize */
    augmenter *a = augmenter_create(SIZE, SIZE, RESIZE_BICUBIC, &err);
    ck_assert_ptr_nonnull(a);
    int changed = 0;
    enum { DRAWS = 2000 };
    static uint8_t source[BYTES];
    for (size_t i = 0; i < BYTES; i++) source[i] = (uint8_t)(i * 37 + i / 96);
    for (uint32_t i = 0; i < DRAWS; i++) {
        rng random = rng_stream(7, RNG_TEST, 0, i, 0), again = random;
        augment_draw d = augment_sample(&options, SIZE, SIZE, 0, &random),
                     e = augment_sample(&with, SIZE, SIZE, 0, &again);
        ck_assert(augment_image(a, &options, &d, source, 3 * SIZE, plain, &err));
        ck_assert(augment_image(a, &with, &e, source, 3 * SIZE, stepped, &err));
        bool differs = memcmp(plain, stepped, BYTES) != 0;
        changed += differs;
        for (size_t k = 0; differs && k < BYTES; k++) ck_assert_uint_eq(stepped[k], plain[k] & 0xf0); /* as Pillow's */
    }
    ck_assert_msg(abs(changed - DRAWS / 4) < 80, "%d of %d", changed, DRAWS); /* four standard deviations: 77 */
    augmenter_destroy(a);
}
END_TEST

Suite *suite_augment(void) {
    Suite *s = suite_create("augment");
    TCase *t = tcase_create("pixels");
    tcase_add_test(t, test_views_are_those_of_torchvision_byte_for_byte);
    tcase_add_test(t, test_every_colour_turns_as_pillow_turns_it);
    tcase_add_test(t, test_every_colour_is_saturated_as_pillow_does);
    tcase_add_test(t, test_every_colour_takes_contrast_as_pillow_does);
    tcase_add_test(t, test_splitting_and_joining_give_the_image_back);
    tcase_add_test(t, test_blur_keeps_a_flat_image_and_spreads_a_point_evenly);
    tcase_add_test(t, test_none_leaves_images_as_they_are);
    tcase_add_test(t, test_images_of_other_sizes_come_out_at_the_target_size);
    tcase_add_test(t, test_normalizing_subtracts_the_mean_and_divides_by_the_deviation);
    tcase_add_test(t, test_a_further_step_changes_its_share_of_the_views_and_nothing_else);
    suite_add_tcase(s, t);
    t = tcase_create("draws");
    tcase_add_test(t, test_crops_are_distributed_as_torchvisions);
    tcase_add_test(t, test_crop_ratios_stay_in_their_bounds);
    tcase_add_test(t, test_a_crop_that_cannot_fit_falls_back_to_the_centre);
    tcase_add_test(t, test_steps_happen_as_often_and_as_strongly_as_asked);
    tcase_add_test(t, test_only_the_second_asymmetric_view_is_solarized);
    tcase_add_test(t, test_local_crops_have_areas_of_their_own_and_the_first_views_colours);
    suite_add_tcase(s, t);
    t = tcase_create("options");
    tcase_add_test(t, test_defaults_are_those_of_the_asymmetric_preset);
    tcase_add_test(t, test_custom_leaves_the_other_keys_alone);
    tcase_add_test(t, test_bounds_the_wrong_way_round_are_refused_by_name);
    tcase_add_test(t, test_local_crops_without_a_size_are_refused_by_name);
    suite_add_tcase(s, t);
    return s;
}
