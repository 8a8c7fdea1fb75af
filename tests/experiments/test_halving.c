/*
 * Successive halving: which settings go on is said by what runs recorded after an epoch, within a method alone; a run
 * that went on is the run that never stopped, and a sweep that was killed decides the same. What the sweeps do is held
 * to decisions that the test makes itself from the full runs' histories.
 */
#include "tests/experiments/harness.h"

#include <jansson.h>
#include <math.h>

enum { RATES = 5, EPOCHS = 4, MOST = 64 };

/* `more`: of what is swept; `halving`: the mapping in line 9, or NULL. */
static void write_spec(const char *name, const char *more, const char *halving) {
    char commands[1900];
    snprintf(commands, sizeof commands,
             "printf 'name: %s\\n"
             "data: {name: shapes, size: 8, limit: 128, cache: cache}\\naugment: none\\n"
             "backbone: {name: resnet8, width: 2}\\n"
             "train: {epochs: 4, batch: 16, threads: 1, loader_threads: 1}\\n"
             "eval: {metrics: [knn, collapse], online: [linear]}\\n"
             "methods: {falcon: {method: {features: 8, codes: 16}}, simclr: {method: {hidden: 8, features: 8}}}\\n"
             "sweep: {method: [falcon, simclr]%s}\\n%s%s\\n"
             "random: {runs: %d, seed: 3, optimizer.lr: {log_uniform: [1.0e-4, 0.3]}}\\n' >%s.yaml",
             name, more, halving ? "halving: " : "", halving ? halving : "", RATES, name);
    shell(commands);
}

/* ---- What the runs recorded ---- */

typedef struct one {
    char id[160], setting[160]; /* the id without seed and hash */
    double value;               /* after the epoch that was asked for */
    bool collapsed;
    char status[32], reason[256];
    double epochs; /* trained */
} one;

typedef struct sweep_runs {
    one runs[MOST];
    int count;
} sweep_runs;

static void read_history(one *o, const char *path, int epoch, const char *figure) {
    char line[16384];
    FILE *file = fopen(path, "r");
    o->value = NAN;
    while (file && fgets(line, sizeof line, file)) {
        json_t *look = json_loads(line, 0, NULL), *collapse = json_object_get(look, "collapse"), *mode;
        const char *name;
        double at = json_number_value(json_object_get(look, "epoch"));
        if (at > o->epochs) o->epochs = at;
        if (collapse && at == epoch) {
            json_t *value = json_object_get(look, figure);
            if (!value) value = json_object_get(json_object_get(collapse, "embed"), figure);
            o->value = json_number_value(value);
            json_object_foreach(collapse, name, mode) {
                const char *word = json_string_value(json_object_get(mode, "verdict"));
                o->collapsed |= word && strcmp(word, "collapsed") == 0;
            }
        }
        json_decref(look);
    }
    if (file) fclose(file);
}

/* All runs of a sweep in the order of its spec, as `mews sweep -n --json` lists them. */
static void read_runs(sweep_runs *all, const char *results, const char *name, int epoch, const char *figure) {
    char words[256], path[1200];
    snprintf(words, sizeof words, "sweep %s.yaml --out %s -n --json", name, results);
    const said *s = mews(words);
    json_t *root = json_loads(s->out, 0, NULL), *run;
    size_t i;
    ck_assert_msg(root != NULL, "%s%s", s->out, s->err);
    *all = (sweep_runs){0};
    json_array_foreach(json_object_get(root, "runs"), i, run) {
        one *o = &all->runs[all->count++];
        ck_assert_int_lt(all->count, MOST);
        snprintf(o->id, sizeof o->id, "%s", json_string_value(json_object_get(run, "id")));
        memcpy(o->setting, o->id, sizeof o->setting);
        o->setting[strlen(o->setting) - 9] = '\0';
        char *seed = strstr(o->setting, "_seed-"), *rest = seed ? strchr(seed + 1, '_') : NULL;
        if (seed) memmove(seed, rest ? rest : "", strlen(rest ? rest : "") + 1);
        const char *status = json_string_value(json_object_get(run, "status"));
        const char *reason = json_string_value(json_object_get(run, "reason"));
        snprintf(o->status, sizeof o->status, "%s", status ? status : "");
        snprintf(o->reason, sizeof o->reason, "%s", reason ? reason : "");
        snprintf(path, sizeof path, "%s/%s/%s/%s/metrics.jsonl", folder, results, name, o->id);
        read_history(o, path, epoch, figure);
    }
    json_decref(root);
}

