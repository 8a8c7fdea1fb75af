#include "analysis/verdicts/course.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * Measured on experiments/small (8,192 CIFAR-10 images, 4 epochs, seed 0, 2,048 test images; the table stands in
 * experiments/README.md). The untrained network's linear probe reaches 0.380; the one run that fell below it by
 * dimension, SimSiam without stop-gradient (0.282), keeps 0.09 of `embed`'s rank and 0.82 of the backbone's; all
 * others, those without Barlow Twins' or VICReg's decorrelation among them, keep 0.6 and more of the first and at
 * least 1.8 times the second, but for those whose codes collapsed.
 */
static const double EMBED_KEPT = 0.5, BACKBONE_KEPT = 1;
/*
 * The same run trained by later code (linear probe 0.311) has 45 of 2,048 images far out of the others, which lie about
 * one point; without them both ranks are above the untrained network's. With them, 0.15 of `embed`'s is left and 1.2
 * times the backbone's. No other run has less than 0.6 of the first.
 */
static const double WHOLE_EMBED_KEPT = 0.2, WHOLE_BACKBONE_KEPT = 1.5;
/* A warning begins half as far again from there. */
static const double NEAR = 1.5;
/*
 * Of the embeddings alone, whose backbone gained: the zoo's controls of FroSSL, Zero-CL and VISReg, which lose their
 * decorrelation, keep 0.19 to 0.37 and have a lower kNN accuracy than their twins. Of 150 other runs none keeps less
 * than 0.46 (Self-Classifier with ten classes, whose embeddings need no more than nine directions).
 */
static const double EMBED_FEW = 0.4;
/* Of the best epoch: late falls, which step 0 cannot show, since a trained network lies far above it. */
static const double FALLEN_EMBED = 0.25, FALLEN_BACKBONE = 0.5;
/*
 * Codes in even use (perplexity of the histogram), same runs and the zoo's: those whose codes collapsed (FALCON with
 * beta 1,000, SwAV without Sinkhorn, DINO without centring) have 0.3 to 0.7 of the untrained network's, all others 1.8
 * to 30 times.
 */
static const double CODES_GAINED = 1, CODES_NEAR = 1.5;
/* Nearly all rows on one code, whatever the untrained network did; and where a tenth of the codes is in even use, the
 * untrained network's use is no measure: it may spread over few codes by chance. */
static const double ONE_CODE = 1.5, CODES_SHARE = 0.1;
/*
 * Variance over mean squared norm, same runs and the zoo's: 1.2 times the untrained network's and more in all but
 * these: 0.04 for SimSiam without stop-gradient on drawings, 0.07 to 0.2 for SwAV without Sinkhorn and FALCON with beta
 * 1,000.
 */
static const double VARIANCE_KEPT = 0.1, VARIANCE_NEAR = 0.5;
/* An effective rank asks for twice as many rows; a histogram for ten. */
static const double ROWS_PER_RANK = 2, ROWS_LEAST = 10;

static const char not_known[] = "Nothing is known of this network before it trained, so there is nothing to hold it "
                                "against: an earlier version trained it, which did not look. `mews eval` looks now.";

__attribute__((format(printf, 2, 3))) static void say(collapse_verdict *v, const char *format, ...) {
    size_t used = strlen(v->sentence);
    va_list args;
    va_start(args, format);
    vsnprintf(v->sentence + used, sizeof v->sentence - used, format, args);
    va_end(args);
}

static collapse_verdict start(const char *statistic, double warning, double collapsed) {
    collapse_verdict v = {.statistic_name = statistic, .statistic = NAN, .expected = NAN, .low = NAN, .high = NAN};
    v.threshold_warning = warning, v.threshold_collapsed = collapsed, v.onset = -1, v.rule = "no_reference";
    return v;
}

static void judge(collapse_verdict *v, const char *rule) {
    v->rule = rule;
    v->verdict = isnan(v->statistic)                      ? VERDICT_UNKNOWN
                 : v->statistic <= v->threshold_collapsed ? VERDICT_COLLAPSED
                 : v->statistic < v->threshold_warning    ? VERDICT_WARNING
                                                          : VERDICT_HEALTHY;
    double threshold = v->verdict == VERDICT_COLLAPSED ? v->threshold_collapsed : v->threshold_warning;
    v->borderline = v->low <= threshold && v->high > threshold;
}

/* ---- dimensional ------------------------------------------------------------------------------------------------ */

static double ratio(double now, double then) { return then > 0 ? now / then : NAN; }

