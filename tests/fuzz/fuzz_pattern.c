/*
 * Any bytes as a pattern, a newline, and any bytes as the text: no access outside either, the cost
 * within its bound, and what is true of every pattern.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/pattern_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A copy of exactly that size, so that the sanitizer sees its end. */
static char *copy_of(const uint8_t *data, size_t bytes)
{
    char *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    return copy;
}

static void check_same(const char *text, size_t text_bytes, const char *data, size_t bytes,
                       bool found)
{
    char why[100];
    struct pattern *pattern = pattern_compile(text, text_bytes, why, sizeof why);
    if (pattern && pattern_find(pattern, data, bytes) != found)
        abort();
    pattern_free(pattern);
}

static void check_find(const struct pattern *pattern, const char *text, size_t text_bytes,
                       const char *data, size_t bytes)
{
    uint64_t steps = 0;
    bool found = pattern_find_counted(pattern, data, bytes, &steps);
    if (steps > 2 * pattern->count * (bytes + 1))
        abort();
    /* p|p finds what p finds, and p| finds everything. */
    char *twice = malloc(2 * text_bytes + 1);
    memcpy(twice, text, text_bytes);
    twice[text_bytes] = '|';
    memcpy(twice + text_bytes + 1, text, text_bytes);
    check_same(twice, 2 * text_bytes + 1, data, bytes, found);
    check_same(twice, text_bytes + 1, data, bytes, true);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *newline = bytes ? memchr(data, '\n', bytes) : NULL;
    size_t text_bytes = newline ? (size_t)(newline - data) : bytes;
    size_t rest = newline ? bytes - text_bytes - 1 : 0;
    char why[100];
    char *text = copy_of(data, text_bytes), *searched = copy_of(data + bytes - rest, rest);

    struct pattern *pattern = pattern_compile(text, text_bytes, why, sizeof why);
    if (pattern)
        check_find(pattern, text, text_bytes, searched, rest);
    else if (!*why)
        abort();
    pattern_free(pattern);
    free(text);
    free(searched);
    return 0;
}
