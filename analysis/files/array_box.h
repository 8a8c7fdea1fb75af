/*
 * What a file of arrays offers: a list of names, types and shapes, of which one array is then chosen and loaded. Each
 * format is one file with one `array_format`; the list of them is in array_formats.c. A format says what is there
 * without reading elements, and what it cannot read it offers with the reason, so that a neighbour is no worse for it.
 */
#ifndef MEWS_ARRAY_BOX_H
#define MEWS_ARRAY_BOX_H

#include "engine/files/file.h"
#include "engine/files/pickle.h"
#include "engine/files/strided.h"

typedef struct array_offer {
    char *name; /* NULL: the file's only array, which has none */
    strided
        array; /* type, dims and shape; data and strides where they lie in the file's own bytes, data NULL: not yet */
    char *problem;             /* why it cannot be read; NULL: it can */
    size_t place;              /* for its format */
    size_t first, step, parts; /* of a joined offer: its parts are offers first, first + step, …; parts 0: of its own */
    bool part;                 /* of a joined offer, which is meant unless this one is named */
} array_offer;

typedef struct array_format array_format;

typedef struct array_box {
    char *name;        /* the file's, for messages */
    char *path;        /* that opens these bytes again, for libraries that want one; a folder's own */
    const char *apart; /* a column of a table that is asked for by itself, and so no part of its matrix; NULL: none */
    const uint8_t *bytes;
    size_t size;
    const array_format *format;
    array_offer *offers;
    size_t count, room;
    void **kept; /* memory that offers point into */
    size_t kept_count;
    char *note;     /* a line that the user should see; NULL: none */
    void *state;    /* the format's own */
    pickle *pickle; /* that offers point into; NULL: none */
    file_map map;   /* behind `bytes` */
    int file;       /* a spooled pipe's, kept for `path`; or −1 */
    size_t users;   /* array_files that it is shared by */
    bool unguarded; /* the format's library works in this process: for fuzzers, who look for its crashes */
} array_box;

struct array_format {
    const char *kind;
    bool by_name;        /* the name decides, whatever the first bytes look like */
    const char *library; /* that parses it and may crash on a damaged file (array_guard.h); NULL: ours alone */
    /* Fills in the offers. ERROR_RUN says what is wrong with the file as a whole. */
    bool (*open)(array_box *b, error *err);
    /* Brings an offer whose data is NULL into memory: *memory is to be freed. NULL: there are none such. */
    bool (*load)(array_box *b, size_t which, strided *out, void **memory, error *err);
    void (*close)(array_box *b); /* NULL: nothing to do */
};

/* A file, folder or pipe (`-`: standard input) with its offers. NULL with a message. `apart` outlives it.
 * array_box_leave frees what the last user leaves. */
array_box *array_box_open(const char *path, const char *apart, error *err);
void array_box_leave(array_box *b);

/* A box of one array in somebody's memory, which outlives it. NULL with a message. */
array_box *array_box_of_memory(const char *name, const strided *array, error *err);

/* Brings offer `which` into `out`; *memory is to be freed. */
bool array_box_load(array_box *b, size_t which, strided *out, void **memory, error *err);

/* The same for a joined offer, for array_box_load. */
bool array_box_put_together(array_box *b, size_t which, strided *out, void **memory, error *err);

/* By first bytes, then by the name's ending. NULL with a message that names what it is, where that is known. */
const array_format *array_format_of(const char *name, const uint8_t *bytes, size_t size, error *err);
/* Notes a name that says another kind than the bytes. */
void array_format_note(array_box *b);
/* A folder's file that says where its shards are, which is to be opened in its place; false: there is none. */
bool array_folder_index(const char *path, char *file, size_t size);
/* Another folder: a checkpoint of torch.distributed. NULL with a message. */
const array_format *array_format_of_folder(const char *path, error *err);

/* One more offer, its name and problem copied; NULL: no memory, with a message. */
array_offer *array_box_offer(array_box *b, const char *name, const strided *array, const char *problem, error *err);
/*
 * Offers first, first + step, … (count of them) one behind another as one more, which is put together when it is
 * loaded: vectors as rows of a matrix or (flat) as a longer vector, numbers as a vector, the rest along their first
 * dimension. Nothing is offered, and true returned, where their types or their other dimensions differ.
 */
bool array_box_join(array_box *b, const char *name, size_t first, size_t step, size_t count, bool flat, error *err);
/* Memory that lives as long as the box, to be freed with it; false, and freed at once, when there is no room to note
 * it. */
bool array_box_keep(array_box *b, void *memory, error *err);
/* A line for the user, printf-like; the first stands. */
void array_box_note(array_box *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Memory for an array of this many bytes; NULL with a message that names the file. */
void *array_box_memory(const array_box *b, const char *what, uint64_t bytes, error *err);

/* The formats. */
extern const array_format array_format_npy, array_format_zip, array_format_safetensors, array_format_index,
    array_format_pickle, array_format_dcp, array_format_hdf5, array_format_mat, array_format_text, array_format_vecs,
    array_format_faiss;

#endif
