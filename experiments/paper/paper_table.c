/*
 * Making the table: the published rows, chance rows for tables that judge clusterings, then the runs, laid onto the
 * published row of their data and method where there is one and behind it otherwise. NMI is shown but never judged:
 * with thousands of codes it is high at random, so tests and bold faces are AMI's and accuracy's.
 */
#include "experiments/paper/paper_table.h"
#include "engine/files/file.h"
#include "experiments/store/filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- What a paper's table has ---- */

static const struct layout {
    const char *name, *published[PAPER_PUBLISHED], *measured[PAPER_MEASURED];
    bool judged[PAPER_MEASURED];
    double factor;
    const char *data; /* of all rows, where the table has no column for it */
    double epochs;    /* that the paper trains, where rows of fewer are to be called under-trained */
} layouts[] = {
    {"table1",
     {"NMI", "accuracy"},
     {"linear", "prototype_nmi", "prototype_nmi_chance", "prototype_ami"},
     {true, false, false, true},
     1,
     NULL,
     0},
    {"table2", {"top-1", "top-5"}, {"linear", "linear_top5", NULL, NULL}, {true, true}, 100, "imagenet100", 100},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

/*
 * What no learning at all scores: NMI of labels drawn at random against 16,384 codes drawn at random, as many as the
 * test set has images (26,032, 10,000 and 10,000), and the accuracy of guessing.
 */
static const struct chance {
    const char *data, *nmi, *accuracy;
} chances[] = {{"svhn", "0.27", "0.10"}, {"cifar10", "0.354", "0.10"}, {"cifar100", "0.63", "0.01"}};

bool paper_table_is(const char *name) {
    for (size_t i = 0; i < LAYOUTS; i++)
        if (strcmp(layouts[i].name, name) == 0) return true;
    return false;
}

static const struct layout *find_layout(const char *name, error *err) {
    const char *names[LAYOUTS + 1] = {0};
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (strcmp(layouts[i].name, name) == 0) return &layouts[i];
        names[i] = layouts[i].name;
    }
    const char *near = error_nearest(name, names);
    error_set(err, ERROR_USAGE,
              near ? "there is no table `%.60s`; did you mean `%s`?"
                   : "there is no table `%.60s`; there are %s, table2 and any sweep by its name or folder",
              name, near ? near : names[0]);
    return NULL;
}

static paper_row *add_row(paper_table *t, error *err) {
    paper_row *grown = realloc(t->rows, (t->count + 1) * sizeof *grown);
    if (!grown) {
        error_memory(err, (t->count + 1) * sizeof *grown, "a table");
        return NULL;
    }
    t->rows = grown;
    grown[t->count] = (paper_row){.codes = (double)NAN};
    for (int m = 0; m < PAPER_MEASURED; m++) grown[t->count].p[m] = (double)NAN;
    return &grown[t->count++];
}

/* ---- The published figures ---- */

/* <results>/paper/NAME.csv; else the one that came with the program, beside it or where it was built. */
static char *read_published(const char *name, const char *results, error *err) {
    char path[2300], program[1024] = "";
    size_t size;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = length > 0 ? strrchr(program, '/') : NULL;
    if (slash) *slash = '\0';
    const char *const roots[] = {results, "results", program, program};
    static const char *const below[] = {"", "", "/results", "/../../results"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%.1000s%s/paper/%s.csv", roots[i], below[i], name);
        if (access(path, R_OK) == 0) return file_read(path, &size, err);
    }
    error_set(err, ERROR_RUN, "the published figures are not here: %.900s/paper/%s.csv", results, name);
    return NULL;
}

