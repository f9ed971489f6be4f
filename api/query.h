/*
 * Query keys against a route's table: unknown keys, repeated keys and values that do not parse are
 * all told in one problem.
 */
#ifndef FORKFUL_API_QUERY_H
#define FORKFUL_API_QUERY_H

#include "api/http.h"
#include "api/uri.h"

struct query_pair {
    const char *name;  /* the table's own string */
    const char *value; /* decoded; in the target's buffer */
};

struct query {
    unsigned count;
    struct query_pair *pairs; /* room is the caller's: as many as query_pairs_most says */
};

/* How many pairs a raw query can hold. */
unsigned query_pairs_most(const char *raw);

enum { QUERY_FAULTS = 64 }; /* more than so many are not told */

/* Decodes `raw` in place into `out`. `params` may be NULL: no keys are known. */
struct problem *query_read(char *raw, const struct param *params, struct query *out);

/* The first value of `name`; NULL: not given. */
const char *query_value(const struct query *query, const char *name);

/* "12" → 12, at most INT64_MAX. False: not that. */
bool query_unsigned(const char *text, uint64_t *out);
/* "1", "1.5" (not ".5"), "1e-05" → microseconds; more than a year counts as one. False: not that. */
bool query_seconds(const char *text, int64_t *out_us);
/* "true" or "1", "false" or "0". */
bool query_bool(const char *text, bool *out);

#endif
