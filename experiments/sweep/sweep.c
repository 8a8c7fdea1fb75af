/*
 * Expanding sweeps. For each reading of a block's wheels one layer of settings is laid over the file's, the block's and
 * --set's, and resolved. A value that is swept and fixed by --set is one-valued by then (spec_file_set saw to it), so
 * that a run picked out of a sweep has the id it has in the whole sweep.
 */
#include "experiments/sweep/sweep.h"
#include "experiments/spec/wheels.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Notes the swept values as the resolved spec holds them: 1e-3 and 0.001 are one value. */
static bool note_swept(run_plan *plan, const wheels *w, error *err) {
    plan->swept = calloc(w->column_count + 1, sizeof *plan->swept);
    if (!plan->swept) return error_memory(err, w->column_count * sizeof *plan->swept, "a sweep");
    plan->swept_count = w->column_count;
    spec_item item;
    for (size_t i = 0; spec_item_at(&plan->spec, i, &item); i++) {
        char key[FIELD_TEXT_SIZE];
        snprintf(key, sizeof key, "%s.%s", item.section, item.key);
        for (size_t c = 0; c < w->column_count; c++) {
            if (strcmp(w->columns[c].axis->key, key) != 0) continue;
            swept_value *swept = &plan->swept[c];
            snprintf(swept->key, sizeof swept->key, "%.95s", key);
            memcpy(swept->value, item.text, sizeof item.text);
            swept->type = item.type;
        }
    }
    return true;
}

static bool same_swept(const run_plan *a, const run_plan *b) {
    if (a->swept_count != b->swept_count || strcmp(a->block, b->block) != 0) return false;
    for (size_t i = 0; i < a->swept_count; i++)
        if (strcmp(a->swept[i].value, b->swept[i].value) != 0) return false;
    return true;
}

/* A value listed twice (64 and 64, 1e-3 and 0.001) would be the same run twice; the wheel that differs is to blame. */
static bool check_new(const sweep *sw, size_t first, const wheels *w, error *err) {
    const run_plan *last = &sw->runs[sw->count - 1];
    for (size_t i = first; i + 1 < sw->count; i++) {
        if (!same_swept(&sw->runs[i], last)) continue;
        size_t reading = i - first;
        for (size_t wheel = w->wheel_count; wheel-- > 0; reading /= w->rows[wheel]) {
            if (reading % w->rows[wheel] == w->at[wheel]) continue;
            size_t c = 0;
            while (w->columns[c].wheel != wheel) c++;
            const setting *value = wheels_value(w, c);
            return error_set(err, ERROR_USAGE, "%s: `%s` %s %s twice", value->where, value->key,
                             w->columns[c].axis->group ? "and what moves with it run over" : "sweeps over",
                             last->swept[c].value);
        }
    }
    return true;
}

/* The layers of a run, lowest first, into `out`: room for those of both levels and two more. */
static size_t stack_layers(const spec_file *file, const spec_block *block, const settings *swept,
                           const settings **out) {
    size_t count = spec_level_layers(&file->top, NULL, out, 0); /* once for the method alone */
    if (block) count = spec_level_layers(&block->level, NULL, out, count);
    out[count++] = &file->overrides, out[count++] = swept;
    const setting *method = settings_last(out, count, "method.name");
    const char *name = method ? method->value : NULL;
    count = spec_level_layers(&file->top, name, out, 0);
    if (block) count = spec_level_layers(&block->level, name, out, count);
    out[count++] = &file->overrides, out[count++] = swept;
    return count;
}

/* `named`: see spec_name_data. */
static bool add_run(sweep *sw, const spec_file *file, const spec_block *block, const wheels *w, settings *named,
                    error *err) {
    settings swept = {0};
    bool done = false;
    const settings **layers =
        calloc(file->top.layer_count + (block ? block->level.layer_count : 0) + 3, sizeof(settings *));
    run_plan *runs = realloc(sw->runs, (sw->count + 1) * sizeof *runs);
    if (runs) sw->runs = runs;
    if (!runs || !layers) {
        error_memory(err, (sw->count + 1) * sizeof *runs, "a sweep");
        goto done;
    }
    for (size_t c = 0; c < w->column_count; c++) {
        const setting *value = wheels_value(w, c);
        if (!settings_add(&swept, value->key, value->value, value->list, value->where, err)) goto done;
    }
    run_plan *plan = &runs[sw->count];
    *plan = (run_plan){0};
    snprintf(plan->block, sizeof plan->block, "%s", block ? block->name : "");
    size_t count = stack_layers(file, block, &swept, layers + 1) + 1;
    layers[0] = named;
    if (!spec_name_data(named, layers + 1, count - 1, err) ||
        !spec_resolve(&plan->spec, file->name, layers, count, file->path, err))
        goto done;
    sw->count++;
    const spec_halving *halving = spec_file_halving(file, block);
    if (halving && !spec_halving_fits(halving, &plan->spec, err)) goto done;
    done = note_swept(plan, w, err);
done:
    free(layers);
    settings_free(&swept);
    return done;
}

