/*
 * One list of things to say, laid out twice: by the browser, or here in lines of a canvas.
 */
#include "analysis/report/plots/plot_heading.h"

#include "analysis/report/plots/gnuplot.h"
#include "analysis/report/pages/page_style.h"
#include "analysis/report/plots/plot_looks.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 16, SAMPLE = 22, GAP = 14, LINE = 17, BAR = 96 };

/* The lines that need a name here, each name once. */
static size_t named_lines(const plot *p, size_t group, const plot_line *out[MOST], const plot_panel **heat) {
    size_t end = group + 1 < p->group_count ? p->groups[group + 1].first : p->count, count = 0;
    *heat = NULL;
    for (size_t i = p->groups[group].first; i < end; i++) {
        const plot_panel *panel = &p->panels[i];
        if (panel->cells) *heat = panel;
        for (size_t l = 0; panel->shared && l < panel->count && count < MOST; l++) {
            bool known = !*panel->lines[l].label;
            for (size_t k = 0; k < count && !known; k++) known = strcmp(out[k]->label, panel->lines[l].label) == 0;
            if (!known) out[count++] = &panel->lines[l];
        }
    }
    for (size_t i = 0; i < p->groups[group].first; i++)
        if (p->panels[i].cells) *heat = NULL; /* the palette was shown before */
    return count;
}

/* ---- HTML ------------------------------------------------------------------------------------------------------- */

static void write_mark(FILE *out, int mark, const char *colour) {
    bool hollow = mark == 6 || mark == 4 || mark == 8;
    char look[80];
    snprintf(look, sizeof look, hollow ? "fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"" : "fill=\"%s\"", colour);
    switch (mark) {
    case 2:
        fprintf(out, "<path d=\"M8 2l6 6m0-6l-6 6\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>", colour);
        break;
    case 5:
    case 4: fprintf(out, "<path d=\"M8 2h6v6h-6z\" %s/>", look); break;
    case 9:
    case 8: fprintf(out, "<path d=\"M11 1l4 7h-8z\" %s/>", look); break;
    case 13: fprintf(out, "<path d=\"M11 1l4 4l-4 4l-4-4z\" %s/>", look); break;
    default: fprintf(out, "<circle cx=\"11\" cy=\"5\" r=\"3.2\" %s/>", look);
    }
}

static void write_sample(FILE *out, const plot_line *line) {
    char colour[8], dash[32] = "";
    plot_colour(line, colour);
    const char *pattern = plot_dash(line);
    if (*pattern == '(') snprintf(dash, sizeof dash, "%.*s", (int)strcspn(pattern + 1, ")"), pattern + 1);
    fputs("<svg class=\"key\" viewBox=\"0 0 22 10\" width=\"22\" height=\"10\" aria-hidden=\"true\">", out);
    if (plot_joined(line))
        fprintf(out, "<path d=\"M0 5h22\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>", colour,
                *dash ? dash : "none");
    if (plot_marked(line)) write_mark(out, plot_mark(line), colour);
    fputs("</svg>", out);
}

static void write_bar(FILE *out, const plot_panel *heat) {
    size_t count;
    const plot_shade *shades = plot_palette(heat->cell_low < 0, &count);
    fprintf(out, "<span>%g <span class=\"bar\" style=\"background:linear-gradient(90deg", heat->cell_low);
    for (size_t i = 0; i < count; i++) fprintf(out, ",%s", shades[i].colour);
    fprintf(out, ")\"></span> %g</span>", heat->cell_high);
}

bool plot_heading_html(const plot *p, size_t group, char **html, error *err) {
    const plot_line *lines[MOST];
    const plot_panel *heat;
    size_t count = named_lines(p, group, lines, &heat), size;
    *html = NULL;
    if (!count && !heat && !*p->groups[group].title) return true;
    FILE *out = open_memstream(html, &size);
    if (!out) return error_memory(err, 1 << 10, "a figure's heading");
    fputs("<p class=\"heading\"><b>", out);
    page_text(out, p->groups[group].title);
    fputs("</b>", out);
    if (heat) write_bar(out, heat);
    for (size_t i = 0; i < count; i++) {
        fputs("<span>", out);
        write_sample(out, lines[i]);
        page_text(out, lines[i]->label);
        fputs("</span>", out);
    }
    fputs("</p>\n", out);
    return !fclose(out) || error_memory(err, size, "a figure's heading");
}

