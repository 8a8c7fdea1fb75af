/*
 * `mews help`: what there is and what a command takes; the same as a man page and as completions for shells. All of it
 * is made from the commands' own tables, so that nothing has to be written twice or can be forgotten.
 */
#include "experiments/commands/command_help.h"
#include "engine/version.h"

#include <stdlib.h>
#include <string.h>

void help_print_usage(FILE *out) {
    fprintf(out, "mews: non-contrastive self-supervised learning and its collapses\n\nusage: mews COMMAND [...]\n\n");
    for (const command *const *c = commands; *c; c++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", (*c)->name, *(*c)->rules.words ? " " : "", (*c)->rules.words);
        fprintf(out, "  %-22s %s\n", left, (*c)->summary);
    }
    fprintf(out, "\n`mews help COMMAND` tells more; `mews --version` which one this is.\n"
                 "Start with: mews keys, mews methods, make ablation-dims\n");
}

static bool has_options(const command *c) { return c->rules.options->name || c->rules.fields; }

void help_print_command(FILE *out, const command *c) {
    fprintf(out, "usage: mews %s%s%s%s\n\n%s\n", c->name, *c->rules.words ? " " : "", c->rules.words,
            has_options(c) ? " [OPTION]..." : "", c->summary);
    if (c->details) fprintf(out, "\n%s", c->details);
    if (!has_options(c)) return;
    fprintf(out, "\noptions:\n");
    arguments_print(&c->rules, out);
}

const command *help_find_command(const char *name, error *err) {
    const char *names[64] = {0}; /* the last stays NULL */
    for (size_t i = 0; commands[i] && i + 1 < sizeof names / sizeof *names; i++) {
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

/* ---- the man page ----------------------------------------------------------------------------------------------- */

/* Text for roff: a backslash and a leading dot or quote are commands there, and a minus that is meant is \-. */
static void put_roff(FILE *out, const char *text) {
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\'')) fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        start = *text == '\n';
    }
}

static void put_option(FILE *out, const char *brief, const char *name, const char *value, const char *help) {
    fputs(".TP\n", out);
    if (brief) fputs("\\fB", out), put_roff(out, brief), fputs("\\fR, ", out);
    fputs("\\fB", out);
    put_roff(out, name);
    fputs("\\fR", out);
    if (value) fputs(" \\fI", out), put_roff(out, value), fputs("\\fR", out);
    fputc('\n', out);
    put_roff(out, help);
    fputc('\n', out);
}

static void put_command(FILE *out, const command *c) {
    fputs(".SS \"mews ", out);
    put_roff(out, c->name);
    fprintf(out, "%s", *c->rules.words ? " " : "");
    put_roff(out, c->rules.words);
    fputs("\"\n", out);
    put_roff(out, c->summary);
    fputs(".\n", out);
    if (c->details) fputs(".PP\n.nf\n", out), put_roff(out, c->details), fputs(".fi\n", out);
    for (const option *o = c->rules.options; o->name; o++) put_option(out, o->brief, o->name, o->value, o->help);
    for (size_t i = 0; c->rules.fields && i < c->rules.fields->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", c->rules.fields->rows[i].key);
        put_option(out, NULL, name, "VALUE", c->rules.fields->rows[i].help);
    }
}

static void print_man(FILE *out) {
    fprintf(out,
            ".TH MEWS 1 \"\" \"mews %s\" \"User Commands\"\n.SH NAME\nmews \\- non\\-contrastive self\\-supervised "
            "learning and its collapses\n.SH SYNOPSIS\n.B mews\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH "
            "DESCRIPTION\nTrains methods of self\\-supervised learning, sweeps their settings, and tells which of "
            "the four collapses happened: representation, dimensional, cluster, intracluster. The same verdicts are "
            "given for embeddings from anywhere.\n.SH COMMANDS\n",
            MEWS_VERSION);
    for (const command *const *c = commands; *c; c++) put_command(out, *c);
    fputs(
        ".SH \"EXIT STATUS\"\n0 done, 1 failed while running, 2 a bad command or spec, 3 a collapse named by "
        "\\-\\-fail\\-on was found, 130 interrupted.\n.SH ENVIRONMENT\n.TP\n.B NO_COLOR\nset to anything: no colours.\n"
        ".TP\n.B COLUMNS\nhow wide tables on a terminal may be.\n.TP\n.B OMP_NUM_THREADS\nthreads where a spec or an "
        "option says nothing.\n.SH FILES\n.TP\n.I results/NAME/RUN\na run: spec.yaml, run.json, metrics.jsonl, "
        "checkpoints, embeddings.npy, diagnosis.json.\n.TP\n.I results/runs.db\nan SQLite index of all runs.\n",
        out);
}

