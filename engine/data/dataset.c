/*
 * A data set is opened in three steps: what the source looks like now (its fingerprint), the packed file made from just
 * that (made first if there is none), and which of its samples each split takes. One file is kept per source and size
 * and replaced when the source changes. While one process imports, others wait at a lock beside the file and then find
 * the work done.
 */
#include "engine/data/dataset.h"

#include "engine/files/checksum.h"
#include "engine/data/sets/catalog.h"
#include "engine/data/sets/import.h"
#include "engine/data/pack.h"
#include "engine/data/select.h"
#include "engine/data/shapes.h"
#include "engine/data/sets/source.h"
#include "engine/files/file.h"
#include "engine/files/lease.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SHAPES };

enum {
    IMPORT_VERSION = 3, /* goes up when an importer starts to make other images or another order */
    MAX_LISTED = 1 << 16,
};

static const char *const names[] = {"shapes", "cifar10",       "cifar100",      "svhn",   "stl10",
                                    "mnist",  "fashion-mnist", "tiny-imagenet", "folder", NULL};
static const char *const labels[] = {"fine", "coarse", NULL};
static const char *const packings[] = {"pixels", "files", NULL};
static const char *const decodings[] = {"exact", "scaled", NULL};

#define ROW(member) .key = #member, .offset = offsetof(data_options, member)

static const field rows[] = {
    {ROW(name), .type = FIELD_CHOICE, .fallback = "shapes", .choices = names, .identity = true,
     .help = "data set: shapes (drawn by the program); cifar10, cifar100 (binary files, or images as folder); svhn "
             "(.mat); stl10 (binary); mnist, fashion-mnist (IDX); tiny-imagenet (as published); folder (images)"},
    {ROW(path), .type = FIELD_TEXT, .fallback = "",
     .help = "directory or archive (tar, zip), which also says what data.name is where that is not given; empty = what "
             "`mews data fetch` brought"},
    {ROW(train), .type = FIELD_TEXT, .fallback = "",
     .help = "of folder: pattern of the folders (or images) to train on, as in train.X* or '*/train/*'; . = all; empty "
             "= by the folders' names"},
    {ROW(test), .type = FIELD_TEXT, .fallback = "",
     .help = "of folder: likewise the test images; empty beside data.train = a tenth of the training images"},
    {ROW(size), .type = FIELD_INT, .fallback = "32", .min = 8, .max = 512, .identity = true,
     .help = "side of the square images, pixels; others are resized and cropped to it"},
    {ROW(packing), .type = FIELD_CHOICE, .fallback = "pixels", .choices = packings, .identity = IDENTITY_IF_SET,
     .help = "pixels: images are brought to data.size once (small images); files: JPEGs and PNGs are kept as they are, "
             "crops taken from the whole image, evaluation sees the middle 7/8 (photographs)"},
    {ROW(decode), .type = FIELD_CHOICE, .fallback = "exact", .choices = decodings, .identity = IDENTITY_IF_SET,
     .help =
         "of packing files: exact, the pixels that the whole image has; scaled, JPEGs are decoded 2, 4 or 8 times "
         "smaller where all of an image's crops are that much larger than their views: faster, slightly other pixels"},
    {ROW(limit), .type = FIELD_INT, .fallback = "0", .min = 0, .max = UINT32_MAX, .identity = true,
     .help = "train on the first N of a seeded shuffle of the training split; 0 = all"},
    {ROW(validation), .type = FIELD_REAL, .fallback = "0", .min = 0, .max = 0.9, .identity = true,
     .help = "share of the training split held out to choose settings on; comes off before limit"},
    {ROW(imbalance), .type = FIELD_REAL, .fallback = "1", .min = 1, .max = 1e6, .identity = true,
     .help = "long tail: training images of the first class for each of the last, falling exponentially; 1 = as it is"},
    {ROW(classes), .type = FIELD_LIST, .fallback = "", .identity = true,
     .help = "only these classes, by name: [cat, dog]; empty = all"},
    {ROW(class_list), .type = FIELD_TEXT, .fallback = "",
     .help = "file that names a class folder a line (ImageNet-100): only these are imported; empty = all"},
    {ROW(labels), .type = FIELD_CHOICE, .fallback = "fine", .choices = labels, .identity = true,
     .help = "of cifar100: fine (100 classes) or coarse (20 superclasses)"},
    {ROW(unlabelled), .type = FIELD_BOOL, .fallback = "false", .identity = true,
     .help = "of stl10: pretrain on the images without labels, too (2.7 GB to read)"},
    {ROW(seed), .type = FIELD_INT, .fallback = "0", .min = 0, .max = 0x1p53, .identity = true,
     .help = "seed of the shuffle behind limit, validation and imbalance"},
    {ROW(mean), .type = FIELD_LIST, .fallback = "", .identity = IDENTITY_IF_SET,
     .help = "what images are normalised by: [red, green, blue] of 0 to 1, for weights that know others than these "
             "images' own"},
    {ROW(std), .type = FIELD_LIST, .fallback = "", .identity = IDENTITY_IF_SET,
     .help = "standard deviations likewise; ImageNet's are [0.229, 0.224, 0.225], its means [0.485, 0.456, 0.406]"},
    {ROW(cache), .type = FIELD_TEXT, .fallback = "",
     .help = "folder of packed data sets; empty = $XDG_CACHE_HOME/mews or ~/.cache/mews"},
};

