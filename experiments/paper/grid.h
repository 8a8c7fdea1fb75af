/*
 * A table of words, made once and printed as text, Markdown, CSV or LaTeX (booktabs). Rows that begin with another word
 * than the one before stand apart.
 */
#ifndef MEWS_PAPER_GRID_H
#define MEWS_PAPER_GRID_H

#include "engine/error.h"

typedef struct grid_cell {
    char text[192];
    bool bold;
} grid_cell;

enum { GRID_MOST_COLUMNS = 24 };

typedef struct grid {
    grid_cell *cells; /* (rows + 1, columns): the first row holds the heads */
    size_t rows, columns;
    size_t words; /* of the columns, so many from the left hold words; LaTeX sets the others to the right */
} grid;

typedef enum grid_form { GRID_TEXT, GRID_MARKDOWN, GRID_CSV, GRID_LATEX } grid_form;

/* Empty cells; grid_free them. At most GRID_MOST_COLUMNS columns. */
bool grid_open(grid *g, size_t rows, size_t columns, size_t words, error *err);
void grid_free(grid *g);

static inline grid_cell *grid_at(const grid *g, size_t row, size_t column) {
    return &g->cells[row * g->columns + column];
}

/* On stdout. Of LaTeX: without the last `drop` columns, and with `below` (or NULL) as a line under it. */
void grid_print(const grid *g, grid_form form, size_t drop, const char *below);

#endif
