/*
 * Writing events. Of protocol buffers only four kinds of field are needed: a varint, eight and four bytes as they are,
 * and bytes with their length; so a message is put together by hand.
 *
 *   Event    {1: double wall_time, 2: int64 step, 3: string file_version | 5: Summary}
 *   Summary  {1: Value …}     Value {1: string tag, 2: float simple_value}
 *   frame    length (8), its masked CRC (4), data, its masked CRC (4); little-endian
 */
#include "analysis/report/tensorboard.h"
#include "engine/files/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const uint32_t POLYNOMIAL = 0x82f63b78;
enum { TAG_MOST = 200, EVENT_MOST = TAG_MOST + 96 };
enum { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

uint32_t tensorboard_crc32c(const void *data, size_t size) {
    const uint8_t *byte = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return ~crc;
}

/* TFRecord stores a CRC turned and moved, lest a CRC of data that holds CRCs mean nothing. */
static uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8; }

/* ---- messages ---------------------------------------------------------------------------------------------------- */

typedef struct message {
    uint8_t bytes[EVENT_MOST];
    size_t size;
} message;

static void put_little(message *m, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) m->bytes[m->size++] = (uint8_t)(value >> 8 * i);
}

static void put_varint(message *m, uint64_t value) {
    for (; value > 127; value >>= 7) m->bytes[m->size++] = (uint8_t)(value | 128);
    m->bytes[m->size++] = (uint8_t)value;
}

static void put_key(message *m, int field, int wire) { put_varint(m, (uint64_t)(field << 3 | wire)); }

static void put_bytes(message *m, int field, const void *data, size_t size) {
    put_key(m, field, WIRE_BYTES);
    put_varint(m, size);
    memcpy(m->bytes + m->size, data, size);
    m->size += size;
}

static void put_double(message *m, int field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, field, WIRE_EIGHT);
    put_little(m, bits, 8);
}

static void put_float(message *m, int field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, field, WIRE_FOUR);
    put_little(m, bits, 4);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

typedef struct writer {
    file_writer file;
    double time;
    uint64_t scalars;
} writer;

static void write_frame(writer *w, const message *event) {
    message head = {.size = 0}, tail = {.size = 0};
    put_little(&head, event->size, 8);
    put_little(&head, masked(tensorboard_crc32c(head.bytes, 8)), 4);
    put_little(&tail, masked(tensorboard_crc32c(event->bytes, event->size)), 4);
    fwrite(head.bytes, 1, head.size, w->file.stream);
    fwrite(event->bytes, 1, event->size, w->file.stream);
    fwrite(tail.bytes, 1, tail.size, w->file.stream); /* a full disk is file_commit's to tell */
}

static void write_version(writer *w) {
    static const char version[] = "brain.Event:2";
    message event = {.size = 0};
    put_double(&event, 1, w->time);
    put_bytes(&event, 3, version, sizeof version - 1);
    write_frame(w, &event);
}

static void write_scalar(writer *w, const char *group, const char *name, int64_t step, double x) {
    char tag[TAG_MOST];
    message event = {.size = 0}, summary = {.size = 0}, value = {.size = 0};
    if (!isfinite(x)) return;
    snprintf(tag, sizeof tag, "%s/%.150s", group, name);
    put_bytes(&value, 1, tag, strlen(tag));
    put_float(&value, 2, (float)x);
    put_bytes(&summary, 1, value.bytes, value.size);
    put_double(&event, 1, w->time);
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, 5, summary.bytes, summary.size);
    write_frame(w, &event);
    w->scalars++;
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

/* The numbers of an object, those of objects inside it under "outer/inner". */
static void write_numbers(writer *w, const char *group, const char *prefix, const json_t *object, int64_t step) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        char path[TAG_MOST];
        snprintf(path, sizeof path, "%s%s%.90s", prefix, *prefix ? "/" : "", name);
        if (json_is_object(value) && !*prefix)
            write_numbers(w, group, path, value, step);
        else if (json_is_number(value))
            write_scalar(w, group, path, step, json_number_value(value));
    }
}

/* A line of metrics.jsonl: the loss and its parts under train/, what a look at held-out images found under collapse/;
 * timings are no figures of the run. Returns the line's step. */
static int64_t write_line(writer *w, const json_t *line, int64_t last) {
    const json_t *given = json_object_get(line, "step");
    int64_t step = json_is_integer(given) ? (int64_t)json_integer_value(given) : last;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)line, name, value) {
        if (strcmp(name, "step") == 0 || strcmp(name, "time") == 0) continue;
        if (json_is_object(value))
            write_numbers(w, name, "", value, step);
        else if (json_is_number(value))
            write_scalar(w, "train", name, step, json_number_value(value));
    }
    return step;
}

static bool write_history(writer *w, const record *r, int64_t *step, error *err) {
    char path[1200];
    struct stat status;
    size_t size;
    snprintf(path, sizeof path, "%.1100s/metrics.jsonl", r->folder);
    *step = 0;
    if (stat(path, &status) != 0) return true; /* nothing was trained */
    char *text = file_read(path, &size, err);
    bool ok = text != NULL;
    size_t number = 0;
    for (char *line = text, *next; ok && line && *line; line = next) {
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next++ - line) : strlen(line);
        json_t *json = json_loadb(line, length, 0, NULL);
        number++;
        ok =
            json_is_object(json) || error_set(err, ERROR_RUN, "%s:%zu: is not a line of a run's history", path, number);
        if (ok) *step = write_line(w, json, *step);
        json_decref(json);
    }
    free(text);
    return ok;
}

static double last_change(const record *r) {
    char path[1200];
    struct stat status;
    snprintf(path, sizeof path, "%.1100s/run.json", r->folder);
    return stat(path, &status) == 0 ? (double)status.st_mtime : 0;
}

bool tensorboard_write(const record *r, const char *folder, uint64_t *scalars, error *err) {
    char path[1300];
    writer w = {.time = last_change(r)};
    int64_t step;
    snprintf(path, sizeof path, "%.1200s/events.out.tfevents.%.0f.mews", folder, w.time);
    if (!file_make_folders(folder, err) || !file_begin(&w.file, path, err)) return false;
    write_version(&w);
    if (!write_history(&w, r, &step, err)) {
        file_abandon(&w.file);
        return false;
    }
    write_numbers(&w, "final", "", json_object_get(r->run, "final"), step);
    if (scalars) *scalars = w.scalars;
    return file_commit(&w.file, err);
}
