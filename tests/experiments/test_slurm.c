/*
 * A sweep as a job array. With stand-ins for Slurm's commands: what is handed over, and what is not handed over twice.
 * With a real Slurm of one node, where slurmctld and slurmd are installed and may be started (by root): a task that is
 * killed, one that is put back into the queue ahead of its limit and a controller that starts anew cost no run, and the
 * results are those of a sweep without Slurm, to the bit. A sweep that halves becomes an array a rung, whose tasks
 * decide as one sweep does that sees all of its runs.
 */
#include "engine/files/file.h"
#include "tests/experiments/program.h"

#include <signal.h>
#include <time.h>

static void write_text(const char *name, const char *text) {
    char path[160];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(file_write(path, text, strlen(text), &err), "%s", err.text);
}

static void write_spec(int epochs) {
    char text[512];
    snprintf(text, sizeof text,
             "name: toy\n"
             "data: {name: shapes, size: 8, limit: 256}\n"
             "augment: none\n"
             "backbone: {name: resnet8, width: 2}\n"
             "method: {name: falcon, features: 8, codes: 8}\n"
             "train: {epochs: %d, batch: 32, threads: 1}\n"
             "eval: {metrics: [knn], sample: 200}\n"
             "sweep: {train.seed: [0, 1, 2, 3, 4, 5]}\n",
             epochs);
    write_text("toy.yaml", text);
}

/* Two methods of four settings, of which one diverges and one collapses; two rungs. */
static void write_halved_spec(void) {
    write_text("toy.yaml", "name: toy\n"
                           "data: {name: shapes, size: 8, limit: 128, cache: cache, validation: 0.25}\n"
                           "augment: none\n"
                           "backbone: {name: resnet8, width: 2}\n"
                           "train: {epochs: 4, batch: 16, threads: 1, loader_threads: 1}\n"
                           "eval: {metrics: [knn], online: [linear]}\n"
                           "methods: {falcon: {method: {features: 8, codes: 16}}, "
                           "simclr: {method: {hidden: 8, features: 8}}}\n"
                           "sweep: {method: [falcon, simclr], optimizer.lr: [1.0e-3, 1.0e-2, 1.0e-1, 1000]}\n"
                           "halving: {figure: online_linear, rungs: [1, 2], keep: 0.5}\n");
}

/* How each run ended, and with what bits. */
#define SAME_RUNS(here, there)                                                                                         \
    "for d in " here "/toy/toy_*/; do t=" there "/${d#" here "/}; for f in $d $t; do "                                 \
    "grep -E '^  \"(status|reason|halving)\":' $f/run.json | sort; grep -h collapse $f/metrics.jsonl | "               \
    "sed 's/\"time\".*//'; done | sort | uniq -c | grep -qv '^ *[0-9]*[02468] ' && exit 1; "                           \
    "test ! -e $d/embeddings.npy || cmp $d/embeddings.npy $t/embeddings.npy || exit 1; done; "

/* ---- Without Slurm ---- */

START_TEST(options_of_slurm_want_slurm) {
    write_spec(1);
    refused("sweep toy.yaml --time 10", "--time goes with --slurm, which is not given");
    refused("sweep toy.yaml --slurm -j 2",
            "--jobs does not go with --slurm; --array-limit says how many tasks run at a time");
    refused("sweep toy.yaml --slurm --partition \"$(printf 'a\\nb')\"",
            "--partition holds a control character, which no script is given");
    refused("cancel toy.yaml", "there is no sweep `toy.yaml` in results, nor a folder of that name; `mews runs` lists "
                               "what there is");
    shell("mkdir -p results/toy");
    refused("cancel toy", "results/toy: nothing of it was handed to Slurm");
}
END_TEST

START_TEST(the_script_is_shown_before_it_is_handed_over) {
    write_spec(1);
    const said *s = mews("sweep toy.yaml --slurm -n --cpus 4 --mem 2G --time 1:00:00 --partition 'p q' --array-limit 3 "
                         "--sbatch=--account=lab --set \"method.beta=0.5\"");
    ck_assert_int_eq(s->code, 0);
    ck_assert_ptr_nonnull(strstr(s->out, "#SBATCH --array=0-5%3\n#SBATCH --cpus-per-task=4\n"));
    ck_assert_ptr_nonnull(strstr(s->out, "#SBATCH --partition=p q\n#SBATCH --time=1:00:00\n#SBATCH --mem=2G\n"
                                         "#SBATCH --account=lab\n"));
    ck_assert_ptr_nonnull(strstr(s->out, "--set 'method.beta=0.5'"));
    ck_assert_ptr_nonnull(strstr(s->out, "#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n"));
    write_text("script.sh", s->out);
    shell("bash -n script.sh && test ! -e results/toy");
}
END_TEST

