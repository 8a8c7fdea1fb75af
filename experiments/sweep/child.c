/*
 * fork and exec by way of /proc/self/exe, so that a sweep goes on with the program it began with even when that is
 * rebuilt meanwhile. exec also means that no OpenMP pool of this process is ever inherited half-alive.
 */
#include "experiments/sweep/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, between fork and exec: only calls that are safe there. */
static void become(int output, pid_t parent, const char *const *argv) {
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127); /* it died before the line above */
    if (nothing >= 0) dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    execv("/proc/self/exe", (char *const *)(void *)argv);
    _exit(127);
}

bool child_start(child *c, const char *const *argv, error *err) {
    int ends[2];
    *c = (child){.output = -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return error_set(err, ERROR_RUN, "cannot make a pipe: %s", strerror(errno));
    pid_t parent = getpid();
    c->pid = fork();
    if (c->pid == 0) become(ends[1], parent, argv);
    close(ends[1]);
    if (c->pid < 0) {
        c->pid = 0;
        close(ends[0]);
        return error_set(err, ERROR_RUN, "cannot start a process: %s", strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    c->output = ends[0];
    return true;
}

/* Hands on the whole lines in the buffer and keeps the rest. */
static void hand_on(child *c, void *context, void (*line)(void *, const char *)) {
    char *from = c->text, *end;
    while ((end = memchr(from, '\n', c->used - (size_t)(from - c->text)))) {
        *end = '\0';
        line(context, from);
        from = end + 1;
    }
    c->used -= (size_t)(from - c->text);
    memmove(c->text, from, c->used);
}

void child_read(child *c, void *context, void (*line)(void *, const char *)) {
    enum { CHUNK = 4096, LONGEST = 1 << 20 };
    while (c->output >= 0) {
        if (c->size - c->used < CHUNK) {
            char *grown = c->size < LONGEST ? realloc(c->text, c->size + 2 * CHUNK) : NULL;
            if (grown)
                c->text = grown, c->size += 2 * CHUNK;
            else
                c->used = 0; /* such a line is not one of ours */
        }
        ssize_t got = c->size ? read(c->output, c->text + c->used, c->size - c->used - 1) : 0;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            if (c->used) c->text[c->used] = '\0', line(context, c->text);
            c->used = 0;
            close(c->output);
            c->output = -1;
            return;
        }
        c->used += (size_t)got;
        hand_on(c, context, line);
    }
}

int child_wait(child *c) {
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
    if (c->output >= 0) close(c->output);
    free(c->text);
    *c = (child){.output = -1};
    return status;
}

char *child_end(int status, char *out, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(out, size, "killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGKILL ? "; out of memory?" : "");
    else
        snprintf(out, size, "ended with code %d", WEXITSTATUS(status));
    return out;
}
