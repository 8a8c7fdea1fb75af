/*
 * A checkpoint is a safetensors file of every weight, buffer and optimiser state, with the position in its metadata:
 * all that does not follow from the spec. It is written beside its name and renamed, and the one before it is kept, so
 * a crash at any moment leaves a sound one. Loading believes nothing that the seal does not cover, and writes into the
 * parameters only once a checkpoint has passed every check.
 */
#include "engine/files/checkpoint.h"
#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "engine/files/safetensors.h"

#include <dirent.h>
#include <errno.h>
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
    int lead = one->batch_dimension;
    item->dims = lead + one->value.rank - skip;
    if (lead) item->shape[0] = 1;
    for (int i = lead; i < item->dims; i++) item->shape[i] = (uint64_t)one->value.shape[i - lead + skip];
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

/* Steps of the folder's checkpoints, newest first, and how many (at most `most`); none where there is no folder. */
static bool list_steps(const char *folder, uint64_t *steps, size_t most, size_t *listed, error *err) {
    size_t count = 0;
    DIR *d = opendir(folder);
    *listed = 0;
    if (!d) return errno == ENOENT || error_set(err, ERROR_RUN, "cannot read %s: %s", folder, strerror(errno));
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
    *listed = count;
    return true;
}

bool checkpoint_stands(const char *folder) {
    uint64_t step;
    size_t count;
    error why = {0};
    return !list_steps(folder, &step, 1, &count, &why) || count > 0;
}

static void step_path(const char *folder, uint64_t step, char *out, size_t size) {
    snprintf(out, size, "%s/checkpoint-%08" PRIu64 ".safetensors", folder, step);
}

enum { LISTED = 64 };

static void remove_old(const char *folder) {
    uint64_t steps[LISTED];
    char path[1200];
    size_t count;
    error ignored = {0}; /* the next one tries again */
    list_steps(folder, steps, LISTED, &count, &ignored);
    for (size_t i = KEPT; i < count; i++) {
        step_path(folder, steps[i], path, sizeof path);
        unlink(path);
    }
}

/* SHA-256 of the first `size` bytes of the history; false when it has fewer. */
static bool history_sum(const checkpoint_place *place, uint64_t size, char out[65], bool *enough, error *err) {
    char path[1200];
    file_map map = {0};
    snprintf(path, sizeof path, "%s/%s", place->folder, place->history);
    *enough = size == 0 || access(path, F_OK) == 0;
    if (size && *enough && !file_map_open(&map, path, err)) return false;
    *enough = map.size >= size;
    if (*enough) checksum_sha256(map.data, size, out);
    file_map_close(&map);
    return true;
}

void checkpoint_remove_all(const char *folder) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "checkpoint-", strlen("checkpoint-")) == 0) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
}

/* Writes tensors as the checkpoint of a step, bound to run, code and history, and keeps the one before it. */
static bool write_bound(const checkpoint_place *place, const safetensors_item *items, size_t count,
                        uint64_t optimizer_steps, const checkpoint_position *at, error *err) {
    bool enough = true;
    char path[1200], step[32], taken[32], offset[32], seconds[32], threads[16], history[65] = "";
    snprintf(step, sizeof step, "%" PRIu64, at->step);
    snprintf(taken, sizeof taken, "%" PRIu64, optimizer_steps);
    snprintf(offset, sizeof offset, "%" PRIu64, at->metrics_offset);
    snprintf(seconds, sizeof seconds, "%.3f", at->seconds);
    snprintf(threads, sizeof threads, "%d", at->threads);
    if (place->history && !history_sum(place, at->metrics_offset, history, &enough, err)) return false;
    if (!enough) return error_set(err, ERROR_RUN, "%s/%s has become shorter", place->folder, place->history);
    const char *metadata[] = {SEAL_KEY, SEAL_BLANK,       "step",      step,      "optimizer_steps",
                              taken,    "metrics_offset", offset,      "seconds", seconds,
                              "run",    place->run,       "threads",   threads,   "history",
                              history,  "code",           place->code, NULL};
    step_path(place->folder, at->step, path, sizeof path);
    if (!safetensors_write(path, items, count, metadata, err)) return false;
    remove_old(place->folder);
    return true;
}

