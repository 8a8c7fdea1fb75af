/* Posterising as Pillow's ImageOps.posterize does it, to four bits. */
#include "engine/data/views/augment.h"

augment_step augment_step_posterize;

void augment_step_posterize(uint8_t *rgb, int size, rng *random) {
    (void)random;
    for (int i = 0; i < size * size * 3; i++) rgb[i] &= 0xf0;
}
