/* .npz: the list of arrays, then each of them unpacked. */
#include "analysis/files/npz.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { UNPACKED_MOST = 1 << 24 };

int fuzz_npz(const uint8_t *data, size_t size) {
    npz z;
    error err = {0};
    if (!npz_open(&z, data, size, "fuzz.npz", &err)) return 0;
    for (size_t i = 0; i < z.count && i < 16; i++) {
        npy a;
        uint8_t *bytes = NULL;
        error why = {0};
        if (!npz_read(&z, i, z.members[i].name, UNPACKED_MOST, &a, &bytes, &why)) continue;
        if (a.rows && a.cols) fuzz_use(a.data, a.rows * a.cols * npy_dtype_size(a.dtype));
        free(bytes);
    }
    npz_close(&z);
    return 0;
}
