/* The index of runs: it says what the directories say, whoever writes at once and whatever dies in between. */
#include "engine/files/file.h"
#include "experiments/store/filter.h"
#include "experiments/store/store.h"
#include "experiments/store/store_pages.h"
#include "tests/experiments/index_dump.h"
#include "tests/experiments/program.h"

#include <pty.h>
#include <signal.h>

static void write_file(const char *name, const char *text) {
    char path[256], *slash;
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert(file_make_folders(path, &err));
    *slash = '/';
    ck_assert_msg(file_write(path, text, strlen(text), &err), "%s", err.text);
}

static void write_run(int i, const char *status, int codes, double linear) {
    char name[64], text[512];
    snprintf(name, sizeof name, "results/sweep/sweep_seed-%d/run.json", i);
    snprintf(text, sizeof text,
             "{\"id\": \"sweep_seed-%d\", \"name\": \"sweep\", \"status\": \"%s\", \"method\": \"falcon\", "
             "\"swept\": {\"train.seed\": %d}, \"spec\": {\"method.codes\": %d, \"train.seed\": %d, "
             "\"eval.metrics\": [\"linear\", \"knn\"]}, \"final\": {\"linear\": %g, \"prototype_ari\": null}}",
             i, status, i, codes, i, linear);
    write_file(name, text);
}

static const char *results(void) {
    static char path[96];
    snprintf(path, sizeof path, "%s/results", folder);
    return path;
}

static void note(int i) {
    char path[160];
    error err = {0};
    snprintf(path, sizeof path, "%s/sweep/sweep_seed-%d", results(), i);
    ck_assert_msg(store_note_run(path, true, &err), "%s", err.text);
}

static char *dump(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/runs.db", results());
    return index_dump(path);
}

static void index_equals_a_rebuilt_one(size_t runs) {
    size_t found;
    error err = {0};
    char *grown = dump();
    ck_assert_msg(store_rebuild(results(), &found, &err), "%s", err.text);
    char *built = dump();
    ck_assert_uint_eq(found, runs);
    ck_assert_uint_eq(lines_with(grown, "|sweep/sweep_seed-"), runs);
    ck_assert_str_eq(grown, built);
    free(grown);
    free(built);
}

static void refresh(void) {
    error err = {0};
    store *s = store_open_current(results(), &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    store_close(s);
}

START_TEST(test_a_run_noted_again_stands_once_with_its_last_word) {
    write_run(1, "running", 64, 0);
    note(1);
    write_run(1, "finished", 64, 0.5);
    note(1);
    char *text = dump();
    ck_assert_ptr_nonnull(strstr(text, "|finished|"));
    ck_assert_ptr_null(strstr(text, "|running|"));
    ck_assert_ptr_nonnull(strstr(text, "eval.metrics|"));
    ck_assert_ptr_nonnull(strstr(text, "|[linear, knn]|0|"));
    free(text);
    index_equals_a_rebuilt_one(1);
}
END_TEST

START_TEST(test_a_reader_sees_runs_that_came_changed_or_went_unnoted) {
    for (int i = 0; i < 3; i++) write_run(i, "running", 64, 0);
    note(0);
    refresh();
    write_run(1, "failed", 64, 0);
    shell("rm -r results/sweep/sweep_seed-2");
    write_run(3, "finished", 16, 0.25);
    refresh();
    index_equals_a_rebuilt_one(3);
}
END_TEST

/* A writer of `runs` runs; a directory is there before its line in the index. */
static pid_t start_writer(int first, int runs) {
    pid_t pid = fork();
    if (pid) return pid;
    for (int i = first; i < first + runs; i++) {
        write_run(i, "running", 64, 0);
        note(i);
        write_run(i, "finished", 64, 0.01 * i);
        note(i);
    }
    _exit(0);
}

START_TEST(test_several_writers_at_once_lose_and_double_nothing) {
    pid_t pids[4];
    int status;
    write_run(0, "finished", 64, 0);
    for (int i = 0; i < 4; i++) pids[i] = start_writer(1 + 10 * i, 10);
    for (int i = 0; i < 4; i++) {
        waitpid(pids[i], &status, 0);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    note(0);
    index_equals_a_rebuilt_one(41);
}
END_TEST

START_TEST(test_writers_that_are_killed_leave_an_index_that_mends) {
    write_run(0, "finished", 64, 0);
    pid_t steady = start_writer(100, 20);
    for (int round = 0; round < 5; round++) {
        pid_t pid = start_writer(1, 20);
        usleep(5000 + 7000 * (useconds_t)round);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        refresh();
    }
    waitpid(start_writer(1, 20), NULL, 0);
    waitpid(steady, NULL, 0);
    refresh();
    index_equals_a_rebuilt_one(41);
}
END_TEST

static sqlite3 *open_pages(const char *path) {
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, store_pages_vfs()),
                     SQLITE_OK);
    ck_assert(store_pages_ask(db));
    return db;
}

