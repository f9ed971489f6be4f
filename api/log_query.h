/*
 * What a request for output asks: its query keys as a struct log_query.
 *
 * Knows no request, only the texts of the keys, so that it can be tested alone.
 */
#ifndef FORKFUL_API_LOG_QUERY_H
#define FORKFUL_API_LOG_QUERY_H

#include "db/logs.h"
#include "service/problem.h"

#define GREP_BYTES_MAX 256

/* The keys as they came, NULL where they did not. */
struct log_query_text {
    const char *stream, *after, *before, *tail, *since, *until, *grep, *limit, *follow, *offset;
    const char *last_event_id;         /* the header; wins over `after` */
};

struct log_choice {
    struct log_query query;            /* the filters; process, sizes and cursor are the caller's */
    uint64_t limit;                    /* records; 0: none was given */
    bool follow;
    bool only_new;                     /* tail=0: nothing of what is stored now */
    bool from_offset;                  /* raw bytes of one stream, from a place in it */
    struct pattern *grep;              /* owned; query.grep is the same */
};

/* NULL, or all faults in one problem, added to `problem` (taken; NULL: none so far); then nothing
   has to be freed. */
struct problem *log_choice_read(struct log_choice *choice, const struct log_query_text *text,
                                struct problem *problem);
void log_choice_free(struct log_choice *choice);

#endif
