/*
 * Well-formed UTF-8, by the table of RFC 3629 section 4: no overlong forms, no surrogates
 * (U+D800..U+DFFF), nothing over U+10FFFF. Only the second byte has ranges of its own; all later
 * ones are 80..BF.
 */
#include "service/text.h"

#include <string.h>

struct lead {
    unsigned char first, last; /* the lead bytes of this row */
    unsigned char low, high;   /* what may follow as the second byte */
    unsigned char bytes;       /* of the whole sequence */
};

static const struct lead leads[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static size_t multibyte_length(const unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        const struct lead *lead = &leads[i];
        if (data[0] < lead->first || data[0] > lead->last)
            continue;
        if (bytes < lead->bytes || data[1] < lead->low || data[1] > lead->high)
            return 0;
        for (size_t at = 2; at < lead->bytes; at++)
            if ((data[at] & 0xC0) != 0x80)
                return 0;
        return lead->bytes;
    }
    return 0;
}

size_t utf8_length(const char *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if ((unsigned char)data[0] < 0x80)
        return 1;
    return multibyte_length((const unsigned char *)data, bytes);
}

bool utf8_valid(const char *data, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        uint64_t eight;
        if (bytes - at >= sizeof eight) {
            memcpy(&eight, data + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t length = utf8_length(data + at, bytes - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}
