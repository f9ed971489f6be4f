/*
 * Problems as application/problem+json (RFC 9457, with our members code, request_id, errors, and
 * for spawn_failed errno and stage).
 */
#ifndef FORKFUL_API_PROBLEM_JSON_H
#define FORKFUL_API_PROBLEM_JSON_H

#include "service/problem.h"
#include "service/text.h"

#define PROBLEM_CONTENT_TYPE "application/problem+json"

/* `instance` is the path of the request, without its query; it may hold any bytes. */
void problem_write(struct text *out, const struct problem *problem, const char *instance,
                   size_t instance_bytes, const char *request_id);

#endif
