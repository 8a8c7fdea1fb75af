/*
 * The probe's few products go through engine ops that are not recorded; the softmax of a batch's few classes and the
 * counting are done here. The bank is a queue, newest rows first, with each row's label beside it.
 */
#include "experiments/run/online.h"
#include "analysis/probes/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NO_LABEL = -1, ROWS_AT_ONCE = 4096 };
static const double momentum = 0.9;

struct online {
    const eval_options *options;
    int features, views, pairs, classes;
    batchnorm norm;
    tensor *weight, *bias, *weight_velocity, *bias_velocity; /* (classes, features), (1, classes) */
    tensor *bank, *bank_labels;                              /* (bank, features), (bank, 1) */
    float *logits;                                           /* (views·pairs or ROWS_AT_ONCE, classes) */
    float *labels;                                           /* (pairs) */
    double loss, train;
};

static tensor *add(parameters *p, const char *name, int64_t rows, int64_t cols, double value, error *err) {
    return parameters_add(p, name, ROLE_BUFFER, 2, (int64_t[]){rows, cols}, INIT_VALUE, value, err);
}

static bool add_linear(online *o, parameters *p, error *err) {
    int64_t c = o->classes, d = o->features;
    return parameters_batchnorm(p, "online.norm", d, false, &o->norm, err) &&
           (o->weight = add(p, "online.linear.weight", c, d, 0, err)) &&
           (o->bias = add(p, "online.linear.bias", 1, c, 0, err)) &&
           (o->weight_velocity = add(p, "online.velocity.weight", c, d, 0, err)) &&
           (o->bias_velocity = add(p, "online.velocity.bias", 1, c, 0, err));
}

static bool add_bank(online *o, parameters *p, error *err) {
    int64_t rows = o->options->online_bank > o->pairs ? o->options->online_bank : o->pairs;
    return (o->bank = add(p, "online.bank.features", rows, o->features, 0, err)) &&
           (o->bank_labels = add(p, "online.bank.labels", rows, 1, NO_LABEL, err));
}

online *online_create(parameters *p, const eval_options *options, int features, int views, int pairs, int classes,
                      error *err) {
    online *o = calloc(1, sizeof *o);
    if (!o) return error_memory(err, sizeof *o, "an online probe"), NULL;
    *o = (online){.options = options, .features = features, .views = views, .pairs = pairs, .classes = classes};
    o->loss = o->train = (double)NAN;
    size_t rows = (size_t)views * (size_t)pairs, logits = (rows > ROWS_AT_ONCE ? rows : ROWS_AT_ONCE) * (size_t)classes;
    o->logits = malloc(logits * sizeof *o->logits);
    o->labels = malloc((size_t)pairs * sizeof *o->labels);
    bool ok = (o->logits && o->labels) || error_memory(err, logits * sizeof *o->logits, "an online probe");
    ok = ok && (!(options->online & EVAL_ONLINE_LINEAR) || add_linear(o, p, err)) &&
         (!(options->online & EVAL_ONLINE_KNN) || add_bank(o, p, err));
    if (ok) return o;
    online_destroy(o);
    return NULL;
}

void online_destroy(online *o) {
    if (!o) return;
    free(o->logits);
    free(o->labels);
    free(o);
}

double online_loss(const online *o) { return o->loss; }
double online_train(const online *o) { return o->train; }

/* ---- training ---------------------------------------------------------------------------------------------------- */

static bool is_label(const online *o, int label) { return label >= 0 && label < o->classes; }

/* Logits (views·pairs, classes) become their gradient, softmax − one-hot (0 in rows without a label), and the batch's
   loss and share right are noted. Returns how many rows had a label. */
static int64_t take_gradient(online *o, const int *labels) {
    int64_t rows = (int64_t)o->views * o->pairs, labelled = 0, right = 0;
    double loss = 0;
    for (int64_t i = 0; i < rows; i++) {
        float *row = o->logits + i * o->classes;
        int label = labels[i % o->pairs], best = 0;
        double sum = 0;
        for (int j = 1; j < o->classes; j++) best = row[j] > row[best] ? j : best;
        double most = row[best];
        for (int j = 0; j < o->classes; j++) sum += exp(row[j] - most);
        if (!is_label(o, label)) {
            memset(row, 0, (size_t)o->classes * sizeof *row);
            continue;
        }
        labelled++, right += best == label, loss += most + log(sum) - row[label];
        for (int j = 0; j < o->classes; j++) row[j] = (float)(exp(row[j] - most) / sum) - (float)(j == label);
    }
    o->loss = labelled ? loss / (double)labelled : (double)NAN;
    o->train = labelled ? (double)right / (double)labelled : (double)NAN;
    return labelled;
}

/* v ← μv + g;  w ← w − rate·v */
static void descend(tape *t, tensor *w, tensor *v, tensor *gradient, double rate) {
    tape_assign(t, v, op_add(t, op_scale(t, v, momentum), gradient));
    tape_assign(t, w, op_add(t, w, op_scale(t, v, -rate)));
}

