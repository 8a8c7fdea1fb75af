/*
 * The link between two machines is cut in the middle of a run, while it trains or while it is measured: both processes
 * end, the one that is left names the other, and the same command goes on alone.
 */
#include "tests/experiments/program.h"

#include <stdbool.h>

static const char *const kinds[] = {"openmpi", "mpich"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool can_be_tried(const char *kind) {
    char command[2400];
    snprintf(command, sizeof command,
             "test $(id -u) = 0 && command -v ip >/dev/null && command -v mpirun.%s >/dev/null && "
             "test -r \"$(dirname \"$(readlink -f '%s')\")/mews-mpi-%s.so\" && ip netns add mews$$ 2>/dev/null && ip "
             "netns del mews$$",
             kind, program, kind);
    return system(command) == 0;
}

/* Of a run of toy.yaml, once it has told of an event. */
static bool is_cut(const char *kind, const char *event) {
    char here[1024], command[3400];
    if (!can_be_tried(kind)) {
        printf("cut_link: passed over, needs root, iproute2 and %s\n", kind);
        return false;
    }
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(command, sizeof command,
             "cd %s && bash '%s/tests/experiments/cut_link.sh' %s '%s' '%s' >said 2>&1 || "
             "{ cat said err alone; false; }",
             folder, here, kind, program, event);
    ck_assert_int_eq(system(command), 0);
    return true;
}

START_TEST(a_machine_behind_a_cut_link_is_named_and_the_run_goes_on_without_it) {
    shell("printf '%s\\n' 'name: toy' 'data: {name: shapes, size: 8, limit: 320}' "
          "'backbone: {name: resnet8, width: 4}' 'method: {name: falcon, features: 16, codes: 32}' "
          "'train: {epochs: 150, batch: 32, threads: 1}' 'eval: []' >toy.yaml");
    if (is_cut(kinds[_i], "\"phase\":\"train\".*\"epoch\":[2-9],"))
        shell("grep -q '\"computed_before\"' results/toy/toy_*/run.json");
}
END_TEST

START_TEST(what_is_measured_when_the_link_is_cut_is_measured_again_without_it) {
    shell("printf '%s\\n' 'name: toy' 'data: {name: shapes, size: 32, limit: 1024}' "
          "'backbone: {name: resnet8, width: 16}' 'method: {name: falcon, features: 16, codes: 32}' "
          "'train: {epochs: 1, batch: 512, threads: 1}' 'eval: [knn]' >toy.yaml");
    if (!is_cut("openmpi", "\"phase\":\"eval\".*\"done\":512,")) return;
    shell("grep -q '\"knn\"' results/toy/toy_*/run.json && test $(ls results/toy/toy_*/checkpoint-* | wc -l) = 1");
    shell("cp results/toy/toy_*/embeddings.npy . && rm results/toy/toy_*/embeddings.npy");
    const said *s = mews("eval results/toy/toy_*");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("cmp embeddings.npy results/toy/toy_*/embeddings.npy");
}
END_TEST

Suite *suite_cut_link(void);
Suite *suite_cut_link(void) {
    Suite *s = suite_create("cut_link");
    TCase *c = tcase_create("cut_link");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, a_machine_behind_a_cut_link_is_named_and_the_run_goes_on_without_it, 0, KINDS);
    tcase_add_test(c, what_is_measured_when_the_link_is_cut_is_measured_again_without_it);
    suite_add_tcase(s, c);
    return s;
}
