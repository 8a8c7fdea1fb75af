/*
 * Reading a spec file. libyaml's document interface gives a tree of nodes with their lines; this file checks that the
 * tree has a spec's shape and flattens it into settings. It does not know what a key means: only the names of the
 * sections and the two ways to write one (mapping, or the shorthand for one key). Values are checked when a spec is
 * resolved, since which keys a method has is known only then.
 */
#include "experiments/spec_file.h"
#include "engine/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* One document being read. */
typedef struct reader {
    yaml_document_t document;
    const char *path;
    error *err;
} reader;

static void say_where(const reader *r, const yaml_node_t *node, char out[SPEC_WHERE_SIZE]) {
    snprintf(out, SPEC_WHERE_SIZE, "%.250s:%zu", r->path, node->start_mark.line + 1);
}

/* "file:line: what". Returns false. */
static bool refuse(reader *r, const yaml_node_t *node, const char *what, const char *name) {
    char where[SPEC_WHERE_SIZE];
    say_where(r, node, where);
    if (name) return error_set(r->err, ERROR_USAGE, "%s: `%s` %s", where, name, what);
    return error_set(r->err, ERROR_USAGE, "%s: %s", where, what);
}

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

static void axes_free(spec_axes *axes) {
    for (size_t i = 0; i < axes->count; i++) settings_free(&axes->items[i].values);
    free(axes->items);
    *axes = (spec_axes){0};
}

static spec_axis *axes_find(spec_axes *axes, const char *key) {
    for (size_t i = 0; i < axes->count; i++)
        if (strcmp(axes->items[i].key, key) == 0) return &axes->items[i];
    return NULL;
}

static spec_axis *axes_add(spec_axes *axes, const char *key, error *err) {
    spec_axis *items = grow(axes->items, &axes->count, sizeof *items, err);
    if (!items) return NULL;
    axes->items = items;
    spec_axis *axis = &items[axes->count - 1];
    snprintf(axis->key, sizeof axis->key, "%s", key);
    return axis;
}

/* ---- Nodes ---- */

static const yaml_node_t *node_at(reader *r, int index) { return yaml_document_get_node(&r->document, index); }

