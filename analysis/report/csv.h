/* Cells of CSV files (RFC 4180). */
#ifndef MEWS_CSV_H
#define MEWS_CSV_H

#include <stdio.h>

void csv_text(FILE *out, const char *text); /* quoted */
void csv_number(FILE *out, double value);   /* nothing where it is not finite, as NumPy, pandas and R read it */

#endif
