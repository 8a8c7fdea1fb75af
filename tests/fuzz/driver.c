/* libFuzzer's door to one of the functions of fuzz.h: -DFUZZ=fuzz_npy. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return FUZZ(data, size); }

/*
 * libhdf5 1.10.8 loses 64 bytes of every layout message that it refuses: H5Dopen2 of a data set of libver='latest' with
 * a filter, in ten lines of C without mews, loses the same; and what its cache has of a damaged heap when H5Fopen
 * fails. An identifier that mews forgot to close would be seen all the same, by what was allocated elsewhere for it.
 * `make fuzz` has stacks unwound to where these names stand.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:H5O_msg_read_oh\nleak:H5C_protect\n"; }
