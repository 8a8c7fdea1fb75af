/*
 * Networks on images that they were not trained on, and networks that others trained: `mews eval --data`, `mews embed`
 * and train.init.
 */
#include "engine/files/safetensors.h"
#include "tests/experiments/program.h"

#include <glob.h>

/* Two classes of noisy images, dark and bright, 16×16. */
static void make_images(void) {
    uint32_t state = 1;
    for (int split = 0; split < 2; split++)
        for (int class = 0; class < 2; class ++)
            for (int i = 0; i < (split ? 8 : 24); i++) {
                char path[200], pixels[16 * 16 * 3];
                snprintf(path, sizeof path, "mkdir -p images/%s/%s", split ? "test" : "train",
                         class ? "bright" : "dark");
                if (i == 0) shell(path);
                for (size_t k = 0; k < sizeof pixels; k++) {
                    state = state * 1664525 + 1013904223;
                    pixels[k] = (char)((state >> 24) / 2 + (class ? 127 : 0));
                }
                snprintf(path, sizeof path, "%s/images/%s/%s/%02d.ppm", folder, split ? "test" : "train",
                         class ? "bright" : "dark", i);
                FILE *file = fopen(path, "wb");
                ck_assert_ptr_nonnull(file);
                fprintf(file, "P6\n16 16\n255\n");
                fwrite(pixels, 1, sizeof pixels, file);
                fclose(file);
            }
}

static void train(void) {
    make_images();
    shell("printf 'name: here\\ndata: {name: folder, path: images, size: 16}\\nbackbone: {name: resnet8, width: 4}\\n"
          "method: {name: falcon, features: 8, codes: 8}\\ntrain: {epochs: 1, batch: 8, threads: 1}\\neval: [knn]\\n' "
          ">here.yaml");
    const said *s = mews("train here.yaml");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("mv results/here/here_* run");
}

