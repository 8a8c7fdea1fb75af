/*
 * A Vision Transformer. Patches, a class token, registers and positions become tokens; each block adds attention and
 * feed-forward layers to the stream, both behind a LayerNorm; the class token, or the mean of the patches, is the
 * representation. Names and shapes are timm's, which are DINO's; with registers they are timm's *_reg models', whose
 * positions are for patches alone.
 *
 * What a LayerNorm writes is forgotten once it has been read, since it is cheap to make again. With `recompute` what
 * attention reads and what stands before the GELU go as well: a block then keeps three matrices of tokens, not nine.
 * Where the class token represents an image, the last block makes that token alone, unless somebody listens: nothing
 * reads the others.
 */
#include "engine/backbones/kind.h"
#include "engine/positions.h"
#include "engine/rng.h"
#include "engine/tokens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD_WIDTH = 64, EXPANSION = 4, DEPTH = 12, MOST_BLOCKS = 64 };
static const double NORM_EPS = 1e-6, DEVIATION = 0.02; /* of weights' start: DINO's and timm's */

typedef struct affine {
    tensor *weight, *bias;
} affine;

typedef struct block {
    affine norm1, qkv, proj, norm2, fc1, fc2;
    tensor *scale1, *scale2; /* LayerScale's, or NULL */
} block;

typedef struct vit {
    backbone_options options;
    int depth, grid; /* patches along a side that learned positions are for */
    int64_t d;
    affine patch, norm;
    tensor *class_token, *registers, *positions;
    block blocks[MOST_BLOCKS];
} vit;

/* Building -------------------------------------------------------------------------------------------------------- */

typedef struct builder {
    parameters *parameters;
    const char *prefix;
    error *err;
} builder;

static tensor *add(const builder *b, const char *name, parameter_role role, int64_t rows, int64_t cols, double amount) {
    char full[112];
    snprintf(full, sizeof full, "%s.%s", b->prefix, name);
    bool drawn = role == ROLE_WEIGHT && amount != 0;
    return parameters_add(b->parameters, full, role, 2, (int64_t[]){rows, cols}, drawn ? INIT_NORMAL : INIT_VALUE,
                          amount, b->err);
}

/* A linear layer (out, in), or a LayerNorm where in is 0. */
static bool add_affine(const builder *b, const char *name, int64_t out, int64_t in, affine *a) {
    char part[64];
    snprintf(part, sizeof part, "%s.weight", name);
    a->weight = in ? add(b, part, ROLE_WEIGHT, out, in, DEVIATION) : add(b, part, ROLE_BIAS, 1, out, 1);
    snprintf(part, sizeof part, "%s.bias", name);
    a->bias = a->weight ? add(b, part, ROLE_BIAS, 1, out, 0) : NULL;
    return a->bias != NULL;
}

/* Files have a dimension of 1 before the tokens'. */
static tensor *add_tokens(const builder *b, const char *name, int64_t rows, int64_t d) {
    tensor *t = add(b, name, ROLE_WEIGHT, rows, d, DEVIATION);
    if (t) parameters_batch_dimension(b->parameters, t);
    return t;
}

/* A convolution's start as PyTorch has it, which neither DINO nor timm changes. */
static bool add_patch_embedding(const builder *b, vit *net) {
    int64_t p = net->options.patch;
    double bound = 1 / sqrt((double)(3 * p * p));
    char name[112];
    snprintf(name, sizeof name, "%s.patch_embed.proj.weight", b->prefix);
    net->patch.weight =
        parameters_add(b->parameters, name, ROLE_WEIGHT, 4, (int64_t[]){net->d, 3, p, p}, INIT_UNIFORM, bound, b->err);
    if (!net->patch.weight) return false;
    snprintf(name, sizeof name, "%s.patch_embed.proj.bias", b->prefix);
    net->patch.bias =
        parameters_add(b->parameters, name, ROLE_BIAS, 2, (int64_t[]){1, net->d}, INIT_UNIFORM, bound, b->err);
    return net->patch.bias != NULL;
}