static void train_linear(online *o, tape *t, tensor *z, const int *labels, double rate) {
    tensor *x = op_batchnorm(t, z, &o->norm, NULL, false, 1, true);
    tape_read(t, op_linear(t, x, o->weight, o->bias), o->logits);
    int64_t labelled = take_gradient(o, labels);
    if (!labelled) return;
    double share = 1 / (double)labelled;
    tensor *gradient = tape_matrix(t, o->logits, (int64_t)o->views * o->pairs, o->classes);
    descend(t, o->weight, o->weight_velocity, op_matmul(t, gradient, true, x, false, share), rate);
    descend(t, o->bias, o->bias_velocity, op_scale(t, op_sum(t, gradient, AXIS_ROWS), share), rate);
}

/* `fresh` rows in front, the oldest ones out. */
static void push(tape *t, tensor *queue, tensor *fresh) {
    int64_t kept = tensor_rows(queue) - tensor_rows(fresh);
    tape_assign(t, queue, kept ? op_concat_rows(t, fresh, op_slice_rows(t, queue, 0, kept)) : fresh);
}

static void fill_bank(online *o, tape *t, tensor *z, const int *labels) {
    for (int i = 0; i < o->pairs; i++) o->labels[i] = (float)(is_label(o, labels[i]) ? labels[i] : NO_LABEL);
    push(t, o->bank, op_slice_rows(t, z, 0, o->pairs));
    push(t, o->bank_labels, tape_matrix(t, o->labels, o->pairs, 1));
}

void online_step(online *o, tape *t, tensor *z, const int *labels, double pace) {
    bool was = tape_set_recording(t, false);
    size_t mark = tape_mark(t);
    if (o->weight) train_linear(o, t, z, labels, pace * o->options->online_lr);
    if (o->bank) fill_bank(o, t, z, labels);
    tape_release(t, mark, NULL);
    tape_set_recording(t, was);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static bool measure_linear(online *o, tape *t, matrix rows, const int32_t *labels, double *share, error *err) {
    bool was = tape_set_recording(t, false);
    size_t right = 0;
    for (size_t first = 0; first < rows.rows; first += ROWS_AT_ONCE) {
        size_t n = rows.rows - first < ROWS_AT_ONCE ? rows.rows - first : ROWS_AT_ONCE, mark = tape_mark(t);
        tensor *z = tape_matrix(t, rows.data + first * rows.cols, (int64_t)n, (int64_t)rows.cols);
        tensor *x = op_batchnorm(t, z, &o->norm, NULL, false, 1, false);
        tape_read(t, op_linear(t, x, o->weight, o->bias), o->logits);
        tape_release(t, mark, NULL);
        if (!tape_check(t, err)) break;
        for (size_t i = 0; i < n; i++) {
            const float *row = o->logits + i * (size_t)o->classes;
            int best = 0;
            for (int j = 1; j < o->classes; j++) best = row[j] > row[best] ? j : best;
            right += best == labels[first + i];
        }
    }
    tape_set_recording(t, was);
    *share = rows.rows ? (double)right / (double)rows.rows : (double)NAN;
    return err->code == ERROR_NONE;
}

/* The bank's rows that have a label, packed to the front of `values`; how many they are. */
static size_t pack(const online *o, float *values, const float *marks, int32_t *labels) {
    size_t used = 0, d = (size_t)o->features;
    for (size_t i = 0; i < (size_t)tensor_rows(o->bank); i++) {
        if (marks[i] < 0) continue;
        if (used != i) memcpy(values + used * d, values + i * d, d * sizeof *values);
        labels[used++] = (int32_t)marks[i];
    }
    return used;
}

static bool measure_knn(online *o, tape *t, matrix rows, const int32_t *labels, double *share, error *err) {
    size_t most = (size_t)tensor_rows(o->bank), d = (size_t)o->features;
    float *values = malloc(most * d * sizeof *values), *marks = malloc(most * sizeof *marks);
    int32_t *of = malloc(most * sizeof *of);
    bool ok = (values && marks && of) || error_memory(err, most * d * sizeof *values, "the online bank");
    if (ok) tape_read(t, o->bank, values), tape_read(t, o->bank_labels, marks);
    size_t used = ok ? pack(o, values, marks, of) : 0;
    if (used) {
        knn_options with = {.neighbours = (size_t)o->options->knn_k, .temperature = o->options->knn_temperature};
        knn_result got;
        ok = knn_evaluate((matrix){values, used, d}, of, rows, labels, o->classes, &with, NULL, &got, err);
        if (ok) *share = got.top1;
    }
    free(values);
    free(marks);
    free(of);
    return ok;
}

bool online_measure(online *o, tape *t, matrix rows, const int32_t *labels, online_figures *out, error *err) {
    *out = (online_figures){.linear = (double)NAN, .knn = (double)NAN};
    return (!o->weight || measure_linear(o, t, rows, labels, &out->linear, err)) &&
           (!o->bank || measure_knn(o, t, rows, labels, &out->knn, err));
}
