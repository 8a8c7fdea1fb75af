/*
 * Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011). There is no state to carry
 * from step to step: a draw is a hash of its key and its position, so any thread can compute any draw, in any order,
 * and a resumed run needs nothing but the numbers of its epoch and sample to go on with the same bits.
 */
#include "engine/rng.h"

#include <math.h>

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b, c3 = (uint32_t)a, c0 = n0, c2 = n2;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/*
 * The stream's name is itself encrypted into key and counter: two names meet only by a collision of 128 bits. Purpose
 * stays in the counter as it is, so that two purposes never meet at all under one seed.
 */
rng rng_stream(uint64_t seed, rng_purpose purpose, uint32_t epoch, uint64_t sample, uint32_t draw) {
    rng r = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .used = 4};
    uint32_t name[4] = {epoch, (uint32_t)sample, (uint32_t)(sample >> 32), ((uint32_t)purpose << 16) ^ draw}, mixed[4];
    rng_philox(name, r.key, mixed);
    r.key[0] ^= mixed[0], r.key[1] ^= mixed[1];
    r.counter[1] = mixed[2], r.counter[2] = mixed[3], r.counter[3] = (uint32_t)purpose;
    return r;
}

uint32_t rng_bits(rng *r) {
    if (r->used == 4) {
        rng_philox(r->counter, r->key, r->block);
        r->counter[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

double rng_uniform(rng *r) {
    uint64_t high = rng_bits(r) >> 5, low = rng_bits(r) >> 6;
    return (double)(high * 67108864 + low) * 0x1p-53;
}

double rng_between(rng *r, double low, double high) { return low + (high - low) * rng_uniform(r); }

double rng_normal(rng *r) {
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    double radius = sqrt(-2 * log(1 - rng_uniform(r))), angle = 2 * 3.14159265358979323846 * rng_uniform(r);
    r->spare = radius * sin(angle);
    r->has_spare = 1;
    return radius * cos(angle);
}

/* Lemire's multiply-and-reject (ACM TOMACS 2019). */
uint32_t rng_below(rng *r, uint32_t n) {
    uint64_t product = (uint64_t)rng_bits(r) * n;
    if ((uint32_t)product < n)
        for (uint32_t threshold = -n % n; (uint32_t)product < threshold;) product = (uint64_t)rng_bits(r) * n;
    return (uint32_t)(product >> 32);
}

void rng_shuffle(rng *r, uint32_t *items, size_t n) {
    for (size_t i = n; i > 1; i--) {
        uint32_t j = rng_below(r, (uint32_t)i), swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}
