/*
 * Stored answers of requests with an Idempotency-Key, and sessions.
 */
#ifndef FORKFUL_DB_ANSWERS_H
#define FORKFUL_DB_ANSWERS_H

#include "db/writer.h"

struct answer_row {
    const char *principal;     /* who asked: part of the key */
    const char *key;           /* Idempotency-Key */
    uint64_t request_hash;     /* of method, path and body */
    int64_t at_us;
    int status;
    const char *location;      /* or NULL */
    const char *content_type;
    const void *body;
    size_t body_bytes;
};

bool answer_insert(struct batch *batch, const struct answer_row *row); /* replaces an expired one */
/* Calls `found` at most once; *hit tells. Rows older than `not_before_us` do not count. */
int answer_find(struct db *reader, const char *principal, const char *key, int64_t not_before_us,
                void (*found)(void *context, const struct answer_row *row), void *context,
                bool *hit, struct db_error *error);

struct session_row {
    uint8_t id[16];
    const char *token;         /* hex */
    int64_t created_at_us, expires_at_us, ttl_us;
    unsigned scopes;
    uint8_t maker[16];         /* the token that made it; zeroes: none */
};

bool session_row_put(struct batch *batch, const struct session_row *row);
bool session_row_delete(struct batch *batch, const uint8_t id[16]);
int session_rows_load(struct db *db, bool (*row)(void *context, const struct session_row *row),
                      void *context, struct db_error *error);

#endif
