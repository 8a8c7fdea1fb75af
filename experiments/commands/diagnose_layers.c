#include "experiments/commands/diagnose_layers.h"
#include "analysis/report/layers_figure.h"
#include "engine/files/file.h"
#include "experiments/commands/terminal.h"
#include "experiments/paper/grid.h"
#include "experiments/run/look_layers.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void put(const grid *g, size_t row, size_t column, const char *text) {
    snprintf(grid_at(g, row, column)->text, sizeof grid_at(g, row, column)->text, "%s", text);
}

static void put_number(const grid *g, size_t row, size_t column, const char *format, double x) {
    char text[32] = "–";
    if (isfinite(x)) snprintf(text, sizeof text, format, x);
    put(g, row, column, text);
}

static size_t rows_of_view(const layers *l, int view) {
    size_t rows = 0;
    for (size_t i = 0; i < l->count; i++) rows += l->items[i].views[view].rows > 0;
    return rows;
}

/* All views in one table; a view's rows stand together. */
static bool print_views(const layer_report *r, error *err) {
    static const char *const heads[] = {"",           "layer",     "rows",      "columns",     "RankMe",
                                        "untrained",  "effective", "numerical", "mean cosine", "representation",
                                        "dimensional"};
    enum { COLUMNS = sizeof heads / sizeof *heads };
    grid g;
    const layers *l = &r->trained;
    size_t rows = 0, row = 0;
    for (int v = 0; v < LAYER_VIEWS; v++) rows += rows_of_view(l, v);
    if (!grid_open(&g, rows, COLUMNS, 2, err)) return false;
    for (size_t c = 0; c < COLUMNS; c++) put(&g, 0, c, heads[c]);
    for (int v = 0; v < LAYER_VIEWS; v++)
        for (size_t i = 0; i < l->count; i++) {
            const layer_figures *f = &l->items[i].views[v], *before = &r->untrained.items[i].views[v];
            const double numbers[] = {(double)f->rows,   (double)f->cols,   f->rankme,     before->rankme,
                                      f->effective_rank, f->numerical_rank, f->mean_cosine};
            static const char *const formats[] = {"%.0f", "%.0f", "%.1f", "%.1f", "%.1f", "%.0f", "%.3f"};
            if (!f->rows) continue;
            put(&g, ++row, 0, layer_view_name((layer_view)v));
            put(&g, row, 1, l->items[i].name);
            for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++)
                put_number(&g, row, 2 + c, formats[c], numbers[c]);
            put(&g, row, 9, verdict_name(f->representation.verdict));
            put(&g, row, 10, verdict_name(f->dimensional.verdict));
        }
    putchar('\n');
    grid_print(&g, GRID_TEXT, 0, NULL);
    grid_free(&g);
    return true;
}

static bool print_tokens(const layer_report *r, error *err) {
    static const char *const heads[] = {
        "",       "layer",          "rank",         "untrained", "mean cosine",   "kept",
        "tokens", "entropy, class", "entropy, all", "massive",   "largest/median"};
    enum { COLUMNS = sizeof heads / sizeof *heads };
    grid g;
    const layers *l = &r->trained;
    const token_figures *one = NULL;
    double uniform = (double)NAN;
    size_t rows = 0, row = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (!l->items[i].tokens.images) continue;
        one = &l->items[i].tokens, rows++;
        if (l->items[i].attention.images) uniform = l->items[i].attention.uniform;
    }
    if (!one) return true;
    if (!grid_open(&g, rows, COLUMNS, 2, err)) return false;
    for (size_t c = 0; c < COLUMNS; c++) put(&g, 0, c, heads[c]);
    for (size_t i = 0; i < l->count; i++) {
        const token_figures *f = &l->items[i].tokens;
        const attention_figures *a = &l->items[i].attention;
        if (!f->images) continue;
        put(&g, ++row, 0, "tokens");
        put(&g, row, 1, l->items[i].name);
        put_number(&g, row, 2, "%.1f", f->rank);
        put_number(&g, row, 3, "%.1f", r->untrained.items[i].tokens.rank);
        put_number(&g, row, 4, "%.3f", f->mean_cosine);
        put_number(&g, row, 5, "%.3f", f->within_share);
        put(&g, row, 6, verdict_name(l->items[i].token_verdict.verdict));
        put_number(&g, row, 7, "%.2f", a->images ? a->entropy_first : (double)NAN);
        put_number(&g, row, 8, "%.2f", a->images ? a->entropy : (double)NAN);
        put_number(&g, row, 9, "%.2g", f->massive_share);
        put_number(&g, row, 10, "%.0f", f->largest_over_median);
    }
    printf("\nWithin an image, means of %zu images of %zu patches (kept: the share of all patches' variance; attention "
           "that prefers\nno token has an entropy of %.2f):\n\n",
           one->images, one->patches, uniform);
    grid_print(&g, GRID_TEXT, 0, NULL);
    grid_free(&g);
    return true;
}

