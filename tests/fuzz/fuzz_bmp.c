/* A BMP file, whole and by parts. */
#include "tests/fuzz/photos.h"

int fuzz_bmp(const uint8_t *data, size_t size) { return fuzz_photo(data, size); }
