/*
 * Counts and quotas. A cgroup's quota binds all groups below it, so that each from the process's own up to the root is
 * read; inside a container the upper ones cannot be seen, and those that do not exist there are passed over.
 */
#include "engine/threads.h"
#include "engine/room.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- cgroups ---- */

/* The first number of a file of one line, and the second where it has one; how many were read. */
static int read_numbers(const char *path, double *first, double *second) {
    FILE *file = fopen(path, "re");
    int count = file ? fscanf(file, "%lf %lf", first, second) : 0;
    if (file) fclose(file);
    return count > 0 ? count : 0; /* "max" is no number */
}

/* Version 2: cpu.max holds "quota period", in microseconds; version 1 has a file for each. */
static double quota_of(const char *folder, bool version2) {
    char path[4500];
    double quota = 0, period = 0, none;
    if (version2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        return read_numbers(path, &quota, &period) == 2 && quota > 0 && period > 0 ? quota / period : 0;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (read_numbers(path, &quota, &none) != 1) return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return read_numbers(path, &period, &none) == 1 && quota > 0 && period > 0 ? quota / period : 0;
}

static double least(double a, double b) { return a > 0 && (b <= 0 || a < b) ? a : b; }

/* Of the group at `path` below `mount`, and of all above it. */
static double quota_upwards(const char *mount, char *path, bool version2) {
    char folder[4400];
    double found = 0;
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, path);
        found = least(found, quota_of(folder, version2));
        char *end = strrchr(path, '/');
        if (!end) return found;
        *end = '\0';
    }
}

/* Whether a list "cpuset,cpu,cpuacct" names cpu. */
static bool names_cpu(const char *list) {
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == 3 && strncmp(list, "cpu", 3) == 0) return true;
    }
    return false;
}

double threads_quota(const char *root) {
    char line[4200], mount[4300], *name, *path;
    double found = 0;
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *groups = fopen(line, "re");
    while (groups && fgets(line, sizeof line, groups)) { /* "0::/path", or "4:cpu,cpuacct:/path" */
        line[strcspn(line, "\n")] = '\0';
        if (!(name = strchr(line, ':')) || !(path = strchr(name + 1, ':'))) continue;
        *path++ = '\0', name++;
        if (*name && !names_cpu(name)) continue;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%.60s", root, *name ? "/" : "", name);
        found = least(found, quota_upwards(mount, path, !*name));
        if (!*name) continue;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root); /* another usual place of version 1's */
        found = least(found, quota_upwards(mount, strcpy(line, "/"), false));
    }
    if (groups) fclose(groups);
    return found;
}

/* ---- Counts ---- */

/* The first number of OMP_NUM_THREADS' list, a number of OMP_THREAD_LIMIT; 0: not set, or nonsense that OpenMP told of.
 */
static int from_environment(const char *name) {
    const char *text = getenv(name);
    long value = text ? strtol(text, NULL, 10) : 0;
    return value > 0 && value <= 1 << 20 ? (int)value : 0;
}

threads_limits threads_look(void) {
    return (threads_limits){
        .online = (int)sysconf(_SC_NPROCESSORS_ONLN),
        .processors = omp_get_num_procs(),
        .quota = threads_quota(""),
        .wanted = from_environment("OMP_NUM_THREADS"),
        .limit = from_environment("OMP_THREAD_LIMIT"),
    };
}

int threads_processors(const threads_limits *limits) {
    int allowed = limits->quota > 0 && limits->quota < limits->processors ? (int)ceil(limits->quota) : 0;
    return allowed ? allowed : limits->processors;
}

int threads_default(void) {
    threads_limits limits = threads_look();
    int count = limits.wanted ? limits.wanted : threads_processors(&limits);
    return limits.limit && limits.limit < count ? limits.limit : count;
}

/* LLVM's libomp, which clang builds with, has a word of its own on threads that it does not give. GCC's has no such
 * call. */
void kmp_set_warnings_off(void) __attribute__((weak));

int threads_use(int count, error *err) {
    int wanted = count > 0 ? count : threads_default(), given = 1;
    if (kmp_set_warnings_off) kmp_set_warnings_off();
    omp_set_dynamic(0);
    omp_set_max_active_levels(1);
    omp_set_num_threads(wanted);
#pragma omp parallel
#pragma omp single
    given = omp_get_num_threads();
    omp_set_num_threads(given);
    int more = given - openblas_get_num_threads();
    if (!room_for_blas(more, err)) return 0;
    openblas_set_num_threads(given);
    if (more > 0 && !room_take_blas(given, err)) return 0;
    if (given == wanted) return given;
    error_set(err, ERROR_USAGE, "%d threads were asked for, and OpenMP gives %d%s%s", wanted, given,
              getenv("OMP_THREAD_LIMIT") ? ": OMP_THREAD_LIMIT is " : "",
              getenv("OMP_THREAD_LIMIT") ? getenv("OMP_THREAD_LIMIT") : "");
    return 0;
}

int threads_in_use(void) { return omp_get_max_threads(); }
