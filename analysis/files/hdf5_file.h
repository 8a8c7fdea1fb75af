/* Private to the HDF5 reader. */
#ifndef MEWS_HDF5_FILE_H
#define MEWS_HDF5_FILE_H

#include "analysis/files/array_box.h"

#include <hdf5.h>

/* Registers LZF, h5py's own filter, with libhdf5, which does not hold it. */
bool hdf5_register_lzf(void);

/*
 * What a data set's creation says that would make its values false or out of reach: filters that are not there, parts
 * that were never written, virtual parts whose source is missing. False with the reason in `problem`. `path`: the
 * file's.
 */
bool hdf5_check_storage(hid_t set, const char *path, uint64_t count, char *problem, size_t size);

/* MATLAB 7.3's (hdf5_matlab.c): whether the file is one, what of it is no variable, and a variable's type and shape as
 * MATLAB has them, with what hinders, `hinders` or a reason of its own; NULL: nothing. */
bool hdf5_is_matlab(const array_box *b);
bool hdf5_matlab_hides(const char *set);
const char *hdf5_matlab_describe(hid_t set, hid_t type, strided *a, const char *hinders);
/* Its letters and cell arrays of strings. *memory is to be freed. */
bool hdf5_matlab_text(array_box *b, hid_t set, const char *name, strided *a, void **memory, error *err);

#endif
