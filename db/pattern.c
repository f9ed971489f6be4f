/*
 * The compiler of patterns: one pass over the text, without a tree and without recursion.
 *
 * It lives on pieces being movable (pattern_program.h): an operator puts a state before or behind
 * the piece it belongs to, {m,n} copies it, | puts a fork before the branch that it ends.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/pattern_program.h"

#define DEPTH 128           /* of groups in each other, the whole included */
#define NOTHING SIZE_MAX
#define UNBOUNDED SIZE_MAX

/* ---- states ---- */

struct group {
    size_t start;           /* its first state */
    size_t branch;          /* the first state of the branch at hand */
    size_t exit;            /* 1 + the last jump from a branch's end; it holds the way back to the
                               one before it, until the end is known. 0: none */
    const char *open;       /* where its ( stands */
};

struct parser {
    struct pattern *out;
    const char *begun, *at, *end; /* the piece at hand, what is read next, the text's end */
    size_t atom;            /* first state of what an operator would repeat, or NOTHING */
    struct group groups[DEPTH];
    size_t depth;
    const char *fault;
};

static bool refuse(struct parser *parser, const char *fault)
{
    parser->fault = fault;
    return false;
}

static bool insert(struct parser *parser, size_t at, enum state_kind kind, size_t value,
                   ptrdiff_t jump)
{
    struct pattern *out = parser->out;
    if (out->count >= PATTERN_STATES) {
        return refuse(parser, "it becomes too large (its repeats multiply)");
    }
    struct state *place = &out->states[at];
    memmove(place + 1, place, (out->count - at) * sizeof *place);
    *place = (struct state){ (uint8_t)kind, (uint8_t)value, (int16_t)jump };
    out->count++;
    return true;
}

static bool append(struct parser *parser, enum state_kind kind, size_t value, ptrdiff_t jump)
{
    return insert(parser, parser->out->count, kind, value, jump);
}

static bool append_copy(struct parser *parser, size_t from, size_t count)
{
    const struct state *states = parser->out->states;
    for (size_t i = from; i < from + count; i++) {
        if (!append(parser, states[i].kind, states[i].value, states[i].jump)) {
            return false;
        }
    }
    return true;
}

/* ---- repeats ---- */

/* How many states what is to be repeated has. */
static ptrdiff_t atom_length(const struct parser *parser)
{
    return (ptrdiff_t)(parser->out->count - parser->atom);
}

static bool star(struct parser *parser)
{
    ptrdiff_t length = atom_length(parser);
    return insert(parser, parser->atom, STATE_FORK, 0, length + 2) &&
           append(parser, STATE_JUMP, 0, -length - 1);
}

static bool plus(struct parser *parser)
{
    return append(parser, STATE_FORK, 0, -atom_length(parser));
}

static bool question(struct parser *parser)
{
    return insert(parser, parser->atom, STATE_FORK, 0, atom_length(parser) + 1);
}

/* least,most: the piece `least` times, and then either again and again or up to `most` times. */
static bool repeat(struct parser *parser, size_t least, size_t most)
{
    ptrdiff_t length = atom_length(parser);
    if (most == 0) {
        parser->out->count = parser->atom;
        return true;
    }
    if (most == UNBOUNDED && least == 0) {
        return star(parser);
    }
    size_t copies = most == UNBOUNDED ? least : most;
    for (size_t copy = 1; copy < copies; copy++) {
        if (copy >= least && !append(parser, STATE_FORK, 0, length + 1)) {
            return false;
        }
        if (!append_copy(parser, parser->atom, (size_t)length)) {
            return false;
        }
    }
    if (most == UNBOUNDED) {
        return append(parser, STATE_FORK, 0, -length);
    }
    return least > 0 || insert(parser, parser->atom, STATE_FORK, 0, length + 1);
}

static bool is_next(const struct parser *parser, char character)
{
    return parser->at < parser->end && *parser->at == character;
}

/* False: no number stands here. More than PATTERN_REPEATS_MAX count as one more. */
static bool read_number(struct parser *parser, size_t *out)
{
    const char *start = parser->at;
    size_t value = 0;
    for (; parser->at < parser->end && isdigit((unsigned char)*parser->at); parser->at++) {
        if (value <= PATTERN_REPEATS_MAX) {
            value = value * 10 + (size_t)(*parser->at - '0');
        }
    }
    if (parser->at > start) {
        *out = value;
    }
    return parser->at > start;
}

static bool interval(struct parser *parser)
{
    size_t least = 0, most = UNBOUNDED;
    bool begins = read_number(parser, &least);
    bool comma = is_next(parser, ',');
    parser->at += comma;
    if (!comma) {
        most = least;
    } else {
        read_number(parser, &most);
    }
    if ((!begins && !comma) || !is_next(parser, '}')) {
        return refuse(parser, "{ must be literal (\\{) or begin a repeat like {2,5}");
    }
    parser->at++;
    if (least > PATTERN_REPEATS_MAX || (most != UNBOUNDED && most > PATTERN_REPEATS_MAX)) {
        return refuse(parser, "a repeat may be at most 1000");
    }
    if (least > most) {
        return refuse(parser, "a repeat's bounds are the wrong way round");
    }
    return repeat(parser, least, most);
}

