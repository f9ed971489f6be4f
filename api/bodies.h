/*
 * The small bodies: of orders to processes, sessions, shutdown, and the empty one.
 *
 * Each function checks the whole body against its table and then gives what it says; `body` may be
 * NULL where a call needs none. A problem is a 422 that tells all faults.
 */
#ifndef FORKFUL_API_BODIES_H
#define FORKFUL_API_BODIES_H

#include "api/order.h"
#include "service/token.h"

/* No field is known. */
struct problem *nothing_body_check(const json_t *body);
/* The body of the order's own call; `order` comes from order_plain. */
struct problem *order_body_read(const json_t *body, struct order *order);
/* POST /v1/processes/actions; `ids` or `filter` is there, not both. */
struct problem *actions_body_read(const json_t *body, struct order *order);
/* The label in `out` is the body's. */
struct problem *token_body_read(const json_t *body, struct token_request *out);
/* The scopes of the token to come, and how long the code lives. */
struct problem *login_code_body_read(const json_t *body, struct token_request *out);
/* *code is the body's. */
struct problem *login_body_read(const json_t *body, const char **code);
struct problem *session_body_read(const json_t *body, int64_t *ttl_us);
/* Leaves *wait_us alone when the body does not say. */
struct problem *shutdown_body_read(const json_t *body, int64_t *wait_us);

/* ---- for tables: the end of "It must be …", or NULL ---- */
const char *must_be_signal(const json_t *value);

#endif
