/*
 * What rank 0 tells the other processes of a run (engine/peers.h). It leads, keeps the record and the checkpoints, and
 * says what comes next; the others do it along and write nothing.
 */
#ifndef MEWS_WORDS_H
#define MEWS_WORDS_H

#include "engine/data/dataset.h"
#include "experiments/run/model.h"

typedef enum order {
    ORDER_START,     /* training goes on at `step`; the whole state follows */
    ORDER_STEP,      /* one step */
    ORDER_VALUES,    /* what the network holds follows, for a process that has not trained it along */
    ORDER_EXCHANGE,  /* student and teacher trade places (engine/teacher.h) */
    ORDER_REPRESENT, /* a round of images through the network; represent.h */
    ORDER_END,
} order;

/* Images to pass the network in evaluation, and in which batches. */
typedef struct images_asked {
    dataset_split split;
    uint32_t count;  /* rows */
    uint32_t batch;  /* rows at a time; the last ones may be fewer */
    bool by_batch;   /* BatchNorm by the statistics of a batch, as model_represent has it */
    bool out_of_all; /* rows are images out of the whole split (look_image), rather than its first ones */
    bool embeds;     /* through the method's head as well */
} images_asked;

typedef struct word {
    order order;
    uint64_t step;
    int threads;
    images_asked images; /* of a round, and its first row */
    uint32_t first;
} word;

bool words_cannot_reach(const peers *p, error *err); /* false */

/* Everyone calls it as they meet: what one of them would compute otherwise than rank 0 must not be mixed in. */
bool words_same_kernels(peers *p, error *err);

/* As rank 0. The word's threads are the model's. Nothing without peers. */
bool words_tell(const model *m, word w, error *err);
/* As another rank: waits for the next word. */
bool words_hear(peers *p, word *w, error *err);

/* What the parameters hold, but for what never changes, rank 0's to all; everyone calls it. whole: and the optimiser's
 * state. */
bool words_values(model *m, bool whole, error *err);

/* As rank 0, before others are asked for something: they hold what this process holds. */
bool words_let_follow(model *m, error *err);
/* As rank 0: teacher_exchange, of everyone. */
bool words_exchange(model *m, error *err);

#endif
