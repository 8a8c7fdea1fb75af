/*
 * Making the wheels. What is drawn is written with three digits, as people write a learning rate: run ids and tables
 * stay readable, and the value in the run's spec is the one that stands there.
 */
#include "experiments/spec/wheels.h"
#include "engine/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Drawing ---- */

/* FNV-1a: a key's own stream of random numbers, wherever it stands. */
static uint32_t hash_of(const char *key) {
    uint32_t hash = 2166136261u;
    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash;
}

/* The fewest digits from three on that stay between the ends. */
static void format_number(double value, double low, double high, char *out, size_t size) {
    for (int digits = 3; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        double read = strtod(out, NULL);
        if (read >= low && read <= high) break;
    }
}

static const char *draw(const spec_axis *axis, int64_t seed, size_t row, uint32_t attempt, char *out, size_t size) {
    const settings *v = &axis->values;
    rng r = rng_stream((uint64_t)seed, RNG_SWEEP, attempt, row, hash_of(axis->key));
    if (axis->kind == AXIS_LIST) return v->items[0].value; /* fixed by --set */
    if (axis->kind == AXIS_CHOICE) return v->items[rng_below(&r, (uint32_t)v->count)].value;
    double low = strtod(v->items[0].value, NULL), high = strtod(v->items[1].value, NULL), u = rng_uniform(&r);
    bool whole = axis->kind == AXIS_INTEGER || axis->kind == AXIS_LOG_INTEGER;
    bool logarithmic = axis->kind == AXIS_LOG_UNIFORM || axis->kind == AXIS_LOG_INTEGER;
    double end = whole ? high + 1 : high; /* each whole number is as long as the stretch up to the next */
    double value = logarithmic ? exp(log(low) + u * (log(end) - log(low))) : low + u * (end - low);
    if (whole)
        snprintf(out, size, "%.0f", fmin(fmax(floor(value), low), high));
    else
        format_number(fmin(fmax(value, low), high), low, high, out, size);
    return out;
}

/* Whether the last of `rows` rows of a wheel stood there before. */
static bool repeats(const wheels *w, size_t wheel, size_t rows) {
    for (size_t row = 0; row + 1 < rows; row++) {
        bool same = true;
        for (size_t c = 0; c < w->column_count && same; c++) {
            const setting *values = w->columns[c].values.items;
            same = w->columns[c].wheel != wheel || strcmp(values[row].value, values[rows - 1].value) == 0;
        }
        if (same) return true;
    }
    return false;
}

static bool draw_row(wheels *w, size_t wheel, int64_t seed, size_t row, uint32_t attempt, error *err) {
    char text[64];
    for (size_t c = 0; c < w->column_count; c++) {
        wheel_column *column = &w->columns[c];
        const spec_axis *axis = column->axis;
        if (column->wheel != wheel) continue;
        column->values.count = row;
        if (!settings_add(&column->values, axis->key, draw(axis, seed, row, attempt, text, sizeof text), false,
                          axis->where, err))
            return false;
    }
    return true;
}

/* The rows of a wheel that is drawn. With a key that --set has fixed, there may be fewer different ones. */
static bool draw_rows(wheels *w, size_t wheel, const spec_axes *axes, error *err) {
    enum { ATTEMPTS = 1000 };
    bool fixed = false;
    for (size_t c = 0; c < w->column_count; c++)
        fixed |= w->columns[c].wheel == wheel && w->columns[c].axis->kind == AXIS_LIST;
    for (size_t row = 0; row < (size_t)axes->runs; row++) {
        uint32_t attempt = 0;
        do {
            if (attempt == ATTEMPTS && fixed) return true;
            if (attempt == ATTEMPTS)
                return error_set(err, ERROR_USAGE, "%s: `random` asks for %lld runs, but its choices make only %zu",
                                 axes->random_where, (long long)axes->runs, row);
            if (!draw_row(w, wheel, axes->seed, row, attempt++, err)) return false;
        } while (repeats(w, wheel, row + 1));
        w->rows[wheel] = row + 1;
    }
    return true;
}

/* ---- Wheels ---- */

static bool copy_values(wheel_column *column, error *err) {
    const settings *from = &column->axis->values;
    for (size_t i = 0; i < from->count; i++) {
        const setting *v = &from->items[i];
        if (!settings_add(&column->values, v->key, v->value, v->list, v->where, err)) return false;
    }
    return true;
}

/* The wheels of one level; `hidden` varies some of its keys itself. */
static bool add_axes(wheels *w, const spec_axes *axes, const spec_axes *hidden, error *err) {
    size_t first = w->column_count, drawn = WHEELS_MOST_KEYS;
    for (size_t i = 0; i < axes->count; i++) {
        const spec_axis *axis = &axes->items[i];
        if (hidden && spec_axes_find(hidden, axis->key)) continue;
        if (w->column_count == WHEELS_MOST_KEYS)
            return error_set(err, ERROR_USAGE, "%s: more than %d swept keys", axis->where, WHEELS_MOST_KEYS);
        wheel_column *column = &w->columns[w->column_count++];
        *column = (wheel_column){.axis = axis, .wheel = w->wheel_count};
        for (size_t c = first; c + 1 < w->column_count && axis->group != AXIS_ALONE; c++)
            if (w->columns[c].axis->group == axis->group) column->wheel = w->columns[c].wheel;
        if (column->wheel == w->wheel_count) w->rows[w->wheel_count++] = axis->values.count;
        if (axis->group == AXIS_DRAWN) drawn = column->wheel;
        if (axis->group != AXIS_DRAWN && !copy_values(column, err)) return false;
    }
    return drawn == WHEELS_MOST_KEYS || draw_rows(w, drawn, axes, err);
}

bool wheels_make(wheels *w, const spec_axes *own, const spec_axes *top, error *err) {
    *w = (wheels){0};
    return (!own || add_axes(w, own, NULL, err)) && add_axes(w, top, own, err);
}

bool wheels_turn(wheels *w) {
    for (size_t i = w->wheel_count; i-- > 0;) {
        if (++w->at[i] < w->rows[i]) return true;
        w->at[i] = 0;
    }
    return false;
}

const setting *wheels_value(const wheels *w, size_t column) {
    const wheel_column *c = &w->columns[column];
    return &c->values.items[w->at[c->wheel]];
}

void wheels_free(wheels *w) {
    for (size_t c = 0; c < w->column_count; c++) settings_free(&w->columns[c].values);
    *w = (wheels){0};
}
