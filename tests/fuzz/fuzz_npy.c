/* .npy: header parser, then elements from the first and last rows in every type they can be read as. */
#include "analysis/files/npy.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { VALUES_MOST = 1 << 16 };

static void read_row(const npy *a, uint64_t row) {
    error err = {0};
    double *doubles = malloc(a->cols * sizeof *doubles);
    float *floats = malloc(a->cols * sizeof *floats);
    int64_t *integers = malloc(a->cols * sizeof *integers);
    if (doubles && floats && integers) {
        npy_read_double(a, row, 1, doubles);
        npy_read_float(a, row, 1, floats);
        fuzz_use(doubles, a->cols * sizeof *doubles);
        fuzz_use(floats, a->cols * sizeof *floats);
        if (npy_read_int(a, row, 1, integers, &err)) fuzz_use(integers, a->cols * sizeof *integers);
    }
    free(doubles);
    free(floats);
    free(integers);
}

int fuzz_npy(const uint8_t *data, size_t size) {
    npy a, header;
    error err = {0}, why = {0};
    uint64_t total;
    bool whole = npy_parse(&a, data, size, "fuzz.npy", &err);
    bool begun = npy_parse_header(&header, data, size, "fuzz.npy", &total, &why);
    bool fits = begun && (header.objects ? total <= size : total == size);
    if (whole != fits) abort(); /* both ways of reading agree on what a whole file is */
    if (!whole || *a.problem || element_is_text(a.array.type) || a.array.dims < 1 || a.array.dims > 2 || a.rows == 0 ||
        a.cols == 0 || a.cols > VALUES_MOST)
        return 0;
    read_row(&a, 0);
    read_row(&a, a.rows - 1);
    return 0;
}
