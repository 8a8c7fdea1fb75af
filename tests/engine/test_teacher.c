/*
 * Teachers and schedules: what a teacher starts as, what it follows, what stays its own; and that a checkpoint holds
 * all of it, the steps of parameters that were held back included.
 */
#include "engine/backbone.h"
#include "engine/files/checkpoint.h"
#include "engine/schedule.h"
#include "engine/teacher.h"
#include "tests/scratch.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct school {
    backend *backend;
    parameters *parameters;
    backbone *student, *teacher;
} school;

static school school_open(uint64_t seed) {
    error err = {0};
    school s = {.backend = backend_cpu(1, &err)};
    backbone_options options = {.name = 0, .width = 4, .stem_padding = 1};
    s.parameters = parameters_create(s.backend, seed, &err);
    s.student = backbone_create(&options, s.parameters, "backbone", &err);
    s.teacher = backbone_create(&options, s.parameters, "teacher.backbone", &err);
    bool ok = s.student && s.teacher && teacher_copy(s.parameters, &err);
    ck_assert_msg(ok, "%s", err.text);
    return s;
}

static void school_close(school *s) {
    backbone_destroy(s->student);
    backbone_destroy(s->teacher);
    parameters_destroy(s->parameters);
    s->backend->destroy(s->backend);
}

static float *values(const school *s, const parameter *one) {
    float *host = malloc((size_t)tensor_count(&one->value) * sizeof *host);
    s->backend->read(s->backend, &one->value, host);
    return host;
}

/* Every value of the student's, buffers too, becomes `value`. */
static void fill_students(school *s, double value) {
    for (size_t i = 0; i < s->parameters->count; i++) {
        parameter *one = s->parameters->items[i];
        if (!parameters_is_teacher(one))
            s->backend->fill(s->backend, one->value.data, value, tensor_count(&one->value));
    }
}

/* All the values there are, one parameter after the other. */
static float *all_values(const school *s, size_t *count) {
    float *all = NULL;
    *count = 0;
    for (size_t i = 0; i < s->parameters->count; i++) {
        const parameter *one = s->parameters->items[i];
        size_t n = (size_t)tensor_count(&one->value);
        float *host = values(s, one);
        all = realloc(all, (*count + n) * sizeof *all);
        memcpy(all + *count, host, n * sizeof *all);
        *count += n;
        free(host);
    }
    return all;
}

START_TEST(test_teacher_and_student_trade_places_and_twice_is_nothing) {
    school s = school_open(5);
    error err = {0};
    float one[8] = {3, 1, 4, 1, 5, 9, 2, 6}, got[8];
    tensor *alone =
        parameters_add(s.parameters, "head.predictor", ROLE_WEIGHT, 2, (int64_t[]){2, 4}, INIT_VALUE, 0, &err);
    s.backend->write(s.backend, alone, one);
    fill_students(&s, 2);
    s.backend->write(s.backend, alone, one);
    size_t count, again;
    float *before = all_values(&s, &count);
    ck_assert(teacher_exchange(s.parameters, &err));
    for (size_t i = 0; i < s.parameters->count; i++) {
        const parameter *p = s.parameters->items[i];
        float *host = values(&s, p);
        bool twos = true;
        for (int64_t k = 0; k < tensor_count(&p->value); k++) twos = twos && host[k] == 2;
        if (strcmp(p->name, "head.predictor") != 0) ck_assert_msg(twos == parameters_is_teacher(p), "%s", p->name);
        free(host);
    }
    s.backend->read(s.backend, alone, got);
    ck_assert_mem_eq(got, one, sizeof one);
    ck_assert(teacher_exchange(s.parameters, &err));
    float *after = all_values(&s, &again);
    ck_assert_uint_eq(again, count);
    ck_assert_mem_eq(after, before, count * sizeof *before);
    free(before);
    free(after);
    school_close(&s);
}
END_TEST

