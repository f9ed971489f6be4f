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

static void read_grep(struct problem **problem, const char *text, struct log_choice *choice)
{
    char why[120];
    size_t bytes = text ? strlen(text) : 0;
    if (!text) {
        return;
    }
    if (bytes < 1 || bytes > GREP_BYTES_MAX) {
        param_refuse(problem, "grep", "must have 1 to %d bytes", GREP_BYTES_MAX);
        return;
    }
    choice->grep = pattern_compile(text, bytes, why, sizeof why);
    choice->query.grep = choice->grep;
    if (choice->grep) {
        return;
    }
    if (*why) {
        param_refuse(problem, "grep", "must be an extended regular expression: %s", why);
    } else {
        problem_free(*problem);
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the regular expression");
    }
}

/* ---- offset ---- */

/* It chooses bytes, the other keys records. */
static void read_offset(struct problem **problem, const struct log_query_text *text,
                        struct log_choice *choice)
{
    struct log_query *query = &choice->query;
    const char *const others[] = {text->after, text->before, text->tail,
                                  text->since, text->until,  text->grep, text->limit};
    uint64_t offset = 0;
    bool alone = query->streams == 1u << LOG_STDOUT || query->streams == 1u << LOG_STDERR;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        alone = alone && !others[i];
    }
    if (!text->offset) {
        return;
    }
    if (!alone) {
        param_refuse(problem, "offset", "needs one stream, and goes with no other key but follow");
    }
    param_unsigned(problem, "offset", text->offset, 0, PARAM_NUMBER_MAX, &offset);
    choice->from_offset = query->whole = query->begun = true;
    query->raw_stdout = query->raw_stderr = offset;
}

/* ---- all of them ---- */

struct problem *log_choice_read(struct log_choice *choice, const struct log_query_text *text,
                                struct problem *problem)
{
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
    read_offset(&problem, text, choice);
    read_grep(&problem, text->grep, choice);
    if (problem) {
        log_choice_free(choice);
    }
    return problem;
}

void log_choice_free(struct log_choice *choice)
{
    pattern_free(choice->grep);
    choice->grep = NULL;
    choice->query.grep = NULL;
}
