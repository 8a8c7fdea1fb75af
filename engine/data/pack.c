/*
 * Layout: a header of 4096 bytes, images, zeros up to a multiple of 8, slots (uint32 per sample: training, test,
 * unlabelled), labels (uint32, likewise), where the images are files (size 0) their offsets (uint64 per slot, and the
 * end), a sum of each MiB between header and tail (64 bits of SHA-256), class names (each ended by a zero byte), the
 * import's account (text, ended by a zero byte). Numbers are little-endian, as on every machine this runs on. Header
 * and tail carry SHA-256 sums of their own and are checked at every opening; the images' sum, which takes a pass over
 * the whole file, is checked on demand. That sum is taken over the images' own sums, so that all cores share the work
 * and the images' place in the file does not matter.
 */
#include "engine/files/checksum.h"
#include "engine/data/pack_layout.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(pack_header) <= PACK_HEADER_BYTES, "the header fits its page");

static size_t image_bytes(int size) { return (size_t)size * (size_t)size * 3; }

/* Where each slot's bytes lie: at equal distances, or at offsets. */
typedef struct extents {
    const uint8_t *images;
    size_t each;
    const uint64_t *offsets;
} extents;

static const uint8_t *extent_of(const extents *e, uint32_t slot, size_t *bytes) {
    *bytes = e->offsets ? e->offsets[slot + 1] - e->offsets[slot] : e->each;
    return e->images + (e->offsets ? e->offsets[slot] : slot * (uint64_t)e->each);
}

/* ---- Reading ---- */

static bool damaged(const char *path, const char *how, error *err) {
    return error_set(err, ERROR_RUN, "%s is damaged: %s", path, how);
}

static bool check_header(const pack_header *h, uint64_t bytes, const char *path, error *err) {
    char sum[65];
    pack_header_sum(h, sum);
    if (memcmp(sum, h->header, PACK_HEX) != 0) return damaged(path, "its header does not match its checksum", err);
    uint64_t samples = pack_samples(h->counts);
    if (samples > UINT32_MAX) return damaged(path, "its header makes no sense", err);
    if (bytes != h->file_bytes)
        return error_set(err, ERROR_RUN, "%s is damaged: it has %llu bytes and should have %llu", path,
                         (unsigned long long)bytes, (unsigned long long)h->file_bytes);
    if (h->size > PACK_MAX_SIZE || h->tail_offset > bytes || h->account_offset >= bytes || h->tail_offset % 8 != 0 ||
        h->tail_offset < PACK_HEADER_BYTES + h->images * (uint64_t)image_bytes((int)h->size) ||
        (bytes - h->tail_offset) / 8 < samples + pack_offset_words(h->size, h->images) + pack_blocks(h->tail_offset))
        return damaged(path, "its header makes no sense", err);
    return true;
}

static bool check_offsets(const uint64_t *offsets, const pack_header *h) {
    bool ordered = offsets[0] == 0 && offsets[h->images] <= h->tail_offset - PACK_HEADER_BYTES;
    for (uint32_t i = 0; ordered && i < h->images; i++) ordered = offsets[i] <= offsets[i + 1];
    return ordered;
}

/*
 * The images' bytes against the sums of their blocks: all of them in a small file; in a large one as many as are read
 * in a moment, others each time.
 */
static bool check_blocks(const pack *p, const pack_header *h, const uint64_t *sums, const char *path, error *err) {
    enum { MOST = 256 };
    uint64_t count = pack_blocks(h->tail_offset), step = (count + MOST - 1) / MOST, wrong = UINT64_MAX;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t first = step > 1 ? (uint64_t)now.tv_nsec % step : 0;
#pragma omp parallel for schedule(dynamic, 4) reduction(min : wrong)
    for (uint64_t i = first; i < count; i += step) /* one of each `step` blocks */
        if (pack_block_sum(p->map.data, h->tail_offset, i) != sums[i] && i < wrong) wrong = i;
    if (wrong == UINT64_MAX) return true;
    return error_set(err, ERROR_RUN, "%s is damaged: its bytes from %llu on do not match their checksum", path,
                     (unsigned long long)(PACK_HEADER_BYTES + wrong * PACK_BLOCK));
}

