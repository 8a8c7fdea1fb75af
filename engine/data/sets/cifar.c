/*
 * CIFAR-10 and CIFAR-100 in their authors' binary form (Krizhevsky 2009; cs.toronto.edu/~kriz/cifar.html): records of
 * one byte of label (two for CIFAR-100: one of 20 superclasses, then one of 100 classes) and 3,072 bytes of image,
 * channel by channel. Read from a directory or from the .tar.gz as it is downloaded; the pickles of the Python form are
 * cifar_python.c's; or, since copies of CIFAR are often kept so, from a folder of images.
 */
#include "engine/data/sets/cifar.h"

#include "engine/data/codecs/decode.h"
#include "engine/data/sets/guess.h"

#include <assert.h>

enum { SIDE = CIFAR_SIDE, IMAGE = CIFAR_IMAGE, COARSE = CIFAR_COARSE };

static bool read_records(format_reading *r, const source_item *item, format_part *part, size_t labels, size_t label,
                         error *err) {
    size_t record = labels + IMAGE;
    if (item->size == 0 || item->size % record != 0)
        return format_refuse(r, item, err, " has %zu bytes, which is not a whole number of records of %zu bytes",
                             item->size, record);
    uint32_t n = (uint32_t)(item->size / record);
    return format_add_labels(r, item, part, item->data + label, record, n, 0, err) &&
           format_append(r, part, item->data + labels, record, n, SIDE, LAYOUT_ROWS, err);
}

static bool read_10(format_reading *r, const source_item *item, format_part *part, error *err) {
    return read_records(r, item, part, 1, 0, err);
}

static bool read_100(format_reading *r, const source_item *item, format_part *part, error *err) {
    return read_records(r, item, part, 2, r->format->classes == COARSE ? 0 : 1, err);
}

const char *const cifar10_classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                       "dog",      "frog",       "horse", "ship", "truck"};

const char *const cifar100_classes[] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};

static const char *const names_20[COARSE] = {"aquatic_mammals",
                                             "fish",
                                             "flowers",
                                             "food_containers",
                                             "fruit_and_vegetables",
                                             "household_electrical_devices",
                                             "household_furniture",
                                             "insects",
                                             "large_carnivores",
                                             "large_man-made_outdoor_things",
                                             "large_natural_outdoor_scenes",
                                             "large_omnivores_and_herbivores",
                                             "medium_mammals",
                                             "non-insect_invertebrates",
                                             "people",
                                             "reptiles",
                                             "small_mammals",
                                             "trees",
                                             "vehicles_1",
                                             "vehicles_2"};

static_assert(sizeof cifar100_classes / sizeof *cifar100_classes == 100, "CIFAR-100 has 100 classes");

const format format_cifar10 = CIFAR10_FORMAT(".bin", read_10);
const format format_cifar100 = CIFAR100_FORMAT(".bin", read_100);

/* The binary files or the pickles if they are there, else images. */
static bool import_any(importer *im, const format *binary, const format *python, bool coarse, error *err) {
    const format *either[] = {binary, python, NULL}, *found = NULL;
    switch (guess_content(im->path, either, &found, err)) {
    case CONTENT_FORMAT: {
        format f = *found;
        if (coarse) f.classes = COARSE, f.class_names = names_20;
        return format_import(im, &f, err);
    }
    case CONTENT_IMAGES: return folder_import(im, err);
    case CONTENT_NEITHER:
        return error_set(err, ERROR_USAGE, "%s holds neither images (%s) nor %s's binary files (%s, …) or pickles (%s)",
                         im->path, decode_endings, binary->title, binary->file[0].name, python->file[0].name);
    default: return false;
    }
}

bool cifar_import(importer *im, error *err) {
    return import_any(im, &format_cifar10, &format_cifar10_python, false, err);
}

bool cifar100_import(importer *im, error *err) {
    return import_any(im, &format_cifar100, &format_cifar100_python, im->options->labels == LABELS_COARSE, err);
}
