/*
 * One run as several processes, under each kind of MPI that is installed: every method's losses are those of one
 * process that computes whole batches, also where each has a share of the codes alone; what is measured has the bits of
 * one process that measures the same network; what is repeated has the same bits; a run that was stopped goes on, also
 * with another number of processes; mistakes are one line.
 */
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <jansson.h>
#include <math.h>

static const char *const kinds[] = {"openmpi", "mpich"};
enum { KINDS = 2, STEPS = 10 };

/* Both the launcher and the program's module for it. */
static bool has(const char *kind) {
    char command[1400];
    snprintf(command, sizeof command,
             "command -v mpirun.%s >/dev/null && test -r \"$(dirname \"$(readlink -f '%s')\")/mews-mpi-%s.so\"", kind,
             program, kind);
    return system(command) == 0;
}

static void write_spec(const char *method, double lr, const char *eval) {
    char path[160], text[1024];
    error err = {0};
    snprintf(path, sizeof path, "%s/toy.yaml", folder);
    snprintf(text, sizeof text,
             "name: toy\n"
             "data: {name: shapes, size: 8, limit: 320}\n"
             "augment: asymmetric\n"
             "backbone: {name: resnet8, width: 4}\n"
             "method: %s\n"
             "optimizer: {name: sgd, lr: %g}\n"
             "train: {epochs: 1, batch: 32, threads: 1, log_every: 1}\n"
             "eval: %s\n",
             method, lr, eval);
    ck_assert_msg(file_write(path, text, strlen(text), &err), "%s", err.text);
}

#define LAUNCH                                                                                                         \
    "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "                   \
    "OMPI_MCA_hwloc_base_binding_policy=none mpirun.%s "

/* What mpirun starts, as it is told. */
static const said *launched(const char *kind, const char *what) {
    static said s;
    char command[4800];
    snprintf(command, sizeof command, "cd %s && " LAUNCH "%s >out 2>err </dev/null", folder, kind, what);
    int status = system(command);
    ck_assert(WIFEXITED(status));
    s.code = WEXITSTATUS(status);
    read_start("out", s.out, sizeof s.out);
    read_start("err", s.err, sizeof s.err);
    return &s;
}

/* `mews WORDS` as `count` processes. */
static const said *together(const char *kind, int count, const char *words) {
    char what[2400];
    snprintf(what, sizeof what, "-n %d '%s' %s", count, program, words);
    return launched(kind, what);
}

/* The losses in the history of the one run under `results`. */
static int losses(const char *results, double out[64]) {
    char command[300], path[160];
    size_t size;
    error err = {0};
    int count = 0;
    snprintf(command, sizeof command, "cat %s/toy/toy_*/metrics.jsonl >history", results);
    shell(command);
    snprintf(path, sizeof path, "%s/history", folder);
    char *text = file_read(path, &size, &err), *rest, *line;
    ck_assert_msg(text != NULL, "%s", err.text);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *entry = json_loads(line, 0, NULL);
        if (json_is_number(json_object_get(entry, "loss")) && count < 64)
            out[count++] = json_number_value(json_object_get(entry, "loss"));
        json_decref(entry);
    }
    free(text);
    return count;
}

/* Of the spec in toy.yaml, with some settings in the shared run alone. */
static void expect_losses_of_one(const char *kind, const char *method, int count, const char *settings) {
    double alone[64], shared[64];
    char words[160];
    shell("rm -rf alone shared");
    const said *s = mews("train toy.yaml --out alone");
    ck_assert_msg(s->code == 0, "%s: %s", method, s->err);
    snprintf(words, sizeof words, "train toy.yaml --out shared %s", settings);
    s = together(kind, count, words);
    ck_assert_msg(s->code == 0, "%s, %s: %s", method, kind, s->err);
    ck_assert_int_eq(losses("alone", alone), STEPS);
    ck_assert_int_eq(losses("shared", shared), STEPS);
    for (int i = 0; i < STEPS; i++)
        ck_assert_msg(fabs(shared[i] - alone[i]) <= 1e-4 * fabs(alone[i]), "%s, %s: step %d: %.9g, not %.9g", method,
                      kind, i + 1, shared[i], alone[i]);
}

static void expect_same_losses(const char *kind, const char *method, double lr, const char *batches, int count) {
    char edit[160];
    write_spec(method, lr, "[]");
    snprintf(edit, sizeof edit, "sed -i 's/batch: 32/%s/' toy.yaml", batches);
    shell(edit);
    expect_losses_of_one(kind, method, count, "");
}

/* Learning rates at which ten steps change a loss by far more than rounding, and do not make it a matter of rounding.
 */
