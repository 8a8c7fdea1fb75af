/*
 * Data sets of photographs: packed as files, seen in views of 224 and 96 pixels, by torchvision's golden values; the
 * same for any number of threads, of sizes and of ways to decode; and what happens when a file goes bad.
 */
#include "engine/data/loader.h"
#include "engine/data/views/views.h"
#include "tests/engine/data_bench.h"
#include "tests/engine/photo_bench.h"
#include "tests/golden/golden.h"

#include <glob.h>
#include <math.h>

enum { PHOTOS = 24, SIDE = 40, LOCAL = 17, PAIRS = 5 };

static uint64_t checksum(const uint8_t *pixels, size_t bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++) sum += (i + 1) * pixels[i];
    return sum;
}

static const safetensors_entry *entry(const safetensors *golden, const char *name) {
    const safetensors_entry *e = safetensors_find(golden, name);
    ck_assert_msg(e != NULL, "no golden %s", name);
    return e;
}

static uint64_t word(const safetensors_entry *e, uint64_t i) {
    uint64_t value;
    memcpy(&value, (const uint8_t *)e->data + 8 * i, 8);
    return value;
}

static const uint8_t *decode_whole(const photo *p, photo_part *part) {
    error err = {0};
    ck_assert_msg(photo_decode(p, 1, (resize_box){0, 0, p->width, p->height}, part, &err), "%s", err.text);
    return part->corner;
}

/* ---- Views by torchvision ---- */

START_TEST(test_views_of_a_photo_are_those_of_torchvision_byte_for_byte) {
    enum { COLUMNS = 19, STEP = 16 };
    safetensors *golden = golden_file("photos");
    const safetensors_entry *file = entry(golden, "file"), *cases = entry(golden, "cases"),
                            *sums = entry(golden, "checksums"), *samples = entry(golden, "samples");
    const uint8_t *sample = samples->data;
    error err = {0};
    photo p;
    photo_part part = {0};
    ck_assert(photo_open(&p, file->data, file->bytes, &err));
    augment_options options;
    fields_defaults(&augment_fields, &options);
    augmenter *large = augmenter_create(0, 224, RESIZE_BICUBIC, &err),
              *small = augmenter_create(0, 96, RESIZE_BICUBIC, &err);
    uint8_t *view = malloc(224 * 224 * 3);
    for (uint64_t i = 0; i < cases->shape[0]; i++) {
        double c[COLUMNS];
        memcpy(c, (const uint8_t *)cases->data + i * sizeof c, sizeof c);
        int side = (int)c[0];
        resize_box box = {(int)c[2], (int)c[1], (int)c[4], (int)c[3]};
        augment_draw draw = {
            0,        0,        box.height, box.width, c[5] > 0,
            c[6] > 0, c[7] > 0, c[9] > 0,   c[8] > 0,  {(int)c[10], (int)c[11], (int)c[12], (int)c[13]},
            c[14],    c[15],    c[16],      c[17],     c[18],
            0};
        ck_assert(photo_decode(&p, 1, box, &part, &err));
        ck_assert(augment_image(side == 224 ? large : small, &options, &draw, part.corner, part.stride, view, &err));
        int worst = 0;
        for (int y = 0; y < side; y += STEP)
            for (int x = 0; x < side; x += STEP)
                for (int k = 0; k < 3; k++, sample++) {
                    int off = abs(view[3 * (y * side + x) + k] - *sample);
                    worst = off > worst ? off : worst;
                }
        ck_assert_msg(checksum(view, (size_t)(side * side * 3)) == word(sums, i),
                      "view %d of %d pixels differs; off by up to %d", (int)i, side, worst);
    }
    free(view);
    augmenter_destroy(large);
    augmenter_destroy(small);
    photo_part_free(&part);
    safetensors_close(golden);
}
END_TEST