/* Lines of method, data set or number of codes, two figures; the first line names them. */
static bool add_published(paper_table *t, const struct layout *layout, const char *results, error *err) {
    char *text = read_published(layout->name, results, err), *rest = text, *line;
    bool done = text != NULL;
    for (bool first = true; done && (line = strsep(&rest, "\n")); first = false) {
        char method[64], key[64], a[16], b[16];
        if (first || sscanf(line, "%63[^,],%63[^,],%15[^,],%15[^,\r]", method, key, a, b) != 4) continue;
        paper_row *row = add_row(t, err);
        if (!(done = row != NULL)) break;
        snprintf(row->method, sizeof row->method, "%s", method);
        snprintf(row->data, sizeof row->data, "%s", layout->data ? layout->data : key);
        if (layout->data) row->codes = strtod(key, NULL), snprintf(row->setting, sizeof row->setting, "%s codes", key);
        memcpy(row->published[0], a, sizeof a);
        memcpy(row->published[1], b, sizeof b);
    }
    for (size_t i = 0; i < t->count && !layout->data; i++) /* the paper's FALCON has 16,384 in this table */
        if (strcmp(t->rows[i].method, "falcon") == 0) t->rows[i].codes = 16384;
    for (size_t i = 0; done && !layout->data && i < sizeof chances / sizeof *chances; i++) {
        paper_row *row = add_row(t, err);
        if (!(done = row != NULL)) break;
        snprintf(row->data, sizeof row->data, "%s", chances[i].data);
        snprintf(row->method, sizeof row->method, "chance");
        snprintf(row->setting, sizeof row->setting, "16384 random codes");
        snprintf(row->published[0], sizeof row->published[0], "%s", chances[i].nmi);
        snprintf(row->published[1], sizeof row->published[1], "%s", chances[i].accuracy);
    }
    free(text);
    return done;
}

/* ---- The runs ---- */

typedef struct source {
    store *store;
    store_runs all;
    char (*swept)[96];
    size_t swept_count;
    size_t *first; /* of each chosen run: the first of its data and method */
    bool *varies;  /* (runs, swept_count): of each first run, whether the key differs among those like it */
    error *err;    /* why a column could not be read, if one could not */
} source;

/* A run's cell; an empty one when no run has the key. */
static cell cell_of(source *s, const char *key, size_t run) {
    size_t column;
    error why = {0};
    if (store_runs_column(s->store, &s->all, key, &column, &why)) return s->all.columns[column].cells[run];
    if (why.code != ERROR_USAGE) error_set(s->err, why.code, "%s", why.text);
    return (cell){0};
}

static const char *text_of(source *s, const char *key, size_t run) {
    cell c = cell_of(s, key, run);
    return c.text ? c.text : "";
}

/* Untrained networks are the row `random`. */
static const char *method_of(source *s, size_t run) {
    cell epochs = cell_of(s, "train.epochs", run);
    return epochs.type == CELL_NUMBER && epochs.number == 0 ? "random" : text_of(s, "method", run);
}

/* Which figures are by BatchNorm's statistics of batches, where any are: "; by batch: kmeans, prototypes". */
static void name_protocol(source *s, size_t run, char *out, size_t size) {
    const char *figures = text_of(s, "eval.batch_figures", run);
    bool all = strcmp(text_of(s, "eval.batchnorm", run), "batch") == 0;
    size_t used = 0;
    *out = '\0';
    if (!all && (!*figures || strcmp(figures, "[]") == 0)) return;
    used += (size_t)snprintf(out, size, "; by batch: ");
    for (const char *c = all ? "all" : figures; *c && used + 1 < size; c++)
        if (!strchr("[]\"", *c)) out[used++] = *c;
    out[used < size ? used : size - 1] = '\0';
}

/* A row of fewer epochs than the paper's says so behind its scale. */
static void name_undertrained(const paper_table *t, double epochs, paper_row *out) {
    size_t length = strlen(out->scale);
    out->undertrained = t->epochs > 0 && epochs > 0 && epochs < t->epochs;
    if (out->undertrained)
        snprintf(out->scale + length, sizeof out->scale - length, "; under-trained: %g of the paper's %g epochs",
                 epochs, t->epochs);
}

