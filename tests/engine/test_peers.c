/* Gradients of several processes are added up in blocks, and only those asked for. */
#include "engine/parameters.h"
#include "engine/peers.h"

#include <check.h>
#include <stdlib.h>

enum { LARGE = (1 << 20) + 7, SMALL = 5 };

static size_t longest, calls;

/* As two processes with the same gradients would. */
static bool twice(peers *p, float *x, size_t count) {
    (void)p;
    for (size_t i = 0; i < count; i++) x[i] *= 2;
    longest = count > longest ? count : longest;
    calls++;
    return true;
}

static bool lost(peers *p, float *x, size_t count) {
    (void)p, (void)x, (void)count;
    return false;
}

static tensor *add(parameters *all, const char *name, int64_t count, bool ready) {
    error err = {0};
    tensor *x = parameters_add(all, name, ROLE_WEIGHT, 2, (int64_t[]){1, count}, INIT_VALUE, 1, &err);
    ck_assert_msg(x != NULL, "%s", err.text);
    for (int64_t i = 0; i < count; i++) x->grad[i] = (real)(i % 1000 + 1);
    x->grad_ready = ready;
    return x;
}

START_TEST(test_gradients_are_summed_in_blocks_and_where_there_are_any) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *all = parameters_create(b, 0, &err);
    peers p = {.count = 2, .sum = twice};
    tensor *first = add(all, "backbone.a", SMALL, true), *none = add(all, "backbone.b", SMALL, false);
    tensor *large = add(all, "backbone.c", LARGE, true), *head = add(all, "head.a", SMALL, true);
    for (int round = 1; round <= 2; round++) { /* the second time in the room of the first */
        longest = calls = 0;
        ck_assert_msg(peers_sum_gradients(&p, all, "backbone.", &err), "%s", err.text);
        ck_assert_uint_eq(calls, 2);
        ck_assert_uint_eq(longest, 1 << 20);
        for (int64_t i = 0; i < LARGE; i++) ck_assert(large->grad[i] == (real)((i % 1000 + 1) * (1 << round)));
        for (int64_t i = 0; i < SMALL; i++) {
            ck_assert(first->grad[i] == (real)((i + 1) * (1 << round)));
            ck_assert(head->grad[i] == (real)(i + 1));
            ck_assert(none->grad[i] == (real)(i + 1));
        }
    }
    p.sum = lost;
    ck_assert(!peers_sum_gradients(&p, all, "backbone.", &err));
    ck_assert_str_eq(err.text, "the gradients could not be summed over 2 processes");
    free(p.sums);
    parameters_destroy(all);
    b->destroy(b);
}
END_TEST

Suite *suite_peers(void) {
    Suite *suite = suite_create("peers");
    TCase *tests = tcase_create("peers");
    tcase_add_test(tests, test_gradients_are_summed_in_blocks_and_where_there_are_any);
    suite_add_tcase(suite, tests);
    return suite;
}
