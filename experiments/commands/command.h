/*
 * What a command of `mews` is: a name, its words of help, its options, and a function. main.c holds the table of them
 * and is the only place that prints errors and ends the program.
 */
#ifndef MEWS_COMMAND_H
#define MEWS_COMMAND_H

#include "experiments/commands/arguments.h"

#include <signal.h>

enum { EXIT_INTERRUPTED = 130 }; /* as shells count a program ended by Ctrl-C */

/* What a command may know of the program around it. */
typedef struct command_context {
    const volatile sig_atomic_t *interrupted;
    struct peers *peers; /* processes that were started together, or NULL; engine/peers.h */
} command_context;

typedef struct command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *details; /* more, for its own --help; may be NULL */
    argument_rules rules;
    const char *go_on; /* how, after it was stopped: the end of a line. NULL: over in a moment, a signal just ends it */
    bool (*run)(const command_context *context, const arguments *args, error *err);
} command;

extern const command command_train, command_sweep, command_eval, command_diagnose, command_report, command_keys,
    command_methods, command_backbones, command_datasets, command_data, command_bench, command_runs, command_index,
    command_rm, command_table, command_compare, command_doctor, command_export, command_embed, command_watch,
    command_cancel, command_help;

#endif
