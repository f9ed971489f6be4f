/* Base64 decoding (RFC 4648 section 4); see spec.h. Strict: padding required, nothing ignored. */
#include <stdint.h>
#include <stdlib.h>

#include "service/spec.h"

static int digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

bool base64_decode(const char *text, size_t bytes, void **data, size_t *data_bytes)
{
    if (bytes % 4) {
        return false;
    }
    size_t padding = bytes && text[bytes - 1] == '=' ? 1 + (text[bytes - 2] == '=') : 0;
    unsigned char *out = malloc(bytes / 4 * 3 + 1);
    if (!out) {
        return false;
    }
    size_t at = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < bytes; i++) {
        int value = i < bytes - padding ? digit(text[i]) : 0;
        if (value < 0) {
            free(out);
            return false;
        }
        group = group << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            out[at++] = (unsigned char)(group >> 16);
            out[at++] = (unsigned char)(group >> 8);
            out[at++] = (unsigned char)group;
            group = 0;
        }
    }
    *data = out;
    *data_bytes = at - padding;
    return true;
}