static bool add_first_tokens(const builder *b, vit *net) {
    const backbone_options *o = &net->options;
    bool pooled = o->pool == POOL_MEAN;
    if (!pooled && !(net->class_token = add_tokens(b, "cls_token", 1, net->d))) return false;
    if (o->registers && !(net->registers = add_tokens(b, "reg_token", o->registers, net->d))) return false;
    if (o->positions == POSITIONS_SINCOS) return true;
    int64_t rows = (int64_t)net->grid * net->grid + (!pooled && !o->registers);
    return (net->positions = add_tokens(b, "pos_embed", rows, net->d)) != NULL;
}

static bool add_block(const builder *b, int index, int64_t d, double layer_scale, block *k) {
    static const char *const names[] = {"norm1", "attn.qkv", "attn.proj", "ls1.gamma",
                                        "norm2", "mlp.fc1",  "mlp.fc2",   "ls2.gamma"};
    const int64_t out[] = {d, 3 * d, d, d, d, EXPANSION * d, d, d}, in[] = {0, d, d, 0, 0, d, EXPANSION * d, 0};
    affine *const layers[] = {&k->norm1, &k->qkv, &k->proj, NULL, &k->norm2, &k->fc1, &k->fc2, NULL};
    tensor **const scales[] = {NULL, NULL, NULL, &k->scale1, NULL, NULL, NULL, &k->scale2};
    for (int i = 0; i < 8; i++) {
        char name[48];
        snprintf(name, sizeof name, "blocks.%d.%s", index, names[i]);
        if (layers[i] && !add_affine(b, name, out[i], in[i], layers[i])) return false;
        if (scales[i] && layer_scale > 0 && !(*scales[i] = add(b, name, ROLE_BIAS, 1, d, layer_scale))) return false;
    }
    return true;
}

static bool check(const vit *net, error *err) {
    const backbone_options *o = &net->options;
    if (net->d % HEAD_WIDTH)
        return error_set(err, ERROR_USAGE,
                         "backbone.width %lld: a transformer's heads are %d wide, so its width is a "
                         "multiple of that",
                         (long long)net->d, HEAD_WIDTH);
    return backbone_check_side(o, o->side, "data.size", err);
}

static void *build(const backbone_options *options, int64_t width, parameters *p, const char *prefix, int *features,
                   error *err) {
    vit *net = calloc(1, sizeof *net);
    if (!net) return error_memory(err, sizeof *net, "the backbone"), NULL;
    net->options = *options;
    net->d = width;
    net->depth = options->depth ? (int)options->depth : DEPTH;
    net->grid = (int)(options->side / options->patch);
    builder b = {p, prefix, err};
    size_t first = p->count;
    bool ok = check(net, err) && add_patch_embedding(&b, net) && add_first_tokens(&b, net);
    parameters_set_layer(p, first, net->depth + 1);
    for (int i = 0; ok && i < net->depth; i++) {
        first = p->count;
        ok = add_block(&b, i, net->d, options->layer_scale, &net->blocks[i]);
        parameters_set_layer(p, first, net->depth - i);
    }
    ok = ok && add_affine(&b, options->pool == POOL_MEAN ? "fc_norm" : "norm", net->d, 0, &net->norm);
    if (!ok) return free(net), NULL;
    *features = (int)net->d;
    return net;
}

/* Forward --------------------------------------------------------------------------------------------------------- */

/* The positions of a grid: as they were learned, resampled, or sines and cosines. */
static tensor *positions_of(const vit *net, tape *t, int grid) {
    int64_t patches = (int64_t)grid * grid, own = (int64_t)net->grid * net->grid;
    if (net->positions && grid == net->grid) return net->positions;
    int64_t count = patches * (net->positions ? own : net->d);
    float *host = malloc((size_t)count * sizeof *host);
    if (!host) return tape_out_of_memory(t, (size_t)count * sizeof *host, "positions");
    tensor *out;
    if (!net->positions) {
        positions_sincos(grid, net->d, host);
        out = tape_matrix(t, host, patches, net->d);
    } else {
        int64_t class_rows = tensor_rows(net->positions) - own;
        tensor *table = class_rows ? op_slice_rows(t, net->positions, class_rows, own) : net->positions;
        positions_resampling((resampling)net->options.interpolation, net->grid, grid, host);
        out = op_matmul(t, tape_matrix(t, host, patches, own), false, table, false, 1);
        if (class_rows) out = op_concat_rows(t, op_slice_rows(t, net->positions, 0, class_rows), out);
    }
    free(host);
    return out;
}

