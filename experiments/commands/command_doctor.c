/*
 * mews doctor: what this machine gives a run (instruction sets, kernels, threads, libraries), and what in the
 * environment takes some of it away. It says what is, changes nothing and ends with 0.
 */
#include "engine/isa.h"
#include "engine/libraries.h"
#include "engine/threads.h"
#include "experiments/commands/command.h"
#include "experiments/commands/start.h"
#include "experiments/commands/terminal.h"
#include "engine/version.h"
#include "experiments/sweep/watch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- What hurts ---- */

__attribute__((format(printf, 2, 3))) static void note(json_t *notes, const char *format, ...) {
    char line[768];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    json_t *text = json_string(line);
    json_array_append_new(notes, text ? text : json_string("a variable of the environment is not UTF-8"));
}

static void look_at_kernels(json_t *notes, const json_t *kernels, int level) {
    static const char *const forced[][2] = {
        {"MEWS_ISA", "mews"},
        {"OPENBLAS_CORETYPE", "OpenBLAS"},
        {"ONEDNN_MAX_CPU_ISA", "oneDNN"},
        {"DNNL_MAX_CPU_ISA", "oneDNN"},
    };
    bool blas_is_forced = false;
    for (size_t i = 0; i < sizeof forced / sizeof *forced; i++) {
        const char *value = getenv(forced[i][0]);
        if (!value || !*value) continue;
        blas_is_forced = blas_is_forced || i == 1;
        note(notes, "%s=%.80s: %s takes its kernels for %s rather than those for this processor", forced[i][0], value,
             forced[i][1], json_string_value(json_object_get(kernels, forced[i][1])));
    }
    /* Core types whose kernels use no AVX2: what OpenBLAS falls back to on a processor that it does not know. */
    static const char *const old[] = {"Prescott",  "Core2",       "Penryn",    "Dunnington", "Atom",
                                      "Nehalem",   "Sandybridge", "Opteron",   "Athlon",     "Opteron_SSE3",
                                      "Barcelona", "Bobcat",      "Bulldozer", "Piledriver", "Nano",
                                      "Katmai",    "Coppermine",  "Northwood", "Banias"};
    const char *core = json_string_value(json_object_get(kernels, "OpenBLAS"));
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (level >= 3 && !blas_is_forced && core && strcasecmp(core, old[i]) == 0)
            note(notes,
                 "OpenBLAS does not know this processor and takes its kernels for %s: a newer libopenblas, or "
                 "OPENBLAS_CORETYPE=%s, is faster",
                 core, level >= 4 ? "SkylakeX" : "Haswell");
}

static void look_at_threads(json_t *notes, const threads_limits *l, int threads) {
    const char *overruled = getenv(START_OVERRULED), *spin = getenv("OMP_WAIT_POLICY");
    int processors = threads_processors(l);
    if (l->processors < l->online)
        note(notes, "the affinity mask leaves %d of %d processors (taskset, a batch system or a container set it)",
             l->processors, l->online);
    if (l->quota > 0 && l->quota < threads)
        note(notes, "the cgroup's quota is the time of %.3g processors and %d threads share it: they will be paused",
             l->quota, threads);
    if (l->wanted > processors)
        note(notes, "OMP_NUM_THREADS=%d: more threads than the %d processors there are for them", l->wanted,
             processors);
    if (l->wanted && l->wanted < processors)
        note(notes, "OMP_NUM_THREADS=%d: %d of %d processors stay idle", l->wanted, processors - l->wanted, processors);
    if (l->limit && l->limit < processors) note(notes, "OMP_THREAD_LIMIT=%d: no command gets more threads", l->limit);
    if (overruled && *overruled) note(notes, "overruled, for threads are neither bound nor nested here: %s", overruled);
    if (spin && strcasecmp(spin, "active") == 0)
        note(notes, "OMP_WAIT_POLICY=active: threads that wait keep their cores from those that load data");
    if (getenv("OPENBLAS_NUM_THREADS") || getenv("GOTO_NUM_THREADS"))
        note(notes, "OPENBLAS_NUM_THREADS and GOTO_NUM_THREADS are not looked at; OMP_NUM_THREADS is");
}

