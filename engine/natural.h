/*
 * The order in which people count: runs of digits compare as numbers, all else byte by byte, so that 2 stands before 10
 * and part-9 before part-10. Where names have the same digits in the same places it is the order of strcmp.
 */
#ifndef MEWS_NATURAL_H
#define MEWS_NATURAL_H

/* < 0, 0, > 0 as strcmp; 0 for equal names alone (07 and 7 are told apart by strcmp). */
int natural_order(const char *a, const char *b);

#endif
