#include "experiments/paper/grid.h"
#include "analysis/report/csv.h"
#include "experiments/commands/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool grid_open(grid *g, size_t rows, size_t columns, size_t words, error *err) {
    *g = (grid){.rows = rows, .columns = columns, .words = words};
    g->cells = calloc((rows + 1) * columns, sizeof *g->cells);
    return g->cells || error_memory(err, (rows + 1) * columns * sizeof *g->cells, "a table");
}

void grid_free(grid *g) {
    free(g->cells);
    *g = (grid){0};
}

static bool begins_anew(const grid *g, size_t row) {
    return row > 1 && row <= g->rows && strcmp(grid_at(g, row, 0)->text, grid_at(g, row - 1, 0)->text) != 0;
}

static void print_text(const grid *g) {
    int widths[GRID_MOST_COLUMNS] = {0};
    for (size_t r = 0; r <= g->rows; r++)
        for (size_t c = 0; c < g->columns; c++) {
            int letters = terminal_letters(grid_at(g, r, c)->text) + 2 * grid_at(g, r, c)->bold;
            if (letters > widths[c]) widths[c] = letters;
        }
    for (size_t r = 0; r <= g->rows; r++) {
        if (begins_anew(g, r)) putchar('\n');
        for (size_t c = 0; c < g->columns; c++) {
            const grid_cell *cell = grid_at(g, r, c);
            const char *mark = cell->bold ? "*" : "";
            int pad = widths[c] - terminal_letters(cell->text) - 2 * cell->bold;
            if (c + 1 == g->columns) pad = 0;
            printf("%s%s%s%s%*s", c ? "  " : "", mark, cell->text, mark, pad, "");
        }
        putchar('\n');
    }
}

static void print_markdown(const grid *g) {
    for (size_t r = 0; r <= g->rows; r++) {
        for (size_t c = 0; c < g->columns; c++) {
            const char *mark = grid_at(g, r, c)->bold ? "**" : "";
            printf("| %s%s%s ", mark, grid_at(g, r, c)->text, mark);
        }
        printf("|\n");
        for (size_t c = 0; r == 0 && c < g->columns; c++) printf("|---%s", c + 1 == g->columns ? "|\n" : "");
    }
}

static void print_csv(const grid *g) {
    for (size_t r = 0; r <= g->rows; r++)
        for (size_t c = 0; c < g->columns; c++) {
            const char *text = grid_at(g, r, c)->text;
            if (strpbrk(text, ",\"\n"))
                csv_text(stdout, text);
            else
                fputs(text, stdout);
            putchar(c + 1 == g->columns ? '\n' : ',');
        }
}

static void print_latex_text(const char *text) {
    static const char *const spelt[][2] = {{"±", "$\\pm$"},
                                           {"–", "--"},
                                           {"<", "$<$"},
                                           {">", "$>$"},
                                           {"~", "\\textasciitilde{}"},
                                           {"^", "\\textasciicircum{}"},
                                           {"\\", "\\textbackslash{}"}};
    while (*text) {
        size_t i = 0, count = sizeof spelt / sizeof *spelt;
        while (i < count && strncmp(text, spelt[i][0], strlen(spelt[i][0])) != 0) i++;
        if (i < count)
            fputs(spelt[i][1], stdout), text += strlen(spelt[i][0]);
        else
            printf("%s%c", strchr("_%&#${}", *text) ? "\\" : "", *text), text++;
    }
}

/* The first ones, and a last one that holds no number. */
static bool is_words(const grid *g, size_t column) {
    if (column < g->words) return true;
    for (size_t r = 1; column + 1 == g->columns && r <= g->rows; r++)
        if (strpbrk(grid_at(g, r, column)->text, "abcdefghijklmnopqrstuvwxyz")) return true;
    return false;
}

/* A tabular that needs booktabs and nothing else; UTF-8 letters as they are. */
static void print_latex(const grid *g, size_t drop, const char *below) {
    size_t columns = g->columns - drop;
    printf("\\begin{tabular}{");
    for (size_t c = 0; c < columns; c++) putchar(is_words(g, c) ? 'l' : 'r');
    printf("}\n\\toprule\n");
    for (size_t r = 0; r <= g->rows; r++) {
        if (r == 1 || begins_anew(g, r)) printf("\\midrule\n");
        for (size_t c = 0; c < columns; c++) {
            if (grid_at(g, r, c)->bold) printf("\\textbf{");
            print_latex_text(grid_at(g, r, c)->text);
            if (grid_at(g, r, c)->bold) putchar('}');
            printf(c + 1 == columns ? " \\\\\n" : " & ");
        }
    }
    printf("\\bottomrule\n");
    if (below) {
        printf("\\multicolumn{%zu}{l}{\\footnotesize ", columns);
        print_latex_text(below);
        printf("} \\\\\n");
    }
    printf("\\end{tabular}\n");
}

void grid_print(const grid *g, grid_form form, size_t drop, const char *below) {
    if (form == GRID_TEXT) print_text(g);
    if (form == GRID_MARKDOWN) print_markdown(g);
    if (form == GRID_CSV) print_csv(g);
    if (form == GRID_LATEX) print_latex(g, drop, below);
}
