/*
 * Two batches go back and forth between the reading thread and this one: while one is being decoded, the next is being
 * read. Images are appended in the order in which they were read, so the pack does not depend on who was faster.
 */
#include "engine/data/codecs/decode.h"

#include "engine/data/codecs/photo.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BATCH_FILES = 512,
    BATCH_BYTES = 32 << 20,        /* of files read */
    BATCH_PIXEL_BYTES = 128 << 20, /* of images fitted */
    MAX_WARNINGS = 20,
    HOPELESS = 1000, /* broken images, if they are the most of those seen: reading on would only take time */
};

typedef struct batch {
    source_item items[BATCH_FILES];
    pack_tally tallies[BATCH_FILES];
    char problems[BATCH_FILES][192]; /* "" = decoded */
    int count;
    bool full, last; /* full: the decoder's turn */
} batch;

typedef struct reader {
    const importer *im;
    source *from;
    int most; /* files a batch */
    batch *batches;
    bool stop;
    error err; /* of the reading thread; looked at after its last batch */
    pthread_mutex_t lock;
    pthread_cond_t turned;
} reader;

const char decode_endings[] = "JPEG, PNG, WebP, BMP, TIFF, PPM, PGM";

bool decode_is_hidden(const char *name) {
    if (strncmp(name, "__MACOSX/", 9) == 0) return true;
    for (const char *part = name; part; part = strchr(part, '/'), part = part ? part + 1 : NULL)
        if (part[0] == '.' && strncmp(part, "../", 3) != 0 && strcmp(part, "..") != 0) return true;
    return false;
}

static const char *ending_of(const char *name) {
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash + 1 : name, '.');
    return dot ? dot : "";
}

static bool is_one_of(const char *ending, const char *const *endings) {
    for (; *endings; endings++)
        if (strcasecmp(ending, *endings) == 0) return true;
    return false;
}

bool decode_is_image(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp",
                                          ".tif", ".tiff", ".ppm", ".pgm",  NULL};
    return is_one_of(ending_of(name), endings) && !decode_is_hidden(name);
}

char *decode_why_not(const char *name, char *out, size_t size) {
    static const char *const images[] = {".gif", ".jp2", ".j2k",  ".heic", ".heif", ".avif", ".jxl", ".svg",
                                         ".tga", ".psd", ".exr",  ".hdr",  ".dng",  ".cr2",  ".nef", ".pbm",
                                         ".pnm", ".pfm", ".jfif", ".jpe",  ".npy",  ".img",  NULL};
    const char *ending = ending_of(name);
    bool image = is_one_of(ending, images);
    snprintf(out, size,
             image     ? "ends in %.20s, which is not read"
             : *ending ? "not an image (%.20s)"
                       : "not an image%s",
             ending);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127) *p = '?';
    return out;
}

/* ---- The reading thread ---- */

static source_want choose_images(const void *context, const char *name) {
    const importer *im = context;
    return decode_is_image(name) && (!im->wanted || im->wanted(im, name)) ? SOURCE_READ : SOURCE_PASS;
}

static void fill(reader *r, batch *b) {
    size_t bytes = 0;
    b->count = 0;
    while (b->count < r->most && bytes < BATCH_BYTES) {
        source_item *item = &b->items[b->count];
        if (!source_next(r->from, choose_images, r->im, item, &r->err)) {
            b->last = true;
            return;
        }
        bytes += item->size;
        if (decode_is_hidden(item->name)) /* nobody means it to be seen */
            source_item_free(item);
        else
            b->count++;
    }
}

static void *read_ahead(void *argument) {
    reader *r = argument;
    for (int turn = 0;; turn ^= 1) {
        batch *b = &r->batches[turn];
        pthread_mutex_lock(&r->lock);
        while (b->full && !r->stop) pthread_cond_wait(&r->turned, &r->lock);
        bool stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        if (stop) return NULL;
        fill(r, b);
        bool last = b->last;
        pthread_mutex_lock(&r->lock);
        b->full = true;
        pthread_cond_signal(&r->turned);
        pthread_mutex_unlock(&r->lock);
        if (last) return NULL;
    }
}

