/*
 * What is measured on a trained run. The images pass the network once, without augmentation, and everything else works
 * on those rows: probes fit on the training split and are judged on the test split (the validation split, where one is
 * held out); clusters and collapse are the latter's alone. Its embeddings, codes and labels stay in the run's folder,
 * so that the report and `mews diagnose` need no network.
 */
#include "experiments/run/evaluate.h"
#include "analysis/clusters/agreement.h"
#include "analysis/clusters/kmeans.h"
#include "analysis/metrics/metric.h"
#include "analysis/probes/knn.h"
#include "analysis/files/npy.h"
#include "analysis/probes/probe.h"
#include "engine/data/loader.h"
#include "engine/files/file.h"
#include "engine/files/record.h"
#include "experiments/run/judgement.h"
#include "experiments/run/landing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The authors' protocol under eval.batchnorm: batch takes batches of 64; otherwise the size decides nothing. */
enum { AUTHORS_BATCH = 64, BATCH = 256 };

/* A split as the backbone sees it: representations (n, d) and labels. */
typedef struct represented {
    uint32_t n;
    float *values;
    int32_t *labels;
} represented;

typedef struct evaluation {
    model *model;
    const dataset *data;
    run *run;
    const experiment_hooks *hooks;
    const eval_options *options;
    represented train, test;
    float *embeddings; /* (test.n, width) */
    int32_t *codes;    /* (test.n): argmax over codes, or NULL */
    usage *usage;
    json_t *final;        /* the figures, until all of them are there */
    uint64_t done, total; /* rows through the network, for progress */
} evaluation;

static void tell(evaluation *e, const char *what) {
    if (!e->hooks->progress) return;
    experiment_progress p = {
        .phase = "eval", .what = what, .done = e->done, .total = e->total, .loss = (double)NAN, .chance = (double)NAN};
    e->hooks->progress(e->hooks->context, &p);
}

static bool stopped(const evaluation *e) { return e->hooks->interrupted && *e->hooks->interrupted; }

static matrix matrix_of(const evaluation *e, const represented *r) {
    return (matrix){r->values, r->n, (size_t)e->model->head.features};
}

/* Through the network ---------------------------------------------------------------------------------------------- */

static bool represent(evaluation *e, dataset_split split, uint32_t limit, represented *out, error *err) {
    model *m = e->model;
    uint32_t count = dataset_count(e->data, split);
    int size = dataset_size(e->data), batch = e->options->batchnorm == EVAL_BATCHNORM_BATCH ? AUTHORS_BATCH : BATCH;
    size_t pixels_bytes = (size_t)batch * (size_t)size * (size_t)size * 3 * sizeof(float), d = (size_t)m->head.features;
    out->n = limit && limit < count ? limit : count;
    out->values = malloc(out->n * d * sizeof *out->values);
    out->labels = malloc(out->n * sizeof *out->labels);
    float *pixels = malloc(pixels_bytes);
    if (!out->values || !out->labels || !pixels) {
        free(pixels);
        return error_memory(err, out->n * d * sizeof(float) + pixels_bytes, "the representations");
    }
    for (uint32_t first = 0; first < out->n && !stopped(e); first += (uint32_t)batch) {
        uint32_t n = out->n - first < (uint32_t)batch ? out->n - first : (uint32_t)batch;
        if (!loader_plain(e->data, split, first, n, pixels, err)) {
            free(pixels);
            return false;
        }
        tape_reset(m->tape);
        model_represent(m, pixels, (int)n, size, out->values + first * d);
        for (uint32_t i = 0; i < n; i++) out->labels[first + i] = dataset_label(e->data, split, first + i);
        e->done += n;
        tell(e, "representations");
    }
    free(pixels);
    return tape_check(m->tape, err);
}

