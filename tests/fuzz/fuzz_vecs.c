#include "tests/fuzz/fuzz_arrays.h"

int fuzz_vecs(const uint8_t *data, size_t size) { return fuzz_arrays(&array_format_vecs, "fuzz.vecs", data, size); }
