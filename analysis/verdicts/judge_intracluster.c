/*
 * No variation left inside clusters. Two ways to look, and the worse of them speaks: clusters that are points (see
 * points.h), and the variance inside clusters beside what a cloud without any would keep. The clusters are those given
 * as assignments, or the ones that k-means finds with as many as the data show.
 */
#include "analysis/clusters/kmeans.h"
#include "analysis/clusters/points.h"
#include "analysis/verdicts/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Variance left inside clusters, over what a cloud without clusters would leave: at 0.015 a cluster's radius is an
 * eighth of the cloud's. Classes three standard deviations apart in every direction leave 0.1. */
static const double WITHIN_COLLAPSED = 0.015, WITHIN_WARNING = 0.03;
/* Of rows in points: most of the clusters; a good part of them. */
static const double OUTSIDE_COLLAPSED = 0.3, OUTSIDE_WARNING = 0.7;
/* Small points in great number are views of one image, or copies, more likely than clusters. */
static const double VIEWS_ROWS = 12, VIEWS_CLUSTERS = 50;
/* From one number of clusters to the next, the variance inside falls this far only where true clusters come apart:
 * along a curve, doubling their number leaves a quarter. */
static const double COMES_APART = 0.12;
/* SSW/(n − K) wants at least this many degrees of freedom, and one for every twenty rows. */
/* A first singular value this far above the second is a direction to be looked at the rest without. */
static const double STANDS_OUT = 2;
enum { ENOUGH_FREEDOM = 20, ENOUGH_ROWS = 30, SEARCH_ROWS = 1600, QUICK = 10, QUICK_ROWS = 3072 };
static const size_t numbers[] = {2, 3, 5, 10, 20, 50, 100};

/*
 * A cloud without any clusters, cut into K parts, keeps K^(−2/r) of its variance inside them, r its dimension (the rate
 * of optimal quantisation, Zador 1982): next to nothing on a line, nearly all in a hundred dimensions. r is taken as
 * the larger of the rank inside clusters and the whole's participation ratio: tight clusters must not pass for a line.
 */
static double structureless_share(double clusters, double rank) { return pow(clusters, -2 / fmax(rank, 1)); }

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Whether the embeddings' rows are those that the groups are of, and no sample of them. */
static bool grouped(const collapse_input *in) {
    return in->groups && (!in->all || in->all->rows == in->embeddings.rows);
}

/* One row of each group: views of one image lie together, and are no collapse. */
static bool one_of_each(const judging *j, matrix *out, float **own, error *err) {
    const collapse_input *in = j->in;
    matrix m = in->embeddings;
    size_t kept = 0;
    *out = m, *own = NULL;
    if (!grouped(in)) return true;
    uint8_t *unused = malloc(m.rows);
    bool *first = calloc(m.rows, sizeof *first), ok = unused && first;
    *own = malloc(m.rows * m.cols * sizeof **own);
    ok = (ok && *own) || error_memory(err, m.rows * m.cols * sizeof **own, "one row of each group");
    ok = ok && jackknife_firsts(m.rows, in->groups, first, err);
    for (size_t i = 0; ok && i < m.rows; i++)
        if (first[i]) memcpy(*own + kept++ * m.cols, m.data + i * m.cols, m.cols * sizeof **own);
    *out = (matrix){*own, kept, m.cols};
    free(unused);
    free(first);
    return ok;
}

/* ---- how many ---------------------------------------------------------------------------------------------------- */

typedef struct found {
    size_t clusters;
    double drop; /* the steepest fall of the variance inside from one number to the next; 1: none; NaN: of one number,
                    to whatever they keep */
} found;

/* The number of clusters at which the variance inside falls most below a cloud's, on a sample of the rows of m. */
static bool find_number(const judging *j, matrix m, double hint, found *out, error *err) {
    size_t d = m.cols, rows = m.rows < SEARCH_ROWS ? m.rows : SEARCH_ROWS, tried[8], count = 0;
    double rank = fmax(j->c->spectrum.participation_ratio.value, 1), before = 1, best = INFINITY;
    *out = (found){.clusters = 1, .drop = 1};
    for (size_t i = 0; !j->in->quick && i < sizeof numbers / sizeof *numbers; i++)
        if (8 * numbers[i] <= rows) tried[count++] = numbers[i];
    if (j->in->quick && rows >= 8 * QUICK) tried[count++] = QUICK;
    if (hint >= 2 && 4 * hint <= (double)rows && (count == 0 || hint > (double)tried[count - 1]))
        tried[count++] = (size_t)hint;
    float *sample = malloc(rows * d * sizeof *sample);
    if (!sample) return error_memory(err, rows * d * sizeof *sample, "a sample of the rows");
    bool ok = matrix_sample(m, rows, j->in->seed, 7, sample, err);
    uint8_t *blocks = calloc(rows, 1);
    ok = ok && (blocks || error_memory(err, rows, "blocks of rows"));
    for (size_t i = 0; ok && i < count; i++) {
        kmeans k;
        within w;
        matrix part = {sample, rows, d};
        kmeans_options with = {.clusters = tried[i], .restarts = 1, .iterations = 8, .seed = j->in->seed};
        if (!(ok = kmeans_compute(part, &with, &k, err))) break;
        ok = jackknife_within(part, k.assignment, tried[i], blocks, &w, err);
        double ratio = w.share.value / structureless_share((double)tried[i], rank);
        /* the smallest number that is as good as any, give or take a quarter */
        if (ok && ratio < 0.75 * best) best = ratio, out->clusters = tried[i];
        if (ok && before > 0) out->drop = fmin(out->drop, w.share.value / before);
        before = w.share.value;
        kmeans_free(&k);
    }
    free(sample);
    free(blocks);
    return ok;
}

