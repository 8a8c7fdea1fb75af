/*
 * Printing columns of the index. Figures get four significant digits in the text, everything they have elsewhere.
 */
#include "experiments/store/listing.h"
#include "experiments/commands/terminal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sorting ---- */

typedef struct sortable {
    size_t row, was;
    const cell *cell;
    bool descending;
} sortable;

static int by_cell(const void *a, const void *b) {
    const sortable *x = a, *y = b;
    const cell *c = x->cell, *d = y->cell;
    int order = 0;
    if (c->type != d->type) { /* what is missing comes last, whichever way */
        if (c->type == CELL_NONE || d->type == CELL_NONE) return c->type == CELL_NONE ? 1 : -1;
        return c->type == CELL_NUMBER ? -1 : 1;
    }
    if (c->type == CELL_NUMBER) order = (c->number > d->number) - (c->number < d->number);
    if (c->type == CELL_TEXT) order = strcmp(c->text, d->text);
    if (x->descending) order = -order;
    return order ? order : (x->was > y->was) - (x->was < y->was);
}

void listing_sort(size_t *rows, size_t count, const store_column *column, bool descending) {
    sortable *items = malloc((count + 1) * sizeof *items);
    if (!items) return; /* in the order of folders, then */
    for (size_t i = 0; i < count; i++) items[i] = (sortable){rows[i], i, &column->cells[rows[i]], descending};
    qsort(items, count, sizeof *items, by_cell);
    for (size_t i = 0; i < count; i++) rows[i] = items[i].row;
    free(items);
}

/* ---- Text ---- */

static const char *text_of(const store_column *column, size_t row, char out[64]) {
    const cell *c = &column->cells[row];
    if (c->type == CELL_NONE) return "–";
    if (c->type == CELL_TEXT || !column->figure) return c->text;
    snprintf(out, 64, "%.4g", c->number);
    return out;
}

static bool is_words(const store_column *column, const listing *l) {
    for (size_t i = 0; i < l->count; i++)
        if (column->cells[l->rows[i]].type == CELL_TEXT) return true;
    return false;
}

static void print_padded(FILE *out, const char *text, int width, bool left, bool last) {
    int pad = width - terminal_letters(text);
    if (pad < 0) pad = 0;
    const char *colour = terminal_colour(out, text), *plain = *colour ? TERMINAL_PLAIN : "";
    if (left)
        fprintf(out, "%s%s%s%*s", colour, text, plain, last ? 0 : pad, "");
    else
        fprintf(out, "%*s%s%s%s", pad, "", colour, text, plain);
    fputs(last ? "\n" : "  ", out);
}

/* The middle of an id gives way: its beginning names the sweep, its end is the hash. */
static void shorten(const char *text, int width, char out[256]) {
    int letters = terminal_letters(text), head = (width - 1) / 2, tail = width - 1 - head;
    if (letters <= width || width < 5) {
        snprintf(out, 256, "%s", text);
        return;
    }
    int bytes = 0, end = 0;
    for (int n = 0; text[bytes] && (n += (text[bytes] & 0xC0) != 0x80) <= head;) bytes++;
    for (int n = 0; text[end] && (n += (text[end] & 0xC0) != 0x80) <= letters - tail;) end++;
    snprintf(out, 256, "%.*s…%s", bytes, text, text + end);
}

/* Where a table is wider than the terminal, its widest column of words is narrowed. */
static void fit(int *widths, const bool *left, size_t count, int most) {
    enum { NARROWEST = 16 };
    int sum = -2;
    size_t widest = count;
    for (size_t c = 0; c < count; c++) {
        sum += widths[c] + 2;
        if (left[c] && (widest == count || widths[c] > widths[widest])) widest = c;
    }
    if (sum <= most || widest == count) return;
    int narrowed = widths[widest] - (sum - most), least = widths[widest] < NARROWEST ? widths[widest] : NARROWEST;
    widths[widest] = narrowed > least ? narrowed : least;
}

