/*
 * A growing piece of text, and what JSON needs of it.
 *
 * All answers, records and changes are written with these functions: an order faster than building
 * a tree, and safe for any bytes (invalid UTF-8 becomes U+FFFD, control characters are escaped).
 * Failing to get memory sets `failed` and turns every later call into nothing: check it once, at
 * the end.
 */
#ifndef FORKFUL_SERVICE_TEXT_H
#define FORKFUL_SERVICE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *data;   /* NUL-terminated when not NULL; owned */
    size_t bytes; /* without the NUL */
    size_t capacity;
    bool failed;
};

void text_free(struct text *text);                 /* and makes it empty */
char *text_take(struct text *text, size_t *bytes); /* gives the buffer away; NULL when failed */
void text_clear(struct text *text);                /* keeps the buffer */
bool text_room(struct text *text, size_t bytes);   /* makes room for so many more */

void text_add(struct text *text, const void *data, size_t bytes);
void text_putc(struct text *text, char c);
void text_number(struct text *text, int64_t value);
void text_unsigned(struct text *text, uint64_t value);
static inline void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string)); /* inline: the length of a literal is known */
}
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON. A string with quotes; NULL → null. (Not json_string: that name is jansson's.) */
void text_json_string(struct text *text, const char *string);
void text_json_bytes(struct text *text, const char *data, size_t bytes);
void text_json_base64(struct text *text, const void *data, size_t bytes);
void text_json_bool(struct text *text, bool value);
void text_json_time(struct text *text, int64_t at_us); /* RFC 3339, 6 decimals, Z; 0 → null */
void text_json_seconds(struct text *text, int64_t duration_us); /* 1.5, without trailing zeros */
/* "key": — with a comma before it unless the last byte is '{' or '['. */
void text_json_key(struct text *text, const char *key);
/* A comma unless the last byte is '{' or '['. */
void text_json_comma(struct text *text);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing over U+10FFFF). */
bool utf8_valid(const char *data, size_t bytes);
/* Bytes of the well-formed sequence at the start of data (1..4); 0: there is none. */
size_t utf8_length(const char *data, size_t bytes);

void time_format(int64_t at_us, char out[32]);
/* RFC 3339 with any offset and 0..9 decimals, or seconds since 1970 with decimals. A blank where
   the offset's '+' should be counts as '+', as query strings turn one into the other. False: not a
   time. */
bool time_parse(const char *string, int64_t *at_us);
int64_t time_now_us(void); /* CLOCK_REALTIME */
int64_t time_monotonic_us(void);
/* The wall clock of this process's first call, and what has passed since: for ends that lie some time ahead and are
   kept as times. When the wall clock is set they neither come at once nor hours later. Loop thread only. */
int64_t time_steady_us(void);

#endif
