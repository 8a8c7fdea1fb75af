/*
 * Making one spec out of layers of settings. Each section is a row of one table (name, field table, where its struct
 * stands); the method's section is the one whose field table is chosen by a value, its `name`. The order of meaning is
 * fixed, not the order of writing: first the method, then defaults, then presets, then every other key, layer by layer,
 * and last the values that refer to others, each after those that it refers to.
 */
#include "experiments/spec/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The sections ---- */

static void apply_augment_preset(void *options) { augment_apply_preset(options); }

static const struct section {
    const char *name;
    const field_table *fields;         /* NULL: the chosen method's */
    size_t offset;                     /* of the options in struct spec */
    const char *shorthand;             /* what a bare value of the section sets; NULL: it has none */
    void (*preset)(void *);            /* called once `shorthand` is set, before every other key */
    const field_condition *conditions; /* of keys that not every run uses (the method's: its own); NULL: none */
} sections[] = {
    {"data", &data_fields, offsetof(spec, data), "name", NULL, data_conditions},
    {"augment", &augment_fields, offsetof(spec, augment), "preset", apply_augment_preset, augment_conditions},
    {"backbone", &backbone_fields, offsetof(spec, backbone), "name", NULL, backbone_conditions},
    {"method", NULL, offsetof(spec, method_options), "name", NULL, NULL},
    {"optimizer", &optimizer_fields, offsetof(spec, optimizer), "name", NULL, optimizer_conditions},
    {"train", &train_fields, offsetof(spec, train), NULL, NULL, train_conditions},
    {"eval", &eval_fields, offsetof(spec, eval), "metrics", NULL, eval_conditions},
};
enum { SECTION_COUNT = sizeof sections / sizeof *sections };

const char *spec_section_name(size_t i) { return i < SECTION_COUNT ? sections[i].name : NULL; }

const field_table *spec_section_fields(size_t i, const method *chosen) {
    if (i >= SECTION_COUNT) return NULL;
    return sections[i].fields ? sections[i].fields : chosen ? &chosen->fields : NULL;
}

static const struct section *section_find(const char *name, size_t length) {
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (strlen(sections[i].name) == length && memcmp(sections[i].name, name, length) == 0) return &sections[i];
    return NULL;
}

bool spec_is_section(const char *name) { return section_find(name, strlen(name)) != NULL; }

const char *spec_shorthand(const char *section) {
    const struct section *found = section_find(section, strlen(section));
    return found ? found->shorthand : NULL;
}

const char *spec_full_key(const char *key, char out[SPEC_KEY_SIZE]) {
    const char *shorthand = strchr(key, '.') ? NULL : spec_shorthand(key);
    snprintf(out, SPEC_KEY_SIZE, "%.80s%s%.14s", key, shorthand ? "." : "", shorthand ? shorthand : "");
    return out;
}

static void *section_options(const spec *s, const struct section *section) {
    return section->fields ? (char *)s + section->offset : s->method_options;
}

static const field_table *section_fields(const spec *s, const struct section *section) {
    return section->fields ? section->fields : &s->method->fields;
}

/* ---- Settings ---- */

bool settings_add(settings *list, const char *key, const char *value, bool is_list, const char *where, error *err) {
    if (strlen(key) >= SPEC_KEY_SIZE)
        return error_set(err, ERROR_USAGE, "%s: `%.60s…` is too long for a key", where, key);
    if (strlen(value) >= FIELD_TEXT_SIZE)
        return error_set(err, ERROR_USAGE, "%s: the value of `%s` is too long", where, key);
    setting *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return error_memory(err, (list->count + 1) * sizeof *items, "a spec");
    list->items = items;
    setting *added = &items[list->count++];
    *added = (setting){.list = is_list};
    snprintf(added->key, sizeof added->key, "%s", key);
    snprintf(added->value, sizeof added->value, "%s", value);
    snprintf(added->where, sizeof added->where, "%s", where);
    return true;
}

void settings_free(settings *list) {
    free(list->items);
    *list = (settings){0};
}