static const one *find(const sweep_runs *all, const char *id) {
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->runs[i].id, id) == 0) return &all->runs[i];
    ck_abort_msg("no run %s", id);
    return NULL;
}

static bool is_of(const one *o, const char *method) {
    char part[64];
    snprintf(part, sizeof part, "_method-%s_", method);
    return strstr(o->id, part) != NULL;
}

/* ---- What is to be decided ---- */

/* Takes from `alive` all settings of a method but the `quota` best by their seeds' mean at this rung, one after the
   other; whoever collapsed with a seed is out. */
static void decide(const sweep_runs *full, const char *method, bool *alive, int quota) {
    double mean[MOST];
    for (int i = 0; i < full->count; i++) {
        double sum = 0, n = 0;
        for (int k = 0; k < full->count; k++) {
            if (strcmp(full->runs[k].setting, full->runs[i].setting) != 0) continue;
            sum += full->runs[k].collapsed ? NAN : full->runs[k].value, n++;
        }
        mean[i] = sum / n;
    }
    bool goes_on[MOST] = {0};
    for (int place = 0; place < quota; place++) {
        int best = -1;
        for (int i = 0; i < full->count; i++)
            if (alive[i] && !goes_on[i] && is_of(&full->runs[i], method) && !isnan(mean[i]) &&
                (best < 0 || mean[i] > mean[best]))
                best = i;
        for (int i = 0; best >= 0 && i < full->count; i++)
            goes_on[i] |= strcmp(full->runs[i].setting, full->runs[best].setting) == 0;
    }
    for (int i = 0; i < full->count; i++)
        if (is_of(&full->runs[i], method)) alive[i] &= goes_on[i];
}

static void expect(const char *words, int code) {
    const said *s = mews(words);
    ck_assert_msg(s->code == code, "%s: %d: %s%s", words, s->code, s->out, s->err);
}

/* The sweep NAME under `results` against all runs to their ends under `full`: which end where, and with what bits. */
static void ends_as_decided(const char *name, const char *results, const char *figure, const int *rungs,
                            const int *quotas, int count) {
    static const char *const methods[] = {"falcon", "simclr"};
    sweep_runs full, now;
    bool alive[MOST];
    double stopped_at[MOST] = {0};
    for (int i = 0; i < MOST; i++) alive[i] = true;
    read_runs(&now, results, name, EPOCHS, figure);
    for (int rung = 0; rung < count; rung++) {
        read_runs(&full, "full", name, rungs[rung], figure);
        bool before[MOST];
        memcpy(before, alive, sizeof before);
        for (int m = 0; m < 2; m++) decide(&full, methods[m], alive, quotas[rung]);
        for (int i = 0; i < full.count; i++)
            if (before[i] && !alive[i]) stopped_at[i] = rungs[rung];
    }
    int finished = 0;
    for (int i = 0; i < full.count; i++) {
        const one *o = find(&now, full.runs[i].id);
        ck_assert_msg(strcmp(o->status, alive[i] ? "finished" : "stopped") == 0, "%s: %s", o->id, o->status);
        ck_assert_msg(o->epochs == (alive[i] ? EPOCHS : stopped_at[i]), "%s: %g epochs", o->id, o->epochs);
        if (!alive[i]) ck_assert_msg(strncmp(o->reason, "rung ", 5) == 0, "%s: %s", o->id, o->reason);
        char a[320], b[320];
        snprintf(a, sizeof a, "full/%s/%s", name, o->id);
        snprintf(b, sizeof b, "%s/%s/%s", results, name, o->id);
        if (alive[i]) ck_assert_msg(same_run(a, b), "%s differs from the run that never stopped", o->id);
        finished += alive[i];
    }
    ck_assert_int_gt(finished, 0);
}

/* ---- Tests ---- */

