/*
 * A run's folder as a subject: its arrays, held against its record, and the prototypes of its newest checkpoint.
 */
#include "engine/files/record.h"
#include "analysis/diagnose/diagnose_load.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

bool run_use(diagnose_options *o, run_files *f, error *err) {
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
    json_t *known;
    if (!record_peek(f->diagnosis, &known, err)) return false;
    json_int_t codes = json_integer_value(json_object_get(known, "codes"));
    if (!o->codes && codes > 0 && codes <= DIAGNOSE_CODES) o->codes = (size_t)codes;
    json_decref(known);
    return true;
}

/* The newest checkpoint of a run's folder, if there is one. */
static bool newest_checkpoint(const char *folder, bool *there, char *path, size_t size, error *err) {
    static const char ending[] = ".safetensors";
    char newest[256] = "";
    DIR *directory = opendir(folder);
    if (!directory) return error_set(err, ERROR_RUN, "cannot read %.1000s: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (strncmp(entry->d_name, "checkpoint-", 11) != 0 || length >= sizeof newest) continue;
        if (strcmp(entry->d_name + length - tail, ending) == 0 && strcmp(entry->d_name, newest) > 0)
            strcpy(newest, entry->d_name);
    }
    closedir(directory);
    snprintf(path, size, "%.1000s/%s", folder, newest);
    *there = *newest != 0;
    return true;
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

/* The tensor that holds them, as rows of d; NULL when there is none. */
static const safetensors_entry *find_learned(const safetensors *st, size_t d, bool *columns) {
    for (size_t i = 0; i < sizeof learned / sizeof *learned; i++) {
        const safetensors_entry *e = safetensors_find(st, learned[i].name);
        *columns = learned[i].columns;
        if (!e || e->dims != 2 || (learned[i].beside && !safetensors_find(st, learned[i].beside))) continue;
        uint64_t c = e->shape[*columns];
        if (e->shape[!*columns] == d && c && c <= DUPLICATES_PROTOTYPES) return e;
    }
    return NULL;
}

static bool take(subject *s, const safetensors *st, const safetensors_entry *e, bool columns, const char *path,
                 error *err) {
    error ignored = {0}; /* weights that are no numbers say nothing */
    size_t d = s->file.cols, c = (size_t)e->shape[columns];
    if (safetensors_claims_seal(st) && safetensors_seal(st) != SEAL_SOUND)
        return error_set(err, ERROR_RUN, "%.1100s: its checksum does not hold: it has been damaged", path);
    float *values = malloc(c * d * sizeof *values);
    float *rows = s->own_prototypes = malloc(c * d * sizeof *rows);
    bool ok = (values && rows) || error_memory(err, 2 * c * d * sizeof *rows, path);
    ok = ok && safetensors_read_float(st, e->name, values, c * d, err);
    for (size_t k = 0; ok && k < c; k++)
        for (size_t j = 0; j < d; j++) rows[k * d + j] = values[columns ? j * c + k : k * d + j];
    if (ok && matrix_check((matrix){rows, c, d}, path, &ignored)) s->prototypes = (matrix){rows, c, d};
    free(values);
    return ok;
}

bool run_take_prototypes(subject *s, error *err) {
    char path[1300];
    bool there = false, columns;
    if (!newest_checkpoint(s->run, &there, path, sizeof path, err)) return false;
    safetensors *st = there ? safetensors_open(path, err) : NULL;
    const safetensors_entry *e = st ? find_learned(st, s->file.cols, &columns) : NULL;
    bool ok = (!there || st) && (!e || take(s, st, e, columns, path, err));
    safetensors_close(st);
    return ok;
}
