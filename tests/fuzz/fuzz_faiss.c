#include "tests/fuzz/fuzz_arrays.h"

int fuzz_faiss(const uint8_t *data, size_t size) { return fuzz_arrays(&array_format_faiss, "fuzz.faiss", data, size); }
