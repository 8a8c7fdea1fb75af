/* What must hold of any image that is read: any part of it has the pixels of the whole, at any shrink. */
#ifndef MEWS_FUZZ_PHOTOS_H
#define MEWS_FUZZ_PHOTOS_H

#include "engine/data/codecs/photo.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { FUZZ_PIXELS_MOST = 1 << 18 };

static inline void fuzz_photo_part(const photo *p, const photo_part *whole, resize_box box) {
    photo_part part = {0};
    error err = {0};
    if (!photo_decode(p, 1, box, &part, &err)) abort();
    for (int y = 0; y < box.height; y++)
        if (memcmp(part.corner + (size_t)y * part.stride,
                   whole->corner + (size_t)(box.top + y) * whole->stride + 3 * (size_t)box.left, 3 * (size_t)box.width))
            abort();
    photo_part_free(&part);
}

static inline int fuzz_photo(const uint8_t *data, size_t size) {
    photo p;
    photo_part whole = {0};
    error err = {0};
    if (!photo_open(&p, data, size, &err) || (int64_t)p.width * p.height > FUZZ_PIXELS_MOST) return 0;
    for (int shrink = p.codec->most_shrink; shrink >= 1; shrink /= 2) {
        resize_box all = {0, 0, photo_shrunk(p.width, shrink), photo_shrunk(p.height, shrink)};
        err = (error){0};
        if (!photo_decode(&p, shrink, all, &whole, &err)) goto done;
        for (int y = 0; y < all.height; y++) fuzz_use(whole.corner + (size_t)y * whole.stride, 3 * (size_t)all.width);
    }
    int w = p.width, h = p.height;
    fuzz_photo_part(&p, &whole, (resize_box){w / 3, h / 3, (w + 2) / 3, (h + 2) / 3});
    fuzz_photo_part(&p, &whole, (resize_box){w - 1, h - 1, 1, 1});
    fuzz_photo_part(&p, &whole, (resize_box){w / 2, 0, w - w / 2, h});
done:
    photo_part_free(&whole);
    return 0;
}

#endif