/* A scalar's text, or NULL when the node is none or holds a zero byte. */
static const char *scalar_text(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* `key:` with nothing behind it. */
static bool is_empty(const yaml_node_t *node) {
    const char *text = scalar_text(node);
    return text && !*text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/*
 * Walks a mapping: calls `each` with key and value until it returns false. Refuses keys that are no text or come twice.
 */
static bool each_pair(reader *r, const yaml_node_t *mapping, void *context,
                      bool (*each)(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                                   const yaml_node_t *value)) {
    const yaml_node_pair_t *first = mapping->data.mapping.pairs.start, *top = mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = first; pair < top; pair++) {
        const yaml_node_t *key_node = node_at(r, pair->key);
        const char *key = scalar_text(key_node);
        if (!key || !*key) return refuse(r, key_node, "a key must be a word", NULL);
        for (const yaml_node_pair_t *earlier = first; earlier < pair; earlier++) {
            const yaml_node_t *other = node_at(r, earlier->key);
            if (strcmp(scalar_text(other), key) != 0) continue;
            char what[64];
            snprintf(what, sizeof what, "stands twice (first in line %zu)", other->start_mark.line + 1);
            return refuse(r, key_node, what, key);
        }
        if (!each(r, context, key, key_node, node_at(r, pair->value))) return false;
    }
    return true;
}

/* The text of a list of scalars: "[a, b]". */
static bool list_text(reader *r, const yaml_node_t *list, const char *key, char out[FIELD_TEXT_SIZE]) {
    size_t used = (size_t)snprintf(out, FIELD_TEXT_SIZE, "[");
    for (const yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
        const char *text = scalar_text(node_at(r, *i));
        if (!text) return refuse(r, node_at(r, *i), "takes a list of words, not a list of lists or mappings", key);
        used += (size_t)snprintf(out + used, FIELD_TEXT_SIZE - used, "%s%s", used > 1 ? ", " : "", text);
        if (used >= FIELD_TEXT_SIZE - 1) return refuse(r, list, "is too long", key);
    }
    snprintf(out + used, FIELD_TEXT_SIZE - used, "]");
    return true;
}

/* Adds one value, scalar or list of scalars. */
static bool add_value(reader *r, settings *list, const char *key, const yaml_node_t *value, const yaml_node_t *place) {
    char text[FIELD_TEXT_SIZE], where[SPEC_WHERE_SIZE];
    bool is_list = value->type == YAML_SEQUENCE_NODE;
    say_where(r, place, where);
    if (value->type == YAML_MAPPING_NODE) return refuse(r, value, "takes a value, not a mapping", key);
    if (is_list) return list_text(r, value, key, text) && settings_add(list, key, text, true, where, r->err);
    const char *scalar = scalar_text(value);
    if (!scalar) return refuse(r, value, "holds a zero byte", key);
    if (is_empty(value)) return refuse(r, place, "has no value", key);
    return settings_add(list, key, scalar, false, where, r->err);
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
    return add_value(r, c->list, full, value, key_node);
}

static bool read_section(reader *r, settings *list, const char *section, const yaml_node_t *key_node,
                         const yaml_node_t *value) {
    if (is_empty(value)) return true;
    if (value->type == YAML_MAPPING_NODE) return each_pair(r, value, &(section_context){list, section}, each_option);
    const char *shorthand = spec_shorthand(section);
    if (!shorthand) return refuse(r, key_node, "takes a mapping of keys", section);
    char full[SPEC_KEY_SIZE];
    snprintf(full, sizeof full, "%s.%s", section, shorthand);
    return add_value(r, list, full, value, key_node);
}

/* "section" → "section.shorthand"; a dotted key stays as it is. */
static const char *full_key(const char *key, char out[SPEC_KEY_SIZE]) {
    const char *shorthand = strchr(key, '.') ? NULL : spec_shorthand(key);
    snprintf(out, SPEC_KEY_SIZE, "%.80s%s%.14s", key, shorthand ? "." : "", shorthand ? shorthand : "");
    return out;
}

/* ---- Sweeps ---- */

static bool each_axis(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                      const yaml_node_t *value) {
    char full[SPEC_KEY_SIZE];
    if (strlen(key) + 16 >= sizeof full) return refuse(r, key_node, "is too long for a key", key);
    if (value->type != YAML_SEQUENCE_NODE) return refuse(r, key_node, "takes a list of values to sweep", key);
    const yaml_node_item_t *item = value->data.sequence.items.start, *top = value->data.sequence.items.top;
    if (item == top) return refuse(r, key_node, "has nothing to sweep: its list is empty", key);
    if (axes_find(context, full_key(key, full))) return refuse(r, key_node, "is swept twice", full);
    spec_axis *axis = axes_add(context, full, r->err);
    for (; axis && item < top; item++)
        if (!add_value(r, &axis->values, full, node_at(r, *item), node_at(r, *item))) return false;
    return axis != NULL;
}

static bool read_sweep(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value) {
    if (value->type != YAML_MAPPING_NODE)
        return refuse(r, key_node, "takes a mapping from keys to lists of values", "sweep");
    return each_pair(r, value, axes, each_axis);
}

/* "unknown key `optimiser` in file:line; did you mean `optimizer`?" among the sections and `extra` words. */
static bool refuse_unknown(reader *r, const char *key, const yaml_node_t *node, const char *const extra[3]) {
    const char *known[32];
    size_t n = 0;
    for (size_t i = 0; n < 24 && spec_section_name(i); i++) known[n++] = spec_section_name(i);
    for (size_t i = 0; i < 3 && extra[i]; i++) known[n++] = extra[i];
    known[n] = NULL;
    char where[SPEC_WHERE_SIZE];
    say_where(r, node, where);
    const char *near = error_nearest(key, known);
    if (near) return error_set(r->err, ERROR_USAGE, "unknown key `%s` in %s; did you mean `%s`?", key, where, near);
    return error_set(r->err, ERROR_USAGE, "unknown key `%s` in %s; `mews keys` lists what there is", key, where);
}

static bool each_block_key(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                           const yaml_node_t *value) {
    spec_block *block = context;
    if (strcmp(key, "sweep") == 0) return read_sweep(r, &block->axes, key_node, value);
    if (spec_is_section(key)) return read_section(r, &block->settings, key, key_node, value);
    return refuse_unknown(r, key, key_node, (const char *const[3]){"sweep"});
}

/* ---- The file ---- */

/* Names become part of paths. */
static bool name_is_safe(const char *name) {
    if (!isalnum((unsigned char)*name) || strlen(name) >= SPEC_NAME_SIZE) return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) return false;
    return true;
}

