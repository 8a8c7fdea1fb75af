/*
 * The field table: every option of the program is one row. The YAML reader, --set, validation, `mews keys`, a run's
 * resolved spec and sweeps over any key all read these rows; nothing else knows how an option is spelled.
 *
 * A section (data, augment, backbone, method, optimizer, train, eval) is a plain struct of options and a table of rows
 * that point into it. The C type behind a row follows from its type:
 *   FIELD_BOOL bool · FIELD_INT int64_t · FIELD_REAL double · FIELD_CHOICE int (index into choices)
 *   FIELD_SET unsigned (bit i = choices[i]) · FIELD_TEXT char[FIELD_TEXT_SIZE]
 *   FIELD_LIST likewise: words as in `[a, "b, c"]`, or text that says the same
 */
#ifndef MEWS_FIELDS_H
#define MEWS_FIELDS_H

#include "engine/error.h"

#include <stdint.h>

enum { FIELD_TEXT_SIZE = 1024 };

typedef enum field_type {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_REAL,
    FIELD_CHOICE,
    FIELD_SET,
    FIELD_TEXT,
    FIELD_LIST
} field_type;

/* Short form in the tables: false, true. A key that is added later is IDENTITY_IF_SET: earlier runs keep their ids. */
typedef enum field_identity {
    IDENTITY_NO,
    IDENTITY_YES,
    IDENTITY_IF_SET, /* where it is not the default */
} field_identity;

typedef struct field {
    const char *key; /* as in the spec, without its section: "codes" */
    field_type type;
    size_t offset;              /* of the option in its section's struct */
    const char *fallback;       /* default, as it would stand in YAML */
    double min, max;            /* inclusive bounds of numbers; none when min ≥ max (both left out) */
    const char *const *choices; /* NULL-terminated; FIELD_CHOICE and FIELD_SET */
    field_identity identity;    /* does it decide a run's result, and so is part of the run id? */
    const char *help;           /* one line: meaning, unit, source */
} field;

typedef struct field_table {
    const char *section; /* "method" */
    const field *rows;
    size_t count;
    size_t size; /* sizeof the section's struct */
} field_table;

/* Fills `options` (table->size bytes) with every row's default. A default that does not parse is a bug: aborts. */
void fields_defaults(const field_table *table, void *options);

/* The row called `key`, or NULL. */
const field *fields_find(const field_table *table, const char *key);

/* The key nearest to `key`, or NULL. */
const char *fields_nearest(const field_table *table, const char *key);

/* The row called `key`; when there is none, ERROR_USAGE "unknown key `section.key`; did you mean `…`?". */
const field *fields_require(const field_table *table, const char *key, error *err);

/*
 * Parses `text` (a YAML scalar; for FIELD_SET a comma-separated list, brackets allowed) into the option.
 * ERROR_USAGE says what the key takes: type, range or choices, with the nearest choice.
 */
bool field_parse(const field_table *table, const field *row, void *options, const char *text, error *err);

/*
 * Writes the option's value as text that field_parse reads back to the same bits (a YAML scalar or flow list; only
 * FIELD_TEXT may need YAML's quotes around it, which are the YAML writer's affair). Returns `out`.
 */
char *field_format(const field *row, const void *options, char *out, size_t size);

/* A key that does nothing but beside some values of another key of its section. Of several for one key, one will do. */
typedef struct field_condition {
    const char *key;
    /* "name=folder|svhn"; "name!=shapes": all but these; "metrics~knn": a set with this in it */
    const char *only_with;
} field_condition;

/* The row's conditions in a list that ends with {0} (NULL: an empty one): the first, and whether one of them is met;
 * NULL, and met, where it has none. */
const field_condition *field_conditions_hold(const field_table *table, const field_condition *conditions,
                                             const field *row, const void *options, bool *met);

/* Says what a row takes, in words: "integer from 1 to 65536", "one of: l2, tanh". Returns `out`. */
char *field_domain(const field *row, char *out, size_t size);

#endif
