/*
 * A checkpoint is a safetensors file of every weight, buffer and optimiser state, with the position in its metadata:
 * all that does not follow from the spec. It is written beside its name and renamed, and the one before it is kept, so
 * a crash at any moment leaves a sound one; loading takes the newest that passes its checks and says what it skipped.
 */
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 160, KEPT = 2, SLOTS = 3 };
static const char *const slot_prefix[SLOTS] = {"", "optimizer.first.", "optimizer.second."};
static const char steps_prefix[] = "optimizer.steps.";

/* What a parameter has to save: its value, and the optimiser's two moments when there are any. */
static real *slot(const parameter *one, int k) { return k == 0 ? one->value.data : k == 1 ? one->first : one->second; }

/* Saving ---------------------------------------------------------------------------------------------------------- */

typedef struct bundle {
    safetensors_item *items;
    char (*names)[NAME_SIZE];
    float **values;
    size_t count;
} bundle;

static void bundle_free(bundle *b) {
    for (size_t i = 0; i < b->count; i++) free(b->values[i]);
    free(b->items);
    free(b->names);
    free(b->values);
}

static bool bundle_add(bundle *b, const parameters *p, const parameter *one, int k, error *err) {
    int64_t count = tensor_count(&one->value);
    float *values = malloc((size_t)count * sizeof *values);
    if (!values) return error_memory(err, (size_t)count * sizeof *values, "a checkpoint");
    tensor place = one->value;
    place.data = slot(one, k);
    p->backend->read(p->backend, &place, values);
    snprintf(b->names[b->count], NAME_SIZE, "%s%s", slot_prefix[k], one->name);
    safetensors_item *item = &b->items[b->count];
    *item = (safetensors_item){.name = b->names[b->count], .dtype = ST_F32, .data = values};
    /* PyTorch keeps biases and norms as vectors; here they are one-row matrices. */
    int skip = one->value.rank == 2 && one->value.shape[0] == 1 && one->role != ROLE_WEIGHT;
    item->dims = one->value.rank - skip;
    for (int i = 0; i < item->dims; i++) item->shape[i] = (uint64_t)one->value.shape[i + skip];
    b->values[b->count++] = values;
    return true;
}

/* How often the optimiser moved a parameter, where that is not every time: it was frozen for a while. */
static bool bundle_add_steps(bundle *b, const parameter *one, error *err) {
    float *steps = malloc(sizeof *steps);
    if (!steps) return error_memory(err, sizeof *steps, "a checkpoint");
    *steps = (float)one->steps;
    snprintf(b->names[b->count], NAME_SIZE, "%s%s", steps_prefix, one->name);
    b->items[b->count] =
        (safetensors_item){.name = b->names[b->count], .dtype = ST_F32, .dims = 1, .shape = {1}, .data = steps};
    b->values[b->count++] = steps;
    return true;
}

static bool bundle_fill(bundle *b, const parameters *p, const optimizer *o, error *err) {
    size_t most = p->count * (SLOTS + 1);
    b->items = calloc(most, sizeof *b->items);
    b->names = calloc(most, sizeof *b->names);
    b->values = calloc(most, sizeof *b->values);
    if (!b->items || !b->names || !b->values) return error_memory(err, most * NAME_SIZE, "a checkpoint");
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i]->role == ROLE_CONSTANT) continue;
        for (int k = 0; k < SLOTS; k++)
            if (slot(p->items[i], k) && !bundle_add(b, p, p->items[i], k, err)) return false;
        if (p->items[i]->first && p->items[i]->steps != o->steps && !bundle_add_steps(b, p->items[i], err))
            return false;
    }
    return true;
}

/* Steps of the folder's checkpoints, newest first; returns how many (at most `most`). */
static size_t list_steps(const char *folder, uint64_t *steps, size_t most) {
    size_t count = 0;
    DIR *d = opendir(folder);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        uint64_t step;
        int end = 0;
        if (sscanf(e->d_name, "checkpoint-%" SCNu64 ".safetensors%n", &step, &end) != 1 || !end || e->d_name[end])
            continue;
        size_t at = count < most ? count++ : most; /* insert into the descending list, dropping the oldest */
        while (at > 0 && steps[at - 1] < step) {
            if (at < most) steps[at] = steps[at - 1];
            at--;
        }
        if (at < most) steps[at] = step;
    }
    closedir(d);
    return count;
}

