/*
 * Tables as text: .csv, .tsv, np.savetxt's, TensorBoard's projector's vectors and metadata, and lists of one word a
 * line (text_fields.c has the grammar). A first line with a word in it (of several columns), or pandas' 0, 1, 2, …,
 * names the columns. Columns of numbers make one matrix. What is no coordinate is an array of its own, left out of the
 * matrix, and that is said: words, a column that counts rows (pandas' index, ids), whole numbers named as labels beside
 * fractions. A word among a column's fractions is an error, since with the column a dimension would go.
 */
#include "analysis/files/array_box.h"
#include "analysis/files/text_fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MOST = 1000 };

typedef struct column {
    const text_field *name; /* NULL: none */
    const char *aside;      /* why it is no part of the matrix; NULL: it is */
    bool words, fractions;
    size_t width;     /* of its longest field */
    uint64_t numbers; /* that are not missing */
    uint64_t line;    /* where its first word stands */
    text_field word;
} column;

typedef struct table {
    text_cursor cursor; /* at the first row */
    uint64_t rows, cols;
    column *columns;
    bool named, counted; /* a first line names columns, by 0, 1, 2, … */
} table;

/* "`NAME`", or "column 3". */
static void column_name(const table *t, uint64_t j, char *out, size_t size) {
    const text_field *name = t->columns[j].name;
    char text[LETTERS_MOST + 1];
    if (!name || !name->size) {
        snprintf(out, size, "column %" PRIu64, j);
        return;
    }
    text_field f = *name;
    if (f.size > LETTERS_MOST) f.size = LETTERS_MOST;
    text[text_copy(text, &f)] = 0;
    snprintf(out, size, "%.200s", text);
}

/* ---- first look -------------------------------------------------------------------------------------------------- */

static void note_field(column *c, const text_field *f, uint64_t line) {
    double x;
    if (f->size > c->width) c->width = f->size;
    if (!text_is_number(f, &x)) {
        if (!c->words) c->word = *f, c->line = line;
        c->words = true;
    } else if (!isnan(x)) {
        c->numbers++;
        c->fractions = c->fractions || x != floor(x);
    }
}

/* Rows, and what each column holds. */
static bool measure(table *t, const array_box *b, error *err) {
    text_cursor at = t->cursor;
    for (t->rows = 0; at.at < at.end; t->rows++) {
        if (text_at_empty_line(&at)) {
            if (text_at_end(&at)) break; /* at the end it is no row */
            return error_set(err, ERROR_RUN,
                             "%s: line %" PRIu64
                             " is empty: a missing value to some writers and nothing to others; write "
                             "NaN, or leave the line out",
                             b->name, at.line);
        }
        uint64_t count = 0;
        do {
            text_field f;
            if (!text_next_field(&at, &f))
                return error_set(err, ERROR_RUN, "%s: line %" PRIu64 ": a quote is not closed", b->name, at.line);
            if (count < t->cols) note_field(&t->columns[count], &f, at.line);
        } while (count++ < t->cols && text_has_more(&at));
        if (count != t->cols)
            return error_set(err, ERROR_RUN,
                             "%s: line %" PRIu64 " has %s%" PRIu64 " fields, where the first has %" PRIu64, b->name,
                             at.line, count > t->cols ? "more than " : "", count > t->cols ? t->cols : count, t->cols);
        text_end_line(&at);
    }
    return t->rows > 0 || error_set(err, ERROR_RUN, "%s: holds no rows", b->name);
}

/* With a column of numbers that holds a word, or whose numbers are written otherwise, a dimension would be lost: why
 * the matrix is then not read. */
