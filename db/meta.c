/*
 * Rows of `meta` as operations: what the service keeps by name, committed with the rows beside it.
 */
#include "db/meta.h"

#include <string.h>

struct meta_operation {
    struct operation base;
    const char *key, *value;
};

static int run_put(struct writer *writer, struct operation *base)
{
    const struct meta_operation *meta = (const struct meta_operation *)base;
    return db_meta_text_set(writer_db(writer), DB_STATE, meta->key, meta->value);
}

static const struct operation_type put_type = { "meta_text_put", DB_STATE, run_put };

bool meta_text_put(struct batch *batch, const char *key, const char *value)
{
    const char *key_copy = batch_copy(batch, key, strlen(key));
    const char *value_copy = batch_copy(batch, value, strlen(value));
    struct meta_operation *meta =
        key_copy && value_copy ? batch_add(batch, &put_type, sizeof *meta) : NULL;
    if (!meta) {
        return false;
    }
    meta->key = key_copy;
    meta->value = value_copy;
    return true;
}
