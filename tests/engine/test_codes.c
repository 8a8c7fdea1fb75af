/*
 * Dictionaries of codes: what their columns are to each other, products with them beside plain matrix products, and the
 * streaming loss beside the same loss written out in double. Sizes that divide nothing, and more codes than a block.
 */
#include "engine/codes.h"
#include "engine/ops.h"
#include "tests/golden/golden.h"

#include <float.h>
#include <string.h>

typedef struct bench {
    backend *backend;
    parameters *parameters;
    tape *tape;
    dictionary dictionary;
} bench;

static bench bench_create(dictionary_law law, int64_t features, int64_t codes, int threads) {
    error err = {0};
    bench b = {.backend = backend_cpu(threads, &err)};
    b.parameters = parameters_create(b.backend, 7, &err);
    b.tape = tape_create(b.backend, &err);
    bool ok = dictionary_create(&b.dictionary, b.parameters, "codes", law, features, codes, false, &err);
    ck_assert_msg(ok, "%s", err.text);
    return b;
}

static void bench_destroy(bench *b) {
    tape_destroy(b->tape);
    parameters_destroy(b->parameters);
    b->backend->destroy(b->backend);
}

static void check(bench *b) {
    error err = {0};
    bool ok = tape_check(b->tape, &err);
    ck_assert_msg(ok, "%s", err.text);
}

static float *normal(int64_t count, int key) {
    float *values = malloc((size_t)count * sizeof *values);
    rng r = rng_stream(5, RNG_TEST, 0, (uint64_t)key, 0);
    for (int64_t i = 0; i < count; i++) values[i] = (float)rng_normal(&r);
    return values;
}

static tensor *leaf(bench *b, int64_t rows, int64_t cols, int key) {
    float *values = normal(rows * cols, key);
    tensor *x = tape_matrix(b->tape, values, rows, cols);
    tape_require_grad(x);
    free(values);
    return x;
}

static float *values_of(bench *b, const tensor *x) {
    float *host = malloc((size_t)tensor_count(x) * sizeof *host);
    b->backend->read(b->backend, x, host);
    return host;
}

static float *gradient_of(bench *b, const tensor *x) {
    float *host = malloc((size_t)tensor_count(x) * sizeof *host);
    tape_read_grad(b->tape, x, host);
    return host;
}

/* W (f, c), by what it does to the unit vectors. */
static float *matrix_of(bench *b) {
    int64_t f = b->dictionary.features;
    float *unit = calloc((size_t)(f * f), sizeof *unit);
    for (int64_t i = 0; i < f; i++) unit[i * f + i] = 1;
    tape_reset(b->tape);
    float *w = values_of(b, op_code_logits(b->tape, tape_matrix(b->tape, unit, f, f), &b->dictionary, 1));
    check(b);
    free(unit);
    return w;
}

/* ⟨w_i, w_j⟩/f */
static double cosine(const float *w, int64_t f, int64_t c, int64_t i, int64_t j) {
    double dot = 0;
    for (int64_t k = 0; k < f; k++) dot += (double)w[k * c + i] * (double)w[k * c + j];
    return dot / (double)f;
}

/* The codes -------------------------------------------------------------------------------------------------------- */