/* Once for all of them: every run of two sweeps to its end. */
static void setup(void) {
    program_setup();
    write_spec("search", "", "{figure: rankme, rungs: [1, 2]}");
    write_spec("seeds", ", train.seed: [0, 1]", "{figure: online_linear, rungs: [2], keep: 0.3}");
    shell("sed -i 's/, simclr\\]/]/' seeds.yaml");
    expect("sweep search.yaml --out full --set halving=off -j 2", 0);
    expect("sweep seeds.yaml --out full --set halving=off -j 2", 0);
}

START_TEST(test_the_best_of_each_method_go_on_and_end_as_if_alone) {
    static const int rungs[] = {1, 2}, quotas[] = {3, 2}, jobs[] = {1, 3};
    char words[128], out[32];
    snprintf(out, sizeof out, "jobs-%d", jobs[_i]);
    snprintf(words, sizeof words, "sweep search.yaml --out %s -j %d", out, jobs[_i]);
    expect(words, 0);
    ends_as_decided("search", out, "rankme", rungs, quotas, 2);
    const said *s = mews(words); /* again: nothing is to do */
    ck_assert_msg(s->code == 0 && strstr(s->err, "stopped by halving") && !strstr(s->err, "to do"), "%s", s->err);
    snprintf(words, sizeof words, "runs %s --where status=stopped --show status,reason", out);
    s = mews(words);
    ck_assert_msg(strstr(s->out, "place 4 of 5; 3 go on"), "%s", s->out);
    snprintf(words, sizeof words, "watch %s/search", out);
    s = mews(words);
    ck_assert_msg(strstr(s->out, " stopped\n") && strstr(s->out, "place 3 of 3; 2 go on"), "%s", s->out);
}
END_TEST

START_TEST(test_what_was_stopped_goes_on_when_nothing_is_halved) {
    sweep_runs all;
    expect("sweep search.yaml --out whole -j 2", 0);
    expect("sweep search.yaml --out whole --set halving=off -j 2", 0);
    read_runs(&all, "whole", "search", EPOCHS, "rankme");
    for (int i = 0; i < all.count; i++) {
        char a[320], b[320];
        snprintf(a, sizeof a, "full/search/%s", all.runs[i].id);
        snprintf(b, sizeof b, "whole/search/%s", all.runs[i].id);
        ck_assert_msg(same_run(a, b), "%s", all.runs[i].id);
    }
}
END_TEST

START_TEST(test_seeds_of_a_setting_are_judged_by_their_mean) {
    static const int rungs[] = {2}, quotas[] = {2};
    expect("sweep seeds.yaml --out halved -j 2", 0);
    ends_as_decided("seeds", "halved", "online_linear", rungs, quotas, 1);
    const said *s = mews("runs halved --where status=stopped --show reason");
    ck_assert_msg(strstr(s->out, "mean online_linear") || strstr(s->out, "with a seed"), "%s", s->out);
}
END_TEST

/* Killed at any moment, and begun again with another number of jobs. */
START_TEST(test_a_sweep_that_was_killed_decides_the_same) {
    static const int rungs[] = {1, 2}, quotas[] = {3, 2};
    dice d = {7};
    int killed = 0, code = -SIGKILL;
    for (int sitting = 0; sitting < trials("MEWS_HALVING_KILLS", 6) && code != 0; sitting++) {
        char words[128];
        snprintf(words, sizeof words, "sweep search.yaml --out killed -j %u", 1 + roll(&d, 3));
        pid_t child = begin(words);
        nanosleep(&(struct timespec){.tv_nsec = 100000000L + 1000000L * roll(&d, 800)}, NULL);
        kill(-child, SIGKILL);
        code = end_within(child, 60);
        killed += code == -SIGKILL;
    }
    ck_assert_int_gt(killed, 0);
    expect("sweep search.yaml --out killed -j 2", 0);
    ends_as_decided("search", "killed", "rankme", rungs, quotas, 2);
}
END_TEST

