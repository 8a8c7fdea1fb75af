/*
 * Loading what is to be diagnosed. Shapes are compared and memory is reckoned before any array is read. Where the file
 * holds plain float32 and every row is wanted, the matrix is the mapped file itself; otherwise rows are copied as
 * float32, the precision that embeddings are trained in (sums over them are taken in double).
 */
#include "engine/files/record.h"
#include "engine/rng.h"
#include "analysis/diagnose/diagnose.h"
#include "analysis/diagnose/labels.h"
#include "analysis/verdicts/jackknife.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_VALUES = 1 << 20, COLUMNS_MOST = 1 << 24 };
/* What rows of half-precision probabilities may miss 1 by; how many rows may be no probabilities in a file of them. */
static const double SUM_SLACK = 0.02, ODD_ROWS = 0.01;

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

/* How many of rows[i …] follow each other, `most` at the most. */
static size_t run_length(const uint64_t *rows, size_t i, size_t count, size_t most) {
    size_t length = 1;
    while (length < most && i + length < count && rows[i + length] == rows[i] + length) length++;
    return length;
}

/* ---- labels and assignments -------------------------------------------------------------------------------------- */

/* One integer a row, of the rows that are looked at. free() it. */
static int64_t *read_ints(const subject *s, const array_file *a, error *err) {
    size_t n = s->count;
    int64_t *values = malloc(n * sizeof *values);
    bool ok = values || error_memory(err, n * sizeof *values, a->name);
    for (size_t i = 0, run; ok && i < n; i += run) {
        run = run_length(s->rows, i, n, n);
        ok = array_read_int(a, s->rows[i], run, values + i, err);
    }
    if (ok) return values;
    free(values);
    return NULL;
}

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

static bool hard_assignments(subject *s, const array_file *a, size_t codes, error *err) {
    size_t n = s->count, most = codes ? codes : DIAGNOSE_CODES, largest = 0;
    int64_t *values = read_ints(s, a, err);
    bool ok = values != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        if (values[i] < 0 || (uint64_t)values[i] >= most)
            ok = error_set(err, ERROR_RUN, "%s: row %" PRIu64 " is assigned to code %" PRId64 "; codes are 0 to %zu",
                           a->name, s->rows[i], values[i], most - 1);
        else if ((size_t)values[i] > largest)
            largest = (size_t)values[i];
    }
    if (ok && !(s->assignment = malloc(n * sizeof *s->assignment)))
        ok = error_memory(err, n * sizeof *s->assignment, "assignments");
    for (size_t i = 0; ok && i < n; i++) s->assignment[i] = (int32_t)values[i];
    free(values);
    s->assignments_are = ASSIGNMENTS_HARD, s->codes_guessed = codes == 0;
    if (!ok || !(s->usage = usage_new(codes ? codes : largest + 1, err))) return false;
    usage_deal(s->usage, s->blocks);
    return usage_add_hard(s->usage, s->assignment, n, err);
}

/* Rows of probabilities: none below 0, each row's sum 1. Logits are hardly ever so. */
static bool is_simplex(const float *row, size_t codes) {
    double sum = 0;
    for (size_t j = 0; j < codes; j++) {
        if (row[j] < 0) return false;
        sum += row[j];
    }
    return fabs(sum - 1) <= SUM_SLACK;
}