/*
 * Stochastic depth: what each sample's branches of a block are multiplied by, 0 or 1/(1 − rate), the rate rising in a
 * straight line to drop_path in the last block. Drawn by sample, view and branch, so that neither the batch nor a
 * resumed run changes it. NULL where nothing is dropped.
 */
static tensor *draw_samples(const vit *net, tape *t, int64_t n, const backbone_pass *pass, int layer, int branch) {
    double rate = net->depth > 1 ? net->options.drop_path * layer / (net->depth - 1) : 0;
    if (!pass->training || !pass->samples || rate <= 0) return NULL;
    float *factors = malloc((size_t)n * sizeof *factors);
    if (!factors) return tape_out_of_memory(t, (size_t)n * sizeof *factors, "stochastic depth");
    for (int64_t i = 0; i < n; i++) {
        uint32_t view = (uint32_t)(pass->first_view + i / pass->pairs);
        rng r = rng_stream(pass->seed, RNG_DEPTH, pass->epoch, pass->samples[i % pass->pairs],
                           (view * MOST_BLOCKS + (uint32_t)layer) * 2 + (uint32_t)branch);
        factors[i] = rng_uniform(&r) < rate ? 0 : (float)(1 / (1 - rate));
    }
    tensor *out = tape_matrix(t, factors, n, 1);
    free(factors);
    return out;
}

/*
 * Patches that views lose (Assran et al. 2022): the class token and registers, which stand before them, and of each
 * sample's patches floor(P·(1 − rate)), drawn without replacement by sample and view and left in order. Local views,
 * which come in a pass of their own, lose none.
 */
static tensor *drop_patches(const vit *net, tape *t, tensor *x, int64_t n, int64_t before, const backbone_pass *pass) {
    double rate = net->options.patch_drop;
    if (!x || !pass->training || !pass->samples || pass->first_view || rate <= 0) return x;
    int64_t patches = tensor_rows(x) / n - before, keep = (int64_t)floor((double)patches * (1 - rate)), used = 0;
    if (keep < 1) keep = 1;
    size_t count = (size_t)(n * (before + keep));
    float *kept = malloc(count * sizeof *kept);
    if (!kept) return tape_out_of_memory(t, count * sizeof *kept, "patches that are kept");
    for (int64_t i = 0; i < n; i++) {
        rng r = rng_stream(pass->seed, RNG_PATCHES, pass->epoch, pass->samples[i % pass->pairs],
                           (uint32_t)(i / pass->pairs));
        for (int64_t k = 0; k < before; k++) kept[used++] = (float)k;
        for (int64_t p = 0, left = keep; left > 0; p++)
            if (rng_below(&r, (uint32_t)(patches - p)) < (uint32_t)left) kept[used++] = (float)(before + p), left--;
    }
    tensor *numbers = tape_matrix(t, kept, n * (before + keep), 1);
    free(kept);
    return op_keep_tokens(t, x, numbers, n);
}

static tensor *norm(tape *t, const affine *a, tensor *x) { return op_layernorm(t, x, a->weight, a->bias, NORM_EPS); }

static tensor *branch_norm(tape *t, const affine *a, tensor *x) {
    return op_branch_norm(t, x, a->weight, a->bias, NORM_EPS);
}

static tensor *linear(tape *t, const affine *a, tensor *x) { return op_linear(t, x, a->weight, a->bias); }

/* A value that no backward pass will read. */
static void done(tape *t, tensor *x) {
    if (x && !x->requires_grad) tape_forget(t, x);
}

/* Of a block: where it stands, whether the class token alone comes out, and whether what stands before its GELU is kept
   for backward. */
