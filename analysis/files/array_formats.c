/*
 * The formats, told apart by their first bytes, since each has its own, and by a name's ending where bytes say nothing
 * (.fvecs, text) or are broken: the reader of that kind knows best what is wrong. Kinds that are common and not read
 * are named, with what would do instead.
 */
#include "analysis/files/array_box.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool starts(const uint8_t *bytes, size_t size, const char *with, size_t length) {
    return size >= length && memcmp(bytes, with, length) == 0;
}

static bool is_hdf5(const uint8_t *bytes, size_t size) { return starts(bytes, size, "\x89HDF\r\n\x1a\n", 8); }

/* An 8-byte length, then JSON: perhaps behind blanks. */
static bool is_safetensors(const uint8_t *bytes, size_t size) {
    uint64_t length = 0;
    size_t i = 8;
    if (size < 10) return false;
    for (int k = 7; k >= 0; k--) length = length << 8 | bytes[k];
    while (i < size && strchr(" \t\r\n", bytes[i]) && bytes[i]) i++;
    return i < size && bytes[i] == '{' && (length < 1 << 28 || i == 8);
}

static bool is_faiss(const uint8_t *bytes, size_t size) {
    return starts(bytes, size, "Ix", 2) || starts(bytes, size, "Iw", 2) || starts(bytes, size, "IHN", 3);
}

/* Printable first bytes, no zeros. */
static bool is_text(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size && i < 512; i++)
        if (bytes[i] < ' ' && !strchr("\t\r\n", bytes[i])) return false;
    return size > 0 && !memchr(bytes, 0, size < 512 ? size : 512);
}

static const array_format *by_bytes(const uint8_t *bytes, size_t size) {
    if (starts(bytes, size, "\x93NUMPY", 6)) return &array_format_npy;
    if (starts(bytes, size, "PK\3\4", 4) || starts(bytes, size, "PK\5\6", 4)) return &array_format_zip;
    if (starts(bytes, size, "MATLAB 5.0", 10)) return &array_format_mat;
    if (is_hdf5(bytes, size) || (size > 520 && is_hdf5(bytes + 512, size - 512))) return &array_format_hdf5;
    if (is_safetensors(bytes, size)) return &array_format_safetensors;
    if (size > 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5) return &array_format_pickle;
    return is_faiss(bytes, size) ? &array_format_faiss : NULL;
}

static bool ends(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcasecmp(name + length - tail, ending) == 0;
}

/* One more reader is a file beside this one and its ending here. */
#define ENDINGS(X)                                                                                                     \
    X(".npy", npy)                                                                                                     \
    X(".npz", zip)                                                                                                     \
    X(".safetensors", safetensors)                                                                                     \
    X(".safetensors.index.json", index)                                                                                \
    X(".bin.index.json", index)                                                                                        \
    X(".pt", zip)                                                                                                      \
    X(".pth", zip)                                                                                                     \
    X(".pkl", pickle)                                                                                                  \
    X(".pickle", pickle)                                                                                               \
    X(".h5", hdf5)                                                                                                     \
    X(".hdf5", hdf5)                                                                                                   \
    X(".mat", mat)                                                                                                     \
    X(".csv", text)                                                                                                    \
    X(".tsv", text)                                                                                                    \
    X(".txt", text)                                                                                                    \
    X(".fvecs", vecs)                                                                                                  \
    X(".bvecs", vecs)                                                                                                  \
    X(".ivecs", vecs)

#define X(ending, format) extern const array_format array_format_##format;
ENDINGS(X)
#undef X

static const struct {
    const char *ending;
    const array_format *format;
} endings[] = {
#define X(ending, format) {ending, &array_format_##format},
    ENDINGS(X)
#undef X
};

static const array_format *by_name(const char *name) {
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends(name, endings[i].ending)) return endings[i].format;
    return NULL;
}

/* Text that is no table: lists in brackets would pass for one row of many columns. */
static bool name_notation(const char *name, const uint8_t *bytes, size_t size, error *err) {
    size_t i = 0;
    if (!is_text(bytes, size)) return true;
    while (i < size && strchr(" \t\r\n", bytes[i])) i++;
    if (i < size && (bytes[i] == '[' || bytes[i] == '{'))
        return error_set(err, ERROR_RUN,
                         "%s: is JSON, or lists as Python prints them, which are not read; save them as a matrix, by "
                         "np.save",
                         name);
    if (i < size && bytes[i] == '<')
        return error_set(err, ERROR_RUN, "%s: is a page of HTML or XML, and no table; was it downloaded amiss?", name);
    return true;
}

