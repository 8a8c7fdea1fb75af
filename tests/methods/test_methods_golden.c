/*
 * Every method beside PyTorch: the cases of tests/golden/methods*.safetensors, which make_methods*.py write. A case is
 * a line "<group>.<case> <method> <key> <value> …". From the group's representations and initial parameters it takes
 * three steps of SGD; before each, the loss and its gradients with respect to the representations and every parameter
 * of the head must be PyTorch's. The last tests look for methods, and for switches of methods, that no case covers.
 */
#include "tests/methods/method_bench.h"

#include <glob.h>

enum { MAX_CASES = 256, LINE = 400, STEPS = METHOD_BENCH_STEPS };

typedef struct golden_case {
    char file[64]; /* "methods" */
    char name[64], group[64], method[64], settings[LINE];
} golden_case;

static golden_case cases[MAX_CASES]; /* filled once, before any test runs */
static int case_count;

static void read_case(const char *file, const char *line) {
    golden_case *c = &cases[case_count++];
    char copy[LINE], *rest = copy;
    snprintf(copy, sizeof copy, "%s", line);
    snprintf(c->file, sizeof c->file, "%s", file);
    const char *name = strtok_r(rest, " ", &rest);
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->group, sizeof c->group, "%.*s", (int)strcspn(name, "."), name);
    snprintf(c->method, sizeof c->method, "%s", strtok_r(rest, " ", &rest));
    snprintf(c->settings, sizeof c->settings, "%s", rest ? rest : "");
}

/* Before tests run there is nothing that an assertion could fail: a file that cannot be read has no cases, and then the
   last tests miss them. */
