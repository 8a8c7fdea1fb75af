#include "engine/data/loader.h"
#include "tests/scratch.h"

#include <check.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 70, PAIRS = 20, BATCHES = COUNT / PAIRS, SEED = 11 };

static char cache[SCRATCH];
static dataset *set;
static augment_options asymmetric;

/*
 * Once for the whole suite, before Check forks: the built-in data set is drawn only here, and by one thread, because a
 * team of threads would not come along into the forks.
 */
static void open_shapes(void) {
    data_options options;
    error err = {0};
    scratch_folder(cache);
    fields_defaults(&data_fields, &options);
    ck_assert(field_parse(&data_fields, fields_find(&data_fields, "name"), &options, "shapes", &err));
    options.limit = COUNT, options.validation = 0;
    snprintf(options.cache, sizeof options.cache, "%s", cache);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    set = dataset_open(&options, NULL, NULL, NULL, &err);
    omp_set_num_threads(threads);
    ck_assert_msg(set != NULL, "%s", err.text);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), COUNT);
    augment_apply_preset(&asymmetric);
}

static void close_shapes(void) {
    dataset_close(set);
    scratch_remove(cache);
}

static loader *open_at(int pairs, uint32_t epoch, uint32_t index, int threads) {
    error err = {0};
    loader *l = loader_open(set, SPLIT_TRAIN, &asymmetric, 2, pairs, SEED, epoch, index, threads, &err);
    ck_assert_msg(l != NULL, "%s", err.text);
    return l;
}

static loader_batch next(loader *l) {
    loader_batch batch;
    error err = {0};
    ck_assert(loader_next(l, &batch, &err));
    ck_assert(batch.waited >= 0);
    return batch;
}

static size_t values(void) { return (size_t)dataset_size(set) * dataset_size(set) * 3; }

static void check_same(loader_batch a, loader_batch b) {
    ck_assert_uint_eq(a.epoch, b.epoch);
    ck_assert_uint_eq(a.index, b.index);
    ck_assert(memcmp(a.samples, b.samples, (size_t)a.pairs * sizeof *a.samples) == 0);
    ck_assert(memcmp(a.labels, b.labels, (size_t)a.pairs * sizeof *a.labels) == 0);
    ck_assert(memcmp(a.pixels, b.pixels, (size_t)a.views * a.pairs * values() * sizeof(float)) == 0);
}

START_TEST(test_any_number_of_threads_makes_the_same_bits) {
    for (int threads = 2; threads <= 5; threads++) {
        loader *alone = open_at(PAIRS, 0, 0, 1), *shared = open_at(PAIRS, 0, 0, threads);
        for (uint32_t i = 0; i < 4 * BATCHES; i++) {
            loader_batch batch = next(alone);
            ck_assert_uint_eq(batch.epoch, i / BATCHES);
            ck_assert_uint_eq(batch.index, i % BATCHES);
            check_same(batch, next(shared));
        }
        loader_close(alone);
        loader_close(shared);
    }
}
END_TEST

START_TEST(test_starting_late_equals_skipping) {
    for (uint32_t skipped = 0; skipped < 3 * BATCHES; skipped++) {
        loader *whole = open_at(PAIRS, 0, 0, 2), *late = open_at(PAIRS, skipped / BATCHES, skipped % BATCHES, 2);
        for (uint32_t i = 0; i < skipped; i++) next(whole);
        for (int i = 0; i < 3; i++) check_same(next(whole), next(late));
        loader_close(whole);
        loader_close(late);
    }
}
END_TEST

/* 7 divides 70, and a batch of 70 makes every batch an epoch of its own. */
START_TEST(test_every_sample_comes_once_an_epoch_in_an_order_of_its_own) {
    const int sizes[] = {7, COUNT};
    for (int s = 0; s < 2; s++) {
        loader *l = open_at(sizes[s], 0, 0, 3);
        uint32_t orders[6][COUNT];
        for (int epoch = 0; epoch < 6; epoch++) {
            int seen[COUNT] = {0};
            for (int place = 0; place < COUNT;) {
                loader_batch batch = next(l);
                ck_assert_uint_eq(batch.epoch, (unsigned)epoch);
                for (int i = 0; i < batch.pairs; i++) {
                    ck_assert_uint_lt(batch.samples[i], COUNT);
                    seen[batch.samples[i]]++;
                    orders[epoch][place++] = batch.samples[i];
                }
            }
            for (int i = 0; i < COUNT; i++) ck_assert_int_eq(seen[i], 1);
            for (int before = 0; before < epoch; before++)
                ck_assert(memcmp(orders[before], orders[epoch], sizeof orders[0]) != 0);
        }
        loader_close(l);
    }
}
END_TEST

