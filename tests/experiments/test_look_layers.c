/*
 * `mews diagnose RUN --layers`: a network made by hand, whose layers' ranks are known, and the command on runs of both
 * kinds of backbone, with the line that every bad input gets.
 */
#include "experiments/run/look_layers.h"
#include "tests/experiments/program.h"

#include <math.h>

/* ---- a network made by hand -------------------------------------------------------------------------------------- */

static tensor *weights(model *m, const char *name) {
    char full[112];
    snprintf(full, sizeof full, "backbone.%s.weight", name);
    const parameter *one = parameters_find(m->parameters, full);
    ck_assert_msg(one != NULL, "%s", full);
    return (tensor *)&one->value;
}

/* Of a convolution's filters all but the first `kept` become 0, and those no less than 0, so that no ReLU ends them. */
static void keep_filters(model *m, const char *name, int64_t kept) {
    tensor *t = weights(m, name);
    int64_t each = tensor_count(t) / t->shape[0];
    for (int64_t i = 0; i < kept * each; i++) t->data[i] = (real)fabs((double)t->data[i]);
    memset(t->data + kept * each, 0, (size_t)((t->shape[0] - kept) * each) * sizeof *t->data);
}

static void open_model(spec *s, model *m, const char *lines) {
    settings layer = {0};
    const settings *const all[] = {&layer};
    error err = {0};
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "data.size=16 data.limit=64 train.batch=8 data.cache=%s %s", folder, lines);
    for (char *key; (key = strtok_r(rest, "= ", &rest));)
        ck_assert(settings_add(&layer, key, strtok_r(rest, "= ", &rest), false, "test", &err));
    bool ok = spec_resolve(s, "test", all, 1, "test", &err) && model_create(m, s, 4, 1, NULL, &err);
    ck_assert_msg(ok, "%s", err.text);
    settings_free(&layer);
}

static layers look(model *m, const spec *s) {
    error err = {0};
    experiment_hooks hooks = {0};
    layers out = {0};
    dataset *data = experiment_data(s, &hooks, &err);
    ck_assert_msg(data != NULL, "%s", err.text);
    look_at at = look_choose(data);
    bool ok = look_layers(m, &at, &hooks, NULL, &out, &err);
    ck_assert_msg(ok, "%s", err.text);
    dataset_close(data);
    return out;
}

/* A stem of three filters, a block that adds nothing to them, and blocks whose shortcut alone passes: two of its
   filters, then one. */
START_TEST(test_ranks_by_layer_are_those_that_the_network_was_made_with) {
    static const char *const silent[] = {"layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"};
    static const char *const names[] = {"stem", "layer1.0", "layer2.0", "layer3.0", "representation"};
    static const double ranks[] = {3, 3, 2, 1, 1};
    spec s;
    model m;
    open_model(&s, &m, "backbone.name=resnet8 backbone.width=16 method.name=none train.epochs=0");
    keep_filters(&m, "conv1", 3);
    for (int i = 0; i < 3; i++) keep_filters(&m, silent[i], 0);
    keep_filters(&m, "layer2.0.downsample.0", 2);
    keep_filters(&m, "layer3.0.downsample.0", 1);
    layers l = look(&m, &s);
    ck_assert_uint_eq(l.count, 5);
    for (size_t i = 0; i < l.count; i++) {
        const layer_figures *f = &l.items[i].views[LAYER_POOLED];
        ck_assert_str_eq(l.items[i].name, names[i]);
        ck_assert_msg(f->numerical_rank <= ranks[i] && f->rankme < ranks[i] + 0.01 && f->numerical_rank >= 1,
                      "%s: rank %g, RankMe %g, made with %g", names[i], f->numerical_rank, f->rankme, ranks[i]);
        ck_assert_uint_eq(l.items[i].views[LAYER_CLASS].rows, 0);
        ck_assert_uint_eq(l.items[i].tokens.images, 0);
    }
    ck_assert_double_eq(l.items[0].views[LAYER_POOLED].numerical_rank, 3);
    layers_free(&l);
    model_destroy(&m);
    spec_free(&s);
}
END_TEST

/* Queries and keys of zeros: attention prefers no token. An embedding of zeros without positions: all patches are one.
 */