static void read_cases(void) {
    glob_t found;
    error err = {0};
    if (glob("tests/golden/methods*.safetensors", 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char subject[64];
        const char *base = strrchr(found.gl_pathv[i], '/') + 1;
        snprintf(subject, sizeof subject, "%.*s", (int)strcspn(base, "."), base);
        safetensors *file = safetensors_open(found.gl_pathv[i], &err);
        if (!file) continue;
        const char *lines = safetensors_metadata(file, "cases");
        while (lines && *lines && case_count < MAX_CASES) {
            char line[LINE];
            size_t length = strcspn(lines, "\n");
            snprintf(line, sizeof line, "%.*s", (int)length, lines);
            read_case(subject, line);
            lines += length + (lines[length] == '\n');
        }
        safetensors_close(file);
    }
    globfree(&found);
}

/* Against PyTorch -------------------------------------------------------------------------------------------------- */

/* Where BatchNorm follows, a bias' gradient is zero but for rounding: it is held against the largest of the case. */
static void compare_gradient(method_bench *m, const tensor *x, array expected, double largest, const char *group,
                             const char *what) {
    float *host = malloc((size_t)expected.count * sizeof *host);
    double norm = 0, worst = 0;
    ck_assert_int_eq(tensor_count(x), expected.count);
    tape_read_grad(m->tape, x, host);
    for (int64_t i = 0; i < expected.count; i++) {
        norm += (double)expected.values[i] * (double)expected.values[i];
        worst = fmax(worst, isnan(host[i]) ? INFINITY : fabs((double)host[i]));
    }
    if (sqrt(norm) > 1e-9 * largest)
        assert_close(host, expected, 1e-4, group, what);
    else
        ck_assert_msg(worst <= 1e-5 * largest, "%s: %s is %.3g where none is expected", group, what, worst);
    free(host);
}

static double norm_of(array a) {
    double sum = 0;
    for (int64_t i = 0; i < a.count; i++) sum += (double)a.values[i] * (double)a.values[i];
    return sqrt(sum);
}

static void compare_step(method_bench *m, const safetensors *file, const golden_case *c, int step) {
    char what[160];
    snprintf(what, sizeof what, "z.%d", step);
    array z = golden(file, c->group, what), losses = golden(file, c->name, "losses");
    tensor *leaf;
    double loss = method_bench_loss(m, z, step, &leaf), expected = (double)losses.values[step];
    ck_assert_msg(fabs(loss - expected) <= 1e-4 * fabs(expected), "%s: loss %.8g at step %d, expected %.8g", c->name,
                  loss, step, expected);
    array gradients[64];
    double largest = 0;
    ck_assert_int_lt(m->parameters->count, 64);
    for (size_t i = 0; i < m->parameters->count; i++) {
        const parameter *one = m->parameters->items[i];
        if (!one->value.requires_grad) continue;
        snprintf(what, sizeof what, "grad.%d.%s", step, method_bench_name(one));
        gradients[i] = golden(file, c->name, what);
        largest = fmax(largest, norm_of(gradients[i]));
    }
    snprintf(what, sizeof what, "grad.%d.z", step);
    compare_gradient(m, leaf, golden(file, c->name, what), largest, c->name, what);
    snprintf(what, sizeof what, "grad.%d.local", step);
    if (m->local) compare_gradient(m, m->local, golden(file, c->name, what), largest, c->name, what);
    for (size_t i = 0; i < m->parameters->count; i++) {
        const parameter *one = m->parameters->items[i];
        if (!one->value.requires_grad) continue;
        snprintf(what, sizeof what, "grad.%d.%s", step, method_bench_name(one));
        compare_gradient(m, &one->value, gradients[i], largest, c->name, what);
    }
}

START_TEST(test_loss_and_gradients_of_three_steps_match_pytorch) {
    const golden_case *c = &cases[_i];
    error err = {0};
    safetensors *file = golden_file(c->file);
    array z = golden(file, c->group, "z.0");
    method_bench m = method_bench_create(c->method, c->settings, (int)z.shape[1], (int)z.shape[0] / 2, &err);
    method_bench_group(&m, file, c->group);
    bool built = m.method->build(&m.model, &err);
    ck_assert_msg(built, "%s: %s", c->name, err.text);
    method_bench_load(&m, file, c->group);
    optimizer_options with;
    fields_defaults(&optimizer_fields, &with);
    with.name = OPTIMIZER_SGD; /* momentum 0.9 and decay 1e-4 are the defaults */
    with.lr = 0.1;             /* what a parameter of constant rate keeps */
    optimizer sgd;
    bool created = optimizer_create(&sgd, &with, m.parameters, &err);
    ck_assert_msg(created, "%s", err.text);
    for (int step = 0; step < STEPS; step++) {
        compare_step(&m, file, c, step);
        method_bench_update(&m, &sgd, 0.05);
    }
    safetensors_close(file);
    method_bench_destroy(&m);
}
END_TEST

/* Nothing left out ------------------------------------------------------------------------------------------------- */

START_TEST(test_every_method_has_a_golden_case) {
    for (int i = 0; method_names[i]; i++) {
        int covered = 0;
        if (!method_at(i)->loss) continue;
        for (int k = 0; k < case_count; k++) covered += strcmp(cases[k].method, method_names[i]) == 0;
        ck_assert_msg(covered > 0, "no golden case of %s", method_names[i]);
    }
}
END_TEST

/* Does the case run with this value, be it set or the default? */
static bool runs_with(const golden_case *c, const field *row, const char *value) {
    char copy[LINE], *rest = copy, got[64];
    snprintf(copy, sizeof copy, "%s", c->settings);
    snprintf(got, sizeof got, "%s", row->fallback);
    for (char *key; (key = strtok_r(rest, " ", &rest));) {
        const char *set = strtok_r(rest, " ", &rest);
        if (strcmp(key, row->key) == 0) snprintf(got, sizeof got, "%s", set);
    }
    return strcmp(got, value) == 0;
}

static void assert_covered(const method *m, const field *row, const char *value) {
    for (int k = 0; k < case_count; k++)
        if (strcmp(cases[k].method, m->name) == 0 && runs_with(&cases[k], row, value)) return;
    ck_abort_msg("no golden case of %s with %s %s", m->name, row->key, value);
}

/* Who of several processes computes what is none of PyTorch's business: the suites split_codes and mpi hold it. */
static bool is_of_the_loss(const field *row) { return strcmp(row->key, "shard_codes") != 0; }

START_TEST(test_every_switch_of_every_method_has_a_golden_case) {
    for (int i = 0; method_names[i]; i++) {
        const method *m = method_at(i);
        for (size_t r = 0; r < m->fields.count; r++) {
            const field *row = &m->fields.rows[r];
            if (!is_of_the_loss(row)) continue;
            for (int k = 0; row->type == FIELD_CHOICE && row->choices[k]; k++) assert_covered(m, row, row->choices[k]);
            for (int k = 0; row->type == FIELD_BOOL && k < 2; k++) assert_covered(m, row, k ? "true" : "false");
        }
    }
}
END_TEST

Suite *suite_methods_golden(void) {
    Suite *s = suite_create("methods_golden");
    TCase *t = tcase_create("pytorch");
    read_cases();
    tcase_add_loop_test(t, test_loss_and_gradients_of_three_steps_match_pytorch, 0, case_count);
    tcase_add_test(t, test_every_method_has_a_golden_case);
    tcase_add_test(t, test_every_switch_of_every_method_has_a_golden_case);
    suite_add_tcase(s, t);
    return s;
}