START_TEST(test_a_teacher_starts_as_its_student_and_is_not_trained) {
    school s = school_open(3);
    size_t teachers = 0;
    for (size_t i = 0; i < s.parameters->count; i++) {
        const parameter *one = s.parameters->items[i], *student = parameters_student(s.parameters, one);
        ck_assert_int_eq(student != NULL, parameters_is_teacher(one));
        if (!student) continue;
        float *a = values(&s, one), *b = values(&s, student);
        ck_assert_mem_eq(a, b, (size_t)tensor_count(&one->value) * sizeof *a);
        ck_assert(!one->value.requires_grad && one->role == ROLE_BUFFER);
        free(a);
        free(b);
        teachers++;
    }
    ck_assert_uint_eq(2 * teachers, s.parameters->count);
    school_close(&s);
}
END_TEST

START_TEST(test_a_teacher_follows_parameters_and_keeps_its_own_statistics) {
    school s = school_open(3);
    fill_students(&s, 1);
    teacher_update(s.parameters, 0); /* takes over what the student trains */
    fill_students(&s, 5);
    teacher_update(s.parameters, 0.75);
    for (size_t i = 0; i < s.parameters->count; i++) {
        const parameter *one = s.parameters->items[i];
        if (!parameters_is_teacher(one)) continue;
        float *host = values(&s, one);
        bool mean = strstr(one->name, "running_mean"), variance = strstr(one->name, "running_var");
        for (int64_t k = 0; k < tensor_count(&one->value); k++) {
            float expected = mean ? 0 : variance ? 1 : 2;
            ck_assert_float_eq(host[k], expected);
        }
        free(host);
    }
    school_close(&s);
}
END_TEST

START_TEST(test_a_teacher_without_a_student_is_refused) {
    error err = {0};
    school s = school_open(3);
    ck_assert_ptr_nonnull(
        parameters_add(s.parameters, "teacher.head.w", ROLE_WEIGHT, 2, (int64_t[]){2, 3}, INIT_VALUE, 0, &err));
    ck_assert(!teacher_copy(s.parameters, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "teacher.head.w"));
    school_close(&s);
}
END_TEST

/* Adam's corrections go by the steps of each parameter: a run that is resumed must know them. */
START_TEST(test_a_checkpoint_keeps_teachers_and_the_steps_of_held_parameters) {
    char folder[SCRATCH], path[80];
    scratch_folder(folder);
    error err = {0};
    optimizer_options with;
    optimizer o;
    fields_defaults(&optimizer_fields, &with);
    school s = school_open(3);
    parameters *p = s.parameters;
    ck_assert(optimizer_create(&o, &with, p, &err));
    for (int step = 0; step < 4; step++) {
        for (size_t i = 0; i < p->count; i++) {
            tensor *t = &p->items[i]->value;
            if (!t->requires_grad) continue;
            s.backend->fill(s.backend, t->grad, 0.5, tensor_count(t));
            t->grad_ready = true;
        }
        if (step < 3) parameters_hold(&p->items[0]->value);
        optimizer_step(&o, 1e-2, 1, 1);
        teacher_update(p, 0.9);
    }
    checkpoint_position at = {.step = 4};
    checkpoint_place place = {.folder = folder, .run = "school"};
    bool ok = checkpoint_save(&place, p, &o, &at, &err);
    ck_assert_msg(ok, "%s", err.text);

    school again = school_open(4);
    optimizer resumed;
    bool found;
    ck_assert(optimizer_create(&resumed, &with, again.parameters, &err));
    ok = checkpoint_load(&place, again.parameters, &resumed, &at, &found, &err);
    ck_assert_msg(ok && found, "%s", err.text);
    for (size_t i = 0; i < p->count; i++) {
        const parameter *one = p->items[i], *two = again.parameters->items[i];
        float *a = values(&s, one), *b = values(&again, two);
        ck_assert_mem_eq(a, b, (size_t)tensor_count(&one->value) * sizeof *a);
        if (one->value.requires_grad) ck_assert_uint_eq(two->steps, i == 0 ? 1 : 4);
        free(a);
        free(b);
    }
    snprintf(path, sizeof path, "%s/checkpoint-00000004.safetensors", folder);
    unlink(path);
    rmdir(folder);
    school_close(&s);
    school_close(&again);
}
END_TEST

