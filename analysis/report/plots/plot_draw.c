/*
 * Writing figures. SVG, PDF and PNG are one canvas each, the PNG at twice the pixels; for a page every panel is an SVG
 * element of its own, so that panels flow to the width there is. On a canvas groups stand one after the other: a group
 * that fits beside the one before it does, any other begins a new line.
 */
#include "analysis/report/csv.h"
#include "analysis/report/plots/gnuplot.h"
#include "analysis/report/plots/plot_heading.h"
#include "analysis/report/plots/plot_looks.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void plot_pictures_free(plot_pictures *pictures) {
    for (size_t i = 0; i < pictures->count; i++) {
        free(pictures->svgs[i]);
        free(pictures->headings[i]);
    }
    free(pictures->svgs);
    free(pictures->headings);
    free(pictures->starts);
    *pictures = (plot_pictures){0};
}

/* ---- where things stand ----------------------------------------------------------------------------------------- */

typedef struct canvas {
    plot_frame *frames;                   /* (panels) */
    double *heading_left, *heading_top;   /* (groups) */
    double *heading_width;                /* (groups) */
    double width, height, panel, columns; /* px; panels a line */
} canvas;

static size_t group_of(const plot *p, size_t panel) {
    size_t g = 0;
    while (g + 1 < p->group_count && p->groups[g + 1].first <= panel) g++;
    return g;
}

static size_t group_size(const plot *p, size_t g) {
    if (!p->group_count) return p->count;
    return (g + 1 < p->group_count ? p->groups[g + 1].first : p->count) - p->groups[g].first;
}

/* Panels a line: as many as were asked for, or as fit at a width at which they can still be read. */
static size_t columns_of(const plot *p, double inches) {
    enum { NARROWEST = 158 };
    size_t columns = p->columns > 0 ? (size_t)p->columns : 1, fit = (size_t)(inches * 96 / NARROWEST);
    if (inches > 0 && fit < columns) columns = fit > 0 ? fit : 1;
    return columns < p->count ? columns : p->count;
}

static void lay_group(const plot *p, canvas *c, size_t g, size_t at, double top) {
    size_t first = p->group_count ? p->groups[g].first : 0;
    for (size_t k = 0; k < group_size(p, g); k++)
        c->frames[first + k] = (plot_frame){.left = (double)((at + k) % (size_t)c->columns) * c->panel,
                                            .top = top + (double)((at + k) / (size_t)c->columns) * p->height,
                                            .width = c->panel,
                                            .height = p->height};
}

/* The groups from `from` on that stand in one line, or the one that fills several: returns the first after them. */
static size_t lay_line(const plot *p, canvas *c, size_t from, size_t groups) {
    size_t columns = (size_t)c->columns, at = 0, g = from, lines = 1;
    double heading = 0;
    for (; g < groups && (g == from || at + group_size(p, g) <= columns); g++) {
        size_t size = group_size(p, g), side = size < columns ? size : columns;
        double width = (double)side * c->panel;
        c->heading_left[g] = (double)at * c->panel, c->heading_top[g] = c->height, c->heading_width[g] = width;
        if (p->group_count) heading = fmax(heading, plot_heading_height(p, g, width));
        at += size;
    }
    if (at > columns) lines = (at + columns - 1) / columns;
    for (size_t k = from, place = 0; k < g; place += group_size(p, k), k++)
        lay_group(p, c, k, place, c->height + heading);
    c->height += heading + (double)lines * p->height;
    return g;
}

static void canvas_free(canvas *c) {
    free(c->frames);
    free(c->heading_left);
}

static bool canvas_lay(canvas *c, const plot *p, double inches, error *err) {
    size_t groups = p->group_count ? p->group_count : 1;
    *c =
        (canvas){.frames = calloc(p->count + 1, sizeof *c->frames), .heading_left = calloc(3 * groups, sizeof(double))};
    if (!c->frames || !c->heading_left) {
        canvas_free(c);
        return error_memory(err, p->count * sizeof *c->frames, "a figure");
    }
    c->heading_top = c->heading_left + groups, c->heading_width = c->heading_top + groups;
    size_t columns = columns_of(p, inches), used = 0;
    for (int pass = 0; pass < 2; pass++, columns = used) { /* again where no line fills its columns */
        c->columns = (double)columns;
        c->width = inches > 0 ? inches * 96 : c->columns * p->width;
        c->panel = c->width / c->columns, c->height = 0;
        for (size_t g = 0; g < groups;) g = lay_line(p, c, g, groups);
        for (size_t i = 0; i < p->count; i++) {
            size_t place = (size_t)(c->frames[i].left / c->panel + 0.5) + 1;
            used = place > used ? place : used;
        }
    }
    for (size_t i = 0; i < p->count; i++) c->frames[i].canvas_width = c->width, c->frames[i].canvas_height = c->height;
    return true;
}

