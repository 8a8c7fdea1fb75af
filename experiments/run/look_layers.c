/*
 * The images pass in one order: first those that are looked at closely, spread over the split, then the others. What a
 * layer's matrices need is kept until all have passed; what is added up by image (tokens, attention) is not.
 */
#include "experiments/run/look_layers.h"
#include "engine/files/record.h"
#include "engine/rng.h"
#include "engine/tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 64 };
static const char reference_name[] = "the untrained network";

/* What is gathered of one layer. */
typedef struct gathered {
    char name[64];
    float *rows[LAYER_VIEWS];
    size_t count[LAYER_VIEWS], cols;
    token_sums tokens;
    attention_sums attention;
    bool class_token;
} gathered;

typedef struct gathering {
    const look_at *at;
    uint32_t close, first, n; /* images [first, first + n) are passing */
    size_t layers, next;      /* of the pass */
    gathered *items;          /* (layers) */
    float *host;              /* what has been read of a value */
    size_t room;
    error failed;
} gathering;

static void gathering_free(gathering *g) {
    for (size_t i = 0; i < g->layers; i++) {
        for (int v = 0; v < LAYER_VIEWS; v++) free(g->items[i].rows[v]);
        free(g->items[i].tokens.total);
    }
    free(g->items);
    free(g->host);
}

/* ---- one layer of one batch -------------------------------------------------------------------------------------- */

static bool read_host(gathering *g, tape *t, const tensor *x) {
    size_t count = (size_t)tensor_count(x);
    if (count > g->room) {
        float *grown = realloc(g->host, count * sizeof *grown);
        if (!grown) return error_memory(&g->failed, count * sizeof *grown, "a layer's values");
        g->host = grown, g->room = count;
    }
    tape_read(t, x, g->host);
    return true;
}

/* A row an image of this view: x (n, cols). */
static bool keep_rows(gathering *g, gathered *l, layer_view view, tape *t, const tensor *x) {
    size_t cols = x ? (size_t)tensor_cols(x) : 1;
    if (!x) return true; /* the tape has the reason */
    if (!l->rows[view]) l->rows[view] = malloc(g->at->rows * cols * sizeof(float));
    if (!l->rows[view]) return error_memory(&g->failed, g->at->rows * cols * sizeof(float), "a layer's activations");
    tape_read(t, x, l->rows[view] + g->first * cols);
    l->cols = cols, l->count[view] = g->first + g->n;
    return true;
}

/* Some patches of each image, the same ones in every layer and run. */
static bool keep_patches(gathering *g, gathered *l, size_t tokens, size_t patches, size_t cols) {
    size_t each = LOOK_PATCH_ROWS / g->close;
    each = each < patches ? each : patches;
    if (!l->rows[LAYER_ALL]) l->rows[LAYER_ALL] = malloc(g->close * each * cols * sizeof(float));
    if (!l->rows[LAYER_ALL]) return error_memory(&g->failed, g->close * each * cols * sizeof(float), "patches");
    for (uint32_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < each; k++) {
            rng random = rng_stream(0, RNG_SUBSET, 4, g->first + i, (uint32_t)k);
            size_t low = k * patches / each, high = (k + 1) * patches / each;
            size_t patch = low + rng_below(&random, (uint32_t)(high - low));
            memcpy(l->rows[LAYER_ALL] + l->count[LAYER_ALL]++ * cols,
                   g->host + (i * tokens + tokens - patches + patch) * cols, cols * sizeof(float));
        }
    return true;
}

static bool keep_tokens(gathering *g, gathered *l, tape *t, const tape_layer *layer) {
    size_t tokens = (size_t)(tensor_rows(layer->value) / layer->samples), patches = (size_t)layer->patches;
    size_t cols = (size_t)tensor_cols(layer->value);
    tensor *x = layer->value;
    int64_t first = (int64_t)(tokens - patches);
    if (!keep_rows(g, l, LAYER_POOLED, t, op_pool_tokens(t, x, (int64_t)tokens, first, layer->patches))) return false;
    if (layer->class_token && !keep_rows(g, l, LAYER_CLASS, t, op_pool_tokens(t, x, (int64_t)tokens, 0, 1)))
        return false;
    if (g->first >= g->close) return true;
    if (!l->tokens.total && !token_sums_begin(&l->tokens, patches, cols, &g->failed)) return false;
    return read_host(g, t, x) && keep_patches(g, l, tokens, patches, cols) &&
           token_sums_add(&l->tokens, g->host, g->n, tokens, &g->failed);
}