/* Embeddings of the test images and, where the method has codes, their assignments. */
static bool embed(evaluation *e, error *err) {
    model *m = e->model;
    size_t d = (size_t)m->head.features, width = (size_t)m->width, n = e->test.n;
    size_t codes = m->method->codes ? (size_t)m->method->codes(&m->head) : 0;
    int batch = e->options->batchnorm == EVAL_BATCHNORM_BATCH ? AUTHORS_BATCH : BATCH;
    e->embeddings = malloc(n * width * sizeof *e->embeddings);
    e->codes = codes ? malloc(n * sizeof *e->codes) : NULL;
    e->usage = codes ? usage_new(codes, err) : NULL;
    bool ok = e->embeddings && (!codes || (e->codes && e->usage));
    if (!ok) error_memory(err, n * width * sizeof(float), "the embeddings");
    for (size_t first = 0; ok && first < n; first += (size_t)batch) {
        int rows = n - first < (size_t)batch ? (int)(n - first) : batch;
        tape_reset(m->tape);
        model_embed(m, e->test.values + first * d, rows, e->embeddings + first * width);
        if (codes) ok = model_assign(m, e->embeddings + first * width, rows, e->usage, e->codes + first, err);
    }
    return ok && tape_check(m->tape, err);
}

/* Figures ---------------------------------------------------------------------------------------------------------- */

static bool set(evaluation *e, const char *metric, double value, error *err) {
    return json_object_set_new(e->final, metric, run_json_number(value)) == 0 ||
           error_memory(err, strlen(metric), "a figure");
}

static bool linear(evaluation *e, error *err) {
    probe_options with = {.penalty = e->options->probe_l2 > 0 ? e->options->probe_l2 : -1};
    probe_result got;
    return probe_evaluate(matrix_of(e, &e->train), e->train.labels, matrix_of(e, &e->test), e->test.labels,
                          dataset_classes(e->data), &with, NULL, &got, err) &&
           set(e, "linear", got.test_top1, err) && set(e, "linear_top5", got.test_top5, err) &&
           set(e, "linear_train", got.train_top1, err);
}

static bool knn(evaluation *e, error *err) {
    knn_options with = {.neighbours = (size_t)e->options->knn_k, .temperature = e->options->knn_temperature};
    knn_result got;
    return knn_evaluate(matrix_of(e, &e->train), e->train.labels, matrix_of(e, &e->test), e->test.labels,
                        dataset_classes(e->data), &with, NULL, &got, err) &&
           set(e, "knn", got.top1, err);
}

static bool agree(evaluation *e, const char *prefix, const int32_t *clusters, error *err) {
    static const char *const names[] = {"nmi", "nmi_chance", "ami", "ari", "accuracy"};
    agreement a;
    if (!agreement_compute(e->test.labels, clusters, e->test.n, (uint64_t)e->model->spec->train.seed, &a, err))
        return false;
    const double values[] = {a.nmi, a.nmi_chance, a.ami, a.ari, a.accuracy};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char metric[48];
        snprintf(metric, sizeof metric, "%s_%s", prefix, names[i]);
        if (!set(e, metric, values[i], err)) return false;
    }
    return true;
}

/* k-means on the representations, as many clusters as there are classes. */
static bool kmeans_figures(evaluation *e, error *err) {
    kmeans_options with = {.clusters = (size_t)dataset_classes(e->data),
                           .restarts = (int)e->options->kmeans_restarts,
                           .normalise = true,
                           .seed = (uint64_t)e->model->spec->train.seed};
    kmeans k;
    if (!kmeans_compute(matrix_of(e, &e->test), &with, &k, err)) return false;
    bool ok = agree(e, "kmeans", k.assignment, err);
    kmeans_free(&k);
    return ok;
}

static bool prototypes(evaluation *e, error *err) {
    if (!e->codes) return true;
    usage_figures u = usage_summary(e->usage, -1);
    return (!dataset_is_labelled(e->data) || agree(e, "prototype", e->codes, err)) &&
           set(e, "codes_used", u.used, err) && set(e, "code_perplexity", u.perplexity, err);
}