/* ---- The decoding threads ---- */

/* One thread's scratch memory, and what it has to tell of the images' sizes. */
typedef struct fitter {
    resizer *resizer;
    photo_part part;
    int smallest[2]; /* image that has to grow, the one of the fewest pixels */
    uint32_t refitted, dim;
} fitter;

static void note_size(fitter *f, int width, int height, int side) {
    bool small = width < side || height < side;
    if (small && (!f->smallest[0] || (int64_t)width * height < (int64_t)f->smallest[0] * f->smallest[1]))
        f->smallest[0] = width, f->smallest[1] = height;
    f->refitted += width != side || height != side;
}

/* Of an image of 16 bits the upper 8 are seen: those that hold a camera's 10 or 12 bits come out black. */
static bool is_dim(const photo *p, const photo_part *part) {
    enum { DIM = 16 }; /* 12 bits */
    for (int y = 0; p->deep && y < p->height; y++)
        for (size_t i = 0; i < 3 * (size_t)p->width; i++)
            if (part->corner[(size_t)y * part->stride + i] >= DIM) return false;
    return p->deep;
}

/* pixels NULL: the file is kept, and only counted. */
static bool decode_one(fitter *f, const source_item *item, int side, uint8_t *pixels, pack_tally *tally, error *err) {
    photo p;
    *tally = (pack_tally){0};
    if (!photo_open(&p, item->data, item->size, err) || !image_fits(p.width, p.height, err) ||
        !photo_decode(&p, 1, (resize_box){0, 0, p.width, p.height}, &f->part, err))
        return false;
    note_size(f, p.width, p.height, side);
    f->dim += is_dim(&p, &f->part);
    image whole = {p.width, p.height, (uint8_t *)f->part.corner};
    if (pixels) return image_fit(f->resizer, &whole, side, side, pixels, err);
    pack_count(tally, whole.pixels, (size_t)p.width * (size_t)p.height);
    return true;
}

/* Fits every image of the batch into its place in `pixels`, or counts it. Where memory runs out, no image is broken and
 * none is left out: the import fails. */
static bool decode_batch(batch *b, int side, uint8_t *pixels, int smallest[2], found *out, error *err) {
    size_t each = (size_t)side * (size_t)side * 3;
    error failed = {0};
#pragma omp parallel
    {
        error none = {0}, own = none;
        fitter f = {.resizer = resizer_create(RESIZE_BICUBIC, &own)};
#pragma omp for schedule(dynamic, 8)
        for (int i = 0; i < b->count; i++) {
            source_item *item = &b->items[i];
            error why = none;
            b->problems[i][0] = '\0';
            if (item->kind != SOURCE_FILE || (!item->data && !item->problem)) continue;
            if (item->problem)
                error_set(&why, ERROR_RUN, "%s", item->problem);
            else if (f.resizer)
                decode_one(&f, item, side, pixels ? pixels + (size_t)i * each : NULL, &b->tallies[i], &why);
            if (error_is_shortage(&why)) error_set(&own, ERROR_RUN, "%.300s: %.600s", item->name, why.text);
            if (why.code) snprintf(b->problems[i], sizeof b->problems[i], "%.190s", why.text);
        }
#pragma omp critical(decode_sizes)
        {
            if (f.smallest[0] &&
                (!smallest[0] || (int64_t)f.smallest[0] * f.smallest[1] < (int64_t)smallest[0] * smallest[1]))
                smallest[0] = f.smallest[0], smallest[1] = f.smallest[1];
            out->refitted += f.refitted, out->dim += f.dim;
            if (own.code) failed = own;
        }
        photo_part_free(&f.part);
        resizer_destroy(f.resizer);
    }
    return !failed.code || error_set(err, failed.code, "%s", failed.text);
}

static bool grow(void *array, uint32_t count, uint32_t *capacity, size_t each, error *err) {
    if (count < *capacity) return true;
    uint32_t larger = *capacity ? 2 * *capacity : 1024;
    void **p = array, *moved = realloc(*p, larger * each);
    if (!moved) return error_memory(err, larger * each, "a list of images");
    *p = moved;
    *capacity = larger;
    return true;
}

