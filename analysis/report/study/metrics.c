/*
 * The names of final figures: their order in a table, what a reader calls them, and how many digits they deserve.
 * Metrics this table does not know are listed after those it does, under their own names.
 */
#include "analysis/metrics/metric.h"
#include "analysis/report/study/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *title;
} known[] = {
    {"linear", "linear accuracy"},
    {"knn", "kNN accuracy"},
    {"linear_top5", "linear top-5 accuracy"},
    {"online_linear", "online linear accuracy"},
    {"online_knn", "online kNN accuracy"},
    {"linear_train", "linear accuracy in training"},
    {"prototype_ami", "AMI of the codes"},
    {"prototype_nmi", "NMI of the codes"},
    {"prototype_nmi_chance", "chance NMI of the codes"},
    {"kmeans_ami", "AMI of k-means"},
    {"kmeans_nmi", "NMI of k-means"},
    {"kmeans_nmi_chance", "chance NMI of k-means"},
    {"prototype_ari", "ARI of the codes"},
    {"prototype_accuracy", "accuracy of the codes"},
    {"kmeans_ari", "ARI of k-means"},
    {"kmeans_accuracy", "accuracy of k-means"},
    {"codes_used", "codes in use"},
    {"code_perplexity", "perplexity of the codes"},
    {"rankme", "RankMe"},
    {"rankme_share", "RankMe share"},
    {"rankme_noise_share", "RankMe as a share of noise's"},
    {"effective_rank", "effective rank"},
    {"rankme_backbone", "RankMe of the backbone"},
    {"correlation_off_diagonal", "mean |correlation|"},
};
enum { KNOWN = sizeof known / sizeof *known };

const char *study_metric_title(const char *metric) {
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, metric) == 0) return known[i].title;
    const struct metric *other = metric_find(metric);
    return other ? other->title : metric;
}

static int rank_of(const char *name) {
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, name) == 0) return i;
    return KNOWN;
}

const char *study_primary(const records *all) {
    static const char *const by_worth[] = {"linear", "knn", "kmeans_ami", "prototype_ami", "rankme", NULL};
    for (const char *const *name = by_worth; *name; name++)
        for (size_t i = 0; i < all->count; i++)
            if (all->items[i].finished && isfinite(record_metric(&all->items[i], *name))) return *name;
    return *by_worth;
}

bool study_has(const study *s, const char *metric) {
    for (size_t i = 0; i < s->records.count; i++)
        if (s->records.items[i].finished && isfinite(record_metric(&s->records.items[i], metric))) return true;
    return false;
}

bool study_is_rank(const char *metric) {
    return (strncmp(metric, "rankme", 6) == 0 || strstr(metric, "_rank")) && !strstr(metric, "share");
}

char *study_format(const char *metric, double value, char *out, size_t size) {
    double magnitude = fabs(value);
    if (isnan(value))
        snprintf(out, size, "–");
    else if (isinf(value))
        snprintf(out, size, value > 0 ? "∞" : "−∞");
    else if (study_is_rank(metric))
        snprintf(out, size, "%.1f", value);
    else if (magnitude < 10 && (magnitude == 0 || magnitude >= 0.0005 || rank_of(metric) < KNOWN))
        snprintf(out, size, "%.3f", value);
    else if (magnitude >= 10 && magnitude < 1000)
        snprintf(out, size, "%.1f", value);
    else if (magnitude >= 1000 && magnitude < 1e7)
        snprintf(out, size, "%.0f", value);
    else
        snprintf(out, size, "%.2e", value);
    return out;
}

