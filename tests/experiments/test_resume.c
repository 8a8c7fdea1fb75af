/*
 * Whole runs of $MEWS (or ./mews) on few and small images: the same spec gives the same bits twice, a run that was
 * killed ends with the bits of one that was not, a run that diverges says so and keeps its checkpoint.
 */
#include "engine/error.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

enum { IMAGES = 200, EPOCHS = 12, BATCH = 50, SIDE = 16 };
enum { STEPS = EPOCHS * (IMAGES / BATCH) };

/* Random pixels in the six files of CIFAR-10, the quickest source to import. */
static void write_cifar(void) {
    static unsigned char record[3073];
    rng r = rng_stream(0, RNG_TEST, 0, 0, 0);
    for (int file = 0; file < 6; file++) {
        char path[160];
        snprintf(path, sizeof path, file < 5 ? "%s/data/data_batch_%d.bin" : "%s/data/test_batch.bin", folder,
                 file + 1);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        for (int i = 0; i < IMAGES / 5; i++) {
            record[0] = (unsigned char)(i % 10);
            for (size_t k = 1; k < sizeof record; k++) record[k] = (unsigned char)rng_bits(&r);
            ck_assert_uint_eq(fwrite(record, 1, sizeof record, f), sizeof record);
        }
        fclose(f);
    }
}

#define EVAL "eval: [knn, collapse]\n"

/* What a method keeps from step to step must be in its checkpoints: a teacher and its BatchNorm, a centre, queues, how
   long layers have been frozen; and what is trained beside it. */
static const struct {
    const char *sections;
    int width;
    const char *precision;
} methods[] = {
    {"method: {name: falcon, features: 16, codes: 64}\n" EVAL, 4, "float32"},
    {("method: {name: falcon, features: 16, codes: 64}\n"
      "eval: {metrics: [knn, collapse], online: [linear, knn], online_bank: 130}\n"),
     4, "float32"},
    {("method: {name: dino, hidden: 16, features: 8, prototypes: 32, batchnorm: true, momentum: 0.9, teacher_warmup: "
      "5, "
      "frozen_epochs: 3}\n"
      "augment: {local_crops: 2, local_size: 8}\n"
      "optimizer: {name: adamw, clip_each: 1, final_weight_decay: 0.1}\n" EVAL),
     4, "float32"},
    {("method: {name: swav, hidden: 16, features: 8, prototypes: 32, queue: 100, queue_start: 2, frozen_epochs: 2}\n"
      "augment: {local_crops: 3, local_size: 8}\n" EVAL),
     4, "float32"},
    {("method: {name: dino, hidden: 16, features: 8, prototypes: 32, momentum: 0.9, teacher_warmup: 5}\n"
      "augment: {local_crops: 2, local_size: 8}\n" EVAL),
     16, "bfloat16"},
};
enum { METHODS = sizeof methods / sizeof *methods };
static int trained; /* which of them a test trains */

static void write_spec(size_t i) {
    char spec[1024], path[160];
    error err = {0};
    int length =
        snprintf(spec, sizeof spec,
                 "name: run\n"
                 "data: {name: cifar10, path: %s/data, size: %d, cache: %s/cache}\n"
                 "backbone: {name: resnet8, width: %d}\n"
                 "%s"
                 "train: {epochs: %d, batch: %d, threads: 2, loader_threads: 2, log_every: 1, precision: %s}\n",
                 folder, SIDE, folder, methods[i].width, methods[i].sections, EPOCHS, BATCH, methods[i].precision);
    snprintf(path, sizeof path, "%s/run%zu.yaml", folder, i);
    ck_assert(file_write(path, spec, (size_t)length, &err));
}

static void setup(void) {
    char path[160];
    program_setup();
    error err = {0};
    snprintf(path, sizeof path, "%s/data", folder);
    ck_assert(file_make_folders(path, &err));
    write_cifar();
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) write_spec(i);
}

enum { MAX_CHANGES = 4 };

/* Starts `mews train run<trained>.yaml --out results`, with a --set for each of `changes` (NULL-terminated, or NULL).
 */
