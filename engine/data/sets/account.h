/*
 * What an import made of the files it saw: how many were used, and which were not and why. Nothing is passed over
 * without standing here. The text goes into the packed file, so that it can still be asked for when the source has long
 * been forgotten.
 */
#ifndef MEWS_ACCOUNT_H
#define MEWS_ACCOUNT_H

#include "engine/error.h"

#include <stdint.h>

enum { ACCOUNT_REASONS = 24, ACCOUNT_EXAMPLES = 3, ACCOUNT_NOTES = 8 };

typedef struct account_reason {
    char text[128];
    uint64_t count;
    char *examples[ACCOUNT_EXAMPLES]; /* the first names */
} account_reason;

typedef struct account {
    uint64_t seen, used; /* files */
    account_reason reasons[ACCOUNT_REASONS];
    int reason_count;
    char *notes[ACCOUNT_NOTES]; /* how the files were read: a sentence each */
    int note_count;
    bool lost; /* memory had no room for some of it */
} account;

/* One file more that is not used, or `count` files, of which `name` is one. */
void account_skip(account *a, const char *name, const char *reason);
void account_skip_many(account *a, const char *name, uint64_t count, const char *reason);

/* How the source was understood, for people: "training images in Train/, test images in Test/". */
void account_note(account *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t account_skipped(const account *a);

/* "skipped 48 files: 48 end in .gif, which is not read (a.gif, b.gif, c.gif, …)", or "" when nothing was. In `out`. */
char *account_brief(const account *a, char *out, size_t size);

/* All of it, a line each, with a line's end behind each; free() it. NULL when out of memory. */
char *account_text(const account *a, error *err);
void account_free(account *a);

#endif
