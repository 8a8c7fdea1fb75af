/*
 * A sweep as a job array of Slurm: one task a run; where it halves, one array a rung, each after the one before. A task
 * is `mews train --only ID`; it keeps its run's lease, writes nothing but its run's folder, and is put back into the
 * queue with a checkpoint ahead of its time limit. What was submitted stands in <results>/<name>/slurm/jobs.json,
 * beside the scripts and the tasks' output.
 */
#ifndef MEWS_SLURM_H
#define MEWS_SLURM_H

#include "experiments/sweep/halving.h"

/* The options of `mews sweep --slurm`, for its table. */
#define SLURM_OPTIONS                                                                                                  \
    {"--slurm", NULL, NULL, "hand the runs to Slurm, as an array of one task a run; -n shows the script"},             \
        {"--partition", NULL, "NAME", "with --slurm: where"},                                                          \
        {"--time", NULL, "TIME",                                                                                       \
         "with --slurm: a task's limit, as sbatch takes it; a longer run goes on in the next"},                        \
        {"--cpus", NULL, "CPUS", "with --slurm: cores, and so threads, of a task (default: 1)"},                       \
        {"--mem", NULL, "SIZE", "with --slurm: memory of a task, as sbatch takes it"},                                 \
        {"--array-limit", NULL, "TASKS", "with --slurm: tasks at a time (default: as many as there is room for)"}, {   \
        "--sbatch", NULL, "OPTION",                                                                                    \
            "with --slurm: any other line for sbatch, as in --sbatch=--account=lab; may come often"                    \
    }

/* ERROR_USAGE when one of the options that go with --slurm is given without it, or what goes not with it is. */
bool slurm_check(const arguments *args, error *err);

typedef struct slurm_outcome {
    size_t submitted, waiting; /* runs handed over now; those that a task of ours already waits or works for */
    size_t halved;             /* of those handed over: in an array for each rung that they are to come to */
    char jobs[512];            /* their numbers, "12 13" */
} slurm_outcome;

/* Prints the scripts of what is to do, without submitting any. */
bool slurm_print(const queue *q, const halving *halves, const arguments *args, const char *results, error *err);

/* ERROR_RUN with what sbatch says. Arrays longer than the cluster takes are split. */
bool slurm_submit(const queue *q, const halving *halves, const arguments *args, const char *results, slurm_outcome *out,
                  error *err);

/* scancel for all that was submitted of the sweep in `folder` ("results/name") and is not over; *jobs counts arrays. */
bool slurm_cancel(const char *folder, size_t *jobs, error *err);

#endif
