/*
 * The page from top to bottom: what was run, what was found in words, verdicts, figures, tables, settings, and the runs
 * that did not finish. Words come first; a reader who stops there has read the result.
 */
#include "analysis/report/page.h"

#include <math.h>
#include <string.h>

void page_text(FILE *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default: fputc(*text, out);
        }
    }
}

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1c1e21;--soft:#5a6068;--paper:#fcfcfa;--card:#fff;--line:#d9dce0;--tint:#f1f3f5;"
    "--link:#0b5cad;--good:#e4f2ea;--warn:#fdf0d5;--bad:#fbe0d8}\n"
    "@media "
    "(prefers-color-scheme:dark){:root{--ink:#e6e7e9;--soft:#a3a9b1;--paper:#16181b;--card:#1e2125;--line:#383d44;"
    "--tint:#24282d;--link:#7db8f0;--good:#1d3a2a;--warn:#453613;--bad:#4d2418}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem clamp(.9rem,3vw,2.5rem) 4rem;max-width:76rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.55 system-ui,\"Segoe UI\",Roboto,\"DejaVu "
    "Sans\",sans-serif;overflow-wrap:break-word}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 .4rem}\n"
    "h2{font-size:1.3rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.6rem 0 .4rem}\n"
    "h4{font-size:1rem;margin:.9rem 0 .2rem;font-weight:600}\n"
    "p,li,dd{max-width:48rem}p{margin:.5rem 0}ul{margin:.3rem 0;padding-left:1.2rem}li{margin:.25rem 0}\n"
    "a{color:var(--link)}code,pre{font:.9em/1.5 ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    "pre{background:var(--tint);padding:.7rem .9rem;border-radius:6px;overflow-x:auto}\n"
    ".short dt{font-weight:600;margin-top:.7rem}.short dd{margin:0}\n"
    ".lede,.soft{color:var(--soft)}.soft{font-size:.92rem}\n"
    ".note{border-left:4px solid #d55e00;padding:.3rem .9rem;background:var(--tint)}\n"
    ".paper{border-left:4px solid var(--link);padding:.1rem 1rem .3rem;margin:.8rem 0;background:var(--tint)}\n"
    "figure{margin:1.2rem 0 2rem}\n"
    "figcaption{color:var(--soft);font-size:.92rem;max-width:52rem;margin-top:.4rem}"
    "figcaption b{color:var(--ink)}\n"
    ".panels{display:grid;gap:.6rem 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));"
    "background:#fff;border:1px solid var(--line);border-radius:8px;padding:.7rem}\n"
    ".panels svg{width:100%;height:auto;max-width:34rem;display:block}\n"
    ".pairs{grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}\n"
    ".heat{grid-template-columns:repeat(var(--columns),minmax(12.5rem,21rem));overflow-x:auto}\n"
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.6rem 0;background:var(--card)}\n"
    "table{border-collapse:collapse;font-size:.9rem;min-width:100%;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;padding:.5rem .8rem;font-weight:600}\n"
    "th,td{padding:.32rem .8rem;border-top:1px solid "
    "var(--line);text-align:left;white-space:nowrap;vertical-align:top}\n"
    "thead th{background:var(--tint);vertical-align:bottom;white-space:normal;font-weight:600;min-width:5.2rem}\n"
    "td.n,th.n{text-align:right}td .sd{color:var(--soft);font-size:.88em}td.wrap{white-space:normal;min-width:16rem}\n"
    "td.healthy{background:var(--good)}td.warning{background:var(--warn)}td.collapsed{background:var(--bad);"
    "font-weight:600}\n"
    "tr.group th{background:var(--tint)}\n"
    "details{margin:.6rem 0}summary{cursor:pointer}\n"
    "footer{margin-top:3rem;color:var(--soft);font-size:.9rem;border-top:1px solid var(--line);padding-top:.8rem}\n"
    "@media "
    "print{:root{--ink:#000;--soft:#333;--paper:#fff;--card:#fff;--line:#999;--tint:#f3f3f3;--link:#000;--good:#fff;"
    "--warn:#fff;--bad:#eee}body{font-size:10pt;max-width:none;padding:0}figure,table,.paper{break-inside:avoid}"
    "h2,h3,h4{break-after:avoid}.scroll,.heat{overflow:visible}.panels{grid-template-columns:repeat(3,1fr)}.pairs{grid-"
    "template-columns:repeat(2,1fr)}"
    ".pairs{grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}\n"
    ".heat{grid-template-columns:repeat(var(--columns),1fr)}table{font-size:8pt}th,td{padding:.15rem .35rem}"
    "thead th{min-width:0}}\n";

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
        if (processor)
            snprintf(out, size, "%s, %d cores", processor, (int)json_integer_value(json_object_get(machine, "cores")));
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
    size_t missing = s->records.count - s->finished + s->records.unreadable_count;
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
    fputs("<h2 id=\"found\">What was found</h2>\n", out);
    if (!s->finished) {
        fputs("<p>Nothing yet: no run has finished.</p>\n", out);
        return;
    }
    fputs("<dl class=\"short\">\n", out);
    for (size_t i = 0; i < found->count; i++) {
        fputs("<dt>", out);
        page_text(out, found->items[i].title);
        fputs("</dt><dd>", out);
        page_text(out, found->items[i].summary);
        fputs("</dd>\n", out);
    }
    fputs("</dl>\n<p class=\"soft\"><b>On what evidence.</b> ", out);
    page_text(out, found->evidence);
    fputs("</p>\n", out);
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i].count) write_finding(out, &found->items[i]);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void write_figure(FILE *out, const figure *f, size_t number, const char *figures_at) {
    fprintf(out, "<figure id=\"figure-%zu\">\n<div class=\"panels%s\"", number,
            f->heat                           ? " heat"
            : f->columns == 2 || f->count < 3 ? " pairs"
                                              : "");
    if (f->heat) fprintf(out, " style=\"--columns:%d\" tabindex=\"0\"", f->columns);
    fputs(">\n", out);
    for (size_t i = 0; i < f->count; i++) fputs(f->svgs[i], out); /* made by plot.c, escaped there */
    fprintf(out, "</div>\n<figcaption><b>Figure %zu. ", number);
    page_text(out, f->title);
    fputs(".</b> ", out);
    page_text(out, f->caption);
    fputs(" <span class=\"files\">Files: ", out);
    static const char *const kinds[] = {"svg", "png", "csv"};
    for (int k = 0; k < (f->heat ? 2 : 3); k++) {
        fprintf(out, "%s<a href=\"", k ? ", " : "");
        page_text(out, figures_at);
        fputc('/', out);
        page_text(out, f->name);
        fprintf(out, ".%s\">%s</a>", kinds[k], kinds[k]);
    }
    fputs(".</span></figcaption>\n</figure>\n", out);
}

