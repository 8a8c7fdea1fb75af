/*
 * Errors travel up as values: a function that can fail returns bool (or NULL) and leaves its one-line message and the
 * program's exit code here. The first message stays; what fails later because of it adds nothing. Only main prints.
 */
#ifndef MEWS_ERROR_H
#define MEWS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum {
    ERROR_NONE = 0,
    ERROR_RUN = 1,     /* failed while running: disk, memory, data, a loss that is not a number */
    ERROR_USAGE = 2,   /* a bad command or spec: the user can mend it before anything runs */
    ERROR_VERDICT = 3, /* a collapse that the user asked to fail on */
};

typedef struct error {
    int code;
    char text[1024];
} error;

/* Records a message unless one stands already. Returns false, so that `return error_set(...)` reads well. */
bool error_set(error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the message that stands, to say where it happened. Returns false. */
bool error_prefix(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory for `bytes` bytes of `what`. Returns false. */
bool error_memory(error *err, size_t bytes, const char *what);

/* Whether memory or file descriptors ran out, in these words or in a library's: with what was being read, nothing is
 * wrong. */
bool error_is_shortage(const error *err);

/* Whether a file could not be read at all, for that or another reason: what it holds has not been judged. */
bool error_is_unread(const error *err);

/* Whether an errno speaks of the machine at this moment (memory, descriptors, a disk), not of the file. */
bool error_may_pass(int reason);

/*
 * The candidate nearest to `word` by edit distance, or NULL when none is near enough to suggest.
 * `candidates` is NULL-terminated. For "did you mean ...?".
 */
const char *error_nearest(const char *word, const char *const *candidates);

#endif
