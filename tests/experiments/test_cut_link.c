/*
 * The link between two machines is cut in the middle of a run: both processes end, the one that is left names the
 * other, and the same command goes on alone.
 */
#include "tests/experiments/program.h"

#include <stdbool.h>

static const char *const kinds[] = {"openmpi", "mpich"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool can_be_tried(const char *kind) {
    char command[2400];
    snprintf(command, sizeof command,
             "test $(id -u) = 0 && command -v ip >/dev/null && command -v mpirun.%s >/dev/null && "
             "test -r \"$(dirname '%s')/mews-mpi-%s.so\" && ip netns add mews$$ 2>/dev/null && ip netns del mews$$",
             kind, program, kind);
    return system(command) == 0;
}

START_TEST(a_machine_behind_a_cut_link_is_named_and_the_run_goes_on_without_it) {
    char here[1024], command[3400];
    if (!can_be_tried(kinds[_i])) {
        printf("cut_link: passed over, needs root, iproute2 and %s\n", kinds[_i]);
        return;
    }
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    shell("printf '%s\\n' 'name: toy' 'data: {name: shapes, size: 8, limit: 320}' "
          "'backbone: {name: resnet8, width: 4}' 'method: {name: falcon, features: 16, codes: 32}' "
          "'train: {epochs: 150, batch: 32, threads: 1}' 'eval: []' >toy.yaml");
    snprintf(command, sizeof command,
             "cd %s && bash '%s/tests/experiments/cut_link.sh' %s '%s' >said 2>&1 || "
             "{ cat said err alone; false; }",
             folder, here, kinds[_i], program);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

Suite *suite_cut_link(void);
Suite *suite_cut_link(void) {
    Suite *s = suite_create("cut_link");
    TCase *c = tcase_create("cut_link");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, a_machine_behind_a_cut_link_is_named_and_the_run_goes_on_without_it, 0, KINDS);
    suite_add_tcase(s, c);
    return s;
}