START_TEST(test_hadamard_codes_are_signs_and_orthogonal_inside_a_block) {
    enum { F = 64, C = 40 * F };
    bench b = bench_create(DICTIONARY_HADAMARD, F, C, 1);
    float *w = matrix_of(&b);
    for (int64_t i = 0; i < (int64_t)F * C; i++) ck_assert(w[i] == 1 || w[i] == -1);
    double sum = 0, squares = 0, pairs = 0;
    for (int64_t i = 0; i < C; i++)
        for (int64_t j = i + 1; j < C; j += i / F == j / F ? 1 : 3) { /* every pair of a block, a third of the others */
            double s = cosine(w, F, C, i, j);
            if (i / F == j / F)
                ck_assert_double_eq(s, 0);
            else
                sum += s, squares += s * s, pairs++;
        }
    ck_assert_double_eq_tol(sum / pairs, 0, 1e-3); /* as random signs */
    ck_assert_double_eq_tol(squares / pairs * F, 1, 0.01);
    for (int64_t k = 0; k < F; k++) /* W Wᵀ = c·I */
        for (int64_t l = 0; l <= k; l++) {
            double dot = 0;
            for (int64_t j = 0; j < C; j++) dot += (double)w[k * C + j] * (double)w[l * C + j];
            ck_assert_double_eq(dot, k == l ? C : 0);
        }
    free(w);
    bench_destroy(&b);
}
END_TEST

/* With f of F rows Parseval's identity leaves a mean squared cosine of (F − f)/(f(F − 1)) inside a block, and random
   rows let no pair have much more than its share. */
START_TEST(test_hadamard_codes_of_any_width_are_nearly_orthogonal_inside_a_block) {
    enum { F = 128, f = 96, C = 3 * F };
    bench b = bench_create(DICTIONARY_HADAMARD, f, C, 1);
    float *w = matrix_of(&b);
    double inside = 0, across = 0, most = 0;
    for (int64_t i = 0; i < F; i++)
        for (int64_t j = 0; j < C; j++) {
            double s = cosine(w, f, C, i, j);
            if (j < F && i != j) inside += s * s, most = fmax(most, fabs(s));
            if (j >= F) across += s * s;
        }
    ck_assert_double_eq_tol(inside / (F * (F - 1.0)), (double)(F - f) / (f * (F - 1.0)), 1e-12);
    ck_assert_double_eq_tol(across / (F * (C - F)) * f, 1, 0.02);
    ck_assert_double_lt(most, 5 * sqrt((double)(F - f) / (f * (F - 1.0))));
    free(w);
    bench_destroy(&b);
}
END_TEST

START_TEST(test_orthogonal_codes_are_orthogonal_inside_a_block_with_elements_of_unit_variance) {
    enum { F = 48, C = 2 * F + 10 };
    bench b = bench_create(DICTIONARY_ORTHOGONAL, F, C, 1);
    float *w = matrix_of(&b);
    double across = 0, trace = 0;
    for (int64_t i = 0; i < C; i++)
        for (int64_t j = 0; j < C; j++) {
            double s = cosine(w, F, C, i, j);
            if (i / F == j / F) ck_assert_double_eq_tol(s, i == j, 1e-5);
            if (i / F == 0 && j / F == 1) across += s * s;
        }
    ck_assert_double_eq_tol(across / F, 1, 1e-4); /* any unit vector's squared cosines with an orthonormal basis */
    for (int64_t i = 0; i < F; i++) trace += (double)w[i * C + i];
    ck_assert_double_lt(fabs(trace) / sqrt(F), 5); /* Haar's rotations have a trace of variance 1 */
    free(w);
    bench_destroy(&b);
}
END_TEST

START_TEST(test_rademacher_and_gaussian_codes_have_cosines_of_variance_one_over_f) {
    enum { F = 80, C = 300 };
    bench b = bench_create(_i ? DICTIONARY_GAUSSIAN : DICTIONARY_RADEMACHER, F, C, 1);
    float *w = matrix_of(&b);
    double sum = 0, squares = 0, pairs = C * (C - 1) / 2.0;
    for (int64_t i = 0; i < C; i++)
        for (int64_t j = i + 1; j < C; j++) sum += cosine(w, F, C, i, j), squares += pow(cosine(w, F, C, i, j), 2);
    ck_assert_double_eq_tol(sum / pairs, 0, 4 / sqrt(F * pairs));
    ck_assert_double_eq_tol(squares / pairs * F, 1, 0.04);
    free(w);
    bench_destroy(&b);
}
END_TEST

