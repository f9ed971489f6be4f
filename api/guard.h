/*
 * The guard: what is wrong with a request before anybody looks at what it asks for.
 *
 * libmicrohttpd lets pass what makes two readers of one byte stream disagree (RFC 9112 sections
 * 3.2, 6.1, 6.3), and it knows nothing of browsers. So every header is walked once: it is checked,
 * and the known ones are kept by number. Pure functions; the values are borrowed.
 */
#ifndef FORKFUL_API_GUARD_H
#define FORKFUL_API_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/problem.h"

/* X(name, text, may stand once only). By length of the text: head_add relies on it. */
#define HEADERS(X)                                      \
    X(HOST, "Host", true)                               \
    X(ACCEPT, "Accept", false)                          \
    X(EXPECT, "Expect", true)                           \
    X(ORIGIN, "Origin", true)                           \
    X(IF_HOLD, "If-Hold", true)                         \
    X(CONTENT_TYPE, "Content-Type", true)               \
    X(X_REQUEST_ID, "X-Request-Id", true)               \
    X(AUTHORIZATION, "Authorization", true)             \
    X(IF_NONE_MATCH, "If-None-Match", false)            \
    X(LAST_EVENT_ID, "Last-Event-ID", true)             \
    X(CONTENT_LENGTH, "Content-Length", true)           \
    X(SEC_FETCH_SITE, "Sec-Fetch-Site", true)           \
    X(SEC_FETCH_MODE, "Sec-Fetch-Mode", true)           \
    X(IDEMPOTENCY_KEY, "Idempotency-Key", true)         \
    X(TRANSFER_ENCODING, "Transfer-Encoding", true)

enum header {
#define X(name, text, once) HEADER_##name,
    HEADERS(X)
#undef X
    HEADER_COUNT
};

/* The head of one request. */
struct head {
    const char *values[HEADER_COUNT]; /* NULL: not there */
    uint64_t content_length;          /* 0 when there is none */
    uint32_t count;                   /* of headers */
    bool chunked;
    const char *refusal;              /* what is wrong, a static sentence; NULL: nothing */
};

/* Takes one header in. `value` may be NULL (empty). */
void head_add(struct head *head, const char *name, size_t name_bytes, const char *value);
/* The number of a known header, or HEADER_COUNT. */
enum header header_find(const char *name, size_t name_bytes);

struct guard_rules {
    const char *const *hosts;         /* names taken besides localhost and addresses of loopback */
    size_t host_count;
    const char *address;              /* of the listener, as in Host; "" for a Unix socket */
    bool is_unix;
    bool tls;
};

struct guard_request {
    bool http_1_0;
    bool reads;                       /* GET or HEAD */
    bool navigates_to_page;           /* reads a public page outside the API */
};

/* NULL: it may pass. The connection must be closed after any other answer. */
struct problem *guard_check(const struct head *head, const struct guard_rules *rules,
                            const struct guard_request *request);

/* True when the request has a body. */
bool head_has_body(const struct head *head);

#endif
