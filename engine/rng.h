/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A stream is named by what it is for (seed,
 * purpose, epoch, sample, draw), never by who asks or when, so any thread may draw any sample's numbers and the bits
 * stay the same; nothing needs saving when a run stops.
 */
#ifndef MEWS_RNG_H
#define MEWS_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef enum rng_purpose {
    RNG_INIT = 1,    /* initial weights; sample = index of the parameter */
    RNG_DICTIONARY,  /* frozen codes */
    RNG_SHUFFLE,     /* order of the samples in an epoch */
    RNG_SUBSET,      /* data.limit, data.validation */
    RNG_AUGMENT,     /* sample = sample, draw = view */
    RNG_SHAPES,      /* the built-in data set's drawings */
    RNG_KMEANS,      /* restarts of k-means */
    RNG_PERMUTATION, /* chance levels */
    RNG_NULL,        /* noise that statistics are held against */
    RNG_TEST,
    RNG_METHOD,  /* a method's own draws; sample = step */
    RNG_SWEEP,   /* values of a sweep's `random:`; sample = number of the draw */
    RNG_STEP,    /* a view's further steps of augmentation; seed = the view's own, sample = hash of its name */
    RNG_DEPTH,   /* stochastic depth; sample = sample, draw = view, block and branch */
    RNG_PATCHES, /* patches that a view loses; sample = sample, draw = view */
} rng_purpose;

typedef struct rng {
    uint32_t key[2], counter[4], block[4];
    unsigned used; /* words of `block` already given out */
    double spare;  /* second normal of a Box-Muller pair */
    int has_spare;
} rng;

/* A stream of its own for each (seed, purpose, epoch, sample, draw); at most 2^32 blocks of four words each. */
rng rng_stream(uint64_t seed, rng_purpose purpose, uint32_t epoch, uint64_t sample, uint32_t draw);

uint32_t rng_bits(rng *r);
double rng_uniform(rng *r);                          /* [0, 1), 53 bits */
double rng_between(rng *r, double low, double high); /* [low, high) */
double rng_normal(rng *r);                           /* mean 0, variance 1 */
uint32_t rng_below(rng *r, uint32_t n);              /* {0, …, n−1} without bias; n > 0 */
void rng_shuffle(rng *r, uint32_t *items, size_t n); /* Fisher-Yates */

/* One Philox4x32-10 block, exposed so that tests can hold it against the authors' known answers. */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