static bool read_tail(pack *p, const pack_header *h, const char *path, error *err) {
    uint32_t samples = (uint32_t)pack_samples(h->counts), labelled = samples - h->counts[PACK_UNLABELLED];
    const uint8_t *tail = p->map.data + h->tail_offset;
    size_t bytes = p->map.size - h->tail_offset;
    char sum[65];
    checksum_sha256(tail, bytes, sum);
    if (memcmp(sum, h->tail, PACK_HEX) != 0) return damaged(path, "its index does not match its checksum", err);
    const uint32_t *slots = (const uint32_t *)tail, *labels = slots + samples;
    for (uint32_t i = 0; i < samples; i++)
        if (slots[i] >= h->images ||
            (i < labelled && h->classes ? labels[i] >= h->classes : labels[i] != PACK_NO_LABEL))
            return damaged(path, "its index makes no sense", err);
    const uint64_t *offsets = (const uint64_t *)(labels + samples);
    const uint64_t *blocks = offsets + pack_offset_words(h->size, h->images);
    const char *name = (const char *)(blocks + pack_blocks(h->tail_offset)), *end = (const char *)tail + bytes;
    const char *account = (const char *)p->map.data + h->account_offset;
    if (account < name || end[-1] != '\0' || h->classes > bytes || (h->size == 0 && !check_offsets(offsets, h)))
        return damaged(path, "its index makes no sense", err);
    if (h->size == 0) p->offsets = offsets;
    p->names = name, p->account = account;
    p->class_names = calloc((size_t)h->classes + 1, sizeof *p->class_names);
    if (!p->class_names) return error_memory(err, h->classes * sizeof *p->class_names, "class names");
    for (uint32_t c = 0; c < h->classes; c++) {
        size_t length = strnlen(name, (size_t)(account - name));
        if (length == (size_t)(account - name)) return damaged(path, "class names are missing", err);
        p->class_names[c] = name;
        name += length + 1;
    }
    if (name != account) return damaged(path, "its index makes no sense", err);
    if (!check_blocks(p, h, blocks, path, err)) return false;
    for (int s = 0; s < PACK_SPLITS; slots += h->counts[s], labels += h->counts[s], s++)
        p->slots[s] = slots, p->labels[s] = labels;
    return true;
}

pack_state pack_open(pack *p, const char *path, const char source[65], error *err) {
    *p = (pack){0};
    if (access(path, F_OK) != 0 && errno == ENOENT) return PACK_ABSENT;
    pack_state state = PACK_DAMAGED;
    pack_header h;
    if (!file_map_open(&p->map, path, err)) return PACK_DAMAGED;
    if (p->map.size < PACK_HEADER_BYTES) {
        damaged(path, "it ends inside its header", err);
        goto done;
    }
    memcpy(&h, p->map.data, sizeof h);
    if (memcmp(h.magic, PACK_MAGIC, sizeof h.magic) != 0) {
        damaged(path, "it is not a packed data set", err);
        goto done;
    }
    if (h.version != PACK_VERSION) {
        state = PACK_STALE;
        goto done;
    }
    if (!check_header(&h, p->map.size, path, err)) goto done;
    if (memcmp(h.source, source, PACK_HEX) != 0) {
        state = PACK_STALE;
        goto done;
    }
    if (!read_tail(p, &h, path, err)) goto done;
    p->size = (int)h.size, p->classes = h.classes, p->images = p->map.data + PACK_HEADER_BYTES;
    memcpy(p->counts, h.counts, sizeof h.counts);
    memcpy(p->mean, h.mean, sizeof h.mean);
    memcpy(p->std, h.std, sizeof h.std);
    memcpy(p->checksum, h.content, PACK_HEX);
    return PACK_READY;
done:
    pack_close(p);
    return state;
}

