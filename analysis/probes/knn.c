#include "analysis/probes/knn.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* The product packs anew, for each block of test rows all training rows, and for each of training rows these test rows:
 * blocks that are both tall and whose dots stay in the second-level cache cost little. */
enum { TEST_ROWS = 512, TRAIN_ROWS = 512, NEIGHBOURS = 20, STRETCH = 64 };
static const double TEMPERATURE = 0.07;

/* The nearest so far of one test row, best first; equal cosines keep the training set's order. */
typedef struct nearest {
    float *cosine;
    uint32_t *row;
    size_t count;
} nearest;

static void offer(nearest *best, size_t k, float cosine, uint32_t row) {
    if (best->count == k && !(cosine > best->cosine[k - 1])) return;
    size_t at = best->count < k ? best->count++ : k - 1;
    for (; at > 0 && cosine > best->cosine[at - 1]; at--)
        best->cosine[at] = best->cosine[at - 1], best->row[at] = best->row[at - 1];
    best->cosine[at] = cosine, best->row[at] = row;
}

/* One test row's dots with `count` training rows from number `first` on. Few are near enough once k are known, so
 * stretches are passed over by their nearest, which the compiler finds several at a time. */
static void offer_all(nearest *best, size_t k, const float *dots, const float *train_scale, float test_scale,
                      size_t count, size_t first) {
    for (size_t at = 0; at < count; at += STRETCH) {
        size_t end = count - at < STRETCH ? count : at + STRETCH;
        float most = -INFINITY;
#pragma omp simd reduction(max : most)
        for (size_t j = at; j < end; j++) {
            float cosine = dots[j] * train_scale[j] * test_scale;
            most = cosine > most ? cosine : most;
        }
        if (best->count == k && !(most > best->cosine[k - 1])) continue;
        for (size_t j = at; j < end; j++) offer(best, k, dots[j] * train_scale[j] * test_scale, (uint32_t)(first + j));
    }
}

static float *inverse_norms(matrix m, error *err) {
    double *norms = malloc(m.rows * sizeof *norms);
    float *inverse = malloc(m.rows * sizeof *inverse);
    if (norms && inverse) {
        matrix_row_norms(m, norms);
        for (size_t i = 0; i < m.rows; i++) inverse[i] = norms[i] > 0 ? (float)(1 / norms[i]) : 0;
    } else {
        error_memory(err, 12 * m.rows, "norms of rows");
        free(inverse);
        inverse = NULL;
    }
    free(norms);
    return inverse;
}

/* What one thread needs for a block of test rows. */
typedef struct workspace {
    float *dots, *cosine; /* (TEST_ROWS, TRAIN_ROWS), (TEST_ROWS, k) */
    uint32_t *row;        /* (TEST_ROWS, k) */
    double *votes;        /* (classes) */
    nearest best[TEST_ROWS];
} workspace;

static bool workspace_make(workspace *w, size_t k, int classes) {
    w->dots = malloc(TEST_ROWS * TRAIN_ROWS * sizeof *w->dots);
    w->cosine = malloc(TEST_ROWS * k * sizeof *w->cosine);
    w->row = malloc(TEST_ROWS * k * sizeof *w->row);
    w->votes = malloc((size_t)classes * sizeof *w->votes);
    for (size_t i = 0; i < TEST_ROWS; i++) w->best[i] = (nearest){w->cosine + i * k, w->row + i * k, 0};
    return w->dots && w->cosine && w->row && w->votes;
}

static void workspace_free(workspace *w) {
    free(w->dots);
    free(w->cosine);
    free(w->row);
    free(w->votes);
}

typedef struct search {
    matrix train, test;
    const float *train_scale, *test_scale; /* one over each row's norm */
    size_t k;
} search;

static void find_nearest(const search *s, size_t start, size_t rows, workspace *w) {
    size_t d = s->train.cols;
    for (size_t i = 0; i < rows; i++) w->best[i].count = 0;
    for (size_t first = 0; first < s->train.rows; first += TRAIN_ROWS) {
        size_t width = s->train.rows - first < TRAIN_ROWS ? s->train.rows - first : TRAIN_ROWS;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)width, (int)d, 1, s->test.data + start * d,
                    (int)d, s->train.data + first * d, (int)d, 0, w->dots, (int)width);
        for (size_t i = 0; i < rows; i++)
            offer_all(&w->best[i], s->k, w->dots + i * width, s->train_scale + first, s->test_scale[start + i], width,
                      first);
    }
}

/* Classes in front of `label`: more votes, or as many and a lower number. */
static int rank_of(const double *votes, int classes, int32_t label) {
    int rank = 0;
    for (int c = 0; c < classes; c++) rank += votes[c] > votes[label] || (votes[c] == votes[label] && c < label);
    return rank;
}

bool knn_evaluate(matrix train, const int32_t *train_labels, matrix test, const int32_t *test_labels, int classes,
                  const knn_options *options, int32_t *predicted, knn_result *out, error *err) {
    double temperature = options && options->temperature > 0 ? options->temperature : TEMPERATURE;
    size_t k = options && options->neighbours ? options->neighbours : NEIGHBOURS, top1 = 0, top5 = 0;
    *out = (knn_result){0};
    if (!matrix_check(train, "kNN's training set", err) || !matrix_check(test, "kNN's test set", err)) return false;
    if (train.cols != test.cols)
        return error_set(err, ERROR_RUN, "kNN: training rows have %zu columns, test rows %zu", train.cols, test.cols);
    if (!labels_check(train_labels, train.rows, classes, "kNN's training set", err) ||
        !labels_check(test_labels, test.rows, classes, "kNN's test set", err))
        return false;
    float *train_scale = inverse_norms(train, err), *test_scale = inverse_norms(test, err);
    search s = {train, test, train_scale, test_scale, k < train.rows ? k : train.rows};
    bool ok = train_scale && test_scale;
    if (!ok) goto done;
#pragma omp parallel reduction(+ : top1, top5) reduction(&& : ok)
    {
        workspace w;
        ok = workspace_make(&w, s.k, classes);
#pragma omp for schedule(static)
        for (size_t start = 0; start < test.rows; start += TEST_ROWS) {
            size_t rows = test.rows - start < TEST_ROWS ? test.rows - start : TEST_ROWS;
            if (!ok) continue;
            find_nearest(&s, start, rows, &w);
            for (size_t i = 0; i < rows; i++) {
                int32_t label = test_labels[start + i], winner = 0;
                for (int c = 0; c < classes; c++) w.votes[c] = 0;
                for (size_t j = 0; j < w.best[i].count; j++)
                    w.votes[train_labels[w.best[i].row[j]]] += exp(w.best[i].cosine[j] / temperature);
                for (int32_t c = 1; c < classes; c++)
                    if (w.votes[c] > w.votes[winner]) winner = c;
                if (predicted) predicted[start + i] = winner;
                top1 += winner == label;
                top5 += w.votes[label] > 0 && rank_of(w.votes, classes, label) < 5; /* without a vote: not among them */
            }
        }
        workspace_free(&w);
    }
    if (!ok) error_memory(err, TEST_ROWS * TRAIN_ROWS * sizeof(float), "cosines");
    out->top1 = (double)top1 / (double)test.rows;
    out->top5 = (double)top5 / (double)test.rows;
done:
    free(train_scale);
    free(test_scale);
    return ok;
}
