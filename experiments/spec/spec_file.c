/*
 * Reading a spec file and what it includes. This file checks that the YAML has a spec's shape and flattens it into
 * settings. It does not know what a key means: only the names of the sections and the two ways to write one (mapping,
 * or the shorthand for one key). Values are checked when a spec is resolved, since which keys a method has is known
 * only then. An included file adds its layers before the file that includes it begins its own, so "laid below" is the
 * order in the lists.
 */
#include "experiments/spec/spec_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const spec_file_key spec_file_keys[] = {
    {"name", "NAME", "of the folder of results and the start of run ids; without it, the file's name", false},
    {"include", "FILE or [FILES]",
     "beside this file, laid below it block by block and key by key; their names stay behind", false},
    {"methods", "{METHOD: {SECTION: …}}", "sections for the runs of one method, laid over the others", true},
    {"sweep", "{KEY: [VALUES]}", "every combination", true},
    {"zip", "{KEY: [VALUES]}", "keys that move together, lists of one length; a list of such mappings holds several",
     true},
    {"random", "{runs: N, KEY: RANGE}",
     "N draws of these keys together, the same for the same `seed:` (0); RANGE is {uniform: [low, high]}, "
     "{log_uniform: [low, high]}, {integer: [low, high]}, {log_integer: [low, high]} or {choice: [values]}",
     true},
    {"halving", "{figure: NAME, rungs: [EPOCHS], keep: SHARE}",
     "train all settings of a method up to the first rung, and only the best share (0.5) further, rung by rung; NAME "
     "is a figure that is recorded after every epoch: rankme, effective_rank, backbone_rankme, "
     "backbone_effective_rank, "
     "codes_used, code_hard_perplexity, online_linear, online_knn",
     true},
    {"sweeps", "{BLOCK: {…}}", "blocks, each with sections, methods, sweep, zip, random and halving of its own", false},
    {0},
};

/* ---- Growing lists ---- */

static void *grow(void *list, size_t *count, size_t size, error *err) {
    char *grown = realloc(list, (*count + 1) * size);
    if (!grown) {
        error_memory(err, (*count + 1) * size, "a spec");
        return NULL;
    }
    memset(grown + *count * size, 0, size);
    ++*count;
    return grown;
}

spec_layer *spec_level_add_layer(spec_level *level, error *err) {
    spec_layer *layers = grow(level->layers, &level->layer_count, sizeof *layers, err);
    if (!layers) return NULL;
    level->layers = layers;
    return &layers[level->layer_count - 1];
}

void spec_level_free(spec_level *level) {
    for (size_t i = 0; i < level->layer_count; i++) settings_free(&level->layers[i].settings);
    free(level->layers);
    spec_axes_free(&level->axes);
}

void spec_file_free(spec_file *file) {
    free(file->path);
    spec_level_free(&file->top);
    settings_free(&file->overrides);
    for (size_t i = 0; i < file->block_count; i++) spec_level_free(&file->blocks[i].level);
    free(file->blocks);
    *file = (spec_file){0};
}

size_t spec_level_layers(const spec_level *level, const char *method, const settings **out, size_t count) {
    for (int of_method = 0; of_method <= (method != NULL); of_method++)
        for (size_t i = 0; i < level->layer_count; i++)
            if (strcmp(level->layers[i].method, of_method ? method : "") == 0)
                out[count++] = &level->layers[i].settings;
    return count;
}

/* ---- Sections ---- */

typedef struct section_context {
    settings *list;
    const char *section;
} section_context;

static bool each_option(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                        const yaml_node_t *value) {
    const section_context *c = context;
    char full[FIELD_TEXT_SIZE];
    snprintf(full, sizeof full, "%s.%s", c->section, key);
    return reader_add(r, c->list, full, value, key_node);
}