void pack_close(pack *p) {
    free(p->class_names);
    file_map_close(&p->map);
    *p = (pack){0};
}

/* ---- Figures over all images ---- */

/* Images in logical order by list. */
static bool content_sum(const extents *images, const uint32_t *slots, const uint32_t *labels, uint32_t samples,
                        const char *names, size_t names_bytes, char out[65], error *err) {
    size_t bytes = (size_t)samples * (PACK_HEX + sizeof *labels) + names_bytes + 1;
    char *sums = malloc(bytes);
    if (!sums) return error_memory(err, bytes, "checksums");
#pragma omp parallel for schedule(dynamic, 64)
    for (uint32_t i = 0; i < samples; i++) {
        char sum[65];
        size_t each;
        const uint8_t *image = extent_of(images, slots[i], &each);
        checksum_sha256(image, each, sum);
        memcpy(sums + (size_t)i * PACK_HEX, sum, PACK_HEX);
    }
    if (samples) memcpy(sums + (size_t)samples * PACK_HEX, labels, samples * sizeof *labels);
    if (names_bytes) memcpy(sums + (size_t)samples * (PACK_HEX + sizeof *labels), names, names_bytes);
    checksum_sha256(sums, bytes - 1, out);
    free(sums);
    return true;
}

bool pack_verify(const pack *p, const char *path, error *err) {
    uint32_t samples = (uint32_t)pack_samples(p->counts);
    extents images = {p->images, image_bytes(p->size), p->offsets};
    size_t names_bytes = (size_t)(p->account - p->names);
    char sum[65];
    if (!content_sum(&images, p->slots[PACK_TRAIN], p->labels[PACK_TRAIN], samples, p->names, names_bytes, sum, err))
        return false;
    return strcmp(sum, p->checksum) == 0 || damaged(path, "its images do not match their checksum", err);
}

void pack_count(pack_tally *tally, const uint8_t *rgb, size_t pixels) {
    tally->pixels += pixels;
    for (size_t j = 0; j < 3 * pixels; j += 3)
        for (int k = 0; k < 3; k++) {
            uint64_t v = rgb[j + (size_t)k];
            tally->sums[k] += v, tally->squares[k] += v * v;
        }
}

/* Exact sums of integers, so the figures depend on no order. */
static void moments(pack_header *h, const uint8_t *images, const pack_tally *tallies, const pack_list *train) {
    size_t each = image_bytes((int)h->size);
    uint64_t pixels = 0, sum[3] = {0}, squares[3] = {0};
#pragma omp parallel for schedule(static) reduction(+ : pixels, sum[:3], squares[:3])
    for (uint32_t i = 0; i < train->count; i++) {
        pack_tally t = {0};
        if (tallies)
            t = tallies[train->slots[i]];
        else
            pack_count(&t, images + train->slots[i] * each, each / 3);
        pixels += t.pixels;
        for (int k = 0; k < 3; k++) sum[k] += t.sums[k], squares[k] += t.squares[k];
    }
    double n = (double)pixels;
    for (int k = 0; k < 3; k++) {
        double mean = n > 0 ? (double)sum[k] / n : 0, variance = n > 0 ? (double)squares[k] / n - mean * mean : 0;
        h->mean[k] = (float)(mean / 255);
        h->std[k] = variance > 0 ? (float)(sqrt(variance) / 255) : 1; /* a channel that says nothing is only centred */
    }
}

/* ---- Writing ---- */

static bool put(pack_writer *w, const void *data, size_t bytes, error *err) {
    if (fwrite(data, 1, bytes, w->file.stream) == bytes) return true;
    return error_set(err, ERROR_RUN, "cannot write %s: %s", w->file.path, strerror(errno));
}

bool pack_begin(pack_writer *w, const char *path, int size, error *err) {
    static const uint8_t page[PACK_HEADER_BYTES];
    *w = (pack_writer){.size = size};
    return file_begin(&w->file, path, err) && put(w, page, sizeof page, err);
}

