/*
 * Ops on tokens beyond what PyTorch's figures say: what attention keeps in memory, what some tokens' attention is
 * beside all tokens', and what is refused.
 */
#include "engine/tokens.h"
#include "engine/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tensor *random_matrix(tape *t, int64_t rows, int64_t cols) {
    float *values = malloc((size_t)(rows * cols) * sizeof *values);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int64_t i = 0; i < rows * cols; i++) values[i] = (float)rng_normal(&r);
    tensor *x = tape_matrix(t, values, rows, cols);
    tape_require_grad(x);
    free(values);
    return x;
}

/* Most bytes that forward and backward hold beyond input, output and their gradients. */
static double attention_memory(int64_t samples, int64_t tokens, int64_t heads) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    int64_t rows = samples * tokens, d = 64 * heads;
    tensor *loss = op_sum(t, op_attention(t, random_matrix(t, rows, 3 * d), tokens, heads, tokens), AXIS_ALL);
    tape_backward(t, loss);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    double peak = (double)b->memory(b).bytes_peak;
    tape_destroy(t);
    b->destroy(b);
    return peak - (double)(2 * rows * 4 * d) * sizeof(float);
}

START_TEST(test_attention_holds_a_tenth_of_one_matrix_of_probabilities) {
    double unfused = 4 * 3 * 1024.0 * 1024.0 * sizeof(float);
    double held = attention_memory(4, 1024, 3);
    ck_assert_msg(held < unfused / 10, "%.3g bytes beside %.3g", held, unfused);
}
END_TEST

START_TEST(test_attentions_memory_grows_with_the_tokens_and_not_their_square) {
    double half = attention_memory(1, 1024, 1), whole = attention_memory(1, 2048, 1);
    ck_assert_msg(whole < 2.1 * half, "%.3g bytes of 2048 tokens, %.3g of 1024", whole, half);
}
END_TEST

/* The first token's result of `samples` and the gradient of all that it was made of, by its attention alone or out of
   that of all tokens. */
static void first_token(backend *b, int64_t samples, int64_t tokens, int64_t heads, bool alone, float *out,
                        float *grad) {
    error err = {0};
    tape *t = tape_create(b, &err);
    const int64_t d = 16 * heads;
    tensor *x = random_matrix(t, samples * tokens, 3 * d), *weights = random_matrix(t, samples, d);
    tensor *y = op_attention(t, x, tokens, heads, alone ? 1 : tokens);
    if (!alone) y = op_pool_tokens(t, y, tokens, 0, 1);
    tape_read(t, y, out);
    tape_backward(t, op_sum(t, op_mul(t, y, weights), AXIS_ALL));
    tape_read_grad(t, x, grad);
    bool ok = tape_check(t, &err);
    ck_assert_msg(ok, "%s", err.text);
    tape_destroy(t);
}

START_TEST(test_the_first_tokens_attention_is_what_it_is_among_all) {
    enum { SAMPLES = 3, TOKENS = 300, HEADS = 2, OUT = SAMPLES * 16 * HEADS, GRAD = 3 * TOKENS * OUT };
    static float out[2][OUT], grad[2][GRAD];
    error err = {0};
    backend *b = backend_cpu(2, &err);
    for (int alone = 0; alone < 2; alone++) first_token(b, SAMPLES, TOKENS, HEADS, alone, out[alone], grad[alone]);
    double moved = 0;
    for (int i = 0; i < OUT; i++) ck_assert_float_eq_tol(out[0][i], out[1][i], 1e-5F);
    for (int i = 0; i < GRAD; i++) {
        ck_assert_float_eq_tol(grad[0][i], grad[1][i], 1e-5F);
        moved += fabs((double)grad[0][i]);
    }
    ck_assert_double_gt(moved, 1);
    b->destroy(b);
}
END_TEST

typedef tensor *(*wrong)(tape *t);

static tensor *odd_head(tape *t) { return op_attention(t, random_matrix(t, 8, 3 * 24), 4, 1, 4); }
static tensor *broken_sample(tape *t) { return op_attention(t, random_matrix(t, 9, 48), 4, 1, 4); }
static tensor *no_query(tape *t) { return op_attention(t, random_matrix(t, 8, 48), 4, 1, 0); }
static tensor *many_queries(tape *t) { return op_attention(t, random_matrix(t, 8, 48), 4, 1, 5); }
static tensor *split_patch(tape *t) {
    static const float pixels[2 * 6 * 6 * 3];
    tensor w = {.rank = 4, .shape = {8, 3, 4, 4}, .lasting = true, .data = (real *)pixels};
    return op_patch_embed(t, tape_images(t, pixels, 2, 6, 6, 3), &w, random_matrix(t, 1, 8));
}
static tensor *many_positions(tape *t) {
    return op_tokens(t, random_matrix(t, 8, 5), 2, NULL, NULL, random_matrix(t, 5, 5));
}
static tensor *late_token(tape *t) { return op_pool_tokens(t, random_matrix(t, 8, 5), 4, 2, 3); }
static tensor *foreign_token(tape *t) {
    static const float kept[] = {0, 4};
    return op_keep_tokens(t, random_matrix(t, 8, 5), tape_matrix(t, kept, 2, 1), 2);
}
static tensor *early_token(tape *t) {
    static const float kept[] = {0, -1};
    return op_keep_tokens(t, random_matrix(t, 8, 5), tape_matrix(t, kept, 2, 1), 2);
}
static tensor *uneven_tokens(tape *t) {
    static const float kept[] = {0, 1, 2};
    return op_keep_tokens(t, random_matrix(t, 8, 5), tape_matrix(t, kept, 3, 1), 2);
}

static const struct {
    wrong make;
    const char *says;
} wrongs[] = {
    {odd_head, "a head's width must be a multiple of 16"},
    {broken_sample, "needs a matrix of whole samples"},
    {no_query, "the queries must be some of a sample's tokens"},
    {many_queries, "the queries must be some of a sample's tokens"},
    {split_patch, "the patches do not divide the images"},
    {many_positions, "the positions are for another number of patches"},
    {late_token, "the tokens asked for do not exist"},
    {foreign_token, "a token to keep that its sample does not have"},
    {early_token, "a token to keep that its sample does not have"},
    {uneven_tokens, "keeps other numbers of samples' tokens"},
};
enum { WRONGS = sizeof wrongs / sizeof *wrongs };

START_TEST(test_shapes_that_do_not_fit_are_refused_with_the_place) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    tape *t = tape_create(b, &err);
    ck_assert_ptr_null(wrongs[_i].make(t));
    ck_assert(!tape_check(t, &err));
    ck_assert_msg(strstr(err.text, wrongs[_i].says) && strstr(err.text, "test_tokens.c:"), "%s", err.text);
    tape_destroy(t);
    b->destroy(b);
}
END_TEST

Suite *suite_tokens(void) {
    Suite *s = suite_create("tokens");
    TCase *t = tcase_create("ops");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_attention_holds_a_tenth_of_one_matrix_of_probabilities);
    tcase_add_test(t, test_attentions_memory_grows_with_the_tokens_and_not_their_square);
    tcase_add_test(t, test_the_first_tokens_attention_is_what_it_is_among_all);
    tcase_add_loop_test(t, test_shapes_that_do_not_fit_are_refused_with_the_place, 0, WRONGS);
    suite_add_tcase(s, t);
    return s;
}