static const struct {
    const char *spec;
    double lr;
} methods[] = {
    {"{name: falcon, features: 16, codes: 32}", 0.003},
    {"{name: barlow_twins, features: 16}", 0.003},
    {"{name: vicreg, features: 16}", 1e-4},
    {"{name: swav, features: 16, prototypes: 8}", 0.01},
    {"{name: dino, features: 16, prototypes: 16}", 0.01},
    {"self_classifier", 0.01},
    {"gedi", 1e-6},
    {"simsiam", 0.003},
    {"byol", 0.001},
    {"{name: simclr, features: 16}", 0.01},
    {"{name: wmse, features: 8, whitening_size: 16}", 0.001},
    {"{name: lejepa, features: 16, slices: 32}", 0.003},
    {"{name: tico, features: 16}", 0.003},
    {"{name: visreg, features: 16, slices: 32}", 0.003},
    {"{name: mmcr, features: 16}", 0.003},
    {"{name: frossl, features: 16}", 0.003},
    {"{name: zero_cl, features: 16}", 1e-5},
    {"{name: corinfomax, features: 16}", 1e-5},
    {"{name: msn, features: 16, prototypes: 16}", 0.01},
    {"supervised", 0.01},
    {"{name: falcon, features: 512, codes: 2048}", 0.01}, /* whose packed dictionary no process may take for numbers */
};

START_TEST(a_method_sees_the_whole_batch_however_many_share_it) {
    for (int k = 0; k < KINDS; k++)
        if (has(kinds[k]))
            expect_same_losses(kinds[k], methods[_i].spec, methods[_i].lr, "batch: 32", _i == 0 && k ? 4 : 2);
}
END_TEST

START_TEST(batches_of_one_step_all_count_whoever_shares_them) {
    for (int k = 0; k < KINDS; k++)
        if (has(kinds[k])) expect_same_losses(kinds[k], "byol", 0.001, "batch: 16, accumulate: 2", 2);
}
END_TEST

START_TEST(what_is_repeated_has_the_same_bits_and_goes_on_after_a_stop) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_spec("{name: falcon, features: 16, codes: 32}", 0.01, "{metrics: [knn], sample: 100}");
        shell("sed -i 's/epochs: 1/epochs: 4/' toy.yaml; rm -rf one two three");
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out one")->code, 0);
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out two")->code, 0);
        shell("cmp one/toy/toy_*/embeddings.npy two/toy/toy_*/embeddings.npy");
        /* stopped at the first step that stands in the history, long before its end, and taken up by more */
        char command[1600];
        snprintf(command, sizeof command,
                 LAUNCH
                 "-n 2 '%s' train toy.yaml --set train.epochs=60 --out three >out 2>err </dev/null & p=$!; "
                 "until grep -qs loss three/toy/*/metrics.jsonl || ! kill -0 $p 2>/dev/null; do sleep 0.01; done; "
                 "kill -TERM $p; wait $p; true",
                 kinds[k], program);
        shell(command);
        shell("ls three/toy/toy_*/checkpoint-* >ls.out && grep -q '\"status\": \"running\"' three/toy/toy_*/run.json");
        ck_assert_int_eq(together(kinds[k], 4, "train toy.yaml --set train.epochs=60 --out three")->code, 0);
        shell("grep -q '\"status\": \"finished\"' three/toy/toy_*/run.json");
        shell("cat one/toy/toy_*/run.json | tr -d ' \\n' | "
              "grep -q '\"processes\":{\"count\":2,\"mpi\":\"[^\"]*\",\"bucket\":262144}'");
        shell("cat three/toy/toy_*/run.json | tr -d ' \\n' | grep '\"processes\":{\"count\":4,' | "
              "grep -q '\"computed_before\":.*{\"processes\":{\"count\":2,'");
        shell("test $(grep -c '\"loss\"' three/toy/toy_*/metrics.jsonl) -ge 600");
    }
}
END_TEST

/* Every pass that an evaluation has: both networks, both kinds of statistics, codes, an online probe; the test images
   are more than a batch of each process, and the last batch is not full. */
#define MEASURED                                                                                                       \
    "{metrics: [knn, collapse, prototypes], batch_figures: [prototypes], online: [linear], network: teacher}"

static void write_measured_spec(void) {
    write_spec("{name: dino, features: 16, prototypes: 16}", 0.01, MEASURED);
    shell("sed -i 's/limit: 320/limit: 700/; s/batch: 32/batch: 36/' toy.yaml; rm -rf alone shared copy counts");
}

