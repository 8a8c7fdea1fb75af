/* A spec: YAML to settings, settings to every run it stands for. */
#include "experiments/sweep/sweep.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fuzz_spec(const uint8_t *data, size_t size) {
    char path[64];
    int file = fuzz_file(data, size, path, sizeof path);
    spec_file spec;
    sweep runs;
    error err = {0};
    if (spec_file_read(&spec, path, &err)) {
        if (sweep_expand(&runs, &spec, &err)) {
            char id[RUN_ID_SIZE];
            run_plan_id(&runs.runs[0], "0", id, &err);
            char *text = spec_text(&runs.runs[0].spec, &err);
            free(text);
            sweep_free(&runs);
        }
        spec_file_free(&spec);
    }
    close(file);
    return 0;
}
