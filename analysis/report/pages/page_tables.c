/*
 * The page's tables: verdicts as a grid, final figures by setting, every run, and the settings. Means stand with their
 * standard deviation over seeds where there are several; a figure that a run does not have is a dash.
 */
#include "analysis/report/pages/page.h"
#include "analysis/report/study/twins.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void open_table(FILE *out, const char *caption) {
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n", out);
    if (*caption) {
        fputs("<caption>", out);
        page_text(out, caption);
        fputs("</caption>\n", out);
    }
}

static void close_table(FILE *out) { fputs("</tbody></table></div>\n", out); }

static void write_heading(FILE *out, const char *text, const char *hint, bool number) {
    fprintf(out, "<th scope=\"col\"%s title=\"", number ? " class=\"n\"" : "");
    page_text(out, hint);
    fputs("\">", out);
    page_text(out, text);
    fputs("</th>", out);
}

static void name_series(const study_block *b, const study_series *s, char *out, size_t size) {
    snprintf(out, size, "%s%s%s", b->name, *s->label ? ", " : "", s->label);
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

static const char *const signs[STUDY_VERDICTS] = {"?", "●", "▲", "✕"};

/* "from 3": the looks at held-out images while training tell since which epoch, seed by seed. */
static void write_onset(FILE *out, const study_point *p, const char *mode) {
    double first = INFINITY, last = 0;
    for (size_t i = 0; i < p->count; i++) {
        const json_t *onset = json_object_get(record_verdict(p->records[i], mode), "onset");
        if (!json_is_number(onset)) continue;
        first = fmin(first, json_number_value(onset)), last = fmax(last, json_number_value(onset));
    }
    if (isinf(first)) return;
    fprintf(out, " <span class=\"sd onset\" title=\"collapsed from this epoch on\">from %.0f", first);
    if (last > first) fprintf(out, "–%.0f", last);
    fputs("</span>", out);
}

/* A sign, the word for those who hear the page, the statistic; with seeds that differ, how many say so. */
static void write_verdict(FILE *out, const study *s, const study_point *p, const char *mode) {
    size_t counts[STUDY_VERDICTS], different = 0;
    int verdict = study_verdict(p, mode, counts);
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < p->count; i++) {
        const json_t *statistic = json_object_get(record_verdict(p->records[i], mode), "statistic");
        if (json_is_number(statistic)) sum += json_number_value(statistic), known++;
    }
    for (int v = 0; v < STUDY_VERDICTS; v++) different += counts[v] > 0;
    fprintf(out,
            "<td class=\"%s\" data-mode=\"%s\"><span aria-hidden=\"true\">%s</span><span class=\"heard\"> %s</span>",
            study_verdict_names[verdict], mode, signs[verdict], study_verdict_names[verdict]);
    if (known && verdict != STUDY_UNKNOWN) fprintf(out, " <span class=\"sd\">%.2g</span>", sum / (double)known);
    write_onset(out, p, mode);
    if (strcmp(mode, "dimensional") == 0) {
        char text[300];
        twin t = twin_of(s, p);
        if (*twin_text(&t, text, sizeof text)) {
            fputs(" <span class=\"sd\" title=\"", out);
            page_text(out, text);
            fprintf(out, "\">%.2g of twin</span>", t.rank / t.of);
        }
    }
    if (different > 1) fprintf(out, " <span class=\"sd\">%zu of %zu</span>", counts[verdict], p->count);
    fputs("</td>", out);
}

/* Figures that stand beside the verdicts. */
static const char *const beside[] = {"linear", "knn", "prototype_ami", NULL};

static void write_setting(FILE *out, const study *s, const study_block *b, const study_point *p) {
    char name[300], number[32];
    fputs("<tr><th scope=\"row\">", out);
    page_text(out, *b->axis ? p->label : study_setting(b, p, name, sizeof name));
    fputs("</th>", out);
    for (const char *const *mode = study_modes; *mode; mode++) write_verdict(out, s, p, *mode);
    for (const char *const *metric = beside; *metric; metric++)
        if (study_has(s, *metric))
            fprintf(out, "<td class=\"n\">%s</td>",
                    study_format(*metric, study_measure(p, *metric).mean, number, sizeof number));
    fputs("</tr>\n", out);
}

