/*
 * One run from its plan to its final figures: open the data, find or make the run directory, train from where the last
 * checkpoint stands, evaluate. It prints nothing; who called it hears of its progress through hooks and may ask it to
 * stop at the next step.
 */
#ifndef MEWS_EXPERIMENT_H
#define MEWS_EXPERIMENT_H

#include "engine/data/dataset.h"
#include "experiments/run/run.h"

#include <signal.h>

typedef struct experiment_progress {
    const char *phase;    /* "data", "train", "eval" */
    const char *what;     /* what just now, for people: "k-means"; may be NULL */
    uint64_t done, total; /* steps of the training, images of an import, parts of an evaluation; total 0 = not known */
    uint32_t epoch, epochs; /* the epoch under way, from 0 */
    double loss;            /* of the last step, NaN outside training */
    double chance;          /* the loss of outputs that tell nothing; NaN where the method has none */
} experiment_progress;

typedef struct experiment_hooks {
    void *context;
    void (*progress)(void *context, const experiment_progress *now); /* at least at every step; must be quick */
    void (*warn)(void *context, const char *line);
    void (*note)(void *context, const char *line); /* what is good to know; may be NULL */
    const volatile sig_atomic_t *interrupted;      /* non-zero: write a checkpoint and stop at the next step boundary */
    bool unindexed; /* the run's folder alone is written; whoever reads the results brings their index up to date */
    int64_t until;  /* stop after so many epochs, with a checkpoint, at most train.epochs; 0: train to the end */
    struct peers *peers; /* who trains with this process, or NULL; engine/peers.h */
} experiment_hooks;

typedef enum run_end {
    RUN_END_FINISHED,    /* trained and evaluated now */
    RUN_END_FOUND,       /* was finished already, nothing done */
    RUN_END_INTERRUPTED, /* a checkpoint stands, the same call goes on from it */
    RUN_END_STOPPED,     /* likewise, after the epoch that the hooks said */
} run_end;

typedef struct run_outcome {
    run_end end;
    char id[RUN_ID_SIZE];
    char folder[1024];
    char stopped[160]; /* why the training ended early, by train.stop_on_collapse or as told; "" when it did not */
    json_t *final;     /* {metric: value}; the caller's to json_decref; NULL unless finished or found */
    json_t
        *verdicts; /* {mode: {verdict, sentence, …}} as diagnosis.json has them; likewise, and NULL when not judged */
} run_outcome;

/*
 * Runs `plan` under `results` ("results"). False when it failed: run.json then holds status "failed" and the same
 * reason as `err`, unless it failed before there was a directory or was refused because other code made it. `out` is
 * filled as far as things went.
 */
bool experiment_run(const run_plan *plan, const char *results, run_again again, const experiment_hooks *hooks,
                    run_outcome *out, error *err);

/* As a process of another rank: opens the data, trains along as rank 0's experiment_run says, and returns when that
 * calls train_end_followers. Writes nothing. */
bool experiment_follow(const run_plan *plan, const experiment_hooks *hooks, error *err);

/* The spec that the run in `folder` was made from, with overrides (keys of eval only) laid over it: file and plan are
 * the caller's to free, also after an error. ERROR_USAGE when it is no run's folder. */
bool experiment_plan(const char *folder, const settings *overrides, spec_file *file, sweep *plan, error *err);

/* A spec's images, with what happens meanwhile told to the hooks; NULL with a message. */
dataset *experiment_data(const spec *s, const experiment_hooks *hooks, error *err);

/* Evaluates the finished run in `folder` again, by its own `eval:` as changed by `overrides` (keys of eval only). */
bool experiment_evaluate(const char *folder, const settings *overrides, const experiment_hooks *hooks, run_outcome *out,
                         error *err);

#endif