static bool read_section(reader *r, settings *list, const char *section, const yaml_node_t *key_node,
                         const yaml_node_t *value) {
    if (node_is_empty(value)) return true;
    if (value->type == YAML_MAPPING_NODE) return reader_each(r, value, &(section_context){list, section}, each_option);
    const char *shorthand = spec_shorthand(section);
    if (!shorthand) return reader_refuse(r, key_node, "takes a mapping of keys", section);
    char full[SPEC_KEY_SIZE];
    snprintf(full, sizeof full, "%s.%s", section, shorthand);
    return reader_add(r, list, full, value, key_node);
}

/* "unknown key `optimiser` in file:line; did you mean `optimizer`?" among the sections and what else may stand there.
 */
static bool refuse_unknown(reader *r, const char *key, const yaml_node_t *node, bool level, bool top) {
    const char *known[40] = {0};
    size_t n = 0;
    for (size_t i = 0; n < 24 && spec_section_name(i); i++) known[n++] = spec_section_name(i);
    for (const spec_file_key *k = spec_file_keys; level && k->name; k++)
        if (top || k->in_blocks) known[n++] = k->name;
    char where[SPEC_WHERE_SIZE];
    reader_where(r, node, where);
    const char *near = error_nearest(key, known);
    if (near) return error_set(r->err, ERROR_USAGE, "unknown key `%s` in %s; did you mean `%s`?", key, where, near);
    return error_set(r->err, ERROR_USAGE, "unknown key `%s` in %s; `mews keys` lists what there is", key, where);
}

/* ---- Levels: what the file and a block have in common ---- */

static bool each_method_key(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                            const yaml_node_t *value) {
    spec_layer *layer = context;
    if (!spec_is_section(key)) return refuse_unknown(r, key, key_node, false, false);
    size_t before = layer->settings.count;
    if (!read_section(r, &layer->settings, key, key_node, value)) return false;
    for (size_t i = before; i < layer->settings.count; i++)
        if (strcmp(layer->settings.items[i].key, "method.name") == 0)
            return error_set(r->err, ERROR_USAGE, "%s: the sections for method `%s` cannot name another method",
                             layer->settings.items[i].where, layer->method);
    return true;
}

static bool each_method(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                        const yaml_node_t *value) {
    char where[SPEC_WHERE_SIZE];
    reader_where(r, key_node, where);
    if (!method_find(key)) {
        const char *near = error_nearest(key, method_names);
        return error_set(r->err, ERROR_USAGE, "unknown method `%.80s` in %s; %s%s%s", key, where,
                         near ? "did you mean `" : "", near ? near : "`mews methods` lists what there is",
                         near ? "`?" : "");
    }
    if (value->type != YAML_MAPPING_NODE) return reader_refuse(r, key_node, "takes a mapping of sections", key);
    spec_layer *layer = spec_level_add_layer(context, r->err);
    if (!layer) return false;
    snprintf(layer->method, sizeof layer->method, "%s", key);
    memcpy(layer->where, where, sizeof where);
    return reader_each(r, value, layer, each_method_key);
}

/* Whether `key` is one of a level's own; *done is then how reading it went. `plain` is the level's layer of the file
   that is being read. */
static bool read_level_key(reader *r, spec_level *level, size_t plain, const char *key, const yaml_node_t *key_node,
                           const yaml_node_t *value, bool *done) {
    if (strcmp(key, "sweep") == 0)
        *done = spec_axes_read_sweep(r, &level->axes, key_node, value);
    else if (strcmp(key, "zip") == 0)
        *done = spec_axes_read_zip(r, &level->axes, key_node, value);
    else if (strcmp(key, "random") == 0)
        *done = spec_axes_read_random(r, &level->axes, key_node, value);
    else if (strcmp(key, "halving") == 0)
        *done = spec_halving_read(r, &level->halving, key_node, value);
    else if (strcmp(key, "methods") == 0)
        *done = value->type == YAML_MAPPING_NODE
                    ? reader_each(r, value, level, each_method)
                    : reader_refuse(r, key_node, "takes a mapping from methods to sections", key);
    else if (spec_is_section(key))
        *done = read_section(r, &level->layers[plain].settings, key, key_node, value);
    else
        return false;
    return true;
}

typedef struct level_context {
    spec_level *level;
    size_t plain;
} level_context;