START_TEST(test_two_sweeps_at_once_decide_the_same) {
    static const int rungs[] = {1, 2}, quotas[] = {3, 2};
    pid_t other = begin("sweep search.yaml --out both");
    char command[1400];
    snprintf(command, sizeof command, "'%s' sweep search.yaml --out both", program);
    ck_assert_int_eq(try(command), 0);
    ck_assert_int_eq(end_within(other, 200), 0);
    ends_as_decided("search", "both", "rankme", rungs, quotas, 2);
}
END_TEST

/* Lets a run come to the first rung, and gives it a figure of the test's own; `more`: what else sed does to the line.
 */
static void comes_to_the_rung(const char *name, const char *id, const char *rankme, const char *more) {
    char commands[1900];
    snprintf(commands, sizeof commands, "train %s.yaml --out halved --until 1 --only %s", name, id);
    expect(commands, 0);
    snprintf(commands, sizeof commands,
             "cd halved/%s/%s && sed -i '/\"epoch\":1,\"collapse/{s/\"verdict\":\"[a-z]*\"/\"verdict\":\"healthy\"/g;"
             "s/\"rankme\":[0-9.e+-]*/\"rankme\":%s/g;%s}' metrics.jsonl",
             name, id, rankme, more);
    shell(commands);
}

/* What the plan says of its first runs: why one was stopped, or "" of one that goes on. */
static void plan_says(const char *name, const char *const *says, int count) {
    char words[128];
    snprintf(words, sizeof words, "sweep %s.yaml --out halved -n", name);
    char *line = strtok((char *)mews(words)->out, "\n");
    for (int i = 0; i < count; i++, line = strtok(NULL, "\n"))
        ck_assert_msg(line && strstr(line, *says[i] ? says[i] : "  stopped ") && (*says[i] || !strstr(line, "rung ")),
                      "%d: %s", i, line);
}

/* Once it trains, doctored histories fit no checkpoint: runs begin anew and record their own figures, which turns what
   was decided. */
START_TEST(test_collapsed_settings_lose_and_the_first_of_equals_go_on) {
    static const char *const figures[RATES] = {"7.0", "9.0", "7.0", "7.0", "6.0"};
    static const char *const says[RATES] = {"",
                                            "rung 1 of 2 (epoch 1 of 4): dimensional collapsed; 2 of 5 settings go on",
                                            "", "rankme 7, place 3 of 5; 2 go on", "rankme 6, place 4 of 5; 2 go on"};
    sweep_runs all;
    write_spec("judged", "", "{figure: rankme, rungs: [1, 2], keep: 0.4}");
    shell("sed -i 's/, simclr\\]/]/' judged.yaml");
    read_runs(&all, "halved", "judged", 1, "rankme");
    ck_assert_int_eq(all.count, RATES);
    for (int i = 0; i < RATES; i++)
        comes_to_the_rung(
            "judged", all.runs[i].id, figures[i],
            i == 1 ? "s/\"dimensional\":{\"verdict\":\"healthy\"/\"dimensional\":{\"verdict\":\"collapsed\"/" : "");
    plan_says("judged", says, RATES);
    expect("sweep judged.yaml --out halved", 0);
}
END_TEST

/* One setting has two seeds, and each block halves by itself. */
START_TEST(test_unlike_numbers_of_seeds_count_by_their_mean_within_a_block) {
    enum { RUNS = 4, BLOCKS = 2 };
    static const char *const figures[BLOCKS * RUNS] = {"6", "8", "7.5", "9", "1", "3", "2.5", "1.5"};
    static const char *const says[BLOCKS * RUNS] = {
        "(epoch 1 of 4): mean rankme 7, place 2 of 3; 1 goes on",
        "mean rankme 7, place 2 of 3; 1 goes on",
        "",
        "(epoch 1 of 4): no figure; 1 of 3 settings go on",
        "mean rankme 2, place 2 of 3; 1 goes on",
        "mean rankme 2, place 2 of 3; 1 goes on",
        "",
        " rankme 1.5, place 3 of 3; 1 goes on",
    };
    sweep_runs all;
    write_spec("means", "", "{figure: rankme, rungs: [1], keep: 0.3}");
    shell("sed -i '/^sweep/d;/^random/d;s/^methods.*/method: {name: falcon, features: 8, codes: 16}/' means.yaml && "
          "printf 'zip: {optimizer.lr: [0.01, 0.01, 0.001, 0.1], train.seed: [0, 1, 0, 0]}\nsweeps: {a: {}, "
          "b: {train: {batch: 32}}}\n' >>means.yaml");
    read_runs(&all, "halved", "means", 1, "rankme");
    ck_assert_int_eq(all.count, BLOCKS * RUNS);
    for (int i = 0; i < all.count; i++)
        comes_to_the_rung("means", all.runs[i].id, figures[i], i == 3 ? "s/\"rankme\":[0-9.]*/\"other\":1/g" : "");
    plan_says("means", says, BLOCKS * RUNS);
}
END_TEST