START_TEST(test_schedules_pass_through_their_ends_and_stay_there) {
    ck_assert_double_eq_tol(schedule_cosine(0.996, 1, 0, 100), 0.996, 1e-15);
    ck_assert_double_eq_tol(schedule_cosine(0.996, 1, 50, 100), 0.998, 1e-15);
    ck_assert_double_eq_tol(schedule_cosine(0.996, 1, 25, 100), 1 - 0.004 * (sqrt(0.5) + 1) / 2, 1e-15);
    ck_assert_double_eq(schedule_cosine(0.996, 1, 100, 100), 1);
    ck_assert_double_eq(schedule_cosine(0.996, 1, 7, 0), 1);
    /* numpy.linspace(0.04, 0.07, 4), then 0.07 */
    static const double expected[] = {0.04, 0.05, 0.06, 0.07, 0.07, 0.07};
    for (uint64_t i = 0; i < 6; i++) ck_assert_double_eq_tol(schedule_linear(0.04, 0.07, i, 4), expected[i], 1e-15);
    ck_assert_double_eq(schedule_linear(0.04, 0.07, 0, 0), 0.07);
    ck_assert_double_eq(schedule_linear(0.04, 0.07, 0, 1), 0.04);
}
END_TEST

/* What was assigned lasts past the step that computed it; what was released is memory for the next ops. */
START_TEST(test_assigned_values_last_and_released_ones_are_used_again) {
    error err = {0};
    backend *b = backend_cpu(1, &err);
    parameters *p = parameters_create(b, 0, &err);
    tape *t = tape_create(b, &err);
    enum { ROWS = 64, COLS = 100 };
    tensor *queue = parameters_add(p, "queue", ROLE_BUFFER, 2, (int64_t[]){ROWS, COLS}, INIT_NORMAL, 1, &err);
    float before[ROWS * COLS], after[ROWS * COLS];
    b->read(b, queue, before);
    uint64_t taken = 0;
    for (int step = 0; step < 6; step++) {
        tape_reset(t);
        tape_set_recording(t, false);
        size_t mark = tape_mark(t);
        tensor *x = queue;
        for (int i = 0; i < 8; i++) x = op_scale(t, x, 0.5);
        tape_release(t, mark, x);
        if (step == 0) tape_assign(t, queue, x);
        for (int i = 0; i < 7; i++) op_scale(t, queue, 2);
        if (step == 0) taken = b->memory(b).allocations;
        tape_set_recording(t, true);
    }
    ck_assert_uint_eq(b->memory(b).allocations, taken);
    b->read(b, queue, after);
    for (int i = 0; i < ROWS * COLS; i++) ck_assert_float_eq(after[i], before[i] / 256);
    ck_assert(tape_check(t, &err));
    tape_assign(t, queue, op_sum(t, queue, AXIS_ROWS));
    ck_assert(!tape_check(t, &err));
    tape_destroy(t);
    parameters_destroy(p);
    b->destroy(b);
}
END_TEST

Suite *suite_teacher(void) {
    Suite *s = suite_create("teacher");
    TCase *t = tcase_create("teacher");
    tcase_add_test(t, test_teacher_and_student_trade_places_and_twice_is_nothing);
    tcase_add_test(t, test_a_teacher_starts_as_its_student_and_is_not_trained);
    tcase_add_test(t, test_a_teacher_follows_parameters_and_keeps_its_own_statistics);
    tcase_add_test(t, test_a_teacher_without_a_student_is_refused);
    tcase_add_test(t, test_a_checkpoint_keeps_teachers_and_the_steps_of_held_parameters);
    tcase_add_test(t, test_schedules_pass_through_their_ends_and_stay_there);
    tcase_add_test(t, test_assigned_values_last_and_released_ones_are_used_again);
    suite_add_tcase(s, t);
    return s;
}
