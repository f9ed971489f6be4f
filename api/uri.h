/*
 * The request target, read strictly: the raw bytes are split first and decoded after, so that an
 * encoded separator can never be taken for one (RFC 3986 section 2.2).
 *
 * Pure functions over one writable buffer: decoding happens in place, and every piece they give
 * ends with a NUL of its own. A refusal is a sentence for the client; NULL means all is well.
 */
#ifndef FORKFUL_API_URI_H
#define FORKFUL_API_URI_H

#include <stdbool.h>
#include <stddef.h>

enum { URI_SEGMENTS = 16 };

struct uri_piece {
    char *data; /* decoded, NUL-terminated, no NUL inside */
    size_t bytes;
};

struct uri {
    unsigned count; /* of segments; "/" has none, "/a/" has "a" and "" */
    struct uri_piece segments[URI_SEGMENTS];
    char *query; /* raw, what follows the '?'; NULL: there is no '?' */
};

/* Of "http://HOST/path" (RFC 9112 section 3.2.2; https too) the bytes in front of HOST; 0: another
   form. HOST ends at the first of "/?#" or at the end. */
size_t uri_scheme_bytes(const char *target);

/* `target` is "/path?query" of `bytes` bytes with a NUL behind. Refused: anything but that form,
   bytes outside printable ASCII, fragments, backslashes, empty segments (but the last), "." and
   "..", bad escapes, and escapes of '/', '\', control bytes or of what is not UTF-8. */
const char *uri_parse(char *target, size_t bytes, struct uri *out);

/* Takes the next `key=value` off a raw query, decoded ('+' is a blank); *query becomes NULL at the
   end. An empty part (&&) gives an empty key. Refused: bad escapes, NUL, control bytes other than
   tab and newline, no UTF-8. */
const char *uri_next_pair(char **query, struct uri_piece *key, struct uri_piece *value);

#endif
