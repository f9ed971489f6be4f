/* SHA-256; see sha256.h. The names of FIPS 180-4, section 6.2. */
#include "service/sha256.h"

#include <string.h>

#define BLOCK_BYTES 64
#define ROUNDS 64

/* Section 4.2.2: of the cube roots of the first 64 primes. */
static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void schedule(const uint8_t block[BLOCK_BYTES], uint32_t w[ROUNDS])
{
    for (unsigned t = 0; t < 16; t++) {
        w[t] = load(block + 4 * t);
    }
    for (unsigned t = 16; t < ROUNDS; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
}

/* One round. The standard moves a to h on by one place; here the places are counted from another
   one instead. */
static inline void turn(uint32_t v[8], unsigned t, uint32_t word)
{
    uint32_t a = v[(0 - t) & 7], b = v[(1 - t) & 7], c = v[(2 - t) & 7], *d = &v[(3 - t) & 7];
    uint32_t e = v[(4 - t) & 7], f = v[(5 - t) & 7], g = v[(6 - t) & 7], *h = &v[(7 - t) & 7];
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t one = *h + s1 + ((e & f) ^ (~e & g)) + constants[t] + word;
    uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    *d += one;
    *h = one + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void compress(uint32_t hash[8], const uint8_t block[BLOCK_BYTES])
{
    uint32_t w[ROUNDS], v[8];
    schedule(block, w);
    memcpy(v, hash, sizeof v);
#pragma GCC unroll 8
    for (unsigned t = 0; t < ROUNDS; t++) {
        turn(v, t, w[t]);
    }
    for (unsigned i = 0; i < 8; i++) {
        hash[i] += v[i];
    }
}

/* What is left of the data, a one bit, zeroes, and the length in bits: one block or two. */
static void finish(uint32_t hash[8], const uint8_t *rest, size_t rest_bytes, uint64_t all_bytes)
{
    uint8_t tail[2 * BLOCK_BYTES] = {0};
    size_t bytes = rest_bytes + 9 > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES;
    if (rest_bytes) {
        memcpy(tail, rest, rest_bytes);
    }
    tail[rest_bytes] = 0x80;
    for (unsigned i = 0; i < 8; i++) {
        tail[bytes - 1 - i] = (uint8_t)(all_bytes * 8 >> 8 * i);
    }
    for (size_t at = 0; at < bytes; at += BLOCK_BYTES) {
        compress(hash, tail + at);
    }
}

void sha256(const void *data, size_t bytes, uint8_t out[SHA256_BYTES])
{
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint8_t *at = data;
    size_t left = bytes;
    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES) {
        compress(hash, at);
    }
    finish(hash, at, left, bytes);
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        out[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
    }
}