/* Commits once and is killed in the middle of a second transaction of the same connection, when pages of it stand in
 * the file already. */
static void write_and_die(const char *path) {
    sqlite3 *db = open_pages(path);
    static const char *const lines[] = {
        "CREATE TABLE t (x)",
        "WITH n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<40) INSERT INTO t SELECT zeroblob(3000) FROM n",
        "BEGIN",
        "UPDATE t SET x = randomblob(3000)", /* pages that this connection made, and has not read since */
        "PRAGMA cache_size = 2",             /* from here on, what comes new drives changed pages out into the file */
        "INSERT INTO t SELECT x FROM t",
    };
    bool done = true;
    for (size_t i = 0; done && i < sizeof lines / sizeof *lines; i++)
        done = sqlite3_exec(db, lines[i], NULL, NULL, NULL) == SQLITE_OK;
    if (done) kill(getpid(), SIGKILL);
    _exit(1);
}

/* Whoever opened the file before there was anything in it plays the journal of a killed writer back: it has to know by
   then that pages carry checksums. */
START_TEST(test_who_opened_an_empty_index_restores_what_a_killed_writer_left) {
    char path[128], byte = 0;
    int go[2], status;
    snprintf(path, sizeof path, "%s/results/pages.db", folder);
    write_run(0, "finished", 64, 0.5);
    ck_assert_int_eq(pipe(go), 0);
    pid_t writer = fork();
    if (writer == 0) {
        ck_assert_int_eq(read(go[0], &byte, 1), 1);
        write_and_die(path);
    }
    sqlite3 *early = open_pages(path);
    ck_assert_int_eq(write(go[1], &byte, 1), 1);
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(sqlite3_exec(early, "PRAGMA integrity_check; SELECT sum(length(x)) FROM t", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(early);
    early = open_pages(path); /* nor does anybody after it find a page whose checksum does not hold */
    ck_assert_int_eq(sqlite3_exec(early, "SELECT sum(length(x)) FROM t", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(early);
    close(go[0]), close(go[1]);
}
END_TEST

START_TEST(test_an_index_of_a_newer_program_is_left_alone) {
    write_run(0, "finished", 64, 0.5);
    note(0);
    sqlite3 *db;
    char path[128], line[400];
    snprintf(path, sizeof path, "%s/runs.db", results());
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, store_pages_vfs()), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    snprintf(line, sizeof line,
             "results/runs.db was made by a newer mews (schema 9, this one knows %d); use that one, "
             "or remove the file: `mews index` makes it anew",
             STORE_SCHEMA);
    refused_with(1, "runs", line);
    refused_with(1, "index", line);
}
END_TEST

START_TEST(test_a_damaged_index_is_made_anew) {
    write_run(0, "finished", 64, 0.5);
    write_file("results/runs.db",
               "this is no database, and long enough for its first page to be looked at ............");
    refused_with(1, "runs",
                 "results/runs.db is damaged (file is not a database); `mews index` makes it anew from the "
                 "run directories");
    ck_assert_str_eq(mews("index")->out, "results/runs.db: 1 run\n");
    index_equals_a_rebuilt_one(1);
}
END_TEST

/* Damage that shows only where its page is read, with a journal of the old file beside it. */
START_TEST(test_an_index_that_is_damaged_in_the_middle_is_made_anew) {
    for (int i = 0; i < 40; i++) write_run(i, "finished", 64 + i, 0.5);
    ck_assert_str_eq(mews("index")->out, "results/runs.db: 40 runs\n");
    shell("pages=$(($(wc -c <results/runs.db) / 4096)); test $pages -gt 4; for p in $(seq 1 $((pages - 1))); do "
          "head -c 4096 /dev/zero | tr '\\0' '\\377' | dd of=results/runs.db bs=4096 seek=$p conv=notrunc 2>/dev/null; "
          "done");
    ck_assert_str_eq(mews("index")->out, "results/runs.db: 40 runs\n");
    index_equals_a_rebuilt_one(40);
}
END_TEST

/* What a reader of the index sees: status, a setting and a figure of each run; "" when it is refused as damaged. */
static char *seen_in_index(void) {
    static const char *const keys[] = {"status", "method.codes", "linear"};
    char *text = NULL;
    size_t size, column;
    error err = {0};
    store_runs all = {0};
    FILE *out = open_memstream(&text, &size);
    store *s = store_open_current(results(), &err);
    bool done = s && store_runs_read(s, &all, &err);
    for (int k = 0; done && k < 3; k++) {
        done = store_runs_column(s, &all, keys[k], &column, &err);
        for (size_t i = 0; done && i < all.count; i++)
            fprintf(out, "%s %s\n", all.folders[i], all.columns[column].cells[i].text);
    }
    store_runs_free(&all);
    store_close(s);
    fclose(out);
    if (done) return text;
    ck_assert_msg(strstr(err.text, "is damaged ("), "%s", err.text);
    *text = '\0';
    return text;
}

START_TEST(test_a_bit_that_turns_anywhere_in_the_index_is_told_or_changes_nothing) {
    char path[128];
    size_t size, told = 0, flips = 0;
    error err = {0};
    for (int i = 0; i < 3; i++) write_run(i, "finished", 64 + i, 0.25 * i);
    refresh();
    snprintf(path, sizeof path, "%s/runs.db", results());
    char *whole = file_read(path, &size, &err), *before = seen_in_index();
    ck_assert(*before && size > 4 * 4096);
    for (size_t at = 0; at < size; at += at < 100 ? 1 : 13) {
        whole[at] ^= (char)(1 << at % 8);
        ck_assert(file_write(path, whole, size, &err));
        char *after = seen_in_index();
        ck_assert_msg(!*after || strcmp(after, before) == 0, "byte %zu: without a word, %s", at, after);
        told += !*after, flips++;
        free(after);
        whole[at] ^= (char)(1 << at % 8);
    }
    ck_assert_msg(told > flips / 2, "%zu of %zu told of", told, flips); /* the rest lies in pages that nobody reads */
    free(before);
    free(whole);
}
END_TEST

START_TEST(test_an_index_from_before_checksums_is_made_one_with_them) {
    char path[128];
    sqlite3 *db;
    write_run(0, "finished", 64, 0.5);
    snprintf(path, sizeof path, "%s/runs.db", results());
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "CREATE TABLE runs (x); CREATE TABLE settings (x); CREATE TABLE figures (x); "
                                  "CREATE VIEW overview AS SELECT x FROM runs; INSERT INTO runs VALUES ('old'); "
                                  "PRAGMA application_id = 1835366259; PRAGMA user_version = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    refresh();
    index_equals_a_rebuilt_one(1);
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, store_pages_vfs()), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "SELECT * FROM runs", NULL, NULL, NULL), SQLITE_OK);
    ck_assert(store_pages_carry(db));
    sqlite3_close(db);
}
END_TEST

