/*
 * Main effects of swept keys and what is advised from them, on synthetic sweeps whose truth is known.
 */
#include "analysis/report/study/advice.h"
#include "analysis/report/study/cost.h"
#include "analysis/report/study/effects_words.h"
#include "analysis/report/study/twins.h"
#include "analysis/statistics.h"
#include "engine/rng.h"
#include "tests/scratch.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64], sweep[96];
static int runs;
static study s;
static effects e;
static advice next;

static void setup(void) {
    scratch_folder(root);
    snprintf(sweep, sizeof sweep, "%s/toy", root);
    ck_assert_int_eq(mkdir(sweep, 0777), 0);
    runs = 0;
}

static void teardown(void) {
    advice_free(&next);
    effects_free(&e);
    study_free(&s);
    scratch_remove(root);
}

/* A run with these swept values (taken over), a seed and a linear accuracy; NaN makes it a failed one. */
static void save_in(const char *block, json_t *swept, int seed, double linear, const char *cluster) {
    char folder[128], path[160];
    snprintf(folder, sizeof folder, "%s/toy_%03d", sweep, runs++);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    json_object_set_new(swept, "train.seed", json_integer(seed));
    json_t *final = isfinite(linear) ? json_pack("{s:f}", "linear", linear) : json_object();
    json_t *run = json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:{s:f}}", "name", "toy", "method", "falcon", "status",
                            isfinite(linear) ? "finished" : "failed", "reason", "no luck", "swept", swept, "spec",
                            swept, "final", final, "seconds", "train", 10.0 + runs);
    if (block) json_object_set_new(run, "block", json_string(block));
    snprintf(path, sizeof path, "%s/run.json", folder);
    ck_assert_int_eq(json_dump_file(run, path, 0), 0);
    json_decref(run);
    json_t *diagnosis = json_pack("{s:{s:{s:s}}}", "verdicts", "cluster", "verdict", cluster);
    snprintf(path, sizeof path, "%s/diagnosis.json", folder);
    ck_assert_int_eq(json_dump_file(diagnosis, path, 0), 0);
    json_decref(diagnosis);
}

static void save(json_t *swept, int seed, double linear, const char *cluster) {
    save_in(NULL, swept, seed, linear, cluster);
}

static void save_codes(int codes, double beta, int seed, double linear) {
    save(json_pack("{s:i, s:f}", "method.codes", codes, "method.beta", beta), seed, linear, "healthy");
}

static void read_blocks(size_t blocks) {
    error err = {0};
    ck_assert_msg(study_read(&s, sweep, &err) && effects_read(&e, &s, &err) && advice_give(&next, &s, &e, &err), "%s",
                  err.text);
    ck_assert_uint_eq(e.count, blocks);
}

static const block_effects *read_all(void) {
    read_blocks(1);
    return &e.blocks[0];
}

static const effect *effect_of(const char *key) {
    const factors *f = &e.blocks[0].factors;
    for (size_t k = 0; k < f->factor_count; k++)
        if (strcmp(f->items[k].key, key) == 0) return effects_at(&e.blocks[0], 0, k);
    ck_abort_msg("no effect of %s", key);
}

static void sentence_says(const char *key, const char *words) {
    const factors *f = &e.blocks[0].factors;
    for (size_t k = 0; k < f->factor_count; k++) {
        if (strcmp(f->items[k].key, key) != 0) continue;
        struct words did = {""};
        effects_say(&did, &e.blocks[0], k);
        ck_assert_msg(strstr(did.text, words) != NULL, "nowhere in: %s", did.text);
        return;
    }
    ck_abort_msg("no %s", key);
}

static const advice_item *advised(const char *words) {
    for (size_t i = 0; i < next.count; i++)
        if (strstr(next.items[i].text, words)) return &next.items[i];
    ck_abort_msg("not advised: %s", words);
}