START_TEST(test_boxes_on_a_photo_are_distributed_as_torchvisions) {
    enum { DRAWS = 40000, TORCHVISIONS = 100000, WIDTH = 396, HEIGHT = 301 };
    safetensors *golden = golden_file("photos");
    double means[4], deviations[4], sums[4] = {0};
    error err = {0};
    ck_assert(safetensors_read_double(golden, "boxes.means", means, 4, &err));
    ck_assert(safetensors_read_double(golden, "boxes.deviations", deviations, 4, &err));
    augment_options options;
    fields_defaults(&augment_fields, &options);
    for (uint32_t i = 0; i < DRAWS; i++) {
        rng random = rng_stream(2, RNG_TEST, 0, i, 0);
        augment_draw d = augment_sample(&options, WIDTH, HEIGHT, 0, &random);
        ck_assert(d.top >= 0 && d.left >= 0 && d.height > 0 && d.width > 0);
        ck_assert(d.top + d.height <= HEIGHT && d.left + d.width <= WIDTH);
        double figures[4] = {d.top, d.left, d.height, d.width};
        for (int k = 0; k < 4; k++) sums[k] += figures[k];
    }
    for (int k = 0; k < 4; k++)
        ck_assert_double_lt(fabs(sums[k] / DRAWS - means[k]),
                            4 * deviations[k] * sqrt(1.0 / DRAWS + 1.0 / TORCHVISIONS));
    safetensors_close(golden);
}
END_TEST

START_TEST(test_boxes_that_cannot_fit_a_long_photo_are_its_middle) {
    augment_options options;
    fields_defaults(&augment_fields, &options);
    options.crop_min = 0.9;
    rng random = rng_stream(2, RNG_TEST, 0, 0, 0);
    augment_draw d = augment_sample(&options, 1000, 100, 0, &random);
    ck_assert(d.height == 100 && d.width == 133 && d.top == 0 && d.left == 433);
    d = augment_sample(&options, 100, 1000, 0, &random);
    ck_assert(d.width == 100 && d.height == 133 && d.left == 0 && d.top == 433);
    options.crop_min = 1;
    d = augment_sample(&options, 1000, 100, 0, &random);
    ck_assert(d.height == 100 && d.width == 100 && d.top == 0 && d.left == 450);
}
END_TEST

START_TEST(test_dinos_blur_differs_between_its_views) {
    augment_options options = {0};
    error err = {0};
    int blurs[3] = {0};
    ck_assert(field_parse(&augment_fields, fields_find(&augment_fields, "preset"), &options, "dino", &err));
    augment_apply_preset(&options);
    ck_assert_msg(augment_check(&options, &err), "%s", err.text);
    for (uint32_t i = 0; i < 4000; i++)
        for (int view = 0; view < 3; view++) {
            rng random = rng_stream(2, RNG_TEST, 0, i, (uint32_t)view);
            blurs[view] += augment_sample(&options, 300, 200, view, &random).blur;
        }
    ck_assert_int_eq(blurs[0], 4000);
    ck_assert_int_lt(abs(blurs[1] - 400), 80);
    ck_assert_int_lt(abs(blurs[2] - 2000), 130);
}
END_TEST

/* ---- Packed files ---- */

/* Class a: photos of every kind and size; class b: among them turned ones and a PNG. */
static void write_photos(const bench *b) {
    for (int i = 0; i < PHOTOS; i++) {
        char name[64];
        size_t size;
        jpeg_kind kind = jpeg_kinds[i % JPEG_KINDS];
        kind.orientation = i % 2 ? 1 + i / 2 % 8 : 0;
        void *file = i == 5 ? bench_png(5, 90, 60, &size)
                            : photo_jpeg(&kind, (uint32_t)i, 60 + 13 * (i % 7), 50 + 17 * (i % 5), &size);
        snprintf(name, sizeof name, "%s/%s/%02d.jpg", i % 4 ? "train" : "test", i % 8 < 4 ? "a" : "b", i);
        bench_write(b, name, file, size);
        free(file);
    }
}

static data_options packed_options(const bench *b, const char *decoding, int size) {
    data_options options = bench_options(b, "folder", b->source);
    error err = {0};
    ck_assert(field_parse(&data_fields, fields_find(&data_fields, "packing"), &options, "files", &err));
    ck_assert(field_parse(&data_fields, fields_find(&data_fields, "decode"), &options, decoding, &err));
    options.size = size;
    return options;
}

static augment_options multi_crop(void) {
    augment_options options;
    fields_defaults(&augment_fields, &options);
    options.local_crops = 3, options.local_size = LOCAL, options.blur = 0.5;
    return options;
}

static void next(loader *l, loader_batch *batch) {
    error err = {0};
    ck_assert_msg(loader_next(l, batch, &err), "%s", err.text);
}