/* diagnosis.json and, in four words, run.json. `course`: what the run's own verdicts rest on. */
static bool write_diagnosis(evaluation *e, const collapse *c, json_t *course, error *err) {
    json_t *root = collapse_to_json(c);
    json_object_set(root, "course", course);
    json_object_set_new(root, "attainable", json_integer(e->model->attainable));
    json_object_set_new(e->run->record, "verdicts", judgement_words(c));
    bool ok = judgement_write(e->run->folder, root, err);
    json_decref(root);
    return ok;
}

static bool collapses(evaluation *e, error *err) {
    collapse_input with = {.embeddings = {e->embeddings, e->test.n, (size_t)e->model->width},
                           .assignment = e->codes,
                           .codes = e->usage ? usage_codes(e->usage) : 0,
                           .usage = e->usage,
                           .labels = dataset_is_labelled(e->data) ? e->test.labels : NULL,
                           .classes = dataset_classes(e->data),
                           .attainable = e->model->attainable,
                           .seed = (uint64_t)e->model->spec->train.seed};
    collapse c;
    spectrum backbone;
    if (!spectrum_compute(matrix_of(e, &e->test), false, &backbone, err)) return false;
    bool ok = set(e, "rankme_backbone", backbone.rankme.value, err);
    spectrum_free(&backbone);
    if (!ok || !collapse_compute(&with, &c, err)) return false;
    json_t *course;
    if (!record_check_file(e->run->record, e->run->folder, "metrics.jsonl", err)) return collapse_free(&c), false;
    if (!judgement_take(e->run, e->model, e->data, &c, &course, err)) return collapse_free(&c), false;
    const spectrum *s = &c.spectrum;
    ok = set(e, "rankme", s->rankme.value, err) && set(e, "rankme_share", s->rankme.share, err) &&
         set(e, "rankme_noise_share", s->rankme.noise_share, err) &&
         set(e, "effective_rank", s->effective_rank.value, err) &&
         set(e, "correlation_off_diagonal", s->correlation_off_diagonal, err) && write_diagnosis(e, &c, course, err);
    json_decref(course);
    collapse_free(&c);
    return ok;
}

static bool write_arrays(evaluation *e, error *err) {
    char path[1200];
    return npy_write(landing_path(e->run->folder, "embeddings.npy", path, sizeof path), NPY_F32, e->test.n,
                     (uint64_t)e->model->width, e->embeddings, err) &&
           (!dataset_is_labelled(e->data) || npy_write(landing_path(e->run->folder, "labels.npy", path, sizeof path),
                                                       NPY_I32, e->test.n, 0, e->test.labels, err)) &&
           (!e->codes || npy_write(landing_path(e->run->folder, "assignments.npy", path, sizeof path), NPY_I32,
                                   e->test.n, 0, e->codes, err));
}

/* What was trained beside the method, on all the rows. */
static bool online_figures_of(evaluation *e, error *err) {
    online_figures got;
    if (!e->model->online) return true;
    tape_reset(e->model->tape);
    return online_measure(e->model->online, e->model->tape, matrix_of(e, &e->test), e->test.labels, &got, err) &&
           (!(e->options->online & EVAL_ONLINE_LINEAR) || set(e, "online_linear", got.linear, err)) &&
           (!(e->options->online & EVAL_ONLINE_KNN) || set(e, "online_knn", got.knn, err));
}

static const struct {
    unsigned metric;
    const char *what;
    bool (*measure)(evaluation *, error *);
    bool by_labels; /* it is nothing without them */
} figures[] = {
    {EVAL_LINEAR, "linear probe", linear, true},
    {EVAL_KNN, "kNN", knn, true},
    {EVAL_KMEANS, "k-means", kmeans_figures, true},
    {EVAL_PROTOTYPES, "prototypes", prototypes, false},
    {EVAL_COLLAPSE, "collapse verdicts", collapses, false},
};
enum { FIGURES = sizeof figures / sizeof *figures };

