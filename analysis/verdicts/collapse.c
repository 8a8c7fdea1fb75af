#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/jackknife.h"
#include "analysis/clusters/kmeans.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- thresholds ---------------------------------------------------------------------------------------------------
 */

/* Held against matrices of known state, clear ones and what must not be mistaken for them, by test_thresholds.c:
 * turned, scaled, with outliers, heavy tails and repeated rows. */

/*
 * Spread is one minus the mean cosine of two rows. 0.02: a typical pair is 11° apart, which float noise and BatchNorm
 * reach without any input. 0.1: 26°; features behind a ReLU, all in one orthant, still spread 0.3 and more.
 */
static const double SPREAD_COLLAPSED = 0.02, SPREAD_WARNING = 0.1;
/*
 * Effective rank as a share of noise's. A quarter: three directions in four carry nothing, and a covariance spectrum
 * that falls as 1/i², where generalisation breaks down (Agrawal et al. 2022), scores 0.23 at d = 512. A half: between
 * i^−1.5 and i^−1, the latter, held for ideal, scoring 0.74.
 */
static const double RANK_COLLAPSED = 0.25, RANK_WARNING = 0.5;
/* Perplexity of code use over that of equally likely codes. Codes in use as 1/i, as natural categories often are, score
 * 0.7 for 10 codes and 0.4 for 1,000; below a quarter, most codes are dead. */
static const double USAGE_COLLAPSED = 0.25, USAGE_WARNING = 0.5;
/* Mutual information of row and code over log min(c, n). Soft assignments may be honestly in doubt, so only those that
 * say next to nothing count: 0.01 is what rows that are all but alike leave. */
static const double INFORMATION_COLLAPSED = 0.01, INFORMATION_WARNING = 0.05;
/* Variance left inside clusters, over what a cloud without clusters would leave: at 0.01 a cluster's radius is a tenth
 * of the cloud's, at 0.1 a third. Classes three standard deviations apart in every direction leave 0.1. */
static const double WITHIN_COLLAPSED = 0.01, WITHIN_WARNING = 0.1;

/* Fewer rows than this cannot tell one spectrum, or one histogram, from another. */
enum { ENOUGH_ROWS = 10 };
/* SSW/(n − K) wants at least this many degrees of freedom, and one for every twenty rows: with nearly as many clusters
 * as rows it rests on a few chance pairs. */
enum { ENOUGH_FREEDOM = 20 };

/* ---- names --------------------------------------------------------------------------------------------------------
 */

static const char *const mode_names[COLLAPSE_MODES + 1] = {"representation", "dimensional", "cluster", "intracluster",
                                                           NULL};

const char *verdict_name(verdict v) {
    static const char *const names[] = {"unknown", "healthy", "warning", "collapsed"};
    return names[v];
}

const char *collapse_mode_name(collapse_mode mode) { return mode_names[mode]; }

bool collapse_mode_parse(const char *name, collapse_mode *mode, error *err) {
    for (int i = 0; i < COLLAPSE_MODES; i++)
        if (strcmp(name, mode_names[i]) == 0) {
            *mode = (collapse_mode)i;
            return true;
        }
    const char *near = error_nearest(name, mode_names);
    return error_set(err, ERROR_USAGE, "unknown collapse `%s`; %s%s%s", name, near ? "did you mean `" : "",
                     near ? near : "there are representation, dimensional, cluster and intracluster", near ? "`?" : "");
}

/* ---- verdicts -----------------------------------------------------------------------------------------------------
 */

static void judge(collapse_verdict *v, const char *name, const jackknife *e, double expected, double warning,
                  double collapsed) {
    *v = (collapse_verdict){.statistic_name = name, .statistic = e->value, .expected = expected, .onset = -1};
    v->threshold_warning = warning, v->threshold_collapsed = collapsed;
    jackknife_interval(e, &v->low, &v->high);
    v->verdict = isnan(e->value)        ? VERDICT_UNKNOWN
                 : e->value < collapsed ? VERDICT_COLLAPSED
                 : e->value < warning   ? VERDICT_WARNING
                                        : VERDICT_HEALTHY;
}

__attribute__((format(printf, 2, 3))) static void say(collapse_verdict *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(v->sentence, sizeof v->sentence, format, args);
    va_end(args);
}

static row_source all_rows(const collapse_input *in) { return in->all ? *in->all : rows_of(in->embeddings); }

