/*
 * libyaml's document interface gives a tree of nodes that know their lines. A file may be anything at all, so its size
 * is bounded before it is parsed, and every value is taken as text: what a number is, the field tables decide.
 */
#include "experiments/spec/spec_yaml.h"
#include "engine/files/file.h"

#include <stdlib.h>
#include <string.h>

void reader_where(const reader *r, const yaml_node_t *node, char out[SPEC_WHERE_SIZE]) {
    snprintf(out, SPEC_WHERE_SIZE, "%.250s:%zu", r->path, node->start_mark.line + 1);
}

bool reader_refuse(reader *r, const yaml_node_t *node, const char *what, const char *name) {
    char where[SPEC_WHERE_SIZE];
    reader_where(r, node, where);
    if (name) return error_set(r->err, ERROR_USAGE, "%s: `%s` %s", where, name, what);
    return error_set(r->err, ERROR_USAGE, "%s: %s", where, what);
}

/* ---- Opening ---- */

/* Whether a second document follows, which nobody would read. */
static bool more_follows(yaml_parser_t *parser) {
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next)) return true;
    bool more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    return more;
}

/* The usual slip with references, on the line that YAML stumbled over or the one before. */
static bool has_bare_reference(const char *text, size_t line) {
    for (size_t i = 0; text && i <= line; i++) {
        const char *found = strstr(text, "${"), *end = text + strcspn(text, "\n");
        if (i + 1 >= line && found && found < end && memchr(text, '{', (size_t)(found - text)) != NULL) return true;
        text = *end ? end + 1 : NULL;
    }
    return false;
}

static bool refuse_syntax(reader *r, const yaml_parser_t *parser, const char *text) {
    size_t line = parser->problem_mark.line;
    return error_set(r->err, ERROR_USAGE, "%s:%zu: not YAML: %s%s", r->path, line + 1,
                     parser->problem ? parser->problem : "unreadable",
                     has_bare_reference(text, line) ? "; inside {…} a reference wants quotes: \"${section.key}\"" : "");
}

static const yaml_node_t *check_root(reader *r, yaml_parser_t *parser) {
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!root)
        error_set(r->err, ERROR_USAGE, "%s: is empty; a spec needs at least `method: <name>`", r->path);
    else if (root->type != YAML_MAPPING_NODE)
        reader_refuse(r, root, "a spec is a mapping of sections (data, backbone, method, …)", NULL);
    else if (more_follows(parser))
        error_set(r->err, ERROR_USAGE, "%s:%zu: a second document; a file holds one spec", r->path,
                  parser->mark.line + 1);
    else
        return root;
    yaml_document_delete(&r->document);
    return NULL;
}

enum { LARGEST = 1 << 16 }; /* bytes; the YAML library's time grows with the square of unclosed brackets */

const yaml_node_t *reader_open(reader *r, const char *path, error *err) {
    const yaml_node_t *root = NULL;
    yaml_parser_t parser = {0};
    size_t size = 0;
    error reading = {0};
    r->path = path, r->err = err;
    char *text = file_read(path, &size, &reading);
    if (!text) {
        error_set(err, ERROR_USAGE, "%s", reading.text);
    } else if (size > LARGEST) {
        error_set(err, ERROR_USAGE, "%s: is too large for a spec (%zu bytes; at most %d)", path, size, LARGEST);
    } else if (!yaml_parser_initialize(&parser)) {
        error_memory(err, sizeof parser, "the YAML parser");
    } else {
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
        if (yaml_parser_load(&parser, &r->document))
            root = check_root(r, &parser);
        else
            refuse_syntax(r, &parser, text);
        yaml_parser_delete(&parser);
    }
    free(text);
    return root;
}

void reader_close(reader *r) { yaml_document_delete(&r->document); }

/* ---- Nodes ---- */

const yaml_node_t *reader_node(reader *r, int index) { return yaml_document_get_node(&r->document, index); }

const char *node_text(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

bool node_is_empty(const yaml_node_t *node) {
    const char *text = node_text(node);
    return text && !*text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_merge(const yaml_node_t *key_node) {
    const char *key = node_text(key_node);
    return key && strcmp(key, "<<") == 0 && key_node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* A mapping being walked, and the keys that merged mappings have given it so far. */
typedef struct walk {
    const yaml_node_t *mapping;
    const char *merged[128];
    size_t count;
    void *context;
    reader_pair *each;
} walk;

/* Whether a key stands in the mapping itself, or came out of a mapping merged before. */
static bool is_taken(reader *r, const walk *w, const char *key) {
    const yaml_node_pair_t *top = w->mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = w->mapping->data.mapping.pairs.start; pair < top; pair++) {
        const char *own = node_text(reader_node(r, pair->key));
        if (own && strcmp(own, key) == 0) return true;
    }
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->merged[i], key) == 0) return true;
    return false;
}