/* Products --------------------------------------------------------------------------------------------------------- */

/* Logits and their gradient beside those of a plain product with the same W. */
static void compare_products(dictionary_law law, int64_t rows, int64_t f, int64_t c) {
    bench b = bench_create(law, f, c, 0);
    float *w = matrix_of(&b), *weights = normal(rows * c, 2);
    float *out[2], *gradient[2];
    for (int way = 0; way < 2; way++) {
        tape_reset(b.tape);
        tensor *h = leaf(&b, rows, f, 1), *by = tape_matrix(b.tape, weights, rows, c);
        tensor *z = way ? op_matmul(b.tape, h, false, tape_matrix(b.tape, w, f, c), false, 0.3)
                        : op_code_logits(b.tape, h, &b.dictionary, 0.3);
        tape_keep(z);
        tape_backward(b.tape, op_sum(b.tape, op_mul(b.tape, z, by), AXIS_ALL));
        check(&b);
        out[way] = values_of(&b, z);
        gradient[way] = gradient_of(&b, h);
    }
    double off = relative_difference(out[0], out[1], rows * c);
    double gradient_off = relative_difference(gradient[0], gradient[1], rows * f);
    ck_assert_msg(off < 2e-6 && gradient_off < 5e-6, "%s %lldx%lldx%lld: logits off by %.2g, gradient by %.2g",
                  dictionary_names[law], (long long)rows, (long long)f, (long long)c, off, gradient_off);
    for (int way = 0; way < 2; way++) free(out[way]), free(gradient[way]);
    free(w);
    free(weights);
    bench_destroy(&b);
}

START_TEST(test_products_with_codes_are_products_with_their_matrix) {
    static const int64_t shapes[][3] = {{1, 2, 2},   {6, 32, 64},  {7, 33, 65},    {13, 70, 150}, {5, 100, 31},
                                        {2, 128, 3}, {12, 16, 16}, {3, 300, 1000}, {2, 20, 9001}, {300, 40, 2600}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        compare_products((dictionary_law)_i, shapes[i][0], shapes[i][1], shapes[i][2]);
}
END_TEST

/* A transform's codes in both stretches of a block that is shorter than F: 2^m codes need 2^m values. */
START_TEST(test_first_codes_are_the_same_however_many_follow) {
    enum { F = 32, FEW = 11, MANY = 32 };
    bench few = bench_create(DICTIONARY_HADAMARD, F, FEW, 1), many = bench_create(DICTIONARY_HADAMARD, F, MANY, 1);
    float *a = matrix_of(&few), *b = matrix_of(&many);
    for (int k = 0; k < F; k++)
        for (int j = 0; j < FEW; j++) ck_assert(a[k * FEW + j] == b[k * MANY + j]);
    free(a);
    free(b);
    bench_destroy(&few);
    bench_destroy(&many);
}
END_TEST

/* The loss --------------------------------------------------------------------------------------------------------- */

/*
 * Both parts of the loss as the paper writes them and their gradients, in double from the very h and W: gradient
 * (2n, f), weights (f, c). `scale` is the largest |logit|. The masses are the norms that the gradients would have if no
 * term cancelled another: where one code takes all, what is left of them is little beside what rounds.
 */
typedef struct reference {
    double parts[2], *gradient, *weights, scale, mass, weights_mass;
} reference;

/* log p of 2n rows, from α·h·W. */
static double *log_probabilities(const float *h, const float *w, int64_t rows, int64_t f, int64_t c, double alpha,
                                 double *scale) {
    double *log_p = calloc((size_t)(rows * c), sizeof *log_p);
    *scale = 0;
    for (int64_t i = 0; i < rows; i++) {
        double *p = log_p + i * c, most = -INFINITY, sum = 0;
        for (int64_t k = 0; k < f; k++)
            for (int64_t j = 0; j < c; j++) p[j] += alpha * (double)h[i * f + k] * (double)w[k * c + j];
        for (int64_t j = 0; j < c; j++) most = fmax(most, p[j]), *scale = fmax(*scale, fabs(p[j]));
        for (int64_t j = 0; j < c; j++) sum += exp(p[j] - most);
        for (int64_t j = 0; j < c; j++) p[j] -= most + log(sum);
    }
    return log_p;
}

/* The prior over the rows of one view, times `share`; adds to its gradient with respect to log p. */
static double prior(const double *log_p, int64_t n, int64_t c, bool reverse, double share, double *gradient) {
    double value = 0;
    for (int64_t j = 0; j < c; j++) {
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++) most = fmax(most, log_p[i * c + j]);
        for (int64_t i = 0; i < n; i++) sum += exp(log_p[i * c + j] - most);
        double mean = most + log(sum / (double)n); /* log of the code's mean probability */
        double slope = reverse ? exp(mean) * (mean + log((double)c) + 1) : -1 / (double)c;
        value += reverse ? exp(mean) * (mean + log((double)c)) : -mean / (double)c;
        for (int64_t i = 0; i < n; i++) gradient[i * c + j] += share * slope * exp(log_p[i * c + j] - most) / sum;
    }
    return value;
}

