/*
 * The values of what is to be diagnosed. Every one is looked at first, in the file's own precision and a block at a
 * time; then either all rows come into memory (or stay mapped), or a sample of them does and the rest is handed out in
 * passes. What has been read of a mapped file is let go of at once, so that its pages never add up.
 */
#include "engine/rng.h"
#include "analysis/diagnose/diagnose.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_VALUES = 1 << 16 }; /* half a MiB of doubles: they stay in the cache */
/* Outside of this the squares of float32 leave its range. A matrix whose largest value is there has diverged or is in
 * odd units; verdicts do not depend on the scale, so it may as well be brought back. */
static const double SMALLEST = 1e-15, LARGEST = 1e15;
/* Rounding to float32 may make up this share of the variance: a hundredth of the differences. */
static const double ROUNDING_MOST = 1e-4;

static void read_rows(void *context, size_t first, size_t count, double *out) {
    row_reader *r = context;
    const array_file *a = r->file;
    size_t d = a->cols;
    if (a->floats) {
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < d; j++) out[i * d + j] = (double)a->floats[r->rows[first + i] * d + j];
    }
    for (size_t i = 0, run; !a->floats && i < count; i += run) {
        const uint64_t *rows = r->rows + first + i;
        for (run = 1; i + run < count && rows[run] == rows[0] + run;) run++;
        array_read_double(a, rows[0], run, out + i * d);
    }
    if (count) array_forget(a, r->rows[first], r->rows[first + count - 1] - r->rows[first] + 1);
    if (!r->progress) return;
    r->pass += first == 0;
    r->progress(r->context, r->pass, first + count, r->count);
}

static row_source source_of(row_reader *r) {
    return (row_source){.rows = r->count, .cols = r->file->cols, .read = read_rows, .context = r};
}

bool subject_source(row_reader *r, row_source *out, double **own, error *err) {
    size_t n = r->count, d = r->file->cols;
    *out = source_of(r), *own = NULL;
    if (n >= d) return true;
    *own = malloc(n * d * sizeof **own);
    if (!*own) return error_memory(err, n * d * sizeof **own, r->file->name);
    read_rows(r, 0, n, *own);
    *out = (row_source){.rows = n, .cols = d, .doubles = *own};
    return true;
}

/* ---- looking at every value -------------------------------------------------------------------------------------- */

/*
 * What a pass over a file's rows gathers. Small differences on a large offset may be lost to float32: the variance of
 * the rounding errors is held against that of the values, each about its column's mean.
 */
typedef struct scan {
    size_t bad, first_bad;
    double largest;
    double *first, *sums, *errors; /* (d): the first good row; Σ of the others less it, and of their rounding errors */
    double squares, error_squares, rows;
    bool fine; /* float32 would lose its differences */
} scan;

static void look_at(scan *s, const double *row, size_t d) {
    if (s->rows++ == 0) memcpy(s->first, row, d * sizeof *row);
    for (size_t j = 0; j < d; j++) {
        double x = row[j] - s->first[j], e = row[j] - (double)(float)row[j];
        s->largest = fmax(s->largest, fabs(row[j]));
        s->sums[j] += x, s->errors[j] += e;
        s->squares += x * x, s->error_squares += e * e;
    }
}

/* Rows with a value that is not finite (or, from float64, beyond float32) are marked in bad; the others looked at. */
static void scan_block(scan *s, const double *block, size_t first, size_t rows, size_t d, bool wide, bool *bad) {
    for (size_t i = 0; i < rows; i++) {
        const double *row = block + i * d;
        float poison = 0; /* x·0 is NaN for NaN and infinity, and NaN stays */
        double largest = 0;
#pragma omp simd reduction(+ : poison) reduction(max : largest)
        for (size_t j = 0; j < d; j++) {
            poison += (float)row[j] * 0.0f;
            largest = fabs(row[j]) > largest ? fabs(row[j]) : largest;
        }
        if (poison != 0) {
            if (s->bad++ == 0) s->first_bad = first + i;
            bad[first + i] = true;
        } else if (wide) {
            look_at(s, row, d);
        } else {
            s->largest = fmax(s->largest, largest);
        }
    }
}

static bool judge_scan(scan *s, const array_file *a, const row_reader *r, bool may_drop, error *err) {
    if (s->bad && !may_drop)
        return error_set(err, ERROR_RUN,
                         "%s: %zu of %zu rows hold NaN or infinity%s, the first is row %" PRIu64
                         " (from 0); --drop-nonfinite leaves them out",
                         a->name, s->bad, r->count, a->wide ? " (as float32)" : "", r->rows[s->first_bad]);
    bool fits = s->largest == 0 || (s->largest >= SMALLEST && s->largest <= LARGEST);
    for (size_t j = 0; a->wide && s->rows > 0 && j < a->cols; j++) {
        s->squares -= s->sums[j] * s->sums[j] / s->rows;
        s->error_squares -= s->errors[j] * s->errors[j] / s->rows;
    }
    s->fine = fits && s->error_squares > ROUNDING_MOST * s->squares;
    return fits || error_set(err, ERROR_RUN, "%s: its largest value is %.2g; scale the matrix to between %.0g and %.0g",
                             a->name, s->largest, SMALLEST, LARGEST);
}

/* Marks what is bad among the chosen rows of one file: bad (count). *offset: column means, where float32 needs them
 * taken off; NULL otherwise. */
