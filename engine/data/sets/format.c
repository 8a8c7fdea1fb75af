/*
 * The walk over a format's files, and the two things that all of them need: planes made into pixels, labels checked.
 * A part's images stand together in the pack, so that its order is the order in which they were appended.
 */
#include "engine/data/sets/format.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024 }; /* images */

static const char *base_name(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static bool ends_in_gz(const char *name) {
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".gz") == 0;
}

/* Which of the format's files this is, or f->files. */
static int file_index(const format *f, const char *name) {
    const char *base = base_name(name);
    int i = 0;
    for (; i < f->files; i++) {
        size_t n = strlen(f->file[i].name);
        if (strncmp(base, f->file[i].name, n) == 0 && (!base[n] || strcmp(base + n, ".gz") == 0)) break;
    }
    return i;
}

bool format_has(const format *f, const char *name) { return file_index(f, name) < f->files; }

bool format_refuse(const format_reading *r, const source_item *item, error *err, const char *wrong, ...) {
    char text[512];
    va_list args;
    va_start(args, wrong);
    vsnprintf(text, sizeof text, wrong, args);
    va_end(args);
    return error_set(err, ERROR_RUN, "%s: %s%s", r->im->path, item->name, text);
}

/* ---- Images and labels ---- */

static void make_pixels(const uint8_t *from, int side, format_layout layout, uint8_t *out) {
    size_t n = (size_t)side, plane = n * n;
    for (size_t y = 0; y < n; y++)
        for (size_t x = 0; x < n; x++)
            for (size_t k = 0; k < 3; k++)
                *out++ = layout == LAYOUT_ROWS      ? from[k * plane + y * n + x]
                         : layout == LAYOUT_COLUMNS ? from[k * plane + x * n + y]
                                                    : from[y * n + x];
}

bool format_append(format_reading *r, format_part *part, const uint8_t *images, size_t stride, uint32_t count, int side,
                   format_layout layout, error *err) {
    size_t each = (size_t)side * (size_t)side * 3;
    uint8_t *pixels = malloc(each * BLOCK);
    if (!pixels) return error_memory(err, each * BLOCK, "a block of images");
    if (part->images == 0) part->slot = r->im->pack.images;
    bool done = true;
    for (uint32_t first = 0; done && first < count; first += BLOCK) {
        uint32_t n = count - first < BLOCK ? count - first : BLOCK;
#pragma omp parallel for schedule(static)
        for (uint32_t i = 0; i < n; i++) make_pixels(images + (first + i) * stride, side, layout, pixels + i * each);
        done = import_append_square(r->im, pixels, n, side, err);
        part->images += n;
    }
    free(pixels);
    return done;
}

uint32_t *format_grow_labels(format_part *part, uint32_t count, error *err) {
    size_t most = (size_t)part->labelled + count;
    uint32_t *labels = realloc(part->labels, (most + 1) * sizeof *labels);
    if (!labels) {
        error_memory(err, most * sizeof *labels, "labels");
        return NULL;
    }
    part->labels = labels;
    return labels + part->labelled;
}

bool format_add_labels(format_reading *r, const source_item *item, format_part *part, const uint8_t *labels,
                       size_t stride, uint32_t count, int first, error *err) {
    uint32_t *out = format_grow_labels(part, count, err);
    if (!out) return false;
    int classes = r->format->classes;
    for (uint32_t i = 0; i < count; i++) {
        int label = labels[i * stride] - first;
        if (label < 0 || label >= classes)
            return format_refuse(r, item, err, ": record %u has label %d; labels go from %d to %d", part->labelled + i,
                                 label + first, first, first + classes - 1);
        out[i] = (uint32_t)label;
    }
    part->labelled += count;
    return true;
}

/* ---- The walk ---- */

/* Replaces the bytes of a .gz by what is packed in them. */
static bool unpack(format_reading *r, source_item *item, error *err) {
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    size_t size = 0, capacity = 4 * item->size + 4096;
    uint8_t *out = malloc(capacity);
    bool done = false;
    if (!a || !out) {
        error_memory(err, capacity, item->name);
        goto done;
    }
    archive_read_support_filter_gzip(a);
    archive_read_support_format_raw(a);
    if (archive_read_open_memory(a, item->data, item->size) != ARCHIVE_OK ||
        archive_read_next_header(a, &entry) != ARCHIVE_OK) {
        format_refuse(r, item, err, " cannot be unpacked: %s", archive_error_string(a));
        goto done;
    }
    for (la_ssize_t n; (n = archive_read_data(a, out + size, capacity - size)) != 0; size += (size_t)n) {
        if (n < 0) {
            format_refuse(r, item, err, " cannot be unpacked: %s", archive_error_string(a));
            goto done;
        }
        if (size + (size_t)n < capacity) continue;
        uint8_t *larger = capacity < SOURCE_MAX_BYTES ? realloc(out, 2 * capacity) : NULL;
        if (!larger) {
            format_refuse(r, item, err, " unpacks to more than %zu bytes", capacity);
            goto done;
        }
        out = larger, capacity *= 2;
    }
    free(item->data);
    item->data = out, item->size = size;
    out = NULL;
    done = true;
done:
    if (a) archive_read_free(a);
    free(out);
    return done;
}

