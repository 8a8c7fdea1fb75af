/*
 * Each kind of page as a browser sees it, where there is one (Debian's chromium; without it this suite says so and
 * passes): every figure has a size, also in what is folded, nothing is asked of the network, the console stays silent,
 * a phone's width holds the page, and paper takes few sheets of it. A script is appended to a copy of the page to look
 * at it from inside; the page itself has none.
 */
#include "analysis/files/npy.h"
#include "engine/files/file.h"
#include "engine/rng.h"
#include "tests/experiments/program.h"

#include <jansson.h>

static const char probe[] =
    "<pre id=\"probe\"></pre><script>addEventListener('load',()=>{const r={},all=[...document.querySelectorAll("
    "'svg:not(.key)')],drawn=e=>[...e.querySelectorAll('path,use,image,rect')].some(c=>{const "
    "b=c.getBoundingClientRect();return b.width+b.height>0}),big=e=>{const b=e.getBoundingClientRect();return "
    "b.width>60&&b.height>20},count=q=>document.querySelectorAll(q).length;"
    "r.screens=Math.ceil(document.body.scrollHeight/900);r.wide=document.documentElement.scrollWidth;"
    "r.first=count('.matrix td.healthy,.matrix td.warning,.matrix td.collapsed,.matrix td.unknown');"
    "r.top=[...document.querySelectorAll('.matrix,figure[data-name=overview]')].map(e=>e.getBoundingClientRect().top)."
    "filter(y=>y<900).length;document.querySelectorAll('details').forEach(d=>d.open=true);"
    "r.fonts=new Set([...document.querySelectorAll('.panels svg "
    "g[font-size]')].map(e=>e.getAttribute('font-size'))).size;"
    "r.svgs=all.length;r.figures=count('figure');r.links=count('nav a');"
    "r.dead=[...document.querySelectorAll('nav a')].filter(e=>!document.querySelector(e.getAttribute('href'))).length;"
    "r.drawn=all.filter(e=>big(e)&&drawn(e)).length;r.images=count('svg image');"
    "r.requests=performance.getEntriesByType('resource').filter(e=>!/^(data:|file:)/.test(e.name)).length;"
    "r.outside=[...document.querySelectorAll('[src],link[href]')].filter(e=>/^(https?:)?\\/\\//"
    ".test(e.getAttribute('src')||e.getAttribute('href'))).length;"
    "const frame=document.createElement('iframe');frame.style='width:390px;height:800px';frame.src='page.html';"
    "frame.onload=()=>{r.phone=frame.contentDocument.documentElement.scrollWidth;frame.remove();document."
    "getElementById('probe').textContent=JSON.stringify(r)};document.body.append(frame)})</script>\n";

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

#define CHROMIUM                                                                                                       \
    "HOME=$PWD timeout 100 chromium --no-sandbox --headless --disable-gpu --allow-file-access-from-files "             \
    "--no-first-run "                                                                                                  \
    "--user-data-dir=$PWD/profile "                                                                                    \
    "--host-resolver-rules='MAP * ~NOTFOUND' "

/* Opens page.html and takes what the probe saw; anything on the console fails. */
static json_t *look(void) {
    FILE *copy = NULL;
    char path[160];
    shell("cp page.html seen.html");
    snprintf(path, sizeof path, "%s/seen.html", folder);
    ck_assert_ptr_nonnull(copy = fopen(path, "a"));
    fputs(probe, copy);
    fclose(copy);
    shell(CHROMIUM "--enable-logging=stderr --window-size=1440,900 --virtual-time-budget=4000 --dump-dom "
                   "\"file://$PWD/seen.html\" >dom 2>console");
    shell("! grep CONSOLE console");
    shell("sed -n 's/.*<pre id=\"probe\">\\(.*\\)<\\/pre>.*/\\1/p' dom | sed 's/&gt;/>/g' >seen");
    snprintf(path, sizeof path, "%s/seen", folder);
    json_t *seen = json_load_file(path, 0, NULL);
    ck_assert_msg(seen != NULL, "the page did not load");
    return seen;
}

/* Sheets of paper that page.html takes. */
static int sheets(void) {
    char text[32];
    shell(CHROMIUM "--print-to-pdf=page.pdf \"file://$PWD/page.html\" >dom 2>console");
    shell("grep -ac '/Type */Page$' page.pdf >sheets || grep -aoE '/Type ?/Page[^s]' page.pdf | wc -l >sheets");
    read_start("sheets", text, sizeof text);
    return atoi(text);
}

static int number(const json_t *seen, const char *key) { return (int)json_integer_value(json_object_get(seen, key)); }