bool pack_append(pack_writer *w, const uint8_t *images, uint32_t count, error *err) {
    if (count > UINT32_MAX - w->images) return error_set(err, ERROR_RUN, "more than %u images", UINT32_MAX);
    if (!put(w, images, count * image_bytes(w->size), err)) return false;
    w->images += count;
    return true;
}

bool pack_append_file(pack_writer *w, const uint8_t *data, size_t bytes, const pack_tally *tally, error *err) {
    if (w->images == w->capacity) {
        uint32_t capacity = w->capacity ? 2 * w->capacity : 1024;
        uint64_t *offsets = realloc(w->offsets, ((size_t)capacity + 1) * sizeof *offsets);
        if (offsets) w->offsets = offsets;
        pack_tally *tallies = realloc(w->tallies, capacity * sizeof *tallies);
        if (tallies) w->tallies = tallies;
        if (!offsets || !tallies) return error_memory(err, capacity * sizeof *tallies, "the index of a data set");
        if (w->capacity == 0) offsets[0] = 0;
        w->capacity = capacity;
    }
    if (w->images == INT32_MAX) return error_set(err, ERROR_RUN, "more than %d images", INT32_MAX);
    if (!put(w, data, bytes, err)) return false;
    w->tallies[w->images++] = *tally;
    w->offsets[w->images] = w->offsets[w->images - 1] + bytes;
    return true;
}

bool pack_add_class(pack_writer *w, const char *name, error *err) {
    char **names = realloc(w->class_names, ((size_t)w->classes + 1) * sizeof *names);
    if (names) w->class_names = names;
    if (!names || !(names[w->classes] = strdup(name))) return error_memory(err, strlen(name) + 1, "a class name");
    w->classes++;
    return true;
}

bool pack_add_sample(pack_writer *w, int split, uint32_t slot, uint32_t label, error *err) {
    pack_list *l = &w->lists[split];
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity ? 2 * l->capacity : 1024;
        uint32_t *slots = realloc(l->slots, capacity * sizeof *slots);
        if (slots) l->slots = slots;
        uint32_t *labels = realloc(l->labels, capacity * sizeof *labels);
        if (labels) l->labels = labels;
        if (!slots || !labels) return error_memory(err, capacity * sizeof *slots, "the index of a data set");
        l->capacity = capacity;
    }
    l->slots[l->count] = slot, l->labels[l->count++] = label;
    return true;
}

static uint64_t images_end(const pack_writer *w) {
    if (w->size == 0) return PACK_HEADER_BYTES + (w->images ? w->offsets[w->images] : 0);
    return PACK_HEADER_BYTES + w->images * (uint64_t)image_bytes(w->size);
}

static const char *account_of(const pack_writer *w) { return w->account ? w->account : ""; }

/* Slots, labels, offsets, sums of the blocks of `file`, names, account in one piece, as they stand in the file. */
static uint8_t *make_tail(const pack_writer *w, const uint8_t *file, uint64_t tail_offset, size_t *bytes, error *err) {
    uint64_t blocks = pack_blocks(tail_offset);
    size_t offsets = 8 * pack_offset_words((uint32_t)w->size, w->images);
    *bytes = offsets + 8 * blocks + strlen(account_of(w)) + 1;
    for (int s = 0; s < PACK_SPLITS; s++) *bytes += 8 * (size_t)w->lists[s].count;
    for (uint32_t c = 0; c < w->classes; c++) *bytes += strlen(w->class_names[c]) + 1;
    uint8_t *tail = malloc(*bytes + 1), *out = tail;
    if (!tail) {
        error_memory(err, *bytes, "the index of a data set");
        return NULL;
    }
    for (int i = 0; i < 2 * PACK_SPLITS; i++) {
        const pack_list *l = &w->lists[i % PACK_SPLITS];
        size_t n = sizeof(uint32_t) * l->count;
        if (n) memcpy(out, i < PACK_SPLITS ? l->slots : l->labels, n);
        out += n;
    }
    if (offsets && w->images) memcpy(out, w->offsets, offsets);
    if (offsets && !w->images) memset(out, 0, offsets);
    out += offsets;
    uint64_t *sums = (uint64_t *)out; /* all before it are words of 8 bytes, in pairs of 4 */
#pragma omp parallel for schedule(dynamic, 4)
    for (uint64_t i = 0; i < blocks; i++) sums[i] = pack_block_sum(file, tail_offset, i);
    out += 8 * blocks;
    for (uint32_t c = 0; c < w->classes; c++) out = (uint8_t *)stpcpy((char *)out, w->class_names[c]) + 1;
    strcpy((char *)out, account_of(w));
    return tail;
}

