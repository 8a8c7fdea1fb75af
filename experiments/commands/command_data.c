/*
 * `mews data`: what can be done with a data set before anything is trained on it. Import packs it, verify reads every
 * byte of it, fetch brings it from the network first, show draws it as a run would see it. Where a data set is named,
 * it may be by name, by path or by the spec that uses it.
 */
#include "engine/data/sets/fetch.h"
#include "engine/data/sheet.h"
#include "experiments/commands/command.h"
#include "experiments/spec/spec_file.h"
#include "experiments/sweep/watch.h"

#include <stdlib.h>
#include <string.h>

/* What an import tells, shown as an experiment's. */
static void on_import(void *context, const char *what, uint64_t done, uint64_t total) {
    const experiment_hooks *hooks = context;
    experiment_progress now = {.phase = "data", .what = what, .done = done, .total = total};
    hooks->progress(hooks->context, &now);
}

static void on_import_warning(void *context, const char *line) {
    const experiment_hooks *hooks = context;
    hooks->warn(hooks->context, line);
}

static dataset *open_set(const command_context *context, const data_options *o, error *err) {
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    dataset *set = dataset_open(o, on_import, on_import_warning, &hooks, err);
    terminal_clear(&t);
    return set;
}

static void print_set(const char *name, const dataset *set) {
    printf("%s: %u training and %u test images %s %dx%d in %d classes, checksum %.16s\n", name,
           dataset_count(set, SPLIT_TRAIN), dataset_count(set, SPLIT_TEST),
           dataset_has_pixels(set) ? "of" : "as files, seen at", dataset_size(set), dataset_size(set),
           dataset_classes(set), dataset_checksum(set));
}

/* ---- Which data set ---- */

static bool set_key(spec_file *f, const char *key, const char *value, error *err) {
    char text[FIELD_TEXT_SIZE + 64];
    if (!value) return true;
    snprintf(text, sizeof text, "%s=%s", key, value);
    return spec_file_set(f, text, err);
}

/* `word` names a spec (.yaml), a data set of the table, or a path. */
static bool set_source(spec_file *f, const char *word, const char *kind, error *err) {
    const field *name = fields_find(&data_fields, "name");
    size_t n = strlen(word);
    if (n > 5 && strcmp(word + n - 5, ".yaml") == 0) return spec_file_read(f, word, err);
    for (int i = 0; name->choices[i]; i++)
        if (strcmp(word, name->choices[i]) == 0) return set_key(f, "data.name", word, err);
    if (!strchr(word, '/')) {
        const char *near = error_nearest(word, name->choices);
        FILE *file = fopen(word, "rb");
        if (file) fclose(file);
        if (!file && near)
            return error_set(err, ERROR_USAGE, "there is no data set, file or folder `%.200s`; did you mean `%s`?",
                             word, near);
    }
    int guessed = kind ? 0 : dataset_guess(word, err);
    return guessed >= 0 && set_key(f, "data.name", kind ? kind : name->choices[guessed], err) &&
           set_key(f, "data.path", word, err);
}

/* The spec behind a command's words: only its data, augmentation and seed count. */
static bool make_spec(const arguments *args, spec *s, error *err) {
    spec_file f = {0};
    settings base = {0}, named = {0};
    const char *set;
    bool done = set_source(&f, args->words[1], arguments_value(args, "--kind", NULL), err) &&
                set_key(&f, "data.size", arguments_value(args, "--size", NULL), err) &&
                settings_add(&base, "method.name", "falcon", false, "", err);
    if (strcmp(args->words[0], "show") != 0)
        done = done && set_key(&f, "data.cache", arguments_value(args, "--out", NULL), err);
    for (size_t i = 0; done && (set = arguments_nth(args, "--set", i)); i++) done = spec_file_set(&f, set, err);
    const settings **layers = calloc(f.top.layer_count + 3, sizeof(settings *));
    if (!layers) done = done && error_memory(err, f.top.layer_count * sizeof *layers, "a spec");
    if (done) {
        layers[0] = &base;
        size_t count = spec_level_layers(&f.top, NULL, layers, 1);
        layers[count++] = &f.overrides;
        done = spec_name_data(&named, layers, count, err);
        layers[count++] = &named; /* there is no other data.name that it could hide */
        done = done && spec_resolve(s, "data", layers, count, args->words[1], err);
    }
    free(layers);
    settings_free(&base);
    settings_free(&named);
    spec_file_free(&f);
    return done;
}

