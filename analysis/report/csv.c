/* Text is always quoted, so that names of any kind stay one cell. */
#include "analysis/report/csv.h"

#include <math.h>

void csv_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void csv_number(FILE *out, double value) {
    if (isfinite(value)) fprintf(out, "%.9g", value);
}
