/*
 * A call fails, the k-th of its kind: an allocation, a write, an fsync, a rename, a read, an open, a thread. The
 * program neither crashes nor hangs, leaves nothing half-written, says in a line what failed, and when it is run again,
 * ends like an undisturbed life. MEWS_FAULTS=N tries N places of each kind in each command, MEWS_FAULTS=0 every one,
 * MEWS_FAULTS=ways the first call on every way to it (tests/faults/faults.c) and, where there are more, another.
 * MEWS_SCENES=train,runs tries these commands alone, MEWS_SHARE=5 takes five of a hundred ways, MEWS_BEYOND=sweep those
 * alone that a sweep does not go as well.
 */
#include "tests/experiments/harness.h"

static const char *const calls[] = {"alloc", "write", "sync", "rename", "read", "open", "thread"};
enum { CALLS = sizeof calls / sizeof *calls };

typedef struct scene {
    const char *name, *start, *words;
    bool (*right)(void);
} scene;

static bool right_train(void) { return same_run("state/results/toy/*", "whole/results/toy/*"); }
static bool right_eval(void) { return same_run("state/results/toy/*", "whole/evaluated/toy/*"); }
static bool right_import(void) { return try("cmp state/cache/shapes* whole/cache/shapes*") == 0; }
/* The file also names where the images came from and when; what is printed holds the checksum of their pixels. */
static bool right_images(void) { return try("cmp state/out whole/packed && test -s whole/packed") == 0; }
static bool right_diagnose(void) { return try("cmp state/out whole/diagnosed") == 0; }

static bool right_layers(void) { return try("cmp state/out whole/layers") == 0; }
static bool right_tokens(void) { return try("cmp state/out whole/tokens") == 0; }

static bool right_long(void) { return same_run("state/results/toy/*", "long/results/toy/*"); }
static bool right_runs(void) { return try("cmp state/out whole/listed") == 0; }

static bool right_sweep(void) {
    return same_run("state/results/two/*seed-0*", "whole/results/two/*seed-0*") &&
           same_run("state/results/two/*seed-1*", "whole/results/two/*seed-1*");
}

