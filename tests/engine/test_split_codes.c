/*
 * A dictionary whose codes are split over processes, which are threads here: everyone's share has the values that it
 * has in the whole, the loss and its gradient are those of the whole and the same bits for all, and what is sent and
 * kept is what engine/codes.h says.
 */
#include "engine/codes.h"
#include "engine/ops.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PEERS = 3, LAWS = 4 };

/* Processes that share memory ------------------------------------------------------------------------------------- */

typedef struct meeting {
    pthread_barrier_t all_here;
    const void *mine[MOST_PEERS];
} meeting;

static void meet(peers *p, const void *mine) {
    meeting *m = p->under_way;
    m->mine[p->rank] = mine;
    pthread_barrier_wait(&m->all_here);
}

static bool part(peers *p) {
    pthread_barrier_wait(&((meeting *)p->under_way)->all_here);
    return true;
}

static bool gather(peers *p, const void *mine, void *all, size_t bytes) {
    meet(p, mine);
    for (int r = 0; r < p->count; r++)
        memcpy((char *)all + (size_t)r * bytes, ((meeting *)p->under_way)->mine[r], bytes);
    p->traffic.gathered += bytes;
    return part(p);
}

static bool begin_sum(peers *p, const float *mine, float *all, size_t count) {
    meet(p, mine);
    memset(all, 0, count * sizeof *all);
    for (int r = 0; r < p->count; r++)
        for (size_t i = 0; i < count; i++) all[i] += ((const float *)((meeting *)p->under_way)->mine[r])[i];
    p->traffic.summed += count * sizeof *all;
    return part(p);
}

static bool look(peers *p, bool waits) { return p->count && waits; }

/* One of them ----------------------------------------------------------------------------------------------------- */

typedef struct task {
    dictionary_law law;
    int64_t n, f, c;
    code_match with;
} task;

typedef struct one {
    const task *task;
    peers peers; /* count 1: alone, with the whole */
    backend *backend;
    parameters *parameters;
    tape *tape;
    dictionary dictionary;
    error err;
    float parts[2], *gradient;
    uint64_t peak;
} one;

static bool one_open(one *o) {
    const task *t = o->task;
    o->backend = backend_cpu(1, &o->err);
    if (!o->backend) return false;
    o->backend->peers = o->peers.count > 1 ? &o->peers : NULL;
    o->parameters = parameters_create(o->backend, 7, &o->err);
    o->tape = tape_create(o->backend, &o->err);
    return o->parameters && o->tape &&
           dictionary_create(&o->dictionary, o->parameters, "codes", t->law, t->f, t->c, true, &o->err);
}

static void one_close(one *o) {
    tape_destroy(o->tape);
    parameters_destroy(o->parameters);
    o->backend->destroy(o->backend);
    free(o->gradient);
    o->gradient = NULL;
}

/* The loss of the same embeddings for all, and its gradient. */
static void *compute(void *argument) {
    one *o = argument;
    const task *t = o->task;
    int64_t count = 2 * t->n * t->f;
    float *values = malloc((size_t)count * sizeof *values), weights[] = {0.7F, 1.3F};
    rng r = rng_stream(5, RNG_TEST, 0, 3, 0);
    if (!one_open(o)) return NULL;
    for (int64_t i = 0; i < count; i++) values[i] = (float)rng_normal(&r);
    tensor *h = tape_matrix(o->tape, values, 2 * t->n, t->f);
    tape_require_grad(h);
    tensor *parts = op_code_match(o->tape, h, &o->dictionary, t->with);
    tensor *twice = op_add(o->tape, parts, op_code_match(o->tape, h, &o->dictionary, t->with)); /* adds to dH */
    tape_backward(o->tape, op_sum(o->tape, op_mul(o->tape, twice, tape_matrix(o->tape, weights, 2, 1)), AXIS_ALL));
    if (tape_check(o->tape, &o->err)) {
        o->gradient = values;
        tape_read_grad(o->tape, h, o->gradient);
        tape_read(o->tape, parts, o->parts);
        o->peak = o->backend->memory(o->backend).bytes_peak;
    }
    return NULL;
}