static int rising(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What a pass over soft assignments finds out: how many rows are no probabilities, how many of these only zeros, and
 * the difference of each row's largest and smallest: range (n). */
static bool look_at_soft(subject *s, const array_file *a, float *block, size_t height, float *range, size_t *odd,
                         error *err) {
    size_t n = s->count, codes = a->cols;
    for (size_t i = 0, run; i < n; i += run) {
        run = run_length(s->rows, i, n, height);
        array_read_float(a, s->rows[i], run, block);
        for (size_t r = 0; r < run; r++) {
            const float *row = block + r * codes;
            float low = row[0], high = row[0];
            for (size_t j = 0; j < codes; j++) {
                if (!isfinite(row[j]))
                    return error_set(err, ERROR_RUN, "%s: row %" PRIu64 " holds NaN or infinity", a->name,
                                     s->rows[i + r]);
                low = fminf(low, row[j]), high = fmaxf(high, row[j]);
            }
            range[i + r] = high - low;
            if (is_simplex(row, codes)) continue;
            ++*odd;
            s->unassigned += low == 0 && high == 0;
        }
    }
    return true;
}

/* Rows of probabilities, with here and there one of zeros; or scores, of a temperature that is given or not known. */
static bool soft_assignments(subject *s, const array_file *a, double temperature, error *err) {
    size_t n = s->count, codes = a->cols, height = codes < BLOCK_VALUES ? BLOCK_VALUES / codes : 1, odd = 0;
    float *block = malloc(height * codes * sizeof *block), *range = malloc(n * sizeof *range);
    s->assignment = malloc(n * sizeof *s->assignment);
    bool ok = (block && range && s->assignment) ||
              error_memory(err, height * codes * sizeof *block + 2 * n * sizeof *range, "assignments");
    ok = ok && look_at_soft(s, a, block, height, range, &odd, err) && (s->usage = usage_new(codes, err));
    bool simplex = ok && odd == s->unassigned && (double)odd <= ODD_ROWS * (double)n;
    if (ok && simplex && temperature > 0)
        ok = error_set(err, ERROR_USAGE, "%s: holds probabilities; --temperature is of scores", a->name);
    if (ok && !simplex) {
        qsort(range, n, sizeof *range, rising);
        s->score_range = (double)range[n / 2], s->unassigned = 0;
        s->assignments_are = temperature > 0 ? ASSIGNMENTS_PROBABILITIES : ASSIGNMENTS_SCORES;
        s->temperature = temperature;
    }
    if (ok) usage_deal(s->usage, s->blocks);
    for (size_t i = 0, run; ok && i < n; i += run) {
        run = run_length(s->rows, i, n, height);
        array_read_float(a, s->rows[i], run, block);
        for (size_t k = 0; simplex && k < run * codes; k++) block[k] = logf(fmaxf(block[k], 1e-37f));
        for (size_t k = 0; temperature > 0 && k < run * codes; k++) block[k] /= (float)temperature;
        ok = usage_add(s->usage, block, run, s->assignment + i, err);
    }
    free(block);
    free(range);
    return ok;
}

/* Of values of all rows, those of the sampled ones. */
static void keep_sampled(const subject *s, int32_t *values) {
    for (size_t i = 0; s->sampled && i < s->embeddings.rows; i++) values[i] = values[s->sampled[i]];
}

static bool take_assignments(subject *s, const array_file *a, size_t codes, double temperature, error *err) {
    if (temperature > 0 && a->integers && a->cols == 1)
        return error_set(err, ERROR_USAGE, "%s: holds one code a row; --temperature is of scores", a->name);
    if (a->integers && a->cols == 1) return hard_assignments(s, a, codes, err);
    if (a->cols < 2)
        return error_set(err, ERROR_RUN,
                         "%s: is %" PRIu64 " × %" PRIu64
                         " floats; assignments are integers, or logits or probabilities with a column a code",
                         a->name, a->rows, a->cols);
    if (a->cols > DIAGNOSE_CODES)
        return error_set(err, ERROR_RUN, "%s: has %" PRIu64 " codes; at most %d can be counted", a->name, a->cols,
                         DIAGNOSE_CODES);
    if (codes && codes != a->cols)
        return error_set(err, ERROR_USAGE, "%s: has %" PRIu64 " codes, not %zu", a->name, a->cols, codes);
    return soft_assignments(s, a, temperature, err);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* What stands in a run's folder, where the options do not say otherwise. */
typedef struct run_files {
    char embeddings[1100], labels[1100], assignments[1100], diagnosis[1100];
} run_files;

/* What a finished run's record speaks of must be what lies there. */
static bool check_run(const char *folder, error *err) {
    static const char *const names[] = {"embeddings.npy", "labels.npy", "assignments.npy", "diagnosis.json",
                                        "metrics.jsonl"};
    char path[1100];
    snprintf(path, sizeof path, "%.1000s/run.json", folder);
    if (access(path, F_OK) != 0) return true;
    json_t *record = record_read(path, err);
    bool ok = record != NULL;
    for (size_t i = 0; ok && i < sizeof names / sizeof *names; i++)
        ok = record_check_file(record, folder, names[i], err);
    json_decref(record);
    return ok;
}

static bool looks_like_run(const char *folder) {
    static const char *const files[] = {"spec.yaml", "run.json", "metrics.jsonl", "diagnosis.json"};
    char path[1100];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%.1000s/%s", folder, files[i]);
        if (access(path, F_OK) == 0) return true;
    }
    return false;
}

static bool use_run(diagnose_options *o, run_files *f, error *err) {
    struct stat status;
    if (o->memory_count || strcmp(o->source, "-") == 0 || stat(o->source, &status) != 0 || !S_ISDIR(status.st_mode))
        return true;
    snprintf(f->embeddings, sizeof f->embeddings, "%.1000s/embeddings.npy", o->source);
    snprintf(f->labels, sizeof f->labels, "%.1000s/labels.npy", o->source);
    snprintf(f->assignments, sizeof f->assignments, "%.1000s/assignments.npy", o->source);
    snprintf(f->diagnosis, sizeof f->diagnosis, "%.1000s/diagnosis.json", o->source);
    if (access(f->embeddings, F_OK) != 0)
        return !looks_like_run(o->source) || /* some other folder: see what kind it is */
               error_set(err, ERROR_RUN, "%.500s: holds no embeddings.npy; a run's folder does once it is evaluated",
                         o->source);
    if (!check_run(o->source, err)) return false;
    o->source = f->embeddings;
    if (!o->labels && access(f->labels, F_OK) == 0) o->labels = f->labels;
    if (o->assignments || access(f->assignments, F_OK) != 0) return true;
    o->assignments = f->assignments;
    json_t *known = json_load_file(f->diagnosis, 0, NULL);
    json_int_t codes = json_integer_value(json_object_get(known, "codes"));
    if (!o->codes && codes > 0 && codes <= DIAGNOSE_CODES) o->codes = (size_t)codes;
    json_decref(known);
    return true;
}

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

/* The newest checkpoint of a run's folder; false when there is none. */
static bool newest_checkpoint(const char *folder, char *path, size_t size) {
    static const char ending[] = ".safetensors";
    char newest[256] = "";
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (strncmp(entry->d_name, "checkpoint-", 11) != 0 || length >= sizeof newest) continue;
        if (strcmp(entry->d_name + length - tail, ending) == 0 && strcmp(entry->d_name, newest) > 0)
            strcpy(newest, entry->d_name);
    }
    if (directory) closedir(directory);
    snprintf(path, size, "%.1000s/%s", folder, newest);
    return *newest != 0;
}

