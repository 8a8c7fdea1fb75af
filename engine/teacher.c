/*
 * The teacher's two moves. Pairs are found by name each time: a few hundred comparisons of short strings a parameter,
 * nothing beside a step, and no list that could go stale.
 */
#include "engine/teacher.h"

#include <stdlib.h>

bool teacher_copy(parameters *p, error *err) {
    for (size_t i = 0; i < p->count; i++) {
        parameter *one = p->items[i];
        if (!parameters_is_teacher(one)) continue;
        const parameter *student = parameters_student(p, one);
        int64_t count = tensor_count(&one->value);
        if (!student || tensor_count(&student->value) != count)
            return error_set(err, ERROR_RUN, "%s has no student of its shape", one->name);
        p->backend->copy(p->backend, one->value.data, student->value.data, count);
    }
    return true;
}

bool teacher_exchange(parameters *p, error *err) {
    backend *b = p->backend;
    for (size_t i = 0; i < p->count; i++) {
        parameter *one = p->items[i];
        if (!parameters_is_teacher(one)) continue;
        real *student = parameters_student(p, one)->value.data; /* there is one: teacher_copy has asked */
        int64_t count = tensor_count(&one->value);
        size_t bytes = (size_t)count * sizeof(real);
        real *aside = b->allocate(b, bytes);
        if (!aside) return error_memory(err, bytes, "a teacher's weights");
        b->copy(b, aside, student, count);
        b->copy(b, student, one->value.data, count);
        b->copy(b, one->value.data, aside, count);
        b->release(b, aside);
    }
    return true;
}

void teacher_update(parameters *p, double keep) {
    for (size_t i = 0; i < p->count; i++) {
        parameter *one = p->items[i];
        const parameter *student = parameters_student(p, one);
        if (student && student->value.requires_grad)
            p->backend->average(p->backend, one->value.data, student->value.data, keep, tensor_count(&one->value));
    }
}
