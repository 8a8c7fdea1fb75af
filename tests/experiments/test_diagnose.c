/*
 * `mews diagnose` on files whose state is known because the test made them: verdicts, keys, exit codes, and the one
 * line that every bad file gets.
 */
#include "analysis/files/npy.h"
#include "engine/rng.h"
#include "engine/files/safetensors.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <math.h>

enum { N = 400, D = 24, CLASSES = 4 };

static const char *at(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_array(const char *name, npy_dtype type, uint64_t rows, uint64_t cols, const void *data) {
    error err = {0};
    ck_assert_msg(npy_write(at(name), type, rows, cols, data, &err), "%s", err.text);
}

/* Noise of unit variance that leaves `rank` directions with any weight: (rows, cols). free() it. */
static float *noise(size_t rows, size_t cols, size_t rank) {
    float *x = calloc(rows * cols, sizeof *x);
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) x[i * cols + j] = (float)rng_normal(&r) * (j < rank ? 1 : 1e-3f);
    return x;
}

static void write_noise(const char *name, size_t rows, size_t cols, size_t rank) {
    float *x = noise(rows, cols, rank);
    write_array(name, NPY_F32, rows, cols, x);
    free(x);
}

/* Labels 10, 20, 30, 40 in turn, and codes 0 … 3 that agree with them. */
static void write_labels(void) {
    int64_t labels[N];
    int32_t codes[N];
    for (int i = 0; i < N; i++) labels[i] = 10 * (i % CLASSES + 1), codes[i] = i % CLASSES;
    write_array("labels.npy", NPY_I64, N, 0, labels);
    write_array("codes.npy", NPY_I32, N, 0, codes);
}

/* The object that these words print, alone on stdout, with exit code 0 and a quiet stderr. */
static json_t *diagnosis(const char *words) {
    char all[512], path[128];
    json_error_t problem;
    snprintf(all, sizeof all, "diagnose --json %s", words);
    const said *s = mews(all);
    ck_assert_msg(s->code == 0 && !*s->err, "%s: %d, %s", words, s->code, s->err);
    snprintf(path, sizeof path, "%s/out", folder);
    json_t *root = json_load_file(path, JSON_DISABLE_EOF_CHECK, &problem);
    ck_assert_msg(json_is_object(root), "%s: %s", words, problem.text);
    return root;
}

static double number(const json_t *root, const char *key) {
    const json_t *value = json_object_get(root, key);
    ck_assert_msg(json_is_number(value), "%s is no number", key);
    return json_number_value(value);
}

static const char *verdict_of(const json_t *root, const char *mode) {
    const json_t *v = json_object_get(json_object_get(root, "verdicts"), mode);
    const char *word = json_string_value(json_object_get(v, "verdict"));
    ck_assert_msg(word != NULL, "no verdict on %s", mode);
    return word;
}

/* ---- verdicts ---- */

START_TEST(test_noise_is_healthy_in_every_mode_that_can_be_judged) {
    write_noise("a.npy", N, D, D);
    write_labels();
    json_t *d = diagnosis("a.npy --labels labels.npy --assignments codes.npy");
    static const char *const modes[] = {"representation", "dimensional", "cluster", "intracluster"};
    for (int i = 0; i < 4; i++) ck_assert_str_eq(verdict_of(d, modes[i]), "healthy");
    static const char *const keys[] = {"rankme",       "rankme_share",  "rankme_noise_share", "effective_rank",
                                       "alpha_req",    "spread",        "uniformity",         "nc1",
                                       "nc1_chance",   "perplexity",    "prototype_ami",      "prototype_nmi_chance",
                                       "within_share", "total_variance"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) number(d, keys[i]);
    ck_assert_double_eq(number(d, "n"), N);
    ck_assert_double_eq(number(d, "d"), D);
    ck_assert_double_eq(number(d, "codes_used"), CLASSES);
    ck_assert_double_eq_tol(number(d, "prototype_ami"), 1, 1e-9);
    ck_assert(number(d, "rankme_noise_share") > 0.98);
    json_decref(d);
}
END_TEST

