/*
 * HDF5 by libhdf5: every data set of the file, by its path, and every field of tables (PyTables' and pandas' compounds,
 * as `/name/table/values_block_0`). What lies in one piece in this machine's form is used where it lies; the rest is
 * read whole into memory when it is chosen, no more than half of the machine's. libhdf5 1.10 checks much, and not all,
 * of what a file says of itself: its parsing of headers and of chunks is trusted here, so a file from a stranger is
 * better had in a safer form.
 */
#include "analysis/files/array_file.h"
#include "analysis/files/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MOST = 1 << 16, LETTERS_MOST = 1000 };

typedef struct source {
    char *set, *field; /* field NULL: the whole set */
} source;

typedef struct hdf5 {
    hid_t file;
    char **sets;
    size_t count;
    source *sources; /* by an offer's place */
    size_t source_count;
    bool matlab;
} hdf5;

/* ---- types ------------------------------------------------------------------------------------------------------- */

static bool integer_type(hid_t type, element_type *out) {
    static const element_type plain[] = {ELEMENT_U8, ELEMENT_U16, ELEMENT_U32, ELEMENT_U64};
    static const element_type with_sign[] = {ELEMENT_I8, ELEMENT_I16, ELEMENT_I32, ELEMENT_I64};
    size_t size = H5Tget_size(type), i = size == 1 ? 0 : size == 2 ? 1 : size <= 4 ? 2 : 3;
    if (size > 8) return false;
    *out = H5Tget_sign(type) == H5T_SGN_NONE ? plain[i] : with_sign[i];
    return true;
}

/* As h5py writes them. */
static bool is_complex(hid_t type) {
    if (H5Tget_nmembers(type) != 2) return false;
    char *a = H5Tget_member_name(type, 0), *b = H5Tget_member_name(type, 1);
    bool found = a && b && strcmp(a, "r") == 0 && strcmp(b, "i") == 0;
    H5free_memory(a);
    H5free_memory(b);
    return found;
}

/* A type as elements, in memory: what hinders, or NULL. Widths of text are known when it is read. */
static const char *type_of(hid_t type, strided *a) {
    switch (H5Tget_class(type)) {
    case H5T_INTEGER: return integer_type(type, &a->type) ? NULL : "holds integers of more than 64 bits";
    case H5T_FLOAT: a->type = H5Tget_size(type) <= 4 ? ELEMENT_F32 : ELEMENT_F64; return NULL;
    case H5T_ENUM: a->type = ELEMENT_I8; return H5Tget_size(type) == 1 ? NULL : "holds names by numbers (an enum)";
    case H5T_STRING: a->type = ELEMENT_TEXT, a->width = 1; return NULL;
    case H5T_OPAQUE:
        a->type = ELEMENT_OPAQUE, a->width = H5Tget_size(type);
        return a->width <= 8 ? NULL : "holds bytes of no named type";
    case H5T_COMPOUND: return is_complex(type) ? "holds complex numbers" : "holds records";
    case H5T_VLEN: return "holds lists of several lengths";
    default: return "is of a type that is not read";
    }
}

