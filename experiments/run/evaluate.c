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

/* The authors' statistics are of batches of 64; with running ones the size decides nothing. */
enum { AUTHORS_BATCH = 64, BATCH = 256 };

/* A split as the backbone sees it: representations (n, d) and labels. */
typedef struct represented {
    uint32_t n;
    float *values;
    int32_t *labels;
} represented;

/* The images through the network with BatchNorm in one of its two modes. */
typedef struct seen {
    bool by_batch;
    represented train, test;
    float *embeddings; /* (test.n, width) */
    int32_t *codes;    /* (test.n): argmax over codes, or NULL */
    usage *usage;
} seen;

typedef struct evaluation {
    model *model;
    const dataset *data;
    run *run;
    const experiment_hooks *hooks;
    const eval_options *options;
    seen passes[2];       /* EVAL_BATCHNORM_; those that some figure wants */
    seen student;         /* where the teacher is measured, what the student's online figures need */
    const seen *seen;     /* what the figure at hand is measured on */
    json_t *final;        /* the figures, until all of them are there */
    uint64_t done, total; /* rows through the network, for progress */
} evaluation;

/* The mode in which a figure (one EVAL_ bit; 0 for what belongs to none) is measured. */
static int mode_of(const eval_options *o, unsigned metric) {
    return o->batch_figures & metric ? EVAL_BATCHNORM_BATCH : o->batchnorm;
}

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

static bool represent(evaluation *e, bool by_batch, dataset_split split, uint32_t limit, represented *out, error *err) {
    model *m = e->model;
    uint32_t count = dataset_count(e->data, split);
    int size = dataset_size(e->data), batch = by_batch ? AUTHORS_BATCH : BATCH;
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
        model_represent(m, pixels, (int)n, size, by_batch, out->values + first * d);
        for (uint32_t i = 0; i < n; i++) out->labels[first + i] = dataset_label(e->data, split, first + i);
        e->done += n;
        tell(e, "representations");
    }
    free(pixels);
    return tape_check(m->tape, err);
}

/* Embeddings of the test images and, where the method has codes, their assignments. */
static bool embed(evaluation *e, seen *s, error *err) {
    model *m = e->model;
    size_t d = (size_t)m->head.features, width = (size_t)m->width, n = s->test.n;
    size_t codes = m->method->codes ? (size_t)m->method->codes(&m->head) : 0;
    int batch = s->by_batch ? AUTHORS_BATCH : BATCH;
    s->embeddings = malloc(n * width * sizeof *s->embeddings);
    s->codes = codes ? malloc(n * sizeof *s->codes) : NULL;
    s->usage = codes ? usage_new(codes, err) : NULL;
    bool ok = s->embeddings && (!codes || (s->codes && s->usage));
    if (!ok) error_memory(err, n * width * sizeof(float), "the embeddings");
    for (size_t first = 0; ok && first < n; first += (size_t)batch) {
        int rows = n - first < (size_t)batch ? (int)(n - first) : batch;
        tape_reset(m->tape);
        model_embed(m, s->test.values + first * d, rows, s->by_batch, s->embeddings + first * width);
        if (codes) ok = model_assign(m, s->embeddings + first * width, rows, s->usage, s->codes + first, err);
    }
    return ok && tape_check(m->tape, err);
}

static void seen_free(seen *s) {
    free(s->train.values);
    free(s->train.labels);
    free(s->test.values);
    free(s->test.labels);
    free(s->embeddings);
    free(s->codes);
    if (s->usage) usage_free(s->usage);
}

/* Figures ---------------------------------------------------------------------------------------------------------- */

static bool set(evaluation *e, const char *metric, double value, error *err) {
    return json_object_set_new(e->final, metric, run_json_number(value)) == 0 ||
           error_memory(err, strlen(metric), "a figure");
}

static bool linear(evaluation *e, error *err) {
    probe_options with = {.penalty = e->options->probe_l2 > 0 ? e->options->probe_l2 : -1};
    probe_result got;
    return probe_evaluate(matrix_of(e, &e->seen->train), e->seen->train.labels, matrix_of(e, &e->seen->test),
                          e->seen->test.labels, dataset_classes(e->data), &with, NULL, &got, err) &&
           set(e, "linear", got.test_top1, err) && set(e, "linear_top5", got.test_top5, err) &&
           set(e, "linear_train", got.train_top1, err);
}

static bool knn(evaluation *e, error *err) {
    knn_options with = {.neighbours = (size_t)e->options->knn_k, .temperature = e->options->knn_temperature};
    knn_result got;
    return knn_evaluate(matrix_of(e, &e->seen->train), e->seen->train.labels, matrix_of(e, &e->seen->test),
                        e->seen->test.labels, dataset_classes(e->data), &with, NULL, &got, err) &&
           set(e, "knn", got.top1, err);
}

