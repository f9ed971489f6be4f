/*
 * Brackets of a pattern: [abc], [a-z], [^…], [[:digit:]_].
 *
 * ASCII only: a byte of a longer character would let through, or keep out, other characters that
 * have it too. A negated set has all bytes from 0x80 on.
 */
#include <ctype.h>
#include <string.h>

#include "db/pattern_program.h"

struct reader {
    uint8_t *set;
    const char *at, *end;
};

static void add(struct reader *reader, unsigned byte)
{
    reader->set[byte >> 3] |= (uint8_t)(1u << (byte & 7));
}

static bool is_next(const struct reader *reader, char character)
{
    return reader->at < reader->end && *reader->at == character;
}

/* At "[:", "[." or "[=". */
static bool at_class(const struct reader *reader)
{
    return reader->end - reader->at >= 2 && reader->at[0] == '[' &&
           (reader->at[1] == ':' || reader->at[1] == '.' || reader->at[1] == '=');
}

static const char *read_class(struct reader *reader)
{
    static const struct {
        const char *name; /* with what closes it */
        int (*has)(int);
    } classes[] = {
        { "alpha:]", isalpha }, { "digit:]", isdigit }, { "alnum:]", isalnum },
        { "upper:]", isupper }, { "lower:]", islower }, { "space:]", isspace },
        { "blank:]", isblank }, { "punct:]", ispunct }, { "print:]", isprint },
        { "graph:]", isgraph }, { "cntrl:]", iscntrl }, { "xdigit:]", isxdigit },
    };
    if (reader->at[1] != ':') {
        return "[. and [= mean nothing here";
    }
    reader->at += 2;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t bytes = strlen(classes[i].name);
        if ((size_t)(reader->end - reader->at) < bytes ||
            memcmp(reader->at, classes[i].name, bytes) != 0) {
            continue;
        }
        for (int byte = 0; byte < 128; byte++) {
            if (classes[i].has(byte)) {
                add(reader, (unsigned)byte);
            }
        }
        reader->at += bytes;
        return NULL;
    }
    return "[: begins no class that is known, like [:digit:]";
}

/* One byte, a-z, or a class. */
static const char *read_item(struct reader *reader, bool first)
{
    if (at_class(reader)) {
        return read_class(reader);
    }
    if (reader->at == reader->end) {
        return "[ is not closed";
    }
    unsigned low = (unsigned char)*reader->at++, high = low;
    if (low == '-' && !first && !is_next(reader, ']')) {
        return "- must be first or last in a bracket, or between two bytes";
    }
    if (is_next(reader, '-') && reader->end - reader->at >= 2 && reader->at[1] != ']') {
        reader->at++;
        if (at_class(reader)) {
            return "a class is no end of a range";
        }
        high = (unsigned char)*reader->at++;
    }
    if (low >= 0x80 || high >= 0x80) {
        return "a bracket may hold ASCII only; write (ä|ö)";
    }
    for (unsigned byte = low; byte <= high; byte++) {
        add(reader, byte);
    }
    return low > high ? "a range is the wrong way round" : NULL;
}

const char *pattern_set_read(uint8_t *set, const char **at, const char *end)
{
    struct reader reader = { set, *at, end };
    bool negated = is_next(&reader, '^');
    reader.at += negated;
    for (bool first = true; first || !is_next(&reader, ']'); first = false) {
        const char *fault = read_item(&reader, first);
        if (fault) {
            return fault;
        }
    }
    *at = reader.at + 1;
    for (size_t i = 0; negated && i < PATTERN_SET_BYTES; i++) {
        set[i] = (uint8_t)~set[i];
    }
    return NULL;
}