static bool keep_attention(gathering *g, gathered *l, tape *t, const tape_layer *layer) {
    size_t tokens = (size_t)(tensor_rows(layer->value) / layer->samples);
    size_t width = (size_t)tensor_cols(layer->value) / 3;
    l->class_token = layer->class_token;
    return g->first >= g->close ||
           (read_host(g, t, layer->value) &&
            attention_sums_add(&l->attention, g->host, g->n, tokens, width, (size_t)layer->heads, &g->failed));
}

static bool add_layer(gathering *g, const char *name) {
    gathered *grown = realloc(g->items, (g->layers + 1) * sizeof *grown);
    if (!grown) return error_memory(&g->failed, (g->layers + 1) * sizeof *grown, "layers");
    g->items = grown;
    gathered *l = &g->items[g->layers++];
    *l = (gathered){0};
    snprintf(l->name, sizeof l->name, "%s", name);
    return true;
}

/* A block's attention is told of before its output, under the same name. */
static void hear(void *context, tape *t, const char *name, const tape_layer *layer) {
    gathering *g = context;
    if (g->failed.code || (g->next == g->layers && !add_layer(g, name))) return;
    gathered *l = &g->items[g->next];
    bool ok;
    if (layer->heads) {
        ok = keep_attention(g, l, t, layer);
    } else {
        g->next++;
        ok = layer->value->kind == TENSOR_IMAGES ? keep_rows(g, l, LAYER_POOLED, t, op_global_pool(t, layer->value))
             : layer->samples                    ? keep_tokens(g, l, t, layer)
                                                 : keep_rows(g, l, LAYER_POOLED, t, layer->value);
    }
    if (g->failed.code) error_prefix(&g->failed, "layer %s", name);
    if (!ok && !g->failed.code) error_set(&g->failed, ERROR_RUN, "layer %s cannot be measured", name);
}

/* ---- all images through the network ------------------------------------------------------------------------------ */

/* The i-th image that passes: those looked at closely come first, the others behind, each in their order. */
static uint32_t image_in_turn(uint32_t i, uint32_t close, uint32_t rows) {
    if (i < close) return (uint32_t)((uint64_t)i * rows / close);
    uint32_t behind = i - close, row = 0; /* the behind-th row that is not close */
    for (uint32_t c = 0; c < close; c++) {
        uint32_t begin = (uint32_t)((uint64_t)c * rows / close), end = (uint32_t)((uint64_t)(c + 1) * rows / close);
        if (behind < end - begin - 1) return begin + 1 + behind;
        behind -= end - begin - 1, row = end;
    }
    return row;
}

static bool gather(model *m, gathering *g, const experiment_hooks *hooks, const char *what, error *err) {
    const look_at *at = g->at;
    size_t side = (size_t)dataset_size(at->data), pixels = side * side * 3;
    float *images = malloc(BATCH * pixels * sizeof *images), *z = malloc(BATCH * (size_t)m->head.features * sizeof *z);
    tape_listener listener = {hear, g};
    bool ok = (images && z) || error_memory(err, BATCH * pixels * sizeof *images, "images");
    for (; ok && g->first < at->rows; g->first += g->n) {
        uint32_t end = g->first < g->close ? g->close : at->rows;
        g->n = end - g->first < BATCH ? end - g->first : BATCH, g->next = 0;
        for (uint32_t i = 0; ok && i < g->n; i++) {
            uint32_t row = image_in_turn(g->first + i, g->close, at->rows);
            uint32_t image = look_image(row, at->rows, dataset_count(at->data, at->split));
            ok = loader_plain(at->data, at->split, image, 1, images + i * pixels, err);
        }
        tape_reset(m->tape);
        tape_listen(m->tape, &listener);
        if (ok) model_represent(m, images, (int)g->n, (int)side, false, z);
        tape_listen(m->tape, NULL);
        ok =
            ok && tape_check(m->tape, err) && (!g->failed.code || error_set(err, g->failed.code, "%s", g->failed.text));
        experiment_progress p = {.phase = "layers", .what = what, .done = g->first + g->n, .total = at->rows};
        p.loss = p.chance = (double)NAN;
        if (hooks->progress) hooks->progress(hooks->context, &p);
    }
    free(images);
    free(z);
    return ok;
}

/* What was gathered of a network as figures, held against those of `than`, or NULL. */
static bool measure(gathering *g, const layers *than, uint64_t seed, layers *out, error *err) {
    out->items = calloc(g->layers + 1, sizeof *out->items);
    if (!out->items) return error_memory(err, g->layers * sizeof *out->items, "layers");
    for (size_t i = 0; i < g->layers; i++) {
        gathered *l = &g->items[i];
        layer *to = &out->items[out->count++];
        memcpy(to->name, l->name, sizeof to->name);
        for (int v = 0; v < LAYER_VIEWS; v++) {
            matrix rows = {l->rows[v], l->count[v], l->cols};
            if (rows.rows &&
                !layer_take(rows, than ? &than->items[i].views[v] : NULL, reference_name, seed, &to->views[v], err))
                return error_prefix(err, "layer %s, %s", l->name, layer_view_name((layer_view)v));
        }
        if (l->tokens.images) to->tokens = token_sums_end(&l->tokens);
        if (to->tokens.images && than) tokens_judge(&to->tokens, &to->token_verdict);
        to->attention = attention_sums_end(&l->attention, l->class_token);
    }
    return true;
}

