/*
 * Reading what varies. One list of axes holds all three ways to vary a key, so that a key is found wherever it stands:
 * to be taken over by an including file, refused when it stands twice, or changed by --set.
 */
#include "experiments/spec/spec_axes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct range {
    const char *name;
    axis_kind kind;
    bool logarithmic, whole;
} ranges[] = {
    {"uniform", AXIS_UNIFORM, false, false}, {"log_uniform", AXIS_LOG_UNIFORM, true, false},
    {"integer", AXIS_INTEGER, false, true},  {"log_integer", AXIS_LOG_INTEGER, true, true},
    {"choice", AXIS_CHOICE, false, false},
};
enum { RANGES = sizeof ranges / sizeof *ranges };

void spec_axes_free(spec_axes *axes) {
    for (size_t i = 0; i < axes->count; i++) settings_free(&axes->items[i].values);
    free(axes->items);
    *axes = (spec_axes){0};
}

static spec_axis *find(spec_axes *axes, const char *key) {
    for (size_t i = 0; i < axes->count; i++)
        if (strcmp(axes->items[i].key, key) == 0) return &axes->items[i];
    return NULL;
}

static spec_axis *add(spec_axes *axes, const char *key, error *err) {
    spec_axis *items = realloc(axes->items, (axes->count + 1) * sizeof *items);
    if (!items) {
        error_memory(err, (axes->count + 1) * sizeof *items, "a spec");
        return NULL;
    }
    axes->items = items;
    spec_axis *axis = &items[axes->count++];
    *axis = (spec_axis){0};
    snprintf(axis->key, sizeof axis->key, "%s", key);
    return axis;
}

const spec_axis *spec_axes_find(const spec_axes *axes, const char *key) { return find((spec_axes *)axes, key); }

/* ---- Reading ---- */

typedef struct context {
    spec_axes *axes;
    unsigned group;
} context;

/* The axis of `key`, empty: a new one, or the one that this file takes over from a file that it includes. */
static spec_axis *begin_axis(reader *r, const context *c, const char *key, const yaml_node_t *key_node) {
    char full[SPEC_KEY_SIZE];
    if (strlen(key) + 16 >= sizeof full) return reader_refuse(r, key_node, "is too long for a key", key), NULL;
    spec_axis *axis = find(c->axes, spec_full_key(key, full));
    if (axis && axis->source == r->source) return reader_refuse(r, key_node, "is swept twice", full), NULL;
    if (axis)
        settings_free(&axis->values);
    else if (!(axis = add(c->axes, full, r->err)))
        return NULL;
    axis->kind = AXIS_LIST, axis->group = c->group, axis->source = r->source;
    reader_where(r, key_node, axis->where);
    return axis;
}

static bool read_values(reader *r, spec_axis *axis, const yaml_node_t *list) {
    const yaml_node_item_t *item = list->data.sequence.items.start, *top = list->data.sequence.items.top;
    for (; item < top; item++)
        if (!reader_add(r, &axis->values, axis->key, reader_node(r, *item), reader_node(r, *item))) return false;
    return true;
}

static bool is_empty_list(const yaml_node_t *list) {
    return list->data.sequence.items.start == list->data.sequence.items.top;
}

static bool each_list(reader *r, void *context_, const char *key, const yaml_node_t *key_node,
                      const yaml_node_t *value) {
    if (value->type != YAML_SEQUENCE_NODE) return reader_refuse(r, key_node, "takes a list of values to sweep", key);
    if (is_empty_list(value)) return reader_refuse(r, key_node, "has nothing to sweep: its list is empty", key);
    spec_axis *axis = begin_axis(r, context_, key, key_node);
    return axis && read_values(r, axis, value);
}

bool spec_axes_read_sweep(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value) {
    if (value->type != YAML_MAPPING_NODE)
        return reader_refuse(r, key_node, "takes a mapping from keys to lists of values", "sweep");
    return reader_each(r, value, &(context){axes, AXIS_ALONE}, each_list);
}