typedef struct stage {
    int index;
    bool class_alone, keep;
} stage;

static tensor *run_block(const vit *net, tape *t, stage s, tensor *x, tape_layer layer, const backbone_pass *pass) {
    const int index = s.index;
    const block *b = &net->blocks[index];
    int64_t n = layer.samples, tokens = x ? tensor_rows(x) / n : 1;
    tensor *stream = s.class_alone ? op_pool_tokens(t, x, tokens, 0, 1) : x;
    tensor *h = branch_norm(t, &b->norm1, x), *qkv = linear(t, &b->qkv, h);
    tape_forget(t, h);
    layer.value = qkv, layer.heads = net->d / HEAD_WIDTH;
    tape_tell(t, layer, "blocks.%d", index);
    tensor *mixed = op_attention(t, qkv, tokens, net->d / HEAD_WIDTH, s.class_alone ? 1 : tokens);
    if (net->options.recompute) tape_forget(t, qkv);
    tensor *branch = linear(t, &b->proj, mixed);
    tensor *middle = op_residual(t, stream, branch, b->scale1, draw_samples(net, t, n, pass, index, 0));
    if (!b->scale1) tape_forget(t, branch);
    done(t, qkv), done(t, mixed), done(t, x);
    h = branch_norm(t, &b->norm2, middle);
    branch =
        op_feed_forward(t, h, b->fc1.weight, b->fc1.bias, b->fc2.weight, b->fc2.bias, h && h->requires_grad && s.keep);
    tape_forget(t, h);
    tensor *out = op_residual(t, middle, branch, b->scale2, draw_samples(net, t, n, pass, index, 1));
    if (!b->scale2) tape_forget(t, branch);
    done(t, middle);
    layer.value = out, layer.heads = 0;
    tape_tell(t, layer, "blocks.%d", index);
    return out;
}

/* images (N,H,W,3) → (N, D): the class token behind the last norm, or the mean of the patches before it. */
static tensor *run(const void *network, tape *t, tensor *images, const backbone_pass *pass) {
    const vit *net = network;
    int64_t n = images ? images->shape[0] : 1;
    int grid = images ? (int)(images->shape[1] / net->options.patch) : net->grid;
    tensor *patches = op_patch_embed(t, images, net->patch.weight, net->patch.bias);
    tensor *x = op_tokens(t, patches, n, net->class_token, net->registers, positions_of(net, t, grid));
    tape_forget(t, patches);
    int64_t before = x ? (tensor_rows(x) - tensor_rows(patches)) / n : 0;
    x = drop_patches(net, t, x, n, before, pass);
    int64_t tokens = x ? tensor_rows(x) / n : 1;
    bool mean = net->options.pool == POOL_MEAN;
    tape_layer layer = {.value = x, .samples = n, .patches = tokens - before};
    tape_tell(t, layer, "embedding"); /* the class token is the same for all images here, so it is none yet */
    layer.class_token = !mean;
    const bool class_alone = !mean && !tape_has_listener(t);
    for (int i = 0; i < net->depth; i++) {
        /* Backward begins with all that forward kept, so memory is fullest in the last block. What the block before it
           can cheaply make again is not kept meanwhile. */
        const bool last = class_alone && i == net->depth - 1, before_last = class_alone && i == net->depth - 2;
        const stage s = {i, last, !net->options.recompute && !before_last};
        x = run_block(net, t, s, x, layer, pass);
    }
    if (!class_alone) x = op_pool_tokens(t, x, tokens, mean ? before : 0, mean ? tokens - before : 1);
    return norm(t, &net->norm, x);
}

#define VIT(id, of_width, says)                                                                                        \
    const backbone_kind backbone_##id = {.summary = says, .width = of_width, .build = build, .run = run};
VIT(vit_tiny, 192,
    "Vision Transformer of 12 blocks, 192 wide, 3 heads; backbone.patch and data.size say how many tokens")
VIT(vit_small, 384, "Vision Transformer of 12 blocks, 384 wide, 6 heads")
VIT(vit_base, 768, "Vision Transformer of 12 blocks, 768 wide, 12 heads")