static bool each_block_key(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                           const yaml_node_t *value) {
    const level_context *c = context;
    bool done;
    if (read_level_key(r, c->level, c->plain, key, key_node, value, &done)) return done;
    return refuse_unknown(r, key, key_node, true, false);
}

/* ---- The file ---- */

/* Names become part of paths. */
bool spec_name_is_safe(const char *name) {
    if (!isalnum((unsigned char)*name) || strlen(name) >= SPEC_NAME_SIZE) return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) return false;
    return true;
}

bool spec_name_is_index(const char *name) { return strncmp(name, "runs.db", strlen("runs.db")) == 0; }

const char spec_index_name[] = "is the index of all runs, which lies among the folders of that name; take another";
const char spec_bad_name[] = "is no name: letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first";

/* The files that are open, innermost last, for what they include. */
typedef struct open_file {
    const struct open_file *parent;
    const char *path;
    struct stat status;
} open_file;

typedef struct file_context {
    spec_file *file;
    const open_file *open;
    unsigned *sources; /* files opened so far */
    size_t plain;      /* the top level's layer of this file */
} file_context;

static spec_block *block_of(spec_file *file, const char *name, error *err) {
    for (size_t i = 0; i < file->block_count; i++)
        if (strcmp(file->blocks[i].name, name) == 0) return &file->blocks[i];
    spec_block *blocks = grow(file->blocks, &file->block_count, sizeof *blocks, err);
    if (!blocks) return NULL;
    file->blocks = blocks;
    spec_block *block = &blocks[file->block_count - 1];
    snprintf(block->name, sizeof block->name, "%s", name);
    return block;
}

static bool each_block(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                       const yaml_node_t *value) {
    spec_file *file = context;
    if (!spec_name_is_safe(key)) return reader_refuse(r, key_node, spec_bad_name, key);
    if (value->type != YAML_MAPPING_NODE)
        return reader_refuse(r, key_node, "takes a mapping of sections and a `sweep:`", key);
    spec_block *block = block_of(file, key, r->err);
    if (!block || !spec_level_add_layer(&block->level, r->err)) return false;
    return reader_each(r, value, &(level_context){&block->level, block->level.layer_count - 1}, each_block_key);
}

static bool each_top_key(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                         const yaml_node_t *value) {
    const file_context *c = context;
    bool done;
    if (strcmp(key, "include") == 0) return true; /* read before everything else */
    if (strcmp(key, "name") == 0) {
        const char *name = node_text(value);
        if (!name || !spec_name_is_safe(name)) return reader_refuse(r, value, spec_bad_name, name ? name : "name");
        if (spec_name_is_index(name)) return reader_refuse(r, value, spec_index_name, name);
        if (!c->open->parent) snprintf(c->file->name, sizeof c->file->name, "%s", name);
        return true;
    }
    if (strcmp(key, "sweeps") == 0) {
        if (value->type != YAML_MAPPING_NODE || value->data.mapping.pairs.start == value->data.mapping.pairs.top)
            return reader_refuse(r, key_node, "takes a mapping from names to blocks", key);
        return reader_each(r, value, c->file, each_block);
    }
    if (read_level_key(r, &c->file->top, c->plain, key, key_node, value, &done)) return done;
    return refuse_unknown(r, key, key_node, true, true);
}

/* ---- Including ---- */

enum { MOST_FILES = 64 }; /* two files that include each other's includes twice would otherwise be read for ever */

static bool read_layers(spec_file *file, const char *path, const open_file *parent, unsigned *sources, error *err);

static bool refuse_circle(reader *r, const yaml_node_t *node, const open_file *open, const open_file *again) {
    char chain[512] = "";
    for (const open_file *o = open; o; o = o == again ? NULL : o->parent) {
        char longer[sizeof chain];
        snprintf(longer, sizeof longer, "%.200s → %.300s", o->path, chain);
        memcpy(chain, longer, sizeof chain);
    }
    char what[640];
    snprintf(what, sizeof what, "goes round in a circle: %s%.100s", chain, again->path);
    return reader_refuse(r, node, what, "include");
}