START_TEST(test_where_nothing_can_be_written_runs_are_listed_all_the_same) {
    write_run(0, "finished", 64, 0.5);
    shell("mkdir results/runs.db");
    ck_assert_str_eq(mews("runs")->out, "id            status    linear\nsweep_seed-0  finished     0.5\n");
}
END_TEST

START_TEST(test_a_record_that_is_damaged_is_still_in_the_index) {
    write_file("results/sweep/sweep_seed-0/run.json", "{\"id\": ");
    ck_assert_ptr_nonnull(strstr(mews("runs")->out, "sweep_seed-0  unreadable"));
    index_equals_a_rebuilt_one(1);
}
END_TEST

/* ---- Conditions ---- */

static void holds_for(const char *condition, const char *expected) {
    error err = {0};
    char seeds[64] = "";
    store_runs all;
    store *s = store_open_current(results(), &err);
    filter *f = filter_parse(condition, &err);
    ck_assert_msg(s && f && store_runs_read(s, &all, &err) && filter_bind(f, s, &all, &err), "%s", err.text);
    for (size_t i = 0; i < all.count; i++)
        if (filter_holds(f, &all, i)) strncat(seeds, strrchr(all.folders[i], '-') + 1, 4);
    ck_assert_msg(strcmp(seeds, expected) == 0, "%s: %s, expected %s", condition, seeds, expected);
    filter_free(f);
    store_runs_free(&all);
    store_close(s);
}

