/*
 * Whole methods and backbones: what the chain rule makes of all ops together, with respect to the representations or
 * images and every parameter.
 */
#include "engine/backbone.h"
#include "methods/method.h"
#include "tests/gradients/gradients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Methods --------------------------------------------------------------------------------------------------------- */

enum { N = 6, D = 5, LOCALS = 2, CLASSES = 3 };

typedef struct method_case {
    const method *method;
    method_model model;
    float teacher[2 * N * D], labels[N * CLASSES];
} method_case;

/* Leaves: the global views, the local ones where the method takes them, the parameters. */
static tensor *method_loss(const graph *g) {
    const method_case *with = g->with;
    method_model model = with->model;
    method_context context = {0};
    if (model.locals) context.local = g->leaf[1];
    if (with->method->teacher) context.teacher = tape_matrix(g->tape, with->teacher, 2 * N, D);
    if (model.classes) context.labels = tape_matrix(g->tape, with->labels, N, CLASSES);
    return with->method->loss(&model, &context, g->tape, g->leaf[0]);
}

static void add_parameters(graph *g, const parameters *p) {
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i]->value.requires_grad) g->leaf[g->leaves++] = &p->items[i]->value;
}

/* Moves every matrix but the first leaf a little at random. */
static void shake(const graph *g) {
    rng r = rng_stream(4, RNG_TEST, 0, 0, 0);
    for (int i = 1; i < g->leaves; i++)
        for (int64_t k = 0; k < tensor_count(g->leaf[i]) && g->leaf[i]->rank == 2; k++)
            g->leaf[i]->data[k] += 0.3 * rng_normal(&r);
}

static void check_method(const char *name, const char *settings) {
    backend *b = counting_backend();
    error err = {0};
    const method *m = method_find(name);
    void *options = calloc(1, m->fields.size);
    fields_defaults(&m->fields, options);
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *key; (key = strtok_r(rest, " ", &rest));) {
        const field *row = fields_require(&m->fields, key, &err);
        bool ok = row && field_parse(&m->fields, row, options, strtok_r(rest, " ", &rest), &err);
        ck_assert_msg(ok, "%s", err.text);
    }
    parameters *p = parameters_create(b, 3, &err);
    method_case with = {.method = m, .model = {.options = options, .parameters = p, .features = D, .pairs = N}};
    with.model.views = 2;
    with.model.locals = m->local_views ? LOCALS : 0;
    with.model.classes = m->labels ? CLASSES : 0;
    rng r = rng_stream(5, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 2 * N * D; i++) with.teacher[i] = (float)rng_normal(&r);
    for (int i = 0; i < N; i++) with.labels[i * CLASSES + i % CLASSES] = 1;
    bool built = m->build(&with.model, &err) && teacher_copy(p, &err);
    ck_assert_msg(built, "%s", err.text);
    tensor z, local;
    leaf_create(b, &z, TENSOR_PLAIN, (int64_t[]){2 * N, D}, 2, 0);
    leaf_create(b, &local, TENSOR_PLAIN, (int64_t[]){LOCALS * N, D}, 2, 1);
    graph g = {.backend = b, .tape = tape_create(b, &err), .leaf = {&z}, .leaves = 1, .loss = method_loss};
    g.with = &with;
    if (with.model.locals) g.leaf[g.leaves++] = &local;
    add_parameters(&g, p);
    shake(&g); /* a start of very small weights is too curved for differences */
    char what[300];
    snprintf(what, sizeof what, "%s, %s", name, settings);
    check_gradients(&g, what);
    leaf_destroy(b, &z);
    leaf_destroy(b, &local);
    m->destroy(&with.model);
    tape_destroy(g.tape);
    parameters_destroy(p);
    free(options);
    b->destroy(b);
}