/* 4 → 16 → 64 codes: +0.1 each; beta nothing; seeds differ by 0.05, which no difference should feel. */
static double truth(int step, int seed, double noise) { return 0.4 + 0.1 * step + 0.05 * seed + noise; }

START_TEST(test_an_effect_is_a_difference_within_seeds) {
    static const double noise[3][3] = {{0.001, -0.002, 0.001}, {0, 0.001, -0.001}, {-0.001, 0.001, 0}};
    for (int step = 0; step < 3; step++)
        for (int seed = 0; seed < 3; seed++)
            for (int beta = 0; beta < 2; beta++)
                save_codes(4 << 2 * step, beta + 0.5, seed, truth(step, seed, noise[step][seed]));
    const block_effects *b = read_all();
    ck_assert_uint_eq(b->factors.settings, 6);
    ck_assert_uint_eq(b->factors.seeds, 3);
    const effect *codes = effect_of("method.codes"), *beta = effect_of("method.beta");
    ck_assert_int_eq(codes->units, EFFECT_SEEDS);
    ck_assert_uint_eq(codes->unit_count, 3);
    ck_assert_double_eq_tol(codes->levels[2].difference, 0.2, 1e-12);
    ck_assert_double_eq_tol(codes->error, (6e-6 + 2e-6 + 2e-6) / 4, 1e-15); /* rows and columns of the noise sum to 0 */
    ck_assert_double_eq_tol(codes->levels[2].half_width,
                            statistics_student_quantile(0.05, 4) * sqrt(2 * codes->error / 3), 1e-12);
    ck_assert(isnan(codes->levels[0].half_width));
    ck_assert(effect_matters(codes));
    ck_assert(!effect_matters(beta) && beta->p_holm == 1);
    sentence_says("method.codes",
                  "matters for linear accuracy (p < 0.001 after Holm's correction for 2 tests): its mean "
                  "is highest at 64 (0.650) and lowest at 4 (0.450)");
    sentence_says("method.beta", "is not shown to matter for linear accuracy");
    const advice_item *edge = advised("method.codes is best at the upper end of what was tried, 64");
    ck_assert_msg(strstr(edge->text, "Extend it: 256, 1024.") != NULL, "%s", edge->text);
    ck_assert_ptr_nonnull(
        strstr(edge->command, "--set 'sweep.method.codes=[256, 1024]' --set 'sweep.train.seed=[0, 1, 2]'"));
}
END_TEST

START_TEST(test_a_grid_with_holes_is_compared_where_it_is_whole) {
    for (int step = 0; step < 3; step++)
        for (int seed = 0; seed < 3; seed++)
            for (int beta = 0; beta < 2; beta++) {
                bool hole = step == 2 && seed == 1 && beta == 1; /* whose luck would show in the others' mean */
                save_codes(4 << 2 * step, beta + 0.5, seed, hole ? (double)NAN : truth(step, seed, 0.001 * beta));
            }
    read_all();
    const effect *codes = effect_of("method.codes");
    ck_assert_double_eq_tol(codes->levels[1].difference, 0.1, 1e-12);
    ck_assert_double_eq_tol(codes->levels[2].difference, 0.2, 1e-12);
    ck_assert_uint_eq(codes->runs_there, 17);
    ck_assert_uint_eq(codes->runs, 15);
    sentence_says("method.codes", "15 of 17 runs take part");
    const advice_item *failed = advised("failed: no luck. This tries it again.");
    char command[200];
    snprintf(command, sizeof command, "mews train %s/toy_015/spec.yaml --out %s", sweep, root);
    ck_assert_str_eq(failed->command, command);
}
END_TEST

