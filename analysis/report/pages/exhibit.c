/*
 * Taking what is to be shown. All pictures rest on one sample of rows, drawn by the seed: evenly spaced rows would
 * alias with labels that come in turn. Principal components come from the Gram matrix of the shorter side, which the
 * sample keeps at 2,048 or below.
 */
#include "analysis/report/pages/exhibit.h"
#include "analysis/report/study/records.h"
#include "engine/files/record.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 2048, VALUES_MOST = 1 << 26 };

/* The rows that are looked at, with what is known of them. */
typedef struct sample {
    matrix rows;
    float *values;
    int32_t *labels, *clusters; /* (rows.rows); labels may be NULL */
} sample;

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void sample_free(sample *s) {
    free(s->values);
    free(s->labels);
    free(s->clusters);
}

static bool sample_take(sample *s, const exhibit_source *from, error *err) {
    size_t n = from->embeddings.rows, d = from->embeddings.cols, most = VALUES_MOST / d < 2 ? 2 : VALUES_MOST / d;
    size_t rows = n < ROWS_MOST ? n : ROWS_MOST;
    rows = rows < most ? rows : most;
    uint32_t *chosen = malloc(rows * sizeof *chosen);
    s->values = malloc(rows * d * sizeof *s->values);
    s->clusters = malloc(rows * sizeof *s->clusters);
    s->labels = from->labels ? malloc(rows * sizeof *s->labels) : NULL;
    bool ok = (chosen && s->values && s->clusters && (s->labels || !from->labels)) ||
              error_memory(err, rows * d * sizeof *s->values, "the rows on the page");
    if (ok) {
        matrix_choose(n, rows, from->seed, 1, chosen);
        ok = matrix_sample(from->embeddings, rows, from->seed, 1, s->values, err);
    }
    for (size_t i = 0; ok && i < rows; i++) {
        s->clusters[i] = from->clusters[chosen[i]];
        if (s->labels) s->labels[i] = from->labels[chosen[i]];
    }
    s->rows = (matrix){s->values, rows, d};
    free(chosen);
    return ok;
}

/* ---- map --------------------------------------------------------------------------------------------------------- */

/* Top two eigenpairs of a symmetric matrix (side, side), which is destroyed: vectors (2, side), the larger one first.
 */
static bool top_two(double *square, size_t side, double values[2], double *vectors, error *err) {
    lapack_int wanted = side < 2 ? (lapack_int)side : 2, found, n = (lapack_int)side, support[4];
    double *w = malloc(side * sizeof *w), *z = malloc(2 * side * sizeof *z);
    bool ok = (w && z) || error_memory(err, 3 * side * sizeof *w, "principal components");
    memset(vectors, 0, 2 * side * sizeof *vectors);
    values[0] = values[1] = 0;
    if (ok && LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', n, square, n, 0, 0, n - wanted + 1, n, 0, &found, w, z, n,
                             support) != 0)
        ok = error_set(err, ERROR_RUN, "principal components of %zu×%zu did not converge", side, side);
    for (lapack_int k = 0; ok && k < wanted; k++) {
        const double *column = z + (size_t)(wanted - 1 - k) * side;
        double sign = 1, largest = 0; /* eigenvectors have no sign of their own: the largest entry is positive */
        for (size_t i = 0; i < side; i++)
            if (fabs(column[i]) > largest) largest = fabs(column[i]), sign = column[i] < 0 ? -1 : 1;
        values[k] = fmax(w[wanted - 1 - k], 0);
        for (size_t i = 0; i < side; i++) vectors[(size_t)k * side + i] = sign * column[i];
    }
    free(w);
    free(z);
    return ok;
}

