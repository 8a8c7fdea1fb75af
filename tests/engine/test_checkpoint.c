/*
 * Checkpoints are believed as far as their seal goes: a bit that turns anywhere, a stretch of zeros, another run's
 * file, another step's name or another history is seen, the one before is taken, and what was refused stays to be
 * looked at.
 */
#include "engine/backbone.h"
#include "engine/files/checkpoint.h"
#include "engine/files/file.h"
#include "tests/scratch.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char folder[64], warned[4096];
static backend *cpu;
static parameters *ours;
static optimizer adam;
static optimizer_options with;

static void note(void *context, const char *line) {
    (void)context;
    snprintf(warned, sizeof warned, "%s", line);
}

static checkpoint_place place_of(const char *run) {
    return (checkpoint_place){.folder = folder, .run = run, .history = "history", .warn = note};
}

static void write_history(const char *text) {
    char path[160];
    error err = {0};
    snprintf(path, sizeof path, "%s/history", folder);
    ck_assert(file_write(path, text, strlen(text), &err));
}

/* All weights become `value`. */
static void set_all(double value) {
    for (size_t i = 0; i < ours->count; i++)
        cpu->fill(cpu, ours->items[i]->value.data, value, tensor_count(&ours->items[i]->value));
}

static double first_weight(void) {
    float value[12];
    cpu->read(cpu, &ours->items[0]->value, value);
    return (double)value[0];
}

static void save_at(uint64_t step, double value) {
    error err = {0};
    checkpoint_place place = place_of("ours");
    checkpoint_position at = {.step = step, .metrics_offset = 4 * step, .threads = 2, .seconds = 1.5};
    set_all(value);
    adam.steps = step;
    bool ok = checkpoint_save(&place, ours, &adam, &at, &err);
    ck_assert_msg(ok, "%s", err.text);
}

static void path_of(uint64_t step, const char *suffix, char out[160]) {
    snprintf(out, 160, "%s/checkpoint-%08u.safetensors%s", folder, (unsigned)step, suffix);
}

static void setup(void) {
    error err = {0};
    scratch_folder(folder);
    *warned = '\0';
    cpu = backend_cpu(1, &err);
    ours = parameters_create(cpu, 0, &err);
    ck_assert_ptr_nonnull(parameters_add(ours, "head.w", ROLE_WEIGHT, 2, (int64_t[]){3, 4}, INIT_NORMAL, 1, &err));
    ck_assert_ptr_nonnull(parameters_add(ours, "head.b", ROLE_BIAS, 2, (int64_t[]){1, 4}, INIT_VALUE, 0, &err));
    fields_defaults(&optimizer_fields, &with);
    ck_assert(optimizer_create(&adam, &with, ours, &err));
    write_history("one\ntwo\n");
    save_at(1, 1);
    save_at(2, 2);
    set_all(0);
}

static void teardown(void) {
    parameters_destroy(ours);
    cpu->destroy(cpu);
    scratch_remove(folder);
}

/* The step that loading takes; 0 for none, −1 for a refusal. */
static int load_as(const char *run, error *err) {
    checkpoint_position at = {0};
    checkpoint_place place = place_of(run);
    bool found;
    *err = (error){0};
    *warned = '\0';
    if (!checkpoint_load(&place, ours, &adam, &at, &found, err)) return -1;
    ck_assert(!found || (at.threads == 2 && at.metrics_offset == 4 * at.step && adam.steps == at.step));
    return found ? (int)at.step : 0;
}

START_TEST(test_the_newest_sound_checkpoint_is_taken) {
    error err;
    ck_assert_int_eq(load_as("ours", &err), 2);
    ck_assert_double_eq(first_weight(), 2);
    ck_assert_str_eq(warned, "");
}
END_TEST

START_TEST(test_a_folder_that_cannot_be_looked_into_is_not_one_without_checkpoints) {
    struct rlimit limit;
    error err;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 3; /* as when a process has used up its descriptors */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int step = load_as("ours", &err);
    bool stands = checkpoint_stands(folder);
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_msg(step == -1 && strstr(err.text, folder), "took step %d: %s", step, err.text);
    ck_assert(stands);
}
END_TEST

START_TEST(test_every_single_bit_that_turns_is_seen_and_the_one_before_is_taken) {
    char path[160], aside[160];
    size_t size;
    error err = {0};
    path_of(2, "", path);
    path_of(2, ".aside", aside);
    char *bytes = file_read(path, &size, &err);
    ck_assert_ptr_nonnull(bytes);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        FILE *file = fopen(path, "wb"); /* not by file_write, whose fsync would take a minute in all */
        ck_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
        int step = load_as("ours", &err);
        ck_assert_msg(step == 1, "bit %zu: took step %d (%s)", bit, step, err.text);
        ck_assert_double_eq(first_weight(), 1);
        ck_assert_msg(strstr(warned, path) && strstr(warned, "is not taken"), "bit %zu: %s", bit, warned);
        ck_assert_int_eq(access(aside, F_OK), 0);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    free(bytes);
}
END_TEST

