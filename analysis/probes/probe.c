/*
 * The objective is smooth and convex but badly conditioned: features correlate. L-BFGS therefore starts each step from
 * the curvature it can know beforehand. Where all classes are equally likely the Hessian is (I − 11ᵀ/c)/c ⊗ S with S
 * the features' correlation matrix, so (S/c + penalty)⁻¹, one Cholesky factor of d×d, stands in for the inverse
 * Hessian, and some tens of steps do what would take hundreds.
 */
#include "analysis/probes/probe.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 256, MEMORY = 10, ITERATIONS = 300, LINE_STEPS = 30 };
static const double PENALTY = 1e-4, TOLERANCE = 1e-5;
/* Armijo's and Wolfe's constants as in Nocedal & Wright, and what float32 logits leave uncertain in a mean loss. */
static const double SUFFICIENT = 1e-4, CURVATURE = 0.9, LOSS_NOISE = 1e-7;

/* Parameters θ: W (d, c) row by row, then the bias (c). */
typedef struct probe {
    const float *x; /* (n, d) standardised */
    const int32_t *labels;
    size_t n, d, c, params;
    double penalty;
    size_t blocks;
    double *block_gradients; /* (groups, params): see evaluate */
    double *block_losses;    /* (groups) */
    float *weights;          /* (params) θ in float32 */
    double *factor;          /* (d, d) Cholesky factor of S/c + penalty */
} probe;

enum { GROUPS = 8 }; /* partial sums, combined in order, whatever the number of threads */

/* softmax(x W + b) − one-hot over the block, over n: logits (rows, c) in place. Returns Σ −log p of the labels. */
static double residuals(const probe *p, float *logits, size_t start, size_t rows) {
    double loss = 0;
    const float *bias = p->weights + p->d * p->c;
    for (size_t i = 0; i < rows; i++) {
        float *z = logits + i * p->c, top = -INFINITY;
        for (size_t j = 0; j < p->c; j++) {
            z[j] += bias[j];
            if (z[j] > top) top = z[j];
        }
        int32_t label = p->labels[start + i];
        double sum = 0, own = (double)z[label] - top;
        for (size_t j = 0; j < p->c; j++) {
            z[j] = expf(z[j] - top);
            sum += z[j];
        }
        loss += log(sum) - own;
        float scale = (float)(1 / (sum * (double)p->n));
        for (size_t j = 0; j < p->c; j++) z[j] *= scale;
        z[label] -= (float)(1 / (double)p->n);
    }
    return loss;
}

/* Loss and gradient of a group of blocks, into its own partial sums. */
static bool evaluate_group(probe *p, size_t group) {
    size_t d = p->d, c = p->c;
    double *gradient = p->block_gradients + group * p->params;
    float *logits = malloc((BLOCK_ROWS * c + d * c) * sizeof *logits);
    if (!logits) return false;
    float *part = logits + BLOCK_ROWS * c;
    memset(gradient, 0, p->params * sizeof *gradient);
    p->block_losses[group] = 0;
    for (size_t b = group * p->blocks / GROUPS; b < (group + 1) * p->blocks / GROUPS; b++) {
        size_t start = b * BLOCK_ROWS, rows = p->n - start < BLOCK_ROWS ? p->n - start : BLOCK_ROWS;
        const float *x = p->x + start * d;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)c, (int)d, 1, x, (int)d, p->weights,
                    (int)c, 0, logits, (int)c);
        p->block_losses[group] += residuals(p, logits, start, rows);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)d, (int)c, (int)rows, 1, x, (int)d, logits, (int)c, 0,
                    part, (int)c);
        for (size_t i = 0; i < d * c; i++) gradient[i] += part[i];
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < c; j++) gradient[d * c + j] += logits[i * c + j];
    }
    free(logits);
    return true;
}

