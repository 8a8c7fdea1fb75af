/*
 * The swept keys of a block as factors of an experiment: each with its values (levels), and for every run which level
 * of each key, which setting and which seed it stands for. A key's values are compared fairly only between runs that
 * are alike in everything else: `context` numbers what else a run was set to.
 */
#ifndef MEWS_FACTORS_H
#define MEWS_FACTORS_H

#include "analysis/report/study/study.h"

typedef struct factor_level {
    char label[96];
    double x;    /* the number itself, the middle of a range, or the place among names */
    size_t runs; /* that have it */
} factor_level;

typedef struct factor {
    char key[96], name[96], with[160]; /* "method.beta", "beta", the keys that moved along */
    bool numeric, log;                 /* as in study_block */
    bool ranges;                       /* levels are ranges of a key drawn at random */
    bool matched; /* a third of the runs or more stand in contexts that hold every level with the same seed */
    factor_level *levels;
    size_t count;
    size_t *level, *context; /* (runs) */
    size_t contexts;
} factor;

typedef struct factors {
    const record **runs; /* finished ones of the block, setting by setting (count) */
    size_t count;
    factor *items; /* the keys that vary but seeds, the block's axis first */
    size_t factor_count;
    size_t *setting, *seed; /* (runs); settings are numbered in the block's order */
    size_t settings, seeds;
} factors;

bool factors_read(factors *f, const study_block *b, error *err);
void factors_free(factors *f);

#endif
