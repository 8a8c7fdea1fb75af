/*
 * The words of `mews diagnose`: the rows first, then a verdict a mode, then every figure.
 */
#include "experiments/commands/diagnose_print.h"
#include "experiments/commands/terminal.h"
#include "analysis/verdicts/landmarks.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* A statistic's name as words: effective_rank_noise_share → effective rank noise share. */
static void print_name(const char *name) {
    for (; *name; name++) putchar(*name == '_' ? ' ' : *name);
}

static void print_verdict(const char *mode, const collapse_verdict *v, int width) {
    enum { INDENT = 18 };
    const char *word = verdict_name(v->verdict), *colour = terminal_colour(stdout, word);
    printf("\n%-*s%s%s%s%s", INDENT, mode, colour, word, *colour ? TERMINAL_PLAIN : "",
           v->borderline ? ", borderline" : "");
    if (isfinite(v->statistic)) {
        printf("   ");
        print_name(v->statistic_name);
        printf(" %.4g", v->statistic);
        if (isfinite(v->low)) printf(" (95 %% interval %.4g to %.4g)", v->low, v->high);
        printf(", null %.4g", v->expected);
        if (v->threshold_collapsed > 0) printf("; collapsed below %.3g", v->threshold_collapsed);
        if (*v->against) printf("; against %s", v->against);
        if (v->onset >= 0) printf("; since epoch %lld", (long long)v->onset);
    }
    printf("\n%*s", INDENT, "");
    terminal_wrap(stdout, v->sentence, INDENT, INDENT, width);
}

__attribute__((format(printf, 3, 4))) static void print_figure(const char *name, double value, const char *format,
                                                               ...) {
    va_list args;
    va_start(args, format);
    printf("  %-22s ", name);
    if (isnan(value)) {
        printf("unknown");
    } else {
        printf("%-10.5g  ", value);
        vprintf(format, args);
    }
    va_end(args);
    putchar('\n');
}

static void print_rank(const char *name, const rank_figure *r) {
    if (isnan(r->share) || isnan(r->noise_share)) {
        print_figure(name, r->value, "too few rows for more");
        return;
    }
    print_figure(name, r->value, "%.4g of the most possible, %.4g of what noise scores (%.4g)", r->share,
                 r->noise_share, r->noise);
}