/* Mean cross-entropy + penalty · ½‖W‖² and its gradient at theta. */
static bool evaluate(probe *p, const double *theta, double *loss, double *gradient, error *err) {
    bool ok = true;
    for (size_t i = 0; i < p->params; i++) p->weights[i] = (float)theta[i];
#pragma omp parallel for schedule(static) reduction(&& : ok)
    for (size_t group = 0; group < GROUPS; group++) ok = evaluate_group(p, group) && ok;
    if (!ok) return error_memory(err, (BLOCK_ROWS + p->d) * p->c * sizeof(float), "a block of the probe");
    *loss = 0;
    for (size_t i = 0; i < p->params; i++) {
        double decay = i < p->d * p->c ? p->penalty * theta[i] : 0;
        gradient[i] = decay;
        for (size_t group = 0; group < GROUPS; group++) gradient[i] += p->block_gradients[group * p->params + i];
        *loss += 0.5 * decay * theta[i];
    }
    for (size_t group = 0; group < GROUPS; group++) *loss += p->block_losses[group] / (double)p->n;
    return true;
}

/* The penalised curvature S/c + penalty, factored; a singular one (dead or repeated columns, no penalty) gets a ridge.
 */
static bool precondition(probe *p, error *err) {
    matrix x = {p->x, p->n, p->d};
    if (!matrix_gram(x, 0, p->n, NULL, p->factor, err)) return false;
    for (size_t i = 0; i < p->d * p->d; i++) p->factor[i] /= (double)p->n * (double)p->c;
    for (size_t i = 0; i < p->d; i++) p->factor[i * p->d + i] += fmax(p->penalty, 1e-7);
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (lapack_int)p->d, p->factor, (lapack_int)p->d))
        return error_set(err, ERROR_RUN, "linear probe: the features' correlation matrix has no Cholesky factor");
    return true;
}

/* v ← H₀ v: the inverse curvature on each class's weights, c on the bias, whose features are all 1. */
static void apply_metric(const probe *p, double *v) {
    /* Row-major (d, c) is column-major (c, d): solve from the right, V (L Lᵀ)⁻¹. */
    cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)p->c, (int)p->d, 1, p->factor,
                (int)p->d, v, (int)p->c);
    cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)p->c, (int)p->d, 1, p->factor,
                (int)p->d, v, (int)p->c);
    for (size_t j = 0; j < p->c; j++) v[p->d * p->c + j] *= (double)p->c;
}

static double dot(const double *a, const double *b, size_t n) { return cblas_ddot((int)n, a, 1, b, 1); }

/* The last steps s and gradient changes y, a ring. */
typedef struct history {
    double *s, *y, rho[MEMORY]; /* (MEMORY, params) */
    size_t count, next;
    double gamma; /* sᵀy / yᵀH₀y of the last pair: the scale of H₀ */
} history;

/* direction ← −H gradient by the two-loop recursion (Nocedal 1980). */
static void descend(const probe *p, const history *h, const double *gradient, double *direction) {
    double alpha[MEMORY];
    memcpy(direction, gradient, p->params * sizeof *direction);
    for (size_t i = 0; i < h->count; i++) {
        size_t at = (h->next + MEMORY - 1 - i) % MEMORY;
        alpha[at] = h->rho[at] * dot(h->s + at * p->params, direction, p->params);
        cblas_daxpy((int)p->params, -alpha[at], h->y + at * p->params, 1, direction, 1);
    }
    apply_metric(p, direction);
    cblas_dscal((int)p->params, h->gamma, direction, 1);
    for (size_t i = h->count; i-- > 0;) {
        size_t at = (h->next + MEMORY - 1 - i) % MEMORY;
        double beta = h->rho[at] * dot(h->y + at * p->params, direction, p->params);
        cblas_daxpy((int)p->params, alpha[at] - beta, h->s + at * p->params, 1, direction, 1);
    }
    cblas_dscal((int)p->params, -1, direction, 1);
}

/* Remembers the pair if it shows positive curvature. scratch (params). */
static void remember(const probe *p, history *h, const double *s, const double *y, double *scratch) {
    double sy = dot(s, y, p->params);
    if (!(sy > 1e-9 * sqrt(dot(s, s, p->params) * dot(y, y, p->params)))) return;
    memcpy(h->s + h->next * p->params, s, p->params * sizeof *s);
    memcpy(h->y + h->next * p->params, y, p->params * sizeof *y);
    memcpy(scratch, y, p->params * sizeof *scratch);
    apply_metric(p, scratch);
    h->gamma = sy / dot(y, scratch, p->params);
    h->rho[h->next] = 1 / sy;
    h->next = (h->next + 1) % MEMORY;
    if (h->count < MEMORY) h->count++;
}