/* Commands that answer as Slurm's do: an array has at most four tasks, job 7 is followed by 8. */
static void stand_ins(void) {
    shell("mkdir -p bin && printf '#!/bin/sh\\necho \"MaxArraySize            = 5\"\\n' >bin/scontrol && "
          "printf '#!/bin/sh\\necho x >>count\\ncp \"$2\" job-$(wc -l <count).sh\\n"
          "echo $((6 + $(wc -l <count)))\";lab\"\\n' >bin/sbatch && "
          "printf '#!/bin/sh\\ncat waiting 2>/dev/null || true\\n' >bin/squeue && "
          "printf '#!/bin/sh\\necho \"$@\" >>cancelled\\n' >bin/scancel && chmod +x bin/*");
    char path[4200];
    const char *before = getenv("PATH");
    snprintf(path, sizeof path, "%s/bin:%.4000s", folder, before ? before : "/usr/bin:/bin");
    setenv("PATH", path, 1);
}

START_TEST(long_arrays_are_split_and_nothing_is_handed_over_twice) {
    write_spec(1);
    stand_ins();
    const said *s = mews("sweep toy.yaml --slurm");
    ck_assert_str_eq(s->err, "");
    ck_assert_ptr_nonnull(strstr(s->out, "6 runs handed to Slurm as job 7 8, a task each\n"));
    shell("grep -q array=0-3 job-1.sh && grep -q array=0-1 job-2.sh");
    shell("test $(grep -ho 'toy_seed-[0-9]' job-1.sh job-2.sh | sort -u | wc -l) = 6");
    write_text("waiting", "7 0\n7 1\n7 2\n8 1\n99 3\n"); /* the last one is another sweep's */
    s = mews("sweep toy.yaml --slurm");
    ck_assert_ptr_nonnull(
        strstr(s->out, "4 runs are with Slurm already\n2 runs handed to Slurm as job 9, a task each\n"));
    shell("grep -q seed-3 job-3.sh && grep -q seed-4 job-3.sh");
    shell("mkdir toy"); /* a folder of that name here is not meant where the results have one */
    s = mews("watch toy");
    ck_assert_ptr_nonnull(strstr(s->out, "toy: 6 runs, 6 queued\n"));
    s = mews("cancel toy");
    ck_assert_ptr_nonnull(strstr(s->out, "3 job arrays told to end"));
    shell("test \"$(cat cancelled | tr '\\n' ' ')\" = '--quiet 7 --quiet 8 --quiet 9 '");
    refused("cancel toy", "results/toy: nothing of it was handed to Slurm"); /* what was told is told once */
    shell("sed -i '2i echo \"sbatch: warning: 4 tasks are many\" >&2' bin/sbatch && rm waiting");
    s = mews("sweep toy.yaml --slurm");
    ck_assert_msg(strstr(s->out, "6 runs handed to Slurm as job 10 11, a task each\n"), "%s%s", s->out, s->err);
    mews("cancel toy");
    shell("tail -n 2 cancelled | tr '\\n' ' ' | grep -qx -- '--quiet 10 --quiet 11 '");
}
END_TEST

START_TEST(a_rung_is_an_array_that_waits_for_the_one_before) {
    write_halved_spec();
    stand_ins();
    const said *s = mews("sweep toy.yaml --slurm -n");
    write_text("script.sh", s->out);
    shell("bash -n script.sh && test $(grep -c '^#SBATCH --array=0-7$' script.sh) = 3 && "
          "test $(grep -c dependency script.sh) = 2 && for r in 1 2 3; do grep -q -- \"--rung $r \" script.sh || exit "
          "1; done");
    s = mews("sweep toy.yaml --slurm"); /* an array has at most four tasks */
    ck_assert_str_eq(s->err, "");
    ck_assert_ptr_nonnull(strstr(s->out,
                                 "8 runs handed to Slurm as job 7 8 9 10 11 12, a task each\n8 of them by an array "
                                 "for each rung, after the one before; a task ends at once where its run does "
                                 "not go on\n"));
    shell("! grep dependency job-1.sh job-2.sh && grep -qx '#SBATCH --dependency=afterany:7:8' job-3.sh && "
          "grep -qx '#SBATCH --dependency=afterany:7:8' job-4.sh && "
          "grep -qx '#SBATCH --dependency=afterany:9:10' job-6.sh");
    write_text("waiting", "11 2\n"); /* what came before is over, and may have failed */
    s = mews("sweep toy.yaml --slurm");
    ck_assert_str_eq(s->out, "8 runs are with Slurm already\nnothing to hand over\n");
    shell("rm waiting");
    s = mews("sweep toy.yaml --slurm --set halving=off");
    ck_assert_ptr_nonnull(strstr(s->out, "8 runs handed to Slurm as job 13 14, a task each\n"));
    shell("! grep -q -e rung -e dependency job-7.sh job-8.sh");
}
END_TEST