static bool expand_block(sweep *sw, const spec_file *file, const spec_block *block, error *err) {
    wheels w;
    settings named = {0};
    size_t first = sw->count;
    bool done = wheels_make(&w, block ? &block->level.axes : NULL, &file->top.axes, err);
    if (done) do {
            done = sw->count < SWEEP_MOST_RUNS ||
                   error_set(err, ERROR_USAGE, "%s: the sweep has more than %d runs", file->path, SWEEP_MOST_RUNS);
            done = done && add_run(sw, file, block, &w, &named, err) && check_new(sw, first, &w, err);
        } while (done && wheels_turn(&w));
    wheels_free(&w);
    settings_free(&named);
    return done;
}

/* Names the method and takes over a layer's settings; not those that refer to keys of a run, for there is none. */
static bool copy_unused(settings *out, const spec_layer *layer, error *err) {
    bool done = settings_add(out, "method.name", layer->method, false, layer->where, err);
    for (size_t i = 0; done && i < layer->settings.count; i++) {
        const setting *s = &layer->settings.items[i];
        done = strstr(s->value, "${") || settings_add(out, s->key, s->value, s->list, s->where, err);
    }
    return done;
}

/* `methods:` of a method that no run has: its keys are checked all the same. */
static bool check_unused(const sweep *sw, const spec_file *file, const spec_block *block, error *err) {
    const spec_level *level = block ? &block->level : &file->top;
    for (size_t i = 0; i < level->layer_count; i++) {
        const spec_layer *layer = &level->layers[i];
        bool used = !*layer->method;
        for (size_t k = 0; k < sw->count && !used; k++)
            used = strcmp(sw->runs[k].spec.method->name, layer->method) == 0;
        if (used) continue;
        spec s;
        settings alone = {0};
        const settings *layers = &alone;
        bool done = copy_unused(&alone, layer, err) && spec_resolve(&s, "unused", &layers, 1, file->path, err);
        settings_free(&alone);
        if (!done) return false;
        spec_free(&s);
    }
    return true;
}

/* A level's settings against the runs that they are for: of its block (NULL: all), of a layer's method. */
static bool check_level(const sweep *sw, const spec_block *block, const spec_level *level, const spec **runs,
                        error *err) {
    for (size_t l = 0; l < level->layer_count; l++) {
        const spec_layer *layer = &level->layers[l];
        size_t count = 0;
        for (size_t i = 0; i < sw->count; i++)
            if ((!block || strcmp(sw->runs[i].block, block->name) == 0) &&
                (!*layer->method || strcmp(sw->runs[i].spec.method->name, layer->method) == 0))
                runs[count++] = &sw->runs[i].spec;
        for (size_t i = 0; i < layer->settings.count; i++)
            if (!spec_check_use(runs, count, &layer->settings.items[i], err)) return false;
    }
    return true;
}

/* Is the file a run's own spec.yaml? That gives every key, whether the run uses it or not. */
static bool is_of_a_run(const spec_file *file) {
    char record[PATH_MAX];
    const char *slash = strrchr(file->path, '/'), *base = slash ? slash + 1 : file->path;
    snprintf(record, sizeof record, "%.*srun.json", (int)(base - file->path), file->path);
    return strcmp(base, "spec.yaml") == 0 && access(record, F_OK) == 0;
}