START_TEST(test_one_run_each_has_no_interval) {
    for (int step = 0; step < 2; step++)
        for (int beta = 0; beta < 2; beta++) save_codes(4 << step, beta + 0.5, 0, truth(step, 0, 0.01 * beta));
    read_all();
    const effect *codes = effect_of("method.codes");
    ck_assert_int_eq(codes->units, EFFECT_NO_UNITS);
    ck_assert_double_eq_tol(codes->levels[1].difference, 0.1, 1e-12);
    ck_assert(isnan(codes->levels[1].half_width) && isnan(codes->p) && !effect_matters(codes));
    sentence_says("method.codes", "has one run for each value and setting, so there is no interval");
    const advice_item *seeds = advised("One seed a setting: the order of beta = 1.5, method.codes = 8");
    ck_assert_ptr_nonnull(strstr(seeds->command, "--set 'sweep.train.seed=[1, 2]'"));
}
END_TEST

START_TEST(test_one_seed_over_several_settings_has_an_interval_over_those) {
    for (int step = 0; step < 2; step++)
        for (int beta = 0; beta < 4; beta++)
            save_codes(4 << step, beta + 0.5, 0, truth(step, 0, 0.01 * beta + (step ? 0.001 * (beta % 2) : 0)));
    read_all();
    const effect *codes = effect_of("method.codes");
    ck_assert_int_eq(codes->units, EFFECT_SETTINGS);
    ck_assert_uint_eq(codes->unit_count, 4);
    /* differences 0.100 0.101 0.100 0.101: sd 0.000577 */
    ck_assert_double_eq_tol(codes->levels[1].half_width, statistics_student_quantile(0.05, 3) * 0.001 / sqrt(3) / 2,
                            1e-9);
    sentence_says("method.codes", "over 4 settings of the other keys with one seed each");
}
END_TEST

START_TEST(test_a_random_search_is_judged_by_ranges_and_keys_that_move_together_are_one) {
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 60; i++) {
        double lr = pow(10, -4 + 2 * rng_uniform(&r)), beta = rng_uniform(&r);
        double linear = 0.5 + 0.1 * log10(lr) + 0.01 * rng_normal(&r);
        save(json_pack("{s:f, s:f, s:f}", "optimizer.lr", lr, "method.beta", beta, "optimizer.weight_decay", lr / 10),
             0, linear, "healthy");
    }
    const block_effects *b = read_all();
    ck_assert(b->block->scattered);
    ck_assert_uint_eq(b->block->count, 1);
    ck_assert_uint_eq(b->factors.factor_count, 2);
    const effect *lr = effect_of("optimizer.lr"), *beta = effect_of("method.beta");
    ck_assert_str_eq(lr->factor->with, "optimizer.weight_decay");
    ck_assert(lr->factor->ranges && lr->count == 4);
    ck_assert_int_eq(lr->units, EFFECT_RUNS);
    ck_assert(effect_matters(lr) && !effect_matters(beta));
    ck_assert_double_eq_tol(lr->levels[3].difference, 0.15, 0.03);
    for (size_t l = 0; l < 4; l++) ck_assert_double_eq_tol(lr->levels[l].n, 15, 1);
    for (size_t i = 1; i < 60; i++) /* the best setting first */
        ck_assert(study_measure(&b->block->series[0].points[i], "linear").mean <=
                  study_measure(&b->block->series[0].points[i - 1], "linear").mean);
}
END_TEST

START_TEST(test_methods_are_compared_as_values_of_a_key) {
    static const char *const names[] = {"swav", "falcon"};
    for (int m = 0; m < 2; m++)
        for (int seed = 0; seed < 3; seed++)
            save(json_pack("{s:s}", "method.name", names[m]), seed, 0.4 + 0.1 * m + 0.001 * m * seed, "healthy");
    const block_effects *b = read_all();
    ck_assert_str_eq(b->block->axis_name, "method");
    const effect *method = effect_of("method.name");
    ck_assert_str_eq(method->factor->name, "method");
    ck_assert_double_eq_tol(method->levels[1].difference, 0.101, 1e-12);
    sentence_says("method.name", "its mean is highest at falcon (0.501) and lowest at swav (0.400)");
}
END_TEST

