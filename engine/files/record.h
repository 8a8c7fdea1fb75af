/*
 * A run's record, run.json: JSON under a seal (engine/files/seal.h) that also holds a digest of each file beside it. So
 * one look tells whether a record is what was written, and a second whether an array is the one that it speaks of.
 * Records of earlier versions carry no seal and are taken as they are.
 */
#ifndef MEWS_RECORD_H
#define MEWS_RECORD_H

#include "engine/error.h"

#include <jansson.h>

/* ERROR_RUN with the path and what is wrong with it; an object otherwise, the caller's to json_decref. */
json_t *record_read(const char *path, error *err);

/* JSON beside a record, the caller's to json_decref: NULL where there is no such file, or none that can be made out.
 * ERROR_RUN for one that is there and cannot be opened. */
bool record_peek(const char *path, json_t **out, error *err);

/* The id of the run that a record is of, as long as the record; NULL with ERROR_RUN and its path where it names none. */
const char *record_run(const json_t *record, const char *path, error *err);

/* Seals and writes it, whole or not at all. */
bool record_write(const char *path, json_t *record, error *err);

/* Notes the digest of `folder`/`name` as it is now; forgets it when there is no such file. */
bool record_note_file(json_t *record, const char *folder, const char *name, error *err);

/* ERROR_RUN when `folder`/`name` is another file than the record speaks of. One that it does not name, or that is gone,
 * passes: who reads it will say. */
bool record_check_file(const json_t *record, const char *folder, const char *name, error *err);

#endif
