/*
 * Results go to stdout and everything about the way there to stderr, so that a command's output can be piped.
 */
#include "experiments/sweep/watch.h"

#include <string.h>

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

/* "dimensional      healthy     Training gave the network directions": a line each, the first sentence of its reason.
 */
static void print_verdicts(const json_t *verdicts) {
    const char *mode;
    json_t *one;
    json_object_foreach((json_t *)verdicts, mode, one) {
        const char *word = json_string_value(json_object_get(one, "verdict"));
        const char *sentence = json_string_value(json_object_get(one, "sentence"));
        const char *end = sentence ? strstr(sentence, ". ") : NULL;
        json_int_t onset = json_integer_value(json_object_get(one, "onset"));
        printf("  %-15s %-10s ", mode, word ? word : "unknown");
        if (onset > 0) printf("from epoch %lld on. ", (long long)onset);
        if (sentence) printf("%.*s", end ? (int)(end - sentence) + 1 : (int)strlen(sentence), sentence);
        putchar('\n');
    }
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
    print_verdicts(out->verdicts);
}

char *watch_verdicts(const json_t *verdicts, char *out, size_t size) {
    static const char *const worst[] = {"collapsed", "warning"};
    size_t used = 0, known = 0;
    const char *mode;
    json_t *one;
    *out = '\0';
    for (int w = 0; w < 2; w++) json_object_foreach((json_t *)verdicts, mode, one) {
            const char *word = json_string_value(one);
            known += w == 0 && word && strcmp(word, "unknown") != 0;
            if (word && strcmp(word, worst[w]) == 0 && used < size)
                used += (size_t)snprintf(out + used, size - used, "%s%s %s", used ? ", " : "; ", mode, word);
        }
    if (!used && known) snprintf(out, size, "; nothing collapsed");
    return out;
}

json_t *watch_outcome_json(const run_outcome *out, const error *failure) {
    static const char *const ends[] = {[RUN_END_FINISHED] = "finished",
                                       [RUN_END_FOUND] = "found",
                                       [RUN_END_INTERRUPTED] = "interrupted",
                                       [RUN_END_STOPPED] = "stopped"};
    bool failed = failure->code != ERROR_NONE;
    json_t *words = out->verdicts ? json_object() : NULL, *one;
    const char *mode;
    json_object_foreach(out->verdicts, mode, one) json_object_set(words, mode, json_object_get(one, "verdict"));
    return json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:O?, s:o?}", "status", failed ? "failed" : ends[out->end], "reason",
                     failed ? failure->text : NULL, "stopped", *out->stopped ? out->stopped : NULL, "id", out->id,
                     "folder", out->folder, "final", out->final, "verdicts", words);
}

void watch_print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}