static void newest(char *path, size_t size) {
    char pattern[128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/run/checkpoint-*.safetensors", folder);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    snprintf(path, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

/* The run's backbone as another framework would have saved it: its names behind `prefix`, a classifier beside them. */
static void save_as(const char *name, const char *const *prefixes, const char *leave_out) {
    char path[200], out[128];
    error err = {0};
    newest(path, sizeof path);
    safetensors *st = safetensors_open(path, &err);
    ck_assert_msg(st != NULL, "%s", err.text);
    static char names[256][128];
    static safetensors_item items[256];
    static const float classifier[6];
    size_t count = 0;
    for (size_t p = 0; prefixes[p]; p++)
        for (size_t i = 0; i < safetensors_count(st); i++) {
            const safetensors_entry *e = safetensors_at(st, i);
            if (strncmp(e->name, "backbone.", 9) != 0 || (leave_out && strstr(e->name, leave_out))) continue;
            snprintf(names[count], sizeof names[count], "%s%s", prefixes[p], e->name + 9);
            items[count] =
                (safetensors_item){.name = names[count], .dtype = e->dtype, .dims = e->dims, .data = e->data};
            memcpy(items[count].shape, e->shape, sizeof e->shape);
            count++;
        }
    items[count++] =
        (safetensors_item){.name = "fc.weight", .dtype = ST_F32, .dims = 2, .shape = {2, 3}, .data = classifier};
    snprintf(out, sizeof out, "%s/%s", folder, name);
    bool written = safetensors_write(out, items, count, NULL, &err);
    ck_assert_msg(written, "%s", err.text);
    safetensors_close(st);
}

static double figure(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    ck_assert_msg(at != NULL, "no %s in %s", key, json);
    return strtod(at + strlen(quoted), NULL);
}

START_TEST(test_a_run_on_its_own_images_again_has_its_own_figures) {
    train();
    double own = figure(mews("train here.yaml --json --out kept")->out, "knn");
    const said *s = mews("eval run --data images --json");
    ck_assert_msg(s->code == 0, "%s", s->err);
    ck_assert_double_eq(figure(s->out, "knn"), own);
    shell("cmp run/embeddings.npy results/here-on-images/*/embeddings.npy");
}
END_TEST

START_TEST(test_a_backbone_is_found_behind_any_prefix) {
    static const char *const forms[][2] = {{"", NULL}, {"module.encoder.", NULL}, {"backbone.", NULL}};
    train();
    shell("mv run/embeddings.npy own.npy");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        save_as("net.safetensors", forms[i], NULL);
        shell("rm -rf results");
        const said *s = mews("embed net.safetensors --data images -s backbone.name=resnet8 -s backbone.width=4 -s "
                             "data.size=16 -s eval=[knn] --json");
        ck_assert_msg(s->code == 0, "%s: %s", forms[i][0], s->err);
        ck_assert_msg(strstr(s->err, "1 tensors are no part of this backbone"), "%s", s->err);
        shell("cat results/embed-net/*/embeddings.npy >now.npy && { test ! -e first.npy || cmp first.npy now.npy; } && "
              "mv "
              "now.npy first.npy");
    }
}
END_TEST

START_TEST(test_what_does_not_fit_is_named) {
    static const char *const one[] = {"encoder.", NULL}, *const two[] = {"encoder.", "momentum_encoder.", NULL};
    static const char line[] =
        "embed net.safetensors --data images -s data.size=16 -s eval=[knn] -s backbone.name=resnet8 -s ";
    char command[400];
    train();
    save_as("net.safetensors", one, "layer2.0.bn1.weight");
    snprintf(command, sizeof command, "%sbackbone.width=4", line);
    const said *s = mews(command);
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "`encoder.layer2.0.bn1.weight` is not there"), "%s", s->err);
    save_as("net.safetensors", one, NULL);
    snprintf(command, sizeof command, "%sbackbone.width=8", line);
    s = mews(command);
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "encoder.conv1.weight is 4×3×3×3, where this backbone has 8×3×3×3"), "%s", s->err);
    save_as("net.safetensors", two, NULL);
    snprintf(command, sizeof command, "%sbackbone.width=4", line);
    s = mews(command);
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "2 times, under encoder., momentum_encoder.; train.init_prefix says which"), "%s",
                  s->err);
    snprintf(command, sizeof command, "%sbackbone.width=4 -s train.init_prefix=momentum_encoder", line);
    ck_assert_int_eq(mews(command)->code, 0);
    s = mews("embed nothing.pt --data images");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "there is no file nothing.pt"), "%s", s->err);
    s = mews("embed net.safetensors --data nowhere");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "--data: there is no file or folder nowhere"), "%s", s->err);
}
END_TEST

/* Of mews' own file every tensor of the backbone has to be there: no stage stays at random in silence. */
START_TEST(test_a_smaller_network_does_not_fill_a_larger_one) {
    char path[200], command[600];
    train();
    newest(path, sizeof path);
    snprintf(command, sizeof command, "train here.yaml -s train.init=%s -s backbone.name=resnet18", path);
    const said *s = mews(command);
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "is not there"), "%s", s->err);
}
END_TEST

START_TEST(test_figures_are_of_a_whole_run_only) {
    char path[200], command[600];
    train();
    newest(path, sizeof path);
    const said *s = mews("train here.yaml -s train.epochs=3 --out longer"); /* the same images, another run */
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("cd longer/here/here_* && rm checkpoint-00000018.safetensors && test -e checkpoint-00000012.safetensors");
    s = mews("eval longer/here/here_* --data images");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "has not been trained to its end; `mews train` goes on with it"), "%s", s->err);
    s = mews("eval longer/here/here_*");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "holds no checkpoint of its last step, 18"), "%s", s->err);
    snprintf(command, sizeof command,
             "printf x | dd of=%s bs=1 seek=20000 conv=notrunc status=none && rm -f "
             "run/checkpoint-00000000.safetensors",
             path);
    ck_assert_int_eq(system(command), 0);
    s = mews("eval run --data images");
    ck_assert_int_ne(s->code, 0);
    ck_assert_msg(strstr(s->err, "checkpoint") != NULL, "%s", s->err);
    shell("test ! -e results/here-on-images");
}
END_TEST

