/*
 * Colours of named lines are Okabe and Ito's (distinct to colour-blind readers), those of ordered lines run from dark
 * to light along viridis, which stays ordered in grey; those of verdicts are the page's.
 */
#include "analysis/report/plots/plot_looks.h"

#include "analysis/report/plots/plot_axes.h"

#include <math.h>

enum { STYLES = 7, CLOUDS = 10 };

static const char *const named_colours[STYLES] = {"#0072B2", "#D55E00", "#009E73", "#000000",
                                                  "#CC79A7", "#56B4E9", "#E69F00"};
static const char *const dashes[STYLES] = {"solid", "(9,4)", "(2,3)", "solid", "(5,3)", "(12,3,2,3,2,3)", "(3,6)"};
static const int marks[STYLES] = {7, 5, 9, 13, 6, 4, 8}; /* gnuplot's: disc, square, triangle, diamond; then hollow */
/* Tableau's ten, darkened where they were pale: clouds have no dashes, and their marks are small. */
static const char *const cloud_colours[CLOUDS] = {"#4E79A7", "#F28E2B", "#D64550", "#59A14F", "#8C6BB1",
                                                  "#9C755F", "#E377C2", "#17A2A2", "#B5A12C", "#2F4B7C"};
static const int cloud_marks[CLOUDS] = {7, 5, 9, 13, 11, 7, 5, 9, 13, 11};
static const char *const verdict_colours[] = {"#9AA0A6", "#2E8B57", "#D99A00", "#C8401C"}; /* as in page_style.c */
static const int verdict_marks[] = {6, 7, 9, 2};                                           /* ring, disc, ▲, × */
static const char *const faint = "#666666";

bool plot_joined(const plot_line *line) { return line->look <= PLOT_REFERENCE && !line->apart; }
bool plot_marked(const plot_line *line) { return line->look != PLOT_REFERENCE && !line->unmarked; }

const char *plot_dash(const plot_line *line) {
    return line->look == PLOT_REFERENCE ? "(2,3)" : dashes[line->style % STYLES];
}

/* Viridis from its dark end to 0.85, where yellow would fade on white paper. */
static void viridis_at(double shade, char out[8]) {
    static const int viridis[][3] = {{68, 1, 84},    {70, 50, 127},  {54, 92, 141}, {39, 127, 142},
                                     {31, 161, 135}, {74, 194, 109}, {159, 218, 58}};
    enum { LAST = sizeof viridis / sizeof *viridis - 1 };
    double at = fmin(fmax(shade, 0), 1) * 0.93 * LAST;
    int i = at >= LAST ? LAST - 1 : (int)at, rgb[3];
    for (int k = 0; k < 3; k++) rgb[k] = (int)lround(viridis[i][k] + (at - i) * (viridis[i + 1][k] - viridis[i][k]));
    snprintf(out, 8, "#%02X%02X%02X", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
}

void plot_colour(const plot_line *line, char out[8]) {
    const char *colour = faint;
    switch (line->look) {
    case PLOT_REFERENCE: break;
    case PLOT_POINTS: colour = line->style < 0 ? "#B4B4B4" : cloud_colours[line->style % CLOUDS]; break;
    case PLOT_BARS: colour = cloud_colours[line->style % CLOUDS]; break;
    case PLOT_TILES:
    case PLOT_VERDICTS: colour = verdict_colours[line->style & 3]; break;
    case PLOT_NAMED:
    case PLOT_INTERVALS: colour = named_colours[line->style % STYLES]; break;
    case PLOT_ORDERED: viridis_at(line->shade, out); return;
    }
    snprintf(out, 8, "%s", colour);
}

int plot_mark(const plot_line *line) {
    switch (line->look) {
    case PLOT_POINTS: return line->style < 0 ? 7 : cloud_marks[line->style % CLOUDS];
    case PLOT_BARS:
    case PLOT_TILES: return 5;
    case PLOT_VERDICTS: return verdict_marks[line->style & 3];
    default: return marks[line->style % STYLES];
    }
}

const plot_shade *plot_palette(bool both_signs, size_t *count) {
    static const plot_shade both[] = {
        {-1, "#0B4A8F"}, {-0.5, "#7FB2DC"}, {0, "#FFFFFF"}, {0.5, "#E8943A"}, {1, "#5C2300"}};
    static const plot_shade one[] = {{0, "#FFFFFF"},       {1 / 6.0, "#D4E4F0"}, {2 / 6.0, "#9DC3DE"}, {0.5, "#5A97C6"},
                                     {4 / 6.0, "#2A6AA8"}, {5 / 6.0, "#0B3A75"}, {1, "#041C40"}};
    *count = both_signs ? sizeof both / sizeof *both : sizeof one / sizeof *one;
    return both_signs ? both : one;
}

double plot_text_width(const char *text) { return 0.58 * PLOT_FONT_SIZE * (double)plot_text_length(text); }
