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

/* CIFAR-100's pickles are called train and test: that alone says nothing. */
static bool is_cifar100_python(const char *name, const char *path) {
    return format_has(&format_cifar100_python, name) &&
           (strstr(path, "cifar-100-python") || strstr(name, "cifar-100-python/"));
}

/* The data set that a file of this name belongs to, or NULL. */
static const char *recognise(const char *name, const char *path) {
    static const struct {
        const char *name;
        const format *format;
    } known[] = {{"cifar10", &format_cifar10}, {"cifar100", &format_cifar100}, {"cifar10", &format_cifar10_python},
                 {"svhn", &format_svhn},       {"stl10", &format_stl10},       {"mnist", &format_mnist}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (format_has(known[i].format, name))
            return known[i].format == &format_mnist && (strcasestr(path, "fashion") || strcasestr(name, "fashion"))
                       ? "fashion-mnist"
                       : known[i].name;
    if (is_cifar100_python(name, path)) return "cifar100";
    if (is_tiny_imagenet(name)) return "tiny-imagenet";
    return decode_is_image(name) ? "folder" : NULL;
}

/* Shows `sees` the names of the source's files, hidden ones aside, until it has seen enough. */
static bool look(const char *path, bool (*sees)(void *, const char *), void *context, error *err) {
    error local = {0};
    source_item item;
    bool enough = false;
    source *from = source_open(path, err);
    if (!from) return false;
    while (!enough && source_next(from, none_wanted, NULL, &item, &local)) {
        enough = item.kind == SOURCE_FILE && !decode_is_hidden(item.name) && sees(context, item.name);
        source_item_free(&item);
    }
    source_close(from);
    return local.code == 0 || error_set(err, local.code, "%s", local.text);
}

typedef struct content_seen {
    const format *const *formats, *which;
    content what;
} content_seen;

static bool sees_content(void *context, const char *name) {
    content_seen *seen = context;
    for (const format *const *f = seen->formats; *f && !seen->which; f++)
        if (format_has(*f, name)) seen->which = *f, seen->what = CONTENT_FORMAT;
    if (seen->what == CONTENT_NEITHER && decode_is_image(name)) seen->what = CONTENT_IMAGES;
    return seen->what != CONTENT_NEITHER;
}

content guess_content(const char *path, const format *const *formats, const format **which, error *err) {
    content_seen seen = {.formats = formats, .what = CONTENT_NEITHER};
    if (!look(path, sees_content, &seen, err)) return CONTENT_ERROR;
    *which = seen.which;
    return seen.what;
}

typedef struct name_seen {
    const char *path, *name;
} name_seen;

static bool sees_name(void *context, const char *name) {
    name_seen *seen = context;
    return (seen->name = recognise(name, seen->path)) != NULL;
}

int dataset_guess(const char *path, error *err) {
    name_seen seen = {.path = path};
    if (!look(path, sees_name, &seen, err)) return -1;
    const field *row = fields_find(&data_fields, "name");
    for (int i = 0; seen.name && row->choices[i]; i++)
        if (strcmp(row->choices[i], seen.name) == 0) return i;
    error_set(err, ERROR_USAGE,
              "%s holds neither images (%s) nor the files of CIFAR (data_batch_1.bin, train.bin, data_batch_1), SVHN "
              "(train_32x32.mat), STL-10 (train_X.bin) or MNIST (train-images-idx3-ubyte)",
              path, decode_endings);
    return -1;
}
