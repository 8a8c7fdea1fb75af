/*
 * A spec in memory: everything that decides one run. It is made from settings (a key, a value, and where that was
 * written) laid over each other in layers: spec file, block of a sweep, --set, swept values. Sections stand in one
 * table, in spec.c; nothing else enumerates them.
 */
#ifndef MEWS_SPEC_H
#define MEWS_SPEC_H

#include "engine/backbone.h"
#include "engine/data/views/augment.h"
#include "engine/data/dataset.h"
#include "engine/optimizer.h"
#include "experiments/spec/options.h"
#include "methods/method.h"

enum { SPEC_NAME_SIZE = 64, SPEC_KEY_SIZE = 96, SPEC_WHERE_SIZE = 320 };

typedef struct spec {
    char name[SPEC_NAME_SIZE];
    data_options data;
    augment_options augment;
    backbone_options backbone;
    const method *method;
    void *method_options; /* owned; the struct behind method's field table */
    optimizer_options optimizer;
    train_options train;
    eval_options eval;
} spec;

/* ---- Settings: what was written, before it means anything ---- */

typedef struct setting {
    char key[SPEC_KEY_SIZE];     /* "method.codes" */
    char value[FIELD_TEXT_SIZE]; /* "64"; a list as "[linear, knn]" */
    char where[SPEC_WHERE_SIZE]; /* "ablation.yaml:7", "--set method.codes=64" */
    bool list;
} setting;

typedef struct settings {
    setting *items;
    size_t count;
} settings;

/* ERROR_USAGE when a part is too long. */
bool settings_add(settings *list, const char *key, const char *value, bool is_list, const char *where, error *err);
void settings_free(settings *list);

/* The last setting of `key` in the layers, or NULL. */
const setting *settings_last(const settings *const *layers, size_t count, const char *key);

/* ---- Specs ---- */

/*
 * The spec that `layers` make, later ones over earlier ones. A key unknown to the final method is passed over when it
 * was set for another method in a layer below. A value may hold `${section.key}`: what that key comes to in the end, as
 * field_format writes it. ERROR_USAGE names the key and where it stands. `origin` (a file's name) is for what is
 * missing altogether.
 */
bool spec_resolve(spec *s, const char *name, const settings *const *layers, size_t layer_count, const char *origin,
                  error *err);
void spec_free(spec *s);

/*
 * `data.name` for layers that give data.path alone, as the files there say it: a layer to lay below them, empty when
 * none is needed. ERROR_USAGE when nothing that is known is there. Free it with settings_free; zero to begin with.
 */
bool spec_name_data(settings *named, const settings *const *layers, size_t count, error *err);

/*
 * Does the setting do anything in one of the runs that come of it? ERROR_USAGE when it has another value than its
 * default and none of them uses that (a section's field_condition).
 */
bool spec_check_use(const spec *const *runs, size_t count, const setting *set, error *err);

/* Section i's name ("data"), NULL past the last. */
const char *spec_section_name(size_t i);

/* Section i's rows; for the method's section those of `chosen` (NULL when that is NULL). */
const field_table *spec_section_fields(size_t i, const method *chosen);

bool spec_is_section(const char *name);

/* The key that a bare section stands for ("augment" → "preset", as in `augment: none`), or NULL. */
const char *spec_shorthand(const char *section);

/* "section" → "section.shorthand"; a dotted key stays as it is. Returns `out`. */
const char *spec_full_key(const char *key, char out[SPEC_KEY_SIZE]);

/* One value of a spec, in the order of the sections; the method's name counts as one. False past the last. */
typedef struct spec_item {
    const char *section, *key;
    field_type type;
    bool identity;
    const char *fallback;       /* its default, likewise; NULL for the method's name */
    char text[FIELD_TEXT_SIZE]; /* as field_format writes it */
} spec_item;
bool spec_item_at(const spec *s, size_t i, spec_item *item);

/* The value of "section.key", formatted, into `out`; NULL when there is none such. */
char *spec_value(const spec *s, const char *key, char *out, size_t size);

/* Every key of every section as YAML, always the same bytes for the same spec; reads back to it. free() it. */
char *spec_text(const spec *s, error *err);
bool spec_write_resolved(const spec *s, const char *path, error *err);

/* SHA-256 over "section.key=value" of the identity rows and the data's checksum. */
bool spec_identity_hash(const spec *s, const char *data_checksum, char out[65], error *err);

#endif
