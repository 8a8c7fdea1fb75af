/*
 * Tables as text: .csv, .tsv, np.savetxt's, TensorBoard's projector's vectors and metadata, and lists of one word a
 * line. Fields are parted by tabs where there are any in the first line, else by commas, semicolons or blanks; quotes
 * are RFC 4180's. A first line with a word in it (of several columns) names them. Columns of numbers make one matrix; a
 * column that holds words is an array of its own, and so are a column that is asked for by name and pandas' index,
 * which is left out of the matrix. A missing value is empty to pandas, NaN to polars, nan to NumPy: each is NaN here.
 */
#include "analysis/files/array_box.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS_MOST = 1 << 20, LETTERS_MOST = 1000 };

typedef struct field {
    const char *text; /* without quotes; doubled ones inside stay */
    size_t size;
    bool quoted;
} field;

typedef struct table {
    const char *at, *end;
    char separator; /* ' ': any blanks */
    uint64_t rows, cols, line;
    field *names; /* (cols), or NULL */
    bool *words;  /* (cols): the column holds a word */
    bool *apart;  /* (cols): no part of the matrix: words, the index, and what is asked for by itself */
    size_t *widths;
} table;

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static bool ends_line(char c) { return c == '\n' || c == '\r'; }

static void skip_line_end(table *t) {
    if (t->at < t->end && *t->at == '\r') t->at++;
    if (t->at < t->end && *t->at == '\n') t->at++;
    t->line++;
}

static void skip_blanks(table *t) {
    while (t->at < t->end && (*t->at == ' ' || (t->separator == ' ' && *t->at == '\t'))) t->at++;
}

/* The next field of this line; false where a quote is not closed. */
static bool next_field(table *t, field *f) {
    skip_blanks(t);
    f->quoted = t->at < t->end && *t->at == '"';
    if (f->quoted) {
        f->text = ++t->at;
        for (; t->at < t->end; t->at++) {
            if (*t->at != '"') continue;
            if (t->at + 1 < t->end && t->at[1] == '"')
                t->at++;
            else
                break;
        }
        if (t->at == t->end) return false;
        f->size = (size_t)(t->at++ - f->text);
        skip_blanks(t);
        return t->at == t->end || ends_line(*t->at) || *t->at == t->separator || t->separator == ' ';
    }
    f->text = t->at;
    while (t->at < t->end && !ends_line(*t->at) && *t->at != t->separator && !(t->separator == ' ' && *t->at == '\t'))
        t->at++;
    f->size = (size_t)(t->at - f->text);
    while (f->size && f->text[f->size - 1] == ' ') f->size--;
    return true;
}

/* Behind a field: true when another follows on this line. */
static bool has_more(table *t) {
    if (t->separator == ' ') skip_blanks(t);
    if (t->at == t->end || ends_line(*t->at)) return false;
    if (t->separator != ' ') t->at++;
    return true;
}

static bool at_empty_line(const table *t) {
    const char *c = t->at;
    while (c < t->end && (*c == ' ' || (t->separator == ' ' && *c == '\t'))) c++;
    return c == t->end || ends_line(*c);
}

/* A number, or missing (NaN). */
static bool is_number(const field *f, double *out) {
    char text[64], *end;
    *out = NAN;
    if (f->size == 0) return true;
    if (f->size >= sizeof text) return false;
    memcpy(text, f->text, f->size);
    text[f->size] = 0;
    for (char *c = text; *c; c++)
        if (*c == 'x' || *c == 'X' || *c == '(') return false; /* strtod's hexadecimals, and nan(…) */
    *out = strtod(text, &end);
    return !*end;
}

/* ---- first look -------------------------------------------------------------------------------------------------- */

static void choose_separator(table *t) {
    const char *end = t->at;
    while (end < t->end && !ends_line(*end)) end++;
    size_t size = (size_t)(end - t->at);
    t->separator = memchr(t->at, '\t', size)  ? '\t'
                   : memchr(t->at, ',', size) ? ','
                   : memchr(t->at, ';', size) ? ';'
                                              : ' ';
    if (t->separator != ' ') return;
    field f; /* blanks part numbers; words are parted by none, since they may hold some */
    double x;
    const char *start = t->at;
    bool numbers = next_field(t, &f) && is_number(&f, &x);
    t->at = start;
    if (!numbers) t->separator = '\n';
}

static void skip_comments(table *t) {
    if (t->end - t->at >= 3 && memcmp(t->at, "\xef\xbb\xbf", 3) == 0) t->at += 3; /* a byte order mark */
    while (t->at < t->end && *t->at == '#') {
        while (t->at < t->end && !ends_line(*t->at)) t->at++;
        skip_line_end(t);
    }
}

