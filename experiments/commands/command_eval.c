/*
 * `mews eval`: a finished run measured again, or on other images. `mews embed`: anybody's weights on a folder of
 * images.
 */
#include "experiments/commands/command.h"
#include "experiments/run/elsewhere.h"
#include "experiments/run/experiment.h"
#include "experiments/sweep/results_folder.h"
#include "experiments/sweep/sweep.h"
#include "experiments/sweep/watch.h"

#include <stdlib.h>
#include <string.h>

static bool end(const run_outcome *out, const arguments *args, const char *go_on, bool done, error *err) {
    if (done && out->end == RUN_END_INTERRUPTED)
        done = error_set(err, EXIT_INTERRUPTED, "interrupted; run the same command to %s", go_on);
    else if (done && arguments_has(args, "--json"))
        watch_print_json(watch_outcome_json(out, err));
    else if (done)
        watch_print_outcome(out);
    json_decref(out->final);
    json_decref(out->verdicts);
    return done;
}

/* The one run of a spec of no epochs, under `results`. */
static bool measure(spec_file *file, const arguments *args, const experiment_hooks *hooks, run_outcome *out,
                    error *err) {
    const char *set, *results = arguments_value(args, "--out", "results");
    sweep plan = {0};
    bool done = true;
    for (size_t i = 0; done && (set = arguments_nth(args, "--set", i)); i++) done = spec_file_set(file, set, err);
    done = done && sweep_expand(&plan, file, err);
    if (done && plan.count != 1) done = error_set(err, ERROR_USAGE, "%zu runs; one is measured at a time", plan.count);
    done = done && results_folder_open(results, file->name, err) &&
           experiment_run(&plan.runs[0], results, RUN_ASK, hooks, out, err);
    sweep_free(&plan);
    return done;
}

/* ---- eval ---- */

static bool run_eval(const command_context *context, const arguments *args, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    spec_file file = {0};
    run_outcome out = {0};
    const char *set, *data = arguments_value(args, "--data", NULL);
    bool done = true;
    if (data) done = elsewhere_of_run(&file, args->words[0], data, err) && measure(&file, args, &hooks, &out, err);
    for (size_t i = 0; !data && done && (set = arguments_nth(args, "--set", i)); i++)
        done = spec_file_set(&file, set, err);
    if (!data) done = done && experiment_evaluate(args->words[0], &file.overrides, &hooks, &out, err);
    terminal_clear(&t);
    spec_file_free(&file);
    return end(&out, args, "begin again", done, err);
}

static const option eval_options_table[] = {
    {"--data", NULL, "PATH",
     "on other images: a folder or archive, laid out as for data.path; kept as a run of its own"},
    {"--set", "-s", "KEY=VALUE",
     "measure otherwise than the run's spec says: keys of eval, as in eval.knn_k=5; with --data, any"},
    {"--out", "-o", "DIR", "with --data: where runs are kept (default: results)"},
    {"--json", NULL, NULL, "print the figures as one JSON object on stdout"},
    {0},
};
const command command_eval = {
    .name = "eval",
    .rules = {.words = "RUN", .min_words = 1, .max_words = 1, .options = eval_options_table},
    .summary = "probes and clusters on a finished run, or of its network on other images",
    .details = "RUN is a run's folder, as in results/ablation-dims/ablation-dims_codes-64_1f3a92bc.\n",
    .go_on = "run the same command to begin again",
    .run = run_eval,
};

/* ---- embed ---- */

static bool run_embed(const command_context *context, const arguments *args, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    spec_file file = {0};
    run_outcome out = {0};
    const char *data = arguments_value(args, "--data", NULL);
    bool done = data || error_set(err, ERROR_USAGE, "embed: name the images: --data PATH (a folder or an archive)");
    done = done && elsewhere_of_weights(&file, args->words[0], data, err) && measure(&file, args, &hooks, &out, err);
    terminal_clear(&t);
    spec_file_free(&file);
    return end(&out, args, "go on", done, err);
}

static const option embed_options[] = {
    {"--data", NULL, "PATH", "the images: a folder or archive, laid out as for data.path"},
    {"--set", "-s", "KEY=VALUE", "backbone.name=resnet18, backbone.stem=imagenet, data.size=224, data.mean=[…], …"},
    {"--out", "-o", "DIR", "where runs are kept (default: results)"},
    {"--json", NULL, NULL, "print the figures as one JSON object on stdout"},
    {0},
};
const command command_embed = {
    .name = "embed",
    .rules = {.words = "CHECKPOINT", .min_words = 1, .max_words = 1, .options = embed_options},
    .summary = "other people's weights on a folder of images: embeddings, probes, verdicts",
    .details = "CHECKPOINT is a file that holds a backbone under torchvision's names, with any prefix: of solo-learn, "
               "lightly,\n"
               "DINO, torchvision (.pt, .pth, .ckpt, .safetensors). The run's folder holds embeddings.npy, labels.npy "
               "and the\n"
               "verdicts; `mews report` draws it.\n",
    .go_on = "run the same command to go on",
    .run = run_embed,
};