static void print_collapsed(const char *name, const char *view, const collapse_verdict *v, int width) {
    enum { INDENT = 24 };
    char title[96];
    if (v->verdict != VERDICT_COLLAPSED) return;
    snprintf(title, sizeof title, "%s, %s", name, view);
    printf("\n%-*s", INDENT, title);
    terminal_wrap(stdout, v->sentence, INDENT, INDENT, width);
}

/* What has collapsed, layer by layer. */
static void print_verdicts(const layer_report *r) {
    int width = terminal_width(stdout);
    for (size_t i = 0; i < r->trained.count; i++) {
        const layer *l = &r->trained.items[i];
        for (int v = 0; v < LAYER_VIEWS; v++) {
            if (!l->views[v].rows) continue;
            print_collapsed(l->name, layer_view_name((layer_view)v), &l->views[v].representation, width);
            print_collapsed(l->name, layer_view_name((layer_view)v), &l->views[v].dimensional, width);
        }
        if (l->tokens.images) print_collapsed(l->name, "tokens", &l->token_verdict, width);
    }
}

static bool print_all(const layer_report *r, error *err) {
    printf("%s: %s by layer, %s after step %llu, %u held-out images, against the untrained network of its seed\n",
           r->run, r->backbone, r->teacher ? "the teacher" : "weights", (unsigned long long)r->step, r->images);
    if (!print_views(r, err) || !print_tokens(r, err)) return false;
    print_verdicts(r);
    return true;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool check_arguments(const arguments *args, error *err) {
    static const char *const taken[] = {"--layers", "--json", "--figures"};
    if (args->word_count != 1)
        return error_set(err, ERROR_USAGE, "--layers looks into one run; %zu were named", args->word_count);
    for (size_t i = 0; i < args->given_count; i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
            known = known || strcmp(args->given[i].name, taken[k]) == 0;
        if (!known)
            return error_set(err, ERROR_USAGE, "--layers takes --json and --figures beside it, not %s",
                             args->given[i].name);
    }
    return true;
}

bool diagnose_layers(const command_context *context, const arguments *args, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    const char *folder = arguments_value(args, "--figures", NULL);
    layer_report r;
    if (!check_arguments(args, err) || (folder && !file_make_folders(folder, err)) ||
        !look_layers_of_run(args->words[0], &hooks, &r, err)) {
        terminal_clear(&t);
        return false;
    }
    terminal_clear(&t);
    bool ok = !folder || layers_figure_draw(&r.trained, &r.untrained, folder, err);
    if (ok && arguments_has(args, "--json")) {
        json_t *all = layer_report_to_json(&r);
        ok = all || error_memory(err, 1 << 16, "a diagnosis");
        if (all) watch_print_json(all);
    } else if (ok) {
        ok = print_all(&r, err);
    }
    layer_report_free(&r);
    return ok;
}
