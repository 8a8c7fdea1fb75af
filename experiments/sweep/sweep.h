/*
 * From a spec file to the list of runs it stands for: every combination of the swept values, block by block, each a
 * whole resolved spec. The last axis turns fastest; a block's own axes come before the top-level ones.
 */
#ifndef MEWS_SWEEP_H
#define MEWS_SWEEP_H

#include "experiments/spec/spec_file.h"

enum { RUN_ID_SIZE = 256 };

typedef struct swept_value {
    char key[SPEC_KEY_SIZE];     /* "method.codes" */
    char value[FIELD_TEXT_SIZE]; /* as field_format writes it */
    field_type type;
} swept_value;

/* One run as planned. */
typedef struct run_plan {
    char block[SPEC_NAME_SIZE]; /* "" outside `sweeps:` */
    spec spec;
    swept_value *swept;
    size_t swept_count;
} run_plan;

typedef struct sweep {
    run_plan *runs;
    size_t count;
} sweep;

/* Resolves every run, so a mistake anywhere in the file is told before the first one starts. */
bool sweep_expand(sweep *sw, const spec_file *file, error *err);
void sweep_free(sweep *sw);
void run_plan_free(run_plan *plan);

/*
 * The run's id, safe as a file's name: spec's name, block, swept values, and 8 digits of the identity hash, as in
 * "ablation-dims_falcon-codes_codes-64_seed-0_1f3a92bc".
 */
bool run_plan_id(const run_plan *plan, const char *data_checksum, char out[RUN_ID_SIZE], error *err);

/* "falcon-codes codes-64 seed-0": what tells a run of the spec `name` from the others, for people. Returns `out`. */
char *run_label(const char *name, const char *id, char out[RUN_ID_SIZE]);

#endif