START_TEST(test_a_low_rank_is_a_dimensional_collapse_and_exit_code_3) {
    write_noise("a.npy", N, D, 2);
    json_t *d = diagnosis("a.npy");
    ck_assert_str_eq(verdict_of(d, "dimensional"), "collapsed");
    ck_assert_str_eq(verdict_of(d, "representation"), "healthy");
    ck_assert_str_eq(verdict_of(d, "cluster"), "unknown");
    json_decref(d);
    const said *s = mews("diagnose a.npy --fail-on representation,dimensional");
    ck_assert_int_eq(s->code, 3);
    ck_assert_str_eq(s->err,
                     "mews: note: nothing to hold the rank against (--reference): only what nobody would dispute "
                     "is called a dimensional collapse\nmews: a.npy: collapsed: dimensional\n");
    ck_assert_ptr_nonnull(strstr(s->out, "dimensional       collapsed"));
    ck_assert_int_eq(mews("diagnose a.npy --fail-on representation,intracluster")->code, 0);
    s = mews("diagnose a.npy --json --fail-on dimensional");
    ck_assert_int_eq(s->code, 3);
    ck_assert_int_eq(s->out[0], '{');
    s = mews("diagnose a.npy --fail-on cluster");
    ck_assert_int_eq(s->code, 0);
    ck_assert_ptr_nonnull(strstr(s->err, "warning: a.npy: cluster collapse: unknown"));
}
END_TEST

START_TEST(test_one_point_is_collapsed_and_never_healthy) {
    float x[50 * 8];
    for (int i = 0; i < 50 * 8; i++) x[i] = 0.7f;
    write_array("a.npy", NPY_F32, 50, 8, x);
    json_t *d = diagnosis("a.npy --second a.npy");
    ck_assert_str_eq(verdict_of(d, "representation"), "collapsed");
    ck_assert_str_eq(verdict_of(d, "dimensional"), "collapsed");
    ck_assert_str_eq(verdict_of(d, "intracluster"), "collapsed");
    ck_assert(json_is_null(json_object_get(d, "invariance"))); /* perfectly aligned, and it means nothing */
    json_decref(d);
}
END_TEST

START_TEST(test_fewer_rows_than_columns_of_noise_are_too_few) {
    write_noise("a.npy", 30, 100, 100);
    json_t *d = diagnosis("a.npy");
    ck_assert_str_eq(verdict_of(d, "dimensional"), "unknown");
    ck_assert(number(d, "rankme_noise_share") > 0.95);
    json_decref(d);
    write_noise("b.npy", 2, 100, 100);
    d = diagnosis("b.npy");
    ck_assert_str_eq(verdict_of(d, "dimensional"), "unknown");
    json_decref(d);
}
END_TEST

START_TEST(test_unused_codes_are_a_cluster_collapse) {
    int32_t codes[N];
    for (int i = 0; i < N; i++) codes[i] = i % 2;
    write_noise("a.npy", N, D, D);
    write_array("codes.npy", NPY_I32, N, 0, codes);
    json_t *d = diagnosis("a.npy -a codes.npy --codes 64");
    ck_assert_str_eq(verdict_of(d, "cluster"), "collapsed");
    ck_assert_double_eq(number(d, "codes"), 64);
    json_decref(d);
}
END_TEST

/* ---- files of every kind ---- */

static void write_tensors(void) {
    float *x = noise(N, D, D);
    uint16_t brief[N * D];
    error err = {0};
    for (int i = 0; i < N * D; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        brief[i] = (uint16_t)(bits >> 16);
    }
    safetensors_item items[] = {
        {"backbone", ST_BF16, 2, {N, D}, brief}, {"embeddings", ST_F32, 2, {N, D}, x}, {"bias", ST_F32, 1, {D}, x}};
    ck_assert_msg(safetensors_write(at("a.safetensors"), items, 3, NULL, &err), "%s", err.text);
    free(x);
}

START_TEST(test_every_kind_of_file_says_the_same) {
    float *x = noise(N, D, D);
    double wide[N * D];
    for (int i = 0; i < N * D; i++) wide[i] = x[i];
    write_array("a.npy", NPY_F32, N, D, x);
    write_array("wide.npy", NPY_F64, N, D, wide);
    free(x);
    write_tensors();
    json_t *d = diagnosis("a.npy");
    double rankme = number(d, "rankme");
    json_decref(d);
    static const char *const same[] = {"wide.npy", "a.safetensors -t embeddings", "- <a.npy",
                                       "- --tensor=embeddings <a.safetensors"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        d = diagnosis(same[i]);
        ck_assert_msg(number(d, "rankme") == rankme, "%s", same[i]);
        json_decref(d);
    }
    d = diagnosis("a.safetensors -t backbone");
    ck_assert_double_eq_tol(number(d, "rankme"), rankme, 1e-2);
    ck_assert(number(d, "rankme") != rankme);
    json_decref(d);
}
END_TEST