/* Clusters for the figures: as given; else as many as asked for, as there are classes, or as the data show. */
static bool take_clusters(const judging *j, double hint, found *f, error *err) {
    collapse *c = j->c;
    const collapse_input *in = j->in;
    size_t n = in->embeddings.rows;
    *f = (found){.clusters = in->codes, .drop = 0};
    if (!(c->assignment = malloc(n * sizeof *c->assignment)))
        return error_memory(err, n * sizeof *c->assignment, "clusters");
    if (in->assignment) {
        memcpy(c->assignment, in->assignment, n * sizeof *c->assignment);
        return true;
    }
    c->clusters_by_kmeans = true;
    size_t wanted = in->clusters ? in->clusters : in->quick && in->classes > 1 ? (size_t)in->classes : 0;
    bool ten = in->quick && hint < 2 && n >= 8 * QUICK; /* the one number that a quick search would try */
    if (wanted || ten) f->clusters = wanted ? wanted : QUICK;
    if (ten && !wanted) f->drop = NAN;
    if (!wanted && !ten) {
        matrix m;
        float *own;
        bool ok = one_of_each(j, &m, &own, err) && find_number(j, m, hint, f, err);
        free(own);
        if (!ok) return false;
    }
    f->clusters = f->clusters > n ? n : f->clusters;
    kmeans k;
    kmeans_options with = {.clusters = f->clusters, .restarts = 1, .iterations = in->quick ? 6 : 25, .seed = in->seed};
    if (!kmeans_compute(in->embeddings, &with, &k, err)) return false;
    memcpy(c->assignment, k.assignment, n * sizeof *c->assignment);
    kmeans_free(&k);
    return true;
}

/* ---- points ------------------------------------------------------------------------------------------------------ */

/* With and without the outlier columns, or the one direction that stands out: whichever shows more. */
static bool take_points(const judging *j, points *out, error *err) {
    const spectrum *s = &j->c->spectrum;
    matrix m;
    float *own;
    bool ok = one_of_each(j, &m, &own, err) && points_find(m, NULL, false, j->in->seed, out, err);
    if (ok && s->outliers) {
        points trimmed;
        bool *skip = malloc(s->d * sizeof *skip);
        ok = skip || error_memory(err, s->d, "columns");
        for (size_t k = 0; ok && k < s->d; k++) skip[k] = s->column_variances[k] >= s->outlier_variance;
        ok = ok && points_find(m, skip, false, j->in->seed, &trimmed, err);
        if (ok && trimmed.share > out->share) *out = trimmed;
        free(skip);
    }
    if (ok && s->count > 1 && s->singular_values_centred[0] > STANDS_OUT * s->singular_values_centred[1]) {
        points rest;
        ok = points_find(m, NULL, true, j->in->seed, &rest, err);
        if (ok && rest.share > out->share) *out = rest;
    }
    free(own);
    return ok;
}

static void judge_points(const judging *j, const points *p, collapse_verdict *v) {
    jackknife outside = jackknife_alone(1 - p->share);
    for (int b = 0; !j->in->quick && b < JACKKNIFE_BLOCKS; b++) outside.without[b] = 1 - p->without[b];
    collapse_verdict w = judge_figure("rows_outside_points", &outside, 1, OUTSIDE_WARNING, OUTSIDE_COLLAPSED);
    bool views = p->size < VIEWS_ROWS && p->clusters > VIEWS_CLUSTERS;
    if (w.verdict <= VERDICT_HEALTHY || w.verdict <= v->verdict || views) return;
    w.rule = "points";
    judge_say(
        &w,
        "%.0f %% of the rows have fallen into points: about %.0f of them, of some %.0f rows each, with next to "
        "nothing between. What distinguishes the inputs of a point is lost to later tasks. Usual with few, strongly "
        "enforced codes and late in training.",
        100 * p->share, fmax(p->clusters, 1), p->size);
    *v = w;
}

/* ---- the verdict ------------------------------------------------------------------------------------------------- */

