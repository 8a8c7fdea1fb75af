/*
 * Two batches go back and forth between the reading thread and this one: while one is being decoded, the next is being
 * read. Images are appended in the order in which they were read, so the pack does not depend on who was faster.
 */
#include "engine/data/decode.h"

#include "engine/data/photo.h"

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

bool decode_is_image(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    if (!dot || base[0] == '.' || strncmp(name, "__MACOSX/", 9) == 0) return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

/* ---- The reading thread ---- */

static source_want choose_images(const void *context, const char *name) {
    const importer *im = context;
    return decode_is_image(name) && (!im->wanted || im->wanted(im, name)) ? SOURCE_READ : SOURCE_PASS;
}

static bool is_of_interest(const source_item *item) { return item->kind != SOURCE_FILE || item->data || item->problem; }

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
        if (is_of_interest(item))
            b->count++;
        else
            source_item_free(item);
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
    uint32_t refitted;
} fitter;

static void note_size(fitter *f, int width, int height, int side) {
    bool small = width < side || height < side;
    if (small && (!f->smallest[0] || (int64_t)width * height < (int64_t)f->smallest[0] * f->smallest[1]))
        f->smallest[0] = width, f->smallest[1] = height;
    f->refitted += width != side || height != side;
}

/* pixels NULL: the file is kept, and only counted. */
static bool decode_one(fitter *f, const source_item *item, int side, uint8_t *pixels, pack_tally *tally, error *err) {
    photo p;
    *tally = (pack_tally){0};
    if (!photo_open(&p, item->data, item->size, err) || !image_fits(p.width, p.height, err) ||
        !photo_decode(&p, 1, (resize_box){0, 0, p.width, p.height}, &f->part, err))
        return false;
    note_size(f, p.width, p.height, side);
    image whole = {p.width, p.height, (uint8_t *)f->part.corner};
    if (pixels) return image_fit(f->resizer, &whole, side, side, pixels, err);
    pack_count(tally, whole.pixels, (size_t)p.width * (size_t)p.height);
    return true;
}

/* Fits every image of the batch into its place in `pixels`, or counts it. */
static void decode_batch(batch *b, int side, uint8_t *pixels, int smallest[2], uint32_t *refitted) {
    size_t each = (size_t)side * (size_t)side * 3;
#pragma omp parallel
    {
        error none = {0};
        fitter f = {.resizer = resizer_create(RESIZE_BICUBIC, &none)};
#pragma omp for schedule(dynamic, 8)
        for (int i = 0; i < b->count; i++) {
            source_item *item = &b->items[i];
            error err = none;
            b->problems[i][0] = '\0';
            if (item->kind != SOURCE_FILE) continue;
            if (item->problem)
                error_set(&err, ERROR_RUN, "%s", item->problem);
            else if (f.resizer)
                decode_one(&f, item, side, pixels ? pixels + (size_t)i * each : NULL, &b->tallies[i], &err);
            if (err.code) snprintf(b->problems[i], sizeof b->problems[i], "%.190s", err.text);
        }
#pragma omp critical(decode_sizes)
        {
            if (f.smallest[0] &&
                (!smallest[0] || (int64_t)f.smallest[0] * f.smallest[1] < (int64_t)smallest[0] * smallest[1]))
                smallest[0] = f.smallest[0], smallest[1] = f.smallest[1];
            *refitted += f.refitted;
        }
        photo_part_free(&f.part);
        resizer_destroy(f.resizer);
    }
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
}

/* Lists what the batch held; the images that were decoded move together and go to the pack. */
static bool keep_batch(importer *im, batch *b, uint8_t *pixels, found *f, error *err) {
    size_t each = (size_t)im->size * (size_t)im->size * 3;
    uint32_t kept = 0, slot = im->pack.images;
    for (int i = 0; i < b->count; i++) {
        source_item *item = &b->items[i];
        if (item->kind == SOURCE_SKIPPED) {
            import_warn(im, "%s: skipping %s: %s", im->path, item->name, item->problem);
        } else if (item->kind == SOURCE_FOLDER && im->wanted && !im->wanted(im, item->name)) {
            source_item_free(item);
        } else if (item->kind == SOURCE_FOLDER) {
            if (!grow(&f->folders, f->folder_count, &f->folder_capacity, sizeof *f->folders, err)) return false;
            f->folders[f->folder_count++] = item->name;
            item->name = NULL;
        } else if (b->problems[i][0]) {
            note_broken(im, f, item->name, b->problems[i]);
        } else {
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
        decode_batch(b, im->size, pixels, smallest, &out->refitted);
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
