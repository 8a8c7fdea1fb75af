/* Chunks of HDF5 packed by LZF, byte by byte: what comes out is a whole chunk, or the file is refused. */
#include "analysis/files/array_file.h"
#include "tests/scratch.h"

#include <check.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 2, COLS = 4, CHUNK = ROWS * COLS * 4, LZF = 32000 };

static char path[SCRATCH];

/* One data set of 2 × 4 floats whose only chunk is these bytes. */
static void write_chunk(const uint8_t *bytes, size_t size) {
    hsize_t shape[2] = {ROWS, COLS}, origin[2] = {0, 0};
    unsigned about[3] = {4, 261, CHUNK}; /* h5py's: its version, LZF's, bytes of a chunk */
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, shape, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 2, shape);
    H5Pset_filter(how, LZF, H5Z_FLAG_OPTIONAL, 3, about);
    hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite_chunk(set, H5P_DEFAULT, 0, origin, size, bytes), 0);
    H5Dclose(set), H5Pclose(how), H5Sclose(space), H5Fclose(file);
}

static bool read_back(float out[ROWS * COLS], error *err) {
    array_request request = {.dims = 2, .option = "--tensor"};
    array_file a;
    if (!array_open(&a, path, &request, err)) return false;
    double row[COLS];
    for (uint64_t i = 0; i < ROWS; i++) {
        array_read_double(&a, i, 1, row);
        for (int j = 0; j < COLS; j++) out[i * COLS + (uint64_t)j] = (float)row[j];
    }
    array_close(&a);
    return true;
}

static void setup(void) { scratch_file(path); }

static void teardown(void) { unlink(path); }

START_TEST(test_a_chunk_that_unpacks_to_all_its_bytes_is_read) {
    float x[ROWS * COLS] = {1, -2, 3, 0.5f, 7, 8, 9, -10}, got[ROWS * COLS];
    uint8_t packed[1 + CHUNK] = {CHUNK - 1};
    error err = {0};
    memcpy(packed + 1, x, CHUNK);
    write_chunk(packed, sizeof packed);
    ck_assert_msg(read_back(got, &err), "%s", err.text);
    ck_assert_mem_eq(got, x, CHUNK);
}
END_TEST

/* libhdf5 would hand on what stood in that memory before. */
START_TEST(test_a_chunk_that_unpacks_to_fewer_bytes_is_refused) {
    float x[ROWS * COLS] = {1, -2, 3, 0.5f}, got[ROWS * COLS];
    uint8_t packed[1 + CHUNK / 2] = {CHUNK / 2 - 1};
    error err = {0};
    memcpy(packed + 1, x, CHUNK / 2);
    write_chunk(packed, sizeof packed);
    ck_assert_msg(!read_back(got, &err), "read as … %g %g", (double)got[4], (double)got[5]);
    ck_assert_msg(*err.text, "refused without a word");
}
END_TEST

Suite *suite_hdf5(void) {
    Suite *s = suite_create("hdf5");
    TCase *t = tcase_create("hdf5");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_a_chunk_that_unpacks_to_all_its_bytes_is_read);
    tcase_add_test(t, test_a_chunk_that_unpacks_to_fewer_bytes_is_refused);
    suite_add_tcase(s, t);
    return s;
}