/* What methods call the vectors that embeddings are scored against, where these are learned; drawn ones are in no
 * checkpoint. Self-Classifier's layer is told from a supervised one, which has classes, by its gain. */
static const struct {
    const char *name, *beside;
    bool columns; /* a code is a column rather than a row */
} learned[] = {
    {"head.prototypes.weight", NULL, false},
    {"head.last_layer.weight", NULL, false},
    {"head.classifier.weight", "head.classifier.gain", false},
    {"head.dictionary", NULL, true},
};

/* A run's learned prototypes out of its newest checkpoint; a run without is none the worse. */
static void take_run_prototypes(subject *s) {
    char path[1300];
    error ignored = {0};
    size_t d = s->file.cols;
    safetensors *st = newest_checkpoint(s->run, path, sizeof path) ? safetensors_open(path, &ignored) : NULL;
    for (size_t i = 0; st && !s->own_prototypes && i < sizeof learned / sizeof *learned; i++) {
        const safetensors_entry *e = safetensors_find(st, learned[i].name);
        bool columns = learned[i].columns;
        if (!e || e->dims != 2 || (learned[i].beside && !safetensors_find(st, learned[i].beside))) continue;
        size_t c = (size_t)e->shape[columns];
        if (e->shape[!columns] != d || !c || c > DUPLICATES_PROTOTYPES) continue;
        float *values = malloc(c * d * sizeof *values);
        float *rows = s->own_prototypes = malloc(c * d * sizeof *rows);
        bool read = values && rows && safetensors_read_float(st, learned[i].name, values, c * d, &ignored);
        for (size_t k = 0; read && k < c; k++)
            for (size_t j = 0; j < d; j++) rows[k * d + j] = values[columns ? j * c + k : k * d + j];
        if (read && matrix_check((matrix){rows, c, d}, path, &ignored)) s->prototypes = (matrix){rows, c, d};
        free(values);
    }
    safetensors_close(st);
}

static bool take_groups(subject *s, const array_file *a, error *err) {
    if (a->cols != 1)
        return error_set(err, ERROR_RUN, "%s: is %" PRIu64 " × %" PRIu64 "; groups are one integer a row", a->name,
                         a->rows, a->cols);
    return (s->groups = read_ints(s, a, err)) != NULL;
}

static bool draw_blocks(subject *s, uint64_t seed, error *err) {
    s->blocks = malloc(s->count);
    return (s->blocks || error_memory(err, s->count, "blocks of rows")) &&
           jackknife_draw(s->count, s->groups, seed, s->blocks, err);
}

/* The figures of what the rows are held against: the same rows, any width. */
static bool take_reference(subject *s, const diagnose_options *o, error *err) {
    array_request request = {.usual = "embeddings", .dims = 2};
    array_file a;
    if (!open_named(o, &a, o->reference, &request, err)) return false;
    row_reader reader = {&a, s->rows, s->count, 0, NULL, NULL};
    row_source rows;
    double *own = NULL;
    evidence_options with = {.intervals = !o->fast, .blocks = s->blocks, .seed = o->seed};
    bool ok = check_length(s, &a, "rows", err);
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
    bool ok = use_run(&o, &files, err);
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
    if (ok && s->run && !o.prototypes) take_run_prototypes(s);
    ok = ok && (!o.second || open_second(s, &o, err)) && subject_take_rows(s, &o, o.second ? &s->other : NULL, err) &&
         (!has_labels(&o) || number_labels(s, &labels, &o, err)) && (!o.groups || take_groups(s, &groups, err)) &&
         draw_blocks(s, o.seed, err) &&
         (!o.assignments || take_assignments(s, &assignments, o.codes, o.temperature, err)) &&
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