/* A file stands where one seed's folder would be. */
START_TEST(test_a_setting_loses_that_fails_with_one_seed) {
    sweep_runs all;
    char commands[400];
    write_spec("fails", ", optimizer.lr: [0.01, 0.001], train.seed: [0, 1]", "{figure: rankme, rungs: [1], keep: 0.9}");
    shell("sed -i '/^random/d;s/, simclr\\]/]/' fails.yaml");
    read_runs(&all, "halved", "fails", 1, "rankme");
    ck_assert_int_eq(all.count, 4);
    snprintf(commands, sizeof commands, "mkdir -p halved/fails && touch halved/fails/%s", all.runs[1].id);
    shell(commands);
    const said *s = mews("sweep fails.yaml --out halved -j 2");
    ck_assert_msg(s->code == 1 && strstr(s->err, "1 of 4 runs failed") && strstr(s->out, "2 of 4 runs finished") &&
                      strstr(s->err, "(epoch 1 of 4): failed with a seed; 1 of 2 settings go on"),
                  "%d: %s%s", s->code, s->out, s->err);
}
END_TEST

START_TEST(test_what_a_plan_says_of_rungs_and_of_what_is_saved) {
    write_spec("search", "", "{figure: rankme, rungs: [1, 2]}");
    const said *s = mews("sweep search.yaml -n");
    ck_assert_msg(s->code == 0 &&
                      strstr(s->out, "halving of falcon by rankme: 5 settings: 5 to epoch 1, 3 to epoch 2, 2 to the "
                                     "end, epoch 4: 60 % of all epochs\n") &&
                      strstr(s->out, "halving of simclr by rankme: 5 settings: ") &&
                      strstr(s->out, "halving is expected to save "),
                  "%s%s", s->out, s->err);
    ck_assert_msg(strstr(s->err, "`halving` judges by the test images"), "%s", s->err);
    s = mews("sweep search.yaml -n --set data.validation=0.2");
    ck_assert_msg(s->code == 0 && !strstr(s->err, "test images"), "%s", s->err);
    s = mews("sweep search.yaml -n --set halving.rungs=[0.5] --set halving.keep=0.2");
    ck_assert_msg(strstr(s->out, "5 to epoch 2, 1 to the end, epoch 4: 60 % of all epochs\n"), "%s", s->out);
    s = mews("sweep search.yaml -n --set halving=off");
    ck_assert_msg(s->code == 0 && !strstr(s->out, "halving"), "%s", s->out);
}
END_TEST

START_TEST(test_a_page_tells_what_was_stopped_and_why) {
    expect("sweep search.yaml --out page -j 2", 0);
    expect("report page/search", 0);
    ck_assert_int_eq(try("grep -q 'runs were stopped early' page/search/index.html"), 0);
    ck_assert_int_eq(try("grep -q 'place 4 of 5</td><td>3</td>' page/search/index.html"), 0);
    ck_assert_int_ne(try("grep -q 'did not finish\\|This goes on with it' page/search/index.html"), 0);
}
END_TEST

