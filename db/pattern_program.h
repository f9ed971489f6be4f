/*
 * What pattern.c makes, with pattern_set.c, and pattern_find.c runs. Private to these three.
 *
 * The program of a piece of the expression is a run of states that is left at its end, and all
 * jumps are relative: a piece can be moved and copied as it is.
 */
#ifndef FORKFUL_DB_PATTERN_PROGRAM_H
#define FORKFUL_DB_PATTERN_PROGRAM_H

#include "db/pattern.h"

#define PATTERN_SETS 128    /* brackets in one pattern */
#define PATTERN_SET_BYTES 32

enum state_kind {
    STATE_BYTE, STATE_ANY, STATE_SET, /* take a byte and go on to the next state */
    STATE_FORK,                       /* to the next state and to the one `jump` away */
    STATE_JUMP,                       /* to the one `jump` away */
    STATE_BEGIN, STATE_END,           /* to the next, at this end of the text */
    STATE_MATCH
};

struct state {
    uint8_t kind;
    uint8_t value;          /* the byte, or the number of the set */
    int16_t jump;
};

struct pattern {
    size_t count;
    size_t set_count;
    bool is_literal;        /* `literal` is all there is to find */
    bool first[256];        /* bytes a match can begin with that is not at an end of the text */
    struct state states[PATTERN_STATES];
    uint8_t sets[PATTERN_SETS][PATTERN_SET_BYTES]; /* a bit for each byte */
    char literal[PATTERN_STATES];
};

/* Reads the bracket of which *at is behind the "[", into `set`, which is empty; *at is moved behind
   it. Returns why it is refused, or NULL. */
const char *pattern_set_read(uint8_t *set, const char **at, const char *end);
/* Fills `is_literal`, `literal` and `first` from the finished program. */
void pattern_prepare(struct pattern *pattern);

#endif
