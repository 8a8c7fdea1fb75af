/*
 * Settings laid over a spec as --set lays them; those that the user gives come later and win.
 */
#include "experiments/run/elsewhere.h"
#include "engine/files/checkpoint.h"
#include "engine/files/record.h"
#include "experiments/run/run.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool set(spec_file *file, const char *key, const char *value, error *err) {
    char text[PATH_MAX + 128];
    snprintf(text, sizeof text, "%s=%s", key, value);
    return spec_file_set(file, text, err);
}

/* The file's or folder's name without its endings, in letters that a run's name may have. */
static void base_name(const char *path, char *out, size_t size) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t begin = length;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    size_t used = 0;
    for (size_t i = begin; i < length && used + 1 < size && !(path[i] == '.' && used); i++) {
        bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", path[i]) != NULL;
        out[used++] = plain ? path[i] : '_';
    }
    out[used] = '\0';
}

static bool set_data(spec_file *file, const char *data, error *err) {
    struct stat status;
    if (stat(data, &status) != 0) return error_set(err, ERROR_USAGE, "--data: there is no file or folder %s", data);
    return set(file, "data.name", "folder", err) && set(file, "data.path", data, err);
}

/* ---- a run's ----------------------------------------------------------------------------------------------------- */

/* That of the last step, which has to verify: figures of half a training are not the run's. */
static bool last_checkpoint(const char *folder, char *path, size_t size, error *err) {
    checkpoint_position at;
    snprintf(path, size, "%s/run.json", folder);
    json_t *record = record_read(path, err);
    checkpoint_place place = {.folder = folder, .any_code = true};
    bool ok = record && (place.run = record_run(record, path, err)) &&
              record_check_file(record, folder, "spec.yaml", err) && checkpoint_newest(&place, &at, err);
    if (ok && !run_ends_at(record, at.step))
        ok = error_set(err, ERROR_USAGE, "%s has not been trained to its end; `mews train` goes on with it", folder);
    if (ok) snprintf(path, size, "%s/checkpoint-%08" PRIu64 ".safetensors", folder, at.step);
    json_decref(record);
    return ok;
}

/* What the run's own images were normalised by. */
static bool set_normalisation(spec_file *file, const char *folder, error *err) {
    static const char *const names[] = {"mean", "std"};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/run.json", folder);
    json_t *record = record_read(path, err), *data = json_object_get(record, "data");
    bool ok = record != NULL;
    for (int i = 0; ok && i < 2; i++) {
        const json_t *three = json_object_get(data, names[i]);
        char key[16], value[96];
        if (json_array_size(three) != 3) continue; /* a record of before they were kept: the images' own */
        snprintf(key, sizeof key, "data.%s", names[i]);
        snprintf(value, sizeof value, "[%.9g, %.9g, %.9g]", json_number_value(json_array_get(three, 0)),
                 json_number_value(json_array_get(three, 1)), json_number_value(json_array_get(three, 2)));
        ok = set(file, key, value, err);
    }
    json_decref(record);
    return ok;
}

bool elsewhere_of_run(spec_file *file, const char *folder, const char *data, error *err) {
    char path[PATH_MAX], name[SPEC_NAME_SIZE], base[64];
    snprintf(path, sizeof path, "%s/spec.yaml", folder);
    if (access(path, F_OK) != 0)
        return error_set(err, ERROR_USAGE, "%s is no run's folder: it holds no spec.yaml", folder);
    if (!spec_file_read(file, path, err)) return false;
    base_name(data, base, sizeof base);
    snprintf(name, sizeof name, "%.30s-on-%.28s", file->name, base);
    snprintf(file->name, sizeof file->name, "%s", name);
    return last_checkpoint(folder, path, sizeof path, err) && set(file, "train.init", path, err) &&
           set(file, "train.init_prefix", "", err) && set(file, "data.train", "", err) &&
           set(file, "data.test", "", err) && set(file, "data.class_list", "", err) &&
           set(file, "train.epochs", "0", err) && set(file, "data.limit", "0", err) &&
           set(file, "data.validation", "0", err) && set(file, "data.imbalance", "1", err) &&
           set(file, "data.classes", "[]", err) && set(file, "eval.online", "[]", err) && set_data(file, data, err) &&
           set_normalisation(file, folder, err);
}

/* ---- anybody's --------------------------------------------------------------------------------------------------- */

bool elsewhere_of_weights(spec_file *file, const char *weights, const char *data, error *err) {
    char base[64];
    *file = (spec_file){0};
    base_name(weights, base, sizeof base);
    snprintf(file->name, sizeof file->name, "embed-%.50s", base);
    if (access(weights, R_OK) != 0) return error_set(err, ERROR_USAGE, "there is no file %s", weights);
    if (!(file->path = strdup("mews embed"))) return error_memory(err, 16, "a name");
    return set(file, "method.name", "none", err) && set(file, "train.init", weights, err) &&
           set(file, "train.epochs", "0", err) && set(file, "train.batch", "2", err) && set_data(file, data, err);
}
