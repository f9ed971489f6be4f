/*
 * Request bodies against a table: what fields there are, of what type, within what bounds.
 *
 * A body is checked once, as a whole, and all its faults are told in one problem: unknown fields
 * (with the name that was probably meant), wrong types and values, missing fields; each with its
 * JSON pointer (RFC 6901). A field that may be left out may also be null, which says the same. A table is constant data, so openapi.yaml can be held against it. What
 * tables cannot say (this or that field, a signal's name) is said by `check` functions or by the
 * handler after the check.
 *
 *     static const struct field stop_fields[] = {
 *         {.name = "signal", .type = FIELD_STRING | FIELD_INTEGER, .check = check_signal},
 *         {.name = "grace_seconds", .type = FIELD_NUMBER, .min = 0, .max = 86400},
 *         {0}};
 */
#ifndef FORKFUL_API_SCHEMA_H
#define FORKFUL_API_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/problem.h"

/* A set of types: a field may take several. */
enum field_type {
    FIELD_STRING = 1,
    FIELD_INTEGER = 2,
    FIELD_NUMBER = 4, /* integers too */
    FIELD_BOOL = 8,
    FIELD_OBJECT = 16,
    FIELD_ARRAY = 32,
    FIELD_NULL = 64,
    FIELD_ANY = 127,
};

enum { SCHEMA_FAULTS = 64 }; /* more than so many are not told */

struct field {
    const char *name; /* NULL ends the table; in `items` any text */
    unsigned type;    /* enum field_type */
    bool required; /* may neither be left out nor, unless its type says so, be null */
    bool open; /* an object with any keys (env, labels): each value is checked by `items` */
    double min,
        max; /* the number; the string's bytes; how many items or keys. Both 0: not bounded */
    const char *const *words;   /* all strings it may be, NULL at the end; or NULL: any */
    const struct field *fields; /* of an object; NULL: not looked into */
    const struct field *items;  /* one row for all items of an array or values of an open object */
    /* What else must hold: NULL, or the end of the sentence "It must be …". Called when all above
     * holds. */
    const char *(*check)(const json_t *value);
};

/* NULL: `body` is as the table says. Else 422, owned by the caller. */
struct problem *schema_check(const json_t *body, const struct field *fields);

/* ---- reading what was checked; `standard` when the field is missing or null ---- */
const char *field_text(const json_t *body, const char *name, const char *standard);
int64_t field_integer(const json_t *body, const char *name, int64_t standard);
double field_number(const json_t *body, const char *name, double standard);
bool field_bool(const json_t *body, const char *name, bool standard);
/* A number of seconds in microseconds. */
int64_t field_seconds_us(const json_t *body, const char *name, int64_t standard_us);
/* The value itself; NULL when missing or null. Borrowed. */
json_t *field_value(const json_t *body, const char *name);

#endif
