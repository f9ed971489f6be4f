/*
 * What the handlers of values share: versions as ETags, and answers that wait where they must.
 *
 * values.c has the JSON side, value_bytes.c that of raw bytes. Loop thread only.
 */
#ifndef FORKFUL_API_VALUES_H
#define FORKFUL_API_VALUES_H

#include "api/coordination.h"
#include "service/value.h"

#define VALUE_ETAG_BYTES 32

void value_etag(const struct value *value, char out[VALUE_ETAG_BYTES]);
/* The client has it (If-None-Match). */
bool value_is_known(const struct request *request, const struct value *value);
/* The value of the path, if it may be changed by this request: If-Hold, If-Match, and what is durable can be
   stored. NULL after answering. */
struct value *value_to_change(struct request *request);
/* With its ETag; what a crash could take back is told when it cannot any more. `type`: static; NULL: JSON. */
void respond_value(struct request *request, struct value *value, int status, const char *type,
                   struct text *body);

/* ---- value_bytes.c ---- */
/* PUT with bytes: makes it of them; replaces it by them. */
void make_value_of_bytes(struct request *request);
void replace_value_by_bytes(struct request *request);
/* GET with Accept: application/octet-stream. */
void answer_value_bytes(struct request *request, struct value *value);

#endif
