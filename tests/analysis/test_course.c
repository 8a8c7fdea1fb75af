/*
 * A run held against its own network: the rule on the ranks and uses of codes that experiments/small measured on 8,192
 * CIFAR-10 images (4 epochs, seed 0, 2,048 test images), and where it must not speak.
 */
#include "analysis/verdicts/collapse_history.h"

#include <check.h>
#include <math.h>
#include <string.h>

/* Effective rank and RankMe. */
typedef struct ranks {
    double effective, rankme;
} ranks;

static collapse_evidence evidence(ranks r) {
    return (collapse_evidence){.rows = 2048,
                               .distinct = 2048,
                               .independent = 2048,
                               .attainable = 512,
                               .variance_share = 0.5,
                               .effective_rank = r.effective,
                               .trimmed_effective_rank = r.effective,
                               .effective_rank_low = NAN,
                               .effective_rank_high = NAN,
                               .rankme = r.rankme};
}

static course_codes codes(double count, double perplexity) {
    double expected = fmin(count, 1300);
    return (course_codes){count,      2048,     2 * perplexity,     expected,           perplexity,
                          perplexity, expected, perplexity * 0.999, perplexity * 1.001, 0.5};
}

static course_point point(int64_t epoch, ranks embed, ranks backbone, course_codes use) {
    return (course_point){epoch, evidence(embed), evidence(backbone), use};
}

static const struct measured {
    const char *run;
    double linear; /* the untrained network's: 0.380 */
    ranks embed_then, embed, backbone;
    double codes, used_then, used; /* perplexity of the histogram; codes 0: none */
    verdict dimensional, cluster;
} runs[] = {
    {"FALCON", 0.417, {25.6, 8.44}, {11.3, 11.1}, {17.1, 13.9}, 2048, 1.7, 49, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"SimCLR", 0.402, {39.4, 12.3}, {13.8, 11.1}, {24.4, 19.3}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"Barlow Twins", 0.395, {58.6, 20.1}, {86.8, 73.3}, {21.7, 16.8}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"… lambda 0", 0.389, {58.6, 20.1}, {22.4, 18.7}, {17.8, 14.1}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"VICReg", 0.435, {58.6, 20.1}, {210, 186.8}, {33.7, 23.9}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"… nu 0", 0.413, {58.6, 20.1}, {53.2, 42.4}, {22.5, 16.3}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"SimSiam", 0.391, {43.3, 15.1}, {82.2, 82.2}, {23.8, 18.4}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"… no stop-gradient", 0.282, {43.3, 15.1}, {1.29, 1.29}, {5.7, 6.3}, 0, 0, 0, VERDICT_COLLAPSED, VERDICT_UNKNOWN},
    {"BYOL", 0.402, {24.1, 9.8}, {19.6, 16.5}, {26, 19}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"W-MSE", 0.434, {11.4, 5.3}, {21.4, 19.5}, {26.5, 20.1}, 0, 0, 0, VERDICT_HEALTHY, VERDICT_UNKNOWN},
    {"supervised", 0.490, {17.2, 7.67}, {26.8, 18.9}, {26.8, 18.9}, 10, 1.9, 8, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"Self-Classifier", 0.399, {40.7, 11.3}, {11.9, 9.3}, {23, 17.8}, 128, 2.6, 17, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"GEDI", 0.386, {42, 16}, {51.6, 43.2}, {14.1, 12.2}, 64, 2, 40, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"SwAV", 0.420, {36.9, 10.6}, {16.8, 9.87}, {22.3, 16.9}, 256, 2.2, 56, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"… no Sinkhorn", 0.355, {36.9, 10.6}, {66.6, 5.66}, {19.7, 16.6}, 256, 2.2, 1, VERDICT_HEALTHY, VERDICT_COLLAPSED},
    {"DINO", 0.390, {28.4, 8.34}, {25.4, 15.9}, {35.5, 23.5}, 512, 3, 8.4, VERDICT_HEALTHY, VERDICT_HEALTHY},
    {"… no centring", 0.393, {28.4, 8.34}, {36, 11.9}, {34, 22.7}, 512, 3, 1.1, VERDICT_HEALTHY, VERDICT_COLLAPSED},
    {"FALCON, beta 1000",
     0.282,
     {25.6, 8.44},
     {21.3, 9.83},
     {5.4, 5.9},
     2048,
     1.7,
     1.2,
     VERDICT_HEALTHY,
     VERDICT_COLLAPSED},
};
enum { RUNS = sizeof runs / sizeof *runs };

