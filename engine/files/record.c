#include "engine/files/record.h"
#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "engine/files/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a record says that it is sealed: earlier versions wrote none of these keys. */
static bool claims_seal(const json_t *record) {
    static const char *const keys[] = {SEAL_KEY, "files", "code", "libraries"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(record, keys[i])) return true;
    return false;
}

json_t *record_read(const char *path, error *err) {
    size_t size;
    json_error_t wrong;
    char *text = file_read(path, &size, err);
    if (!text) return NULL;
    json_t *record = json_loadb(text, size, JSON_REJECT_DUPLICATES, &wrong);
    if (!record)
        error_set(err, ERROR_RUN, "%.700s:%d: %s", path, wrong.line, *wrong.text ? wrong.text : "out of memory");
    else if (!json_is_object(record))
        error_set(err, ERROR_RUN, "%.900s: is not a JSON object", path);
    else if (claims_seal(record) && seal_check(text, size, 0, size) != SEAL_SOUND)
        error_set(err, ERROR_RUN, "%.700s: its checksum does not hold: it has been damaged, or changed by hand", path);
    free(text);
    if (err->code == ERROR_NONE) return record;
    json_decref(record);
    return NULL;
}

bool record_peek(const char *path, json_t **out, error *err) {
    json_error_t wrong;
    *out = json_load_file(path, 0, &wrong);
    if (*out || json_error_code(&wrong) != json_error_cannot_open_file || access(path, F_OK) != 0) return true;
    return error_set(err, ERROR_RUN, "%.500s", wrong.text);
}

const char *record_run(const json_t *record, const char *path, error *err) {
    const char *id = json_string_value(json_object_get(record, "id"));
    if (!id || !*id) error_set(err, ERROR_RUN, "%.900s names no run: it has no `id`", path);
    return id && *id ? id : NULL;
}

bool record_write(const char *path, json_t *record, error *err) {
    json_object_set_new(record, SEAL_KEY, json_string(SEAL_BLANK));
    char *text = json_dumps(record, JSON_INDENT(2));
    size_t size = text ? strlen(text) : 0;
    bool done = text ? seal_write((seal_bytes){0}, text, size, NULL, 0) && file_write(path, text, size, err)
                     : error_memory(err, 1 << 12, "a run's record");
    free(text);
    return done;
}

static bool sum_of(const char *folder, const char *name, char out[65], bool *there, error *err) {
    char path[4200];
    file_map map;
    snprintf(path, sizeof path, "%.3800s/%.300s", folder, name);
    *there = access(path, F_OK) == 0;
    if (!*there) return true;
    if (!file_map_open(&map, path, err)) return false;
    checksum_sha256(map.data, map.size, out);
    file_map_close(&map);
    return true;
}

bool record_note_file(json_t *record, const char *folder, const char *name, error *err) {
    char sum[65];
    bool there;
    json_t *files = json_object_get(record, "files");
    if (!sum_of(folder, name, sum, &there, err)) return false;
    if (!files) json_object_set_new(record, "files", files = json_object());
    if (!there) return json_object_del(files, name), true;
    return json_object_set_new(files, name, json_string(sum)) == 0 || error_memory(err, 65, "a run's record");
}

bool record_check_file(const json_t *record, const char *folder, const char *name, error *err) {
    char sum[65];
    bool there;
    const char *noted = json_string_value(json_object_get(json_object_get(record, "files"), name));
    if (!noted) return true;
    if (!sum_of(folder, name, sum, &there, err)) return false;
    return !there || strcmp(sum, noted) == 0 ||
           error_set(err, ERROR_RUN,
                     "%.700s/%s: is not the file that run.json speaks of: it has been damaged, or changed by hand",
                     folder, name);
}
