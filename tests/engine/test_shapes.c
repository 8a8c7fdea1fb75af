#include "engine/data/shapes.h"
#include "tests/engine/data_bench.h"

#include <math.h>
#include <omp.h>

/*
 * The drawings' known answer: published figures rest on these very bytes, whatever machine, compiler or number of
 * threads draws them.
 */
static const char known_checksum[] = "9a7eabecd300fb97762070a7358b4c657feff69bf0ef18f7823f8537be451672";

START_TEST(test_shapes_are_the_same_bytes_for_any_number_of_threads) {
    bench b;
    bench_begin(&b);
    omp_set_num_threads(_i == 0 ? 1 : 3);
    data_options options = bench_options(&b, "shapes", NULL);
    options.size = SHAPES_SIZE;
    dataset *set = bench_must_open(&b, &options);
    ck_assert_str_eq(dataset_checksum(set), known_checksum);
    ck_assert_str_eq(b.said, "");
    ck_assert_uint_eq(dataset_count(set, SPLIT_TRAIN), SHAPES_TRAIN);
    ck_assert_uint_eq(dataset_count(set, SPLIT_VALIDATION), 0);
    ck_assert_uint_eq(dataset_count(set, SPLIT_TEST), SHAPES_TEST);
    ck_assert_int_eq(dataset_classes(set), SHAPES_CLASSES);
    ck_assert_str_eq(dataset_class_name(set, 4), "rings");
    uint8_t drawn[SHAPES_SIZE * SHAPES_SIZE * 3];
    shapes_draw(1, 1234, drawn);
    ck_assert_mem_eq(dataset_image(set, SPLIT_TEST, 1234), drawn, sizeof drawn);
    ck_assert_int_eq(dataset_label(set, SPLIT_TEST, 1234), shapes_label(1234));
    dataset_close(set);
    bench_end(&b);
}
END_TEST

/* Cosine kNN (k = 20, weighted as the evaluation does) on raw pixels: the class must not be a matter of colour or
 * place. */
START_TEST(test_raw_pixels_do_badly_on_shapes) {
    enum { TRAIN = 1500, TEST = 300, PIXELS = SHAPES_SIZE * SHAPES_SIZE * 3, K = 20 };
    float *rows = malloc(sizeof(float) * (size_t)(TRAIN + TEST) * PIXELS);
    for (int i = 0; i < TRAIN + TEST; i++) {
        uint8_t pixels[PIXELS];
        float *row = rows + (size_t)i * PIXELS, squares = 0;
        shapes_draw(i >= TRAIN, (uint32_t)(i >= TRAIN ? i - TRAIN : i), pixels);
        for (int p = 0; p < PIXELS; p++) squares += (float)pixels[p] * pixels[p];
        for (int p = 0; p < PIXELS; p++) row[p] = (float)pixels[p] / sqrtf(squares);
    }
    int right = 0;
    for (int i = TRAIN; i < TRAIN + TEST; i++) {
        double nearest[K], votes[SHAPES_CLASSES] = {0};
        int labels[K] = {0}, best = 0;
        for (int k = 0; k < K; k++) nearest[k] = -1;
        for (int j = 0; j < TRAIN; j++) {
            float dot = 0;
            const float *a = rows + (size_t)i * PIXELS, *c = rows + (size_t)j * PIXELS;
#pragma omp simd reduction(+ : dot)
            for (int p = 0; p < PIXELS; p++) dot += a[p] * c[p];
            int k = K;
            for (; k > 0 && nearest[k - 1] < (double)dot; k--)
                if (k < K) nearest[k] = nearest[k - 1], labels[k] = labels[k - 1];
            if (k < K) nearest[k] = (double)dot, labels[k] = shapes_label((uint32_t)j);
        }
        for (int k = 0; k < K; k++) votes[labels[k]] += exp(nearest[k] / 0.07);
        for (int c = 1; c < SHAPES_CLASSES; c++)
            if (votes[c] > votes[best]) best = c;
        right += best == shapes_label((uint32_t)(i - TRAIN));
    }
    ck_assert_msg(right < 0.45 * TEST, "kNN on raw pixels is right in %d of %d", right, TEST);
    free(rows);
}
END_TEST

START_TEST(test_drawings_differ_between_splits_and_indices) {
    uint8_t a[SHAPES_SIZE * SHAPES_SIZE * 3], b[sizeof a];
    shapes_draw(0, 10, a);
    shapes_draw(1, 10, b);
    ck_assert_mem_ne(a, b, sizeof a);
    shapes_draw(0, 20, b);
    ck_assert_mem_ne(a, b, sizeof a);
    shapes_draw(0, 10, b);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

Suite *suite_shapes(void) {
    Suite *s = suite_create("shapes");
    TCase *t = tcase_create("drawings");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_shapes_are_the_same_bytes_for_any_number_of_threads, 0, 2);
    tcase_add_test(t, test_raw_pixels_do_badly_on_shapes);
    tcase_add_test(t, test_drawings_differ_between_splits_and_indices);
    suite_add_tcase(s, t);
    return s;
}
