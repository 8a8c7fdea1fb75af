/*
 * A program whose calls fail on demand. The linker (--wrap) sends mews' own calls of the functions below here.
 * MEWS_FAULT=CLASS:K makes the K-th call of a class fail, CLASS:K+ that and every one after it; MEWS_FAULT_COUNTS=FILE
 * writes how many calls of each class there were. Classes: alloc, write, sync, rename, read, open, thread.
 *
 * A way is where a call comes from: the functions of mews that are on the stack, from the innermost up. Most calls are
 * made thousands of times on one way, and fail alike there. MEWS_FAULT_WAYS=FILE writes each way's number and how often
 * it was gone, and MEWS_FAULT=CLASS:@WAY:K makes the K-th call on that way fail.
 */
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
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

enum { WAYS = 1 << 15, DEEP = 12 };
typedef struct way {
    unsigned number; /* 0: none yet */
    long gone;
} way;
static way ways[CALLS][WAYS];
static pthread_mutex_t ways_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned wanted_way;
static bool follow;

extern char __executable_start, etext;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("MEWS_FAULT"), *colon = text ? strchr(text, ':') : NULL;
    for (int c = 0; colon && c < CALLS; c++)
        if (strncmp(names[c], text, strlen(names[c])) == 0 && strlen(names[c]) == (size_t)(colon - text))
            wanted_call = c;
    if (colon && colon[1] == '@') {
        char *end;
        wanted_way = (unsigned)strtoul(colon + 2, &end, 16);
        wanted = *end == ':' ? atol(end + 1) : 1;
    } else if (colon)
        wanted = atol(colon + 1), onwards = strchr(colon, '+') != NULL;
    follow = wanted_way || getenv("MEWS_FAULT_WAYS");
    void *first[2];
    if (follow) backtrace(first, 2); /* loads what it needs, before anything fails */
}

/* Returns how often this way was gone, now included, and its number. */
static long go(call c, unsigned *number) {
    void *stack[DEEP + 3];
    int n = backtrace(stack, DEEP + 3);
    unsigned hash = 2166136261u;
    for (int i = 0; i < n; i++) {
        const char *at = stack[i];
        if (at < &__executable_start || at >= &etext) continue; /* a library's */
        hash = (hash ^ (unsigned)(at - &__executable_start)) * 16777619u;
    }
    *number = hash | 1;
    pthread_mutex_lock(&ways_lock);
    unsigned i = *number / 2 % WAYS;
    for (int tried = 0; ways[c][i].number && ways[c][i].number != *number && tried < WAYS; tried++) i = (i + 1) % WAYS;
    ways[c][i].number = *number;
    long gone = ++ways[c][i].gone;
    pthread_mutex_unlock(&ways_lock);
    return gone;
}

static void write_ways(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    for (int c = 0; file >= 0 && c < CALLS; c++)
        for (int i = 0; i < WAYS; i++)
            if (ways[c][i].number) dprintf(file, "%s %x %ld\n", names[c], ways[c][i].number, ways[c][i].gone);
    if (file >= 0) close(file);
}

__attribute__((destructor)) static void end(void) {
    if (getenv("MEWS_FAULT_WAYS")) write_ways(getenv("MEWS_FAULT_WAYS"));
    const char *path = getenv("MEWS_FAULT_COUNTS");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    for (int c = 0; file >= 0 && c < CALLS; c++) dprintf(file, "%s %ld\n", names[c], atomic_load(&counts[c]));
    if (file >= 0) close(file);
}

