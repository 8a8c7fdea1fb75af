/*
 * Messages for people. An error travels up as a value and keeps the first thing that went wrong: what fails later fails
 * because of it. Functions here return false, so that a caller can report and leave in one line. Whoever knows more of
 * the context (the file, the run) puts it in front with error_prefix. error_nearest is behind every "did you mean".
 */
#include "engine/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(error *err, int code, const char *format, ...) {
    if (!err || err->code != ERROR_NONE) return false;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    /* A name out of somebody's file may hold anything; a message stays one line that moves no cursor. */
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) *c = '?';
    return false;
}

bool error_prefix(error *err, const char *format, ...) {
    if (!err || err->code == ERROR_NONE) return false;
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text - 3) return false;
    snprintf(text + length, sizeof text - (size_t)length, ": %.*s", (int)(sizeof text - (size_t)length - 3), err->text);
    memcpy(err->text, text, sizeof text);
    return false;
}

bool error_memory(error *err, size_t bytes, const char *what) {
    return error_set(err, ERROR_RUN, "out of memory: %s needs %.1f MiB", what, (double)bytes / (1 << 20));
}

bool error_may_pass(int reason) {
    return reason == ENOMEM || reason == EMFILE || reason == ENFILE || reason == EIO;
}

bool error_is_unread(const error *err) { return strstr(err->text, "cannot read ") || error_is_shortage(err); }

bool error_is_shortage(const error *err) {
    static const int reasons[] = {ENOMEM, EMFILE, ENFILE};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strstr(err->text, strerror(reasons[i]))) return true;
    return strcasestr(err->text, "out of memory") || strcasestr(err->text, "insufficient memory"); /* libjpeg's */
}

enum { LONGEST_WORD = 63 };

static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[LONGEST_WORD + 1];
    if (n > LONGEST_WORD || m > LONGEST_WORD) return (size_t)-1;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *error_nearest(const char *word, const char *const *candidates) {
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2; /* a third of the letters wrong is still a slip of the finger */
    for (; *candidates; candidates++) {
        size_t distance = edit_distance(word, *candidates);
        if (distance < least) least = distance, best = *candidates;
    }
    return best;
}
