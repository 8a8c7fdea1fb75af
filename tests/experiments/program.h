/*
 * The program as a user meets it: $MEWS (or ./mews) is run in a folder of the test's own, its exit code and what it
 * prints are kept. For suites whose tests use program_setup and program_teardown as fixture.
 */
#ifndef MEWS_TESTS_PROGRAM_H
#define MEWS_TESTS_PROGRAM_H

#include "tests/scratch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], program[1100];

static inline void program_setup(void) {
    const char *given = getenv("MEWS");
    char here[1024];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(program, sizeof program, "%s%s%s", given ? "" : here, given ? "" : "/", given ? given : "mews");
    ck_assert_msg(access(program, X_OK) == 0, "%s is not there: run `make test`", program);
    scratch_folder(folder);
}

static inline void program_teardown(void) { scratch_remove(folder); }

typedef struct said {
    int code;
    char out[131072], err[4096]; /* beginnings of stdout and stderr */
} said;

static inline void read_start(const char *name, char *out, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* A shell's commands in the test's folder. */
static inline void shell(const char *commands) {
    char command[2048];
    snprintf(command, sizeof command, "cd %s && { %s; }", folder, commands);
    ck_assert_msg(system(command) == 0, "%s failed", commands);
}

/* Runs the program in the test's folder with these words (as a shell reads them; they may redirect stdin). */
static inline const said *mews(const char *words) {
    static said s;
    char command[4096];
    snprintf(command, sizeof command, "cd %s && '%s' >out 2>err </dev/null %s", folder, program, words);
    int status = system(command);
    ck_assert(WIFEXITED(status));
    s.code = WEXITSTATUS(status);
    read_start("out", s.out, sizeof s.out);
    read_start("err", s.err, sizeof s.err);
    return &s;
}

/* This exit code, nothing on stdout, and exactly this line on stderr. */
static inline void refused_with(int code, const char *words, const char *line) {
    const said *s = mews(words);
    char expected[1024];
    snprintf(expected, sizeof expected, "mews: %s\n", line);
    ck_assert_str_eq(s->err, expected);
    ck_assert_str_eq(s->out, "");
    ck_assert_int_eq(s->code, code);
}

/* A bad command or spec. */
static inline void refused(const char *words, const char *line) { refused_with(2, words, line); }

#endif
