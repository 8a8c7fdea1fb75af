/*
 * The run store: a run's directory and what is written into it. The directory is the truth; run.json is replaced whole
 * at every change, metrics.jsonl only grows (and is cut back to the last checkpoint's offset on resume), and a
 * lease keeps two processes from working on the same run.
 */
#ifndef MEWS_RUN_H
#define MEWS_RUN_H

#include "engine/files/checkpoint.h"
#include "engine/files/lease.h"
#include "experiments/sweep/sweep.h"

#include <jansson.h>

typedef enum run_status {
    RUN_NEW,        /* nothing there yet */
    RUN_UNFINISHED, /* begun: goes on from its last checkpoint, if it has one */
    RUN_STOPPED,    /* begun, and told to stop after some epoch (`train --until`): likewise */
    RUN_FAILED,     /* begun, and stopped with a reason; may be tried again */
    RUN_TRAINED,    /* finished, but measured otherwise than the plan's `eval:` asks */
    RUN_FINISHED,
} run_status;

/* What to do with a run that other code made, or made in part (experiments/run/code.h). */
typedef enum run_again {
    RUN_ASK,   /* refuse, and say how to go on */
    RUN_REDO,  /* run it anew, whatever made it */
    RUN_REUSE, /* take it as it is, and note that */
} run_again;

typedef struct run {
    char id[RUN_ID_SIZE];
    char folder[1024];
    run_status status;  /* as found when opened */
    char damaged[512];  /* what is wrong with its run.json, or with a file that it speaks of */
    const char *other;  /* how the code that made it differs from this program's, or NULL; as found */
    bool reuse;         /* what other code made is taken */
    int threads;        /* to compute with */
    char told[512];     /* what is to be said of how it goes on, in one line; "" for nothing */
    char extends[1024]; /* likewise of the shorter run that it goes on from, or does not */
    int64_t until;      /* the epoch after which this sitting stopped as it was told to; 0: it did not */
    json_t *record;     /* run.json */
    FILE *metrics, *log;
    lease *lease; /* ours while the run is open for work */
} run;

/*
 * Finds or makes the directory of `plan` under `results`, takes its lease, and writes spec.yaml and run.json (status
 * "running") unless the run is finished. ERROR_RUN when another process holds it, or other code made it and `again`
 * asks. A failed run of other code is run anew in any case.
 */
bool run_open(run *r, const char *results, const run_plan *plan, const char *data_name, const char *data_checksum,
              run_again again, error *err);

/* Whether a process works on the run in `folder` right now; false when nothing is there. */
bool run_is_held(const char *folder);

/* Opens the directory of a run that exists, by its path. */
bool run_open_folder(run *r, const char *folder, error *err);

/* The id and the folder of `plan`, and nothing else of `r`. */
bool run_name(run *r, const char *results, const run_plan *plan, const char *data_checksum, error *err);

/* What stands in the directory of `plan`, without locking or changing anything; its id and folder go into `r`. */
bool run_peek(run *r, const char *results, const run_plan *plan, const char *data_checksum, error *err);

void run_close(run *r);

/* ERROR_RUN when another process has taken the run over: nothing more may be written then. */
bool run_is_ours(const run *r, error *err);

/* "folder/name" into `out`. Returns `out`. */
char *run_path(const run *r, const char *name, char *out, size_t size);

/* Where its checkpoints stand and what they are bound to. */
checkpoint_place run_checkpoints(const run *r, void (*warn)(void *, const char *), void *context);

/* Whether a record's run was trained to its end, and that was after `step` steps. */
bool run_ends_at(const json_t *record, uint64_t step);

/* {"section.key": value} of a whole spec, as run.json holds it; the caller's to json_decref. */
json_t *run_spec_json(const spec *s);

/* Compute threads of a spec: its train.threads, or every core. */
int run_threads(const spec *s);

/* ---- run.json ---- */

/* The record of a run as planned, without results; the caller's to json_decref. */
json_t *run_plan_record(const run_plan *plan, const char *id, const char *data_name, const char *data_checksum,
                        const char *status);

/* Whether the figures there are were measured as the spec's `eval:` asks, whichever of them it asks for. */
bool run_measured_alike(const run *r, const spec *s);

bool run_set_seconds(run *r, const char *phase, double seconds, error *err); /* seconds.train, seconds.eval */
double run_seconds(const run *r, const char *phase);                         /* 0 when absent */
bool run_save(run *r, error *err);

/* Lands the evaluation (landing.h) with the spec's `eval:` as what the figures were measured by, and status finished.
 */
bool run_finish(run *r, const spec *s, error *err);

/* Lands what was gathered since landing_begin, with the record as it is now and its digests of what is new. */
bool run_land(run *r, error *err);
bool run_pause(run *r, error *err); /* until it goes on, the record holds its history to what it is now */
bool run_fail(run *r, const char *reason, error *err);
bool run_stop(run *r, const char *reason, error *err); /* the same for one that stops short of its end, and may go on */

/* ---- metrics.jsonl, log.txt ---- */

/* Opens metrics.jsonl to append after its first `offset` bytes; what stands beyond (after a crash) is cut off. */
bool run_metrics_begin(run *r, uint64_t offset, error *err);

/* Appends one object as one line; takes over the reference. Timings belong into an object of their own, "time". */
bool run_metrics_append(run *r, json_t *line, error *err);

/* Puts all lines on the disk and tells the offset for the checkpoint that is about to be written. */
bool run_metrics_sync(run *r, uint64_t *offset, error *err);

/* {figure: {least, least_step, most, most_step, last}} of all that metrics.jsonl holds: each figure of the training
 * steps and, of the looks at held-out images, ranks and use of codes. NULL with a message when it cannot be read. */
json_t *run_metrics_ranges(const run *r, error *err);

/* A number for a line of metrics.jsonl: null when it is not finite. */
json_t *run_json_number(double value);

/* A line of log.txt with the time before it. What the log cannot hold is not worth failing for. */
void run_log(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