static const struct {
    const char *method, *settings;
} methods[] = {
    {"falcon", "projector l2 prior forward symmetric false features 8 codes 6 beta 0.7 epsilon 1e-4"},
    {"falcon", "projector l2 prior reverse symmetric true features 8 codes 20 beta 0.7 epsilon 1e-4"},
    {"falcon", "projector tanh prior forward symmetric true features 8 codes 20 beta 0.7 epsilon 1e-4"},
    {"falcon", "projector tanh prior reverse symmetric false features 8 codes 6 beta 0.7 epsilon 1e-4"},
    {"falcon", "dictionary hadamard prior forward features 8 codes 20 epsilon 1e-4"},
    {"falcon", "dictionary hadamard prior reverse features 5 codes 19 epsilon 1e-4"},
    {"falcon", "dictionary orthogonal prior forward features 5 codes 12 memory 0 epsilon 1e-4"},
    {"falcon", "dictionary gaussian symmetric false features 5 codes 12 memory 0 epsilon 1e-4"},
    {"falcon", "dictionary learned prior forward symmetric false features 5 codes 12 epsilon 1e-4"},
    {"falcon", "dictionary learned prior reverse features 5 codes 12 memory 0 epsilon 1e-4"},
    {"barlow_twins", "hidden 7 features 4"},
    {"barlow_twins", "hidden 7 features 9 lambda 0.5 scale 1"},
    {"vicreg", "hidden 7 features 4"},
    {"vicreg", "hidden 7 features 9 halve_variance true mu 3"},
    {"self_classifier", "hidden 7 features 4 classes 5"},
    {"self_classifier", "hidden 7 features 4 classes 9 batchnorm true"},
    {"self_classifier", "hidden 7 features 4 classes 5 gain false row_temperature 0.3"},
    {"gedi", "hidden 7 clusters 5"},
    {"gedi", "hidden 7 clusters 9 temperature 1 beta 2"},
    /* what a stopped gradient leaves out, differences see: only the form that stops none can be held against them */
    {"simsiam", "hidden 7 features 8 predictor_hidden 4 stop_gradient false"},
    {"simsiam", "hidden 7 features 8 predictor_hidden 4 stop_gradient false layers 2"},
    {"simsiam", "hidden 7 features 8 predictor false stop_gradient false"},
    {"simclr", "hidden 7 features 8"},
    {"byol", "hidden 7 features 4 predictor_hidden 6"},
    {"byol", "hidden 7 features 4 predictor false"},
    {"byol", "hidden 7 features 4 predictor_hidden 6 stop_gradient false"},
    {"dino", "hidden 7 features 4 prototypes 9 center_momentum 1"}, /* else the centre would follow from call to call */
    {"dino", "hidden 7 features 4 prototypes 9 center_momentum 1 batchnorm true sharpening false"},
    {"supervised", "smoothing 0.1"},
    {"wmse", "hidden 7 features 2 whitening_size 3"},
    {"wmse", "hidden 7 features 3 whitening_size 6 distance euclidean"},
    {"wmse", "hidden 7 features 4 whitening_size 3 epsilon 0.1"},
    {"lejepa", "hidden 7 features 4 slices 20 lambda 0.4"},
    {"lejepa", "hidden 7 features 4 slices 20 knots 6 sample pooled weights additive batchnorm false"},
    /* a covariance that stays 0: else it would follow from call to call, and through it no gradient flows */
    {"tico", "hidden 7 features 4 beta 1"},
    {"tico", "hidden 7 features 4 beta 1 target student covariance both batchnorm false"},
    {"visreg",
     "hidden 7 features 4 slices 20 shape 0"}, /* the deviation that divides in `shape` lets no gradient through */
    {"visreg", "hidden 7 features 4 slices 20 shape 0 lambda 0.3 scale 2 center 3 batchnorm false"},
    {"mmcr", "hidden 7 features 4"},
    {"mmcr", "hidden 7 features 4 lambda 0.4 batchnorm false"},
    {"mmcr", "hidden 7 features 4 norm frobenius"},
    {"frossl", "hidden 7 features 4"},
    {"frossl", "hidden 7 features 9 invariance 2 entropy 0.3 center false batchnorm false"},
    {"zero_cl", "hidden 7 features 4 detach false dimension both"},
    {"zero_cl", "hidden 7 features 4 whiten false batchnorm false"},
    {"corinfomax", "hidden 7 features 4 forget_covariance 0 forget_mean 0 epsilon 0.01"}, /* nothing is remembered */
    {"corinfomax", "hidden 7 features 4 forget_covariance 0 forget_mean 0 epsilon 0.01 normalize false alpha 2"},
};
enum { METHODS = sizeof methods / sizeof *methods };

