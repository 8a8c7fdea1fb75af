/*
 * A packed file: its header's fields, then what lies behind the header's page, at most a few KiB. Sums are put right,
 * since what is to be tested stands behind them; whatever opens then must lie inside the file.
 */
#include "engine/files/checksum.h"
#include "engine/data/pack_layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

static uint8_t *seal(const uint8_t *data, size_t size, size_t *bytes, char source[65]) {
    pack_header h;
    char sum[65];
    *bytes = PACK_HEADER_BYTES + size - sizeof h;
    uint8_t *file = calloc(1, *bytes);
    if (!file) abort();
    memcpy(&h, data, sizeof h);
    memcpy(file + PACK_HEADER_BYTES, data + sizeof h, size - sizeof h);
    memcpy(h.magic, PACK_MAGIC, sizeof h.magic);
    h.version = PACK_VERSION, h.file_bytes = *bytes;
    if (h.tail_offset <= *bytes && h.tail_offset >= PACK_HEADER_BYTES && h.tail_offset % 8 == 0) {
        uint64_t at = h.tail_offset + 8 * (pack_samples(h.counts) + pack_offset_words(h.size, h.images));
        for (uint64_t i = 0; i < pack_blocks(h.tail_offset) && at + 8 * i + 8 <= *bytes; i++) {
            uint64_t block = pack_block_sum(file, h.tail_offset, i);
            memcpy(file + at + 8 * i, &block, 8);
        }
        checksum_sha256(file + h.tail_offset, *bytes - h.tail_offset, sum);
        memcpy(h.tail, sum, PACK_HEX);
    }
    pack_header_sum(&h, sum);
    memcpy(h.header, sum, PACK_HEX);
    memcpy(file, &h, sizeof h);
    memcpy(source, h.source, PACK_HEX);
    source[PACK_HEX] = '\0';
    return file;
}

static void use_inside(const pack *p, const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    if (from < p->map.data || size > p->map.size || from > p->map.data + (p->map.size - size)) abort();
    fuzz_use(bytes, size);
}

static void use_all(const pack *p) {
    for (int s = 0; s < PACK_SPLITS; s++)
        for (uint32_t i = 0; i < p->counts[s]; i++) {
            size_t bytes = 3 * (size_t)p->size * (size_t)p->size;
            const uint8_t *image = p->offsets ? pack_file(p, s, i, &bytes) : pack_image(p, s, i);
            use_inside(p, image, bytes);
            uint32_t label = p->labels[s][i];
            if (s == PACK_UNLABELLED || !p->classes ? label != PACK_NO_LABEL : label >= p->classes) abort();
        }
    for (uint32_t c = 0; c < p->classes; c++) use_inside(p, p->class_names[c], strlen(p->class_names[c]) + 1);
    use_inside(p, p->account, strlen(p->account) + 1);
}

int fuzz_pack(const uint8_t *data, size_t size) {
    char path[64], source[65];
    size_t bytes;
    pack p;
    error err = {0};
    if (size < sizeof(pack_header)) return 0;
    uint8_t *sealed = seal(data, size, &bytes, source);
    int file = fuzz_file(sealed, bytes, path, sizeof path);
    if (pack_open(&p, path, source, &err) == PACK_READY) {
        use_all(&p);
        pack_verify(&p, path, &err);
        pack_close(&p);
    }
    close(file);
    free(sealed);
    return 0;
}