static source_want choose(const void *context, const char *name) {
    const format_reading *r = context;
    int i = file_index(r->format, name);
    if (i == r->format->files ||
        (r->format->part[r->format->file[i].part].split == PACK_UNLABELLED && !r->im->options->unlabelled))
        return SOURCE_PASS;
    return r->format->file[i].streamed ? SOURCE_STREAM : SOURCE_READ;
}

static bool read_file(format_reading *r, const format_file *file, source_item *item, error *err) {
    if (item->problem) return format_refuse(r, item, err, ": %s", item->problem);
    bool packed = ends_in_gz(item->name);
    if (packed && file->streamed) return format_refuse(r, item, err, " is read unpacked only; gunzip it");
    return (!packed || unpack(r, item, err)) && file->read(r, item, &r->parts[file->part], err);
}

/* Puts the file into the account. A .gz beside the same file unpacked, as torchvision keeps both, is not used. */
static void note_file(format_reading *r, const source_item *item, bool known, bool needed, bool again) {
    account *a = &r->im->account;
    char why[64];
    const char *base = base_name(item->name);
    if (item->kind == SOURCE_FOLDER || base[0] == '.') return;
    a->seen++;
    if (item->kind == SOURCE_SKIPPED) {
        import_warn(r->im, "%s: skipping %s: %s", r->im->path, item->name, item->problem);
        account_skip(a, item->name, item->problem);
    } else if (!known) {
        snprintf(why, sizeof why, "no part of %.40s", r->format->title);
        account_skip(a, item->name, why);
    } else if (!needed) {
        account_skip(a, item->name, "images without labels, which data.unlabelled would read");
    } else if (again) {
        account_skip(a, item->name, "there twice, packed and unpacked");
    } else {
        a->used++;
    }
}

static bool read_all(format_reading *r, bool seen[], error *err) {
    const format *f = r->format;
    source_item item = {0};
    char what[64];
    bool done = true;
    snprintf(what, sizeof what, "importing %s", f->title);
    for (uint32_t n = 0; done && source_next(r->from, choose, r, &item, err); source_item_free(&item)) {
        int i = item.kind == SOURCE_FILE ? file_index(f, item.name) : f->files;
        bool needed = i < f->files && choose(r, item.name) != SOURCE_PASS, again = needed && seen[i];
        note_file(r, &item, i < f->files, needed, again);
        if (!needed || (again && ends_in_gz(item.name))) continue;
        if (again)
            done = error_set(err, ERROR_USAGE, "%s holds %s twice", r->im->path, f->file[i].name);
        else
            done = read_file(r, &f->file[i], &item, err);
        seen[i] = true;
        import_progress(r->im, what, ++n, (uint64_t)f->files);
    }
    return done && err->code == 0;
}

static bool list_part(format_reading *r, format_part *part, const char *file, error *err) {
    const format *f = r->format;
    bool labelled = part->split != PACK_UNLABELLED;
    if (part->images == 0) return error_set(err, ERROR_RUN, "%s: %s holds no images", r->im->path, file);
    if (labelled && part->labelled != part->images)
        return error_set(err, ERROR_RUN, "%s: %s: %u images but %u labels", r->im->path, file, part->images,
                         part->labelled);
    if (part->images != part->official)
        import_warn(r->im, "%s: %s holds %u images; %s's own file holds %u", r->im->path, file, part->images, f->title,
                    part->official);
    for (uint32_t i = 0; i < part->images; i++)
        if (!pack_add_sample(&r->im->pack, part->split, part->slot + i, labelled ? part->labels[i] : PACK_NO_LABEL,
                             err))
            return false;
    return true;
}

static bool list_all(format_reading *r, const bool seen[], error *err) {
    const format *f = r->format;
    for (int c = 0; c < f->classes; c++)
        if (!pack_add_class(&r->im->pack, f->class_names[c], err)) return false;
    for (int p = 0; p < f->parts; p++) {
        const char *first = NULL;
        if (f->part[p].split == PACK_UNLABELLED && !r->im->options->unlabelled) continue;
        for (int i = 0; i < f->files; i++) {
            if (f->file[i].part != p) continue;
            if (!first) first = f->file[i].name;
            if (!seen[i])
                return error_set(err, ERROR_USAGE, "%s holds no %s, which belongs to %s", r->im->path, f->file[i].name,
                                 f->title);
        }
        if (!list_part(r, &r->parts[p], first, err)) return false;
    }
    return true;
}

bool format_import(importer *im, const format *f, error *err) {
    bool seen[FORMAT_MAX_FILES] = {false};
    format_reading r = {.im = im, .from = source_open(im->path, err), .format = f};
    if (!r.from) return false;
    memcpy(r.parts, f->part, sizeof r.parts);
    bool done = read_all(&r, seen, err) && list_all(&r, seen, err);
    for (int p = 0; p < f->parts; p++) free(r.parts[p].labels);
    source_close(r.from);
    return done;
}
