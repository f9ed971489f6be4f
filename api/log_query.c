/* The query keys of a request for output; see log_query.h. */
#include "api/log_query.h"

#include <string.h>

#include "api/param_value.h"

/* ---- stream ---- */

static unsigned stream_bit(const char *name, size_t bytes)
{
    static const struct {
        const char *name;
        unsigned bit;
    } streams[] = {{"stdout", 1u << LOG_STDOUT}, {"stderr", 1u << LOG_STDERR}};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (strlen(streams[i].name) == bytes && memcmp(streams[i].name, name, bytes) == 0) {
            return streams[i].bit;
        }
    }
    return 0;
}

static void read_streams(struct problem **problem, const char *text, unsigned *streams)
{
    const char *item;
    size_t bytes;
    *streams = text ? 0 : 1u << LOG_STDOUT | 1u << LOG_STDERR;
    while ((item = param_list_next(&text, &bytes))) {
        unsigned bit = stream_bit(item, bytes);
        if (!bit) {
            param_refuse(problem, "stream", "must be stdout, stderr or both with a comma");
            return;
        }
        *streams |= bit;
    }
}

/* ---- grep ---- */

/* Behind the bracket expression that begins at `at` ("[]a]", "[^[:alpha:]]"). */
static const char *skip_bracket(const char *at)
{
    at += at[1] == '^' ? 2 : 1;
    if (*at == ']') {
        at++;
    }
    for (; *at && *at != ']'; at++) {
        if (*at == '[' && at[1] && strchr(":.=", at[1])) {
            const char end[] = {at[1], ']', '\0'};
            const char *close = strstr(at + 2, end);
            at = close ? close + 1 : at;
        }
    }
    return *at ? at + 1 : at;
}

static unsigned read_bound(const char **at)
{
    unsigned value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = value > GREP_REPEATS_MAX ? value : value * 10 + (unsigned)(**at - '0');
    }
    return value;
}

/* The larger bound of the interval "{2,5}" at `at`; at least 1. That it is well formed, regcomp
   checks. */
static unsigned interval_bound(const char *at)
{
    at++;
    unsigned least = read_bound(&at);
    at += *at == ',';
    unsigned most = read_bound(&at);
    unsigned larger = least > most ? least : most;
    return larger ? larger : 1;
}

/* Why this expression is not run, or NULL. */
static const char *grep_refusal(const char *at)
{
    unsigned repeats = 1;
    while (*at) {
        if (*at == '[') {
            at = skip_bracket(at);
            continue;
        }
        if (*at == '\\' && at[1] >= '1' && at[1] <= '9') {
            return "must not refer back to a group";
        }
        if (*at == '{') {
            repeats *= interval_bound(at);
        }
        if (repeats > GREP_REPEATS_MAX) {
            return "repeats too much: its intervals multiply to more than 1000";
        }
        at += *at == '\\' && at[1] ? 2 : 1;
    }
    return NULL;
}

static void read_grep(struct problem **problem, const char *text, struct log_choice *choice)
{
    char why[200];
    if (!text) {
        return;
    }
    if (!*text || strlen(text) > GREP_BYTES_MAX) {
        param_refuse(problem, "grep", "must have 1 to %d bytes", GREP_BYTES_MAX);
        return;
    }
    const char *refusal = grep_refusal(text);
    if (refusal) {
        param_refuse(problem, "grep", "%s", refusal);
        return;
    }
    int code = regcomp(&choice->grep, text, REG_EXTENDED | REG_NOSUB);
    if (code == REG_ESPACE) {
        problem_free(*problem);
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the regular expression");
    } else if (code) {
        regerror(code, &choice->grep, why, sizeof why);
        param_refuse(problem, "grep", "is not a POSIX extended regular expression: %s", why);
    } else {
        choice->has_grep = true;
        choice->query.grep = &choice->grep;
    }
}

/* ---- all of them ---- */

struct problem *log_choice_read(struct log_choice *choice, const struct log_query_text *text)
{
    struct problem *problem = NULL;
    uint64_t tail = 0;
    *choice = (struct log_choice){0};
    struct log_query *query = &choice->query;
    read_streams(&problem, text->stream, &query->streams);
    param_unsigned(&problem, "after", text->after, 0, PARAM_NUMBER_MAX, &query->after);
    param_last_event_id(&problem, text->last_event_id, &query->after);
    param_unsigned(&problem, "before", text->before, 1, PARAM_NUMBER_MAX, &query->before);
    param_unsigned(&problem, "tail", text->tail, 0, PARAM_NUMBER_MAX, &tail);
    param_time(&problem, "since", text->since, &query->since_us);
    param_time(&problem, "until", text->until, &query->until_us);
    param_unsigned(&problem, "limit", text->limit, 1, PARAM_LIMIT_MAX, &choice->limit);
    param_bool(&problem, "follow", text->follow, &choice->follow);
    query->tail = tail;
    choice->only_new = text->tail && tail == 0;
    read_grep(&problem, text->grep, choice);
    if (problem) {
        log_choice_free(choice);
    }
    return problem;
}

void log_choice_free(struct log_choice *choice)
{
    if (choice->has_grep) {
        regfree(&choice->grep);
    }
    choice->has_grep = false;
    choice->query.grep = NULL;
}
