/* `mews table`: a paper's table beside what was measured here. */
#include "experiments/commands/command.h"
#include "experiments/paper/paper_table.h"

static bool run_table(const command_context *context, const arguments *args, error *err) {
    (void)context;
    static const char *const names[] = {"--markdown", "--csv", "--latex"};
    static const paper_form forms[] = {PAPER_MARKDOWN, PAPER_CSV, PAPER_LATEX};
    paper_form form = PAPER_TEXT;
    paper_table t;
    int given = 0;
    for (int i = 0; i < 3; i++)
        if (arguments_has(args, names[i])) form = forms[i], given++;
    if (given > 1) return error_set(err, ERROR_USAGE, "one of --markdown, --csv and --latex");
    if (!paper_table_read(&t, args->words[0], arguments_value(args, "--out", "results"),
                          arguments_value(args, "--where", NULL), err))
        return false;
    bool done = paper_table_print(&t, form, err);
    paper_table_free(&t);
    return done;
}

static const option options[] = {
    {"--where", "-w", "CONDITION", "which runs (default: those whose name begins with the table's); as in `mews runs`"},
    {"--markdown", NULL, NULL, "as a Markdown table"},
    {"--csv", NULL, NULL, "as CSV, means and standard deviations apart"},
    {"--latex", NULL, NULL, "as a LaTeX tabular for booktabs"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {0},
};

const command command_table = {
    .name = "table",
    .rules = {.words = "NAME", .min_words = 1, .max_words = 1, .options = options},
    .summary = "a paper's table beside ours: table1, table2",
    .details =
        "Published figures stand beside the mean and standard deviation over seeds of finished runs, with a paired\n"
        "test against FALCON (Holm's correction). NMI is shown with its chance level, but judged are AMI and\n"
        "accuracy. Runs with train.epochs 0 are the rows `random`; a seed that ran twice counts once.\n",
    .run = run_table,
};
