#include "engine/libraries.h"
#include "engine/isa.h"

#include <cblas.h>
#include <oneapi/dnnl/dnnl.h>
#include <png.h>
#include <stdio.h>
#include <string.h>

/* After png.h, which brings stdio.h: jpeglib.h needs it. */
#include <jpeglib.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

json_t *libraries_json(void) {
    char dnnl[32], openblas[64] = "";
    const dnnl_version_t *v = dnnl_version();
    snprintf(dnnl, sizeof dnnl, "%d.%d.%d", v->major, v->minor, v->patch);
    sscanf(openblas_get_config(), "OpenBLAS %63s", openblas); /* "OpenBLAS 0.3.21 DYNAMIC_ARCH …" */
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "oneDNN", dnnl, "OpenBLAS", openblas, "libjpeg",
                     TEXT(LIBJPEG_TURBO_VERSION), "libpng", png_get_libpng_ver(NULL), "compiler", __VERSION__);
}

/* The highest that this version names and the processor or ONEDNN_MAX_CPU_ISA allows. */
static const char *dnnl_kernels(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "of another kind";
    }
}

static const isa *own_kernels(void) {
    static const isa none = {.name = "none"};
    error unsaid = {0};
    const isa *own = isa_choose(&unsaid);
    return own ? own : &none;
}

json_t *libraries_kernels_json(void) {
    const isa *own = own_kernels();
    return json_pack("{s:s, s:s, s:s, s:s}", "mews", own->name, "tiles", own->level >= ISA_TILES ? "amx" : "none",
                     "oneDNN", dnnl_kernels(), "OpenBLAS", openblas_get_corename());
}

void libraries_kernels(char *text, size_t size) {
    snprintf(text, size, "%s, oneDNN's %s, OpenBLAS's %s", own_kernels()->name, dnnl_kernels(),
             openblas_get_corename());
}
