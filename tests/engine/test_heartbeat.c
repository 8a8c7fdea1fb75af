/*
 * Two processes that take themselves for two machines: who falls silent is named, who says goodbye is not missed, and
 * who cannot be reached is counted.
 */
#include "engine/clock.h"
#include "engine/heartbeat.h"
#include "engine/peers.h"

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    int between; /* a socket to the other process */
    bool alike;  /* both name the same machine */
    bool walled; /* what rank 0 tells does not get through */
} world;

static atomic_int lost_rank, lost_after;
static char lost_host[HEARTBEAT_HOST];

static bool gather(peers *p, const void *mine, void *all, size_t bytes) {
    char *own = (char *)all + (size_t)p->rank * bytes, *other = (char *)all + (size_t)(1 - p->rank) * bytes;
    memcpy(own, mine, bytes);
    strcpy(own, p->rank == 0 || world.alike ? "left" : "right");
    return write(world.between, own, bytes) == (ssize_t)bytes && read(world.between, other, bytes) == (ssize_t)bytes;
}

static bool tell(peers *p, void *data, size_t bytes) {
    if (p->rank == 0) return write(world.between, data, bytes) == (ssize_t)bytes;
    if (read(world.between, data, bytes) != (ssize_t)bytes) return false;
    if (world.walled) memset(data, 0, bytes);
    return true;
}

static void note(int rank, const char *host, int seconds) {
    strcpy(lost_host, host);
    lost_after = seconds;
    lost_rank = rank;
}

static void rest(int milliseconds) {
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L}, NULL);
}

/* Rank 1, which beats for `milliseconds`, says goodbye and ends. */
static pid_t start_other(int milliseconds) {
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    world.between = pair[child == 0];
    close(pair[child != 0]);
    if (child) return child;
    peers p = {.rank = 1, .count = 2, .gather = gather, .tell = tell};
    heartbeat *h;
    int deaf;
    error err = {0};
    if (!heartbeat_open(&h, &p, 60, note, &deaf, &err)) _exit(1);
    rest(milliseconds);
    heartbeat_close(h);
    _exit(0);
}

static heartbeat *open_first(int *deaf) {
    peers p = {.count = 2, .gather = gather, .tell = tell};
    heartbeat *h;
    error err = {0};
    lost_rank = -1;
    ck_assert_msg(heartbeat_open(&h, &p, 2, note, deaf, &err), "%s", err.text);
    return h;
}

static void expect_end(pid_t child, heartbeat *h) {
    int status;
    heartbeat_close(h);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(world.between);
}

static void expect_loss(void) {
    double end = clock_seconds() + 60;
    while (lost_rank < 0 && clock_seconds() < end) rest(20);
    ck_assert_int_eq(lost_rank, 1);
    ck_assert_str_eq(lost_host, "right");
    ck_assert_int_eq(lost_after, 2);
}

START_TEST(test_a_process_that_falls_silent_is_named) {
    int deaf;
    pid_t child = start_other(600000);
    heartbeat *h = open_first(&deaf);
    ck_assert(h != NULL && deaf == 0);
    rest(3500); /* it is heard for longer than silence is borne */
    ck_assert_int_eq(lost_rank, -1);
    kill(child, SIGSTOP);
    expect_loss();
    kill(child, SIGKILL);
    expect_end(child, h);
}
END_TEST

START_TEST(test_a_process_that_ends_without_a_goodbye_is_named) {
    int deaf;
    pid_t child = start_other(600000);
    heartbeat *h = open_first(&deaf);
    kill(child, SIGKILL);
    expect_loss();
    expect_end(child, h);
}
END_TEST

START_TEST(test_who_says_goodbye_is_not_missed) {
    int deaf;
    pid_t child = start_other(100);
    heartbeat *h = open_first(&deaf);
    ck_assert(h != NULL && deaf == 0);
    rest(4500);
    ck_assert_int_eq(lost_rank, -1);
    expect_end(child, h);
}
END_TEST

/* On one machine nobody is watched; who cannot reach rank 0 cannot be, and is counted. */
START_TEST(test_who_is_not_watched_is_known) {
    int deaf;
    world.alike = _i == 0, world.walled = _i == 1;
    pid_t child = start_other(0);
    heartbeat *h = open_first(&deaf);
    ck_assert_ptr_null(h);
    ck_assert_int_eq(deaf, world.walled);
    expect_end(child, h);
}
END_TEST

Suite *suite_heartbeat(void);
Suite *suite_heartbeat(void) {
    Suite *suite = suite_create("heartbeat");
    TCase *tests = tcase_create("heartbeat");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_a_process_that_falls_silent_is_named);
    tcase_add_test(tests, test_a_process_that_ends_without_a_goodbye_is_named);
    tcase_add_test(tests, test_who_says_goodbye_is_not_missed);
    tcase_add_loop_test(tests, test_who_is_not_watched_is_known, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