/* Every figure has a size, one size of text, nothing is asked of the network, and a phone's width holds the page. */
static void check(const json_t *seen, int svgs, int images) {
    ck_assert_int_eq(number(seen, "svgs"), svgs);
    ck_assert_int_eq(number(seen, "drawn"), svgs);
    ck_assert_int_eq(number(seen, "images"), images);
    ck_assert_int_eq(number(seen, "fonts"), 1);
    ck_assert_int_eq(number(seen, "requests"), 0);
    ck_assert_int_eq(number(seen, "outside"), 0);
    ck_assert_int_eq(number(seen, "dead"), 0);
    ck_assert_int_le(number(seen, "wide"), 1440);
    ck_assert_int_le(number(seen, "phone"), 390);
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
    json_t *seen = look();
    check(seen, 4 + 2 + 2 + 3 + 2 + 2, 3); /* gauges; spectra, maps, heat maps, codes and clusters, mixtures */
    json_decref(seen);
}
END_TEST

START_TEST(test_a_page_of_several_files_draws_everything_and_asks_for_nothing) {
    if (!have_chromium()) return;
    write_noise("a.npy", 400, 24);
    write_noise("b.npy", 300, 16);
    ck_assert_int_eq(mews("diagnose a.npy b.npy --html page.html")->code, 0);
    json_t *seen = look();
    check(seen, 2 * 3 + 2 + 2 + 4 + 1 + 3, 4);
    json_decref(seen);
}
END_TEST

/* Two methods over two sizes each: verdicts and the overview are on the first screen. */
START_TEST(test_a_sweeps_page_begins_with_its_verdicts) {
    if (!have_chromium()) return;
    shell("printf 'name: toy\\ndata: {name: shapes, limit: 256}\\nbackbone: {name: resnet8, width: 4}\\n"
          "train: {epochs: 1, batch: 64}\\noptimizer: {name: adam, lr: 0.001}\\n"
          "eval: [linear, knn, kmeans, prototypes, collapse]\\nsweeps:\\n"
          "  falcon: {method: {name: falcon, features: 16}, sweep: {method.codes: [8, 32]}}\\n"
          "  vicreg: {method: {name: vicreg, hidden: 32}, sweep: {method.features: [16, 32]}}\\n' >toy.yaml");
    ck_assert_int_eq(mews("sweep toy.yaml")->code, 0);
    ck_assert_int_eq(mews("report results/toy --html page.html")->code, 0);
    json_t *seen = look();
    /* overview 2 × 2, quality 1 + 2, rank 2, spectra 4, codes 2, losses; heat maps 2 a series of each of three kinds */
    check(seen, number(seen, "svgs"), 4 + 4 + 2);
    ck_assert_int_ge(number(seen, "svgs"), 4 + 3 + 2 + 4 + 2 + 2 + 10);
    ck_assert_int_eq(number(seen, "figures"), 9);
    ck_assert_int_eq(number(seen, "first"), 4 * 4);
    ck_assert_int_eq(number(seen, "top"), 2);
    ck_assert_int_ge(number(seen, "links"), 8);
    ck_assert_int_le(number(seen, "screens"), 4);
    ck_assert_int_ge(sheets(), 1);
    ck_assert_int_le(sheets(), 5);
    json_decref(seen);
}
END_TEST

START_TEST(test_a_runs_page_shows_its_accuracies) {
    if (!have_chromium()) return;
    shell("printf 'name: one\\ndata: {name: shapes, limit: 256}\\nbackbone: {name: resnet8, width: 4}\\n"
          "train: {epochs: 2, batch: 64}\\nmethod: {name: falcon, features: 16, codes: 32}\\n"
          "optimizer: {name: adam, lr: 0.001}\\neval: [linear, knn, kmeans, prototypes, collapse]\\n' >one.yaml");
    ck_assert_int_eq(mews("train one.yaml --out run")->code, 0);
    ck_assert_int_eq(mews("diagnose run/one/* --html page.html")->code, 0);
    json_t *seen = look();
    check(seen, number(seen, "svgs"), 3);
    json_decref(seen);
    shell("grep -q 'linear accuracy' page.html && grep -q 'kNN accuracy' page.html");
    ck_assert_int_eq(mews("report run/one/* --html page.html")->code, 0);
    seen = look();
    check(seen, number(seen, "svgs"), 3);
    ck_assert_int_eq(number(seen, "first"), 4);
    json_decref(seen);
}
END_TEST

Suite *suite_browser(void) {
    Suite *s = suite_create("browser");
    TCase *t = tcase_create("chromium");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, program_setup, program_teardown);
    tcase_add_test(t, test_a_page_of_one_file_draws_everything_and_asks_for_nothing);
    tcase_add_test(t, test_a_page_of_several_files_draws_everything_and_asks_for_nothing);
    tcase_add_test(t, test_a_sweeps_page_begins_with_its_verdicts);
    tcase_add_test(t, test_a_runs_page_shows_its_accuracies);
    suite_add_tcase(s, t);
    return s;
}
