/* A checkpoint, sealed and loaded into a network of two parameters, with the optimiser's state. */
#include "engine/files/checkpoint.h"
#include "engine/files/file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reseal.h"

#include <stdio.h>
#include <unistd.h>

/* Whatever is taken is of the step in the file's name. */
static void load(const uint8_t *data, size_t size, const char *folder, parameters *p, optimizer *o) {
    error err = {0};
    char path[128], aside[160];
    bool found;
    checkpoint_position at;
    checkpoint_place place = {.folder = folder, .run = "ours", .history = "history"};
    snprintf(path, sizeof path, "%s/checkpoint-00000002.safetensors", folder);
    snprintf(aside, sizeof aside, "%s.aside", path);
    if (!file_write(path, data, size, &err)) abort();
    if (checkpoint_load(&place, p, o, &at, &found, &err) && found && at.step != 2) abort();
    unlink(path), unlink(aside);
}

int fuzz_checkpoint(const uint8_t *data, size_t size) {
    char folder[] = "/tmp/mews-fuzz-XXXXXX";
    static backend *cpu; /* its pool is too much to make for each input */
    error err = {0};
    optimizer adam = {0};
    optimizer_options with;
    if (!cpu) cpu = backend_cpu(1, &err);
    parameters *p = cpu ? parameters_create(cpu, 0, &err) : NULL;
    fields_defaults(&optimizer_fields, &with);
    if (!mkdtemp(folder) || !p ||
        !parameters_add(p, "head.w", ROLE_WEIGHT, 2, (int64_t[]){3, 4}, INIT_NORMAL, 1, &err) ||
        !parameters_add(p, "head.b", ROLE_BIAS, 2, (int64_t[]){1, 4}, INIT_VALUE, 0, &err) ||
        !optimizer_create(&adam, &with, p, &err))
        abort();
    load(data, size, folder, p, &adam);
    uint64_t header = 0;
    for (int i = 0; size >= 8 && i < 8; i++) header |= (uint64_t)data[i] << 8 * i;
    uint8_t *sealed = fuzz_reseal(data, size, 8, header < size ? (size_t)header : size);
    load(sealed, size, folder, p, &adam);
    free(sealed);
    parameters_destroy(p);
    rmdir(folder);
    return 0;
}