/* How many columns, from the left, a terminal has room for; at least two. */
static size_t that_fit(const int *widths, size_t count, int most) {
    size_t shown = 0;
    for (int sum = -2; shown < count && (shown < 2 || sum + widths[shown] + 2 <= most); shown++)
        sum += widths[shown] + 2;
    return shown;
}

static void print_text(FILE *out, const store_runs *all, const listing *l) {
    int *widths = calloc(l->column_count + 1, sizeof *widths);
    bool *left = calloc(l->column_count + 1, sizeof *left);
    char number[64], text[256];
    for (size_t c = 0; widths && left && c < l->column_count; c++) {
        const store_column *column = &all->columns[l->columns[c]];
        left[c] = is_words(column, l);
        widths[c] = terminal_letters(column->key);
        for (size_t i = 0; i < l->count; i++) {
            int letters = terminal_letters(text_of(column, l->rows[i], number));
            if (letters > widths[c]) widths[c] = letters;
        }
    }
    size_t shown = l->column_count;
    if (widths && left && terminal_has_width(out)) {
        fit(widths, left, l->column_count, terminal_width(out));
        shown = that_fit(widths, l->column_count, terminal_width(out));
    }
    for (size_t c = 0; widths && left && c < shown; c++)
        print_padded(out, all->columns[l->columns[c]].key, widths[c], left[c], c + 1 == shown);
    for (size_t i = 0; widths && left && i < l->count; i++)
        for (size_t c = 0; c < shown; c++) {
            shorten(text_of(&all->columns[l->columns[c]], l->rows[i], number), widths[c], text);
            print_padded(out, text, widths[c], left[c], c + 1 == shown);
        }
    if (shown < l->column_count) {
        char line[2048];
        size_t used = (size_t)snprintf(line, sizeof line, "not shown, for want of width:");
        for (size_t c = shown; c < l->column_count && used < sizeof line; c++)
            used += (size_t)snprintf(line + used, sizeof line - used, " %s", all->columns[l->columns[c]].key);
        terminal_wrap(out, line, 0, 2, terminal_width(out));
    }
    free(widths);
    free(left);
}

/* ---- CSV, JSON ---- */

static void print_csv_field(FILE *out, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"') putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void print_csv(FILE *out, const store_runs *all, const listing *l) {
    for (size_t c = 0; c < l->column_count; c++) {
        print_csv_field(out, all->columns[l->columns[c]].key);
        fputs(c + 1 == l->column_count ? "\n" : ",", out);
    }
    for (size_t i = 0; i < l->count; i++)
        for (size_t c = 0; c < l->column_count; c++) {
            const cell *value = &all->columns[l->columns[c]].cells[l->rows[i]];
            if (value->type != CELL_NONE) print_csv_field(out, value->text);
            fputs(c + 1 == l->column_count ? "\n" : ",", out);
        }
}

static json_t *cell_json(const cell *c) {
    json_t *value = NULL;
    if (c->type == CELL_NUMBER && !strpbrk(c->text, ".eEnN")) value = json_integer((json_int_t)c->number);
    if (c->type == CELL_NUMBER && !value) value = json_real(c->number);
    if (c->type == CELL_TEXT) value = json_string(c->text);
    return value ? value : json_null();
}

static void print_json(FILE *out, const store_runs *all, const listing *l) {
    putc('[', out);
    for (size_t i = 0; i < l->count; i++) {
        json_t *object = json_object();
        for (size_t c = 0; c < l->column_count; c++) {
            const store_column *column = &all->columns[l->columns[c]];
            json_object_set_new(object, column->key, cell_json(&column->cells[l->rows[i]]));
        }
        fputs(i ? ",\n " : "", out);
        json_dumpf(object, out, JSON_COMPACT);
        json_decref(object);
    }
    fputs("]\n", out);
}

void listing_print(FILE *out, const store_runs *all, const listing *l, listing_form form) {
    if (form == LISTING_TEXT) print_text(out, all, l);
    if (form == LISTING_CSV) print_csv(out, all, l);
    if (form == LISTING_JSON) print_json(out, all, l);
}
