/*
 * MD5 (RFC 1321), since that is what the authors of the published data sets give to check a download by. It tells a
 * damaged file from a whole one; it does not keep out who means to deceive.
 */
#ifndef MEWS_MD5_H
#define MEWS_MD5_H

#include <stddef.h>

/* 32 hexadecimal digits and a zero byte. */
void md5(const void *data, size_t size, char out[33]);

#endif