static double largest(const double *v, size_t n) {
    double top = 0;
    for (size_t i = 0; i < n; i++) top = fmax(top, fabs(v[i]));
    return top;
}

/*
 * Minimises from zero; theta (params) takes the result. Each step is found by bisection under the weak Wolfe conditions
 * (Lewis & Overton 2013), which nearly always take the first length, 1.
 */
static bool minimise(probe *p, int iterations, double tolerance, double *theta, probe_result *out, error *err) {
    size_t size = p->params;
    double *work = calloc((5 + 2 * MEMORY) * size, sizeof *work);
    if (!work) return error_memory(err, (5 + 2 * MEMORY) * size * sizeof *work, "L-BFGS");
    double *gradient = work, *direction = work + size, *trial = work + 2 * size, *trial_gradient = work + 3 * size;
    double *scratch = work + 4 * size, loss;
    history h = {.s = work + 5 * size, .y = work + (5 + MEMORY) * size, .gamma = 1};
    memset(theta, 0, size * sizeof *theta);
    bool ok = evaluate(p, theta, &loss, gradient, err);
    for (out->iterations = 0; ok && out->iterations < iterations; out->iterations++) {
        out->converged = largest(gradient, size) <= tolerance;
        if (out->converged) break;
        descend(p, &h, gradient, direction);
        double slope = dot(gradient, direction, size), step = 1, low = 0, high = INFINITY, found = loss;
        bool accepted = false;
        for (int i = 0; ok && !accepted && i < LINE_STEPS; i++) {
            for (size_t j = 0; j < size; j++) trial[j] = theta[j] + step * direction[j];
            ok = evaluate(p, trial, &found, trial_gradient, err);
            if (!(found <= loss + SUFFICIENT * step * slope + LOSS_NOISE * fabs(loss)))
                high = step;
            else if (dot(trial_gradient, direction, size) < CURVATURE * slope)
                low = step;
            else
                accepted = true;
            if (!accepted) step = isinf(high) ? 2 * low : 0.5 * (low + high);
        }
        if (!ok || !accepted) break; /* nothing left to gain in float32 */
        for (size_t j = 0; j < size; j++)
            direction[j] = trial[j] - theta[j], gradient[j] = trial_gradient[j] - gradient[j];
        remember(p, &h, direction, gradient, scratch);
        memcpy(theta, trial, size * sizeof *theta);
        memcpy(gradient, trial_gradient, size * sizeof *gradient);
        loss = found;
    }
    out->loss = loss;
    free(work);
    return ok;
}

/* Rows about the training set's means in units of its standard deviations; a constant column becomes zero. */
static bool standardise(matrix m, const double *means, const double *inverse_sd, float **out, error *err) {
    *out = malloc(m.rows * m.cols * sizeof **out);
    if (!*out) return error_memory(err, m.rows * m.cols * sizeof **out, "standardised features");
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < m.cols; j++)
            (*out)[i * m.cols + j] = (float)((m.data[i * m.cols + j] - means[j]) * inverse_sd[j]);
    return true;
}

/* One over each column's standard deviation, 0 where that is but float32 rounding of the mean. */
static bool inverse_deviations(matrix m, double *means, double *inverse_sd, error *err) {
    if (!matrix_means(m, means, err)) return false;
    for (size_t j = 0; j < m.cols; j++) inverse_sd[j] = 0;
    for (size_t i = 0; i < m.rows; i++)
        for (size_t j = 0; j < m.cols; j++) {
            double x = m.data[i * m.cols + j] - means[j];
            inverse_sd[j] += x * x;
        }
    for (size_t j = 0; j < m.cols; j++) {
        double sd = sqrt(inverse_sd[j] / (double)m.rows);
        inverse_sd[j] = sd > MATRIX_CONSTANT * fabs(means[j]) ? 1 / sd : 0;
    }
    return true;
}

