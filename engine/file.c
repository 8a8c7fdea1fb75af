/*
 * Files that are never half-written. A writer works on a temporary file beside the final one (same folder, so that
 * rename is atomic) and nobody sees it before file_commit has flushed it to the disk; a crash at any moment leaves the
 * old file or the new one. The folder is synced too: without that a power cut may forget the rename.
 *
 * SHA-256 (FIPS 180-4) stands here because checksums and run ids are all we need of a cryptographic library.
 */
#include "engine/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* base NULL: of any file. */
static void remove_leftovers(const char *folder, const char *base) {
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *mark = strstr(e->d_name, ".tmp-");
        size_t digits = mark ? strspn(mark + 5, "0123456789") : 0, length = (size_t)(mark ? mark - e->d_name : 0);
        bool meant = !base || (strlen(base) == length && strncmp(base, e->d_name, length) == 0);
        if (meant && digits && !mark[5 + digits]) unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

void file_remove_leftovers(const char *folder) { remove_leftovers(folder, NULL); }

void file_remove_leftovers_of(const char *path) {
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) *slash = '\0';
    if (folder) remove_leftovers(slash == folder && slash ? "/" : slash ? folder : ".", slash ? slash + 1 : path);
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

char *file_read(const char *path, size_t *size, error *err) {
    size_t expected = 0, got = 0;
    int file = open_regular(path, &expected, err);
    if (file < 0) return NULL;
    char *data = malloc(expected + 1);
    if (!data) {
        error_memory(err, expected + 1, path);
        goto done;
    }
    while (got < expected) {
        ssize_t n = read(file, data + got, expected - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            error_set(err, ERROR_RUN, "cannot read %s: %s", path, n < 0 ? strerror(errno) : "it shrank while read");
            free(data);
            data = NULL;
            goto done;
        }
        got += (size_t)n;
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

/* ---- SHA-256 ---- */

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* FIPS 180-4, 6.2.2: one block of 64 bytes. */
static void sha256_block(uint32_t state[8], const uint8_t *bytes) {
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)bytes[4 * t] << 24 | (uint32_t)bytes[4 * t + 1] << 16 | (uint32_t)bytes[4 * t + 2] << 8 |
               bytes[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = w[t - 16] + (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) + w[t - 7] +
               (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t1 = s[7] + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + sha256_k[t] + w[t];
        uint32_t t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

void file_sha256(const void *data, size_t size, char out[65]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint8_t *bytes = data;
    size_t whole = size / 64 * 64, rest = size - whole;
    for (size_t i = 0; i < whole; i += 64) sha256_block(state, bytes + i);

    uint8_t tail[128] = {0}; /* the rest, a 1 bit, zeros, and the length in bits as 64 big-endian bits */
    if (rest) memcpy(tail, bytes + whole, rest);
    tail[rest] = 0x80;
    size_t padded = rest < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[padded - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < padded; i += 64) sha256_block(state, tail + i);
    for (int i = 0; i < 8; i++) snprintf(out + 8 * i, 9, "%08x", state[i]);
}
