/*
 * HDF5 reads what was never written, and virtual parts whose file is gone, as zeros and without an error: a collapse
 * that is none. Both are told apart here, before anything is read.
 */
#include "analysis/files/hdf5_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECES_MOST = 1 << 16 };

static bool check_filters(hid_t plan, char *problem, size_t size) {
    int count = H5Pget_nfilters(plan);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        char name[64] = "";
        H5Z_filter_t id = H5Pget_filter2(plan, (unsigned)i, &flags, &values, NULL, sizeof name, name, &config);
        if (id < 0 || H5Zfilter_avail(id) > 0) continue;
        snprintf(problem, size,
                 "is packed by filter %d (%.40s), which libhdf5 does not hold; write it with "
                 "compression='gzip'",
                 (int)id, name);
        return false;
    }
    return true;
}

/* The file that a virtual part comes from, as libhdf5 looks for it: beside the file, then from here. */
static bool find_source(const char *path, const char *name, char *out, size_t size) {
    const char *slash = strrchr(path, '/');
    int length = strcmp(name, ".") == 0 ? snprintf(out, size, "%s", path)
                 : *name == '/'         ? snprintf(out, size, "%s", name)
                                : snprintf(out, size, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
    if (length < (int)size && access(out, R_OK) == 0) return true;
    length = snprintf(out, size, "%s", name);
    return length < (int)size && access(out, R_OK) == 0;
}

static bool has_set(const char *file, const char *set) {
    hid_t source = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (source < 0) return false;
    hid_t found = H5Dopen2(source, set, H5P_DEFAULT);
    if (found >= 0) H5Dclose(found);
    H5Fclose(source);
    return found >= 0;
}

static bool check_virtual(hid_t plan, const char *path, uint64_t count, char *problem, size_t size) {
    size_t pieces = 0;
    uint64_t mapped = 0;
    if (H5Pget_virtual_count(plan, &pieces) < 0 || pieces > PIECES_MOST) {
        snprintf(problem, size, "is virtual, of pieces that cannot be counted");
        return false;
    }
    for (size_t i = 0; i < pieces; i++) {
        char file[1024] = "", set[1024] = "", found[2048];
        ssize_t file_length = H5Pget_virtual_filename(plan, i, file, sizeof file);
        ssize_t set_length = H5Pget_virtual_dsetname(plan, i, set, sizeof set);
        bool named = file_length > 0 && file_length < (ssize_t)sizeof file && set_length > 0 &&
                     set_length < (ssize_t)sizeof set && !strstr(file, "%b") && !strstr(set, "%b");
        if (!named || !find_source(path, file, found, sizeof found) || !has_set(found, set)) {
            snprintf(problem, size, "is virtual, and its source `%.60s` of %.80s is missing: it would read as zeros",
                     set, file);
            return false;
        }
        hid_t space = H5Pget_virtual_vspace(plan, i);
        hssize_t points = space >= 0 ? H5Sget_select_npoints(space) : 0;
        mapped += points > 0 ? (uint64_t)points : 0;
        if (space >= 0) H5Sclose(space);
    }
    if (mapped >= count) return true;
    snprintf(problem, size,
             "is virtual, and %" PRIu64 " of its %" PRIu64 " values have no source: they would read as zeros",
             count - mapped, count);
    return false;
}

/* Chunks that were never written read as the fill value. */
static bool check_chunks(hid_t set, hid_t plan, char *problem, size_t size) {
    hsize_t chunk[32], shape[32], written = 0, wanted = 1;
    hid_t space = H5Dget_space(set);
    int dims = H5Sget_simple_extent_ndims(space);
    bool known = dims > 0 && dims <= 32 && H5Pget_chunk(plan, dims, chunk) == dims &&
                 H5Sget_simple_extent_dims(space, shape, NULL) == dims && H5Dget_num_chunks(set, space, &written) >= 0;
    H5Sclose(space);
    for (int i = 0; known && i < dims; i++) wanted *= chunk[i] ? (shape[i] + chunk[i] - 1) / chunk[i] : 1;
    if (!known || written >= wanted) return true;
    snprintf(problem, size, "was not written to its end: %llu of %llu chunks are missing and would read as zeros",
             (unsigned long long)(wanted - written), (unsigned long long)wanted);
    return false;
}

bool hdf5_check_storage(hid_t set, const char *path, uint64_t count, char *problem, size_t size) {
    hid_t plan = H5Dget_create_plist(set);
    H5D_layout_t layout = plan >= 0 ? H5Pget_layout(plan) : H5D_LAYOUT_ERROR;
    bool ok = layout != H5D_LAYOUT_ERROR;
    if (!ok) snprintf(problem, size, "cannot be looked at");
    if (ok && H5Pget_external_count(plan) > 0) {
        snprintf(problem, size, "keeps its numbers in another file, which is not followed");
        ok = false;
    }
    ok = ok && check_filters(plan, problem, size);
    if (ok && layout == H5D_VIRTUAL) ok = check_virtual(plan, path, count, problem, size);
    if (ok && layout == H5D_CHUNKED) ok = check_chunks(set, plan, problem, size);
    if (ok && layout == H5D_CONTIGUOUS && count && H5Dget_storage_size(set) == 0) {
        snprintf(problem, size, "was never written: it would read as zeros");
        ok = false;
    }
    if (plan >= 0) H5Pclose(plan);
    return ok;
}