static reference written_out(const float *h, const float *w, int64_t n, int64_t f, int64_t c, code_match with,
                             const double weight[2]) {
    reference r = {.gradient = calloc((size_t)(2 * n * f), sizeof(double)),
                   .weights = calloc((size_t)(f * c), sizeof(double))};
    double *log_p = log_probabilities(h, w, 2 * n, f, c, with.alpha, &r.scale);
    double *g = calloc((size_t)(2 * n * c), sizeof *g);
    int orders = with.symmetric ? 2 : 1;
    for (int v = 0; v < orders; v++) {
        const double *p = log_p + v * n * c, *q = log_p + (1 - v) * n * c;
        double *gp = g + v * n * c, *gq = g + (1 - v) * n * c, share = 1.0 / orders;
        for (int64_t i = 0; i < n * c; i++) {
            double each = -share * exp(p[i]) / (double)n;
            r.parts[0] += each * q[i];
            gp[i] += weight[0] * each * q[i];
            gq[i] += weight[0] * each;
        }
        r.parts[1] += share * prior(p, n, c, with.reverse, share * weight[1], gp);
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        double *gi = g + i * c, sum = 0, uncancelled = 0;
        for (int64_t j = 0; j < c; j++) sum += gi[j], uncancelled += fabs(gi[j]);
        for (int64_t j = 0; j < c; j++) {
            double p = exp(log_p[i * c + j]), most = with.alpha * (fabs(gi[j]) + p * uncancelled);
            gi[j] = with.alpha * (gi[j] - p * sum);
            for (int64_t k = 0; k < f; k++) {
                double weight = (double)w[k * c + j], value = (double)h[i * f + k];
                r.gradient[i * f + k] += gi[j] * weight, r.mass += pow(most * weight, 2);
                r.weights[k * c + j] += gi[j] * value, r.weights_mass += pow(most * value, 2);
            }
        }
    }
    r.mass = sqrt(r.mass), r.weights_mass = sqrt(r.weights_mass);
    free(log_p);
    free(g);
    return r;
}

/* The norm of the difference, in units of `mass`. */
static double off_by(const float *got, const double *expected, int64_t count, double mass) {
    double apart = 0;
    for (int64_t i = 0; i < count; i++) apart += pow((double)got[i] - expected[i], 2);
    return sqrt(apart) / mass;
}

typedef struct result {
    float parts[2], *gradient, *weights; /* weights: gradient of a learned dictionary, or NULL */
} result;

static const double part_weight[2] = {0.7, 1.3};

