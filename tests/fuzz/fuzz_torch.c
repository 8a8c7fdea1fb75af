#include "tests/fuzz/fuzz_arrays.h"

int fuzz_torch(const uint8_t *data, size_t size) { return fuzz_arrays(&array_format_zip, "fuzz.torch", data, size); }
