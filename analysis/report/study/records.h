/*
 * Run records as the report reads them. A run directory holds run.json (what ran and its final figures), metrics.jsonl
 * (its history), diagnosis.json (spectrum, usage, verdicts) and arrays; any of them but run.json may be missing, since
 * a run may have failed early, and any figure in them may be absent or one this program has not met.
 */
#ifndef MEWS_RECORDS_H
#define MEWS_RECORDS_H

#include "engine/error.h"

#include <jansson.h>

typedef struct record {
    char *folder;                /* path of the run directory */
    json_t *run, *diagnosis;     /* run.json; diagnosis.json or NULL */
    const char *id, *method;     /* never NULL; live inside `run` or are literals */
    const char *status, *reason; /* running, interrupted, stopped, queued, failed, finished; "" when absent */
    const json_t *halved;        /* of one that a sweep stopped at a rung: where and why; or NULL */
    bool finished;               /* has final figures and is marked as finished, or not marked */
} record;

typedef struct records {
    record *items; /* sorted by folder */
    size_t count;
    bool single;       /* the folder was itself a run directory */
    char **unreadable; /* a line for each run, or part of one, that could not be believed */
    size_t unreadable_count;
    size_t left_out; /* whole runs among them */
} records;

/* Every run directly under `folder`, or the one run that `folder` is. ERROR_USAGE when there is none. */
bool records_read(records *all, const char *folder, error *err);
void records_free(records *all);

/* A final figure by name; when run.json lacks it, diagnosis.json's of that name; NaN when neither has it. */
double record_metric(const record *r, const char *name);

/* The text of `section.key` ("data.name") or of a key at the top of run.json; numbers and booleans are formatted.
 * Looks into swept values first, then the spec, then run.json itself. Returns `out`, "" when absent. */
char *record_text(const record *r, const char *key, char *out, size_t size);

/* What a phase ("train", "eval") took, all sittings; NaN when that is not known. */
double record_seconds(const record *r, const char *phase);

/* A JSON scalar as text: 64, 0.001, true, l2. Returns `out`. */
char *record_scalar(const json_t *value, char *out, size_t size);

/* A numeric array of diagnosis.json: fresh memory of *count numbers (null → NaN). NULL when absent or empty, or where
 * memory runs out: then *count is not 0. */
double *record_array(const record *r, const char *name, size_t *count);

/* The verdict of a mode ("dimensional") as its JSON object, or NULL. */
const json_t *record_verdict(const record *r, const char *mode);

/* A run's history as columns, one for each top-level number of metrics.jsonl, and for what lines hold inside: figures
 * measured midway as "figures.linear", and of looks at held-out images "look.rankme", "look.rankme_backbone" and
 * "look.worst", the worst of the four verdicts as verdict_name counts them. */
typedef struct history {
    char **names;    /* (columns) */
    double **values; /* (columns)(rows); NaN where a line lacks the name */
    size_t columns, rows;
} history;

/* A missing or empty file gives no columns; a line that is not JSON (a run killed while writing) ends the history. */
bool history_read(history *h, const record *r, error *err);
void history_free(history *h);
const double *history_column(const history *h, const char *name);

#endif
