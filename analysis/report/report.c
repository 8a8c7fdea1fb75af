/*
 * Puts the report together. The page is written whole or not at all, after its figures.
 */
#include "analysis/report/report.h"

#include "analysis/report/study/effects_words.h"
#include "analysis/report/export.h"
#include "analysis/report/pages/page.h"
#include "analysis/report/plots/plot_axes.h"
#include "analysis/report/study/twins.h"
#include "engine/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* DIR/figures, or beside a page elsewhere when nothing can be written there. */
static bool make_figures_folder(char *path, size_t size, const char *folder, const char *html, error *err) {
    error why = {0};
    snprintf(path, size, "%s/figures", folder);
    if (file_make_folders(path, &why)) {
        if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0) return true;
        error_set(&why, ERROR_RUN, "cannot write %.500s: %s", path, strerror(errno));
    }
    if (!html) return error_set(err, why.code, "%.800s; --html FILE puts the page and its figures elsewhere", why.text);
    size_t stem = strlen(html);
    if (stem > 5 && strcmp(html + stem - 5, ".html") == 0) stem -= 5;
    snprintf(path, size, "%.*s-figures", (int)stem, html);
    return file_make_folders(path, err);
}

bool report_write(const char *dir, const char *html, double inches, void (*log)(void *context, const char *line),
                  void *context, error *err) {
    study s = {0};
    findings found = {0};
    effects effects = {0};
    advice next = {0};
    figures drawn = {0};
    file_writer page = {0};
    char folder[PATH_SIZE], path[PATH_SIZE + 16], *absolute = NULL;
    bool ok = false;
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') length--;
    snprintf(folder, sizeof folder, "%.*s", (int)length, dir);
    if (!study_read(&s, folder, err)) goto done;
    for (size_t i = 0; i < s.records.unreadable_count && log; i++) log(context, s.records.unreadable[i]);
    if (!findings_make(&found, &s, err) || !effects_read(&effects, &s, err) || !advice_give(&next, &s, &effects, err))
        goto done;
    if (!make_figures_folder(path, sizeof path, folder, html, err)) goto done;
    file_remove_dead_leftovers(path); /* of reports that were killed */
    if (!figures_draw(&drawn, &s, &effects, path, inches, log, context, err) ||
        !export_numbers(&s, &effects, path, err))
        goto done;
    absolute = html ? realpath(path, NULL) : NULL; /* a page elsewhere still finds the figures' files */
    if (html && !absolute) {
        error_set(err, ERROR_RUN, "%s: %s", path, strerror(errno));
        goto done;
    }
    snprintf(path, sizeof path, "%s/index.html", folder);
    file_remove_leftovers_of(html ? html : path, true);
    if (!file_begin(&page, html ? html : path, err)) goto done;
    page_parts parts = {&s, &effects, &next, &found, &drawn, folder, html ? absolute : "figures"};
    page_write(page.stream, &parts);
    ok = file_commit(&page, err);
done:
    figures_free(&drawn);
    advice_free(&next);
    effects_free(&effects);
    findings_free(&found);
    study_free(&s);
    free(absolute);
    return ok;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* What fits a terminal's line; the page has the rest. */
static const struct column {
    const char *metric, *heading;
} columns[] = {
    {"linear", "linear"},
    {"knn", "kNN"},
    {"prototype_ami", "AMI"},
    {"prototype_nmi", "NMI"},
    {"prototype_nmi_chance", "chance"},
    {"kmeans_ami", "AMI k-m."},
    {"rankme", "RankMe"},
    {"rankme_noise_share", "of noise"},
};
enum { COLUMNS = sizeof columns / sizeof *columns, CELL = 64 };

static void pad(FILE *out, const char *text, size_t width, bool right) {
    size_t length = plot_text_length(text);
    int gap = width > length ? (int)(width - length) : 0;
    if (right)
        fprintf(out, "%*s%s", gap, "", text);
    else
        fprintf(out, "%s%*s", text, gap, "");
}

static void cell(const study_point *p, const char *metric, char out[CELL]) {
    char mean[24], sd[24];
    study_figure figure = study_measure(p, metric);
    study_format(metric, figure.mean, mean, sizeof mean);
    if (figure.n > 1)
        snprintf(out, CELL, "%s ±%s", mean, study_format(metric, figure.sd, sd, sizeof sd));
    else
        snprintf(out, CELL, "%s", mean);
}

/* The verdicts of a setting in four letters: H healthy, W warning, C collapsed, – unknown. */
static void verdict_letters(const study_point *p, char out[CELL]) {
    static const char *const letters[STUDY_VERDICTS] = {"–", "H", "W", "C"};
    size_t counts[STUDY_VERDICTS];
    *out = 0;
    for (const char *const *mode = study_modes; *mode; mode++) strcat(out, letters[study_verdict(p, *mode, counts)]);
}

static void print_series(FILE *out, const study *s, const study_block *b, const study_series *series) {
    char text[300];
    size_t first = plot_text_length(b->axis_name), widths[COLUMNS];
    for (size_t i = 0; i < series->count; i++) {
        size_t length = plot_text_length(series->points[i].label);
        if (length > first) first = length;
    }
    fprintf(out, "%s%s%s\n", b->name, *series->label ? ", " : "", series->label);
    fputs("  ", out);
    pad(out, b->axis_name, first, b->numeric);
    for (int c = 0; c < COLUMNS; c++) {
        bool any = false;
        widths[c] = plot_text_length(columns[c].heading);
        for (size_t i = 0; i < series->count; i++) {
            cell(&series->points[i], columns[c].metric, text);
            any = any || study_measure(&series->points[i], columns[c].metric).n;
            if (plot_text_length(text) > widths[c]) widths[c] = plot_text_length(text);
        }
        if (!any)
            widths[c] = 0;
        else
            fputs("  ", out), pad(out, columns[c].heading, widths[c], true);
    }
    fputs("  R D C I\n", out);
    for (size_t i = 0; i < series->count; i++) {
        fputs("  ", out);
        pad(out, series->points[i].label, first, b->numeric);
        for (int c = 0; c < COLUMNS; c++) {
            if (!widths[c]) continue;
            cell(&series->points[i], columns[c].metric, text);
            fputs("  ", out);
            pad(out, text, widths[c], true);
        }
        char letters[CELL];
        verdict_letters(&series->points[i], letters);
        fputs(" ", out);
        for (const char *l = letters; *l; l++) {
            if (((unsigned char)*l & 0xC0) != 0x80) fputc(' ', out);
            fputc(*l, out);
        }
        fputc('\n', out);
    }
    for (size_t i = 0; i < series->count; i++) {
        twin t = twin_of(s, &series->points[i]);
        if (*twin_text(&t, text, sizeof text)) fprintf(out, "  %s: %s\n", series->points[i].label, text);
    }
    fputc('\n', out);
}

/* A paragraph of at most `width` letters a line, the lines after the first indented by two. */
static void print_wrapped(FILE *out, const char *text, size_t width) {
    size_t column = 0;
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, " ");
        char copy[400];
        snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy - 1), word);
        size_t letters = plot_text_length(copy);
        if (column && column + 1 + letters > width) {
            fputs("\n  ", out);
            column = 2;
        } else if (column) {
            fputc(' ', out);
            column++;
        }
        fwrite(word, 1, length, out);
        column += letters;
        word += length + strspn(word + length, " ");
    }
    fputc('\n', out);
}