/* Scores (rows, 2) of the sample on its principal components. */
static bool principal(const sample *s, double *scores, double share[2], error *err) {
    size_t n = s->rows.rows, d = s->rows.cols, side = n < d ? n : d;
    double *means = malloc(d * sizeof *means), *square = malloc(side * side * sizeof *square), values[2];
    double *vectors = malloc(2 * side * sizeof *vectors), *row = malloc(d * sizeof *row), trace = 0;
    bool ok = (means && square && vectors && row) || error_memory(err, side * side * sizeof *square, "a map");
    ok = ok && matrix_means(s->rows, means, err) &&
         (n < d ? matrix_gram_rows(s->rows, means, square, err) : matrix_gram(s->rows, 0, n, means, square, err));
    for (size_t i = 0; ok && i < side; i++) trace += square[i * side + i];
    ok = ok && top_two(square, side, values, vectors, err);
    for (int k = 0; ok && k < 2; k++) share[k] = trace > 0 ? values[k] / trace : 0;
    for (size_t i = 0; ok && i < n; i++) {
        if (n >= d) matrix_block(s->rows, i, 1, means, row);
        for (size_t k = 0; k < 2; k++)
            scores[2 * i + k] =
                n < d ? vectors[k * side + i] * sqrt(values[k]) : cblas_ddot((int)d, row, 1, vectors + k * side, 1);
    }
    free(means);
    free(square);
    free(vectors);
    free(row);
    return ok;
}

/* Numbers groups by size, ties by their own number, and keeps the largest. */
static bool group(const int32_t *keys, size_t count, exhibit_groups *out, error *err) {
    uint32_t *order = malloc(count * sizeof *order);
    out->of = malloc(count * sizeof *out->of);
    bool ok = (order && out->of) || error_memory(err, count * sizeof *order, "groups on a map");
    ok = ok && matrix_order(keys, count, order, err);
    size_t sizes[EXHIBIT_GROUPS] = {0}, groups = 0;
    for (size_t i = 0, end; ok && i < count; i = end) {
        for (end = i; end < count && keys[order[end]] == keys[order[i]]; end++) {}
        size_t place = out->count < EXHIBIT_GROUPS ? out->count : EXHIBIT_GROUPS;
        while (place > 0 && sizes[place - 1] < end - i) place--;
        groups++;
        if (place == EXHIBIT_GROUPS) continue;
        if (out->count < EXHIBIT_GROUPS) out->count++;
        memmove(sizes + place + 1, sizes + place, (out->count - place - 1) * sizeof *sizes);
        memmove(out->numbers + place + 1, out->numbers + place, (out->count - place - 1) * sizeof *out->numbers);
        sizes[place] = end - i, out->numbers[place] = keys[order[i]];
    }
    out->others = groups > out->count;
    for (size_t i = 0; ok && i < count; i++) {
        out->of[i] = -1;
        for (size_t g = 0; g < out->count; g++)
            if (out->numbers[g] == keys[i]) out->of[i] = (int32_t)g;
    }
    free(order);
    return ok;
}

/* Classes are few and have an order of their own: the legend names them in it. */
static void order_groups(exhibit_groups *g, size_t points) {
    for (size_t a = 1; a < g->count; a++)
        for (size_t b = a; b > 0 && g->numbers[b - 1] > g->numbers[b]; b--) {
            int32_t swap = g->numbers[b];
            g->numbers[b] = g->numbers[b - 1], g->numbers[b - 1] = swap;
            for (size_t i = 0; i < points; i++)
                if (g->of[i] == (int32_t)b || g->of[i] == (int32_t)b - 1) g->of[i] = (int32_t)(2 * b - 1) - g->of[i];
        }
}

static bool take_map(exhibit *e, const sample *s, size_t points, error *err) {
    size_t n = s->rows.rows;
    e->map = malloc(2 * n * sizeof *e->map);
    if (!e->map) return error_memory(err, 2 * n * sizeof *e->map, "a map");
    e->points = n < points ? n : points; /* the first of a random order would do; rows may be sorted, so evenly */
    if (!principal(s, e->map, e->map_share, err)) return false;
    int32_t *clusters = malloc(2 * e->points * sizeof *clusters), *labels = clusters ? clusters + e->points : NULL;
    if (!clusters) return error_memory(err, 2 * e->points * sizeof *clusters, "a map");
    for (size_t i = 0; i < e->points; i++) {
        size_t row = i * n / e->points;
        e->map[2 * i] = e->map[2 * row], e->map[2 * i + 1] = e->map[2 * row + 1];
        clusters[i] = s->clusters[row];
        if (s->labels) labels[i] = s->labels[row];
    }
    bool ok =
        group(clusters, e->points, &e->by_cluster, err) && (!s->labels || group(labels, e->points, &e->by_label, err));
    if (ok && s->labels) order_groups(&e->by_label, e->points);
    free(clusters);
    return ok;
}

/* ---- heat maps --------------------------------------------------------------------------------------------------- */

