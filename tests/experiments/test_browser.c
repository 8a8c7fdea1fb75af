/*
 * The pages as a browser sees them, where there is one (Debian's chromium; without it this suite says so and passes):
 * every figure has a size, nothing is asked of the network, the console stays silent, a phone's width holds the page.
 * A script is appended to a copy of the page to look at it from inside; the page itself has none.
 */
#include "analysis/files/npy.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static const char probe[] =
    "<pre id=\"probe\"></pre><script>addEventListener('load',()=>{const r={},all=[...document.querySelectorAll('svg')],"
    "drawn=e=>[...e.querySelectorAll('path,use,image,rect')].some(c=>{const b=c.getBoundingClientRect();return "
    "b.width+b.height>0}),big=e=>{const b=e.getBoundingClientRect();return b.width>60&&b.height>20};"
    "document.querySelectorAll('details').forEach(d=>d.open=true);r.svgs=all.length;"
    "r.drawn=all.filter(e=>big(e)&&drawn(e)).length;r.images=document.querySelectorAll('svg image').length;"
    "r.requests=performance.getEntriesByType('resource').filter(e=>!e.name.startsWith('data:')).length;"
    "r.links=[...document.querySelectorAll('[src],link[href]')].filter(e=>/^(https?:)?\\/\\//"
    ".test(e.getAttribute('src')||e.getAttribute('href'))).length;r.dark=matchMedia('(prefers-color-scheme: "
    "dark)').matches;document.body.style.maxWidth='390px';r.phone=document.body.scrollWidth;"
    "document.getElementById('probe').textContent=JSON.stringify(r)})</script>\n";

static bool have_chromium(void) {
    if (system("command -v chromium >/dev/null 2>&1") == 0) return true;
    fprintf(stderr, "browser: chromium is not installed, so no page was opened\n");
    return false;
}

static void write_noise(const char *name, size_t rows, size_t cols) {
    static float x[400 * 24];
    char path[160];
    error err = {0};
    rng r = rng_stream(2, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < rows * cols; i++) x[i] = (float)rng_normal(&r);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(npy_write(path, NPY_F32, rows, cols, x, &err), "%s", err.text);
}

/* Opens page.html and takes what the probe saw; anything on the console fails. */
static json_t *look(void) {
    FILE *copy = NULL;
    char path[160];
    shell("cp page.html seen.html");
    snprintf(path, sizeof path, "%s/seen.html", folder);
    ck_assert_ptr_nonnull(copy = fopen(path, "a"));
    fputs(probe, copy);
    fclose(copy);
    shell("HOME=$PWD timeout 100 chromium --no-sandbox --headless --disable-gpu --no-first-run "
          "--user-data-dir=$PWD/profile "
          "--host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --virtual-time-budget=4000 --dump-dom "
          "\"file://$PWD/seen.html\" >dom 2>console");
    shell("! grep CONSOLE console");
    shell("sed -n 's/.*<pre id=\"probe\">\\(.*\\)<\\/pre>.*/\\1/p' dom | sed 's/&gt;/>/g' >seen");
    snprintf(path, sizeof path, "%s/seen", folder);
    json_t *seen = json_load_file(path, 0, NULL);
    ck_assert_msg(seen != NULL, "the page did not load");
    return seen;
}

static int number(const json_t *seen, const char *key) { return (int)json_integer_value(json_object_get(seen, key)); }

/* svgs: gauges of verdicts that could be given, and panels. */
static void check(int svgs, int images) {
    json_t *seen = look();
    ck_assert_int_eq(number(seen, "svgs"), svgs);
    ck_assert_int_eq(number(seen, "drawn"), svgs);
    ck_assert_int_eq(number(seen, "images"), images);
    ck_assert_int_eq(number(seen, "requests"), 0);
    ck_assert_int_eq(number(seen, "links"), 0);
    ck_assert_int_le(number(seen, "phone"), 390);
    json_decref(seen);
}

START_TEST(test_a_page_of_one_file_draws_everything_and_asks_for_nothing) {
    if (!have_chromium()) return;
    int32_t labels[400];
    char path[160];
    error err = {0};
    for (int i = 0; i < 400; i++) labels[i] = i % 5;
    snprintf(path, sizeof path, "%s/labels.npy", folder);
    ck_assert(npy_write(path, NPY_I32, 400, 0, labels, &err));
    write_noise("a.npy", 400, 24);
    ck_assert_int_eq(mews("diagnose a.npy --labels labels.npy --assignments labels.npy --html page.html")->code, 0);
    check(4 + 2 + 2 + 3 + 2 + 2, 3); /* gauges; spectra, maps, heat maps, codes and clusters, mixtures */
}
END_TEST

START_TEST(test_a_page_of_several_files_draws_everything_and_asks_for_nothing) {
    if (!have_chromium()) return;
    write_noise("a.npy", 400, 24);
    write_noise("b.npy", 300, 16);
    ck_assert_int_eq(mews("diagnose a.npy b.npy --html page.html")->code, 0);
    check(2 * 3 + 2 + 2 + 4 + 1 + 3, 4);
}
END_TEST

Suite *suite_browser(void) {
    Suite *s = suite_create("browser");
    TCase *t = tcase_create("chromium");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_a_page_of_one_file_draws_everything_and_asks_for_nothing);
    tcase_add_test(t, test_a_page_of_several_files_draws_everything_and_asks_for_nothing);
    suite_add_tcase(s, t);
    return s;
}