/* The metrics of analysis/metrics/, as far as `eval:` asks for them. */
static bool measure_metrics(evaluation *e, error *err) {
    const metric *m;
    bool labelled = dataset_is_labelled(e->data);
    metric_input in = {.embeddings = {e->embeddings, e->test.n, (size_t)e->model->width},
                       .representations = matrix_of(e, &e->test),
                       .labels = labelled ? e->test.labels : NULL,
                       .classes = dataset_classes(e->data),
                       .seed = (uint64_t)e->model->spec->train.seed};
    for (int i = 0; (m = metric_at(i)) && !stopped(e); i++) {
        double value;
        if (!(e->options->metrics & (unsigned)EVAL_METRICS << i) || (m->labels && !labelled)) continue;
        tell(e, m->name);
        if (!m->measure(&in, &value, err)) return error_prefix(err, "%s", m->name);
        if (!set(e, m->name, value, err)) return false;
    }
    return true;
}

char *evaluate_without_labels(const eval_options *options, char *out, size_t size) {
    unsigned metrics = options->metrics;
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < FIGURES && used < size; i++)
        if (metrics & figures[i].metric && figures[i].by_labels)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "eval is without ", figures[i].what);
    const metric *m;
    for (int i = 0; (m = metric_at(i)) && used < size; i++)
        if (metrics & (unsigned)EVAL_METRICS << i && m->labels)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "eval is without ", m->name);
    if (options->online && used < size)
        used += (size_t)snprintf(out + used, size - used, "%sonline figures", used ? ", " : "eval is without ");
    if (metrics & EVAL_PROTOTYPES && used < size)
        snprintf(out + used, size - used, "%sprototypes are counted but not compared with labels", used ? "; " : "");
    return out;
}

/* Figures that were measured before stay as long as only others are asked for; measured otherwise, all of them go. */
static bool begin(evaluation *e, error *err) {
    bool keep = run_measured_alike(e->run, e->model->spec);
    e->final = keep ? json_deep_copy(json_object_get(e->run->record, "final")) : json_object();
    if (!e->final) e->final = json_object();
    bool without = !keep && !(e->options->metrics & EVAL_COLLAPSE);
    return landing_begin(e->run->folder, err) && (!without || landing_without(e->run->folder, "diagnosis.json", err));
}

bool evaluate_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted,
                    error *err) {
    evaluation e = {.model = m, .data = data, .run = r, .hooks = hooks, .options = &m->spec->eval};
    /* Settings are chosen on a validation split, never on the test images. */
    dataset_split held_out = dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST;
    bool labelled = dataset_is_labelled(data), needs_train = labelled && e.options->metrics & (EVAL_LINEAR | EVAL_KNN),
         ok;
    e.total = dataset_count(data, held_out) + (needs_train ? dataset_count(data, SPLIT_TRAIN) : 0);
    ok = begin(&e, err) && represent(&e, held_out, (uint32_t)e.options->sample, &e.test, err) &&
         (!needs_train || represent(&e, SPLIT_TRAIN, 0, &e.train, err));
    if (ok && !stopped(&e)) ok = embed(&e, err) && write_arrays(&e, err);
    for (size_t i = 0; ok && i < FIGURES && !stopped(&e); i++) {
        if (!(e.options->metrics & figures[i].metric) || (figures[i].by_labels && !labelled)) continue;
        tell(&e, figures[i].what);
        ok = figures[i].measure(&e, err);
    }
    ok = ok && measure_metrics(&e, err) && (stopped(&e) || online_figures_of(&e, err));
    *interrupted = stopped(&e);
    tape_reset(m->tape);
    if (ok && !*interrupted) json_object_set(r->record, "final", e.final);
    json_decref(e.final);
    free(e.train.values);
    free(e.train.labels);
    free(e.test.values);
    free(e.test.labels);
    free(e.embeddings);
    free(e.codes);
    if (e.usage) usage_free(e.usage);
    return ok;
}
