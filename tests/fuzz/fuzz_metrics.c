/* A run's metrics.jsonl: the verdicts of its epochs, and since when each mode has been collapsed. */
#include "analysis/verdicts/collapse_history.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

int fuzz_metrics(const uint8_t *data, size_t size) {
    char path[64];
    collapse_history h;
    error err = {0};
    int file = fuzz_file(data, size, path, sizeof path);
    if (collapse_history_read(&h, path, &err)) {
        for (int mode = 0; mode < COLLAPSE_MODES; mode++)
            if (collapse_history_streak(&h, (collapse_mode)mode) > h.count) abort();
        collapse_history_free(&h);
    }
    close(file);
    return 0;
}
