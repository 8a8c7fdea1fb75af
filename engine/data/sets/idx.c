/*
 * MNIST and its like in IDX, LeCun's format: two zero bytes, the type (8: bytes), the number of dimensions, each
 * dimension as 32 big-endian bits, then the bytes. The files are read as they are published, .gz, or unpacked; grey is
 * spread over the three channels. Fashion-MNIST's files have MNIST's names, so only data.name tells one from the other.
 */
#include "engine/data/sets/format.h"

enum { TYPE_BYTES = 8, MAX_SIDE = 512 };

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Checks the header and that the bytes behind it are as many as it says. */
static bool read_header(format_reading *r, const source_item *item, uint32_t dims, uint32_t size[3], error *err) {
    size_t header = 4 + 4 * dims;
    if (item->size < 4 || big_endian(item->data) != (TYPE_BYTES << 8 | dims))
        return format_refuse(r, item, err, " is not an IDX file of %s: it begins with %08x instead of %08x",
                             dims == 3 ? "images" : "labels", item->size < 4 ? 0 : big_endian(item->data),
                             (unsigned)TYPE_BYTES << 8 | dims);
    if (item->size < header) return format_refuse(r, item, err, " ends inside its header");
    uint64_t bytes = 1;
    for (uint32_t i = 0; i < dims; i++) {
        size[i] = big_endian(item->data + 4 + 4 * i);
        if (i > 0 && (size[i] < 1 || size[i] > MAX_SIDE))
            return format_refuse(r, item, err, " holds images with a side of %u pixels; 1 to %d are taken", size[i],
                                 MAX_SIDE);
        bytes *= size[i];
    }
    return bytes == item->size - header ||
           format_refuse(r, item, err, " has %zu bytes behind its header, which announces %llu", item->size - header,
                         (unsigned long long)bytes);
}

static bool read_images(format_reading *r, const source_item *item, format_part *part, error *err) {
    uint32_t size[3] = {0};
    if (!read_header(r, item, 3, size, err)) return false;
    if (size[1] != size[2])
        return format_refuse(r, item, err, " holds images of %u×%u; square ones are taken", size[2], size[1]);
    return format_append(r, part, item->data + 16, (size_t)size[1] * size[2], size[0], (int)size[1], LAYOUT_GREY, err);
}

static bool read_labels(format_reading *r, const source_item *item, format_part *part, error *err) {
    uint32_t size[3] = {0};
    return read_header(r, item, 1, size, err) && format_add_labels(r, item, part, item->data + 8, 1, size[0], 0, err);
}

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const clothes[] = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                      "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

const format format_mnist = {
    .title = "MNIST",
    .classes = 10,
    .class_names = digits,
    .parts = 2,
    .part = {{.split = PACK_TRAIN, .official = 60000}, {.split = PACK_TEST, .official = 10000}},
    .files = 4,
    .file = {{"train-images-idx3-ubyte", 0, false, read_images},
             {"train-labels-idx1-ubyte", 0, false, read_labels},
             {"t10k-images-idx3-ubyte", 1, false, read_images},
             {"t10k-labels-idx1-ubyte", 1, false, read_labels}},
};

bool mnist_import(importer *im, error *err) { return format_import(im, &format_mnist, err); }

bool fashion_import(importer *im, error *err) {
    format f = format_mnist;
    f.title = "Fashion-MNIST", f.class_names = clothes;
    return format_import(im, &f, err);
}
