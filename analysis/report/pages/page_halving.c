/*
 * Runs that a sweep stopped at a rung (experiments/sweep/halving.h): which, where, and by what they were judged.
 */
#include "analysis/report/pages/page.h"

#include <string.h>

static void write_cell(FILE *out, const char *text) {
    fputs("<td>", out);
    page_text(out, text);
    fputs("</td>", out);
}

static void write_whole(FILE *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        fprintf(out, "<td>%lld</td>", (long long)json_integer_value(value));
    else
        fputs("<td>–</td>", out);
}

/* "4.21, place 5 of 8", or why it lost whatever its figure. */
static void write_judgement(FILE *out, const json_t *halved) {
    const char *lost = json_string_value(json_object_get(halved, "lost"));
    if (lost) {
        write_cell(out, lost);
        return;
    }
    fprintf(out, "<td>%.4g, place %lld of %lld</td>", json_number_value(json_object_get(halved, "value")),
            (long long)json_integer_value(json_object_get(halved, "place")),
            (long long)json_integer_value(json_object_get(halved, "settings")));
}

void page_halving(FILE *out, const study *s) {
    if (!s->halved) return;
    fputs("<h2 id=\"halving\">Stopped early</h2>\n<p>After some epochs, the rungs, the sweep compared the settings of a "
          "method and went on with the best of them. What it stopped is not in the tables and figures above, so these "
          "show a selection: settings that did well early, by the figure named here. Of several seeds it is the mean."
          "</p>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">run</th><th scope=\"col\">rung</th><th "
          "scope=\"col\">epoch</th><th scope=\"col\">judged by</th><th scope=\"col\">result</th><th "
          "scope=\"col\">settings that went on</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < s->records.count; i++) {
        const record *r = &s->records.items[i];
        if (!r->halved) continue;
        const char *figure = json_string_value(json_object_get(r->halved, "figure"));
        fputs("<tr>", out);
        write_cell(out, r->id);
        write_whole(out, r->halved, "rung");
        write_whole(out, r->halved, "epoch");
        write_cell(out, figure ? figure : "–");
        write_judgement(out, r->halved);
        write_whole(out, r->halved, "go_on");
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}
