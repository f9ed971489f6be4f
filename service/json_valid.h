/*
 * Is this text one JSON value (RFC 8259)? Without building anything: a body that says it is JSON is shown
 * as JSON only when whoever reads the answer will agree.
 */
#ifndef FORKFUL_SERVICE_JSON_VALID_H
#define FORKFUL_SERVICE_JSON_VALID_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8, at most 64 deep, nothing behind the value but blanks, no lone surrogates. */
bool json_valid(const char *data, size_t bytes);

#endif