/* Whatever is given does something in some run. */
static bool check_use(const sweep *sw, const spec_file *file, error *err) {
    const spec **runs = calloc(sw->count + 1, sizeof *runs);
    if (!runs) return error_memory(err, sw->count * sizeof *runs, "a sweep");
    bool done = is_of_a_run(file) || check_level(sw, NULL, &file->top, runs, err);
    for (size_t b = 0; done && b < file->block_count; b++)
        done = check_level(sw, &file->blocks[b], &file->blocks[b].level, runs, err);
    for (size_t i = 0; i < sw->count; i++) runs[i] = &sw->runs[i].spec;
    for (size_t i = 0; done && i < file->overrides.count; i++)
        done = spec_check_use(runs, sw->count, &file->overrides.items[i], err);
    free(runs);
    return done;
}

bool sweep_expand(sweep *sw, const spec_file *file, error *err) {
    *sw = (sweep){0};
    size_t blocks = file->block_count ? file->block_count : 1;
    bool done = true;
    for (size_t b = 0; done && b < blocks; b++)
        done = expand_block(sw, file, file->block_count ? &file->blocks[b] : NULL, err);
    done = done && check_unused(sw, file, NULL, err);
    for (size_t b = 0; done && b < file->block_count; b++) done = check_unused(sw, file, &file->blocks[b], err);
    done = done && check_use(sw, file, err);
    if (!done) sweep_free(sw);
    return done;
}

void run_plan_free(run_plan *plan) {
    spec_free(&plan->spec);
    free(plan->swept);
    *plan = (run_plan){0};
}

void sweep_free(sweep *sw) {
    for (size_t i = 0; i < sw->count; i++) run_plan_free(&sw->runs[i]);
    free(sw->runs);
    *sw = (sweep){0};
}

/* ---- Run ids ---- */

/* A key's short name: its last part, or the section when that part is what the bare section stands for. */
static void short_key(const char *key, char out[SPEC_KEY_SIZE]) {
    char section[SPEC_KEY_SIZE];
    snprintf(section, sizeof section, "%s", key);
    section[strcspn(section, ".")] = '\0';
    const char *part = strchr(key, '.') ? strchr(key, '.') + 1 : key, *shorthand = spec_shorthand(section);
    bool bare = shorthand && strcmp(shorthand, part) == 0;
    snprintf(out, SPEC_KEY_SIZE, "%s", bare ? section : part);
}

/* Appends a text with every run of letters that file names should not hold turned into one '-'. */
static size_t append_safe(char *out, size_t used, size_t size, const char *text) {
    for (; *text && used + 1 < size; text++) {
        bool safe = isalnum((unsigned char)*text) || strchr("._+-", *text);
        if (safe)
            out[used++] = *text;
        else if (used && !strchr("-_", out[used - 1]))
            out[used++] = '-';
    }
    while (used && out[used - 1] == '-') used--;
    out[used] = '\0';
    return used;
}

bool run_plan_id(const run_plan *plan, const char *data_checksum, char out[RUN_ID_SIZE], error *err) {
    enum { ROOM = RUN_ID_SIZE - 32 }; /* for the hash, and for what a file's name may be longer by: .tmp-… */
    char hash[65], key[SPEC_KEY_SIZE];
    if (!spec_identity_hash(&plan->spec, data_checksum, hash, err)) return false;
    size_t used = append_safe(out, 0, ROOM, plan->spec.name);
    if (*plan->block && used + 1 < ROOM) {
        out[used++] = '_';
        used = append_safe(out, used, ROOM, plan->block);
    }
    for (size_t i = 0; i < plan->swept_count && used + 2 < ROOM; i++) {
        out[used++] = '_';
        short_key(plan->swept[i].key, key);
        used = append_safe(out, used, ROOM, key);
        if (used + 2 < ROOM) out[used++] = '-';
        used = append_safe(out, used, ROOM, plan->swept[i].value);
    }
    snprintf(out + used, RUN_ID_SIZE - used, "_%.8s", hash);
    return true;
}

char *run_label(const char *name, const char *id, char out[RUN_ID_SIZE]) {
    enum { HASH = 9 }; /* "_1f3a92bc" */
    size_t length = strlen(name);
    const char *rest = strncmp(id, name, length) == 0 ? id + length + (id[length] == '_') : id;
    if (strlen(rest) <= HASH) /* a spec without a sweep */
        snprintf(out, RUN_ID_SIZE, "%s", name);
    else
        snprintf(out, RUN_ID_SIZE, "%.*s", (int)(strlen(rest) - HASH), rest);
    for (char *p = out; *p; p++)
        if (*p == '_') *p = ' ';
    return out;
}
