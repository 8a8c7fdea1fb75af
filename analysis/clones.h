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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) ||               \
    __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CLONED /* sanitizers are not ready yet when the loader chooses */
#elif defined(__x86_64__) && defined(__GLIBC__)
#define CLONED __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define CLONED
#endif

#endif
