/*
 * A monitor's folder is a run's: run.json (settings as its spec, the last figures as its final ones), metrics.jsonl
 * with a line an epoch, diagnosis.json and embeddings.npy of the last. Every file is replaced whole, run.json last, so
 * that a reader never sees half an epoch; a process that dies leaves all epochs that it logged.
 */
#include "analysis/files/npy.h"
#include "analysis/library/library.h"
#include "analysis/verdicts/collapse_history.h"
#include "engine/files/file.h"
#include "engine/files/lease.h"
#include "engine/files/record.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mews_monitor {
    char *folder;
    lease *lease;            /* says that this process is at work on the folder */
    json_t *record;          /* run.json */
    char *lines;             /* metrics.jsonl as it stands */
    collapse_evidence first; /* of the first epoch, which later ones are held against */
    char first_name[32];     /* "epoch 0"; "": nothing is logged yet */
};

static char *path_in(const mews_monitor *m, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", m->folder, name);
    return out;
}

static bool save_json(const char *path, const json_t *what, error *err) {
    char *text = json_dumps(what, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    bool ok = (text || error_memory(err, 1 << 16, path)) && file_write(path, text, strlen(text), err);
    free(text);
    return ok;
}

static bool save_record(const mews_monitor *m, error *err) {
    char path[1200];
    return save_json(path_in(m, "run.json", path, sizeof path), m->record, err);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool hold(mews_monitor *m, error *err) {
    char path[1200];
    bool held = false;
    m->lease = lease_take(path_in(m, LEASE_FILE, path, sizeof path), NULL, &held, err);
    return m->lease != NULL;
}

/* The figures of a monitor that was here before; another run's record is nobody's to write over. */
static bool last_figures(const mews_monitor *m, json_t **final, error *err) {
    char path[1200];
    struct stat status;
    *final = json_object();
    if (stat(path_in(m, "run.json", path, sizeof path), &status) != 0) return true;
    json_t *record = record_read(path, err);
    const char *name = json_string_value(json_object_get(record, "name"));
    bool ours = name && strcmp(name, "monitor") == 0;
    if (record && !ours)
        error_set(err, ERROR_USAGE, "%s: is the record of another run; name a folder of its own", path);
    if (ours) json_object_update(*final, json_object_get(record, "final"));
    if (!ours) json_decref(*final);
    json_decref(record);
    return ours;
}

/* The settings as a spec's flat keys, so that a report takes what differs between runs for what was varied. */
static bool make_record(mews_monitor *m, const char *settings, error *err) {
    json_error_t wrong;
    json_t *final;
    if (!last_figures(m, &final, err)) return false;
    json_t *given = settings ? json_loads(settings, 0, &wrong) : json_object();
    if (!json_is_object(given)) {
        json_decref(given);
        json_decref(final);
        return error_set(err, ERROR_USAGE, "settings: are no JSON object: %s", settings);
    }
    const char *method = json_string_value(json_object_get(given, "method"));
    m->record =
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:O, s:o}", "id", last_part(m->folder), "name", "monitor", "status",
                  "running", "method", method ? method : "monitored", "spec", given, "swept", given, "final", final);
    json_decref(given);
    return m->record != NULL || error_memory(err, 1 << 10, "a run's record");
}

/* What stands in the folder already: its lines, and the first epoch's evidence. */
static bool read_history(mews_monitor *m, error *err) {
    char path[1200];
    struct stat status;
    size_t size;
    if (stat(path_in(m, "metrics.jsonl", path, sizeof path), &status) != 0) {
        m->lines = strdup("");
        return m->lines != NULL || error_memory(err, 1, "a history");
    }
    if (!(m->lines = file_read(path, &size, err))) return false;
    size_t number = 0;
    for (char *line = m->lines, *next; *line; line = next) {
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next++ - line) : strlen(line);
        if (!next) next = line + length;
        json_t *json = json_loadb(line, length, 0, NULL);
        bool ok = json_is_object(json);
        number++;
        course_point p;
        json_int_t epoch = json_integer_value(json_object_get(json, "epoch"));
        if (ok && !*m->first_name && course_point_from_json(json_object_get(json, "collapse"), epoch, &p)) {
            m->first = p.embed;
            snprintf(m->first_name, sizeof m->first_name, "epoch %lld", (long long)epoch);
        }
        json_decref(json);
        if (!ok) return error_set(err, ERROR_RUN, "%s:%zu: is not a line of a history; take it out", path, number);
    }
    return true;
}

static void monitor_free(mews_monitor *m) {
    if (!m) return;
    lease_release(m->lease);
    json_decref(m->record);
    free(m->lines);
    free(m->folder);
    free(m);
}

mews_result mews_monitor_open(const char *folder, const char *settings, mews_monitor **monitor, char *message,
                              size_t message_size) {
    error err = {0};
    mews_monitor *m = calloc(1, sizeof *m);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    bool ok = m && (m->folder = strndup(folder, length));
    if (!ok) error_memory(&err, sizeof *m, "a monitor");
    if (ok && length > 1000) ok = error_set(&err, ERROR_USAGE, "%.60s…: this path is too long", folder);
    ok = ok && file_make_folders(m->folder, &err) && hold(m, &err) && make_record(m, settings, &err) &&
         read_history(m, &err) && save_record(m, &err);
    *monitor = ok ? m : NULL;
    if (!ok) monitor_free(m);
    return library_end(ok, true, &err, message, message_size);
}

/* ---- an epoch ---------------------------------------------------------------------------------------------------- */

