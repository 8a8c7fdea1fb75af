/*
 * Fields of a table of text: parted by tabs where there are any in the first line, else by commas, semicolons or
 * blanks; quotes are RFC 4180's. A missing number is empty to pandas, NaN to polars and nan to NumPy; others write NA,
 * null, None or one more of the words that pandas reads as missing: each is NaN here.
 */
#include "analysis/files/text_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS_MOST = 1 << 20 };

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static bool ends_line(char c) { return c == '\n' || c == '\r'; }

void text_end_line(text_cursor *t) {
    if (t->at < t->end && *t->at == '\r') t->at++;
    if (t->at < t->end && *t->at == '\n') t->at++;
    t->line++;
}

static void skip_blanks(text_cursor *t) {
    while (t->at < t->end && (*t->at == ' ' || (t->separator == ' ' && *t->at == '\t'))) t->at++;
}

bool text_next_field(text_cursor *t, text_field *f) {
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

bool text_has_more(text_cursor *t) {
    if (t->separator == ' ') skip_blanks(t);
    if (t->at == t->end || ends_line(*t->at)) return false;
    if (t->separator != ' ') t->at++;
    return true;
}

bool text_at_empty_line(const text_cursor *t) {
    const char *c = t->at;
    while (c < t->end && (*c == ' ' || (t->separator == ' ' && *c == '\t'))) c++;
    return c == t->end || ends_line(*c);
}

bool text_at_end(const text_cursor *t) {
    const char *rest = t->at;
    while (rest < t->end && (ends_line(*rest) || *rest == ' ' || *rest == '\t')) rest++;
    return rest == t->end;
}

bool text_read_line(text_cursor *t, text_field **fields, uint64_t *count) {
    size_t room = 0;
    *fields = NULL;
    *count = 0;
    do {
        if (*count == room) {
            room = room ? 2 * room : 64;
            text_field *larger = room <= COLUMNS_MOST * 2 ? realloc(*fields, room * sizeof *larger) : NULL;
            if (!larger) return false;
            *fields = larger;
        }
        if (!text_next_field(t, &(*fields)[(*count)++])) return false;
    } while (text_has_more(t));
    text_end_line(t);
    return true;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* What pandas.read_csv takes for missing (its na_values), besides nothing and NaN in any case. */
static bool is_missing(const text_field *f) {
    static const char *const words[] = {"NA",   "N/A",  "n/a",  "<NA>",   "#N/A",    "#NA",     "#N/A N/A", "null",
                                        "NULL", "None", "-NaN", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (f->size == strlen(words[i]) && memcmp(f->text, words[i], f->size) == 0) return true;
    return f->size == 0;
}

bool text_is_number(const text_field *f, double *out) {
    char text[64], *end;
    *out = NAN;
    if (is_missing(f)) return true;
    if (f->size >= sizeof text || memchr(f->text, 0, f->size)) return false;
    memcpy(text, f->text, f->size);
    text[f->size] = 0;
    for (char *c = text; *c; c++)
        if (*c == 'x' || *c == 'X' || *c == '(') return false; /* strtod's hexadecimals, and nan(…) */
    *out = strtod(text, &end);
    return !*end;
}

static bool holds_only(const text_field *f, const char *letters) {
    for (size_t i = 0; i < f->size; i++)
        if (!f->text[i] || !strchr(letters, f->text[i])) return false;
    return f->size > 0;
}

bool text_has_comma(const text_field *f) {
    return holds_only(f, "0123456789,.+-eE") && memchr(f->text, ',', f->size) && f->size > 2;
}

/* ---- the first lines --------------------------------------------------------------------------------------------- */

static void choose_separator(text_cursor *t) {
    const char *end = t->at;
    while (end < t->end && !ends_line(*end)) end++;
    size_t size = (size_t)(end - t->at);
    t->separator = memchr(t->at, '\t', size)  ? '\t'
                   : memchr(t->at, ',', size) ? ','
                   : memchr(t->at, ';', size) ? ';'
                                              : ' ';
    if (t->separator == ',' && memchr(t->at, ';', size)) { /* decimal commas between semicolons */
        text_cursor line = {.at = t->at, .end = end, .separator = ';'};
        text_field f;
        bool commas = true;
        do commas = text_next_field(&line, &f) && (text_has_comma(&f) || !memchr(f.text, ',', f.size));
        while (commas && text_has_more(&line));
        if (commas) t->separator = ';';
    }
    if (t->separator != ' ') return;
    text_field f; /* blanks part numbers; words are parted by none, since they may hold some */
    double x;
    const char *start = t->at;
    bool numbers = text_next_field(t, &f) && text_is_number(&f, &x) && (f.size == 0 || !is_missing(&f));
    t->at = start;
    if (!numbers) t->separator = '\n';
}

text_cursor text_begin(const void *bytes, size_t size) {
    text_cursor t = {.at = bytes, .end = (const char *)bytes + size, .line = 1};
    if (t.end - t.at >= 3 && memcmp(t.at, "\xef\xbb\xbf", 3) == 0) t.at += 3; /* a byte order mark */
    while (t.at < t.end && *t.at == '#') {
        while (t.at < t.end && !ends_line(*t.at)) t.at++;
        text_end_line(&t);
    }
    choose_separator(&t);
    return t;
}

bool text_names_labels(const text_field *f) {
    static const char *const usual[] = {"label", "labels", "class", "classes", "target", "targets", "category", "y"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (f->size == strlen(usual[i]) && strncasecmp(f->text, usual[i], f->size) == 0) return true;
    return false;
}

/* 0, 1, 2, … behind an index' empty name, where the line below holds a fraction. */
static bool are_counts(const text_field *fields, uint64_t count, const text_field *below, uint64_t below_count) {
    uint64_t first = count > 1 && fields[0].size == 0, fractions = 0;
    double x;
    if (count - first < 2) return false;
    for (uint64_t i = first; i < count; i++)
        if (!holds_only(&fields[i], "0123456789") || !text_is_number(&fields[i], &x) || x != (double)(i - first))
            return false;
    for (uint64_t i = 0; i < below_count; i++)
        fractions += text_is_number(&below[i], &x) && memchr(below[i].text, '.', below[i].size);
    return fractions > 0;
}

bool text_are_names(const text_field *fields, uint64_t count, const text_field *below, uint64_t below_count,
                    bool *counted) {
    double x;
    uint64_t words = 0, numbers_below = 0;
    *counted = below && are_counts(fields, count, below, below_count);
    if (*counted) return true;
    for (uint64_t i = 0; i < count; i++) {
        bool word = !text_is_number(&fields[i], &x);
        words += word;
        if (word && below && i < below_count && text_is_number(&below[i], &x) && below[i].size) numbers_below++;
        if (!word && fields[i].size && !isnan(x)) return false; /* a number is no name */
    }
    return words > 0 &&
           (numbers_below > 0 || (count > 1 && words == count) || (count == 1 && text_names_labels(&fields[0])));
}

size_t text_copy(char *out, const text_field *f) {
    size_t length = 0;
    for (size_t i = 0; i < f->size; i++) {
        out[length++] = f->text[i];
        if (f->quoted && f->text[i] == '"') i++;
    }
    return length;
}
