/*
 * Taking is a hard link from a file that is already whole to the lease's name: link fails where the name exists, on
 * network disks, too. A dead holder's file is first renamed to a name of our own and read again there: if it is another
 * one than was judged, somebody was faster, and it is put back. Whoever lost its lease in between sees so before it
 * writes the next time. Ages are told by the file system's own clock where we write ourselves, since clocks of machines
 * differ.
 */
#include "engine/files/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4200, STAMP = 20 /* 2026-01-31T12:00:00Z */ };

struct lease {
    char path[PATH_SIZE];
    int file;
    off_t beat_at; /* where in the file the heartbeat stands */
    pthread_t heart;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool beating, stop;
};

/* ---- Who ---- */

static void stamp_now(char out[STAMP + 1]) {
    time_t now = time(NULL);
    struct tm utc;
    strftime(out, STAMP + 1, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
}

/* False when it cannot be told what the file says, which is another thing than that there is none. */
static bool read_line(const char *path, char *out, size_t size) {
    FILE *file = fopen(path, "re");
    bool told = file || errno == ENOENT;
    if (!file || !fgets(out, (int)size, file)) *out = '\0';
    told = told && !(file && ferror(file) && errno != ESRCH); /* it ended while we read */
    out[strcspn(out, "\n")] = '\0';
    if (file) fclose(file);
    return told;
}

/* When a process of this machine began, in ticks since boot; 0 when there is none, −1 when that cannot be told. */
static json_int_t started_at(json_int_t pid) {
    char path[64], line[1024];
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (!read_line(path, line, sizeof line)) return -1;
    const char *after = strrchr(line, ')'); /* the name before it may hold anything */
    if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                         &ticks) != 1)
        return 0;
    return after[2] == 'Z' || after[2] == 'X' ? 0 : (json_int_t)ticks; /* a zombie works on nothing */
}

/* The machine as far as process ids mean the same: its name, this boot of it, this namespace of ids. */
static void machine(char host[256], char boot[64], char space[64]) {
    if (gethostname(host, 256) != 0) strcpy(host, "unknown");
    host[255] = '\0';
    read_line("/proc/sys/kernel/random/boot_id", boot, 64);
    ssize_t n = readlink("/proc/self/ns/pid", space, 63);
    space[n > 0 ? n : 0] = '\0';
}

static const char *batch_job(void) {
    static const char *const names[] = {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i])) return getenv(names[i]);
    return NULL;
}

/* The file's text, which free()s; *beat_at is where its heartbeat stands. */
static char *describe(json_t *note, off_t *beat_at) {
    char host[256], boot[64], space[64], now[STAMP + 1], token[33];
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random) memset(random, getpid() & 255, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) snprintf(token + 2 * i, 3, "%02x", random[i]);
    machine(host, boot, space);
    stamp_now(now);
    json_t *who = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s*, s:s, s:o*}", "heartbeat", now, "token", token,
                            "host", host, "boot", boot, "namespace", space, "pid", (json_int_t)getpid(), "started",
                            started_at(getpid()), "job", batch_job(), "since", now, "note", note);
    char *text = who ? json_dumps(who, JSON_COMPACT) : NULL, *beat = text ? strstr(text, now) : NULL;
    json_decref(who);
    *beat_at = beat ? beat - text : 0;
    return text;
}

/* ---- Alive ---- */

/* `age`: seconds since the last heartbeat. */
static bool is_alive(const json_t *who, double age) {
    char host[256], boot[64], space[64];
    const char *their_host = json_string_value(json_object_get(who, "host"));
    const char *their_boot = json_string_value(json_object_get(who, "boot"));
    const char *their_space = json_string_value(json_object_get(who, "namespace"));
    json_int_t pid = json_integer_value(json_object_get(who, "pid")), began;
    if (!their_host || !their_boot || !their_space || pid <= 0) return age < LEASE_BEAT_SECONDS; /* being written */
    machine(host, boot, space);
    bool here = strcmp(host, their_host) == 0 && strcmp(boot, their_boot) == 0 && *boot &&
                strcmp(space, their_space) == 0 && *space;
    if (!here) return age < LEASE_STALE_SECONDS;
    began = started_at(pid);
    json_int_t theirs = json_integer_value(json_object_get(who, "started"));
    if (began > 0 && theirs <= 0) return age < LEASE_STALE_SECONDS; /* it could not tell, when it took the lease */
    return began < 0 || (began && began == theirs);
}

