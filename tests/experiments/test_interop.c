/*
 * What runs leave behind opens elsewhere: checkpoints in PyTorch, arrays in NumPy. Both are asked, where Debian's
 * packages of them are installed; where they are not, this says so and passes.
 */
#include "tests/experiments/program.h"

#include <stdbool.h>

static bool python_has(const char *modules) {
    char command[160];
    snprintf(command, sizeof command, "/usr/bin/python3 -c 'import %s' >/dev/null 2>&1", modules);
    if (system(command) == 0) return true;
    fprintf(stderr, "interop: /usr/bin/python3 has not %s: not compared\n", modules);
    return false;
}

START_TEST(test_checkpoints_of_resnets_have_the_same_features_in_torchvision) {
    char command[2400], said[2048];
    if (!python_has("torch, torchvision, numpy, PIL")) return;
    snprintf(command, sizeof command,
             "OMP_NUM_THREADS=1 /usr/bin/python3 tests/reference/interop.py '%s' %s >%s/said 2>&1", program, folder,
             folder);
    int status = system(command);
    read_start("said", said, sizeof said);
    ck_assert_msg(status == 0 && strstr(said, "resnet50, padding 1: 12 x 2048 features") &&
                      strstr(said, "resnet18, padding 2: 12 x 512 features"),
                  "%s", said);
}
END_TEST

START_TEST(test_arrays_of_a_run_open_with_numpy) {
    char said[2048];
    if (!python_has("numpy")) return;
    shell("printf 'name: toy\\ndata: {name: shapes, size: 8, limit: 64}\\nbackbone: {name: resnet8, width: 2}\\n"
          "method: {name: falcon, features: 8, codes: 8}\\ntrain: {epochs: 1, batch: 32, threads: 1}\\neval: [knn]\\n' "
          ">toy.yaml");
    ck_assert_int_eq(mews("train toy.yaml")->code, 0);
    shell("/usr/bin/python3 -c 'import glob, numpy\n"
          "run, = glob.glob(\"results/toy/toy_*\")\n"
          "x, y, c = (numpy.load(run + \"/%s.npy\" % name) for name in (\"embeddings\", \"labels\", \"assignments\"))\n"
          "print(x.dtype, x.shape[1], y.dtype, y.shape == c.shape == x.shape[:1], numpy.isfinite(x).all(), "
          "0 <= c.min() <= c.max() < 8)' >loaded");
    read_start("loaded", said, sizeof said);
    ck_assert_str_eq(said, "float32 8 int32 True True True\n");
}
END_TEST

Suite *suite_interop(void) {
    Suite *suite = suite_create("interop");
    TCase *tests = tcase_create("interop");
    tcase_set_timeout(tests, 600); /* importing torch on a busy machine */
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_checkpoints_of_resnets_have_the_same_features_in_torchvision);
    tcase_add_test(tests, test_arrays_of_a_run_open_with_numpy);
    suite_add_tcase(suite, tests);
    return suite;
}
