/*
 * A data set is opened in three steps: what the source looks like now (its fingerprint), the packed file made from just
 * that (made first if there is none), and which of its samples each split takes. One file is kept per source and size
 * and replaced when the source changes. While one process imports, others wait at a lock beside the file and then find
 * the work done.
 */
#include "engine/data/dataset.h"

#include "engine/data/import.h"
#include "engine/data/pack.h"
#include "engine/data/shapes.h"
#include "engine/data/source.h"
#include "engine/file.h"
#include "engine/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SHAPES, NAME_CIFAR10, NAME_FOLDER };

enum { IMPORT_VERSION = 1 }; /* goes up when an importer starts to make other images or another order */

static const char *const names[] = {"shapes", "cifar10", "folder", NULL};

#define ROW(member) .key = #member, .offset = offsetof(data_options, member)

static const field rows[] = {
    {ROW(name), .type = FIELD_CHOICE, .fallback = "shapes", .choices = names, .identity = true,
     .help = "data set: shapes (drawn by the program), cifar10 (binary files, or images as folder), folder (images)"},
    {ROW(path), .type = FIELD_TEXT, .fallback = "", .help = "directory or archive (tar, zip); unused by shapes"},
    {ROW(size), .type = FIELD_INT, .fallback = "32", .min = 8, .max = 512, .identity = true,
     .help = "side of the square images, pixels; others are resized and cropped to it"},
    {ROW(limit), .type = FIELD_INT, .fallback = "0", .min = 0, .max = UINT32_MAX, .identity = true,
     .help = "train on the first N of a seeded shuffle of the training split; 0 = all"},
    {ROW(validation), .type = FIELD_REAL, .fallback = "0", .min = 0, .max = 0.9, .identity = true,
     .help = "share of the training split held out to choose settings on; comes off before limit"},
    {ROW(seed), .type = FIELD_INT, .fallback = "0", .min = 0, .max = 0x1p53, .identity = true,
     .help = "seed of the shuffle behind limit and validation"},
    {ROW(cache), .type = FIELD_TEXT, .fallback = "",
     .help = "folder of packed data sets; empty = $XDG_CACHE_HOME/mews or ~/.cache/mews"},
};

const field_table data_fields = {"data", rows, sizeof rows / sizeof *rows, sizeof(data_options)};

struct dataset {
    pack pack;
    int name;
    uint32_t *order; /* a shuffle of the training split: validation first, then training */
    uint32_t first[SPLIT_COUNT], counts[SPLIT_COUNT];
    char *file;
};

/* ---- Which file, made from what ---- */

