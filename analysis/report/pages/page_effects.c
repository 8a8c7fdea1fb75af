/*
 * What varied and what it did, key by key, with intervals; what to run next.
 */
#include "analysis/report/study/effects_words.h"
#include "analysis/report/pages/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        words varied = {""};
        effects_say_varied(&varied, b, k);
        page_text(out, varied.text);
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

/* The figures of all blocks, each once: the table's columns. */
enum { MOST_COLUMNS = 8 };

typedef struct columns {
    const char *metrics[MOST_COLUMNS];
    size_t count;
} columns;

static columns columns_of(const effects *all) {
    columns c = {.count = 0};
    for (size_t b = 0; b < all->count; b++)
        for (size_t m = 0; m < all->blocks[b].metric_count; m++) {
            bool known = c.count == MOST_COLUMNS;
            for (size_t i = 0; i < c.count && !known; i++) known = strcmp(c.metrics[i], all->blocks[b].metrics[m]) == 0;
            if (!known) c.metrics[c.count++] = all->blocks[b].metrics[m];
        }
    return c;
}

static const effect_level *level_of(const block_effects *b, const char *metric, size_t k, size_t l, const effect **e) {
    for (size_t m = 0; m < b->metric_count; m++) {
        if (strcmp(b->metrics[m], metric) != 0) continue;
        *e = effects_at(b, m, k);
        for (size_t i = 0; i < (*e)->count; i++)
            if ((*e)->levels[i].of == l) return &(*e)->levels[i];
    }
    return NULL;
}

static void write_level(FILE *out, const block_effects *b, const columns *c, size_t k, size_t l) {
    const factor *f = &b->factors.items[k];
    fprintf(out, "<tr><th scope=\"row\"%s>", f->numeric && !f->ranges ? " class=\"n\"" : "");
    page_text(out, f->levels[l].label);
    fprintf(out, "</th><td class=\"n\">%zu</td>", f->levels[l].runs);
    for (size_t m = 0; m < c->count; m++) {
        const effect *e = NULL;
        const effect_level *level = level_of(b, c->metrics[m], k, l, &e);
        char number[32];
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

static void write_table(FILE *out, const effects *all) {
    columns c = columns_of(all);
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">value</th><th scope=\"col\" "
          "class=\"n\">runs</th>",
          out);
    for (size_t m = 0; m < c.count; m++) {
        fputs("<th scope=\"col\" class=\"n\">", out);
        page_text(out, study_metric_title(c.metrics[m]));
        fputs("</th><th scope=\"col\" class=\"n\">difference [95 %]</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t b = 0; b < all->count; b++)
        for (size_t k = 0; k < all->blocks[b].factors.factor_count; k++) {
            const block_effects *block = &all->blocks[b];
            fprintf(out, "<tr class=\"group\"><th colspan=\"%zu\" scope=\"rowgroup\">", 2 + 2 * c.count);
            if (all->count > 1) {
                page_text(out, block->block->name);
                fputs(": ", out);
            }
            page_text(out, block->factors.items[k].key);
            fputs("</th></tr>\n", out);
            for (size_t l = 0; l < block->factors.items[k].count; l++) write_level(out, block, &c, k, l);
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
        words did = {""};
        effects_say(&did, b, k);
        fputs("<li>", out);
        page_text(out, did.text);
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
}

static void write_file(FILE *out, const char *figures_at, const char *name) {
    fputs("<a href=\"", out);
    page_text(out, figures_at);
    fprintf(out, "/%s\">%s</a>", name, name);
}

void page_effects(FILE *out, const page_parts *p) {
    if (p->study->records.single || !p->effects->count) return;
    bool named = p->effects->count > 1;
    fputs("<h2 id=\"effects\">What each key did</h2>\n<div class=\"blocks\">\n", out);
    for (size_t b = 0; b < p->effects->count; b++) {
        fputs("<section>\n", out);
        write_block(out, &p->effects->blocks[b], named);
        fputs("</section>\n", out);
    }
    fputs("</div>\n", out);
    page_named_figure(out, p, "effects");
    fputs("<details><summary>Means at every value, with intervals</summary>\n", out);
    write_table(out, p->effects);
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
    fputs(".</p></details>\n", out);
}

/* ---- next ------------------------------------------------------------------------------------------------------- */

static void write_advice(FILE *out, const advice_item *item) {
    fputs("<li>", out);
    page_text(out, item->text);
    if (item->command) {
        fputs("<pre>", out);
        page_text(out, item->command);
        fputs("</pre>", out);
    }
    fputs("</li>\n", out);
}

void page_advice(FILE *out, const advice *next) {
    enum { MOST_SHOWN = 4 };
    fputs("<h2 id=\"next\">What to run next</h2>\n", out);
    if (!next->count) fputs("<p>Nothing that these numbers ask for.</p>\n", out);
    for (size_t i = 0; i < next->count; i++) {
        if (i == 0) fputs("<ul class=\"blocks\">\n", out);
        if (i == MOST_SHOWN)
            fprintf(out, "</ul>\n<details><summary>%zu more</summary>\n<ul class=\"blocks\">\n", next->count - i);
        write_advice(out, &next->items[i]);
    }
    if (next->count) fputs("</ul>\n", out);
    if (next->count > MOST_SHOWN) fputs("</details>\n", out);
}
