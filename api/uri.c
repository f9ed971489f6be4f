/*
 * Splitting and decoding of request targets; fuzzed by tests/fuzz/fuzz_uri.c.
 */
#include "api/uri.h"

#include <string.h>
#include <strings.h>

#include "service/text.h"

static const char bad_escape[] = "A percent sign must be followed by two hexadecimal digits.";
static const char bad_utf8[] = "The decoded bytes are not valid UTF-8.";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads one byte, escaped or not, at *from; false: a bad escape. */
static bool take_byte(const char **from, const char *end, bool plus_is_blank, char *out)
{
    const char *at = *from;

    *from = at + 1;
    *out = *at == '+' && plus_is_blank ? ' ' : *at;
    if (*at != '%') {
        return true;
    }
    if (end - at < 3 || hex_value(at[1]) < 0 || hex_value(at[2]) < 0) {
        return false;
    }
    *out = (char)(hex_value(at[1]) * 16 + hex_value(at[2]));
    *from = at + 3;
    return true;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* Decodes the segment in place. The byte behind it is overwritten with the NUL. */
static const char *decode_segment(struct uri_piece *segment)
{
    const char *from = segment->data, *end = segment->data + segment->bytes;
    char *to = segment->data;

    while (from < end) {
        if (!take_byte(&from, end, false, to)) {
            return bad_escape;
        }
        if (*to == '/' || *to == '\\' || is_control(*to)) {
            return "A path segment holds an encoded slash, backslash or control byte.";
        }
        to++;
    }
    *to = '\0';
    segment->bytes = (size_t)(to - segment->data);
    if (strcmp(segment->data, ".") == 0 || strcmp(segment->data, "..") == 0) {
        return "The path holds a dot segment.";
    }
    return utf8_valid(segment->data, segment->bytes) ? NULL : bad_utf8;
}

/* `path` follows the leading slash and ends with NUL. */
static const char *split_path(char *path, struct uri *out)
{
    while (path != NULL && !(out->count == 0 && *path == '\0')) {
        char *slash = strchr(path, '/');
        size_t bytes = slash != NULL ? (size_t)(slash - path) : strlen(path);
        if (out->count == URI_SEGMENTS) {
            return "The path has too many segments.";
        }
        if (bytes == 0 && slash != NULL) {
            return "The path holds an empty segment.";
        }
        struct uri_piece *segment = &out->segments[out->count++];
        *segment = (struct uri_piece){path, bytes};
        const char *refusal = decode_segment(segment);
        if (refusal != NULL) {
            return refusal;
        }
        path = slash != NULL ? slash + 1 : NULL;
    }
    return NULL;
}

size_t uri_scheme_bytes(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncasecmp(target, schemes[i], strlen(schemes[i])) == 0) {
            return strlen(schemes[i]);
        }
    }
    return 0;
}

const char *uri_parse(char *target, size_t bytes, struct uri *out)
{
    out->count = 0;
    out->query = NULL;
    if (bytes == 0 || target[0] != '/') {
        return "The request target must be a path that begins with a slash.";
    }
    for (size_t i = 0; i < bytes; i++) {
        if (target[i] <= 0x20 || target[i] >= 0x7F || target[i] == '\\' || target[i] == '#') {
            return "The request target holds a byte that must be percent-encoded.";
        }
    }
    char *question = memchr(target, '?', bytes);
    if (question != NULL) {
        *question = '\0';
        out->query = question + 1;
    }
    return split_path(target + 1, out);
}

static const char *decode_value(struct uri_piece *piece)
{
    const char *from = piece->data, *end = piece->data + piece->bytes;
    char *to = piece->data;

    while (from < end) {
        if (!take_byte(&from, end, true, to)) {
            return bad_escape;
        }
        if (is_control(*to) && *to != '\t' && *to != '\n') {
            return "A query value holds a control byte.";
        }
        to++;
    }
    *to = '\0';
    piece->bytes = (size_t)(to - piece->data);
    return utf8_valid(piece->data, piece->bytes) ? NULL : bad_utf8;
}

const char *uri_next_pair(char **query, struct uri_piece *key, struct uri_piece *value)
{
    char *at = *query, *end = at + strcspn(at, "&");

    *query = *end == '&' ? end + 1 : NULL;
    *end = '\0';
    char *equals = strchr(at, '=');
    char *key_end = equals != NULL ? equals : end;
    *key = (struct uri_piece){at, (size_t)(key_end - at)};
    *value = (struct uri_piece){equals != NULL ? equals + 1 : end, 0};
    value->bytes = (size_t)(end - value->data);
    const char *refusal = decode_value(value);
    return refusal != NULL ? refusal : decode_value(key);
}
