/*
 * Building figures and writing them. The SVG of a figure is put together from its panels' (each also stands alone in
 * the page, where panels flow to the width there is); PNG and PDF are one canvas each, the PNG at twice the pixels.
 */
#include "analysis/report/plot.h"

#include "analysis/report/csv.h"
#include "analysis/report/gnuplot.h"
#include "analysis/report/plot_script.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

plot_panel *plot_add_panel(plot *p, const char *title, const char *x_label, const char *y_label) {
    plot_panel *grown = realloc(p->panels, (p->count + 1) * sizeof *grown);
    if (!grown) return NULL;
    p->panels = grown;
    plot_panel *panel = &grown[p->count++];
    *panel = (plot_panel){0};
    snprintf(panel->title, sizeof panel->title, "%s", title);
    snprintf(panel->x_label, sizeof panel->x_label, "%s", x_label);
    snprintf(panel->y_label, sizeof panel->y_label, "%s", y_label);
    return panel;
}

plot_line *plot_add_line(plot_panel *panel, plot_look look, const char *label, size_t room) {
    plot_line *grown = realloc(panel->lines, (panel->count + 1) * sizeof *grown);
    double *data = malloc(4 * (room + 1) * sizeof *data);
    if (grown) panel->lines = grown;
    if (!grown || !data) {
        free(data);
        return NULL;
    }
    plot_line *line = &grown[panel->count++];
    *line = (plot_line){.look = look, .x = data, .y = data + room, .low = data + 2 * room, .high = data + 3 * room};
    snprintf(line->label, sizeof line->label, "%s", label);
    return line;
}

/* Ticks stand in order, each place once. */
static bool add_tick(plot_tick **ticks, size_t *count, double at, const char *label) {
    for (size_t i = 0; i < *count; i++)
        if ((*ticks)[i].at == at) return true;
    plot_tick *grown = realloc(*ticks, (*count + 1) * sizeof *grown);
    if (!grown) return false;
    *ticks = grown;
    size_t place = (*count)++;
    for (; place > 0 && grown[place - 1].at > at; place--) grown[place] = grown[place - 1];
    grown[place].at = at;
    snprintf(grown[place].label, sizeof grown[place].label, "%s", label);
    return true;
}

bool plot_add_tick(plot_panel *panel, double at, const char *label) {
    return add_tick(&panel->ticks, &panel->tick_count, at, label);
}

bool plot_add_y_tick(plot_panel *panel, double at, const char *label) {
    return add_tick(&panel->y_ticks, &panel->y_tick_count, at, label);
}

void plot_put(plot_line *line, double x, double y, double low, double high) {
    size_t i = line->n++;
    line->x[i] = x, line->y[i] = y, line->low[i] = low, line->high[i] = high;
}

void plot_free(plot *p) {
    for (size_t i = 0; i < p->count; i++) {
        for (size_t l = 0; l < p->panels[i].count; l++) free(p->panels[i].lines[l].x);
        free(p->panels[i].lines);
        free(p->panels[i].ticks);
        free(p->panels[i].y_ticks);
        free(p->panels[i].cells);
    }
    free(p->panels);
    *p = (plot){0};
}

/* ---- pictures --------------------------------------------------------------------------------------------------- */

static size_t columns_of(const plot *p) {
    size_t columns = p->columns > 0 ? (size_t)p->columns : 1;
    return columns < p->count ? columns : p->count;
}

static plot_frame canvas_of(const plot *p) {
    size_t columns = columns_of(p), rows = (p->count + columns - 1) / columns;
    return (plot_frame){(double)columns * p->width, (double)rows * p->height, 0, 0, p->width, p->height};
}

/* Every panel as an SVG document of its own, one after the other. */
static bool run_svg(const plot *p, char **documents, error *err) {
    size_t size;
    FILE *script = tmpfile();
    if (!script) return error_set(err, ERROR_RUN, "no room for a temporary file");
    for (size_t i = 0; i < p->count; i++) {
        fprintf(script, "set output\nset terminal svg size %d,%d noenhanced font 'DejaVu Sans,%d'\n", p->width,
                p->height, PLOT_FONT_SIZE);
        plot_script_panel(script, &p->panels[i], (plot_frame){p->width, p->height, 0, 0, p->width, p->height});
    }
    fprintf(script, "set output\n");
    bool ok = gnuplot_run(script, documents, &size, err);
    fclose(script);
    return ok;
}

/* All panels on one canvas of the terminal that the script begins with; writes `path`. */
static bool run_canvas(const plot *p, FILE *script, const char *path, error *err) {
    plot_frame frame = canvas_of(p);
    char *picture = NULL;
    size_t size;
    fprintf(script, "set output\nset multiplot\n");
    for (size_t i = 0; i < p->count; i++) {
        frame.left = (double)(i % columns_of(p)) * p->width;
        frame.top = (double)(i / columns_of(p)) * p->height;
        plot_script_panel(script, &p->panels[i], frame);
    }
    fprintf(script, "unset multiplot\nset output\n");
    bool ok = gnuplot_run(script, &picture, &size, err) && file_write(path, picture, size, err);
    free(picture);
    return ok;
}