START_TEST(test_a_file_of_several_arrays_wants_a_name) {
    write_tensors();
    refused("diagnose a.safetensors", "a.safetensors: holds 2 arrays: `backbone` (400 × 24), `embeddings` (400 × 24); "
                                      "--tensor NAME says which is meant");
    refused("diagnose a.safetensors -t embedings", "a.safetensors: no tensor `embedings`; did you mean `embeddings`?");
    refused("diagnose a.safetensors -t bias",
            "a.safetensors: bias: is a vector of 24; embeddings are a matrix (n × d)");
    char words[1200], here[1000];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(words, sizeof words, "diagnose '%s/tests/fuzz/corpus/npz/stored.npz'", here);
    const said *s = mews(words); /* one matrix and one vector: only the matrix can be meant */
    ck_assert_msg(s->code == 0 && strstr(s->out, "stored.npz: a: 4 rows, 3 columns"), "%s%s", s->out, s->err);
}
END_TEST

START_TEST(test_logits_and_their_probabilities_say_the_same) {
    float *logits = noise(N, 6, 6), p[N * 6];
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < 6; j++) sum += exp(logits[i * 6 + j]);
        for (int j = 0; j < 6; j++) p[i * 6 + j] = (float)(exp(logits[i * 6 + j]) / sum);
    }
    write_noise("a.npy", N, D, D);
    write_array("logits.npy", NPY_F32, N, 6, logits);
    write_array("p.npy", NPY_F32, N, 6, p);
    free(logits);
    json_t *a = diagnosis("a.npy -a logits.npy"), *b = diagnosis("a.npy -a p.npy");
    ck_assert_double_eq_tol(number(a, "perplexity"), number(b, "perplexity"), 1e-4);
    ck_assert_double_eq_tol(number(a, "information"), number(b, "information"), 1e-4);
    ck_assert(number(a, "information") > 0.1);
    json_decref(a);
    json_decref(b);
}
END_TEST

START_TEST(test_a_second_view_gives_alignment_and_invariance) {
    float *x = noise(N, D, D), *y = noise(N, D, D);
    for (int i = 0; i < N * D; i++) y[i] = 3 * x[i] + (i % 7 == 0 ? 0.5f : 0);
    write_array("a.npy", NPY_F32, N, D, x);
    write_array("b.npy", NPY_F32, N, D, y);
    free(x);
    free(y);
    json_t *d = diagnosis("a.npy --second b.npy");
    ck_assert(number(d, "alignment") < 0.1 && number(d, "alignment_chance") > 1.9 && number(d, "invariance") > 0.9);
    ck_assert(number(d, "lidar_chance") > 0.5 * D && number(d, "lidar_chance") <= D);
    ck_assert(number(d, "rank_across_views") > 0.5 * D && number(d, "directions_across_views") <= D);
    json_decref(d);
}
END_TEST

/* What scripts and the page read beyond the verdicts. */
START_TEST(test_structure_is_in_the_object) {
    static const char *const always[] = {"cosine_within", "cosine_between", "block_contrast", "silhouette",
                                         "block_contrast_chance_sd"};
    write_noise("x.npy", N, D, D);
    write_noise("prototypes.npy", CLASSES, D, D);
    write_labels();
    json_t *root = diagnosis("x.npy --labels labels.npy --assignments codes.npy --prototypes prototypes.npy");
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) ck_assert(isfinite(number(root, always[i])));
    json_t *points = json_object_get(json_object_get(root, "mixture"), "points");
    ck_assert_uint_eq(json_array_size(points), 4); /* 200 components would get two rows each */
    ck_assert(isfinite(number(json_array_get(points, 3), "entropy_sd")));
    ck_assert_int_eq((int)number(json_array_get(points, 3), "components"), 100);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "cluster_spectra")), CLASSES);
    json_t *landmarks = json_object_get(root, "landmarks"), *row;
    size_t at;
    ck_assert_uint_gt(json_array_size(landmarks), 20);
    ck_assert(number(json_array_get(landmarks, 0), "effective_rank") == number(root, "effective_rank"));
    ck_assert(number(json_array_get(landmarks, 1), "rankme") == number(root, "rankme_noise"));
    json_array_foreach(landmarks, at, row) {
        ck_assert(isfinite(number(row, "columns")) && *json_string_value(json_object_get(row, "name")));
        ck_assert((at > 1) == (*json_string_value(json_object_get(row, "source")) != 0));
    }
    ck_assert_str_eq(json_string_value(json_object_get(root, "lidar_by")), "labels");
    ck_assert_int_eq((int)number(root, "prototypes_distinct"), CLASSES);
    json_decref(root);
    root = diagnosis("x.npy --labels labels.npy --second x.npy");
    ck_assert_str_eq(json_string_value(json_object_get(root, "lidar_by")), "views");
    ck_assert_double_gt(number(root, "lidar"), 0.9 * D);
    ck_assert_ptr_null(json_object_get(root, "prototypes"));
    json_decref(root);
}
END_TEST

