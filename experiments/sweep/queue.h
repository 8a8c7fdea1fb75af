/*
 * From a command's line (SPEC and its --set) to the list of runs it stands for, each with its id, its directory and
 * what stands there already. Opens the data sets, whose checksums are part of the ids, and so imports them on first
 * use.
 */
#ifndef MEWS_QUEUE_H
#define MEWS_QUEUE_H

#include "experiments/commands/arguments.h"
#include "experiments/run/experiment.h"

typedef struct queue_item {
    const run_plan *plan;
    char id[RUN_ID_SIZE];
    char folder[1024];
    char checksum[65], data[64];  /* of the data; its name */
    uint32_t images, train, test; /* seen in an epoch; with labels to probe on; measured on */
    int classes, size;            /* size: side of the images */
    double work;                  /* images to be seen: the yardstick of the time a run takes */

    /* What stands there. */
    run_status status;
    const char *other; /* how the code that made it differs from this program's, or NULL */
    bool to_do;      /* not finished, or to be run anew; what other code made is kept unless the line says otherwise */
    bool anew;       /* to be run from its beginning, whatever is there */
    int64_t trained; /* epochs that a shorter run has done for it (experiments/run/extend.h) */
    double seconds;  /* what the run has taken so far, all sittings, as recorded */

    /* By `halving:` (halving.h). */
    int64_t until;       /* the epoch that it trains to for now; 0: its end */
    bool waits, stopped; /* it waits at a rung for others; it does not go on */
} queue_item;

typedef struct queue {
    spec_file file;
    sweep sweep;
    queue_item *items; /* sweep.count, in the sweep's order */
} queue;

/* What each run is called and trains on, and nothing of what stands there: who wants one of thousands need not read all
 * others' records. */
bool queue_name(queue *q, const char *spec_path, const arguments *args, const char *results,
                const experiment_hooks *hooks, error *err);

/* The same, and what stands there. */
bool queue_open(queue *q, const char *spec_path, const arguments *args, const char *results,
                const experiment_hooks *hooks, error *err);
void queue_close(queue *q);

/* What the line says of runs that other code made: --redo, --reuse. ERROR_USAGE for both. */
bool queue_again(const arguments *args, run_again *again, error *err);

/* "falcon-codes codes-64 seed-0": the id without the spec's name and hash, for people. Returns `out`. */
char *queue_label(const queue_item *item, char out[RUN_ID_SIZE]);

#endif
