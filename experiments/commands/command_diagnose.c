/*
 * `mews diagnose`: the four collapse verdicts and every figure behind them, for embeddings out of any file. On stdout
 * either words for people or one JSON object; --fail-on turns a verdict into exit code 3, for pipelines.
 */
#include "experiments/commands/command.h"
#include "analysis/report/exhibit_figures.h"
#include "analysis/report/exhibit_page.h"
#include "analysis/diagnose/compare.h"
#include "analysis/diagnose/diagnose.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* A statistic's name as words: effective_rank_noise_share → effective rank noise share. */
static void print_name(const char *name) {
    for (; *name; name++) putchar(*name == '_' ? ' ' : *name);
}

static void print_verdict(const char *mode, const collapse_verdict *v, int width) {
    enum { INDENT = 18 };
    printf("\n%-*s%s", INDENT, mode, verdict_name(v->verdict));
    if (isfinite(v->statistic)) {
        printf("   ");
        print_name(v->statistic_name);
        printf(" %.4g", v->statistic);
        if (isfinite(v->low)) printf(" (95 %% interval %.4g to %.4g)", v->low, v->high);
        printf(", null %.4g; collapsed below %.3g", v->expected, v->threshold_collapsed);
        if (v->onset >= 0) printf("; since epoch %lld", (long long)v->onset);
    }
    printf("\n%*s", INDENT, "");
    terminal_wrap(stdout, v->sentence, INDENT, INDENT, width);
}

__attribute__((format(printf, 3, 4))) static void print_figure(const char *name, double value, const char *format,
                                                               ...) {
    va_list args;
    va_start(args, format);
    printf("  %-22s ", name);
    if (isnan(value)) {
        printf("unknown");
    } else {
        printf("%-10.5g  ", value);
        vprintf(format, args);
    }
    va_end(args);
    putchar('\n');
}

static void print_rank(const char *name, const rank_figure *r) {
    if (isnan(r->share) || isnan(r->noise_share)) {
        print_figure(name, r->value, "too few rows for more");
        return;
    }
    print_figure(name, r->value, "%.4g of the most possible, %.4g of what noise scores (%.4g)", r->share,
                 r->noise_share, r->noise);
}

static void print_spectrum(const spectrum *s) {
    print_rank("RankMe", &s->rankme);
    print_rank("effective rank", &s->effective_rank);
    print_rank("participation ratio", &s->participation_ratio);
    print_rank("numerical rank", &s->numerical_rank);
    print_figure("alpha-ReQ", s->alpha, "ranks %zu to %zu, R² %.3f", s->alpha_first, s->alpha_last, s->alpha_r2);
    print_figure("condition number", s->condition_number, "largest over smallest, centred");
    print_figure("mean |correlation|", s->correlation_off_diagonal, "between columns");
    print_figure("constant columns", (double)s->constant_columns, "of %zu", s->d);
}

static void print_codes(const usage_figures *f) {
    print_figure("codes used", f->used, "of %zu; %zu rows of equally likely codes would use %.1f", f->codes, f->n,
                 f->used_expected);
    print_figure("perplexity of codes", f->perplexity, "by argmax %.4g, of equally likely codes %.4g",
                 f->hard_perplexity, f->hard_perplexity_expected);
    print_figure("information", f->information, "nats between row and code, %.4g of the most possible",
                 f->information_share);
}

static void print_mixture(const mixture_curve *c) {
    for (size_t i = 0; i<c->count; i += c->count> 1 ? c->count - 1 : 1) {
        const mixture_point *p = &c->points[i];
        print_figure("mixture entropy", p->entropy, "± %.2g nats, %.4g a varying column, %zu components", p->entropy_sd,
                     p->entropy_per_dimension, p->components);
    }
}