const setting *settings_last(const settings *const *layers, size_t count, const char *key) {
    for (size_t l = count; l-- > 0;)
        for (size_t i = layers[l]->count; i-- > 0;)
            if (strcmp(layers[l]->items[i].key, key) == 0) return &layers[l]->items[i];
    return NULL;
}

static bool has_reference(const setting *set) { return strstr(set->value, "${") != NULL; }

/* ---- Resolving ---- */

static bool refuse_method(const setting *wanted, error *err) {
    const char *near = error_nearest(wanted->value, method_names);
    if (near)
        return error_set(err, ERROR_USAGE, "unknown method `%.80s` in %s; did you mean `%s`?", wanted->value,
                         wanted->where, near);
    return error_set(err, ERROR_USAGE, "unknown method `%.80s` in %s; `mews methods` lists what there is",
                     wanted->value, wanted->where);
}

static bool refuse_reference(const setting *set, error *err) {
    return error_set(err, ERROR_USAGE, "%s: `%s` takes no reference: it decides what other keys are", set->where,
                     set->key);
}

static bool choose_method(spec *s, const settings *const *layers, size_t count, const char *origin, error *err) {
    const setting *wanted = settings_last(layers, count, "method.name");
    if (!wanted)
        return error_set(err, ERROR_USAGE, "%s: no method is named; add `method: <name>` (`mews methods` lists them)",
                         origin);
    if (has_reference(wanted)) return refuse_reference(wanted, err);
    s->method = method_find(wanted->value);
    return s->method || refuse_method(wanted, err);
}

static bool refuse_key(const spec *s, const setting *set, const struct section *section, error *err) {
    const field_table *table = section_fields(s, section);
    const char *key = set->key + strlen(section->name) + 1, *near = fields_nearest(table, key);
    if (near)
        return error_set(err, ERROR_USAGE, "unknown key `%s` in %s; did you mean `%s.%s`?", set->key, set->where,
                         section->name, near);
    return error_set(err, ERROR_USAGE, "unknown key `%s` in %s; `mews keys %s` lists what there is", set->key,
                     set->where, section->fields ? section->name : s->method->name);
}

static bool refuse_section(const setting *set, error *err) {
    char word[SPEC_KEY_SIZE];
    const char *names[SECTION_COUNT + 1] = {0};
    for (size_t i = 0; i < SECTION_COUNT; i++) names[i] = sections[i].name;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(set->key, "."), set->key);
    const char *near = error_nearest(word, names), *rest = set->key + strlen(word);
    if (near)
        return error_set(err, ERROR_USAGE, "unknown key `%s` in %s; did you mean `%s%s`?", set->key, set->where, near,
                         rest);
    return error_set(err, ERROR_USAGE, "unknown key `%s` in %s; `mews keys` lists what there is", set->key, set->where);
}

static const struct section *section_of(const char *key) {
    const char *dot = strchr(key, '.');
    return dot ? section_find(key, (size_t)(dot - key)) : NULL;
}

static const field *row_of(const spec *s, const struct section *section, const char *key) {
    return fields_find(section_fields(s, section), key + strlen(section->name) + 1);
}

/* Whether `set`, whose key the final method does not have, was meant for another one. `layer` is where it stands. */
static bool is_passed_over(const spec *s, const setting *set, const struct section *section,
                           const settings *const *layers, size_t layer) {
    const char *key = set->key + strlen(section->name) + 1;
    if (section->fields) return false;
    if (strcmp(key, "name") == 0) return true; /* the method, chosen already */
    const setting *meant = settings_last(layers, layer + 1, "method.name");
    const method *other = meant ? method_find(meant->value) : NULL;
    return other && other != s->method && fields_find(&other->fields, key);
}

static bool set_row(spec *s, const setting *set, const struct section *section, const field *row, const char *value,
                    error *err) {
    char domain[512];
    if (set->list && row->type != FIELD_SET && row->type != FIELD_LIST)
        return error_set(err, ERROR_USAGE, "%s: `%s` takes one value (%s); lists of values go under `sweep:`",
                         set->where, set->key, field_domain(row, domain, sizeof domain));
    error local = {0};
    if (field_parse(section_fields(s, section), row, section_options(s, section), value, &local)) return true;
    return error_set(err, local.code, "%s: %s", set->where, local.text);
}