const field_condition data_conditions[] = {
    {"path", "name!=shapes"},
    {"decode", "packing=files"},
    {"class_list", "name=folder"},
    {"labels", "name=cifar100"},
    {"unlabelled", "name=stl10"},
    {"train", "name=folder"},
    {"test", "name=folder"},
    {"seed", "limit!=0"},
    {"seed", "validation!=0"},
    {"seed", "imbalance!=1"},
    {0},
};

const field_table data_fields = {"data", rows, sizeof rows / sizeof *rows, sizeof(data_options)};

struct dataset {
    pack pack;
    int name, size;
    bool scaled;
    float mean[3], std[3]; /* that images are normalised by */
    selection chosen;
    char *file;
};

/* ---- Which file, made from what ---- */

bool dataset_cache(const data_options *options, char *out, error *err) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (options->cache[0])
        n = snprintf(out, PATH_MAX, "%s", options->cache);
    else if (xdg && xdg[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/mews", xdg);
    else if (home && home[0])
        n = snprintf(out, PATH_MAX, "%s/.cache/mews", home);
    else
        return error_set(err, ERROR_USAGE, "no folder for packed data sets: set data.cache, XDG_CACHE_HOME or HOME");
    return n < PATH_MAX || error_set(err, ERROR_USAGE, "the path of data.cache is too long");
}

/* Where the images come from: data.path, or without one what was fetched before. */
static bool find_source(const data_options *options, const char *folder, char path[PATH_MAX], error *err) {
    const catalog_entry *fetched = catalog_find(names[options->name]);
    char downloads[PATH_MAX];
    snprintf(path, PATH_MAX, "%s", options->path);
    if (options->path[0] || options->name == NAME_SHAPES) return true;
    if (fetched) catalog_place(fetched, folder, downloads, path);
    if (fetched && access(path, F_OK) == 0) return true;
    return error_set(err, ERROR_USAGE, "data.name %s needs data.path, a directory or an archive%s%s%s",
                     names[options->name], fetched ? "; or run `mews data fetch " : "", fetched ? fetched->name : "",
                     fetched ? "` first" : "");
}

/* What the import depends on besides the source: another variant is another file, so that a sweep may go to and fro. */
static bool describe_variant(const data_options *options, char out[256], error *err) {
    char sum[65] = "", split[65] = "";
    const char *name = names[options->name];
    if (options->labels == LABELS_COARSE && strcmp(name, "cifar100") != 0)
        return error_set(err, ERROR_USAGE, "data.labels coarse is for cifar100 only, not for %s", name);
    if (options->unlabelled && strcmp(name, "stl10") != 0)
        return error_set(err, ERROR_USAGE, "data.unlabelled is for stl10 only; %s has no unlabelled images", name);
    if (options->packing == PACKING_FILES && strcmp(name, "folder") != 0 && strcmp(name, "tiny-imagenet") != 0)
        return error_set(err, ERROR_USAGE,
                         "data.packing files is for folder and tiny-imagenet, whose images are files; %s has only "
                         "pixels",
                         name);
    if ((options->train[0] || options->test[0]) && strcmp(name, "folder") != 0)
        return error_set(err, ERROR_USAGE, "data.%s is for data.name folder only; %s has splits of its own",
                         options->train[0] ? "train" : "test", name);
    if (options->train[0] || options->test[0]) {
        char both[2 * FIELD_TEXT_SIZE + 1];
        int n = snprintf(both, sizeof both, "%s\n%s", options->train, options->test);
        checksum_sha256(both, (size_t)n, split);
        split[12] = '\0';
    }
    if (options->class_list[0]) {
        size_t size;
        if (strcmp(name, "folder") != 0)
            return error_set(err, ERROR_USAGE, "data.class_list is for data.name folder only; for %s see data.classes",
                             name);
        char *text = file_read(options->class_list, &size, err);
        if (!text) return err->code = ERROR_USAGE, error_prefix(err, "data.class_list");
        checksum_sha256(text, size, sum);
        free(text);
        sum[12] = '\0';
    }
    snprintf(out, 256, "%s%s%s%s%s%s%s", options->labels == LABELS_COARSE ? "-coarse" : "",
             options->unlabelled ? "-unlabelled" : "", options->packing == PACKING_FILES ? "-files" : "",
             sum[0] ? "-" : "", sum, split[0] ? "-split-" : "", split);
    return true;
}

/* The packed file's path in `file`, and in `source` the sum of all that its content depends on. */
static bool identify(const data_options *options, const char *path, const char *folder, char **file, char source[65],
                     error *err) {
    char text[PATH_MAX + 512], print[65] = "", where[65] = "", variant[256];
    if (!describe_variant(options, variant, err)) return false;
    if (options->name != NAME_SHAPES) {
        char real[PATH_MAX];
        if (!source_fingerprint(path, print, err)) return error_prefix(err, "data.path");
        if (!realpath(path, real))
            return error_set(err, ERROR_USAGE, "data.path: cannot read %s: %s", path, strerror(errno));
        checksum_sha256(real, strlen(real), where);
        where[12] = '\0';
    }
    long long size = options->packing == PACKING_FILES ? 0 : options->size; /* files serve every size */
    snprintf(text, sizeof text, "%s%s %s %lld %d %d", names[options->name], variant, print, size, IMPORT_VERSION,
             SHAPES_VERSION);
    checksum_sha256(text, strlen(text), source);
    int n = asprintf(file, "%s/%s%s-%lld%s%s.mews", folder, names[options->name], variant, size, where[0] ? "-" : "",
                     where);
    if (n >= 0) return true;
    *file = NULL;
    return error_memory(err, PATH_MAX, "a file's name");
}

/* The first word of every line of data.class_list, sorted; what follows it, and lines after a #, are for people. */
static bool read_class_list(importer *im, char **text, const char ***listed, error *err) {
    const char *path = im->options->class_list;
    size_t count = 0;
    if (!path[0]) return true;
    if (!(*text = file_read(path, NULL, err))) return error_prefix(err, "data.class_list");
    *listed = calloc(MAX_LISTED + 1, sizeof **listed);
    if (!*listed) return error_memory(err, MAX_LISTED * sizeof **listed, "a list of classes");
    char *rest = *text;
    for (char *line; (line = strsep(&rest, "\r\n"));) {
        char *word = strsep(&line, " \t,");
        if (!*word || *word == '#') continue;
        if (count == MAX_LISTED) return error_set(err, ERROR_USAGE, "%s names more than %d classes", path, MAX_LISTED);
        (*listed)[count++] = word;
    }
    im->listed = *listed;
    return count > 0 || error_set(err, ERROR_USAGE, "data.class_list: %s names no class", path);
}

/* ---- Importing, one process at a time ---- */

/* Nothing is passed over without a word. */
static void tell_skipped(importer *im) {
    char why[1024];
    if (account_skipped(&im->account))
        import_warn(im, "%s: %s", im->path, account_brief(&im->account, why, sizeof why));
}

static bool import(const data_options *options, const char *file, const char source[65], importer *im, error *err) {
    static bool (*const importers[])(importer *, error *) = {shapes_import,  cifar_import,         cifar100_import,
                                                             svhn_import,    stl10_import,         mnist_import,
                                                             fashion_import, tiny_imagenet_import, folder_import};
    char *text = NULL;
    const char **listed = NULL;
    bool done = read_class_list(im, &text, &listed, err) &&
                pack_begin(&im->pack, file, im->files ? 0 : im->size, err) && importers[options->name](im, err);
    if (done && im->pack.lists[PACK_TRAIN].count == 0)
        done = error_set(err, ERROR_USAGE, "%s: no images to train on", im->path);
    if (done) tell_skipped(im);
    if (done) done = (im->pack.account = account_text(&im->account, err)) && pack_finish(&im->pack, source, err);
    account_free(&im->account);
    pack_abandon(&im->pack);
    free(listed);
    free(text);
    return done;
}

static bool open_or_import(pack *p, const data_options *options, const char *folder, const char *file,
                           const char source[65], importer *im, error *err) {
    error damage = {0};
    if (pack_open(p, file, source, &damage) == PACK_READY) return true;
    char *lease_path = NULL;
    lease *own = NULL;
    bool done = false;
    if (!file_make_folders(folder, err)) goto done;
    if (asprintf(&lease_path, "%s.lease", file) < 0) {
        lease_path = NULL;
        error_memory(err, PATH_MAX, "a file's name");
        goto done;
    }
    if (!(own = lease_await(lease_path, err))) goto done;
    file_remove_leftovers_of(file, false); /* of an import that was killed: whoever has the lease is the only writer */
    file_remove_leftovers_of(lease_path, false);
    damage = (error){0};
    pack_state state = pack_open(p, file, source, &damage); /* again: another process may have been at work */
    if (state == PACK_DAMAGED) import_warn(im, "%s; importing again", damage.text);
    done = state == PACK_READY ||
           (import(options, file, source, im, err) && pack_open(p, file, source, err) == PACK_READY) ||
           error_set(err, ERROR_RUN, "%s changed while it was opened", file);
done:
    lease_release(own);
    free(lease_path);
    return done;
}

/* ---- Normalisation ---- */

/* "[a, b, c]" into three numbers from `least` to 1; an empty list leaves the images' own. */
static bool take_channels(const char *key, const char *list, double least, const float own[3], float out[3],
                          error *err) {
    const char *at = list + strspn(list, " [");
    memcpy(out, own, 3 * sizeof *out);
    if (!*at || *at == ']') return true;
    for (int i = 0; i < 3; i++) {
        char *end;
        double x = strtod(at, &end);
        bool is_number = end != at;
        at = end + strspn(end, i < 2 ? " ," : " ]");
        if (!is_number || !(x >= least && x <= 1) || (i == 2 && *at))
            return error_set(err, ERROR_USAGE,
                             "data.%s takes three numbers from %g to 1, [red, green, blue], not %.80s", key, least,
                             list);
        out[i] = (float)x;
    }
    return true;
}

static bool take_normalisation(dataset *set, const data_options *options, error *err) {
    return take_channels("mean", options->mean, 0, set->pack.mean, set->mean, err) &&
           take_channels("std", options->std, 1e-3, set->pack.std, set->std, err);
}

dataset *dataset_open(const data_options *options, dataset_progress progress, void (*warn)(void *, const char *),
                      void *context, error *err) {
    importer im = {.options = options,
                   .size = (int)options->size,
                   .files = options->packing == PACKING_FILES,
                   .progress = progress,
                   .warn = warn,
                   .context = context};
    char folder[PATH_MAX], path[PATH_MAX], source[65];
    dataset *set = calloc(1, sizeof *set);
    if (!set) {
        error_memory(err, sizeof *set, "a data set");
        return NULL;
    }
    set->name = options->name, set->size = im.size, set->scaled = im.files && options->decode == DECODE_SCALED;
    im.path = path;
    if (dataset_cache(options, folder, err) && find_source(options, folder, path, err) &&
        identify(options, path, folder, &set->file, source, err) &&
        open_or_import(&set->pack, options, folder, set->file, source, &im, err) &&
        selection_make(&set->chosen, &set->pack, options, err) && take_normalisation(set, options, err))
        return set;
    dataset_close(set);
    return NULL;
}

void dataset_close(dataset *set) {
    if (!set) return;
    pack_close(&set->pack);
    selection_free(&set->chosen);
    free(set->file);
    free(set);
}

/* ---- Looking ---- */

const char *dataset_name(const dataset *set) { return names[set->name]; }
int dataset_size(const dataset *set) { return set->size; }
bool dataset_has_pixels(const dataset *set) { return !set->pack.offsets; }
bool dataset_decodes_scaled(const dataset *set) { return set->scaled; }
int dataset_classes(const dataset *set) { return (int)set->chosen.classes; }
bool dataset_is_labelled(const dataset *set) { return set->chosen.classes > 1; }
const char *dataset_account(const dataset *set) { return set->pack.account; }
const char *dataset_class_name(const dataset *set, int label) { return set->pack.class_names[set->chosen.kept[label]]; }

const char *dataset_checksum(const dataset *set) { return set->pack.checksum; }
const float *dataset_mean(const dataset *set) { return set->mean; }
const float *dataset_std(const dataset *set) { return set->std; }
uint32_t dataset_count(const dataset *set, dataset_split split) { return set->chosen.counts[split]; }
bool dataset_verify(const dataset *set, error *err) { return pack_verify(&set->pack, set->file, err); }

/* The packed list that holds sample i, and its place there. */
static int packed_place(const dataset *set, dataset_split split, uint32_t *i) {
    *i = set->chosen.samples[split][*i];
    if (split == SPLIT_TEST) return PACK_TEST;
    if (*i < set->pack.counts[PACK_TRAIN]) return PACK_TRAIN;
    *i -= set->pack.counts[PACK_TRAIN];
    return PACK_UNLABELLED;
}

int dataset_label(const dataset *set, dataset_split split, uint32_t i) {
    int from = packed_place(set, split, &i);
    uint32_t label = set->pack.labels[from][i];
    return label == PACK_NO_LABEL ? -1 : set->chosen.renumbered[label];
}

const uint8_t *dataset_image(const dataset *set, dataset_split split, uint32_t i) {
    int from = packed_place(set, split, &i);
    return pack_image(&set->pack, from, i);
}

bool dataset_photo(const dataset *set, dataset_split split, uint32_t i, photo *out, error *err) {
    uint32_t at = i;
    int from = packed_place(set, split, &at);
    size_t bytes;
    const uint8_t *data = pack_file(&set->pack, from, at, &bytes);
    return photo_open(out, data, bytes, err) || error_prefix(err, "%s: image %u", set->file, i);
}