START_TEST(what_is_measured_has_the_bits_of_one_process) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_measured_spec();
        const said *s = together(kinds[k], k ? 3 : 2, "train toy.yaml --out shared");
        ck_assert_msg(s->code == 0, "%s: %s", kinds[k], s->err);
        shell("cp -r shared/toy/toy_* copy");
        s = mews("eval copy"); /* of the same weights */
        ck_assert_msg(s->code == 0, "%s: %s", kinds[k], s->err);
        shell("for f in embeddings labels assignments; do cmp copy/$f.npy shared/toy/toy_*/$f.npy || exit 1; done; "
              "for d in copy shared/toy/toy_*; do tr -d ' \\n' <$d/run.json | grep -o '\"final\":{[^}]*}' || exit 1; "
              "done | uniq | wc -l | grep -qx 1");
        s = mews("train toy.yaml --out alone"); /* the same network before the first step */
        ck_assert_msg(s->code == 0, "%s", s->err);
        shell("for d in alone shared; do head -n 1 $d/toy/toy_*/metrics.jsonl | grep '\"collapse\":{' | "
              "sed 's/\"time\".*//' || exit 1; done | uniq | wc -l | grep -qx 1");
    }
}
END_TEST

/* Rank 1's last allocation is one of the evaluation's, since it measures along. */
START_TEST(a_process_that_fails_while_it_measures_ends_the_others_and_the_rest_is_done_later) {
    char what[4000];
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_measured_spec();
        snprintf(what, sizeof what,
                 "-n 1 '%s' train toy.yaml --out alone : -n 1 env MEWS_FAULT_COUNTS=counts '%s-faults' train toy.yaml "
                 "--out alone",
                 program, program);
        const said *s = launched(kinds[k], what);
        ck_assert_msg(s->code == 0, "%s: %s", kinds[k], s->err);
        snprintf(
            what, sizeof what,
            "-n 1 '%s' train toy.yaml --out shared : -n 1 env MEWS_FAULT=alloc:$(($(sed -n 's/^alloc //p' counts) - "
            "10)) '%s-faults' train toy.yaml --out shared",
            program, program);
        s = launched(kinds[k], what);
        ck_assert_msg(strstr(s->err, "mews: rank 1 of 2: out of memory") != NULL, "%s: %s", kinds[k], s->err);
        shell("grep -q '\"status\": \"running\"' shared/toy/toy_*/run.json && "
              "test $(cat shared/toy/toy_*/metrics.jsonl | wc -l) = $(cat alone/toy/toy_*/metrics.jsonl | wc -l) && "
              "ls shared/toy/toy_*/$(cd alone/toy/toy_* && ls checkpoint-* | tail -n 1) >ls.out");
        /* nothing is left to train: the other process first hears what there is to measure */
        s = together(kinds[k], 2, "train toy.yaml --out shared");
        ck_assert_msg(s->code == 0, "%s: %s", kinds[k], s->err);
        shell("grep -q '\"status\": \"finished\"' shared/toy/toy_*/run.json && "
              "cmp alone/toy/toy_*/embeddings.npy shared/toy/toy_*/embeddings.npy");
    }
}
END_TEST

START_TEST(an_evaluation_that_is_told_to_stop_is_done_later) {
    char command[1600];
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_spec("{name: falcon, features: 64, codes: 64}", 0.01, "{metrics: [knn], sample: 500}"); /* packed signs */
        shell("rm -rf shared alone; sed -i 's/size: 8/size: 32/; s/limit: 320/limit: 1024/; s/width: 4/width: 32/; "
              "s/epochs: 1/epochs: 0/' "
              "toy.yaml; rm -f err");
        snprintf(
            command, sizeof command,
            LAUNCH
            "-n 2 '%s' train toy.yaml --out shared >out 2>err </dev/null & p=$!; "
            "until grep -qs representations err || ! kill -0 $p; do sleep 0.01; done; kill -TERM $p; wait $p; true",
            kinds[k], program);
        shell(command); /* a fast machine may have been through with it */
        const said *s = together(kinds[k], 2, "train toy.yaml --out shared");
        ck_assert_msg(s->code == 0, "%s: %s", kinds[k], s->err);
        s = mews("train toy.yaml --out alone");
        ck_assert_msg(s->code == 0, "%s", s->err);
        shell("cmp alone/toy/toy_*/embeddings.npy shared/toy/toy_*/embeddings.npy");
    }
}
END_TEST

static const char sharded[] = "--set method.shard_codes=true";

