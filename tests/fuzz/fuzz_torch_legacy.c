#include "tests/fuzz/fuzz_arrays.h"

int fuzz_torch_legacy(const uint8_t *data, size_t size) {
    return fuzz_arrays(&array_format_pickle, "fuzz.torch_legacy", data, size);
}