START_TEST(test_an_incomplete_last_batch_is_dropped) {
    loader *l = open_at(PAIRS, 0, 0, 1);
    ck_assert_uint_eq(loader_batches(l), 3);
    for (int i = 0; i < 3; i++) ck_assert_uint_eq(next(l).epoch, 0);
    loader_batch batch = next(l);
    ck_assert(batch.epoch == 1 && batch.index == 0 && batch.pairs == PAIRS);
    loader_close(l);
}
END_TEST

START_TEST(test_a_view_is_what_its_own_stream_draws) {
    error err = {0};
    int size = dataset_size(set);
    uint8_t *view = malloc(values());
    float *pixels = malloc(values() * sizeof *pixels);
    augmenter *a = augmenter_create(size, size, RESIZE_BICUBIC, &err);
    loader *l = open_at(PAIRS, 2, 1, 2);
    loader_batch batch = next(l);
    ck_assert_int_eq(batch.views, 2);
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < PAIRS; i++) {
            uint32_t sample = batch.samples[i];
            rng random = rng_stream(SEED, RNG_AUGMENT, 2, sample, (uint32_t)v);
            augment_draw draw = augment_sample(&asymmetric, size, size, v, &random);
            ck_assert(augment_image(a, &asymmetric, &draw, dataset_image(set, SPLIT_TRAIN, sample), 3 * (size_t)size,
                                    view, &err));
            augment_normalize(view, size * size, dataset_mean(set), dataset_std(set), pixels);
            ck_assert(memcmp(pixels, batch.pixels + ((size_t)v * PAIRS + i) * values(), values() * sizeof *pixels) ==
                      0);
            ck_assert_int_eq(batch.labels[i], dataset_label(set, SPLIT_TRAIN, sample));
        }
    loader_close(l);
    augmenter_destroy(a);
    free(pixels);
    free(view);
}
END_TEST

/* Local views lie beside the global ones, which are what they would be without them. */
START_TEST(test_local_views_have_a_size_and_streams_of_their_own) {
    enum { LOCALS = 3, SIZE = 10 };
    augment_options multi = asymmetric;
    error err = {0};
    multi.local_crops = LOCALS, multi.local_size = SIZE;
    loader *plain = open_at(PAIRS, 0, 0, 1);
    loader *two[2];
    for (int i = 0; i < 2; i++) {
        two[i] = loader_open(set, SPLIT_TRAIN, &multi, 2, PAIRS, SEED, 0, 0, 1 + 2 * i, &err);
        ck_assert_msg(two[i] != NULL, "%s", err.text);
    }
    augmenter *a = augmenter_create(dataset_size(set), SIZE, RESIZE_BICUBIC, &err);
    uint8_t rgb[SIZE * SIZE * 3];
    float view[SIZE * SIZE * 3];
    for (int i = 0; i < 2 * BATCHES; i++) {
        loader_batch one = next(two[0]), other = next(two[1]);
        check_same(next(plain), one);
        ck_assert_int_eq(one.locals, LOCALS);
        ck_assert_int_eq(one.local_size, SIZE);
        ck_assert_mem_eq(one.local, other.local, (size_t)LOCALS * PAIRS * sizeof view);
        for (int k = 0; k < LOCALS; k++) {
            int place = (i + 3 * k) % PAIRS;
            uint32_t sample = one.samples[place];
            rng random = rng_stream(SEED, RNG_AUGMENT, one.epoch, sample, (uint32_t)(AUGMENT_VIEWS + k));
            int whole = dataset_size(set);
            augment_draw draw = augment_sample(&multi, whole, whole, AUGMENT_VIEWS + k, &random);
            ck_assert(
                augment_image(a, &multi, &draw, dataset_image(set, SPLIT_TRAIN, sample), 3 * (size_t)whole, rgb, &err));
            augment_normalize(rgb, SIZE * SIZE, dataset_mean(set), dataset_std(set), view);
            ck_assert_mem_eq(view, one.local + ((size_t)k * PAIRS + (size_t)place) * SIZE * SIZE * 3, sizeof view);
        }
    }
    augmenter_destroy(a);
    loader_close(plain);
    loader_close(two[0]);
    loader_close(two[1]);
}
END_TEST

