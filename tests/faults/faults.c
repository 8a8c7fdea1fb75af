/*
 * A program whose calls fail on demand. The linker (--wrap) sends mews' own calls of the functions below here.
 * MEWS_FAULT=CLASS:K makes the K-th call of a class fail, CLASS:K+ that and every one after it; MEWS_FAULT_COUNTS=FILE
 * writes how many calls of each class there were. Classes: alloc, write, sync, rename, read, open, thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef enum call { ALLOC, WRITE, SYNC, RENAME, READ, OPEN, THREAD, CALLS } call;
static const char *const names[CALLS] = {"alloc", "write", "sync", "rename", "read", "open", "thread"};
static atomic_long counts[CALLS];
static long wanted = -1;
static int wanted_call = -1;
static bool onwards;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("MEWS_FAULT"), *colon = text ? strchr(text, ':') : NULL;
    for (int c = 0; colon && c < CALLS; c++)
        if (strncmp(names[c], text, strlen(names[c])) == 0 && strlen(names[c]) == (size_t)(colon - text))
            wanted_call = c;
    if (colon) wanted = atol(colon + 1), onwards = strchr(colon, '+') != NULL;
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("MEWS_FAULT_COUNTS");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    for (int c = 0; file >= 0 && c < CALLS; c++) dprintf(file, "%s %ld\n", names[c], atomic_load(&counts[c]));
    if (file >= 0) close(file);
}

static bool fails(call c, int reason) {
    long number = atomic_fetch_add(&counts[c], 1) + 1;
    if (c != (call)wanted_call || !(number == wanted || (onwards && number > wanted))) return false;
    errno = reason;
    return true;
}

#define WRAP(TYPE, NAME, CLASS, REASON, FAILED, PARAMETERS, ARGUMENTS)                                                 \
    TYPE __real_##NAME PARAMETERS;                                                                                     \
    TYPE __wrap_##NAME PARAMETERS;                                                                                     \
    TYPE __wrap_##NAME PARAMETERS { return fails(CLASS, REASON) ? FAILED : __real_##NAME ARGUMENTS; }

WRAP(void *, malloc, ALLOC, ENOMEM, NULL, (size_t n), (n))
WRAP(void *, calloc, ALLOC, ENOMEM, NULL, (size_t n, size_t each), (n, each))
WRAP(void *, realloc, ALLOC, ENOMEM, NULL, (void *p, size_t n), (p, n))
WRAP(void *, aligned_alloc, ALLOC, ENOMEM, NULL, (size_t a, size_t n), (a, n))
WRAP(char *, strdup, ALLOC, ENOMEM, NULL, (const char *s), (s))
WRAP(ssize_t, write, WRITE, ENOSPC, -1, (int f, const void *p, size_t n), (f, p, n))
WRAP(ssize_t, pwrite, WRITE, ENOSPC, -1, (int f, const void *p, size_t n, off_t o), (f, p, n, o))
WRAP(int, fflush, WRITE, ENOSPC, EOF, (FILE * f), (f))
WRAP(int, fsync, SYNC, EIO, -1, (int f), (f))
WRAP(int, fdatasync, SYNC, EIO, -1, (int f), (f))
WRAP(int, rename, RENAME, EACCES, -1, (const char *a, const char *b), (a, b))
WRAP(int, renameat, RENAME, EACCES, -1, (int x, const char *a, int y, const char *b), (x, a, y, b))
WRAP(int, link, RENAME, EACCES, -1, (const char *a, const char *b), (a, b))
WRAP(int, ftruncate, WRITE, EIO, -1, (int f, off_t n), (f, n))
WRAP(ssize_t, read, READ, EIO, -1, (int f, void *p, size_t n), (f, p, n))
WRAP(size_t, fread, READ, EIO, 0, (void *p, size_t n, size_t c, FILE *f), (p, n, c, f))
WRAP(void *, mmap, READ, ENOMEM, MAP_FAILED, (void *a, size_t n, int p, int f, int d, off_t o), (a, n, p, f, d, o))
WRAP(FILE *, fopen, OPEN, EMFILE, NULL, (const char *p, const char *m), (p, m))
WRAP(FILE *, fdopen, OPEN, EMFILE, NULL, (int f, const char *m), (f, m))
WRAP(int, pthread_create, THREAD, 0, EAGAIN, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *c),
     (t, a, f, c))

/* As the library does, the stream remembers it; who writes looks at that when the file is whole. */
size_t __real_fwrite(const void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fwrite(const void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fwrite(const void *p, size_t n, size_t c, FILE *f) {
    enum { ERROR_SEEN = 0x20 }; /* glibc's _IO_ERR_SEEN */
    if (!fails(WRITE, ENOSPC)) return __real_fwrite(p, n, c, f);
    f->_flags |= ERROR_SEEN;
    return 0;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fails(OPEN, EMFILE) ? -1 : __real_open(path, flags, mode);
}