/* ---- pictures --------------------------------------------------------------------------------------------------- */

/* All panels on one canvas of the terminal that the script begins with, as bytes in fresh memory. */
static bool run_canvas(const plot *p, const canvas *c, FILE *script, char **picture, size_t *size, error *err) {
    fprintf(script, "set output\nset multiplot\n");
    for (size_t i = 0; i < p->count; i++) {
        size_t g = group_of(p, i);
        plot_script_clear(script);
        if (p->group_count && p->groups[g].first == i)
            plot_heading_script(script, p, g, c->frames[i], c->heading_left[g], c->heading_top[g], c->heading_width[g]);
        plot_script_panel(script, &p->panels[i], c->frames[i]);
    }
    fprintf(script, "unset multiplot\nset output\n");
    return gnuplot_run(script, picture, size, err);
}

typedef enum picture_kind { PICTURE_SVG, PICTURE_PNG, PICTURE_PDF } picture_kind;

/* A px is 1/96 inch, and the font as many px everywhere; in PDF fonts are embedded, as journals want it. */
static void begin_terminal(FILE *script, const canvas *c, picture_kind kind) {
    enum { SCALE = 2 };
    static const char look[] = "noenhanced background '#ffffff'";
    if (kind == PICTURE_SVG)
        fprintf(script, "set terminal svg size %.0f,%.0f %s font 'DejaVu Sans,%d'\n", c->width, c->height, look,
                PLOT_FONT_SIZE);
    else if (kind == PICTURE_PNG)
        fprintf(script,
                "set terminal pngcairo size %.0f,%.0f %s font 'DejaVu Sans,%g' fontscale %d linewidth %d pointscale "
                "%d\n",
                SCALE * c->width, SCALE * c->height, look, PLOT_FONT_SIZE * 0.75, SCALE, SCALE, SCALE);
    else
        fprintf(script,
                "set terminal pdfcairo size %.4fin,%.4fin %s font 'DejaVu Sans,%g' fontscale 1 linewidth 1 pointscale "
                "1\n",
                c->width / 96, c->height / 96, look, PLOT_FONT_SIZE * 0.75);
}

static bool write_svg(const plot *p, const canvas *c, const char *document, const char *path, error *err) {
    char prefix[192];
    file_writer w;
    if (!file_begin(&w, path, err)) return false;
    fprintf(w.stream,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            c->width, c->height, c->width, c->height);
    snprintf(prefix, sizeof prefix, "%s-", p->name);
    bool ok = gnuplot_svg_body(document, 0, prefix, w.stream);
    fprintf(w.stream, "</svg>\n");
    if (ok) return file_commit(&w, err);
    file_abandon(&w);
    return error_set(err, ERROR_RUN, "gnuplot drew nothing of %s", p->name);
}

static bool write_picture(const plot *p, const canvas *c, picture_kind kind, const char *folder, error *err) {
    static const char *const extensions[] = {"svg", "png", "pdf"};
    char path[4096], *picture = NULL;
    size_t size;
    FILE *script = tmpfile();
    if (!script) return error_set(err, ERROR_RUN, "no room for a temporary file");
    snprintf(path, sizeof path, "%s/%s.%s", folder, p->name, extensions[kind]);
    begin_terminal(script, c, kind);
    bool ok = run_canvas(p, c, script, &picture, &size, err) &&
              (kind == PICTURE_SVG ? write_svg(p, c, picture, path, err) : file_write(path, picture, size, err));
    free(picture);
    fclose(script);
    return ok;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static bool write_heat(const plot_panel *panel, const char *path, error *err) {
    file_writer w;
    if (!file_begin(&w, path, err)) return false;
    for (size_t i = 0; i < panel->side * panel->side; i++)
        fprintf(w.stream, "%.4g%c", panel->cells[i], (i + 1) % panel->side ? ',' : '\n');
    return file_commit(&w, err);
}

static bool write_csv(const plot *p, const char *path, error *err) {
    file_writer w;
    if (!file_begin(&w, path, err)) return false;
    fprintf(w.stream, "quantity,panel,line,x,y,low,high\n");
    for (size_t i = 0; i < p->count; i++)
        for (size_t l = 0; l < p->panels[i].count; l++) {
            const plot_line *line = &p->panels[i].lines[l];
            for (size_t k = 0; k < line->n; k++) {
                if (!isfinite(line->y[k])) continue;
                csv_text(w.stream, p->group_count ? p->groups[group_of(p, i)].title : "");
                fputc(',', w.stream);
                csv_text(w.stream, p->panels[i].title);
                fputc(',', w.stream);
                csv_text(w.stream, line->label);
                fprintf(w.stream, ",%.9g,%.9g,%.9g,%.9g\n", line->x[k], line->y[k], line->low[k], line->high[k]);
            }
        }
    return file_commit(&w, err);
}

static bool write_numbers(const plot *p, const char *folder, error *err) {
    char path[4096];
    bool lines = false, ok = true;
    for (size_t i = 0; i < p->count && ok; i++) {
        lines = lines || p->panels[i].count;
        snprintf(path, sizeof path, "%s/%s-%zu.csv", folder, p->name, i + 1);
        if (p->panels[i].cells) ok = write_heat(&p->panels[i], path, err);
    }
    snprintf(path, sizeof path, "%s/%s.csv", folder, p->name);
    return ok && (!lines || write_csv(p, path, err));
}

/* ---- for a page ------------------------------------------------------------------------------------------------- */

static void write_xml(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fputc(*text, out);
    }
}

