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
#include "engine/files/file.h"
#include "engine/files/record.h"
#include "experiments/run/judgement.h"
#include "experiments/run/landing.h"
#include "experiments/run/represent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The authors' statistics are of batches of 64; with running ones the size decides nothing. */
enum { AUTHORS_BATCH = 64, BATCH = 256 };

/* The images through the network with BatchNorm in one of its two modes. */
typedef struct seen {
    bool by_batch;
    represented train, test; /* embeddings are the test images' */
    int32_t *codes;          /* (test.n): argmax over codes, or NULL */
    usage *usage;
} seen;

typedef struct evaluation {
    model *model;
    const dataset *data;
    run *run;
    const experiment_hooks *hooks;
    const eval_options *options;
    seen passes[2];   /* EVAL_BATCHNORM_; those that some figure wants */
    seen student;     /* where the teacher is measured, what the student's online figures need */
    const seen *seen; /* what the figure at hand is measured on */
    json_t *final;    /* the figures, until all of them are there */
    /* Rows through the network, for progress: those of earlier splits, all so far, all there are to be. */
    uint64_t before, done, total;
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
    return (matrix){r->representations, r->n, (size_t)e->model->head.features};
}

static matrix embeddings_of(const evaluation *e) {
    const represented *test = &e->seen->test;
    return (matrix){test->embeddings, test->n, (size_t)e->model->width};
}

/* Settings are chosen on a validation split, never on the test images. */
static dataset_split held_out_of(const dataset *data) {
    return dataset_count(data, SPLIT_VALIDATION) ? SPLIT_VALIDATION : SPLIT_TEST;
}

/* Through the network ---------------------------------------------------------------------------------------------- */

static bool on_rows(void *context, uint32_t done) {
    evaluation *e = context;
    e->done = e->before + done;
    tell(e, "representations");
    return !stopped(e);
}

static uint32_t batch_of(const seen *s) { return s->by_batch ? AUTHORS_BATCH : BATCH; }

static bool pass(evaluation *e, const seen *s, images_asked which, represented *out, error *err) {
    which.batch = batch_of(s), which.by_batch = s->by_batch;
    e->before = e->done;
    return stopped(e) || represent(e->model, e->data, &which, out, on_rows, e, err);
}

/* What probes learn from. */
static bool pass_train(evaluation *e, seen *s, error *err) {
    return pass(e, s, (images_asked){.split = SPLIT_TRAIN, .count = dataset_count(e->data, SPLIT_TRAIN)}, &s->train,
                err);
}

/* What is judged. */
static bool pass_test(evaluation *e, seen *s, bool embeds, error *err) {
    dataset_split split = held_out_of(e->data);
    uint32_t count = dataset_count(e->data, split), limit = (uint32_t)e->options->sample;
    if (limit && limit < count) count = limit;
    return pass(e, s, (images_asked){.split = split, .count = count, .embeds = embeds}, &s->test, err);
}

/* The codes that the test images' embeddings take, where the method has any. */
static bool assign(evaluation *e, seen *s, error *err) {
    model *m = e->model;
    size_t codes = m->method->codes ? (size_t)m->method->codes(&m->head) : 0;
    size_t n = s->test.n, width = (size_t)m->width, batch = batch_of(s);
    if (!codes) return true;
    s->codes = malloc(n * sizeof *s->codes);
    s->usage = usage_new(codes, err);
    bool ok = (s->codes && s->usage) || error_memory(err, n * sizeof *s->codes, "the codes of images");
    for (size_t first = 0; ok && first < n; first += batch) {
        tape_reset(m->tape);
        ok = model_assign(m, s->test.embeddings + first * width, (int)(n - first < batch ? n - first : batch), s->usage,
                          s->codes + first, err);
    }
    return ok;
}

