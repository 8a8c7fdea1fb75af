/*
 * File names tell the published formats apart, all but Fashion-MNIST, whose files have MNIST's names: there the path
 * has to say "fashion". An archive is read only until something is recognised; a folder is looked through, since two
 * data sets often lie side by side, and taking one of them would be a guess.
 */
#include "engine/data/sets/guess.h"

#include "engine/data/codecs/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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

/* Shows `sees` the source's files, hidden ones aside, until it has seen enough; a file that cannot be read with why. */
static bool look(const char *path, bool (*sees)(void *, const char *, const char *), void *context, error *err) {
    error local = {0};
    source_item item;
    bool enough = false;
    source *from = source_open(path, err);
    if (!from) return false;
    while (!enough && source_next(from, none_wanted, NULL, &item, &local)) {
        enough = item.kind != SOURCE_FOLDER && !decode_is_hidden(item.name) && sees(context, item.name, item.problem);
        source_item_free(&item);
    }
    source_close(from);
    return local.code == 0 || error_set(err, local.code, "%s", local.text);
}

typedef struct content_seen {
    const format *const *formats, *which;
    content what;
} content_seen;

static bool sees_content(void *context, const char *name, const char *problem) {
    content_seen *seen = context;
    if (problem) return false;
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
    bool folder;                 /* cheap to look through to its end */
    char first[256], other[256]; /* the first file of `name`, and one of another data set */
    const char *other_name;
    uint64_t unread, packed; /* files that cannot be read; archives */
    char unread_name[256], packed_name[256];
    const char *problem;
} name_seen;

static bool is_archive(const char *name) {
    static const char *const endings[] = {".tar",     ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz",
                                          ".tar.zst", ".zip",    ".7z",  ".rar"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && strcasecmp(name + length - tail, endings[i]) == 0) return true;
    }
    return false;
}

static bool sees_name(void *context, const char *name, const char *problem) {
    name_seen *seen = context;
    if (problem) {
        if (seen->unread++ == 0) snprintf(seen->unread_name, sizeof seen->unread_name, "%.200s", name);
        if (!seen->problem) seen->problem = problem;
        return false;
    }
    if (is_archive(name) && seen->packed++ == 0) snprintf(seen->packed_name, sizeof seen->packed_name, "%.200s", name);
    const char *known = recognise(name, seen->path);
    if (!known) return false;
    if (!seen->name) {
        seen->name = known;
        snprintf(seen->first, sizeof seen->first, "%.200s", name);
        return !seen->folder || strcmp(known, "folder") == 0;
    }
    if (strcmp(known, seen->name) == 0 || strcmp(known, "folder") == 0) return false;
    seen->other_name = known;
    snprintf(seen->other, sizeof seen->other, "%.200s", name);
    return true;
}

static bool refuse_guess(const name_seen *seen, error *err) {
    if (seen->other_name)
        return error_set(err, ERROR_USAGE,
                         "%s holds two data sets: %s (%s) and %s (%s); data.name, or --kind, says which", seen->path,
                         seen->name, seen->first, seen->other_name, seen->other);
    if (seen->unread)
        return error_set(err, ERROR_USAGE,
                         "%s holds nothing that can be read: %" PRIu64 " files cannot, the first, %s: %s", seen->path,
                         seen->unread, seen->unread_name, seen->problem);
    if (seen->packed)
        return error_set(
            err, ERROR_USAGE,
            "%s holds archives (%s), which are not read inside of it; unpack them, or give the one that is "
            "meant",
            seen->path, seen->packed_name);
    return error_set(err, ERROR_USAGE,
                     "%s holds neither images (%s) nor the files of CIFAR (data_batch_1.bin, train.bin, data_batch_1), "
                     "SVHN (train_32x32.mat), STL-10 (train_X.bin) or MNIST (train-images-idx3-ubyte)",
                     seen->path, decode_endings);
}

int dataset_guess(const char *path, error *err) {
    struct stat status;
    name_seen seen = {.path = path, .folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode)};
    if (!look(path, sees_name, &seen, err)) return -1;
    const field *row = fields_find(&data_fields, "name");
    for (int i = 0; seen.name && !seen.other_name && row->choices[i]; i++)
        if (strcmp(row->choices[i], seen.name) == 0) return i;
    refuse_guess(&seen, err);
    return -1;
}