/* ---- What can be done with it ---- */

/* Images by class, training then test; the last pair counts what has no label. */
typedef struct tally {
    uint32_t images[2];
} tally;

static tally *count_classes(const dataset *set, error *err) {
    static const dataset_split splits[] = {SPLIT_TRAIN, SPLIT_TEST};
    int classes = dataset_classes(set);
    tally *t = calloc((size_t)classes + 1, sizeof *t);
    if (!t) return error_memory(err, ((size_t)classes + 1) * sizeof *t, "a count of classes"), NULL;
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < dataset_count(set, splits[s]); i++) {
            int label = dataset_label(set, splits[s], i);
            t[label < 0 ? classes : label].images[s]++;
        }
    return t;
}

/* One line where all classes are of one size, else a line each. */
static bool print_classes(const dataset *set, error *err) {
    int classes = dataset_classes(set), unlike = 0;
    tally *t = count_classes(set, err);
    if (!t) return false;
    for (int c = 1; c < classes; c++) unlike += memcmp(&t[c], &t[0], sizeof *t) != 0;
    if (classes && !unlike) printf("each class: %u training and %u test images\n", t[0].images[0], t[0].images[1]);
    for (int c = 0; unlike && c < classes; c++)
        printf("%6u training %6u test   %s\n", t[c].images[0], t[c].images[1], dataset_class_name(set, c));
    if (t[classes].images[0] + t[classes].images[1])
        printf("%6u training %6u test   without a label\n", t[classes].images[0], t[classes].images[1]);
    free(t);
    return true;
}

/* How the files were read, which were not used and why, and what there is of each class. */
static bool print_account(const dataset *set, error *err) {
    fputs(dataset_account(set), stdout);
    return print_classes(set, err);
}

static bool finish_import(const arguments *args, const spec *s, const dataset *set, error *err) {
    (void)s;
    print_set(args->words[1], set);
    return print_account(set, err);
}

static bool finish_verify(const arguments *args, const spec *s, const dataset *set, error *err) {
    (void)s;
    if (!dataset_verify(set, err)) return false;
    print_set(args->words[1], set);
    if (!print_account(set, err)) return false;
    printf("every image matches its checksum\n");
    return true;
}

static bool finish_show(const arguments *args, const spec *s, const dataset *set, error *err) {
    const char *out = arguments_value(args, "--out", NULL);
    char cache[PATH_MAX], place[PATH_MAX + 200];
    if (!out) { /* a picture is for looking at: it goes where the packed files are, not into whatever folder this is */
        if (!dataset_cache(&s->data, cache, err)) return false;
        snprintf(place, sizeof place, "%s/show-%.100s.png", cache, dataset_name(set));
        out = place;
    }
    if (!sheet_write(set, &s->augment, (uint64_t)s->train.seed, out, err)) return false;
    print_set(args->words[1], set);
    printf("%s\ntraining images by class, a row each:\n", out);
    for (int c = 0; c < dataset_classes(set) && c < 20; c++) printf("%4d  %s\n", c + 1, dataset_class_name(set, c));
    printf("below, the first images that a run takes, each before its views\n");
    return true;
}

/* ---- Fetching ---- */

static void on_bytes(void *context, const char *file, uint64_t done, uint64_t total) {
    char what[256];
    snprintf(what, sizeof what, "fetching %.200s, MiB", file);
    on_import(context, what, done >> 20, (total + (1 << 20) - 1) >> 20);
}

static bool refuse_fetch(const char *name, error *err) {
    const char *names[32] = {0}, *near;
    if (strncmp(name, "imagenet", 8) == 0)
        return error_set(err, ERROR_USAGE,
                         "ImageNet's licence is given to people: ask for access at https://image-net.org, download "
                         "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, unpack them to train/<wnid>/ and "
                         "val/<wnid>/, then `mews data import DIR --set data.class_list=FILE` (a wnid a line; without "
                         "it, all 1000)");
    for (int i = 0; i < 31 && catalog_name(i); i++) names[i] = catalog_name(i);
    near = error_nearest(name, names);
    return error_set(err, ERROR_USAGE, "`mews data fetch` does not know `%.80s`; %s%s%s", name,
                     near ? "did you mean `" : "`mews data --help` lists what it can bring", near ? near : "",
                     near ? "`?" : "");
}

