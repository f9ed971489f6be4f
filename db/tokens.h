/*
 * The table of tokens. The loop owns them in memory; these rows are their durable form. Of a
 * token's secret only the hash is there.
 */
#ifndef FORKFUL_DB_TOKENS_H
#define FORKFUL_DB_TOKENS_H

#include "db/writer.h"

#define TOKEN_HASH_BYTES 32

struct token_row {
    uint8_t id[16], hash[TOKEN_HASH_BYTES];
    unsigned scopes;
    const char *label;                 /* or NULL */
    int64_t created_at_us;
    int64_t expires_at_us;             /* 0: never */
    int64_t last_used_at_us;           /* 0: not yet */
};

bool token_row_put(struct batch *batch, const struct token_row *row);
bool token_row_delete(struct batch *batch, const uint8_t id[16]);
int token_rows_load(struct db *db, bool (*row)(void *context, const struct token_row *row),
                    void *context, struct db_error *error);

#endif