static void judge_within(const judging *j, const within *w, const found *f, collapse_verdict *v) {
    collapse *c = j->c;
    double freedom = (double)j->in->embeddings.rows - (double)w->clusters, rows = (double)j->in->embeddings.rows;
    double expected = structureless_share((double)w->clusters,
                                          fmax(c->spectrum.participation_ratio.value,
                                               isfinite(c->clusters.effective_rank) ? c->clusters.effective_rank : 1));
    *v = judge_figure("within_share", &w->share, expected, WITHIN_WARNING * expected, WITHIN_COLLAPSED * expected);
    if (freedom < fmax(ENOUGH_FREEDOM, rows / ENOUGH_FREEDOM) || rows < ENOUGH_ROWS) {
        v->verdict = VERDICT_UNKNOWN, v->rule = "rows", v->borderline = false;
        judge_say(v, "%.0f rows in %zu clusters leave %.0f pairs to see variation in: too few. Give more rows.", rows,
                  w->clusters, freedom);
        return;
    }
    if (w->clusters < 2 || (v->verdict > VERDICT_HEALTHY && f->drop > COMES_APART)) {
        v->verdict = VERDICT_HEALTHY, v->rule = "no_clusters", v->borderline = false;
        judge_say(v,
                  "The rows fall into no clusters: the variance inside shrinks with their number as a cloud's does.");
        return;
    }
    if (v->verdict == VERDICT_HEALTHY)
        judge_say(v,
                  "Clusters keep variation of their own: %.3f of the variance of all rows, where a cloud without "
                  "clusters, cut into %zu, would keep %.3f.",
                  w->share.value, w->clusters, expected);
    else
        judge_say(
            v,
            "Inside clusters %s variation is left: %.2g of the variance of all rows, where a cloud without "
            "clusters, cut into %zu, would keep %.3f. What distinguishes the images of a cluster is lost to later "
            "tasks. Usual with few, strongly enforced codes and late in training.",
            v->verdict == VERDICT_COLLAPSED ? "hardly any" : "little", w->share.value, w->clusters, expected);
}

static bool judge_rows(const judging *j, error *err) {
    collapse *c = j->c;
    const collapse_input *in = j->in;
    collapse_verdict *v = &c->verdicts[COLLAPSE_INTRACLUSTER];
    const collapse_verdict *point = &c->verdicts[COLLAPSE_REPRESENTATION];
    points p;
    within w;
    found f;
    if (!take_points(j, &p, err) || !take_clusters(j, p.share > 1 - OUTSIDE_WARNING ? p.clusters : 0, &f, err) ||
        !jackknife_within(in->embeddings, c->assignment, f.clusters, j->sample_blocks, &w, err) ||
        (!in->quick && !cluster_spectra_compute(in->embeddings, c->assignment, &c->clusters, err)))
        return false;
    if (in->quick) c->clusters.effective_rank = c->clusters.share = NAN;
    c->point_share = p.share, c->point_size = p.size, c->point_clusters = p.clusters;
    if (in->quick) w.share = jackknife_alone(w.share.value);
    c->clusters_used = w.clusters, c->within_share = w.share.value;
    if (isnan(f.drop)) f.drop = fmin(w.share.value, 1);
    judge_within(j, &w, &f, v);
    if (in->embeddings.rows > 1 &&
        (c->spectrum.total_variance == 0 ||
         (point->verdict == VERDICT_COLLAPSED && c->evidence.contrast < point->threshold_collapsed))) {
        v->verdict = VERDICT_COLLAPSED, v->statistic = v->low = v->high = 0, v->rule = "one_point";
        v->borderline = false;
        judge_say(v, "All embeddings are one point: no cluster has any variation.");
        return true;
    }
    if (isfinite(p.share)) judge_points(j, &p, v);
    return true;
}

/* A quick look at many rows is at a sample of them, drawn by the seed. */
static bool judge_sample(const judging *j, error *err) {
    collapse_input in = *j->in;
    size_t n = QUICK_ROWS, d = in.embeddings.cols;
    uint32_t *rows = malloc(n * sizeof *rows);
    float *values = malloc(n * d * sizeof *values);
    int32_t *assignment = malloc(n * sizeof *assignment);
    int64_t *groups = malloc(n * sizeof *groups);
    uint8_t *blocks = malloc(n);
    bool ok = (rows && values && assignment && groups && blocks) ||
              error_memory(err, n * d * sizeof *values, "a sample of the rows");
    if (ok) matrix_choose(in.embeddings.rows, n, in.seed, 9, rows);
    for (size_t i = 0; ok && i < n; i++) {
        memcpy(values + i * d, in.embeddings.data + rows[i] * d, d * sizeof *values);
        if (in.assignment) assignment[i] = in.assignment[rows[i]];
        if (grouped(&in)) groups[i] = in.groups[rows[i]];
        blocks[i] = j->sample_blocks[rows[i]];
    }
    in.embeddings = (matrix){values, n, d}, in.assignment = in.assignment ? assignment : NULL;
    in.groups = grouped(j->in) ? groups : NULL, in.all = NULL;
    judging part = {.in = &in, .all = j->all, .blocks = j->blocks, .sample_blocks = blocks, .c = j->c};
    j->c->cluster_rows = n;
    ok = ok && judge_rows(&part, err);
    free(rows);
    free(values);
    free(assignment);
    free(groups);
    free(blocks);
    return ok;
}

bool judge_intracluster(const judging *j, error *err) {
    return j->in->quick && j->in->embeddings.rows > QUICK_ROWS ? judge_sample(j, err) : judge_rows(j, err);
}
