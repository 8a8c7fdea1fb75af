/*
 * How a panel looks. Colours of named lines are Okabe and Ito's (distinct to colour-blind readers), those of ordered
 * lines run from dark to light along viridis, which stays ordered in grey. Dashes and marks tell lines apart without
 * any colour. Labels stand to the right of the plot, each with a sample of its line, at the height where the line ends,
 * pushed apart where they would touch.
 */
#include "analysis/report/plot_script.h"

#include "analysis/report/gnuplot.h"
#include "analysis/report/plot_axes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STYLES = 7, MOST_LABELS = 24, MARKS = 5 };
#define WIDEST_LABELS 0.45 /* of a panel's width */

static const char *const named_colours[STYLES] = {"#0072B2", "#D55E00", "#009E73", "#000000",
                                                  "#CC79A7", "#56B4E9", "#E69F00"};
static const char *const dashes[STYLES] = {"solid", "(9,4)", "(2,3)", "(9,3,2,3)", "(5,3)", "(12,3,2,3,2,3)", "(3,6)"};
/* Tableau's ten, darkened where they were pale: clouds have no dashes, and their marks are small. */
static const char *const cloud_colours[] = {"#4E79A7", "#F28E2B", "#D64550", "#59A14F", "#8C6BB1",
                                            "#9C755F", "#E377C2", "#17A2A2", "#B5A12C", "#2F4B7C"};
static const int cloud_marks[] = {7, 5, 9, 13, 11, 7, 5, 9, 13, 11};
static const char *const tile_colours[] = {"#C8C8C8", "#3C9D6B", "#E3B23C", "#C8401C"}; /* as on the page */
enum { CLOUDS = sizeof cloud_marks / sizeof *cloud_marks };
static const int marks[STYLES] = {7, 5, 9, 13, 6, 4, 8}; /* gnuplot's: disc, square, triangle, diamond; then hollow */
static const char *const ink = "#222222", *const faint = "#666666";

static const char *dash_of(const plot_line *line) {
    return line->look == PLOT_REFERENCE ? "(2,3)" : dashes[line->style % STYLES];
}

