/* A run's record, run.json, sealed, as the report and the tables ask it. */
#include "analysis/report/study/records.h"
#include "engine/files/file.h"
#include "engine/files/record.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reseal.h"

#include <stdio.h>
#include <unistd.h>

static void ask(const record *r) {
    static const char *const keys[] = {"data.name", "method.codes", "status", "seconds", "spec", "threads"};
    char text[256];
    size_t count;
    history h;
    error err = {0};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) record_text(r, keys[i], text, sizeof text);
    record_metric(r, "linear");
    record_seconds(r, "train");
    record_verdict(r, "dimensional");
    free(record_array(r, "singular_values", &count));
    if (history_read(&h, r, &err)) history_free(&h);
}

static void read_all(const uint8_t *data, size_t size, const char *folder) {
    char path[128];
    error err = {0};
    records all = {0};
    snprintf(path, sizeof path, "%s/run.json", folder);
    if (!file_write(path, data, size, &err)) abort();
    json_t *own = record_read(path, &err);
    if (own) record_check_file(own, folder, "run.json", &err);
    json_decref(own);
    err = (error){0};
    if (records_read(&all, folder, &err)) {
        for (size_t i = 0; i < all.count; i++) ask(&all.items[i]);
        records_free(&all);
    }
    unlink(path);
}

int fuzz_record(const uint8_t *data, size_t size) {
    char folder[] = "/tmp/mews-fuzz-XXXXXX";
    if (!mkdtemp(folder)) abort();
    read_all(data, size, folder);
    uint8_t *sealed = fuzz_reseal(data, size, 0, size);
    read_all(sealed, size, folder);
    free(sealed);
    rmdir(folder);
    return 0;
}
