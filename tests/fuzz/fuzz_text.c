#include "tests/fuzz/fuzz_arrays.h"

int fuzz_text(const uint8_t *data, size_t size) { return fuzz_arrays(&array_format_text, "fuzz.text", data, size); }