/* Viridis from its dark end to 0.85, where yellow would fade on white paper. */
static void colour_of(const plot_line *line, char out[8]) {
    static const int viridis[][3] = {{68, 1, 84},    {70, 50, 127},  {54, 92, 141}, {39, 127, 142},
                                     {31, 161, 135}, {74, 194, 109}, {159, 218, 58}};
    enum { LAST = sizeof viridis / sizeof *viridis - 1 };
    if (line->look == PLOT_REFERENCE)
        snprintf(out, 8, "%s", faint);
    else if (line->look == PLOT_POINTS)
        snprintf(out, 8, "%s", line->style < 0 ? "#B4B4B4" : cloud_colours[line->style % CLOUDS]);
    else if (line->look == PLOT_BARS)
        snprintf(out, 8, "%s", cloud_colours[line->style % CLOUDS]);
    else if (line->look == PLOT_TILES)
        snprintf(out, 8, "%s", tile_colours[line->style & 3]);
    else if (line->look == PLOT_NAMED || line->look == PLOT_INTERVALS)
        snprintf(out, 8, "%s", named_colours[line->style % STYLES]);
    else {
        double at = fmin(fmax(line->shade, 0), 1) * 0.93 * LAST;
        int i = at >= LAST ? LAST - 1 : (int)at, rgb[3];
        for (int k = 0; k < 3; k++)
            rgb[k] = (int)lround(viridis[i][k] + (at - i) * (viridis[i + 1][k] - viridis[i][k]));
        snprintf(out, 8, "#%02X%02X%02X", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
    }
}

/* ---- where things stand, in px from the panel's upper left corner ----------------------------------------------- */

typedef struct layout {
    plot_frame frame;
    double left, right, top, bottom; /* edges of the plot itself */
} layout;

static double screen_x(const layout *l, double x) { return (l->frame.left + x) / l->frame.canvas_width; }
static double screen_y(const layout *l, double y) { return 1 - (l->frame.top + y) / l->frame.canvas_height; }

static double text_width(const char *text) { return 0.58 * PLOT_FONT_SIZE * (double)plot_text_length(text); }

/* Characters that a label beside a panel of this width may have. */
static size_t label_limit(const plot_frame *frame) {
    double room = (WIDEST_LABELS * frame->width - 53) / (0.58 * PLOT_FONT_SIZE);
    return room > 6 ? (size_t)room : 6;
}

/* Bytes of the first `characters` of UTF-8 text. */
static size_t prefix_bytes(const char *text, size_t characters) {
    size_t bytes = 0;
    for (; text[bytes]; bytes++)
        if (((unsigned char)text[bytes] & 0xC0) != 0x80 && characters-- == 0) break;
    return bytes;
}

/* A label of at most `limit` characters: the middle gives way, since names that are alike differ at their ends. */
static void shorten(const char *text, size_t limit, char *out, size_t size) {
    size_t length = plot_text_length(text);
    if (length <= limit) {
        snprintf(out, size, "%s", text);
        return;
    }
    size_t head = limit / 2, tail = limit - head - 1;
    snprintf(out, size, "%.*s…%s", (int)prefix_bytes(text, head), text, text + prefix_bytes(text, length - tail));
}

static int mark_of(const plot_line *line) {
    if (line->look != PLOT_POINTS) return marks[line->style % STYLES];
    return line->style < 0 ? 7 : cloud_marks[line->style % CLOUDS];
}

static void put_text(FILE *out, const layout *l, const char *text, double x, double y, const char *how) {
    fprintf(out, "set label ");
    gnuplot_text(out, text);
    fprintf(out, " at screen %.6f, screen %.6f %s tc rgb '%s'\n", screen_x(l, x), screen_y(l, y), how, ink);
}

/* A title runs over two lines when it must, broken at a blank. */
static double put_title(FILE *out, const layout *l, const char *title, double x) {
    double room = l->frame.width - x - 4, line = PLOT_FONT_SIZE * 1.35;
    size_t fit = (size_t)(room / (0.56 * PLOT_FONT_SIZE)), length = strlen(title);
    char first[200];
    snprintf(first, sizeof first, "%s", title);
    const char *second = NULL;
    if (plot_text_length(title) > fit && fit < length) {
        size_t cut = fit;
        while (cut > 0 && title[cut] != ' ') cut--;
        if (cut > 0) first[cut] = 0, second = title + cut + 1;
    }
    put_text(out, l, first, x, line * 0.75, "left front");
    if (second) put_text(out, l, second, x, line * 1.75, "left front");
    return second ? 2 * line : line;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static void put_data(FILE *out, const plot_line *line, size_t index) {
    fprintf(out, "$d%zu << EOD\n", index);
    for (size_t i = 0; i < line->n; i++) {
        if (isfinite(line->y[i]))
            fprintf(out, "%.9g %.9g %.9g %.9g\n", line->x[i], line->y[i], line->low[i], line->high[i]);
        else
            fprintf(out, "%.9g NaN NaN NaN\n", line->x[i]);
    }
    fprintf(out, "EOD\n$m%zu << EOD\n", index);
}

/* Marks: at every datum, or a few spread evenly over the page, shifted from line to line so that they do not cover. */
static void put_marks(FILE *out, const plot_line *line, size_t index, const plot_axis *x) {
    size_t put = 0;
    if (line->sparse) {
        for (int k = 0; k < MARKS; k++) {
            double wanted = (k + 0.25 + 0.5 * (double)(index % 4) / 4) / MARKS, nearest = INFINITY;
            size_t best = 0;
            for (size_t i = 0; i < line->n; i++) {
                double distance = fabs(plot_axis_share(x, line->x[i]) - wanted);
                if (isfinite(line->y[i]) && distance < nearest) nearest = distance, best = i;
            }
            if (nearest < 0.5 / MARKS) fprintf(out, "%.9g %.9g\n", line->x[best], line->y[best]), put++;
        }
    }
    for (size_t i = 0; i < line->n && (!line->sparse || !put); i++)
        if (isfinite(line->y[i])) fprintf(out, "%.9g %.9g\n", line->x[i], line->y[i]);
    fprintf(out, "EOD\n");
}

static bool has_band(const plot_line *line) {
    for (size_t i = 0; line->look < PLOT_INTERVALS && i < line->n; i++)
        if (isfinite(line->y[i]) && (line->low[i] < line->y[i] || line->high[i] > line->y[i])) return true;
    return false;
}

static bool has_data(const plot_line *line) {
    for (size_t i = 0; i < line->n; i++)
        if (isfinite(line->y[i])) return true;
    return false;
}

static void put_lines(FILE *out, const plot_panel *panel, const plot_axis *x) {
    char colour[8];
    bool first = true;
    for (size_t i = 0; i < panel->count; i++) {
        put_data(out, &panel->lines[i], i);
        put_marks(out, &panel->lines[i], i, x);
    }
    fprintf(out, "plot ");
    for (int pass = 0; pass < 2; pass++) /* bands lie beneath all lines */
        for (size_t i = 0; i < panel->count; i++) {
            const plot_line *line = &panel->lines[i];
            if (!has_data(line) || (pass == 0 && !has_band(line))) continue;
            colour_of(line, colour);
            fprintf(out, "%s", first ? "" : ", ");
            first = false;
            if (pass == 0) {
                fprintf(out, "$d%zu u 1:3:4 w filledcurves fs transparent solid 0.2 noborder lc rgb '%s'", i, colour);
                continue;
            }
            if (line->look == PLOT_POINTS) {
                fprintf(out, "$d%zu u 1:2 w points lc rgb '%s' pt %d ps 0.4", i, colour, mark_of(line));
                continue;
            }
            if (line->look == PLOT_TILES) {
                fprintf(out, "$d%zu u ($1-0.5):2:($1-0.5):($1+0.5):3:4 w boxxyerror fs solid 1 noborder lc rgb '%s'", i,
                        colour);
                continue;
            }
            if (line->look == PLOT_INTERVALS) {
                fprintf(out, "$d%zu u 1:2:3:4 w yerrorbars lc rgb '%s' lw 1.75 pt %d ps 0.75", i, colour,
                        mark_of(line));
                if (!line->apart) fprintf(out, ", $d%zu u 1:2 w lines lc rgb '%s' lw 0.75", i, colour);
                continue;
            }
            if (line->look == PLOT_BARS) {
                fprintf(out, "$d%zu u 1:2 w boxes fs solid 0.85 noborder lc rgb '%s'", i, colour);
                continue;
            }
            fprintf(out, "$d%zu u 1:2 w lines lc rgb '%s' lw %s dt %s", i, colour,
                    line->look == PLOT_REFERENCE ? "1.75" : "2", dash_of(line));
            if (line->look != PLOT_REFERENCE)
                fprintf(out, ", $m%zu u 1:2 w points lc rgb '%s' lw 1.5 pt %d ps 0.75", i, colour, mark_of(line));
        }
    fprintf(out, "%s\n", first ? "NaN" : ""); /* nothing to draw still draws its axes */
}

/* ---- labels ----------------------------------------------------------------------------------------------------- */

typedef struct place {
    const plot_line *line;
    double y; /* px from the panel's top */
} place;

static int by_height(const void *a, const void *b) {
    double x = ((const place *)a)->y, y = ((const place *)b)->y;
    return (x > y) - (x < y);
}

static size_t place_labels(const plot_panel *panel, const layout *l, const plot_axis *y, place *places) {
    double spacing = PLOT_FONT_SIZE * 1.45;
    size_t count = 0;
    for (size_t i = 0; i < panel->count && count < MOST_LABELS; i++) {
        const plot_line *line = &panel->lines[i];
        if (!*line->label || !has_data(line)) continue;
        size_t last = line->n - 1;
        while (!isfinite(line->y[last])) last--;
        double share = fmin(fmax(plot_axis_share(y, line->y[last]), 0), 1);
        places[count++] = (place){line, l->bottom - share * (l->bottom - l->top)};
    }
    if (panel->listed) {
        for (size_t i = 0; i < count; i++)
            places[i].y = l->top + spacing * ((double)i + (*panel->list_title ? 1.6 : 0.6));
        return count;
    }
    qsort(places, count, sizeof *places, by_height);
    for (size_t i = 1; i < count; i++) places[i].y = fmax(places[i].y, places[i - 1].y + spacing);
    double limit = l->bottom;
    for (size_t i = count; i-- > 0;) { /* what ran over the bottom is pushed up again */
        places[i].y = fmin(places[i].y, limit);
        limit = places[i].y - spacing;
    }
    return count;
}

static void put_labels(FILE *out, const plot_panel *panel, const layout *l, const plot_axis *y) {
    place places[MOST_LABELS];
    size_t count = place_labels(panel, l, y, places);
    double start = l->right + 10, sample = 30;
    char colour[8], label[160];
    if (panel->listed && *panel->list_title) {
        shorten(panel->list_title, label_limit(&l->frame), label, sizeof label);
        put_text(out, l, label, start, l->top + PLOT_FONT_SIZE * 0.7, "left");
    }
    for (size_t i = 0; i < count; i++) {
        const plot_line *line = places[i].line;
        colour_of(line, colour);
        shorten(line->label, label_limit(&l->frame), label, sizeof label);
        if (line->look < PLOT_POINTS)
            fprintf(
                out,
                "set arrow from screen %.6f, screen %.6f to screen %.6f, screen %.6f nohead lc rgb '%s' lw 2 dt %s\n",
                screen_x(l, start), screen_y(l, places[i].y), screen_x(l, start + sample), screen_y(l, places[i].y),
                colour, dash_of(line));
        if (line->look != PLOT_REFERENCE)
            fprintf(out, "set label '' at screen %.6f, screen %.6f point pt %d ps 0.75 lw 1.5 lc rgb '%s'\n",
                    screen_x(l, start + sample / 2), screen_y(l, places[i].y),
                    line->look == PLOT_BARS || line->look == PLOT_TILES ? 5 : mark_of(line), colour);
        put_text(out, l, label, start + sample + 5, places[i].y, "left");
    }
}

static double label_column(const plot_panel *panel, const plot_frame *frame) {
    double widest = 0;
    char label[160];
    for (size_t i = 0; i < panel->count; i++) {
        if (!*panel->lines[i].label) continue;
        shorten(panel->lines[i].label, label_limit(frame), label, sizeof label);
        widest = fmax(widest, text_width(label) + 35);
    }
    if (panel->listed) {
        shorten(panel->list_title, label_limit(frame), label, sizeof label);
        widest = fmax(widest, text_width(label));
    }
    return widest > 0 ? widest + 18 : 18;
}

/* ---- the panel -------------------------------------------------------------------------------------------------- */

static void put_axis(FILE *out, const plot_axis *axis, char name) {
    fprintf(out, "%s logscale %c\nset %crange [%.9g:%.9g]\nset %ctics nomirror out scale 0.6 tc rgb '%s' (",
            axis->log ? "set" : "unset", name, name, axis->low, axis->high, name, ink);
    for (size_t t = 0; t < axis->count; t++) {
        fprintf(out, "%s", t ? ", " : "");
        gnuplot_tick_text(out, axis->ticks[t].label);
        fprintf(out, " %.9g", axis->ticks[t].at);
    }
    fprintf(out, ")\n");
}

static void put_margins(FILE *out, const layout *l) {
    fprintf(out,
            "set lmargin at screen %.6f\nset rmargin at screen %.6f\nset tmargin at screen %.6f\nset bmargin at screen "
            "%.6f\n",
            screen_x(l, l->left), screen_x(l, l->right), screen_y(l, l->top), screen_y(l, l->bottom));
}

static void put_heat(FILE *out, const plot_panel *panel, layout l) {
    double bar = 62, top = put_title(out, &l, panel->title, 6) + 6;
    double side = fmin(l.frame.width - bar - 6, l.frame.height - top - 10);
    l.left = 6, l.right = 6 + side, l.top = top, l.bottom = top + side;
    put_margins(out, &l);
    bool signed_values = panel->cell_low < 0;
    fprintf(out,
            "unset xtics\nunset ytics\nunset grid\nunset logscale\nunset xlabel\nunset ylabel\nset border 31 lc rgb "
            "'%s' lw 1\n",
            faint);
    if (signed_values)
        fprintf(out, "set palette maxcolors 0 defined (-1 '#0B4A8F', -0.5 '#7FB2DC', 0 '#FFFFFF', 0.5 '#E8943A', 1 "
                     "'#5C2300')\n");
    else
        fprintf(out, "set palette maxcolors 0 defined (0 '#FFFFFF', 1 '#D4E4F0', 2 '#9DC3DE', 3 '#5A97C6', 4 "
                     "'#2A6AA8', 5 '#0B3A75', "
                     "6 '#041C40')\n");
    fprintf(
        out,
        "set cbrange [%.9g:%.9g]\nset colorbox user origin screen %.6f, screen %.6f size screen %.6f, screen %.6f\n",
        panel->cell_low, panel->cell_high, screen_x(&l, l.right + 8), screen_y(&l, l.bottom), 10 / l.frame.canvas_width,
        side / l.frame.canvas_height);
    fprintf(out, "set cbtics scale 0.4 tc rgb '%s' (", ink);
    int steps = signed_values ? 4 : 2;
    for (int i = 0; i <= steps; i++)
        fprintf(out, "%s%.9g", i ? ", " : "", panel->cell_low + (panel->cell_high - panel->cell_low) * i / steps);
    fprintf(out, ")\nset xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\n$m << EOD\n", panel->side - 1, panel->side - 1);
    for (size_t i = 0; i < panel->side; i++) {
        for (size_t j = 0; j < panel->side; j++) fprintf(out, "%.3g ", panel->cells[i * panel->side + j]);
        fputc('\n', out);
    }
    fprintf(out, "EOD\nplot $m matrix w image\n");
}

void plot_script_panel(FILE *out, const plot_panel *panel, plot_frame frame) {
    layout l = {.frame = frame};
    fprintf(out, "unset label\nunset arrow\nunset key\nunset title\nset encoding utf8\nset format '%%g'\n");
    if (panel->cells) {
        put_heat(out, panel, l);
        return;
    }
    plot_axis x = plot_axis_x(panel), y = plot_axis_y(panel);
    double widest = 0;
    for (size_t t = 0; t < y.count; t++) widest = fmax(widest, text_width(y.ticks[t].label));
    l.left = panel->bare ? PLOT_FONT_SIZE * 1.7 + 6 : PLOT_FONT_SIZE * (*panel->y_label ? 1.7 : 0) + widest + 16;
    l.right = frame.width - fmin(label_column(panel, &frame), WIDEST_LABELS * frame.width);
    l.top = put_title(out, &l, panel->title, 6) + 15;
    l.bottom = frame.height - PLOT_FONT_SIZE * (panel->bare ? 2.2 : 4);
    plot_axis_thin(&x, l.right - l.left, 0.58 * PLOT_FONT_SIZE);
    if (!panel->y_tick_count) plot_axis_thin(&y, l.bottom - l.top, 0.6 * PLOT_FONT_SIZE / 2);
    put_margins(out, &l);
    fprintf(out, "set boxwidth 0.85 relative\nset border 3 lc rgb '%s' lw 1\n", faint);
    if (panel->y_tick_count || panel->bare)
        fprintf(out, "unset grid\n");
    else
        fprintf(out, "set grid ytics lc rgb '#DDDDDD' lw 0.7 lt 1\n");
    put_axis(out, &x, 'x');
    put_axis(out, &y, 'y');
    if (panel->bare) fprintf(out, "unset xtics\nunset ytics\n");
    put_text(out, &l, panel->x_label, (l.left + l.right) / 2, frame.height - PLOT_FONT_SIZE * 0.7, "center");
    put_text(out, &l, panel->y_label, PLOT_FONT_SIZE * 0.8, (l.top + l.bottom) / 2, "center rotate by 90");
    put_labels(out, panel, &l, &y);
    put_lines(out, panel, &x);
}