/* Brings the files of args->words[1]; the import that follows finds them by the data set's name. */
static bool fetch(const command_context *context, const arguments *args, const data_options *o, error *err) {
    char cache[PATH_MAX], folder[PATH_MAX], source[PATH_MAX];
    terminal t = terminal_open(stderr);
    experiment_hooks hooks = watch_on(&t, context->interrupted);
    fetch_options how = fetch_defaults;
    how.mirror = arguments_value(args, "--mirror", getenv("MEWS_DATA_MIRROR"));
    how.progress = on_bytes, how.warn = on_import_warning, how.context = &hooks, how.interrupted = context->interrupted;
    if (how.mirror && !*how.mirror) how.mirror = NULL;
    const catalog_entry *entry = catalog_find(args->words[1]);
    if (!dataset_cache(o, cache, err)) return false;
    catalog_place(entry, cache, folder, source);
    bool done = fetch_files(&how, entry, folder, err);
    terminal_clear(&t);
    if (done) printf("%s\n", source);
    return done;
}

static bool run_data(const command_context *context, const arguments *args, error *err) {
    static const char *const verbs[] = {"import", "verify", "show", "fetch", NULL};
    static bool (*const finish[])(const arguments *, const spec *, const dataset *,
                                  error *) = {finish_import, finish_verify, finish_show, finish_import};
    int verb = 0;
    while (verbs[verb] && strcmp(args->words[0], verbs[verb]) != 0) verb++;
    if (!verbs[verb]) {
        const char *near = error_nearest(args->words[0], verbs);
        return error_set(err, ERROR_USAGE, "`mews data` does not know `%.80s`; %s%s%s", args->words[0],
                         near ? "did you mean `" : "it can `fetch`, `import`, `verify`, `show`", near ? near : "",
                         near ? "`?" : "");
    }
    if (args->word_count < 2)
        return error_set(err, ERROR_USAGE, "`mews data %s` takes %s", verbs[verb],
                         verb == 0   ? "a folder or an archive"
                         : verb == 3 ? "a data set's name, as in `mews data fetch cifar10`"
                                     : "a data set's name, its path or a spec");
    if (verb == 3 && !catalog_find(args->words[1])) return refuse_fetch(args->words[1], err);
    spec s = {0};
    if (!make_spec(args, &s, err)) return false;
    dataset *set = verb == 3 && !fetch(context, args, &s.data, err) ? NULL : open_set(context, &s.data, err);
    bool done = set && finish[verb](args, &s, set, err);
    dataset_close(set);
    spec_free(&s);
    return done;
}

static const option data_options_table[] = {
    {"--out", "-o", "DIR",
     "folder of the packed file (default: the cache; `data.cache: DIR` reads it from there);\n"
     "for show: the picture's FILE.png (default: show-NAME.png in the cache)"},
    {"--kind", NULL, "NAME", "one of `mews datasets` (default: seen from SRC)"},
    {"--mirror", NULL, "URL",
     "for fetch: where the files lie instead of their official address "
     "(or MEWS_DATA_MIRROR)"},
    {"--size", NULL, "PIXELS", "side that images are resized to (default: 32)"},
    {"--set", "-s", "KEY=VALUE", "a key of data, augment or train, as in data.imbalance=100 or augment.local_crops=6"},
    {0},
};
const command command_data = {
    .name = "data",
    .rules = {.words = "VERB SRC", .min_words = 1, .max_words = 2, .options = data_options_table},
    .summary = "fetch a data set, pack it, check it, or look at it",
    .details =
        "  fetch NAME     download it (resumed if it breaks off, checked), then import it: cifar10, cifar100, svhn,\n"
        "                 stl10, mnist, fashion-mnist, tiny-imagenet; a spec's `data: {name: NAME}` then finds it\n"
        "  import SRC     read it once, pack it; training does this by itself for what it needs\n"
        "  verify SRC     read every byte of the packed file and hold it against its checksums; counts by class\n"
        "  show SRC       a contact sheet: images by class, then pairs of views as a run will see them\n\n"
        "SRC is a folder, a .tar, .tar.xz or .zip of images (train/<class>/…, test/<class>/…), or the folder or\n"
        "archive of CIFAR's, STL-10's or MNIST's binary files, SVHN's .mat files or Tiny ImageNet; for verify and\n"
        "show also a spec (.yaml), or the name of a data set that was fetched.\n\n"
        "Photographs are best kept as they are (--set data.packing=files): crops then come from the whole image, and\n"
        "one packed file serves every size.\n",
    .go_on = "run the same command to go on",
    .run = run_data,
};
