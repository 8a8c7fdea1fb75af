#include "tests/fuzz/fuzz_arrays.h"

int fuzz_mat_arrays(const uint8_t *data, size_t size) {
    return fuzz_arrays(&array_format_mat, "fuzz.mat_arrays", data, size);
}
