/*
 * Digits are skipped over their leading zeros; the longer run is then the larger number, and runs of one length compare
 * as text. No number is ever made of them, so they may be as long as they like.
 */
#include "engine/natural.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Compares the numbers that begin at *a and *b and moves both behind them. */
static int number_order(const char **a, const char **b) {
    *a += strspn(*a, "0"), *b += strspn(*b, "0");
    size_t n = strspn(*a, "0123456789"), m = strspn(*b, "0123456789");
    int order = n != m ? (n < m ? -1 : 1) : strncmp(*a, *b, n);
    *a += n, *b += m;
    return order;
}

int natural_order(const char *a, const char *b) {
    const char *p = a, *q = b;
    while (*p && *q) {
        int order;
        if (is_digit(*p) && is_digit(*q))
            order = number_order(&p, &q);
        else
            order = (unsigned char)*p - (unsigned char)*q, p++, q++;
        if (order) return order;
    }
    if (*p || *q) return *p ? 1 : -1;
    return strcmp(a, b);
}
