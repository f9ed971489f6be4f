/*
 * Idempotency-Key: the same POST twice has one effect and one answer.
 *
 * The dispatcher hands over each POST that carries the header after its body, query and token were
 * checked and before its handler runs. idempotency_begin looks the key up: it lets a first request
 * through (false, having attached its state), or takes the request over (true): it then answers
 * (replay, 409, 422), or parks the request while the database is read and later answers or calls
 * request_continue. Loop thread only.
 */
#ifndef FORKFUL_API_IDEMPOTENCY_H
#define FORKFUL_API_IDEMPOTENCY_H

#include "api/http.h"

/* ---- written in idempotency.c, called by the HTTP side ---- */

/* The header is there, once, with 1..255 visible characters. True: taken over. */
bool idempotency_begin(struct request *request);

/* The request's state is attached and its answer is made (problems too). The strings and bytes live
   until this returns; location may be NULL, body too (no memory for it). True: the answer is held back until request_release is
   called (it is stored first). */
bool idempotency_answered(struct request *request, int status, const char *location,
                          const char *content_type, const void *body, size_t bytes);

/* For a handler that stores its answer itself (a spawn): the key of this request or NULL, and the
   word that it is done. */
struct answer_key;
const struct answer_key *idempotency_key(struct request *request);
void idempotency_stored(struct request *request);
/* The answer to come is stored before it goes. */
bool idempotency_will_store(const struct request *request);

/* ---- written in http_*.c, called by idempotency.c ---- */

/* What is attached makes idempotency_answered be called; NULL (a replay) makes it not. Its end is
   told by http_on_sent. */
void request_set_idempotent(struct request *request, void *state);
void *request_idempotent(const struct request *request);

/* Runs the handler of a request that was parked by idempotency_begin. */
void request_continue(struct request *request);

/* Sends an answer that idempotency_answered has held. */
void request_release(struct request *request);

/* Hash of method, path with query, and body: what must be the same for a replay. */
uint64_t request_hash(const struct request *request);

#endif