bool checkpoint_save(const checkpoint_place *place, const parameters *p, const optimizer *o,
                     const checkpoint_position *at, error *err) {
    bundle b = {0};
    bool ok = bundle_fill(&b, p, o, err) && write_bound(place, b.items, b.count, o->steps, at, err);
    bundle_free(&b);
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

static checkpoint_position position_of(const safetensors *st, uint64_t step) {
    const char *seconds = safetensors_metadata(st, "seconds");
    return (checkpoint_position){.step = step,
                                 .metrics_offset = number(st, "metrics_offset"),
                                 .seconds = seconds ? strtod(seconds, NULL) : 0,
                                 .threads = (int)number(st, "threads")};
}

/* Every tensor that the parameters need, of the size they need. */
static bool fits(const safetensors *st, const parameters *p, bool with_optimizer, error *why) {
    for (size_t i = 0; i < p->count; i++)
        for (int k = 0; p->items[i]->role != ROLE_CONSTANT && k < (with_optimizer ? SLOTS : 1); k++) {
            char name[NAME_SIZE];
            const parameter *one = p->items[i];
            uint64_t count = (uint64_t)tensor_count(&one->value);
            if (!slot(one, k)) continue;
            snprintf(name, sizeof name, "%s%s", slot_prefix[k], one->name);
            const safetensors_entry *e = safetensors_find(st, name);
            if (!e) return error_set(why, ERROR_RUN, "it holds no tensor `%s`", name);
            if (e->count != count)
                return error_set(why, ERROR_RUN, "its tensor `%s` holds %" PRIu64 " elements, not %" PRIu64, name,
                                 e->count, count);
        }
    return true;
}

static bool load_all(const safetensors *st, parameters *p, optimizer *o, error *err) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i]->role == ROLE_CONSTANT) continue;
        for (int k = 0; k < (o ? SLOTS : 1); k++)
            if (slot(p->items[i], k) && !load_slot(st, p, p->items[i], k, err)) return false;
    }
    if (!o) return true;
    o->steps = number(st, "optimizer_steps");
    for (size_t i = 0; i < p->count; i++)
        if (!load_steps(st, p->items[i], o->steps, err)) return false;
    return true;
}

/* Why the checkpoint cannot be this run's of `step`, into `why`; false with `err` only when that cannot be told. */
static bool examine(const safetensors *st, const checkpoint_place *place, uint64_t step, error *why, error *err) {
    bool sealed = safetensors_claims_seal(st), enough = true;
    const char *run = safetensors_metadata(st, "run"), *history = safetensors_metadata(st, "history");
    const char *code = safetensors_metadata(st, "code");
    char sum[65] = "";
    if (sealed && safetensors_seal(st) != SEAL_SOUND)
        error_set(why, ERROR_RUN, "it is damaged: its checksum does not hold");
    else if (sealed && (!run || strcmp(run, place->run) != 0))
        error_set(why, ERROR_RUN, "it belongs to the run %s", run ? run : "without a name");
    else if (sealed && !place->any_code && code && strcmp(code, place->code) != 0)
        error_set(why, ERROR_RUN, "it was made by other code");
    else if (number(st, "step") != step)
        error_set(why, ERROR_RUN, "it is of step %" PRIu64 ", which its name does not say", number(st, "step"));
    if (why->code || !place->history || !sealed || !history || !*history) return true;
    if (!history_sum(place, number(st, "metrics_offset"), sum, &enough, err)) return false;
    if (!enough || strcmp(sum, history) != 0)
        error_set(why, ERROR_RUN, "%s is not the one that it was written with", place->history);
    return true;
}

static void pass_over(const checkpoint_place *place, const char *path, bool last, const error *why) {
    char aside[1300], line[sizeof why->text + 2 * sizeof aside + 160];
    snprintf(aside, sizeof aside, "%s.aside", path);
    bool moved = rename(path, aside) == 0;
    snprintf(line, sizeof line, "%.1199s is not taken: %s; %s%s%.1299s", path, why->text,
             last ? "there is none before it, so training begins anew" : "going back to the checkpoint before",
             moved ? "; it is kept as " : "", moved ? aside : "");
    if (place->warn) place->warn(place->context, line);
}

