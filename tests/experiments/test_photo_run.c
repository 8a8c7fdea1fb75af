/* A run on photographs that stay files, as a user starts it: a step of two global views and two small ones. */
#include "engine/files/file.h"
#include "tests/engine/photo_bench.h"
#include "tests/experiments/program.h"

enum { PHOTOS = 40 };

static void write_file(const char *name, const void *data, size_t size) {
    char path[160];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(file_write(path, data, size, &err), "%s", err.text);
}

static void write_photos(void) {
    shell("mkdir -p photos/train/a photos/train/b photos/test/a photos/test/b");
    for (int i = 0; i < PHOTOS; i++) {
        char name[64];
        size_t size;
        uint8_t *file = photo_jpeg(&jpeg_kinds[i % JPEG_KINDS], (uint32_t)i, 90 + i, 130 - i, &size);
        snprintf(name, sizeof name, "photos/%s/%c/%02d.jpg", i % 5 ? "train" : "test", 'a' + i % 2, i);
        write_file(name, file, size);
        free(file);
    }
}

static void write_spec(const char *decoding) {
    char text[1024];
    snprintf(text, sizeof text,
             "name: photos\n"
             "data:      {name: folder, path: photos, packing: files, size: 64, decode: %s, cache: cache}\n"
             "augment:   {preset: asymmetric, local_crops: 2, local_size: 32}\n"
             "backbone:  {name: resnet8, width: 8, stem: imagenet}\n"
             "method:    {name: dino, hidden: 32, features: 16, prototypes: 32}\n"
             "train:     {epochs: 1, batch: 8, threads: 1}\n"
             "eval:      [knn]\n",
             decoding);
    write_file("photos.yaml", text, strlen(text));
}

START_TEST(test_photographs_train_and_are_judged) {
    write_photos();
    write_spec(_i ? "scaled" : "exact");
    const said *s = mews("train photos.yaml --json");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_msg(strstr(s->out, "knn") != NULL, "%s", s->out);
    s = mews("data verify photos.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_msg(strstr(s->out, "32 training and 8 test images as files, seen at 64x64 in 2 classes"), "%s", s->out);
    ck_assert_msg(strstr(s->out, "\neach class: 16 training and 4 test images\n"), "%s", s->out);
    s = mews("data verify photos.yaml --set data.imbalance=4");
    ck_assert_msg(strstr(s->out, "    16 training      4 test   a\n     4 training      4 test   b\n"), "%s", s->out);
    s = mews("data show photos.yaml --out sheet.png");
    ck_assert_msg(s->code == 0, "%s", s->err);
}
END_TEST

START_TEST(test_the_loaders_yardstick_counts_photographs) {
    write_photos();
    setenv("XDG_CACHE_HOME", folder, 1);
    const said *s = mews("bench loader --data photos --pairs 16 --size 48 --repeats 1 --json");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_msg(strstr(s->out, "images_per_second_one_core") != NULL, "%s", s->out);
}
END_TEST

Suite *suite_photo_run(void) {
    Suite *s = suite_create("photo_run");
    TCase *t = tcase_create("program");
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_photographs_train_and_are_judged, 0, 2);
    tcase_add_test(t, test_the_loaders_yardstick_counts_photographs);
    suite_add_tcase(s, t);
    return s;
}