/* What each key did, and what to run next. */
static bool print_effects(FILE *out, const study *s, error *err) {
    enum { WIDTH = 110 };
    effects e = {0};
    advice next = {0};
    bool ok = effects_read(&e, s, err) && advice_give(&next, s, &e, err);
    for (size_t b = 0; ok && b < e.count; b++)
        for (size_t k = 0; k < e.blocks[b].factors.factor_count; k++) {
            words did = {""};
            effects_say(&did, &e.blocks[b], k);
            if (e.count > 1) fprintf(out, "%s: ", e.blocks[b].block->name);
            print_wrapped(out, did.text, WIDTH);
        }
    if (ok && next.count) fputs("\nnext\n", out);
    for (size_t i = 0; ok && i < next.count; i++) {
        print_wrapped(out, next.items[i].text, WIDTH);
        for (const char *line = next.items[i].command; line && *line;) {
            size_t length = strcspn(line, "\n");
            fprintf(out, "    %.*s\n", (int)length, line);
            line += length + (line[length] == '\n');
        }
    }
    advice_free(&next);
    effects_free(&e);
    return ok;
}

bool report_print_table(const char *dir, FILE *out, error *err) {
    study s;
    if (!study_read(&s, dir, err)) return false;
    for (size_t b = 0; b < s.count; b++)
        for (size_t k = 0; k < s.blocks[b].count; k++) print_series(out, &s, &s.blocks[b], &s.blocks[b].series[k]);
    if (s.finished)
        fputs("R D C I: representation, dimensional, cluster and intracluster collapse; H healthy, W warning, C "
              "collapsed, "
              "– unknown\n",
              out);
    for (size_t i = 0; i < s.records.count; i++) {
        const record *r = &s.records.items[i];
        if (!r->finished)
            fprintf(out, "%s: %s%s%s\n", r->id, *r->status ? r->status : "unknown", *r->reason ? ": " : "", r->reason);
    }
    for (size_t i = 0; i < s.records.unreadable_count; i++) fprintf(out, "%s\n", s.records.unreadable[i]);
    bool ok = s.records.single || !s.finished || (fputc('\n', out), print_effects(out, &s, err));
    study_free(&s);
    return ok;
}