/* A run as a row of its own; its setting is what differs among the runs of its data and method. */
static void describe(const paper_table *t, source *s, size_t run, paper_row *out) {
    *out = (paper_row){.codes = (double)NAN};
    cell codes = cell_of(s, "method.codes", run);
    if (codes.type != CELL_NUMBER && t->data) codes = cell_of(s, "method.prototypes", run); /* DINO's are its codes */
    snprintf(out->data, sizeof out->data, "%.63s", text_of(s, "data.name", run));
    snprintf(out->method, sizeof out->method, "%.63s", method_of(s, run));
    if (codes.type == CELL_NUMBER) out->codes = codes.number;
    size_t used = 0;
    for (size_t i = 0; i < s->swept_count && used < sizeof out->setting; i++) {
        const char *key = s->swept[i], *dot = strchr(key, '.');
        if (!s->varies[s->first[run] * s->swept_count + i]) continue;
        used += (size_t)snprintf(out->setting + used, sizeof out->setting - used, "%s%s %s", used ? ", " : "",
                                 dot ? dot + 1 : key, text_of(s, key, run));
    }
    memcpy(out->swept, out->setting, sizeof out->swept);
    const char *limit = text_of(s, "data.limit", run), *epochs = text_of(s, "train.epochs", run);
    bool limited = *limit && strcmp(limit, "0") != 0;
    int length = snprintf(out->scale, sizeof out->scale, "%.30s width %.10s, %.10s epoch%s, batch %.10s%s%.12s%s",
                          text_of(s, "backbone.name", run), text_of(s, "backbone.width", run), epochs,
                          strcmp(epochs, "1") == 0 ? "" : "s", text_of(s, "train.batch", run), limited ? ", " : "",
                          limited ? limit : "", limited ? " images" : "");
    name_protocol(s, run, out->scale + length, sizeof out->scale - (size_t)length);
    name_undertrained(t, cell_of(s, "train.epochs", run).number, out);
}

static bool same_cell(const paper_row *a, const paper_row *b) {
    return strcmp(a->data, b->data) == 0 && strcmp(a->method, b->method) == 0;
}

/* The row that a run belongs to: one that holds its like already, a published one still empty, or a new one. */
static paper_row *row_for(paper_table *t, const paper_row *like, error *err) {
    for (size_t i = 0; i < t->count; i++) {
        paper_row *r = &t->rows[i];
        if (r->n && same_cell(r, like) && strcmp(r->scale, like->scale) == 0 && strcmp(r->swept, like->swept) == 0)
            return r;
    }
    for (size_t i = 0; i < t->count; i++) {
        paper_row *r = &t->rows[i];
        if (r->n || !same_cell(r, like) || !(isnan(r->codes) || r->codes == like->codes)) continue;
        memcpy(r->scale, like->scale, sizeof like->scale);
        r->undertrained = like->undertrained;
        memcpy(r->swept, like->swept, sizeof like->swept);
        if (*like->setting) memcpy(r->setting, like->setting, sizeof like->setting);
        r->codes = like->codes;
        return r;
    }
    paper_row *row = add_row(t, err);
    if (!row) return NULL;
    *row = *like;
    for (size_t i = 0; t->data && i + 1 < t->count; i++) {
        const paper_row *r = &t->rows[i];
        bool theirs = strcmp(r->data, t->data) == 0 && strcmp(row->data, t->data) != 0;
        if (!theirs || !*r->published[0] || strcmp(r->method, row->method) != 0 || r->codes != row->codes) continue;
        memcpy(row->elsewhere, r->published, sizeof row->elsewhere);
        break;
    }
    for (int m = 0; m < PAPER_MEASURED; m++) row->p[m] = (double)NAN;
    return row;
}

static bool add_run(paper_table *t, source *s, size_t run, error *err) {
    paper_row like;
    cell seed = cell_of(s, "train.seed", run);
    describe(t, s, run, &like);
    paper_row *row = row_for(t, &like, err);
    if (!row) return false;
    for (size_t i = 0; i < row->n; i++) /* a seed again, under another name, is no further evidence */
        if (row->seeds[i] == seed.number) return true;
    if (row->n == PAPER_SEEDS) return true;
    row->seeds[row->n] = seed.type == CELL_NUMBER ? seed.number : (double)NAN;
    for (int m = 0; m < PAPER_MEASURED && t->measured[m]; m++) {
        cell c = cell_of(s, t->measured[m], run);
        row->values[m][row->n] = c.type == CELL_NUMBER ? c.number * t->factor : (double)NAN;
    }
    row->n++;
    return true;
}