static hid_t memory_type(const strided *a, hid_t file_type) {
    switch (a->type) {
    case ELEMENT_F32: return H5Tcopy(H5T_NATIVE_FLOAT);
    case ELEMENT_F64: return H5Tcopy(H5T_NATIVE_DOUBLE);
    case ELEMENT_U8: return H5Tcopy(H5T_NATIVE_UINT8);
    case ELEMENT_U16: return H5Tcopy(H5T_NATIVE_UINT16);
    case ELEMENT_U32: return H5Tcopy(H5T_NATIVE_UINT32);
    case ELEMENT_U64: return H5Tcopy(H5T_NATIVE_UINT64);
    case ELEMENT_I16: return H5Tcopy(H5T_NATIVE_INT16);
    case ELEMENT_I32: return H5Tcopy(H5T_NATIVE_INT32);
    case ELEMENT_I64: return H5Tcopy(H5T_NATIVE_INT64);
    case ELEMENT_I8:
        if (H5Tget_class(file_type) == H5T_INTEGER) return H5Tcopy(H5T_NATIVE_INT8);
        return H5Tcopy(file_type); /* h5py's booleans */
    default: return H5Tcopy(file_type);
    }
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

static herr_t note_set(hid_t root, const char *name, const H5O_info_t *info, void *context) {
    (void)root;
    hdf5 *h = context;
    if (info->type != H5O_TYPE_DATASET || (h->matlab && hdf5_matlab_hides(name))) return 0;
    if (h->count == SETS_MOST) return 1;
    char **sets = realloc(h->sets, (h->count + 1) * sizeof *sets);
    if (!sets) return -1;
    h->sets = sets;
    return (h->sets[h->count] = strdup(name)) ? h->count++, 0 : -1;
}

/* A link into another file is told, not followed: the file that it names may be anybody's. */
static herr_t offer_link(hid_t root, const char *name, const H5L_info_t *info, void *context) {
    array_box *b = context;
    char value[2048], problem[300];
    const char *file = NULL, *path = NULL;
    unsigned flags;
    error err = {0};
    if (info->type != H5L_TYPE_EXTERNAL || info->u.val_size > sizeof value) return 0;
    if (H5Lget_val(root, name, value, sizeof value, H5P_DEFAULT) < 0 ||
        H5Lunpack_elink_val(value, info->u.val_size, &flags, &file, &path) < 0)
        return 0;
    snprintf(problem, sizeof problem, "is a link to `%.80s` of %.120s, which is not followed; name that file", path,
             file);
    return array_box_offer(b, name, NULL, problem, &err) ? 0 : -1;
}

/* The set's shape, then the field's own: of an array-typed field. */
static bool add_shape(strided *a, hid_t space, hid_t type) {
    hsize_t shape[32];
    int dims = H5Sget_simple_extent_ndims(space), inner = 0;
    if (dims < 0 || dims > STRIDED_DIMS || H5Sget_simple_extent_dims(space, shape, NULL) != dims) return false;
    for (int i = 0; i < dims; i++) a->shape[i] = shape[i];
    if (H5Tget_class(type) == H5T_ARRAY) {
        inner = H5Tget_array_ndims(type);
        if (inner < 0 || dims + inner > STRIDED_DIMS || H5Tget_array_dims2(type, shape) != inner) return false;
        for (int i = 0; i < inner; i++) a->shape[dims + i] = shape[i];
    }
    a->dims = dims + inner;
    return true;
}

static bool offer_one(array_box *b, const char *set, hid_t id, const char *field, hid_t space, hid_t type,
                      const char *problem, error *err) {
    hdf5 *h = b->state;
    char name[600];
    strided a = {0};
    bool array = H5Tget_class(type) == H5T_ARRAY;
    hid_t base = array ? H5Tget_super(type) : H5Tcopy(type);
    const char *hinders = type_of(base, &a);
    if (!add_shape(&a, space, type) && !hinders) hinders = "has more than 8 dimensions";
    H5Tclose(base);
    if (h->matlab && !field) hinders = hdf5_matlab_describe(id, type, &a, hinders);
    strided_pack(&a, h->matlab);
    source *sources = realloc(h->sources, (h->source_count + 1) * sizeof *sources);
    if (!sources) return error_memory(err, sizeof *sources, "names");
    h->sources = sources;
    h->sources[h->source_count] = (source){.set = strdup(set), .field = field ? strdup(field) : NULL};
    source *s = &h->sources[h->source_count++];
    if (!s->set || (field && !s->field)) return error_memory(err, sizeof *sources, "names");
    snprintf(name, sizeof name, "%.400s%s%.150s", set, field ? "/" : "", field ? field : "");
    array_offer *o = array_box_offer(b, name, &a, hinders ? hinders : problem, err);
    if (o) o->place = h->source_count - 1;
    return o != NULL;
}

static bool offer_fields(array_box *b, const char *set, hid_t space, hid_t type, const char *problem, error *err) {
    int count = H5Tget_nmembers(type);
    for (int i = 0; i < count; i++) {
        char *field = H5Tget_member_name(type, (unsigned)i);
        hid_t member = H5Tget_member_type(type, (unsigned)i);
        bool ok = field && member >= 0 && offer_one(b, set, -1, field, space, member, problem, err);
        if (member >= 0) H5Tclose(member);
        H5free_memory(field);
        if (!ok) return error_set(err, ERROR_RUN, "%s: `%.60s` has a broken field", b->name, set);
    }
    return true;
}

static bool offer_set(array_box *b, const char *name, error *err) {
    hdf5 *h = b->state;
    hid_t set = H5Dopen2(h->file, name, H5P_DEFAULT);
    char problem[300] = "";
    if (set < 0) {
        unsigned major = 0, minor = 0, release = 0;
        H5get_libversion(&major, &minor, &release);
        snprintf(
            problem, sizeof problem,
            "is damaged or written in a newer form than libhdf5 %u.%u.%u reads; h5py.File(…, libver='v110') writes "
            "one that it does",
            major, minor, release);
        return array_box_offer(b, name, NULL, problem, err) != NULL;
    }
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    bool ok = true;
    if (space < 0 || type < 0 || count < 0)
        ok = array_box_offer(b, name, NULL, "is damaged", err) != NULL;
    else {
        hdf5_check_storage(set, b->path, (uint64_t)count, problem, sizeof problem);
        const char *hinders = *problem ? problem : NULL;
        ok = H5Tget_class(type) == H5T_COMPOUND && !is_complex(type)
                 ? offer_fields(b, name, space, type, hinders, err)
                 : offer_one(b, name, set, NULL, space, type, hinders, err);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Dclose(set);
    return ok;
}

/* libhdf5 wants the real path of what it opens; a spooled pipe has none, so its bytes are handed over. */
static hid_t open_file(const array_box *b) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    bool ok =
        access >= 0 && (b->file < 0 || (b->size <= array_memory() / 2 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0 &&
                                        H5Pset_file_image(access, (void *)b->bytes, b->size) >= 0));
    if (ok) file = H5Fopen(b->file < 0 ? b->path : "pipe", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

static bool open_hdf5(array_box *b, error *err) {
    hdf5 *h = calloc(1, sizeof *h);
    if (!h) return error_memory(err, sizeof *h, b->name);
    b->state = h;
    h->matlab = hdf5_is_matlab(b);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* it would print its stack */
    hdf5_register_lzf();
    h->file = open_file(b);
    if (h->file < 0)
        return error_set(
            err, ERROR_RUN,
            "%s: is a damaged HDF5 file, one that is still open for writing, or of a newer form than is read", b->name);
    if (H5Ovisit2(h->file, H5_INDEX_NAME, H5_ITER_INC, note_set, h, H5O_INFO_BASIC) < 0)
        return error_set(err, ERROR_RUN, "%s: is a damaged HDF5 file: its list of data sets cannot be read", b->name);
    for (size_t i = 0; i < h->count; i++)
        if (!offer_set(b, h->sets[i], err)) return false;
    return H5Lvisit(h->file, H5_INDEX_NAME, H5_ITER_INC, offer_link, b) >= 0 ||
           error_set(err, ERROR_RUN, "%s: is a damaged HDF5 file: its links cannot be read", b->name);
}

static void close_hdf5(array_box *b) {
    hdf5 *h = b->state;
    if (!h) return;
    for (size_t i = 0; i < h->count; i++) free(h->sets[i]);
    for (size_t i = 0; i < h->source_count; i++) free(h->sources[i].set), free(h->sources[i].field);
    free(h->sets);
    free(h->sources);
    if (h->file > 0) H5Fclose(h->file);
    free(h);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* In one piece, in this machine's own form: where it lies, or NULL. */
static const uint8_t *plain_place(const array_box *b, hid_t set, hid_t type, const strided *a, uint64_t bytes) {
    hid_t plan = H5Dget_create_plist(set), native = memory_type(a, type),
          files = H5Fget_create_plist(((hdf5 *)b->state)->file);
    hsize_t block = 1;
    haddr_t at = H5Dget_offset(set);
    bool same = plan >= 0 && H5Pget_layout(plan) == H5D_CONTIGUOUS && H5Tequal(native, type) > 0 &&
                H5Pget_userblock(files, &block) >= 0 && block == 0 && at != HADDR_UNDEF;
    H5Pclose(plan);
    H5Pclose(files);
    H5Tclose(native);
    return same && at <= b->size && bytes <= b->size - at ? b->bytes + at : NULL;
}

/* Strings of any length, as text of the longest one's. */
static bool read_strings(array_box *b, hid_t set, hid_t type, const char *name, uint64_t count, strided *a,
                         void **memory, error *err) {
    hid_t space = H5Dget_space(set);
    char **strings = array_box_memory(b, name, count * sizeof *strings, err);
    bool ok = strings && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, strings) >= 0;
    size_t width = 1;
    for (uint64_t i = 0; ok && i < count; i++) {
        size_t length = strings[i] ? strnlen(strings[i], LETTERS_MOST) : 0;
        if (length > width) width = length;
    }
    if (ok && (ok = (*memory = array_box_memory(b, name, count * width, err)) != NULL))
        for (uint64_t i = 0; i < count; i++)
            if (strings[i]) strncpy((char *)*memory + i * width, strings[i], width);
    if (strings) H5Dvlen_reclaim(type, space, H5P_DEFAULT, strings);
    free(strings);
    H5Sclose(space);
    a->width = width;
    return ok;
}

/* Blanks that pad strings of one length go. */
static void trim(uint8_t *text, uint64_t count, size_t width) {
    for (uint64_t i = 0; i < count; i++)
        for (size_t k = width; k-- > 0 && text[i * width + k] == ' ';) text[i * width + k] = 0;
}

static bool read_values(array_box *b, hid_t set, hid_t type, const source *s, strided *a, void **memory, error *err) {
    uint64_t count, bytes;
    bool array = H5Tget_class(type) == H5T_ARRAY;
    hid_t base = array ? H5Tget_super(type) : H5Tcopy(type), wanted, element = -1;
    bool text = a->type == ELEMENT_TEXT, varied = text && H5Tis_variable_str(base) > 0, ok = strided_count(a, &count);
    if (text && !varied) a->width = H5Tget_size(base);
    if (text && (a->width == 0 || (a->width > LETTERS_MOST && !varied) || (varied && (s->field || array)))) ok = false;
    ok = ok && !__builtin_mul_overflow(count, a->width, &bytes);
    const uint8_t *place = ok && !s->field && !array && !text ? plain_place(b, set, type, a, bytes) : NULL;
    if (place) {
        a->data = place;
    } else if (ok && varied) {
        ok = read_strings(b, set, type, s->set, count, a, memory, err);
        a->data = *memory;
    } else if (ok) {
        hid_t one = memory_type(a, base);
        hsize_t shape[STRIDED_DIMS];
        int inner = array ? H5Tget_array_ndims(type) : 0;
        if (array) H5Tget_array_dims2(type, shape);
        element = array ? H5Tarray_create2(one, (unsigned)inner, shape) : H5Tcopy(one);
        wanted = s->field ? H5Tcreate(H5T_COMPOUND, H5Tget_size(element)) : H5Tcopy(element);
        if (s->field) H5Tinsert(wanted, s->field, 0, element);
        ok = (*memory = array_box_memory(b, s->set, bytes, err)) != NULL &&
             H5Dread(set, wanted, H5S_ALL, H5S_ALL, H5P_DEFAULT, *memory) >= 0;
        a->data = *memory;
        if (ok && text) trim(*memory, count, a->width);
        H5Tclose(one);
        H5Tclose(element);
        H5Tclose(wanted);
    }
    H5Tclose(base);
    if (ok) strided_pack(a, ((hdf5 *)b->state)->matlab);
    return ok || error_set(err, ERROR_RUN, "%s: `%.60s` is damaged or of a kind that is not read", b->name, s->set);
}

static bool load_hdf5(array_box *b, size_t which, strided *a, void **memory, error *err) {
    hdf5 *h = b->state;
    const source *s = &h->sources[b->offers[which].place];
    hid_t set = H5Dopen2(h->file, s->set, H5P_DEFAULT), type = set >= 0 ? H5Dget_type(set) : -1, field = -1;
    if (type >= 0 && s->field) {
        int index = H5Tget_member_index(type, s->field);
        field = index >= 0 ? H5Tget_member_type(type, (unsigned)index) : -1;
    }
    hid_t used = s->field ? field : type;
    bool letters = h->matlab && !s->field && element_is_text(a->type);
    bool ok = letters     ? set >= 0 && hdf5_matlab_text(b, set, s->set, a, memory, err)
              : used >= 0 ? read_values(b, set, used, s, a, memory, err)
                          : error_set(err, ERROR_RUN, "%s: `%.60s` is damaged", b->name, s->set);
    if (field >= 0) H5Tclose(field);
    if (type >= 0) H5Tclose(type);
    if (set >= 0) H5Dclose(set);
    return ok;
}

const array_format array_format_hdf5 = {
    .kind = "an HDF5 file", .library = "libhdf5", .open = open_hdf5, .load = load_hdf5, .close = close_hdf5};