static void write_matrix(FILE *out, const study *s) {
    static const char *const headings[] = {"repre&shy;sentation", "dimen&shy;sional", "cluster", "intra&shy;cluster"};
    char name[300];
    size_t columns = 5;
    fputs("<div class=\"scroll matrix\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">setting</th>", out);
    for (int mode = 0; mode < 4; mode++) fprintf(out, "<th scope=\"col\">%s</th>", headings[mode]);
    for (const char *const *metric = beside; *metric; metric++) {
        if (!study_has(s, *metric)) continue;
        write_heading(out,
                      strcmp(*metric, "linear") == 0 ? "linear"
                      : strcmp(*metric, "knn") == 0  ? "kNN"
                                                     : "AMI",
                      study_metric_title(*metric), true);
        columns++;
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++) {
            const study_block *block = &s->blocks[b];
            name_series(block, &block->series[k], name, sizeof name);
            fprintf(out, "<tr class=\"group\"><th colspan=\"%zu\" scope=\"rowgroup\">", columns);
            page_text(out, name);
            if (*block->axis_name) {
                fputs(" <span class=\"sd\">by ", out);
                page_text(out, block->axis_name);
                fputs("</span>", out);
            }
            fputs("</th></tr>\n", out);
            for (size_t i = 0; i < block->series[k].count; i++)
                write_setting(out, s, block, &block->series[k].points[i]);
        }
    close_table(out);
}

void page_verdicts(FILE *out, const study *s) {
    bool any = false;
    for (size_t i = 0; i < s->records.count; i++)
        any = any || json_object_get(s->records.items[i].diagnosis, "verdicts");
    if (!any) return;
    fputs("<h2 id=\"verdicts\">The four collapses</h2>\n", out);
    write_matrix(out, s);
    fputs(
        "<p class=\"soft key-line\"><span class=\"healthy\">●</span> healthy <span class=\"warning\">▲</span> warning "
        "<span class=\"collapsed\">✕</span> collapsed <span class=\"unknown\">?</span> unknown. A run is "
        "held against its own network before the first step and at its best epoch, on the same held-out images. The "
        "number is the verdict's statistic.",
        out);
    if (s->seeds_max > 1) fputs(" Means over seeds; “2 of 3” where seeds differ.", out);
    fputs(
        " <em>Representation</em>: do all inputs fall on one point? <em>Dimensional</em>: how much of the untrained "
        "network's rank there is; collapsed from 0.5 down. <em>Cluster</em>: codes in even use, in multiples of the "
        "untrained network's; collapsed from 1 down. <em>Intracluster</em>: is variation left inside clusters? “0.3 of "
        "twin”: the rank is 0.3 of that of the nearest setting of the same method, which by itself is no "
        "collapse.</p>\n",
        out);
}

/* ---- final figures ---------------------------------------------------------------------------------------------- */

static void write_point(FILE *out, const study_block *b, const study_point *p, const char **metrics, size_t count,
                        bool several) {
    char number[32];
    fprintf(out, "<tr><th scope=\"row\"%s>", b->numeric ? " class=\"n\"" : "");
    page_text(out, p->label);
    fputs("</th>", out);
    if (several) fprintf(out, "<td class=\"n\">%zu</td>", p->count);
    for (size_t m = 0; m < count; m++) {
        study_figure figure = study_measure(p, metrics[m]);
        fprintf(out, "<td class=\"n\">%s", study_format(metrics[m], figure.mean, number, sizeof number));
        if (figure.n > 1)
            fprintf(out, " <span class=\"sd\">± %s</span>", study_format(metrics[m], figure.sd, number, sizeof number));
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

/* The runs whose figures were measured in one way other than the default, and what that is. */
static void write_protocol(FILE *out, const study *s) {
    size_t whole = 0, part = 0, teacher = 0, all = s->records.count;
    char text[64], names[200] = "";
    for (size_t i = 0; i < all; i++) {
        const record *r = &s->records.items[i];
        const json_t *list = json_object_get(json_object_get(r->run, "spec"), "eval.batch_figures"), *name;
        size_t k, used = 0;
        whole += strcmp(record_text(r, "eval.batchnorm", text, sizeof text), "batch") == 0;
        teacher += strcmp(record_text(r, "eval.network", text, sizeof text), "teacher") == 0;
        if (!json_array_size(list)) continue;
        part++;
        json_array_foreach(list, k, name) if (used < sizeof names) used +=
            (size_t)snprintf(names + used, sizeof names - used, "%s%s", k ? ", " : "", json_string_value(name));
    }
    const char *some = whole + part < all ? "In some runs " : "";
    if (whole)
        fprintf(out, "%s<strong>BatchNorm by the statistics of batches of 64</strong>, not by running ones. ", some);
    if (part && !whole)
        fprintf(out,
                "%s<strong>BatchNorm by the statistics of batches of 64 for: %s</strong> (the authors' protocol), by "
                "running ones for the rest. ",
                some, names);
    if (teacher) fprintf(out, "%s<strong>Of the teacher</strong>. ", teacher < all ? "In some runs: " : "");
}

void page_figures_of_merit(FILE *out, const study *s) {
    size_t count = s->metric_count;
    char name[300];
    const char **metrics = s->metrics;
    bool several = s->seeds_max > 1;
    if (count) {
        fprintf(out,
                "<h2 id=\"numbers\">Numbers</h2>\n<details%s><summary>Every final figure, setting by "
                "setting</summary>\n<p class=\"soft\">On the test set. ",
                s->records.single ? " open" : "");
        write_protocol(out, s);
        fprintf(
            out,
            "%sThe chance level of an NMI is that of the same assignment against permuted labels. On paper the first "
            "ten figures; all are in figures/settings.csv.</p>\n",
            several ? "Mean ± standard deviation over seeds. " : "");
        fputs("<div class=\"scroll numbers\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">setting</th>", out);
        if (several) write_heading(out, "seeds", "runs over which the mean is taken", true);
        for (size_t m = 0; m < count; m++) write_heading(out, study_metric_title(metrics[m]), metrics[m], true);
        fputs("</tr></thead>\n<tbody>\n", out);
        for (size_t b = 0; b < s->count; b++)
            for (size_t k = 0; k < s->blocks[b].count; k++) {
                const study_series *series = &s->blocks[b].series[k];
                name_series(&s->blocks[b], series, name, sizeof name);
                fprintf(out, "<tr class=\"group\"><th colspan=\"%zu\" scope=\"rowgroup\">", count + 1 + several);
                page_text(out, name);
                fputs("</th></tr>\n", out);
                for (size_t i = 0; i < series->count; i++)
                    write_point(out, &s->blocks[b], &series->points[i], metrics, count, several);
            }
        close_table(out);
        fputs("</details>\n", out);
    }
}

/* ---- runs and settings ------------------------------------------------------------------------------------------ */

static void write_sentences(FILE *out, const study *s) {
    char setting[200];
    fputs("<details><summary>What each verdict says</summary>\n<ul class=\"blocks soft\">\n", out);
    for (size_t b = 0; b < s->count; b++)
        for (size_t k = 0; k < s->blocks[b].count; k++)
            for (size_t i = 0; i < s->blocks[b].series[k].count; i++) {
                const study_point *p = &s->blocks[b].series[k].points[i];
                for (const char *const *mode = study_modes; *mode; mode++) {
                    const json_t *verdict = record_verdict(p->records[0], *mode);
                    const char *sentence = json_string_value(json_object_get(verdict, "sentence"));
                    const char *name = json_string_value(json_object_get(verdict, "verdict"));
                    if (!sentence || !name || strcmp(name, "healthy") == 0) continue;
                    fputs("<li>", out);
                    page_text(out, s->blocks[b].name);
                    fputs(", ", out);
                    page_text(out, study_setting(&s->blocks[b], p, setting, sizeof setting));
                    fprintf(out, ", <b>%s</b>: ", *mode);
                    page_text(out, sentence);
                    fputs("</li>\n", out);
                }
            }
    fputs("</ul>\n<p class=\"soft\">Of the first seed of each setting; healthy ones are left out.</p></details>\n",
          out);
}

void page_runs(FILE *out, const study *s) {
    static const char *const phases[] = {"train", "eval"};
    const char *primary = study_primary(&s->records);
    char text[64];
    size_t count = s->run_count;
    fprintf(out, "<h2 id=\"runs\">Runs</h2>\n<details><summary>Every run with its verdicts (%zu)</summary>\n", count);
    open_table(out, "");
    fputs("<thead><tr><th scope=\"col\" class=\"n\">no.</th><th scope=\"col\">run</th>", out);
    write_heading(out, "seed", "train.seed", true);
    write_heading(out, study_metric_title(primary), primary, true);
    for (const char *const *mode = study_modes; *mode; mode++) fprintf(out, "<th scope=\"col\">%s</th>", *mode);
    fputs(
        "<th scope=\"col\" class=\"n\">training, s</th><th scope=\"col\" class=\"n\">evaluation, s</th></tr></thead>\n"
        "<tbody>\n",
        out);
    for (size_t i = 0; i < count; i++) {
        const record *r = s->runs[i];
        fprintf(out, "<tr><td class=\"n\">%zu</td><th scope=\"row\">", i + 1);
        page_text(out, r->id);
        fputs("</th><td class=\"n\">", out);
        page_text(out, record_text(r, "train.seed", text, sizeof text));
        fprintf(out, "</td><td class=\"n\">%s</td>",
                study_format(primary, record_metric(r, primary), text, sizeof text));
        for (const char *const *mode = study_modes; *mode; mode++) {
            int verdict = study_run_verdict(r, *mode);
            fprintf(out, "<td class=\"%s\"><span aria-hidden=\"true\">%s</span> %s</td>", study_verdict_names[verdict],
                    signs[verdict], study_verdict_names[verdict]);
        }
        for (int p = 0; p < 2; p++)
            fprintf(out, "<td class=\"n\">%s</td>", study_format("", record_seconds(r, phases[p]), text, sizeof text));
        fputs("</tr>\n", out);
    }
    close_table(out);
    fputs("</details>\n", out);
    write_sentences(out, s);
}

/* Whether the finished runs that have the key agree on it. */
static bool all_agree(const study *s, const char *key) {
    char first[256] = "", value[256];
    for (size_t i = 0; i < s->records.count; i++) {
        if (!s->records.items[i].finished || !*record_text(&s->records.items[i], key, value, sizeof value)) continue;
        if (!*first) memcpy(first, value, sizeof first);
        if (strcmp(first, value) != 0) return false;
    }
    return true;
}

static void write_settings(FILE *out, const study *s, bool common) {
    char values[600];
    open_table(out, "");
    fprintf(out, "<thead><tr><th scope=\"col\">key</th><th scope=\"col\">value%s</th></tr></thead>\n<tbody>\n",
            common ? "" : "s");
    for (size_t i = 0; i < s->key_count; i++) {
        if (all_agree(s, s->keys[i]) != common) continue;
        fputs("<tr><th scope=\"row\"><code>", out);
        page_text(out, s->keys[i]);
        fputs("</code></th><td class=\"wrap\">", out);
        page_text(out, page_values(s, s->keys[i], values, sizeof values));
        fputs("</td></tr>\n", out);
    }
    close_table(out);
}

void page_settings(FILE *out, const study *s) {
    size_t differing = 0;
    if (s->key_count) {
        fputs("<h2 id=\"settings\">Settings</h2>\n", out);
        for (size_t i = 0; i < s->key_count; i++) differing += !all_agree(s, s->keys[i]);
        if (differing) {
            fprintf(out, "<details><summary>What differs between runs (%zu keys)</summary>\n", differing);
            write_settings(out, s, false);
            fputs("</details>\n", out);
        }
        fprintf(out, "<details><summary>What all runs that have the key share (%zu keys)</summary>\n",
                s->key_count - differing);
        write_settings(out, s, true);
        fputs("</details>\n", out);
    }
}
