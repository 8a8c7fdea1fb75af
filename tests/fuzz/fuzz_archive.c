/*
 * An archive: every member is read or passed over, none lies outside, and an import of it as a folder of images, as
 * pixels and as files, comes to an end. A tar's headers have checksums, which are mended here: few inputs would get
 * past them.
 */
#include "engine/data/sets/source.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sources.h"

enum { TAR_BLOCK = 512, TAR_SIZE = 124, TAR_SUM = 148, TAR_MAGIC = 257 };

static void mend_tar(uint8_t *tar, size_t size) {
    for (size_t at = 0; at + TAR_BLOCK <= size;) {
        uint8_t *header = tar + at;
        unsigned sum = 0;
        char digits[13] = {0};
        if (memcmp(header + TAR_MAGIC, "ustar", 5) != 0) return;
        memset(header + TAR_SUM, ' ', 8);
        for (int i = 0; i < TAR_BLOCK; i++) sum += header[i];
        snprintf((char *)header + TAR_SUM, 8, "%06o", sum);
        memcpy(digits, header + TAR_SIZE, 12);
        unsigned long long bytes = strtoull(digits, NULL, 8);
        if (bytes > size) return;
        at += TAR_BLOCK + (size_t)(bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    }
}

static source_want choose(const void *context, const char *name) {
    (void)context;
    size_t length = strlen(name);
    return length % 5 == 0 ? SOURCE_PASS : length % 5 == 1 ? SOURCE_STREAM : SOURCE_READ;
}

static void check_name(const char *name) {
    if (name[0] == '/' || !name[0]) abort();
    for (const char *part = name; part; part = strchr(part, '/'), part = part ? part + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2])) abort();
}

static void read_members(const char *path) {
    error err = {0};
    source *s = source_open(path, &err);
    source_item item;
    uint8_t part[1024];
    while (s && source_next(s, choose, NULL, &item, &err)) {
        size_t got = 0;
        if (item.kind == SOURCE_FILE) check_name(item.name);
        if (item.kind != SOURCE_FILE && item.data) abort();
        if (item.data) fuzz_use(item.data, item.size);
        if (item.streamed && source_stream(s, part, sizeof part, &got, &err)) fuzz_use(part, got);
        source_item_free(&item);
    }
    source_close(s);
}

int fuzz_archive(const uint8_t *data, size_t size) {
    char path[64];
    data_options options;
    uint8_t *copy = malloc(size + 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    mend_tar(copy, size);
    int file = fuzz_file(copy, size, path, sizeof path);
    read_members(path);
    close(file);
    fields_defaults(&data_fields, &options);
    fuzz_import_archive(copy, size, &options, false, folder_import);
    fuzz_import_archive(copy, size, &options, true, folder_import);
    fuzz_import_archive(copy, size, &options, false, tiny_imagenet_import);
    free(copy);
    return 0;
}
