/*
 * The page in words. A newcomer reads the heading and the cards and has the result: what is wrong, what it means, what
 * usually causes it and what to try. Whoever doubts it reads on: the statistic beside its null and thresholds, the
 * figures, every number.
 */
#include "analysis/report/pages/exhibit_page.h"
#include "analysis/report/pages/exhibit_figures.h"
#include "analysis/report/pages/exhibit_series.h"
#include "analysis/report/pages/page.h"
#include "analysis/verdicts/landmarks.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const signs[] = {"?", "●", "▲", "✕"}; /* by verdict */

static const char *const modes[COLLAPSE_MODES] = {
    [COLLAPSE_REPRESENTATION] = "all inputs at one point",
    [COLLAPSE_DIMENSIONAL] = "the embeddings fill only a subspace",
    [COLLAPSE_CLUSTER] = "codes that no input uses",
    [COLLAPSE_INTRACLUSTER] = "nothing left inside clusters",
};

/* What a verdict rests on, and what it is expected to be under the null. */
static const struct statistic {
    const char *name, *title, *null;
} statistics[] = {
    {"contrast", "How far two rows lie apart beside their size", "independent directions"},
    {"other_rows", "Rows that are no copy of the most frequent one", "rows that differ"},
    {"variance_kept", "Variance kept of the reference's", "the reference"},
    {"variance_share_kept", "Share of variance, in multiples of the untrained network's", "no common offset"},
    {"effective_rank_share", "Effective rank, as a share of what is possible", "all directions alike"},
    {"effective_rank_kept", "Effective rank kept of the reference's", "the reference"},
    {"rank_kept", "Rank, in multiples of the untrained network's", "the untrained network"},
    {"rank_kept_of_best", "Rank kept of the best epoch's", "the best epoch"},
    {"codes_alive_share", "Codes that may be alive, as a share of all", "all of them"},
    {"even_share", "Codes in even use, as a share of what is expected", "equally likely codes"},
    {"codes_gained", "Codes in even use, in multiples of the untrained network's", "equally likely codes"},
    {"information_share", "What an assignment tells of its row, as a share", "equally likely codes"},
    {"within_share", "Variance inside clusters, as a share of all", "a cloud without clusters"},
    {"rows_outside_points", "Rows that have not fallen into points", "a cloud without points"},
};

static struct statistic statistic_of(const char *name) {
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++)
        if (strcmp(statistics[i].name, name) == 0) return statistics[i];
    return (struct statistic){name, name, "expected"};
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static verdict verdict_of(const json_t *v) {
    for (int i = VERDICT_HEALTHY; i <= VERDICT_COLLAPSED; i++)
        if (strcmp(text_of(v, "verdict"), verdict_name((verdict)i)) == 0) return (verdict)i;
    return VERDICT_UNKNOWN;
}

/* ---- summary ----------------------------------------------------------------------------------------------------- */

char *exhibit_summary(const exhibit *e, char *out, size_t size) {
    static const struct {
        verdict verdict;
        const char *word;
    } parts[] = {{VERDICT_COLLAPSED, "Collapsed"}, {VERDICT_WARNING, "Warning"}, {VERDICT_UNKNOWN, "Not judged"}};
    size_t used = 0;
    *out = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        size_t said = 0;
        if (k == 2 && !used) used += (size_t)snprintf(out, size, "No collapse was found. ");
        for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
            if (verdict_of(exhibit_verdict(e, (collapse_mode)mode)) != parts[k].verdict || used >= size) continue;
            used += (size_t)snprintf(out + used, size - used, "%s%s%s", said ? "" : parts[k].word, said ? ", " : ": ",
                                     collapse_mode_name((collapse_mode)mode));
            said++;
        }
        if (said && used < size) used += (size_t)snprintf(out + used, size - used, ". ");
    }
    for (size_t length = strlen(out); length && out[length - 1] == ' ';) out[--length] = 0;
    return out;
}

/* ---- cards ------------------------------------------------------------------------------------------------------- */

enum { GAUGE_WIDTH = 300, GAUGE_TOP = 20, GAUGE_HEIGHT = 14 };

static double at(double share) { return GAUGE_WIDTH * (isnan(share) ? 0 : share); }

