/*
 * The page's first part: what varied and what it did, key by key, with intervals; the settings that are worth their
 * time; what to run next.
 */
#include "analysis/report/cost.h"
#include "analysis/report/effects_words.h"
#include "analysis/report/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_own(FILE *out, char *text) {
    if (text) page_text(out, text);
    free(text);
}

/* ---- what varied ------------------------------------------------------------------------------------------------ */

static void write_varied(FILE *out, const block_effects *b) {
    const factors *f = &b->factors;
    fprintf(out, "<p><b>What varied.</b> ");
    for (size_t k = 0; k < f->factor_count; k++) {
        fprintf(out, "%s<code>", k ? "; " : "");
        page_text(out, f->items[k].key);
        fputs("</code>", out);
        if (*f->items[k].with) {
            fputs(" (and with it ", out);
            page_text(out, f->items[k].with);
            fputs(")", out);
        }
        fputs(", ", out);
        write_own(out, effects_varied(b, k));
    }
    fprintf(out, "%s %zu runs of %zu settings, %zu seed%s%s.</p>\n", f->factor_count ? "." : "Nothing but seeds.",
            f->count, f->settings, f->seeds, f->seeds == 1 ? "" : "s",
            b->block->scattered ? "; the settings fill no grid, so keys are judged as drawn at random" : "");
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void write_signed(FILE *out, const char *metric, double value) {
    char number[32];
    study_format(metric, fabs(value), number, sizeof number);
    bool nothing = strspn(number, "0.") == strlen(number);
    fprintf(out, "%s%s", nothing ? "" : value < 0 ? "−" : "+", number);
}

static void write_level(FILE *out, const block_effects *b, size_t k, size_t l) {
    const factor *f = &b->factors.items[k];
    fprintf(out, "<tr><th scope=\"row\"%s>", f->numeric && !f->ranges ? " class=\"n\"" : "");
    page_text(out, f->levels[l].label);
    fprintf(out, "</th><td class=\"n\">%zu</td>", f->levels[l].runs);
    for (size_t m = 0; m < b->metric_count; m++) {
        const effect *e = effects_at(b, m, k);
        const effect_level *level = NULL;
        char number[32];
        for (size_t i = 0; i < e->count; i++)
            if (e->levels[i].of == l) level = &e->levels[i];
        if (!level) {
            fputs("<td class=\"n\">–</td><td class=\"n\"></td>", out);
            continue;
        }
        bool best = level == &e->levels[e->best] && effect_matters(e);
        fprintf(out, "<td class=\"n\">%s%s%s</td><td class=\"n\">", best ? "<b>" : "",
                study_format(e->metric, level->mean, number, sizeof number), best ? "</b>" : "");
        if (level != e->levels) {
            write_signed(out, e->metric, level->difference);
            if (isfinite(level->half_width)) {
                fputs(" <span class=\"sd\">[", out);
                write_signed(out, e->metric, level->difference - level->half_width);
                fputs(", ", out);
                write_signed(out, e->metric, level->difference + level->half_width);
                fputs("]</span>", out);
            }
        }
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void write_table(FILE *out, const block_effects *b) {
    size_t columns = 2 + 2 * b->metric_count;
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">value</th><th scope=\"col\" "
          "class=\"n\">runs</th>",
          out);
    for (size_t m = 0; m < b->metric_count; m++) {
        fputs("<th scope=\"col\" class=\"n\">", out);
        page_text(out, study_metric_title(b->metrics[m]));
        fputs("</th><th scope=\"col\" class=\"n\">difference [95 %]</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t k = 0; k < b->factors.factor_count; k++) {
        fprintf(out, "<tr class=\"group\"><th colspan=\"%zu\" scope=\"rowgroup\">", columns);
        page_text(out, b->factors.items[k].key);
        fputs("</th></tr>\n", out);
        for (size_t l = 0; l < b->factors.items[k].count; l++) write_level(out, b, k, l);
    }
    fputs("</tbody></table></div>\n", out);
}

/* The keys in order of their p, the surest first; those without any last. */
static size_t next_key(const block_effects *b, const bool *said) {
    size_t best = b->factors.factor_count;
    for (size_t k = 0; k < b->factors.factor_count; k++) {
        double p = effects_at(b, 0, k)->p;
        if (said[k]) continue;
        if (best == b->factors.factor_count || p < effects_at(b, 0, best)->p || isnan(effects_at(b, 0, best)->p))
            best = k;
    }
    return best;
}

static void write_block(FILE *out, const block_effects *b, bool named) {
    bool said[64] = {false};
    if (named) {
        fputs("<h3>", out);
        page_text(out, b->block->name);
        fputs("</h3>\n", out);
    }
    write_varied(out, b);
    if (!b->factors.factor_count) return;
    fputs("<ul>\n", out);
    for (size_t k; (k = next_key(b, said)) < b->factors.factor_count; said[k] = true) {
        fputs("<li>", out);
        write_own(out, effects_sentence(b, k));
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
    write_table(out, b);
}

static void write_file(FILE *out, const char *figures_at, const char *name) {
    fputs("<a href=\"", out);
    page_text(out, figures_at);
    fprintf(out, "/%s\">%s</a>", name, name);
}

void page_effects(FILE *out, const page_parts *p) {
    if (p->study->records.single || !p->effects->count) return;
    fputs("<h2 id=\"effects\">What each key did</h2>\n", out);
    for (size_t b = 0; b < p->effects->count; b++) write_block(out, &p->effects->blocks[b], p->effects->count > 1);
    fputs(
        "<p class=\"soft\">Means at a key's values over the same settings of the other keys, and the difference from "
        "the key's first value. With several seeds each seed counts once, and the interval is what is left when each "
        "seed's own level is taken away (analysis of variance in blocks, error pooled over the key's values); p is "
        "corrected by Holm's method for the keys of a figure, not for the figures. Bold: the best value of a key that "
        "matters. The numbers: ",
        out);
    write_file(out, p->figures_at, "effects.csv");
    fputs(", ", out);
    write_file(out, p->figures_at, "settings.csv");
    fputs(", ", out);
    write_file(out, p->figures_at, "runs.csv");
    fputs(".</p>\n", out);
}

/* ---- worth their time ------------------------------------------------------------------------------------------- */

void page_front(FILE *out, const study *s) {
    cost c;
    error ignored = {0};
    char name[500], number[32];
    size_t front = 0;
    if (!cost_read(&c, s, &ignored)) return;
    for (size_t i = 0; i < c.count; i++) front += c.points[i].front;
    if (c.count > 2) {
        fputs("<h3>Accuracy for the time it takes</h3>\n", out);
        if (front > 8) fprintf(out, "<details><summary>The %zu settings on the front</summary>\n", front);
        fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th "
              "scope=\"col\">setting</th><th scope=\"col\" class=\"n\">training, s</th><th scope=\"col\" class=\"n\">",
              out);
        page_text(out, study_metric_title(c.metric));
        fputs("</th></tr></thead>\n<tbody>\n", out);
        for (size_t i = 0; i < c.count; i++) {
            if (!c.points[i].front) continue;
            fputs("<tr><th scope=\"row\">", out);
            page_text(out, cost_name(&c.points[i], s->count > 1, name, sizeof name));
            fprintf(out, "</th><td class=\"n\">%s</td>", study_format("", c.points[i].seconds, number, sizeof number));
            fprintf(out, "<td class=\"n\">%s</td></tr>\n",
                    study_format(c.metric, c.points[i].value, number, sizeof number));
        }
        fprintf(out, "</tbody></table></div>\n%s", front > 8 ? "</details>\n" : "");
        fprintf(out,
                "<p class=\"soft\">The settings that no other one beats in both (the Pareto "
                "front of %zu), by means over seeds; small differences of either are chance.%s</p>\n",
                c.count,
                c.comparable ? "" : " Runs differ in their threads or machine, so their seconds do not compare well.");
    }
    cost_free(&c);
}

/* ---- next ------------------------------------------------------------------------------------------------------- */

void page_advice(FILE *out, const advice *next) {
    fputs("<h2 id=\"next\">What to run next</h2>\n", out);
    if (!next->count) fputs("<p>Nothing that these numbers ask for.</p>\n", out);
    if (next->count) fputs("<ul>\n", out);
    for (size_t i = 0; i < next->count; i++) {
        fputs("<li>", out);
        page_text(out, next->items[i].text);
        if (next->items[i].command) {
            fputs("<pre>", out);
            page_text(out, next->items[i].command);
            fputs("</pre>", out);
        }
        fputs("</li>\n", out);
    }
    if (next->count) fputs("</ul>\n", out);
}