static bool take_covariance(exhibit *e, const sample *s, error *err) {
    size_t n = s->rows.rows, d = s->rows.cols, side = d < EXHIBIT_SIDE ? d : EXHIBIT_SIDE;
    float *columns = malloc(n * side * sizeof *columns);
    e->covariance = malloc(side * side * sizeof *e->covariance);
    bool ok = (columns && e->covariance) || error_memory(err, n * side * sizeof *columns, "a covariance");
    for (size_t i = 0; ok && i < n; i++)
        for (size_t j = 0; j < side; j++) columns[i * side + j] = s->values[i * d + j * d / side];
    ok = ok && matrix_covariance((matrix){columns, n, side}, e->covariance, err);
    double mean = 0;
    for (size_t j = 0; ok && j < side; j++) mean += e->covariance[j * side + j] / (double)side;
    for (size_t i = 0; ok && mean > 0 && i < side * side; i++) e->covariance[i] /= mean;
    if (ok) e->covariance_side = side;
    free(columns);
    return ok;
}

/* keys: what the rows are sorted by; ranks of their sizes, so that the largest block comes first. */
static bool adjacency(const sample *s, const int32_t *keys, double **out, size_t *side, error *err) {
    size_t n = s->rows.rows, d = s->rows.cols, k = n < EXHIBIT_SIDE ? n : EXHIBIT_SIDE;
    uint32_t *order = malloc(n * sizeof *order);
    float *thin = malloc(k * d * sizeof *thin);
    *out = malloc(k * k * sizeof **out);
    bool ok = (order && thin && *out) || error_memory(err, k * d * sizeof *thin, "an adjacency matrix");
    ok = ok && matrix_order(keys, n, order, err);
    for (size_t i = 0; ok && i < k; i++)
        memcpy(thin + i * d, s->values + (size_t)order[i * n / k] * d, d * sizeof *thin);
    ok = ok && matrix_adjacency((matrix){thin, k, d}, NULL, k, MATRIX_MEAN, *out, side, err);
    free(order);
    free(thin);
    return ok;
}

/* Row i's cluster as its place among the clusters by size. */
static bool rank_clusters(const int32_t *keys, size_t n, int32_t *ranks, error *err) {
    uint32_t *order = malloc(2 * n * sizeof *order), *second = order ? order + n : NULL;
    int32_t *sizes = malloc(n * sizeof *sizes);
    bool ok = (order && sizes) || error_memory(err, 3 * n * sizeof *order, "clusters by size");
    ok = ok && matrix_order(keys, n, order, err);
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i; end < n && keys[order[end]] == keys[order[i]]; end++) {}
        for (size_t k = i; k < end; k++) sizes[k] = -(int32_t)(end - i); /* in sorted order: stable from here */
    }
    ok = ok && matrix_order(sizes, n, second, err);
    for (size_t i = 0; ok && i < n; i++) ranks[order[second[i]]] = (int32_t)i;
    free(order);
    free(sizes);
    return ok;
}

static bool take_adjacency(exhibit *e, const sample *s, error *err) {
    int32_t *ranks = malloc(s->rows.rows * sizeof *ranks);
    bool ok = (ranks || error_memory(err, s->rows.rows * sizeof *ranks, "clusters by size")) &&
              rank_clusters(s->clusters, s->rows.rows, ranks, err) &&
              adjacency(s, ranks, &e->adjacency, &e->adjacency_side, err) &&
              (!s->labels || adjacency(s, s->labels, &e->adjacency_by_label, &e->adjacency_side, err));
    free(ranks);
    return ok;
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static bool take_counts(exhibit *e, const exhibit_source *from, error *err) {
    size_t n = from->embeddings.rows;
    uint32_t *order = malloc(n * sizeof *order);
    e->cluster_rows = malloc(n * sizeof *e->cluster_rows);
    bool ok = (order && e->cluster_rows) || error_memory(err, 2 * n * sizeof(double), "cluster sizes");
    ok = ok && matrix_order(from->clusters, n, order, err);
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i; end < n && from->clusters[order[end]] == from->clusters[order[i]]; end++) {}
        e->cluster_rows[e->clusters++] = (double)(end - i);
    }
    free(order);
    if (!ok) return false;
    qsort(e->cluster_rows, e->clusters, sizeof *e->cluster_rows, descending);
    if (!from->usage) return true;
    size_t codes = usage_codes(from->usage);
    e->code_use = malloc(codes * sizeof *e->code_use);
    if (!e->code_use) return error_memory(err, codes * sizeof *e->code_use, "code usage");
    usage_mean(from->usage, e->code_use);
    qsort(e->code_use, codes, sizeof *e->code_use, descending);
    e->codes = codes;
    return true;
}

