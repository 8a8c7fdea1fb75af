/*
 * Figures made of panels, drawn by gnuplot. A panel is either lines over a common x, each with an optional band, or a
 * square heat map. The caller says what the data are; how they look (colours that colour-blind readers tell apart,
 * dashes and marks that survive black-and-white print, labels beside the lines that do not overlap) is decided here,
 * once, for every figure.
 */
#ifndef MEWS_PLOT_H
#define MEWS_PLOT_H

#include "engine/error.h"

#include <stdio.h>

typedef enum plot_look {
    PLOT_NAMED,     /* one of a few things: colour, dash and mark by `style` */
    PLOT_ORDERED,   /* one of a sequence: colour by `shade`, dash and mark by `style` */
    PLOT_REFERENCE, /* thin and grey: a bound, a chance level */
    PLOT_POINTS,    /* a cloud: marks and no line, one of ten colours by `style`; below 0 grey, for the rest */
    PLOT_BARS,      /* from the axis up */
    PLOT_INTERVALS, /* marks with an interval as a bar, joined by a thin line unless `apart` */
    PLOT_TILES,     /* squares side by side, healthy, warning or collapsed by `style` 1 … 3, unknown by 0 */
    PLOT_VERDICTS,  /* marks and no line, by the same `style` */
} plot_look;

typedef struct plot_line {
    char label[160];
    plot_look look;
    int style;
    double shade;       /* 0 … 1 */
    bool apart;         /* x are names: nothing runs from one to the next */
    bool unmarked;      /* a line alone: the marks of others stand on it */
    bool sparse;        /* a few marks along the line rather than one at each datum */
    size_t n;           /* data used of the room there is */
    double *x, *y;      /* (n); a NaN y leaves a gap */
    double *low, *high; /* (n) the band; equal to y without one */
} plot_line;

typedef struct plot_tick {
    double at;
    char label[64];
} plot_tick;

typedef struct plot_panel {
    char title[200], x_label[120], y_label[120];
    bool bare;               /* no ticks and no grid: places have no meaning of their own, as on a map */
    bool x_log, y_log, zero; /* zero: the y axis starts at 0 when it is linear */
    double y_low, y_high;    /* of a linear y axis: shown in any case, so that panels compare; both 0 for neither */
    double least_span;       /* of a linear y axis, in its unit; 0 for none */
    double y_floor;          /* of a logarithmic y axis: nothing below is shown; 0 for none */
    plot_tick *ticks;        /* of x; none: chosen */
    size_t tick_count;
    plot_tick *y_ticks; /* the y axis is 0 … 1 and its ticks are words; none: chosen */
    size_t y_tick_count;
    bool shared; /* labels stand once, in the group's heading; else beside the panel */
    bool listed; /* beside it: in order of the lines under `list_title`, not at the lines' ends */
    char list_title[96];
    plot_line *lines;
    size_t count;
    double *cells; /* a heat map instead: (side, side), first row on top */
    size_t side;
    double cell_low, cell_high; /* below 0 and above: the palette with white at 0 */
} plot_panel;

/* Panels that show one quantity stand side by side under a heading, which says the quantity and what its lines are. */
typedef struct plot_group {
    char title[160];
    size_t first; /* panel */
} plot_group;

typedef struct plot {
    char name[160];    /* of the files, without extension */
    int columns;       /* at most so many panels side by side in the files; a page has as many as fit */
    int width, height; /* of a panel, in px at 96 dpi */
    plot_panel *panels;
    size_t count;
    plot_group *groups; /* none: one without a heading */
    size_t group_count;
} plot;

/* NULL when out of memory; what is there is still freed by plot_free. Pointers hold until the next one is added. */
plot_panel *plot_add_panel(plot *p, const char *title, const char *x_label, const char *y_label);
plot_line *plot_add_line(plot_panel *panel, plot_look look, const char *label, size_t room);
bool plot_add_tick(plot_panel *panel, double at, const char *label);
bool plot_add_y_tick(plot_panel *panel, double at, const char *label);
bool plot_begin_group(plot *p, const char *title);                           /* for the panels that are added next */
void plot_put(plot_line *line, double x, double y, double low, double high); /* appends a datum */
void plot_free(plot *p);

/* What a page takes of a figure: one SVG element a panel, and in front of a group's first panel its heading in HTML. */
typedef struct plot_pictures {
    char **svgs, **headings; /* (count); a heading is NULL within a group, and where there is nothing to say */
    bool *starts;            /* (count) a group starts with this panel */
    size_t count;
} plot_pictures;

void plot_pictures_free(plot_pictures *pictures);

/*
 * Draws `folder`/name.svg, .pdf, .png and .csv (a heat map's numbers: name-1.csv, …), `inches` wide or, with 0, as wide
 * as the panels are; and the pictures for the page.
 */
bool plot_draw(const plot *p, const char *folder, double inches, plot_pictures *pictures, error *err);

/* The pictures alone: no file is written. Their background is the page's. */
bool plot_draw_inline(const plot *p, plot_pictures *pictures, error *err);

#endif
