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

#endif
