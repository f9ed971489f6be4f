/*
 * The growing buffer. Capacity doubles, so adding costs constant time on average; one byte more
 * than the contents is always kept for the NUL. What JSON needs is in json_out.c.
 */
#include "service/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

char *text_take(struct text *text, size_t *bytes)
{
    if (!text_room(text, 0)) {
        text_free(text);
        if (bytes != NULL)
            *bytes = 0;
        return NULL;
    }
    char *data = text->data;
    data[text->bytes] = '\0';
    if (bytes != NULL)
        *bytes = text->bytes;
    *text = (struct text){0};
    return data;
}

void text_clear(struct text *text)
{
    text->bytes = 0;
    text->failed = false;
    if (text->data != NULL)
        text->data[0] = '\0';
}

static bool text_grow(struct text *text, size_t wanted)
{
    size_t capacity = text->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : text->capacity;

    while (capacity < wanted) {
        if (capacity > SIZE_MAX / 2)
            return false;
        capacity *= 2;
    }
    char *data = realloc(text->data, capacity);
    if (data == NULL)
        return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

bool text_room(struct text *text, size_t bytes)
{
    if (text->failed)
        return false;
    if (bytes < text->capacity - text->bytes)
        return true;
    if (bytes >= SIZE_MAX - text->bytes || !text_grow(text, text->bytes + bytes + 1)) {
        text->failed = true;
        return false;
    }
    return true;
}

void text_add(struct text *text, const void *data, size_t bytes)
{
    if (!text_room(text, bytes))
        return;
    if (bytes > 0)
        memcpy(text->data + text->bytes, data, bytes);
    text->bytes += bytes;
    text->data[text->bytes] = '\0';
}

void text_putc(struct text *text, char c)
{
    text_add(text, &c, 1);
}

void text_unsigned(struct text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_add(text, digits + at, sizeof digits - at);
}

void text_number(struct text *text, int64_t value)
{
    if (value >= 0) {
        text_unsigned(text, (uint64_t)value);
        return;
    }
    text_putc(text, '-');
    text_unsigned(text, 0 - (uint64_t)value);
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int bytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        text->failed = true;
    if (!text_room(text, bytes < 0 ? 0 : (size_t)bytes))
        return;
    va_start(arguments, format);
    vsnprintf(text->data + text->bytes, (size_t)bytes + 1, format, arguments);
    va_end(arguments);
    text->bytes += (size_t)bytes;
}
