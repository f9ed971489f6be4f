/*
 * Request bodies of JSON: is it one, and is it one we want to read.
 */
#ifndef FORKFUL_API_BODY_H
#define FORKFUL_API_BODY_H

#include <jansson.h>

#include "service/problem.h"

enum { BODY_DEPTH = 64 };

/* `content_type` may be NULL. application/json, with charset=utf-8 or without; else 415. */
struct problem *body_check_type(const char *content_type);

/* One JSON object, valid UTF-8, no key twice, no NUL in strings, at most BODY_DEPTH deep, nothing
 *behind it. out is a new reference. */
struct problem *body_parse(const char *data, size_t bytes, json_t **out);

#endif
