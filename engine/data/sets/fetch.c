/*
 * A file grows as FILE.part and takes its name only when it has its checksum. A server may cut the connection, stall,
 * be busy or not know ranges: all of that is met by asking again, from where the part ends or, if the server cannot do
 * that, from the start. As long as each attempt brings something, there is no limit to their number.
 */
#include "engine/data/sets/fetch.h"

#include "engine/files/checksum.h"
#include "engine/files/file.h"
#include "engine/files/lease.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REDIRECTS = 10, CONNECT_SECONDS = 30, INTERRUPTED = 130 };

const fetch_options fetch_defaults = {.attempts = 5, .stall = 30, .pause = 1};

/* One file on its way. */
typedef struct transfer {
    const fetch_options *options;
    const char *name;
    FILE *part;
    uint64_t had;  /* bytes of the part when the attempt began */
    uint64_t got;  /* bytes since */
    uint64_t most; /* that the part may have */
    bool too_large;
    int write_error;
    CURL *curl;
} transfer;

static size_t on_bytes(char *data, size_t one, size_t size, void *context) {
    transfer *t = context;
    t->too_large = t->had + t->got + size > t->most;
    if (t->too_large) return 0; /* a server that does not end would fill the disk */
    size_t written = fwrite(data, one, size, t->part);
    if (written != size) t->write_error = errno;
    t->got += written;
    return written;
}

static int on_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up, curl_off_t sent) {
    (void)up, (void)sent;
    transfer *t = context;
    const fetch_options *o = t->options;
    if (o->progress && total > 0) o->progress(o->context, t->name, t->had + (uint64_t)done, t->had + (uint64_t)total);
    return o->interrupted && *o->interrupted;
}

static void warn(const fetch_options *o, const char *line) {
    if (o->warn) o->warn(o->context, line);
}

/* One request for what the part still lacks. */
static CURLcode attempt(transfer *t, const char *url, long *status) {
    CURL *c = t->curl;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "mews");
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, t->options->stall);
    curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->had);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    CURLcode code = curl_easy_perform(c);
    *status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
    return code;
}

/* Would asking again be of any use? */
static bool may_pass(CURLcode code, long status) {
    switch (code) {
    case CURLE_HTTP_RETURNED_ERROR: return status >= 500 || status == 408 || status == 429;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_OUT_OF_MEMORY: return false;
    default: return true;
    }
}

static void rest(const transfer *t, int failures) {
    double seconds = t->options->pause;
    for (int i = 1; i < failures; i++) seconds *= 2;
    for (double slept = 0; slept < seconds; slept += 0.1) {
        if (t->options->interrupted && *t->options->interrupted) return;
        double piece = seconds - slept < 0.1 ? seconds - slept : 0.1;
        nanosleep(&(struct timespec){.tv_nsec = (long)(piece * 1e9)}, NULL);
    }
}

static bool give_up(const transfer *t, CURLcode code, long status, const char *url, const char *path, error *err) {
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return error_set(err, INTERRUPTED, "interrupted; the same command goes on where it stopped");
    if (t->write_error) return error_set(err, ERROR_RUN, "cannot write %s.part: %s", path, strerror(t->write_error));
    if (t->too_large)
        return error_set(
            err, ERROR_RUN,
            "%.400s sends more than %llu bytes, twice what the file has; nothing of it is kept. --mirror URL "
            "takes another address, or bring the file yourself as %.400s",
            url, (unsigned long long)t->most, path);
    char why[64];
    snprintf(why, sizeof why, "the server says %ld", status);
    return error_set(err, ERROR_RUN,
                     "cannot fetch %.400s: %s; the same command tries again and goes on where it stopped, --mirror URL "
                     "takes another address, or bring the file yourself as %.400s",
                     url, code == CURLE_HTTP_RETURNED_ERROR ? why : curl_easy_strerror(code), path);
}

/* Attempts until the part is whole, as far as the server tells. */
static bool bring(transfer *t, const char *url, const char *path, error *err) {
    uint64_t most = 0; /* bytes that the part ever had: a server that begins anew each time brings nothing new */
    for (int failures = 0;;) {
        long status;
        fseek(t->part, 0, SEEK_END);
        t->had = (uint64_t)ftell(t->part);
        if (t->had > most) most = t->had;
        t->got = 0;
        CURLcode code = attempt(t, url, &status);
        if (fflush(t->part) != 0 && !t->write_error) t->write_error = errno, code = CURLE_WRITE_ERROR;
        if (code == CURLE_OK) return true;
        bool more = (uint64_t)ftell(t->part) > most;
        /* What is beyond the file's end (416) is no beginning of it; it was no whole file either (fetch_one). */
        bool beyond = code == CURLE_HTTP_RETURNED_ERROR && status == 416 && t->had > 0;
        if ((code == CURLE_RANGE_ERROR || beyond || t->too_large) && ftruncate(fileno(t->part), 0) != 0)
            t->write_error = errno;
        failures = more ? 1 : failures + 1;
        if ((!may_pass(code, status) && !beyond) || t->write_error || failures >= t->options->attempts)
            return give_up(t, code, status, url, path, err);
        rest(t, failures);
        if (t->options->interrupted && *t->options->interrupted)
            return give_up(t, CURLE_ABORTED_BY_CALLBACK, 0, url, path, err);
    }
}