static bool scan_file(const array_file *a, row_reader *r, bool may_drop, bool *bad, double **offset, error *err) {
    size_t d = a->cols, height = d < BLOCK_VALUES ? BLOCK_VALUES / d : 1;
    double *work = calloc(3 * d, sizeof *work), *block = malloc(height * d * sizeof *block);
    scan s = {.first = work, .sums = work + d, .errors = work + 2 * d};
    bool ok = (work && block) || error_memory(err, (height + 3) * d * sizeof *block, a->name);
    for (size_t first = 0; ok && first < r->count; first += height) {
        size_t rows = smaller(height, r->count - first);
        read_rows(r, first, rows, block);
        scan_block(&s, block, first, rows, d, a->wide, bad);
    }
    ok = ok && judge_scan(&s, a, r, may_drop, err);
    if (ok && s.fine) {
        *offset = malloc(d * sizeof **offset);
        ok = *offset || error_memory(err, d * sizeof **offset, "column means");
        for (size_t j = 0; ok && j < d; j++) (*offset)[j] = s.first[j] + s.sums[j] / s.rows;
    }
    free(work);
    free(block);
    return ok;
}

/* ---- into memory ------------------------------------------------------------------------------------------------- */

/* The rows that `embeddings` are of, as a matrix: the mapped file itself, or a copy in *own. */
static bool load_matrix(const subject *s, const array_file *a, const double *offset, size_t count, matrix *m,
                        float **own, error *err) {
    *m = (matrix){a->floats, count, a->cols};
    if (a->floats && count == a->rows) return true;
    *own = malloc(count * a->cols * sizeof **own);
    if (!*own) return error_memory(err, count * a->cols * sizeof **own, a->name);
    double *exact = offset ? malloc(a->cols * sizeof *exact) : NULL;
    if (offset && !exact) return error_memory(err, a->cols * sizeof *exact, a->name);
    for (size_t i = 0; i < count; i++) {
        uint64_t row = s->rows[s->sampled ? s->sampled[i] : i];
        float *to = *own + i * a->cols;
        if (offset)
            array_read_double(a, row, 1, exact);
        else
            array_read_float(a, row, 1, to);
        for (size_t j = 0; offset && j < a->cols; j++) to[j] = (float)(exact[j] - offset[j]);
        if (i % 1024 == 1023) array_forget(a, 0, row + 1);
    }
    free(exact);
    array_forget(a, 0, a->rows);
    m->data = *own;
    return true;
}

/* Too large for memory: embeddings become a sample. Returns its rows, or 0 on an error. */
static size_t draw_sample(subject *s, uint64_t seed, error *err) {
    size_t d = s->file.cols, most = smaller(DIAGNOSE_SAMPLE / sizeof(float) / d, DIAGNOSE_SAMPLE_ROWS);
    size_t wanted = smaller(s->count, most);
    s->sampled = malloc(wanted * sizeof *s->sampled);
    if (!s->sampled) {
        error_memory(err, wanted * sizeof *s->sampled, "a sample of the rows");
        return 0;
    }
    matrix_choose(s->count, wanted, seed, 4, s->sampled);
    return wanted;
}

/* Float64 of fewer rows than columns: its spectrum needs pieces of columns, so all of it. */
static bool load_doubles(subject *s, error *err) {
    s->own_doubles = malloc(s->count * s->file.cols * sizeof *s->own_doubles);
    if (!s->own_doubles) return error_memory(err, s->count * s->file.cols * sizeof *s->own_doubles, s->name);
    read_rows(&s->reader, 0, s->count, s->own_doubles);
    s->all = (row_source){.rows = s->count, .cols = s->file.cols, .doubles = s->own_doubles};
    return true;
}

bool subject_take_rows(subject *s, const diagnose_options *o, const array_file *second, error *err) {
    size_t given = s->count, d = s->file.cols, kept = 0;
    bool *bad = calloc(given, sizeof *bad);
    double *unused = NULL;
    s->reader = (row_reader){&s->file, s->rows, given, 0, NULL, NULL};
    row_reader other = {second, s->rows, given, 0, NULL, NULL};
    bool ok = (bad || error_memory(err, given, "row marks")) &&
              scan_file(&s->file, &s->reader, o->drop_nonfinite, bad, &s->offset, err) &&
              (!second || scan_file(second, &other, o->drop_nonfinite, bad, &unused, err));
    for (size_t i = 0; ok && i < given; i++)
        if (!bad[i]) s->rows[kept++] = s->rows[i];
    free(bad);
    free(unused);
    if (!ok) return false;
    if (kept == 0) return error_set(err, ERROR_RUN, "%s: every row holds NaN or infinity", s->name);
    s->dropped = given - kept, s->count = s->reader.count = kept;
    bool streamed = kept >= d && kept * d > DIAGNOSE_IN_MEMORY / sizeof(float);
    if (streamed) s->reader.progress = o->progress, s->reader.context = o->context;
    size_t rows = streamed ? draw_sample(s, o->seed, err) : kept;
    if (streamed || (s->file.wide && kept >= d)) s->all = source_of(&s->reader);
    return rows > 0 && (streamed || !s->file.wide || kept >= d || load_doubles(s, err)) &&
           load_matrix(s, &s->file, s->offset, rows, &s->embeddings, &s->own, err) &&
           (!second || load_matrix(s, second, NULL, rows, &s->second, &s->own_second, err));
}
