/*
 * What the paper claims of FALCON over the number of codes, held against a series. The claims are Sansone, Lebailly and
 * Tuytelaars' (arXiv 2410.04959, theorems and figures on the number of codes); the comparison follows trend.h's rules
 * and takes AMI where the paper takes NMI.
 */
#include "analysis/report/study/words.h"

#include <string.h>

static const struct claim {
    const char *axis, *metric;
    trend_shape expected;
    const char *says; /* after "The paper says that" */
} claims[] = {
    {"method.codes", "rankme", TREND_RISES, "the embeddings' rank grows with the number of codes"},
    {"method.codes", "correlation_off_diagonal", TREND_FALLS, "features decorrelate as the number of codes grows"},
    {"method.codes", "prototype_ami", TREND_RISES,
     "clustering improves with the number of codes (it measures NMI, which chance raises too; AMI is compared here)"},
    {"method.codes", "linear", TREND_RISES, "linear accuracy improves with the number of codes"},
};

static bool add_scale(const scene *at) {
    char epochs[64], backbone[64], data[64];
    words w = {""};
    const record *r = at->series->points[0].records[0];
    record_text(r, "train.epochs", epochs, sizeof epochs);
    record_text(r, "backbone.name", backbone, sizeof backbone);
    record_text(r, "data.name", data, sizeof data);
    if (!*epochs || !*backbone || !*data) return true;
    words_say(&w,
              "The scale here: %s epoch%s of %s on %s. Where the paper trains longer, or on other data, a difference "
              "may come "
              "from that.",
              epochs, strcmp(epochs, "1") == 0 ? "" : "s", backbone, data);
    return words_add(at, true, &w);
}

bool findings_add_claims(const scene *at) {
    bool any = false;
    if (strncmp(at->block->methods, "falcon", 6) != 0) return true;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        const struct claim *claim = &claims[i];
        words w = {""};
        trend t = trend_measure(at->series, claim->metric);
        if (strcmp(at->block->axis, claim->axis) != 0 || t.shape == TREND_UNKNOWN) continue;
        words_say(&w, "The paper says that %s. ", claim->says);
        if (!t.tested)
            words_say(&w, "These runs do not test it (%zu seed%s a setting)%s: ", t.seeds, t.seeds == 1 ? "" : "s",
                      t.shape == claim->expected        ? "; what they did points the same way"
                      : t.shape == TREND_NONE || t.turn ? ""
                                                        : "; what they did points the other way");
        else if (t.shape == claim->expected)
            words_say(&w, "These runs agree: ");
        else if (t.shape == TREND_NONE)
            words_say(&w, "These runs do not show it: ");
        else if (t.turn)
            words_say(&w, "These runs agree only in part: ");
        else
            words_say(&w, "These runs show otherwise: ");
        words_say(&w, "%s ", study_metric_title(claim->metric));
        words_trend(&w, at, claim->metric, &t);
        words_say(&w, ".");
        if (!words_add(at, true, &w)) return false;
        any = true;
    }
    return !any || add_scale(at);
}
