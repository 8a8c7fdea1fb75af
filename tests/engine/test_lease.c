/*
 * Leases: one living holder at a time, whoever is dead makes room, and who lost its lease knows.
 */
#include "engine/files/file.h"
#include "engine/files/lease.h"
#include "tests/scratch.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64], path[128];

static void setup(void) {
    scratch_folder(folder);
    snprintf(path, sizeof path, "%s/lease", folder);
}

static void teardown(void) { scratch_remove(folder); }

static lease *take(bool *held, error *err) {
    *err = (error){0};
    return lease_take(path, NULL, held, err);
}

/* A process that takes the lease and keeps it until it is killed. */
static pid_t holder(void) {
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        error err;
        bool held;
        if (!take(&held, &err) || write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]), close(ready[1]);
    return child;
}

START_TEST(test_a_living_holder_is_named_and_a_dead_one_makes_room) {
    error err;
    bool held;
    char pid[32];
    pid_t child = holder();
    ck_assert(lease_is_held(path));
    ck_assert_ptr_null(take(&held, &err));
    snprintf(pid, sizeof pid, "process %ld on ", (long)child);
    ck_assert_msg(held && strstr(err.text, LEASE_HELD) && strstr(err.text, pid), "%s", err.text);
    ck_assert_str_eq(lease_status(folder, "running"), "running");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert(!lease_is_held(path));
    ck_assert_str_eq(lease_status(folder, "running"), "interrupted");
    ck_assert_str_eq(lease_status(folder, "finished"), "finished");
    lease *l = take(&held, &err);
    ck_assert_msg(l != NULL, "%s", err.text);
    ck_assert(lease_is_ours(l));
    lease_release(l);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_a_lease_that_cannot_be_read_is_somebodys) {
    struct rlimit limit;
    pid_t child = holder();
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 3; /* as when a process has used up its descriptors */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    bool is_held = lease_is_held(path);
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert(is_held);
}
END_TEST

START_TEST(test_who_waits_for_a_lease_has_it_when_its_holder_ends) {
    error err = {0};
    pid_t first = holder(), waiting = fork();
    if (waiting == 0) {
        lease *l = lease_await(path, &err);
        _exit(l && lease_is_ours(l) ? 0 : 1);
    }
    int status;
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    ck_assert_int_eq(waitpid(waiting, &status, WNOHANG), 0); /* it still waits */
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    ck_assert_int_eq(waitpid(waiting, &status, 0), waiting);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(path, sizeof path, "%s/no/lease", folder);
    ck_assert_ptr_null(lease_await(path, &err));
    ck_assert_msg(strstr(err.text, "cannot write "), "%s", err.text);
}
END_TEST

