/*
 * SHA-256 (FIPS 180-4), for what must be recognised but not kept: the secrets of tokens.
 *
 * Our own, because nothing else here needs a cryptographic library, and the vectors of the standard
 * say whether it is right.
 */
#ifndef FORKFUL_SERVICE_SHA256_H
#define FORKFUL_SERVICE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(const void *data, size_t bytes, uint8_t out[SHA256_BYTES]);

#endif
