/*
 * Instruction sets. The kernels of engine/cpu and the pixels' part of augmentation are built once for each of x86-64's
 * levels (v2: SSE4.2, v3: AVX2 and FMA, v4: AVX-512) and stand side by side in the program; the rest is built for v2.
 * So a program built on one machine runs on another, and fast. The Makefile makes the builds and names them
 * (MEWS_ISAS); `make MARCH=...` makes one alone.
 */
#ifndef MEWS_ISA_H
#define MEWS_ISA_H

#include "engine/backend.h"
#include "engine/data/views/augment_pixels.h"

typedef struct isa {
    const char *name; /* "v2", "v3", "v4"; after -march where the program was built for one processor */
    int level;        /* the level of x86-64 that it needs */
    backend *(*create)(int threads, error *err);
    augment_run *augment;
} isa;

/*
 * The build of this process: the highest that the processor can run, or the one that the environment's MEWS_ISA names.
 * NULL and ERROR_USAGE where MEWS_ISA names none or one that the processor lacks, ERROR_RUN where the processor is too
 * old for all of them.
 */
const isa *isa_choose(error *err);

/* The processor's own level, 1 to 4, the system's support for its registers included. */
int isa_processor_level(void);

/* Whether the processor multiplies bfloat16 by tiles (AMX) and Linux lends them to this process, which asks for them.
 * Only builds of the highest level use them. */
bool isa_tiles(void);

#endif
