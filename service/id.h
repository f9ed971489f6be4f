/*
 * Ids: a prefix letter, '_' and a lower-case ULID (48 bits of milliseconds, 80 random bits).
 *
 * Ids made by one daemon grow strictly, also within a millisecond and over a clock that steps
 * back, so the order of ids is the order of creation. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_ID_H
#define FORKFUL_SERVICE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/facts.h"

#define ID_TEXT_BYTES 29 /* "p_" + 26 + NUL */

struct fact_id id_make(void);
void id_not_before(const struct fact_id *newest); /* after a restart: grow on from here */
void id_format(const struct fact_id *id, char prefix, char out[ID_TEXT_BYTES]);
/* Exactly prefix, '_', 26 characters of Crockford's alphabet in lower case. */
bool id_parse(const char *text, size_t bytes, char prefix, struct fact_id *out);
bool id_equal(const struct fact_id *a, const struct fact_id *b);
uint64_t id_hash(const struct fact_id *id);

/* `bytes` random bytes from getrandom as lower-case hex (2 * bytes + NUL). False: none to be had. */
bool random_hex(size_t bytes, char *out);
/* Compares in a time that depends on the lengths only. */
bool constant_time_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

#endif
