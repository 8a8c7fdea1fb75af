/*
 * `mews diagnose`: the four collapse verdicts and every figure behind them, for embeddings out of any file. On stdout
 * either words for people or one JSON object; --fail-on turns a verdict into exit code 3, for pipelines.
 */
#include "experiments/commands/command.h"
#include "experiments/commands/diagnose_layers.h"
#include "experiments/commands/diagnose_print.h"
#include "analysis/report/pages/exhibit_figures.h"
#include "analysis/report/pages/exhibit_page.h"
#include "analysis/diagnose/compare.h"
#include "analysis/diagnose/diagnose.h"
#include "engine/threads.h"
#include "experiments/sweep/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Adds "a.npy: collapsed: dimensional" for what was asked about and found; what could not be judged, or not for sure,
 * is told. */
static void judge_modes(const collapse *c, const char *name, unsigned modes, bool strict, terminal *t, char *found,
                        size_t size) {
    size_t before = strlen(found), said = 0;
    for (int mode = 0; mode < COLLAPSE_MODES; mode++) {
        const collapse_verdict *v = &c->verdicts[mode];
        const char *word = collapse_mode_name((collapse_mode)mode);
        size_t length = strlen(found);
        if (!(modes >> mode & 1)) continue;
        bool sure = v->verdict == VERDICT_COLLAPSED && !v->borderline;
        if (sure || (strict && v->verdict != VERDICT_HEALTHY)) {
            if (said++)
                snprintf(found + length, size - length, ", %s: %s", verdict_name(v->verdict), word);
            else
                snprintf(found + length, size - length, "%s%s: %s: %s", before ? "; " : "", name,
                         verdict_name(v->verdict), word);
        } else if (v->verdict == VERDICT_COLLAPSED) {
            terminal_line(t,
                          "mews: warning: %s: %s collapse: borderline, its interval %.3g to %.3g reaches beyond the "
                          "threshold: not failed on",
                          name, word, v->low, v->high);
        }
        if (v->verdict == VERDICT_UNKNOWN)
            terminal_line(t, "mews: warning: %s: %s collapse: unknown: %s", name, word, v->sentence);
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool check_pipe(const arguments *args, const diagnose_options *o, error *err) {
    const char *const files[] = {o->labels, o->assignments, o->second, o->prototypes, o->reference, o->groups};
    int piped = 0;
    for (size_t i = 0; i < args->word_count; i++) piped += strcmp(args->words[i], "-") == 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) piped += files[i] && strcmp(files[i], "-") == 0;
    return piped <= 1 || error_set(err, ERROR_USAGE, "standard input (`-`) can be only one of the files");
}

/* What belongs to one file's rows cannot be said of several; labels can: of the same inputs, embedded in several ways.
 */
static bool check_several(const arguments *args, error *err) {
    static const char *const single[] = {"--assignments", "--second", "--prototypes", "--codes", "--temperature"};
    if (args->word_count == 1) return true;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (arguments_has(args, single[i]))
            return error_set(err, ERROR_USAGE, "%s is of one file; %zu were named", single[i], args->word_count);
    return true;
}

/* A number above 0; 0 when it is not given. */
static bool read_positive(const arguments *args, const char *name, double *out, error *err) {
    const char *text = arguments_value(args, name, NULL);
    char *end;
    *out = text ? strtod(text, &end) : 0;
    return !text || (*text && !*end && isfinite(*out) && *out > 0) ||
           error_set(err, ERROR_USAGE, "%s takes a number above 0, not `%s`", name, text);
}

static bool parse_tokens(const char *word, array_tokens *tokens, error *err) {
    *tokens = !word                       ? TOKENS_NONE
              : strcmp(word, "cls") == 0  ? TOKENS_CLS
              : strcmp(word, "mean") == 0 ? TOKENS_MEAN
              : strcmp(word, "all") == 0  ? TOKENS_ALL
                                          : TOKENS_NONE;
    return !word || *tokens || error_set(err, ERROR_USAGE, "--tokens takes cls, mean or all, not `%.40s`", word);
}

static bool read_options(const arguments *args, diagnose_options *o, unsigned *modes, int64_t *unlabelled, error *err) {
    long sample, codes, seed, attainable;
    *o = (diagnose_options){.source = args->words[0],
                            .tensor = arguments_value(args, "--tensor", NULL),
                            .labels = arguments_value(args, "--labels", NULL),
                            .labels_in = arguments_value(args, "--labels-in", NULL),
                            .type = arguments_value(args, "--dtype", NULL),
                            .assignments = arguments_value(args, "--assignments", NULL),
                            .second = arguments_value(args, "--second", NULL),
                            .prototypes = arguments_value(args, "--prototypes", NULL),
                            .reference = arguments_value(args, "--reference", NULL),
                            .groups = arguments_value(args, "--groups", NULL),
                            .fast = arguments_has(args, "--fast"),
                            .drop_nonfinite = arguments_has(args, "--drop-nonfinite")};
    const char *none = arguments_value(args, "--unlabelled", NULL);
    char *end;
    if (none) {
        *unlabelled = strtoll(none, &end, 10), o->unlabelled = unlabelled;
        if (!*none || *end) return error_set(err, ERROR_USAGE, "--unlabelled takes an integer, not `%s`", none);
    }
    if (o->fast && arguments_has(args, "--html"))
        return error_set(err, ERROR_USAGE, "--fast leaves out what --html draws; choose one of them");
    if (!arguments_number(args, "--sample", 1, 4294967295, 0, &sample, err) ||
        !arguments_number(args, "--codes", 1, DIAGNOSE_CODES, 0, &codes, err) ||
        !arguments_number(args, "--seed", 0, 4294967295, 0, &seed, err) ||
        !arguments_number(args, "--attainable", 1, 16777216, 0, &attainable, err) ||
        !read_positive(args, "--temperature", &o->temperature, err))
        return false;
    o->attainable = (double)attainable;
    o->sample = (size_t)sample, o->codes = (size_t)codes, o->seed = (uint64_t)seed;
    return parse_tokens(arguments_value(args, "--tokens", NULL), &o->tokens, err) &&
           parse_modes(arguments_value(args, "--fail-on", NULL), modes, err) && check_several(args, err) &&
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
                           .labels = s->unlabelled ? NULL : s->labels,
                           .classes = s->unlabelled ? 0 : s->classes,
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

/* A quick look beside a training that wants the cores, at a matrix that one of them is soon done with. */
static bool take_one_thread(const subject *s, error *err) {
    static const double WORK = 2e10;
    double d = (double)s->embeddings.cols;
    return !s->fast || (double)s->count * d * d > WORK || threads_use(1, err) > 0;
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
        ok = take_one_thread(&s, err) && diagnosis_make(&d, &s, o->seed, err);
    }
    if (ok) {
        all->figures[i] = diagnosis_json(&d, &s);
        ok = (all->figures[i] || error_memory(err, 1 << 16, "a diagnosis")) &&
             (!arguments_has(args, "--html") || keep_exhibit(all, i, &s, &d, o->seed, err));
        terminal_clear(t);
        if (ok && all->count == 1 && !arguments_has(args, "--json")) diagnose_print(&d, &s);
        if (ok)
            judge_modes(&d.collapse, s.name, modes, arguments_has(args, "--strict"), t, all->found, sizeof all->found);
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

static bool write_page(diagnoses *all, const arguments *args, terminal *t, error *err) {
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
    if (arguments_has(args, "--layers")) return diagnose_layers(context, args, err);
    if (arguments_has(args, "--figures"))
        return error_set(err, ERROR_USAGE, "--figures says where --layers draws; give both");
    terminal t = terminal_open(stderr);
    diagnose_options o;
    diagnoses all = {.count = args->word_count};
    unsigned modes = 0;
    int64_t unlabelled;
    if (!read_options(args, &o, &modes, &unlabelled, err) ||
        !(all.names = compare_names((char *const *)args->words, all.count, err)))
        return false;
    bool ok = true, as_json = arguments_has(args, "--json");
    if (arguments_has(args, "--strict") && !modes) {
        compare_names_free(all.names, all.count);
        return error_set(err, ERROR_USAGE, "--strict says how --fail-on judges: name the modes that are to fail");
    }
    if (modes & (1u << COLLAPSE_DIMENSIONAL) && !o.reference)
        terminal_line(&t, "mews: note: nothing to hold the rank against (--reference): only what nobody would dispute "
                          "is called a dimensional collapse");
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
    {"--labels", "-l", "FILE", "a class for each row: whole numbers, strings or one-hot; -1, NaN or nothing: none"},
    {"--labels-in", NULL, "NAME", "which array holds the labels, in --labels' file or else in the embeddings' own"},
    {"--assignments", "-a", "FILE", "a code for each row, or logits or probabilities with a column a code"},
    {"--second", NULL, "FILE", "embeddings of the other view of each row's input"},
    {"--prototypes", NULL, "FILE",
     "the codes' vectors, a row each: how many point the same way (a run's own, where it learns them)"},
    {"--tensor", "-t", "NAME", "which array, where a file holds several"},
    {"--tokens", NULL, "WHICH", "of n x t x d: `cls` (the first of each row's), `mean`, or `all` (every token a row)"},
    {"--dtype", NULL, "TYPE",
     "how to take elements whose file names no type, or a wrong one: bfloat16, float8_e4m3fn, ..."},
    {"--codes", NULL, "N", "how many codes there are (default: the largest assignment + 1)"},
    {"--sample", NULL, "N", "look at N rows only, drawn by the seed"},
    {"--seed", NULL, "N", "of the sample, of k-means and of permuted labels (default: 0)"},
    {"--drop-nonfinite", NULL, NULL, "leave out rows that hold NaN or infinity"},
    {"--reference", "-r", "FILE", "hold against it, row by row: pixels, an untrained network, an earlier checkpoint"},
    {"--groups", NULL, "FILE", "an integer a row: rows of one value (views of an image) belong together"},
    {"--attainable", NULL, "R", "width of the narrowest layer behind the embeddings (default: their columns)"},
    {"--temperature", NULL, "T", "what assignments are to be divided by, where they are scores before a softmax"},
    {"--unlabelled", NULL, "VALUE", "the label of rows that have none, besides -1"},
    {"--fast", NULL, NULL, "ranks, spread, use of codes and verdicts without intervals; nothing else"},
    {"--fail-on", NULL, "MODE,...", "exit with 3 when one of these has collapsed, its whole interval with it"},
    {"--strict", NULL, NULL, "with --fail-on: unknown and warning fail too"},
    {"--json", NULL, NULL, "print one JSON object on stdout and nothing else; of several files, an array of them"},
    {"--html", NULL, "FILE", "write a page with verdicts, figures and every number; it needs nothing but itself"},
    {"--layers", NULL, NULL,
     "of a RUN: its network by depth (rank, cosine, verdicts; of transformers tokens and attention), beside the "
     "untrained one"},
    {"--figures", NULL, "DIR", "with --layers: draw layers.svg, .pdf, .png and .csv there"},
    {0},
};

const command command_diagnose = {
    .name = "diagnose",
    .rules = {.words = "FILE|RUN...", .min_words = 1, .max_words = EXHIBIT_MOST, .options = options},
    .summary = "has it collapsed? verdicts for embeddings from anywhere",
    .details =
        "FILE holds a matrix, a row an embedding: .npy, .npz, .safetensors, .pt, .pth, .pkl, .h5, .mat, .csv, .tsv,\n"
        ".fvecs, .bvecs, .ivecs, a flat faiss index, a checkpoint in shards (a folder or its index), `-` for a pipe,\n"
        "or a quoted pattern ('part-*.npy') of files that continue each other in natural order.\n"
        "RUN is a run's folder. Modes: representation (all to one point), dimensional (a subspace), cluster\n"
        "(codes unused), intracluster (nothing left inside clusters). Several files are compared; --labels are\n"
        "then of the same inputs in all of them.\n"
        "A file beyond 256 MiB of float32 is read in passes: ranks and spread are of all its rows; clusters,\n"
        "pairs and mixtures of up to 65,536 rows that --seed draws.\n",
    .go_on = "run the same command to begin again",
    .run = run_diagnose,
};
