/* Query values with bounds; see param_value.h. */
#include "api/param_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* Digits only: no sign, no blank, nothing behind. */
static bool parse_digits(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        uint64_t digit = (uint64_t)(unsigned char)*text - '0';
        if (digit > 9 || digit > most || value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

void param_unsigned(struct problem **problem, const char *name, const char *text, uint64_t least,
                    uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    if (!text) {
        return;
    }
    if (parse_digits(text, most, &value) && value >= least) {
        *out = value;
    } else {
        param_refuse(problem, name, "must be a whole number from %llu to %llu",
                     (unsigned long long)least, (unsigned long long)most);
    }
}

void param_bool(struct problem **problem, const char *name, const char *text, bool *out)
{
    if (!text) {
        return;
    }
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (yes || strcmp(text, "false") == 0 || strcmp(text, "0") == 0) {
        *out = yes;
    } else {
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
    if (text && !parse_digits(text, PARAM_NUMBER_MAX, after)) {
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
