/*
 * Reasons are few and files many: each reason keeps its count and its first names. Names of files are other people's
 * text, so control characters in them are shown as `?`.
 */
#include "engine/data/sets/account.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_reasons[] = "other reasons";

/* Where this reason is counted; what comes after too many kinds shares the last place. */
static account_reason *reason_of(account *a, const char *reason) {
    for (int i = 0; i < a->reason_count; i++)
        if (strcmp(a->reasons[i].text, reason) == 0) return &a->reasons[i];
    if (a->reason_count == ACCOUNT_REASONS) return &a->reasons[ACCOUNT_REASONS - 1];
    account_reason *added = &a->reasons[a->reason_count++];
    snprintf(added->text, sizeof added->text, "%s", a->reason_count == ACCOUNT_REASONS ? other_reasons : reason);
    return added;
}

void account_skip_many(account *a, const char *name, uint64_t count, const char *reason) {
    account_reason *to = reason_of(a, reason);
    to->count += count;
    for (int i = 0; i < ACCOUNT_EXAMPLES; i++) {
        if (to->examples[i]) continue;
        if (!(to->examples[i] = strndup(name, 120))) a->lost = true;
        for (char *p = to->examples[i]; p && *p; p++)
            if ((unsigned char)*p < 32 || *p == 127) *p = '?';
        return;
    }
}

void account_skip(account *a, const char *name, const char *reason) { account_skip_many(a, name, 1, reason); }

void account_note(account *a, const char *format, ...) {
    char line[1024];
    va_list args;
    if (a->note_count == ACCOUNT_NOTES) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if ((a->notes[a->note_count] = strdup(line)))
        a->note_count++;
    else
        a->lost = true;
}

uint64_t account_skipped(const account *a) {
    uint64_t sum = 0;
    for (int i = 0; i < a->reason_count; i++) sum += a->reasons[i].count;
    return sum;
}

static void write_reason(FILE *to, const account_reason *reason) {
    fprintf(to, "%" PRIu64 " %s (", reason->count, reason->text);
    int shown = 0;
    for (; shown < ACCOUNT_EXAMPLES && reason->examples[shown]; shown++)
        fprintf(to, "%s%s", shown ? ", " : "", reason->examples[shown]);
    fprintf(to, "%s)", reason->count > (uint64_t)shown ? ", …" : "");
}

char *account_brief(const account *a, char *out, size_t size) {
    FILE *to = fmemopen(out, size, "w");
    uint64_t skipped = account_skipped(a);
    out[0] = '\0';
    if (!to) return out;
    if (skipped) fprintf(to, "skipped %" PRIu64 " file%s: ", skipped, skipped == 1 ? "" : "s");
    for (int i = 0; i < a->reason_count; i++) {
        if (i) fputs("; ", to);
        write_reason(to, &a->reasons[i]);
    }
    fclose(to);
    out[size - 1] = '\0';
    return out;
}

char *account_text(const account *a, error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (a->lost || !to) {
        if (to) fclose(to);
        free(text);
        return error_memory(err, 1 << 12, "an account of an import"), NULL;
    }
    for (int i = 0; i < a->note_count; i++) fprintf(to, "%s\n", a->notes[i]);
    if (a->seen)
        fprintf(to, "%" PRIu64 " files seen, %" PRIu64 " used, %" PRIu64 " skipped\n", a->seen, a->used,
                account_skipped(a));
    for (int i = 0; i < a->reason_count; i++) {
        fputs("  skipped: ", to);
        write_reason(to, &a->reasons[i]);
        putc('\n', to);
    }
    if (fclose(to) == 0) return text;
    free(text);
    return error_memory(err, size, "an account of an import"), NULL;
}

void account_free(account *a) {
    for (int i = 0; i < a->reason_count; i++)
        for (int j = 0; j < ACCOUNT_EXAMPLES; j++) free(a->reasons[i].examples[j]);
    for (int i = 0; i < a->note_count; i++) free(a->notes[i]);
    *a = (account){0};
}
