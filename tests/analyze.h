/* For the analyzers, which look at one source at a time: what engine/error.h says in words, and what make says to one
 * source alone. */
#include "engine/error.h"

#define error_set(...) ((void)error_set(__VA_ARGS__), false)
#define error_prefix(...) ((void)error_prefix(__VA_ARGS__), false)
#define error_memory(...) ((void)error_memory(__VA_ARGS__), false)

#define MEWS_ISAS X(v2, v2, 2) X(v3, v3, 3) X(v4, v4, 4)
#define MEWS_TILED