static bool read_zip(reader *r, spec_axes *axes, const yaml_node_t *node, const yaml_node_t *value) {
    if (value->type != YAML_MAPPING_NODE)
        return reader_refuse(r, node, "takes a mapping from keys to lists of one length, or a list of such mappings",
                             "zip");
    return reader_each(r, value, &(context){axes, AXIS_ZIPS + axes->zips++}, each_list);
}

bool spec_axes_read_zip(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value) {
    if (value->type != YAML_SEQUENCE_NODE) return read_zip(r, axes, key_node, value);
    const yaml_node_item_t *item = value->data.sequence.items.start, *top = value->data.sequence.items.top;
    for (; item < top; item++)
        if (!read_zip(r, axes, reader_node(r, *item), reader_node(r, *item))) return false;
    return true;
}

/* ---- Ranges ---- */

static bool whole_number(const char *text, int64_t low, int64_t high, int64_t *out) {
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !(value >= (double)low && value <= (double)high) || value != floor(value)) return false;
    *out = (int64_t)value;
    return true;
}

bool spec_axes_set_random(spec_axes *axes, const char *what, const char *value, const char *where, error *err) {
    bool runs = strcmp(what, "runs") == 0;
    if (whole_number(value, runs ? 1 : 0, runs ? SWEEP_MOST_RUNS : UINT32_MAX, runs ? &axes->runs : &axes->seed))
        return true;
    return error_set(err, ERROR_USAGE, "%s: `random.%s` takes %s, not `%.60s`", where, what,
                     runs ? "the number of draws, from 1 to 10000" : "an integer from 0 to 4294967295", value);
}

/* Two numbers, the second above the first; above 0 and whole where they must be. */
static bool check_range(const spec_axis *axis, const struct range *kind, error *err) {
    const setting *ends = axis->values.items;
    double bound[2];
    for (int i = 0; i < 2; i++) {
        char *end;
        bound[i] = strtod(ends[i].value, &end);
        if (*end || !isfinite(bound[i]) || ends[i].list)
            return error_set(err, ERROR_USAGE, "%s: %s of `%s` takes two numbers, not `%.60s`", ends[i].where,
                             kind->name, axis->key, ends[i].value);
        if (kind->whole && (bound[i] != floor(bound[i]) || fabs(bound[i]) > 1e15))
            return error_set(err, ERROR_USAGE, "%s: %s of `%s` takes two whole numbers, not `%.60s`", ends[i].where,
                             kind->name, axis->key, ends[i].value);
        if (kind->logarithmic && bound[i] <= 0)
            return error_set(err, ERROR_USAGE, "%s: %s of `%s` takes numbers above 0, not `%.60s`", ends[i].where,
                             kind->name, axis->key, ends[i].value);
    }
    if (bound[0] < bound[1]) return true;
    return error_set(err, ERROR_USAGE, "%s: %s of `%s` runs from low to high: %s is not below %s", ends[0].where,
                     kind->name, axis->key, ends[0].value, ends[1].value);
}

static bool refuse_range(reader *r, const yaml_node_t *key_node, const char *key) {
    return reader_refuse(r, key_node,
                         "takes one of {uniform: [low, high]}, {log_uniform: [low, high]}, {integer: [low, high]}, "
                         "{log_integer: [low, high]}, {choice: [values]}",
                         key);
}

static bool refuse_kind(reader *r, const yaml_node_t *node, const char *word, const char *key) {
    char where[SPEC_WHERE_SIZE];
    const char *names[RANGES + 1] = {0}, *near;
    for (int i = 0; i < RANGES; i++) names[i] = ranges[i].name;
    reader_where(r, node, where);
    if (!(near = error_nearest(word, names))) return refuse_range(r, node, key);
    return error_set(r->err, ERROR_USAGE, "%s: `%s` cannot be drawn by `%.60s`; did you mean `%s`?", where, key, word,
                     near);
}