static void compute_alone(one *o, const task *t) {
    *o = (one){.task = t, .peers = {.count = 1}};
    compute(o);
    ck_assert_msg(o->gradient != NULL, "%s", o->err.text);
}

static void compute_together(one *all, int count, const task *t) {
    meeting m;
    pthread_t threads[MOST_PEERS];
    pthread_barrier_init(&m.all_here, NULL, (unsigned)count);
    for (int r = 0; r < count; r++) {
        all[r] = (one){
            .task = t,
            .peers = {
                .rank = r, .count = count, .under_way = &m, .gather = gather, .begin_sum = begin_sum, .look = look}};
        pthread_create(&threads[r], NULL, compute, &all[r]);
    }
    for (int r = 0; r < count; r++) pthread_join(threads[r], NULL);
    pthread_barrier_destroy(&m.all_here);
    for (int r = 0; r < count; r++) ck_assert_msg(all[r].gradient != NULL, "%s", all[r].err.text);
}

/* Shares ---------------------------------------------------------------------------------------------------------- */

static float *values_of(const one *o) {
    const tensor *values = o->dictionary.values;
    float *host = malloc((size_t)tensor_count(values) * sizeof *host);
    o->backend->read(o->backend, values, host);
    return host;
}

/* Rank 0, who measures, has the whole; Hadamard codes' diagonals everyone has. */
static void expect_columns(const one *share, const one *whole, int64_t first) {
    const dictionary *d = &share->dictionary;
    float *some = values_of(share), *all = values_of(whole);
    int64_t held = d->values->shape[1], cols = whole->dictionary.values->shape[1];
    bool has_all = share->peers.rank == 0 || d->kind == CODES_HADAMARD;
    ck_assert_int_eq(held, has_all ? cols : d->own);
    for (int64_t k = 0; k < d->values->shape[0]; k++)
        for (int64_t j = 0; j < held; j++) ck_assert(some[k * held + j] == all[k * cols + (has_all ? 0 : first) + j]);
    free(some);
    free(all);
}

START_TEST(test_shares_are_columns_of_the_whole_and_make_it_up) {
    enum { COUNT = 3 };
    const task t = {(dictionary_law)_i, 1, 24, 109, {.alpha = 1}};
    one whole = {.task = &t, .peers = {.count = 1}};
    ck_assert_msg(one_open(&whole), "%s", whole.err.text);
    ck_assert(!whole.dictionary.split && whole.dictionary.own == t.c);
    int64_t first = 0;
    for (int r = 0; r < COUNT; r++) {
        one share = {.task = &t, .peers = {.rank = r, .count = COUNT}};
        ck_assert_msg(one_open(&share), "%s", share.err.text);
        expect_columns(&share, &whole, first);
        if (t.law == DICTIONARY_HADAMARD) ck_assert_int_eq(share.dictionary.place, first);
        if (t.law != DICTIONARY_HADAMARD) ck_assert_int_le(labs(share.dictionary.own - t.c / COUNT), 1);
        first += share.dictionary.own;
        one_close(&share);
    }
    ck_assert_int_eq(first, t.c);
    one_close(&whole);
}
END_TEST

START_TEST(test_codes_that_do_not_go_round_and_learned_ones_are_refused) {
    static const struct {
        task task;
        const char *why;
    } cases[] = {
        {{DICTIONARY_RADEMACHER, 1, 24, 2, {.alpha = 1}},
         "2 codes, handed out 1 at a time, do not go round 3 processes"},
        {{DICTIONARY_HADAMARD, 1, 24, 64, {.alpha = 1}},
         "64 codes, handed out 32 at a time, do not go round 3 processes"},
        {{DICTIONARY_LEARNED, 1, 24, 64, {.alpha = 1}}, "a learned dictionary moves as a whole and cannot be split"}};
    one o = {.task = &cases[_i].task, .peers = {.rank = 1, .count = 3}};
    ck_assert(!one_open(&o));
    ck_assert_int_eq(o.err.code, ERROR_USAGE);
    ck_assert_msg(strncmp(o.err.text, cases[_i].why, strlen(cases[_i].why)) == 0, "%s", o.err.text);
    one_close(&o);
}
END_TEST