START_TEST(test_any_number_of_threads_makes_the_same_views_of_photos) {
    bench b;
    bench_begin(&b);
    write_photos(&b);
    data_options options = packed_options(&b, _i ? "scaled" : "exact", SIDE);
    dataset *set = bench_must_open(&b, &options);
    augment_options augment = multi_crop();
    error err = {0};
    for (int threads = 2; threads <= 5; threads++) {
        loader *alone = loader_open(set, SPLIT_TRAIN, &augment, 2, PAIRS, 1, 0, 0, 1, &err);
        loader *shared = loader_open(set, SPLIT_TRAIN, &augment, 2, PAIRS, 1, 0, 0, threads, &err);
        ck_assert(alone && shared);
        for (int i = 0; i < 8; i++) {
            loader_batch one, other;
            next(alone, &one), next(shared, &other);
            ck_assert_mem_eq(one.pixels, other.pixels, sizeof(float) * 2 * PAIRS * SIDE * SIDE * 3);
            ck_assert_mem_eq(one.local, other.local, sizeof(float) * 3 * PAIRS * LOCAL * LOCAL * 3);
            ck_assert_mem_eq(one.labels, other.labels, sizeof(int) * PAIRS);
        }
        loader_close(alone);
        loader_close(shared);
    }
    dataset_close(set);
    bench_end(&b);
}
END_TEST

/* Decoded whole, cut and augmented by hand; under scaled nearly the same. */
START_TEST(test_a_view_is_a_crop_of_the_whole_photo) {
    bench b;
    bench_begin(&b);
    write_photos(&b);
    data_options options = packed_options(&b, _i ? "scaled" : "exact", SIDE);
    dataset *set = bench_must_open(&b, &options);
    view_plan plan = {.set = set, .split = SPLIT_TRAIN, .augment = multi_crop(), .views = 2, .seed = 3};
    plan.augment.jitter = plan.augment.solarize = plan.augment.solarize_second = 0;
    error err = {0};
    view_maker *maker = view_maker_create(&plan, &err);
    augmenter *global = augmenter_create(0, SIDE, RESIZE_BICUBIC, &err),
              *local = augmenter_create(0, LOCAL, RESIZE_BICUBIC, &err);
    static float made[5][SIDE * SIDE * 3], expected[SIDE * SIDE * 3];
    uint8_t rgb[SIDE * SIDE * 3];
    float *out[5] = {made[0], made[1], made[2], made[3], made[4]};
    photo_part whole = {0};
    double off = 0;
    for (uint32_t i = 0; i < dataset_count(set, SPLIT_TRAIN); i++) {
        photo p;
        ck_assert(dataset_photo(set, SPLIT_TRAIN, i, &p, &err));
        ck_assert(view_maker_run(maker, 2, i, out, &err));
        decode_whole(&p, &whole);
        for (int v = 0; v < 5; v++) {
            int side = v < 2 ? SIDE : LOCAL;
            rng random = rng_stream(3, RNG_AUGMENT, 2, i, (uint32_t)v);
            augment_draw draw = augment_sample(&plan.augment, p.width, p.height, v, &random);
            ck_assert(
                augment_image(v < 2 ? global : local, &plan.augment, &draw, whole.corner, whole.stride, rgb, &err));
            augment_normalize(rgb, side * side, dataset_mean(set), dataset_std(set), expected);
            if (!_i) ck_assert_mem_eq(made[v], expected, sizeof(float) * (size_t)(side * side * 3));
            double sum = 0;
            for (int k = 0; k < side * side * 3; k++) sum += fabs((double)made[v][k] - (double)expected[k]);
            off += sum / (side * side * 3) / (5.0 * dataset_count(set, SPLIT_TRAIN));
        }
    }
    if (_i) ck_assert_msg(off > 0 && off < 0.15, "%g", off); /* standard deviations, on average */
    photo_part_free(&whole);
    augmenter_destroy(global);
    augmenter_destroy(local);
    view_maker_destroy(maker);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_evaluation_sees_the_middle_as_torchvision_cuts_it) {
    safetensors *golden = golden_file("photos");
    const safetensors_entry *file = entry(golden, "file"), *sizes = entry(golden, "plain.sizes"),
                            *sums = entry(golden, "plain.checksums");
    bench b;
    bench_begin(&b);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s/a/%d.jpg", i ? "train" : "test", i);
        bench_write(&b, name, file->data, file->bytes);
    }
    uint8_t *rgb = malloc(224 * 224 * 3);
    for (uint64_t i = 0; i < sizes->count; i++) {
        int32_t side;
        memcpy(&side, (const uint8_t *)sizes->data + 4 * i, 4);
        data_options options = packed_options(&b, "exact", side);
        dataset *set = bench_must_open(&b, &options);
        ck_assert_msg((b.progress > 0) == (i == 0), "one import serves every size");
        plain_maker plain = {0};
        error err = {0};
        ck_assert(view_plain(&plain, set, SPLIT_TEST, 0, rgb, &err));
        ck_assert_uint_eq(checksum(rgb, 3 * (size_t)(side * side)), word(sums, i));
        float *pixels = malloc(2 * sizeof *pixels * (size_t)(side * side * 3)), *one = pixels + side * side * 3;
        ck_assert(loader_plain(set, SPLIT_TEST, 0, 1, pixels, &err));
        augment_normalize(rgb, side * side, dataset_mean(set), dataset_std(set), one);
        ck_assert_mem_eq(pixels, one, sizeof *pixels * (size_t)(side * side * 3));
        free(pixels);
        plain_maker_free(&plain);
        dataset_close(set);
    }
    free(rgb);
    bench_end(&b);
    safetensors_close(golden);
}
END_TEST

