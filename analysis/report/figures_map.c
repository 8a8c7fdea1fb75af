/*
 * The map of collapse: of studies that take one key at a time away from each method's setting, a panel a key, a row a
 * method, a tile a value, by the worst of its verdicts. Where a row turns is the method's edge: the factor between its
 * own setting and the first that collapses. A method's own value of a key is that of its blocks that do not vary it.
 */
#include "analysis/report/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 48, MOST_VALUES = 64 };

/* A block that varies one key of one method. */
typedef struct strip {
    const study_block *block;
    char own[64]; /* the method's own value of the key, "" when no other block tells it */
} strip;

/* Strips of one key, and the places of their values along it. */
typedef struct field_of_map {
    const char *key; /* "optimizer.lr" */
    bool factors;    /* own values differ: places are factors of them */
    strip strips[MOST_ROWS];
    size_t count;
    double place[MOST_VALUES];
    char label[MOST_VALUES][32];
    size_t places;
    bool cut; /* more rows or values than are drawn */
} field_of_map;

static bool is_strip(const study_block *b) { return b->key_count == 1 && b->count == 1 && !strchr(b->methods, ','); }

static void find_own(strip *at, const study *s) {
    char text[64];
    *at->own = 0;
    for (size_t i = 0; i < s->count; i++) {
        const study_block *other = &s->blocks[i];
        if (!is_strip(other) || strcmp(other->methods, at->block->methods) != 0 ||
            strcmp(other->axis, at->block->axis) == 0)
            continue;
        snprintf(at->own, sizeof at->own, "%s",
                 record_text(other->series[0].points[0].records[0], at->block->axis, text, sizeof text));
        return;
    }
}

/* Where a value stands: the number or its factor of the method's own; words by their order of appearance. */
static bool place_of(const field_of_map *f, const strip *at, const study_point *p, double *place, char *label,
                     size_t size) {
    double own = atof(at->own);
    if (!at->block->numeric) {
        snprintf(label, size, "%.31s", p->label);
        for (size_t i = 0; i < f->places; i++)
            if (strcmp(f->label[i], p->label) == 0) return *place = f->place[i], true;
        return *place = (double)f->places, true;
    }
    if (f->factors && !(own > 0)) return false;
    *place = f->factors ? p->x / own : p->x;
    snprintf(label, size, f->factors ? "×%.2g" : "%.6g", *place);
    return true;
}

/* Values that differ by less than a hundredth are one. */
static size_t find_place(const field_of_map *f, double place) {
    for (size_t i = 0; i < f->places; i++)
        if (fabs(f->place[i] - place) <= 0.01 * fabs(place)) return i;
    return f->places;
}

static void collect_places(field_of_map *f) {
    for (size_t i = 0; i < f->count; i++) {
        const study_series *series = &f->strips[i].block->series[0];
        for (size_t k = 0; k < series->count; k++) {
            double place;
            char label[32];
            if (!place_of(f, &f->strips[i], &series->points[k], &place, label, sizeof label) ||
                find_place(f, place) < f->places)
                continue;
            if (f->places == MOST_VALUES) {
                f->cut = true;
                return;
            }
            size_t at = f->places++;
            while (at > 0 && f->place[at - 1] > place) {
                f->place[at] = f->place[at - 1];
                memcpy(f->label[at], f->label[at - 1], sizeof f->label[at]);
                at--;
            }
            f->place[at] = place;
            snprintf(f->label[at], sizeof f->label[at], "%s", label);
        }
    }
}

/* Where places are factors, a method whose own value no block tells has none, and an empty row says nothing. */
static void drop_unplaced(field_of_map *f) {
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++)
        if (!f->factors || !f->strips[i].block->numeric || atof(f->strips[i].own) > 0) f->strips[kept++] = f->strips[i];
    f->count = kept;
}

/* A row is named after its method, or after its block where one method has several. */
static const char *name_of_row(const field_of_map *f, size_t row) {
    for (size_t i = 0; i < f->count; i++)
        if (i != row && strcmp(f->strips[i].block->methods, f->strips[row].block->methods) == 0)
            return f->strips[row].block->name;
    return f->strips[row].block->methods;
}

static bool find_field(field_of_map *f, const study *s, const char *key) {
    *f = (field_of_map){.key = key};
    for (size_t i = 0; i < s->count; i++) {
        if (!is_strip(&s->blocks[i]) || strcmp(s->blocks[i].axis, key) != 0) continue;
        if ((f->cut = f->count == MOST_ROWS)) break;
        strip *at = &f->strips[f->count++];
        at->block = &s->blocks[i];
        find_own(at, s);
        f->factors = f->factors || (at->block->numeric && strcmp(at->own, f->strips[0].own) != 0);
    }
    drop_unplaced(f);
    collect_places(f);
    return f->count >= 2 && f->places >= 2;
}

static double height_of(size_t row, size_t rows) { return 1 - ((double)row + 0.5) / (double)rows; }

