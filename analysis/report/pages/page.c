/*
 * The page from top to bottom: what was run, the table of verdicts beside the figure that shows most, what was found in
 * words, what to run next, what each key did; then, folded, the other figures, every number, every run and the
 * settings. A reader who stops after the first screen has seen the result.
 */
#include "analysis/report/pages/page.h"

#include <math.h>
#include <string.h>

/* ---- what was run ----------------------------------------------------------------------------------------------- */

char *page_values(const study *s, const char *key, char *out, size_t size) {
    enum { SHOWN = 6 };
    char seen[SHOWN][128], value[128];
    size_t count = 0, more = 0;
    for (size_t i = 0; i < s->records.count; i++) {
        if (!s->records.items[i].finished || !*record_text(&s->records.items[i], key, value, sizeof value)) continue;
        bool known = false;
        for (size_t k = 0; k < count && !known; k++) known = strcmp(seen[k], value) == 0;
        if (known) continue;
        if (count < SHOWN)
            memcpy(seen[count++], value, sizeof value);
        else
            more = 1;
    }
    size_t used = 0;
    *out = 0;
    for (size_t k = 0; k < count && used < size; k++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", k ? ", " : "", seen[k]);
    if (more && used < size) snprintf(out + used, size - used, " and others");
    return out;
}

static void describe_machine(const study *s, char *out, size_t size) {
    for (size_t i = 0; i < s->records.count; i++) {
        const json_t *machine = json_object_get(s->records.items[i].run, "machine");
        const char *processor = json_string_value(json_object_get(machine, "processor"));
        *out = 0;
        int cores = (int)json_integer_value(json_object_get(machine, "cores"));
        if (processor)
            snprintf(out, size, "%s, %d core%s", processor, cores, cores == 1 ? "" : "s");
        else if (json_is_string(machine))
            snprintf(out, size, "%s", json_string_value(machine));
        if (*out) return;
    }
}

static double total_seconds(const study *s) {
    double total = 0;
    for (size_t i = 0; i < s->records.count; i++) {
        const char *phase;
        json_t *seconds;
        json_object_foreach(json_object_get(s->records.items[i].run, "seconds"), phase, seconds) {
            if (json_is_number(seconds)) total += json_number_value(seconds);
        }
    }
    return total;
}

static void write_duration(FILE *out, double seconds) {
    if (seconds < 100)
        fprintf(out, "%.0f s", seconds);
    else if (seconds < 5400)
        fprintf(out, "%.0f min", seconds / 60);
    else
        fprintf(out, "%.0f h %02.0f min", floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
}

static void write_part(FILE *out, const char *before, const char *text, const char *after) {
    if (!*text) return;
    fputs(before, out);
    page_text(out, text);
    fputs(after, out);
}

static void write_lede(FILE *out, const study *s) {
    char text[600];
    fprintf(out, "<p class=\"lede\">%zu run%s", s->finished, s->finished == 1 ? "" : "s");
    write_part(out, " of ", page_values(s, "method.name", text, sizeof text), "");
    write_part(out, " on ", page_values(s, "data.name", text, sizeof text), "");
    write_part(out, ", backbone ", page_values(s, "backbone.name", text, sizeof text), "");
    write_part(out, " of width ", page_values(s, "backbone.width", text, sizeof text), "");
    page_values(s, "train.epochs", text, sizeof text);
    write_part(out, ", ", text, strcmp(text, "1") == 0 ? " epoch" : " epochs");
    if (s->seeds_min == s->seeds_max)
        fprintf(out, ", %zu seed%s a setting", s->seeds_max, s->seeds_max == 1 ? "" : "s");
    else
        fprintf(out, ", %zu to %zu seeds a setting", s->seeds_min, s->seeds_max);
    describe_machine(s, text, sizeof text);
    write_part(out, ". ", text, "");
    page_values(s, "threads", text, sizeof text);
    write_part(out, ", ", text, strcmp(text, "1") == 0 ? " thread a run" : " threads a run");
    fputs("; ", out);
    write_duration(out, total_seconds(s));
    fputs(" of computing in all.", out);
    write_part(out, " mews ", page_values(s, "version", text, sizeof text), ".");
    fputs("</p>\n", out);
    size_t missing = s->records.count - s->finished - s->halved + s->records.left_out;
    if (s->halved)
        fprintf(out,
                "<p class=\"note\">%zu run%s stopped early, since other settings did better: see <a "
                "href=\"#halving\">below</a>.</p>\n",
                s->halved, s->halved == 1 ? " was" : "s were");
    if (missing)
        fprintf(out,
                "<p class=\"note\">%zu run%s did not finish and %s missing from what follows: see <a "
                "href=\"#unfinished\">below</a>.</p>\n",
                missing, missing == 1 ? "" : "s", missing == 1 ? "is" : "are");
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static void write_finding(FILE *out, const finding *f) {
    bool open = false, paper = false;
    fputs("<section>\n<h3>", out);
    page_text(out, f->title);
    fputs("</h3>\n", out);
    for (size_t i = 0; i < f->count; i++) {
        if (open && f->on_paper[i] && !paper) fputs("</ul>\n", out), open = false;
        if (!paper && f->on_paper[i])
            fputs("<div class=\"paper\"><h4>Beside the paper (arXiv 2410.04959)</h4>\n", out), paper = true;
        if (!open) fputs("<ul>\n", out), open = true;
        fputs("<li>", out);
        page_text(out, f->sentences[i]);
        fputs("</li>\n", out);
    }
    if (open) fputs("</ul>\n", out);
    if (paper) fputs("</div>\n", out);
    fputs("</section>\n", out);
}

static void write_findings(FILE *out, const study *s, const findings *found) {
    enum { MOST_SHORT = 12 };
    fputs("<h2 id=\"found\">What was found</h2>\n", out);
    if (!s->finished) {
        fputs("<p>Nothing yet: no run has finished.</p>\n", out);
        return;
    }
    fputs("<dl class=\"short\">\n", out);
    for (size_t i = 0; i < found->count && i < MOST_SHORT; i++) {
        fputs("<div><dt>", out);
        page_text(out, found->items[i].title);
        fputs("</dt><dd>", out);
        page_text(out, found->items[i].summary);
        fputs("</dd></div>\n", out);
    }
    fprintf(out,
            "</dl>\n<details><summary>All that was found, series by series (%zu), and on what evidence</summary>\n",
            found->count);
    fputs("<p class=\"soft\">", out);
    page_text(out, found->evidence);
    fputs("</p>\n<div class=\"blocks\">\n", out);
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i].count) write_finding(out, &found->items[i]);
    fputs("</div>\n</details>\n", out);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void write_files(FILE *out, const figure *f, const char *figures_at) {
    static const char *const kinds[] = {"svg", "pdf", "png", "csv"};
    fputs(" <span class=\"files\">Files: ", out);
    for (int k = 0; k < (f->heat ? 3 : 4); k++) {
        fprintf(out, "%s<a href=\"", k ? ", " : "");
        page_text(out, figures_at);
        fputc('/', out);
        page_text(out, f->name);
        fprintf(out, ".%s\">%s</a>", kinds[k], kinds[k]);
    }
    fputs(".</span>", out);
}

void page_figure(FILE *out, const figure *f, size_t number, const char *figures_at) {
    fprintf(out, "<figure id=\"figure-%zu\" data-name=\"%s\">\n<div class=\"groups%s\">\n", number, f->name,
            f->heat ? " heat" : "");
    const plot_pictures *pictures = &f->pictures;
    for (size_t i = 0; i < pictures->count; i++) {
        if (pictures->starts[i]) {
            fprintf(out, "%s<div class=\"group\">", i ? "</div></div>\n" : "");
            if (pictures->headings[i]) fputs(pictures->headings[i], out);
            fputs("<div class=\"panels\">\n", out);
        }
        fputs(pictures->svgs[i], out); /* made by plot_draw.c, escaped there */
    }
    fprintf(out, "</div></div>\n</div>\n<figcaption><b>Figure %zu. ", number);
    page_text(out, f->title);
    fputs(".</b> ", out);
    page_text(out, f->caption);
    if (figures_at) write_files(out, f, figures_at);
    fputs("</figcaption>\n</figure>\n", out);
}

void page_named_figure(FILE *out, const page_parts *p, const char *name) {
    for (size_t i = 0; i < p->drawn->count; i++)
        if (strcmp(p->drawn->items[i].name, name) == 0) page_figure(out, &p->drawn->items[i], i + 1, p->figures_at);
}

static bool has_figure(const page_parts *p, const char *name) {
    for (size_t i = 0; i < p->drawn->count; i++)
        if (strcmp(p->drawn->items[i].name, name) == 0) return true;
    return false;
}

/* Whether a figure has its place among what the page begins with. */
static bool stands_apart(const figure *f) {
    static const char *const apart[] = {"map", "overview", "effects", NULL};
    for (const char *const *name = apart; *name; name++)
        if (strcmp(f->name, *name) == 0) return true;
    return false;
}

static bool has_figures(const page_parts *p) {
    for (size_t i = 0; i < p->drawn->count; i++)
        if (!stands_apart(&p->drawn->items[i])) return true;
    return false;
}

static void write_figures(FILE *out, const page_parts *p) {
    const study *s = p->study;
    bool any = false;
    for (size_t i = 0; i < p->drawn->count; i++) {
        const figure *f = &p->drawn->items[i];
        if (stands_apart(f)) continue;
        if (!any) {
            fputs("<h2 id=\"figures\">Figures</h2>\n<p class=\"soft\">Colours mean the same in all of them. ", out);
            if (s->seeds_max > 1)
                fprintf(out, "Lines are means, bands run from the smallest to the largest of up to %zu seeds.",
                        s->seeds_max);
            else
                fputs("One seed a setting: there are no bands, and small differences mean nothing.", out);
            fputs("</p>\n", out);
            any = true;
        }
        bool folded = f->folded && !s->records.single;
        if (folded) {
            fputs("<details class=\"drawn\"><summary>", out);
            page_text(out, f->title);
            fputs("</summary>\n", out);
        }
        page_figure(out, f, i + 1, p->figures_at);
        if (folded) fputs("</details>\n", out);
    }
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static void write_command(FILE *out, const char *command, const char *folder, const char *rest) {
    fprintf(out, "%s ", command);
    page_text(out, folder);
    page_text(out, rest);
    fputc('\n', out);
}

static void write_commands(FILE *out, const study *s, const char *folder) {
    char command[600];
    fputs("<h2 id=\"reproduce\">To reproduce</h2>\n<p>Every run holds its resolved spec, which alone decides its bits "
          "for a number of "
          "threads. One run again elsewhere, the measurements of one, and this page:</p>\n<pre>",
          out);
    if (*page_values(s, "command", command, sizeof command)) page_text(out, command), fputc('\n', out);
    write_command(out, "mews train", folder,
                  s->records.single ? "/spec.yaml --out again" : "/RUN/spec.yaml --out again");
    write_command(out, "mews eval", folder, s->records.single ? "" : "/RUN");
    write_command(out, "mews report", folder, "");
    fputs("</pre>\n", out);
}

static void write_unfinished(FILE *out, const study *s) {
    char setting[64];
    if (s->finished + s->halved == s->records.count && !s->records.unreadable_count) return;
    fprintf(out,
            "<h2 id=\"unfinished\">Runs that did not finish%s</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th "
            "scope=\"col\">run</th><th scope=\"col\">status</th><th scope=\"col\">reason</th></tr></thead>\n<tbody>\n",
            s->records.unreadable_count ? ", and files that cannot be read" : "");
    for (size_t i = 0; i < s->records.count; i++) {
        const record *r = &s->records.items[i];
        if (r->finished || r->halved) continue;
        fputs("<tr><td>", out);
        page_text(out, r->id);
        fputs("</td><td>", out);
        page_text(out, *r->status ? r->status : "unknown");
        fputs("</td><td class=\"wrap\">", out);
        page_text(out, *r->reason ? r->reason : record_text(r, "error", setting, sizeof setting));
        fputs("</td></tr>\n", out);
    }
    for (size_t i = 0; i < s->records.unreadable_count; i++) {
        fputs("<tr><td>–</td><td>unreadable</td><td class=\"wrap\">", out);
        page_text(out, s->records.unreadable[i]);
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* Links to what is there. */
static void write_contents(FILE *out, const page_parts *p) {
    const study *s = p->study;
    bool several = !s->records.single && p->effects->count > 0;
    const struct {
        const char *at, *name;
        bool there;
    } parts[] = {{"verdicts", "The four collapses", s->finished > 0},
                 {"found", "What was found", true},
                 {"next", "What to run next", true},
                 {"effects", "What each key did", several},
                 {"figures", "Figures", has_figures(p)},
                 {"numbers", "Numbers", s->finished > 0},
                 {"runs", "Runs", s->finished > 0},
                 {"settings", "Settings", s->finished > 0},
                 {"halving", "Stopped early", s->halved > 0},
                 {"unfinished", "Runs that did not finish",
                  s->finished + s->halved < s->records.count || s->records.unreadable_count},
                 {"reproduce", "To reproduce", true}};
    fputs("<nav aria-label=\"Contents\">", out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].there) fprintf(out, "<a href=\"#%s\">%s</a>\n", parts[i].at, parts[i].name);
    fputs("</nav>\n", out);
}

void page_write(FILE *out, const page_parts *p) {
    const study *s = p->study;
    char text[600];
    page_open(out, s->name, "");
    write_lede(out, s);
    write_contents(out, p);
    fputs("</header>\n<main>\n", out);
    if (has_figure(p, "map")) { /* which settings collapse is what such a study asks */
        fputs("<div class=\"first\">\n", out);
        page_named_figure(out, p, "map");
        fputs("</div>\n", out);
    }
    if (s->finished) {
        fprintf(out, "<div class=\"first%s\">\n<div>\n", has_figure(p, "overview") ? " beside" : "");
        page_verdicts(out, s);
        fputs("</div>\n<div>\n", out);
        page_named_figure(out, p, "overview");
        fputs("</div>\n</div>\n", out);
    }
    write_findings(out, s, p->found);
    page_advice(out, p->next);
    page_effects(out, p);
    if (s->finished) {
        write_figures(out, p);
        page_figures_of_merit(out, s);
        page_runs(out, s);
        page_settings(out, s);
    }
    page_halving(out, s);
    write_unfinished(out, s);
    write_commands(out, s, p->folder);
    fputs("</main>\n<footer>Made by <code>mews report</code>", out);
    write_part(out, "; runs by mews ", page_values(s, "version", text, sizeof text), "");
    fputs(".</footer>\n</body>\n</html>\n", out);
}