START_TEST(test_mean_and_deviation_are_those_of_all_training_pixels) {
    bench b;
    bench_begin(&b);
    write_photos(&b);
    data_options options = packed_options(&b, "exact", SIDE);
    dataset *set = bench_must_open(&b, &options);
    double n = 0, sum[3] = {0}, squares[3] = {0};
    photo_part whole = {0};
    error err = {0};
    for (uint32_t i = 0; i < dataset_count(set, SPLIT_TRAIN); i++) {
        photo p;
        ck_assert(dataset_photo(set, SPLIT_TRAIN, i, &p, &err));
        const uint8_t *rgb = decode_whole(&p, &whole);
        for (int k = 0; k < p.width * p.height * 3; k++) {
            double v = rgb[k] / 255.0;
            n += 1 / 3.0, sum[k % 3] += v, squares[k % 3] += v * v;
        }
    }
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq_tol((double)dataset_mean(set)[k], sum[k] / n, 1e-6);
        ck_assert_double_eq_tol((double)dataset_std(set)[k], sqrt(squares[k] / n - pow(sum[k] / n, 2)), 1e-6);
    }
    photo_part_free(&whole);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_files_from_a_folder_and_from_an_archive_are_the_same_data_set) {
    bench b;
    char path[512], sum[65];
    bench_begin(&b);
    snprintf(path, sizeof path, "%s/photos.tar", b.folder);
    struct archive *a = bench_archive(path);
    for (int i = 9; i >= 0; i--) {
        char name[32];
        size_t size;
        uint8_t *file = photo_jpeg(&jpeg_kinds[i], (uint32_t)i, 50 + i, 45, &size);
        snprintf(name, sizeof name, "%c/%d.jpg", 'a' + i % 2, i);
        bench_write(&b, name, file, size);
        bench_member(a, name, AE_IFREG, file, size);
        free(file);
    }
    bench_archive_close(a);
    data_options options = packed_options(&b, "exact", SIDE);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_str_eq(b.said, "");
    ck_assert(!dataset_has_pixels(set));
    ck_assert(dataset_verify(set, &b.err));
    strcpy(sum, dataset_checksum(set));
    dataset_close(set);
    snprintf(options.path, sizeof options.path, "%s", path);
    set = bench_must_open(&b, &options);
    ck_assert_str_eq(dataset_checksum(set), sum);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

/* Zeroes all but the first bytes of an image's file where it stands in the pack. */
static void spoil_packed(const bench *b, const dataset *set, uint32_t sample) {
    enum { KEPT = 200 };
    char pattern[400];
    glob_t packs;
    size_t size;
    photo p;
    error err = {0};
    snprintf(pattern, sizeof pattern, "%s/*.mews", b->cache);
    ck_assert_int_eq(glob(pattern, 0, NULL, &packs), 0);
    ck_assert(dataset_photo(set, SPLIT_TRAIN, sample, &p, &err));
    char *bytes = file_read(packs.gl_pathv[0], &size, &err), *found = memmem(bytes, size, p.data, p.bytes);
    ck_assert_ptr_nonnull(found);
    FILE *pack = fopen(packs.gl_pathv[0], "r+b");
    fseek(pack, found - bytes + KEPT, SEEK_SET);
    for (size_t i = KEPT; i < p.bytes; i++) fputc(0, pack);
    fclose(pack);
    free(bytes);
    globfree(&packs);
}

START_TEST(test_a_file_that_went_bad_in_the_pack_ends_the_run_with_its_name) {
    bench b;
    bench_begin(&b);
    write_photos(&b);
    data_options options = packed_options(&b, "exact", SIDE);
    dataset *set = bench_must_open(&b, &options);
    spoil_packed(&b, set, 2);
    augment_options augment = multi_crop();
    error err = {0};
    loader_batch batch;
    loader *l = loader_open(set, SPLIT_TRAIN, &augment, 2, PAIRS, 1, 0, 0, 3, &err);
    int batches = 0;
    while (batches < 100 && loader_next(l, &batch, &err)) batches++;
    ck_assert_int_lt(batches, 4); /* of an epoch */
    ck_assert_int_eq(err.code, ERROR_RUN);
    ck_assert_msg(strstr(err.text, "image 2: ") != NULL, "%s", err.text);
    error again = {0};
    ck_assert(!loader_next(l, &batch, &again));
    loader_close(l);
    err = (error){0};
    ck_assert(!dataset_verify(set, &err));
    ck_assert_msg(strstr(err.text, "do not match their checksum") != NULL, "%s", err.text);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_a_broken_photo_is_skipped_at_import_and_not_met_in_training) {
    bench b;
    bench_begin(&b);
    for (int i = 0; i < 110; i++) {
        char name[32];
        size_t size;
        uint8_t *file = photo_jpeg(&jpeg_kinds[0], (uint32_t)i, 40, 30, &size);
        snprintf(name, sizeof name, "a/%03d.jpg", i);
        bench_write(&b, name, file, i == 50 ? size / 2 : size);
        free(file);
    }
    data_options options = packed_options(&b, "exact", 16);
    dataset *set = bench_must_open(&b, &options);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN) + dataset_count(set, SPLIT_TEST), 109);
    ck_assert_msg(strstr(b.said, "a/050.jpg") != NULL, "%s", b.said);
    dataset_close(set);
    bench_end(&b);
}
END_TEST