static bool fails(call c, int reason) {
    long number = atomic_fetch_add(&counts[c], 1) + 1;
    unsigned on = 0;
    if (follow) {
        long gone = go(c, &on);
        if (wanted_way) number = on == wanted_way ? gone : -1;
    }
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
WRAP(char *, strndup, ALLOC, ENOMEM, NULL, (const char *s, size_t n), (s, n))
WRAP(FILE *, open_memstream, ALLOC, ENOMEM, NULL, (char **text, size_t *size), (text, size))
WRAP(char *, realpath, ALLOC, ENOMEM, NULL, (const char *path, char *out), (path, out))
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
WRAP(void *, mmap, READ, ENOMEM, MAP_FAILED, (void *a, size_t n, int p, int f, int d, off_t o), (a, n, p, f, d, o))
WRAP(FILE *, fopen, OPEN, EMFILE, NULL, (const char *p, const char *m), (p, m))
WRAP(FILE *, fdopen, OPEN, EMFILE, NULL, (int f, const char *m), (f, m))
WRAP(DIR *, opendir, OPEN, EMFILE, NULL, (const char *p), (p))
WRAP(DIR *, fdopendir, OPEN, ENOMEM, NULL, (int f), (f))
WRAP(int, mkdir, OPEN, ENOSPC, -1, (const char *p, mode_t m), (p, m))
WRAP(int, pthread_create, THREAD, 0, EAGAIN, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *c),
     (t, a, f, c))

/* As the library does, the stream remembers it; who reads or writes a file looks at that when it is through. */
enum { ERROR_SEEN = 0x20 }; /* glibc's _IO_ERR_SEEN */

size_t __real_fread(void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fread(void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fread(void *p, size_t n, size_t c, FILE *f) {
    if (!fails(READ, EIO)) return __real_fread(p, n, c, f);
    f->_flags |= ERROR_SEEN;
    return 0;
}

ssize_t __real_getline(char **line, size_t *room, FILE *f);
ssize_t __wrap_getline(char **line, size_t *room, FILE *f);
ssize_t __wrap_getline(char **line, size_t *room, FILE *f) {
    if (!fails(READ, EIO)) return __real_getline(line, room, f);
    f->_flags |= ERROR_SEEN;
    return -1;
}

char *__real_fgets(char *line, int room, FILE *f);
char *__wrap_fgets(char *line, int room, FILE *f);
char *__wrap_fgets(char *line, int room, FILE *f) {
    if (!fails(READ, EIO)) return __real_fgets(line, room, f);
    f->_flags |= ERROR_SEEN;
    return NULL;
}

size_t __real_fwrite(const void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fwrite(const void *p, size_t n, size_t c, FILE *f);
size_t __wrap_fwrite(const void *p, size_t n, size_t c, FILE *f) {
    if (!fails(WRITE, ENOSPC)) return __real_fwrite(p, n, c, f);
    f->_flags |= ERROR_SEEN;
    return 0;
}

/* A stream closes whatever comes of it; what it still held is lost. */
int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f) {
    bool failed = fails(WRITE, ENOSPC);
    if (failed) __fpurge(f);
    int closed = __real_fclose(f);
    if (!failed) return closed;
    errno = ENOSPC;
    return EOF;
}

/* jansson opens the file itself. */
json_t *__real_json_load_file(const char *path, size_t flags, json_error_t *wrong);
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *wrong);
json_t *__wrap_json_load_file(const char *path, size_t flags, json_error_t *wrong) {
    if (!fails(OPEN, EMFILE)) return __real_json_load_file(path, flags, wrong);
    if (!wrong) return NULL;
    *wrong = (json_error_t){.line = -1};
    snprintf(wrong->text, sizeof wrong->text, "unable to open %.100s: %s", path, strerror(EMFILE));
    wrong->text[JSON_ERROR_TEXT_LENGTH - 1] = json_error_cannot_open_file;
    return NULL;
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

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...) {
    return fails(OPEN, EMFILE) ? -1 : __real_openat(folder, path, flags); /* mews makes no file by it */
}

int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...) {
    va_list more;
    if (fails(ALLOC, ENOMEM)) return -1;
    va_start(more, format);
    int length = vasprintf(out, format, more);
    va_end(more);
    return length;
}
