/*
 * A command's line: what it takes, as a table that both the parser and --help read. Options may stand anywhere, as
 * `--out DIR` or `--out=DIR`; `--` ends them. A slip of the finger gets the nearest option.
 */
#ifndef MEWS_ARGUMENTS_H
#define MEWS_ARGUMENTS_H

#include "engine/fields.h"

#include <stdio.h>

typedef struct option {
    const char *name;  /* "--out" */
    const char *brief; /* "-o", or NULL */
    const char *value; /* "DIR"; NULL for a flag */
    const char *help;
} option;

enum { MAX_OPTIONS = 64, MAX_GIVEN = 256 };

typedef struct arguments {
    struct {
        const char *name, *value; /* name as in the table, or a field's key; value "" for flags */
    } given[MAX_GIVEN];
    size_t given_count;
    const char *words[MAX_GIVEN]; /* what is no option, in order */
    size_t word_count;
    bool help;
} arguments;

/* What a command takes. Every row of `fields` (or NULL) is an option, too: `--width 64` for the row "width". */
typedef struct argument_rules {
    const option *options; /* ends with a row without name */
    const field_table *fields;
    size_t min_words, max_words;
    const char *words; /* what the words are: "SPEC" */
} argument_rules;

/* Parses argv[0 … argc). ERROR_USAGE on unknown options, missing values, too few or too many words. */
bool arguments_parse(arguments *a, const char *command, const argument_rules *rules, int argc, char **argv, error *err);

/* Sets the options that `fields` gave; `options` is the fields' struct. */
bool arguments_fields(const arguments *a, const field_table *fields, void *options, error *err);

bool arguments_has(const arguments *a, const char *name);

/* The last value given for `name`, else `otherwise`. */
const char *arguments_value(const arguments *a, const char *name, const char *otherwise);

/* The i-th value given for `name` (it may come often), or NULL. */
const char *arguments_nth(const arguments *a, const char *name, size_t i);

/* A whole number from min to max given for `name`, else `otherwise`. */
bool arguments_number(const arguments *a, const char *name, long min, long max, long otherwise, long *out, error *err);

/* Options and fields, aligned, as --help shows it. */
void arguments_print(const argument_rules *rules, FILE *stream);

#endif