/* An sbatch that works through an array before it answers; of the tasks in the file `lost` ("7 0") nothing is heard. */
static void stand_in_that_works(void) {
    stand_ins();
    write_text("bin/sbatch", "#!/bin/bash\necho x >>count; job=$((6 + $(wc -l <count)))\n"
                             "last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' \"$2\")\n"
                             "for i in $(seq 0 $last); do\n"
                             "    grep -qsx \"$job $i\" lost && continue\n"
                             "    SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$i bash \"$2\" >log-$job-$i 2>&1\n"
                             "    echo \"$job $i $?\" >>codes\n"
                             "done\necho $job\n");
    shell("chmod +x bin/sbatch && sed -i 's/= 5/= 100/' bin/scontrol");
}

START_TEST(tasks_decide_as_a_sweep_that_sees_all_runs) {
    write_halved_spec();
    stand_in_that_works();
    const said *s = mews("sweep toy.yaml --out here");
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("test $(ls -d here/toy/toy_*/ | wc -l) = 8 && test $(ls -d there/toy/toy_*/ | wc -l) = 8");
    shell("! grep -v ' 0$' codes");
    shell(SAME_RUNS("here", "there") "ls there/toy/toy_*/embeddings.npy >ls.out");
    shell("test ! -e there/runs.db");
    s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_str_eq(s->out, "nothing to hand over\n");
    shell("grep -q 'is stopped at rung 1 of 2 (epoch 1 of 4): ' log-8-*"); /* a task says why it ends at once */
}
END_TEST

START_TEST(what_never_came_to_its_rung_has_lost_until_it_is_tried_again) {
    write_halved_spec();
    stand_in_that_works();
    const said *s = mews("sweep toy.yaml --out here");
    ck_assert_msg(s->code == 0, "%s", s->err);
    /* the task of a run that would come to its end is lost: one in the first array, one in the second */
    shell("grep -l '\"finished\"' here/toy/toy_*/run.json | sed 's,here/toy/,,; s,/run.json,,' >winners");
    s = mews("sweep toy.yaml --slurm -n --out there");
    write_text("script.sh", s->out);
    shell("set -- $(cat winners); grep -oE '^    toy_.*' script.sh | head -n 8 | cat -n >order; "
          "echo 7 $(($(grep $1 order | cut -f 1) - 1)) >lost; echo 8 $(($(grep $2 order | cut -f 1) - 1)) >>lost");
    s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    /* others went on in their place, and their tasks say what became of them */
    shell(
        "set -- $(cat winners); test ! -e there/toy/$1/embeddings.npy && test ! -e there/toy/$2/embeddings.npy && "
        "test $(grep -c ' 1$' codes) = 3 && cat log-9-* | grep -q \"mews: $2: it never came to rung 2 of 2 (epoch 2 of "
        "4): failed; [01] of 2 settings go on; the same .mews sweep --slurm. tries it again\" && "
        "grep -q '\"status\": \"failed\"' there/toy/$2/run.json");
    shell("rm lost");
    s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("for r in $(cat winners); do cmp here/toy/$r/embeddings.npy there/toy/$r/embeddings.npy || exit 1; done");
}
END_TEST

START_TEST(a_task_is_told_what_it_cannot_do) {
    write_halved_spec();
    refused("train toy.yaml --rung 1 --until 1", "--until or --rung, not both");
    refused("train toy.yaml --rung 1 --json", "--rung tells in words alone, without --json and --events");
    shell("sed -i 's/, optimizer.lr: .*/}/; s/falcon, simclr/falcon/' toy.yaml");
    const said *s = mews("train toy.yaml --rung 4");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "is halved at 2 rungs, behind which is its end\n"));
    s = mews("train toy.yaml --rung 1 --set halving=off");
    ck_assert_ptr_nonnull(strstr(s->err, "--rung 1: the spec does not halve "));
}
END_TEST