static bool read_range(reader *r, const context *c, const char *key, const yaml_node_t *key_node,
                       const yaml_node_t *value) {
    const struct range *kind = NULL;
    if (value->type != YAML_MAPPING_NODE || value->data.mapping.pairs.top - value->data.mapping.pairs.start != 1)
        return refuse_range(r, key_node, key);
    const yaml_node_t *name = reader_node(r, value->data.mapping.pairs.start->key);
    const yaml_node_t *list = reader_node(r, value->data.mapping.pairs.start->value);
    const char *word = node_text(name);
    for (int i = 0; word && i < RANGES; i++)
        if (strcmp(ranges[i].name, word) == 0) kind = &ranges[i];
    if (!kind) return word ? refuse_kind(r, name, word, key) : refuse_range(r, key_node, key);
    bool list_given = list->type == YAML_SEQUENCE_NODE;
    if (list_given && kind->kind == AXIS_CHOICE && is_empty_list(list))
        return reader_refuse(r, name, "has nothing to draw from: its list is empty", key);
    if (!list_given ||
        (kind->kind != AXIS_CHOICE && list->data.sequence.items.top - list->data.sequence.items.start != 2))
        return refuse_range(r, key_node, key);
    spec_axis *axis = begin_axis(r, c, key, key_node);
    if (!axis || !read_values(r, axis, list)) return false;
    axis->kind = kind->kind;
    return kind->kind == AXIS_CHOICE || check_range(axis, kind, r->err);
}

static bool each_drawn(reader *r, void *context_, const char *key, const yaml_node_t *key_node,
                       const yaml_node_t *value) {
    static const char *const own[] = {"runs", "seed", NULL};
    const context *c = context_;
    char where[SPEC_WHERE_SIZE];
    const char *near, *text = node_text(value);
    reader_where(r, key_node, where);
    if (strcmp(key, "runs") == 0 || strcmp(key, "seed") == 0)
        return spec_axes_set_random(c->axes, key, text ? text : "[…]", where, r->err);
    if (!strchr(key, '.') && !spec_is_section(key) && (near = error_nearest(key, own)))
        return error_set(r->err, ERROR_USAGE, "unknown key `%s` in %s; did you mean `%s`?", key, where, near);
    return read_range(r, c, key, key_node, value);
}

bool spec_axes_read_random(reader *r, spec_axes *axes, const yaml_node_t *key_node, const yaml_node_t *value) {
    if (value->type != YAML_MAPPING_NODE)
        return reader_refuse(r, key_node, "takes a mapping: {runs: N, KEY: {log_uniform: [low, high]}, …}", "random");
    reader_where(r, key_node, axes->random_where);
    return reader_each(r, value, &(context){axes, AXIS_DRAWN}, each_drawn);
}

/* ---- What only the whole shows ---- */

static bool check_length(const spec_axis *first, const spec_axis *axis, error *err) {
    if (first->values.count == axis->values.count) return true;
    return error_set(err, ERROR_USAGE, "%s: `%s` has %zu value%s, but `%s`, with which it moves, has %zu", axis->where,
                     axis->key, axis->values.count, axis->values.count == 1 ? "" : "s", first->key,
                     first->values.count);
}

static bool check_zips(const spec_axes *axes, error *err) {
    for (size_t i = 0; i < axes->count; i++)
        for (size_t j = 0; axes->items[i].group >= AXIS_ZIPS && j < i; j++)
            if (axes->items[j].group == axes->items[i].group && !check_length(&axes->items[j], &axes->items[i], err))
                return false;
    return true;
}

bool spec_axes_check(const spec_axes *axes, error *err) {
    size_t drawn = 0;
    for (size_t i = 0; i < axes->count; i++) drawn += axes->items[i].group == AXIS_DRAWN;
    if (*axes->random_where && !drawn)
        return error_set(err, ERROR_USAGE, "%s: `random` has nothing to draw; give it KEY: {log_uniform: [low, high]}",
                         axes->random_where);
    if (drawn && !axes->runs)
        return error_set(err, ERROR_USAGE, "%s: `random` needs `runs: N`, how often to draw", axes->random_where);
    return check_zips(axes, err);
}

/* ---- --set ---- */

