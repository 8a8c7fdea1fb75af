/*
 * Which code made a run. The program knows a digest of each part that decides a run's bits: the engine, the loop
 * (training, its watching and the evaluation), and each method's file with what the methods share. The digests are of
 * the sources' words (experiments/run/code.sh), so that a comment changes none and any build of one tree has the same.
 */
#ifndef MEWS_CODE_H
#define MEWS_CODE_H

#include <jansson.h>
#include <stdbool.h>

typedef struct code_part {
    const char *name, *digest; /* "engine", "loop", or a method's name */
} code_part;

extern const code_part code_parts[]; /* ends with a row without name; made by the build */

/* {"engine": digest, "method": digest, "loop": digest} for runs of `method`; the caller's to json_decref. */
json_t *code_of(const char *method);

/* All of it as one short word, for what is bound to it. */
void code_word(const char *method, char out[65]);

/*
 * What is different between the code that a record names and this program's, as "engine and method"; NULL when it is
 * the same code, or was accepted for it. Records of versions that did not note their code differ.
 */
const char *code_difference(const json_t *record, const char *method);

#endif
