/*
 * The smallest HTTP/1.1 client that can load a server: keep-alive, answers with a Content-Length
 * (or 204) that fit a wire's buffer.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "wire.h"

enum { HTTP_REQUEST_BYTES = 32768 };

extern const struct framing http_framing;

/* Writes a whole request into out (HTTP_REQUEST_BYTES) and returns its length. body may be NULL. */
size_t http_format(char *out, const struct target *target, const char *method, const char *path,
                   const char *body);

/*
 * The first character of the value of "key" in a JSON text, or NULL. It looks for the first such
 * key at any depth, which is enough for the fields of a record: they come first.
 */
const char *json_value(const char *json, const char *key);

/* Copies the string value of "key" without its quotes; false: there is none, or it is too long. */
int json_string_value(const char *json, const char *key, char *out, size_t room);

#endif
