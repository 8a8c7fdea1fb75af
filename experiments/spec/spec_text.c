/*
 * A spec written out: as YAML that reads back to it, and as the hash that names its run. Both go through the values in
 * the order of the sections, so the same spec always gives the same bytes.
 */
#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "experiments/spec/spec.h"

#include <stdlib.h>
#include <string.h>

/* Text in YAML's double quotes, where every byte has a spelling. */
static void write_quoted(FILE *stream, const char *text) {
    putc('"', stream);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(stream, "\\%c", *p);
        else if (*p < 32 || *p == 127)
            fprintf(stream, "\\x%02x", *p);
        else
            putc(*p, stream);
    }
    putc('"', stream);
}

char *spec_text(const spec *s, error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) {
        error_memory(err, 1 << 12, "a spec's text");
        return NULL;
    }
    spec_item item;
    const char *section = "";
    fprintf(stream, "name: ");
    write_quoted(stream, s->name);
    putc('\n', stream);
    for (size_t i = 0; spec_item_at(s, i, &item); i++) {
        if (strcmp(section, item.section) != 0) fprintf(stream, "%s:\n", item.section);
        section = item.section;
        fprintf(stream, "  %s: ", item.key);
        if (item.type == FIELD_TEXT || item.type == FIELD_LIST)
            write_quoted(stream, item.text);
        else
            fputs(item.text, stream);
        putc('\n', stream);
    }
    if (fclose(stream) == 0) return text;
    free(text);
    error_memory(err, size, "a spec's text");
    return NULL;
}

bool spec_write_resolved(const spec *s, const char *path, error *err) {
    char *text = spec_text(s, err);
    bool done = text && file_write(path, text, strlen(text), err);
    free(text);
    return done;
}

/* Weights that a run starts from are part of its identity by what they hold, not by where they lie. */
static bool file_identity(const char *path, char out[65], error *err) {
    file_map map;
    if (!file_map_open(&map, path, err)) return error_prefix(err, "train.init");
    checksum_sha256(map.data, map.size, out);
    file_map_close(&map);
    return true;
}

bool spec_identity_hash(const spec *s, const char *data_checksum, char out[65], error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return error_memory(err, 1 << 12, "a spec's identity");
    spec_item item;
    bool known = true;
    for (size_t i = 0; known && spec_item_at(s, i, &item); i++) {
        if (!item.identity) continue;
        if (strcmp(item.section, "train") == 0 && strcmp(item.key, "init") == 0)
            known = file_identity(s->train.init, item.text, err);
        fprintf(stream, "%s.%s=%s\n", item.section, item.key, item.text);
    }
    fprintf(stream, "data.checksum=%s\n", data_checksum);
    bool done = (fclose(stream) == 0 || error_memory(err, size, "a spec's identity")) && known;
    if (done) checksum_sha256(text, size, out);
    free(text);
    return done;
}