static bool add_tiles(plot_panel *panel, const field_of_map *f, int verdict) {
    plot_line *tiles = NULL;
    size_t room = 0;
    for (size_t i = 0; i < f->count; i++) room += f->strips[i].block->series[0].count;
    const double half = 0.42 / (double)f->count;
    for (size_t i = 0; i < f->count; i++) {
        const study_series *series = &f->strips[i].block->series[0];
        for (size_t k = 0; k < series->count; k++) {
            double place, y = height_of(i, f->count);
            char label[32];
            if (study_worst_verdict(&series->points[k]) != verdict ||
                !place_of(f, &f->strips[i], &series->points[k], &place, label, sizeof label) ||
                find_place(f, place) == f->places)
                continue;
            if (!tiles) tiles = plot_add_line(panel, PLOT_TILES, study_verdict_names[verdict], room);
            if (!tiles) return false;
            plot_put(tiles, (double)find_place(f, place) + 1, y, y - half, y + half);
        }
    }
    if (tiles) tiles->style = verdict;
    return true;
}

static bool add_field(plot *p, const field_of_map *f) {
    char key[96];
    plot_panel *panel =
        plot_add_panel(p, study_short_key(f->key, key, sizeof key), f->factors ? "times the method's own" : "", "");
    bool ok = panel != NULL;
    for (size_t i = 0; ok && i < f->count; i++) ok = plot_add_y_tick(panel, height_of(i, f->count), name_of_row(f, i));
    for (size_t i = 0; ok && i < f->places; i++) ok = plot_add_tick(panel, (double)i + 1, f->label[i]);
    for (int v = STUDY_COLLAPSED; ok && v >= STUDY_UNKNOWN; v--) ok = add_tiles(panel, f, v);
    if (ok) panel->listed = true;
    return ok;
}

/* "; lejepa ×0.1, ×10": the nearest collapsed value on either side of the method's own. */
static void say_edges(const field_of_map *f, char *out, size_t size) {
    char key[96];
    bool any = false;
    for (size_t i = 0; i < f->count; i++) {
        const strip *at = &f->strips[i];
        const study_series *series = &at->block->series[0];
        double own = atof(at->own), below = 0, above = INFINITY;
        if (!at->block->numeric || !(own > 0)) continue;
        for (size_t k = 0; k < series->count; k++) {
            double factor = series->points[k].x / own;
            if (study_worst_verdict(&series->points[k]) != STUDY_COLLAPSED) continue;
            if (factor <= 1.001) below = fmax(below, factor);
            if (factor >= 0.999) above = fmin(above, factor);
        }
        if (below == 0 && isinf(above)) continue;
        size_t end = strlen(out);
        snprintf(out + end, size - end, "%s %s", any ? "," : " Edges in",
                 any ? "" : study_short_key(f->key, key, sizeof key));
        end = strlen(out);
        snprintf(out + end, size - end, "%s%s", any ? "" : ": ", name_of_row(f, i));
        end = strlen(out);
        if (below > 0) snprintf(out + end, size - end, " ×%.2g", below);
        end = strlen(out);
        if (isfinite(above) && fabs(above - below) > 1e-9)
            snprintf(out + end, size - end, "%s ×%.2g", below > 0 ? " and" : "", above);
        any = true;
    }
    size_t end = strlen(out);
    if (any) snprintf(out + end, size - end, ".");
}

/* Whether some method had more than one key varied, one at a time: else there is nothing to lay beside each other. */
static bool surrounds_a_method(const field_of_map *fields, size_t count) {
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < fields[k].count; i++)
            for (size_t l = k + 1; l < count; l++)
                for (size_t j = 0; j < fields[l].count; j++)
                    if (strcmp(fields[k].strips[i].block->methods, fields[l].strips[j].block->methods) == 0)
                        return true;
    return false;
}

bool figure_map(const figure_scope *at, plot *p, figure *f, error *err) {
    const study *s = at->study;
    char edges[900] = "";
    field_of_map *fields = calloc(s->count + 1, sizeof *fields);
    size_t count = 0;
    if (!fields) return error_memory(err, (s->count + 1) * sizeof *fields, "a figure");
    for (size_t i = 0; i < s->count; i++) {
        bool known = false;
        for (size_t k = 0; k < count; k++) known = known || strcmp(fields[k].key, s->blocks[i].axis) == 0;
        if (!known && *s->blocks[i].axis && find_field(&fields[count], s, s->blocks[i].axis)) count++;
    }
    bool ok = true, cut = false;
    if (!surrounds_a_method(fields, count)) goto done; /* no study of one key at a time */
    p->columns = 2, p->width = 300, p->height = 60 + 20 * (int)fields[0].count;
    for (size_t k = 0; ok && k < count; k++) {
        ok = add_field(p, &fields[k]);
        say_edges(&fields[k], edges, sizeof edges);
        cut = cut || fields[k].cut;
    }
    snprintf(f->name, sizeof f->name, "map");
    snprintf(f->title, sizeof f->title, "Which settings collapse");
    snprintf(
        f->caption, sizeof f->caption,
        "A panel a key, a row a method, a tile a value: the worst verdict that most of its seeds reach. Every other "
        "key is at the method's own setting. An edge is the nearest factor of the method's own value that "
        "collapses.%s%s",
        *edges ? edges : " None does.", cut ? " Rows beyond 48 and values beyond 64 are not drawn." : "");
done:
    free(fields);
    return ok || error_memory(err, sizeof *p, "a figure");
}