/* "2, of 64: 3, 9": those that are dead to the values' precision, the first of them by number. */
static void print_dead(const collapse *c) {
    enum { NAMED = 8 };
    uint32_t columns[NAMED];
    size_t count = spectrum_dead_columns(&c->spectrum, c->evidence.precision, columns, NAMED), used = 0;
    char names[12 * NAMED + 8] = "";
    for (size_t i = 0; i < count && i < NAMED; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%u", i ? ", " : ": ", columns[i]);
    print_figure("dead columns", (double)count, "of %zu, to the precision of the values%s%s", c->spectrum.d, names,
                 count > NAMED ? ", …" : "");
}

static void print_spectrum(const spectrum *s, double rank) {
    print_rank("RankMe", &s->rankme);
    print_rank("participation ratio", &s->participation_ratio);
    print_rank("numerical rank", &s->numerical_rank);
    print_figure("alpha-ReQ", s->alpha, "ranks %zu to %zu, R² %.3f", s->alpha_first, s->alpha_last, s->alpha_r2);
    print_figure("alpha-ReQ, authors'", s->alpha_authors, "ranks %zu to %zu, weighted by 1/rank",
                 s->alpha_authors_first, s->alpha_authors_last);
    size_t above = rank >= 1 ? (size_t)rank : 0; /* may count more rows' copies than the whole spectrum has values */
    print_figure("condition number", s->condition_number,
                 "largest over smallest, centred; of those above rounding %.4g",
                 above && above <= s->count && s->singular_values_centred[above - 1] > 0
                     ? s->singular_values_centred[0] / s->singular_values_centred[above - 1]
                     : (double)NAN);
    print_figure("mean |correlation|", s->correlation_off_diagonal, "between columns");
    print_figure("constant columns", (double)s->constant_columns, "of %zu", s->d);
}

static void print_codes(const usage_figures *f) {
    print_figure("codes used", f->used, "of %zu; %zu rows of equally likely codes would use %.1f; alive about %.0f",
                 f->codes, f->n, f->used_expected, f->alive);
    print_figure("perplexity of codes", f->perplexity, "by argmax %.4g, of equally likely codes %.4g",
                 f->hard_perplexity, f->hard_perplexity_expected);
    print_figure("information", f->information, "nats between row and code, %.4g of the most possible",
                 f->information_share);
}

static void print_mixture(const mixture_curve *c) {
    for (size_t i = 0; i<c->count; i += c->count> 1 ? c->count - 1 : 1) {
        const mixture_point *p = &c->points[i];
        print_figure("mixture entropy", p->entropy, "± %.2g nats, %.4g a varying column, %zu components", p->entropy_sd,
                     p->entropy_per_dimension, p->components);
    }
}

/* Before anything else: rows that are copies of one another, rows of zeros, rows that take no part. */
static void print_rows(const collapse_evidence *e, const subject *s) {
    double copies = e->rows - e->distinct;
    if (copies > 0)
        printf("%.0f rows are exact copies of another; the most frequent row stands %.0f times; %.0f rows are zeros\n",
               copies, e->largest_copy * e->rows, e->zero_rows);
    if (e->outlier_rows > 0)
        printf("%.0f rows lie more than five times as far out as the median one: dimension is judged without them\n",
               e->outlier_rows);
    if (s->unlabelled) printf("%zu rows have no label\n", s->unlabelled);
    if (s->unassigned) printf("%zu rows of the assignments are zeros\n", s->unassigned);
    if (s->groups) printf("rows belong to %.0f groups at the most\n", e->independent);
    if (s->assignments_are == ASSIGNMENTS_SCORES)
        printf("assignments are read as scores before a temperature that is not said (--temperature): their order "
               "counts, not their sharpness\n");
    if (s->usage && s->codes_guessed) printf("how many codes there are is guessed from the largest (--codes)\n");
}

static void print_dimension(const collapse_evidence *e) {
    print_figure("effective rank", e->effective_rank, "of %.0f possible directions: %.3g", e->possible,
                 e->effective_rank_share);
    if (e->outlier_columns > 0)
        print_figure("  without outliers", e->trimmed_effective_rank,
                     "%.0f column%s left out, the largest %.3g times the median's standard deviation",
                     e->outlier_columns, e->outlier_columns > 1 ? "s" : "", e->outlier_ratio);
    print_figure("k90, k99", e->k90, "%.0f directions carry 99 %% of the variance", e->k99);
    print_figure("rank above rounding", e->rank, "values have a precision of %.2g", e->precision);
    if (e->outlier_columns > 0 && fabs(e->trimmed_k99 - e->k99) > 0.1 * e->k99)
        print_figure("  without outliers", e->trimmed_k90, "%.0f directions carry 99 %% of the variance",
                     e->trimmed_k99);
    print_figure("largest drop", e->trimmed_gap_factor, "behind direction %.0f, which carry %.4g of the variance",
                 e->trimmed_gap_place, e->trimmed_gap_variance);
    print_figure("explained area", e->explained_area, "mean cumulative explained variance; 1: one line");
}

/* The figures beside those of matrices that one knows. Codes stand in a table of their own, where there are any. */
static void print_landmarks(const collapse *c) {
    static const landmark_key keys[2][8] = {{LANDMARK_COLUMNS, LANDMARK_CONTRAST, LANDMARK_EFFECTIVE_RANK,
                                             LANDMARK_EFFECTIVE_RANK_SHARE, LANDMARK_RANKME, LANDMARK_K99,
                                             LANDMARK_WITHIN_SHARE, LANDMARK_FIGURES},
                                            {LANDMARK_CODES, LANDMARK_CODES_USED_OF_EXPECTED, LANDMARK_EVEN_SHARE,
                                             LANDMARK_INFORMATION_SHARE, LANDMARK_FIGURES}};
    static const char *const heads[] = {"  columns contrast eff.rank of poss.   RankMe      k99   within",
                                        "    codes     used     even     info"};
    landmark list[LANDMARKS_MOST];
    size_t count = landmarks_beside(c, list);
    for (int table = 0; table < (c->has_usage ? 2 : 1); table++) {
        printf("\n%-57s%s\n", table ? "use of codes" : "beside what one knows", heads[table]);
        for (size_t i = 0; i < count; i++) {
            const double *figures = list[i].figures;
            if (isnan(figures[table ? LANDMARK_CODES : LANDMARK_RANKME]) &&
                isnan(figures[table ? LANDMARK_CODES : LANDMARK_EFFECTIVE_RANK]))
                continue;
            char source[8] = "";
            if (list[i].source) snprintf(source, sizeof source, "[%d]", list[i].source);
            printf("  %-51s %3s", list[i].name, source);
            for (const landmark_key *k = keys[table]; *k < LANDMARK_FIGURES; k++)
                isnan(figures[*k]) ? printf(" %8s", "-") : printf(" %8.4g", figures[*k]);
            putchar('\n');
        }
    }
    for (int i = 0; landmarks_sources[i]; i++) {
        printf("  [%d] ", i + 1);
        terminal_wrap(stdout, landmarks_sources[i], 6, 6, 110);
    }
}

void diagnose_print(const diagnosis *d, const subject *s) {
    const collapse *c = &d->collapse;
    int width = terminal_width(stdout);
    printf("%s: %zu rows, %zu columns", s->name, c->spectrum.n, c->spectrum.d);
    if (s->rows_given > c->spectrum.n) printf(", of %llu rows", (unsigned long long)s->rows_given);
    if (s->sampled) printf("; clusters and pairs of a sample of %zu", s->embeddings.rows);
    if (s->dropped) printf(" (%zu dropped: NaN or infinity)", s->dropped);
    putchar('\n');
    if (s->note) {
        printf("note: ");
        terminal_wrap(stdout, s->note, 6, 6, width);
    }
    print_rows(&c->evidence, s);
    for (int mode = 0; mode < COLLAPSE_MODES; mode++)
        print_verdict(collapse_mode_name((collapse_mode)mode), &c->verdicts[mode], width < 120 ? width : 120);
    printf("\nfigures\n");
    print_dimension(&c->evidence);
    print_spectrum(&c->spectrum, c->evidence.rank);
    print_dead(c);
    if (isfinite(c->across.effective_rank))
        print_figure("rank across views", c->across.effective_rank,
                     "at least %.0f of %zu directions are shared by two views", c->across.directions,
                     c->across.possible);
    print_figure("contrast", c->evidence.contrast, "how far two rows lie apart beside their size");
    print_figure("spread", c->spread, "1 in all directions, 0 in one point");
    if (s->fast) {
        if (c->has_usage) print_codes(&c->usage);
        return;
    }
    print_figure("uniformity", d->uniformity.value, "evenly over the sphere: %.4g", d->uniformity.expected);
    if (d->has_alignment) {
        print_figure("alignment", d->alignment.value, "of unrelated rows %.4g", d->alignment.chance);
        print_figure("invariance", d->alignment.invariance, "1 when views agree, 0 at chance");
    }
    if (s->second.data || s->labels)
        print_figure("LiDAR", d->lidar.value, "%.4g of the most possible, %zu %s; unbiased %.4g; by chance %.4g",
                     d->lidar.share, d->lidar.groups, s->second.data ? "pairs of views" : "classes", d->lidar.unbiased,
                     d->lidar_chance.value);
    if (c->has_usage) print_codes(&c->usage);
    if (s->prototypes.data) /* one alone has no other to fall together with */
        print_figure("distinct prototypes", s->prototypes.rows > 1 ? (double)d->duplicates.distinct : (double)NAN,
                     "of %zu; %zu have a near duplicate (random ones: %.3g), nearest cosine %.4g",
                     d->duplicates.prototypes, d->duplicates.twins, d->duplicates.twins_expected,
                     d->duplicates.cosine_largest);
    print_figure("variance in clusters", c->within_share, "of all rows', %zu clusters%s", c->clusters_used,
                 c->clusters_by_kmeans ? " by k-means" : "");
    print_figure("rank in clusters", c->clusters.effective_rank, "mean effective rank, %.4g of the most possible",
                 c->clusters.share);
    if (isnan(d->blocks.between))
        print_figure("cosine in clusters", d->blocks.within, "one cluster: none between");
    else
        print_figure("cosine in clusters", d->blocks.within, "between clusters %.4g, contrast by chance %.2g ± %.2g",
                     d->blocks.between, d->blocks.chance, d->blocks.chance_sd);
    print_figure("silhouette", d->silhouette.value, "1 apart, 0 cut at random, %zu rows", d->silhouette.rows);
    print_mixture(&d->mixture);
    if (d->has_neural_collapse) {
        print_figure("variance in classes", c->class_within_share, "of all rows', %zu classes",
                     d->neural_collapse.classes);
        print_figure("kNN", d->probes.knn, "of the held-out half; chance %.4g", d->probes.chance);
        print_figure("linear probe", d->probes.linear, "fitted on %zu rows, scored on %zu", d->probes.fitted,
                     d->probes.scored);
        print_figure("k-means AMI", d->probes.kmeans.ami, "NMI %.4g, of permuted labels %.4g", d->probes.kmeans.nmi,
                     d->probes.kmeans.nmi_chance);
        print_figure("NC1", d->neural_collapse.nc1, "of permuted labels %.4g", d->neural_collapse.chance);
    }
    if (d->has_agreement) {
        print_figure("AMI", d->agreement.ami, "of labels and assignments, 0 at chance");
        print_figure("NMI", d->agreement.nmi, "of permuted labels %.4g", d->agreement.nmi_chance);
    }
    print_landmarks(c);
}