/* The statistic on its scale: three zones of one width up to the null, a needle, the interval as a bar. */
static void write_gauge(FILE *out, const json_t *v) {
    static const char *const zones[] = {"c", "w", "h"};
    static const char *const names[] = {"collapsed", "warning", "healthy"};
    double statistic = number(v, "statistic"), low = number(v, "low"), high = number(v, "high");
    double collapsed = number(v, "threshold_collapsed"), warning = number(v, "threshold_warning");
    double expected = number(v, "expected"), needle = at(collapse_gauge(statistic, collapsed, warning, expected));
    if (!isfinite(statistic) || !(collapsed > 0)) return; /* by this rule nothing is called collapsed */
    fprintf(out,
            "<svg class=\"gauge\" viewBox=\"-2 0 %d 50\" role=\"img\" aria-label=\"%.3g: collapsed below %.3g, a "
            "warning below %.3g\">\n",
            GAUGE_WIDTH + 4, statistic, collapsed, warning);
    for (int z = 0; z < 3; z++)
        fprintf(out,
                "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/><text class=\"zone\" x=\"%d\" "
                "y=\"11\" text-anchor=\"middle\">%s</text>\n",
                zones[z], z * GAUGE_WIDTH / 3, GAUGE_TOP, GAUGE_WIDTH / 3, GAUGE_HEIGHT,
                z * GAUGE_WIDTH / 3 + GAUGE_WIDTH / 6, names[z]);
    fprintf(out,
            "<text x=\"0\" y=\"47\">0</text><text x=\"%d\" y=\"47\" text-anchor=\"middle\">%.3g</text><text "
            "x=\"%d\" y=\"47\" text-anchor=\"middle\">%.3g</text>\n",
            GAUGE_WIDTH / 3, collapsed, 2 * GAUGE_WIDTH / 3, warning);
    if (isfinite(expected))
        fprintf(out, "<text x=\"%d\" y=\"47\" text-anchor=\"end\">%.3g</text>\n", GAUGE_WIDTH, expected);
    if (isfinite(low)) {
        double from = at(collapse_gauge(low, collapsed, warning, expected));
        double to = at(collapse_gauge(high, collapsed, warning, expected));
        fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke-width=\"3\"/>\n", from,
                fmax(to, from + 1), GAUGE_TOP + GAUGE_HEIGHT / 2, GAUGE_TOP + GAUGE_HEIGHT / 2);
    }
    fprintf(out,
            "<path d=\"M%.1f %d l-5 -7 h10 z\"/><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" "
            "stroke-width=\"1.5\"/>\n</svg>\n",
            needle, GAUGE_TOP + 3, needle, needle, GAUGE_TOP, GAUGE_TOP + GAUGE_HEIGHT);
}

/* A sentence with its causes and remedies in paragraphs of their own, where collapse.c gives them. */
static void write_advice(FILE *out, const char *sentence) {
    static const char *const starts[] = {"Usual ", "Try "};
    while (*sentence) {
        size_t end = strlen(sentence), bold = 0;
        for (size_t k = 0; k < 2; k++) {
            size_t length = strlen(starts[k]);
            if (strncmp(sentence, starts[k], length) == 0) bold = length;
            const char *next = strstr(sentence + 1, starts[k]);
            if (next && next[-1] == ' ' && (size_t)(next - sentence) < end) end = (size_t)(next - sentence);
        }
        char *part = strndup(sentence + bold, end - bold);
        fprintf(out, "<p>%s%.*s%s", bold ? "<b>" : "", (int)bold, sentence, bold ? "</b>" : "");
        if (part) page_text(out, part);
        fputs("</p>\n", out);
        free(part);
        sentence += end;
    }
}

static void write_card(FILE *out, const exhibit *e, collapse_mode mode) {
    const json_t *v = exhibit_verdict(e, mode);
    verdict verdict = verdict_of(v);
    const char *name = collapse_mode_name(mode);
    double statistic = number(v, "statistic"), low = number(v, "low"), onset = number(v, "onset");
    fprintf(out,
            "<section class=\"card %s\">\n<h3>%c%s collapse <span class=\"badge\"><span aria-hidden=\"true\">%s</span> "
            "%s</span></h3>\n<p class=\"soft\">%s</p>\n",
            verdict_name(verdict), name[0] - 'a' + 'A', name + 1, signs[verdict],
            verdict == VERDICT_UNKNOWN ? "not judged" : verdict_name(verdict), modes[mode]);
    write_advice(out, text_of(v, "sentence"));
    if (isfinite(onset)) fprintf(out, "<p><b>Since epoch %.0f</b> of the training.</p>\n", onset);
    if (isfinite(statistic) && verdict != VERDICT_UNKNOWN) {
        write_gauge(out, v);
        struct statistic of = statistic_of(text_of(v, "statistic_name"));
        fprintf(out, "<p class=\"soft\">%s: <b>%.3g</b>", of.title, statistic);
        if (isfinite(low)) fprintf(out, " (95 %% interval %.3g to %.3g)", low, number(v, "high"));
        if (isfinite(number(v, "expected"))) fprintf(out, "; %s: %.3g", of.null, number(v, "expected"));
        fputs(".</p>\n", out);
    }
    fputs("</section>\n", out);
}