/* Sets one option, unless its value has yet to be found. */
static bool apply(spec *s, const setting *set, const settings *const *layers, size_t layer, error *err) {
    const struct section *section = section_of(set->key);
    if (!section) return refuse_section(set, err);
    const field *row = row_of(s, section, set->key);
    if (!row) return is_passed_over(s, set, section, layers, layer) || refuse_key(s, set, section, err);
    return has_reference(set) || set_row(s, set, section, row, set->value, err);
}

/* Presets first: a preset sets the section's other rows, so whatever the spec says itself must come after it. */
static bool apply_presets(spec *s, const settings *const *layers, size_t count, error *err) {
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (!sections[i].preset) continue;
        char key[SPEC_KEY_SIZE];
        snprintf(key, sizeof key, "%s.%s", sections[i].name, sections[i].shorthand);
        const setting *set = settings_last(layers, count, key);
        if (set && has_reference(set)) return refuse_reference(set, err);
        if (set && !apply(s, set, layers, 0, err)) return false;
        sections[i].preset(section_options(s, &sections[i]));
    }
    return true;
}

/* ---- References ---- */

enum { DEEPEST = 32 };

/* The settings that wait for each other's values. */
typedef struct resolver {
    spec *spec;
    const settings *const *layers;
    size_t layer_count;
    const setting *waiting[DEEPEST];
    size_t depth;
    error *err;
} resolver;

static bool refuse_cycle(const resolver *r, size_t first) {
    char chain[512] = "";
    size_t used = 0;
    for (size_t i = first; i < r->depth && used < sizeof chain; i++)
        used += (size_t)snprintf(chain + used, sizeof chain - used, "%s → ", r->waiting[i]->key);
    return error_set(r->err, ERROR_USAGE, "%s: references go round in a circle: %s%s", r->waiting[first]->where, chain,
                     r->waiting[first]->key);
}

static bool resolve_reference(resolver *r, const setting *set);

/* The value of `key`, to which `set` refers, appended to `out`. */
static bool append_value(resolver *r, const setting *set, const char *key, char out[FIELD_TEXT_SIZE]) {
    char full[SPEC_KEY_SIZE], value[FIELD_TEXT_SIZE];
    const setting *other = settings_last(r->layers, r->layer_count, spec_full_key(key, full));
    if (other && has_reference(other) && !resolve_reference(r, other)) return false;
    bool is_name = strcmp(full, "name") == 0;
    if (!is_name && !spec_value(r->spec, full, value, sizeof value)) {
        setting unknown = {0}; /* refused like one that is written */
        memcpy(unknown.key, full, sizeof full);
        snprintf(unknown.where, sizeof unknown.where, "${%.80s}, %.200s", key, set->where);
        return section_of(full) ? refuse_key(r->spec, &unknown, section_of(full), r->err)
                                : refuse_section(&unknown, r->err);
    }
    size_t used = strlen(out);
    if ((size_t)snprintf(out + used, FIELD_TEXT_SIZE - used, "%s", is_name ? r->spec->name : value) <
        FIELD_TEXT_SIZE - used)
        return true;
    return error_set(r->err, ERROR_USAGE, "%s: the value of `%s` is too long", set->where, set->key);
}

