/*
 * A spec file as written: settings, sweeps, and the line each stands on. Nothing is resolved here; sweep.h turns it
 * into runs. The grammar, on top of YAML:
 *   name: text                      default: the file's name
 *   <section>: {key: value, …}      or the shorthand `augment: none`, `eval: [linear, knn]`
 *   sweep:  {section.key: [values]} every combination
 *   sweeps: {block: {<section>: …, sweep: …}}   each block by itself, with the top-level `sweep:` inside each
 */
#ifndef MEWS_SPEC_FILE_H
#define MEWS_SPEC_FILE_H

#include "experiments/spec.h"

/* A key that is swept, and its values: settings of that key. */
typedef struct spec_axis {
    char key[SPEC_KEY_SIZE];
    settings values;
} spec_axis;

typedef struct spec_axes {
    spec_axis *items;
    size_t count;
} spec_axes;

typedef struct spec_block {
    char name[SPEC_NAME_SIZE];
    settings settings;
    spec_axes axes;
} spec_block;

typedef struct spec_file {
    char *path;
    char name[SPEC_NAME_SIZE];
    settings settings, overrides; /* of the file; of --set */
    spec_axes axes;
    spec_block *blocks;
    size_t block_count;
} spec_file;

/* ERROR_USAGE with file and line for anything that is not a spec's shape. */
bool spec_file_read(spec_file *file, const char *path, error *err);

/*
 * --set KEY=VALUE. Fixes a swept key at one value, too; `--set sweep.KEY=[a, b]` sweeps a key or changes the values
 * of one that is swept.
 */
bool spec_file_set(spec_file *file, const char *text, error *err);
void spec_file_free(spec_file *file);

#endif
