/*
 * A scanner of JSON without a stack of its own: what stands open is one bit for each level.
 */
#include "service/json_valid.h"

#include <stdint.h>
#include <string.h>

#include "service/text.h"

#define DEPTH 64u

struct scan {
    const char *at, *end;
    uint64_t objects;                  /* bit n: level n is an object, else an array */
    unsigned depth;
};

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r')) {
        scan->at++;
    }
}

static bool take(struct scan *scan, char c)
{
    if (scan->at < scan->end && *scan->at == c) {
        scan->at++;
        return true;
    }
    return false;
}

static bool take_word(struct scan *scan, const char *word)
{
    size_t bytes = strlen(word);
    if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, word, bytes) != 0) {
        return false;
    }
    scan->at += bytes;
    return true;
}

static bool take_digits(struct scan *scan)
{
    const char *begin = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return scan->at > begin;
}

static bool take_number(struct scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan)) {
        return false;
    }
    if (take(scan, '.') && !take_digits(scan)) {
        return false;
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+')) {
            take(scan, '-');
        }
        return take_digits(scan);
    }
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits behind \u, or -1. */
static int take_unit(struct scan *scan)
{
    int unit = 0;
    if (scan->end - scan->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*scan->at++);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool take_escape(struct scan *scan)
{
    if (!take(scan, 'u')) {
        return scan->at < scan->end && *scan->at && strchr("\"\\/bfnrt", *scan->at++) != NULL;
    }
    int unit = take_unit(scan);
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit >= 0;
    }
    if (unit > 0xdbff || !take_word(scan, "\\u")) {
        return false;
    }
    unit = take_unit(scan);
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind the opening quote. */
static bool take_string(struct scan *scan)
{
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at++;
        if (c == '"') {
            return true;
        }
        if (c < ' ' || (c == '\\' && !take_escape(scan))) {
            return false;
        }
    }
    return false;
}

static bool in_object(const struct scan *scan)
{
    return scan->objects >> (scan->depth - 1) & 1;
}

static bool take_key(struct scan *scan)
{
    skip_blanks(scan);
    if (!take(scan, '"') || !take_string(scan)) {
        return false;
    }
    skip_blanks(scan);
    return take(scan, ':');
}

static bool open_level(struct scan *scan, bool object)
{
    if (scan->depth == DEPTH) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << scan->depth++;
    scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
    return true;
}

/* A value, or the beginning of one: *complete tells. */
static bool take_value(struct scan *scan, bool *complete)
{
    skip_blanks(scan);
    *complete = true;
    if (take(scan, '"')) {
        return take_string(scan);
    }
    bool object = take(scan, '{');
    if (!object && !take(scan, '[')) {
        return take_word(scan, "true") || take_word(scan, "false") || take_word(scan, "null") ||
               take_number(scan);
    }
    if (!open_level(scan, object)) {
        return false;
    }
    skip_blanks(scan);
    if (take(scan, object ? '}' : ']')) {
        scan->depth--;
        return true;
    }
    *complete = false;
    return !object || take_key(scan);
}

/* Behind a complete value: closes what it ends; *more: another value must follow. */
static bool take_rest(struct scan *scan, bool *more)
{
    while (scan->depth) {
        bool object = in_object(scan);
        skip_blanks(scan);
        if (take(scan, ',')) {
            *more = true;
            return !object || take_key(scan);
        }
        if (!take(scan, object ? '}' : ']')) {
            return false;
        }
        scan->depth--;
    }
    *more = false;
    return true;
}

bool json_valid(const char *data, size_t bytes)
{
    struct scan scan = {data, data + bytes, 0, 0};
    bool more = true, complete;
    while (more) {
        if (!take_value(&scan, &complete) || (complete && !take_rest(&scan, &more))) {
            return false;
        }
    }
    skip_blanks(&scan);
    return scan.at == scan.end && utf8_valid(data, bytes);
}