static bool run_png(const plot *p, const char *path, error *err) {
    enum { SCALE = 2 };
    plot_frame frame = canvas_of(p);
    FILE *script = tmpfile();
    if (!script) return error_set(err, ERROR_RUN, "no room for a temporary file");
    fprintf(script,
            "set terminal pngcairo size %.0f,%.0f noenhanced background '#ffffff' font 'DejaVu Sans,%g' fontscale %d "
            "linewidth %d pointscale %d\n",
            SCALE * frame.canvas_width, SCALE * frame.canvas_height, PLOT_FONT_SIZE * 0.75, SCALE, SCALE, SCALE);
    bool ok = run_canvas(p, script, path, err);
    fclose(script);
    return ok;
}

/* A px is 1/96 inch, and the font 13 px as elsewhere; fonts are embedded, as journals want it. */
static bool run_pdf(const plot *p, const char *path, error *err) {
    plot_frame frame = canvas_of(p);
    FILE *script = tmpfile();
    if (!script) return error_set(err, ERROR_RUN, "no room for a temporary file");
    fprintf(
        script,
        "set terminal pdfcairo size %.4fin,%.4fin noenhanced background '#ffffff' font 'DejaVu Sans,%g' fontscale 1 "
        "linewidth 1 pointscale 1\n",
        frame.canvas_width / 96, frame.canvas_height / 96, PLOT_FONT_SIZE * 0.75);
    bool ok = run_canvas(p, script, path, err);
    fclose(script);
    return ok;
}

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

/* One panel's SVG element; `place` is empty or its x and y in the figure. */
static bool write_panel(const plot *p, size_t i, const char *documents, const char *place, FILE *out) {
    char prefix[192];
    snprintf(prefix, sizeof prefix, "%s-%zu-", p->name, i + 1);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"%s width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
            place, p->width, p->height, p->width, p->height);
    write_xml(out, p->panels[i].title);
    fprintf(out, "\">\n");
    bool found = gnuplot_svg_body(documents, i, prefix, out);
    fprintf(out, "</svg>\n");
    return found;
}

static bool write_svg(const plot *p, const char *documents, const char *path, error *err) {
    plot_frame frame = canvas_of(p);
    file_writer w;
    char place[64];
    bool ok = true;
    if (!file_begin(&w, path, err)) return false;
    fprintf(w.stream,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            frame.canvas_width, frame.canvas_height, frame.canvas_width, frame.canvas_height);
    for (size_t i = 0; i < p->count; i++) {
        snprintf(place, sizeof place, " x=\"%zu\" y=\"%zu\"", i % columns_of(p) * (size_t)p->width,
                 i / columns_of(p) * (size_t)p->height);
        ok = ok && write_panel(p, i, documents, place, w.stream);
    }
    fprintf(w.stream, "</svg>\n");
    if (ok) return file_commit(&w, err);
    file_abandon(&w);
    return error_set(err, ERROR_RUN, "gnuplot drew fewer panels of %s than it was asked for", p->name);
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
    fprintf(w.stream, "panel,line,x,y,low,high\n");
    for (size_t i = 0; i < p->count; i++)
        for (size_t l = 0; l < p->panels[i].count; l++) {
            const plot_line *line = &p->panels[i].lines[l];
            for (size_t k = 0; k < line->n; k++) {
                if (!isfinite(line->y[k])) continue;
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

/* One string a panel: fresh memory. */
static bool take_panels(const plot *p, const char *documents, char ***svgs, error *err) {
    *svgs = calloc(p->count + 1, sizeof **svgs);
    if (!*svgs) return error_memory(err, p->count * sizeof **svgs, "a figure");
    for (size_t i = 0; i < p->count; i++) {
        size_t size;
        FILE *out = open_memstream(&(*svgs)[i], &size);
        bool wrote = out && write_panel(p, i, documents, "", out);
        if ((out && fclose(out)) || !wrote) {
            for (size_t k = 0; k <= i; k++) free((*svgs)[k]);
            free(*svgs);
            *svgs = NULL;
            return error_memory(err, strlen(documents), "a figure");
        }
    }
    return true;
}

bool plot_draw_inline(const plot *p, char ***svgs, error *err) {
    char *documents = NULL;
    *svgs = NULL;
    bool ok = run_svg(p, &documents, err) && take_panels(p, documents, svgs, err);
    free(documents);
    return ok || error_prefix(err, "figure %s", p->name);
}

bool plot_draw(const plot *p, const char *folder, char ***svgs, error *err) {
    char path[4096], png[4096], pdf[4096], *documents = NULL;
    *svgs = NULL;
    snprintf(path, sizeof path, "%s/%s.svg", folder, p->name);
    snprintf(png, sizeof png, "%s/%s.png", folder, p->name);
    snprintf(pdf, sizeof pdf, "%s/%s.pdf", folder, p->name);
    bool ok = run_svg(p, &documents, err) && write_svg(p, documents, path, err) && run_png(p, png, err) &&
              run_pdf(p, pdf, err) && write_numbers(p, folder, err) && take_panels(p, documents, svgs, err);
    free(documents);
    return ok || error_prefix(err, "figure %s", p->name);
}
