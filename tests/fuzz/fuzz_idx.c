/* IDX files, packed or not: the first byte chooses between images and labels. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

int fuzz_idx(const uint8_t *data, size_t size) {
    static const char *const members[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
    data_options options;
    if (size == 0) return 0;
    fields_defaults(&data_fields, &options);
    fuzz_import(members[data[0] % 4], data + 1, size - 1, &options, mnist_import);
    return 0;
}
