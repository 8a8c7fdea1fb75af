/*
 * A child process that runs this very program with other arguments, and whose output is read line by line. A run in a
 * process of its own cannot take the sweep with it when it crashes, and gives all its memory back.
 */
#ifndef MEWS_CHILD_H
#define MEWS_CHILD_H

#include "engine/error.h"

#include <sys/types.h>

typedef struct child {
    pid_t pid;  /* 0 when there is none */
    int output; /* its stdout and stderr; −1 once they ended */
    char *text; /* a line that has not ended yet */
    size_t size, used;
} child;

/* argv[0] is for show; ends with NULL. The child dies (SIGTERM) when this process does. */
bool child_start(child *c, const char *const *argv, error *err);

/* Reads what has come and hands on every whole line; closes `output` at the end. */
void child_read(child *c, void *context, void (*line)(void *context, const char *text));

/* Waits for the end; returns what waitpid tells. */
int child_wait(child *c);

/* How it ended, in words: "killed by signal 9 (Killed)". Returns `out`. */
char *child_end(int status, char *out, size_t size);

#endif