static bool check_words(const table *t, const array_box *b, char *problem, size_t size) {
    for (uint64_t j = 0; j < t->cols; j++) {
        const column *c = &t->columns[j];
        char name[256];
        column_name(t, j, name, sizeof name);
        if (!c->words || (b->apart && strcmp(name, b->apart) == 0)) continue;
        int length = c->word.size < 40 ? (int)c->word.size : 40;
        if (text_has_comma(&c->word))
            snprintf(problem, size,
                     "has `%.*s` in line %" PRIu64 "; numbers are read with a decimal point and nothing between "
                     "thousands",
                     length, c->word.text, c->line);
        else if (c->fractions && c->numbers > t->rows / 2)
            snprintf(problem, size,
                     "has `%.*s` in line %" PRIu64 ", where `%.60s` holds numbers; a missing number is left empty, NaN "
                     "or NA",
                     length, c->word.text, c->line, name);
        else
            continue;
        return false;
    }
    return true;
}

/* ---- what is no part of the matrix ------------------------------------------------------------------------------- */

static bool counts_rows(const table *t, const double *values, bool from_zero) {
    for (uint64_t i = 0; i < t->rows; i++)
        if (values[i] != (from_zero ? 0 : values[0]) + (double)i) return false;
    return true;
}

/* Ids and labels are told from coordinates only where those are fractions. */
static void set_aside(const array_box *b, table *t, const double *numbers) {
    uint64_t fractions = 0;
    for (uint64_t j = 0; j < t->cols; j++) fractions += t->columns[j].fractions && !t->columns[j].words;
    for (uint64_t j = 0; j < t->cols; j++) {
        column *c = &t->columns[j];
        const double *values = numbers + j * t->rows;
        char name[256];
        column_name(t, j, name, sizeof name);
        bool index = j == 0 && t->cols > 1 && t->named && !c->name->size;
        if (c->words)
            c->aside = "words";
        else if (index && counts_rows(t, values, true))
            c->aside = "pandas' index";
        else if (fractions && t->rows > 2 && c->numbers == t->rows && counts_rows(t, values, false))
            c->aside = "counts rows";
        else if (fractions && !c->fractions && c->name && text_names_labels(c->name))
            c->aside = "whole numbers under a label's name; --labels-in reads them";
        if (b->apart && c->name && strcmp(name, b->apart) == 0) c->aside = "";
    }
}

