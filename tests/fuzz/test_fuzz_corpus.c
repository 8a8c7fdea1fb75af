/* Every file of the fuzzers' corpora, and what is left of it when it is cut short, goes through its reader again. */
#include "engine/files/file.h"
#include "tests/fuzz/fuzz.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*read)(const uint8_t *data, size_t size);
} readers[] = {
    {"npy", fuzz_npy},
    {"npz", fuzz_npz},
    {"safetensors", fuzz_safetensors},
    {"spec", fuzz_spec},
    {"jpeg", fuzz_jpeg},
    {"png", fuzz_png},
    {"cifar", fuzz_cifar},
    {"idx", fuzz_idx},
    {"mat", fuzz_mat},
    {"stl10", fuzz_stl10},
    {"archive", fuzz_archive},
    {"pack", fuzz_pack},
    {"checkpoint", fuzz_checkpoint},
    {"record", fuzz_record},
    {"index", fuzz_index},
    {"metrics", fuzz_metrics},
    {"pickle", fuzz_pickle},
    {"webp", fuzz_webp},
    {"tiff", fuzz_tiff},
    {"bmp", fuzz_bmp},
    {"pnm", fuzz_pnm},
    {"cifar_python", fuzz_cifar_python},
    {"layout", fuzz_layout},
    {"torch", fuzz_torch},
    {"torch_legacy", fuzz_torch_legacy},
    {"h5", fuzz_h5},
    {"mat_arrays", fuzz_mat_arrays},
    {"text", fuzz_text},
    {"vecs", fuzz_vecs},
    {"faiss", fuzz_faiss},
};
enum { READERS = sizeof readers / sizeof *readers, CUTS = 50 };

/* A copy of exactly this size: what reads beyond it is seen by the sanitizers. */
static void read_copy(int (*reader)(const uint8_t *, size_t), const char *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    ck_assert_int_eq(reader(copy, size), 0);
    free(copy);
}

START_TEST(test_corpus_is_read_or_refused_but_never_crashes) {
    char folder[64], path[512];
    size_t files = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", readers[_i].name);
    DIR *listing = opendir(folder);
    ck_assert_msg(listing != NULL, "%s is not there", folder);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        error err = {0};
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        char *bytes = file_read(path, &size, &err);
        ck_assert_msg(bytes != NULL, "%s", err.text);
        for (size_t cut = 0; cut <= CUTS; cut++) read_copy(readers[_i].read, bytes, size * cut / CUTS);
        free(bytes);
        files++;
    }
    closedir(listing);
    ck_assert_msg(files > 0, "%s is empty", folder);
}
END_TEST

Suite *suite_fuzz_corpus(void) {
    Suite *s = suite_create("fuzz_corpus");
    TCase *t = tcase_create("fuzz_corpus");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_corpus_is_read_or_refused_but_never_crashes, 0, READERS);
    suite_add_tcase(s, t);
    return s;
}