START_TEST(test_two_seeds_are_too_few_for_a_test) {
    for (int step = 0; step < 3; step++)
        for (int seed = 0; seed < 2; seed++)
            save_codes(4 << 2 * step, 1, seed, truth(step, seed, 0.001 * (step == seed)));
    read_all();
    const effect *codes = effect_of("method.codes");
    ck_assert(isnan(codes->p) && !effect_matters(codes) && codes->levels[1].half_width > 0);
    sentence_says("method.codes",
                  "has 2 seeds, too few for a test (from 3 on there is one): its mean is highest at 64");
    advised("2 seeds a setting: the order of 64 codes");
}
END_TEST

START_TEST(test_every_key_and_figure_counts_in_holms_correction) {
    static const double noise[3] = {0.03, -0.01, -0.02};
    for (int step = 0; step < 2; step++)
        for (int seed = 0; seed < 3; seed++) {
            save_codes(4 << step, 1, seed, truth(step, seed, step * noise[seed]));
            char path[200];
            snprintf(path, sizeof path, "%s/toy_%03d/run.json", sweep, runs - 1);
            json_t *run = json_load_file(path, 0, NULL), *final = json_object_get(run, "final");
            json_object_set_new(final, "knn", json_real(0.4 + (step ? noise[2 - seed] : 0)));
            ck_assert_int_eq(json_dump_file(run, path, 0), 0);
            json_decref(run);
        }
    const block_effects *b = read_all();
    ck_assert_uint_eq(b->tests, 2);
    const effect *linear = effect_of("method.codes");
    ck_assert(linear->p < 0.05 && linear->p_holm == 2 * linear->p);
}
END_TEST

START_TEST(test_settings_within_chance_ask_for_seeds) {
    static const double noise[2][3] = {{0.02, -0.01, 0}, {-0.01, 0.01, 0.02}};
    for (int step = 0; step < 2; step++)
        for (int seed = 0; seed < 3; seed++) save_codes(4 << step, 1, seed, 0.5 + 0.01 * step + noise[step][seed]);
    read_all();
    const advice_item *more = advised("cannot be told from 1 other, first of all 4 codes");
    ck_assert_msg(strstr(more->text, "With 3 seeds") && strstr(more->text, "seeds"), "%s", more->text);
}
END_TEST

START_TEST(test_a_collapsed_setting_is_shown_its_nearest_healthy_one) {
    for (int step = 0; step < 3; step++)
        for (int beta = 0; beta < 2; beta++)
            save(json_pack("{s:i, s:f}", "method.codes", 4 << step, "method.beta", beta + 0.5), 0, 0.5,
                 step == 0 ? "collapsed" : "healthy");
    read_all();
    const advice_item *away = advised("2 of 6 settings collapsed");
    ck_assert_msg(strstr(away->text, "for 4 codes, method.beta = 0.5 it has method.codes = 8;") != NULL, "%s",
                  away->text);
}
END_TEST

/* RankMe of settings by codes, beta and method, of embeddings of so many columns. */
static void save_rank_of(const char *method, int codes, double beta, double rank, double columns) {
    char path[200];
    save(json_pack("{s:i, s:f, s:s}", "method.codes", codes, "method.beta", beta, "method.name", method), 0, 0.5,
         "healthy");
    snprintf(path, sizeof path, "%s/toy_%03d/run.json", sweep, runs - 1);
    json_t *run = json_load_file(path, 0, NULL);
    json_object_set_new(json_object_get(run, "final"), "rankme", json_real(rank));
    json_object_set_new(json_object_get(run, "final"), "rankme_share", json_real(rank / columns));
    json_object_set_new(run, "method", json_string(method));
    json_object_set_new(run, "block", json_string("all"));
    json_object_set_new(run, "spec",
                        json_pack("{s:i, s:f, s:i}", "method.codes", codes, "method.beta", beta, "train.seed", 0));
    ck_assert_int_eq(json_dump_file(run, path, 0), 0);
    json_decref(run);
}

static void save_rank(const char *method, int codes, double beta, double rank) {
    save_rank_of(method, codes, beta, rank, 512);
}

