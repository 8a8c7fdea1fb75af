/*
 * Ranges and ticks are chosen here rather than by gnuplot, because labels beside the lines need to know where a value
 * ends up on the page.
 */
#include "analysis/report/plots/plot_axes.h"

#include <math.h>
#include <string.h>

size_t plot_text_length(const char *text) {
    size_t length = 0;
    for (; *text; text++) length += ((unsigned char)*text & 0xC0) != 0x80;
    return length;
}

static void stretch(plot_axis *axis, double value) {
    if (!isfinite(value) || (axis->log && value <= 0)) return;
    axis->low = fmin(axis->low, value);
    axis->high = fmax(axis->high, value);
}

static void add_tick(plot_axis *axis, double at, const char *label) {
    if (axis->count == PLOT_MOST_TICKS || !(plot_axis_share(axis, at) > -1e-9 && plot_axis_share(axis, at) < 1 + 1e-9))
        return;
    axis->ticks[axis->count].at = at;
    snprintf(axis->ticks[axis->count++].label, sizeof axis->ticks->label, "%s", label);
}

/* 0.001, 10000, and beyond those 10⁻⁵, 10⁶. */
static void decade_label(int exponent, int mantissa, char *out, size_t size) {
    static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    if (exponent >= -3 && exponent <= 4) {
        snprintf(out, size, "%g", mantissa * pow(10, exponent));
        return;
    }
    int magnitude = exponent < 0 ? -exponent : exponent;
    char power[16] = "";
    if (magnitude >= 10) strcat(power, digits[magnitude / 10 % 10]);
    strcat(power, digits[magnitude % 10]);
    if (mantissa == 1)
        snprintf(out, size, "10%s%s", exponent < 0 ? "⁻" : "", power);
    else
        snprintf(out, size, "%d·10%s%s", mantissa, exponent < 0 ? "⁻" : "", power);
}

static void ticks_log(plot_axis *axis) {
    static const int every[] = {1}, some[] = {1, 3}, many[] = {1, 2, 5}, dense[] = {1, 2, 3, 4, 5, 7};
    double decades = log10(axis->high / axis->low);
    const int *mantissas = decades > 3 ? every : decades > 1.6 ? some : decades > 0.8 ? many : dense;
    int per_decade = decades > 3     ? 1
                     : decades > 1.6 ? 2
                     : decades > 0.8 ? 3
                                     : 6,
        stride = decades > 7 ? (int)ceil(decades / 6) : 1;
    char label[32];
    for (int e = (int)floor(log10(axis->low)); e <= (int)ceil(log10(axis->high)); e++) {
        if (stride > 1 && ((e % stride) + stride) % stride) continue;
        for (int m = 0; m < per_decade; m++) {
            decade_label(e, mantissas[m], label, sizeof label);
            add_tick(axis, mantissas[m] * pow(10, e), label);
        }
    }
}

static void ticks_linear(plot_axis *axis) {
    double rough = (axis->high - axis->low) / 5, power = pow(10, floor(log10(rough))), share = rough / power;
    double step = power * (share < 1.5 ? 1 : share < 2.25 ? 2 : share < 3.5 ? 2.5 : share < 7.5 ? 5 : 10);
    char label[32];
    for (double k = ceil(axis->low / step - 1e-9); k * step <= axis->high * (1 + 1e-12) + 1e-12; k++) {
        snprintf(label, sizeof label, "%.6g", fabs(k) < 0.5 ? 0.0 : k * step);
        add_tick(axis, k * step, label);
        if (axis->count == PLOT_MOST_TICKS) break;
    }
}

/* A range of nothing, or of one value, becomes one around it; then a margin, so that no mark sits on the frame. */
static void settle(plot_axis *axis, double margin, bool zero) {
    if (axis->low > axis->high) axis->low = axis->log ? 0.1 : 0, axis->high = 1;
    if (axis->log) {
        if (axis->high < axis->low * 1.5) axis->low /= 1.5, axis->high *= 1.5;
        double factor = pow(axis->high / axis->low, margin);
        axis->low /= factor, axis->high *= factor;
        return;
    }
    double span = axis->high - axis->low, size = fmax(fabs(axis->high), fabs(axis->low));
    if (span <= 1e-9 * size || span == 0) span = size > 0 ? size * 0.2 : 1;
    if (zero && axis->low >= 0) {
        axis->high += margin * fmax(span, axis->high * 0.2);
        axis->low = 0;
        return;
    }
    bool touches_zero = axis->low >= 0 && axis->low < margin * span;
    axis->low = touches_zero ? 0 : axis->low - margin * span;
    axis->high += margin * span;
}

