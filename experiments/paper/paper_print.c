/*
 * A published table as cells: what the paper says beside what was measured, and below the text in which order the
 * methods come.
 */
#include "analysis/statistics.h"
#include "experiments/paper/paper_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_measured(grid_cell *out, const paper_table *t, const paper_row *row, int m, bool exact) {
    double mean = statistics_mean(row->values[m], row->n), sd = statistics_sd(row->values[m], row->n);
    int digits = exact ? 6 : t->factor > 1 ? 1 : 3;
    if (!row->n || isnan(mean)) return;
    snprintf(out->text, sizeof out->text,
             isnan(sd) ? "%.*f"
             : exact   ? "%.*f"
                       : "%.*f ± %.*f",
             digits, mean, digits, sd);
    out->bold = row->bold[m];
}

static void put_p(grid_cell *out, const paper_row *row, int m) {
    if (row->reference) snprintf(out->text, sizeof out->text, "reference");
    if (isnan(row->p[m])) return;
    snprintf(out->text, sizeof out->text, row->p[m] < 0.001 ? "<0.001" : "%.3f", row->p[m]);
}

/* What a column of final figures is called where people read it. */
static const char *heading(const char *figure) {
    static const char *const names[][2] = {{"linear", "accuracy"},
                                           {"linear_top5", "top-5"},
                                           {"prototype_nmi", "NMI"},
                                           {"prototype_nmi_chance", "NMI by chance"},
                                           {"prototype_ami", "AMI"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(figure, names[i][0]) == 0) return names[i][1];
    return figure;
}

/* Column by column; `head` alone for row 0. In CSV mean and sd stand apart. */
static size_t fill_row(const paper_table *t, const paper_row *row, grid_cell *out, bool csv) {
    size_t c = 0;
    const char *const words[] = {row ? row->data : "data", row ? row->method : "method",
                                 row ? row->setting : "setting"};
    for (int i = 0; i < 3; i++) snprintf(out[c++].text, sizeof out->text, "%s", words[i]);
    for (int i = 0; i < PAPER_PUBLISHED; i++, c++) {
        snprintf(out[c].text, sizeof out->text, row ? "%s" : "%s (paper)", row ? row->published[i] : t->published[i]);
        if (row && !csv && *row->elsewhere[i]) snprintf(out[c].text, sizeof out->text, "(%s)", row->elsewhere[i]);
    }
    if (row && row->n) snprintf(out[c].text, sizeof out->text, "%zu", row->n);
    if (!row) strcpy(out[c].text, "n");
    c++;
    for (int m = 0; m < PAPER_MEASURED && t->measured[m]; m++) {
        if (row)
            put_measured(&out[c], t, row, m, csv);
        else
            snprintf(out[c].text, sizeof out->text, "%s%s", csv ? t->measured[m] : heading(t->measured[m]),
                     t->factor > 1 ? " %" : "");
        c++;
        if (csv && !row) snprintf(out[c].text, sizeof out->text, "%s sd", t->measured[m]);
        if (csv && row && row->n > 1)
            snprintf(out[c].text, sizeof out->text, "%.6f", statistics_sd(row->values[m], row->n));
        c += csv;
        if (t->judged[m] && row) put_p(&out[c], row, m);
        if (t->judged[m] && !row) strcpy(out[c].text, "p");
        c += t->judged[m];
    }
    snprintf(out[c++].text, sizeof out->text, "%s", row ? row->scale : "scale here");
    return c;
}

static bool grid_make(grid *g, const paper_table *t, bool csv, error *err) {
    grid_cell heads[GRID_MOST_COLUMNS] = {0};
    size_t columns = fill_row(t, NULL, heads, csv);
    if (!grid_open(g, t->count, columns, 3, err)) return false;
    memcpy(g->cells, heads, columns * sizeof *heads);
    for (size_t i = 0; i < g->rows; i++) fill_row(t, &t->rows[i], grid_at(g, i + 1, 0), csv);
    return true;
}

/* The scale of all rows that were trained, if it is the same; else NULL. */
static const char *one_scale(const grid *g) {
    const char *scale = NULL;
    for (size_t r = 1; r <= g->rows; r++) {
        const char *own = grid_at(g, r, g->columns - 1)->text;
        if (strcmp(grid_at(g, r, 1)->text, "random") == 0) continue;
        if (*own && scale && strcmp(own, scale) != 0) return NULL;
        if (*own) scale = own;
    }
    return scale;
}

/* ---- Orders ---- */

static bool is_method(const paper_row *row) {
    return row->n && strcmp(row->method, "random") != 0 && strcmp(row->method, "supervised") != 0;
}

static double mean_of(const paper_row *row, int m) {
    return is_method(row) ? statistics_mean(row->values[m], row->n) : (double)NAN;
}

/* Rows [first, last) from the largest mean of figure `m` down, on a line; false when fewer than three have it. */
static bool print_order(const paper_table *t, size_t first, size_t last, int m) {
    size_t count = 0;
    for (size_t i = first; i < last; i++) count += !isnan(mean_of(&t->rows[i], m));
    if (count < 3) return false;
    printf("  by %s:", heading(t->measured[m]));
    double above = INFINITY;
    for (size_t said = 0, begun = last; said < count; said++) {
        size_t next = last; /* the largest below the one before, or as large and behind it */
        for (size_t i = first; i < last; i++) {
            double mean = mean_of(&t->rows[i], m);
            bool left = mean < above || (mean == above && i > begun);
            if (left && (next == last || mean > mean_of(&t->rows[next], m))) next = i;
        }
        const paper_row *row = &t->rows[next];
        printf("%s %s%s%s", said ? "," : "", row->method, *row->setting ? " " : "", row->setting);
        above = mean_of(row, m), begun = next;
    }
    putchar('\n');
    return true;
}

/* Of the pairs of rows that have both figures, how many both put in the same order. */
static void print_agreement(const paper_table *t, size_t first, size_t last, int a, int b) {
    size_t pairs = 0, alike = 0;
    for (size_t i = first; i < last; i++)
        for (size_t j = i + 1; j < last; j++) {
            double x = mean_of(&t->rows[i], a) - mean_of(&t->rows[j], a);
            double y = mean_of(&t->rows[i], b) - mean_of(&t->rows[j], b);
            if (isnan(x) || isnan(y)) continue;
            pairs++, alike += x * y > 0;
        }
    if (pairs >= 3)
        printf("  %s and %s put %zu of %zu pairs in the same order.\n", heading(t->measured[a]),
               heading(t->measured[b]), alike, pairs);
}

/* Whether the methods come in the same order by every figure: for each data set of which three or more were run, all at
 * one scale. */
static void print_orders(const paper_table *t) {
    for (size_t first = 0, last; first < t->count; first = last) {
        size_t rows = 0, others = 0;
        const char *scale = NULL;
        for (last = first; last < t->count && strcmp(t->rows[last].data, t->rows[first].data) == 0; last++) {
            if (!is_method(&t->rows[last])) continue;
            if (!scale) scale = t->rows[last].scale;
            rows++, others += strcmp(t->rows[last].scale, scale) != 0;
        }
        if (rows < 3 || others) continue;
        printf("\n%s, from the largest mean down:\n", t->rows[first].data);
        int shown[PAPER_MEASURED], count = 0;
        for (int m = 0; m < PAPER_MEASURED && t->measured[m]; m++)
            if (!strstr(t->measured[m], "chance") && print_order(t, first, last, m)) shown[count++] = m;
        for (int a = 0; a < count; a++)
            for (int b = a + 1; b < count; b++) print_agreement(t, first, last, shown[a], shown[b]);
    }
}

static void print_notes(const paper_table *t) {
    bool any = false, elsewhere = false, undertrained = false;
    for (size_t i = 0; i < t->count; i++) {
        any |= t->rows[i].n > 0;
        elsewhere |= *t->rows[i].elsewhere[0] != 0, undertrained |= t->rows[i].undertrained;
    }
    if (strcmp(t->name, "table1") == 0)
        printf("\nNMI is not adjusted for chance: the rows `chance` are labels against 16,384 codes, both drawn at "
               "random, about\n"
               "what the paper reports for FALCON. Read AMI (0 at chance) and NMI by chance beside every NMI.\n");
    printf(any ? "\np: paired t-test over common seeds against FALCON with the most codes, same data and scale, after "
                 "Holm. Between\n"
                 "stars: the best, and what it is not told from at p <= 0.05, from five seeds on. Published rows are "
                 "the paper's;\n"
                 "measured ones name the scale that they were run at. Standard deviations are over n seeds.\n"
               : "\nNothing of it has been run yet: runs whose name begins with `%s`, or that --where chooses, stand "
                 "beside it.\n",
           t->name);
    if (elsewhere)
        printf("\nIn brackets: what the paper has for as many codes on its own data, %s. Other data, another network: "
               "compare how\n"
               "figures move with the number of codes, not the figures.\n",
               t->data);
    if (undertrained)
        printf(
            "\nUnder-trained rows had fewer epochs than the paper's %g. Below three seeds no p is given: with two, a "
            "difference that is\n"
            "no larger than their standard deviations says nothing, and a larger one is a hint.\n",
            t->epochs);
}

bool paper_table_print(const paper_table *t, grid_form form, error *err) {
    grid g;
    char below[256];
    if (!grid_make(&g, t, form == GRID_CSV, err)) return false;
    const char *scale = one_scale(&g); /* one scale for all is a line below, which leaves the width to the figures */
    snprintf(below, sizeof below, "Measured with %s", scale ? scale : "");
    grid_print(&g, form, scale != NULL, scale ? below : NULL);
    if (form == GRID_TEXT) print_orders(t), print_notes(t);
    grid_free(&g);
    return true;
}
