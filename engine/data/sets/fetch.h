/*
 * Files from the network (HTTP, HTTPS, by libcurl): what breaks off is taken up where it stopped, by the same command
 * or a later one; what does not have its checksum is put aside and never used.
 */
#ifndef MEWS_FETCH_H
#define MEWS_FETCH_H

#include "engine/data/sets/catalog.h"
#include "engine/error.h"

#include <signal.h>
#include <stdint.h>

typedef struct fetch_options {
    const char
        *mirror;  /* address that takes the place of the official one, each file below it by name; NULL = official */
    int attempts; /* in a row that bring nothing new, before it is given up */
    long stall;   /* seconds in which nothing comes before a connection is given up */
    double pause; /* seconds before the second attempt, twice as many before each further one */
    void (*progress)(void *, const char *file, uint64_t done, uint64_t total); /* bytes; may be NULL */
    void (*warn)(void *, const char *line);                                    /* may be NULL */
    void *context;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} fetch_options;

extern const fetch_options fetch_defaults;

/*
 * Brings every file of the entry into `folder`, made if need be; files that are there and whole are not fetched again.
 * One process at a time, others wait. On failure the part that came stays beside as FILE.part, and the message says how
 * to go on.
 */
bool fetch_files(const fetch_options *options, const catalog_entry *entry, const char *folder, error *err);

#endif