START_TEST(what_slurm_refuses_is_said_in_its_words) {
    write_spec(1);
    stand_ins();
    write_text("bin/sbatch", "#!/bin/sh\necho 'sbatch: error: invalid partition specified: p' >&2\nexit 1\n");
    shell("chmod +x bin/sbatch");
    refused_with(1, "sweep toy.yaml --slurm --partition p",
                 "Slurm refused: sbatch: error: invalid partition specified: p");
    shell("rm bin/sbatch && mkdir none");
    const char *path = getenv("PATH");
    char before[4200];
    snprintf(before, sizeof before, "%s", path);
    setenv("PATH", "none", 1); /* the shell that starts us is found by its path */
    refused_with(1, "sweep toy.yaml --slurm",
                 "sbatch is not there: a sweep is handed to Slurm on a machine that has it");
    setenv("PATH", before, 1);
}
END_TEST

/* The script itself, with the run's place taken by a program that does as a run does. */
START_TEST(a_signal_ahead_of_the_limit_puts_a_task_back_and_its_end_does_not) {
    write_spec(1);
    stand_ins();
    const said *s = mews("sweep toy.yaml --slurm -n");
    write_text("script.sh", s->out);
    write_text("bin/scontrol", "#!/bin/sh\necho \"$@\" >>requeued\n");
    write_text(
        "run",
        "#!/bin/bash\ntrap 'exit 130' USR1 TERM\necho ready >>begun\nfor i in $(seq 600); do sleep 0.05; done\n");
    shell(
        "chmod +x run bin/scontrol && sed -i \"s|^'[^']*mews' train|./run|\" script.sh && grep -q '^./run' script.sh");
    shell(
        "export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=2; bash script.sh & p=$!; until test -e begun; do sleep 0.05; "
        "done; kill -USR1 $p; wait $p; test \"$(cat requeued)\" = 'requeue 7_2'");
    shell("rm begun requeued; export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=2; bash script.sh & p=$!; "
          "until test -e begun; do sleep 0.05; done; kill -TERM $p; wait $p; test $? = 130 && test ! -e requeued");
}
END_TEST

/* ---- With it ---- */

static bool slurm_is_there(void) {
    return geteuid() == 0 &&
           system("for c in slurmctld slurmd sbatch squeue scontrol; do command -v $c >/dev/null || exit 1; done") == 0;
}

/* One node without authentication, on ports of its own; everything is kept in the test's folder. */
static void write_node(void) {
    shell("port=$((20000 + $$ % 20000)); mkdir state spool; { echo ClusterName=one; "
          "echo \"SlurmctldHost=$(hostname -s)(127.0.0.1)\"; echo SlurmctldPort=$port; echo SlurmdPort=$((port + 1)); "
          "echo SlurmUser=root; echo StateSaveLocation=$PWD/state; echo SlurmdSpoolDir=$PWD/spool; "
          "echo SlurmctldPidFile=$PWD/ctld.pid; echo SlurmdPidFile=$PWD/slurmd.pid; echo AuthType=auth/none; "
          "echo CredType=cred/none; } >slurm.conf");
    shell("{ echo MailProg=/bin/true; echo ProctrackType=proctrack/pgid; echo SelectType=select/cons_tres; "
          "echo SelectTypeParameters=CR_CPU; echo SchedulerParameters=batch_sched_delay=0,sched_interval=1; "
          "echo SlurmdParameters=config_overrides; echo KillWait=5; echo ReturnToService=2; "
          "echo \"NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=2\"; "
          "echo 'PartitionName=all Nodes=ALL Default=YES'; } >>slurm.conf");
}

#define CONTROLLER "setsid timeout -k 10 900 slurmctld -D >ctld.out 2>&1 </dev/null & echo $! >ctld.p; "
#define NODE "setsid timeout -k 10 900 slurmd -D >slurmd.out 2>&1 </dev/null & echo $! >slurmd.p; "
#define WAIT_FOR(what) "for i in $(seq 1200); do { " what "; } && break; sleep 0.1; done; " what

static void end_node(void) {
    char command[200];
    snprintf(command, sizeof command, "cd %s && kill $(cat ctld.p slurmd.p) 2>/dev/null; sleep 1", folder);
    if (system(command) != 0) return; /* they had ended */
}