static void print_text(const diagnosis *d, const subject *s) {
    const collapse *c = &d->collapse;
    int width = terminal_width(stdout);
    printf("%s: %zu rows, %zu columns", s->name, c->spectrum.n, c->spectrum.d);
    if (s->rows_given > c->spectrum.n) printf(", of %llu rows", (unsigned long long)s->rows_given);
    if (s->sampled) printf("; clusters and pairs of a sample of %zu", s->embeddings.rows);
    if (s->dropped) printf(" (%zu dropped: NaN or infinity)", s->dropped);
    putchar('\n');
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        print_verdict(collapse_mode_name((collapse_mode)mode), &c->verdicts[mode], width < 120 ? width : 120);
    printf("\nfigures\n");
    print_spectrum(&c->spectrum);
    print_figure("spread", c->spread, "1 in all directions, 0 in one point");
    print_figure("uniformity", d->uniformity.value, "evenly over the sphere: %.4g", d->uniformity.expected);
    if (d->has_alignment) {
        print_figure("alignment", d->alignment.value, "of unrelated rows %.4g", d->alignment.chance);
        print_figure("invariance", d->alignment.invariance, "1 when views agree, 0 at chance");
    }
    if (s->second.data || s->labels)
        print_figure("LiDAR", d->lidar.value, "%.4g of the most possible, %zu %s", d->lidar.share, d->lidar.groups,
                     s->second.data ? "pairs of views" : "classes");
    if (c->has_usage) print_codes(&c->usage);
    if (s->prototypes.data) /* one alone has no other to fall together with */
        print_figure("distinct prototypes", s->prototypes.rows > 1 ? (double)d->duplicates.distinct : (double)NAN,
                     "of %zu; %zu have a near duplicate (random ones: %.3g), nearest cosine %.4g",
                     d->duplicates.prototypes, d->duplicates.twins, d->duplicates.twins_expected,
                     d->duplicates.cosine_largest);
    print_figure("variance in clusters", c->within_share, "of all rows', %zu clusters%s", c->clusters_used,
                 c->clusters_by_kmeans ? " by k-means" : "");
    print_figure("rank in clusters", c->clusters.effective_rank, "mean effective rank, %.4g of the most possible",
                 c->clusters.share);
    if (isnan(d->blocks.between))
        print_figure("cosine in clusters", d->blocks.within, "one cluster: none between");
    else
        print_figure("cosine in clusters", d->blocks.within, "between clusters %.4g, contrast by chance %.2g ± %.2g",
                     d->blocks.between, d->blocks.chance, d->blocks.chance_sd);
    print_figure("silhouette", d->silhouette.value, "1 apart, 0 cut at random, %zu rows", d->silhouette.rows);
    print_mixture(&d->mixture);
    if (d->has_neural_collapse) {
        print_figure("variance in classes", c->class_within_share, "of all rows', %zu classes",
                     d->neural_collapse.classes);
        print_figure("NC1", d->neural_collapse.nc1, "of permuted labels %.4g", d->neural_collapse.chance);
    }
    if (d->has_agreement) {
        print_figure("AMI", d->agreement.ami, "of labels and assignments, 0 at chance");
        print_figure("NMI", d->agreement.nmi, "of permuted labels %.4g", d->agreement.nmi_chance);
    }
}

/* ---- --fail-on --------------------------------------------------------------------------------------------------- */

/* "dimensional,cluster" as a set of bits. */
static bool parse_modes(const char *text, unsigned *modes, error *err) {
    *modes = 0;
    while (text) {
        char name[64];
        collapse_mode mode;
        size_t length = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
        if (!collapse_mode_parse(name, &mode, err)) return error_prefix(err, "--fail-on");
        *modes |= 1u << mode;
        text = text[length] ? text + length + 1 : NULL;
    }
    return true;
}

/* Adds "a.npy: collapsed: dimensional" for the collapses that were asked about; what could not be judged is told. */
static void judge_modes(const collapse *c, const char *name, unsigned modes, terminal *t, char *found, size_t size) {
    size_t before = strlen(found), said = 0;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const char *word = collapse_mode_name((collapse_mode)mode);
        size_t length = strlen(found);
        if (!(modes >> mode & 1)) continue;
        if (c->verdicts[mode].verdict == VERDICT_COLLAPSED && said++)
            snprintf(found + length, size - length, ", %s", word);
        else if (c->verdicts[mode].verdict == VERDICT_COLLAPSED)
            snprintf(found + length, size - length, "%s%s: collapsed: %s", before ? "; " : "", name, word);
        if (c->verdicts[mode].verdict == VERDICT_UNKNOWN)
            terminal_line(t, "mews: warning: %s: %s collapse: unknown: %s", name, word, c->verdicts[mode].sentence);
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool check_pipe(const arguments *args, const diagnose_options *o, error *err) {
    const char *const files[] = {o->labels, o->assignments, o->second, o->prototypes};
    int piped = 0;
    for (size_t i = 0; i < args->word_count; i++) piped += strcmp(args->words[i], "-") == 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) piped += files[i] && strcmp(files[i], "-") == 0;
    return piped <= 1 || error_set(err, ERROR_USAGE, "standard input (`-`) can be only one of the files");
}