/* The text of `set` with every ${key} in it replaced. */
static bool expand(resolver *r, const setting *set, char out[FIELD_TEXT_SIZE]) {
    const char *rest = set->value;
    *out = '\0';
    for (const char *open; (open = strstr(rest, "${"));) {
        char key[SPEC_KEY_SIZE];
        const char *close = strchr(open, '}');
        if (!close || close - open - 2 >= SPEC_KEY_SIZE - 16)
            return error_set(r->err, ERROR_USAGE, "%s: `%s` holds `${` without a key and `}` behind it", set->where,
                             set->key);
        strncat(out, rest, (size_t)(open - rest)); /* fits: what is appended between is checked */
        snprintf(key, sizeof key, "%.*s", (int)(close - open - 2), open + 2);
        if (!append_value(r, set, key, out)) return false;
        rest = close + 1;
        if (strlen(out) + strlen(rest) >= FIELD_TEXT_SIZE)
            return error_set(r->err, ERROR_USAGE, "%s: the value of `%s` is too long", set->where, set->key);
    }
    strcat(out, rest);
    return true;
}

static bool resolve_reference(resolver *r, const setting *set) {
    char value[FIELD_TEXT_SIZE];
    const struct section *section = section_of(set->key);
    const field *row = row_of(r->spec, section, set->key);
    if (!row) return true; /* passed over: a key of another method */
    for (size_t i = 0; i < r->depth; i++)
        if (r->waiting[i] == set) return refuse_cycle(r, i);
    if (r->depth == DEEPEST)
        return error_set(r->err, ERROR_USAGE, "%s: more than %d references behind each other", set->where, DEEPEST);
    r->waiting[r->depth++] = set;
    bool done = expand(r, set, value) && set_row(r->spec, set, section, row, value, r->err);
    r->depth--;
    return done;
}

/* Every setting that stands in the end and refers to others. */
static bool resolve_references(spec *s, const settings *const *layers, size_t count, error *err) {
    resolver r = {.spec = s, .layers = layers, .layer_count = count, .err = err};
    for (size_t l = 0; l < count; l++)
        for (size_t i = 0; i < layers[l]->count; i++) {
            const setting *set = &layers[l]->items[i];
            if (has_reference(set) && settings_last(layers, count, set->key) == set && !resolve_reference(&r, set))
                return false;
        }
    return true;
}

/*
 * Where no data.name is given, the files at data.path say it. `named` keeps what was found for the path before: a sweep
 * asks for every run.
 */
bool spec_name_data(settings *named, const settings *const *layers, size_t count, error *err) {
    const setting *path = settings_last(layers, count, "data.path"), *name = settings_last(layers, count, "data.name");
    bool needless = name || !path || !*path->value;
    if (!needless && named->count && strcmp(named->items[0].where, path->value) == 0) return true;
    settings_free(named);
    if (needless) return true;
    if (has_reference(path))
        return error_set(err, ERROR_USAGE, "%s: a data.path that refers to other keys needs data.name beside it",
                         path->where);
    int guessed = dataset_guess(path->value, err);
    if (guessed < 0) return error_prefix(err, "%s: data.path", path->where);
    const field *row = fields_find(&data_fields, "name");
    return settings_add(named, "data.name", row->choices[guessed], false, path->value, err);
}

/* "it is for data.name folder, and data.name is svhn" */
static bool refuse_unused(const spec *s, const setting *set, const struct section *section, const char *only_with,
                          error *err) {
    size_t n = strcspn(only_with, "!=~");
    char key[SPEC_KEY_SIZE], value[FIELD_TEXT_SIZE];
    const char *words = only_with + n + (only_with[n] == '!' ? 2 : 1);
    snprintf(key, sizeof key, "%s.%.*s", section->name, (int)n, only_with);
    if (!*words)
        return error_set(err, ERROR_USAGE, "%s: `%s` does nothing here: it goes with %s, which is not given",
                         set->where, set->key, key);
    return error_set(err, ERROR_USAGE, "%s: `%s` does nothing here: it is for %s%s %s, and %s is %s", set->where,
                     set->key, key,
                     only_with[n] == '!'   ? " other than"
                     : only_with[n] == '~' ? " with"
                                           : "",
                     words, key, spec_value(s, key, value, sizeof value));
}

