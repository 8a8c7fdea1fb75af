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
