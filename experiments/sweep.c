/*
 * Expanding sweeps. The axes of a block turn like the wheels of an odometer; for each reading one layer of settings is
 * laid over the file's, the block's and --set's, and resolved. A value that is swept and fixed by --set is one-valued
 * by then (spec_file_set saw to it), so that a run picked out of a sweep has the id it has in the whole sweep.
 */
#include "experiments/sweep.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_AXES = 16, MAX_RUNS = 10000 };

/* A block's axes: its own, then the top-level ones that it does not sweep itself. */
typedef struct wheels {
    const spec_axis *axes[MAX_AXES];
    size_t at[MAX_AXES];
    size_t count;
} wheels;

static bool add_axes(wheels *w, const spec_axes *axes, error *err) {
    for (size_t i = 0; i < axes->count; i++) {
        bool known = false;
        for (size_t j = 0; j < w->count; j++) known |= strcmp(w->axes[j]->key, axes->items[i].key) == 0;
        if (known) continue;
        if (w->count == MAX_AXES)
            return error_set(err, ERROR_USAGE, "%s: more than %d swept keys", axes->items[i].values.items[0].where,
                             MAX_AXES);
        w->axes[w->count++] = &axes->items[i];
    }
    return true;
}

/* The next combination; false after the last. */
static bool turn(wheels *w) {
    for (size_t i = w->count; i-- > 0;) {
        if (++w->at[i] < w->axes[i]->values.count) return true;
        w->at[i] = 0;
    }
    return false;
}

/* Notes the swept values as the resolved spec holds them: 1e-3 and 0.001 are one value. */
static bool note_swept(run_plan *plan, const wheels *w, error *err) {
    plan->swept = calloc(w->count + 1, sizeof *plan->swept);
    if (!plan->swept) return error_memory(err, w->count * sizeof *plan->swept, "a sweep");
    plan->swept_count = w->count;
    spec_item item;
    for (size_t i = 0; spec_item_at(&plan->spec, i, &item); i++) {
        char key[FIELD_TEXT_SIZE];
        snprintf(key, sizeof key, "%s.%s", item.section, item.key);
        for (size_t a = 0; a < w->count; a++) {
            if (strcmp(w->axes[a]->key, key) != 0) continue;
            swept_value *swept = &plan->swept[a];
            snprintf(swept->key, sizeof swept->key, "%s", w->axes[a]->key);
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
        for (size_t a = w->count; a-- > 0; reading /= w->axes[a]->values.count) {
            const setting *value = &w->axes[a]->values.items[w->at[a]];
            if (reading % w->axes[a]->values.count != w->at[a])
                return error_set(err, ERROR_USAGE, "%s: `%s` sweeps over %s twice", value->where, value->key,
                                 last->swept[a].value);
        }
    }
    return true;
}

static bool add_run(sweep *sw, const spec_file *file, const spec_block *block, const wheels *w, error *err) {
    static const settings none = {0};
    settings swept = {0};
    bool done = false;
    for (size_t i = 0; i < w->count; i++) {
        const setting *value = &w->axes[i]->values.items[w->at[i]];
        if (!settings_add(&swept, value->key, value->value, value->list, value->where, err)) goto done;
    }
    run_plan *runs = realloc(sw->runs, (sw->count + 1) * sizeof *runs);
    if (!runs) {
        error_memory(err, (sw->count + 1) * sizeof *runs, "a sweep");
        goto done;
    }
    sw->runs = runs;
    run_plan *plan = &runs[sw->count];
    *plan = (run_plan){0};
    snprintf(plan->block, sizeof plan->block, "%s", block ? block->name : "");
    const settings *layers[] = {&file->settings, block ? &block->settings : &none, &file->overrides, &swept};
    if (!spec_resolve(&plan->spec, file->name, layers, 4, file->path, err)) goto done;
    sw->count++;
    done = note_swept(plan, w, err);
done:
    settings_free(&swept);
    return done;
}

bool sweep_expand(sweep *sw, const spec_file *file, error *err) {
    *sw = (sweep){0};
    size_t blocks = file->block_count ? file->block_count : 1;
    for (size_t b = 0; b < blocks; b++) {
        const spec_block *block = file->block_count ? &file->blocks[b] : NULL;
        wheels w = {0};
        if ((block && !add_axes(&w, &block->axes, err)) || !add_axes(&w, &file->axes, err)) goto failed;
        size_t first = sw->count;
        do {
            if (sw->count == MAX_RUNS) {
                error_set(err, ERROR_USAGE, "%s: the sweep has more than %d runs", file->path, MAX_RUNS);
                goto failed;
            }
            if (!add_run(sw, file, block, &w, err) || !check_new(sw, first, &w, err)) goto failed;
        } while (turn(&w));
    }
    return true;

failed:
    sweep_free(sw);
    return false;
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
