/*
 * A paper's table beside what was measured here. Published figures come from <results>/paper/<name>.csv and are there
 * whether anything has been run or not; measured ones from the index of runs, grouped by data, method and swept
 * setting, over seeds.
 */
#ifndef MEWS_PAPER_TABLE_H
#define MEWS_PAPER_TABLE_H

#include "experiments/paper/grid.h"
#include "experiments/store/store.h"

enum { PAPER_SEEDS = 64, PAPER_PUBLISHED = 2, PAPER_MEASURED = 4 };

typedef struct paper_row {
    char data[64], method[64], setting[96]; /* setting: "16384 codes", "codes 64"; "" */
    char published[PAPER_PUBLISHED][16];    /* as printed in the paper, "" where it has none */
    char elsewhere[PAPER_PUBLISHED][16];    /* what it prints of this method and as many codes on its own data */
    char scale[192];                        /* what was run: backbone, width, epochs; "" when nothing was */
    bool undertrained;                      /* fewer epochs than the paper's; scale says so */
    size_t n;                               /* runs, one a seed */
    double seeds[PAPER_SEEDS];
    double values[PAPER_MEASURED][PAPER_SEEDS];
    double codes;              /* NaN when the method has none */
    char swept[96];            /* what its runs were swept to, by which they are told apart */
    double p[PAPER_MEASURED];  /* paired test against FALCON, Holm's correction within data and figure */
    bool reference;            /* the FALCON row that the others of its data are tested against */
    bool bold[PAPER_MEASURED]; /* best, or not told from the best; only from five seeds on */
} paper_row;

typedef struct paper_table {
    char name[64];
    const char *published[PAPER_PUBLISHED]; /* what the paper's columns are called */
    const char *measured[PAPER_MEASURED];   /* metrics, NULL past the last */
    bool judged[PAPER_MEASURED];            /* whether it is tested and set in bold: never a plain NMI */
    double factor;                          /* 100 where the paper prints percent */
    const char *data;                       /* of all published rows, where they are of one data set */
    double epochs;                          /* that the paper trains; 0: rows are not held to it */
    paper_row *rows;                        /* by data, in the paper's order */
    size_t count;
    size_t unreadable;        /* runs whose record cannot be read, so that nothing of them is here */
    char unreadable_run[600]; /* the first of them */
} paper_table;

/*
 * ERROR_USAGE when there is no such table, with the names there are. `where` is a condition on runs (filter.h), or NULL
 * for those whose name begins with the table's.
 */
bool paper_table_read(paper_table *t, const char *name, const char *results, const char *where, error *err);
/* Fills p, reference and bold from the values; paper_table_read has done so. */
bool paper_table_judge(paper_table *t, error *err);
void paper_table_free(paper_table *t);

bool paper_table_print(const paper_table *t, grid_form form, error *err);

/* Whether `name` is a published table. */
bool paper_table_is(const char *name);

#endif
