/* Private to the two forms of CIFAR, binary files and pickles: what is the same in both, and so stands here once. */
#ifndef MEWS_CIFAR_H
#define MEWS_CIFAR_H

#include "engine/data/sets/format.h"

enum { CIFAR_SIDE = 32, CIFAR_IMAGE = 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_COARSE = 20 };

#define CIFAR10_FORMAT(ending, reader)                                                                                 \
    {                                                                                                                  \
        .title = "CIFAR-10", .classes = 10, .class_names = cifar10_classes, .parts = 6,                                \
        .part = {{.split = PACK_TRAIN, .official = 10000}, {.split = PACK_TRAIN, .official = 10000},                   \
                 {.split = PACK_TRAIN, .official = 10000}, {.split = PACK_TRAIN, .official = 10000},                   \
                 {.split = PACK_TRAIN, .official = 10000}, {.split = PACK_TEST, .official = 10000}},                   \
        .files = 6, .file = {{"data_batch_1" ending, 0, false, reader}, {"data_batch_2" ending, 1, false, reader},     \
                             {"data_batch_3" ending, 2, false, reader}, {"data_batch_4" ending, 3, false, reader},     \
                             {"data_batch_5" ending, 4, false, reader}, {"test_batch" ending, 5, false, reader}},      \
    }

#define CIFAR100_FORMAT(ending, reader)                                                                                \
    {                                                                                                                  \
        .title = "CIFAR-100", .classes = 100, .class_names = cifar100_classes, .parts = 2,                             \
        .part = {{.split = PACK_TRAIN, .official = 50000}, {.split = PACK_TEST, .official = 10000}}, .files = 2,       \
        .file = {{"train" ending, 0, false, reader}, {"test" ending, 1, false, reader}},                               \
    }

#endif
