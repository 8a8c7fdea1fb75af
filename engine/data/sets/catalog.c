/*
 * Addresses and sums as the authors' pages give them (CIFAR, Fashion-MNIST) or as torchvision has checked downloads by
 * for years. MNIST's own page no longer serves its files; its address is the copy that torchvision uses. A move of any
 * of them is a redirect, or --mirror.
 */
#include "engine/data/sets/catalog.h"

#include <stdio.h>
#include <string.h>

#define TORONTO "https://www.cs.toronto.edu/~kriz"
#define HOUSES "http://ufldl.stanford.edu/housenumbers"
#define MNIST "https://ossci-datasets.s3.amazonaws.com/mnist"
#define FASHION "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"

static const catalog_entry entries[] = {
    {"cifar10", {{"cifar-10-binary.tar.gz", TORONTO, "c32a1d4ab5d03f1284b67883e8d87530", 170052171}}},
    {"cifar100", {{"cifar-100-binary.tar.gz", TORONTO, "03b5dce01913d631647c71ecec9e9cb8", 168513733}}},
    {"svhn",
     {{"train_32x32.mat", HOUSES, "e26dedcc434d2e4c54c9b2d4a06d8373", 182040794},
      {"test_32x32.mat", HOUSES, "eb5a983be6a315427106f1b164d9cef3", 64275384}}},
    {"stl10",
     {{"stl10_binary.tar.gz", "http://ai.stanford.edu/~acoates/stl10", "91f7769df0f17e558f3565bffb0c7dfb",
       2640397119}}},
    {"mnist",
     {{"train-images-idx3-ubyte.gz", MNIST, "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9912422},
      {"train-labels-idx1-ubyte.gz", MNIST, "d53e105ee54ea40749a09fcbcd1e9432", 28881},
      {"t10k-images-idx3-ubyte.gz", MNIST, "9fb629c4189551a2d022fa330f9573f3", 1648877},
      {"t10k-labels-idx1-ubyte.gz", MNIST, "ec29112dd5afa0611ce80d1b7f02629c", 4542}}},
    {"fashion-mnist",
     {{"train-images-idx3-ubyte.gz", FASHION, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26421880},
      {"train-labels-idx1-ubyte.gz", FASHION, "25c81989df183df01b3e8a0aad5dffbe", 29515},
      {"t10k-images-idx3-ubyte.gz", FASHION, "bef4ecab320f06d8554ea6380940ec79", 4422102},
      {"t10k-labels-idx1-ubyte.gz", FASHION, "bb300cfdad3c16e7a12a480ee83cd310", 5148}}},
    {"tiny-imagenet",
     {{"tiny-imagenet-200.zip", "http://cs231n.stanford.edu", "90528d7ca1a48142e341f4ef8d21d0de", 248100043}}},
};
enum { ENTRIES = sizeof entries / sizeof *entries };

const char *catalog_name(int i) { return i < ENTRIES ? entries[i].name : NULL; }

const catalog_entry *catalog_find(const char *name) {
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(entries[i].name, name) == 0) return &entries[i];
    return NULL;
}

void catalog_place(const catalog_entry *entry, const char *cache, char folder[PATH_MAX], char source[PATH_MAX]) {
    snprintf(folder, PATH_MAX, "%.*s/downloads/%s", PATH_MAX - 128, cache, entry->name);
    if (entry->files[1].name)
        snprintf(source, PATH_MAX, "%s", folder);
    else
        snprintf(source, PATH_MAX, "%.*s/%s", PATH_MAX - 64, folder, entry->files[0].name);
}