START_TEST(test_a_transformer_of_equal_patches_and_idle_attention_is_seen_as_that) {
    spec s;
    model m;
    open_model(&s, &m,
               "backbone.name=vit_tiny backbone.width=64 backbone.depth=2 backbone.patch=4 method.name=none "
               "train.epochs=0");
    tensor *qkv = weights(&m, "blocks.0.attn.qkv");
    memset(qkv->data, 0, (size_t)(2 * 64 * 64) * sizeof *qkv->data);
    memset(weights(&m, "patch_embed.proj")->data, 0, (size_t)(64 * 48) * sizeof(real));
    const parameter *positions = parameters_find(m.parameters, "backbone.pos_embed");
    memset(positions->value.data, 0, (size_t)tensor_count(&positions->value) * sizeof(real));
    layers l = look(&m, &s);
    ck_assert_uint_eq(l.count, 4);
    ck_assert_str_eq(l.items[0].name, "embedding");
    ck_assert_str_eq(l.items[1].name, "blocks.0");
    ck_assert_uint_eq(l.items[0].views[LAYER_CLASS].rows, 0); /* the same for all images */
    ck_assert_uint_eq(l.items[1].views[LAYER_CLASS].rows, l.items[1].views[LAYER_POOLED].rows);
    ck_assert_uint_eq(l.items[1].tokens.patches, 16);
    ck_assert_double_eq_tol(l.items[1].attention.entropy, log(17), 1e-6);
    ck_assert_double_eq_tol(l.items[1].attention.entropy_first, log(17), 1e-6);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq_tol(l.items[i].tokens.rank, 1, 1e-2);
        ck_assert_double_eq_tol(l.items[i].tokens.mean_cosine, 1, 1e-5);
    }
    layers_free(&l);
    model_destroy(&m);
    spec_free(&s);
}
END_TEST

/* Whatever the order in which images pass, each is in the representation's rows once. */
START_TEST(test_every_image_that_is_looked_at_is_a_row_once) {
    spec s;
    model m;
    error err = {0};
    experiment_hooks hooks = {0};
    open_model(&s, &m, "backbone.name=resnet8 backbone.width=4 method.name=none train.epochs=0");
    layers l = look(&m, &s);
    dataset *data = experiment_data(&s, &hooks, &err);
    ck_assert_msg(data != NULL, "%s", err.text);
    look_at at = look_choose(data);
    size_t side = (size_t)dataset_size(data), cols = (size_t)m.head.features;
    float *image = malloc(side * side * 3 * sizeof *image), *rows = malloc(at.rows * cols * sizeof *rows);
    ck_assert_uint_gt(at.rows, LOOK_CLOSE);
    for (uint32_t i = 0; i < at.rows; i++) {
        uint32_t of = look_image(i, at.rows, dataset_count(data, at.split));
        ck_assert(loader_plain(data, at.split, of, 1, image, &err));
        tape_reset(m.tape);
        model_represent(&m, image, 1, (int)side, false, rows + i * cols);
    }
    layer_figures expected;
    const layer_figures *seen = &l.items[l.count - 1].views[LAYER_POOLED];
    ck_assert(layer_take((matrix){rows, at.rows, cols}, NULL, NULL, 0, &expected, &err));
    ck_assert_uint_eq(seen->rows, at.rows);
    ck_assert_double_eq_tol(seen->rankme, expected.rankme, 1e-4 * expected.rankme);
    ck_assert_double_eq_tol(seen->mean_cosine, expected.mean_cosine, 1e-5);
    free(image);
    free(rows);
    dataset_close(data);
    layers_free(&l);
    model_destroy(&m);
    spec_free(&s);
}
END_TEST

/* A class token that outweighs everything changes nothing that is said of patches, before a block mixes them. */
START_TEST(test_the_class_token_is_no_patch) {
    spec s;
    model m;
    layers before, after;
    open_model(&s, &m,
               "backbone.name=vit_tiny backbone.width=64 backbone.depth=1 backbone.patch=4 method.name=none "
               "train.epochs=0");
    before = look(&m, &s);
    const parameter *token = parameters_find(m.parameters, "backbone.cls_token");
    ck_assert_ptr_nonnull(token);
    for (int64_t i = 0; i < tensor_count(&token->value); i++) token->value.data[i] = 1000;
    after = look(&m, &s);
    const layer *a = &before.items[0], *b = &after.items[0];
    ck_assert_uint_gt(a->views[LAYER_ALL].rows, 0);
    for (int v = 0; v < LAYER_VIEWS; v++) {
        ck_assert_uint_eq(a->views[v].rows, b->views[v].rows);
        if (!a->views[v].rows) continue;
        ck_assert_double_eq_tol(a->views[v].rankme, b->views[v].rankme, 1e-9);
        ck_assert_double_eq_tol(a->views[v].mean_cosine, b->views[v].mean_cosine, 1e-12);
    }
    ck_assert_double_eq_tol(a->tokens.rank, b->tokens.rank, 1e-9);
    ck_assert_double_eq_tol(a->tokens.within_share, b->tokens.within_share, 1e-12);
    layers_free(&before);
    layers_free(&after);
    model_destroy(&m);
    spec_free(&s);
}
END_TEST

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void train(const char *name, const char *backbone, int epochs) {
    char line[900];
    snprintf(line, sizeof line,
             "printf 'name: %s\\ndata: {name: shapes, size: 8, limit: 64, cache: cache}\\naugment: none\\n"
             "backbone: %s\\nmethod: {name: falcon, features: 8, codes: 16}\\n"
             "train: {epochs: %d, batch: 16, threads: 1, loader_threads: 1}\\neval: [knn]\\n' >%s.yaml",
             name, backbone, epochs, name);
    shell(line);
    snprintf(line, sizeof line, "train %s.yaml", name);
    const said *s = mews(line);
    ck_assert_msg(s->code == 0, "%s", s->err);
    snprintf(line, sizeof line, "rm -rf %s && mv results/%s/%s_* %s", name, name, name, name);
    shell(line);
}

