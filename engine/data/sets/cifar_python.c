/*
 * CIFAR-10 and CIFAR-100 in their authors' Python form, which is what torchvision leaves on disk: one pickle a file, a
 * dictionary of the images (`data`, n × 3,072 bytes, channel by channel as in the binary form) and lists of labels. The
 * pickle is read as data and nothing of it is run (files/pickle.h). The samples are those of the binary form, in the
 * same order, so that both make the same data set.
 */
#include "engine/data/sets/cifar.h"

#include "engine/files/pickle.h"

#include <stdlib.h>

enum { SIDE = CIFAR_SIDE, IMAGE = CIFAR_IMAGE, COARSE = CIFAR_COARSE };

static bool read_images(format_reading *r, const source_item *item, format_part *part, const pickle_value *root,
                        error *err) {
    const pickle_value *data = pickle_get(root, "data");
    if (!data) return format_refuse(r, item, err, " holds no `data`");
    const strided *a = data->kind == PICKLE_ARRAY ? data->array : NULL;
    if (!a || a->type != ELEMENT_U8 || a->dims != 2 || a->shape[1] != IMAGE || a->shape[0] > UINT32_MAX ||
        !strided_is_plain(a))
        return format_refuse(r, item, err, ": `data` is not an array of n × %d bytes", IMAGE);
    return a->shape[0] == 0 || format_append(r, part, a->data, IMAGE, (uint32_t)a->shape[0], SIDE, LAYOUT_ROWS, err);
}

static bool read_labels(format_reading *r, const source_item *item, format_part *part, const pickle_value *root,
                        const char *key, error *err) {
    const pickle_value *list = pickle_get(root, key);
    if (!list || list->kind != PICKLE_LIST || list->count > UINT32_MAX)
        return format_refuse(r, item, err, " holds no list `%s`", key);
    uint8_t *labels = malloc(list->count + 1);
    bool done = labels || error_memory(err, list->count, "labels");
    for (size_t i = 0; done && i < list->count; i++) {
        uint64_t label;
        if (!pickle_size(list->items[i], &label) || label > UINT8_MAX)
            done = format_refuse(r, item, err, ": record %zu of `%s` is no label", i, key);
        else
            labels[i] = (uint8_t)label;
    }
    done = done && format_add_labels(r, item, part, labels, 1, (uint32_t)list->count, 0, err);
    free(labels);
    return done;
}

static bool read_batch(format_reading *r, const source_item *item, format_part *part, const char *labels, error *err) {
    size_t used;
    error why = {0};
    pickle *p = pickle_parse(item->data, item->size, item->name, &used, &why);
    if (!p) return format_refuse(r, item, err, " is no pickle that is read: %s", why.text);
    const pickle_value *root = pickle_root(p);
    bool done = read_images(r, item, part, root, err) && read_labels(r, item, part, root, labels, err);
    pickle_free(p);
    return done;
}

static bool read_10(format_reading *r, const source_item *item, format_part *part, error *err) {
    return read_batch(r, item, part, "labels", err);
}

static bool read_100(format_reading *r, const source_item *item, format_part *part, error *err) {
    return read_batch(r, item, part, r->format->classes == COARSE ? "coarse_labels" : "fine_labels", err);
}

const format format_cifar10_python = CIFAR10_FORMAT("", read_10);
const format format_cifar100_python = CIFAR100_FORMAT("", read_100);
