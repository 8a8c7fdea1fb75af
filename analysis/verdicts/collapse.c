#include "analysis/verdicts/collapse.h"
#include "analysis/verdicts/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static row_source all_rows(const collapse_input *in) { return in->all ? *in->all : rows_of(in->embeddings); }

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

/* Blocks of the sampled rows, drawn like those of all: in order where the embeddings are all rows. */
static bool draw_blocks(const collapse_input *in, size_t n, uint8_t **all, uint8_t **sample, error *err) {
    size_t rows = in->embeddings.rows;
    *all = malloc(n ? n : 1);
    *sample = in->all ? malloc(rows) : *all;
    return ((*all && *sample) || error_memory(err, n + rows, "blocks of rows")) &&
           jackknife_draw(n, in->groups, in->seed, *all, err) &&
           (!in->all || jackknife_draw(rows, rows == n ? in->groups : NULL, in->seed, *sample, err));
}

static size_t count_groups(const collapse_input *in, size_t n, error *err, bool *ok) {
    size_t count = 0;
    bool *first = in->groups ? calloc(n, sizeof *first) : NULL;
    if (in->groups) *ok = first ? jackknife_firsts(n, in->groups, first, err) : error_memory(err, n, "groups of rows");
    for (size_t i = 0; first && *ok && i < n; i++) count += first[i];
    free(first);
    return count;
}

static bool take_evidence(const judging *j, error *err) {
    const collapse_input *in = j->in;
    bool ok = true;
    evidence_options with = {
        .attainable = in->attainable, .intervals = !in->quick, .blocks = j->blocks, .seed = in->seed};
    with.groups = count_groups(in, j->all.rows, err, &ok);
    collapse *c = j->c;
    ok = ok && evidence_with_spectrum(&j->all, &c->spectrum, &with, &c->evidence, err);
    c->spread = c->evidence.spread, c->mean_resultant = 1 - c->spread, c->variance_share = c->evidence.variance_share;
    return ok;
}

bool collapse_compute(const collapse_input *in, collapse *c, error *err) {
    *c = (collapse){.class_within_share = NAN};
    size_t n = in->embeddings.rows;
    const usage *u = in->usage;
    usage *own = NULL;
    within classes;
    collapse_input with = *in;
    judging j = {.in = &with, .all = all_rows(in), .c = c};
    uint8_t *blocks = NULL, *sample = NULL;
    c->cluster_rows = n;
    bool ok = check_input(in, err) && draw_blocks(in, j.all.rows, &blocks, &sample, err) &&
              spectrum_compute_rows(&j.all, true, &c->spectrum, err);
    j.blocks = blocks, j.sample_blocks = sample;
    if (ok && in->assignment && !u) {
        u = own = usage_new(in->codes, err);
        with.assignments_are = ASSIGNMENTS_HARD;
        if (own) usage_deal(own, sample);
        ok = own && usage_add_hard(own, in->assignment, n, err);
    }
    ok = ok && (!u || take_usage(u, c, err));
    if (ok && in->labels) {
        ok = jackknife_within(in->embeddings, in->labels, (size_t)in->classes, sample, &classes, err);
        if (ok) c->class_within_share = classes.share.value;
    }
    ok = ok && take_evidence(&j, err);
    c->across.effective_rank = NAN;
    ok = ok && (!in->second.data ||
                across_views(in->embeddings, in->second, c->evidence.attainable, in->seed, &c->across, err));
    if (ok) judge_representation(&j);
    ok = ok && judge_intracluster(&j, err) && judge_dimensional(&j, err);
    if (ok) judge_cluster(&j, u);
    if (sample != blocks) free(sample);
    free(blocks);
    usage_free(own);
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
