/*
 * The assignment problem by shortest augmenting paths with dual potentials (Kuhn 1955; Jonker & Volgenant 1987): rows
 * join one by one, each along the cheapest alternating path, found as Dijkstra would on reduced costs. The smaller side
 * plays the rows, so 10 labels against 16,384 codes cost nothing.
 */
#include "analysis/clusters/agreement.h"

#include <math.h>
#include <stdlib.h>

typedef struct problem {
    const double *weight;
    size_t rows, cols, ld; /* rows ≤ cols, after turning */
    bool turned;           /* the caller's rows are our columns */
    double *row_price, *col_price, *distance;
    int32_t *row_of, *came_from; /* of each column; −1: free */
    bool *done;
} problem;

static double cost(const problem *p, size_t i, size_t j) {
    return -(p->turned ? p->weight[j * p->ld + i] : p->weight[i * p->ld + j]);
}

/* Finds the cheapest path from free row `start` to a free column and flips the matches along it. */
static void augment(problem *p, size_t start) {
    size_t row = start, col = p->cols;
    int32_t previous = -1;
    for (size_t j = 0; j < p->cols; j++) p->distance[j] = INFINITY, p->done[j] = false;
    double reached = 0;
    for (;;) {
        double nearest = INFINITY;
        for (size_t j = 0; j < p->cols; j++) {
            if (p->done[j]) continue;
            double length = reached + cost(p, row, j) - p->row_price[row] - p->col_price[j];
            if (length < p->distance[j]) p->distance[j] = length, p->came_from[j] = previous;
            if (p->distance[j] < nearest) nearest = p->distance[j], col = j;
        }
        reached = nearest;
        p->done[col] = true;
        previous = (int32_t)col;
        if (p->row_of[col] < 0) break;
        row = (size_t)p->row_of[col];
    }
    p->row_price[start] += reached;
    for (size_t j = 0; j < p->cols; j++) {
        if (!p->done[j] || j == col) continue;
        p->row_price[p->row_of[j]] += reached - p->distance[j];
        p->col_price[j] -= reached - p->distance[j];
    }
    while (p->came_from[col] >= 0) {
        size_t before = (size_t)p->came_from[col];
        p->row_of[col] = p->row_of[before];
        col = before;
    }
    p->row_of[col] = (int32_t)start;
}

bool agreement_match(const double *weight, size_t rows, size_t cols, int32_t *match, error *err) {
    problem p = {.weight = weight, .rows = rows, .cols = cols, .ld = cols, .turned = rows > cols};
    if (p.turned) p.rows = cols, p.cols = rows;
    p.row_price = calloc(p.rows + 1, sizeof *p.row_price);
    p.col_price = calloc(p.cols + 1, sizeof *p.col_price);
    p.distance = malloc((p.cols + 1) * sizeof *p.distance);
    p.row_of = malloc((p.cols + 1) * sizeof *p.row_of);
    p.came_from = malloc((p.cols + 1) * sizeof *p.came_from);
    p.done = malloc((p.cols + 1) * sizeof *p.done);
    bool ok = p.row_price && p.col_price && p.distance && p.row_of && p.came_from && p.done;
    if (!ok) {
        error_memory(err, (rows + cols) * 40, "a matching");
        goto done;
    }
    for (size_t j = 0; j < p.cols; j++) p.row_of[j] = -1;
    for (size_t i = 0; i < p.rows; i++) augment(&p, i);
    for (size_t i = 0; i < rows; i++) match[i] = p.turned ? p.row_of[i] : -1;
    for (size_t j = 0; !p.turned && j < p.cols; j++)
        if (p.row_of[j] >= 0) match[p.row_of[j]] = (int32_t)j;
done:
    free(p.row_price);
    free(p.col_price);
    free(p.distance);
    free(p.row_of);
    free(p.came_from);
    free(p.done);
    return ok;
}
