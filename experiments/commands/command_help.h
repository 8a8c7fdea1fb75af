/*
 * The table of all commands, and what is said of them.
 */
#ifndef MEWS_COMMAND_HELP_H
#define MEWS_COMMAND_HELP_H

#include "experiments/commands/command.h"

extern const command *const commands[]; /* as they are listed; ends with NULL */

/* ERROR_USAGE with the nearest name where there is no such command. */
const command *help_find_command(const char *name, error *err);

void help_print_usage(FILE *out);
void help_print_command(FILE *out, const command *c);

#endif
