/*
 * A run belongs to a spec when it differs from the planned runs of its block and method in swept keys alone. So a sweep
 * that grows, shrinks or is run in part finds its runs its own, and one whose epochs were changed half-way does not,
 * unless the runs there can be gone on from (experiments/run/extend.h). A
 * block or a swept method that the spec no longer has is taken for a part that was left out; and where one run is of
 * this very spec, the others beside it have been put there knowingly.
 */
#include "experiments/sweep/results_folder.h"
#include "engine/files/file.h"
#include "experiments/run/extend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static bool is_folder(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

bool results_folder_find(const char *name, const char *results, char out[1024]) {
    if (snprintf(out, 1024, "%s/%s", results, name) < 1024 && is_folder(out)) return true;
    return snprintf(out, 1024, "%s", name) < 1024 && is_folder(out);
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
        if (strcmp(key, "train.epochs") == 0 && extension_is_shorter(record, &item->plan->spec)) continue;
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

/* What is found in the folder. Runs of one block and method are held against one planned run, their counterpart. */
typedef struct finding {
    const queue *queue;
    const char *folder;
    bool *at_home; /* by counterpart: a run in the folder is of its spec */
    size_t strangers;
    char first[400], said[1024]; /* the first stranger by name, and in what it differs */
} finding;

/* Holds a run of the folder that is not planned against the plan: at first to see who is at home, then who is not. */
static void look_at(finding *f, const char *name, bool homes) {
    char path[2200], differs[1024];
    snprintf(path, sizeof path, "%s/%s/run.json", f->folder, name);
    json_t *record = json_load_file(path, 0, NULL);
    const queue_item *like = record ? counterpart(f->queue, record) : NULL;
    bool *at_home = like ? &f->at_home[like - f->queue->items] : NULL;
    size_t count = like && !*at_home ? differences(f->queue, like, record, differs, sizeof differs) : 0;
    if (like && homes) *at_home |= count == 0;
    if (!homes && count && (!f->strangers++ || strcmp(name, f->first) < 0)) { /* in whatever order they are read */
        snprintf(f->first, sizeof f->first, "%.399s", name);
        memcpy(f->said, differs, sizeof differs);
    }
    json_decref(record);
}

static bool look_through(finding *f, const char *const *ids, bool homes, error *err) {
    DIR *runs = opendir(f->folder);
    if (!runs) return errno == ENOENT || error_set(err, ERROR_RUN, "cannot read %s: %s", f->folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(runs));) {
        const char *name = entry->d_name;
        if (*name != '.' && !bsearch(&name, ids, f->queue->sweep.count, sizeof *ids, compare_ids))
            look_at(f, name, homes);
    }
    closedir(runs);
    return true;
}

/* Planned runs that have begun are at home, too. */
static void find_begun(finding *f) {
    const queue_item *items = f->queue->items;
    for (size_t i = 0; i < f->queue->sweep.count; i++) {
        size_t first = 0;
        if (items[i].status == RUN_NEW) continue;
        while (strcmp(items[first].plan->block, items[i].plan->block) != 0 ||
               items[first].plan->spec.method != items[i].plan->spec.method)
            first++;
        f->at_home[first] = true;
    }
}

bool results_folder_check(const queue *q, const char *results, error *err) {
    char folder[1100];
    size_t n = q->sweep.count;
    finding f = {.queue = q, .folder = folder, .at_home = calloc(n + 1, sizeof *f.at_home)};
    const char **ids = malloc((n + 1) * sizeof *ids);
    snprintf(folder, sizeof folder, "%.900s/%s", results, q->file.name);
    bool ok = (ids && f.at_home) || error_memory(err, n * sizeof *ids, "the list of runs");
    if (ok) {
        for (size_t i = 0; i < n; i++) ids[i] = q->items[i].id;
        qsort(ids, n, sizeof *ids, compare_ids);
        find_begun(&f);
        ok = look_through(&f, ids, true, err) && look_through(&f, ids, false, err);
    }
    free(ids);
    free(f.at_home);
    if (!ok || !f.strangers) return ok;
    return error_set(err, ERROR_USAGE,
                     "%.200s holds %zu run%s of another spec by this name: %.400s. Give this one another name (--set "
                     "name=NAME), or put its runs beside the others with --force",
                     folder, f.strangers, f.strangers == 1 ? "" : "s", f.said);
}
