/*
 * What stands in a query or a header as a value: durations, numbers, times, Last-Event-ID, page
 * tokens. The first byte chooses the reader; what is taken is within its bounds, and a page token
 * that is taken is exactly the one that would be given.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/page.h"
#include "api/param_value.h"
#include "api/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define YEAR_US (366 * 86400 * INT64_C(1000000))

static void read_duration(const char *text)
{
    int64_t us;

    if (query_seconds(text, &us)) {
        assert(us >= 0 && us < YEAR_US + 1000000);
        assert(strspn(text, "0123456789.eE+-") == strlen(text));
    }
}

static void read_number(const char *text)
{
    uint64_t value;
    bool truth;

    if (query_unsigned(text, &value)) {
        assert(value <= INT64_MAX);
        assert(value == strtoull(text, NULL, 10));
    }
    query_bool(text, &truth);
}

static void read_event_id(const char *text)
{
    uint64_t after = UINT64_MAX;
    struct problem *problem = NULL;

    param_last_event_id(&problem, text, &after);
    assert((problem != NULL) == (after == UINT64_MAX));
    assert(problem != NULL || after <= PARAM_NUMBER_MAX);
    problem_free(problem);
}

static void read_time(const char *text)
{
    int64_t us = 0;
    struct problem *problem = NULL;

    param_time(&problem, "since", text, &us);
    problem_free(problem);
}

static void read_page_token(const char *text)
{
    const uint64_t filters = 0x0123456789abcdef;
    struct fact_id last;
    char again[PAGE_TOKEN_BYTES];

    if (page_token_parse(text, filters, &last)) {
        page_token_format(&last, filters, again);
        assert(strcmp(text, again) == 0);
        assert(!page_token_parse(text, filters + 1, &last));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static void (*const readers[])(const char *text) = {read_duration, read_number, read_event_id,
                                                        read_time, read_page_token};

    if (bytes == 0)
        return 0;
    char *text = strndup((const char *)data + 1, bytes - 1);
    readers[data[0] % (sizeof readers / sizeof readers[0])](text);
    free(text);
    return 0;
}
