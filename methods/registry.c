/*
 * The list of methods. A new one is a file in this folder and a line here.
 */
#include "engine/schedule.h"
#include "methods/method.h"

#include <string.h>

#define METHODS(X)                                                                                                     \
    X(falcon)                                                                                                          \
    X(barlow_twins)                                                                                                    \
    X(vicreg)                                                                                                          \
    X(swav)                                                                                                            \
    X(dino)                                                                                                            \
    X(self_classifier)                                                                                                 \
    X(gedi)                                                                                                            \
    X(simsiam) X(byol) X(simclr) X(wmse) X(lejepa) X(tico) X(visreg) X(mmcr) X(frossl) X(zero_cl) X(corinfomax) X(msn) \
        X(supervised) X(none)

#define X(name) extern const method method_##name;
METHODS(X)
#undef X

static const method *const all[] = {
#define X(name) &method_##name,
    METHODS(X)
#undef X
};

static const char *const names[] = {
#define X(name) #name,
    METHODS(X)
#undef X
        NULL};
const char *const *const method_names = names;

const method *method_at(int index) { return all[index]; }

const method *method_find(const char *name) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}

void method_call(method_hook hook, method_model *m, method_context *context, tape *t) {
    if (!hook) return;
    bool was = tape_set_recording(t, false);
    hook(m, context, t);
    tape_set_recording(t, was);
}

double method_cosine(method_context *context, const char *option, double from, double to) {
    if (from != to) context->by_length = option;
    return schedule_cosine(from, to, context->step, context->steps);
}

void method_report(method_context *context, const char *name, const tensor *value) {
    if (!context || context->parts == METHOD_PARTS) return;
    context->part[context->parts].name = name;
    context->part[context->parts++].value = value;
}