static void note_aside(array_box *b, const table *t) {
    char text[700];
    size_t length = 0, told = 0, left = 0;
    for (uint64_t j = 0; j < t->cols; j++) {
        const char *why = t->columns[j].aside;
        char name[256];
        if (!why || !*why) continue;
        if (told == 6) {
            left++;
            continue;
        }
        column_name(t, j, name, sizeof name);
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s`%.40s` (%s)", told++ ? ", " : "", name, why);
    }
    if (left) snprintf(text + length, sizeof text - length, " and %zu more", left);
    if (told && told + left < t->cols)
        array_box_note(b, "%s: %sno part of the matrix: %s", b->name,
                       t->counted ? "its first line, which counts columns, names them; " : "", text);
    else if (t->counted)
        array_box_note(b, "%s: its first line, which counts columns, is taken for their names", b->name);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

/* The matrix of the columns of numbers, then each column by itself, by its name. */
static bool offer_columns(array_box *b, table *t, double *numbers, char *const *texts, error *err) {
    uint64_t cols = 0;
    char problem[300];
    bool whole = check_words(t, b, problem, sizeof problem);
    set_aside(b, t, numbers);
    note_aside(b, t);
    for (uint64_t j = 0; j < t->cols; j++) cols += !t->columns[j].aside;
    double *matrix = malloc((size_t)(t->rows * cols) * sizeof *matrix + 1);
    if (!array_box_keep(b, matrix, err)) return false;
    for (uint64_t i = 0; i < t->rows; i++)
        for (uint64_t j = 0, k = 0; j < t->cols; j++)
            if (!t->columns[j].aside) matrix[i * cols + k++] = numbers[j * t->rows + i];
    strided a = {.type = ELEMENT_F64, .dims = 2, .shape = {t->rows, cols}, .data = (const uint8_t *)matrix};
    strided_pack(&a, false);
    bool alone = cols == t->cols && !t->named; /* a plain table of numbers has no names */
    if ((cols || !whole) && !array_box_offer(b, alone ? NULL : "numbers", &a, whole ? NULL : problem, err))
        return false;
    for (uint64_t j = 0; !alone && j < t->cols; j++) {
        const column *c = &t->columns[j];
        char name[256];
        column_name(t, j, name, sizeof name);
        strided one = {.dims = 1, .shape = {t->rows}, .type = ELEMENT_F64};
        one.data = c->words ? (const uint8_t *)texts[j] : (const uint8_t *)(numbers + j * t->rows);
        if (c->words) one.type = ELEMENT_TEXT, one.width = c->width;
        strided_pack(&one, false);
        bool only_words = t->cols == 1 && !t->named;
        if (!array_box_offer(b, only_words ? NULL : name, &one, NULL, err)) return false;
    }
    return true;
}

static bool read_table(array_box *b, table *t, error *err) {
    text_cursor at = t->cursor;
    char **texts = calloc((size_t)t->cols, sizeof *texts);
    double *numbers = NULL;
    bool ok = texts || error_memory(err, (size_t)t->cols * sizeof *texts, b->name);
    if (ok)
        ok = (numbers = array_box_memory(b, "its numbers", t->rows * t->cols * sizeof *numbers, err)) != NULL &&
             array_box_keep(b, numbers, err);
    for (uint64_t j = 0; ok && j < t->cols; j++) {
        column *c = &t->columns[j];
        if (!c->words) continue;
        if (c->width > LETTERS_MOST) c->width = LETTERS_MOST;
        texts[j] = array_box_memory(b, "its words", t->rows * c->width, err);
        ok = texts[j] && array_box_keep(b, texts[j], err);
        if (ok) memset(texts[j], 0, (size_t)t->rows * c->width);
    }
    for (uint64_t i = 0; ok && i < t->rows; i++) {
        for (uint64_t j = 0; j < t->cols; j++) {
            const column *c = &t->columns[j];
            text_field f = {0};
            text_next_field(&at, &f);
            text_is_number(&f, &numbers[j * t->rows + i]);
            if (f.size > c->width) f.size = c->width;
            if (c->words) text_copy(texts[j] + i * c->width, &f);
            text_has_more(&at);
        }
        text_end_line(&at);
    }
    ok = ok && offer_columns(b, t, numbers, texts, err);
    free(texts);
    return ok;
}

static bool open_text(array_box *b, error *err) {
    table t = {.cursor = text_begin(b->bytes, b->size)};
    text_field *first = NULL, *second = NULL;
    uint64_t below = 0;
    if (memchr(b->bytes, 0, b->size))
        return error_set(err, ERROR_RUN, "%s: is no table of text: byte %zu is zero", b->name,
                         (size_t)((const uint8_t *)memchr(b->bytes, 0, b->size) - b->bytes));
    text_cursor at = t.cursor;
    bool ok = at.at < at.end && text_read_line(&at, &first, &t.cols);
    if (!ok) ok = error_set(err, ERROR_RUN, "%s: is no table of text: line %" PRIu64, b->name, at.line);
    if (ok) {
        text_cursor behind = at;
        bool two = at.at < at.end && text_read_line(&at, &second, &below);
        t.named = text_are_names(first, t.cols, two ? second : NULL, below, &t.counted);
        if (t.named) t.cursor = behind;
        t.columns = calloc((size_t)t.cols, sizeof *t.columns);
        ok = t.columns || error_memory(err, (size_t)t.cols * sizeof *t.columns, b->name);
    }
    for (uint64_t j = 0; ok && j < t.cols; j++) t.columns[j] = (column){.width = 1, .name = t.named ? &first[j] : NULL};
    ok = ok && measure(&t, b, err) && read_table(b, &t, err);
    free(first);
    free(second);
    free(t.columns);
    return ok;
}

const array_format array_format_text = {.kind = "a table of text", .open = open_text};