START_TEST(test_sets_without_files_cannot_be_packed_as_files) {
    bench b;
    bench_begin(&b);
    bench_image(&b, "a/1.png", 1);
    data_options options = packed_options(&b, "exact", SIDE);
    error err = {0};
    ck_assert(field_parse(&data_fields, fields_find(&data_fields, "name"), &options, "stl10", &err));
    bench_must_refuse(&b, &options, ERROR_USAGE, "data.packing files");
    bench_end(&b);
}
END_TEST

Suite *suite_photo_views(void) {
    Suite *s = suite_create("photo_views");
    TCase *t = tcase_create("torchvision");
    tcase_add_test(t, test_views_of_a_photo_are_those_of_torchvision_byte_for_byte);
    tcase_add_test(t, test_boxes_on_a_photo_are_distributed_as_torchvisions);
    tcase_add_test(t, test_boxes_that_cannot_fit_a_long_photo_are_its_middle);
    tcase_add_test(t, test_dinos_blur_differs_between_its_views);
    tcase_add_test(t, test_evaluation_sees_the_middle_as_torchvision_cuts_it);
    suite_add_tcase(s, t);
    t = tcase_create("packed");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_any_number_of_threads_makes_the_same_views_of_photos, 0, 2);
    tcase_add_loop_test(t, test_a_view_is_a_crop_of_the_whole_photo, 0, 2);
    tcase_add_test(t, test_mean_and_deviation_are_those_of_all_training_pixels);
    tcase_add_test(t, test_files_from_a_folder_and_from_an_archive_are_the_same_data_set);
    tcase_add_test(t, test_a_file_that_went_bad_in_the_pack_ends_the_run_with_its_name);
    tcase_add_test(t, test_a_broken_photo_is_skipped_at_import_and_not_met_in_training);
    tcase_add_test(t, test_sets_without_files_cannot_be_packed_as_files);
    suite_add_tcase(s, t);
    return s;
}