/* Shares of 11 and 12 codes, or 18 and 19, of blocks of Hadamard codes, and beside small views. */
static const char *const dictionaries[] = {
    "{name: falcon, features: 16, codes: 37}",
    "{name: falcon, features: 16, codes: 37, memory: 0, prior: forward, symmetric: false}",
    "{name: falcon, features: 12, codes: 75, dictionary: hadamard}",
    "{name: falcon, features: 16, codes: 37, dictionary: orthogonal}",
    "{name: falcon, features: 16, codes: 37, dictionary: gaussian}",
    "{name: falcon, features: 16, codes: 37}\naugment: {preset: asymmetric, local_crops: 2, local_size: 8}",
};

/* By each kind in turn, where both are there. */
START_TEST(shares_of_the_codes_make_the_loss_of_all_of_them) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k]) || (k != _i % KINDS && has(kinds[_i % KINDS]))) continue;
        write_spec(dictionaries[_i], 0.001, "[]");
        if (strstr(dictionaries[_i], "augment")) shell("sed -i '/^augment: asymmetric/d' toy.yaml");
        expect_losses_of_one(kinds[k], dictionaries[_i], k ? 2 : 4, sharded);
    }
}
END_TEST

/* Figures of the codes, too, are those of the whole dictionary: one process that has all of it finds them again. */
START_TEST(a_run_of_shares_repeats_its_bits_goes_on_and_is_measured_by_all_codes) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_spec("{name: falcon, features: 16, codes: 37, shard_codes: true}", 0.01,
                   "{metrics: [prototypes], sample: 100}");
        shell("sed -i 's/epochs: 1/epochs: 3/' toy.yaml; rm -rf one two three");
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out one")->code, 0);
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out two --until 1")->code, 0);
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out two")->code, 0);
        shell("cmp one/toy/toy_*/embeddings.npy two/toy/toy_*/embeddings.npy");
        ck_assert_int_eq(together(kinds[k], 4, "train toy.yaml --out three --until 1")->code, 0);
        ck_assert_int_eq(together(kinds[k], 2, "train toy.yaml --out three")->code, 0);
        shell("grep -q '\"status\": \"finished\"' three/toy/toy_*/run.json");
        shell("cp one/toy/toy_*/assignments.npy .; grep -h '\"prototype' one/toy/toy_*/run.json >before");
        shell("rm one/toy/toy_*/assignments.npy");
        const said *s = mews("eval one/toy/toy_*");
        ck_assert_msg(s->code == 0, "%s", s->err);
        shell(
            "grep -h '\"prototype' one/toy/toy_*/run.json | cmp before - && cmp assignments.npy one/toy/toy_*/assign*");
    }
}
END_TEST

START_TEST(one_process_has_all_codes_and_says_so) {
    write_spec("{name: falcon, features: 16, codes: 37}", 0.01, "{metrics: [knn], sample: 100}");
    ck_assert_int_eq(mews("train toy.yaml --out whole")->code, 0);
    const said *s = mews("train toy.yaml --out shares --set method.shard_codes=true");
    ck_assert_int_eq(s->code, 0);
    ck_assert_msg(strstr(s->err, "method.shard_codes: one process has all 37 codes") != NULL, "%s", s->err);
    shell("cmp whole/toy/toy_*/embeddings.npy shares/toy/toy_*/embeddings.npy");
    s = mews("train toy.yaml --out learned --set method.shard_codes=true --set method.dictionary=learned");
    ck_assert_int_eq(s->code, 2);
    ck_assert_msg(strstr(s->err, "method.shard_codes: a learned dictionary moves as a whole and cannot be split"), "%s",
                  s->err);
}
END_TEST

START_TEST(codes_that_do_not_go_round_are_refused) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_spec("{name: falcon, features: 16, codes: 40, dictionary: hadamard, shard_codes: true}", 0.01, "[]");
        const said *s = together(kinds[k], 4, "train toy.yaml --out a");
        ck_assert_int_ne(s->code, 0);
        const char *line = strstr(s->err, "method.shard_codes: 40 codes, handed out 16 at a time, do not go round 4 "
                                          "processes; take more codes or start fewer");
        ck_assert_msg(line && !strstr(line + 1, "method.shard_codes"), "%s", s->err);
    }
}
END_TEST

START_TEST(mistakes_are_one_line) {
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        write_spec("{name: falcon, features: 16, codes: 32}", 0.01, "[]");
        const said *s = together(kinds[k], 3, "train toy.yaml --out a");
        ck_assert_int_ne(s->code, 0);
        ck_assert_msg(strstr(s->err, "train.batch 32 does not divide into 3 processes") != NULL, "%s", s->err);
        s = together(kinds[k], 2, "sweep toy.yaml");
        ck_assert_int_ne(s->code, 0);
        const char *line = strstr(s->err, "only `mews train` and `mews bench peers` run as several processes");
        ck_assert_msg(line && !strstr(line + 1, "only `mews train` and"), "%s", s->err);
        s = together(kinds[k], 1, "train toy.yaml --out b");
        ck_assert_msg(s->code == 0, "%s", s->err);
    }
}
END_TEST

