/*
 * The data sets that can be fetched: their files, official addresses and the MD5 sums that go with these.
 */
#ifndef MEWS_CATALOG_H
#define MEWS_CATALOG_H

#include <limits.h>
#include <stdint.h>

enum { CATALOG_MAX_FILES = 4 };

typedef struct catalog_file {
    const char *name, *url, *md5; /* the address is url/name */
    uint64_t bytes;               /* that it has; much more than that is not taken */
} catalog_file;

typedef struct catalog_entry {
    const char *name; /* as in data.name */
    catalog_file files[CATALOG_MAX_FILES + 1];
} catalog_entry;

/* NULL when there is none of this name. */
const catalog_entry *catalog_find(const char *name);

/* Name i, NULL past the last. */
const char *catalog_name(int i);

/* Where an entry's files go below the cache's folder; `source` is what data.path would be: this, or the one archive. */
void catalog_place(const catalog_entry *entry, const char *cache, char folder[PATH_MAX], char source[PATH_MAX]);

#endif