/* The larger of what is kept of the effective rank and of RankMe. */
static double kept(const collapse_evidence *now, const collapse_evidence *then) {
    return fmax(ratio(now->trimmed_effective_rank, then->trimmed_effective_rank), ratio(now->rankme, then->rankme));
}

/* Half the interval's width over the value: 0 where there is none. */
static double margin(const collapse_evidence *e) {
    double half = (e->effective_rank_high - e->effective_rank_low) / 2;
    return isfinite(half) && e->trimmed_effective_rank > 0 ? half / e->trimmed_effective_rank : 0;
}

static void give_interval(const course *c, collapse_verdict *v) {
    double half = margin(&c->now->embed) * v->statistic;
    if (half > 0) v->low = fmax(v->statistic - half, 0), v->high = v->statistic + half;
}

/* "Directions are lost: `embed` has 0.09 times the untrained network's rank, the backbone 0.82 times." and the ranks.
 */
static void say_ranks(collapse_verdict *v, const char *head, const course *c, const course_point *then,
                      const char *name) {
    const collapse_evidence *e = &c->now->embed, *b = &c->now->backbone;
    say(v, "%s: `embed` has %.2g times %s's rank, the backbone %.2g times. ", head, kept(e, &then->embed), name,
        kept(b, &then->backbone));
    say(v, "`embed`: effective rank %.1f of %.0f attainable, was %.1f; RankMe %.1f, was %.1f. ",
        e->trimmed_effective_rank, e->attainable, then->embed.trimmed_effective_rank, e->rankme, then->embed.rankme);
    say(v, "Backbone: %.1f, was %.1f; RankMe %.1f, was %.1f.", b->trimmed_effective_rank,
        then->backbone.trimmed_effective_rank, b->rankme, then->backbone.rankme);
}

/* Of all images, where some that lie far out were left out of the ranks: what they hide is said. */
static bool judge_whole(const course *c, collapse_verdict *v) {
    const collapse_evidence *e = &c->now->embed, *b = &c->now->backbone;
    const collapse_evidence *was = &c->untrained->embed, *below = &c->untrained->backbone;
    double embed =
        fmax(ratio(e->whole_effective_rank, was->whole_effective_rank), ratio(e->whole_rankme, was->whole_rankme));
    double backbone =
        fmax(ratio(b->whole_effective_rank, below->whole_effective_rank), ratio(b->whole_rankme, below->whole_rankme));
    bool lost = (embed < EMBED_KEPT && backbone <= BACKBONE_KEPT) ||
                (embed < WHOLE_EMBED_KEPT && backbone <= WHOLE_BACKBONE_KEPT);
    if (!lost || v->verdict == VERDICT_COLLAPSED || !(e->outlier_rows > 0)) return false;
    *v = start("rank_kept", NEAR * EMBED_KEPT, EMBED_KEPT);
    v->verdict = VERDICT_COLLAPSED, v->rule = "step_0_all_images", v->statistic = embed, v->expected = 1;
    snprintf(v->against, sizeof v->against, "step 0");
    say(v,
        "Directions are lost: `embed` has %.2g times the untrained network's rank, the backbone %.2g times. RankMe "
        "%.1f, was %.1f; backbone %.1f, was %.1f. %.0f of %.0f images lie far out and are nearly all that varies; the "
        "others lie about one point.",
        embed, backbone, e->whole_rankme, was->whole_rankme, b->whole_rankme, below->whole_rankme, e->outlier_rows,
        e->rows);
    return true;
}

/* What was there at the best epoch and is gone; false where nothing fell. */
static bool judge_fall(const course *c, collapse_verdict *v) {
    if (!c->best || c->best->epoch >= c->now->epoch || c->best->epoch == 0) return false;
    double embed = kept(&c->now->embed, &c->best->embed), backbone = kept(&c->now->backbone, &c->best->backbone);
    collapse_verdict fall = start("rank_kept_of_best", NEAR * FALLEN_EMBED, FALLEN_EMBED);
    char name[32];
    snprintf(name, sizeof name, "epoch %lld", (long long)c->best->epoch);
    fall.statistic = fmax(embed, backbone * FALLEN_EMBED / FALLEN_BACKBONE), fall.expected = 1;
    give_interval(c, &fall);
    judge(&fall, "best_epoch");
    if (fall.verdict <= v->verdict || fall.verdict < VERDICT_WARNING) return false;
    *v = fall;
    snprintf(v->against, sizeof v->against, "%s", name);
    say_ranks(v, v->verdict == VERDICT_COLLAPSED ? "Directions are lost" : "Directions are fewer", c, c->best, name);
    return true;
}

