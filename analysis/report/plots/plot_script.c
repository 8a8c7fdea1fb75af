/*
 * A panel as gnuplot draws it. Labels that are not in the group's heading stand to the right of the plot, each with a
 * sample of its line, at the height where the line ends, pushed apart where they would touch.
 */
#include "analysis/report/plots/plot_script.h"

#include "analysis/report/plots/gnuplot.h"
#include "analysis/report/plots/plot_axes.h"
#include "analysis/report/plots/plot_looks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LABELS = 24, MARKS = 5 };
#define WIDEST_LABELS 0.45 /* of a panel's width */

static const char *const ink = "#222222", *const faint = "#666666";

/* ---- where things stand, in px from the panel's upper left corner ----------------------------------------------- */

typedef struct layout {
    plot_frame frame;
    double left, right, top, bottom; /* edges of the plot itself */
} layout;

static double screen_x(const layout *l, double x) { return (l->frame.left + x) / l->frame.canvas_width; }
static double screen_y(const layout *l, double y) { return 1 - (l->frame.top + y) / l->frame.canvas_height; }

/* How long the sample of a line beside its label is: a small panel has room for its mark. */
static double sample_of(const plot_frame *frame) { return frame->width < 300 ? 12 : 26; }

/* Characters that a label beside a panel of this width may have. */
static size_t label_limit(const plot_frame *frame) {
    double room = (WIDEST_LABELS * frame->width - sample_of(frame) - 22) / (0.58 * PLOT_FONT_SIZE);
    return room > 6 ? (size_t)room : 6;
}

/* Whether the list of labels has its title above it: a small panel has no room there. */
static bool titled_beside(const plot_panel *panel, const plot_frame *frame) {
    return panel->listed && *panel->list_title && frame->width >= 300;
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
            if (pass == 1 && line->apart && line->unmarked) continue; /* neither joined nor marked: others mark it */
            plot_colour(line, colour);
            fprintf(out, "%s", first ? "" : ", ");
            first = false;
            if (pass == 0) {
                fprintf(out, "$d%zu u 1:3:4 w filledcurves fs transparent solid 0.2 noborder lc rgb '%s'", i, colour);
                continue;
            }
            if (line->look == PLOT_POINTS) {
                fprintf(out, "$d%zu u 1:2 w points lc rgb '%s' pt %d ps 0.4", i, colour, plot_mark(line));
                continue;
            }
            if (line->look == PLOT_TILES) {
                fprintf(out, "$d%zu u ($1-0.5):2:($1-0.5):($1+0.5):3:4 w boxxyerror fs solid 1 noborder lc rgb '%s'", i,
                        colour);
                continue;
            }
            if (line->look == PLOT_VERDICTS) {
                fprintf(out, "$d%zu u 1:2 w points lc rgb '%s' lw 2 pt %d ps %s", i, colour, plot_mark(line),
                        plot_mark(line) == 2 ? "1.3" : "0.85"); /* × is thin: its stroke grows with it alone */
                continue;
            }
            if (line->look == PLOT_INTERVALS) {
                fprintf(out, "$d%zu u 1:2:3:4 w yerrorbars lc rgb '%s' lw 1.75 pt %d ps 0.75", i, colour,
                        plot_mark(line));
                if (!line->apart) fprintf(out, ", $d%zu u 1:2 w lines lc rgb '%s' lw 0.75", i, colour);
                continue;
            }
            if (line->look == PLOT_BARS) {
                fprintf(out, "$d%zu u 1:2 w boxes fs solid 0.85 noborder lc rgb '%s'", i, colour);
                continue;
            }
            if (!line->apart)
                fprintf(out, "$d%zu u 1:2 w lines lc rgb '%s' lw %s dt %s", i, colour,
                        line->look == PLOT_REFERENCE ? "1.5" : "1.75", plot_dash(line));
            if (line->apart || plot_marked(line))
                fprintf(out, "%s$m%zu u 1:2 w points lc rgb '%s' lw 1.5 pt %d ps 0.65", line->apart ? "" : ", ", i,
                        colour, plot_mark(line));
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
            places[i].y = l->top + spacing * ((double)i + (titled_beside(panel, &l->frame) ? 1.6 : 0.6));
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
    double start = l->right + 8, sample = sample_of(&l->frame);
    char colour[8], label[160];
    if (titled_beside(panel, &l->frame)) {
        shorten(panel->list_title, label_limit(&l->frame), label, sizeof label);
        put_text(out, l, label, start, l->top + PLOT_FONT_SIZE * 0.7, "left");
    } else if (panel->listed) { /* at the right end of the title's line, where it has room */
        double room = l->frame.width - 10 - plot_text_width(panel->title);
        if (plot_text_width(panel->list_title) < room)
            put_text(out, l, panel->list_title, l->frame.width - 4, PLOT_FONT_SIZE * 1.01, "right");
    }
    for (size_t i = 0; i < count; i++) {
        const plot_line *line = places[i].line;
        plot_colour(line, colour);
        shorten(line->label, label_limit(&l->frame), label, sizeof label);
        if (plot_joined(line) && (sample > 20 || !plot_marked(line)))
            fprintf(
                out,
                "set arrow from screen %.6f, screen %.6f to screen %.6f, screen %.6f nohead lc rgb '%s' lw 2 dt %s\n",
                screen_x(l, start), screen_y(l, places[i].y), screen_x(l, start + sample), screen_y(l, places[i].y),
                colour, plot_dash(line));
        if (plot_marked(line))
            fprintf(out, "set label '' at screen %.6f, screen %.6f point pt %d ps 0.75 lw 1.5 lc rgb '%s'\n",
                    screen_x(l, start + sample / 2), screen_y(l, places[i].y), plot_mark(line), colour);
        put_text(out, l, label, start + sample + 4, places[i].y, "left");
    }
}

