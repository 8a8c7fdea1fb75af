/*
 * The loader: threads that make augmented batches ahead of the trainer. Shuffles and augmentations depend only on
 * (seed, epoch, sample, view), so a batch's bits are the same for any number of threads, and a run may start anywhere.
 */
#ifndef MEWS_LOADER_H
#define MEWS_LOADER_H

#include "engine/data/views/augment.h"
#include "engine/data/dataset.h"

typedef struct loader loader;

typedef struct loader_batch {
    uint32_t epoch, index;   /* which batch of which epoch this is */
    int pairs, views;        /* n, and global views per sample */
    int locals, local_size;  /* local views per sample, and their side; 0 when there are none */
    const float *pixels;     /* (views·n, size, size, 3), normalised by the data set's mean and std; view by view:
                                all first views, then all second ones */
    const float *local;      /* (locals·n, local_size, local_size, 3), view by view; NULL when there are none */
    const int *labels;       /* n */
    const uint32_t *samples; /* n indices into the split */
    double waited;           /* seconds the caller was kept waiting */
} loader_batch;

/*
 * Batches of `pairs` samples of `split` in `views` global views and augment->local_crops local ones, the last
 * incomplete one of an epoch dropped; order reshuffled each epoch by (seed, epoch). Starts at batch `index` of `epoch`
 * and goes on for ever. threads ≥ 1; they take no signals and start no OpenMP teams. ERROR_USAGE when the split holds
 * fewer than `pairs` samples or local views are larger than the images. `set` must outlive the loader.
 */
loader *loader_open(const dataset *set, dataset_split split, const augment_options *augment, int views, int pairs,
                    uint64_t seed, uint32_t epoch, uint32_t index, int threads, error *err);
uint32_t loader_batches(const loader *l); /* per epoch */

/* The same with part `part` of `parts` of every batch alone, for processes that share them; pairs / parts samples of
 * it, which must be whole. */
loader *loader_open_part(const dataset *set, dataset_split split, const augment_options *augment, int views, int pairs,
                         int part, int parts, uint64_t seed, uint32_t epoch, uint32_t index, int threads, error *err);

/*
 * The next batch; its memory stays valid until the next call. One caller. Of packed pixels nothing is allocated after
 * loader_open; of packed files a thread's memory grows with the largest image. An error (a file that was damaged since
 * it was packed) is final.
 */
bool loader_next(loader *l, loader_batch *batch, error *err);
void loader_close(loader *l); /* stops the threads, wherever they are */

/*
 * Images of a split as evaluation sees them (view_plain), normalised: rows [first, first+count) into pixels (count,
 * size, size, 3). Decoded by all threads of the caller's OpenMP team.
 */
bool loader_plain(const dataset *set, dataset_split split, uint32_t first, uint32_t count, float *pixels, error *err);

#endif
