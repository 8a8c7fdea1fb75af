/*
 * The commands that only tell what there is: keys, methods, backbones, datasets. All of it comes from the tables that
 * the specs are read by, so it cannot be out of date.
 */
#include "experiments/commands/command.h"
#include "experiments/spec/spec_file.h"
#include "experiments/commands/terminal.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

/* What `mews keys PREFIX` asks for: a section, a method, or the beginning of a key. */
static bool wanted(const char *prefix, const char *key) { return strncmp(key, prefix, strlen(prefix)) == 0; }

static void print_row(const field_table *table, const field *row) {
    enum { KEY = 27, VALUE = 16 };
    char key[96], domain[512], text[1024];
    const char *fallback = row->fallback && *row->fallback ? row->fallback : "-";
    snprintf(key, sizeof key, "%s.%s", table->section, row->key);
    field_domain(row, domain, sizeof domain);
    if (row->type == FIELD_TEXT)
        snprintf(text, sizeof text, "%s", row->help);
    else
        snprintf(text, sizeof text, "%s (%s)", row->help, domain);
    printf("  %-*s ", KEY, key);
    int column = 2 + KEY + 1, indent = column + VALUE + 1;
    if (terminal_letters(key) > KEY ||
        terminal_letters(fallback) > VALUE) { /* too wide for its column: the words start a new line */
        printf("%s\n%*s", fallback, indent, "");
    } else {
        printf("%-*s ", VALUE, fallback);
    }
    terminal_wrap(stdout, text, indent, indent, terminal_width(stdout));
}

/* Prints a table's rows that are wanted, below a headline. */
static size_t print_table(const field_table *table, const char *of, const char *prefix) {
    size_t printed = 0;
    for (size_t i = 0; i < table->count; i++) {
        char key[96];
        snprintf(key, sizeof key, "%s.%s", table->section, table->rows[i].key);
        if (!wanted(prefix, key)) continue;
        if (printed++ == 0) printf("%s%s%s\n", table->section, of ? " of " : "", of ? of : "");
        print_row(table, &table->rows[i]);
    }
    if (printed) putchar('\n');
    return printed;
}

static size_t print_keys(const char *prefix) {
    size_t printed = 0;
    for (size_t i = 0; spec_section_name(i); i++) {
        if (spec_section_fields(i, NULL)) {
            printed += print_table(spec_section_fields(i, NULL), NULL, prefix);
            continue;
        }
        for (int m = 0; method_names[m]; m++) {
            const method *each = method_at(m);
            const char *within = strcmp(prefix, each->name) == 0 ? "" : prefix;
            printed += print_table(&each->fields, each->name, within);
        }
    }
    return printed;
}

/* What stands in a file beside the sections. */
static size_t print_file_keys(const char *prefix) {
    size_t printed = 0;
    for (const spec_file_key *k = spec_file_keys; k->name; k++) {
        if (!wanted(prefix, k->name)) continue;
        if (printed++ == 0) printf("beside the sections\n");
        printf("  %-12s %s\n%15s", k->name, k->takes, "");
        terminal_wrap(stdout, k->help, 15, 15, terminal_width(stdout));
    }
    if (printed && !*prefix)
        printf(
            "\nA value may be ${section.key}: what that key comes to in the end. Layers, later ones over earlier ones: "
            "the file's\nsections, its methods, the block's sections, its methods, --set, swept values.\n");
    return printed;
}

static bool refuse_prefix(const char *prefix, error *err) {
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; n < 30 && spec_section_name(i); i++) names[n++] = spec_section_name(i);
    for (size_t i = 0; n < 63 && method_names[i]; i++) names[n++] = method_names[i];
    names[n] = NULL;
    const char *near = error_nearest(prefix, names);
    if (near) return error_set(err, ERROR_USAGE, "no key begins with `%.80s`; did you mean `%s`?", prefix, near);
    return error_set(err, ERROR_USAGE, "no key begins with `%.80s`; `mews keys` lists all of them", prefix);
}

static bool run_keys(const command_context *context, const arguments *args, error *err) {
    (void)context;
    const char *prefix = args->word_count ? args->words[0] : "";
    if (print_keys(prefix) + print_file_keys(prefix) == 0) return refuse_prefix(prefix, err);
    return true;
}

/* ---- methods, backbones, datasets ---- */

static void print_entry(const char *name, int width, const char *text) {
    printf("%-*s  ", width, name);
    terminal_wrap(stdout, text, width + 2, width + 2, terminal_width(stdout));
}

static bool run_methods(const command_context *context, const arguments *args, error *err) {
    (void)context, (void)args, (void)err;
    int width = 0;
    for (int m = 0; method_names[m]; m++)
        if (terminal_letters(method_names[m]) > width) width = terminal_letters(method_names[m]);
    for (int m = 0; method_names[m]; m++) {
        print_entry(method_names[m], width, method_at(m)->summary);
        print_entry("", width, method_at(m)->reference);
    }
    return true;
}

static bool run_backbones(const command_context *context, const arguments *args, error *err) {
    (void)context, (void)args, (void)err;
    for (int i = 0; backbone_names[i]; i++) print_entry(backbone_names[i], 10, backbone_summary(i));
    return true;
}

static bool run_datasets(const command_context *context, const arguments *args, error *err) {
    (void)context, (void)args;
    const field *name = fields_require(&data_fields, "name", err);
    if (!name) return false;
    for (int i = 0; name->choices[i]; i++) printf("%s\n", name->choices[i]);
    printf("\n`data.name`: ");
    terminal_wrap(stdout, name->help, 13, 13, terminal_width(stdout));
    return true;
}

static const option none[] = {{0}};

const command command_keys = {
    .name = "keys",
    .rules = {.words = "[PREFIX]", .max_words = 1, .options = none},
    .summary = "every key of a spec, with its default and what it takes",
    .details = "PREFIX is a section (train), a method (falcon) or the beginning of a key (method.co).\n",
    .run = run_keys,
};
const command command_methods = {
    .name = "methods",
    .rules = {.words = "", .options = none},
    .summary = "the methods, in a line each",
    .run = run_methods,
};
const command command_backbones = {
    .name = "backbones",
    .rules = {.words = "", .options = none},
    .summary = "the backbones",
    .run = run_backbones,
};
const command command_datasets = {
    .name = "datasets",
    .rules = {.words = "", .options = none},
    .summary = "the data sets",
    .run = run_datasets,
};