/* Writes what a process elsewhere would have, its last heartbeat `age` seconds ago. */
static void write_foreign(const char *text, long age) {
    error err = {0};
    ck_assert(file_write(path, text, strlen(text), &err));
    struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static const char elsewhere[] = "{\"heartbeat\":\"2026-01-01T00:00:00Z\",\"token\":\"a\",\"host\":\"node17\","
                                "\"boot\":\"b\",\"namespace\":\"n\",\"pid\":1,\"started\":1,\"job\":\"4711\"}";

START_TEST(test_a_process_on_another_machine_lives_while_its_heart_beats) {
    error err;
    bool held;
    write_foreign(elsewhere, LEASE_STALE_SECONDS - 60);
    ck_assert(lease_is_held(path));
    ck_assert_ptr_null(take(&held, &err));
    ck_assert_msg(held && strstr(err.text, "on node17, job 4711"), "%s", err.text);
    write_foreign(elsewhere, LEASE_STALE_SECONDS + 60);
    ck_assert(!lease_is_held(path));
    lease *l = take(&held, &err);
    ck_assert_msg(l != NULL, "%s", err.text);
    lease_release(l);
}
END_TEST

START_TEST(test_a_process_id_that_was_given_to_another_process_is_not_the_holder) {
    error err;
    bool held;
    pid_t child = holder();
    json_error_t wrong;
    json_t *who = json_load_file(path, 0, &wrong);
    ck_assert_ptr_nonnull(who);
    json_object_set_new(who, "started", json_integer(json_integer_value(json_object_get(who, "started")) - 1));
    char *text = json_dumps(who, JSON_COMPACT);
    write_foreign(text, 0);
    ck_assert(!lease_is_held(path));
    lease *l = take(&held, &err);
    ck_assert_ptr_nonnull(l);
    lease_release(l);
    free(text);
    json_decref(who);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(test_a_holder_that_could_not_tell_when_it_began_lives_while_its_heart_beats) {
    json_error_t wrong;
    pid_t child = holder();
    json_t *who = json_load_file(path, 0, &wrong);
    ck_assert_ptr_nonnull(who);
    json_object_set_new(who, "started", json_integer(-1));
    char *text = json_dumps(who, JSON_COMPACT);
    write_foreign(text, LEASE_STALE_SECONDS - 60);
    ck_assert(lease_is_held(path));
    write_foreign(text, LEASE_STALE_SECONDS + 60);
    ck_assert(!lease_is_held(path));
    free(text);
    json_decref(who);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(test_what_is_no_lease_keeps_nobody_out_for_long) {
    static const char *const texts[] = {"", "{", "[]", "{\"pid\": \"x\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        error err;
        bool held;
        write_foreign(texts[i], 60);
        lease *l = take(&held, &err);
        ck_assert_msg(l != NULL, "`%s`: %s", texts[i], err.text);
        lease_release(l);
    }
}
END_TEST

START_TEST(test_who_lost_its_lease_knows_and_leaves_the_new_one_alone) {
    error err;
    bool held;
    lease *l = take(&held, &err);
    ck_assert_ptr_nonnull(l);
    write_foreign(elsewhere, 0);
    ck_assert(!lease_is_ours(l));
    lease_release(l);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* Twelve processes take it from a dead one, again and again; inside, a file tells whether anybody else is in. */
START_TEST(test_of_many_that_want_it_one_has_it_at_a_time) {
    enum { MANY = 12, TURNS = 25 };
    char inside[160];
    pid_t children[MANY];
    write_foreign(elsewhere, 2 * LEASE_STALE_SECONDS);
    snprintf(inside, sizeof inside, "%s/inside", folder);
    for (int i = 0; i < MANY; i++) {
        if ((children[i] = fork())) continue;
        for (int turn = 0; turn < TURNS;) {
            error err;
            bool held;
            lease *l = take(&held, &err);
            if (!l && !held) _exit(2);
            if (!l) continue;
            if (mkdir(inside, 0777) != 0) _exit(1); /* somebody else is in */
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
            rmdir(inside);
            lease_release(l);
            turn++;
        }
        _exit(0);
    }
    for (int i = 0; i < MANY; i++) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    }
    snprintf(inside, sizeof inside, "test -z \"$(ls %s)\"", folder);
    ck_assert_int_eq(system(inside), 0);
}
END_TEST

Suite *suite_lease(void) {
    Suite *s = suite_create("lease");
    TCase *t = tcase_create("leases");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_a_lease_that_cannot_be_read_is_somebodys);
    tcase_add_test(t, test_who_waits_for_a_lease_has_it_when_its_holder_ends);
    tcase_add_test(t, test_a_living_holder_is_named_and_a_dead_one_makes_room);
    tcase_add_test(t, test_a_process_on_another_machine_lives_while_its_heart_beats);
    tcase_add_test(t, test_a_process_id_that_was_given_to_another_process_is_not_the_holder);
    tcase_add_test(t, test_a_holder_that_could_not_tell_when_it_began_lives_while_its_heart_beats);
    tcase_add_test(t, test_what_is_no_lease_keeps_nobody_out_for_long);
    tcase_add_test(t, test_who_lost_its_lease_knows_and_leaves_the_new_one_alone);
    tcase_add_test(t, test_of_many_that_want_it_one_has_it_at_a_time);
    suite_add_tcase(s, t);
    return s;
}
