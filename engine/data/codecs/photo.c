/*
 * A box of the photo as seen is a box of the image as stored, mirrored or lying on its side: the decoders get that one,
 * and only its pixels are turned.
 */
#include "engine/data/codecs/photo.h"

#include <stdlib.h>
#include <string.h>

/* ---- What the decoders share ---- */

bool codec_reserve(codec_pixels *p, size_t bytes, error *err) {
    if (p->capacity >= bytes) return true;
    free(p->memory);
    p->memory = malloc(bytes);
    p->capacity = p->memory ? bytes : 0;
    return p->memory || error_memory(err, bytes, "an image");
}

bool codec_check_size(uint64_t width, uint64_t height, error *err) {
    if (width && height && width <= IMAGE_MAX_PIXELS && height <= IMAGE_MAX_PIXELS / width) return true;
    return error_set(err, ERROR_RUN, "an image of %llu×%llu pixels; at most %d megapixels are taken",
                     (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_PIXELS >> 20);
}

bool codec_cut(codec_pixels *p, const codec_header *h, resize_box box, error *err) {
    if (box.left + box.width > h->width || box.top + box.height > h->height)
        return error_set(err, ERROR_RUN, "an image that was larger when its header was read");
    p->corner = p->memory + (size_t)box.top * p->stride + (size_t)box.left * 3;
    return true;
}

static uint32_t number(const uint8_t *p, int bytes, bool big) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | p[big ? i : bytes - 1 - i];
    return value;
}

/* TIFF 6.0, section 2: a header of 8 bytes with the directory's place, entries of 12 bytes each. */
int codec_orientation(const uint8_t *exif, size_t bytes) {
    enum { TAG = 0x0112, BYTE = 1, SHORT = 3, LONG = 4 };
    if (bytes < 8 || (memcmp(exif, "II*\0", 4) != 0 && memcmp(exif, "MM\0*", 4) != 0)) return 1;
    bool big = exif[0] == 'M';
    size_t at = number(exif + 4, 4, big);
    if (at > bytes || bytes - at < 2) return 1;
    uint32_t entries = number(exif + at, 2, big);
    at += 2;
    for (uint32_t i = 0; i < entries && bytes - at >= 12; i++, at += 12) {
        uint32_t type = number(exif + at + 2, 2, big), size = type == BYTE ? 1 : type == SHORT ? 2 : 4;
        if (number(exif + at, 2, big) != TAG || (type != BYTE && type != SHORT && type != LONG)) continue;
        uint32_t value = number(exif + at + 8, (int)size, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* ---- Photos ---- */

static bool on_its_side(const photo *p) { return p->orientation >= 5; }

bool photo_open(photo *p, const uint8_t *data, size_t bytes, error *err) {
    static const codec *const codecs[] = {&codec_jpeg, &codec_png, &codec_webp, &codec_tiff, &codec_bmp, &codec_pnm};
    codec_header h = {0};
    *p = (photo){.data = data, .bytes = bytes};
    for (size_t i = 0; !p->codec && i < sizeof codecs / sizeof *codecs; i++)
        if (codecs[i]->knows(data, bytes)) p->codec = codecs[i];
    if (!p->codec)
        return error_set(err, ERROR_RUN,
                         bytes ? "none of the formats that are read (JPEG, PNG, WebP, TIFF, BMP, PNM)" : "empty");
    if (!p->codec->measure(data, bytes, &h, err)) return false;
    p->deep = h.deep;
    p->orientation = h.orientation;
    p->width = on_its_side(p) ? h.height : h.width;
    p->height = on_its_side(p) ? h.width : h.height;
    return true;
}

int photo_shrink(const photo *p, int width, int height, int least) {
    int shrink = p->codec->most_shrink, shortest = width < height ? width : height;
    while (shrink > 1 && shortest / shrink < least) shrink /= 2;
    return shrink;
}

/*
 * Pixel (x, y) as seen is pixel (u, v) as stored, u and v being x and y, or y and x where the photo lies on its side,
 * each counted from the far edge where it is mirrored (EXIF 2.3, 4.6.4, tag 274).
 */
static bool mirrors_across(int orientation) { return 1 << orientation & (1 << 2 | 1 << 3 | 1 << 7 | 1 << 8); }
static bool mirrors_down(int orientation) { return 1 << orientation & (1 << 3 | 1 << 4 | 1 << 6 | 1 << 7); }

static resize_box box_as_stored(const photo *p, int shrink, resize_box seen) {
    int width = photo_shrunk(p->width, shrink), height = photo_shrunk(p->height, shrink);
    resize_box b = seen;
    if (on_its_side(p)) {
        b = (resize_box){seen.top, seen.left, seen.height, seen.width};
        int swap = width;
        width = height, height = swap;
    }
    if (mirrors_across(p->orientation)) b.left = width - b.left - b.width;
    if (mirrors_down(p->orientation)) b.top = height - b.top - b.height;
    return b;
}

static void turn(const photo *p, const codec_pixels *from, resize_box seen, uint8_t *out) {
    bool side = on_its_side(p), across = mirrors_across(p->orientation), down = mirrors_down(p->orientation);
    int width = side ? seen.height : seen.width, height = side ? seen.width : seen.height; /* as stored */
    ptrdiff_t stride = (ptrdiff_t)from->stride, u = across ? -3 : 3, v = down ? -stride : stride;
    const uint8_t *corner =
        from->corner + (across ? (ptrdiff_t)(width - 1) * 3 : 0) + (down ? (height - 1) * stride : 0);
    ptrdiff_t right = side ? v : u, below = side ? u : v;
    for (int y = 0; y < seen.height; y++) {
        const uint8_t *pixel = corner + y * below;
        for (int x = 0; x < seen.width; x++, out += 3, pixel += right) memcpy(out, pixel, 3);
    }
}

bool photo_decode(const photo *p, int shrink, resize_box box, photo_part *part, error *err) {
    resize_box stored = box_as_stored(p, shrink, box);
    if (!p->codec->decode(p->data, p->bytes, shrink, stored, &part->stored, err)) return false;
    part->corner = part->stored.corner, part->stride = part->stored.stride;
    if (p->orientation == 1) return true;
    part->stride = (size_t)box.width * 3;
    if (!codec_reserve(&part->turned, part->stride * (size_t)box.height, err)) return false;
    turn(p, &part->stored, box, part->turned.memory);
    part->corner = part->turned.memory;
    return true;
}

void photo_part_free(photo_part *part) {
    free(part->stored.memory);
    free(part->turned.memory);
    *part = (photo_part){0};
}
