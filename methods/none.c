/*
 * No method: the backbone as it is, to be measured (train.epochs: 0). For weights that were trained elsewhere
 * (train.init), and for pixels' own statistics through a network that knows nothing. There is no head and no loss.
 */
#include "methods/method.h"

#include <stdlib.h>

typedef struct none_options {
    char unused;
} none_options;

static bool build(method_model *m, error *err) {
    (void)m, (void)err;
    return true;
}

static void destroy(method_model *m) { (void)m; }

static tensor *embed(method_model *m, tape *t, tensor *representations, bool training) {
    (void)m, (void)training;
    return op_scale(t, representations, 1);
}

const method method_none = {
    .name = "none",
    .summary = "no method: the backbone as it is, measured without training (train.epochs: 0)",
    .reference = "the bench's own",
    .fields = {"method", NULL, 0, sizeof(none_options)},
    .build = build,
    .destroy = destroy,
    .embed = embed,
};
