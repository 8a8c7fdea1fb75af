/*
 * Results go to stdout and everything about the way there to stderr, so that a command's output can be piped.
 */
#include "experiments/sweep/watch.h"

char *watch_text(const experiment_progress *now, char *out, size_t size) {
    char part[48] = "";
    if (now->total)
        snprintf(part, sizeof part, " %llu/%llu", (unsigned long long)now->done, (unsigned long long)now->total);
    snprintf(out, size, "%s%s%s%s", now->phase, now->what ? ": " : "", now->what ? now->what : "", part);
    return out;
}

static void on_progress(void *context, const experiment_progress *now) {
    char text[256];
    terminal_status(context, false, "%s", watch_text(now, text, sizeof text));
}

static void on_warning(void *context, const char *line) { terminal_line(context, "mews: warning: %s", line); }

experiment_hooks watch_on(terminal *t, const volatile sig_atomic_t *interrupted) {
    return (experiment_hooks){.context = t, .progress = on_progress, .warn = on_warning, .interrupted = interrupted};
}

void watch_print_outcome(const run_outcome *out) {
    const char *metric;
    json_t *value;
    printf("%s%s\n", out->folder, out->end == RUN_END_FOUND ? " was finished already" : "");
    if (*out->stopped) printf("stopped: %s\n", out->stopped);
    json_object_foreach(out->final, metric, value) {
        if (json_is_number(value))
            printf("  %-24s %.6g\n", metric, json_number_value(value));
        else
            printf("  %-24s not known\n", metric);
    }
}

json_t *watch_outcome_json(const run_outcome *out, const error *failure) {
    static const char *const ends[] = {
        [RUN_END_FINISHED] = "finished", [RUN_END_FOUND] = "found", [RUN_END_INTERRUPTED] = "interrupted"};
    bool failed = failure->code != ERROR_NONE;
    return json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:O?}", "status", failed ? "failed" : ends[out->end], "reason",
                     failed ? failure->text : NULL, "stopped", *out->stopped ? out->stopped : NULL, "id", out->id,
                     "folder", out->folder, "final", out->final);
}

void watch_print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}