/* ---- a run's history --------------------------------------------------------------------------------------------- */

/* "falcon on shapes, backbone resnet8 of width 8, 12 epochs": as far as run.json tells. */
static void describe_run(exhibit *e, const record *r) {
    static const struct {
        const char *before, *key, *after;
    } parts[] = {{"", "method.name", ""},
                 {" on ", "data.name", ""},
                 {", backbone ", "backbone.name", ""},
                 {" of width ", "backbone.width", ""},
                 {", ", "train.epochs", " epochs"},
                 {"; stopped: ", "stopped", ""}};
    char text[128];
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && used < sizeof e->note; i++)
        if (*record_text(r, parts[i].key, text, sizeof text))
            used += (size_t)snprintf(e->note + used, sizeof e->note - used, "%s%s%s", used ? parts[i].before : "", text,
                                     parts[i].after);
}

static bool take_history(exhibit *e, const char *folder, error *err) {
    char path[1200];
    record r = {.folder = (char *)folder};
    history h;
    snprintf(path, sizeof path, "%.1100s/run.json", folder);
    if (!record_peek(path, &r.run, err)) return false;
    if (r.run) describe_run(e, &r);
    e->final = json_deep_copy(json_object_get(r.run, "final"));
    const json_t *chance = json_object_get(r.run, "chance_loss");
    if (json_is_number(chance)) e->chance_loss = json_number_value(chance);
    json_decref(r.run);
    snprintf(path, sizeof path, "%.1100s/metrics.jsonl", folder);
    if (!collapse_history_read(&e->history, path, err) || !history_read(&h, &r, err)) return false;
    const double *epochs = history_column(&h, "epoch"), *losses = history_column(&h, "loss");
    bool ok = true;
    if (epochs && losses) {
        e->loss_epoch = malloc(2 * h.rows * sizeof *e->loss_epoch);
        ok = e->loss_epoch || error_memory(err, 2 * h.rows * sizeof *e->loss_epoch, "a run's losses");
        if (ok) e->loss = e->loss_epoch + h.rows;
        for (size_t i = 0; ok && i < h.rows; i++)
            if (isfinite(epochs[i]) && isfinite(losses[i]))
                e->loss_epoch[e->losses] = epochs[i], e->loss[e->losses++] = losses[i];
    }
    history_free(&h);
    return ok;
}

bool exhibit_make(exhibit *e, const exhibit_source *from, error *err) {
    sample s = {0};
    size_t points = from->points && from->points < EXHIBIT_POINTS ? from->points : EXHIBIT_POINTS;
    *e = (exhibit){.name = strdup(from->name),
                   .figures = json_deep_copy(from->figures),
                   .by_kmeans = from->by_kmeans,
                   .chance_loss = NAN};
    bool ok = (e->name && e->figures) || error_memory(err, 1 << 12, "a page");
    ok = ok && sample_take(&s, from, err) && take_map(e, &s, points, err) && take_covariance(e, &s, err) &&
         take_adjacency(e, &s, err) && take_counts(e, from, err) && (!from->run || take_history(e, from->run, err));
    sample_free(&s);
    if (!ok) exhibit_free(e);
    return ok;
}

void exhibit_free(exhibit *e) {
    free(e->name);
    json_decref(e->figures);
    json_decref(e->final);
    free(e->map);
    free(e->by_label.of);
    free(e->by_cluster.of);
    free(e->covariance);
    free(e->adjacency);
    free(e->adjacency_by_label);
    free(e->code_use);
    free(e->cluster_rows);
    collapse_history_free(&e->history);
    free(e->loss_epoch);
    *e = (exhibit){0};
}

double exhibit_figure(const exhibit *e, const char *name) {
    const json_t *value = json_object_get(e->figures, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const json_t *exhibit_verdict(const exhibit *e, collapse_mode mode) {
    return json_object_get(json_object_get(e->figures, "verdicts"), collapse_mode_name(mode));
}
