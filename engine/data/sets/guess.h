/*
 * What is at a path, told from the names of the files there.
 */
#ifndef MEWS_GUESS_H
#define MEWS_GUESS_H

#include "engine/data/sets/format.h"

typedef enum content { CONTENT_ERROR, CONTENT_NEITHER, CONTENT_FORMAT, CONTENT_IMAGES } content;

/* The first file that belongs to one of the formats (NULL-terminated), which goes into *which, or is an image decides.
 */
content guess_content(const char *path, const format *const *formats, const format **which, error *err);

#endif