static bool judge_representation(const collapse_input *in, const uint8_t *blocks, collapse *c, error *err) {
    collapse_verdict *v = &c->verdicts[COLLAPSE_REPRESENTATION];
    row_source all = all_rows(in);
    size_t n = all.rows;
    jackknife spread;
    if (!jackknife_spread(&all, blocks, &spread, err)) return false;
    if (in->quick) spread = jackknife_alone(spread.value);
    c->spread = spread.value, c->mean_resultant = 1 - spread.value;
    c->variance_share =
        c->spectrum.mean_squared_norm > 0 ? c->spectrum.total_variance / c->spectrum.mean_squared_norm : 0;
    judge(v, "spread", &spread, 1 - 1 / (double)n, SPREAD_WARNING, SPREAD_COLLAPSED);
    double cosine = 1 - spread.value;
    if (n < 2) {
        v->verdict = VERDICT_UNKNOWN;
        say(v, "One row cannot show whether different inputs are told apart.");
    } else if (v->verdict == VERDICT_COLLAPSED) {
        say(v,
            "Nearly all inputs map to one point: two embeddings have a mean cosine of %.4f. Usual where nothing keeps "
            "the views apart: no stop-gradient, predictor, centring or variance term, or an invariance term that "
            "outweighs them. Try a larger weight on that term, a smaller learning rate, a longer warm-up.",
            cosine);
    } else if (v->verdict == VERDICT_WARNING) {
        say(v,
            "The embeddings huddle in one direction: two of them have a mean cosine of %.3f. Either they are on "
            "their way to one point, or a large common offset hides their differences: look at the centred "
            "spectrum, and watch this figure over the epochs.",
            cosine);
    } else {
        say(v, "Different inputs get different embeddings: two of them have a mean cosine of %.3f.", cosine);
    }
    return true;
}

static bool judge_dimensional(const collapse_input *in, const uint8_t *blocks, collapse *c, error *err) {
    collapse_verdict *v = &c->verdicts[COLLAPSE_DIMENSIONAL];
    const rank_figure *r = &c->spectrum.effective_rank;
    row_source all = all_rows(in);
    size_t n = all.rows, d = all.cols;
    jackknife e = jackknife_alone(n > 1 ? r->noise_share : NAN);
    noise_ranks null;
    if (!in->quick && n > JACKKNIFE_BLOCKS) {
        if (!jackknife_rank(&all, blocks, NULL, e.value, &e, err) ||
            !spectrum_noise(n - n / JACKKNIFE_BLOCKS, d, &null, err))
            return false;
        for (int g = 0; g < JACKKNIFE_BLOCKS; g++) e.without[g] /= null.effective_rank;
    }
    judge(v, "effective_rank_noise_share", &e, 1, RANK_WARNING, RANK_COLLAPSED);
    if (n < ENOUGH_ROWS && !(n > 1 && r->value == 0)) {
        v->verdict = VERDICT_UNKNOWN;
        say(v,
            "%zu rows span at most %zu directions: too few to tell a low rank from a small sample. Give %d rows or "
            "more, better several times the %zu columns.",
            n, n ? n - 1 : 0, ENOUGH_ROWS, d);
        return true;
    }
    const char *sample = n <= d ? " Fewer rows than columns bound the rank; noise of the same size is bound likewise, "
                                  "and the comparison allows for it."
                                : "";
    if (v->verdict == VERDICT_HEALTHY)
        say(v,
            "The embeddings fill their space: an effective rank of %.1f, where noise of the same size scores %.1f."
            "%s",
            r->value, r->noise, sample);
    else
        say(v,
            "The embeddings fill %s of their %zu dimensions: an effective rank of %.1f, where noise of the same size "
            "scores %.1f. Usual with few codes or prototypes (the rank is at most their number), with a head wider "
            "than its backbone, and with weak decorrelation. Try more codes, a stronger redundancy or covariance "
            "term, a wider backbone.%s",
            v->verdict == VERDICT_COLLAPSED ? "a small part" : "only a part", d, r->value, r->noise, sample);
    return true;
}

static jackknife usage_evidence(const usage *u, bool quick, double figure(const usage_figures *)) {
    usage_figures f = usage_summary(u, -1);
    jackknife e = jackknife_alone(figure(&f));
    for (int g = 0; !quick && g < JACKKNIFE_BLOCKS; g++) {
        f = usage_summary(u, g);
        e.without[g] = f.n ? figure(&f) : NAN;
    }
    return e;
}

/* Of the mean assignment and of the argmax histogram, the one that uses fewer codes. */
static double perplexity_of_expected(const usage_figures *f) {
    return fmin(f->perplexity, f->hard_perplexity) / f->hard_perplexity_expected;
}

static double information_share(const usage_figures *f) { return f->information_share; }