/* ---- Checksums ---- */

static bool sum_of(const char *path, char out[33], error *err) {
    file_map map;
    if (!file_map_open(&map, path, err)) return false;
    checksum_md5(map.data, map.size, out);
    file_map_close(&map);
    return true;
}

/* Moves what is not the file it should be out of the way, as FILE.wrong-checksum. */
static bool put_aside(const char *at, const char *path, char aside[PATH_MAX], error *err) {
    snprintf(aside, PATH_MAX, "%.*s.wrong-checksum", PATH_MAX - 32, path);
    return rename(at, aside) == 0 || error_set(err, ERROR_RUN, "cannot rename %s: %s", at, strerror(errno));
}

static bool accept_part(const char *part, const catalog_file *file, const char *url, const char *path, error *err) {
    char sum[33], aside[PATH_MAX];
    if (!sum_of(part, sum, err)) return false;
    if (strcmp(sum, file->md5) == 0)
        return rename(part, path) == 0 || error_set(err, ERROR_RUN, "cannot rename %s: %s", part, strerror(errno));
    if (!put_aside(part, path, aside, err)) return false;
    return error_set(
        err, ERROR_RUN,
        "%.300s brought a file with MD5 %s instead of %s; it is kept as %.400s and not used. Try again, or "
        "another address by --mirror URL",
        url, sum, file->md5, aside);
}

/* ---- A set of files ---- */

/* Is the file there? One that is not what it should be is put aside. */
static bool is_there(const fetch_options *o, const catalog_file *file, const char *path, bool *there, error *err) {
    char sum[33], aside[PATH_MAX], line[1024];
    *there = false;
    if (access(path, F_OK) != 0) return true;
    if (!sum_of(path, sum, err)) return false;
    if ((*there = strcmp(sum, file->md5) == 0)) return true;
    if (!put_aside(path, path, aside, err)) return false;
    snprintf(line, sizeof line, "%.400s has MD5 %s instead of %s; it is kept as %.400s and fetched anew", path, sum,
             file->md5, aside);
    warn(o, line);
    return true;
}

/* A part may have everything: whoever fetched it was killed before it took its name. Servers answer a wish for more
   than that in several ways, so none is asked. */
static bool is_whole_part(const char *part, const catalog_file *file, const char *path, bool *whole, error *err) {
    char sum[33];
    struct stat status;
    *whole = false;
    if (stat(part, &status) != 0 || (uint64_t)status.st_size != file->bytes) return true;
    if (!sum_of(part, sum, err)) return false;
    if (!(*whole = strcmp(sum, file->md5) == 0)) return true;
    return rename(part, path) == 0 || error_set(err, ERROR_RUN, "cannot rename %s: %s", part, strerror(errno));
}

static bool fetch_one(const fetch_options *o, const catalog_file *file, const char *folder, CURL *curl, error *err) {
    char path[PATH_MAX], part[PATH_MAX], url[2048];
    const char *base = o->mirror ? o->mirror : file->url;
    size_t n = strlen(base);
    snprintf(path, sizeof path, "%.*s/%s", PATH_MAX - 128, folder, file->name);
    snprintf(part, sizeof part, "%.*s.part", PATH_MAX - 16, path);
    snprintf(url, sizeof url, "%.1800s%s%s", base, n && base[n - 1] == '/' ? "" : "/", file->name);
    bool there;
    if (!is_there(o, file, path, &there, err)) return false;
    if (there) return true;
    if (!is_whole_part(part, file, path, &there, err)) return false;
    if (there) return true;
    transfer t = {.options = o, .name = file->name, .curl = curl, .part = fopen(part, "abe"), .most = 2 * file->bytes};
    if (!t.part) return error_set(err, ERROR_RUN, "cannot write %s: %s", part, strerror(errno));
    bool done = bring(&t, url, path, err);
    if (done && fsync(fileno(t.part)) != 0)
        done = error_set(err, ERROR_RUN, "cannot write %s: %s", part, strerror(errno));
    fclose(t.part);
    return done && accept_part(part, file, url, path, err);
}

bool fetch_files(const fetch_options *options, const catalog_entry *entry, const char *folder, error *err) {
    char path[PATH_MAX];
    if (!file_make_folders(folder, err)) return false;
    snprintf(path, sizeof path, "%.*s/.lease", PATH_MAX - 16, folder);
    lease *own = lease_await(path, err); /* one process at a time */
    if (own) file_remove_leftovers_of(path, false);
    CURL *curl = own ? curl_easy_init() : NULL;
    bool done = own != NULL;
    if (done && !curl) done = error_memory(err, 1 << 16, "a connection");
    for (const catalog_file *f = entry->files; done && f->name; f++) done = fetch_one(options, f, folder, curl, err);
    if (curl) curl_easy_cleanup(curl);
    lease_release(own);
    return done;
}
