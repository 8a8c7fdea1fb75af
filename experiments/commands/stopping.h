/*
 * How the program is stopped from outside: Ctrl-C, a terminal that closes, a scheduler's SIGTERM, its SIGUSR1 ahead of
 * a time limit, the limit of CPU time itself, or a reader that went away. Each raises one flag, any number of times.
 * Training looks at it between two steps and writes a checkpoint. What has nothing to save is ended after a second, at
 * whatever it is: files are never half-written, and the line says how to go on.
 */
#ifndef MEWS_STOPPING_H
#define MEWS_STOPPING_H

#include <signal.h>
#include <stdbool.h>

/* From here on signals raise the flag; `how_to_go_on` ends the line that is printed. */
void stopping_catch(const char *how_to_go_on);

/* Non-zero once the program is to stop. */
const volatile sig_atomic_t *stopping_flag(void);

/* Under way is something that ends by itself at its next step and saves what it has: it is waited for. */
void stopping_wait_for_step(bool wait);

/* Whether a pipe that was written to has no reader any more. */
bool stopping_pipe_is_broken(void);

#endif