/* Every panel as an SVG document of its own, one after the other. */
static bool run_panels(const plot *p, char **documents, error *err) {
    size_t size;
    FILE *script = tmpfile();
    if (!script) return error_set(err, ERROR_RUN, "no room for a temporary file");
    for (size_t i = 0; i < p->count; i++) {
        fprintf(script, "set output\nset terminal svg size %d,%d noenhanced font 'DejaVu Sans,%d'\n", p->width,
                p->height, PLOT_FONT_SIZE);
        plot_script_clear(script);
        plot_script_panel(script, &p->panels[i], (plot_frame){p->width, p->height, 0, 0, p->width, p->height});
    }
    fprintf(script, "set output\n");
    bool ok = gnuplot_run(script, documents, &size, err);
    fclose(script);
    return ok;
}

/* One panel's SVG element in fresh memory. */
static char *take_panel(const plot *p, size_t i, const char *documents) {
    char prefix[192], *svg = NULL;
    size_t size;
    FILE *out = open_memstream(&svg, &size);
    if (!out) return NULL;
    snprintf(prefix, sizeof prefix, "%s-%zu-", p->name, i + 1);
    fprintf(out, "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", p->width,
            p->height, p->width, p->height);
    if (p->group_count && *p->groups[group_of(p, i)].title) {
        write_xml(out, p->groups[group_of(p, i)].title);
        fputs(": ", out);
    }
    write_xml(out, p->panels[i].title);
    fprintf(out, "\">\n");
    bool ok = gnuplot_svg_body(documents, i, prefix, out);
    fprintf(out, "</svg>\n");
    if (!fclose(out) && ok) return svg;
    free(svg);
    return NULL;
}

bool plot_draw_inline(const plot *p, plot_pictures *pictures, error *err) {
    char *documents = NULL;
    *pictures = (plot_pictures){.svgs = calloc(p->count + 1, sizeof *pictures->svgs),
                                .headings = calloc(p->count + 1, sizeof *pictures->headings),
                                .starts = calloc(p->count + 1, sizeof *pictures->starts)};
    bool ok = (pictures->svgs && pictures->headings && pictures->starts) ||
              error_memory(err, 3 * p->count * sizeof(char *), "a figure");
    ok = ok && run_panels(p, &documents, err);
    if (ok) pictures->count = p->count;
    for (size_t g = 0; ok && g < p->group_count; g++) {
        if (p->groups[g].first == p->count) continue;
        pictures->starts[p->groups[g].first] = true;
        ok = plot_heading_html(p, g, &pictures->headings[p->groups[g].first], err);
    }
    for (size_t i = 0; ok && i < p->count; i++) {
        pictures->svgs[i] = take_panel(p, i, documents);
        ok = pictures->svgs[i] || error_set(err, ERROR_RUN, "gnuplot drew fewer panels than it was asked for");
    }
    if (ok) pictures->starts[0] = true;
    free(documents);
    if (!ok) plot_pictures_free(pictures);
    return ok || error_prefix(err, "figure %s", p->name);
}

bool plot_draw(const plot *p, const char *folder, double inches, plot_pictures *pictures, error *err) {
    canvas c;
    if (!canvas_lay(&c, p, inches, err)) return false;
    bool ok = write_numbers(p, folder, err);
    for (int kind = PICTURE_SVG; ok && kind <= PICTURE_PDF; kind++)
        ok = write_picture(p, &c, (picture_kind)kind, folder, err);
    canvas_free(&c);
    return ok ? plot_draw_inline(p, pictures, err) : error_prefix(err, "figure %s", p->name);
}
