/*
 * WebP by libwebp, always decoded whole: still images, lossy or lossless. Alpha is dropped, not blended, as Pillow's
 * convert('RGB') does; the EXIF orientation stands in a chunk of its own. Animations are refused: which of their images
 * would it be?
 */
#include "engine/data/codecs/codec.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static bool webp_knows(const uint8_t *data, size_t size) {
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

static int webp_orientation(const uint8_t *data, size_t size) {
    WebPData file = {data, size};
    WebPDemuxer *demuxer = WebPDemux(&file);
    WebPChunkIterator chunk;
    int orientation = 1;
    if (!demuxer) return 1;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        const uint8_t *exif = chunk.chunk.bytes;
        size_t bytes = chunk.chunk.size;
        if (bytes >= 6 && memcmp(exif, "Exif\0\0", 6) == 0) exif += 6, bytes -= 6; /* some writers keep JPEG's prefix */
        orientation = codec_orientation(exif, bytes);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    WebPDemuxDelete(demuxer);
    return orientation;
}

static bool webp_measure(const uint8_t *data, size_t size, codec_header *out, error *err) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(data, size, &features) != VP8_STATUS_OK)
        return error_set(err, ERROR_RUN, "no WebP that can be read, or one that breaks off");
    if (features.has_animation) return error_set(err, ERROR_RUN, "an animated WebP; still images are read");
    if (features.width < 1 || features.height < 1 ||
        !codec_check_size((uint64_t)features.width, (uint64_t)features.height, err))
        return error_set(err, ERROR_RUN, "a WebP without pixels");
    *out = (codec_header){.width = features.width, .height = features.height};
    out->orientation = webp_orientation(data, size);
    return true;
}

static bool webp_decode(const uint8_t *data, size_t size, int shrink, resize_box box, codec_pixels *out, error *err) {
    codec_header h;
    (void)shrink;
    if (!webp_measure(data, size, &h, err)) return false;
    out->stride = (size_t)h.width * 3;
    size_t bytes = out->stride * (size_t)h.height;
    if (!codec_reserve(out, bytes, err)) return false;
    if (!WebPDecodeRGBInto(data, size, out->memory, bytes, (int)out->stride))
        return error_set(err, ERROR_RUN, "a WebP that is damaged or breaks off");
    return codec_cut(out, &h, box, err);
}

const codec codec_webp = {"WebP", 1, webp_knows, webp_measure, webp_decode};