static int by_order(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int i = rank_of(x), j = rank_of(y);
    return i != j ? i - j : strcmp(x, y);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Adds a name that is not there yet; `*count` of them fill a power of two, or less. False when out of memory. */
static bool add_name(const char ***names, size_t *count, const char *name) {
    for (size_t i = 0; i < *count; i++)
        if (strcmp((*names)[i], name) == 0) return true;
    if ((*count & (*count - 1)) == 0) {
        const char **grown = realloc(*names, (*count ? 2 * *count : 1) * sizeof *grown);
        if (!grown) return false;
        *names = grown;
    }
    (*names)[(*count)++] = name;
    return true;
}

static bool list_metrics(study *s) {
    const char *name;
    json_t *value;
    for (size_t i = 0; i < s->records.count; i++)
        json_object_foreach(json_object_get(s->records.items[i].run, "final"), name,
                            value) if (json_is_number(value) &&
                                       !add_name(&s->metrics, &s->metric_count, name)) return false;
    if (s->metric_count) qsort(s->metrics, s->metric_count, sizeof *s->metrics, by_order);
    return true;
}

static bool list_keys(study *s) {
    const char *key;
    json_t *value;
    for (size_t i = 0; i < s->records.count; i++)
        if (s->records.items[i].finished)
            json_object_foreach(json_object_get(s->records.items[i].run, "spec"), key,
                                value) if (!add_name(&s->keys, &s->key_count, key)) return false;
    if (s->key_count) qsort(s->keys, s->key_count, sizeof *s->keys, by_name);
    return true;
}

/* ---- runs, settings and verdicts
 * -------------------------------------------------------------------------------------- */

static bool listed(const record **runs, size_t count, const record *r) {
    for (size_t i = 0; i < count; i++)
        if (runs[i] == r) return true;
    return false;
}

static bool list_runs(study *s) {
    if (!(s->runs = malloc((s->records.count + 1) * sizeof *s->runs))) return false;
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t p = 0; p < s->blocks[b].series[k].count; p++) {
                const study_point *point = &s->blocks[b].series[k].points[p];
                for (size_t i = 0; i < point->count; i++)
                    if (b == 0 || !listed(s->runs, s->run_count, point->records[i]))
                        s->runs[s->run_count++] = point->records[i];
            }
    return true;
}

bool study_list(study *s) { return list_metrics(s) && list_keys(s) && list_runs(s); }

char *study_short_key(const char *key, char *out, size_t size) {
    const char *dot = strchr(key, '.');
    if (dot && strcmp(dot, ".name") == 0)
        snprintf(out, size, "%.*s", (int)(dot - key), key);
    else
        snprintf(out, size, "%s", strncmp(key, "method.", 7) == 0 ? key + 7 : key);
    return out;
}

char *study_setting(const study_block *b, const study_point *p, char *out, size_t size) {
    size_t length = strlen(b->axis_name);
    bool counted = b->numeric && length && b->axis_name[length - 1] == 's' && !strchr(b->axis_name, '.');
    if (!length)
        snprintf(out, size, "%s", p->label);
    else if (counted)
        snprintf(out, size, "%s %s", p->label, b->axis_name);
    else
        snprintf(out, size, "%s = %s", b->axis_name, p->label);
    return out;
}

const char *const study_verdict_names[STUDY_VERDICTS] = {"unknown", "healthy", "warning", "collapsed"};
const char *const study_modes[5] = {"representation", "dimensional", "cluster", "intracluster", NULL};

int study_run_verdict(const record *r, const char *mode) {
    const char *name = json_string_value(json_object_get(record_verdict(r, mode), "verdict"));
    for (int v = 0; name && v < STUDY_VERDICTS; v++)
        if (strcmp(name, study_verdict_names[v]) == 0) return v;
    return STUDY_UNKNOWN;
}

int study_verdict(const study_point *p, const char *mode, size_t counts[STUDY_VERDICTS]) {
    size_t known = 0, so_far = 0;
    for (int v = 0; v < STUDY_VERDICTS; v++) counts[v] = 0;
    for (size_t i = 0; i < p->count; i++) {
        int found = study_run_verdict(p->records[i], mode);
        counts[found]++;
        known += found != STUDY_UNKNOWN;
    }
    if (!known) return STUDY_UNKNOWN;
    for (int v = STUDY_COLLAPSED; v > STUDY_UNKNOWN; v--) {
        so_far += counts[v];
        if (2 * so_far > known) return v;
    }
    return STUDY_HEALTHY;
}

int study_worst_verdict(const study_point *p) {
    size_t counts[STUDY_VERDICTS];
    int worst = STUDY_UNKNOWN;
    for (const char *const *mode = study_modes; *mode; mode++) {
        int verdict = study_verdict(p, *mode, counts);
        worst = verdict > worst ? verdict : worst;
    }
    return worst;
}