static void write_cards(FILE *out, const exhibit *e) {
    fputs("<div class=\"cards\">\n", out);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) write_card(out, e, (collapse_mode)mode);
    fputs("</div>\n", out);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void write_grid(FILE *out, const exhibit *items, size_t count) {
    fputs("<div class=\"scroll\" tabindex=\"0\"><table class=\"grid\">\n<thead><tr><th scope=\"col\">file</th><th "
          "scope=\"col\" "
          "class=\"n\">rows</th><th scope=\"col\" class=\"n\">columns</th>",
          out);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        fprintf(out, "<th scope=\"col\">%s</th>", collapse_mode_name((collapse_mode)mode));
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<tr><th scope=\"row\"><a href=\"#file-%zu\">", i + 1);
        page_text(out, items[i].name);
        fprintf(out, "</a></th><td class=\"n\" data-of=\"rows\">%.0f</td><td class=\"n\" data-of=\"columns\">%.0f</td>",
                exhibit_figure(&items[i], "n"), exhibit_figure(&items[i], "d"));
        for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
            const json_t *v = exhibit_verdict(&items[i], (collapse_mode)mode);
            verdict verdict = verdict_of(v);
            fprintf(out, "<td class=\"%s\" data-of=\"%s\"><span><span aria-hidden=\"true\">%s</span> %s",
                    verdict_name(verdict), collapse_mode_name((collapse_mode)mode), signs[verdict],
                    verdict_name(verdict));
            if (verdict != VERDICT_UNKNOWN && isfinite(number(v, "statistic")))
                fprintf(out, " <span class=\"sd\">%.2g</span>", number(v, "statistic"));
            if (isfinite(number(v, "onset")))
                fprintf(out, " <span class=\"sd\">from epoch %.0f</span>", number(v, "onset"));
            fputs("</span></td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void write_number(FILE *out, double value) {
    if (isnan(value))
        fputs("–", out);
    else if (value == rint(value) && fabs(value) < 1e9)
        fprintf(out, "%.0f", value);
    else if (fabs(value) >= 0.001 && fabs(value) < 1e6)
        fprintf(out, "%.*f", fabs(value) >= 100 ? 1 : fabs(value) >= 10 ? 2 : 4, value);
    else
        fprintf(out, "%.2e", value);
}

static void write_merits(FILE *out, const exhibit *items, size_t count) {
    fputs("<h2 id=\"numbers\">Every number</h2>\n<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th "
          "scope=\"col\">figure</th>",
          out);
    for (size_t i = 0; i < count; i++) {
        fputs("<th scope=\"col\" class=\"n\">", out);
        page_text(out, count > 1 ? items[i].name : "value");
        fputs("</th>", out);
    }
    fputs("<th scope=\"col\">what it says</th></tr></thead>\n<tbody>\n", out);
    for (const exhibit_row *row = exhibit_rows; row->name; row++) {
        bool any = false;
        for (size_t i = 0; i < count; i++) any = any || isfinite(exhibit_figure(&items[i], row->name));
        if (!any) continue;
        fprintf(out, "<tr><th scope=\"row\">%s</th>", row->title);
        for (size_t i = 0; i < count; i++) {
            fputs("<td class=\"n\">", out);
            write_number(out, exhibit_figure(&items[i], row->name));
            fputs("</td>", out);
        }
        fprintf(out, "<td class=\"wrap soft\">%s</td></tr>\n", row->hint);
    }
    fputs("</tbody></table></div>\n", out);
}