static json_t *json_of(const char *words) {
    char path[128];
    const said *s = mews(words);
    ck_assert_msg(s->code == 0 && !*s->err, "%s: %d, %s", words, s->code, s->err);
    snprintf(path, sizeof path, "%s/out", folder);
    json_t *root = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
    ck_assert(json_is_object(root));
    return root;
}

static const json_t *layer_of(const json_t *root, size_t i) {
    return json_array_get(json_object_get(root, "layers"), i);
}

/* A line of the table in which runs of spaces count as one. */
static bool prints(const char *out, const char *line) {
    char text[16384];
    size_t used = 0;
    for (const char *p = out; *p && used + 1 < sizeof text; p++)
        if (*p != ' ' || (used && text[used - 1] != ' ')) text[used++] = *p;
    text[used] = '\0';
    return strstr(text, line) != NULL;
}

static double number(const json_t *of, const char *key) { return json_number_value(json_object_get(of, key)); }

static const char *verdict_of(const json_t *view, const char *mode) {
    return json_string_value(json_object_get(json_object_get(json_object_get(view, "verdicts"), mode), "verdict"));
}

START_TEST(test_the_table_says_what_json_says) {
    train("net", "{name: resnet8, width: 4}", 1);
    json_t *root = json_of("diagnose net --layers --json");
    const said *s = mews("diagnose net --layers");
    for (size_t i = 0; i < 5; i++) {
        char line[256];
        const json_t *one = layer_of(root, i), *view = json_object_get(one, "pooled");
        const json_t *before = json_object_get(json_object_get(one, "untrained"), "pooled");
        snprintf(line, sizeof line, "\npooled %s %.0f %.0f %.1f %.1f %.1f %.0f %.3f %s %s\n",
                 json_string_value(json_object_get(one, "name")), number(view, "rows"), number(view, "cols"),
                 number(view, "rankme"), number(before, "rankme"), number(view, "effective_rank"),
                 number(view, "numerical_rank"), number(view, "mean_cosine"), verdict_of(view, "representation"),
                 verdict_of(view, "dimensional"));
        ck_assert_msg(prints(s->out, line), "%s%s", line, s->out);
    }
    json_decref(root);
}
END_TEST

/* A teacher's weights are others than its student's. */
START_TEST(test_the_network_that_eval_names_is_looked_into) {
    double rank[2];
    for (int i = 0; i < 2; i++) {
        char line[700];
        snprintf(line, sizeof line,
                 "printf 'name: net\ndata: {name: shapes, size: 8, limit: 64, cache: cache}\naugment: none\n"
                 "backbone: {name: resnet8, width: 4}\nmethod: {name: byol, hidden: 16, features: 8}\n"
                 "train: {epochs: 1, batch: 16, threads: 1}\neval: {metrics: [knn], network: %s}\n' >net.yaml",
                 i ? "teacher" : "student");
        shell(line);
        const said *s = mews("train net.yaml");
        ck_assert_msg(s->code == 0, "%s", s->err);
        shell("rm -rf net && mv results/net/net_* net");
        json_t *root = json_of("diagnose net --layers --json");
        ck_assert_str_eq(json_string_value(json_object_get(root, "network")), i ? "teacher" : "student");
        rank[i] = number(json_object_get(layer_of(root, 4), "pooled"), "rankme");
        json_decref(root);
    }
    ck_assert_double_ne(rank[0], rank[1]);
}
END_TEST