/* What belongs to one file's rows cannot be said of several; labels can: of the same inputs, embedded in several ways.
 */
static bool check_several(const arguments *args, error *err) {
    static const char *const single[] = {"--assignments", "--second", "--prototypes", "--codes"};
    if (args->word_count == 1) return true;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (arguments_has(args, single[i]))
            return error_set(err, ERROR_USAGE, "%s is of one file; %zu were named", single[i], args->word_count);
    return true;
}

static bool read_options(const arguments *args, diagnose_options *o, unsigned *modes, error *err) {
    long sample, codes, seed;
    *o = (diagnose_options){.source = args->words[0],
                            .tensor = arguments_value(args, "--tensor", NULL),
                            .labels = arguments_value(args, "--labels", NULL),
                            .assignments = arguments_value(args, "--assignments", NULL),
                            .second = arguments_value(args, "--second", NULL),
                            .prototypes = arguments_value(args, "--prototypes", NULL),
                            .drop_nonfinite = arguments_has(args, "--drop-nonfinite")};
    if (!arguments_number(args, "--sample", 1, 4294967295, 0, &sample, err) ||
        !arguments_number(args, "--codes", 1, DIAGNOSE_CODES, 0, &codes, err) ||
        !arguments_number(args, "--seed", 0, 4294967295, 0, &seed, err))
        return false;
    o->sample = (size_t)sample, o->codes = (size_t)codes, o->seed = (uint64_t)seed;
    return parse_modes(arguments_value(args, "--fail-on", NULL), modes, err) && check_several(args, err) &&
           check_pipe(args, o, err);
}

/* All files of one command line, one after the other in memory: what is kept of each is what is printed and drawn. */
typedef struct diagnoses {
    size_t count;
    char **names;
    json_t *figures[EXHIBIT_MOST];
    exhibit exhibits[EXHIBIT_MOST];
    char found[900]; /* for --fail-on */
} diagnoses;

static bool keep_exhibit(diagnoses *all, size_t i, const subject *s, const diagnosis *d, uint64_t seed, error *err) {
    exhibit_source from = {.name = strcmp(all->names[i], "-") == 0 ? s->name : all->names[i],
                           .embeddings = s->embeddings,
                           .labels = s->labels,
                           .classes = s->classes,
                           .clusters = d->collapse.assignment,
                           .by_kmeans = d->collapse.clusters_by_kmeans,
                           .usage = s->usage,
                           .figures = all->figures[i],
                           .run = s->run,
                           .seed = seed,
                           .points = EXHIBIT_POINTS / (all->count > 2 ? 2 : 1)};
    return exhibit_make(&all->exhibits[i], &from, err);
}

/* Rows that do not fit into memory are read several times over; how often is known when it is done. */
static void show_progress(void *context, size_t pass, uint64_t done, uint64_t rows) {
    terminal_status(context, false, "pass %zu over the file: %llu of %llu rows", pass, (unsigned long long)done,
                    (unsigned long long)rows);
}

static bool diagnose_one(diagnoses *all, size_t i, const diagnose_options *options_given, unsigned modes,
                         const arguments *args, terminal *t, error *err) {
    subject s = {0};
    diagnosis d = {0};
    diagnose_options with = *options_given, *o = &with;
    with.progress = show_progress, with.context = t;
    terminal_status(t, true, "reading %s", o->source);
    bool ok = subject_load(&s, o, err);
    if (ok) {
        terminal_status(t, true, "diagnosing %zu rows of %zu columns", s.count, s.embeddings.cols);
        ok = diagnosis_make(&d, &s, o->seed, err);
    }
    if (ok) {
        all->figures[i] = diagnosis_json(&d, &s);
        ok = (all->figures[i] || error_memory(err, 1 << 16, "a diagnosis")) &&
             (!arguments_has(args, "--html") || keep_exhibit(all, i, &s, &d, o->seed, err));
        terminal_clear(t);
        if (ok && all->count == 1 && !arguments_has(args, "--json")) print_text(&d, &s);
        if (ok) judge_modes(&d.collapse, s.name, modes, t, all->found, sizeof all->found);
        diagnosis_free(&d);
    }
    terminal_clear(t);
    subject_free(&s);
    return ok;
}