static void write_figures(FILE *out, const figures *drawn, const char *figures_at) {
    const char *block = "";
    if (!drawn->count) return;
    fputs("<h2 id=\"figures\">Figures</h2>\n", out);
    for (size_t i = 0; i < drawn->count; i++) {
        if (strcmp(block, drawn->items[i].block) != 0) {
            block = drawn->items[i].block;
            fputs("<h3>", out);
            page_text(out, block);
            fputs("</h3>\n", out);
        }
        write_figure(out, &drawn->items[i], i + 1, figures_at);
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
    fputs("<h3>To reproduce</h3>\n<p>Every run holds its resolved spec, which alone decides its bits for a number of "
          "threads. One run again, the measurements of one, and this page:</p>\n<pre>",
          out);
    if (*page_values(s, "command", command, sizeof command)) page_text(out, command), fputc('\n', out);
    write_command(out, "mews train", folder, s->records.single ? "/spec.yaml" : "/RUN/spec.yaml");
    write_command(out, "mews eval", folder, s->records.single ? "" : "/RUN");
    write_command(out, "mews report", folder, "");
    fputs("</pre>\n", out);
}

static void write_unfinished(FILE *out, const study *s) {
    char setting[64];
    if (s->finished == s->records.count && !s->records.unreadable_count) return;
    fputs("<h2 id=\"unfinished\">Runs that did not finish</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th "
          "scope=\"col\">run</th><th scope=\"col\">status</th><th scope=\"col\">reason</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < s->records.count; i++) {
        const record *r = &s->records.items[i];
        if (r->finished) continue;
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

void page_write(FILE *out, const study *s, const findings *found, const figures *drawn, const char *folder,
                const char *figures_at) {
    char text[600];
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width, initial-scale=1\">\n<title>",
          out);
    page_text(out, s->name);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>", style);
    page_text(out, s->name);
    fputs("</h1>\n", out);
    write_lede(out, s);
    fputs("</header>\n<main>\n", out);
    write_findings(out, s, found);
    if (s->finished) {
        page_verdicts(out, s);
        write_figures(out, drawn, figures_at);
        page_figures_of_merit(out, s);
        page_runs(out, s);
        page_settings(out, s);
    }
    write_unfinished(out, s);
    write_commands(out, s, folder);
    fputs("</main>\n<footer>Made by <code>mews report</code>", out);
    write_part(out, "; runs by mews ", page_values(s, "version", text, sizeof text), "");
    fputs(".</footer>\n</body>\n</html>\n", out);
}
