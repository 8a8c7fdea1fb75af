/*
 * PyTorch's tensors as they are pickled: a call of torch._utils._rebuild_tensor_v2 or one of its kin, whose arguments
 * are a storage (a persistent id, the bytes being elsewhere), an offset, sizes and strides. A tensor is a view: a slice
 * carries its whole storage, .T and expand their strides, and what bounds it is the storage.
 */
#ifndef MEWS_TORCH_H
#define MEWS_TORCH_H

#include "analysis/files/pickle_offers.h"

/* A storage's bytes by its key; false: missing. */
typedef bool (*torch_storage)(void *context, const char *key, const uint8_t **bytes, size_t *size);

typedef struct torch_reader {
    torch_storage storage;
    void *context;
    bool swapped; /* written by a machine of the other byte order */
} torch_reader;

/* A pickle_tensor, whose context is a torch_reader. */
bool torch_tensor(void *reader, const pickle_value *object, strided *out, char problem[PICKLE_PROBLEM]);

/* A storage's class ("torch.FloatStorage") as a type; false for untyped ones and those not read. */
bool torch_storage_type(const pickle_value *global, element_type *type, bool *untyped);

/* A storage that stands in the pickle itself, as pickle.dump has it; false: it is damaged. */
typedef struct torch_storage_of {
    char class[96]; /* "torch.FloatStorage" */
    bool typed;     /* by its class */
    element_type type;
    const uint8_t *bytes;
    size_t size;
} torch_storage_of;
bool torch_lone_storage(const uint8_t *bytes, size_t size, torch_storage_of *out);

/* A file of torch.save before 1.6, or with _use_new_zipfile_serialization=False: pickles, then storages. False: it is
 * none. */
bool torch_is_legacy(const pickle *first);
bool torch_open_legacy(array_box *b, size_t after_magic, error *err);

/* A zip archive with data.pkl in it: the folder in which that lies ("archive/"), the caller's to free, or NULL; and the
 * storages beside it, for a torch_reader whose context is a torch_zip. */
typedef struct zip zip;
typedef struct torch_zip {
    const zip *archive;
    const char *folder;
} torch_zip;
char *torch_folder(const zip *z);
bool torch_zip_storage(void *context, const char *key, const uint8_t **bytes, size_t *size);
bool torch_open_zip(array_box *b, const zip *z, const char *folder, error *err);

#endif
