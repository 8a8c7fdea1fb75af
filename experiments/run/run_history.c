/*
 * What a run leaves line by line: metrics.jsonl, which only grows but for being cut back to a checkpoint, and log.txt.
 */
#include "experiments/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

json_t *run_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static bool refuse_metrics(const run *r, error *err) {
    return error_set(err, ERROR_RUN, "cannot write %s/metrics.jsonl: %s", r->folder, strerror(errno));
}

bool run_metrics_begin(run *r, uint64_t offset, error *err) {
    char path[1200];
    struct stat status;
    int file = open(run_path(r, "metrics.jsonl", path, sizeof path), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || fstat(file, &status) != 0) goto failed;
    if ((uint64_t)status.st_size < offset) {
        close(file);
        return error_set(err, ERROR_RUN, "%s is shorter than its checkpoint says; remove %s to run it again", path,
                         r->folder);
    }
    if (ftruncate(file, (off_t)offset) != 0 || lseek(file, 0, SEEK_END) < 0) goto failed;
    if (r->metrics) fclose(r->metrics);
    r->metrics = fdopen(file, "a");
    if (r->metrics) return true;

failed:
    refuse_metrics(r, err);
    if (file >= 0) close(file);
    return false;
}

bool run_metrics_append(run *r, json_t *line, error *err) {
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text) return error_memory(err, 1 << 12, "a line of metrics.jsonl");
    bool done = fprintf(r->metrics, "%s\n", text) > 0 && fflush(r->metrics) == 0;
    free(text);
    return done || refuse_metrics(r, err);
}

bool run_metrics_sync(run *r, uint64_t *offset, error *err) {
    struct stat status;
    int file = fileno(r->metrics);
    if (fflush(r->metrics) != 0 || fdatasync(file) != 0 || fstat(file, &status) != 0) return refuse_metrics(r, err);
    *offset = (uint64_t)status.st_size;
    return true;
}

/* ---- Ranges ---- */

static void widen(json_t *ranges, const char *figure, double value, json_int_t step) {
    json_t *range = json_object_get(ranges, figure);
    if (!isfinite(value)) return;
    if (!range) {
        json_object_set_new(ranges, figure,
                            json_pack("{s:f, s:I, s:f, s:I, s:f}", "least", value, "least_step", step, "most", value,
                                      "most_step", step, "last", value));
        return;
    }
    if (value < json_number_value(json_object_get(range, "least"))) {
        json_object_set_new(range, "least", json_real(value));
        json_object_set_new(range, "least_step", json_integer(step));
    }
    if (value > json_number_value(json_object_get(range, "most"))) {
        json_object_set_new(range, "most", json_real(value));
        json_object_set_new(range, "most_step", json_integer(step));
    }
    json_object_set_new(range, "last", json_real(value));
}

/* Figures of a look, under the names that the final ones have. */
static const struct {
    const char *part, *name, *figure;
} looked[] = {
    {"embed", "rankme", "rankme"},         {"embed", "effective_rank", "effective_rank"},
    {"embed", "spread", "spread"},         {"backbone", "rankme", "rankme_backbone"},
    {"codes", "codes_used", "codes_used"}, {"codes", "code_perplexity", "code_perplexity"},
};

static void widen_all(json_t *ranges, json_t *line) {
    const char *key;
    json_t *value, *look = json_object_get(line, "collapse");
    json_int_t step = json_integer_value(json_object_get(line, "step"));
    json_object_foreach(line, key, value) {
        if (json_is_number(value) && strcmp(key, "step") != 0 && strcmp(key, "epoch") != 0)
            widen(ranges, key, json_number_value(value), step);
    }
    for (size_t i = 0; i < sizeof looked / sizeof *looked; i++) {
        value = json_object_get(json_object_get(look, looked[i].part), looked[i].name);
        if (json_is_number(value)) widen(ranges, looked[i].figure, json_number_value(value), step);
    }
}

json_t *run_metrics_ranges(const run *r, error *err) {
    char path[1200], *text = NULL;
    size_t room = 0;
    json_t *ranges = json_object();
    FILE *file = fopen(run_path(r, "metrics.jsonl", path, sizeof path), "re");
    bool ok = file || errno == ENOENT; /* a run of no epochs on no held-out images */
    while (ok && file && getline(&text, &room, file) >= 0) {
        json_t *line = json_loads(text, 0, NULL);
        if (line) widen_all(ranges, line);
        json_decref(line);
    }
    ok = ok && !(file && ferror(file));
    if (!ok) error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
    if (file) fclose(file);
    free(text);
    if (!ok) json_decref(ranges);
    return ok ? ranges : NULL;
}

void run_log(run *r, const char *format, ...) {
    if (!r->log) return;
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fprintf(r->log, "%s ", stamp);
    va_list args;
    va_start(args, format);
    vfprintf(r->log, format, args);
    va_end(args);
    putc('\n', r->log);
}