/* Kernels for other processors round otherwise. */
START_TEST(machines_that_compute_otherwise_are_told_apart) {
    static const char *const others[] = {"MEWS_ISA=v2", "OPENBLAS_CORETYPE=Nehalem", "ONEDNN_MAX_CPU_ISA=SSE41"};
    char what[2600];
    write_spec("{name: falcon, features: 16, codes: 32}", 0.01, "[]");
    for (int k = 0; k < KINDS; k++) {
        if (!has(kinds[k])) continue;
        snprintf(what, sizeof what, "-n 1 '%s' train toy.yaml : -n 1 env %s '%s' train toy.yaml", program,
                 others[(k + _i) % 3], program);
        const said *s = launched(kinds[k], what);
        ck_assert_int_ne(s->code, 0);
        ck_assert_msg(strstr(s->err, "kernels here are ") &&
                          strstr(s->err, "OPENBLAS_CORETYPE on all machines make them alike\n"),
                      "%s: %s", others[(k + _i) % 3], s->err);
        shell("! ls -d results/toy/toy_* 2>/dev/null"); /* nothing has begun */
    }
}
END_TEST

/* A launcher of a kind that the program has no module for would otherwise start as many runs as processes. */
START_TEST(several_processes_without_a_module_are_refused) {
    write_spec("vicreg", 0.01, "[]");
    char command[1300];
    snprintf(command, sizeof command, "cp '%s' mews", program);
    shell(command);
    snprintf(command, sizeof command, "cd %s && PMI_RANK=0 PMI_SIZE=2 ./mews train toy.yaml 2>err; test $? = 1",
             folder);
    ck_assert_int_eq(system(command), 0);
    shell("grep -q '^mews: started by MPICH on 2 processes, and this program was built without it (no module); install "
          "libmpich-dev and run `make` again$' err");
}
END_TEST

/* srun starts one task by the same means as many; it needs no module. */
START_TEST(one_process_under_a_launcher_is_alone) {
    char command[1300];
    write_spec("vicreg", 0.01, "[]");
    snprintf(command, sizeof command, "cp '%s' mews", program);
    shell(command);
    shell("PMIX_RANK=0 SLURM_STEP_NUM_TASKS=1 ./mews train toy.yaml >out 2>err </dev/null");
}
END_TEST

Suite *suite_mpi(void);
Suite *suite_mpi(void) {
    Suite *s = suite_create("mpi");
    TCase *c = tcase_create("mpi");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 900);
    tcase_add_loop_test(c, a_method_sees_the_whole_batch_however_many_share_it, 0, sizeof methods / sizeof *methods);
    tcase_add_test(c, batches_of_one_step_all_count_whoever_shares_them);
    tcase_add_test(c, what_is_repeated_has_the_same_bits_and_goes_on_after_a_stop);
    tcase_add_test(c, mistakes_are_one_line);
    tcase_add_loop_test(c, machines_that_compute_otherwise_are_told_apart, 0, 3);
    tcase_add_test(c, several_processes_without_a_module_are_refused);
    tcase_add_test(c, one_process_under_a_launcher_is_alone);
    suite_add_tcase(s, c);
    c = tcase_create("measuring");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 900);
    tcase_add_test(c, what_is_measured_has_the_bits_of_one_process);
    tcase_add_test(c, a_process_that_fails_while_it_measures_ends_the_others_and_the_rest_is_done_later);
    tcase_add_test(c, an_evaluation_that_is_told_to_stop_is_done_later);
    suite_add_tcase(s, c);
    TCase *shares = tcase_create("shares");
    tcase_add_checked_fixture(shares, program_setup, program_teardown);
    tcase_set_timeout(shares, 900);
    tcase_add_loop_test(shares, shares_of_the_codes_make_the_loss_of_all_of_them, 0,
                        sizeof dictionaries / sizeof *dictionaries);
    tcase_add_test(shares, a_run_of_shares_repeats_its_bits_goes_on_and_is_measured_by_all_codes);
    tcase_add_test(shares, one_process_has_all_codes_and_says_so);
    tcase_add_test(shares, codes_that_do_not_go_round_are_refused);
    suite_add_tcase(s, shares);
    return s;
}