/* Is this the row's value where nobody gives one: its default, or what the section's preset makes of it? */
static bool is_ungiven(const spec *s, const struct section *section, const field *row, const char *value) {
    const field_table *table = section_fields(s, section);
    void *options = malloc(table->size + 1);
    char text[FIELD_TEXT_SIZE];
    error err = {0};
    if (!options) return false;
    fields_defaults(table, options);
    bool same = strcmp(field_format(row, options, text, sizeof text), value) == 0;
    if (!same && section->preset) {
        const field *chooses = fields_find(table, section->shorthand);
        field_format(chooses, section_options(s, section), text, sizeof text);
        if (field_parse(table, chooses, options, text, &err)) section->preset(options);
        same = strcmp(field_format(row, options, text, sizeof text), value) == 0;
    }
    free(options);
    return same;
}

bool spec_check_use(const spec *const *runs, size_t count, const setting *set, error *err) {
    const spec *unused = NULL;
    const field_condition *why = NULL;
    char text[FIELD_TEXT_SIZE];
    const struct section *section = section_of(set->key);
    for (size_t i = 0; section && i < count; i++) {
        const field *row = row_of(runs[i], section, set->key);
        const void *options = section_options(runs[i], section);
        const field_condition *all = section->fields ? section->conditions : runs[i]->method->conditions;
        bool met = false;
        if (!row) continue; /* a key of another method */
        const field_condition *first = field_conditions_hold(section_fields(runs[i], section), all, row, options, &met);
        if (!first) return true;
        if (is_ungiven(runs[i], section, row, field_format(row, options, text, sizeof text))) continue;
        if (met) return true;
        unused = runs[i], why = first;
    }
    return !unused || refuse_unused(unused, set, section, why->only_with, err);
}

bool spec_resolve(spec *s, const char *name, const settings *const *layers, size_t layer_count, const char *origin,
                  error *err) {
    *s = (spec){0};
    snprintf(s->name, sizeof s->name, "%s", name);
    if (!choose_method(s, layers, layer_count, origin, err)) return false;
    s->method_options = calloc(1, s->method->fields.size + 1);
    if (!s->method_options) return error_memory(err, s->method->fields.size, "a method's options");
    for (size_t i = 0; i < SECTION_COUNT; i++)
        fields_defaults(section_fields(s, &sections[i]), section_options(s, &sections[i]));

    bool done = apply_presets(s, layers, layer_count, err);
    for (size_t l = 0; done && l < layer_count; l++)
        for (size_t i = 0; done && i < layers[l]->count; i++) done = apply(s, &layers[l]->items[i], layers, l, err);
    done = done && resolve_references(s, layers, layer_count, err);
    if (!done) spec_free(s);
    return done;
}

void spec_free(spec *s) {
    free(s->method_options);
    s->method_options = NULL;
}

/* ---- Going through a spec's values ---- */

bool spec_item_at(const spec *s, size_t i, spec_item *item) {
    for (size_t n = 0; n < SECTION_COUNT; n++) {
        const struct section *section = &sections[n];
        const field_table *table = section_fields(s, section);
        item->section = section->name;
        if (!section->fields && i-- == 0) { /* the method's name is a value without a row */
            item->key = "name", item->type = FIELD_TEXT, item->identity = true, item->fallback = NULL;
            snprintf(item->text, sizeof item->text, "%s", s->method->name);
            return true;
        }
        if (i < table->count) {
            const field *row = &table->rows[i];
            item->key = row->key, item->type = row->type, item->fallback = row->fallback;
            field_format(row, section_options(s, section), item->text, sizeof item->text);
            item->identity = row->identity == IDENTITY_YES ||
                             (row->identity == IDENTITY_IF_SET && strcmp(item->text, row->fallback) != 0);
            return true;
        }
        i -= table->count;
    }
    return false;
}

char *spec_value(const spec *s, const char *key, char *out, size_t size) {
    spec_item item;
    for (size_t i = 0; spec_item_at(s, i, &item); i++) {
        size_t length = strlen(item.section);
        if (strncmp(key, item.section, length) != 0 || key[length] != '.' || strcmp(key + length + 1, item.key) != 0)
            continue;
        snprintf(out, size, "%s", item.text);
        return out;
    }
    return NULL;
}
