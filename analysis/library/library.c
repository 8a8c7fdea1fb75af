/*
 * mews_diagnose: the caller's matrices become array_files over memory, and from there on everything is what
 * `mews diagnose` does with files: the same checks, the same messages, the same figures.
 */
#include "analysis/library/library.h"
#include "engine/version.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* ---- the caller's memory ----------------------------------------------------------------------------------------- */

static bool take_matrix(const mews_matrix *m, const char *name, memory_array *out, error *err) {
    static const struct {
        mews_type type;
        element_type element;
        size_t size;
    } types[] = {{MEWS_FLOAT32, ELEMENT_F32, 4},
                 {MEWS_FLOAT64, ELEMENT_F64, 8},
                 {MEWS_FLOAT16, ELEMENT_F16, 2},
                 {MEWS_BFLOAT16, ELEMENT_BF16, 2}};
    size_t i = 0;
    while (i < sizeof types / sizeof *types && types[i].type != m->type) i++;
    if (i == sizeof types / sizeof *types)
        return error_set(err, ERROR_USAGE, "%s: there is no type %d", name, (int)m->type);
    size_t size = types[i].size;
    ptrdiff_t row = m->row_stride, col = m->col_stride;
    if (row == 0 && col == 0) row = (ptrdiff_t)m->cols, col = 1;
    *out = (memory_array){.name = name,
                          .array = {.type = types[i].element,
                                    .width = size,
                                    .dims = 2,
                                    .shape = {m->rows, m->cols},
                                    .strides = {(uint64_t)(row * (ptrdiff_t)size), (uint64_t)(col * (ptrdiff_t)size)},
                                    .data = m->data}};
    return true;
}

static memory_array take_integers(const int64_t *values, size_t rows, const char *name) {
    return (memory_array){.name = name,
                          .array = {.type = ELEMENT_I64,
                                    .width = sizeof *values,
                                    .dims = 1,
                                    .shape = {rows},
                                    .strides = {sizeof *values},
                                    .data = (const uint8_t *)values}};
}

bool library_options(const mews_input *in, memory_array arrays[LIBRARY_ARRAYS], diagnose_options *o, error *err) {
    size_t rows = in->embeddings.rows, count = 0;
    const char *name = in->name ? in->name : "embeddings";
    const struct {
        const mews_matrix *matrix;
        const char *name, **option;
    } matrices[] = {{&in->embeddings, name, &o->source},
                    {&in->scores, "assignments", &o->assignments},
                    {&in->second, "second", &o->second},
                    {&in->reference, "reference", &o->reference},
                    {&in->prototypes, "prototypes", &o->prototypes}};
    const struct {
        const int64_t *values;
        const char *name, **option;
    } integers[] = {{in->labels, "labels", &o->labels},
                    {in->codes, "assignments", &o->assignments},
                    {in->groups, "groups", &o->groups}};
    *o = (diagnose_options){.codes = in->code_count,
                            .seed = in->seed,
                            .temperature = in->temperature,
                            .attainable = (double)in->attainable,
                            .unlabelled = in->has_unlabelled ? &in->unlabelled : NULL,
                            .fast = in->fast};
    if (in->size < sizeof *in)
        return error_set(err, ERROR_USAGE, "mews_input.size is %zu; mews_input_of sets it", in->size);
    if (!in->embeddings.data) return error_set(err, ERROR_USAGE, "%s: there is no data", name);
    if (in->codes && in->scores.data) return error_set(err, ERROR_USAGE, "assignments: give codes or scores, not both");
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        if (!matrices[i].matrix->data) continue;
        if (!take_matrix(matrices[i].matrix, matrices[i].name, &arrays[count], err)) return false;
        *matrices[i].option = arrays[count++].name;
    }
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        if (!integers[i].values) continue;
        arrays[count] = take_integers(integers[i].values, rows, integers[i].name);
        *integers[i].option = arrays[count++].name;
    }
    o->memory = arrays, o->memory_count = count;
    return true;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

mews_result library_end(bool ok, bool loaded, const error *err, char *message, size_t size) {
    bool memory = error_is_shortage(err);
    if (message && size) snprintf(message, size, "%s", ok ? "" : err->text);
    return ok ? MEWS_DONE : err->code == ERROR_USAGE || (!loaded && !memory) ? MEWS_WRONG : MEWS_FAILED;
}

bool library_text(json_t *figures, char **json, error *err) {
    *json = figures ? json_dumps(figures, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(figures);
    return *json || error_memory(err, 1 << 16, "a diagnosis");
}

/* Threads for one call; what OpenMP would take otherwise comes back afterwards. */
int library_threads(int wanted) {
    int before = omp_get_max_threads();
    if (wanted > 0) omp_set_num_threads(wanted);
    return before;
}

mews_result mews_diagnose(const mews_input *input, char **json, char *message, size_t message_size) {
    memory_array arrays[LIBRARY_ARRAYS];
    diagnose_options o;
    subject s = {0};
    diagnosis d = {0};
    error err = {0};
    int threads = library_threads(input->threads);
    *json = NULL;
    bool ok = library_options(input, arrays, &o, &err) && subject_load(&s, &o, &err), loaded = ok;
    bool made = ok && diagnosis_make(&d, &s, o.seed, &err);
    ok = made && library_text(diagnosis_json(&d, &s), json, &err);
    if (made) diagnosis_free(&d);
    subject_free(&s);
    omp_set_num_threads(threads);
    return library_end(ok, loaded, &err, message, message_size);
}

void mews_free(void *memory) { free(memory); }

const char *mews_version(void) { return MEWS_VERSION; }

int mews_interface(void) { return MEWS_INTERFACE; }