static const scene scenes[] = {
    {"train", "cp -r ../whole/cache .", "train toy.yaml", right_train},
    {"eval", "cp -r ../whole/cache ../whole/results .", "eval results/toy/* --set eval.sample=33", right_eval},
    {"import", "true", "data verify toy.yaml", right_import},
    {"images", "cp -r ../whole/images .", "data import images --kind folder --out cache", right_images},
    {"diagnose", "cp -r ../whole/cache ../whole/results .", "diagnose results/toy/*", right_diagnose},
    {"layers", "cp -r ../whole/cache ../whole/results .", "diagnose results/toy/* --layers --json", right_layers},
    {"tokens", "cp -r ../whole/cache ../whole/results .", "diagnose results/vit/* --layers --json", right_tokens},
    {"sweep", "cp -r ../whole/cache .", "sweep two.yaml", right_sweep},
    {"going on", "cp -r ../cut/. .", "train toy.yaml", right_long},
    {"runs", "cp -r ../whole/results .", "runs --json", right_runs},
    {"index", "cp -r ../whole/results . && rm results/runs.db", "index", same_index},
    {"report", "cp -r ../whole/results . && rm -rf results/two/figures results/two/index.html", "report results/two",
     same_report},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static char faulty[1200];

static void setup(void) {
    char command[2600];
    program_setup();
    snprintf(faulty, sizeof faulty, "%s-faults", program);
    ck_assert_msg(access(faulty, X_OK) == 0, "%s is not there", faulty);
    write_toys();
    shell("sed 's/name: toy/name: vit/; s/resnet8, width: 2/vit_tiny, width: 64, depth: 1, patch: 4/; s/epochs: "
          "3/epochs: 1/' "
          "toy.yaml >vit.yaml");
    snprintf(
        command, sizeof command,
        "mkdir whole && cd whole && for i in train/a train/b test/a test/b; do mkdir -p images/$i; for k in 1 2 3; do "
        "{ printf 'P6\\n16 16\\n255\\n'; seq 999 | head -c 768; } >images/$i/$k.ppm; done; done && cp ../*.yaml . && "
        "m='%s' && $m train toy.yaml && $m sweep two.yaml && $m train vit.yaml && "
        "$m diagnose results/toy/* --layers --json >layers && $m diagnose results/vit/* --layers --json >tokens && "
        "cp -r results/toy kept && $m diagnose results/toy/* >diagnosed && $m eval results/toy/* --set "
        "eval.sample=33 && mkdir evaluated && mv results/toy evaluated/ && mv kept results/toy && $m index && "
        "$m report results/two && $m runs --json >listed && $m data import images --kind folder --out pack >packed",
        program);
    ck_assert_int_eq(try(command), 0);
    write_cut();
}

static void fresh_state(const scene *s) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf state && mkdir state && cd state && cp ../*.yaml . && %s", s->start);
    ck_assert_int_eq(try(command), 0);
}

/* How often each kind of call is made. */
static void count_calls(const scene *s, long counts[CALLS]) {
    char command[2600], path[160], name[32];
    long number;
    fresh_state(s);
    snprintf(command, sizeof command, "cd state && MEWS_FAULT_COUNTS=counts '%s' %s >out 2>err", faulty, s->words);
    ck_assert_msg(try(command) == 0 && s->right(), "%s does not even work undisturbed", s->name);
    snprintf(path, sizeof path, "%s/state/counts", folder);
    FILE *file = fopen(path, "r");
    memset(counts, 0, CALLS * sizeof *counts);
    while (file && fscanf(file, "%31s %ld", name, &number) == 2)
        for (int c = 0; c < CALLS; c++)
            if (strcmp(calls[c], name) == 0 && number > counts[c]) counts[c] = number; /* of a sweep: the most of one */
    if (file) fclose(file);
}

/* What fails is a call by its number, or by its way and the number there: `alloc:17`, `alloc:@3f2a:2`. */
static int fail_once(const scene *s, const char *what) {
    char command[2600], said[4096];
    fresh_state(s);
    snprintf(command, sizeof command, "cd state && MEWS_FAULT=%s timeout -s KILL 120 '%s' %s >out 2>err", what, faulty,
             s->words);
    int code = try(command);
    read_start("state/err", said, sizeof said);
    hold(code < 3 || code == 130, "%s, %s: %s (code %d): %s", s->name, what, code == 137 ? "hung" : "crashed", code,
         said);
    hold(code == 0 || strstr(said, "mews: "), "%s, %s: code %d without a word", s->name, what, code);
    /* a run that cannot be read is left out, and told */
    hold(code != 0 || s->right() || try("grep -q unreadable state/out || grep -q '^cannot read' state/err") == 0,
         "%s, %s: ends well with other results: %s", s->name, what, said);
    hold(try("grep -q 'Sanitizer\\|runtime error' state/err") != 0, "%s, %s: %s", s->name, what, said);
    /* JSON without room ends the program as a kill does: what that leaves, the next one takes away */
    static const char halves[] = "! find state -name '*.tmp-*' -not -path '*/lease.tmp*' | grep .";
    hold(strstr(said, "JSON needs") || try(halves) == 0, "%s, %s: half a file stays: %s", s->name, what, said);
    snprintf(command, sizeof command, "cd state && timeout 120 '%s' %s >out 2>err", program, s->words);
    int again = try(command);
    read_start("state/err", said, sizeof said);
    hold(again == 0, "%s after %s: code %d: %s", s->name, what, again, said);
    hold(again != 0 || s->right(), "%s after %s: another end", s->name, what);
    hold(again != 0 || try(halves) == 0, "%s after %s: half a file stays", s->name, what);
    return code;
}

typedef struct tally {
    long tried, refused;
} tally;

static void fail_at(const scene *s, const char *what, tally *of) {
    of->tried++;
    of->refused += fail_once(s, what) != 0;
}

/* Writes ../NAME: class, number and how often it was gone, of every way of a command that is left alone. A sweep's
 * processes write one behind the other: of a way in two of them the longest life counts.
 */
static void list_ways(const scene *s, const char *name) {
    char command[2600];
    fresh_state(s);
    snprintf(command, sizeof command,
             "cd state && MEWS_FAULT_WAYS=ways '%s' %s >out 2>err && sort -k1,2 -k3,3nr ways | awk '$1 $2 != last; "
             "{last = $1 $2}' >../%s",
             faulty, s->words, name);
    ck_assert_msg(try(command) == 0, "%s does not even work undisturbed", s->name);
}

/* Takes from `ways` what another command goes as well. */
static void leave_beyond(const char *other) {
    for (int i = 0; i < SCENES; i++)
        if (strcmp(scenes[i].name, other) == 0) {
            list_ways(&scenes[i], "known");
            ck_assert_int_eq(try("awk 'NR == FNR { known[$1 $2]; next } !($1 $2 in known)' known ways >beyond && "
                                 "mv beyond ways"),
                             0);
            return;
        }
    ck_abort_msg("MEWS_BEYOND=%s: there is no such command", other);
}

/* Every way to a call of a class, or of every class (NULL): the first time it is gone, and one of the others. */
static void fail_ways(const scene *s, dice *d, const char *only, tally of[CALLS]) {
    char path[160], name[32], what[64];
    unsigned way, share = (unsigned)trials("MEWS_SHARE", 100);
    long gone;
    list_ways(s, "ways");
    if (getenv("MEWS_BEYOND")) leave_beyond(getenv("MEWS_BEYOND"));
    snprintf(path, sizeof path, "%s/ways", folder);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fscanf(file, "%31s %x %ld", name, &way, &gone) == 3) {
        bool chosen = (!only || strcmp(only, name) == 0) && roll(d, 100) < share;
        for (int c = 0; chosen && c < CALLS; c++) {
            if (strcmp(calls[c], name) != 0) continue;
            snprintf(what, sizeof what, "%s:@%x:1", name, way);
            fail_at(s, what, &of[c]);
            if (gone < 2) continue;
            snprintf(what, sizeof what, "%s:@%x:%ld", name, way, 2 + (long)roll(d, (unsigned)(gone - 1)));
            fail_at(s, what, &of[c]);
        }
    }
    fclose(file);
}

