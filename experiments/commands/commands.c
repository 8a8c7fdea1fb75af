/*
 * All commands of the program, in the order in which they are listed. One more: its name here, and its declaration in
 * command.h.
 */
#include "experiments/commands/command_help.h"

const command *const commands[] = {
    &command_train,
    &command_sweep,
    &command_eval,
    &command_diagnose,
    &command_report,
    &command_keys,
    &command_methods,
    &command_backbones,
    &command_datasets,
    &command_data,
    &command_bench,
    &command_runs,
    &command_index,
    &command_rm,
    &command_table,
    &command_compare,
    &command_doctor,
    &command_export,
    &command_embed,
    &command_watch,
    &command_cancel,
    &command_help,
    NULL,
};