START_TEST(test_one_prototype_alone_says_nothing) {
    write_noise("x.npy", N, D, D);
    write_noise("one.npy", 1, D, D);
    const said *s = mews("diagnose x.npy --prototypes one.npy");
    ck_assert_msg(strstr(s->out, "distinct prototypes    unknown") && !strstr(s->out, "nan"), "%s", s->out);
}
END_TEST

/* A run's folder with these prototypes in its newer checkpoint, which is sealed; in the older one all are one. */
static void write_run(const char *name, bool columns) {
    enum { CODES = 3 };
    float rows[CODES * D], turned[CODES * D], flat[CODES * D];
    char path[160];
    error err = {0};
    for (int i = 0; i < CODES * D; i++) rows[i] = (float)(i % 7 - 3) + (float)(i / D), flat[i] = 1;
    for (int j = 0; j < D; j++) rows[2 * D + j] = 2 * rows[j];
    for (int i = 0; i < CODES; i++)
        for (int j = 0; j < D; j++) turned[j * CODES + i] = rows[i * D + j];
    shell("rm -rf run && mkdir run");
    write_noise("run/embeddings.npy", N, D, D);
    safetensors_item item = {
        .name = name, .dtype = ST_F32, .dims = 2, .shape = {columns ? D : CODES, columns ? CODES : D}, .data = flat};
    snprintf(path, sizeof path, "%s/run/checkpoint-00000001.safetensors", folder);
    ck_assert_msg(safetensors_write(path, &item, 1, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/run/checkpoint-00000002.safetensors", folder);
    item.data = columns ? turned : rows;
    const char *metadata[] = {SEAL_KEY, SEAL_BLANK, "run", "run", NULL};
    ck_assert_msg(safetensors_write(path, &item, 1, metadata, &err), "%s", err.text);
}

START_TEST(test_a_runs_learned_prototypes_come_out_of_its_newest_checkpoint) {
    static const char *const names[] = {"head.prototypes.weight", "head.last_layer.weight", "head.dictionary"};
    for (size_t i = 0; i < 3; i++) {
        write_run(names[i], i == 2);
        json_t *root = diagnosis("run");
        ck_assert_int_eq((int)number(root, "prototypes"), 3);
        ck_assert_int_eq((int)number(root, "prototypes_distinct"), 2);
        json_decref(root);
    }
    write_run("head.classifier.weight", false); /* of classes, not of codes */
    json_t *root = diagnosis("run");
    ck_assert_ptr_null(json_object_get(root, "prototypes"));
    json_decref(root);
}
END_TEST

START_TEST(test_prototypes_out_of_a_damaged_checkpoint_are_not_believed) {
    static const char *const harm[] = {"printf x | dd of=$f bs=1 seek=$(($(stat -c %s $f) - 5)) conv=notrunc",
                                       "sed -i 's/sha256/sha255/' $f", "truncate -s -4 $f"};
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        char command[200];
        write_run("head.prototypes.weight", false);
        snprintf(command, sizeof command, "f=run/checkpoint-00000002.safetensors; %s 2>dd", harm[i]);
        shell(command);
        const said *s = mews("diagnose run");
        ck_assert_msg(s->code == 1 && strstr(s->err, "mews: run/checkpoint-00000002.safetensors: "), "%zu: %d, %s", i,
                      s->code, s->err);
    }
}
END_TEST

/* Beyond what is kept in memory: all zeros but for the last rows, so that the file has holes and takes no room. */
START_TEST(test_a_file_beyond_memory_is_read_in_passes) {
    enum { ROWS = 1100000, COLS = 64, LAST = 200 };
    write_noise("tail.npy", LAST, COLS, COLS);
    FILE *from = fopen(at("tail.npy"), "rb"), *to = fopen(at("large.npy"), "wb");
    char header[129] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1100000, 64), }";
    char *tail = malloc(LAST * COLS * sizeof(float));
    size_t used = 10 + strlen(header + 10);
    memset(header + used, ' ', 128 - used);
    header[127] = '\n';
    ck_assert(from && to && tail && fwrite(header, 1, 128, to) == 128);
    fseek(from, -(long)(LAST * COLS * sizeof(float)), SEEK_END);
    ck_assert_uint_eq(fread(tail, sizeof(float), LAST * COLS, from), LAST * COLS);
    fseek(to, 128 + (ROWS - LAST) * COLS * (long)sizeof(float), SEEK_SET);
    fwrite(tail, sizeof(float), LAST * COLS, to);
    fclose(from);
    fclose(to);
    free(tail);
    int64_t *labels = calloc(ROWS, sizeof *labels);
    for (int i = 0; i < ROWS; i++) labels[i] = i >= ROWS / 2;
    write_array("labels.npy", NPY_I64, ROWS, 0, labels);
    free(labels);
    json_t *root = diagnosis("large.npy --labels labels.npy");
    ck_assert_int_eq((int)number(root, "n"), ROWS);
    ck_assert_int_eq((int)number(root, "sample_rows"), 1 << 16);
    ck_assert_int_eq((int)number(root, "classes"), 2);
    ck_assert_str_eq(verdict_of(root, "representation"), "collapsed");
    ck_assert_double_gt(number(root, "rankme"), 0.8 * COLS); /* of the rows that are not zero: no sample saw them all */
    json_decref(root);
}
END_TEST

