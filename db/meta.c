/* Rows of `meta` in state.db; see meta.h. */
#include "db/meta.h"

#include <string.h>

struct meta_operation {
    struct operation base;
    const char *key, *value;
};

static int run(struct writer *writer, struct operation *operation)
{
    struct meta_operation *meta = (struct meta_operation *)operation;
    return db_meta_text_set(writer_db(writer), DB_STATE, meta->key, meta->value);
}

static const struct operation_type type = {"meta_text_put", DB_STATE, run};

bool meta_text_put(struct batch *batch, const char *key, const char *value)
{
    struct meta_operation *meta = batch_add(batch, &type, sizeof *meta);
    if (!meta) {
        return false;
    }
    meta->key = batch_copy(batch, key, strlen(key));
    meta->value = batch_copy(batch, value, strlen(value));
    return meta->key && meta->value;
}
