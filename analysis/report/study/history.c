/*
 * A run's history as columns. Times stay out, and so does what lines hold inside, but for the figures that were
 * measured midway and a few of what looks saw.
 */
#include "analysis/report/study/records.h"
#include "analysis/verdicts/collapse.h"
#include "engine/files/file.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static double *column_for(history *h, const char *name, size_t capacity) {
    for (size_t i = 0; i < h->columns; i++)
        if (strcmp(h->names[i], name) == 0) return h->values[i];
    char **names = realloc(h->names, (h->columns + 1) * sizeof *names);
    if (names) h->names = names;
    double **values = realloc(h->values, (h->columns + 1) * sizeof *values);
    if (values) h->values = values;
    char *copy = strdup(name);
    double *column = malloc(capacity * sizeof *column);
    if (!names || !values || !copy || !column) {
        free(copy);
        free(column);
        return NULL;
    }
    for (size_t i = 0; i < capacity; i++) column[i] = (double)NAN;
    h->names[h->columns] = copy;
    return h->values[h->columns++] = column;
}

/* A number of the line that is read now. */
static bool put(history *h, size_t lines, const char *before, const char *name, const json_t *value, error *err) {
    char full[128];
    snprintf(full, sizeof full, "%s%.100s", before, name);
    double *column = column_for(h, full, lines + 1);
    if (!column) return error_memory(err, (lines + 1) * sizeof *column, "a run's history");
    column[h->rows] = json_number_value(value);
    return true;
}

/* The worst of a look's verdicts. */
static json_t *worst_of(const json_t *look) {
    verdict worst = VERDICT_UNKNOWN;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const json_t *of = json_object_get(look, collapse_mode_name((collapse_mode)mode));
        const char *word = json_string_value(json_object_get(of, "verdict"));
        for (verdict v = VERDICT_HEALTHY; word && v <= VERDICT_COLLAPSED; v++)
            if (v > worst && strcmp(word, verdict_name(v)) == 0) worst = v;
    }
    return json_integer(worst);
}

static bool put_look(history *h, size_t lines, const json_t *look, error *err) {
    json_t *worst = worst_of(look);
    const json_t *rank = json_object_get(json_object_get(look, "embed"), "rankme");
    const json_t *backbone = json_object_get(json_object_get(look, "backbone"), "rankme");
    bool ok = put(h, lines, "look.", "worst", worst, err) &&
              (!json_is_number(rank) || put(h, lines, "look.", "rankme", rank, err)) &&
              (!json_is_number(backbone) || put(h, lines, "look.", "rankme_backbone", backbone, err));
    json_decref(worst);
    return ok;
}

static bool put_line(history *h, size_t lines, const json_t *line, error *err) {
    const char *name;
    json_t *value, *look = json_object_get(line, "collapse");
    json_object_foreach((json_t *)line, name,
                        value) if (json_is_number(value) && !put(h, lines, "", name, value, err)) return false;
    json_object_foreach(json_object_get(line, "figures"), name,
                        value) if (json_is_number(value) && !put(h, lines, "figures.", name, value, err)) return false;
    return !look || put_look(h, lines, look, err);
}

bool history_read(history *h, const record *r, error *err) {
    char path[PATH_MAX + 16], *text = NULL;
    struct stat status;
    size_t size = 0, lines = 0;
    bool ok = false;
    *h = (history){0};
    snprintf(path, sizeof path, "%s/metrics.jsonl", r->folder);
    if (stat(path, &status) != 0) return true;
    if (!(text = file_read(path, &size, err))) goto done;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next++ - line) : strlen(line);
        json_error_t wrong;
        json_t *json = json_loadb(line, length, 0, &wrong);
        if (!json && !*wrong.text) {
            error_memory(err, length, "a line of a run's history");
            goto done;
        }
        if (!json_is_object(json)) {
            json_decref(json);
            break;
        }
        bool taken = put_line(h, lines, json, err);
        json_decref(json);
        if (!taken) goto done;
        h->rows++;
    }
    ok = true;
done:
    free(text);
    if (!ok) history_free(h);
    return ok;
}

void history_free(history *h) {
    for (size_t i = 0; i < h->columns; i++) {
        free(h->names[i]);
        free(h->values[i]);
    }
    free(h->names);
    free(h->values);
    *h = (history){0};
}

const double *history_column(const history *h, const char *name) {
    for (size_t i = 0; i < h->columns; i++)
        if (strcmp(h->names[i], name) == 0) return h->values[i];
    return NULL;
}