static void note_broken(importer *im, found *f, const char *name, const char *why) {
    if (f->broken++ < MAX_WARNINGS) import_warn(im, "%s: skipping %s: %s", im->path, name, why);
    account_skip(&im->account, name, "cannot be read");
}

/* Not touched: a link, a member that is encrypted or would lie outside, … */
static void note_skipped(importer *im, found *f, const source_item *item) {
    if (f->skipped++ < MAX_WARNINGS) import_warn(im, "%s: skipping %s: %s", im->path, item->name, item->problem);
    account_skip(&im->account, item->name, item->problem);
}

/* A file whose bytes nobody wanted. */
static void note_unwanted(importer *im, const char *name) {
    char why[128];
    const char *slash = strrchr(name, '/');
    bool image = decode_is_image(name);
    if (im->list && strcmp(slash ? slash + 1 : name, im->list) == 0)
        im->account.used++;
    else
        account_skip(&im->account, name, image ? im->unwanted : decode_why_not(name, why, sizeof why));
}

/* Lists a folder unless it was the last one listed; one that is passed over on purpose is not. */
static bool add_folder(importer *im, found *f, const char *name, size_t length, error *err) {
    const char *last = f->folder_count ? f->folders[f->folder_count - 1] : "";
    if (strncmp(last, name, length) == 0 && last[length] == '\0') return true;
    if (!grow(&f->folders, f->folder_count, &f->folder_capacity, sizeof *f->folders, err)) return false;
    char *copy = strndup(name, length);
    if (!copy) return error_memory(err, length, "a folder's name");
    if (im->wanted && !im->wanted(im, copy))
        free(copy);
    else
        f->folders[f->folder_count++] = copy;
    return true;
}

/* The folders that an item speaks for: its own if it is one, or might be (a link without an ending), else the one it
   lies in. An archive need not list its folders, and a class whose files are all passed over must not go unseen. */
static bool add_folder_of(importer *im, found *f, const source_item *item, error *err) {
    const char *slash = strrchr(item->name, '/');
    if (item->kind == SOURCE_FOLDER) return add_folder(im, f, item->name, strlen(item->name), err);
    if (slash && !add_folder(im, f, item->name, (size_t)(slash + 1 - item->name), err)) return false;
    if (item->kind != SOURCE_SKIPPED || !item->link || *ending_of(item->name)) return true;
    char *folder;
    if (asprintf(&folder, "%s/", item->name) < 0) return error_memory(err, strlen(item->name), "a folder's name");
    bool done = add_folder(im, f, folder, strlen(folder), err);
    free(folder);
    return done;
}

/* Lists what the batch held; the images that were decoded move together and go to the pack. */
static bool keep_batch(importer *im, batch *b, uint8_t *pixels, found *f, error *err) {
    size_t each = (size_t)im->size * (size_t)im->size * 3;
    uint32_t kept = 0, slot = im->pack.images;
    for (int i = 0; i < b->count; i++) {
        source_item *item = &b->items[i];
        im->account.seen += item->kind != SOURCE_FOLDER;
        if (!add_folder_of(im, f, item, err)) return false;
        if (item->kind == SOURCE_SKIPPED)
            note_skipped(im, f, item);
        else if (b->problems[i][0])
            note_broken(im, f, item->name, b->problems[i]);
        else if (item->kind == SOURCE_FILE && !item->data)
            note_unwanted(im, item->name);
        else if (item->kind == SOURCE_FILE) {
            if (!grow(&f->images, f->count, &f->capacity, sizeof *f->images, err)) return false;
            if (im->files && !pack_append_file(&im->pack, item->data, item->size, &b->tallies[i], err)) return false;
            if (pixels && kept != (uint32_t)i) memcpy(pixels + kept * each, pixels + (size_t)i * each, each);
            f->images[f->count++] = (found_image){item->name, slot + kept++};
            item->name = NULL;
        }
        source_item_free(item);
    }
    b->count = 0;
    return im->files || pack_append(&im->pack, pixels, kept, err);
}