START_TEST(test_zeroed_and_cut_off_stretches_are_seen) {
    char path[160];
    size_t size;
    error err = {0};
    path_of(2, "", path);
    char *bytes = file_read(path, &size, &err), *copy = malloc(size);
    ck_assert(bytes && copy);
    for (size_t at = 0; at < size; at += 16) {
        memcpy(copy, bytes, size);
        memset(copy + at, 0, size - at < 40 ? size - at : 40);
        if (memcmp(copy, bytes, size) != 0) {
            ck_assert(file_write(path, copy, size, &err));
            ck_assert_int_eq(load_as("ours", &err), 1);
        }
        ck_assert(file_write(path, bytes, at, &err));
        ck_assert_int_eq(load_as("ours", &err), 1);
    }
    free(bytes);
    free(copy);
}
END_TEST

START_TEST(test_a_checkpoint_of_another_run_or_step_is_not_taken) {
    char two[160], one[160];
    error err;
    ck_assert_int_eq(load_as("theirs", &err), 0);
    ck_assert_double_eq(first_weight(), 0); /* nothing changed */
    ck_assert_ptr_nonnull(strstr(warned, "belongs to the run ours"));
    ck_assert_ptr_nonnull(strstr(warned, "training begins anew"));
    save_at(1, 1);
    path_of(1, "", one);
    path_of(2, "", two);
    ck_assert_int_eq(rename(one, two), 0);
    ck_assert_int_eq(load_as("ours", &err), 0);
    ck_assert_ptr_nonnull(strstr(warned, "it is of step 1, which its name does not say"));
}
END_TEST

START_TEST(test_a_history_that_changed_takes_the_checkpoints_over_it_with_it) {
    error err;
    write_history("one\ntwX\nthree\n");
    ck_assert_int_eq(load_as("ours", &err), 1);
    ck_assert_ptr_nonnull(strstr(warned, "history is not the one that it was written with"));
    write_history("one");
    ck_assert_int_eq(load_as("ours", &err), 0);
}
END_TEST

START_TEST(test_where_only_the_newest_will_do_a_damaged_one_is_refused_and_stays) {
    char path[160];
    error err = {0};
    bool found;
    checkpoint_position at;
    checkpoint_place place = place_of("ours");
    place.newest_only = true;
    path_of(2, "", path);
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert(!checkpoint_load(&place, ours, NULL, &at, &found, &err));
    ck_assert_msg(strstr(err.text, path) && strstr(err.text, "cannot be taken"), "%s", err.text);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* What version 0.1.0 wrote: the same file without seal and names. */
static const char earlier[] = "{\"__metadata__\":{\"step\":\"7\",\"optimizer_steps\":\"7\",\"metrics_offset\":\"4\","
                              "\"seconds\":\"1.000\"},\"head.w\":{\"dtype\":\"F32\",\"shape\":[3,4],"
                              "\"data_offsets\":[0,48]},\"head.b\":{\"dtype\":\"F32\",\"shape\":[4],"
                              "\"data_offsets\":[48,64]}}";

START_TEST(test_a_checkpoint_of_an_earlier_version_is_taken_if_it_fits) {
    char path[160], bytes[8 + sizeof earlier + 64] = {0};
    size_t length = sizeof earlier - 1;
    float value = 7;
    error err = {0};
    bool found;
    checkpoint_position at;
    checkpoint_place place = place_of("ours");
    bytes[0] = (char)(length & 255), bytes[1] = (char)(length >> 8);
    memcpy(bytes + 8, earlier, length);
    memcpy(bytes + 8 + length, &value, sizeof value);
    path_of(7, "", path);
    ck_assert(file_write(path, bytes, 8 + length + 64, &err));
    ck_assert(checkpoint_load(&place, ours, NULL, &at, &found, &err));
    ck_assert(found && at.step == 7 && at.metrics_offset == 4 && at.threads == 0);
    ck_assert_double_eq(first_weight(), 7);
    ck_assert_int_eq(load_as("ours", &err), 2); /* no moments of the optimiser in it: the next one has them */
    ck_assert_msg(strstr(warned, "it holds no tensor `optimizer.first."), "%s", warned);
}
END_TEST

Suite *suite_checkpoint(void) {
    Suite *s = suite_create("checkpoint");
    TCase *t = tcase_create("checkpoints");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_the_newest_sound_checkpoint_is_taken);
    tcase_add_test(t, test_a_folder_that_cannot_be_looked_into_is_not_one_without_checkpoints);
    tcase_add_test(t, test_every_single_bit_that_turns_is_seen_and_the_one_before_is_taken);
    tcase_add_test(t, test_zeroed_and_cut_off_stretches_are_seen);
    tcase_add_test(t, test_a_checkpoint_of_another_run_or_step_is_not_taken);
    tcase_add_test(t, test_a_history_that_changed_takes_the_checkpoints_over_it_with_it);
    tcase_add_test(t, test_where_only_the_newest_will_do_a_damaged_one_is_refused_and_stays);
    tcase_add_test(t, test_a_checkpoint_of_an_earlier_version_is_taken_if_it_fits);
    suite_add_tcase(s, t);
    return s;
}
