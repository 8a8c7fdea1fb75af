/*
 * File names tell the published formats apart, all but Fashion-MNIST, whose files have MNIST's names: there the path
 * has to say "fashion". A source is read only until something is recognised.
 */
#include "engine/data/guess.h"

#include "engine/data/decode.h"

#include <string.h>
#include <strings.h>

static source_want none_wanted(const void *context, const char *name) {
    (void)context, (void)name;
    return SOURCE_PASS;
}

/* Tiny ImageNet's own layout keeps the images of val/ and test/ in a folder `images` and the labels in a list. */
static bool is_tiny_imagenet(const char *name) {
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    return strcmp(base, "wnids.txt") == 0 || strcmp(base, "val_annotations.txt") == 0 ||
           strstr(name, "test/images/test_") || strstr(name, "val/images/val_");
}

/* The data set that a file of this name belongs to, or NULL. */
static const char *recognise(const char *name, const char *path) {
    static const struct {
        const char *name;
        const format *format;
    } known[] = {{"cifar10", &format_cifar10},
                 {"cifar100", &format_cifar100},
                 {"svhn", &format_svhn},
                 {"stl10", &format_stl10},
                 {"mnist", &format_mnist}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (format_has(known[i].format, name))
            return known[i].format == &format_mnist && (strcasestr(path, "fashion") || strcasestr(name, "fashion"))
                       ? "fashion-mnist"
                       : known[i].name;
    if (is_tiny_imagenet(name)) return "tiny-imagenet";
    return decode_is_image(name) ? "folder" : NULL;
}

static bool look(const char *path, const char **found, const format *f, content *what, error *err) {
    error local = {0};
    source_item item;
    source *from = source_open(path, err);
    if (!from) return false;
    while (!*found && *what == CONTENT_NEITHER && source_next(from, none_wanted, NULL, &item, &local)) {
        if (item.kind == SOURCE_FILE && !f) *found = recognise(item.name, path);
        if (item.kind == SOURCE_FILE && f && format_has(f, item.name)) *what = CONTENT_FORMAT;
        if (item.kind == SOURCE_FILE && f && *what == CONTENT_NEITHER && decode_is_image(item.name))
            *what = CONTENT_IMAGES;
        source_item_free(&item);
    }
    source_close(from);
    return local.code == 0 || error_set(err, local.code, "%s", local.text);
}

content guess_content(const char *path, const format *f, error *err) {
    content what = CONTENT_NEITHER;
    const char *found = NULL;
    return look(path, &found, f, &what, err) ? what : CONTENT_ERROR;
}

int dataset_guess(const char *path, error *err) {
    content what = CONTENT_NEITHER;
    const char *found = NULL;
    if (!look(path, &found, NULL, &what, err)) return -1;
    const field *row = fields_find(&data_fields, "name");
    for (int i = 0; found && row->choices[i]; i++)
        if (strcmp(row->choices[i], found) == 0) return i;
    error_set(err, ERROR_USAGE,
              "%s holds neither images (JPEG, PNG) nor the files of CIFAR (data_batch_1.bin, train.bin), SVHN "
              "(train_32x32.mat), STL-10 (train_X.bin) or MNIST (train-images-idx3-ubyte)",
              path);
    return -1;
}