static result loss_and_gradient(bench *b, int64_t n, code_match with) {
    tape_reset(b->tape);
    parameters_clear_grad(b->parameters);
    tensor *h = leaf(b, 2 * n, b->dictionary.features, 3);
    tensor *parts = op_code_match(b->tape, h, &b->dictionary, with);
    float weight[2] = {(float)part_weight[0], (float)part_weight[1]};
    tape_backward(b->tape, op_sum(b->tape, op_mul(b->tape, parts, tape_matrix(b->tape, weight, 2, 1)), AXIS_ALL));
    check(b);
    result r = {.gradient = gradient_of(b, h)};
    tape_read(b->tape, parts, r.parts);
    if (b->dictionary.values->requires_grad) r.weights = gradient_of(b, b->dictionary.values);
    return r;
}

static void result_free(result *r) {
    free(r->gradient);
    free(r->weights);
}

/*
 * What single precision may do to the loss, relative: a logit is a sum of f products and is off by √f roundings of the
 * largest; its exponential is off by as much absolutely, which may be many times more; sums over c codes and n rows
 * add the root of their length. 4 standard deviations of that, at least 16 roundings for the functions in between.
 */
static double allowance(double largest_logit, int64_t f, int64_t c, int64_t n) {
    double roundings = largest_logit * sqrt((double)f) + sqrt((double)c) + sqrt((double)n) + 16;
    return 4 * (double)FLT_EPSILON / 2 * roundings;
}

static void compare_loss(dictionary_law law, int64_t n, int64_t f, int64_t c, code_match with) {
    bench b = bench_create(law, f, c, 0);
    float *w = matrix_of(&b), *h = normal(2 * n * f, 3);
    result got = loss_and_gradient(&b, n, with);
    reference expected = written_out(h, w, n, f, c, with, part_weight);
    double most = allowance(expected.scale, f, c, n);
    const char *name = dictionary_names[law];
    for (int i = 0; i < 2; i++) {
        double off = fabs((double)got.parts[i] - expected.parts[i]) / fmax(1, fabs(expected.parts[i]));
        ck_assert_msg(off < most, "%s, %lld codes, alpha %g: part %d is %g, written out %g", name, (long long)c,
                      with.alpha, i, (double)got.parts[i], expected.parts[i]);
    }
    double off = off_by(got.gradient, expected.gradient, 2 * n * f, expected.mass);
    ck_assert_msg(off < most, "%s, %lld codes, alpha %g: gradient off by %.2g, allowed %.2g", name, (long long)c,
                  with.alpha, off, most);
    if (got.weights) {
        off = off_by(got.weights, expected.weights, f * c, expected.weights_mass);
        ck_assert_msg(off < most, "%lld codes, alpha %g: the codes' gradient is off by %.2g, allowed %.2g",
                      (long long)c, with.alpha, off, most);
    }
    free(expected.gradient);
    free(expected.weights);
    free(w);
    free(h);
    result_free(&got);
    bench_destroy(&b);
}

/* α 0.05: all codes alike; 1: as at the temperature in use; 40: logits of hundreds, where probabilities underflow. */
START_TEST(test_streaming_loss_is_the_loss_written_out) {
    static const int64_t codes[] = {2, 37, 9001};
    static const double alphas[] = {0.05, 1, 40};
    bool reverse = _i & 1, symmetric = _i & 2;
    for (int law = 0; dictionary_names[law]; law++)
        for (int k = 0; k < 9; k++)
            compare_loss((dictionary_law)law, 9, 24, codes[k / 3],
                         (code_match){alphas[k % 3], reverse, symmetric, k % 2 ? 0 : 1 << 30});
}
END_TEST

static void assert_same_bits(const result *a, const result *b, int64_t count, const char *why) {
    ck_assert_msg(memcmp(a->parts, b->parts, sizeof a->parts) == 0, "%s", why);
    ck_assert_msg(memcmp(a->gradient, b->gradient, (size_t)count * sizeof(float)) == 0, "%s", why);
}

