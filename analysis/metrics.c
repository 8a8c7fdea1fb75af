/*
 * The names of final figures: their order in a table, what a reader calls them, and how many digits they deserve.
 * Metrics this table does not know are listed after those it does, under their own names.
 */
#include "analysis/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *title;
} known[] = {
    {"linear", "linear accuracy"},
    {"knn", "kNN accuracy"},
    {"prototype_ami", "AMI of the codes"},
    {"prototype_nmi", "NMI of the codes"},
    {"prototype_nmi_chance", "chance NMI of the codes"},
    {"kmeans_ami", "AMI of k-means"},
    {"kmeans_nmi", "NMI of k-means"},
    {"kmeans_nmi_chance", "chance NMI of k-means"},
    {"rankme", "RankMe"},
    {"rankme_share", "RankMe share"},
    {"rankme_noise_share", "RankMe, share of noise"},
    {"rankme_backbone", "RankMe of the backbone"},
};
enum { KNOWN = sizeof known / sizeof *known };

const char *study_metric_title(const char *metric) {
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, metric) == 0) return known[i].title;
    return metric;
}

char *study_format(const char *metric, double value, char *out, size_t size) {
    double magnitude = fabs(value);
    if (isnan(value))
        snprintf(out, size, "–");
    else if (isinf(value))
        snprintf(out, size, value > 0 ? "∞" : "−∞");
    else if (strncmp(metric, "rankme", 6) == 0 && !strstr(metric, "share"))
        snprintf(out, size, "%.1f", value);
    else if (magnitude == 0 || (magnitude >= 0.0005 && magnitude < 10))
        snprintf(out, size, "%.3f", value);
    else if (magnitude >= 10 && magnitude < 1000)
        snprintf(out, size, "%.1f", value);
    else if (magnitude >= 1000 && magnitude < 1e7)
        snprintf(out, size, "%.0f", value);
    else
        snprintf(out, size, "%.2e", value);
    return out;
}

static int rank_of(const char *name) {
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, name) == 0) return i;
    return KNOWN;
}

static int by_order(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int i = rank_of(x), j = rank_of(y);
    return i != j ? i - j : strcmp(x, y);
}

const char **study_metrics(const study *s, size_t *count) {
    const char **names = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t i = 0; i < s->records.count; i++) {
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(s->records.items[i].run, "final"), name, value) {
            bool seen = !json_is_number(value);
            for (size_t k = 0; k < *count && !seen; k++) seen = strcmp(names[k], name) == 0;
            if (seen) continue;
            if (*count == capacity) {
                capacity = capacity ? 2 * capacity : 32;
                const char **grown = realloc(names, capacity * sizeof *grown);
                if (!grown) {
                    free(names);
                    *count = 0;
                    return NULL;
                }
                names = grown;
            }
            names[(*count)++] = name;
        }
    }
    if (*count) qsort(names, *count, sizeof *names, by_order);
    return names;
}