START_TEST(test_gradient_of_methods_matches_finite_differences) {
    check_method(methods[_i].method, methods[_i].settings);
}
END_TEST

/* SwAV's targets, and MSN's, follow from prototypes that are differentiated and no switch lets gradients through them, so
   that differences cannot judge it; PyTorch does. */
START_TEST(test_no_method_went_unchecked) {
    for (int i = 0; method_names[i]; i++) {
        if (!method_at(i)->loss) continue;
        int checked = strcmp(method_names[i], "swav") == 0 || strcmp(method_names[i], "msn") == 0;
        for (int k = 0; k < METHODS; k++) checked += strcmp(methods[k].method, method_names[i]) == 0;
        ck_assert_msg(checked > 0, "no gradient of %s was checked", method_names[i]);
    }
}
END_TEST

/* Backbones ------------------------------------------------------------------------------------------------------- */

typedef struct network {
    const backbone *net;
    int groups;
    bool training;
} network;

static tensor *backbone_loss(const graph *g) {
    const network *n = g->with;
    return weighted_sum(g->tape, backbone_forward(n->net, g->tape, g->leaf[0], n->groups, n->training), 1);
}

START_TEST(test_gradient_of_backbones_matches_finite_differences) {
    static const backbone_options options[] = {
        {.name = 0, .width = 5, .stem_padding = 1},
        {.name = 1, .width = 2, .stem_padding = 2},
        {.name = 2, .width = 3, .stem_padding = 1},
        {.name = 3, .width = 64, .depth = 1, .patch = 4, .registers = 2, .layer_scale = 0.5, .side = 12},
        {.name = 3, .width = 64, .depth = 1, .patch = 4, .pool = 1, .recompute = true, .side = 8},
        {.name = 6, .width = 1, .stem_padding = 1},
    };
    backend *b = counting_backend();
    error err = {0};
    parameters *p = parameters_create(b, 3, &err);
    backbone *net = backbone_create(&options[_i / 2], p, "backbone", &err);
    ck_assert_msg(net != NULL, "%s", err.text);
    tensor images;
    leaf_create(b, &images, TENSOR_IMAGES, (int64_t[]){4, 8, 8, 3}, 4, 0);
    network with = {net, 2, _i % 2 == 0};
    graph g = {.backend = b,
               .tape = tape_create(b, &err),
               .leaf = {&images},
               .leaves = 1,
               .elements = 3,
               .loss = backbone_loss,
               .with = &with};
    add_parameters(&g, p);
    shake(&g); /* away from the kink at 0, where shifts of zero leave dead channels */
    check_gradients(&g, backbone_names[options[_i / 2].name]);
    leaf_destroy(b, &images);
    tape_destroy(g.tape);
    backbone_destroy(net);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

Suite *suite_networks(void) {
    Suite *s = suite_create("gradients of networks");
    TCase *t = tcase_create("finite differences");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_gradient_of_methods_matches_finite_differences, 0, METHODS);
    tcase_add_test(t, test_no_method_went_unchecked);
    tcase_add_loop_test(t, test_gradient_of_backbones_matches_finite_differences, 0, 10);
    /* In training the 53 layers of a resnet50 that normalise by a batch are too curved for differences; its golden
       values are PyTorch's (tests/engine/test_backbones.c). */
    tcase_add_loop_test(t, test_gradient_of_backbones_matches_finite_differences, 11, 12);
    suite_add_tcase(s, t);
    return s;
}