START_TEST(test_a_call_that_fails_is_told_of_and_does_no_harm) {
    const scene *s = &scenes[_i];
    const char *given = getenv("MEWS_FAULTS");
    if (!is_chosen(s->name)) return;
    long places = given ? atol(given) : 1, counts[CALLS];
    char what[64];
    tally of[CALLS] = {0};
    dice d = dice_of("MEWS_SEED");
    count_calls(s, counts);
    if (given && strcmp(given, "ways") == 0) {
        fail_ways(s, &d, NULL, of);
    } else
        for (int c = 0; c < CALLS; c++)
            for (long i = 0; i < (places ? places : counts[c]) && i < counts[c]; i++) {
                snprintf(what, sizeof what, "%s:%ld", calls[c],
                         places ? 1 + (long)roll(&d, (unsigned)counts[c]) : i + 1);
                fail_at(s, what, &of[c]);
            }
    printf("faults: %s: calls that failed, of these ended it with a line, of all calls:", s->name);
    for (int c = 0; c < CALLS; c++)
        printf("%s %s %ld, %ld, %ld", c ? ";" : "", calls[c], of[c].tried, of[c].refused, counts[c]);
    printf("\n");
    fflush(stdout); /* a check that fails ends without it */
    ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(test_no_image_is_left_out_where_memory_runs_out) {
    tally of[CALLS] = {0};
    dice d = dice_of("MEWS_SEED");
    const scene *s = scenes;
    if (getenv("MEWS_SCENES")) return;
    while (strcmp(s->name, "images") != 0) s++;
    fail_ways(s, &d, "alloc", of);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(of[0].refused, 0);
}
END_TEST

Suite *suite_faults(void) {
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");
    tcase_set_timeout(t, 7200);
    tcase_add_unchecked_fixture(t, setup, program_teardown);
    tcase_add_loop_test(t, test_a_call_that_fails_is_told_of_and_does_no_harm, 0, SCENES);
    tcase_add_test(t, test_no_image_is_left_out_where_memory_runs_out);
    suite_add_tcase(s, t);
    return s;
}