/* Shares of rows whose label is the best and among the best five; predicted (n, or NULL). */
static bool score(const probe *p, const float *x, size_t n, const int32_t *labels, int32_t *predicted, double *top1,
                  double *top5, error *err) {
    size_t first = 0, five = 0, c = p->c;
    float *logits = malloc(BLOCK_ROWS * c * sizeof *logits);
    if (!logits) return error_memory(err, BLOCK_ROWS * c * sizeof *logits, "logits");
    for (size_t start = 0; start < n; start += BLOCK_ROWS) {
        size_t rows = n - start < BLOCK_ROWS ? n - start : BLOCK_ROWS;
        for (size_t i = 0; i < rows; i++) memcpy(logits + i * c, p->weights + p->d * c, c * sizeof *logits);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)c, (int)p->d, 1, x + start * p->d,
                    (int)p->d, p->weights, (int)c, 1, logits, (int)c);
        for (size_t i = 0; i < rows; i++) {
            const float *z = logits + i * c, own = z[labels[start + i]];
            size_t before = 0, winner = 0;
            for (size_t j = 0; j < c; j++) {
                before += z[j] > own || (z[j] == own && j < (size_t)labels[start + i]);
                if (z[j] > z[winner]) winner = j;
            }
            first += before == 0, five += before < 5;
            if (predicted) predicted[start + i] = (int32_t)winner;
        }
    }
    free(logits);
    *top1 = (double)first / (double)n, *top5 = (double)five / (double)n;
    return true;
}

bool probe_evaluate(matrix train, const int32_t *train_labels, matrix test, const int32_t *test_labels, int classes,
                    const probe_options *options, int32_t *predicted, probe_result *out, error *err) {
    static const probe_options usual = {0};
    const probe_options *o = options ? options : &usual;
    *out = (probe_result){0};
    if (!matrix_check(train, "linear probe's training set", err) || !matrix_check(test, "linear probe's test set", err))
        return false;
    if (classes < 2) return error_set(err, ERROR_RUN, "linear probe: %d classes; there have to be 2", classes);
    if (train.cols != test.cols)
        return error_set(err, ERROR_RUN, "linear probe: training rows have %zu columns, test rows %zu", train.cols,
                         test.cols);
    if (!labels_check(train_labels, train.rows, classes, "linear probe's training set", err) ||
        !labels_check(test_labels, test.rows, classes, "linear probe's test set", err))
        return false;

    size_t d = train.cols, c = (size_t)classes;
    probe p = {.labels = train_labels, .n = train.rows, .d = d, .c = c, .params = (d + 1) * c};
    p.penalty = o->penalty < 0 ? 0 : o->penalty > 0 ? o->penalty : PENALTY;
    p.blocks = (p.n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    p.block_gradients = malloc(GROUPS * p.params * sizeof *p.block_gradients);
    p.block_losses = malloc(GROUPS * sizeof *p.block_losses);
    p.weights = malloc(p.params * sizeof *p.weights);
    p.factor = malloc(d * d * sizeof *p.factor);
    double *theta = malloc(p.params * sizeof *theta), *means = malloc(d * sizeof *means), *sd = malloc(d * sizeof *sd);
    float *x = NULL, *y = NULL;
    bool ok = p.block_gradients && p.block_losses && p.weights && p.factor && theta && means && sd;
    if (!ok) error_memory(err, (GROUPS * p.params + d * d) * sizeof(double), "the linear probe");
    ok = ok && inverse_deviations(train, means, sd, err) && standardise(train, means, sd, &x, err) &&
         standardise(test, means, sd, &y, err);
    p.x = x;
    ok = ok && precondition(&p, err) &&
         minimise(&p, o->iterations ? o->iterations : ITERATIONS, o->tolerance > 0 ? o->tolerance : TOLERANCE, theta,
                  out, err);
    for (size_t i = 0; ok && i < p.params; i++) p.weights[i] = (float)theta[i];
    ok = ok && score(&p, x, train.rows, train_labels, NULL, &out->train_top1, &out->train_top5, err) &&
         score(&p, y, test.rows, test_labels, predicted, &out->test_top1, &out->test_top5, err);
    free(p.block_gradients);
    free(p.block_losses);
    free(p.weights);
    free(p.factor);
    free(theta);
    free(means);
    free(sd);
    free(x);
    free(y);
    return ok;
}