/* Notes which runs are alike in data and method, and which keys differ among them. */
static void find_varied(source *s, const bool *chosen) {
    for (size_t i = 0; i < s->all.count; i++) {
        if (!chosen[i]) continue;
        size_t first = 0;
        while (first < i && !(chosen[first] && s->first[first] == first &&
                              strcmp(text_of(s, "data.name", first), text_of(s, "data.name", i)) == 0 &&
                              strcmp(method_of(s, first), method_of(s, i)) == 0))
            first++;
        s->first[i] = first;
        for (size_t k = 0; k < s->swept_count; k++)
            s->varies[first * s->swept_count + k] |=
                strcmp(s->swept[k], "train.seed") != 0 &&
                strcmp(text_of(s, s->swept[k], first), text_of(s, s->swept[k], i)) != 0;
    }
}

static bool add_chosen(paper_table *t, source *s, const filter *f, error *err) {
    size_t n = s->all.count;
    bool *chosen = calloc(n + 1, sizeof *chosen);
    s->first = calloc(n + 1, sizeof *s->first);
    s->varies = calloc(n * s->swept_count + 1, sizeof *s->varies);
    bool done = chosen && s->first && s->varies;
    if (!done) error_memory(err, n * (s->swept_count + 1), "the list of runs");
    for (size_t i = 0; done && i < n; i++) {
        bool named = strncmp(s->all.folders[i], t->name, strlen(t->name)) == 0;
        const char *status = text_of(s, "status", i);
        chosen[i] = strcmp(status, "finished") == 0 && (f ? filter_holds(f, &s->all, i) : named);
        if (strcmp(status, "unreadable") != 0 || (!f && !named)) continue; /* whether a condition holds, nobody knows */
        if (!t->unreadable++) snprintf(t->unreadable_run, sizeof t->unreadable_run, "%s", s->all.folders[i]);
    }
    if (done) find_varied(s, chosen);
    for (size_t i = 0; done && i < n; i++) done = !chosen[i] || add_run(t, s, i, err);
    free(chosen);
    free(s->first);
    free(s->varies);
    return done && s->err->code == ERROR_NONE;
}

static bool add_measured(paper_table *t, const char *results, const char *where, error *err) {
    source s = {.err = err};
    filter *f = NULL;
    if (access(results, F_OK) != 0) return true; /* nothing has been run */
    bool done = (!where || (f = filter_parse(where, err))) && (s.store = store_open_current(results, err)) &&
                store_runs_read(s.store, &s.all, err) && (!f || filter_bind(f, s.store, &s.all, err)) &&
                store_keys(s.store, STORE_SWEPT, &s.swept, &s.swept_count, err) && add_chosen(t, &s, f, err);
    filter_free(f);
    free(s.swept);
    store_runs_free(&s.all);
    store_close(s.store);
    return done;
}

/* ---- Order ---- */

/* Rows of one data set together, data sets as they first come; a row's place among them is kept. */
static bool gather_by_data(paper_table *t, error *err) {
    paper_row *sorted = malloc((t->count + 1) * sizeof *sorted);
    size_t n = 0;
    if (!sorted) return error_memory(err, t->count * sizeof *sorted, "a table");
    for (size_t i = 0; i < t->count; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) first = strcmp(t->rows[i].data, t->rows[j].data) != 0;
        for (size_t j = i; first && j < t->count; j++)
            if (strcmp(t->rows[i].data, t->rows[j].data) == 0) sorted[n++] = t->rows[j];
    }
    free(t->rows);
    t->rows = sorted;
    return true;
}

bool paper_table_read(paper_table *t, const char *name, const char *results, const char *where, error *err) {
    *t = (paper_table){0};
    const struct layout *layout = find_layout(name, err);
    if (!layout) return false;
    snprintf(t->name, sizeof t->name, "%s", name);
    memcpy(t->published, layout->published, sizeof t->published);
    memcpy(t->measured, layout->measured, sizeof t->measured);
    memcpy(t->judged, layout->judged, sizeof t->judged);
    t->factor = layout->factor, t->data = layout->data, t->epochs = layout->epochs;
    if (add_published(t, layout, results, err) && add_measured(t, results, where, err) && gather_by_data(t, err) &&
        paper_table_judge(t, err))
        return true;
    paper_table_free(t);
    return false;
}

void paper_table_free(paper_table *t) {
    free(t->rows);
    *t = (paper_table){0};
}