/* ---- completions ------------------------------------------------------------------------------------------------ */

static void list_options(FILE *out, const command *c, const char *between) {
    fputs("--help", out);
    for (const option *o = c->rules.options; o->name; o++) fprintf(out, "%s%s", between, o->name);
    for (size_t i = 0; c->rules.fields && i < c->rules.fields->count; i++)
        fprintf(out, "%s--%s", between, c->rules.fields->rows[i].key);
}

static void print_bash(FILE *out) {
    fputs("# bash completion for mews, made by `mews help --completion bash`\n_mews() {\n    local "
          "word=${COMP_WORDS[COMP_CWORD]} "
          "options=\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"",
          out);
    for (const command *const *c = commands; *c; c++) fprintf(out, "%s ", (*c)->name);
    fputs("\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n", out);
    for (const command *const *c = commands; *c; c++) {
        fprintf(out, "        %s) options=\"", (*c)->name);
        list_options(out, *c, " ");
        fputs("\";;\n", out);
    }
    fputs("    esac\n    if [ \"${word#-}\" != \"$word\" ]; then\n        COMPREPLY=($(compgen -W \"$options\" -- "
          "\"$word\"))\n"
          "    else\n        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\ncomplete -o filenames -F _mews mews\n",
          out);
}

/* In single quotes of zsh and fish. */
static void put_quoted(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:", *text))
            fputc(' ', out);
        else
            fputc(*text, out);
    }
}

static void print_zsh(FILE *out) {
    fputs("#compdef mews\n# made by `mews help --completion zsh`\nif (( CURRENT == 2 )); then\n    _values command",
          out);
    for (const command *const *c = commands; *c; c++) {
        fprintf(out, " '%s[", (*c)->name);
        put_quoted(out, (*c)->summary);
        fputs("]'", out);
    }
    fputs("\n    return\nfi\ncase $words[2] in\n", out);
    for (const command *const *c = commands; *c; c++) {
        fprintf(out, "    %s) _arguments '--help[what it takes]'", (*c)->name);
        for (const option *o = (*c)->rules.options; o->name; o++) {
            fprintf(out, " '%s[", o->name);
            put_quoted(out, o->help);
            fprintf(out, "]%s", o->value ? ":" : "");
            if (o->value) put_quoted(out, o->value), fputs(":_files", out);
            fputc('\'', out);
        }
        fputs(" '*:file:_files';;\n", out);
    }
    fputs("esac\n", out);
}

static void print_fish(FILE *out) {
    fputs("# fish completion for mews, made by `mews help --completion fish`\n", out);
    for (const command *const *c = commands; *c; c++) {
        fprintf(out, "complete -c mews -n __fish_use_subcommand -f -a %s -d '", (*c)->name);
        put_quoted(out, (*c)->summary);
        fputs("'\n", out);
        for (const option *o = (*c)->rules.options; o->name; o++) {
            fprintf(out, "complete -c mews -n '__fish_seen_subcommand_from %s' -l %s%s -d '", (*c)->name, o->name + 2,
                    o->value ? " -r" : "");
            put_quoted(out, o->help);
            fputs("'\n", out);
        }
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static bool run_help(const command_context *context, const arguments *args, error *err) {
    static const struct {
        const char *shell;
        void (*print)(FILE *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const char *shell = arguments_value(args, "--completion", NULL);
    (void)context;
    if (args->word_count + (shell != NULL) + arguments_has(args, "--man") > 1)
        return error_set(err, ERROR_USAGE, "a command, --man or --completion, one of them");
    if (arguments_has(args, "--man")) return print_man(stdout), true;
    for (size_t i = 0; shell && i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].shell, shell) == 0) return shells[i].print(stdout), true;
    if (shell) return error_set(err, ERROR_USAGE, "--completion takes bash, zsh or fish, not `%.40s`", shell);
    if (!args->word_count) return help_print_usage(stdout), true;
    const command *c = help_find_command(args->words[0], err);
    if (c) help_print_command(stdout, c);
    return c != NULL;
}

static const option options[] = {
    {"--man", NULL, NULL, "print the man page"},
    {"--completion", NULL, "SHELL", "print completions for bash, zsh or fish"},
    {0},
};

const command command_help = {
    .name = "help",
    .rules = {.words = "[COMMAND]", .max_words = 1, .options = options},
    .summary = "what there is, and what a command takes",
    .details = "`mews help COMMAND` and `mews COMMAND --help` are the same.\n",
    .run = run_help,
};
