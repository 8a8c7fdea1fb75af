/*
 * A spec file as written, with the files that it includes: settings, what varies, and the line each stands on. Nothing
 * is resolved here; sweep.h turns it into runs. The grammar, on top of YAML:
 *   name: text                      default: the file's name
 *   include: FILE or [FILES]        beside this one; laid below it, block by block and key by key; names stay behind
 *   <section>: {key: value, …}      or the shorthand `augment: none`, `eval: [linear, knn]`
 *   methods: {METHOD: {<section>: …}}           sections for the runs of one method
 *   sweep: zip: random:             what varies; see spec_axes.h
 *   halving:                        which of the runs go on; see spec_halving.h
 *   sweeps: {block: {<section>: …, methods: …, sweep: …, zip: …, random: …, halving: …}}   each block by itself, with
 *                                   what the file varies inside each
 * Layers, later ones over earlier ones: the file's sections, its methods:, the block's sections, its methods:, --set,
 * swept values. A value may be `${section.key}`, what that key comes to in the end.
 */
#ifndef MEWS_SPEC_FILE_H
#define MEWS_SPEC_FILE_H

#include "experiments/spec/spec_axes.h"
#include "experiments/spec/spec_halving.h"

/* Sections as one file has them. */
typedef struct spec_layer {
    char method[SPEC_NAME_SIZE]; /* only for runs of this method; "": for all */
    char where[SPEC_WHERE_SIZE]; /* of `methods: METHOD` */
    settings settings;
} spec_layer;

/* What the top of a file can hold, and a block too. */
typedef struct spec_level {
    spec_layer *layers; /* an included file's before those of the file that includes it */
    size_t layer_count;
    spec_axes axes;
    spec_halving halving;
} spec_level;

typedef struct spec_block {
    char name[SPEC_NAME_SIZE];
    spec_level level;
} spec_block;

typedef struct spec_file {
    char *path;
    char name[SPEC_NAME_SIZE];
    spec_level top;
    settings overrides; /* of --set */
    spec_block *blocks;
    size_t block_count;
} spec_file;

/* The keys of a file that are no section, for `mews keys`; the last row has no name. */
typedef struct spec_file_key {
    const char *name, *takes, *help;
    bool in_blocks; /* a block may hold it, too */
} spec_file_key;
extern const spec_file_key spec_file_keys[];

/* ERROR_USAGE with file and line for anything that is not a spec's shape. */
bool spec_file_read(spec_file *file, const char *path, error *err);

/* How the runs of a block (NULL: of a file without blocks) are halved, its own way or the file's; NULL: they are not.
 */
const spec_halving *spec_file_halving(const spec_file *file, const spec_block *block);

/*
 * --set KEY=VALUE. Fixes a varied key at one value, too; `--set sweep.KEY=[a, b]` sweeps a key or changes the values
 * of one that is varied; `--set random.runs=N` and `random.seed=S` change what is drawn, `halving.KEY` how runs are
 * halved, and `halving=off` has all of them train to their end.
 */
bool spec_file_set(spec_file *file, const char *text, error *err);

/* --base KEY=VALUE: as if the file's own sections said so, so that `methods:` and blocks keep their say. Refused for a
   key that varies. */
bool spec_file_base(spec_file *file, const char *text, error *err);

/* Drops the blocks that are not named (NULL at the end). ERROR_USAGE for a name that no block has. */
bool spec_file_keep_blocks(spec_file *file, const char *const *names, error *err);
void spec_file_free(spec_file *file);

/* Puts a level's layers behind the `count` that stand in `out`, in their order: the plain ones, then those for runs of
   `method` (NULL: none). Returns how many there are then, at most level->layer_count more. */
size_t spec_level_layers(const spec_level *level, const char *method, const settings **out, size_t count);

#endif
