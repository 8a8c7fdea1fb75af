#include "analysis/report/tensorboard.h"
#include "engine/files/file.h"
#include "tests/scratch.h"

#include <check.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* RFC 3720, appendix B.4, and the check value that everybody gives. */
START_TEST(test_crc32c_has_its_known_values) {
    uint8_t zeros[32] = {0};
    ck_assert_uint_eq(tensorboard_crc32c("123456789", 9), 0xe3069283);
    ck_assert_uint_eq(tensorboard_crc32c(zeros, sizeof zeros), 0x8a9136aa);
}
END_TEST

static uint64_t little(const char *p, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)(uint8_t)p[i] << 8 * i;
    return value;
}

static uint32_t unmasked(uint32_t masked) {
    uint32_t turned = masked - 0xa282ead8;
    return turned >> 17 | turned << 15;
}

/* Walks over the frames, their CRCs held, and finds the event of `tag`: its step and value. Counts events. */
static int find_scalar(const char *text, size_t size, const char *tag, long *step, float *value) {
    int events = 0;
    for (size_t at = 0; at < size; events++) {
        uint64_t length = little(text + at, 8);
        const char *data = text + at + 12;
        ck_assert_uint_eq(unmasked((uint32_t)little(text + at + 8, 4)), tensorboard_crc32c(text + at, 8));
        ck_assert_uint_eq(unmasked((uint32_t)little(data + length, 4)), tensorboard_crc32c(data, length));
        ck_assert_int_eq(data[0], 1 << 3 | 1); /* wall_time */
        const char *found = memmem(data, length, tag, strlen(tag));
        if (found && *(found + strlen(tag)) == (2 << 3 | 5)) {
            uint32_t bits = (uint32_t)little(found + strlen(tag) + 1, 4);
            memcpy(value, &bits, sizeof bits);
            ck_assert_int_eq(data[9], 2 << 3);
            *step = (uint8_t)data[10];
        }
        at += 12 + length + 4;
    }
    return events;
}

START_TEST(test_a_runs_history_is_scalars_by_step) {
    static const char run[] =
        "{\"id\": \"a\", \"status\": \"finished\", \"final\": {\"linear\": 0.5, \"nothing\": null}}";
    static const char metrics[] = "{\"step\": 1, \"loss\": 2.5, \"lr\": null, \"time\": {\"step\": 0.1}}\n"
                                  "{\"step\": 7, \"epoch\": 1, \"collapse\": {\"rankme\": 3.25, \"cluster\": "
                                  "{\"verdict\": \"healthy\", \"statistic\": 0.75}}}\n";
    char folder[SCRATCH], out[64];
    scratch_folder(folder);
    ck_assert_int_eq(chdir(folder), 0);
    error err = {0};
    ck_assert(file_write("run.json", run, strlen(run), &err) &&
              file_write("metrics.jsonl", metrics, strlen(metrics), &err));
    records all;
    ck_assert(records_read(&all, folder, &err));
    uint64_t scalars;
    snprintf(out, sizeof out, "%s/events", folder);
    bool written = tensorboard_write(&all.items[0], out, &scalars, &err);
    ck_assert_msg(written, "%s", err.text);
    ck_assert_uint_eq(scalars, 5);
    glob_t found;
    ck_assert_int_eq(glob("events/events.out.tfevents.*.mews", 0, NULL, &found), 0);
    size_t size;
    char *text = file_read(found.gl_pathv[0], &size, &err);
    static const struct {
        const char *tag;
        long step;
        float value;
    } expected[] = {{"train/loss", 1, 2.5f},
                    {"train/epoch", 7, 1},
                    {"collapse/rankme", 7, 3.25f},
                    {"collapse/cluster/statistic", 7, 0.75f},
                    {"final/linear", 7, 0.5f}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        long step = -1;
        float value = -1;
        ck_assert_int_eq(find_scalar(text, size, expected[i].tag, &step, &value), 6); /* and the version */
        ck_assert_int_eq(step, expected[i].step);
        ck_assert_float_eq(value, expected[i].value);
    }
    free(text);
    globfree(&found);
    records_free(&all);
    scratch_remove(folder);
}
END_TEST

START_TEST(test_a_damaged_history_is_named_with_its_line_and_nothing_is_written) {
    char folder[SCRATCH];
    scratch_folder(folder);
    ck_assert_int_eq(chdir(folder), 0);
    error err = {0};
    ck_assert(file_write("run.json", "{}", 2, &err) && file_write("metrics.jsonl", "{\"step\": 1}\n{\"st", 16, &err));
    records all;
    ck_assert(records_read(&all, ".", &err));
    ck_assert(!tensorboard_write(&all.items[0], "events", NULL, &err));
    ck_assert_str_eq(err.text, "./metrics.jsonl:2: is not a line of a run's history");
    glob_t found;
    ck_assert_int_eq(glob("events/*", 0, NULL, &found), GLOB_NOMATCH);
    records_free(&all);
    scratch_remove(folder);
}
END_TEST

Suite *suite_tensorboard(void) {
    Suite *suite = suite_create("tensorboard");
    TCase *tests = tcase_create("tensorboard");
    tcase_add_test(tests, test_crc32c_has_its_known_values);
    tcase_add_test(tests, test_a_runs_history_is_scalars_by_step);
    tcase_add_test(tests, test_a_damaged_history_is_named_with_its_line_and_nothing_is_written);
    suite_add_tcase(suite, tests);
    return suite;
}
