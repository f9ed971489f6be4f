/*
 * Any lines as the headers of a request: the first byte chooses the listener and the request, the
 * rest is "name:value" lines. What passes the guard keeps what guard.h promises.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *const own_hosts[] = {"forkful.example"};

/* Name and value as strings of their own, so that the sanitizer sees their ends. Gives the copy. */
static char *add_line(struct head *head, char *line)
{
    char *colon = strchr(line, ':');
    size_t name_bytes = colon != NULL ? (size_t)(colon - line) : strlen(line);
    char *value = colon != NULL ? strdup(colon + 1) : NULL;
    char *name = strndup(line, name_bytes);

    head_add(head, name, name_bytes, value);
    free(name);
    return value;
}

/* Whatever way it was written: its host's name is one of ours. */
static void check_host(const char *host)
{
    static const char *const ours[] = {"localhost", "127.0.0.1", "[::1]", "forkful.example",
                                       "127.0.0.2"};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        size_t name = strlen(ours[i]);
        if (strncasecmp(host, ours[i], name) != 0)
            continue;
        if (host[name] == '\0' || (host[name] == ':' && strspn(host + name + 1, "0123456789") ==
                                                            strlen(host + name + 1)))
            return;
    }
    abort();
}

static void check_passed(const struct head *head, const struct guard_rules *rules,
                         const struct guard_request *request)
{
    const char *host = head->values[HEADER_HOST], *origin = head->values[HEADER_ORIGIN];

    assert(head->refusal == NULL && head->count <= 100);
    assert(!head->chunked || head->values[HEADER_CONTENT_LENGTH] == NULL);
    assert(!(head_has_body(head) && request->reads));
    for (unsigned i = 0; i < HEADER_COUNT; i++)
        assert(head->values[i] == NULL || strpbrk(head->values[i], "\r\n\x01\x1b\x7f") == NULL);
    if (!rules->is_unix && host != NULL)
        check_host(host);
    assert(rules->is_unix || host != NULL || request->http_1_0);
    assert(origin == NULL || (host != NULL && strlen(origin) > strlen(host)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    enum { LINES = 128 };
    char *values[LINES], *rest, *text, *line;
    size_t count = 0;
    struct head head = {0};

    if (bytes == 0)
        return 0;
    const struct guard_rules rules = {own_hosts, 1, "127.0.0.2", data[0] & 1, data[0] & 16};
    const struct guard_request request = {data[0] & 2, data[0] & 4, data[0] & 8};
    text = rest = strndup((const char *)data + 1, bytes - 1);
    while (count < LINES && (line = strsep(&rest, "\n")) != NULL)
        values[count++] = add_line(&head, line);
    struct problem *problem = guard_check(&head, &rules, &request);
    if (problem == NULL)
        check_passed(&head, &rules, &request);
    else
        assert(problem_status(problem) >= 400 && problem_status(problem) < 500);
    problem_free(problem);
    while (count > 0)
        free(values[--count]);
    free(text);
    return 0;
}
