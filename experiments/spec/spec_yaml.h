/*
 * A YAML file as the spec's readers see it: a tree of nodes with their lines, and the one way to say what is wrong with
 * one of them. Shared by spec_file.c and spec_axes.c alone.
 */
#ifndef MEWS_SPEC_YAML_H
#define MEWS_SPEC_YAML_H

#include "experiments/spec/spec.h"

#include <yaml.h>

/* One file being read. */
typedef struct reader {
    yaml_document_t document;
    const char *path;
    unsigned source; /* which of the files that make a spec, from 0, in the order they were opened */
    error *err;
} reader;

/* The document's root, which is a mapping. ERROR_USAGE, and nothing to close, when it is not. */
const yaml_node_t *reader_open(reader *r, const char *path, error *err);
void reader_close(reader *r);

/* "file:line". */
void reader_where(const reader *r, const yaml_node_t *node, char out[SPEC_WHERE_SIZE]);

/* "file:line: `name` what", without the name when that is NULL. Returns false. */
bool reader_refuse(reader *r, const yaml_node_t *node, const char *what, const char *name);

const yaml_node_t *reader_node(reader *r, int index);

/* A scalar's text, or NULL when the node is none or holds a zero byte. */
const char *node_text(const yaml_node_t *node);

/* `key:` with nothing behind it. */
bool node_is_empty(const yaml_node_t *node);

/* Calls `each` with the keys and values of a mapping until it returns false. Refuses keys that are no text or come
   twice. What `<<` merges comes last, where the mapping has no such key itself. */
typedef bool reader_pair(reader *r, void *context, const char *key, const yaml_node_t *key_node,
                         const yaml_node_t *value);
bool reader_each(reader *r, const yaml_node_t *mapping, void *context, reader_pair *each);

/* Adds one value, scalar or list of scalars; `place` is the line it is said to stand in. */
bool reader_add(reader *r, settings *list, const char *key, const yaml_node_t *value, const yaml_node_t *place);

#endif
