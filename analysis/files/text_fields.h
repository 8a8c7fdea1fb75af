/* Private to the reader of tables: lines and fields of text, and what they look like. */
#ifndef MEWS_TEXT_FIELDS_H
#define MEWS_TEXT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text_field {
    const char *text; /* without quotes; doubled ones inside stay */
    size_t size;
    bool quoted;
} text_field;

typedef struct text_cursor {
    const char *at, *end;
    char separator; /* ' ': any blanks */
    uint64_t line;
} text_cursor;

/* Behind a byte order mark and lines of comment, with the separator that the first line shows. */
text_cursor text_begin(const void *bytes, size_t size);

/* The next field of this line; false where a quote is not closed. */
bool text_next_field(text_cursor *t, text_field *f);
/* Behind a field: true when another follows on this line. */
bool text_has_more(text_cursor *t);
void text_end_line(text_cursor *t);
bool text_at_empty_line(const text_cursor *t);
/* Whether nothing but blanks and empty lines is left. */
bool text_at_end(const text_cursor *t);

/* All fields of a line; false for a quote that is not closed, or too many. free() *fields. */
bool text_read_line(text_cursor *t, text_field **fields, uint64_t *count);

/* A number, or missing (NaN). */
bool text_is_number(const text_field *f, double *out);
/* Digits with commas among them: a decimal comma, or thousands. */
bool text_has_comma(const text_field *f);
/* "label", "class", "y", …, whatever the case. */
bool text_names_labels(const text_field *f);
/* Are these fields of a first line names of columns? With `below`, the second line's fields, to hold them against.
 * *counted: they are the numbers 0, 1, 2, … that pandas gives columns without names. */
bool text_are_names(const text_field *fields, uint64_t count, const text_field *below, uint64_t below_count,
                    bool *counted);

/* Without doubled quotes; returns the length, at most the field's. */
size_t text_copy(char *out, const text_field *f);

#endif
