/*
 * Loading what is to be diagnosed. Shapes are compared and memory is reckoned before any array is read. Where the file
 * holds plain float32 and every row is wanted, the matrix is the mapped file itself; otherwise rows are copied as
 * float32, the precision that embeddings are trained in (sums over them are taken in double).
 */
#include "engine/rng.h"
#include "analysis/diagnose/diagnose_load.h"
#include "analysis/diagnose/labels.h"
#include "analysis/verdicts/jackknife.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MOST = 1 << 24 };

/* What an option names: a file, or an array of the caller's. */
static bool open_named(const diagnose_options *o, array_file *a, const char *name, const array_request *request,
                       error *err) {
    for (size_t i = 0; i < o->memory_count; i++)
        if (o->memory[i].name == name) return array_open_memory(a, name, &o->memory[i].array, request, err);
    return array_open(a, name, request, err);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The matrix, its copies sorted by cluster and converted, and a dozen squares of the shorter side (Gram matrices, QR).
 */
static double bytes_needed(double n, double d) {
    double bytes = 4 * n * d, side = fmin(n, d);
    if (n >= d && bytes > DIAGNOSE_IN_MEMORY) bytes = DIAGNOSE_SAMPLE; /* then the file is read in passes */
    return 3 * bytes + 200 * side * side + 64 * n;
}

static bool check_size(const array_file *a, uint64_t sample, error *err) {
    double limit = 0.75 * (double)array_memory(), d = (double)a->cols;
    uint64_t n = sample && sample < a->rows ? sample : a->rows, fitting = UINT32_MAX;
    if (a->rows == 0 || a->cols == 0)
        return error_set(err, ERROR_RUN, "%s: %" PRIu64 " × %" PRIu64 " leaves nothing to diagnose", a->name, a->rows,
                         a->cols);
    if (a->cols > COLUMNS_MOST)
        return error_set(err, ERROR_RUN, "%s: has %" PRIu64 " columns; at most %d make embeddings", a->name, a->cols,
                         COLUMNS_MOST);
    if (n <= UINT32_MAX && bytes_needed((double)n, d) <= limit) return true;
    while (fitting > 0 && bytes_needed((double)fitting, d) > limit) fitting /= 2;
    return error_set(err, ERROR_USAGE,
                     "%s: %" PRIu64 " × %" PRIu64 " needs %.1f GiB of memory, where this machine has room for %.1f; "
                     "--sample %" PRIu64 " fits",
                     a->name, n, a->cols, bytes_needed((double)n, d) / (1 << 30), limit / (1 << 30), fitting);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* All rows, or `sample` of them in their order (selection sampling, Knuth 3.4.2 S). */
static bool choose_rows(subject *s, const diagnose_options *o, error *err) {
    uint64_t n = s->file.rows, wanted = o->sample && o->sample < n ? o->sample : n, taken = 0;
    s->rows_given = n;
    s->rows = malloc(wanted * sizeof *s->rows);
    if (!s->rows) return error_memory(err, wanted * sizeof *s->rows, "row numbers");
    rng r = rng_stream(o->seed, RNG_SUBSET, 0, 0, 0);
    for (uint64_t i = 0; taken < wanted; i++)
        if (wanted == n || rng_uniform(&r) * (double)(n - i) < (double)(wanted - taken)) s->rows[taken++] = i;
    s->count = wanted;
    return true;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/* One for each row of the file, though each may have become several rows of tokens. */
static bool check_length(const subject *s, const array_file *a, const char *what, error *err) {
    uint64_t rows = s->rows_given / s->file.tokens;
    return a->rows == rows || error_set(err, ERROR_RUN, "%s: %" PRIu64 " %s, but %s has %" PRIu64 " rows", a->name,
                                        a->rows, what, s->name, rows);
}

static bool number_labels(subject *s, const array_file *a, const diagnose_options *o, error *err) {
    label_set set;
    if (!labels_read(&set, a, s->rows, s->count, s->file.tokens, o->unlabelled, err)) return false;
    s->labels = set.labels, s->classes = set.classes;
    return true;
}

/* Rows without a label take no part in what labels say: the others by themselves, and their labels. */
static bool take_labelled(subject *s, error *err) {
    matrix m = s->embeddings;
    size_t kept = 0;
    s->labelled = m;
    for (size_t i = 0; i < m.rows; i++) s->unlabelled += s->labels[i] < 0;
    if (!s->unlabelled) return true;
    if (s->unlabelled == m.rows) return error_set(err, ERROR_RUN, "%s: no row of the sample has a label", s->name);
    s->own_labelled = malloc((m.rows - s->unlabelled) * m.cols * sizeof *s->own_labelled);
    if (!s->own_labelled) return error_memory(err, m.rows * m.cols * sizeof *s->own_labelled, "labelled rows");
    for (size_t i = 0; i < m.rows; i++) {
        if (s->labels[i] < 0) continue;
        s->labels[kept] = s->labels[i];
        memcpy(s->own_labelled + kept++ * m.cols, m.data + i * m.cols, m.cols * sizeof *s->own_labelled);
    }
    s->labelled = (matrix){s->own_labelled, kept, m.cols};
    return true;
}

/* Of values of all rows, those of the sampled ones. */
static void keep_sampled(const subject *s, int32_t *values) {
    for (size_t i = 0; s->sampled && i < s->embeddings.rows; i++) values[i] = values[s->sampled[i]];
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static array_request request_of(const diagnose_options *o) {
    return (array_request){.tensor = o->tensor,
                           .dims = 2,
                           .option = "--tensor",
                           .tokens = o->tokens,
                           .type = o->type,
                           .apart = o->labels ? NULL : o->labels_in};
}

static bool has_labels(const diagnose_options *o) { return o->labels || o->labels_in; }

/* In a file of their own, or beside the embeddings in theirs. */
static bool open_labels(array_file *labels, const subject *s, const diagnose_options *o, error *err) {
    array_request request = {
        .tensor = o->labels_in, .usual = "labels,label,y,targets,target", .dims = 1, .option = "--labels-in"};
    return o->labels ? open_named(o, labels, o->labels, &request, err)
                     : array_open_beside(labels, &s->file, &request, err);
}

/* What the readers of the files had to say. */
static bool take_notes(subject *s, const array_file *labels, error *err) {
    const char *a = s->file.note, *b = labels->note;
    if (!a && !b) return true;
    if (asprintf(&s->note, "%s%s%s", a ? a : "", a && b ? "; " : "", b ? b : "") >= 0) return true;
    s->note = NULL;
    return error_memory(err, 256, "a note");
}

static bool open_second(subject *s, const diagnose_options *o, error *err) {
    array_request request = request_of(o);
    size_t length = strlen(o->second);
    if (length > 4 && strcmp(o->second + length - 4, ".npy") == 0)
        request.tensor = NULL; /* it was for the first file */
    if (!open_named(o, &s->other, o->second, &request, err)) return false;
    if (s->other.rows != s->file.rows || s->other.cols != s->file.cols)
        return error_set(err, ERROR_RUN,
                         "%s: is %" PRIu64 " × %" PRIu64 ", but %s is %" PRIu64 " × %" PRIu64
                         "; two views have one shape",
                         s->other.name, s->other.rows, s->other.cols, s->name, s->file.rows, s->file.cols);
    return true;
}

/* Prototypes are of the embeddings' width: c of them, or the weight of a layer that scores them. */
static bool load_prototypes(subject *s, const diagnose_options *o, error *err) {
    static const array_request request = {.usual = "prototypes", .dims = 2};
    array_file a;
    if (!open_named(o, &a, o->prototypes, &request, err)) return false;
    size_t rows = a.rows, d = s->file.cols;
    bool ok = a.cols == d || error_set(err, ERROR_RUN,
                                       "%s: is %" PRIu64 " × %" PRIu64 ", but %s has %zu columns; a prototype is a row",
                                       a.name, a.rows, a.cols, s->name, d);
    if (ok && (rows == 0 || rows > DUPLICATES_PROTOTYPES))
        ok = error_set(err, ERROR_RUN, "%s: holds %zu prototypes; there have to be 1 to %d", a.name, rows,
                       DUPLICATES_PROTOTYPES);
    if (ok && !(s->own_prototypes = malloc(rows * d * sizeof *s->own_prototypes)))
        ok = error_memory(err, rows * d * sizeof *s->own_prototypes, a.name);
    if (ok) array_read_float(&a, 0, rows, s->own_prototypes);
    s->prototypes = (matrix){s->own_prototypes, rows, d};
    ok = ok && matrix_check(s->prototypes, a.name, err);
    array_close(&a);
    return ok;
}

static bool take_groups(subject *s, const array_file *a, error *err) {
    if (a->cols != 1)
        return error_set(err, ERROR_RUN, "%s: is %" PRIu64 " × %" PRIu64 "; groups are one integer a row", a->name,
                         a->rows, a->cols);
    return (s->groups = subject_ints(s, a, err)) != NULL;
}

static bool draw_blocks(subject *s, uint64_t seed, error *err) {
    s->blocks = malloc(s->count);
    return (s->blocks || error_memory(err, s->count, "blocks of rows")) &&
           jackknife_draw(s->count, s->groups, seed, s->blocks, err);
}

/* The figures of what the rows are held against: the same rows, any width. */
static bool take_reference(subject *s, const diagnose_options *o, error *err) {
    array_request request = {.usual = "embeddings", .dims = 2, .tokens = o->tokens};
    array_file a;
    if (!open_named(o, &a, o->reference, &request, err)) return false;
    row_reader reader = {&a, s->rows, s->count, 0, NULL, NULL};
    row_source rows;
    double *own = NULL;
    evidence_options with = {.intervals = !o->fast, .blocks = s->blocks, .seed = o->seed};
    bool ok = a.rows == s->rows_given || error_set(err, ERROR_RUN, "%s: %" PRIu64 " rows, but %s has %" PRIu64, a.name,
                                                   a.rows, s->name, s->rows_given);
    ok = ok && subject_source(&reader, &rows, &own, err);
    ok = ok && (evidence_take(&rows, &with, &s->reference, err) || error_prefix(err, "%s", a.name));
    if (ok && !(s->reference_name = strdup(a.name))) ok = error_memory(err, strlen(a.name), "a name");
    free(own);
    array_close(&a);
    return ok;
}

bool subject_load(subject *s, const diagnose_options *options, error *err) {
    static const array_request for_assignments = {.usual = "assignments", .dims = 1};
    static const array_request for_groups = {.usual = "groups", .dims = 1};
    diagnose_options o = *options;
    array_request request = request_of(&o);
    array_file labels = {0}, assignments = {0}, groups = {0};
    run_files files;
    *s = (subject){.attainable = o.attainable, .fast = o.fast};
    bool ok = run_use(&o, &files, err);
    if (ok && o.source != options->source && !(s->run = strdup(options->source)))
        ok = error_memory(err, strlen(options->source), "a name");
    ok = ok && open_named(&o, &s->file, o.source, &request, err);
    if (ok && !(s->name = strdup(s->file.name))) ok = error_memory(err, strlen(s->file.name), "a name");
    ok = ok && check_size(&s->file, o.sample, err) && choose_rows(s, &o, err);
    /* Everything is opened and compared before anything is read: a slip should not cost minutes. */
    ok = ok && (!has_labels(&o) || (open_labels(&labels, s, &o, err) && check_length(s, &labels, "labels", err)));
    ok = ok && (!o.assignments || (open_named(&o, &assignments, o.assignments, &for_assignments, err) &&
                                   check_length(s, &assignments, "assignments", err)));
    ok = ok && (!o.groups ||
                (open_named(&o, &groups, o.groups, &for_groups, err) && check_length(s, &groups, "groups", err)));
    ok = ok && (!o.prototypes || load_prototypes(s, &o, err));
    ok = ok && (!s->run || o.prototypes || run_take_prototypes(s, err));
    ok = ok && (!o.second || open_second(s, &o, err)) && subject_take_rows(s, &o, o.second ? &s->other : NULL, err) &&
         (!has_labels(&o) || number_labels(s, &labels, &o, err)) && (!o.groups || take_groups(s, &groups, err)) &&
         draw_blocks(s, o.seed, err) &&
         (!o.assignments || assignments_take(s, &assignments, o.codes, o.temperature, err)) &&
         (!o.reference || take_reference(s, &o, err));
    if (ok && s->assignment) keep_sampled(s, s->assignment);
    if (ok && s->labels) {
        keep_sampled(s, s->labels);
        ok = take_labelled(s, err);
    }
    array_close(&groups);
    ok = ok && take_notes(s, &labels, err);
    array_close(&labels);
    array_close(&assignments);
    if (!ok) subject_free(s);
    return ok;
}

void subject_free(subject *s) {
    usage_free(s->usage);
    free(s->assignment);
    free(s->labels);
    free(s->note);
    free(s->blocks);
    free(s->groups);
    free(s->offset);
    free(s->own_labelled);
    free(s->reference_name);
    free(s->rows);
    free(s->own);
    free(s->own_doubles);
    free(s->sampled);
    free(s->own_second);
    free(s->own_prototypes);
    free(s->name);
    free(s->run);
    array_close(&s->file);
    array_close(&s->other);
    *s = (subject){0};
}