/* Embeddings of few directions over a backbone that has its own: no collapse, since little need be lost yet. */
static bool judge_embed(const course *c, double embed, collapse_verdict *v) {
    if (v->verdict != VERDICT_HEALTHY || !(embed < EMBED_FEW)) return false;
    v->verdict = VERDICT_WARNING, v->rule = "step_0_embed", v->statistic = embed;
    v->threshold_warning = EMBED_FEW, v->threshold_collapsed = 0;
    give_interval(c, v);
    v->borderline = v->high > EMBED_FEW;
    say_ranks(v, "The embeddings have few directions, the backbone has its own", c, c->untrained,
              "the untrained network");
    return true;
}

void course_dimensional(const course *c, collapse_verdict *v) {
    *v = start("rank_kept", NEAR * EMBED_KEPT, EMBED_KEPT);
    if (!c->untrained || !(c->now->embed.rows > 0)) {
        say(v, "%s", not_known);
        return;
    }
    if (c->now->epoch == 0) {
        v->rule = "untrained";
        say(v, "Nothing has been trained: this is what a trained network is held against.");
        return;
    }
    const collapse_evidence *now = &c->now->embed, *then = &c->untrained->embed;
    double embed = kept(now, then), backbone = kept(&c->now->backbone, &c->untrained->backbone);
    v->statistic = fmax(embed, backbone * EMBED_KEPT / BACKBONE_KEPT), v->expected = 1;
    snprintf(v->against, sizeof v->against, "step 0");
    give_interval(c, v);
    judge(v, "step_0");
    bool few = then->independent < ROWS_PER_RANK * then->trimmed_effective_rank || then->independent < ROWS_LEAST;
    if (few && v->verdict != VERDICT_COLLAPSED && !(embed >= 1)) {
        v->verdict = VERDICT_UNKNOWN;
        say(v, "%.0f images are too few to compare ranks of %.1f and %.1f: hold out at least twice as many.",
            then->independent, now->trimmed_effective_rank, then->trimmed_effective_rank);
        return;
    }
    if (judge_whole(c, v) || judge_fall(c, v) || judge_embed(c, embed, v)) return;
    const char *head = v->verdict == VERDICT_COLLAPSED ? "Directions are lost"
                       : v->verdict == VERDICT_WARNING ? "Directions are few"
                       : embed < NEAR * EMBED_KEPT     ? "The backbone's directions are kept"
                                                       : "Directions are kept";
    say_ranks(v, head, c, c->untrained, "the untrained network");
    if (v->verdict == VERDICT_COLLAPSED)
        say(v,
            " Usual without a stop-gradient or predictor, with weak decorrelation, and at too high a learning rate.");
}

/* ---- cluster ---------------------------------------------------------------------------------------------------- */

static void say_use(collapse_verdict *v, const char *head, const course_codes *now, const course_codes *then) {
    say(v,
        "%s: %.0f of %.0f are some image's best, as evenly as %.1f codes, where the untrained network has %.1f. %.0f "
        "images of equally likely codes would hit %.0f.",
        head, now->used, now->codes, now->hard_perplexity, then->hard_perplexity, now->rows, now->used_expected);
}

void course_cluster(const course *c, collapse_verdict *v) {
    const course_codes *now = &c->now->codes;
    *v = start("codes_gained", CODES_NEAR, CODES_GAINED);
    if (!(now->codes > 0)) {
        v->rule = "no_codes";
        say(v, "The method has no codes or prototypes, so there is no code to leave unused.");
        return;
    }
    if (now->codes < 2 || now->rows < ROWS_LEAST) {
        v->rule = "too_few";
        say(v, now->codes < 2 ? "There is one code: it cannot be left unused."
                              : "There are too few images to say which codes are dead.");
        return;
    }
    if (!c->untrained || c->now->epoch == 0) {
        if (c->untrained) v->rule = "untrained";
        say(v, "%s",
            c->untrained ? "Nothing has been trained: this is what a trained network is held against." : not_known);
        return;
    }
    const course_codes *then = &c->untrained->codes;
    double reference =
        fmin(fmax(then->hard_perplexity, ONE_CODE), fmax(CODES_SHARE * now->hard_perplexity_expected, ONE_CODE));
    v->statistic = now->hard_perplexity / reference;
    v->low = now->hard_perplexity_low / reference, v->high = now->hard_perplexity_high / reference;
    v->expected = now->hard_perplexity_expected / reference;
    v->threshold_warning = fmin(CODES_NEAR, (1 + v->expected) / 2);
    snprintf(v->against, sizeof v->against, "step 0");
    judge(v, "step_0");
    const char *head = v->verdict == VERDICT_COLLAPSED ? "Codes are unused"
                       : v->verdict == VERDICT_WARNING ? "Hardly more codes are in use than before training"
                                                       : "Codes are in use";
    say_use(v, head, now, then);
    if (v->verdict >= VERDICT_WARNING)
        say(v, " Usual without a prior on the mean assignment, or with one that the invariance outweighs.");
}

