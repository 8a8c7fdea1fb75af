/*
 * The teacher's two moves. Pairs are found by name each time: a few hundred comparisons of short strings a parameter,
 * nothing beside a step, and no list that could go stale.
 */
#include "engine/teacher.h"

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

void teacher_update(parameters *p, double keep) {
    for (size_t i = 0; i < p->count; i++) {
        parameter *one = p->items[i];
        const parameter *student = parameters_student(p, one);
        if (student && student->value.requires_grad)
            p->backend->average(p->backend, one->value.data, student->value.data, keep, tensor_count(&one->value));
    }
}
