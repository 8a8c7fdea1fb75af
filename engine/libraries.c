#include "engine/libraries.h"

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