static void some_runs(void) {
    write_run(0, "finished", 64, 0.5);
    write_run(1, "finished", 1024, 0.25);
    write_run(2, "failed", 16384, 0.75);
}

START_TEST(test_conditions_compare_numbers_and_words) {
    some_runs();
    holds_for("method.codes > 1000", "12");
    holds_for("method.codes >= 1.024e3 and status = finished", "1");
    holds_for("status != finished or linear<0.3", "12");
    holds_for("not (status=failed or method.codes=64)", "1");
    holds_for("id = 'sweep_seed-2' or id == \"sweep_seed-0\"", "02");
    holds_for("linear <= 0.5 and linear > 0.25", "0");
    holds_for("name = \"x' OR '1'='1\"", "");
    holds_for("prototype_ari < 100", "");
    holds_for("not prototype_ari < 100", "012");
}
END_TEST

START_TEST(test_conditions_with_slips_get_one_line) {
    some_runs();
    refused("runs --where 'method.code > 3'", "--where: no run has `method.code`; did you mean `method.codes`?");
    refused("runs --where 'codes > 3'", "--where: no run has `codes`; did you mean `method.codes`?");
    refused("runs --sort linar", "--sort: no run has `linar`; did you mean `linear`?");
    refused("runs --where 'linear >'", "--where: expected a value at the end (character 9 of `linear >`)");
    refused("runs --where 'linear > high'", "--where: expected a number at `high` (character 10 of `linear > high`)");
    refused("runs --where 'linear 3'", "--where: expected one of = != < <= > >= at `3` (character 8 of `linear 3`)");
    refused("runs --where \"name; DROP TABLE runs\"",
            "--where: expected one of = != < <= > >= at `DROP TABLE runs` (character 7 of `name; DROP TABLE runs`)");
    refused("runs nowhere", "there is no results folder nowhere");
}
END_TEST

/* ---- Commands ---- */

START_TEST(test_runs_are_listed_sorted_as_text_csv_and_json) {
    some_runs();
    ck_assert_str_eq(
        mews("runs --sort linear --where 'status = finished'")->out,
        "id            status    linear\nsweep_seed-0  finished     0.5\nsweep_seed-1  finished    0.25\n");
    ck_assert_str_eq(mews("runs results/sweep --sort -linear --show method.codes")->out,
                     "id            status    linear  method.codes\nsweep_seed-1  finished    0.25          1024\n"
                     "sweep_seed-0  finished     0.5            64\nsweep_seed-2  failed      0.75         16384\n");
    ck_assert_ptr_nonnull(
        strstr(mews("runs --csv")->out, "sweep_seed-0,finished,sweep/sweep_seed-0,sweep,,falcon,,,0,0.5,"));
    ck_assert_ptr_nonnull(strstr(mews("runs --json")->out,
                                 "\"train.seed\":0,\"linear\":0.5,\"prototype_ari\":null,\"representation\":null"));
}
END_TEST

