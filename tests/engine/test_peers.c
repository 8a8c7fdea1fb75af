/* Gradients of several processes are added up in buckets, and only those asked for, while the backward pass runs. */
#include "engine/buckets.h"
#include "engine/ops.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = BUCKET_VALUES + 7, SMALL = 5, DIM = 600 };

static size_t longest, calls, looks;
static bool waited;
static uint64_t gathers_after; /* bit i: the op behind look i gathers something */
static size_t fails_at;        /* that look, counted from 1; 0: none */

/* As two processes with the same gradients would. */
static bool twice(peers *p, const float *mine, float *all, size_t count) {
    (void)p;
    for (size_t i = 0; i < count; i++) all[i] = 2 * mine[i];
    longest = count > longest ? count : longest;
    calls++;
    return true;
}

static bool look(peers *p, bool waits) {
    p->traffic.gathers += gathers_after >> looks++ & 1;
    waited = waits;
    return looks != fails_at;
}

static bool lost(peers *p, const float *mine, float *all, size_t count) {
    (void)p, (void)mine, (void)all, (void)count;
    return false;
}

typedef struct bench {
    backend *backend;
    parameters *all;
    tape *tape;
} bench;

static bench bench_open(void) {
    error err = {0};
    bench b = {.backend = backend_cpu(1, &err)};
    b.all = parameters_create(b.backend, 0, &err);
    b.tape = tape_create(b.backend, &err);
    ck_assert_msg(b.tape != NULL, "%s", err.text);
    longest = calls = looks = 0;
    waited = false, gathers_after = 0, fails_at = 0;
    return b;
}

static void bench_close(bench *b, peers *p) {
    tape_destroy(b->tape);
    parameters_destroy(b->all);
    b->backend->destroy(b->backend);
    free(p->mine);
    free(p->sums);
}

static tensor *add(parameters *all, const char *name, int64_t rows, int64_t cols) {
    error err = {0};
    tensor *x = parameters_add(all, name, ROLE_WEIGHT, 2, (int64_t[]){rows, cols}, INIT_UNIFORM, 0.1, &err);
    ck_assert_msg(x != NULL, "%s", err.text);
    return x;
}

/* A gradient from somewhere. */
static tensor *add_with_gradient(parameters *all, const char *name, int64_t count, bool ready) {
    tensor *x = add(all, name, 1, count);
    for (int64_t i = 0; i < count; i++) x->grad[i] = (real)(i % 1000 + 1);
    x->grad_ready = ready;
    return x;
}

START_TEST(test_gradients_are_summed_in_buckets_and_where_there_are_any) {
    error err = {0};
    bench b = bench_open();
    peers p = {.count = 2, .begin_sum = twice, .look = look};
    tensor *first = add_with_gradient(b.all, "backbone.a", SMALL, true);
    tensor *none = add_with_gradient(b.all, "backbone.b", SMALL, false);
    tensor *large = add_with_gradient(b.all, "backbone.c", LARGE, true);
    tensor *head = add_with_gradient(b.all, "head.a", SMALL, true);
    for (int round = 1; round <= 2; round++) { /* the second time in the room of the first */
        buckets sums;
        longest = calls = 0;
        ck_assert_msg(buckets_begin(&sums, &p, b.all, "backbone.", b.tape, &err), "%s", err.text);
        ck_assert_msg(buckets_finish(&sums, &err), "%s", err.text);
        ck_assert(sums.count == 2 && sums.queue[0] == first && sums.queue[1] == large);
        buckets_drop(&sums);
        ck_assert(waited);
        ck_assert_uint_eq(calls, 2);
        ck_assert_uint_eq(longest, BUCKET_VALUES);
        for (int64_t i = 0; i < LARGE; i++) ck_assert(large->grad[i] == (real)((i % 1000 + 1) * (1 << round)));
        for (int64_t i = 0; i < SMALL; i++) {
            ck_assert(first->grad[i] == (real)((i + 1) * (1 << round)));
            ck_assert(head->grad[i] == (real)(i + 1));
            ck_assert(none->grad[i] == (real)(i + 1));
        }
    }
    buckets sums;
    p.begin_sum = lost;
    ck_assert(buckets_begin(&sums, &p, b.all, "backbone.", b.tape, &err));
    ck_assert(!buckets_finish(&sums, &err));
    ck_assert_str_eq(err.text, "the gradients could not be summed over 2 processes");
    buckets_drop(&sums);
    bench_close(&b, &p);
}
END_TEST

typedef struct network {
    tensor *a, *w, *dead, *head;
} network;

static network network_add(parameters *all) {
    network n = {.a = add(all, "backbone.a", DIM, DIM), .w = add(all, "backbone.w", DIM, DIM)};
    n.dead = add(all, "backbone.dead", DIM, 1);
    n.head = add(all, "head.h", DIM, 1);
    add(all, "backbone.z", 1, SMALL);
    return n;
}

enum { OPS = 6 };

