/*
 * The rows of `train:` and `eval:`. What decides a run's result is marked as identity; threads, logging, checkpoints
 * and evaluation are not, so that changing them finds the same run again.
 */
#include "experiments/spec/options.h"
#include "analysis/metrics/list.h"

#include <math.h>
#include <stddef.h>

#define ROW(key, type, fallback, min, max, choices, identity, help)                                                    \
    { #key, type, offsetof(OPTIONS, key), fallback, min, max, choices, identity, help }

/* In the order of collapse_mode, whose bits they are. */
static const char *const collapse_names[] = {"representation", "dimensional", "cluster", "intracluster", NULL};

static const char *const batchnorm_views[] = {"view", "joint", "all", NULL}; /* in the order of method_batchnorm */

const char *const precision_names[] = {"float32", "bfloat16", NULL};

#define OPTIONS train_options
static const field train_rows[] = {
    ROW(epochs, FIELD_INT, "20", 0, 1000000, NULL, true,
        "passes over the training images; 0 measures the untrained backbone"),
    ROW(batch, FIELD_INT, "256", 2, 65536, NULL, true, "pairs a step: the n of the losses"),
    ROW(seed, FIELD_INT, "0", 0, 4294967295.0, NULL, true, "of weights, dictionary, order and augmentations"),
    ROW(threads, FIELD_INT, "0", 0, 1024, NULL, false, "compute threads, 0 = all; equal bits need equal threads"),
    ROW(loader_threads, FIELD_INT, "1", 1, 256, NULL, false, "threads that augment images ahead of the trainer"),
    ROW(joint_batchnorm, FIELD_BOOL, "false", 0, 0, NULL, true, "the older name of `batchnorm: joint`"),
    ROW(batchnorm, FIELD_CHOICE, "view", 0, 0, batchnorm_views, IDENTITY_IF_SET,
        "BatchNorm statistics in training over each view, over all views of one size, or in heads over global and "
        "small "
        "views together too"),
    ROW(winograd, FIELD_BOOL, "true", 0, 0, NULL, true,
        "3x3 convolutions with a quarter of the products, where they apply; false: direct sums, half the rounding "
        "error"),
    ROW(precision, FIELD_CHOICE, "float32", 0, 0, precision_names, IDENTITY_IF_SET,
        "what a backbone's activations and their gradients are stored and multiplied in while it trains; weights, "
        "statistics, sums, heads and losses stay float32, and so does everything that is measured"),
    ROW(accumulate, FIELD_INT, "1", 1, 4096, NULL, true, "batches whose gradients make one step"),
    ROW(checkpoint_every, FIELD_INT, "1", 1, 1000000, NULL, false, "epochs between checkpoints"),
    ROW(log_every, FIELD_INT, "10", 1, 1000000, NULL, false, "steps between lines of metrics.jsonl"),
    ROW(eval_every, FIELD_INT, "0", 0, 1000000, NULL, false,
        "epochs between whole measurements of `eval.metrics` while the run trains, from before the first step on; 0 = "
        "at "
        "its end alone"),
    ROW(stop_on_collapse, FIELD_SET, "[]", 0, 0, collapse_names, true,
        "collapses that end the training early, seen on held-out images after each epoch"),
    ROW(stop_patience, FIELD_INT, "5", 1, 1000000, NULL, true,
        "epochs in a row that such a collapse has to last; early epochs often look collapsed"),
    ROW(init, FIELD_TEXT, "", 0, 0, NULL, IDENTITY_IF_SET,
        "file of weights to start from: a checkpoint of mews, or a network of torchvision's names from anywhere (.pt, "
        ".pth, "
        ".safetensors); empty = drawn by the seed"),
    ROW(init_prefix, FIELD_TEXT, "", 0, 0, NULL, IDENTITY_IF_SET,
        "of train.init, where the file holds several networks: the names' beginning, as in momentum_encoder"),
};
#undef OPTIONS
const field_condition train_conditions[] = {{"stop_patience", "stop_on_collapse!=[]"}, {"init_prefix", "init!="}, {0}};
const field_table train_fields = {"train", train_rows, sizeof train_rows / sizeof *train_rows, sizeof(train_options)};

/* In the order of the EVAL_ bits. */
static const char *const metric_names[] = {"linear",
                                           "knn",
                                           "kmeans",
                                           "prototypes",
                                           "collapse",
#define X(name) #name,
                                           METRICS(X)
#undef X
                                               NULL};
static const char *const networks[] = {"student", "teacher", NULL};
static const char *const online_names[] = {"linear", "knn", NULL};
static const char *const batchnorm_modes[] = {"running", "batch", NULL};

#define OPTIONS eval_options
static const field eval_rows[] = {
    ROW(metrics, FIELD_SET, "[linear, knn, kmeans, prototypes, collapse]", 0, 0, metric_names, false,
        "what to measure on the test images"),
    ROW(probe_l2, FIELD_REAL, "0.0001", 0, INFINITY, NULL, false, "L2 penalty of the linear probe"),
    ROW(knn_k, FIELD_INT, "20", 1, 10000, NULL, false, "neighbours that vote"),
    ROW(knn_temperature, FIELD_REAL, "0.07", 1e-4, 1000, NULL, false, "of the votes' weights exp(cosine / T)"),
    ROW(kmeans_restarts, FIELD_INT, "5", 1, 1000, NULL, false, "k-means++ starts, the best one counts"),
    ROW(sample, FIELD_INT, "0", 0, 1e9, NULL, false, "test images measured, 0 = all"),
    ROW(batchnorm, FIELD_CHOICE, "running", 0, 0, batchnorm_modes, false,
        "running statistics, or those of batches of 64 (the authors' scripts)"),
    ROW(batch_figures, FIELD_SET, "[]", 0, 0, metric_names, false,
        "figures by the statistics of batches of 64 whatever batchnorm says; the authors' pair: [kmeans, prototypes]"),
    ROW(network, FIELD_CHOICE, "student", 0, 0, networks, false,
        "which network is measured at the end, where the method has a teacher"),
    ROW(online, FIELD_SET, "[]", 0, 0, online_names, IDENTITY_IF_SET,
        "figures of a linear probe and of kNN that learn beside the method from detached features, as it trains"),
    ROW(online_lr, FIELD_REAL, "0.1", 1e-6, 1000, NULL, IDENTITY_IF_SET,
        "top learning rate of the online probe (SGD, momentum 0.9), on the method's own schedule"),
    ROW(online_bank, FIELD_INT, "8192", 2, 1 << 20, NULL, IDENTITY_IF_SET,
        "training images whose last features online kNN looks among"),
};
#undef OPTIONS
const field_condition eval_conditions[] = {
    {"probe_l2", "metrics~linear"},
    {"knn_k", "metrics~knn"},
    {"knn_temperature", "metrics~knn"},
    {"kmeans_restarts", "metrics~kmeans"},
    {0},
};
const field_table eval_fields = {"eval", eval_rows, sizeof eval_rows / sizeof *eval_rows, sizeof(eval_options)};
