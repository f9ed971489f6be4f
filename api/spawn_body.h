/*
 * The body of POST /v1/processes: every field, its type and bounds, in one table.
 */
#ifndef FORKFUL_API_SPAWN_BODY_H
#define FORKFUL_API_SPAWN_BODY_H

#include "api/schema.h"
#include "service/config.h"
#include "service/spec.h"

extern const struct field spawn_fields[];

/* For tables: no control characters. */
const char *must_be_name(const json_t *value);

/* Fields, then meaning (spec.h): 422 with all faults of one of them; 501 for what this build
   does not do. *out is NULL then, else the caller's. */
struct problem *spawn_body_read(json_t *body, const struct config *config,
                                struct spec **out);

#endif