static void step_path(const char *folder, uint64_t step, char *out, size_t size) {
    snprintf(out, size, "%s/checkpoint-%08" PRIu64 ".safetensors", folder, step);
}

enum { LISTED = 64 };

static void remove_old(const char *folder) {
    uint64_t steps[LISTED];
    char path[1200];
    size_t count = list_steps(folder, steps, LISTED);
    for (size_t i = KEPT; i < count; i++) {
        step_path(folder, steps[i], path, sizeof path);
        unlink(path);
    }
}

bool checkpoint_save(const char *folder, const parameters *p, const optimizer *o, const checkpoint_position *at,
                     error *err) {
    bundle b = {0};
    char path[1200], step[32], taken[32], offset[32], seconds[32];
    snprintf(step, sizeof step, "%" PRIu64, at->step);
    snprintf(taken, sizeof taken, "%" PRIu64, o->steps);
    snprintf(offset, sizeof offset, "%" PRIu64, at->metrics_offset);
    snprintf(seconds, sizeof seconds, "%.3f", at->seconds);
    const char *metadata[] = {"step", step,      "optimizer_steps", taken, "metrics_offset",
                              offset, "seconds", seconds,           NULL};
    step_path(folder, at->step, path, sizeof path);
    bool ok = bundle_fill(&b, p, o, err) && safetensors_write(path, b.items, b.count, metadata, err);
    bundle_free(&b);
    if (ok) remove_old(folder);
    return ok;
}

/* Loading --------------------------------------------------------------------------------------------------------- */

static bool load_slot(const safetensors *st, parameters *p, parameter *one, int k, error *err) {
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", slot_prefix[k], one->name);
    int64_t count = tensor_count(&one->value);
    float *values = malloc((size_t)count * sizeof *values);
    if (!values) return error_memory(err, (size_t)count * sizeof *values, "a checkpoint");
    bool ok = safetensors_read_float(st, name, values, (uint64_t)count, err);
    tensor place = one->value;
    place.data = slot(one, k);
    if (ok) p->backend->write(p->backend, &place, values);
    free(values);
    return ok;
}

static bool load_steps(const safetensors *st, parameter *one, uint64_t all, error *err) {
    char name[NAME_SIZE];
    float steps = (float)all;
    snprintf(name, sizeof name, "%s%s", steps_prefix, one->name);
    if (safetensors_find(st, name) && !safetensors_read_float(st, name, &steps, 1, err)) return false;
    one->steps = safetensors_find(st, name) ? (uint64_t)steps : all;
    return true;
}

static uint64_t number(const safetensors *st, const char *key) {
    const char *text = safetensors_metadata(st, key);
    return text ? strtoull(text, NULL, 10) : 0;
}

static bool load_all(const safetensors *st, parameters *p, optimizer *o, checkpoint_position *at, error *err) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i]->role == ROLE_CONSTANT) continue;
        for (int k = 0; k < (o ? SLOTS : 1); k++)
            if (slot(p->items[i], k) && !load_slot(st, p, p->items[i], k, err)) return false;
    }
    at->step = number(st, "step");
    at->metrics_offset = number(st, "metrics_offset");
    at->seconds = safetensors_metadata(st, "seconds") ? strtod(safetensors_metadata(st, "seconds"), NULL) : 0;
    if (!o) return true;
    o->steps = number(st, "optimizer_steps");
    for (size_t i = 0; i < p->count; i++)
        if (!load_steps(st, p->items[i], o->steps, err)) return false;
    return true;
}

bool checkpoint_load(const char *folder, parameters *p, optimizer *o, checkpoint_position *at, bool *found,
                     void (*warn)(void *, const char *), void *context, error *err) {
    uint64_t steps[LISTED];
    size_t count = list_steps(folder, steps, LISTED);
    *found = false;
    for (size_t i = 0; i < count && !*found; i++) {
        char path[1200];
        error unsound = {0};
        step_path(folder, steps[i], path, sizeof path);
        safetensors *st = safetensors_open(path, &unsound);
        if (!st) {
            char line[sizeof unsound.text + 64];
            snprintf(line, sizeof line, "%s; going back to the checkpoint before", unsound.text);
            if (warn) warn(context, line);
            continue;
        }
        bool ok = load_all(st, p, o, at, err);
        safetensors_close(st);
        if (!ok) return error_prefix(err, "%s does not fit this run", path);
        *found = true;
    }
    return true;
}