static bool agree(evaluation *e, const char *prefix, const int32_t *clusters, error *err) {
    static const char *const names[] = {"nmi", "nmi_chance", "ami", "ari", "accuracy"};
    agreement a;
    if (!agreement_compute(e->seen->test.labels, clusters, e->seen->test.n, (uint64_t)e->model->spec->train.seed, &a,
                           err))
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
    if (!kmeans_compute(matrix_of(e, &e->seen->test), &with, &k, err)) return false;
    bool ok = agree(e, "kmeans", k.assignment, err);
    kmeans_free(&k);
    return ok;
}

static bool prototypes(evaluation *e, error *err) {
    if (!e->seen->codes) return true;
    usage_figures u = usage_summary(e->seen->usage, -1);
    return (!dataset_is_labelled(e->data) || agree(e, "prototype", e->seen->codes, err)) &&
           set(e, "codes_used", u.used, err) && set(e, "code_perplexity", u.perplexity, err);
}

/* diagnosis.json and, in four words, run.json. `course`: what the run's own verdicts rest on. */
static bool write_diagnosis(evaluation *e, const collapse *c, json_t *course, error *err) {
    json_t *root = collapse_to_json(c);
    json_object_set(root, "course", course);
    if (e->options->network == EVAL_TEACHER) json_object_set_new(root, "network", json_string("teacher"));
    json_object_set_new(root, "attainable", json_integer(e->model->attainable));
    json_object_set_new(e->run->record, "verdicts", judgement_words(c));
    bool ok = judgement_write(e->run->folder, root, err);
    json_decref(root);
    return ok;
}

/* The run's course is its student's, whichever network is measured; what it lacks is looked at now. */
static bool judge(evaluation *e, collapse *c, json_t **course, error *err) {
    bool teacher = e->options->network == EVAL_TEACHER;
    parameters *p = e->model->parameters;
    if (!record_check_file(e->run->record, e->run->folder, "metrics.jsonl", err)) return false;
    if (teacher && !teacher_exchange(p, err)) return false;
    bool ok = judgement_take(e->run, e->model, e->data, c, course, err);
    return (!teacher || teacher_exchange(p, err)) && ok;
}

static bool collapses(evaluation *e, error *err) {
    collapse_input with = {.embeddings = {e->seen->embeddings, e->seen->test.n, (size_t)e->model->width},
                           .assignment = e->seen->codes,
                           .codes = e->seen->usage ? usage_codes(e->seen->usage) : 0,
                           .usage = e->seen->usage,
                           .labels = dataset_is_labelled(e->data) ? e->seen->test.labels : NULL,
                           .classes = dataset_classes(e->data),
                           .attainable = e->model->attainable,
                           .seed = (uint64_t)e->model->spec->train.seed};
    collapse c;
    spectrum backbone;
    if (!spectrum_compute(matrix_of(e, &e->seen->test), false, &backbone, err)) return false;
    bool ok = set(e, "rankme_backbone", backbone.rankme.value, err);
    spectrum_free(&backbone);
    if (!ok || !collapse_compute(&with, &c, err)) return false;
    json_t *course;
    if (!judge(e, &c, &course, err)) return collapse_free(&c), false;
    const spectrum *s = &c.spectrum;
    ok = set(e, "rankme", s->rankme.value, err) && set(e, "rankme_share", s->rankme.share, err) &&
         set(e, "rankme_noise_share", s->rankme.noise_share, err) &&
         set(e, "effective_rank", s->effective_rank.value, err) &&
         set(e, "correlation_off_diagonal", s->correlation_off_diagonal, err) && write_diagnosis(e, &c, course, err);
    json_decref(course);
    collapse_free(&c);
    return ok;
}

/* As eval.batchnorm says, whatever single figures are measured by. */
static bool write_arrays(evaluation *e, error *err) {
    char path[1200];
    return npy_write(landing_path(e->run->folder, "embeddings.npy", path, sizeof path), NPY_F32, e->seen->test.n,
                     (uint64_t)e->model->width, e->seen->embeddings, err) &&
           (!dataset_is_labelled(e->data) || npy_write(landing_path(e->run->folder, "labels.npy", path, sizeof path),
                                                       NPY_I32, e->seen->test.n, 0, e->seen->test.labels, err)) &&
           (!e->seen->codes || npy_write(landing_path(e->run->folder, "assignments.npy", path, sizeof path), NPY_I32,
                                         e->seen->test.n, 0, e->seen->codes, err));
}