START_TEST(test_bits_do_not_depend_on_the_memory_for_logits) {
    enum { N = 150, F = 40, C = 10000 };
    bench b = bench_create((dictionary_law)_i, F, C, 0);
    result kept = loss_and_gradient(&b, N, (code_match){1, true, true, 1 << 30});
    result made = loss_and_gradient(&b, N, (code_match){1, true, true, 0});
    assert_same_bits(&kept, &made, 2 * N * F, dictionary_names[_i]);
    result_free(&kept);
    result_free(&made);
    bench_destroy(&b);
}
END_TEST

START_TEST(test_bits_of_sign_codes_do_not_depend_on_the_threads) {
    enum { N = 70, F = 40, C = 9000 };
    result r[2];
    for (int threads = 1; threads <= 2; threads++) {
        bench b = bench_create((dictionary_law)_i, F, C, threads);
        r[threads - 1] = loss_and_gradient(&b, N, (code_match){1, true, true, 1 << 30});
        bench_destroy(&b);
    }
    assert_same_bits(&r[0], &r[1], 2 * N * F, dictionary_names[_i]);
    result_free(&r[0]);
    result_free(&r[1]);
}
END_TEST

/* 2^20 codes of width 512 would be 2 GiB, and their logits for 8 rows 32 MiB. */
START_TEST(test_a_million_codes_need_no_matrix) {
    enum { N = 4, F = 512, C = 1 << 20 };
    bench b = bench_create(DICTIONARY_HADAMARD, F, C, 0);
    result r = loss_and_gradient(&b, N, (code_match){1.0 / F, true, true, 256 << 20});
    ck_assert_float_eq_tol(r.parts[0], logf(C), 0.01F); /* short rows: every code alike */
    ck_assert_float_eq_tol(r.parts[1], 0, 0.01F);
    backend_memory memory = b.backend->memory(b.backend);
    ck_assert_uint_lt(memory.bytes_peak, 32 << 20);
    result_free(&r);
    bench_destroy(&b);
}
END_TEST

START_TEST(test_op_on_codes_refuses_embeddings_of_another_width) {
    bench b = bench_create((dictionary_law)_i, 24, 50, 1);
    error err = {0};
    tensor *z = op_code_logits(b.tape, leaf(&b, 4, 23, 0), &b.dictionary, 1);
    ck_assert_ptr_null(z);
    bool ok = tape_check(b.tape, &err);
    ck_assert(!ok);
    ck_assert_ptr_nonnull(strstr(err.text, "the dictionary is for other embeddings"));
    bench_destroy(&b);
}
END_TEST

Suite *suite_codes(void) {
    Suite *s = suite_create("codes");
    TCase *t = tcase_create("codes");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_hadamard_codes_are_signs_and_orthogonal_inside_a_block);
    tcase_add_test(t, test_hadamard_codes_of_any_width_are_nearly_orthogonal_inside_a_block);
    tcase_add_test(t, test_orthogonal_codes_are_orthogonal_inside_a_block_with_elements_of_unit_variance);
    tcase_add_loop_test(t, test_rademacher_and_gaussian_codes_have_cosines_of_variance_one_over_f, 0, 2);
    tcase_add_loop_test(t, test_products_with_codes_are_products_with_their_matrix, 0, 5);
    tcase_add_test(t, test_first_codes_are_the_same_however_many_follow);
    tcase_add_loop_test(t, test_streaming_loss_is_the_loss_written_out, 0, 4);
    tcase_add_loop_test(t, test_bits_do_not_depend_on_the_memory_for_logits, 0, 5);
    tcase_add_loop_test(t, test_bits_of_sign_codes_do_not_depend_on_the_threads, 0, 2);
    tcase_add_test(t, test_a_million_codes_need_no_matrix);
    tcase_add_loop_test(t, test_op_on_codes_refuses_embeddings_of_another_width, 0, 5);
    suite_add_tcase(s, t);
    return s;
}
