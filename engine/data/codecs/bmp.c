/*
 * BMP: a header, perhaps a palette, and rows from the bottom to the top (or down, where the height is negative), each
 * padded to 4 bytes. Read here rather than by a library: those that Debian has bring a window system along, end the
 * process on a broken file, or exchange red and blue of 32 bits. Run-length coding is refused by name. Alpha is
 * dropped. The layout is that of Microsoft's BITMAPINFOHEADER, of OS/2's BITMAPCOREHEADER, and of the longer ones
 * behind them.
 */
#include "engine/data/codecs/codec.h"

#include <string.h>

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, COMPRESSION_RGB = 0, COMPRESSION_FIELDS = 3 };

typedef struct bmp {
    const uint8_t *rows;
    size_t stride; /* bytes of a row, padding included */
    int width, height, bits;
    bool down;         /* the first row is the top one */
    uint32_t masks[3]; /* of 16 and 32 bits: where red, green and blue are */
    uint8_t palette[256][3];
} bmp;

static uint32_t u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

static bool bmp_knows(const uint8_t *data, size_t size) { return size >= 2 && memcmp(data, "BM", 2) == 0; }

/* Width, height and bits; false where the header makes no sense. */
static bool read_size(bmp *b, const uint8_t *data, size_t size, uint32_t *header, error *err) {
    int64_t width = 0, height = 0;
    *header = size >= FILE_HEADER + CORE_HEADER ? u32(data + FILE_HEADER) : 0;
    bool core = *header == CORE_HEADER;
    if (!core && (*header < INFO_HEADER || *header > 1024 || size < FILE_HEADER + INFO_HEADER))
        return error_set(err, ERROR_RUN, "no BMP that is read: its header is cut short or of an unknown kind");
    width = core ? (int64_t)u16(data + 18) : (int32_t)u32(data + 18);
    height = core ? (int64_t)u16(data + 20) : (int32_t)u32(data + 22);
    b->bits = (int)u16(data + (core ? 24 : 28));
    b->down = height < 0;
    if (!codec_check_size((uint64_t)width, (uint64_t)(height < 0 ? -height : height), err)) return false;
    b->width = (int)width, b->height = (int)(height < 0 ? -height : height);
    return true;
}

static void read_palette(bmp *b, const uint8_t *data, size_t size, uint32_t header, uint32_t used) {
    size_t each = header == CORE_HEADER ? 3 : 4, at = FILE_HEADER + (size_t)header;
    uint32_t colours = used && used < 1u << b->bits ? used : 1u << b->bits;
    for (uint32_t i = 0; i < colours && at + each <= size; i++, at += each)
        for (int k = 0; k < 3; k++) b->palette[i][k] = data[at + 2 - (size_t)k];
}

static bool read_kind(bmp *b, const uint8_t *data, size_t size, uint32_t header, error *err) {
    static const uint32_t masks16[] = {0x7C00, 0x03E0, 0x001F}, masks32[] = {0xFF0000, 0xFF00, 0xFF};
    uint32_t compression = header == CORE_HEADER ? COMPRESSION_RGB : u32(data + 30);
    bool fields = compression == COMPRESSION_FIELDS || compression == 6; /* 6: with alpha's */
    if ((compression != COMPRESSION_RGB && !fields) || (fields && b->bits != 16 && b->bits != 32))
        return error_set(err, ERROR_RUN, "a compressed BMP (kind %u), which is not read", compression);
    switch (b->bits) {
    case 1:
    case 4:
    case 8: read_palette(b, data, size, header, header == CORE_HEADER ? 0 : u32(data + 46)); return true;
    case 24: return true;
    case 16:
    case 32: break;
    default: return error_set(err, ERROR_RUN, "a BMP of %d bits a pixel, which is not read", b->bits);
    }
    memcpy(b->masks, b->bits == 16 ? masks16 : masks32, sizeof b->masks);
    if (fields && size < FILE_HEADER + INFO_HEADER + 12)
        return error_set(err, ERROR_RUN, "a BMP that ends inside its header");
    for (int k = 0; fields && k < 3; k++) b->masks[k] = u32(data + FILE_HEADER + INFO_HEADER + 4 * k);
    return true;
}

static bool read_header(bmp *b, const uint8_t *data, size_t size, error *err) {
    uint32_t header;
    *b = (bmp){0};
    if (!read_size(b, data, size, &header, err) || !read_kind(b, data, size, header, err)) return false;
    size_t begin = u32(data + 10);
    b->stride = ((size_t)b->width * (size_t)b->bits + 31) / 32 * 4;
    b->rows = data + begin;
    return (begin <= size && (size - begin) / b->stride >= (size_t)b->height) ||
           error_set(err, ERROR_RUN, "a BMP that breaks off");
}

/* A mask's bits of `pixel`, brought to 0 … 255. */
static uint8_t field_of(uint32_t pixel, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift; /* 8 bits stay as they are, 5 bits are spread as Pillow spreads them */
    return (uint8_t)(((pixel & mask) >> shift) * UINT64_C(255) / most);
}

static void read_row(const bmp *b, const uint8_t *from, uint8_t *rgb) {
    for (int x = 0; x < b->width; x++, rgb += 3) {
        if (b->bits <= 8) {
            int at = x * b->bits;
            uint8_t index = (uint8_t)(from[at / 8] >> (8 - b->bits - at % 8)) & (uint8_t)((1 << b->bits) - 1);
            memcpy(rgb, b->palette[index], 3);
        } else if (b->bits == 24) {
            rgb[0] = from[3 * x + 2], rgb[1] = from[3 * x + 1], rgb[2] = from[3 * x];
        } else {
            uint32_t pixel = b->bits == 16 ? u16(from + 2 * x) : u32(from + 4 * x);
            for (int k = 0; k < 3; k++) rgb[k] = field_of(pixel, b->masks[k]);
        }
    }
}

static bool bmp_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    bmp b;
    if (!read_header(&b, data, size, err)) return false;
    *out = (codec_header){.width = b.width, .height = b.height, .orientation = 1};
    return true;
}

static bool bmp_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    bmp b;
    (void)shrink;
    if (!read_header(&b, data, size, err)) return false;
    codec_header h = {.width = b.width, .height = b.height};
    out->stride = (size_t)b.width * 3;
    if (!codec_reserve(out, out->stride * (size_t)b.height, err)) return false;
    for (int y = 0; y < b.height; y++)
        read_row(&b, b.rows + (size_t)(b.down ? y : b.height - 1 - y) * b.stride,
                 out->memory + (size_t)y * out->stride);
    return codec_cut(out, &h, box, err);
}

const codec codec_bmp = {"BMP", 1, bmp_knows, bmp_measure, bmp_decode};
