/*
 * Colour steps on planar images: `planes` is (3, pixels) bytes, all red, then all green, then all blue, so that every
 * step runs along whole vectors. Each step gives the very bytes that Pillow gives for the same factor, as torchvision
 * calls it: the enhancers blend, in single precision and cut towards zero, between the image and what it would be at
 * factor 0.
 */
#ifndef MEWS_COLOUR_H
#define MEWS_COLOUR_H

#include <stdint.h>

/* Between (pixels, 3) and (3, pixels). */
void colour_split(const uint8_t *rgb, int pixels, uint8_t *planes);
void colour_join(const uint8_t *planes, int pixels, uint8_t *rgb);

void colour_brightness(uint8_t *planes, int pixels, double factor); /* 0: black */
void colour_contrast(uint8_t *planes, int pixels, double factor);   /* 0: the image's mean grey */
void colour_saturation(uint8_t *planes, int pixels, double factor); /* 0: greyscale */
void colour_hue(uint8_t *planes, int pixels, double turn);          /* turns in −0.5 … 0.5; HSV in bytes */

void colour_greyscale(uint8_t *planes, int pixels);               /* ITU-R 601-2 luma in all three planes */
void colour_solarize(uint8_t *planes, int pixels, int threshold); /* inverts bytes at or above the threshold */

#endif
