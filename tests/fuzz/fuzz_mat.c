/* SVHN's MATLAB files: the bytes in front of libmatio, and what comes out of it. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

int fuzz_mat(const uint8_t *data, size_t size) {
    data_options options;
    fields_defaults(&data_fields, &options);
    fuzz_import("test_32x32.mat", data, size, &options, svhn_import);
    return 0;
}