START_TEST(test_the_layers_of_a_run_are_a_table_json_and_a_figure) {
    train("net", "{name: resnet8, width: 4}", 1);
    json_t *root = json_of("diagnose net --layers --json");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "layers")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "step")), 4);
    const json_t *pooled = json_object_get(layer_of(root, 3), "pooled");
    ck_assert_int_eq(json_integer_value(json_object_get(pooled, "cols")), 16);
    ck_assert_double_ge(json_number_value(json_object_get(pooled, "rankme")), 1);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(pooled, "verdicts"), "dimensional"));
    ck_assert(json_is_null(json_object_get(layer_of(root, 3), "tokens")));
    const json_t *before = json_object_get(json_object_get(layer_of(root, 3), "untrained"), "pooled");
    ck_assert_double_ne(json_number_value(json_object_get(before, "rankme")),
                        json_number_value(json_object_get(pooled, "rankme")));
    json_decref(root);
    const said *s = mews("diagnose net --layers --figures drawn");
    ck_assert_msg(s->code == 0 && strstr(s->out, "layer2.0") && strstr(s->out, "RankMe"), "%s%s", s->out, s->err);
    shell("grep -q '<svg' drawn/layers.svg && test -s drawn/layers.pdf && test -s drawn/layers.csv");
}
END_TEST

START_TEST(test_the_layers_of_a_transformer_have_tokens_and_attention) {
    train("vit", "{name: vit_tiny, width: 64, depth: 2, patch: 4}", 1);
    json_t *root = json_of("diagnose vit --layers --json");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "layers")), 4);
    const json_t *block = layer_of(root, 2), *tokens = json_object_get(block, "tokens");
    ck_assert_str_eq(json_string_value(json_object_get(block, "name")), "blocks.1");
    ck_assert_int_eq(json_integer_value(json_object_get(tokens, "patches")), 4);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(tokens, "verdict"), "sentence"));
    const json_t *attention = json_object_get(block, "attention");
    ck_assert_double_eq_tol(json_number_value(json_object_get(attention, "entropy_uniform")), log(5), 1e-9);
    ck_assert(json_is_object(json_object_get(block, "class")) && json_is_object(json_object_get(block, "all")));
    json_decref(root);
    const said *s = mews("diagnose vit --layers");
    ck_assert_msg(s->code == 0 && strstr(s->out, "\nclass   ") && strstr(s->out, "entropy, class"), "%s", s->out);
}
END_TEST

START_TEST(test_what_has_no_layers_gets_one_line) {
    train("net", "{name: resnet8, width: 2}", 1);
    refused("diagnose net/embeddings.npy --layers",
            "net/embeddings.npy is a file; layers are those of a run's network: name its folder");
    refused("diagnose nowhere --layers", "nowhere is no run's folder: it holds no spec.yaml");
    refused("diagnose net net --layers", "--layers looks into one run; 2 were named");
    refused("diagnose net --layers --fast", "--layers takes --json and --figures beside it, not --fast");
    refused("diagnose net --figures drawn", "--figures says where --layers draws; give both");
    shell("cp net/run.json kept; echo '{}' >net/run.json");
    refused_with(1, "diagnose net --layers", "net/run.json names no run: it has no `id`");
    refused_with(1, "eval net --data net", "net/run.json names no run: it has no `id`");
    shell("mv kept net/run.json; f=net/checkpoint-00000004.safetensors; printf xyz | dd of=$f bs=1 seek=$(($(stat -c "
          "%s $f) - 9)) conv=notrunc "
          "status=none");
    refused_with(1, "diagnose net --layers",
                 "net/checkpoint-00000004.safetensors cannot be taken: it is damaged: its checksum does not hold; "
                 "`mews train` with the run's spec makes it again");
    shell("rm net/checkpoint-*.safetensors");
    refused_with(1, "diagnose net --layers", "net holds no checkpoint to look into");
}
END_TEST

Suite *suite_look_layers(void) {
    Suite *s = suite_create("look_layers");
    TCase *t = tcase_create("layers");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_ranks_by_layer_are_those_that_the_network_was_made_with);
    tcase_add_test(t, test_a_transformer_of_equal_patches_and_idle_attention_is_seen_as_that);
    tcase_add_test(t, test_every_image_that_is_looked_at_is_a_row_once);
    tcase_add_test(t, test_the_class_token_is_no_patch);
    tcase_add_test(t, test_the_table_says_what_json_says);
    tcase_add_test(t, test_the_network_that_eval_names_is_looked_into);
    tcase_add_test(t, test_the_layers_of_a_run_are_a_table_json_and_a_figure);
    tcase_add_test(t, test_the_layers_of_a_transformer_have_tokens_and_attention);
    tcase_add_test(t, test_what_has_no_layers_gets_one_line);
    suite_add_tcase(s, t);
    return s;
}