/* Σ ((((x·A)·W)·A)·H), so that A is met twice, near the pass' begin and at its end, and W between. The loss is not of
 * what an op makes of `dead`, and z is met by no op. */
static void run_back(bench *b, const network *n) {
    static float x[2 * DIM];
    parameters_clear_grad(b->all);
    for (int i = 0; i < 2 * DIM; i++) x[i] = (float)(i % 7) - 3;
    tape_reset(b->tape);
    tensor *const factors[] = {n->a, n->w, n->a};
    tensor *y = tape_matrix(b->tape, x, 2, DIM);
    for (int i = 0; i < 3; i++) y = op_matmul(b->tape, y, false, factors[i], false, 1);
    op_matmul(b->tape, y, false, n->dead, false, 1);
    tape_backward(b->tape, op_sum(b->tape, op_matmul(b->tape, y, false, n->head, false, 1), AXIS_ALL));
}

START_TEST(test_a_gradient_is_on_its_way_once_it_is_whole_while_the_pass_still_runs) {
    error err = {0};
    bench b = bench_open();
    peers p = {.count = 2, .begin_sum = twice, .look = look};
    const network n = network_add(b.all);
    tensor *a = n.a, *w = n.w;
    size_t bytes = DIM * DIM * sizeof(real);
    real *alone[] = {malloc(bytes), malloc(bytes)};
    run_back(&b, &n);
    memcpy(alone[0], a->grad, bytes);
    memcpy(alone[1], w->grad, bytes);
    buckets sums;
    ck_assert_msg(buckets_begin(&sums, &p, b.all, "backbone.", b.tape, &err), "%s", err.text);
    run_back(&b, &n);
    ck_assert(tape_check(b.tape, &err));
    ck_assert(sums.count == 2 && sums.queue[0] == w && sums.queue[1] == a); /* the one that is met again comes last */
    ck_assert_uint_eq(calls, 2);                                            /* of three: the last is not full */
    ck_assert_uint_eq(looks, OPS);
    ck_assert(!waited);
    ck_assert_msg(buckets_finish(&sums, &err), "%s", err.text);
    buckets_drop(&sums);
    ck_assert_uint_eq(calls, 3);
    ck_assert(waited);
    for (int64_t i = 0; i < DIM * DIM; i++) ck_assert(a->grad[i] == 2 * alone[0][i] && w->grad[i] == 2 * alone[1][i]);
    run_back(&b, &n); /* followed no more */
    ck_assert_uint_eq(looks, OPS + 1);
    free(alone[0]);
    free(alone[1]);
    bench_close(&b, &p);
}
END_TEST

/* A followed pass; what of it was on its way when it ended. */
static size_t begun_in_a_pass(bench *b, peers *p, const network *n, buckets *sums) {
    error err = {0};
    calls = looks = 0;
    ck_assert_msg(buckets_begin(sums, p, b->all, "backbone.", b->tape, &err), "%s", err.text);
    run_back(b, n);
    return calls;
}

START_TEST(test_in_a_pass_that_gathers_sums_begin_right_after_what_is_gathered) {
    static const struct {
        uint64_t gathers_after;
        size_t begun;
    } passes[] = {{1, 0}, {1 | 1 << (OPS - 2), 2}}; /* by the second op; also by the last one, when all is whole */
    bench b = bench_open();
    peers p = {.count = 2, .begin_sum = twice, .look = look};
    const network n = network_add(b.all);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        error err = {0};
        buckets sums;
        gathers_after = passes[i].gathers_after;
        ck_assert_uint_eq(begun_in_a_pass(&b, &p, &n, &sums), passes[i].begun);
        ck_assert_msg(buckets_finish(&sums, &err), "%s", err.text);
        ck_assert_uint_eq(calls, 3);
        buckets_drop(&sums);
    }
    bench_close(&b, &p);
}
END_TEST

START_TEST(test_others_that_were_lost_in_or_after_a_pass_are_told) {
    bench b = bench_open();
    peers p = {.count = 2, .begin_sum = twice, .look = look};
    const network n = network_add(b.all);
    for (size_t at = 1; at <= OPS + 1; at += OPS) {
        error err = {0};
        buckets sums;
        fails_at = at;
        begun_in_a_pass(&b, &p, &n, &sums);
        ck_assert(!buckets_finish(&sums, &err));
        ck_assert_str_eq(err.text, "the gradients could not be summed over 2 processes");
        buckets_drop(&sums);
    }
    bench_close(&b, &p);
}
END_TEST

Suite *suite_peers(void);
Suite *suite_peers(void) {
    Suite *suite = suite_create("peers");
    TCase *tests = tcase_create("peers");
    tcase_add_test(tests, test_gradients_are_summed_in_buckets_and_where_there_are_any);
    tcase_add_test(tests, test_a_gradient_is_on_its_way_once_it_is_whole_while_the_pass_still_runs);
    tcase_add_test(tests, test_in_a_pass_that_gathers_sums_begin_right_after_what_is_gathered);
    tcase_add_test(tests, test_others_that_were_lost_in_or_after_a_pass_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}