START_TEST(test_the_best_run_of_each_block_and_any_part_of_an_id_are_found) {
    some_runs();
    ck_assert_str_eq(mews("runs --best linear")->out,
                     "id            status    linear\nsweep_seed-0  finished     0.5\n");
    ck_assert_str_eq(mews("runs --best -linear")->out,
                     "id            status    linear\nsweep_seed-1  finished    0.25\n");
    refused("runs --best linear --sort knn", "--best sorts by its figure; --sort has no place beside it");
    refused("runs --best status", "--best: --best takes a final figure, as in linear, not `status`");
    ck_assert_ptr_nonnull(strstr(mews("compare eed-0 d-1")->out, "A  sweep_seed-0  (finished)\nB  sweep_seed-1"));
    refused("compare seed- seed-1", "3 runs have `seed-` in their ids; give more of it (`mews runs` lists them)");
}
END_TEST

/* COLUMNS stands for a terminal of that width: the id gives way in its middle, the figures stay. */
START_TEST(test_a_table_fits_its_columns) {
    some_runs();
    char command[1400];
    snprintf(command, sizeof command, "cd %s && COLUMNS=48 %s runs --show folder --sort linear >narrow", folder,
             program);
    ck_assert_int_eq(system(command), 0);
    shell("test $(LC_ALL=C.UTF-8 wc -L <narrow) -le 48 && grep -q '…' narrow && grep -q 0.25 narrow");
}
END_TEST

START_TEST(test_removing_needs_a_yes_and_takes_the_run_out_of_the_index) {
    some_runs();
    note(0);
    refused("rm sweep_seed-9", "there is no run `sweep_seed-9` in results; did you mean `sweep_seed-0`?");
    refused("rm sweep", "3 runs have `sweep` in their ids; give more of it (`mews runs` lists them)");
    const said *s = mews("rm sweep_seed-0");
    ck_assert_int_eq(s->code, 2);
    ck_assert_ptr_nonnull(strstr(s->err, "without a terminal it needs --yes"));
    ck_assert_str_eq(mews("rm --yes sweep_seed-0 results/sweep/sweep_seed-2")->out,
                     "removed results/sweep/sweep_seed-0\nremoved results/sweep/sweep_seed-2\n");
    index_equals_a_rebuilt_one(1);
    mews("rm -y sweep_seed-1");
    shell("test ! -e results/sweep");
    ck_assert_str_eq(mews("runs")->out, "no runs\n");
}
END_TEST

/* `mews rm RUN` on a terminal of its own, answered with these words; what it said goes to `out`. Returns its code. */
static int remove_answering(const char *run, const char *answer, char *out, size_t size) {
    int terminal, status;
    size_t used = 0;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (chdir(folder)) _exit(127);
        execl(program, "mews", "rm", run, (char *)NULL);
        _exit(127);
    }
    bool answered = false;
    for (ssize_t got; used + 1 < size && (got = read(terminal, out + used, size - used - 1)) > 0;) {
        used += (size_t)got;
        out[used] = '\0';
        if (answered || !strstr(out, "[y/N] ")) continue;
        ck_assert_int_eq(write(terminal, answer, strlen(answer)), (ssize_t)strlen(answer));
        answered = true;
    }
    ck_assert_msg(answered, "it did not ask: %s", out);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(terminal);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(test_on_a_terminal_only_a_yes_removes) {
    char said[4096] = "";
    some_runs();
    ck_assert_int_eq(remove_answering("sweep_seed-0", "\n", said, sizeof said), 1);
    ck_assert_msg(strstr(said, "results/sweep/sweep_seed-0") && strstr(said, "Remove 1 run with all files? [y/N] ") &&
                      strstr(said, "nothing removed"),
                  "%s", said);
    ck_assert_int_eq(remove_answering("sweep_seed-0", "no\n", said, sizeof said), 1);
    shell("test -e results/sweep/sweep_seed-0/run.json");
    ck_assert_int_eq(remove_answering("sweep_seed-0", "y\n", said, sizeof said), 0);
    ck_assert_msg(strstr(said, "removed results/sweep/sweep_seed-0") != NULL, "%s", said);
    shell("test ! -e results/sweep/sweep_seed-0");
}
END_TEST

