/*
 * RFC 1321, section 3.4. The 64 constants are the integer parts of 2³²·|sin(i)|, i in radians from 1, as the RFC
 * defines them.
 */
#include "engine/data/md5.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotate_left(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void add_block(uint32_t state[4], const uint32_t k[64], const uint8_t *bytes) {
    static const uint8_t shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
    for (int i = 0; i < 16; i++)
        words[i] = bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
                   (uint32_t)bytes[4 * i + 3] << 24;
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int word;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), word = i; break;
        case 1: f = (d & b) | (~d & c), word = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, word = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), word = 7 * i % 16; break;
        }
        uint32_t sum = a + f + k[i] + words[word];
        a = d, d = c, c = b, b += rotate_left(sum, shifts[i / 16][i % 4]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void md5(const void *data, size_t size, char out[33]) {
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, k[64];
    const uint8_t *bytes = data;
    size_t whole = size / 64 * 64, rest = size - whole;
    for (int i = 0; i < 64; i++) k[i] = (uint32_t)(0x1p32 * fabs(sin(i + 1)));
    for (size_t i = 0; i < whole; i += 64) add_block(state, k, bytes + i);
    uint8_t tail[128] = {0}; /* the rest, a 1 bit, zeros, and the length in bits, little end first */
    if (rest) memcpy(tail, bytes + whole, rest);
    tail[rest] = 0x80;
    size_t padded = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < 8; i++) tail[padded - 8 + i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < padded; i += 64) add_block(state, k, tail + i);
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", state[i / 4] >> 8 * (i % 4) & 0xff);
}