static void judge_cluster(const usage *u, bool quick, collapse *c) {
    collapse_verdict *v = &c->verdicts[COLLAPSE_CLUSTER], told;
    jackknife none = jackknife_alone(NAN);
    judge(v, "perplexity_of_expected", &none, 1, USAGE_WARNING, USAGE_COLLAPSED);
    if (!u || c->usage.codes < 2 || c->usage.n < ENOUGH_ROWS) {
        if (!u)
            say(v, "The method has no codes or prototypes, so there is no code to leave unused.");
        else if (c->usage.codes < 2)
            say(v, "There is one code: it cannot be left unused.");
        else
            say(v, "%zu rows are too few to say which of %zu codes are dead.", c->usage.n, c->usage.codes);
        return;
    }
    const usage_figures *f = &c->usage;
    jackknife use = usage_evidence(u, quick, perplexity_of_expected);
    jackknife information = usage_evidence(u, quick, information_share);
    judge(v, "perplexity_of_expected", &use, 1, USAGE_WARNING, USAGE_COLLAPSED);
    judge(&told, "information_share", &information,
          log(f->hard_perplexity_expected) / log(fmin((double)f->codes, (double)f->n)), INFORMATION_WARNING,
          INFORMATION_COLLAPSED);
    if (told.verdict > v->verdict) {
        *v = told;
        say(v,
            "All rows are assigned alike: the codes as a whole are in use, but a row's assignment tells next to "
            "nothing about the row (%.3f nats of %.2f). Usual with a high temperature or an entropy term without "
            "an invariance term. Try a lower temperature, or a smaller weight on the prior.",
            f->information, log(fmin((double)f->codes, (double)f->n)));
    } else if (v->verdict == VERDICT_HEALTHY) {
        say(v,
            "The codes are in use: %.0f of %zu are some row's best, where %zu rows of equally likely codes would hit "
            "%.0f; the use is as even as that of %.0f codes.",
            f->used, f->codes, f->n, f->used_expected, fmin(f->perplexity, f->hard_perplexity));
    } else {
        say(v,
            "%s of the codes are unused: %.0f of %zu are some row's best, where %zu rows of equally likely codes would "
            "hit %.0f, and the use is as even as that of %.0f codes. Usual without a prior on the mean assignment "
            "(or with a weak one) and with small batches. Try a larger weight on it, larger batches, or fewer codes.",
            v->verdict == VERDICT_COLLAPSED ? "Most" : "Many", f->used, f->codes, f->n, f->used_expected,
            fmin(f->perplexity, f->hard_perplexity));
    }
}

/*
 * A cloud without any clusters, cut into K parts, keeps K^(−2/r) of its variance inside them, r its dimension (the rate
 * of optimal quantisation, Zador 1982): next to nothing on a line, nearly all in a hundred dimensions. r is taken as
 * the larger of the rank inside clusters and the whole's participation ratio: tight clusters must not pass for a line.
 */
static double structureless_share(const collapse *c) {
    double r = fmax(c->spectrum.participation_ratio.value, 1);
    if (c->clusters.effective_rank > r) r = c->clusters.effective_rank;
    return pow((double)c->clusters_used, -2 / r);
}