static const char bad_name[] = "is no name: letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first";

static bool each_block(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                       const yaml_node_t *value) {
    spec_file *file = context;
    if (!name_is_safe(key)) return refuse(r, key_node, bad_name, key);
    if (value->type != YAML_MAPPING_NODE) return refuse(r, key_node, "takes a mapping of sections and a `sweep:`", key);
    spec_block *blocks = grow(file->blocks, &file->block_count, sizeof *blocks, r->err);
    if (!blocks) return false;
    file->blocks = blocks;
    spec_block *block = &blocks[file->block_count - 1];
    snprintf(block->name, sizeof block->name, "%s", key);
    return each_pair(r, value, block, each_block_key);
}

static bool each_top_key(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                         const yaml_node_t *value) {
    spec_file *file = context;
    if (strcmp(key, "name") == 0) {
        const char *name = scalar_text(value);
        if (!name || !name_is_safe(name)) return refuse(r, value, bad_name, name ? name : "name");
        snprintf(file->name, sizeof file->name, "%s", name);
        return true;
    }
    if (strcmp(key, "sweep") == 0) return read_sweep(r, &file->axes, key_node, value);
    if (strcmp(key, "sweeps") == 0) {
        if (value->type != YAML_MAPPING_NODE || value->data.mapping.pairs.start == value->data.mapping.pairs.top)
            return refuse(r, key_node, "takes a mapping from names to blocks", key);
        return each_pair(r, value, file, each_block);
    }
    if (spec_is_section(key)) return read_section(r, &file->settings, key, key_node, value);
    return refuse_unknown(r, key, key_node, (const char *const[3]){"name", "sweep", "sweeps"});
}

/* Whether a second document follows, which nobody would read. */
static bool more_follows(yaml_parser_t *parser) {
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next)) return true;
    bool more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    return more;
}

/* The file's name without folder and extension; "run" when that makes no name. */
static void name_from_path(const char *path, char out[SPEC_NAME_SIZE]) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    size_t length = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    snprintf(out, SPEC_NAME_SIZE, "%.*s", (int)length, base);
    if (!name_is_safe(out)) strcpy(out, "run");
}

enum { LARGEST = 1 << 16 }; /* bytes; the YAML library's time grows with the square of unclosed brackets */

