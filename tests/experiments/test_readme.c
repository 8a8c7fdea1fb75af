/*
 * The first two screens of README.md: every `./mews` command there is run as it stands, in a folder that holds what it
 * names at toy scale; every `make` command is a target of the Makefile; and the picture is there.
 */
#include "analysis/files/npy.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

enum { ROWS = 200, COLUMNS = 12 };

static char *readme;

/* The tests run where the sources are. */
static void read_readme(void) {
    size_t size;
    error err = {0};
    program_setup();
    readme = file_read("README.md", &size, &err);
    ck_assert_msg(readme != NULL, "%s", err.text);
    char *reference = strstr(readme, "\n## Reference\n");
    ck_assert_msg(reference != NULL, "README.md has no heading `## Reference`");
    *reference = 0;
}

static void forget_readme(void) {
    free(readme);
    program_teardown();
}

static void write_array(const char *name, npy_dtype type, size_t cols, const void *values) {
    char path[160];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(npy_write(path, type, ROWS, cols, values, &err), "%s", err.text);
}

static void prepare(void) {
    static float x[ROWS * COLUMNS];
    int32_t labels[ROWS];
    char command[1300];
    rng r = rng_stream(3, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (float)rng_normal(&r);
    for (int i = 0; i < ROWS; i++) labels[i] = i % 4;
    write_array("embeddings.npy", NPY_F32, COLUMNS, x);
    write_array("labels.npy", NPY_I32, 0, labels);
    snprintf(command, sizeof command, "ln -sf %s %s/mews", program, folder);
    ck_assert_int_eq(system(command), 0);
    shell("printf 'name: my-sweep\\ndata: {name: shapes, limit: 256}\\nbackbone: {name: resnet8, width: 4}\\n"
          "method: {name: falcon, features: 16}\\noptimizer: {name: adam, lr: 0.001}\\n"
          "train: {epochs: 1, batch: 64}\\neval: [linear, knn, kmeans, prototypes, collapse]\\n"
          "sweep: {method.codes: [8, 32]}\\n' >my-sweep.yaml");
}

/* The next indented line from `at` on that begins with `word`, without its comment; NULL at the end. */
static const char *next_command(const char *at, const char *word, char out[256]) {
    char start[32];
    snprintf(start, sizeof start, "\n    %s", word);
    at = strstr(at, start);
    if (!at) return NULL;
    at += 5;
    size_t length = strcspn(at, "\n#");
    ck_assert_uint_lt(length, 256);
    snprintf(out, 256, "%.*s", (int)length, at);
    return at;
}

START_TEST(test_every_command_of_the_first_screens_works) {
    char command[256], whole[700];
    int count = 0;
    prepare();
    for (const char *at = readme; (at = next_command(at, "./mews", command)); count++) {
        snprintf(whole, sizeof whole, "cd %s && %s >out 2>err </dev/null", folder, command);
        int status = system(whole);
        char said[2000];
        read_start("err", said, sizeof said);
        ck_assert_msg(status == 0, "%s: %s", command, said);
    }
    ck_assert_int_ge(count, 6);
    shell("test -s page.html && test -s results/my-sweep/index.html && test -s results/my-sweep/figures/overview.pdf");
}
END_TEST

START_TEST(test_every_make_command_of_the_first_screens_is_a_target) {
    char command[256], question[400], target[64];
    int count = 0;
    for (const char *at = readme; (at = next_command(at, "make", command)); count++) {
        ck_assert_int_eq(sscanf(command, "make %63[a-z-]", target), 1);
        snprintf(question, sizeof question, "make -s help | grep '^make %s ' >/dev/null", target);
        ck_assert_msg(system(question) == 0, "%s: `make help` does not know it", command);
    }
    ck_assert_int_ge(count, 2);
}
END_TEST

START_TEST(test_the_first_part_is_two_screens_and_has_its_picture) {
    char path[200];
    int lines = 0;
    for (const char *c = readme; *c; c++) lines += *c == '\n';
    ck_assert_int_le(lines, 80);
    const char *picture = strstr(readme, "](experiments/");
    ck_assert_ptr_nonnull(picture);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(picture + 2, ")"), picture + 2);
    ck_assert_msg(access(path, R_OK) == 0, "%s is not there", path);
}
END_TEST

Suite *suite_readme(void) {
    Suite *s = suite_create("readme");
    TCase *t = tcase_create("first screens");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, read_readme, forget_readme);
    tcase_add_test(t, test_every_command_of_the_first_screens_works);
    tcase_add_test(t, test_every_make_command_of_the_first_screens_is_a_target);
    tcase_add_test(t, test_the_first_part_is_two_screens_and_has_its_picture);
    suite_add_tcase(s, t);
    return s;
}
