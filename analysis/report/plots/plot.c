/*
 * Building figures: panels, their lines and ticks, and groups of panels. How they look is plot_looks.c's, where they
 * stand plot_draw.c's.
 */
#include "analysis/report/plots/plot.h"

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

bool plot_begin_group(plot *p, const char *title) {
    if (p->group_count && p->groups[p->group_count - 1].first == p->count) p->group_count--; /* it stayed empty */
    plot_group *grown = realloc(p->groups, (p->group_count + 1) * sizeof *grown);
    if (!grown) return false;
    p->groups = grown;
    grown[p->group_count].first = p->count;
    snprintf(grown[p->group_count++].title, sizeof grown->title, "%s", title);
    return true;
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
    free(p->groups);
    *p = (plot){0};
}
