/*
 * Files that are never half-written. A writer works on a temporary file beside the final one (same folder, so that
 * rename is atomic) and nobody sees it before file_commit has flushed it to the disk; a crash at any moment leaves the
 * old file or the new one. The folder is synced too: without that a power cut may forget the rename.
 */
#include "engine/files/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Writing ---- */

bool file_begin(file_writer *w, const char *path, error *err) {
    *w = (file_writer){.path = strdup(path)};
    if (!w->path || asprintf(&w->temporary, "%s.tmp-%ld", path, (long)gettid()) < 0) {
        w->temporary = NULL;
        error_memory(err, strlen(path), "a file's name");
        file_abandon(w);
        return false;
    }
    int file = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file >= 0 && (w->stream = fdopen(file, "wb"))) return true;
    error_set(err, ERROR_RUN, "cannot write %s: %s", path, strerror(errno));
    if (file >= 0) close(file);
    file_abandon(w);
    return false;
}

/* base NULL: of any file. dead_only: only of writers that no longer live on this machine. */
static void remove_leftovers(const char *folder, const char *base, bool dead_only) {
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *mark = strstr(e->d_name, ".tmp-");
        size_t digits = mark ? strspn(mark + 5, "0123456789") : 0, length = (size_t)(mark ? mark - e->d_name : 0);
        bool meant = !base || (strlen(base) == length && strncmp(base, e->d_name, length) == 0);
        if (!meant || !digits || mark[5 + digits]) continue;
        pid_t writer = (pid_t)strtol(mark + 5, NULL, 10);
        if (!dead_only || (kill(writer, 0) != 0 && errno == ESRCH)) unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

void file_remove_leftovers(const char *folder) { remove_leftovers(folder, NULL, false); }

void file_remove_dead_leftovers(const char *folder) { remove_leftovers(folder, NULL, true); }

void file_remove_leftovers_of(const char *path, bool dead_only) {
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) *slash = '\0';
    const char *where = slash && slash == folder ? "/" : slash ? folder : ".";
    if (folder) remove_leftovers(where, slash ? slash + 1 : path, dead_only);
    free(folder);
}

static bool sync_folder_of(const char *path) {
    char *folder = strdup(path);
    if (!folder) return false;
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    int file = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (file < 0) return false;
    bool done = fsync(file) == 0 || errno == EINVAL || errno == EROFS; /* some file systems cannot sync a folder */
    close(file);
    return done;
}

bool file_commit(file_writer *w, error *err) {
    bool written = !ferror(w->stream); /* if not, errno still tells why the last write failed */
    if (written) errno = 0;
    int reason = errno;
    if (written && (fflush(w->stream) != 0 || fsync(fileno(w->stream)) != 0)) written = false, reason = errno;
    if (fclose(w->stream) != 0 && written) written = false, reason = errno;
    w->stream = NULL;
    if (written && (rename(w->temporary, w->path) != 0 || !sync_folder_of(w->path))) written = false, reason = errno;
    if (!written) error_set(err, ERROR_RUN, "cannot write %s: %s", w->path, reason ? strerror(reason) : "write failed");
    if (written) {
        free(w->temporary);
        w->temporary = NULL;
    }
    file_abandon(w);
    return written;
}

void file_abandon(file_writer *w) {
    if (w->stream) fclose(w->stream);
    if (w->temporary) unlink(w->temporary);
    free(w->temporary);
    free(w->path);
    *w = (file_writer){0};
}

bool file_write(const char *path, const void *data, size_t size, error *err) {
    file_writer w;
    if (!file_begin(&w, path, err)) return false;
    fwrite(data, 1, size, w.stream); /* a short write sets the stream's error, which file_commit reports */
    return file_commit(&w, err);
}

/* ---- Reading ---- */

/* Opens a regular file and tells its size; −1 with a message otherwise. */
static int open_regular(const char *path, size_t *size, error *err) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would keep us waiting for its writer */
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        error_set(err, ERROR_RUN, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        error_set(err, ERROR_RUN, "cannot read %s: not a file", path);
    } else {
        *size = (size_t)status.st_size;
        return file;
    }
    if (file >= 0) close(file);
    return -1;
}

bool file_put(int file, const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        ssize_t n = write(file, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n, size -= (size_t)n;
    }
    return true;
}

size_t file_take(int file, void *out, size_t size) {
    size_t got = 0;
    errno = 0;
    while (got < size) {
        ssize_t n = read(file, (char *)out + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

char *file_read(const char *path, size_t *size, error *err) {
    size_t expected = 0, got = 0;
    int file = open_regular(path, &expected, err);
    if (file < 0) return NULL;
    char *data = malloc(expected + 1);
    if (!data) {
        error_memory(err, expected + 1, path);
        goto done;
    }
    got = file_take(file, data, expected);
    if (got < expected) {
        error_set(err, ERROR_RUN, "cannot read %s: %s", path, errno ? strerror(errno) : "it shrank while read");
        free(data);
        data = NULL;
        goto done;
    }
    data[got] = '\0';
    if (size) *size = got;
done:
    close(file);
    return data;
}

bool file_map_open(file_map *m, const char *path, error *err) {
    *m = (file_map){0};
    size_t size = 0;
    int file = open_regular(path, &size, err);
    if (file < 0) return false;
    if (size > 0) { /* mmap refuses zero bytes; an empty file is an empty map */
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
        if (data == MAP_FAILED)
            error_set(err, ERROR_RUN, "cannot map %s: %s", path, strerror(errno));
        else
            *m = (file_map){.data = data, .size = size};
    }
    close(file);
    return size == 0 || m->data;
}

void file_map_close(file_map *m) {
    if (m->data) munmap((void *)m->data, m->size);
    *m = (file_map){0};
}

bool file_make_folders(const char *path, error *err) {
    char *partial = strdup(path);
    if (!partial) return error_memory(err, strlen(path), "a folder's name");
    bool made = true;
    for (char *p = partial + 1; made; p++) {
        if (*p != '/' && *p != '\0') continue;
        char kept = *p;
        *p = '\0';
        struct stat status;
        if (mkdir(partial, 0777) != 0 && !(errno == EEXIST && stat(partial, &status) == 0 && S_ISDIR(status.st_mode)))
            made = error_set(err, ERROR_RUN, "cannot make folder %s: %s", partial,
                             errno == EEXIST ? "a file of that name is in the way" : strerror(errno));
        *p = kept;
        if (kept == '\0') break;
    }
    free(partial);
    return made;
}