/* The path of what is included, beside the including file; `out` is of PATH_SIZE. */
enum { PATH_SIZE = 512 };
static bool include_one(reader *r, const file_context *c, const yaml_node_t *node) {
    const char *name = node_text(node), *slash = strrchr(r->path, '/');
    char path[PATH_SIZE], what[PATH_SIZE + 64];
    struct stat status;
    if (!name || !*name) return reader_refuse(r, node, "takes the name of a file, or a list of them", "include");
    int folder = *name == '/' || !slash ? 0 : (int)(slash + 1 - r->path);
    if (snprintf(path, sizeof path, "%.*s%s", folder, r->path, name) >= PATH_SIZE || *c->sources >= MOST_FILES)
        return reader_refuse(r, node, *c->sources >= MOST_FILES ? "reads more than 64 files" : "is too long a path",
                             "include");
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(what, sizeof what, "finds no file %s; paths are relative to this file's folder", path);
        return reader_refuse(r, node, what, "include");
    }
    for (const open_file *o = c->open; o; o = o->parent)
        if (o->status.st_dev == status.st_dev && o->status.st_ino == status.st_ino)
            return refuse_circle(r, node, c->open, o);
    return read_layers(c->file, path, c->open, c->sources, r->err);
}

static bool include_all(reader *r, const file_context *c, const yaml_node_t *root) {
    const yaml_node_pair_t *pair = root->data.mapping.pairs.start, *top = root->data.mapping.pairs.top;
    while (pair < top) { /* before reader_each has looked at the keys */
        const char *key = node_text(reader_node(r, pair->key));
        if (key && strcmp(key, "include") == 0) break;
        pair++;
    }
    if (pair == top) return true;
    const yaml_node_t *value = reader_node(r, pair->value);
    if (value->type != YAML_SEQUENCE_NODE) return include_one(r, c, value);
    const yaml_node_item_t *item = value->data.sequence.items.start, *end = value->data.sequence.items.top;
    for (; item < end; item++)
        if (!include_one(r, c, reader_node(r, *item))) return false;
    return true;
}

/* What `path` and the files it includes say, onto what stands in `file`. */
static bool read_layers(spec_file *file, const char *path, const open_file *parent, unsigned *sources, error *err) {
    open_file open = {.parent = parent, .path = path};
    file_context c = {.file = file, .open = &open, .sources = sources};
    reader r = {.source = (*sources)++};
    const yaml_node_t *root = reader_open(&r, path, err);
    if (!root) return false;
    stat(path, &open.status);
    bool done = include_all(&r, &c, root) && spec_level_add_layer(&file->top, err);
    c.plain = file->top.layer_count - 1;
    done = done && reader_each(&r, root, &c, each_top_key);
    reader_close(&r);
    return done;
}

/* The file's name without folder and extension; "run" when that makes no name. */
static void name_from_path(const char *path, char out[SPEC_NAME_SIZE]) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    size_t length = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    snprintf(out, SPEC_NAME_SIZE, "%.*s", (int)length, base);
    if (!spec_name_is_safe(out) || spec_name_is_index(out)) strcpy(out, "run");
}

static bool check_level(const spec_level *level, error *err) {
    return spec_axes_check(&level->axes, err) && spec_halving_check(&level->halving, err);
}

const spec_halving *spec_file_halving(const spec_file *file, const spec_block *block) {
    const spec_halving *h = block && *block->level.halving.where ? &block->level.halving : &file->top.halving;
    return *h->where && !h->off ? h : NULL;
}

bool spec_file_read(spec_file *file, const char *path, error *err) {
    unsigned sources = 0;
    *file = (spec_file){.path = strdup(path)};
    if (!file->path) return error_memory(err, strlen(path) + 1, "a path");
    name_from_path(path, file->name);
    bool done = read_layers(file, path, NULL, &sources, err) && check_level(&file->top, err);
    for (size_t i = 0; done && i < file->block_count; i++) done = check_level(&file->blocks[i].level, err);
    if (!done) spec_file_free(file);
    return done;
}
