/*
 * `.packaging/deps.sh` on systems that the tests do not run on: PATH holds stand-ins for what the script asks, so that
 * there is no apt, or nobody who may install.
 */
#include "tests/scratch.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], script[PATH_MAX];

static void setup(void) {
    ck_assert_ptr_nonnull(realpath(".packaging/deps.sh", script));
    scratch_folder(folder);
}

static void teardown(void) { scratch_remove(folder); }

/* A program of this name, which does this. */
static void stand_in(const char *name, const char *does) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\n%s\n", does);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

/* Runs the script with the stand-ins as its only programs; its exit code is `code` and it prints `words`. */
static void deps(int code, const char *words) {
    char command[2 * PATH_MAX], said[4096];
    snprintf(command, sizeof command,
             "exec env -i PATH=%s DEPENDENCIES='gcc libjansson-dev' LIBRARIES='yaml-0.1>=0.2.5 jansson>=2.14' "
             "HEADERS=dnnl.h CC=compiler /bin/sh '%s' 2>&1",
             folder, script);
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    said[fread(said, 1, sizeof said - 1, out)] = '\0';
    int status = pclose(out);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "exit code %d: %s", WEXITSTATUS(status), said);
    ck_assert_str_eq(said, words);
}

START_TEST(test_without_apt_libraries_are_looked_for_by_name_and_version) {
    deps(1, "make: this system has no apt; please install (pkg-config names and versions, headers): pkg-config, which "
            "finds yaml-0.1>=0.2.5 jansson>=2.14\n");
    stand_in("pkg-config", "test \"$2\" = 'yaml-0.1 >= 0.2.5'");
    stand_in("compiler", "exit 1");
    deps(1, "make: this system has no apt; please install (pkg-config names and versions, headers): jansson>=2.14 "
            "<dnnl.h>\n");
    stand_in("pkg-config", "exit 0");
    stand_in("compiler", "exit 0");
    deps(0, "");
}
END_TEST

START_TEST(test_who_may_not_install_is_told_the_line) {
    stand_in("apt-get", "echo apt-get was run");
    stand_in("id", "echo 1000");
    stand_in("grep", "read -r line; test \"$line\" = 'install ok installed'");
    stand_in("dpkg-query", "test \"$3\" = gcc && echo install ok installed");
    stand_in("pkg-config", "exit 1");
    stand_in("compiler", "exit 1");
    deps(1, "make: packages are missing; as root: apt-get install libjansson-dev\n");
    stand_in("pkg-config", "exit 0"); /* all that is built with is there: what is lacking is for tests and figures */
    stand_in("compiler", "exit 0");
    deps(0, "make: packages are missing; as root: apt-get install libjansson-dev\n");
    stand_in("dpkg-query", "echo install ok installed");
    deps(0, "");
}
END_TEST

Suite *suite_deps(void) {
    Suite *s = suite_create("deps");
    TCase *t = tcase_create("deps");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_without_apt_libraries_are_looked_for_by_name_and_version);
    tcase_add_test(t, test_who_may_not_install_is_told_the_line);
    suite_add_tcase(s, t);
    return s;
}