static bool cache_folder(const data_options *options, char out[PATH_MAX], error *err) {
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

/* The packed file's path in `file`, and in `source` the sum of all that its content depends on. */
static bool identify(const data_options *options, const char *folder, char **file, char source[65], error *err) {
    char text[PATH_MAX + 256], print[65] = "", where[65] = "";
    if (options->name != NAME_SHAPES) {
        char real[PATH_MAX];
        if (!options->path[0])
            return error_set(err, ERROR_USAGE, "data.name %s needs data.path, a directory or an archive",
                             names[options->name]);
        if (!source_fingerprint(options->path, print, err)) return error_prefix(err, "data.path");
        if (!realpath(options->path, real))
            return error_set(err, ERROR_USAGE, "data.path: cannot read %s: %s", options->path, strerror(errno));
        file_sha256(real, strlen(real), where);
        where[12] = '\0';
    }
    snprintf(text, sizeof text, "%s %s %lld %d %d", names[options->name], print, (long long)options->size,
             IMPORT_VERSION, SHAPES_VERSION);
    file_sha256(text, strlen(text), source);
    int n = asprintf(file, "%s/%s-%lld%s%s.mews", folder, names[options->name], (long long)options->size,
                     where[0] ? "-" : "", where);
    if (n >= 0) return true;
    *file = NULL;
    return error_memory(err, PATH_MAX, "a file's name");
}

/* ---- Importing, one process at a time ---- */

/*
 * Takes the lock file, which whoever held it last has removed: so a lock that was waited for counts only if the name
 * still leads to it.
 */
static int lock_take(const char *path, error *err) {
    for (;;) {
        int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        struct stat held, named;
        if (lock < 0) {
            error_set(err, ERROR_RUN, "cannot write %s: %s", path, strerror(errno));
            return -1;
        }
        while (flock(lock, LOCK_EX) != 0) {
            if (errno == EINTR) continue;
            error_set(err, ERROR_RUN, "cannot lock %s: %s", path, strerror(errno));
            close(lock);
            return -1;
        }
        if (fstat(lock, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev)
            return lock;
        close(lock);
    }
}

static bool import(const data_options *options, const char *file, const char source[65], importer *im, error *err) {
    static bool (*const importers[])(importer *, error *) = {shapes_import, cifar_import, folder_import};
    bool done = pack_begin(&im->pack, file, im->size, err) && importers[options->name](im, err);
    if (done && im->pack.lists[PACK_TRAIN].count == 0)
        done = error_set(err, ERROR_RUN, "%s: no images to train on", options->path);
    if (done) done = pack_finish(&im->pack, source, err);
    pack_abandon(&im->pack);
    return done;
}

static bool open_or_import(pack *p, const data_options *options, const char *folder, const char *file,
                           const char source[65], importer *im, error *err) {
    error damage = {0};
    if (pack_open(p, file, source, &damage) == PACK_READY) return true;
    char *lock_path = NULL;
    int lock = -1;
    bool done = false;
    if (!file_make_folders(folder, err)) goto done;
    if (asprintf(&lock_path, "%s.lock", file) < 0) {
        lock_path = NULL;
        error_memory(err, PATH_MAX, "a file's name");
        goto done;
    }
    if ((lock = lock_take(lock_path, err)) < 0) goto done;
    damage = (error){0};
    pack_state state = pack_open(p, file, source, &damage); /* again: another process may have been at work */
    if (state == PACK_DAMAGED) import_warn(im, "%s; importing again", damage.text);
    done = state == PACK_READY ||
           (import(options, file, source, im, err) && pack_open(p, file, source, err) == PACK_READY) ||
           error_set(err, ERROR_RUN, "%s changed while it was opened", file);
done:
    if (lock >= 0) unlink(lock_path), close(lock);
    free(lock_path);
    return done;
}

/* ---- Splits ---- */

static bool choose_samples(dataset *set, const data_options *options, error *err) {
    uint32_t all = set->pack.counts[PACK_TRAIN];
    uint32_t validation = (uint32_t)llround(options->validation * all), training = all - validation;
    if (training == 0) return error_set(err, ERROR_USAGE, "data.validation leaves none of %u images to train on", all);
    if (options->limit > 0 && options->limit < training) training = (uint32_t)options->limit;
    set->order = malloc(all * sizeof *set->order);
    if (!set->order) return error_memory(err, all * sizeof *set->order, "a data set's order");
    for (uint32_t i = 0; i < all; i++) set->order[i] = i;
    rng random = rng_stream((uint64_t)options->seed, RNG_SUBSET, 0, 0, 0);
    rng_shuffle(&random, set->order, all);
    set->first[SPLIT_TRAIN] = validation;
    set->counts[SPLIT_TRAIN] = training;
    set->counts[SPLIT_VALIDATION] = validation;
    set->counts[SPLIT_TEST] = set->pack.counts[PACK_TEST];
    return true;
}

dataset *dataset_open(const data_options *options, dataset_progress progress, void (*warn)(void *, const char *),
                      void *context, error *err) {
    importer im = {
        .path = options->path, .size = (int)options->size, .progress = progress, .warn = warn, .context = context};
    char folder[PATH_MAX], source[65];
    dataset *set = calloc(1, sizeof *set);
    if (!set) {
        error_memory(err, sizeof *set, "a data set");
        return NULL;
    }
    set->name = options->name;
    if (cache_folder(options, folder, err) && identify(options, folder, &set->file, source, err) &&
        open_or_import(&set->pack, options, folder, set->file, source, &im, err) && choose_samples(set, options, err))
        return set;
    dataset_close(set);
    return NULL;
}

void dataset_close(dataset *set) {
    if (!set) return;
    pack_close(&set->pack);
    free(set->order);
    free(set->file);
    free(set);
}

/* ---- Looking ---- */

static int packed_split(dataset_split split) { return split == SPLIT_TEST ? PACK_TEST : PACK_TRAIN; }

static uint32_t packed_index(const dataset *set, dataset_split split, uint32_t i) {
    return split == SPLIT_TEST ? i : set->order[set->first[split] + i];
}

const char *dataset_name(const dataset *set) { return names[set->name]; }
int dataset_size(const dataset *set) { return set->pack.size; }
int dataset_classes(const dataset *set) { return (int)set->pack.classes; }
const char *dataset_class_name(const dataset *set, int label) { return set->pack.class_names[label]; }
const char *dataset_checksum(const dataset *set) { return set->pack.checksum; }
const float *dataset_mean(const dataset *set) { return set->pack.mean; }
const float *dataset_std(const dataset *set) { return set->pack.std; }
uint32_t dataset_count(const dataset *set, dataset_split split) { return set->counts[split]; }
bool dataset_verify(const dataset *set, error *err) { return pack_verify(&set->pack, set->file, err); }

int dataset_label(const dataset *set, dataset_split split, uint32_t i) {
    return (int)set->pack.labels[packed_split(split)][packed_index(set, split, i)];
}

const uint8_t *dataset_image(const dataset *set, dataset_split split, uint32_t i) {
    return pack_image(&set->pack, packed_split(split), packed_index(set, split, i));
}
