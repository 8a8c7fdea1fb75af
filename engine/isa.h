/*
 * Instruction sets. The kernels of engine/cpu and the pixels' part of augmentation are built once for each of x86-64's
 * levels (v2: SSE4.2, v3: AVX2 and FMA, v4: AVX-512) and for what multiplies bfloat16 beyond them (v4_bf16:
 * AVX512-BF16), and stand side by side in the program; the rest is built for v2. So a program built on one machine runs
 * on another, and fast. v4_amx is the last of these builds, told to use the processor's tiles. The Makefile makes the
 * builds and names them (MEWS_ISAS); `make MARCH=...` makes one alone, and where that multiplies bfloat16, tells it
 * likewise by a second name (MEWS_TILED).
 */
#ifndef MEWS_ISA_H
#define MEWS_ISA_H

#include "engine/backend.h"
#include "engine/data/views/augment_pixels.h"

/* Beyond x86-64-v4: AVX512-BF16, and AMX's tiles for bfloat16 with it. */
enum { ISA_BFLOAT16 = 5, ISA_TILES = 6 };

typedef struct isa {
    const char *name; /* "v2" … "v4_amx"; after -march where the program was built for one processor */
    int level;        /* that it needs: of x86-64, or one of those above */
    backend *(*create)(int threads, error *err);
    augment_run *augment;
} isa;

/*
 * The build of this process: the highest that the processor can run, or the one that the environment's MEWS_ISA names.
 * NULL and ERROR_USAGE where MEWS_ISA names none or one that the processor lacks, ERROR_RUN where the processor is too
 * old for all of them.
 */
const isa *isa_choose(error *err);

/* The processor's own level, 1 to ISA_TILES, the system's support for its registers included: Linux lends a process
   tiles when it asks, which this does. */
int isa_processor_level(void);

/* "x86-64-v3", "x86-64-v4 with AVX512-BF16", … */
const char *isa_level_name(int level);

#endif
