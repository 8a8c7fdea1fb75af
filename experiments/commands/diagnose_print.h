/*
 * What `mews diagnose` prints of one file for people.
 */
#ifndef MEWS_DIAGNOSE_PRINT_H
#define MEWS_DIAGNOSE_PRINT_H

#include "analysis/diagnose/diagnose.h"

void diagnose_print(const diagnosis *d, const subject *s);

#endif
