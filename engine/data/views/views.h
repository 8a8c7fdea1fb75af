/*
 * From a sample of a data set to what a network sees of it: the random views of training, or the plain view of
 * evaluation. Packed pixels are cropped where they lie; of a packed file one decoding serves all views of the sample,
 * and takes no more of it than their boxes span. All of this is one thread's; what comes out depends on the arguments
 * alone.
 */
#ifndef MEWS_VIEWS_H
#define MEWS_VIEWS_H

#include "engine/data/views/augment.h"
#include "engine/data/dataset.h"

enum { VIEWS_MOST = AUGMENT_VIEWS + AUGMENT_MAX_LOCAL };

/* What is made: `views` global views and the augmentation's local ones. */
typedef struct view_plan {
    const dataset *set;
    dataset_split split;
    augment_options augment;
    int views;
    uint64_t seed;
} view_plan;

typedef struct view_maker view_maker;

/* `plan` must outlive it. */
view_maker *view_maker_create(const view_plan *plan, error *err);
void view_maker_destroy(view_maker *m);

/*
 * The views of one sample in one epoch, normalised by the data set's mean and std: global ones first, view v into
 * out[v], which is (size, size, 3) of data.size or augment.local_size. Packed pixels cannot fail, and allocate nothing.
 */
bool view_maker_run(view_maker *m, uint32_t epoch, uint32_t sample, float *const out[], error *err);

/*
 * A sample as evaluation sees it, size×size×3 bytes RGB: packed pixels as they are; of a file the middle, after its
 * short side was brought to 8/7 of the size (224 out of 256) by bicubic resize.
 */
typedef struct plain_maker {
    resizer *resizer;
    photo_part part;
} plain_maker; /* zero to begin with */
bool view_plain(plain_maker *m, const dataset *set, dataset_split split, uint32_t sample, uint8_t *rgb, error *err);
void plain_maker_free(plain_maker *m);

#endif