/* `<<: *name` or `<<: [*a, *b]`: the keys of other mappings, where the mapping has none of its own. */
static bool merge(reader *r, walk *w, const yaml_node_t *key_node, const yaml_node_t *value, int depth) {
    enum { DEEPEST = 16, MOST = sizeof w->merged / sizeof *w->merged };
    static const char takes[] = "takes a mapping or a list of them, as in `<<: *name`";
    if (depth > DEEPEST) return reader_refuse(r, key_node, "merges too deep", "<<");
    if (value->type == YAML_SEQUENCE_NODE && depth == 0) {
        for (const yaml_node_item_t *i = value->data.sequence.items.start; i < value->data.sequence.items.top; i++)
            if (!merge(r, w, key_node, reader_node(r, *i), depth + 1)) return false;
        return true;
    }
    if (value->type != YAML_MAPPING_NODE) return reader_refuse(r, key_node, takes, "<<");
    const yaml_node_pair_t *top = value->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = value->data.mapping.pairs.start; pair < top; pair++) {
        const yaml_node_t *inner = reader_node(r, pair->key), *meant = reader_node(r, pair->value);
        const char *key = node_text(inner);
        if (!key || !*key) return reader_refuse(r, inner, "a key must be a word", NULL);
        if (is_merge(inner)) {
            if (!merge(r, w, inner, meant, depth + 1)) return false;
        } else if (!is_taken(r, w, key)) {
            if (w->count == MOST) return reader_refuse(r, key_node, "merges too many keys", "<<");
            w->merged[w->count++] = key;
            if (!w->each(r, w->context, key, inner, meant)) return false;
        }
    }
    return true;
}

bool reader_each(reader *r, const yaml_node_t *mapping, void *context, reader_pair *each) {
    const yaml_node_pair_t *first = mapping->data.mapping.pairs.start, *top = mapping->data.mapping.pairs.top;
    walk w = {.mapping = mapping, .context = context, .each = each};
    for (const yaml_node_pair_t *pair = first; pair < top; pair++) {
        const yaml_node_t *key_node = reader_node(r, pair->key);
        const char *key = node_text(key_node);
        if (!key || !*key) return reader_refuse(r, key_node, "a key must be a word", NULL);
        for (const yaml_node_pair_t *earlier = first; earlier < pair; earlier++) {
            const yaml_node_t *other = reader_node(r, earlier->key);
            if (strcmp(node_text(other), key) != 0) continue;
            char what[64];
            snprintf(what, sizeof what, "stands twice (first in line %zu)", other->start_mark.line + 1);
            return reader_refuse(r, key_node, what, key);
        }
        if (!is_merge(key_node) && !each(r, context, key, key_node, reader_node(r, pair->value))) return false;
    }
    for (const yaml_node_pair_t *pair = first; pair < top; pair++) {
        const yaml_node_t *key_node = reader_node(r, pair->key);
        if (is_merge(key_node) && !merge(r, &w, key_node, reader_node(r, pair->value), 0)) return false;
    }
    return true;
}

/* ---- Values ---- */

/* Appends a list's word; one that would not be read back as it is gets quotes. Returns the length, also when cut. */
static size_t append_word(char out[FIELD_TEXT_SIZE], size_t used, const char *word) {
    size_t n = strlen(word);
    bool plain = n && !strpbrk(word, ",[]\"'\\") && !strchr(" \t", word[0]) && !strchr(" \t", word[n - 1]);
    if (plain) return used + (size_t)snprintf(out + used, FIELD_TEXT_SIZE - used, "%s", word);
    if (used < FIELD_TEXT_SIZE) out[used] = '"';
    for (used++; *word && used + 3 < FIELD_TEXT_SIZE; word++) {
        if (*word == '"' || *word == '\\') out[used++] = '\\';
        out[used++] = *word;
    }
    return *word ? FIELD_TEXT_SIZE : used + (size_t)snprintf(out + used, FIELD_TEXT_SIZE - used, "\"");
}

/* The text of a list of scalars: "[a, b]". */
static bool list_text(reader *r, const yaml_node_t *list, const char *key, char out[FIELD_TEXT_SIZE]) {
    size_t used = (size_t)snprintf(out, FIELD_TEXT_SIZE, "[");
    for (const yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
        const char *text = node_text(reader_node(r, *i));
        if (!text)
            return reader_refuse(r, reader_node(r, *i), "takes a list of words, not a list of lists or mappings", key);
        if (used > 1) used += (size_t)snprintf(out + used, FIELD_TEXT_SIZE - used, ", ");
        if (used < FIELD_TEXT_SIZE) used = append_word(out, used, text);
        if (used >= FIELD_TEXT_SIZE - 1) return reader_refuse(r, list, "is too long", key);
    }
    snprintf(out + used, FIELD_TEXT_SIZE - used, "]");
    return true;
}

bool reader_add(reader *r, settings *list, const char *key, const yaml_node_t *value, const yaml_node_t *place) {
    char text[FIELD_TEXT_SIZE], where[SPEC_WHERE_SIZE];
    bool is_list = value->type == YAML_SEQUENCE_NODE;
    reader_where(r, place, where);
    if (value->type == YAML_MAPPING_NODE) return reader_refuse(r, value, "takes a value, not a mapping", key);
    if (is_list) return list_text(r, value, key, text) && settings_add(list, key, text, true, where, r->err);
    const char *scalar = node_text(value);
    if (!scalar) return reader_refuse(r, value, "holds a zero byte", key);
    if (node_is_empty(value)) return reader_refuse(r, place, "has no value", key);
    return settings_add(list, key, scalar, false, where, r->err);
}
