/* The libraries and the compiler that have a hand in a run's bits, for its record. */
#ifndef MEWS_LIBRARIES_H
#define MEWS_LIBRARIES_H

#include <jansson.h>
#include <stddef.h>

/* {"oneDNN": "2.7.3", …}; the caller's to json_decref. */
json_t *libraries_json(void);

/*
 * The kernels that were chosen for this processor: {"mews": "v4_bf16", "tiles": "none", "oneDNN": "avx512_core_bf16",
 * "OpenBLAS": "Cooperlake"} (mews': engine/isa.h; tiles: "amx" where they multiply bfloat16). The caller's to
 * json_decref.
 */
json_t *libraries_kernels_json(void);

/* The same in words: "v4_amx, oneDNN's avx512_core_amx, OpenBLAS's SkylakeX". */
void libraries_kernels(char *text, size_t size);

#endif
