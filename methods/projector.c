/* A pointer to a structure is one to its first member, so that the methods' own states need no common type. */
#include "methods/projector.h"

#include <stdlib.h>

void *projector_build(method_model *m, size_t size, mlp_shape shape, error *err) {
    m->state = calloc(1, size);
    if (!m->state) {
        error_memory(err, size, "a method's state");
        return NULL;
    }
    return mlp_create(m->state, m->parameters, "head.projector", shape, err) ? m->state : NULL;
}

tensor *projector_embed(method_model *m, tape *t, tensor *representations, bool training) {
    return mlp_forward(m->state, t, representations, 1, training);
}

void projector_destroy(method_model *m) { free(m->state); }

int projector_attainable(const method_model *m) { return mlp_attainable(m->state); }

tensor *projector_forward(method_model *m, tape *t, tensor *representations, int groups) {
    return mlp_forward(m->state, t, representations, groups, true);
}
