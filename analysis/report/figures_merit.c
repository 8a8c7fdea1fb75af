/*
 * Figures of merit against what was varied: the overview that the page opens with, quality, and rank.
 */
#include "analysis/report/figures.h"

#include <math.h>
#include <string.h>

static bool no_room(error *err) { return error_memory(err, sizeof(plot_panel), "a figure"); }

static bool has_metric(figure_subject subject, const char *metric) {
    for (size_t i = 0; i < subject.series->count; i++)
        if (study_measure(&subject.series->points[i], metric).n) return true;
    return false;
}

/* Of single points tables say it better. */
static bool several_points(const figure_scope *at) {
    bool several = false;
    for (size_t i = 0; i < at->count; i++) several = several || at->series[i].series->count > 1;
    return several;
}

/* What runs along the horizontal axis, in a word or two. */
static const char *axis_of(const study_block *b) {
    return *b->axis_name ? b->axis_name : b->scattered ? "settings" : "";
}

static plot_panel *add_panel(plot *p, figure_subject subject) {
    char name[300];
    plot_panel *panel = plot_add_panel(p, figure_name_series(subject, name, sizeof name), axis_of(subject.block), "");
    if (!panel) return NULL;
    panel->x_log = subject.block->log, panel->shared = true;
    for (size_t i = 0; i < subject.series->count && !subject.block->scattered; i++)
        if (!plot_add_tick(panel, subject.series->points[i].x, subject.series->points[i].label)) return NULL;
    return panel;
}

static bool add_metric(plot_panel *panel, const char *label, figure_subject subject, const char *metric,
                       plot_look look) {
    plot_line *line = plot_add_line(panel, look, label, subject.series->count);
    if (!line) return false;
    line->style = figure_thing_of(metric);
    line->apart = !subject.block->numeric;
    for (size_t i = 0; i < subject.series->count; i++) {
        study_figure figure = study_measure(&subject.series->points[i], metric);
        plot_put(line, subject.series->points[i].x, figure.mean, figure.min, figure.max);
    }
    return true;
}

typedef struct merit {
    const char *metric, *label;
    bool reference;
} merit;

/* A panel a series, with those of these lines that it has; one vertical axis for all. */
static bool add_group(const figure_scope *at, const char *title, const merit *lines, bool zero, plot *p, error *err) {
    if (!plot_begin_group(p, title)) return no_room(err);
    size_t first = p->count;
    for (size_t i = 0; i < at->count; i++) {
        plot_panel *panel = NULL;
        for (const merit *m = lines; m->metric; m++) {
            if (!has_metric(at->series[i], m->metric)) continue;
            if (!panel && !(panel = add_panel(p, at->series[i]))) return no_room(err);
            if (!add_metric(panel, m->label, at->series[i], m->metric, m->reference ? PLOT_REFERENCE : PLOT_NAMED))
                return no_room(err);
            panel->zero = zero;
            panel->least_span = 0.06; /* smaller differences are not to look large */
        }
    }
    figure_share_range(p, first);
    return true;
}

/* ---- overview --------------------------------------------------------------------------------------------------- */

/* Marks on the line of a metric: the worst that was said there of the four collapses. */
static bool add_verdicts(plot_panel *panel, figure_subject subject, const char *metric) {
    for (int v = STUDY_UNKNOWN; v < STUDY_VERDICTS; v++) {
        plot_line *marks = NULL;
        for (size_t i = 0; i < subject.series->count; i++) {
            const study_point *point = &subject.series->points[i];
            double y = study_measure(point, metric).mean;
            if (study_worst_verdict(point) != v || !isfinite(y)) continue;
            if (!marks) marks = plot_add_line(panel, PLOT_VERDICTS, study_verdict_names[v], subject.series->count);
            if (!marks) return false;
            marks->style = v;
            plot_put(marks, point->x, y, y, y);
        }
    }
    return true;
}

static const merit accuracies[] = {{"linear", "linear probe", false}, {"knn", "nearest neighbours", false}, {0}};

bool figure_overview(const figure_scope *at, plot *p, figure *f, error *err) {
    static const char share[] = "rankme_noise_share";
    if (!several_points(at)) return true;
    if (!plot_begin_group(p, "Rank of the embeddings, as a share of what noise has")) return no_room(err);
    for (size_t i = 0; i < at->count; i++) {
        if (!has_metric(at->series[i], share)) continue;
        plot_panel *panel = add_panel(p, at->series[i]);
        if (!panel || !add_metric(panel, "", at->series[i], share, PLOT_NAMED) ||
            !add_verdicts(panel, at->series[i], share))
            return no_room(err);
        panel->lines[0].unmarked = true, panel->zero = true;
    }
    if (p->count > 1 && p->count < (size_t)p->columns) p->columns = (int)p->count; /* accuracies stand below ranks */
    figure_share_range(p, 0);
    snprintf(f->name, sizeof f->name, "overview");
    snprintf(f->title, sizeof f->title, "Rank and accuracy of every setting");
    snprintf(
        f->caption, sizeof f->caption,
        "Rank: RankMe of the embeddings over RankMe of isotropic noise of the same size; a mark is the worst of the "
        "four verdicts. Accuracy: of a linear probe and of nearest neighbours; its axis does not start at 0.");
    return add_group(at, "Accuracy on the test set", accuracies, false, p, err);
}

