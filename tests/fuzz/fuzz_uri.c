/*
 * Any bytes as a request target and its query: no access outside the buffer, and what is taken
 * keeps the promises of uri.h.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/query.h"
#include "api/uri.h"
#include "service/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const struct param params[] = {
    {"wait", PARAM_SECONDS, false},
    {"label", PARAM_TEXT, true},
    {"since", PARAM_TIME, false},
    {NULL, PARAM_TEXT, false},
};

static void check_segments(const struct uri *uri)
{
    assert(uri->count <= URI_SEGMENTS);
    for (unsigned i = 0; i < uri->count; i++) {
        const struct uri_piece *segment = &uri->segments[i];
        assert(strlen(segment->data) == segment->bytes);
        assert(utf8_valid(segment->data, segment->bytes));
        assert(strpbrk(segment->data, "/\\\n\r\t") == NULL);
        assert(strcmp(segment->data, ".") != 0 && strcmp(segment->data, "..") != 0);
        assert(segment->bytes > 0 || i + 1 == uri->count);
    }
}

static void check_query(char *raw)
{
    unsigned most = query_pairs_most(raw);
    struct query query = {0, calloc(most, sizeof(struct query_pair))};

    problem_free(query_read(raw, params, &query));
    assert(query.count <= most);
    for (unsigned i = 0; i < query.count; i++)
        assert(utf8_valid(query.pairs[i].value, strlen(query.pairs[i].value)));
    free(query.pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct uri uri;
    char *target = malloc(bytes + 1); /* of that size, so that the sanitizer sees its end */

    memcpy(target, data, bytes);
    target[bytes] = '\0';
    if (uri_parse(target, bytes, &uri) == NULL) {
        check_segments(&uri);
        if (uri.query != NULL)
            check_query(uri.query);
    }
    free(target);
    return 0;
}