static bool take_batches(importer *im, reader *r, uint8_t *pixels, found *out, error *err) {
    for (int turn = 0;; turn ^= 1) {
        batch *b = &r->batches[turn];
        int smallest[2] = {0, 0};
        pthread_mutex_lock(&r->lock);
        while (!b->full) pthread_cond_wait(&r->turned, &r->lock);
        pthread_mutex_unlock(&r->lock);
        if (!decode_batch(b, im->size, pixels, smallest, out, err)) return false;
        if (smallest[0]) import_warn_enlarged(im, smallest[0], smallest[1]);
        if (!keep_batch(im, b, pixels, out, err)) return false;
        if (out->broken > HOPELESS && out->broken > out->count)
            return error_set(err, ERROR_RUN, "%s: %u of the first %u images cannot be read; it was not read to its end",
                             im->path, out->broken, out->count + out->broken);
        import_progress(im, "importing images", out->count, source_count(r->from));
        if (b->last) return true;
        pthread_mutex_lock(&r->lock);
        b->full = false;
        pthread_cond_signal(&r->turned);
        pthread_mutex_unlock(&r->lock);
    }
}

bool decode_source(importer *im, source *from, found *out, error *err) {
    size_t each = (size_t)im->size * (size_t)im->size * 3;
    int most = im->files ? BATCH_FILES : (int)(BATCH_PIXEL_BYTES / each);
    reader r = {.im = im, .from = from, .most = most < BATCH_FILES ? most : BATCH_FILES};
    bool done = false;
    pthread_t thread;
    uint8_t *pixels = im->files ? NULL : malloc((size_t)r.most * each);
    r.batches = calloc(2, sizeof *r.batches);
    if ((!pixels && !im->files) || !r.batches) {
        error_memory(err, (size_t)r.most * each + 2 * sizeof *r.batches, "batches of images");
        goto freed;
    }
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.turned, NULL);
    if (pthread_create(&thread, NULL, read_ahead, &r) != 0) {
        error_set(err, ERROR_RUN, "cannot start a thread to read %s", im->path);
        goto done;
    }
    done = take_batches(im, &r, pixels, out, err);
    pthread_mutex_lock(&r.lock);
    r.stop = true;
    pthread_cond_signal(&r.turned);
    pthread_mutex_unlock(&r.lock);
    pthread_join(thread, NULL);
    if (done && r.err.code) done = error_set(err, r.err.code, "%s", r.err.text);
    if (done && (uint64_t)out->broken * 100 > (uint64_t)out->count + out->broken)
        done = error_set(err, ERROR_RUN, "%s: %u of %u images cannot be read; more than 1 %% is too many to skip",
                         im->path, out->broken, out->count + out->broken);
    if (done && out->refitted && !im->files)
        import_warn(im,
                    "%s: %u of %u images are not %dx%d: their short side was resized to that and the middle kept; "
                    "data.packing files keeps and crops whole images",
                    im->path, out->refitted, out->count, im->size, im->size);
    if (done && out->dim)
        import_warn(im,
                    "%s: %u images of 16 bits hold no value above 4095, so that their upper 8 bits are all but black; "
                    "10 or 12 bits of a camera want to be scaled to 16 or 8 before",
                    im->path, out->dim);
    if (done && out->broken)
        import_warn(im, "%s: skipped %u of %u images that cannot be read", im->path, out->broken,
                    out->count + out->broken);
done:
    pthread_cond_destroy(&r.turned);
    pthread_mutex_destroy(&r.lock);
freed:
    for (int i = 0; r.batches && i < 2; i++)
        for (int j = 0; j < r.batches[i].count; j++) source_item_free(&r.batches[i].items[j]);
    free(r.batches);
    free(pixels);
    return done;
}

void found_free(found *f) {
    for (uint32_t i = 0; i < f->count; i++) free(f->images[i].name);
    for (uint32_t i = 0; i < f->folder_count; i++) free(f->folders[i]);
    free(f->images);
    free(f->folders);
    *f = (found){0};
}