/* ---- quality ---------------------------------------------------------------------------------------------------- */

bool figure_quality(const figure_scope *at, plot *p, figure *f, error *err) {
    if (!several_points(at)) return true;
    static const merit by_codes[] = {{"prototype_ami", "AMI", false},
                                     {"prototype_nmi", "NMI", false},
                                     {"prototype_nmi_chance", "NMI by chance", true},
                                     {0}};
    static const merit by_kmeans[] = {
        {"kmeans_ami", "AMI", false}, {"kmeans_nmi", "NMI", false}, {"kmeans_nmi_chance", "NMI by chance", true}, {0}};
    snprintf(f->name, sizeof f->name, "quality");
    snprintf(f->title, sizeof f->title, "Classes found without labels");
    snprintf(
        f->caption, sizeof f->caption,
        "Agreement of codes and of k-means clusters with the classes of the test set. NMI grows with "
        "the number of clusters even for labels drawn at random: the dotted line is that chance level, of the same "
        "assignment against permuted labels. AMI takes it away: 0 is chance, 1 is perfect. Compare by AMI.");
    return add_group(at, "By the codes", by_codes, true, p, err) &&
           add_group(at, "By k-means", by_kmeans, true, p, err);
}

/* ---- rank against what bounds it -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The most that the series could score, min(n, d). */
static bool add_limit(plot_panel *panel, figure_subject subject) {
    plot_line *bound = plot_add_line(panel, PLOT_REFERENCE, "most possible, min(n, d)", subject.series->count);
    for (size_t i = 0; bound && i < subject.series->count; i++) {
        const study_point *point = &subject.series->points[i];
        double limit = fmin(study_measure(point, "d").mean, study_measure(point, "n").mean);
        plot_put(bound, point->x, limit, limit, limit);
    }
    return bound != NULL;
}

/* Over codes, the line rank = codes, as far as there are data beside it. */
static bool add_equality(plot_panel *panel, figure_subject subject, double highest) {
    enum { STEPS = 24 }; /* the line is straight only where both axes are logarithmic */
    const char *axis = subject.block->axis;
    if ((!ends_with(axis, "codes") && !ends_with(axis, "prototypes")) || !panel->tick_count) return true;
    double start = panel->ticks[0].at, end = fmin(panel->ticks[panel->tick_count - 1].at, highest);
    if (!(start > 0 && end > start)) return true;
    plot_line *equal = plot_add_line(panel, PLOT_REFERENCE, "", STEPS + 1);
    if (!equal) return false;
    for (int i = 0; i <= STEPS; i++) {
        double codes = start * pow(end / start, (double)i / STEPS);
        plot_put(equal, codes, codes, codes, codes);
    }
    return true;
}

bool figure_rank(const figure_scope *at, plot *p, figure *f, error *err) {
    bool codes = false;
    if (!several_points(at)) return true;
    if (!plot_begin_group(p, "RankMe, directions")) return no_room(err);
    for (size_t i = 0; i < at->count; i++) {
        if (!has_metric(at->series[i], "rankme")) continue;
        plot_panel *panel = add_panel(p, at->series[i]);
        if (!panel || !add_metric(panel, "RankMe", at->series[i], "rankme", PLOT_NAMED) ||
            !add_limit(panel, at->series[i]))
            return no_room(err);
        double low = INFINITY, high = 0;
        size_t before = panel->count;
        for (size_t l = 0; l < panel->count; l++)
            for (size_t k = 0; k < panel->lines[l].n; k++)
                low = fmin(low, panel->lines[l].y[k]), high = fmax(high, panel->lines[l].y[k]);
        panel->y_log = low > 0 && high >= 6 * low, panel->zero = true;
        if (!add_equality(panel, at->series[i], high)) return no_room(err);
        codes = codes || panel->count > before;
    }
    f->folded = true;
    snprintf(f->name, sizeof f->name, "rank");
    snprintf(f->title, sizeof f->title, "How many directions the embeddings use");
    snprintf(
        f->caption, sizeof f->caption,
        "RankMe, the effective number of directions among the embeddings. Dotted: the most it can be, the smaller of "
        "samples n and dimensions d%s.",
        codes ? "; the slanted line is as many directions as there are codes" : "");
    return true;
}
