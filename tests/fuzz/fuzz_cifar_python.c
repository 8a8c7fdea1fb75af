/* CIFAR's pickles: the first byte chooses between CIFAR-10 and CIFAR-100 with fine and with coarse labels. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

int fuzz_cifar_python(const uint8_t *data, size_t size) {
    data_options options;
    if (size == 0) return 0;
    fields_defaults(&data_fields, &options);
    options.labels = data[0] % 3 == 2 ? LABELS_COARSE : LABELS_FINE;
    if (data[0] % 3 == 0)
        fuzz_import("cifar-10-batches-py/test_batch", data + 1, size - 1, &options, cifar_import);
    else
        fuzz_import("cifar-100-python/test", data + 1, size - 1, &options, cifar100_import);
    return 0;
}
