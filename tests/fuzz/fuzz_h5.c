#include "tests/fuzz/fuzz_arrays.h"

int fuzz_h5(const uint8_t *data, size_t size) { return fuzz_arrays(&array_format_hdf5, "fuzz.h5", data, size); }