/* Lines before `epoch` stay; a line from it on is of a course that was left. */
static void cut_history(mews_monitor *m, int64_t epoch) {
    for (char *line = m->lines, *next; *line; line = next) {
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next++ - line) : strlen(line);
        if (!next) next = line + length;
        json_t *json = json_loadb(line, length, 0, NULL);
        bool later = json_integer_value(json_object_get(json, "epoch")) >= (json_int_t)epoch;
        json_decref(json);
        if (!later) continue;
        *line = '\0';
        return;
    }
}

static bool add_line(mews_monitor *m, json_t *line, error *err) {
    char path[1200], *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17)), *grown = NULL;
    bool ok = text && asprintf(&grown, "%s%s\n", m->lines, text) >= 0;
    free(text);
    if (!ok) return error_memory(err, strlen(m->lines), "a history");
    free(m->lines);
    m->lines = grown;
    return file_write(path_in(m, "metrics.jsonl", path, sizeof path), grown, strlen(grown), err);
}

static json_t *line_of(int64_t epoch, const course_point *point, const diagnosis *d, const json_t *figures) {
    json_t *line = json_pack("{s:I, s:I}", "step", (json_int_t)epoch, "epoch", (json_int_t)epoch);
    if (figures) json_object_update_missing(line, (json_t *)figures); /* the epoch is the monitor's */
    json_object_set_new(line, "rankme", json_real(d->collapse.spectrum.rankme.value));
    json_object_set_new(line, "collapse", collapse_history_json(point, &d->collapse));
    return line;
}

/* The numbers of a diagnosis, and those beside it, are the run's figures so far. */
static void note_final(mews_monitor *m, const json_t *diagnosis, const json_t *figures) {
    json_t *final = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)diagnosis, key, value) {
        if (json_is_number(value)) json_object_set(final, key, value);
    }
    if (figures) json_object_update(final, (json_t *)figures);
    json_object_set_new(m->record, "final", final);
}

static bool keep(mews_monitor *m, int64_t epoch, const subject *s, const diagnosis *d, const json_t *figures,
                 json_t *found, error *err) {
    char path[1200];
    course_point point = {.epoch = epoch, .embed = d->collapse.evidence};
    json_t *nothing = json_object(); /* of a backbone apart from the embeddings, and of codes that are not there */
    evidence_from_json(nothing, &point.backbone);
    json_decref(nothing);
    if (s->usage)
        point.codes = course_codes_of(s->usage);
    else
        point.codes = (course_codes){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (!*m->first_name) {
        m->first = d->collapse.evidence;
        snprintf(m->first_name, sizeof m->first_name, "epoch %lld", (long long)epoch);
    }
    json_t *line = line_of(epoch, &point, d, figures);
    note_final(m, found, figures);
    bool ok = npy_write(path_in(m, "embeddings.npy", path, sizeof path), NPY_F32, s->embeddings.rows,
                        s->embeddings.cols, s->embeddings.data, err) &&
              add_line(m, line, err) && save_json(path_in(m, "diagnosis.json", path, sizeof path), found, err) &&
              save_record(m, err);
    json_decref(line);
    return ok;
}

/* Numbers only: what a report can draw. */
static bool read_figures(const char *text, json_t **figures, error *err) {
    json_t *value;
    const char *key;
    *figures = text ? json_loads(text, 0, NULL) : NULL;
    if (text && !json_is_object(*figures)) return error_set(err, ERROR_USAGE, "figures: are no JSON object: %s", text);
    json_object_foreach(*figures, key, value) {
        if (!json_is_number(value)) return error_set(err, ERROR_USAGE, "figures: %s is no number", key);
    }
    return true;
}

mews_result mews_monitor_log(mews_monitor *m, int64_t epoch, const mews_input *input, const char *figures, char **json,
                             char *message, size_t message_size) {
    memory_array arrays[LIBRARY_ARRAYS];
    diagnose_options o;
    subject s = {0};
    diagnosis d = {0};
    error err = {0};
    json_t *beside = NULL, *found = NULL;
    int threads = library_threads(input->threads);
    *json = NULL;
    bool ok = read_figures(figures, &beside, &err) && library_options(input, arrays, &o, &err);
    if (ok && epoch < 0)
        ok = error_set(&err, ERROR_USAGE, "epochs count from 0 (before training), not %lld", (long long)epoch);
    ok = ok && subject_load(&s, &o, &err);
    bool loaded = ok;
    if (ok) cut_history(m, epoch);
    if (ok && !*m->lines) *m->first_name = '\0';
    if (ok && *m->first_name && !s.reference_name) {
        s.reference = m->first;
        ok = (s.reference_name = strdup(m->first_name)) || error_memory(&err, 32, "a name");
    }
    bool made = ok && diagnosis_make(&d, &s, o.seed, &err);
    ok = made && ((found = diagnosis_json(&d, &s)) || error_memory(&err, 1 << 16, "a diagnosis"));
    ok = ok && keep(m, epoch, &s, &d, beside, found, &err) && library_text(json_incref(found), json, &err);
    if (made) diagnosis_free(&d);
    subject_free(&s);
    json_decref(found);
    json_decref(beside);
    omp_set_num_threads(threads);
    return library_end(ok, loaded, &err, message, message_size);
}

mews_result mews_monitor_close(mews_monitor *m, char *message, size_t message_size) {
    error err = {0};
    if (!m) return MEWS_DONE;
    bool logged = *m->lines != '\0';
    json_object_set_new(m->record, "status", json_string(logged ? "finished" : "failed"));
    if (!logged) json_object_set_new(m->record, "reason", json_string("nothing was logged"));
    bool ok = save_record(m, &err);
    monitor_free(m);
    return library_end(ok, true, &err, message, message_size);
}