/* ---- canvas ----------------------------------------------------------------------------------------------------- */

/* Things stand one after the other and begin a new line where they would run over. */
typedef struct cursor {
    double x, width;
    size_t line;
} cursor;

static double take(cursor *c, double wide) {
    if (c->x > 0 && c->x + wide > c->width) c->x = 0, c->line++;
    double at = c->x;
    c->x += wide + GAP;
    return at;
}

double plot_heading_height(const plot *p, size_t group, double width) {
    const plot_line *lines[MOST];
    const plot_panel *heat;
    size_t count = named_lines(p, group, lines, &heat);
    cursor c = {0, width, 0};
    if (!count && !heat && !*p->groups[group].title) return 0;
    if (*p->groups[group].title) take(&c, plot_text_width(p->groups[group].title));
    if (heat) take(&c, BAR);
    for (size_t i = 0; i < count; i++) take(&c, SAMPLE + 4 + plot_text_width(lines[i]->label));
    return LINE * (double)(c.line + 1) + 3;
}

static void put_text(FILE *out, const char *text, plot_frame f, double x, double y) {
    fprintf(out, "set label ");
    gnuplot_text(out, text);
    fprintf(out, " at screen %.6f, screen %.6f left tc rgb '#222222'\n", x / f.canvas_width, 1 - y / f.canvas_height);
}

static void put_sample(FILE *out, const plot_line *line, plot_frame f, double x, double y) {
    char colour[8];
    double height = 1 - y / f.canvas_height;
    plot_colour(line, colour);
    if (plot_joined(line))
        fprintf(out,
                "set arrow from screen %.6f, screen %.6f to screen %.6f, screen %.6f nohead lc rgb '%s' lw 2 dt %s\n",
                x / f.canvas_width, height, (x + SAMPLE) / f.canvas_width, height, colour, plot_dash(line));
    if (plot_marked(line))
        fprintf(out, "set label '' at screen %.6f, screen %.6f point pt %d ps 0.7 lw 1.5 lc rgb '%s'\n",
                (x + SAMPLE / 2.0) / f.canvas_width, height, plot_mark(line), colour);
}

/* The palette as small rectangles between its two ends. */
static void put_bar(FILE *out, const plot_panel *heat, plot_frame f, double x, double y) {
    size_t count;
    char end[16];
    const plot_shade *shades = plot_palette(heat->cell_low < 0, &count);
    snprintf(end, sizeof end, "%g", heat->cell_low);
    put_text(out, end, f, x, y);
    double from = x + plot_text_width(end) + 4, wide = 50.0 / (double)count;
    for (size_t i = 0; i < count; i++)
        fprintf(out,
                "set object %zu rectangle from screen %.6f, screen %.6f to screen %.6f, screen %.6f fc rgb '%s' fs "
                "solid border lc rgb '#BBBBBB'\n",
                i + 1, (from + (double)i * wide) / f.canvas_width, 1 - (y + 5) / f.canvas_height,
                (from + (double)(i + 1) * wide) / f.canvas_width, 1 - (y - 5) / f.canvas_height, shades[i].colour);
    snprintf(end, sizeof end, "%g", heat->cell_high);
    put_text(out, end, f, from + 54, y);
}

void plot_heading_script(FILE *out, const plot *p, size_t group, plot_frame canvas, double left, double top,
                         double width) {
    const plot_line *lines[MOST];
    const plot_panel *heat;
    size_t count = named_lines(p, group, lines, &heat);
    cursor c = {0, width, 0};
    double x;
    if (*p->groups[group].title) {
        x = take(&c, plot_text_width(p->groups[group].title));
        put_text(out, p->groups[group].title, canvas, left + x + 4, top + LINE * 0.6);
    }
    if (heat) {
        x = take(&c, BAR);
        put_bar(out, heat, canvas, left + x + 4, top + LINE * ((double)c.line + 0.6));
    }
    for (size_t i = 0; i < count; i++) {
        x = left + take(&c, SAMPLE + 4 + plot_text_width(lines[i]->label)) + 4;
        double y = top + LINE * ((double)c.line + 0.6);
        put_sample(out, lines[i], canvas, x, y);
        put_text(out, lines[i]->label, canvas, x + SAMPLE + 4, y);
    }
}
