/*
 * mews: the program. Finds the command, hands it its arguments, prints the one error there may be, and ends with the
 * code that goes with it: 0 done, 1 failed while running, 2 a bad command or spec, 3 a collapse that was asked about,
 * 130 interrupted. What signals do stands in stopping.h.
 */
#include "engine/isa.h"
#include "engine/threads.h"
#include "experiments/commands/command.h"
#include "experiments/commands/start.h"
#include "experiments/commands/stopping.h"
#include "experiments/commands/version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const command *const commands[] = {
    &command_train,   &command_sweep,     &command_eval,     &command_diagnose, &command_report, &command_keys,
    &command_methods, &command_backbones, &command_datasets, &command_data,     &command_bench,  &command_runs,
    &command_index,   &command_rm,        &command_table,    &command_compare,  &command_doctor, &command_export,
    &command_embed,
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_usage(FILE *stream) {
    fprintf(stream,
            "mews: non-contrastive self-supervised learning and its collapses\n\nusage: mews COMMAND [...]\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[i]->name, commands[i]->rules.words);
        fprintf(stream, "  %-22s %s\n", left, commands[i]->summary);
    }
    fprintf(stream, "\n`mews COMMAND --help` tells more; `mews --version` which one this is.\n"
                    "Start with: mews keys, mews methods, make ablation-dims\n");
}

static void print_help(const command *c) {
    bool optional = c->rules.options->name || c->rules.fields;
    printf("usage: mews %s%s%s%s\n\n%s\n", c->name, *c->rules.words ? " " : "", c->rules.words,
           optional ? " [OPTION]..." : "", c->summary);
    if (c->details) printf("\n%s", c->details);
    if (!optional) return;
    printf("\noptions:\n");
    arguments_print(&c->rules, stdout);
}

static const command *find_command(const char *name, error *err) {
    const char *names[COMMAND_COUNT + 1] = {0};
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
        names[i] = commands[i]->name;
    }
    const char *near = error_nearest(name, names);
    if (near)
        error_set(err, ERROR_USAGE, "unknown command `%.80s`; did you mean `%s`?", name, near);
    else
        error_set(err, ERROR_USAGE, "unknown command `%.80s`; `mews --help` lists them", name);
    return NULL;
}

static int run_command(int argc, char **argv, error *err) {
    arguments args;
    command_context context = {.interrupted = stopping_flag()};
    const command *found = find_command(argv[1], err);
    if (found && arguments_parse(&args, found->name, &found->rules, argc - 2, argv + 2, err)) {
        if (found->go_on) stopping_catch(found->go_on);
        if (args.help)
            print_help(found);
        else
            found->run(&context, &args, err);
    }
    bool told = fflush(stdout) == 0 && !ferror(stdout);
    if (!told && !stopping_pipe_is_broken()) error_set(err, ERROR_RUN, "cannot write to standard output");
    return err->code;
}

/* Who closed standard error must not find its words in the next file that is opened. */
static void fill_standard_files(void) {
    for (int file = 0; file <= 2; file++)
        if (fcntl(file, F_GETFD) < 0 && errno == EBADF) open("/dev/null", file == 0 ? O_RDONLY : O_WRONLY);
}

int main(int argc, char **argv) {
    fill_standard_files();
    start_settle(argv);
    signal(SIGXFSZ, SIG_IGN); /* a file over the user's limit is then an error of write(), like a full disk */
    error err = {0};
    if (argc < 2) {
        print_usage(stderr);
        return ERROR_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("mews %s\n", MEWS_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    int code = isa_choose(&err) && threads_use(0, &err) ? run_command(argc, argv, &err) : err.code;
    if (code != ERROR_NONE) fprintf(stderr, "mews: %s\n", err.text);
    return code;
}
