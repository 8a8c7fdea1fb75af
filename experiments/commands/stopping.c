/*
 * Signal handlers reach nothing but globals: this file holds the program's only ones. They call what POSIX lists as
 * safe in a handler and nothing else. A handler is never taken away again, because a scheduler sends SIGTERM to a whole
 * group and a sweep then tells its children once more; only a second Ctrl-C, by hand, is meant to kill.
 */
#include "experiments/commands/stopping.h"
#include "experiments/commands/command.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping, waiting, broken_pipe, asked_at;
static const char *go_on;

static sig_atomic_t seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (sig_atomic_t)now.tv_sec;
}

static void say(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void end(void) {
    say(isatty(STDERR_FILENO) ? "\r\033[Kmews: interrupted; " : "mews: interrupted; ");
    say(go_on);
    say("\n");
    _exit(EXIT_INTERRUPTED);
}

static void on_signal(int signal) {
    sig_atomic_t now = seconds_now();
    /* Keys bounce, and a shell may hand one key press on twice: only one that comes later is meant as a second. */
    if (signal == SIGINT && stopping && now - asked_at > 1) end();
    if (signal == SIGPIPE) broken_pipe = 1;
    if (stopping) return;
    asked_at = now;
    stopping = 1;
    alarm(1);
}

static void on_alarm(int signal) {
    (void)signal;
    if (!waiting) end();
    alarm(1);
}

static void catch_one(int number, void (*handler)(int), bool even_if_ignored) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    /* nohup and shells' background jobs ignore signals for the programs that they start */
    bool ignored = sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    if (even_if_ignored || !ignored) sigaction(number, &action, NULL);
}

void stopping_catch(const char *how_to_go_on) {
    go_on = how_to_go_on;
    catch_one(SIGALRM, on_alarm, true);
    catch_one(SIGTERM, on_signal, true);
    catch_one(SIGPIPE, on_signal, true);
    catch_one(SIGINT, on_signal, false);
    catch_one(SIGHUP, on_signal, false);
    catch_one(SIGXCPU, on_signal, false);
    catch_one(SIGUSR1, on_signal, false);
}

const volatile sig_atomic_t *stopping_flag(void) { return &stopping; }

void stopping_wait_for_step(bool wait) { waiting = wait; }

bool stopping_pipe_is_broken(void) { return broken_pipe; }