/* The loss -------------------------------------------------------------------------------------------------------- */

static void expect_the_whole(const one *share, const one *whole, const char *what) {
    int64_t count = 2 * whole->task->n * whole->task->f;
    double apart = 0, norm = 0;
    for (int i = 0; i < 2; i++)
        ck_assert_msg(fabsf(share->parts[i] - whole->parts[i]) <= 2e-6F * fmaxf(1, fabsf(whole->parts[i])),
                      "%s, rank %d: part %d is %.9g, of the whole %.9g", what, share->peers.rank, i,
                      (double)share->parts[i], (double)whole->parts[i]);
    for (int64_t i = 0; i < count; i++) {
        apart += pow((double)share->gradient[i] - (double)whole->gradient[i], 2);
        norm += pow((double)whole->gradient[i], 2);
    }
    ck_assert_msg(sqrt(apart) <= 1e-5 * sqrt(norm), "%s, rank %d: gradient of norm %g is off by %g", what,
                  share->peers.rank, sqrt(norm), sqrt(apart));
}

static void expect_same_bits(const one *a, const one *b) {
    size_t bytes = (size_t)(2 * a->task->n * a->task->f) * sizeof *a->gradient;
    ck_assert(memcmp(a->parts, b->parts, sizeof a->parts) == 0);
    ck_assert(memcmp(a->gradient, b->gradient, bytes) == 0);
}

/* A few codes, which are in one block, and many. */
START_TEST(test_loss_and_gradient_are_those_of_the_whole_and_the_same_bits_for_all) {
    static const int64_t codes[] = {109, 20001};
    for (int k = 0; k < 8; k++) {
        const task t = {(dictionary_law)_i, 9, 24, codes[k / 4], {0.4, k & 1, (k & 2) != 0, k & 1 ? 1 << 30 : 0}};
        one whole, all[MOST_PEERS], again[MOST_PEERS];
        int count = 2 + k % 2;
        compute_alone(&whole, &t);
        compute_together(all, count, &t);
        compute_together(again, count, &t);
        for (int r = 0; r < count; r++) {
            expect_the_whole(&all[r], &whole, dictionary_names[_i]);
            expect_same_bits(&all[r], &all[0]);
            expect_same_bits(&all[r], &again[r]);
            uint64_t rows = 2 * (uint64_t)t.n, f = (uint64_t)t.f;
            ck_assert_uint_eq(all[r].peers.traffic.gathered, 2 * (rows * 16 + rows * 16 + 32)); /* two ops */
            ck_assert_uint_eq(all[r].peers.traffic.summed, 2 * rows * f * 4);
        }
        for (int r = 0; r < count; r++) {
            one_close(&all[r]);
            one_close(&again[r]);
        }
        one_close(&whole);
    }
}
END_TEST

START_TEST(test_two_have_half_the_logits_each) {
    const task t = {DICTIONARY_RADEMACHER, 64, 32, 1 << 16, {0.4, true, true, 1 << 30}};
    one whole, all[2];
    compute_alone(&whole, &t);
    compute_together(all, 2, &t);
    for (int r = 0; r < 2; r++) ck_assert_double_lt((double)all[r].peak, 0.55 * (double)whole.peak);
    for (int r = 0; r < 2; r++) one_close(&all[r]);
    one_close(&whole);
}
END_TEST

Suite *suite_split_codes(void);
Suite *suite_split_codes(void) {
    Suite *s = suite_create("split_codes");
    TCase *t = tcase_create("split_codes");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, test_shares_are_columns_of_the_whole_and_make_it_up, 0, LAWS);
    tcase_add_loop_test(t, test_codes_that_do_not_go_round_and_learned_ones_are_refused, 0, 3);
    tcase_add_loop_test(t, test_loss_and_gradient_are_those_of_the_whole_and_the_same_bits_for_all, 0, LAWS);
    tcase_add_test(t, test_two_have_half_the_logits_each);
    suite_add_tcase(s, t);
    return s;
}