static double label_column(const plot_panel *panel, const plot_frame *frame) {
    double widest = 0;
    char label[160];
    if (panel->shared) return 10;
    for (size_t i = 0; i < panel->count; i++) {
        if (!*panel->lines[i].label) continue;
        shorten(panel->lines[i].label, label_limit(frame), label, sizeof label);
        widest = fmax(widest, plot_text_width(label) + sample_of(frame) + 4);
    }
    if (titled_beside(panel, frame)) {
        shorten(panel->list_title, label_limit(frame), label, sizeof label);
        widest = fmax(widest, plot_text_width(label));
    }
    return widest > 0 ? widest + 12 : 12;
}

/* ---- the panel -------------------------------------------------------------------------------------------------- */

static void put_axis(FILE *out, const plot_axis *axis, char name, bool turned) {
    fprintf(out,
            "%s logscale %c\nset %crange [%.9g:%.9g]\nset %ctics nomirror out scale 0.5 offset 0,%g %s tc rgb '%s' (",
            axis->log ? "set" : "unset", name, name, axis->low, axis->high, name, name == 'x' && !turned ? 0.3 : 0.0,
            turned ? "rotate by 90 right" : "norotate", ink);
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

/* Its palette stands in the group's heading. */
static void put_heat(FILE *out, const plot_panel *panel, layout l) {
    double top = put_title(out, &l, panel->title, 4) + 4;
    double side = fmin(l.frame.width - 10, l.frame.height - top - 6);
    size_t shades;
    const plot_shade *palette = plot_palette(panel->cell_low < 0, &shades);
    l.left = 4, l.right = 4 + side, l.top = top, l.bottom = top + side;
    put_margins(out, &l);
    fprintf(out,
            "unset xtics\nunset ytics\nunset grid\nunset logscale\nunset xlabel\nunset ylabel\nunset colorbox\n"
            "set border 31 lc rgb '%s' lw 1\nset palette maxcolors 21 defined (",
            faint);
    for (size_t i = 0; i < shades; i++) fprintf(out, "%s%.4f '%s'", i ? ", " : "", palette[i].at, palette[i].colour);
    fprintf(out, ")\nset cbrange [%.9g:%.9g]\nset xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\n$m << EOD\n",
            panel->cell_low, panel->cell_high, panel->side - 1, panel->side - 1);
    for (size_t i = 0; i < panel->side; i++) {
        for (size_t j = 0; j < panel->side; j++) fprintf(out, "%.3g ", panel->cells[i * panel->side + j]);
        fputc('\n', out);
    }
    fprintf(out, "EOD\nplot $m matrix w image\n");
}

/* Names too long to stand side by side are turned; returns px that the longest needs below the axis, 0 where they fit.
 */
static double turn_ticks(plot_axis *axis, double wide, double most) {
    double sum = 0, longest = 0;
    char label[sizeof axis->ticks->label];
    for (size_t t = 0; t < axis->count; t++) {
        sum += plot_text_width(axis->ticks[t].label) + 4;
        longest = fmax(longest, plot_text_width(axis->ticks[t].label));
    }
    if (sum <= wide) return 0;
    for (size_t t = 0; t < axis->count; t++) {
        shorten(axis->ticks[t].label, (size_t)(most / (0.58 * PLOT_FONT_SIZE)), label, sizeof label);
        memcpy(axis->ticks[t].label, label, sizeof label);
    }
    return fmin(longest, most);
}

static bool is_number(const char *text) {
    char *end;
    strtod(text, &end);
    return end != text && !*end;
}

void plot_script_clear(FILE *out) {
    fprintf(out,
            "unset label\nunset arrow\nunset object\nunset key\nunset title\nset encoding utf8\nset format '%%g'\n");
}

void plot_script_panel(FILE *out, const plot_panel *panel, plot_frame frame) {
    layout l = {.frame = frame};
    if (panel->cells) {
        put_heat(out, panel, l);
        return;
    }
    plot_axis x = plot_axis_x(panel), y = plot_axis_y(panel);
    double widest = 0;
    for (size_t t = 0; t < y.count; t++) widest = fmax(widest, plot_text_width(y.ticks[t].label));
    l.left = panel->bare ? PLOT_FONT_SIZE * 1.7 + 6 : PLOT_FONT_SIZE * (*panel->y_label ? 1.7 : 0) + widest + 13;
    l.right = frame.width - fmin(label_column(panel, &frame), WIDEST_LABELS * frame.width);
    l.top = put_title(out, &l, panel->title, 6) + 8;
    l.bottom = frame.height - PLOT_FONT_SIZE * (panel->bare ? 2.2 : *panel->x_label ? 3.4 : 2);
    bool names = panel->tick_count && !is_number(panel->ticks[panel->tick_count - 1].label);
    double turned = names ? turn_ticks(&x, l.right - l.left, 0.4 * frame.height) : 0;
    if (turned > 0)
        l.bottom -= fmax(turned - PLOT_FONT_SIZE, 0);
    else
        plot_axis_thin(&x, l.right - l.left, 0.58 * PLOT_FONT_SIZE);
    if (!panel->y_tick_count) plot_axis_thin(&y, l.bottom - l.top, 0.6 * PLOT_FONT_SIZE / 2);
    put_margins(out, &l);
    fprintf(out, "set boxwidth 0.85 relative\nset border 3 lc rgb '%s' lw 1\n", faint);
    if (panel->y_tick_count || panel->bare)
        fprintf(out, "unset grid\n");
    else
        fprintf(out, "set grid ytics lc rgb '#DDDDDD' lw 0.7 lt 1\n");
    put_axis(out, &x, 'x', turned > 0);
    put_axis(out, &y, 'y', false);
    if (panel->bare) fprintf(out, "unset xtics\nunset ytics\n");
    put_text(out, &l, panel->x_label, (l.left + l.right) / 2, frame.height - PLOT_FONT_SIZE * 0.7, "center");
    put_text(out, &l, panel->y_label, PLOT_FONT_SIZE * 0.8, (l.top + l.bottom) / 2, "center rotate by 90");
    if (!panel->shared) put_labels(out, panel, &l, &y);
    put_lines(out, panel, &x);
}
