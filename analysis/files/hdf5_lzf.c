/*
 * LZF, the filter that h5py brings along (id 32000). A chunk that did not shrink is stored without it, so that whether
 * a libhdf5 without it can read a file would depend on its numbers. The stream is control bytes: below 32, so many
 * literal bytes less one follow; else the upper three bits (7: plus a byte) less two are the length of a copy, the
 * lower five and a byte the way back to it less one.
 */
#include "analysis/files/hdf5_file.h"

#include <stdlib.h>
#include <string.h>

enum { LZF = 32000 };

/* Bytes written to `out`, or 0: broken, or no room. */
static size_t unpack(const uint8_t *in, size_t in_size, uint8_t *out, size_t room) {
    size_t at = 0, to = 0;
    while (at < in_size) {
        size_t control = in[at++], length;
        if (control < 32) {
            length = control + 1;
            if (length > in_size - at || length > room - to) return 0;
            memcpy(out + to, in + at, length);
            at += length, to += length;
            continue;
        }
        length = control >> 5;
        if (length == 7) {
            if (at == in_size) return 0;
            length += in[at++];
        }
        length += 2;
        if (at == in_size) return 0;
        size_t back = (control & 31) << 8 | in[at++];
        if (back + 1 > to || length > room - to) return 0;
        for (size_t i = 0; i < length; i++, to++) out[to] = out[to - back - 1]; /* may overlap itself */
    }
    return to;
}

static size_t filter(unsigned flags, size_t count, const unsigned values[], size_t bytes, size_t *size, void **buffer) {
    if (!(flags & H5Z_FLAG_REVERSE) || count < 3 || values[2] == 0) return 0; /* nothing is written here */
    uint8_t *out = malloc(values[2]);
    size_t got = out ? unpack(*buffer, bytes, out, values[2]) : 0;
    if (got < values[2]) { /* less than a chunk: libhdf5 would hand on what stood in that memory before */
        free(out);
        return 0;
    }
    H5free_memory(*buffer);
    *buffer = out, *size = values[2];
    return got;
}

bool hdf5_register_lzf(void) {
    static const H5Z_class2_t class = {.version = H5Z_CLASS_T_VERS,
                                       .id = LZF,
                                       .encoder_present = 0,
                                       .decoder_present = 1,
                                       .name = "lzf",
                                       .filter = filter};
    return H5Zfilter_avail(LZF) > 0 || H5Zregister(&class) >= 0;
}
