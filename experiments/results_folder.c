/*
 * A run belongs to a spec when it differs from the planned runs of its block and method in swept keys alone. So a sweep
 * that grows, shrinks or is run in part finds its runs its own, and one whose epochs were changed half-way does not. A
 * block or a swept method that the spec no longer has is taken for a part that was left out.
 */
#include "experiments/results_folder.h"
#include "engine/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool results_folder_open(const char *results, const char *name, error *err) {
    char path[1024];
    error why = {0};
    snprintf(path, sizeof path, "%s/%s", results, name);
    if (!file_make_folders(path, &why))
        return error_set(err, ERROR_USAGE, "%.800s; --out DIR keeps runs elsewhere", why.text);
    return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0 ||
           error_set(err, ERROR_USAGE, "cannot write %.800s: %s; --out DIR keeps runs elsewhere", path,
                     strerror(errno));
}

/* ---- Whose runs ---- */

static bool has_reference_to(const spec_level *level, const char *key) {
    for (size_t l = 0; l < level->layer_count; l++)
        for (size_t i = 0; i < level->layers[l].settings.count; i++) {
            const setting *set = &level->layers[l].settings.items[i];
            if (strcmp(set->key, key) == 0 && strstr(set->value, "${")) return true;
        }
    return false;
}

/* Whether `key` may differ between runs of one spec: it is swept, or follows another key, or is the seed. */
static bool may_differ(const queue *q, const run_plan *plan, const json_t *swept, const char *key) {
    if (strcmp(key, "train.seed") == 0 || json_object_get(swept, key)) return true;
    for (size_t i = 0; i < plan->swept_count; i++)
        if (strcmp(plan->swept[i].key, key) == 0) return true;
    bool follows = has_reference_to(&q->file.top, key);
    for (size_t b = 0; b < q->file.block_count && !follows; b++)
        follows = has_reference_to(&q->file.blocks[b].level, key);
    return follows;
}

/* "train.epochs was 20, is 40": appended to `out`; beyond three, only counted. */
static void note_difference(const char *key, const json_t *was, const json_t *is, size_t number, char *out,
                            size_t size) {
    char *before = json_dumps(was, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    char *now = json_dumps(is, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    size_t used = strlen(out);
    if (number < 3)
        snprintf(out + used, size - used, "%s%.95s was %.80s, is %.80s", number ? "; " : "", key, before ? before : "?",
                 now ? now : "?");
    free(before);
    free(now);
}

/* In what the run of this record differs from a planned one, into `out`; returns in how many keys. */
static size_t differences(const queue *q, const queue_item *item, const json_t *record, char *out, size_t size) {
    const json_t *spec_was = json_object_get(record, "spec"), *swept = json_object_get(record, "swept");
    json_t *spec_is = run_spec_json(&item->plan->spec);
    spec_item value;
    size_t count = 0;
    *out = '\0';
    for (size_t i = 0; spec_item_at(&item->plan->spec, i, &value); i++) {
        char key[FIELD_TEXT_SIZE];
        snprintf(key, sizeof key, "%s.%s", value.section, value.key);
        const json_t *was = json_object_get(spec_was, key), *is = json_object_get(spec_is, key);
        if (!value.identity || !was || json_equal(was, is) || may_differ(q, item->plan, swept, key)) continue;
        note_difference(key, was, is, count++, out, size);
    }
    json_decref(spec_is);
    const json_t *was = json_object_get(json_object_get(record, "data"), "checksum");
    if (!count && json_is_string(was) && strcmp(json_string_value(was), item->checksum) != 0 &&
        !may_differ(q, item->plan, swept, "data.name") && !may_differ(q, item->plan, swept, "data.path")) {
        snprintf(out, size, "the images' checksum was %.8s, is %.8s", json_string_value(was), item->checksum);
        count = 1;
    }
    if (count > 3) snprintf(out + strlen(out), size - strlen(out), "; and %zu more", count - 3);
    return count;
}

/* The planned run to hold a record against: of its block, and of its method unless no run there has it. */
static const queue_item *counterpart(const queue *q, const json_t *record) {
    const char *block = json_string_value(json_object_get(record, "block"));
    const char *method = json_string_value(json_object_get(record, "method"));
    const queue_item *any = NULL;
    bool swept = json_object_get(json_object_get(record, "swept"), "method.name") != NULL;
    for (size_t i = 0; block && method && i < q->sweep.count; i++) {
        const run_plan *plan = q->items[i].plan;
        if (strcmp(plan->block, block) != 0) continue;
        if (strcmp(plan->spec.method->name, method) == 0) return &q->items[i];
        for (size_t k = 0; k < plan->swept_count; k++) swept |= strcmp(plan->swept[k].key, "method.name") == 0;
        if (!any) any = &q->items[i];
    }
    return swept ? NULL : any;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool results_folder_check(const queue *q, const char *results, error *err) {
    char path[2200], folder[1100], first[400] = "", said[1024] = "", found[1024];
    size_t strangers = 0;
    const char **ids = malloc((q->sweep.count + 1) * sizeof *ids);
    if (!ids) return error_memory(err, q->sweep.count * sizeof *ids, "the list of runs");
    for (size_t i = 0; i < q->sweep.count; i++) ids[i] = q->items[i].id;
    qsort(ids, q->sweep.count, sizeof *ids, compare_ids);
    snprintf(folder, sizeof folder, "%.900s/%s", results, q->file.name);
    DIR *runs = opendir(folder);
    for (struct dirent *entry; runs && (entry = readdir(runs));) {
        const char *name = entry->d_name;
        if (*name == '.' || bsearch(&name, ids, q->sweep.count, sizeof *ids, compare_ids)) continue;
        snprintf(path, sizeof path, "%s/%s/run.json", folder, name);
        json_t *record = json_load_file(path, 0, NULL);
        const queue_item *like = record ? counterpart(q, record) : NULL;
        if (like && differences(q, like, record, found, sizeof found)) {
            if (!strangers++ || strcmp(name, first) < 0) { /* whatever order the folder is read in */
                snprintf(first, sizeof first, "%.399s", name);
                memcpy(said, found, sizeof found);
            }
        }
        json_decref(record);
    }
    if (runs) closedir(runs);
    free(ids);
    if (!strangers) return true;
    return error_set(err, ERROR_USAGE,
                     "%.200s holds %zu run%s of another spec by this name: %.400s. Give this one another name (--set "
                     "name=NAME), or put its runs beside the others with --force",
                     folder, strangers, strangers == 1 ? "" : "s", said);
}
