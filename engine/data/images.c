/*
 * A whole file is a photo whose part is all of it; the fit is a resize of everything, of which the middle is kept.
 */
#include "engine/data/images.h"

#include "engine/data/codecs/photo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void image_free(image *i) {
    free(i->pixels);
    *i = (image){0};
}

bool image_decode(const uint8_t *data, size_t size, image *out, error *err) {
    photo p;
    photo_part part = {0};
    *out = (image){0};
    bool done =
        photo_open(&p, data, size, err) && photo_decode(&p, 1, (resize_box){0, 0, p.width, p.height}, &part, err);
    if (done) { /* whole images begin where their memory does */
        codec_pixels *from = p.orientation == 1 ? &part.stored : &part.turned;
        *out = (image){p.width, p.height, from->memory};
        from->memory = NULL;
    }
    photo_part_free(&part);
    return done;
}

bool image_fits(int width, int height, error *err) {
    int shorter = width < height ? width : height, longer = width < height ? height : width;
    return longer / shorter <= IMAGE_MAX_ELONGATION ||
           error_set(err, ERROR_RUN, "an image of %d×%d pixels is too long to cut a square from", width, height);
}

bool image_fit(resizer *r, const image *from, int shortest, int side, uint8_t *target, error *err) {
    int w = from->width, h = from->height, shorter = w < h ? w : h, longer = w < h ? h : w;
    if (!image_fits(w, h, err)) return false;
    int length = (int)((int64_t)shortest * longer / shorter); /* the long side's share, cut as torchvision does */
    int width = w <= h ? shortest : length, height = w <= h ? length : shortest;
    resize_box whole = {0, 0, w, h};
    if (width == side && height == side)
        return resize_image(r, from->pixels, (size_t)w * 3, whole, false, target, side, side, err);
    uint8_t *resized = malloc((size_t)width * (size_t)height * 3);
    if (!resized) return error_memory(err, (size_t)width * (size_t)height * 3, "a resized image");
    bool done = resize_image(r, from->pixels, (size_t)w * 3, whole, false, resized, width, height, err);
    /* Halves go to the even neighbour, as Python rounds. */
    int left = (int)nearbyint((width - side) / 2.0), top = (int)nearbyint((height - side) / 2.0);
    for (int y = 0; done && y < side; y++)
        memcpy(target + (size_t)y * (size_t)side * 3, resized + ((size_t)(top + y) * (size_t)width + (size_t)left) * 3,
               (size_t)side * 3);
    free(resized);
    return done;
}
