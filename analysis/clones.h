/*
 * Loops that are worth the processor's widest registers, in code that is built for any x86-64: the compiler makes such
 * a function once for each width and the loader chooses. It is for leaves without OpenMP regions, whose bodies become
 * functions of their own.
 */
#ifndef MEWS_ANALYSIS_CLONES_H
#define MEWS_ANALYSIS_CLONES_H

#include <features.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

/* Only glibc's loader chooses, and sanitizers are not ready yet when it does. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
#define CLONED __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define CLONED
#endif

#endif