/* ---- the other pieces ---- */

static bool bracket(struct parser *parser)
{
    struct pattern *out = parser->out;
    if (out->set_count == PATTERN_SETS) {
        return refuse(parser, "there are more than 128 brackets");
    }
    const char *fault = pattern_set_read(out->sets[out->set_count], &parser->at, parser->end);
    if (fault) {
        return refuse(parser, fault);
    }
    parser->atom = out->count;
    return append(parser, STATE_SET, out->set_count++, 0);
}

/* A character, whose further bytes come along. */
static bool literal(struct parser *parser)
{
    unsigned char byte = (unsigned char)*parser->begun;
    parser->atom = parser->out->count;
    bool fine = append(parser, STATE_BYTE, byte, 0);
    for (; fine && byte >= 0xc0 && parser->at < parser->end && (*parser->at & 0xc0) == 0x80;
         parser->at++) {
        fine = append(parser, STATE_BYTE, (uint8_t)*parser->at, 0);
    }
    return fine;
}

static bool any(struct parser *parser)
{
    parser->atom = parser->out->count;
    return append(parser, STATE_ANY, 0, 0);
}

static bool escape(struct parser *parser)
{
    unsigned char byte = parser->at < parser->end ? (unsigned char)*parser->at : 0;
    if (byte >= '1' && byte <= '9') {
        return refuse(parser, "nothing can refer back to a group");
    }
    if (byte != ' ' && (byte >= 0x80 || !ispunct(byte))) {
        return refuse(parser, "\\ must stand before punctuation, which it makes literal");
    }
    parser->begun = parser->at++;
    return literal(parser);
}

static bool anchor(struct parser *parser)
{
    parser->atom = NOTHING;
    return append(parser, *parser->begun == '^' ? STATE_BEGIN : STATE_END, 0, 0);
}

static bool open_group(struct parser *parser)
{
    size_t start = parser->out->count;
    if (parser->depth == DEPTH) {
        return refuse(parser, "groups stand too deep in each other");
    }
    parser->groups[parser->depth++] = (struct group){ start, start, 0, parser->begun };
    parser->atom = NOTHING;
    return true;
}

static bool end_branch(struct parser *parser)
{
    struct group *group = &parser->groups[parser->depth - 1];
    size_t *count = &parser->out->count;
    if (!insert(parser, group->branch, STATE_FORK, 0, (ptrdiff_t)(*count - group->branch) + 2) ||
        !append(parser, STATE_JUMP, 0, group->exit ? (ptrdiff_t)(*count + 1 - group->exit) : 0)) {
        return false;
    }
    group->exit = group->branch = *count;
    parser->atom = NOTHING;
    return true;
}

/* Now it is known where the branches' exits lead. */
static void end_group(struct parser *parser)
{
    const struct group *group = &parser->groups[--parser->depth];
    for (size_t exit = group->exit; exit;) {
        struct state *state = &parser->out->states[exit - 1];
        size_t back = (size_t)state->jump;
        state->jump = (int16_t)(parser->out->count - (exit - 1));
        exit = back ? exit - back : 0;
    }
    parser->atom = group->start;
}

static bool close_group(struct parser *parser)
{
    if (parser->depth == 1) {
        return literal(parser);
    }
    end_group(parser);
    return true;
}

static const struct operator {
    char character;
    bool repeats;
    bool (*parse)(struct parser *parser);
} operators[] = {
    { '*', true, star }, { '+', true, plus }, { '?', true, question }, { '{', true, interval },
    { '.', false, any }, { '[', false, bracket }, { '\\', false, escape },
    { '^', false, anchor }, { '$', false, anchor },
    { '(', false, open_group }, { '|', false, end_branch }, { ')', false, close_group },
};

static bool parse_piece(struct parser *parser)
{
    parser->begun = parser->at++;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].character != *parser->begun) {
            continue;
        }
        if (operators[i].repeats && parser->atom == NOTHING) {
            return refuse(parser, "there is nothing to repeat");
        }
        return operators[i].parse(parser);
    }
    return literal(parser);
}

static bool parse(struct parser *parser)
{
    open_group(parser);
    while (parser->at < parser->end) {
        if (!parse_piece(parser)) {
            return false;
        }
    }
    parser->begun = parser->groups[parser->depth - 1].open;
    if (parser->depth > 1) {
        return refuse(parser, "( is not closed");
    }
    end_group(parser);
    return append(parser, STATE_MATCH, 0, 0);
}

struct pattern *pattern_compile(const char *text, size_t bytes, char *why, size_t why_bytes)
{
    struct pattern *pattern = calloc(1, sizeof *pattern);
    struct parser parser = { .out = pattern, .begun = text, .at = text, .end = text + bytes };
    snprintf(why, why_bytes, "%s", "");
    if (!pattern) {
        return NULL;
    }
    if (parse(&parser)) {
        pattern_prepare(pattern);
        return pattern;
    }
    snprintf(why, why_bytes, "%s, at byte %zu", parser.fault, (size_t)(parser.begun - text) + 1);
    pattern_free(pattern);
    return NULL;
}

void pattern_free(struct pattern *pattern)
{
    free(pattern);
}