static bool on_path(const char *name) {
    const char *path = getenv("PATH");
    char copy[8192], full[8448], *rest = copy;
    snprintf(copy, sizeof copy, "%s", path ? path : "/usr/bin:/bin");
    for (char *folder; (folder = strsep(&rest, ":"));) {
        snprintf(full, sizeof full, "%s/%s", *folder ? folder : ".", name);
        if (access(full, X_OK) == 0) return true;
    }
    return false;
}

/* ---- The command ---- */

static json_t *examine(const command_context *context, error *err) {
    (void)context;
    const isa *own = isa_choose(err);
    if (!own) return NULL;
    threads_limits limits = threads_look();
    int threads = threads_use(0, err), level = isa_processor_level();
    if (!threads) return NULL;
    json_t *kernels = libraries_kernels_json(), *notes = json_array();
    if (own->level < level && !getenv("MEWS_ISA"))
        note(notes, "this program was built for %s; the processor is an %s", isa_level_name(own->level),
             isa_level_name(level));
    look_at_kernels(notes, kernels, level);
    look_at_threads(notes, &limits, threads);
    if (!on_path("gnuplot")) note(notes, "gnuplot is not installed: reports come without figures");
    return json_pack("{s:s, s:i, s:s, s:o, s:i, s:i, s:i, s:o, s:o, s:o}", "version", MEWS_VERSION, "x86_64_level",
                     level < 4 ? level : 4, "bfloat16",
                     level >= ISA_TILES      ? "amx"
                     : level >= ISA_BFLOAT16 ? "avx512_bf16"
                                             : "none",
                     "kernels", kernels, "threads", threads, "processors", limits.processors, "processors_online",
                     limits.online, "processors_quota", limits.quota > 0 ? json_real(limits.quota) : json_null(),
                     "libraries", libraries_json(), "notes", notes);
}

static void print_pairs(const char *title, const json_t *pairs) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(void *)pairs, key, value) {
        printf("%-12s %-12s %s\n", title, key, json_string_value(value));
        title = "";
    }
}

static int whole(const json_t *all, const char *key) { return (int)json_integer_value(json_object_get(all, key)); }

static void print(const json_t *all) {
    printf("%-12s %s\n", "mews", json_string_value(json_object_get(all, "version")));
    printf("%-12s %s, %d processors, %d of them for this process\n", "processor", isa_level_name(isa_processor_level()),
           whole(all, "processors_online"), whole(all, "processors"));
    printf("%-12s %d\n", "threads", whole(all, "threads"));
    print_pairs("kernels for", json_object_get(all, "kernels"));
    print_pairs("libraries", json_object_get(all, "libraries"));
    const json_t *notes = json_object_get(all, "notes");
    size_t count = json_array_size(notes);
    printf("\n%s\n", count ? "what stands in the way:" : "nothing in the environment stands in the way");
    for (size_t i = 0; i < count; i++) {
        printf("  - ");
        terminal_wrap(stdout, json_string_value(json_array_get(notes, i)), 4, 4, terminal_width(stdout));
    }
}

static bool run_doctor(const command_context *context, const arguments *args, error *err) {
    json_t *all = examine(context, err);
    if (!all) return false;
    if (arguments_has(args, "--json")) {
        watch_print_json(all);
        return true;
    }
    print(all);
    json_decref(all);
    return true;
}

static const option doctor_options[] = {
    {"--json", NULL, NULL, "print it as one JSON object on stdout"},
    {0},
};
const command command_doctor = {
    .name = "doctor",
    .rules = {.words = "", .options = doctor_options},
    .summary = "which kernels and threads this machine gives, and what stands in their way",
    .details = "The same threads, kernels and libraries stand in every run's run.json.\n",
    .run = run_doctor,
};