START_TEST(test_a_sample_keeps_labels_with_their_rows) {
    float *x = noise(N, D, D);
    for (int i = 0; i < N; i++) x[i * D] += (float)(20 * (i % CLASSES)); /* classes are told apart by one column */
    write_array("a.npy", NPY_F32, N, D, x);
    free(x);
    write_labels();
    json_t *all = diagnosis("a.npy -l labels.npy"), *some = diagnosis("a.npy -l labels.npy --sample 100");
    ck_assert_double_eq(number(some, "n"), 100);
    ck_assert_double_eq(number(some, "rows_given"), N);
    ck_assert_double_eq_tol(number(some, "class_within_share"), number(all, "class_within_share"), 0.02);
    ck_assert(number(some, "class_within_share") < 0.1);
    json_t *again = diagnosis("a.npy -l labels.npy --sample 100"), *other = diagnosis("a.npy --sample 100 --seed 7");
    ck_assert(number(some, "rankme") == number(again, "rankme") && number(some, "rankme") != number(other, "rankme"));
    json_decref(all);
    json_decref(some);
    json_decref(again);
    json_decref(other);
}
END_TEST

START_TEST(test_a_run_is_diagnosed_by_its_folder) {
    shell("mkdir run; : >run/spec.yaml");
    refused_with(1, "diagnose run", "run: holds no embeddings.npy; a run's folder does once it is evaluated");
    write_noise("run/embeddings.npy", N, D, D);
    write_labels();
    shell("mv codes.npy run/assignments.npy; mv labels.npy run; echo '{\"codes\": 9}' >run/diagnosis.json");
    json_t *d = diagnosis("run");
    ck_assert_double_eq(number(d, "classes"), CLASSES);
    ck_assert_double_eq(number(d, "codes"), 9);
    json_decref(d);
}
END_TEST

/* ---- bad input ---- */

START_TEST(test_broken_files_get_one_line_and_exit_code_1) {
    write_noise("a.npy", N, D, D);
    shell("head -c 1000 a.npy >cut.npy; echo hello >text.npy; echo hello >text; printf '\\1\\2\\3\\0' >bytes; : >none");
    refused_with(1, "diagnose cut.npy",
                 "cut.npy: is cut short: 400 × 24 of float32 need 38400 bytes, the file holds 872");
    refused_with(1, "diagnose text.npy", "text.npy: is not an .npy file (its first bytes are not \\x93NUMPY)");
    refused_with(1, "diagnose text", "text: holds strings (1); embeddings are numbers, and strings would do as labels");
    refused_with(
        1, "diagnose bytes",
        "bytes: is of no kind that is read: .npy, .npz, .safetensors, .pt, .pkl, .h5, .mat, .csv, .tsv, .fvecs, "
        "faiss");
    refused_with(1, "diagnose none", "none: is empty");
    refused_with(1, "diagnose nothing.npy", "cannot read nothing.npy: No such file or directory");
    refused_with(1, "diagnose -", "standard input: is empty");
    refused_with(1, "diagnose - <text",
                 "standard input: holds strings (1); embeddings are numbers, and strings would do as labels");
    refused_with(1, "diagnose - <cut.npy",
                 "standard input: is cut short: 400 × 24 of float32 need 38400 bytes, the file holds 872");
}
END_TEST

