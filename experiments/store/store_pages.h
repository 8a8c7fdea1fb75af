/*
 * Pages of the index that carry their checksum. SQLite keeps none: a bit that turns in a figure, in a key or in the
 * tree that leads to them would be shown, or hide a run, without a word. So the last eight bytes of each page, which
 * SQLite's format lets a program keep for itself, hold the CRC-32 of the rest and the page's number. Other programs
 * read such a file as ever; one that writes into it leaves pages that are refused here.
 */
#ifndef MEWS_STORE_PAGES_H
#define MEWS_STORE_PAGES_H

#include <sqlite3.h>
#include <stdbool.h>

/* The name of a VFS that writes the checksums and looks at each page that is read: one that is not what was written
 * gives SQLITE_IOERR_DATA. It stands on SQLite's default VFS. NULL when there is no memory. */
const char *store_pages_vfs(void);

/* Whether the pages of an open database carry checksums, or will, because there are none yet. */
bool store_pages_carry(sqlite3 *db);

/* Lets pages that are yet to be made carry them: those of a new file at once, those of another after its VACUUM. */
bool store_pages_ask(sqlite3 *db);

#endif
