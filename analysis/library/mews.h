/*
 * libmews: the diagnosis of embeddings, as a library. One matrix goes in as it lies in memory, one JSON object comes
 * out: the same that `mews diagnose --json` prints. A monitor keeps the diagnoses of a training run over its epochs in
 * a folder that `mews report` and `mews runs` read.
 *
 *   mews_input input = mews_input_of(n, d);           everything else is absent until it is set
 *   input.embeddings.data = z;                         float32, rows packed: read where it lies, never copied
 *   char *json, why[MEWS_MESSAGE];
 *   if (mews_diagnose(&input, &json, why, sizeof why) != MEWS_DONE) fputs(why, stderr);
 *   mews_free(json);
 *
 * Every function is safe to call from one thread at a time; OpenMP threads are used inside. Nothing prints, nothing
 * ends the process, nothing is kept between calls. Structures begin with their size, so that a program built against
 * this header works with every later library of the same MEWS_INTERFACE.
 */
#ifndef MEWS_H
#define MEWS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEWS_INTERFACE 1
#define MEWS_MESSAGE 1024 /* room for any message */
#define MEWS_API __attribute__((visibility("default")))

typedef enum mews_result {
    MEWS_DONE = 0,
    MEWS_FAILED = 1, /* memory, a disk */
    MEWS_WRONG = 2,  /* the input is not what it has to be; the message says what and where */
} mews_result;

typedef enum mews_type { MEWS_FLOAT32 = 1, MEWS_FLOAT64 = 2, MEWS_FLOAT16 = 3, MEWS_BFLOAT16 = 4 } mews_type;

/* A matrix in somebody else's memory; data NULL: absent. Strides count elements; 0, 0: rows packed one after another.
 */
typedef struct mews_matrix {
    const void *data;
    size_t rows, cols;
    ptrdiff_t row_stride, col_stride;
    mews_type type;
} mews_matrix;

typedef struct mews_input {
    size_t size;      /* sizeof(mews_input), for later versions */
    const char *name; /* how messages and the result call the embeddings; NULL: "embeddings" */

    mews_matrix embeddings; /* (n, d), n ≥ 2; finite */
    const int64_t *labels;  /* (n) any integers, or NULL */
    int64_t unlabelled;     /* the label that means "none"; with has_unlabelled */
    int32_t has_unlabelled;

    const int64_t *codes; /* (n) each row's code, or NULL */
    mews_matrix scores;   /* (n, c) probabilities or logits over codes, instead of `codes`; the values tell which */
    size_t code_count;    /* how many codes there are; 0: as many as `scores` has columns, or as `codes` name */
    double temperature;   /* logits are divided by it; 0: they are as the softmax takes them */

    mews_matrix second;     /* (n, d) a second view of the same inputs */
    mews_matrix reference;  /* (n, any) the same rows before training, or pixels: what a collapse is measured against */
    mews_matrix prototypes; /* (c, d) */
    const int64_t *groups;  /* (n) rows that belong together (views of one image) share a number; or NULL */
    size_t attainable;      /* the most directions that the network could span; 0: min(n − 1, d) */

    uint64_t seed;   /* of samples, restarts and intervals */
    int32_t threads; /* 0: as many as OpenMP would take */
    int32_t fast;    /* not 0: ranks, spread, use of codes and verdicts without intervals */
} mews_input;

/* An input of n × d float32 embeddings with everything else absent; the data is still to be set. */
static inline mews_input mews_input_of(size_t n, size_t d) {
    mews_input input = {0};
    input.size = sizeof input;
    input.embeddings.rows = n;
    input.embeddings.cols = d;
    input.embeddings.type = MEWS_FLOAT32;
    return input;
}

/* The diagnosis as JSON text (UTF-8, one object) in *json, to be freed with mews_free; or a one-line message. */
MEWS_API mews_result mews_diagnose(const mews_input *input, char **json, char *message, size_t message_size);
MEWS_API void mews_free(void *memory);

/*
 * A monitor of a training run elsewhere. `folder` becomes a run's folder (run.json, metrics.jsonl, diagnosis.json,
 * embeddings.npy); an existing monitor's folder is continued, and epochs from the next one on replace what stood there.
 * The first epoch logged is what later ones are held against: log epoch 0 before training. `settings` is a JSON object
 * of what the run is (learning rate, method), or NULL; its values become the run's columns.
 */
typedef struct mews_monitor mews_monitor;
MEWS_API mews_result mews_monitor_open(const char *folder, const char *settings, mews_monitor **monitor, char *message,
                                       size_t message_size);
/* Diagnoses and appends; `figures` is a JSON object of numbers to keep beside (loss, accuracy), or NULL. */
MEWS_API mews_result mews_monitor_log(mews_monitor *monitor, int64_t epoch, const mews_input *input,
                                      const char *figures, char **json, char *message, size_t message_size);
/* Marks the run as finished and releases the monitor. */
MEWS_API mews_result mews_monitor_close(mews_monitor *monitor, char *message, size_t message_size);

MEWS_API const char *mews_version(void); /* "0.1.0" */
MEWS_API int mews_interface(void);       /* MEWS_INTERFACE of the library */

#ifdef __cplusplus
}
#endif
#endif
