/*
 * Whether the best setting of a block can be told from the others, and how many more seeds that takes.
 */
#include "analysis/report/study/advice_parts.h"
#include "analysis/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The figures of settings that have one for every seed: (seeds, kept). Fresh memory; `kept` names the candidates. */
static double *seed_table(const factors *f, const char *metric, const candidate *list, size_t count, size_t *kept,
                          size_t *cols) {
    *cols = 0;
    for (size_t c = 0; c < count; c++)
        if (list[c].seeds == f->seeds) kept[(*cols)++] = c;
    double *table = malloc((f->seeds * *cols + 1) * sizeof *table);
    for (size_t i = 0; table && i < f->count; i++)
        for (size_t k = 0; k < *cols; k++)
            if (kept[k] == f->setting[i]) table[f->seed[i] * *cols + k] = record_metric(f->runs[i], metric);
    return table;
}

size_t advice_list_seeds(const factors *f, long seeds[MOST_SEEDS]) {
    size_t count = 0;
    char text[32];
    for (size_t i = 0; i < f->count && count < MOST_SEEDS; i++) {
        char *end;
        long seed = strtol(record_text(f->runs[i], "train.seed", text, sizeof text), &end, 10);
        size_t at = 0;
        while (at < count && seeds[at] < seed) at++;
        if (end == text || (at < count && seeds[at] == seed)) continue;
        memmove(seeds + at + 1, seeds + at, (count++ - at) * sizeof *seeds);
        seeds[at] = seed;
    }
    return count;
}

static void say_more_seeds(words *w, const factors *f, const candidate *c, size_t more) {
    long seeds[MOST_SEEDS];
    size_t count = advice_list_seeds(f, seeds);
    long next = count ? seeds[count - 1] + 1 : 0;
    if (!advice_say_command(w, "sweep", c->point->records[0])) return;
    words_say(w, " --set 'sweep.train.seed=[");
    for (size_t i = 0; i < more; i++) words_say(w, "%s%ld", i ? ", " : "", next + (long)i);
    words_say(w, "]'");
}

static void say_pair(words *w, const study_block *b, const char *metric, const candidate *first,
                     const candidate *second) {
    advice_say_setting(w, b, first);
    words_say(w, " (%s ", study_metric_title(metric));
    words_number(w, metric, first->mean);
    words_say(w, ")");
    if (!second) return;
    words_say(w, " and ");
    advice_say_setting(w, b, second);
    words_say(w, " (");
    words_number(w, metric, second->mean);
    words_say(w, ")");
}

static bool add_seeds(advice *a, const block_effects *e, words *text, const candidate *best, const candidate *second,
                      size_t more) {
    words command = {""};
    if (more) {
        say_more_seeds(&command, &e->factors, best, more);
        if (*command.text) words_say(&command, "\n");
        say_more_seeds(&command, &e->factors, second, more);
    }
    return advice_add(a, text, &command);
}

bool advise_seeds(advice *a, const block_effects *e, const candidate *list, size_t count, bool told) {
    const char *metric = e->metrics[0];
    const factors *f = &e->factors;
    size_t *kept = malloc((count + 1) * sizeof *kept), cols = 0, best = 0, second = 0, tied = 0;
    double *table = kept ? seed_table(f, metric, list, count, kept, &cols) : NULL;
    words text = {""};
    bool done = table != NULL;
    if (!done || cols < 2) goto done;
    best = list[kept[1]].mean > list[kept[0]].mean, second = !best;
    for (size_t k = 2; k < cols; k++) {
        double mean = list[kept[k]].mean;
        if (mean > list[kept[best]].mean)
            second = best, best = k;
        else if (mean > list[kept[second]].mean)
            second = k;
    }
    const candidate *first = &list[kept[best]], *next = &list[kept[second]];
    double difference = first->mean - next->mean;
    if (f->seeds < 2 && told) goto done;
    if (f->seeds < 2) {
        words_say(&text, "One seed a setting: the order of ");
        say_pair(&text, e->block, metric, first, next);
        words_say(&text, ", the best two, was seen once. Two more seeds of each allow a first test.");
        done = add_seeds(a, e, &text, first, next, STATISTICS_LEAST - 1);
        goto done;
    }
    if (f->seeds < STATISTICS_LEAST) {
        words_say(&text, "%zu seeds a setting: the order of ", f->seeds);
        say_pair(&text, e->block, metric, first, next);
        words_say(&text, ", the best two, cannot be tested. One more seed of each allows a first test.");
        done = add_seeds(a, e, &text, first, next, STATISTICS_LEAST - f->seeds);
        goto done;
    }
    variance v = statistics_blocks(table, f->seeds, cols);
    /* the best was picked from all, so each of the others is tested at its part of 5 % */
    double half =
        statistics_student_quantile(0.05 / (double)(cols - 1), v.degrees) * sqrt(2 * v.error / (double)f->seeds);
    for (size_t k = 0; k < cols; k++) tied += k != best && first->mean - list[kept[k]].mean <= half;
    if (!tied) goto done;
    size_t need = statistics_repetitions(difference, v.error, v.degrees);
    words_say(&text, "More seeds: the best setting, ");
    say_pair(&text, e->block, metric, first, NULL);
    words_say(&text, ", cannot be told from %zu other%s, first of all ", tied, tied == 1 ? "" : "s");
    say_pair(&text, e->block, metric, next, NULL);
    words_say(&text, ". With %zu seeds, differences below ", f->seeds);
    words_number(&text, metric, half);
    words_say(&text, " are not told from chance (5 %% divided by the %zu comparisons). ", cols - 1);
    if (need && need <= MOST_SEEDS) {
        if (need <= f->seeds) need = f->seeds + 1;
        words_say(&text, "If these two truly differ by ");
        words_number(&text, metric, difference);
        words_say(&text,
                  ", %zu seeds of both tell them apart at least four times in five, in a test of these two alone. The "
                  "best of several looks better than it is, so the true difference is likely to be smaller.",
                  need);
    } else if (need) {
        words_say(&text, "Even if these two truly differ by ");
        words_number(&text, metric, difference);
        words_say(&text, ", it may take more than %d seeds to see it: choose by cost.", MOST_SEEDS);
        need = 0;
    } else {
        words_say(&text, "These two have the same mean.");
    }
    done = add_seeds(a, e, &text, first, next, need ? need - f->seeds : 0);
done:
    free(kept);
    free(table);
    return done;
}

bool advise_seeds_of_all(advice *a, const effects *e, bool *told) {
    size_t lone = 0;
    words text = {""};
    for (size_t b = 0; b < e->count; b++) lone += e->blocks[b].factors.seeds < 2 && e->blocks[b].factors.settings > 1;
    *told = lone > MOST_OF_A_KIND;
    if (!*told) return true;
    words_say(&text,
              "One seed a setting in %zu blocks: every order of settings was seen once. The sweep's own command with "
              "two more values of sweep.train.seed gives each setting two more seeds, which allow a first test.",
              lone);
    return advice_add(a, &text, NULL);
}
