/* Changing what a run's record says, with the seal that belongs to it: a record changed by hand is refused. */
#ifndef MEWS_TESTS_RECORD_EDIT_H
#define MEWS_TESTS_RECORD_EDIT_H

#include "engine/files/record.h"
#include "tests/experiments/program.h"

/* Sets `key` (in the object `part`, or at the top) of every run.json that the shell finds; takes over `value`. */
static inline void edit_records(const char *pattern, const char *part, const char *key, json_t *value) {
    char command[256], path[512];
    error err = {0};
    int changed = 0;
    snprintf(command, sizeof command, "ls %s/%s", folder, pattern);
    FILE *list = popen(command, "r");
    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        json_t *record = record_read(path, &err);
        ck_assert_msg(record != NULL, "%s", err.text);
        ck_assert_int_eq(json_object_set(part ? json_object_get(record, part) : record, key, value), 0);
        ck_assert(record_write(path, record, &err));
        json_decref(record);
        changed++;
    }
    if (list) pclose(list);
    json_decref(value);
    ck_assert_int_gt(changed, 0);
}

#endif