/* One line with file, line and key. */
START_TEST(test_halvings_that_make_no_sense_are_refused) {
    static const struct {
        const char *halving, *line;
    } bad[] = {
        {"3", "`halving` takes a mapping: {figure: online_linear, rungs: [1, 2, 4], keep: 0.5}"},
        {"{rungs: [1]}", "`halving` needs `figure: NAME`, by which settings are judged"},
        {"{figure: rankme}", "`halving` needs `rungs: [EPOCH, …]`, where settings are judged"},
        {"{figure: rankmee, rungs: [1]}", "`halving.figure` knows no `rankmee`; did you mean `rankme`?"},
        {"{figure: linear, rungs: [1]}", "`halving.figure` linear is measured at a run's end alone; `online_linear` is "
                                         "recorded after every epoch, with "
                                         "`eval: {online: [linear]}`"},
        {"{figure: online_knn, rungs: [1]}", "`halving.figure` online_knn is recorded with `eval: {online: [knn]}` "
                                             "alone"},
        {"{figure: codes_used, rungs: [1]}", "`halving.figure` codes_used: simclr has no codes"},
        {"{figure: rankme, rungs: [2, 1]}", "`halving.rungs` rise: 1 does not lie above 2"},
        {"{figure: rankme, rungs: [1.5]}",
         "`halving.rungs` takes epochs (1, 2, …) or shares of train.epochs below 1, not `1.5`"},
        {"{figure: rankme, rungs: []}",
         "`halving.rungs` takes epochs (1, 2, …) or shares of train.epochs below 1, not `[]`"},
        {"{figure: rankme, rungs: [4]}", "`halving.rungs`: 4 is not below train.epochs 4"},
        {"{figure: rankme, rungs: [0.5, 2]}", "`halving.rungs`: 0.5 and 2 are both epoch 2 of 4"},
        {"{figure: rankme, rungs: [1], keep: 1}",
         "`halving.keep` takes the share of settings that go on, above 0 and below 1, not `1`"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[512];
        write_spec("bad", "", bad[i].halving);
        snprintf(line, sizeof line, "bad.yaml:9: %s", bad[i].line);
        refused("sweep bad.yaml", line);
    }
    write_spec("bad", "", "{figure: rankme, rung: [1]}");
    refused("sweep bad.yaml", "unknown key `halving.rung` in bad.yaml:9; did you mean `rungs`?");
    write_spec("bad", "", "{figure: rankme, rungs: [1]}");
    refused("sweep bad.yaml --set halving.keep=2", "--set halving.keep=2: `halving.keep` takes the share of settings "
                                                   "that go on, above 0 and below 1, not `2`");
    refused("sweep bad.yaml --set halving=on",
            "--set halving=on: `halving` takes `off`; `halving.rungs=[1, 2]` changes a key of it");
    write_spec("bad", "", NULL);
    refused("sweep bad.yaml --set halving=off", "--set halving=off: the spec has no `halving:`");
}
END_TEST

START_TEST(test_halving_is_in_no_runs_id) {
    expect("sweep search.yaml --out none -n --json", 0);
    shell("grep -o '\"id\": *\"[^\"]*\"' out >with.txt; sed '/^halving/d' search.yaml >plain.yaml");
    expect("sweep plain.yaml --out none -n --json", 0);
    shell("grep -o '\"id\": *\"[^\"]*\"' out >without.txt; test -s with.txt && cmp with.txt without.txt");
}
END_TEST

Suite *suite_halving(void) {
    Suite *s = suite_create("halving");
    TCase *t = tcase_create("halving");
    tcase_set_timeout(t, 600);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_the_best_of_each_method_go_on_and_end_as_if_alone, 0, 2);
    tcase_add_test(t, test_what_was_stopped_goes_on_when_nothing_is_halved);
    tcase_add_test(t, test_seeds_of_a_setting_are_judged_by_their_mean);
    tcase_add_test(t, test_a_sweep_that_was_killed_decides_the_same);
    tcase_add_test(t, test_two_sweeps_at_once_decide_the_same);
    tcase_add_test(t, test_collapsed_settings_lose_and_the_first_of_equals_go_on);
    tcase_add_test(t, test_unlike_numbers_of_seeds_count_by_their_mean_within_a_block);
    tcase_add_test(t, test_a_setting_loses_that_fails_with_one_seed);
    tcase_add_test(t, test_what_a_plan_says_of_rungs_and_of_what_is_saved);
    tcase_add_test(t, test_a_page_tells_what_was_stopped_and_why);
    tcase_add_test(t, test_halvings_that_make_no_sense_are_refused);
    tcase_add_test(t, test_halving_is_in_no_runs_id);
    suite_add_tcase(s, t);
    return s;
}