START_TEST(test_damaged_weights_and_a_changed_spec_are_not_believed) {
    char path[200], command[600];
    train();
    newest(path, sizeof path);
    snprintf(command, sizeof command,
             "cp %s damaged.safetensors && printf x | dd of=damaged.safetensors bs=1 seek=$(($(stat -c %%s %s) - 3)) "
             "conv=notrunc status=none",
             path, path);
    shell(command);
    const said *s = mews("train here.yaml -s train.init=damaged.safetensors");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "train.init: damaged.safetensors: its checksum does not hold"), "%s", s->err);
    s = mews("diagnose damaged.safetensors --tensor backbone.conv1.weight");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "its checksum does not hold"), "%s", s->err);
    shell("sed -i 's/limit: 0/limit: 1/' run/spec.yaml");
    s = mews("eval run --data images");
    ck_assert_int_eq(s->code, 1);
    ck_assert_msg(strstr(s->err, "spec.yaml: is not the file that run.json speaks of"), "%s", s->err);
}
END_TEST

START_TEST(test_a_run_that_started_from_weights_is_evaluated_by_its_own) {
    static const char *const two[] = {"encoder.", "momentum_encoder.", NULL};
    train();
    save_as("net.safetensors", two, NULL);
    const said *s = mews("train here.yaml -s train.init=net.safetensors -s train.init_prefix=encoder --out begun");
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("eval begun/here/here_* --data images --json");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("cmp begun/here/*/embeddings.npy results/here-on-images/*/embeddings.npy");
}
END_TEST

START_TEST(test_training_starts_from_given_weights_and_is_another_run) {
    char command[600], path[200];
    train();
    newest(path, sizeof path);
    snprintf(command, sizeof command, "train here.yaml -s train.init=%s --json", path);
    const said *s = mews(command);
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("test $(ls -d results/here/here_* | wc -l) = 1 && grep -q 'started from' results/here/*/log.txt");
    snprintf(command, sizeof command, "cp %s copy.safetensors",
             path); /* another place, the same weights: the same run */
    shell(command);
    ck_assert_int_eq(mews("train here.yaml -s train.init=copy.safetensors --json")->code, 0);
    shell("test $(ls -d results/here/here_* | wc -l) = 1");
    s = mews("train here.yaml -s train.init=none.pt");
    ck_assert_int_ne(s->code, 0);
    ck_assert_msg(strstr(s->err, "train.init: cannot read none.pt"), "%s", s->err);
    s = mews("train here.yaml -s method=none");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "method none trains nothing: set train.epochs to 0"), "%s", s->err);
}
END_TEST

START_TEST(test_images_are_normalised_by_what_the_spec_says) {
    train();
    const said *s = mews("train here.yaml -s 'data.mean=[0.485, 0.456, 0.406]' -s 'data.std=[0.229, 0.224, 0.225]'");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("grep -A4 '\"mean\"' results/here/*/run.json | tr -d ' \\n' | grep -q '\"mean\":\\[0.48[45]'");
    s = mews("train here.yaml -s data.std=[0.2, 0, 0.2]");
    ck_assert_int_eq(s->code, 2);
    s = mews("train here.yaml -s 'data.std=[0.2, 0, 0.2]'");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "data.std takes three numbers from 0.001 to 1"), "%s", s->err);
    s = mews("train here.yaml -s 'data.mean=[0.5, 0.5]' -s 'data.std=[0.2, 0.2, 0.2]'");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "data.mean takes three numbers from 0 to 1"), "%s", s->err);
}
END_TEST

Suite *suite_elsewhere(void) {
    Suite *suite = suite_create("elsewhere");
    TCase *tests = tcase_create("elsewhere");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_a_run_on_its_own_images_again_has_its_own_figures);
    tcase_add_test(tests, test_a_backbone_is_found_behind_any_prefix);
    tcase_add_test(tests, test_what_does_not_fit_is_named);
    tcase_add_test(tests, test_a_smaller_network_does_not_fill_a_larger_one);
    tcase_add_test(tests, test_figures_are_of_a_whole_run_only);
    tcase_add_test(tests, test_damaged_weights_and_a_changed_spec_are_not_believed);
    tcase_add_test(tests, test_a_run_that_started_from_weights_is_evaluated_by_its_own);
    tcase_add_test(tests, test_training_starts_from_given_weights_and_is_another_run);
    tcase_add_test(tests, test_images_are_normalised_by_what_the_spec_says);
    suite_add_tcase(suite, tests);
    return suite;
}
