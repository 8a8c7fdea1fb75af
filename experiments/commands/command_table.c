/* `mews table`: a paper's table beside what was measured here, or the table of a sweep of one's own. */
#include "experiments/commands/command.h"
#include "experiments/paper/paper_table.h"
#include "experiments/paper/sweep_table.h"
#include "experiments/sweep/results_folder.h"

#include <stdio.h>

static bool run_table(const command_context *context, const arguments *args, error *err) {
    (void)context;
    static const char *const names[] = {"--markdown", "--csv", "--latex"};
    static const grid_form forms[] = {GRID_MARKDOWN, GRID_CSV, GRID_LATEX};
    const char *name = args->words[0], *results = arguments_value(args, "--out", "results");
    const char *where = arguments_value(args, "--where", NULL), *figures = arguments_value(args, "--figures", NULL);
    grid_form form = GRID_TEXT;
    paper_table t;
    char folder[1024];
    int given = 0;
    for (int i = 0; i < 3; i++)
        if (arguments_has(args, names[i])) form = forms[i], given++;
    if (given > 1) return error_set(err, ERROR_USAGE, "one of --markdown, --csv and --latex");
    if (!paper_table_is(name) && results_folder_find(name, results, folder)) {
        if (where)
            return error_set(err, ERROR_USAGE, "--where chooses runs for a published table; a sweep has its own");
        return sweep_table_print(folder, figures, form, err);
    }
    if (figures && paper_table_is(name))
        return error_set(err, ERROR_USAGE, "--figures is for the table of a sweep; %s has those of the paper", name);
    if (!paper_table_read(&t, name, results, where, err)) return false;
    if (t.unreadable)
        fprintf(stderr,
                "mews: warning: %s%s cannot be read, and the table is without %s; `mews runs --where \"status = "
                "unreadable\"` says why\n",
                t.unreadable_run, t.unreadable > 1 ? " and other runs" : "", t.unreadable > 1 ? "them" : "it");
    bool done = paper_table_print(&t, form, err);
    paper_table_free(&t);
    return done;
}

static const option options[] = {
    {"--where", "-w", "CONDITION",
     "of a published table: which runs (default: those whose name begins with the table's); as in `mews runs`"},
    {"--figures", "-f", "NAMES", "of a sweep: which figures, as in linear,rankme (default: the usual ones)"},
    {"--markdown", NULL, NULL, "as a Markdown table"},
    {"--csv", NULL, NULL, "as CSV, means and standard deviations apart"},
    {"--latex", NULL, NULL, "as a LaTeX tabular for booktabs"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {0},
};

const command command_table = {
    .name = "table",
    .rules = {.words = "NAME", .min_words = 1, .max_words = 1, .options = options},
    .summary = "a paper's table beside ours (table1, table2), or a sweep's own",
    .details =
        "NAME is table1, table2, or a sweep by its name or folder. Of a sweep every setting is a row, with means and\n"
        "standard deviations over seeds and the collapses found: `mews table my-sweep --latex > table.tex`.\n"
        "In table1 and table2 published figures stand beside the mean and standard deviation over seeds of finished\n"
        "runs, with a paired test against FALCON (Holm's correction). NMI is shown with its chance level, but judged\n"
        "are AMI and accuracy. Runs with train.epochs 0 are the rows `random`; a seed that ran twice counts once.\n",
    .run = run_table,
};
