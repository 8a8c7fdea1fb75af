/*
 * `shapes`: the data set that needs no download. Ten classes of 32×32 scenes, each a wallpaper of its own (stripes,
 * grid, checks, dots, rings, triangles, bricks, zigzags, crosses, honeycomb). Only the local structure tells the class:
 * place, scale, angle, bend, line width, colours and which of them lies on top are drawn at random, and so are the
 * gradient, the blots in front and the noise. An image is a function of (split, index) alone, the same on every
 * machine.
 */
#ifndef MEWS_SHAPES_H
#define MEWS_SHAPES_H

#include <stdint.h>

enum { SHAPES_SIZE = 32, SHAPES_CLASSES = 10, SHAPES_TRAIN = 12800, SHAPES_TEST = 4000, SHAPES_VERSION = 3 };

extern const char *const shapes_class_names[SHAPES_CLASSES];

static inline int shapes_label(uint32_t index) { return (int)(index % SHAPES_CLASSES); }

/* split: 0 train, 1 test. pixels: 32×32×3 bytes RGB. */
void shapes_draw(int split, uint32_t index, uint8_t *pixels);

#endif