/* What is known not to be read. */
static bool name_stranger(const char *name, const uint8_t *bytes, size_t size, error *err) {
    static const struct {
        const char *magic;
        size_t length;
        const char *what, *instead;
    } strangers[] = {
        {"\x1f\x8b", 2, "packed by gzip", "gunzip -c FILE | mews diagnose -"},
        {"BZh", 3, "packed by bzip2", "bunzip2 -c FILE | mews diagnose -"},
        {"\xfd"
         "7zXZ",
         5, "packed by xz", "xz -dc FILE | mews diagnose -"},
        {"\x28\xb5\x2f\xfd", 4, "packed by zstd", "zstd -dc FILE | mews diagnose -"},
        {"PAR1", 4, "a Parquet table", "save its columns as a matrix, by np.save"},
        {"ARROW1", 6, "an Arrow table", "save its columns as a matrix, by np.save"},
        {"\xff\xfe", 2, "text in UTF-16", "iconv -f utf-16 -t utf-8 FILE | mews diagnose -"},
        {"\xfe\xff", 2, "text in UTF-16", "iconv -f utf-16 -t utf-8 FILE | mews diagnose -"},
        {"\x89PNG", 4, "a picture", "embeddings are a matrix of numbers, a row an input"},
        {"\xff\xd8\xff", 3, "a picture", "embeddings are a matrix of numbers, a row an input"},
    };
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (starts(bytes, size, strangers[i].magic, strangers[i].length))
            return error_set(err, ERROR_RUN, "%s: is %s, which is not read; %s", name, strangers[i].what,
                             strangers[i].instead);
    return name_notation(name, bytes, size, err);
}

/* A file out of a folder that is to be named whole. */
static bool name_part(const char *name, error *err) {
    const char *slash = strrchr(name, '/'), *file = slash ? slash + 1 : name;
    if (!ends(name, ".distcp") && strcmp(file, ".metadata") != 0) return true;
    return error_set(err, ERROR_USAGE, "%s: is one file of a checkpoint of torch.distributed; name its folder, `%.*s`",
                     name, slash ? (int)(slash - name) : 1, slash ? name : ".");
}

const array_format *array_format_of(const char *name, const uint8_t *bytes, size_t size, error *err) {
    const array_format *format = by_bytes(bytes, size), *named = by_name(name);
    if (named && named->by_name) return named;
    if (!name_part(name, err)) return NULL;
    if (format) return format;
    if (!name_stranger(name, bytes, size, err)) return NULL;
    if (named == &array_format_zip && (ends(name, ".pt") || ends(name, ".pth"))) named = &array_format_pickle;
    if (named) return named;
    if (is_text(bytes, size)) return &array_format_text;
    error_set(
        err, ERROR_RUN,
        "%s: is of no kind that is read: .npy, .npz, .safetensors, .pt, .pkl, .h5, .mat, .csv, .tsv, .fvecs, faiss",
        name);
    return NULL;
}

void array_format_note(array_box *b) {
    const array_format *named = by_name(b->name);
    if (ends(b->name, ".npy") && b->format == &array_format_zip)
        array_box_note(b, "%s is an .npz archive, in spite of its name", b->name);
    else if (ends(b->name, ".npz") && named != b->format)
        array_box_note(b, "%s is %s, in spite of its name", b->name, b->format->kind);
}

/* The index of a folder's shards, as Hugging Face's libraries name it, or its only safetensors file: what is to be
 * opened in its place. */
bool array_folder_index(const char *path, char *file, size_t size) {
    static const char *const names[] = {"model.safetensors.index.json",
                                        "diffusion_pytorch_model.safetensors.index.json",
                                        "pytorch_model.bin.index.json", "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int length = snprintf(file, size, "%s/%s", path, names[i]);
        if (length > 0 && length < (int)size && access(file, F_OK) == 0) return true;
    }
    return false;
}

const array_format *array_format_of_folder(const char *path, error *err) {
    char file[4096];
    snprintf(file, sizeof file, "%.4000s/.metadata", path);
    if (access(file, F_OK) == 0) return &array_format_dcp;
    error_set(err, ERROR_RUN,
              "%s: is a folder, and neither a run's (embeddings.npy) nor a checkpoint in shards (.metadata, "
              "model.safetensors.index.json); name a file in it, or several as '%s/part-*.npy'",
              path, path);
    return NULL;
}