/* The next value of a list, ended by a zero, and *rest behind it: a word, a text in quotes, a list in brackets. NULL:
 * there are no more. */
static char *next_value(char **rest) {
    char *at = *rest + strspn(*rest, ", "), *start = at, quote = 0;
    int depth = 0;
    for (; *at && (depth > 0 || quote || (*at != ',' && *at != ' ')); at++) {
        if (quote)
            quote = *at == quote ? 0 : quote;
        else if (*at == '"' || *at == '\'')
            quote = *at;
        else
            depth += (*at == '[') - (*at == ']');
    }
    if (at == start) return NULL;
    *rest = *at ? at + 1 : at;
    *at = '\0';
    if ((*start == '"' || *start == '\'') && at - start >= 2 && at[-1] == *start) at[-1] = '\0', start++;
    return start;
}

/* Splits "[a, b]", "[[a, b], [c]]" or "a" into an axis' values, replacing those that stand. */
static bool set_values(spec_axis *axis, const char *value, const char *where, error *err) {
    char copy[FIELD_TEXT_SIZE], *rest = copy;
    settings_free(&axis->values);
    size_t length = (size_t)snprintf(copy, sizeof copy, "%s", value);
    if (length >= sizeof copy) return error_set(err, ERROR_USAGE, "%.60s…: the list is too long", where);
    if (length >= 2 && copy[0] == '[' && copy[length - 1] == ']') copy[length - 1] = '\0', rest++;
    for (char *word; (word = next_value(&rest));)
        if (*word && !settings_add(&axis->values, axis->key, word, *word == '[', where, err)) return false;
    snprintf(axis->where, sizeof axis->where, "%s", where);
    axis->kind = AXIS_LIST;
    return axis->values.count ||
           error_set(err, ERROR_USAGE, "%s: `%s` has nothing to sweep: its list is empty", where, axis->key);
}

static bool same_value(const char *a, const char *b) {
    char *a_end, *b_end;
    double x = strtod(a, &a_end), y = strtod(b, &b_end);
    return strcmp(a, b) == 0 || (*a && *b && !*a_end && !*b_end && x == y);
}

static void drop_value(settings *values, size_t at) {
    values->count--;
    memmove(&values->items[at], &values->items[at + 1], (values->count - at) * sizeof *values->items);
}

/* What moves with a value that is not in its list, nobody can say. */
static bool refuse_pick(const spec_axis *axis, const char *where, error *err) {
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < axis->values.count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", axis->values.items[i].value);
    return error_set(err, ERROR_USAGE, "%s: `%s` moves together with other keys (%s) and is one of %s", where,
                     axis->key, axis->where, list);
}

static bool pick_rows(spec_axes *axes, spec_axis *axis, const char *value, const char *where, error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < axis->values.count; i++) kept += same_value(axis->values.items[i].value, value);
    if (!kept) return refuse_pick(axis, where, err);
    for (size_t row = axis->values.count; row-- > 0;) {
        if (same_value(axis->values.items[row].value, value)) continue;
        for (size_t i = 0; i < axes->count; i++)
            if (axes->items[i].group == axis->group) drop_value(&axes->items[i].values, row);
    }
    return true;
}

bool spec_axes_fix(spec_axes *axes, const char *key, const char *value, const char *where, bool *found, error *err) {
    spec_axis *axis = find(axes, key);
    if (!axis) return true;
    *found = true;
    return axis->group >= AXIS_ZIPS ? pick_rows(axes, axis, value, where, err) : set_values(axis, value, where, err);
}

bool spec_axes_replace(spec_axes *axes, const char *key, const char *values, const char *where, bool or_new,
                       bool *found, error *err) {
    spec_axis *axis = find(axes, key);
    if (!axis && !or_new) return true;
    *found |= axis != NULL;
    if (!axis && !(axis = add(axes, key, err))) return false;
    if (axis->group == AXIS_DRAWN) axis->group = AXIS_ALONE;
    return set_values(axis, values, where, err) && check_zips(axes, err);
}
