/*
 * POSIX extended regular expressions, found in linear time.
 *
 * A pattern is a program of at most PATTERN_STATES states; finding runs all its threads at once
 * over the text (Thompson), so it costs at most bytes × states whatever the pattern and the text
 * are, and a fixed 8 KiB of stack. There is no going back, and therefore nothing that refers back.
 *
 * Syntax: literals . * + ? {m} {m,} {,n} {m,n} ^ $ | ( ) [a-z] [^…] [[:alpha:]…], and \ before
 * punctuation or a space, which makes it literal. An empty branch matches the empty text, a )
 * without a ( is literal, ^ and $ hold only at the ends of the text, wherever they stand. Refused:
 * \1, \w and the like, [.x.] and [=x=], a repeat of nothing.
 *
 * It works on bytes, in the C locale. A character of several bytes outside brackets is one piece,
 * so "ü*" repeats all of it; inside brackets it is refused. A . and a [^…] match one byte, not one
 * character: "^.$" does not match "ü". Newline and NUL are bytes like others.
 */
#ifndef FORKFUL_DB_PATTERN_H
#define FORKFUL_DB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_STATES 320         /* bounds what a byte of the log may cost; x{300} needs 301 */
#define PATTERN_REPEATS_MAX 1000   /* of one {m,n} */

struct pattern;

/* `text` is not kept. NULL: refused, and `why` says what of it ("( is not closed, at byte 3"), or,
   with `why` empty, no memory. */
struct pattern *pattern_compile(const char *text, size_t bytes, char *why, size_t why_bytes);

/* Whether the pattern matches anywhere in the data. Any number of threads may ask at once. */
bool pattern_find(const struct pattern *pattern, const char *data, size_t bytes);

/* The same; adds to *steps how many states were looked at, which is what the search costs beyond
   one look at every byte. Never more than 2 × states × (bytes + 1). */
bool pattern_find_counted(const struct pattern *pattern, const char *data, size_t bytes,
                          uint64_t *steps);

void pattern_free(struct pattern *pattern); /* NULL is fine */

#endif