/* The command as it may be typed again. */
static char *command_line(const arguments *args, error *err) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        fputs("mews diagnose", out);
        for (size_t i = 0; i < args->word_count; i++) fprintf(out, " %s", args->words[i]);
        for (size_t i = 0; i < args->given_count; i++)
            fprintf(out, " %s%s%s", args->given[i].name, *args->given[i].value ? " " : "", args->given[i].value);
        fclose(out);
    }
    if (!text) error_memory(err, 1 << 10, "a command line");
    return text;
}

static bool write_page(const diagnoses *all, const arguments *args, terminal *t, error *err) {
    const char *path = arguments_value(args, "--html", NULL);
    if (!path) return true;
    terminal_status(t, true, "drawing %s", path);
    char *command = command_line(args, err);
    bool ok = command && exhibit_page_write(path, all->exhibits, all->count, command, err);
    terminal_clear(t);
    free(command);
    return ok;
}

static void print_several(diagnoses *all, bool as_json) {
    if (!as_json) {
        compare_print(all->names, all->figures, all->count);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < all->count; i++) {
        json_object_set_new(all->figures[i], "name", json_string(all->names[i]));
        json_array_append(list, all->figures[i]);
    }
    watch_print_json(list);
}

static bool run_diagnose(const command_context *context, const arguments *args, error *err) {
    (void)context;
    terminal t = terminal_open(stderr);
    diagnose_options o;
    diagnoses all = {.count = args->word_count};
    unsigned modes;
    if (!read_options(args, &o, &modes, err) ||
        !(all.names = compare_names((char *const *)args->words, all.count, err)))
        return false;
    bool ok = true, as_json = arguments_has(args, "--json");
    for (size_t i = 0; ok && i < all.count; i++) {
        o.source = args->words[i];
        ok = diagnose_one(&all, i, &o, modes, args, &t, err);
    }
    if (ok && all.count > 1) print_several(&all, as_json);
    if (ok && all.count == 1 && as_json) watch_print_json(json_incref(all.figures[0]));
    ok = ok && write_page(&all, args, &t, err);
    for (size_t i = 0; i < all.count; i++) {
        json_decref(all.figures[i]);
        exhibit_free(&all.exhibits[i]);
    }
    compare_names_free(all.names, all.count);
    return ok && (!*all.found || error_set(err, ERROR_VERDICT, "%s", all.found));
}

static const option options[] = {
    {"--labels", "-l", "FILE", "a class for each row: any integers"},
    {"--assignments", "-a", "FILE", "a code for each row, or logits or probabilities with a column a code"},
    {"--second", NULL, "FILE", "embeddings of the other view of each row's input"},
    {"--prototypes", NULL, "FILE",
     "the codes' vectors, a row each: how many point the same way (a run's own, where it learns them)"},
    {"--tensor", "-t", "NAME", "which array, where a file holds several"},
    {"--codes", NULL, "N", "how many codes there are (default: the largest assignment + 1)"},
    {"--sample", NULL, "N", "look at N rows only, drawn by the seed"},
    {"--seed", NULL, "N", "of the sample, of k-means and of permuted labels (default: 0)"},
    {"--drop-nonfinite", NULL, NULL, "leave out rows that hold NaN or infinity"},
    {"--fail-on", NULL, "MODE,...", "exit with 3 when one of these has collapsed"},
    {"--json", NULL, NULL, "print one JSON object on stdout and nothing else; of several files, an array of them"},
    {"--html", NULL, "FILE", "write a page with verdicts, figures and every number; it needs nothing but itself"},
    {0},
};

const command command_diagnose = {
    .name = "diagnose",
    .rules = {.words = "FILE|RUN...", .min_words = 1, .max_words = EXHIBIT_MOST, .options = options},
    .summary = "has it collapsed? verdicts for embeddings from anywhere",
    .details = "FILE holds a matrix, a row an embedding: .npy, .npz or .safetensors, `-` for any of them from a pipe.\n"
               "RUN is a run's folder. Modes: representation (all to one point), dimensional (a subspace), cluster\n"
               "(codes unused), intracluster (nothing left inside clusters). Several files are compared; --labels are\n"
               "then of the same inputs in all of them.\n"
               "A file beyond 256 MiB of float32 is read in passes: ranks and spread are of all its rows; clusters,\n"
               "pairs and mixtures of up to 65,536 rows that --seed draws.\n",
    .go_on = "run the same command to begin again",
    .run = run_diagnose,
};