/* The lease's file and its age by `now`; NULL when there is none. *there tells whether there is a file at all. Where it
 * cannot be opened for want of descriptors or memory, it is somebody's. */
static json_t *read_lease(const char *path, double now, double *age, bool *there) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *age = 0;
    if (file < 0 && error_may_pass(errno)) {
        *there = true;
        return json_object();
    }
    *there = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    json_t *who = *there ? json_loadfd(file, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (*there) *age = now - ((double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec / 1e9);
    if (file >= 0) close(file);
    if (*there && !json_is_object(who)) {
        json_decref(who);
        who = json_object();
    }
    return who;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool lease_is_held(const char *path) {
    double age;
    bool there;
    json_t *who = read_lease(path, seconds_now(), &age, &there);
    bool held = there && is_alive(who, age);
    json_decref(who);
    return held;
}

json_t *lease_note(const char *path) {
    double age;
    bool there;
    json_t *who = read_lease(path, seconds_now(), &age, &there), *note = NULL;
    if (there && is_alive(who, age)) note = json_incref(json_object_get(who, "note"));
    json_decref(who);
    return note;
}

const char *lease_status(const char *run_folder, const char *recorded) {
    char path[PATH_SIZE];
    if (!recorded || strcmp(recorded, "running") != 0) return recorded;
    snprintf(path, sizeof path, "%.4000s/%s", run_folder, LEASE_FILE);
    return lease_is_held(path) ? recorded : "interrupted";
}

/* ---- Beating ---- */

static void beat(lease *l) {
    char now[STAMP + 1];
    stamp_now(now);
    if (pwrite(l->file, now, STAMP, l->beat_at) != STAMP) futimens(l->file, NULL); /* a full disk still has clocks */
}

static void *heart(void *context) {
    lease *l = context;
    struct timespec until;
    pthread_mutex_lock(&l->mutex);
    while (!l->stop) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LEASE_BEAT_SECONDS;
        while (!l->stop && pthread_cond_timedwait(&l->wake, &l->mutex, &until) != ETIMEDOUT) continue;
        if (!l->stop) beat(l);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static void start_heart(lease *l) {
    pthread_condattr_t clock;
    sigset_t all, before;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->wake, &clock);
    pthread_condattr_destroy(&clock);
    sigfillset(&all); /* signals are for the threads that work */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    l->beating = pthread_create(&l->heart, NULL, heart, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_heart(lease *l) {
    if (l->beating) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->heart, NULL);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
}

/* ---- Taking ---- */

/* A whole file of ours under a name that nobody else uses. */
static bool make_candidate(lease *l, const char *text, char name[PATH_SIZE + 32], double *now) {
    struct stat status;
    unsigned random = 0;
    size_t length = strlen(text);
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (unsigned)getpid();
    snprintf(name, PATH_SIZE + 32, "%s.tmp-%u", l->path, random);
    l->file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (l->file < 0) return false;
    if (write(l->file, text, length) == (ssize_t)length && fstat(l->file, &status) == 0) {
        *now = (double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec / 1e9;
        return true;
    }
    int reason = errno ? errno : ENOSPC;
    close(l->file);
    unlink(name);
    l->file = -1;
    errno = reason;
    return false;
}

/* Gives the candidate the lease's name. 1: done; 0: somebody has that name; −1: errno says why not. */
static int give_name(const lease *l, const char *candidate) {
    struct stat status;
    if (link(candidate, l->path) == 0) return 1;
    int reason = errno;
    if (reason == EEXIST) /* a network disk may have done it and lost the answer */
        return fstat(l->file, &status) == 0 && status.st_nlink == 2;
    if (reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS || reason == EMLINK) /* a disk without links */
        return renameat2(AT_FDCWD, candidate, AT_FDCWD, l->path, RENAME_NOREPLACE) == 0 ? 1 : errno == EEXIST ? 0 : -1;
    errno = reason;
    return -1;
}

static bool same_holder(const json_t *a, const json_t *b) {
    const json_t *x = json_object_get(a, "token"), *y = json_object_get(b, "token");
    return x && y ? json_equal(x, y) : x == y; /* what is no lease has none */
}

/* Takes a dead holder's file out of the way; false when it was somebody else's after all. */
static bool rename_away(const char *path, const char *candidate, const json_t *dead) {
    char aside[PATH_SIZE + 64];
    double age;
    bool there;
    snprintf(aside, sizeof aside, "%s0", candidate); /* ….tmp-<digits>, as leftovers are called */
    if (rename(path, aside) != 0) return errno == ENOENT;
    json_t *now = read_lease(aside, 0, &age, &there);
    bool right = same_holder(now, dead);
    json_decref(now);
    if (!right && link(aside, path) != 0) renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE);
    unlink(aside);
    return right;
}

/* The same with only one process at it. False: not now. */
static bool clear_away(const char *path, const char *candidate, const json_t *dead, double now) {
    char guard[PATH_SIZE + 8];
    double age = 0;
    bool there, done = false;
    snprintf(guard, sizeof guard, "%s-guard", path);
    bool guarded = link(candidate, guard) == 0;
    if (!guarded && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) { /* a disk without links: unguarded */
        json_t *who = errno == EEXIST ? read_lease(guard, now, &age, &there) : NULL;
        if (who && !is_alive(who, age)) rename_away(guard, candidate, who); /* it died in these few lines */
        json_decref(who);
        return false;
    }
    json_t *who = read_lease(path, now, &age, &there);
    if (!there || same_holder(who, dead)) done = !there || rename_away(path, candidate, who);
    json_decref(who);
    if (guarded) unlink(guard);
    return done;
}

static bool refuse_held(const char *path, const json_t *who, error *err) {
    const char *host = json_string_value(json_object_get(who, "host"));
    const char *job = json_string_value(json_object_get(who, "job"));
    const char *slash = strrchr(path, '/');
    return error_set(err, ERROR_RUN, "%.*s " LEASE_HELD " (process %lld on %s%s%s)", slash ? (int)(slash - path) : 1,
                     slash ? path : ".", (long long)json_integer_value(json_object_get(who, "pid")),
                     host ? host : "some machine", job ? ", job " : "", job ? job : "");
}

/* Until the lease is ours or another living process's. */
static bool contend(lease *l, const char *candidate, double now, bool *held, error *err) {
    for (int attempt = 0; attempt < 2000; attempt++) {
        double age = 0;
        bool there;
        int got = give_name(l, candidate);
        if (got == 1) return true;
        if (got < 0) return error_set(err, ERROR_RUN, "cannot write %s: %s", l->path, strerror(errno));
        json_t *who = read_lease(l->path, now, &age, &there);
        if (there && is_alive(who, age)) {
            *held = true;
            refuse_held(l->path, who, err);
            json_decref(who);
            return false;
        }
        if (there && !clear_away(l->path, candidate, who, now)) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        json_decref(who);
    }
    *held = true;
    return error_set(err, ERROR_RUN, "%s changes hands all the time", l->path);
}

/* One attempt; *again: the candidate was swept away with somebody's leftovers. */
static bool take(lease *l, const char *text, bool *held, bool *again, error *err) {
    char candidate[PATH_SIZE + 32];
    double now;
    error why = {0};
    *again = false;
    if (!make_candidate(l, text, candidate, &now))
        return error_set(err, ERROR_RUN, "cannot write %s: %s", l->path, strerror(errno));
    bool taken = contend(l, candidate, now, held, &why);
    *again = !taken && !*held && access(candidate, F_OK) != 0;
    unlink(candidate);
    if (!taken) close(l->file);
    return taken || (!*again && error_set(err, why.code, "%s", why.text));
}

lease *lease_take(const char *path, json_t *note, bool *held, error *err) {
    lease *l = calloc(1, sizeof *l);
    off_t beat_at;
    char *text = describe(note, &beat_at);
    bool taken = false, again = l && text;
    *held = false;
    if (!again) error_memory(err, sizeof *l, "a lease");
    if (l) l->beat_at = beat_at, snprintf(l->path, sizeof l->path, "%.4100s", path);
    for (int attempt = 0; again && attempt < 100; attempt++) taken = take(l, text, held, &again, err);
    if (again && l && text) error_set(err, ERROR_RUN, "cannot write %s: it is removed all the time", path);
    free(text);
    if (taken) {
        start_heart(l);
        return l;
    }
    free(l);
    return NULL;
}

lease *lease_await(const char *path, error *err) {
    for (;;) {
        bool held;
        error why = {0};
        while (lease_is_held(path)) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* only reads */
        lease *l = lease_take(path, NULL, &held, &why);
        if (l) return l;
        if (!held) return error_set(err, why.code, "%s", why.text), NULL;
    }
}

bool lease_is_ours(const lease *l) {
    struct stat ours, there;
    return fstat(l->file, &ours) == 0 && stat(l->path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

void lease_release(lease *l) {
    if (!l) return;
    stop_heart(l);
    if (lease_is_ours(l)) unlink(l->path);
    close(l->file);
    free(l);
}
