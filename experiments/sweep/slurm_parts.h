/*
 * What slurm.c (handing over) and slurm_script.c (the scripts) share.
 */
#ifndef MEWS_SLURM_PARTS_H
#define MEWS_SLURM_PARTS_H

#include "experiments/sweep/slurm.h"

/* One array: the runs `chosen`, indices into the queue. */
typedef struct slurm_array {
    const size_t *chosen;
    size_t count;
    size_t rung;       /* that its runs are to come to, from 1; 0 where they are not halved */
    const char *after; /* jobs that have to be over first, "12:13"; "" for none */
} slurm_array;

bool slurm_print_script(FILE *out, const queue *q, const arguments *args, const char *results, const slurm_array *array,
                        error *err);

#endif
