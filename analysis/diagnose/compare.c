/*
 * Names and a table. A column that no file has a figure for is left out.
 */
#include "analysis/diagnose/compare.h"
#include "analysis/verdicts/collapse.h"
#include "analysis/report/plots/plot_axes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Where the last `parts` parts of a path of `length` bytes begin. */
static size_t tail_start(const char *path, size_t length, size_t parts) {
    size_t start = length;
    while (start > 0 && (path[start - 1] != '/' || --parts > 0)) start--;
    return start;
}

/* Whether the last `parts` parts tell all paths apart, or are all there is. */
static bool tells_apart(char *const *paths, const size_t *ends, size_t count, size_t parts) {
    bool more = false, apart = true;
    for (size_t i = 0; i < count; i++) {
        size_t a = tail_start(paths[i], ends[i], parts);
        more = more || a > 0;
        for (size_t k = 0; k < i && apart; k++) {
            size_t b = tail_start(paths[k], ends[k], parts);
            apart = ends[i] - a != ends[k] - b || memcmp(paths[i] + a, paths[k] + b, ends[i] - a) != 0;
        }
    }
    return apart || !more;
}

static bool ends_so(const char *path, size_t length, const char *ending) {
    size_t tail = strlen(ending);
    return length > tail && memcmp(path + length - tail, ending, tail) == 0;
}

char **compare_names(char *const *paths, size_t count, error *err) {
    static const char *const endings[] = {"/", "/embeddings.npy", ".npy", ".npz", ".safetensors"};
    char **names = calloc(count, sizeof *names);
    size_t *ends = malloc(count * sizeof *ends), parts = 1;
    bool ok = names && ends;
    for (size_t i = 0; ok && i < count; i++) {
        ends[i] = strlen(paths[i]);
        while (ends_so(paths[i], ends[i], "/")) ends[i]--;
    }
    for (size_t e = 1; ok && count > 1 && e < sizeof endings / sizeof *endings; e++) {
        bool all = true;
        for (size_t i = 0; i < count; i++) all = all && ends_so(paths[i], ends[i], endings[e]);
        for (size_t i = 0; all && i < count; i++) ends[i] -= strlen(endings[e]);
    }
    while (ok && !tells_apart(paths, ends, count, parts)) parts++;
    for (size_t i = 0; ok && i < count; i++) {
        size_t start = tail_start(paths[i], ends[i], parts);
        names[i] = strndup(paths[i] + start, ends[i] - start);
        ok = names[i] != NULL;
    }
    free(ends);
    if (ok) return names;
    compare_names_free(names, count);
    error_memory(err, count * sizeof *names, "names");
    return NULL;
}

void compare_names_free(char **names, size_t count) {
    for (size_t i = 0; names && i < count; i++) free(names[i]);
    free(names);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *key, *heading;
} columns[] = {
    {"n", "rows"},
    {"d", "columns"},
    {"rankme", "RankMe"},
    {"effective_rank", "eff. rank"},
    {"effective_rank_noise_share", "of noise"},
    {"spread", "spread"},
    {"codes_used", "codes used"},
    {"within_share", "in clusters"},
    {"lidar", "LiDAR"},
    {"silhouette", "silhouette"},
    {"prototype_ami", "AMI"},
};
enum { COLUMNS = sizeof columns / sizeof *columns, CELL = 32 };

static double figure(const json_t *figures, const char *key) {
    const json_t *value = json_object_get(figures, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *verdict_of(const json_t *figures, int mode) {
    const json_t *v = json_object_get(json_object_get(figures, "verdicts"), collapse_mode_name((collapse_mode)mode));
    const char *word = json_string_value(json_object_get(v, "verdict"));
    return word ? word : "unknown";
}

static void cell(const json_t *figures, int column, char out[CELL]) {
    double value = figure(figures, columns[column].key);
    if (isnan(value))
        snprintf(out, CELL, "–");
    else
        snprintf(out, CELL, value == rint(value) && fabs(value) < 1e9 ? "%.0f" : "%.4g", value);
}

static size_t wider(size_t width, const char *text) {
    size_t length = plot_text_length(text);
    return length > width ? length : width;
}

static void pad(const char *text, size_t width) {
    size_t length = plot_text_length(text);
    printf("%*s", (int)(width > length ? width - length : 0), "");
}

static size_t name_width(char *const *names, size_t count) {
    size_t width = 0;
    for (size_t i = 0; i < count; i++) width = wider(width, names[i]);
    return width;
}

static void print_verdicts(char *const *names, json_t *const *figures, size_t count, size_t first) {
    enum { WORD = 16 };
    printf("%*s", (int)first, "");
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) printf("  %-*s", WORD, collapse_mode_name((collapse_mode)mode));
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        fputs(names[i], stdout);
        pad(names[i], first);
        for (int mode = 0; mode < COLLAPSE_MODES; mode++) printf("  %-*s", WORD, verdict_of(figures[i], mode));
        putchar('\n');
    }
}

void compare_print(char *const *names, json_t *const *figures, size_t count) {
    size_t first = name_width(names, count), widths[COLUMNS];
    char text[CELL];
    print_verdicts(names, figures, count, first);
    printf("\n%*s", (int)first, "");
    for (int c = 0; c < COLUMNS; c++) {
        bool any = false;
        widths[c] = plot_text_length(columns[c].heading);
        for (size_t i = 0; i < count; i++) {
            cell(figures[i], c, text);
            widths[c] = wider(widths[c], text);
            any = any || !isnan(figure(figures[i], columns[c].key));
        }
        if (!any) widths[c] = 0;
        if (any) printf("  "), pad(columns[c].heading, widths[c]), fputs(columns[c].heading, stdout);
    }
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        fputs(names[i], stdout);
        pad(names[i], first);
        for (int c = 0; c < COLUMNS; c++) {
            if (!widths[c]) continue;
            cell(figures[i], c, text);
            printf("  "), pad(text, widths[c]), fputs(text, stdout);
        }
        putchar('\n');
    }
}
