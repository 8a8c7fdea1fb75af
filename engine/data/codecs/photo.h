/*
 * Images as files in memory (JPEG, PNG, WebP, TIFF, BMP, PNM), of which no more is decoded than is asked for. What is
 * seen of them is what Pillow's ImageOps.exif_transpose and convert('RGB') give: turned as the camera was held,
 * greyscale spread over the channels, CMYK converted, palettes looked up, 16 bits cut to their upper 8, alpha dropped.
 */
#ifndef MEWS_PHOTO_H
#define MEWS_PHOTO_H

#include "engine/data/codecs/codec.h"

enum { PHOTO_MAX_SHRINK = 8 };

typedef struct photo {
    const uint8_t *data; /* the file's bytes, which must outlive it */
    size_t bytes;
    int width, height;  /* as seen */
    int orientation;    /* EXIF's: how the pixels lie in the file */
    bool deep;          /* of more than 8 bits a sample */
    const codec *codec; /* the first bytes tell */
} photo;

/* Reads the header. An error for what is of no known format, broken, or of more than IMAGE_MAX_PIXELS. */
bool photo_open(photo *p, const uint8_t *data, size_t bytes, error *err);

/* The most that a box may be shrunk in decoding (1, 2, 4 or 8; all but JPEG 1) with both sides left at least `least`
 * pixels. */
int photo_shrink(const photo *p, int width, int height, int least);

/* Sides at that shrink: rounded up. */
static inline int photo_shrunk(int side, int shrink) { return (side + shrink - 1) / shrink; }

/* Memory of one thread, used again from call to call; zero to begin with. */
typedef struct photo_part {
    codec_pixels stored, turned;
    const uint8_t *corner; /* pixel (left, top) of the box, RGB; rows `stride` bytes apart */
    size_t stride;
} photo_part;

/*
 * The pixels of `box`, in the coordinates of the photo shrunk so many times; not empty and inside it. At a shrink of 1
 * they are those of the whole photo, bit for bit.
 */
bool photo_decode(const photo *p, int shrink, resize_box box, photo_part *part, error *err);
void photo_part_free(photo_part *part);

#endif
