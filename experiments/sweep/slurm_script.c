/*
 * The script's shape follows from what Slurm does. A signal ahead of the time limit reaches the batch shell alone, and
 * a shell that dies of SIGTERM takes its program with it: so the shell traps both and hands them on. A task started
 * again would truncate its output: so that is appended to. A task that the controller starts twice, or again after its
 * node was lost, waits for the run's lease (`train --wait`) and then finds the run finished or goes on with it. A task
 * of a rung (`train --rung`) asks the records at its start whether its run goes on, and what of other code it meets.
 */
#include "experiments/sweep/slurm_parts.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum {
    NOTICE_SECONDS = 120, /* from the signal to the limit: many steps, and a checkpoint */
    MOST_RESTARTS = 50,   /* of a task by itself, so that one that gets nowhere ends */
};

/* A word as a shell reads it back. */
static void print_word(FILE *out, const char *word) {
    putc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            putc(*word, out);
    putc('\'', out);
}

static void print_option(FILE *out, const char *name, const char *value) {
    putc(' ', out);
    fputs(name, out);
    putc(' ', out);
    print_word(out, value);
}

/* `mews train SPEC …` with all that the sweep's own line said of runs. */
static bool print_train(FILE *out, const queue *q, const arguments *args, const char *results, size_t rung,
                        error *err) {
    static const char *const handed_on[] = {"--base", "--set", "--block"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0) return error_set(err, ERROR_RUN, "cannot tell where this program is: %s", strerror(errno));
    program[length] = '\0';
    print_word(out, program);
    fputs(" train ", out);
    print_word(out, q->file.path);
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++) {
        const char *value;
        for (size_t k = 0; (value = arguments_nth(args, handed_on[i], k)); k++) print_option(out, handed_on[i], value);
    }
    print_option(out, "--out", results);
    if (rung)
        fprintf(out, " --rung %zu%s%s", rung, arguments_has(args, "--redo") ? " --redo" : "",
                arguments_has(args, "--reuse") ? " --reuse" : "");
    fprintf(out, "%s --wait --unindexed --only \"${runs[SLURM_ARRAY_TASK_ID]}\" &\n", rung ? "" : " $other");
    return true;
}

static void print_header(FILE *out, const queue *q, const arguments *args, const char *results,
                         const slurm_array *array, long cpus) {
    const char *value;
    fprintf(out, "#!/bin/bash\n#SBATCH --job-name=%s\n#SBATCH --array=0-%zu", q->file.name, array->count - 1);
    if ((value = arguments_value(args, "--array-limit", NULL))) fprintf(out, "%%%s", value);
    fprintf(out, "\n#SBATCH --cpus-per-task=%ld\n", cpus);
    if ((value = arguments_value(args, "--partition", NULL))) fprintf(out, "#SBATCH --partition=%s\n", value);
    if ((value = arguments_value(args, "--time", NULL))) fprintf(out, "#SBATCH --time=%s\n", value);
    if ((value = arguments_value(args, "--mem", NULL))) fprintf(out, "#SBATCH --mem=%s\n", value);
    for (size_t i = 0; (value = arguments_nth(args, "--sbatch", i)); i++) fprintf(out, "#SBATCH %s\n", value);
    fprintf(out, "#SBATCH --output=\"%s/%s/slurm/%%A_%%a.log\"\n#SBATCH --open-mode=append\n#SBATCH --requeue\n",
            results, q->file.name);
    fprintf(out, "#SBATCH --signal=B:USR1@%d\n", NOTICE_SECONDS);
    if (*array->after) fprintf(out, "#SBATCH --dependency=afterany:%s\n", array->after);
}

/* Runs that other code made are begun anew once, not again by each restart. */
static void print_other(FILE *out, const queue *q, const arguments *args, const size_t *chosen, size_t count) {
    const char *flag = arguments_has(args, "--redo") ? "--redo" : "--reuse";
    fputs("others=(", out);
    for (size_t i = 0; i < count; i++) {
        const queue_item *item = &q->items[chosen[i]];
        if (item->other && item->status != RUN_FAILED) fprintf(out, " [%zu]=%s", i, flag);
    }
    fputs(" )\nother=${others[SLURM_ARRAY_TASK_ID]}\n"
          "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || [ \"$other\" != --redo ] || other=\n",
          out);
}

bool slurm_print_script(FILE *out, const queue *q, const arguments *args, const char *results, const slurm_array *array,
                        error *err) {
    long cpus;
    if (!arguments_number(args, "--cpus", 1, 4096, 1, &cpus, err)) return false;
    print_header(out, q, args, results, array, cpus);
    fputs("\n# One run a task, by its number.\n", out);
    if (array->rung) fputs("# It is trained on to the next rung of `halving`, where it still goes on.\n", out);
    fputs("runs=(\n", out);
    for (size_t i = 0; i < array->count; i++) fprintf(out, "    %s\n", q->items[array->chosen[i]].id);
    fputs(")\n", out);
    if (!array->rung) print_other(out, q, args, array->chosen, array->count);
    fputs("export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} # one thread a core; Slurm sets none\n\n"
          "# Slurm tells this shell alone; a run ends at its next step, with a checkpoint and code 130.\n"
          "again= run=\n"
          "trap 'again=yes; kill -USR1 $run 2>/dev/null' USR1\n"
          "trap 'kill -TERM $run 2>/dev/null' TERM\n",
          out);
    if (!print_train(out, q, args, results, array->rung, err)) return false;
    fprintf(out,
            "run=$!\n"
            "wait $run\n"
            "while kill -0 $run 2>/dev/null; do wait $run; done # a signal ends a wait\n"
            "wait $run\n"
            "code=$?\n"
            "if [ \"$again\" ] && [ $code = 130 ] && [ \"${SLURM_RESTART_COUNT:-0}\" -lt %d ]; then\n"
            "    echo 'the time limit is near: back into the queue' >&2\n"
            "    exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"\n"
            "fi\n"
            "exit $code\n",
            MOST_RESTARTS);
    return true;
}