/* The files' own rows first, then what they are to be read beside. */
static void write_landmarks(FILE *out, const exhibit *items, size_t count) {
    const json_t *list = json_object_get(items->figures, "landmarks");
    if (!list) return;
    fputs("<h2 id=\"landmarks\">Beside what one knows</h2>\n<ol class=\"soft\">\n", out);
    for (size_t k = 0; landmarks_sources[k]; k++) {
        fputs("<li>", out);
        page_text(out, landmarks_sources[k]);
        fputs("</li>\n", out);
    }
    fputs("</ol>\n<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">of</th><th scope=\"col\" "
          "class=\"n\">source</th>",
          out);
    for (int k = 0; k < LANDMARK_FIGURES; k++)
        fprintf(out, "<th scope=\"col\" class=\"n\">%s</th>", landmark_figures[k].title);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i + 1 < count + json_array_size(list); i++) {
        bool own = i < count;
        const json_t *row =
            json_array_get(own ? json_object_get(items[i].figures, "landmarks") : list, own ? 0 : i - count + 1);
        fputs("<tr><th scope=\"row\">", out);
        page_text(out, own ? items[i].name : text_of(row, "name"));
        fputs("</th><td class=\"n\">", out);
        for (size_t k = 0; landmarks_sources[k]; k++)
            if (strcmp(landmarks_sources[k], text_of(row, "source")) == 0) fprintf(out, "%zu", k + 1);
        fputs("</td>", out);
        for (int k = 0; k < LANDMARK_FIGURES; k++) {
            fputs("<td class=\"n\">", out);
            write_number(out, number(row, landmark_figures[k].key));
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static void write_lede(FILE *out, const exhibit *items, size_t count) {
    char summary[256];
    if (count > 1) {
        fprintf(
            out, "<p class=\"lede\">%zu sets of embeddings, judged by the same measures%s.</p>\n", count,
            exhibit_is_series(items, count)
                ? ", in the order of the number in their names; what is drawn file by file is drawn of the first, the "
                  "last and some between"
                : "");
        return;
    }
    if (*items->note) {
        fputs("<p class=\"lede\">", out);
        page_text(out, items->note);
        fputs(".</p>\n", out);
    }
    fprintf(out, "<p class=\"lede\">%.0f embeddings of %.0f dimensions. <b>%s</b></p>\n", exhibit_figure(items, "n"),
            exhibit_figure(items, "d"), exhibit_summary(items, summary, sizeof summary));
    double dropped = exhibit_figure(items, "rows_dropped");
    if (dropped > 0) fprintf(out, "<p class=\"note\">%.0f rows held NaN or infinity and were left out.</p>\n", dropped);
}

/* What a run was measured at, large: accuracies and agreement with the classes. */
static void write_final(FILE *out, const exhibit *e) {
    static const char *const metrics[] = {"linear", "knn", "prototype_ami", "kmeans_ami", "rankme", "rankme_backbone"};
    bool any = false;
    char text[32];
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        const json_t *value = json_object_get(e->final, metrics[m]);
        if (!json_is_number(value)) continue;
        fprintf(out, "%s<div><b>%s</b><span>%s</span></div>\n", any ? "" : "<div class=\"merits\">\n",
                study_format(metrics[m], json_number_value(value), text, sizeof text), study_metric_title(metrics[m]));
        any = true;
    }
    if (any) fputs("</div>\n", out);
}

static void write_details(FILE *out, const exhibit *items, size_t count) {
    char summary[256];
    fputs("<h2 id=\"files\">One by one</h2>\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<h3 id=\"file-%zu\">", i + 1);
        page_text(out, items[i].name);
        fputs("</h3>\n", out);
        if (*items[i].note) {
            fputs("<p class=\"soft\">", out);
            page_text(out, items[i].note);
            fputs(".</p>\n", out);
        }
        fprintf(out, "<p>%s</p>\n<details><summary>What each verdict says</summary>\n",
                exhibit_summary(&items[i], summary, sizeof summary));
        write_cards(out, &items[i]);
        fputs("</details>\n", out);
    }
}

bool exhibit_page_write(const char *path, exhibit *items, size_t count, const char *command, error *err) {
    figures drawn;
    file_writer page;
    bool series = exhibit_series_find(items, count);
    if (!series && count > EXHIBIT_SIDE_BY_SIDE)
        return error_set(
            err, ERROR_USAGE,
            "--html: %zu files are too many to tell apart on one page, at most %d; more are drawn as a series "
            "where their names differ in one number alone, as in epoch-1.npy, epoch-2.npy",
            count, EXHIBIT_SIDE_BY_SIDE);
    if (!exhibit_figures_draw(&drawn, items, count, err)) return false;
    file_remove_leftovers_of(path, true);
    bool ok = file_begin(&page, path, err);
    if (ok) {
        FILE *out = page.stream;
        page_open(out, count > 1 ? "Embeddings compared" : items[0].name, "diagnosis");
        write_lede(out, items, count);
        fputs("</header>\n<main>\n", out);
        if (count == 1) write_final(out, items);
        if (count > 1)
            write_grid(out, items, count);
        else
            write_cards(out, items);
        fputs("<h2 id=\"figures\">Figures</h2>\n", out);
        fprintf(out, "<div class=\"figures%s\">\n", count > 1 ? "" : " pairs");
        for (size_t i = 0; i < drawn.count; i++) page_figure(out, &drawn.items[i], i + 1, NULL);
        fputs("</div>\n", out);
        if (count > 1) write_details(out, items, count);
        write_merits(out, items, count);
        write_landmarks(out, items, count);
        fputs("</main>\n<footer><p>Made by</p><pre>", out);
        page_text(out, command);
        fputs("</pre></footer>\n</body>\n</html>\n", out);
        ok = file_commit(&page, err);
    }
    figures_free(&drawn);
    return ok;
}
