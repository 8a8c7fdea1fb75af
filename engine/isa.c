/*
 * Which of the builds of engine/cpu this processor runs. Levels up to 4 are those of the x86-64 psABI, section 3.1.1.
 * This file is itself built for the first level (see the Makefile): it runs before anything is known of the processor.
 */
#include "engine/isa.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define X(name, build, level)                                                                                          \
    backend *backend_cpu_##build(int threads, error *err);                                                             \
    augment_run augment_pixels_##build;
MEWS_ISAS
#undef X

enum {
#if defined(__AVX512BF16__)
    LEVEL_OF_THIS_BUILD = ISA_BFLOAT16
#elif defined(__AVX512BW__)
    LEVEL_OF_THIS_BUILD = 4
#elif defined(__AVX2__)
    LEVEL_OF_THIS_BUILD = 3
#else
    LEVEL_OF_THIS_BUILD = 2
#endif
};

/* By level, lowest first. A build for one processor alone states no level: it needs what the compiler was told, and has
   a second choice where that multiplies bfloat16. */
static const isa builds[] = {
#define X(name, build, level)                                                                                          \
    {#name, (level) ? (level) : LEVEL_OF_THIS_BUILD, backend_cpu_##build, augment_pixels_##build},
    MEWS_ISAS
#ifdef __AVX512BF16__
        MEWS_TILED
#endif
#undef X
};
enum { BUILDS = sizeof builds / sizeof *builds };

/* Which registers the system saves when it switches between processes. */
static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has_bfloat16(void) {
    enum { AVX512_BF16 = 1 << 5 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & AVX512_BF16;
}

/* Whether there are tiles for bfloat16 and Linux lends them to this process, which asks for them. */
static bool lends_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_BF16) || !(d & AMX_TILE)) return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

int isa_processor_level(void) {
    const unsigned v2 = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B;
    const unsigned v3 = bit_FMA | bit_F16C | bit_MOVBE | bit_OSXSAVE | bit_AVX, v3_7 = bit_AVX2 | bit_BMI | bit_BMI2;
    const unsigned v4_7 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    const unsigned lzcnt = 1u << 5, avx_state = 0x6, avx512_state = 0xe6; /* XMM, YMM; and masks, ZMM */
    unsigned a, b, c, d, b7 = 0, c_extended = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & v2) != v2) return 1;
    unsigned c1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) b7 = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) c_extended = c;
    if ((c1 & v3) != v3 || (b7 & v3_7) != v3_7 || !(c_extended & lzcnt)) return 2;
    unsigned saved = saved_registers();
    if ((saved & avx_state) != avx_state) return 2;
    if ((b7 & v4_7) != v4_7 || (saved & avx512_state) != avx512_state) return 3;
    return !has_bfloat16() ? 4 : lends_tiles() ? ISA_TILES : ISA_BFLOAT16;
}

const char *isa_level_name(int level) {
    static const char *const names[] = {"x86",
                                        "x86-64",
                                        "x86-64-v2",
                                        "x86-64-v3",
                                        "x86-64-v4",
                                        "x86-64-v4 with AVX512-BF16",
                                        "x86-64-v4 with AVX512-BF16 and tiles (AMX)"};
    return names[level];
}

static const isa *forced(const char *name, int level, error *err) {
    static const char *const lacks[] = {"", "", "SSE4.2", "AVX2 and FMA", "AVX-512", "AVX512-BF16", "tiles (AMX)"};
    char all[64] = "";
    for (int i = 0; i < BUILDS; i++) {
        size_t end = strlen(all);
        snprintf(all + end, sizeof all - end, "%s%s", i == 0 ? "" : i + 1 < BUILDS ? ", " : " or ", builds[i].name);
        if (strcmp(builds[i].name, name) != 0) continue;
        if (builds[i].level <= level) return &builds[i];
        error_set(err, ERROR_USAGE, "MEWS_ISA=%s: this processor lacks %s; it is an %s", name, lacks[builds[i].level],
                  isa_level_name(level));
        return NULL;
    }
    error_set(err, ERROR_USAGE, "MEWS_ISA takes %s, not `%.40s`", all, name);
    return NULL;
}

const isa *isa_choose(error *err) {
    int level = isa_processor_level();
    const char *wanted = getenv("MEWS_ISA");
    if (wanted && *wanted) return forced(wanted, level, err);
    for (int i = BUILDS - 1; i >= 0; i--)
        if (builds[i].level <= level) return &builds[i];
    error_set(err, ERROR_RUN, "this program was built for processors from %s on; this one is an %s",
              isa_level_name(builds[0].level), isa_level_name(level));
    return NULL;
}

backend *backend_cpu(int threads, error *err) {
    const isa *chosen = isa_choose(err);
    backend *b = chosen ? chosen->create(threads, err) : NULL;
    if (b) b->isa = chosen->name, b->tiles = chosen->level >= ISA_TILES;
    return b;
}
