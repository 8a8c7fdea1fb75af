/*
 * PGM and PPM, plain (P2, P3) and raw (P5, P6), as netpbm defines them: numbers in text for width, height and the
 * largest value, comments from # to the line's end, then the samples. A sample v of at most m becomes v/m·255, rounded:
 * so files of 10 or 12 bits that say so come out as bright as they are. netpbm's own library ends the process on a
 * broken file.
 */
#include "engine/data/codecs/codec.h"

#include <math.h>
#include <string.h>

typedef struct pnm {
    const uint8_t *at, *end; /* what is not read yet */
    int width, height, channels;
    uint32_t most;
    bool raw;
} pnm;

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The next number, behind blanks and comments. */
static bool next_number(pnm *p, uint32_t *out) {
    while (p->at < p->end && (is_blank(*p->at) || *p->at == '#')) {
        if (*p->at == '#')
            while (p->at < p->end && *p->at != '\n' && *p->at != '\r') p->at++;
        else
            p->at++;
    }
    const uint8_t *first = p->at;
    for (*out = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9' && p->at - first < 9; p->at++)
        *out = *out * 10 + (uint32_t)(*p->at - '0');
    return p->at > first && (p->at == p->end || is_blank(*p->at) || *p->at == '#');
}

static bool pnm_knows(const uint8_t *data, size_t size) {
    return size >= 3 && data[0] == 'P' && memchr("2356", data[1], 4) && (is_blank(data[2]) || data[2] == '#');
}

static size_t sample_bytes(const pnm *p) { return p->most > 255 ? 2 : 1; }

static bool read_header(pnm *p, const uint8_t *data, size_t size, error *err) {
    uint32_t width, height;
    *p = (pnm){.at = data + 2, .end = data + size, .raw = data[1] >= '5'};
    p->channels = data[1] == '3' || data[1] == '6' ? 3 : 1;
    if (!next_number(p, &width) || !next_number(p, &height) || !next_number(p, &p->most) || p->most < 1 ||
        p->most > 65535)
        return error_set(err, ERROR_RUN, "no PPM or PGM that is read: its header is damaged");
    if (!codec_check_size(width, height, err)) return false;
    p->width = (int)width, p->height = (int)height;
    if (p->at < p->end) p->at++; /* one blank before the samples */
    size_t samples = (size_t)width * height * (size_t)p->channels, left = (size_t)(p->end - p->at);
    bool whole = p->raw ? left / sample_bytes(p) >= samples : left / 2 + 1 >= samples;
    return whole || error_set(err, ERROR_RUN, "a PPM or PGM that breaks off");
}

static bool next_sample(pnm *p, uint32_t *out) {
    if (!p->raw) return next_number(p, out);
    *out = sample_bytes(p) == 2 ? (uint32_t)p->at[0] << 8 | p->at[1] : p->at[0];
    p->at += sample_bytes(p);
    return true;
}

static bool pnm_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    pnm p;
    if (!read_header(&p, data, size, err)) return false;
    *out = (codec_header){.width = p.width, .height = p.height, .orientation = 1, .deep = p.most > 4095};
    return true;
}

static bool pnm_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    pnm p;
    (void)shrink;
    if (!read_header(&p, data, size, err)) return false;
    codec_header h = {.width = p.width, .height = p.height};
    size_t pixels = (size_t)p.width * (size_t)p.height;
    out->stride = (size_t)p.width * 3;
    if (!codec_reserve(out, pixels * 3, err)) return false;
    for (size_t i = 0; i < pixels; i++)
        for (int k = 0; k < 3; k++) {
            uint8_t *to = out->memory + 3 * i + (size_t)k;
            uint32_t sample;
            if (k >= p.channels) {
                *to = to[-1];
                continue;
            }
            if (!next_sample(&p, &sample) || sample > p.most)
                return error_set(err, ERROR_RUN, "a PPM or PGM with a sample that is no number up to %u", p.most);
            *to = (uint8_t)nearbyint((double)sample / p.most * 255);
        }
    return codec_cut(out, &h, box, err);
}

const codec codec_pnm = {"PNM", 1, pnm_knows, pnm_measure, pnm_decode};
