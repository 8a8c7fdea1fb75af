/*
 * Parsing a command's line by its table. getopt_long would do half of this, but it prints its own messages, takes
 * abbreviations, and knows no nearest name.
 */
#include "experiments/commands/arguments.h"
#include "experiments/commands/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const option *find_option(const option *options, const char *word) {
    for (; options->name; options++)
        if (strcmp(options->name, word) == 0 || (options->brief && strcmp(options->brief, word) == 0)) return options;
    return NULL;
}

static const field *find_field(const field_table *fields, const char *word) {
    return fields && strncmp(word, "--", 2) == 0 ? fields_find(fields, word + 2) : NULL;
}

static bool refuse_option(const char *command, const argument_rules *rules, const char *word, error *err) {
    const char *names[MAX_OPTIONS + 2] = {"--help"};
    for (size_t i = 0; i < MAX_OPTIONS && rules->options[i].name; i++) names[i + 1] = rules->options[i].name;
    const char *near = error_nearest(word, names);
    const char *key = rules->fields && !near && strlen(word) > 2 ? fields_nearest(rules->fields, word + 2) : NULL;
    if (near || key)
        return error_set(err, ERROR_USAGE, "unknown option `%s` of `mews %s`; did you mean `%s%s`?", word, command,
                         key ? "--" : "", key ? key : near);
    return error_set(err, ERROR_USAGE, "unknown option `%s`; `mews %s --help` lists what there is", word, command);
}

static bool add_given(arguments *a, const char *name, const char *value, error *err) {
    if (a->given_count == MAX_GIVEN) return error_set(err, ERROR_USAGE, "more than %d options", MAX_GIVEN);
    a->given[a->given_count].name = name;
    a->given[a->given_count++].value = value;
    return true;
}

/* One option at argv[*i], and its value, which may be the next word. */
static bool parse_option(arguments *a, const char *command, const argument_rules *rules, int argc, char **argv, int *i,
                         error *err) {
    char word[64];
    const char *equals = argv[*i][1] == '-' ? strchr(argv[*i], '=') : NULL;
    snprintf(word, sizeof word, "%.*s", (int)(equals ? equals - argv[*i] : 63), argv[*i]);
    const option *row = find_option(rules->options, word);
    const field *key = row ? NULL : find_field(rules->fields, word);
    if (!row && !key) return refuse_option(command, rules, word, err);
    const char *value = equals ? equals + 1 : "", *takes = row ? row->value : "a value";
    if (!takes && equals) return error_set(err, ERROR_USAGE, "`%s` takes no value", word);
    if (takes && !equals) {
        if (++*i == argc) return error_set(err, ERROR_USAGE, "`%s` takes a value: %s", word, takes);
        value = argv[*i];
    }
    return add_given(a, row ? row->name : key->key, value, err);
}

bool arguments_parse(arguments *a, const char *command, const argument_rules *rules, int argc, char **argv,
                     error *err) {
    *a = (arguments){0};
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        bool is_option = !ended && word[0] == '-' && word[1];
        if (is_option && strcmp(word, "--") == 0) {
            ended = true;
        } else if (is_option && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            a->help = true;
            return true;
        } else if (is_option) {
            if (!parse_option(a, command, rules, argc, argv, &i, err)) return false;
        } else if (a->word_count == rules->max_words) {
            return error_set(err, ERROR_USAGE, "`%.80s` is one word too many for `mews %s`", word, command);
        } else {
            a->words[a->word_count++] = word;
        }
    }
    if (a->word_count < rules->min_words)
        return error_set(err, ERROR_USAGE, "`mews %s` takes %s; `mews %s --help` tells more", command, rules->words,
                         command);
    return true;
}

bool arguments_fields(const arguments *a, const field_table *fields, void *options, error *err) {
    for (size_t g = 0; g < a->given_count; g++) {
        const field *row = fields_find(fields, a->given[g].name);
        error local = {0};
        if (row && !field_parse(fields, row, options, a->given[g].value, &local))
            return error_set(err, ERROR_USAGE, "--%s %s: %s", row->key, a->given[g].value, local.text);
    }
    return true;
}

const char *arguments_nth(const arguments *a, const char *name, size_t i) {
    for (size_t g = 0; g < a->given_count; g++)
        if (strcmp(a->given[g].name, name) == 0 && i-- == 0) return a->given[g].value;
    return NULL;
}

bool arguments_has(const arguments *a, const char *name) { return arguments_nth(a, name, 0) != NULL; }

const char *arguments_value(const arguments *a, const char *name, const char *otherwise) {
    for (size_t g = a->given_count; g-- > 0;)
        if (strcmp(a->given[g].name, name) == 0) return a->given[g].value;
    return otherwise;
}

bool arguments_number(const arguments *a, const char *name, long min, long max, long otherwise, long *out, error *err) {
    const char *text = arguments_value(a, name, NULL);
    char *end;
    *out = otherwise;
    if (!text) return true;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max)
        return error_set(err, ERROR_USAGE, "`%s` takes an integer from %ld to %ld, not `%.40s`", name, min, max, text);
    *out = value;
    return true;
}

/* One line of --help: the option, padded, and its words, which a terminal breaks where it ends. */
static void print_option(FILE *stream, const char *brief, const char *name, const char *value, const char *help) {
    char left[96];
    snprintf(left, sizeof left, "%s%s%s%s%s", brief ? brief : "", brief ? ", " : "", name, value ? " " : "",
             value ? value : "");
    enum { INDENT = 26 };
    if (!terminal_has_width(stream)) {
        fprintf(stream, "  %-23s %s\n", left, help);
        return;
    }
    fprintf(stream, "  %-23s ", left);
    int column = terminal_letters(left) > 23 ? terminal_letters(left) + 3 : INDENT;
    for (const char *line = help; *line; line += *line == '\n') { /* a help may have lines of its own */
        char text[512];
        size_t bytes = strcspn(line, "\n");
        snprintf(text, sizeof text, "%.*s", (int)bytes, line);
        if (line != help) fprintf(stream, "%*s", column = INDENT, "");
        terminal_wrap(stream, text, column, INDENT, terminal_width(stream));
        line += bytes;
    }
}

void arguments_print(const argument_rules *rules, FILE *stream) {
    for (const option *o = rules->options; o->name; o++) print_option(stream, o->brief, o->name, o->value, o->help);
    for (size_t i = 0; rules->fields && i < rules->fields->count; i++) {
        const field *row = &rules->fields->rows[i];
        char name[64], help[512];
        snprintf(name, sizeof name, "--%s", row->key);
        const char *value = row->type == FIELD_CHOICE ? "NAME" : row->type == FIELD_TEXT ? "FILE" : "N";
        snprintf(help, sizeof help, *row->fallback ? "%s (%s)" : "%s", row->help, row->fallback);
        print_option(stream, NULL, name, value, help);
    }
}