/* Half of what a datum takes along x: bars and tiles fill their places, names stand amid theirs. */
static double half_place(const plot_line *line) {
    if (line->apart) return 0.4;
    return line->look == PLOT_BARS ? 0.6 : line->look == PLOT_TILES ? 0.5 : 0;
}

plot_axis plot_axis_x(const plot_panel *panel) {
    plot_axis axis = {.log = panel->x_log, .low = INFINITY, .high = -INFINITY};
    for (size_t l = 0; l < panel->count; l++)
        for (size_t i = 0; i < panel->lines[l].n; i++) {
            double half = half_place(&panel->lines[l]);
            stretch(&axis, panel->lines[l].x[i] - half);
            stretch(&axis, panel->lines[l].x[i] + half);
        }
    for (size_t t = 0; t < panel->tick_count; t++) stretch(&axis, panel->ticks[t].at);
    settle(&axis, panel->tick_count ? 0.05 : 0.015, false);
    if (panel->tick_count > PLOT_MOST_TICKS) {
        /* more settings than an axis can name: every k-th, and the last */
        size_t stride = (panel->tick_count + PLOT_MOST_TICKS - 3) / (PLOT_MOST_TICKS - 2);
        for (size_t t = 0; t + 1 < panel->tick_count; t += stride)
            add_tick(&axis, panel->ticks[t].at, panel->ticks[t].label);
        add_tick(&axis, panel->ticks[panel->tick_count - 1].at, panel->ticks[panel->tick_count - 1].label);
    } else if (panel->tick_count) {
        for (size_t t = 0; t < panel->tick_count; t++) add_tick(&axis, panel->ticks[t].at, panel->ticks[t].label);
    } else if (axis.log) {
        ticks_log(&axis);
    } else {
        ticks_linear(&axis);
    }
    return axis;
}

plot_axis plot_axis_y(const plot_panel *panel) {
    plot_axis axis = {.log = panel->y_log, .low = INFINITY, .high = -INFINITY};
    if (panel->y_tick_count) {
        axis = (plot_axis){.low = 0, .high = 1};
        for (size_t t = 0; t < panel->y_tick_count; t++) add_tick(&axis, panel->y_ticks[t].at, panel->y_ticks[t].label);
        return axis;
    }
    for (size_t l = 0; l < panel->count; l++)
        for (size_t i = 0; i < panel->lines[l].n; i++) {
            stretch(&axis, panel->lines[l].y[i]);
            if (isnan(panel->lines[l].y[i])) continue;
            stretch(&axis, panel->lines[l].low[i]);
            stretch(&axis, panel->lines[l].high[i]);
        }
    if (panel->y_low < panel->y_high) stretch(&axis, panel->y_low), stretch(&axis, panel->y_high);
    if (axis.log && panel->y_floor > 0 && axis.high > panel->y_floor) axis.low = fmax(axis.low, panel->y_floor);
    double lacking = panel->least_span - (axis.high - axis.low);
    if (!axis.log && axis.low <= axis.high && lacking > 0) {
        axis.high += panel->zero ? lacking : lacking / 2;
        if (!panel->zero) axis.low -= lacking / 2;
    }
    settle(&axis, 0.06, panel->zero);
    if (axis.log)
        ticks_log(&axis);
    else
        ticks_linear(&axis);
    return axis;
}

void plot_axis_thin(plot_axis *axis, double pixels, double per_character) {
    double taken = INFINITY; /* left edge of the label last kept; from the right, so that the last one stays */
    for (size_t t = axis->count; t-- > 0;) {
        double centre = plot_axis_share(axis, axis->ticks[t].at) * pixels;
        double half = ((double)plot_text_length(axis->ticks[t].label) + 0.7) * per_character / 2;
        if (centre + half > taken)
            axis->ticks[t].label[0] = 0;
        else
            taken = centre - half;
    }
}

double plot_axis_share(const plot_axis *axis, double value) {
    if (!axis->log) return (value - axis->low) / (axis->high - axis->low);
    return value > 0 ? log(value / axis->low) / log(axis->high / axis->low) : (double)NAN;
}