/* ---- representation --------------------------------------------------------------------------------------------- */

void course_representation(const course *c, collapse_verdict *v) {
    *v = start("variance_share_kept", VARIANCE_NEAR, VARIANCE_KEPT);
    if (!c->untrained || !(c->now->embed.rows > 0) || !(c->untrained->embed.variance_share > 0)) {
        say(v, "%s", not_known);
        return;
    }
    if (c->now->epoch == 0) {
        v->rule = "untrained";
        say(v, "Nothing has been trained: this is what a trained network is held against.");
        return;
    }
    double now = c->now->embed.variance_share, then = c->untrained->embed.variance_share;
    v->statistic = now / then, v->expected = 1 / then;
    snprintf(v->against, sizeof v->against, "step 0");
    judge(v, "step_0");
    say(v,
        "%s: differences between images carry %.2g of the embeddings' mean squared norm, %.2g in the untrained "
        "network.",
        v->verdict == VERDICT_COLLAPSED ? "Images fall on one point"
        : v->verdict == VERDICT_WARNING ? "Images draw together"
                                        : "Images are told apart",
        now, then);
    if (v->verdict == VERDICT_COLLAPSED)
        say(v, " Usual where nothing keeps the views apart: no stop-gradient, predictor, centring or variance term.");
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

course_codes course_codes_of(const usage *u) {
    static const double STUDENT_9 = 2.2622; /* 97.5 % point with USAGE_FOLDS - 1 degrees of freedom */
    usage_figures f = usage_summary(u, -1);
    double mean = 0, squares = 0, part[USAGE_FOLDS], folds = USAGE_FOLDS;
    for (int g = 0; g < USAGE_FOLDS; g++) part[g] = usage_summary(u, g).hard_perplexity, mean += part[g] / folds;
    for (int g = 0; g < USAGE_FOLDS; g++) squares += (part[g] - mean) * (part[g] - mean);
    double half = STUDENT_9 * sqrt((folds - 1) / folds * squares);
    return (course_codes){(double)f.codes,
                          (double)f.n,
                          f.used,
                          f.used_expected,
                          f.perplexity,
                          f.hard_perplexity,
                          f.hard_perplexity_expected,
                          fmax(f.hard_perplexity - half, 1),
                          f.hard_perplexity + half,
                          f.information_share};
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset;
} figures[] = {
    {"codes", offsetof(course_codes, codes)},
    {"rows", offsetof(course_codes, rows)},
    {"codes_used", offsetof(course_codes, used)},
    {"codes_used_expected", offsetof(course_codes, used_expected)},
    {"code_perplexity", offsetof(course_codes, perplexity)},
    {"code_hard_perplexity", offsetof(course_codes, hard_perplexity)},
    {"code_hard_perplexity_expected", offsetof(course_codes, hard_perplexity_expected)},
    {"code_hard_perplexity_low", offsetof(course_codes, hard_perplexity_low)},
    {"code_hard_perplexity_high", offsetof(course_codes, hard_perplexity_high)},
    {"information_share", offsetof(course_codes, information_share)},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static double *figure_of(course_codes *c, size_t i) { return (double *)((char *)c + figures[i].offset); }

json_t *course_point_to_json(const course_point *p) {
    json_t *codes = json_null(), *embed = evidence_to_json(&p->embed), *backbone = evidence_to_json(&p->backbone);
    if (p->codes.codes > 0) {
        course_codes copy = p->codes;
        codes = json_object();
        for (size_t i = 0; i < FIGURES; i++) {
            double x = *figure_of(&copy, i);
            json_object_set_new(codes, figures[i].name, isfinite(x) ? json_real(x) : json_null());
        }
    }
    return json_pack("{s:o, s:o, s:o}", "embed", embed, "backbone", backbone, "codes", codes);
}

bool course_point_from_json(const json_t *from, int64_t epoch, course_point *p) {
    const json_t *codes = json_object_get(from, "codes");
    *p = (course_point){.epoch = epoch};
    for (size_t i = 0; i < FIGURES; i++) {
        const json_t *value = json_object_get(codes, figures[i].name);
        *figure_of(&p->codes, i) = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
    return evidence_from_json(json_object_get(from, "embed"), &p->embed) &&
           evidence_from_json(json_object_get(from, "backbone"), &p->backbone);
}