START_TEST(test_shapes_that_do_not_belong_together_are_refused) {
    float vector[N] = {0, 0.5f};
    int32_t labels[N] = {0};
    write_noise("a.npy", N, D, D);
    write_noise("b.npy", N, D + 1, D);
    write_array("vector.npy", NPY_F32, N, 0, vector);
    write_array("short.npy", NPY_I32, N - 1, 0, labels);
    refused_with(1, "diagnose vector.npy", "vector.npy: is a vector of 400; embeddings are a matrix (n × d)");
    refused_with(1, "diagnose a.npy -l short.npy", "short.npy: 399 labels, but a.npy has 400 rows");
    refused_with(1, "diagnose a.npy -a short.npy", "short.npy: 399 assignments, but a.npy has 400 rows");
    refused_with(1, "diagnose a.npy -l b.npy",
                 "b.npy: is 400 × 25 and row 0 is not one-hot; labels are one a row, or a column a class "
                 "with a single 1 a row");
    refused_with(1, "diagnose a.npy -l vector.npy", "vector.npy: row 1 holds 0.5; labels are whole numbers or strings");
    refused_with(1, "diagnose a.npy --second b.npy",
                 "b.npy: is 400 × 25, but a.npy is 400 × 24; two views have one shape");
    labels[17] = -3;
    write_array("codes.npy", NPY_I32, N, 0, labels);
    refused_with(1, "diagnose a.npy -a codes.npy", "codes.npy: row 17 is assigned to code -3; codes are 0 to 4194303");
    labels[17] = 8;
    write_array("codes.npy", NPY_I32, N, 0, labels);
    refused_with(1, "diagnose a.npy -a codes.npy --codes 8",
                 "codes.npy: row 17 is assigned to code 8; codes are 0 to 7");
}
END_TEST

START_TEST(test_rows_that_are_not_finite_are_counted_named_and_dropped_on_request) {
    float *x = noise(N, D, D);
    x[17 * D + 3] = NAN, x[40 * D] = INFINITY;
    write_array("a.npy", NPY_F32, N, D, x);
    for (int i = 0; i < N; i++) x[i * D] = NAN;
    write_array("none.npy", NPY_F32, N, D, x);
    free(x);
    write_labels();
    refused_with(1, "diagnose a.npy",
                 "a.npy: 2 of 400 rows hold NaN or infinity, the first is row 17 (from 0); "
                 "--drop-nonfinite leaves them out");
    refused_with(1, "diagnose none.npy --drop-nonfinite", "none.npy: every row holds NaN or infinity");
    json_t *d = diagnosis("a.npy --drop-nonfinite -l labels.npy -a codes.npy");
    ck_assert_double_eq(number(d, "n"), N - 2);
    ck_assert_double_eq(number(d, "rows_dropped"), 2);
    ck_assert_double_eq_tol(number(d, "prototype_ami"), 1, 1e-9); /* labels and codes lost the same rows */
    json_decref(d);
}
END_TEST

START_TEST(test_float64_that_float32_would_lose_is_one_point_and_what_is_beyond_it_is_told) {
    float *x = noise(N, D, D);
    double y[N * D];
    for (int i = 0; i < N * D; i++) y[i] = 1e9 + x[i];
    write_array("offset.npy", NPY_F64, N, D, y);
    for (int i = 0; i < N * D; i++) y[i] = 1e-300 * x[i];
    write_array("tiny.npy", NPY_F64, N, D, y);
    for (int i = 0; i < N * D; i++) y[i] = 0.7;
    write_array("constant.npy", NPY_F64, N, D, y);
    free(x);
    json_t *apart = diagnosis("offset.npy"); /* no network computes such differences */
    ck_assert_str_eq(verdict_of(apart, "representation"), "collapsed");
    json_decref(apart);
    refused_with(1, "diagnose tiny.npy",
                 "tiny.npy: its largest value is 3.7e-300; scale the matrix to between 1e-15 and 1e+15");
    json_t *d = diagnosis("constant.npy");
    ck_assert_str_eq(verdict_of(d, "representation"), "collapsed");
    json_decref(d);
}
END_TEST

