/* A place of a test's own: a folder, which is taken away with all that is in it, or an empty file. */
#ifndef MEWS_TESTS_SCRATCH_H
#define MEWS_TESTS_SCRATCH_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH = 32 }; /* bytes that its path needs */

static inline void scratch_folder(char *path) {
    strcpy(path, "/tmp/mews-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline void scratch_file(char *path) {
    strcpy(path, "/tmp/mews-test-XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

/* For nftw; the system's own rm is not to be had in a test that empties PATH. */
static inline int scratch_unlink(const char *path, const struct stat *info, int type, struct FTW *place) {
    (void)info, (void)type, (void)place;
    return remove(path);
}

static inline void scratch_remove(const char *folder) {
    ck_assert_int_eq(nftw(folder, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