START_TEST(test_of_many_blocks_it_is_said_once_that_they_have_one_seed_and_each_is_named) {
    for (int block = 0; block < 5; block++)
        for (int step = 0; step < 2; step++) {
            char name[16];
            snprintf(name, sizeof name, "at-%d", block);
            save_in(name, json_pack("{s:i}", "method.codes", 4 << step), 0, 0.4 + 0.1 * step,
                    block == 3 && !step ? "collapsed" : "healthy");
        }
    read_blocks(5);
    ck_assert_uint_eq(next.count, 2);
    advised("One seed a setting in 5 blocks: every order of settings was seen once.");
    advised("at-3: 1 of 2 settings collapsed in some mode.");
}
END_TEST

START_TEST(test_a_rank_is_lower_than_its_twins_within_one_method_only) {
    char text[300];
    save_rank("falcon", 16, 1, 10);
    save_rank("falcon", 64, 1, 40);
    save_rank("falcon", 64, 2, 90); /* two keys away from the first */
    save_rank("swav", 16, 1, 500);
    save_rank_of("falcon", 64, 3, 600, 1024); /* embeddings that could have more directions are nobody's twin */
    read_all();
    for (size_t k = 0; k < e.blocks[0].block->count; k++)
        for (size_t i = 0; i < e.blocks[0].block->series[k].count; i++) {
            const study_point *p = &e.blocks[0].block->series[k].points[i];
            twin t = twin_of(&s, p);
            twin_text(&t, text, sizeof text);
            if (t.rank == 10)
                ck_assert_str_eq(text, "0.25 of its twin's RankMe (10.0 of 40.0 with method.codes = 64)");
            else if (t.rank == 40)
                ck_assert_str_eq(text, "0.44 of its twin's RankMe (40.0 of 90.0 with method.beta = 2)");
            else
                ck_assert_str_eq(text, "");
        }
}
END_TEST

START_TEST(test_the_front_holds_what_nothing_beats_in_both) {
    static const double linear[5] = {0.3, 0.5, 0.4, 0.5, 0.6}; /* each run is slower than the one before */
    error err = {0};
    cost c;
    for (int step = 0; step < 5; step++) save_codes(4 << step, 1, 0, linear[step]);
    read_all();
    ck_assert(cost_read(&c, &s, &err));
    ck_assert_uint_eq(c.count, 5);
    static const bool front[5] = {true, true, false, false, true};
    for (size_t i = 0; i < 5; i++) ck_assert(c.points[i].front == front[i]);
    cost_free(&c);
}
END_TEST

Suite *suite_effects(void) {
    Suite *suite = suite_create("effects");
    TCase *tests = tcase_create("effects");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_an_effect_is_a_difference_within_seeds);
    tcase_add_test(tests, test_a_grid_with_holes_is_compared_where_it_is_whole);
    tcase_add_test(tests, test_one_run_each_has_no_interval);
    tcase_add_test(tests, test_one_seed_over_several_settings_has_an_interval_over_those);
    tcase_add_test(tests, test_a_random_search_is_judged_by_ranges_and_keys_that_move_together_are_one);
    tcase_add_test(tests, test_methods_are_compared_as_values_of_a_key);
    tcase_add_test(tests, test_two_seeds_are_too_few_for_a_test);
    tcase_add_test(tests, test_every_key_and_figure_counts_in_holms_correction);
    tcase_add_test(tests, test_settings_within_chance_ask_for_seeds);
    tcase_add_test(tests, test_a_collapsed_setting_is_shown_its_nearest_healthy_one);
    tcase_add_test(tests, test_of_many_blocks_it_is_said_once_that_they_have_one_seed_and_each_is_named);
    tcase_add_test(tests, test_a_rank_is_lower_than_its_twins_within_one_method_only);
    tcase_add_test(tests, test_the_front_holds_what_nothing_beats_in_both);
    suite_add_tcase(suite, tests);
    return suite;
}