/* A file of the size its header claims, with a hole where the data would be. */
START_TEST(test_a_hostile_size_is_refused_before_memory_is_touched) {
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (400000000, 5000), }";
    uint8_t start[128] = "\x93NUMPY\1";
    memset(start + 10, ' ', sizeof start - 10);
    memcpy(start + 10, header, sizeof header - 1);
    start[8] = sizeof start - 10;
    FILE *file = fopen(at("a.npy"), "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(start, 1, sizeof start, file);
    ck_assert_int_eq(fclose(file), 0);
    const said *s = mews("diagnose a.npy");
    ck_assert_msg(s->code == 1 && strstr(s->err, "is cut short"), "%s", s->err);
    if (truncate(at("a.npy"), (off_t)sizeof start + 4 * (off_t)400000000 * 5000) != 0)
        return; /* no sparse files here */
    s = mews("diagnose a.npy");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "GiB of memory") && strstr(s->err, "--sample "), "%s", s->err);
    json_t *d = diagnosis("a.npy --sample 30");
    ck_assert_str_eq(verdict_of(d, "representation"), "collapsed"); /* a hole reads as zeros */
    json_decref(d);
}
END_TEST

START_TEST(test_bad_commands_are_told_before_anything_is_read) {
    refused("diagnose", "`mews diagnose` takes FILE|RUN...; `mews diagnose --help` tells more");
    refused("diagnose x --fail-on dimensionl", "--fail-on: unknown collapse `dimensionl`; did you mean `dimensional`?");
    refused("diagnose x --sample 0", "`--sample` takes an integer from 1 to 4294967295, not `0`");
    refused("diagnose - --labels -", "standard input (`-`) can be only one of the files");
    refused("diagnose x --lables y", "unknown option `--lables` of `mews diagnose`; did you mean `--labels`?");
}
END_TEST

Suite *suite_diagnose(void) {
    Suite *suite = suite_create("diagnose");
    TCase *tests = tcase_create("diagnose");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_noise_is_healthy_in_every_mode_that_can_be_judged);
    tcase_add_test(tests, test_a_low_rank_is_a_dimensional_collapse_and_exit_code_3);
    tcase_add_test(tests, test_one_point_is_collapsed_and_never_healthy);
    tcase_add_test(tests, test_fewer_rows_than_columns_of_noise_are_too_few);
    tcase_add_test(tests, test_unused_codes_are_a_cluster_collapse);
    tcase_add_test(tests, test_every_kind_of_file_says_the_same);
    tcase_add_test(tests, test_a_file_of_several_arrays_wants_a_name);
    tcase_add_test(tests, test_logits_and_their_probabilities_say_the_same);
    tcase_add_test(tests, test_a_second_view_gives_alignment_and_invariance);
    tcase_add_test(tests, test_structure_is_in_the_object);
    tcase_add_test(tests, test_one_prototype_alone_says_nothing);
    tcase_add_test(tests, test_a_runs_learned_prototypes_come_out_of_its_newest_checkpoint);
    tcase_add_test(tests, test_prototypes_out_of_a_damaged_checkpoint_are_not_believed);
    tcase_add_test(tests, test_a_file_beyond_memory_is_read_in_passes);
    tcase_add_test(tests, test_a_sample_keeps_labels_with_their_rows);
    tcase_add_test(tests, test_a_run_is_diagnosed_by_its_folder);
    tcase_add_test(tests, test_broken_files_get_one_line_and_exit_code_1);
    tcase_add_test(tests, test_shapes_that_do_not_belong_together_are_refused);
    tcase_add_test(tests, test_rows_that_are_not_finite_are_counted_named_and_dropped_on_request);
    tcase_add_test(tests, test_float64_that_float32_would_lose_is_one_point_and_what_is_beyond_it_is_told);
    tcase_add_test(tests, test_a_hostile_size_is_refused_before_memory_is_touched);
    tcase_add_test(tests, test_bad_commands_are_told_before_anything_is_read);
    suite_add_tcase(suite, tests);
    return suite;
}