/* What was trained beside the method, on all the rows. */
static bool online_figures_of(evaluation *e, error *err) {
    online_figures got;
    if (!e->model->online) return true;
    tape_reset(e->model->tape);
    return online_measure(e->model->online, e->model->tape, matrix_of(e, &e->seen->test), e->seen->test.labels, &got,
                          err) &&
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
static bool measure_metrics(evaluation *e, unsigned wanted, error *err) {
    const metric *m;
    for (int i = 0; (m = metric_at(i)) && !stopped(e); i++) {
        unsigned bit = (unsigned)EVAL_METRICS << i;
        double value;
        if (!(wanted & bit)) continue;
        e->seen = &e->passes[mode_of(e->options, bit)];
        metric_input in = {.embeddings = {e->seen->embeddings, e->seen->test.n, (size_t)e->model->width},
                           .representations = matrix_of(e, &e->seen->test),
                           .labels = dataset_is_labelled(e->data) ? e->seen->test.labels : NULL,
                           .classes = dataset_classes(e->data),
                           .seed = (uint64_t)e->model->spec->train.seed};
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

/* Of `eval:`, what these data allow to be measured. */
static unsigned wanted(const evaluation *e) {
    const metric *m;
    unsigned metrics = e->options->metrics;
    if (dataset_is_labelled(e->data)) return metrics;
    for (size_t i = 0; i < FIGURES; i++)
        if (figures[i].by_labels) metrics &= ~figures[i].metric;
    for (int i = 0; (m = metric_at(i)); i++)
        if (m->labels) metrics &= ~((unsigned)EVAL_METRICS << i);
    return metrics;
}

/* Whether any of `metrics` is measured in this mode. */
static bool needs(const evaluation *e, int mode, unsigned metrics) {
    unsigned by_batch = e->options->batchnorm == EVAL_BATCHNORM_BATCH ? ~0u : e->options->batch_figures;
    return (metrics & (mode == EVAL_BATCHNORM_BATCH ? by_batch : ~by_batch)) != 0;
}

/* The images through the network in each mode that is wanted. */
static bool pass_all(evaluation *e, dataset_split held_out, error *err) {
    unsigned metrics = wanted(e), probes = metrics & (EVAL_LINEAR | EVAL_KNN);
    bool ok = true;
    for (int mode = 0; mode < 2; mode++) {
        if (mode != e->options->batchnorm && !needs(e, mode, metrics)) continue;
        e->total += dataset_count(e->data, held_out);
        e->total += needs(e, mode, probes) ? dataset_count(e->data, SPLIT_TRAIN) : 0;
    }
    for (int mode = 0; ok && mode < 2 && !stopped(e); mode++) {
        seen *s = &e->passes[mode];
        s->by_batch = mode == EVAL_BATCHNORM_BATCH;
        if (mode != e->options->batchnorm && !needs(e, mode, metrics)) continue;
        ok = represent(e, s->by_batch, held_out, (uint32_t)e->options->sample, &s->test, err) &&
             (!needs(e, mode, probes) || represent(e, s->by_batch, SPLIT_TRAIN, 0, &s->train, err)) &&
             (stopped(e) || embed(e, s, err));
    }
    return ok;
}

static bool measure_all(evaluation *e, error *err) {
    unsigned metrics = wanted(e);
    bool ok = true;
    for (size_t i = 0; ok && i < FIGURES && !stopped(e); i++) {
        if (!(metrics & figures[i].metric)) continue;
        e->seen = &e->passes[mode_of(e->options, figures[i].metric)];
        tell(e, figures[i].what);
        ok = figures[i].measure(e, err);
    }
    ok = ok && measure_metrics(e, metrics, err);
    e->seen = e->student.test.n ? &e->student : &e->passes[e->options->batchnorm];
    return ok && (stopped(e) || online_figures_of(e, err));
}

/* What is measured takes the student's place; the online figures are of the student that they learnt beside. */
static bool take_network(evaluation *e, dataset_split held_out, error *err) {
    bool by_batch = e->options->batchnorm == EVAL_BATCHNORM_BATCH;
    if (e->options->network == EVAL_STUDENT) return true;
    return (!e->model->online ||
            represent(e, by_batch, held_out, (uint32_t)e->options->sample, &e->student.test, err)) &&
           teacher_exchange(e->model->parameters, err);
}

bool evaluate_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted,
                    error *err) {
    evaluation e = {.model = m, .data = data, .run = r, .hooks = hooks, .options = &m->spec->eval};
    /* Settings are chosen on a validation split, never on the test images. */
    dataset_split held_out = dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST;
    e.seen = &e.passes[e.options->batchnorm];
    bool ok = begin(&e, err) && take_network(&e, held_out, err), exchanged = ok;
    ok = ok && pass_all(&e, held_out, err);
    if (ok && !stopped(&e)) ok = write_arrays(&e, err) && measure_all(&e, err);
    if (exchanged && e.options->network == EVAL_TEACHER) ok = teacher_exchange(m->parameters, err) && ok;
    *interrupted = stopped(&e);
    tape_reset(m->tape);
    if (ok && !*interrupted) json_object_set(r->record, "final", e.final);
    json_decref(e.final);
    for (int mode = 0; mode < 2; mode++) seen_free(&e.passes[mode]);
    seen_free(&e.student);
    return ok;
}
