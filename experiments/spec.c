/*
 * Making one spec out of layers of settings. Each section is a row of one table (name, field table, where its struct
 * stands); the method's section is the one whose field table is chosen by a value, its `name`. The order of meaning is
 * fixed, not the order of writing: first the method, then defaults, then presets, then every other key, layer by layer.
 */
#include "experiments/spec.h"
#include "engine/file.h"

#include <stdlib.h>
#include <string.h>

/* ---- The sections ---- */

static void apply_augment_preset(void *options) { augment_apply_preset(options); }

static const struct section {
    const char *name;
    const field_table *fields; /* NULL: the chosen method's */
    size_t offset;             /* of the options in struct spec */
    const char *shorthand;     /* what a bare value of the section sets; NULL: it has none */
    void (*preset)(void *);    /* called once `shorthand` is set, before every other key */
} sections[] = {
    {"data", &data_fields, offsetof(spec, data), "name", NULL},
    {"augment", &augment_fields, offsetof(spec, augment), "preset", apply_augment_preset},
    {"backbone", &backbone_fields, offsetof(spec, backbone), "name", NULL},
    {"method", NULL, offsetof(spec, method_options), "name", NULL},
    {"optimizer", &optimizer_fields, offsetof(spec, optimizer), "name", NULL},
    {"train", &train_fields, offsetof(spec, train), NULL, NULL},
    {"eval", &eval_fields, offsetof(spec, eval), "metrics", NULL},
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

/* The last setting of `key` in the first `count` layers, or NULL. */
static const setting *last_setting(const settings *const *layers, size_t count, const char *key) {
    for (size_t l = count; l-- > 0;)
        for (size_t i = layers[l]->count; i-- > 0;)
            if (strcmp(layers[l]->items[i].key, key) == 0) return &layers[l]->items[i];
    return NULL;
}

/* ---- Resolving ---- */

static bool refuse_method(const setting *wanted, error *err) {
    const char *near = error_nearest(wanted->value, method_names);
    if (near)
        return error_set(err, ERROR_USAGE, "unknown method `%.80s` in %s; did you mean `%s`?", wanted->value,
                         wanted->where, near);
    return error_set(err, ERROR_USAGE, "unknown method `%.80s` in %s; `mews methods` lists what there is",
                     wanted->value, wanted->where);
}

static bool choose_method(spec *s, const settings *const *layers, size_t count, const char *origin, error *err) {
    const setting *wanted = last_setting(layers, count, "method.name");
    if (!wanted)
        return error_set(err, ERROR_USAGE, "%s: no method is named; add `method: <name>` (`mews methods` lists them)",
                         origin);
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

/* Sets one option; `layer` is where the setting stands among `layers`. */
static bool apply(spec *s, const setting *set, const settings *const *layers, size_t layer, error *err) {
    const char *dot = strchr(set->key, '.');
    const struct section *section = dot ? section_find(set->key, (size_t)(dot - set->key)) : NULL;
    if (!section) return refuse_section(set, err);
    if (!section->fields && strcmp(dot + 1, "name") == 0) return true; /* the method, chosen already */

    const field_table *table = section_fields(s, section);
    const field *row = fields_find(table, dot + 1);
    if (!row) {
        const setting *meant = section->fields ? NULL : last_setting(layers, layer + 1, "method.name");
        const method *other = meant ? method_find(meant->value) : NULL;
        if (other && other != s->method && fields_find(&other->fields, dot + 1)) return true;
        return refuse_key(s, set, section, err);
    }
    if (set->list && row->type != FIELD_SET) {
        char domain[512];
        return error_set(err, ERROR_USAGE, "%s: `%s` takes one value (%s); lists of values go under `sweep:`",
                         set->where, set->key, field_domain(row, domain, sizeof domain));
    }
    error local = {0};
    if (field_parse(table, row, section_options(s, section), set->value, &local)) return true;
    return error_set(err, local.code, "%s: %s", set->where, local.text);
}

/* Presets first: a preset sets the section's other rows, so whatever the spec says itself must come after it. */
static bool apply_presets(spec *s, const settings *const *layers, size_t count, error *err) {
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (!sections[i].preset) continue;
        char key[SPEC_KEY_SIZE];
        snprintf(key, sizeof key, "%s.%s", sections[i].name, sections[i].shorthand);
        const setting *set = last_setting(layers, count, key);
        if (set && !apply(s, set, layers, 0, err)) return false;
        sections[i].preset(section_options(s, &sections[i]));
    }
    return true;
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
            item->key = "name", item->type = FIELD_TEXT, item->identity = true;
            snprintf(item->text, sizeof item->text, "%s", s->method->name);
            return true;
        }
        if (i < table->count) {
            const field *row = &table->rows[i];
            item->key = row->key, item->type = row->type, item->identity = row->identity;
            field_format(row, section_options(s, section), item->text, sizeof item->text);
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

/* Text in YAML's double quotes, where every byte has a spelling. */
static void write_quoted(FILE *stream, const char *text) {
    putc('"', stream);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(stream, "\\%c", *p);
        else if (*p < 32 || *p == 127)
            fprintf(stream, "\\x%02x", *p);
        else
            putc(*p, stream);
    }
    putc('"', stream);
}

char *spec_text(const spec *s, error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) {
        error_memory(err, 1 << 12, "a spec's text");
        return NULL;
    }
    spec_item item;
    const char *section = "";
    fprintf(stream, "name: ");
    write_quoted(stream, s->name);
    putc('\n', stream);
    for (size_t i = 0; spec_item_at(s, i, &item); i++) {
        if (strcmp(section, item.section) != 0) fprintf(stream, "%s:\n", item.section);
        section = item.section;
        fprintf(stream, "  %s: ", item.key);
        if (item.type == FIELD_TEXT)
            write_quoted(stream, item.text);
        else
            fputs(item.text, stream);
        putc('\n', stream);
    }
    if (fclose(stream) == 0) return text;
    free(text);
    error_memory(err, size, "a spec's text");
    return NULL;
}

bool spec_write_resolved(const spec *s, const char *path, error *err) {
    char *text = spec_text(s, err);
    bool done = text && file_write(path, text, strlen(text), err);
    free(text);
    return done;
}

bool spec_identity_hash(const spec *s, const char *data_checksum, char out[65], error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return error_memory(err, 1 << 12, "a spec's identity");
    spec_item item;
    for (size_t i = 0; spec_item_at(s, i, &item); i++)
        if (item.identity) fprintf(stream, "%s.%s=%s\n", item.section, item.key, item.text);
    fprintf(stream, "data.checksum=%s\n", data_checksum);
    bool done = fclose(stream) == 0 || error_memory(err, size, "a spec's identity");
    if (done) file_sha256(text, size, out);
    free(text);
    return done;
}
