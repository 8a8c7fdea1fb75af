/* STL-10's binary files: the first byte chooses between images, labels and unlabelled images. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

int fuzz_stl10(const uint8_t *data, size_t size) {
    static const char *const members[] = {"train_X.bin", "train_y.bin", "unlabeled_X.bin"};
    data_options options;
    if (size == 0) return 0;
    fields_defaults(&data_fields, &options);
    options.unlabelled = true;
    fuzz_import(members[data[0] % 3], data + 1, size - 1, &options, stl10_import);
    return 0;
}