/* False, and says so, where there is none. */
static bool begin_node(void) {
    char path[160];
    if (!slurm_is_there()) {
        fprintf(stderr, "slurm: passed over: slurmctld and slurmd are not installed, or this is not root\n");
        return false;
    }
    write_node();
    snprintf(path, sizeof path, "%s/slurm.conf", folder);
    setenv("SLURM_CONF", path, 1);
    shell(CONTROLLER NODE "true");
    shell(WAIT_FOR("test \"$(sinfo -h -o %T 2>/dev/null)\" = idle"));
    return true;
}

START_TEST(a_real_slurm_loses_no_run_and_changes_no_bit) {
    if (!begin_node()) return;
    write_spec(60);
    const said *s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell(WAIT_FOR("test -s there/toy/*seed-1*/metrics.jsonl"));
    /* a fast machine may have ended it before it could be told */
    shell(WAIT_FOR("scancel --batch --signal=USR1 1_1 2>/dev/null || test -z \"$(squeue -h -j 1_1 2>/dev/null)\""));
    shell("pkill -KILL -f 'only [t]oy_seed-0' || test -d there/toy/*seed-0*");
    /* it may hang while it ends, and its port is wanted */
    shell("kill $(cat ctld.p); while kill -0 $(cat ctld.p) 2>/dev/null; do sleep 0.1; done; sleep 1; " CONTROLLER
              WAIT_FOR("timeout 5 sinfo -h >/dev/null 2>&1"));
    shell(WAIT_FOR("test \"$(squeue -h -t RUNNING,COMPLETING | wc -l)\" = 0 && "
                   "test \"$(squeue -h -r -o '%K' | grep -vx 1 | wc -l)\" = 0"));
    /* Slurm holds a task that was put back for two minutes: it is told to go now, and what was killed is handed over */
    shell("scancel 1; " WAIT_FOR("test -z \"$(squeue -h)\""));
    s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell(WAIT_FOR("test -z \"$(squeue -h)\""));
    end_node();
    s = mews("sweep toy.yaml --out here");
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell("test $(ls -d here/toy/*seed*/ | wc -l) = 6; for d in here/toy/*seed*/; do t=there/${d#here/}; "
          "cmp $d/embeddings.npy $t/embeddings.npy && cmp $d/labels.npy $t/labels.npy || exit 1; "
          "grep -q '\"status\": \"finished\"' $t/run.json || exit 1; done");
    shell("test ! -e there/runs.db"); /* tasks share no database */
}
END_TEST

START_TEST(a_real_slurm_halves_as_a_sweep_without_it) {
    if (!begin_node()) return;
    write_halved_spec();
    const said *s = mews("sweep toy.yaml --slurm --out there");
    ck_assert_msg(s->code == 0, "%s", s->err);
    s = mews("sweep toy.yaml --out here"); /* meanwhile */
    ck_assert_msg(s->code == 0, "%s", s->err);
    shell(WAIT_FOR("test -z \"$(squeue -h)\""));
    end_node();
    shell("test $(ls -d here/toy/toy_*/ | wc -l) = 8 && test $(ls -d there/toy/toy_*/ | wc -l) = 8");
    shell(SAME_RUNS("here", "there") "ls there/toy/toy_*/embeddings.npy >ls.out");
    shell("test ! -e there/runs.db && test $(ls there/toy/slurm/*.log | wc -l) = 24");
}
END_TEST

Suite *suite_slurm(void);
Suite *suite_slurm(void) {
    Suite *s = suite_create("slurm");
    TCase *c = tcase_create("slurm");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 900);
    tcase_add_test(c, options_of_slurm_want_slurm);
    tcase_add_test(c, the_script_is_shown_before_it_is_handed_over);
    tcase_add_test(c, long_arrays_are_split_and_nothing_is_handed_over_twice);
    tcase_add_test(c, what_slurm_refuses_is_said_in_its_words);
    tcase_add_test(c, a_signal_ahead_of_the_limit_puts_a_task_back_and_its_end_does_not);
    tcase_add_test(c, a_real_slurm_loses_no_run_and_changes_no_bit);
    suite_add_tcase(s, c);
    c = tcase_create("halving");
    tcase_add_checked_fixture(c, program_setup, program_teardown);
    tcase_set_timeout(c, 900);
    tcase_add_test(c, a_rung_is_an_array_that_waits_for_the_one_before);
    tcase_add_test(c, tasks_decide_as_a_sweep_that_sees_all_runs);
    tcase_add_test(c, what_never_came_to_its_rung_has_lost_until_it_is_tried_again);
    tcase_add_test(c, a_task_is_told_what_it_cannot_do);
    tcase_add_test(c, a_real_slurm_halves_as_a_sweep_without_it);
    suite_add_tcase(s, c);
    return s;
}