START_TEST(test_of_every_method_on_cifar_only_what_lost_its_directions_or_codes_collapsed) {
    for (size_t i = 0; i < RUNS; i++) {
        const struct measured *r = &runs[i];
        course_codes then = r->codes > 0 ? codes(r->codes, r->used_then) : (course_codes){0};
        course_codes now = r->codes > 0 ? codes(r->codes, r->used) : (course_codes){0};
        course_point untrained = point(0, r->embed_then, (ranks){17.23, 7.667}, then);
        course_point last = point(4, r->embed, r->backbone, now);
        course c = {&last, &untrained, &last};
        collapse_verdict v;
        course_dimensional(&c, &v);
        ck_assert_msg(v.verdict == r->dimensional, "%s: dimensional %s: %s", r->run, verdict_name(v.verdict),
                      v.sentence);
        course_cluster(&c, &v);
        ck_assert_msg(v.verdict == r->cluster, "%s: cluster %s: %s", r->run, verdict_name(v.verdict), v.sentence);
    }
}
END_TEST

static const course_codes none = {0};

START_TEST(test_without_step_0_nothing_is_said_and_why) {
    course_point now = point(4, (ranks){1.3, 1.3}, (ranks){5.7, 6.3}, codes(64, 1));
    course c = {.now = &now};
    collapse_verdict v;
    course_dimensional(&c, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(v.sentence, "an earlier version trained it"));
    course_cluster(&c, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
    course_representation(&c, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
}
END_TEST

START_TEST(test_an_untrained_network_is_no_verdict) {
    course_point now = point(0, (ranks){25.6, 8.4}, (ranks){17.2, 7.7}, codes(64, 1));
    course c = {.now = &now, .untrained = &now};
    collapse_verdict v;
    course_dimensional(&c, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
    ck_assert_str_eq(v.rule, "untrained");
    course_cluster(&c, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
}
END_TEST

/* The zoo's controls, whose loss takes directions from `embed` and not from the backbone, and one that needs few. */
START_TEST(test_embeddings_of_few_directions_over_a_backbone_of_many_are_warned_of) {
    course_point untrained = point(0, (ranks){36.6, 11}, (ranks){25.8, 9.1}, none);
    course_point zero_cl = point(2, (ranks){2.4, 2.6}, (ranks){32.2, 20.4}, none);
    course_point ten_classes = point(2, (ranks){7.3, 5.1}, (ranks){26.5, 18.8}, none);
    collapse_verdict v;
    course_dimensional(&(course){.now = &zero_cl, .untrained = &untrained}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_WARNING);
    ck_assert_str_eq(v.rule, "step_0_embed");
    ck_assert_double_eq_tol(v.statistic, 2.6 / 11, 1e-12);
    ck_assert_msg(strstr(v.sentence, "The embeddings have few directions, the backbone has its own") == v.sentence,
                  "%s", v.sentence);
    course_dimensional(&(course){.now = &ten_classes, .untrained = &untrained}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_HEALTHY);
    ck_assert_msg(strstr(v.sentence, "The backbone's directions are kept") == v.sentence, "%s", v.sentence);
}
END_TEST

/* Far above step 0 and yet most of it gone: only the best epoch tells. */
START_TEST(test_a_late_fall_is_told_by_the_best_epoch) {
    course_point untrained = point(0, (ranks){25, 8}, (ranks){17, 7.7}, none);
    course_point best = point(3, (ranks){210, 187}, (ranks){34, 24}, none);
    course_point fallen = point(9, (ranks){30, 25}, (ranks){12, 11}, none);
    course_point lower = point(9, (ranks){60, 55}, (ranks){20, 14}, none);
    course_point kept = point(9, (ranks){150, 140}, (ranks){30, 21}, none);
    collapse_verdict v;
    course_dimensional(&(course){&fallen, &untrained, &best}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_COLLAPSED);
    ck_assert_str_eq(v.against, "epoch 3");
    course_dimensional(&(course){&lower, &untrained, &best}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_WARNING);
    course_dimensional(&(course){&kept, &untrained, &best}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_HEALTHY);
    ck_assert_str_eq(v.against, "step 0");
}
END_TEST

START_TEST(test_few_images_withhold_what_they_cannot_show) {
    course_point untrained = point(0, (ranks){25, 8}, (ranks){17, 7.7}, none);
    course_point less = point(2, (ranks){20, 7.5}, (ranks){16, 14}, none);
    collapse_verdict v;
    untrained.embed.independent = less.embed.independent = 40;
    course_dimensional(&(course){&less, &untrained, &less}, &v);
    ck_assert_int_eq(v.verdict, VERDICT_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(v.sentence, "40 images are too few"));
}
END_TEST

START_TEST(test_an_interval_across_the_threshold_is_borderline) {
    course_point untrained = point(0, (ranks){40, 15}, (ranks){17, 7.7}, none);
    course_point now = point(2, (ranks){19.8, 7.0}, (ranks){5, 6}, none);
    collapse_verdict v;
    now.embed.effective_rank_low = 19.6, now.embed.effective_rank_high = 19.9;
    course_dimensional(&(course){&now, &untrained, &now}, &v);
    ck_assert(v.verdict == VERDICT_COLLAPSED && !v.borderline);
    now.embed.effective_rank_low = 18, now.embed.effective_rank_high = 22;
    course_dimensional(&(course){&now, &untrained, &now}, &v);
    ck_assert(v.verdict == VERDICT_COLLAPSED && v.borderline);
}
END_TEST

/* Two codes in even use are all that there is; an untrained network that happens to use many codes sets no bar. */
START_TEST(test_even_use_of_few_codes_is_no_collapse) {
    collapse_verdict v;
    for (int k = 0; k < 2; k++) {
        double count = k ? 128 : 2, then = k ? 100 : 1.98, now = k ? 90 : 2;
        course_point untrained = point(0, (ranks){25, 8}, (ranks){17, 7.7}, codes(count, then));
        course_point last = point(2, (ranks){30, 20}, (ranks){20, 14}, codes(count, now));
        course_cluster(&(course){&last, &untrained, &last}, &v);
        ck_assert_msg(v.verdict == VERDICT_HEALTHY, "%g codes: %s", count, v.sentence);
    }
}
END_TEST

START_TEST(test_what_is_kept_is_read_back) {
    course_point p = point(7, (ranks){11.3, 11.1}, (ranks){17.1, 13.9}, codes(2048, 49)), q;
    json_t *json = course_point_to_json(&p);
    ck_assert(course_point_from_json(json, 7, &q));
    ck_assert(q.epoch == 7 && q.embed.rankme == p.embed.rankme && q.backbone.effective_rank == 17.1);
    ck_assert(q.codes.hard_perplexity == 49 && q.codes.codes == 2048 && isnan(q.embed.effective_rank_low));
    json_decref(json);
    ck_assert(!course_point_from_json(NULL, 0, &q));
}
END_TEST

Suite *suite_course(void) {
    Suite *s = suite_create("course");
    TCase *t = tcase_create("course");
    tcase_add_test(t, test_of_every_method_on_cifar_only_what_lost_its_directions_or_codes_collapsed);
    tcase_add_test(t, test_without_step_0_nothing_is_said_and_why);
    tcase_add_test(t, test_an_untrained_network_is_no_verdict);
    tcase_add_test(t, test_a_late_fall_is_told_by_the_best_epoch);
    tcase_add_test(t, test_embeddings_of_few_directions_over_a_backbone_of_many_are_warned_of);
    tcase_add_test(t, test_few_images_withhold_what_they_cannot_show);
    tcase_add_test(t, test_an_interval_across_the_threshold_is_borderline);
    tcase_add_test(t, test_even_use_of_few_codes_is_no_collapse);
    tcase_add_test(t, test_what_is_kept_is_read_back);
    suite_add_tcase(s, t);
    return s;
}
