/* Query values with bounds; see param_value.h. */
#include "api/param_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/query.h"
#include "service/text.h"

void param_refuse(struct problem **problem, const char *name, const char *format, ...)
{
    char detail[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    *problem = problem_add(*problem, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, name, "%s %s",
                           name, detail);
}

void param_unsigned(struct problem **problem, const char *name, const char *text, uint64_t least,
                    uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    if (!text) {
        return;
    }
    if (query_unsigned(text, &value) && value >= least && value <= most) {
        *out = value;
    } else {
        param_refuse(problem, name, "must be a whole number from %llu to %llu",
                     (unsigned long long)least, (unsigned long long)most);
    }
}

void param_bool(struct problem **problem, const char *name, const char *text, bool *out)
{
    bool value;
    if (text && query_bool(text, &value)) {
        *out = value;
    } else if (text) {
        param_refuse(problem, name, "must be true or false");
    }
}

void param_time(struct problem **problem, const char *name, const char *text, int64_t *at_us)
{
    if (text && !time_parse(text, at_us)) {
        param_refuse(problem, name, "must be a time as in RFC 3339");
    }
}

void param_last_event_id(struct problem **problem, const char *text, uint64_t *after)
{
    uint64_t value = 0;
    if (text && query_unsigned(text, &value) && value <= PARAM_NUMBER_MAX) {
        *after = value;
    } else if (text) {
        *problem = problem_add(*problem, PROBLEM_INVALID_PARAMETER, FAULT_HEADER, "Last-Event-ID",
                               "Last-Event-ID must be the id of an event of this stream");
    }
}

void param_no_page_token(struct problem **problem, const char *text)
{
    if (text) {
        *problem = problem_add(*problem, PROBLEM_INVALID_PAGE_TOKEN, FAULT_PARAMETER, "page_token",
                               "this list gives no page tokens: it is continued with after");
    }
}

void param_follow_of_page(struct problem **problem, bool follow, bool page)
{
    if (follow && page) {
        param_refuse(problem, "follow",
                     "needs a form that goes on: NDJSON, an event stream or raw bytes");
    }
}

const char *param_list_next(const char **at, size_t *bytes)
{
    const char *item = *at;
    if (!item) {
        return NULL;
    }
    *bytes = strcspn(item, ",");
    *at = item[*bytes] ? item + *bytes + 1 : NULL;
    return item;
}