bool look_layers(model *m, const look_at *at, const experiment_hooks *hooks, const layers *than, layers *out,
                 error *err) {
    gathering g = {.at = at, .close = at->rows < LOOK_CLOSE ? at->rows : LOOK_CLOSE};
    bool ok = gather(m, &g, hooks, than ? "the run's network" : reference_name, err) &&
              measure(&g, than, (uint64_t)m->spec->train.seed, out, err);
    gathering_free(&g);
    tape_reset(m->tape);
    return ok;
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

/* Its newest checkpoint, which has to verify, into the model. */
static bool load(model *m, const char *folder, layer_report *r, error *err) {
    char path[1200];
    bool found = false;
    checkpoint_position at;
    checkpoint_place place = {.folder = folder, .any_code = true, .newest_only = true};
    snprintf(path, sizeof path, "%.1100s/run.json", folder);
    json_t *record = record_read(path, err);
    bool ok = record && (place.run = record_run(record, path, err)) &&
              checkpoint_load(&place, m->parameters, NULL, &at, &found, err) &&
              (found || error_set(err, ERROR_RUN, "%s holds no checkpoint to look into", folder));
    if (ok) snprintf(r->run, sizeof r->run, "%s", place.run), r->step = at.step;
    json_decref(record);
    return ok && (!r->teacher || teacher_exchange(m->parameters, err));
}

static bool look_at_both(const spec *s, const char *folder, const dataset *data, const experiment_hooks *hooks,
                         layer_report *r, error *err) {
    look_at at = look_choose(data);
    model m;
    if (!at.rows) return error_set(err, ERROR_USAGE, "%s: its images hold no test split to look at", folder);
    r->images = at.rows, r->close = at.rows < LOOK_CLOSE ? at.rows : LOOK_CLOSE;
    r->teacher = s->eval.network == EVAL_TEACHER;
    snprintf(r->backbone, sizeof r->backbone, "%s", backbone_names[s->backbone.name]);
    if (!model_create(&m, s, dataset_classes(data), run_threads(s), NULL, err)) return false;
    /* the untrained one is this model before its weights come */
    bool ok = look_layers(&m, &at, hooks, NULL, &r->untrained, err) && load(&m, folder, r, err) &&
              look_layers(&m, &at, hooks, &r->untrained, &r->trained, err);
    model_destroy(&m);
    return ok;
}

bool look_layers_of_run(const char *folder, const experiment_hooks *hooks, layer_report *out, error *err) {
    struct stat status;
    spec_file file = {0};
    sweep plan = {0};
    settings none = {0};
    *out = (layer_report){0};
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
        return error_set(err, ERROR_USAGE, "%s is a file; layers are those of a run's network: name its folder",
                         folder);
    dataset *data = NULL;
    bool ok = experiment_plan(folder, &none, &file, &plan, err) &&
              (checkpoint_stands(folder) || error_set(err, ERROR_RUN, "%s holds no checkpoint to look into", folder)) &&
              (data = experiment_data(&plan.runs[0].spec, hooks, err)) &&
              look_at_both(&plan.runs[0].spec, folder, data, hooks, out, err);
    dataset_close(data);
    sweep_free(&plan);
    spec_file_free(&file);
    if (!ok) layer_report_free(out);
    return ok;
}

void layer_report_free(layer_report *r) {
    layers_free(&r->trained);
    layers_free(&r->untrained);
}

json_t *layer_report_to_json(const layer_report *r) {
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < r->trained.count; i++) {
        json_t *one = layer_to_json(&r->trained.items[i]), *before = layer_to_json(&r->untrained.items[i]);
        json_object_del(before, "name");
        ok = json_object_set_new(one, "untrained", before) == 0;
        if (json_array_append_new(list, one) != 0) ok = false;
    }
    if (!ok) return json_decref(list), NULL;
    return json_pack("{s:s, s:s, s:I, s:s, s:i, s:i, s:o}", "run", r->run, "backbone", r->backbone, "step",
                     (json_int_t)r->step, "network", r->teacher ? "teacher" : "student", "images", (int)r->images,
                     "images_close", (int)r->close, "layers", list);
}
