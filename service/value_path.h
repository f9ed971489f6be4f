/*
 * Paths: where in a document something stands.
 *
 * Written as a JSON pointer (RFC 6901: "/jobs/0/name", "" is the whole) or as an array of keys
 * (["jobs", 0, "name"]), with one more key behind it as `key` or `index`. In an array of keys and as
 * `index`, numbers below 0 count from the end, as in Python.
 */
#ifndef FORKFUL_SERVICE_VALUE_PATH_H
#define FORKFUL_SERVICE_VALUE_PATH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/json_value.h"
#include "service/problem.h"

struct path_key {
    const char *name;                  /* NULL: only a number was given */
    bool numeric;                      /* `index` tells; a name may be a number too */
    int64_t index;
};

struct path {
    struct path_key keys[VALUE_DEPTH];
    size_t count;
    char *text;                        /* what names point into, besides the JSON it was read from */
};

/* A pointer, or NULL for the whole. `where` and `place` are where it stands in the request
   (FAULT_POINTER, "/path"). */
struct problem *path_from_pointer(struct path *path, const char *pointer, int where,
                                  const char *place);
/* The members `path` and `key` or `index` of a body, which must outlive the path; `own_index`: its
   index means something else. */
struct problem *path_from_body(struct path *path, const json_t *body, bool own_index);
void path_free(struct path *path);

#endif
