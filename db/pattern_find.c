/*
 * The machine that runs a pattern's program: all threads at once, place by place in the text.
 *
 * A place is before the first byte, between two, or behind the last. The states that wait for a
 * byte are listed for two places, the one before and the one at hand; none is listed twice.
 */
#include <string.h>

#include "db/pattern_program.h"

/* The room of one search. Only `seen` has to be cleared, and of it what the pattern has. */
struct scratch {
    uint16_t lists[2][PATTERN_STATES];
    uint16_t stack[PATTERN_STATES];
    uint64_t seen[PATTERN_STATES / 64]; /* states that this place has reached already */
};

struct run {
    const struct pattern *pattern;
    struct scratch *scratch;
    bool begin, end;        /* whether the place at hand is at this end of the text */
    bool matched;
    uint64_t steps;
    uint16_t *list;         /* the states that wait for a byte at this place */
    size_t count;
    size_t waiting;         /* on the stack */
};

static void reach(struct run *run, size_t index)
{
    uint64_t *seen = &run->scratch->seen[index >> 6], bit = 1ull << (index & 63);
    if (*seen & bit) {
        return;
    }
    *seen |= bit;
    run->scratch->stack[run->waiting++] = (uint16_t)index;
}

/* The state, and all that are reached from it without a byte. */
static void enter(struct run *run, size_t first)
{
    reach(run, first);
    while (run->waiting) {
        size_t index = run->scratch->stack[--run->waiting];
        const struct state *state = &run->pattern->states[index];
        run->steps++;
        if (state->kind <= STATE_SET) {
            run->list[run->count++] = (uint16_t)index;
        } else if (state->kind == STATE_MATCH) {
            run->matched = true;
        }
        if (state->kind == STATE_FORK || state->kind == STATE_JUMP) {
            reach(run, (size_t)((ptrdiff_t)index + state->jump));
        }
        if (state->kind == STATE_FORK || (state->kind == STATE_BEGIN && run->begin) ||
            (state->kind == STATE_END && run->end)) {
            reach(run, index + 1);
        }
    }
}

static bool takes(const struct pattern *pattern, const struct state *state, unsigned char byte)
{
    if (state->kind == STATE_BYTE) {
        return state->value == byte;
    }
    return state->kind == STATE_ANY || pattern->sets[state->value][byte >> 3] >> (byte & 7) & 1;
}

static void begin_place(struct run *run, size_t at, size_t bytes)
{
    struct scratch *scratch = run->scratch;
    run->list = scratch->lists[at & 1];
    run->count = 0;
    run->begin = at == 0;
    run->end = at == bytes;
    memset(scratch->seen, 0, (run->pattern->count + 63) / 64 * sizeof *scratch->seen);
}

/* The next place where a match could begin. */
static size_t skip(const struct pattern *pattern, const char *data, size_t at, size_t bytes)
{
    while (at < bytes && !pattern->first[(unsigned char)data[at]]) {
        at++;
    }
    return at;
}

static void search(struct run *run, const char *data, size_t bytes)
{
    const struct pattern *pattern = run->pattern;
    size_t before = 0;      /* how many states wait for the byte before `at` */
    for (size_t at = 0; at <= bytes; at++) {
        const uint16_t *waiting = run->scratch->lists[(at + 1) & 1];
        begin_place(run, at, bytes);
        run->steps += before;
        for (size_t i = 0; i < before; i++) {
            if (takes(pattern, &pattern->states[waiting[i]], (unsigned char)data[at - 1])) {
                enter(run, waiting[i] + 1u);
            }
        }
        if (at == 0 || at == bytes || pattern->first[(unsigned char)data[at]]) {
            enter(run, 0);
        }
        if (run->matched) {
            return;
        }
        before = run->count;
        if (before == 0 && at < bytes) {
            at = skip(pattern, data, at + 1, bytes) - 1;
        }
    }
}

bool pattern_find_counted(const struct pattern *pattern, const char *data, size_t bytes,
                          uint64_t *steps)
{
    if (pattern->is_literal) {
        return memmem(data, bytes, pattern->literal, pattern->count - 1) != NULL;
    }
    struct scratch scratch;
    struct run run = { .pattern = pattern, .scratch = &scratch };
    search(&run, data, bytes);
    *steps += run.steps;
    return run.matched;
}

bool pattern_find(const struct pattern *pattern, const char *data, size_t bytes)
{
    uint64_t steps = 0;
    return pattern_find_counted(pattern, data, bytes, &steps);
}

/* ---- preparing: what finding is spared ---- */

void pattern_prepare(struct pattern *pattern)
{
    struct scratch scratch;
    struct run run = { .pattern = pattern, .scratch = &scratch };
    begin_place(&run, 1, 2);
    enter(&run, 0);
    for (size_t i = 0; i < run.count; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            if (takes(pattern, &pattern->states[run.list[i]], (unsigned char)byte)) {
                pattern->first[byte] = true;
            }
        }
    }
    pattern->is_literal = true;
    for (size_t i = 0; i + 1 < pattern->count; i++) {
        pattern->is_literal = pattern->is_literal && pattern->states[i].kind == STATE_BYTE;
        pattern->literal[i] = (char)pattern->states[i].value;
    }
}
