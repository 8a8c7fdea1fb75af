/*
 * One function a reader: takes any bytes as a file's, reads all of it that the reader lets pass, and returns. What it
 * must never do is crash, touch memory beyond the bytes, or let a broken file pass. `make fuzz` feeds them from
 * libFuzzer under sanitizers; test_fuzz_corpus.c replays corpus/<name>/ in every `make check`. What a fuzzer finds goes
 * there.
 */
#ifndef MEWS_FUZZ_H
#define MEWS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int fuzz_npy(const uint8_t *data, size_t size);
int fuzz_npz(const uint8_t *data, size_t size);
int fuzz_safetensors(const uint8_t *data, size_t size);
int fuzz_spec(const uint8_t *data, size_t size);
int fuzz_jpeg(const uint8_t *data, size_t size);
int fuzz_png(const uint8_t *data, size_t size);
int fuzz_cifar(const uint8_t *data, size_t size);
int fuzz_idx(const uint8_t *data, size_t size);
int fuzz_mat(const uint8_t *data, size_t size);
int fuzz_stl10(const uint8_t *data, size_t size);
int fuzz_archive(const uint8_t *data, size_t size);
int fuzz_pack(const uint8_t *data, size_t size);
int fuzz_checkpoint(const uint8_t *data, size_t size);
int fuzz_record(const uint8_t *data, size_t size);
int fuzz_index(const uint8_t *data, size_t size);
int fuzz_metrics(const uint8_t *data, size_t size);
int fuzz_pickle(const uint8_t *data, size_t size);
int fuzz_webp(const uint8_t *data, size_t size);
int fuzz_tiff(const uint8_t *data, size_t size);
int fuzz_bmp(const uint8_t *data, size_t size);
int fuzz_pnm(const uint8_t *data, size_t size);
int fuzz_cifar_python(const uint8_t *data, size_t size);
int fuzz_layout(const uint8_t *data, size_t size);
int fuzz_torch_legacy(const uint8_t *data, size_t size);
int fuzz_faiss(const uint8_t *data, size_t size);
int fuzz_vecs(const uint8_t *data, size_t size);
int fuzz_text(const uint8_t *data, size_t size);
int fuzz_mat_arrays(const uint8_t *data, size_t size);
int fuzz_h5(const uint8_t *data, size_t size);
int fuzz_torch(const uint8_t *data, size_t size);

/* Reads the bytes through a value, so that no compiler leaves the reading out. */
static inline void fuzz_use(const void *bytes, size_t size) {
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < size; i++) sink ^= ((const uint8_t *)bytes)[i];
    (void)sink;
}

#endif
