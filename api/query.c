/*
 * Reading of query strings. The values' syntax is a table of param_type to a check and the words
 * for what was expected.
 */
#include "api/query.h"

#include "api/page.h"

#include <stdlib.h>
#include <string.h>

#include "api/similar.h"

#define SECOND_US    1000000
#define SECONDS_MOST (366 * 86400)

bool query_unsigned(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* NULL: there are none. */
static const char *skip_digits(const char *at)
{
    size_t count = strspn(at, "0123456789");
    return count > 0 ? at + count : NULL;
}

/* As JSON writes numbers that are not negative: programs print small floats as 1e-05. */
static bool is_number(const char *at)
{
    at = skip_digits(at);
    if (at != NULL && *at == '.') {
        at = skip_digits(at + 1);
    }
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at += 1 + (at[1] == '+' || at[1] == '-');
        at = skip_digits(at);
    }
    return at != NULL && *at == '\0';
}

bool query_seconds(const char *text, int64_t *out_us)
{
    if (!is_number(text)) {
        return false;
    }
    double seconds = strtod(text, NULL);
    *out_us = (int64_t)((seconds < SECONDS_MOST ? seconds : SECONDS_MOST) * SECOND_US + 0.5);
    return true;
}

bool query_bool(const char *text, bool *out)
{
    *out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool valid_text(const char *text)
{
    (void)text;
    return true;
}

static bool valid_unsigned(const char *text)
{
    uint64_t value;
    return query_unsigned(text, &value);
}

static bool valid_limit(const char *text)
{
    uint64_t value;
    return query_unsigned(text, &value) && value >= 1 && value <= PAGE_LIMIT_MAX;
}

static bool valid_seconds(const char *text)
{
    int64_t value;
    return query_seconds(text, &value);
}

static bool valid_bool(const char *text)
{
    bool value;
    return query_bool(text, &value);
}

static bool valid_time(const char *text)
{
    int64_t value;
    return time_parse(text, &value);
}

static const struct syntax {
    bool (*valid)(const char *text);
    const char *expected;
} syntaxes[] = {
    [PARAM_TEXT] = {valid_text, ""},
    [PARAM_UNSIGNED] = {valid_unsigned, "a whole number that is not negative"},
    [PARAM_LIMIT] = {valid_limit, "a whole number from 1 to 500"},
    [PARAM_SECONDS] = {valid_seconds, "a number of seconds that is not negative, like 30 or 0.5"},
    [PARAM_BOOL] = {valid_bool, "true or false"},
    [PARAM_TIME] = {valid_time, "a time like 2024-05-01T12:00:00Z, or seconds since 1970"},
};

static const struct param *param_find(const struct param *params, const char *name)
{
    for (; params != NULL && params->name != NULL; params++) {
        if (strcmp(params->name, name) == 0) {
            return params;
        }
    }
    return NULL;
}

static struct problem *unknown(struct problem *problem, const struct param *params,
                               const char *name)
{
    struct similar similar = similar_to(name);

    for (; params != NULL && params->name != NULL; params++) {
        similar_try(&similar, params->name);
    }
    if (similar.best != NULL) {
        return problem_add(problem, PROBLEM_UNKNOWN_PARAMETER, FAULT_PARAMETER, name,
                           "The query key \"%s\" is not known here; did you mean \"%s\"?", name,
                           similar.best);
    }
    return problem_add(problem, PROBLEM_UNKNOWN_PARAMETER, FAULT_PARAMETER, name,
                       "The query key \"%s\" is not known here.", name);
}

/* What is wrong with one pair is added to the problem; what is right is put into the query. */
static struct problem *pair_check(struct problem *problem, const struct param *params,
                                  const struct uri_piece *key, const struct uri_piece *value,
                                  struct query *out)
{
    const struct param *param = param_find(params, key->data);

    if (param == NULL) {
        return unknown(problem, params, key->data);
    }
    if (!param->repeats && query_value(out, param->name) != NULL) {
        return problem_add(problem, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, param->name,
                           "The query key \"%s\" stands there more than once.", param->name);
    }
    if (!syntaxes[param->type].valid(value->data)) {
        problem = problem_add(problem, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, param->name,
                              "The value of \"%s\" must be %s.", param->name,
                              syntaxes[param->type].expected);
    }
    out->pairs[out->count++] = (struct query_pair){param->name, value->data};
    return problem;
}

unsigned query_pairs_most(const char *raw)
{
    unsigned count = 1;

    for (; *raw != '\0'; raw++) {
        count += *raw == '&';
    }
    return count;
}

struct problem *query_read(char *raw, const struct param *params, struct query *out)
{
    struct problem *problem = NULL;
    struct uri_piece key, value;

    while (raw != NULL && (problem == NULL || problem->fault_count < QUERY_FAULTS)) {
        const char *refusal = uri_next_pair(&raw, &key, &value);
        if (refusal != NULL) {
            problem_free(problem);
            return problem_make(PROBLEM_BAD_REQUEST, "%s", refusal);
        }
        if (key.bytes > 0 || value.bytes > 0) {
            problem = pair_check(problem, params, &key, &value, out);
        }
    }
    return problem;
}

const char *query_value(const struct query *query, const char *name)
{
    for (unsigned i = 0; i < query->count; i++) {
        if (query->pairs[i].name == name || strcmp(query->pairs[i].name, name) == 0) {
            return query->pairs[i].value;
        }
    }
    return NULL;
}