START_TEST(test_two_runs_stand_beside_each_other) {
    some_runs();
    write_file("results/sweep/sweep_seed-0/metrics.jsonl", "{\"step\": 1, \"loss\": 3}\n{\"step\": 2, \"loss\": 2}\n");
    write_file("results/sweep/sweep_seed-1/metrics.jsonl",
               "{\"step\": 2, \"loss\": 1.5}\n{\"step\": 3, \"loss\": 1}\n");
    const said *s = mews("compare sweep_seed-0 results/sweep/sweep_seed-1 --json");
    ck_assert_msg(s->code == 0 && strstr(s->out, "\"method.codes\":[64,1024]") != NULL, "%s%s", s->out, s->err);
    ck_assert_ptr_null(strstr(s->out, "eval.metrics")); /* the same in both */
    ck_assert_ptr_nonnull(strstr(s->out, "\"linear\":[0.5,0.25]"));
    ck_assert_ptr_nonnull(strstr(s->out, "\"loss\":[[2.0,2.0,1.5]]"));
    ck_assert_ptr_nonnull(strstr(mews("compare sweep_seed-0 sweep_seed-1")->out, "-0.25"));
    refused("compare sweep_seed-0 sweep_sed-1",
            "there is no run `sweep_sed-1` in results; did you mean `sweep_seed-1`?");
}
END_TEST

Suite *suite_store(void) {
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, program_setup, program_teardown);
    tcase_add_test(tests, test_a_run_noted_again_stands_once_with_its_last_word);
    tcase_add_test(tests, test_a_reader_sees_runs_that_came_changed_or_went_unnoted);
    tcase_add_test(tests, test_several_writers_at_once_lose_and_double_nothing);
    tcase_add_test(tests, test_writers_that_are_killed_leave_an_index_that_mends);
    tcase_add_test(tests, test_who_opened_an_empty_index_restores_what_a_killed_writer_left);
    tcase_add_test(tests, test_an_index_of_a_newer_program_is_left_alone);
    tcase_add_test(tests, test_a_damaged_index_is_made_anew);
    tcase_add_test(tests, test_a_bit_that_turns_anywhere_in_the_index_is_told_or_changes_nothing);
    tcase_add_test(tests, test_an_index_from_before_checksums_is_made_one_with_them);
    tcase_add_test(tests, test_where_nothing_can_be_written_runs_are_listed_all_the_same);
    tcase_add_test(tests, test_an_index_that_is_damaged_in_the_middle_is_made_anew);
    tcase_add_test(tests, test_a_record_that_is_damaged_is_still_in_the_index);
    tcase_add_test(tests, test_conditions_compare_numbers_and_words);
    tcase_add_test(tests, test_conditions_with_slips_get_one_line);
    tcase_add_test(tests, test_runs_are_listed_sorted_as_text_csv_and_json);
    tcase_add_test(tests, test_the_best_run_of_each_block_and_any_part_of_an_id_are_found);
    tcase_add_test(tests, test_a_table_fits_its_columns);
    tcase_add_test(tests, test_removing_needs_a_yes_and_takes_the_run_out_of_the_index);
    tcase_add_test(tests, test_on_a_terminal_only_a_yes_removes);
    tcase_add_test(tests, test_two_runs_stand_beside_each_other);
    suite_add_tcase(suite, tests);
    return suite;
}