bool pack_finish(pack_writer *w, const char source[65], error *err) {
    static const uint8_t zeros[8];
    bool done = false;
    file_map map = {0};
    size_t tail_bytes = 0, samples = 0;
    uint64_t end = images_end(w);
    pack_header h = {.version = PACK_VERSION,
                     .size = (uint32_t)w->size,
                     .images = w->images,
                     .classes = w->classes,
                     .tail_offset = (end + 7) / 8 * 8};
    for (int s = 0; s < PACK_SPLITS; s++) samples += h.counts[s] = w->lists[s].count;
    char sum[65];
    uint8_t *tail = NULL;
    if (!put(w, zeros, h.tail_offset - end, err)) goto done;
    if (fflush(w->file.stream) != 0) {
        error_set(err, ERROR_RUN, "cannot write %s: %s", w->file.path, strerror(errno));
        goto done;
    }
    if (!file_map_open(&map, w->file.temporary, err) ||
        !(tail = make_tail(w, map.data, h.tail_offset, &tail_bytes, err)) || !put(w, tail, tail_bytes, err))
        goto done;
    memcpy(h.magic, PACK_MAGIC, sizeof h.magic);
    memcpy(h.source, source, PACK_HEX);
    size_t account_bytes = strlen(account_of(w)) + 1;
    h.file_bytes = h.tail_offset + tail_bytes, h.account_offset = h.file_bytes - account_bytes;
    moments(&h, map.data + PACK_HEADER_BYTES, w->tallies, &w->lists[PACK_TRAIN]);
    extents images = {map.data + PACK_HEADER_BYTES, image_bytes(w->size), w->offsets};
    const uint32_t *slots = (const uint32_t *)tail;
    size_t names = 8 * (samples + pack_offset_words(h.size, h.images) + pack_blocks(h.tail_offset));
    if (!content_sum(&images, slots, slots + samples, (uint32_t)samples, (const char *)tail + names,
                     tail_bytes - account_bytes - names, sum, err))
        goto done;
    memcpy(h.content, sum, PACK_HEX);
    checksum_sha256(tail, tail_bytes, sum);
    memcpy(h.tail, sum, PACK_HEX);
    pack_header_sum(&h, sum);
    memcpy(h.header, sum, PACK_HEX);
    if (fseek(w->file.stream, 0, SEEK_SET) != 0) {
        error_set(err, ERROR_RUN, "cannot write %s: %s", w->file.path, strerror(errno));
        goto done;
    }
    done = put(w, &h, sizeof h, err) && file_commit(&w->file, err);
done:
    file_map_close(&map);
    free(tail);
    pack_abandon(w);
    return done;
}

void pack_abandon(pack_writer *w) {
    file_abandon(&w->file);
    for (uint32_t c = 0; c < w->classes; c++) free(w->class_names[c]);
    free(w->class_names);
    free(w->offsets);
    free(w->tallies);
    free(w->account);
    for (int s = 0; s < PACK_SPLITS; s++) free(w->lists[s].slots), free(w->lists[s].labels);
    *w = (pack_writer){0};
}