static void seen_free(seen *s) {
    represented_free(&s->train);
    represented_free(&s->test);
    free(s->codes);
    usage_free(s->usage);
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
    if (!record_check_file(e->run->record, e->run->folder, "metrics.jsonl", err)) return false;
    if (teacher && !words_exchange(e->model, err)) return false;
    bool ok = judgement_take(e->run, e->model, e->data, c, course, err);
    return (!teacher || words_exchange(e->model, err)) && ok;
}

static bool collapses(evaluation *e, error *err) {
    collapse_input with = {.embeddings = embeddings_of(e),
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
                     (uint64_t)e->model->width, e->seen->test.embeddings, err) &&
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
        metric_input in = {.embeddings = embeddings_of(e),
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
static bool pass_all(evaluation *e, error *err) {
    unsigned metrics = wanted(e), probes = metrics & (EVAL_LINEAR | EVAL_KNN);
    bool ok = true;
    for (int mode = 0; mode < 2; mode++) {
        if (mode != e->options->batchnorm && !needs(e, mode, metrics)) continue;
        e->total += dataset_count(e->data, held_out_of(e->data));
        e->total += needs(e, mode, probes) ? dataset_count(e->data, SPLIT_TRAIN) : 0;
    }
    for (int mode = 0; ok && mode < 2 && !stopped(e); mode++) {
        seen *s = &e->passes[mode];
        s->by_batch = mode == EVAL_BATCHNORM_BATCH;
        if (mode != e->options->batchnorm && !needs(e, mode, metrics)) continue;
        ok = pass_test(e, s, true, err) && (!needs(e, mode, probes) || pass_train(e, s, err)) &&
             (stopped(e) || assign(e, s, err));
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
static bool take_network(evaluation *e, error *err) {
    e->student.by_batch = e->options->batchnorm == EVAL_BATCHNORM_BATCH;
    if (e->options->network == EVAL_STUDENT) return true;
    return (!e->model->online || pass_test(e, &e->student, false, err)) && words_exchange(e->model, err);
}

/* Every figure that is wanted into e->final; `arrays`: and what they were measured on into the run's folder. */
static bool measure(evaluation *e, bool arrays, error *err) {
    e->seen = &e->passes[e->options->batchnorm];
    bool ok = take_network(e, err), exchanged = ok && e->options->network == EVAL_TEACHER;
    ok = ok && pass_all(e, err);
    if (ok && !stopped(e)) ok = (!arrays || write_arrays(e, err)) && measure_all(e, err);
    if (exchanged) ok = words_exchange(e->model, err) && ok;
    tape_reset(e->model->tape);
    for (int mode = 0; mode < 2; mode++) seen_free(&e->passes[mode]);
    seen_free(&e->student);
    return ok;
}

bool evaluate_model(model *m, const dataset *data, run *r, const experiment_hooks *hooks, bool *interrupted,
                    error *err) {
    evaluation e = {.model = m, .data = data, .run = r, .hooks = hooks, .options = &m->spec->eval};
    bool ok = begin(&e, err) && measure(&e, true, err);
    *interrupted = stopped(&e);
    if (ok && !*interrupted) json_object_set(r->record, "final", e.final);
    json_decref(e.final);
    return ok;
}

bool evaluate_midway(model *m, const dataset *data, uint64_t step, const experiment_hooks *hooks, json_t **figures_now,
                     bool *interrupted, error *err) {
    eval_options options = m->spec->eval;
    if (!step) options.online = 0;               /* what is trained beside the method has seen nothing yet */
    options.metrics &= ~(unsigned)EVAL_COLLAPSE; /* looks have the verdicts */
    evaluation e = {.model = m, .data = data, .hooks = hooks, .options = &options, .final = json_object()};
    bool ok = e.final ? measure(&e, false, err) : error_memory(err, 64, "the figures of a run");
    *interrupted = stopped(&e);
    if (!ok) json_decref(e.final);
    *figures_now = ok ? e.final : NULL;
    return ok;
}