bool spec_file_read(spec_file *file, const char *path, error *err) {
    *file = (spec_file){.path = strdup(path)};
    reader r = {.path = path, .err = err};
    yaml_parser_t parser = {0};
    bool done = false, loaded = false;
    size_t size = 0;
    error reading = {0};
    char *text = file_read(path, &size, &reading);
    if (size > LARGEST) {
        error_set(err, ERROR_USAGE, "%s: is too large for a spec (%zu bytes; at most %d)", path, size, LARGEST);
        goto done;
    }
    if (!text || !file->path) {
        error_set(err, ERROR_USAGE, "%s", text ? "out of memory" : reading.text);
        goto done;
    }
    name_from_path(path, file->name);
    if (!yaml_parser_initialize(&parser)) {
        error_memory(err, sizeof parser, "the YAML parser");
        goto done;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    loaded = yaml_parser_load(&parser, &r.document);
    if (!loaded) {
        error_set(err, ERROR_USAGE, "%s:%zu: not YAML: %s", path, parser.problem_mark.line + 1,
                  parser.problem ? parser.problem : "unreadable");
        goto done;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&r.document);
    if (!root)
        error_set(err, ERROR_USAGE, "%s: is empty; a spec needs at least `method: <name>`", path);
    else if (root->type != YAML_MAPPING_NODE)
        refuse(&r, root, "a spec is a mapping of sections (data, backbone, method, …)", NULL);
    else if (more_follows(&parser))
        error_set(err, ERROR_USAGE, "%s:%zu: a second document; a file holds one spec", path, parser.mark.line + 1);
    else
        done = each_pair(&r, root, file, each_top_key);
done:
    if (loaded) yaml_document_delete(&r.document);
    yaml_parser_delete(&parser);
    free(text);
    if (!done) spec_file_free(file);
    return done;
}

void spec_file_free(spec_file *file) {
    free(file->path);
    settings_free(&file->settings);
    settings_free(&file->overrides);
    axes_free(&file->axes);
    for (size_t i = 0; i < file->block_count; i++) {
        settings_free(&file->blocks[i].settings);
        axes_free(&file->blocks[i].axes);
    }
    free(file->blocks);
    *file = (spec_file){0};
}

/* ---- --set ---- */

/* Splits "[a, b]" or "a" into an axis' values, replacing those that stand. */
static bool set_axis_values(spec_axis *axis, const char *value, const char *where, error *err) {
    char copy[FIELD_TEXT_SIZE], *rest = copy;
    settings_free(&axis->values);
    size_t length = (size_t)snprintf(copy, sizeof copy, "%s", value);
    if (length >= sizeof copy) return error_set(err, ERROR_USAGE, "%.60s…: the list is too long", where);
    if (length >= 2 && copy[0] == '[' && copy[length - 1] == ']') copy[length - 1] = '\0', rest++;
    for (char *word; (word = strsep(&rest, ", "));)
        if (*word && !settings_add(&axis->values, axis->key, word, false, where, err)) return false;
    return axis->values.count ||
           error_set(err, ERROR_USAGE, "%s: `%s` has nothing to sweep: its list is empty", where, axis->key);
}

/* Every axis of this key in the file, or a new one at the top level when `or_new`. */
static bool set_axes(spec_file *file, const char *key, const char *value, const char *where, bool or_new, error *err) {
    bool found = false;
    for (size_t b = 0; b <= file->block_count; b++) {
        spec_axis *axis = axes_find(b < file->block_count ? &file->blocks[b].axes : &file->axes, key);
        if (axis && !set_axis_values(axis, value, where, err)) return false;
        found |= axis != NULL;
    }
    if (found || !or_new) return true;
    spec_axis *axis = axes_add(&file->axes, key, err);
    return axis && set_axis_values(axis, value, where, err);
}

bool spec_file_set(spec_file *file, const char *text, error *err) {
    char where[SPEC_WHERE_SIZE], key[SPEC_KEY_SIZE], full[SPEC_KEY_SIZE];
    const char *equals = strchr(text, '=');
    snprintf(where, sizeof where, "--set %.300s", text);
    if (!equals || equals == text) return error_set(err, ERROR_USAGE, "%s: takes KEY=VALUE", where);
    if ((size_t)(equals - text) + 16 >= sizeof key)
        return error_set(err, ERROR_USAGE, "%s: the key is too long", where);
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    const char *value = equals + 1;

    if (strcmp(key, "name") == 0) {
        if (!name_is_safe(value)) return error_set(err, ERROR_USAGE, "%s: `%.80s` %s", where, value, bad_name);
        snprintf(file->name, sizeof file->name, "%s", value);
        return true;
    }
    if (strncmp(key, "sweep.", 6) == 0) return set_axes(file, full_key(key + 6, full), value, where, true, err);
    full_key(key, full);
    bool list = *value == '[';
    return settings_add(&file->overrides, full, value, list, where, err) &&
           (list || set_axes(file, full, value, where, false, err));
}