static pid_t start(const char *results, const char *const *changes) {
    char spec[160], out[160], log[160];
    snprintf(spec, sizeof spec, "%s/run%d.yaml", folder, trained);
    snprintf(out, sizeof out, "%s/%s", folder, results);
    snprintf(log, sizeof log, "%s/err", folder);
    char *words[5 + 2 * MAX_CHANGES + 1] = {"mews", "train", spec, "--out", out};
    for (int i = 0, at = 5; changes && changes[i] && i < MAX_CHANGES; i++) {
        words[at++] = "--set";
        words[at++] = (char *)changes[i];
    }
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen(log, "w", stderr)) _exit(126);
        execv(program, words);
        _exit(127);
    }
    return child;
}

static int finish(pid_t child) {
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The one path that the shell finds for results/run/<id>/name. */
static char *find(const char *results, const char *name) {
    static char path[1024];
    char command[512];
    snprintf(command, sizeof command, "ls %s/%s/run/*/%s 2>/dev/null", folder, results, name);
    FILE *list = popen(command, "r");
    ck_assert_ptr_nonnull(list);
    if (!fgets(path, sizeof path, list)) path[0] = '\0';
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    return path;
}

static void assert_same_file(const char *a, const char *b, const char *name) {
    error err = {0};
    size_t size_a, size_b;
    char *bytes_a = file_read(find(a, name), &size_a, &err), *bytes_b = file_read(find(b, name), &size_b, &err);
    ck_assert_msg(bytes_a && bytes_b, "%s", err.text);
    ck_assert_msg(size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0, "%s differs between %s and %s", name, a,
                  b);
    free(bytes_a);
    free(bytes_b);
}

/* The look at the held-out images before the first step, then every step once, in order, and each epoch's look after
 * it, all with the same figures; times may differ. */
static void assert_same_history(const char *a, const char *b) {
    char path[1024], line_a[4096], line_b[4096];
    snprintf(path, sizeof path, "%s", find(a, "metrics.jsonl"));
    FILE *fa = fopen(path, "r"), *fb = fopen(find(b, "metrics.jsonl"), "r");
    ck_assert(fa && fb);
    enum { A_EPOCH = IMAGES / BATCH };
    for (int line = 0; line <= EPOCHS * (A_EPOCH + 1); line++) {
        int epoch = (line - 1) / (A_EPOCH + 1), place = (line - 1) % (A_EPOCH + 1), look = !line || place == A_EPOCH;
        int step = !line ? 0 : epoch * A_EPOCH + (look ? A_EPOCH : place + 1);
        ck_assert(fgets(line_a, sizeof line_a, fa) && fgets(line_b, sizeof line_b, fb));
        json_t *ja = json_loads(line_a, 0, NULL), *jb = json_loads(line_b, 0, NULL);
        ck_assert_int_eq(json_integer_value(json_object_get(ja, "step")), step);
        ck_assert_int_eq(json_object_get(ja, "collapse") != NULL, look);
        json_object_del(ja, "time");
        json_object_del(jb, "time");
        ck_assert_msg(json_equal(ja, jb), "step %d differs between %s and %s", step, a, b);
        json_decref(ja);
        json_decref(jb);
    }
    ck_assert(!fgets(line_a, sizeof line_a, fa) && !fgets(line_b, sizeof line_b, fb));
    fclose(fa);
    fclose(fb);
}

/* The weights compared are the last checkpoint's, whose metadata holds seconds: compare what was computed from them. */
static void assert_same_run(const char *a, const char *b) {
    assert_same_history(a, b);
    assert_same_file(a, b, "embeddings.npy");
    assert_same_file(a, b, "assignments.npy");
    assert_same_file(a, b, "diagnosis.json");
}

static void pause_ms(long ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

START_TEST(test_the_same_spec_gives_the_same_bits_twice) {
    ck_assert_int_eq(finish(start("a", NULL)), 0);
    ck_assert_int_eq(finish(start("b", NULL)), 0);
    assert_same_run("a", "b");
}
END_TEST

START_TEST(test_a_run_that_was_killed_again_and_again_ends_with_the_bits_of_one_that_was_not) {
    trained = _i;
    ck_assert_int_eq(finish(start("whole", NULL)), 0);
    rng r = rng_stream((uint64_t)getpid(), RNG_TEST, 0, 0, 0);
    int killed = 0, code = -SIGKILL;
    for (int sitting = 0; sitting < 8 && code == -SIGKILL; sitting++) {
        pid_t child = start("killed", NULL);
        pause_ms(40 + (long)rng_below(&r, 400));
        kill(child, SIGKILL);
        code = finish(child);
        killed += code == -SIGKILL;
    }
    ck_assert_msg(killed > 0, "the run ended before it could be killed");
    char leftover[1100], *record = find("killed", "spec.yaml");
    snprintf(leftover, sizeof leftover, "%.*scheckpoint-00000001.safetensors.tmp-12", (int)strlen(record) - 9, record);
    FILE *half = *record ? fopen(leftover, "w") : NULL; /* what a kill in the middle of a write leaves */
    ck_assert(half || !*record);                        /* killed early, there is no folder yet */
    if (half) fclose(half);
    if (code == -SIGKILL)
        code = finish(start("killed", NULL));
    else
        ck_assert_int_eq(finish(start("killed", NULL)), 0);
    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(find("killed", "*.tmp-*"), "");
    assert_same_run("whole", "killed");
}
END_TEST

START_TEST(test_an_interrupted_run_leaves_a_checkpoint_and_goes_on_from_it) {
    ck_assert_int_eq(finish(start("whole", NULL)), 0);
    pid_t child = start("stopped", NULL);
    for (int i = 0; i < 400 && !*find("stopped", "checkpoint-*"); i++) pause_ms(5);
    kill(child, SIGTERM);
    int code = finish(child);
    ck_assert_msg(code == 130 || code == 0, "code %d", code);
    ck_assert_int_eq(finish(start("stopped", NULL)), 0);
    assert_same_run("whole", "stopped");
}
END_TEST

/* One sitting up to an epoch, and what the run's record says after it. */
static void stops_after(int until, const char *reason) {
    char words[256], path[1024];
    snprintf(words, sizeof words, "train run%d.yaml --out parts --until %d", trained, until);
    const said *s = mews(words);
    ck_assert_msg(s->code == 0 && strstr(s->out, reason), "%d: %s%s", s->code, s->out, s->err);
    snprintf(path, sizeof path, "%s", find("parts", "run.json"));
    json_t *record = json_load_file(path, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(record, "status")), "stopped");
    ck_assert_str_eq(json_string_value(json_object_get(record, "reason")), reason + strlen("stopped: "));
    json_decref(record);
}

/* Its checkpoints are not those that it would have written by itself. */
START_TEST(test_a_run_told_to_stop_after_an_epoch_later_ends_as_if_it_had_not) {
    trained = _i;
    ck_assert_int_eq(finish(start("whole", NULL)), 0);
    stops_after(3, "stopped: after epoch 3 of 12");
    stops_after(7, "stopped: after epoch 7 of 12");
    stops_after(2, "stopped: after epoch 7 of 12"); /* it is beyond that, and stays as it is */
    const said *s = mews("runs parts");
    ck_assert_msg(strstr(s->out, "  stopped") && !strstr(s->out, "interrupted"), "%s", s->out);
    s = mews("watch parts/run");
    ck_assert_msg(strstr(s->out, "1 run, 1 stopped") && strstr(s->out, "after epoch 7 of 12"), "%s", s->out);
    ck_assert_int_eq(finish(start("parts", NULL)), 0);
    assert_same_run("whole", "parts");
    char words[64];
    snprintf(words, sizeof words, "train run%d.yaml --out parts --until 3 --json", trained);
    s = mews(words);
    ck_assert_msg(s->code == 0 && strstr(s->out, "\"found\""), "%s", s->out);
    snprintf(words, sizeof words, "train run%d.yaml --out parts --until 13", trained);
    refused(words, "--until 13 is beyond train.epochs, 12");
}
END_TEST

START_TEST(test_a_run_that_diverges_says_where_and_keeps_its_checkpoint) {
    /* The rate climbs for ten epochs: after the first few steps, decay throws weights further than they were. */
    static const char *const mad[] = {"optimizer.name=sgd", "optimizer.lr=0.02", "optimizer.weight_decay=1000",
                                      "optimizer.warmup=10", NULL};
    ck_assert_int_eq(finish(start("mad", mad)), 1);
    ck_assert_str_ne(find("mad", "checkpoint-*"), "");
    error err = {0};
    char path[160];
    size_t size;
    snprintf(path, sizeof path, "%s/err", folder);
    char *said = file_read(path, &size, &err);
    ck_assert_ptr_nonnull(said);
    /* told by a step, or by the look after an epoch's last one */
    ck_assert_msg((strstr(said, "training diverged at step") && strstr(said, "largest gradient")) ||
                      strstr(said, "training diverged: their embeddings are not finite"),
                  "%s", said);
    ck_assert_msg(strstr(said, "the last checkpoint before it is kept") != NULL, "%s", said);
    free(said);

    /* From the first step on: there is no checkpoint to speak of. */
    static const char *const madder[] = {"optimizer.name=sgd", "optimizer.lr=1000", "optimizer.weight_decay=1000",
                                         NULL};
    ck_assert_int_eq(finish(start("madder", madder)), 1);
    said = file_read(path, &size, &err);
    ck_assert_ptr_nonnull(said);
    ck_assert_msg(strstr(said, "training diverged at step") && !strstr(said, "is kept"), "%s", said);
    ck_assert_str_eq(find("madder", "checkpoint-*"), "");
    free(said);

    /* By the only step of an epoch, whose own loss is that of the network before it. */
    static const char *const maddest[] = {"optimizer.name=sgd", "optimizer.lr=1000", "optimizer.weight_decay=1000",
                                          "train.batch=200", NULL};
    ck_assert_int_eq(finish(start("maddest", maddest)), 1);
    said = file_read(path, &size, &err);
    ck_assert_ptr_nonnull(said);
    ck_assert_msg(
        strstr(said, "held-out images after epoch 1: training diverged: their embeddings are not finite. A") &&
            !strstr(said, "is kept"),
        "%s", said);
    free(said);
}
END_TEST

/* A limit on the size of a file stands in for a disk that fills up while the first checkpoint is written. */
START_TEST(test_a_disk_that_fills_up_is_one_line_and_leaves_nothing_half_written) {
    struct rlimit before, tight = {.rlim_cur = 20 << 10, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    ck_assert_int_eq(finish(start("warm-up", NULL)), 0); /* imports the data set, which is larger than the limit */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    pid_t child = start("full", NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(finish(child), 1);
    error err = {0};
    char path[160];
    size_t size;
    snprintf(path, sizeof path, "%s/err", folder);
    char *said = file_read(path, &size, &err), *line = said ? strstr(said, "mews: cannot write ") : NULL;
    ck_assert_msg(line && strchr(line, '\n') == line + strlen(line) - 1, "%s", said);
    free(said);
    ck_assert_str_eq(find("full", "checkpoint-*"), "");
    ck_assert_int_eq(finish(start("full", NULL)), 0); /* with room again, it goes on */
    assert_same_run("warm-up", "full");
}
END_TEST

Suite *suite_resume(void) {
    Suite *s = suite_create("resume");
    TCase *t = tcase_create("whole runs");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, program_teardown);
    tcase_add_test(t, test_the_same_spec_gives_the_same_bits_twice);
    tcase_add_loop_test(t, test_a_run_that_was_killed_again_and_again_ends_with_the_bits_of_one_that_was_not, 0,
                        METHODS);
    tcase_add_test(t, test_an_interrupted_run_leaves_a_checkpoint_and_goes_on_from_it);
    tcase_add_loop_test(t, test_a_run_told_to_stop_after_an_epoch_later_ends_as_if_it_had_not, 0, METHODS);
    tcase_add_test(t, test_a_run_that_diverges_says_where_and_keeps_its_checkpoint);
    tcase_add_test(t, test_a_disk_that_fills_up_is_one_line_and_leaves_nothing_half_written);
    suite_add_tcase(s, t);
    return s;
}