/* The first line's fields: are any of them words, they are names where a number stands below one. free() *fields. */
static bool read_line(table *t, field **fields, uint64_t *count) {
    size_t room = 0;
    *fields = NULL;
    *count = 0;
    do {
        if (*count == room) {
            room = room ? 2 * room : 64;
            field *larger = room <= COLUMNS_MOST * 2 ? realloc(*fields, room * sizeof *larger) : NULL;
            if (!larger) return false;
            *fields = larger;
        }
        if (!next_field(t, &(*fields)[(*count)++])) return false;
    } while (has_more(t));
    skip_line_end(t);
    return true;
}

/* A lone column of words: only these are taken for its name. */
static bool is_usual(const field *f) {
    static const char *const usual[] = {"label", "labels", "class", "classes", "target", "targets", "category", "y"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (f->size == strlen(usual[i]) && strncasecmp(f->text, usual[i], f->size) == 0) return true;
    return false;
}

/* Are these fields names of columns rather than values? With `below`, the second line's fields, to hold them against.
 */
static bool are_names(const field *fields, uint64_t count, const field *below, uint64_t below_count) {
    double x;
    uint64_t words = 0, numbers_below = 0;
    for (uint64_t i = 0; i < count; i++) {
        bool word = !is_number(&fields[i], &x);
        words += word;
        if (word && below && i < below_count && is_number(&below[i], &x) && below[i].size) numbers_below++;
        if (!word && fields[i].size && !isnan(x)) return false; /* a number is no name */
    }
    return words > 0 && (numbers_below > 0 || (count > 1 && words == count) || (count == 1 && is_usual(&fields[0])));
}

/* Rows, columns, which of them hold words and how long these are. */
static bool measure(table *t, const array_box *b, error *err) {
    const char *first_row = t->at;
    uint64_t first_line = t->line;
    for (t->rows = 0; t->at < t->end; t->rows++) {
        if (at_empty_line(t)) {
            const char *rest = t->at;
            while (rest < t->end && (ends_line(*rest) || *rest == ' ' || *rest == '\t')) rest++;
            if (rest == t->end) break; /* at the end it is no row */
            return error_set(err, ERROR_RUN,
                             "%s: line %" PRIu64
                             " is empty: a missing value to some writers and nothing to others; write "
                             "NaN, or leave the line out",
                             b->name, t->line);
        }
        uint64_t count = 0;
        do {
            field f;
            double x;
            if (!next_field(t, &f))
                return error_set(err, ERROR_RUN, "%s: line %" PRIu64 ": a quote is not closed", b->name, t->line);
            if (count == t->cols) {
                count++;
                break;
            }
            if (!is_number(&f, &x)) t->words[count] = true;
            if (f.size > t->widths[count]) t->widths[count] = f.size;
            count++;
        } while (has_more(t));
        if (count != t->cols)
            return error_set(err, ERROR_RUN,
                             "%s: line %" PRIu64 " has %s%" PRIu64 " fields, where the first has %" PRIu64, b->name,
                             t->line, count > t->cols ? "more than " : "", count > t->cols ? t->cols : count, t->cols);
        skip_line_end(t);
    }
    t->at = first_row, t->line = first_line;
    return true;
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

/* pandas' index: a first column without a name that counts rows. */
static bool is_index(const table *t, const double *column) {
    if (!t->names || t->names[0].size || t->words[0] || t->cols < 2) return false;
    for (uint64_t i = 0; i < t->rows; i++)
        if (column[i] != (double)i) return false;
    return true;
}

static size_t copy_text(char *out, const field *f) {
    size_t length = 0;
    for (size_t i = 0; i < f->size; i++) {
        out[length++] = f->text[i];
        if (f->quoted && f->text[i] == '"') i++;
    }
    return length;
}

static bool column_name(const table *t, uint64_t j, char *out, size_t size) {
    if (!t->names || !t->names[j].size) {
        snprintf(out, size, "column %" PRIu64, j);
        return false;
    }
    char text[LETTERS_MOST + 1];
    field f = t->names[j];
    if (f.size > LETTERS_MOST) f.size = LETTERS_MOST;
    text[copy_text(text, &f)] = 0;
    snprintf(out, size, "%.200s", text);
    return true;
}

/* The matrix of the columns of numbers, then each column by itself, by its name. */
static bool offer_columns(array_box *b, const table *t, double *numbers, char *const *texts, error *err) {
    uint64_t cols = 0;
    bool index = is_index(t, numbers);
    for (uint64_t j = 0; j < t->cols; j++) {
        char name[256];
        bool asked = column_name(t, j, name, sizeof name) && b->apart && strcmp(name, b->apart) == 0;
        t->apart[j] = t->words[j] || asked || (j == 0 && index);
        cols += !t->apart[j];
    }
    double *matrix = malloc((size_t)(t->rows * cols) * sizeof *matrix + 1);
    if (!array_box_keep(b, matrix, err)) return false;
    for (uint64_t i = 0; i < t->rows; i++)
        for (uint64_t j = 0, k = 0; j < t->cols; j++)
            if (!t->apart[j]) matrix[i * cols + k++] = numbers[j * t->rows + i];
    strided a = {.type = ELEMENT_F64, .dims = 2, .shape = {t->rows, cols}, .data = (const uint8_t *)matrix};
    strided_pack(&a, false);
    bool alone = cols == t->cols && !t->names; /* a plain table of numbers has no names */
    if (cols && !array_box_offer(b, alone ? NULL : "numbers", &a, NULL, err)) return false;
    if (index)
        array_box_note(b, "%s: its first column, which counts rows, is taken for pandas' index and left out", b->name);
    for (uint64_t j = 0; !alone && j < t->cols; j++) {
        char name[256];
        column_name(t, j, name, sizeof name);
        strided column = {.dims = 1, .shape = {t->rows}, .type = ELEMENT_F64};
        column.data = t->words[j] ? (const uint8_t *)texts[j] : (const uint8_t *)(numbers + j * t->rows);
        if (t->words[j]) column.type = ELEMENT_TEXT, column.width = t->widths[j];
        strided_pack(&column, false);
        bool only_words = t->cols == 1 && !t->names;
        if (!array_box_offer(b, only_words ? NULL : name, &column, NULL, err)) return false;
    }
    return true;
}

static bool read_table(array_box *b, table *t, error *err) {
    char **texts = calloc((size_t)t->cols, sizeof *texts);
    double *numbers = NULL;
    bool ok = texts || error_memory(err, (size_t)t->cols * sizeof *texts, b->name);
    if (ok)
        ok = (numbers = array_box_memory(b, "its numbers", t->rows * t->cols * sizeof *numbers, err)) != NULL &&
             array_box_keep(b, numbers, err);
    for (uint64_t j = 0; ok && j < t->cols; j++) {
        if (!t->words[j]) continue;
        if (t->widths[j] > LETTERS_MOST) t->widths[j] = LETTERS_MOST;
        texts[j] = array_box_memory(b, "its words", t->rows * t->widths[j], err);
        ok = texts[j] && array_box_keep(b, texts[j], err);
        if (ok) memset(texts[j], 0, (size_t)t->rows * t->widths[j]);
    }
    for (uint64_t i = 0; ok && i < t->rows; i++) {
        for (uint64_t j = 0; j < t->cols; j++) {
            field f = {0};
            next_field(t, &f);
            is_number(&f, &numbers[j * t->rows + i]);
            if (f.size > t->widths[j]) f.size = t->widths[j];
            if (t->words[j]) copy_text(texts[j] + i * t->widths[j], &f);
            has_more(t);
        }
        skip_line_end(t);
    }
    ok = ok && offer_columns(b, t, numbers, texts, err);
    free(texts);
    return ok;
}

static bool open_text(array_box *b, error *err) {
    table t = {.at = (const char *)b->bytes, .end = (const char *)b->bytes + b->size, .line = 1};
    field *first = NULL, *second = NULL;
    uint64_t below = 0;
    skip_comments(&t);
    choose_separator(&t);
    const char *start = t.at;
    uint64_t start_line = t.line;
    bool ok = t.at < t.end && read_line(&t, &first, &t.cols);
    if (!ok) ok = error_set(err, ERROR_RUN, "%s: is no table of text: line %" PRIu64, b->name, t.line);
    if (ok) {
        const char *row = t.at;
        uint64_t row_line = t.line;
        bool two = t.at < t.end && read_line(&t, &second, &below);
        bool names = are_names(first, t.cols, two ? second : NULL, below);
        t.names = names ? first : NULL;
        t.at = names ? row : start, t.line = names ? row_line : start_line;
        t.words = calloc(2 * (size_t)t.cols, sizeof *t.words), t.apart = t.words ? t.words + t.cols : NULL;
        t.widths = calloc((size_t)t.cols, sizeof *t.widths);
        ok = (t.words && t.widths) || error_memory(err, (size_t)t.cols * 9, b->name);
    }
    for (uint64_t j = 0; ok && j < t.cols; j++) t.widths[j] = 1;
    ok = ok && measure(&t, b, err);
    if (ok && t.rows == 0) ok = error_set(err, ERROR_RUN, "%s: holds no rows", b->name);
    ok = ok && read_table(b, &t, err);
    free(first);
    free(second);
    free(t.words);
    free(t.widths);
    return ok;
}

const array_format array_format_text = {.kind = "a table of text", .open = open_text};