START_TEST(test_local_views_larger_than_the_images_are_refused) {
    augment_options multi = asymmetric;
    error err = {0};
    multi.local_crops = 2, multi.local_size = dataset_size(set) + 1;
    ck_assert_ptr_null(loader_open(set, SPLIT_TRAIN, &multi, 2, PAIRS, SEED, 0, 0, 1, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "augment.local_size"));
}
END_TEST

START_TEST(test_a_batch_stays_as_it_is_until_the_next_call) {
    loader *l = open_at(PAIRS, 0, 0, 3);
    size_t bytes = 2 * PAIRS * values() * sizeof(float);
    float *copy = malloc(bytes);
    for (int i = 0; i < 7; i++) {
        loader_batch batch = next(l);
        memcpy(copy, batch.pixels, bytes);
        usleep(5000);
        ck_assert(memcmp(copy, batch.pixels, bytes) == 0);
    }
    free(copy);
    loader_close(l);
}
END_TEST

START_TEST(test_closing_at_any_moment_ends_the_threads) {
    for (int i = 0; i < 40; i++) {
        loader *l = open_at(i % 2 ? PAIRS : COUNT, 0, 0, 1 + i % 4);
        if (i % 3) next(l);
        usleep((unsigned)i * 50);
        loader_close(l);
    }
    loader_close(NULL);
}
END_TEST

START_TEST(test_a_batch_larger_than_the_split_is_refused) {
    error err = {0};
    ck_assert_ptr_null(loader_open(set, SPLIT_TRAIN, &asymmetric, 2, COUNT + 1, SEED, 0, 0, 1, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "71 pairs"));
    ck_assert_ptr_nonnull(strstr(err.text, "70 images of shapes"));
}
END_TEST

START_TEST(test_a_loader_refuses_augmentations_that_contradict_themselves) {
    error err = {0};
    augment_options wrong = asymmetric;
    wrong.crop_min = 0.9, wrong.crop_max = 0.5;
    ck_assert_ptr_null(loader_open(set, SPLIT_TRAIN, &wrong, 2, PAIRS, SEED, 0, 0, 1, &err));
    ck_assert_int_eq(err.code, ERROR_USAGE);
}
END_TEST

START_TEST(test_plain_images_are_only_normalised) {
    enum { FIRST = 5, HOW_MANY = 9 };
    float *pixels = malloc(HOW_MANY * values() * sizeof *pixels);
    error err = {0};
    ck_assert(loader_plain(set, SPLIT_TEST, FIRST, HOW_MANY, pixels, &err));
    for (size_t i = 0; i < HOW_MANY; i++) {
        const uint8_t *image = dataset_image(set, SPLIT_TEST, (uint32_t)(FIRST + i));
        for (size_t k = 0; k < values(); k++) {
            double wanted = (image[k] / 255.0 - (double)dataset_mean(set)[k % 3]) / (double)dataset_std(set)[k % 3];
            ck_assert_double_eq_tol(pixels[i * values() + k], wanted, 1e-5);
        }
    }
    free(pixels);
}
END_TEST

Suite *suite_loader(void) {
    Suite *s = suite_create("loader");
    TCase *t = tcase_create("batches");
    tcase_add_unchecked_fixture(t, open_shapes, close_shapes);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_any_number_of_threads_makes_the_same_bits);
    tcase_add_test(t, test_starting_late_equals_skipping);
    tcase_add_test(t, test_every_sample_comes_once_an_epoch_in_an_order_of_its_own);
    tcase_add_test(t, test_an_incomplete_last_batch_is_dropped);
    tcase_add_test(t, test_a_view_is_what_its_own_stream_draws);
    tcase_add_test(t, test_local_views_have_a_size_and_streams_of_their_own);
    tcase_add_test(t, test_local_views_larger_than_the_images_are_refused);
    tcase_add_test(t, test_a_batch_stays_as_it_is_until_the_next_call);
    tcase_add_test(t, test_closing_at_any_moment_ends_the_threads);
    tcase_add_test(t, test_a_batch_larger_than_the_split_is_refused);
    tcase_add_test(t, test_a_loader_refuses_augmentations_that_contradict_themselves);
    tcase_add_test(t, test_plain_images_are_only_normalised);
    suite_add_tcase(s, t);
    return s;
}