static bool judge_intracluster(const collapse_input *in, const uint8_t *blocks, const int32_t *assignment, size_t codes,
                               collapse *c, error *err) {
    collapse_verdict *v = &c->verdicts[COLLAPSE_INTRACLUSTER];
    matrix m = in->embeddings;
    within w;
    if (!jackknife_within(m, assignment, codes, blocks, &w, err)) return false;
    if (!cluster_spectra_compute(m, assignment, &c->clusters, err)) return false;
    if (in->quick) w.share = jackknife_alone(w.share.value);
    c->clusters_used = w.clusters, c->within_share = w.share.value;
    double expected = structureless_share(c), freedom = (double)m.rows - (double)w.clusters;
    judge(v, "within_share", &w.share, expected, WITHIN_WARNING * expected, WITHIN_COLLAPSED * expected);
    bool constant = m.rows > 1 && c->spectrum.total_variance == 0;
    if (constant) {
        v->verdict = VERDICT_COLLAPSED, v->statistic = v->low = v->high = 0;
        say(v, "All embeddings are one point: no cluster has any variation.");
    } else if (freedom < fmax(ENOUGH_FREEDOM, (double)m.rows / ENOUGH_FREEDOM)) {
        v->verdict = VERDICT_UNKNOWN;
        say(v, "%zu rows in %zu clusters leave %.0f pairs to see variation in: too few. Give more rows per cluster.",
            m.rows, w.clusters, freedom);
    } else if (w.clusters < 2) {
        v->verdict = VERDICT_UNKNOWN;
        say(v, "All rows are in one cluster: there is no variation between clusters to hold the variation inside "
               "against.");
    } else if (v->verdict == VERDICT_HEALTHY) {
        say(v,
            "Clusters keep variation of their own: %.3f of the variance of all rows, where a cloud without clusters, "
            "cut into %zu, would keep %.3f.",
            w.share.value, w.clusters, expected);
    } else {
        say(v,
            "Inside clusters %s variation is left: %.2g of the variance of all rows, where a cloud without clusters, "
            "cut into %zu, would keep %.3f. What distinguishes the images of a cluster is lost to later tasks. Usual "
            "with few, strongly enforced codes and late in training. Try more codes, a smaller invariance weight, a "
            "higher temperature.",
            v->verdict == VERDICT_COLLAPSED ? "hardly any" : "little", w.share.value, w.clusters, expected);
    }
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------
 */

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static bool take_usage(const usage *u, collapse *c, error *err) {
    size_t codes = usage_codes(u);
    c->has_usage = true;
    c->usage = usage_summary(u, -1);
    c->code_counts = malloc(codes * sizeof *c->code_counts);
    if (!c->code_counts) return error_memory(err, codes * sizeof *c->code_counts, "code counts");
    usage_counts(u, c->code_counts);
    qsort(c->code_counts, codes, sizeof *c->code_counts, descending);
    c->code_counts_shown = codes < COLLAPSE_CODES_SHOWN ? codes : COLLAPSE_CODES_SHOWN;
    return true;
}

static bool check_input(const collapse_input *in, error *err) {
    size_t n = in->embeddings.rows;
    if (!matrix_check(in->embeddings, "embeddings", err)) return false;
    if (in->assignment && (in->codes == 0 || in->codes > INT32_MAX))
        return error_set(err, ERROR_RUN, "assignments: %zu codes; there have to be 1 to %d", in->codes, INT32_MAX);
    if (in->assignment && !labels_check(in->assignment, n, (int)in->codes, "assignments", err)) return false;
    if (in->labels && !labels_check(in->labels, n, in->classes, "labels", err)) return false;
    size_t seen = in->usage ? usage_summary(in->usage, -1).n : all_rows(in).rows;
    n = all_rows(in).rows;
    return seen == n || error_set(err, ERROR_RUN, "code usage is of %zu rows, the embeddings have %zu", seen, n);
}

bool collapse_compute(const collapse_input *in, collapse *c, error *err) {
    *c = (collapse){.class_within_share = NAN};
    size_t n = in->embeddings.rows, codes = in->codes;
    const int32_t *assignment = in->assignment;
    const usage *u = in->usage;
    usage *own = NULL;
    kmeans clusters = {0};
    within classes;
    row_source all = all_rows(in);
    c->cluster_rows = n;
    uint8_t *blocks = malloc(all.rows ? all.rows : 1);
    bool ok = blocks || error_memory(err, all.rows, "blocks of rows");
    ok = ok && check_input(in, err) && jackknife_draw(all.rows, NULL, in->seed, blocks, err) &&
         spectrum_compute_rows(&all, true, &c->spectrum, err);
    if (ok && assignment && !u) {
        u = own = usage_new(codes, err);
        ok = own && usage_add_hard(own, assignment, n, err);
    }
    ok = ok && (!u || take_usage(u, c, err));
    if (ok && !assignment) {
        size_t wanted = in->clusters ? in->clusters : in->classes > 1 ? (size_t)in->classes : n / 10 < 10 ? n / 10 : 10;
        kmeans_options options = {.clusters = wanted < 1   ? 1
                                              : wanted > n ? n
                                                           : wanted,
                                  .restarts = in->quick ? 1 : 5,
                                  .seed = in->seed};
        ok = kmeans_compute(in->embeddings, &options, &clusters, err);
        assignment = clusters.assignment, codes = options.clusters;
        c->clusters_by_kmeans = true;
    }
    if (ok && in->labels) {
        ok = jackknife_within(in->embeddings, in->labels, (size_t)in->classes, blocks, &classes, err);
        if (ok) c->class_within_share = classes.share.value;
    }
    if (ok && !(c->assignment = malloc(n * sizeof *c->assignment)))
        ok = error_memory(err, n * sizeof *c->assignment, "clusters");
    if (ok) memcpy(c->assignment, assignment, n * sizeof *c->assignment);
    ok = ok && judge_representation(in, blocks, c, err) && judge_dimensional(in, blocks, c, err);
    if (ok) judge_cluster(u, in->quick, c);
    ok = ok && judge_intracluster(in, blocks, assignment, codes, c, err);
    free(blocks);
    usage_free(own);
    kmeans_free(&clusters);
    if (!ok) collapse_free(c);
    return ok;
}

void collapse_free(collapse *c) {
    spectrum_free(&c->spectrum);
    cluster_spectra_free(&c->clusters);
    free(c->code_counts);
    free(c->assignment);
    c->code_counts = NULL, c->assignment = NULL;
}
