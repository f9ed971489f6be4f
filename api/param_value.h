/*
 * Query values with bounds: what the route's table cannot say.
 *
 * Each function reads one value and leaves *out alone when the key was not given (`text` NULL). A
 * fault is added to *problem (400 invalid_parameter, made when NULL) under the key's name, so that
 * a caller reads all its keys and answers all faults at once.
 */
#ifndef FORKFUL_API_PARAM_VALUE_H
#define FORKFUL_API_PARAM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/problem.h"

#define PARAM_NUMBER_MAX 9007199254740991ull /* what every JSON reader can hold: 2^53 - 1 */
#define PARAM_LIMIT_MAX 500
#define PARAM_LIMIT_STANDARD 100

void param_refuse(struct problem **problem, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void param_unsigned(struct problem **problem, const char *name, const char *text, uint64_t least,
                    uint64_t most, uint64_t *out);
void param_bool(struct problem **problem, const char *name, const char *text, bool *out);
void param_time(struct problem **problem, const char *name, const char *text, int64_t *at_us);
/* The header Last-Event-ID, which stands for `after`. */
void param_last_event_id(struct problem **problem, const char *text, uint64_t *after);
/* `page_token` where there is never a next page: any is refused (400 invalid_page_token). */
void param_no_page_token(struct problem **problem, const char *text);
/* `follow` with a form that is one page. */
void param_follow_of_page(struct problem **problem, bool follow, bool page);

/* The next item of a list with commas: its start, or NULL at the end. *at is moved on. */
const char *param_list_next(const char **at, size_t *bytes);

#endif