/* Looks at one file and takes it if it can be taken; `why` says why not. False: neither could be done. */
static bool try_one(const checkpoint_place *place, const char *path, uint64_t step, parameters *p, optimizer *o,
                    checkpoint_position *at, error *why, error *err) {
    file_map map;
    if (!file_map_open(&map, path, err)) return false; /* unreadable, which is not damaged */
    safetensors *st = safetensors_parse(map.data, map.size, path, why);
    bool ok = !st || examine(st, place, step, why, err);
    if (ok && !why->code && !fits(st, p, o != NULL, why) && safetensors_claims_seal(st))
        ok = error_set(err, ERROR_RUN, "%s does not fit this run: %s", path, why->text);
    if (ok && !why->code) {
        ok = load_all(st, p, o, err) || error_prefix(err, "%s", path);
        *at = position_of(st, step);
    }
    safetensors_close(st);
    file_map_close(&map);
    return ok;
}

bool checkpoint_load(const checkpoint_place *place, parameters *p, optimizer *o, checkpoint_position *at, bool *found,
                     error *err) {
    uint64_t steps[LISTED];
    size_t count;
    *found = false;
    if (!list_steps(place->folder, steps, LISTED, &count, err)) return false;
    for (size_t i = 0; i < count && !*found; i++) {
        char path[1200];
        error why = {0};
        step_path(place->folder, steps[i], path, sizeof path);
        if (!try_one(place, path, steps[i], p, o, at, &why, err)) return false;
        *found = !why.code;
        if (why.code && place->newest_only)
            return error_set(err, ERROR_RUN, "%s cannot be taken: %s; `mews train` with the run's spec makes it again",
                             path, why.text);
        if (why.code) pass_over(place, path, i + 1 == count, &why);
    }
    return true;
}

/* From one run to another ------------------------------------------------------------------------------------------ */

/* Opens the checkpoint of a step if it verifies; the map outlives the result. */
static safetensors *open_sound(const checkpoint_place *place, uint64_t step, file_map *map, error *err) {
    char path[1200];
    error why = {0};
    step_path(place->folder, step, path, sizeof path);
    if (!file_map_open(map, path, err)) return NULL;
    safetensors *st = safetensors_parse(map->data, map->size, path, err);
    bool ok = st && examine(st, place, step, &why, err) &&
              (!why.code || error_set(err, ERROR_RUN, "%s cannot be taken: %s", path, why.text));
    if (ok) return st;
    safetensors_close(st);
    file_map_close(map);
    return NULL;
}

bool checkpoint_newest(const checkpoint_place *place, checkpoint_position *at, error *err) {
    uint64_t step;
    size_t count;
    file_map map = {0};
    if (!list_steps(place->folder, &step, 1, &count, err)) return false;
    if (!count) return error_set(err, ERROR_RUN, "%s holds no checkpoint", place->folder);
    safetensors *st = open_sound(place, step, &map, err);
    if (!st) return false;
    *at = position_of(st, step);
    safetensors_close(st);
    file_map_close(&map);
    return true;
}

bool checkpoint_copy(const checkpoint_place *from, const checkpoint_place *to, const checkpoint_position *at,
                     error *err) {
    file_map map = {0};
    safetensors *st = open_sound(from, at->step, &map, err);
    if (!st) return false;
    size_t count = safetensors_count(st);
    safetensors_item *items = calloc(count + 1, sizeof *items);
    bool ok = items || error_memory(err, count * sizeof *items, "a checkpoint");
    for (size_t i = 0; ok && i < count; i++) {
        const safetensors_entry *e = safetensors_at(st, i);
        items[i] = (safetensors_item){.name = e->name, .dtype = e->dtype, .dims = e->dims, .data = e->data};
        memcpy(items[i].shape, e->shape, sizeof e->shape);
    }
    ok = ok && write_bound(to, items, count, number(st, "optimizer_steps"), at, err);
    free(items);
    safetensors_close(st);
    file_map_close(&map);
    return ok;
}
