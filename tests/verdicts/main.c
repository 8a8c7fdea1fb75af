/*
 * The whole trial: `make verdicts`. Prints the confusion tables and names every wrong word; the exit code says whether
 * the targets were met.
 */
#include "tests/verdicts/trial.h"

#include <stdlib.h>

int main(int argc, char **argv) {
    trial t;
    uint32_t step = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    trial_run(&t, 0, step ? step : 1, false, stderr);
    trial_print(&t, stdout);
    bool met = t.flips == 0;
    for (int m = 0; m < COLLAPSE_MODES; m++)
        met = met && trial_false_alarms(&t, (collapse_mode)m) < 0.02 && trial_misses(&t, (collapse_mode)m) < 0.05 &&
              trial_withheld(&t, (collapse_mode)m) < 0.05;
    return met ? 0 : 1;
}
