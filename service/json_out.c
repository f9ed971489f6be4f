/*
 * JSON written straight into a text. Any bytes come out as valid JSON: what is not UTF-8 becomes
 * U+FFFD (one for each byte that cannot stand), control characters become escapes (RFC 8259 section
 * 7).
 */
#include "service/text.h"

#include <string.h>

/* What a byte needs inside quotes: 0 nothing, 'u' \u00XX, '8' the rest of its UTF-8 sequence must
   be looked at, else the letter after the backslash. */
static const char escapes[256] = {
    [0x00 ... 0x07] = 'u', ['\b'] = 'b',  ['\t'] = 't',          ['\n'] = 'n',
    [0x0B] = 'u',          ['\f'] = 'f',  ['\r'] = 'r',          [0x0E ... 0x1F] = 'u',
    ['"'] = '"',           ['\\'] = '\\', [0x80 ... 0xFF] = '8',
};

void text_json_string(struct text *text, const char *string)
{
    if (string == NULL)
        text_add(text, "null", 4);
    else
        text_json_bytes(text, string, strlen(string));
}

/* How many bytes from here on need no escape and are well formed. */
static size_t plain_run(const char *data, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        char escape = escapes[(unsigned char)data[at]];
        size_t length = escape == 0 ? 1 : escape == '8' ? utf8_length(data + at, bytes - at) : 0;
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

static void put_escaped(struct text *text, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char escape = escapes[byte];

    if (escape == '8')
        text_add(text, "\xEF\xBF\xBD", 3);
    else if (escape == 'u')
        text_add(text, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
    else
        text_add(text, (char[]){'\\', escape}, 2);
}

void text_json_bytes(struct text *text, const char *data, size_t bytes)
{
    size_t at = 0;

    if (bytes > SIZE_MAX - 2 || !text_room(text, bytes + 2)) {
        text->failed = true;
        return;
    }
    text_putc(text, '"');
    while (at < bytes) {
        size_t run = plain_run(data + at, bytes - at);
        text_add(text, data + at, run);
        at += run;
        if (at < bytes)
            put_escaped(text, (unsigned char)data[at++]);
    }
    text_putc(text, '"');
}

/* Writes the four characters of up to three bytes. */
static void base64_group(const unsigned char *from, size_t bytes, char out[4])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned value = (unsigned)from[0] << 16;

    if (bytes > 1)
        value |= (unsigned)from[1] << 8;
    if (bytes > 2)
        value |= from[2];
    out[0] = alphabet[value >> 18];
    out[1] = alphabet[value >> 12 & 63];
    out[2] = bytes > 1 ? alphabet[value >> 6 & 63] : '=';
    out[3] = bytes > 2 ? alphabet[value & 63] : '=';
}

void text_json_base64(struct text *text, const void *data, size_t bytes)
{
    const unsigned char *from = data;
    size_t groups = bytes / 3 + (bytes % 3 != 0);

    if (groups > (SIZE_MAX - 2) / 4 || !text_room(text, groups * 4 + 2)) {
        text->failed = true;
        return;
    }
    char *out = text->data + text->bytes;
    *out++ = '"';
    for (size_t at = 0; at < bytes; at += 3, out += 4)
        base64_group(from + at, bytes - at, out);
    *out++ = '"';
    *out = '\0';
    text->bytes += groups * 4 + 2;
}

void text_json_bool(struct text *text, bool value)
{
    text_put(text, value ? "true" : "false");
}

void text_json_time(struct text *text, int64_t at_us)
{
    char formatted[32];

    if (at_us == 0) {
        text_add(text, "null", 4);
        return;
    }
    time_format(at_us, formatted);
    text_putc(text, '"');
    text_put(text, formatted);
    text_putc(text, '"');
}

void text_json_seconds(struct text *text, int64_t duration_us)
{
    uint64_t us = duration_us < 0 ? 0 - (uint64_t)duration_us : (uint64_t)duration_us;
    uint64_t fraction = us % 1000000;
    char decimals[6];
    size_t count = sizeof decimals;

    if (duration_us < 0)
        text_putc(text, '-');
    text_unsigned(text, us / 1000000);
    if (fraction == 0)
        return;
    for (size_t i = sizeof decimals; i > 0; i--, fraction /= 10)
        decimals[i - 1] = (char)('0' + fraction % 10);
    while (decimals[count - 1] == '0')
        count--;
    text_putc(text, '.');
    text_add(text, decimals, count);
}

void text_json_comma(struct text *text)
{
    char last = text->bytes > 0 ? text->data[text->bytes - 1] : '[';

    if (last != '{' && last != '[')
        text_putc(text, ',');
}

void text_json_key(struct text *text, const char *key)
{
    text_json_comma(text);
    text_putc(text, '"');
    text_put(text, key);
    text_add(text, "\":", 2);
}
