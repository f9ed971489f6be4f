/*
 * The guard's checks, as a list run in order: framing first, because after a framing error nothing
 * else in the request can be believed.
 *
 * The browser's part: a page of another site may make a browser send requests to this machine. Host
 * must name us (a rebound DNS name does not), and Origin and Sec-Fetch-Site, which pages cannot
 * forge, must not name another site. On the Unix socket Host means nothing: browsers cannot reach
 * it.
 */
#include "api/guard.h"

#include <string.h>
#include <strings.h>

enum { HEADERS_MOST = 100, LONGEST_KNOWN = 17 };

static const struct known {
    const char *text;
    unsigned char bytes;
    bool once;
} knowns[HEADER_COUNT] = {
#define X(name, text, once) {text, sizeof text - 1, once},
    HEADERS(X)
#undef X
};

/* RFC 9110 section 5.6.2. */
static const bool token_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

enum header header_find(const char *name, size_t name_bytes)
{
    unsigned i = 0;

    if (name_bytes > LONGEST_KNOWN) {
        return HEADER_COUNT;
    }
    while (i < HEADER_COUNT && knowns[i].bytes < name_bytes) {
        i++;
    }
    for (; i < HEADER_COUNT && knowns[i].bytes == name_bytes; i++) {
        if (strncasecmp(knowns[i].text, name, name_bytes) == 0) {
            return (enum header)i;
        }
    }
    return HEADER_COUNT;
}

static bool is_token(const char *name, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!token_bytes[(unsigned char)name[i]]) {
            return false;
        }
    }
    return bytes > 0;
}

/* All control bytes but the tab. The library ends a value at the newline, so this is a carriage
   return that another reader might take for one, or something that nobody means. */
static bool holds_control(const char *value)
{
    for (; *value != '\0'; value++) {
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7F) {
            return true;
        }
    }
    return false;
}

static void read_length(struct head *head, const char *value)
{
    uint64_t length = 0;
    const char *at = value;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (length > (UINT64_MAX - 9) / 10) {
            head->refusal = "The Content-Length is too large.";
        }
        length = length * 10 + (uint64_t)(*at - '0');
    }
    if (at == value || *at != '\0') {
        head->refusal = "The Content-Length is not a number.";
    }
    head->content_length = length;
}

void head_add(struct head *head, const char *name, size_t name_bytes, const char *value)
{
    enum header header = header_find(name, name_bytes);

    if (++head->count > HEADERS_MOST) {
        head->refusal = "The request has more than 100 headers.";
    }
    if (value == NULL) {
        value = "";
    }
    if (holds_control(value)) {
        head->refusal = "A header's value holds a control byte.";
    }
    if (header == HEADER_COUNT) {
        if (!is_token(name, name_bytes)) {
            head->refusal = "A header's name holds a byte that names cannot hold.";
        }
        return;
    }
    if (head->values[header] != NULL) {
        if (knowns[header].once) {
            head->refusal = "A header that may stand only once stands there more than once.";
        }
        return;
    }
    head->values[header] = value;
    if (header == HEADER_CONTENT_LENGTH) {
        read_length(head, value);
    }
    if (header == HEADER_TRANSFER_ENCODING) {
        head->chunked = strcasecmp(value, "chunked") == 0;
        if (!head->chunked) {
            head->refusal = "The only transfer coding taken here is \"chunked\".";
        }
    }
}

bool head_has_body(const struct head *head)
{
    return head->chunked || head->content_length > 0;
}

struct check {
    const struct head *head;
    const struct guard_rules *rules;
    const struct guard_request *request;
};

static struct problem *bad(const char *sentence)
{
    return problem_make(PROBLEM_BAD_REQUEST, "%s", sentence);
}

static struct problem *check_headers(const struct check *check)
{
    return check->head->refusal != NULL ? bad(check->head->refusal) : NULL;
}

static struct problem *check_framing(const struct check *check)
{
    const struct head *head = check->head;

    if (head->chunked && head->values[HEADER_CONTENT_LENGTH] != NULL) {
        return bad("Content-Length and Transfer-Encoding exclude each other.");
    }
    if (head->chunked && check->request->http_1_0) {
        return bad("HTTP/1.0 has no transfer codings.");
    }
    if (head_has_body(head) && check->request->reads) {
        return bad("GET and HEAD take no body.");
    }
    if (head->values[HEADER_EXPECT] != NULL &&
        strcasecmp(head->values[HEADER_EXPECT], "100-continue") != 0) {
        return bad("The only expectation known here is \"100-continue\".");
    }
    return NULL;
}

/* The name in a Host value: without the port, brackets kept. 0: not a Host value. */
static size_t host_name_bytes(const char *host)
{
    size_t bytes = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (bytes > strlen(host)) {
        return 0;
    }
    const char *rest = host + bytes;
    if (*rest == ':' && strspn(rest + 1, "0123456789") != strlen(rest + 1)) {
        return 0;
    }
    return *rest == '\0' || *rest == ':' ? bytes : 0;
}

static bool same_name(const char *name, const char *host, size_t bytes)
{
    return strlen(name) == bytes && strncasecmp(name, host, bytes) == 0;
}

static bool host_is_ours(const char *host, const struct guard_rules *rules)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t bytes = host_name_bytes(host);

    if (bytes == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        if (same_name(always[i], host, bytes)) {
            return true;
        }
    }
    for (size_t i = 0; i < rules->host_count; i++) {
        if (same_name(rules->hosts[i], host, bytes)) {
            return true;
        }
    }
    return same_name(rules->address, host, bytes);
}

static struct problem *check_host(const struct check *check)
{
    const char *host = check->head->values[HEADER_HOST];

    if (check->rules->is_unix) {
        return NULL;
    }
    /* HTTP/1.0 has no such header. A page cannot make a browser leave it out. */
    if (host == NULL && check->request->http_1_0) {
        return NULL;
    }
    if (host == NULL) {
        return bad("A Host header is needed.");
    }
    if (!host_is_ours(host, check->rules)) {
        return problem_make(PROBLEM_MISDIRECTED,
                            "This server does not answer for the host \"%.255s\".", host);
    }
    return NULL;
}

/* "http://HOST", HOST being the request's own. A proxy with TLS may stand before a plain listener; but
   what comes without TLS from the address of a listener with it is somebody else's. */
static bool origin_is_ours(const char *origin, const char *host, bool tls)
{
    size_t scheme = strncasecmp(origin, "https://", 8) == 0           ? 8
                    : !tls && strncasecmp(origin, "http://", 7) == 0 ? 7
                                                                     : 0;

    return host != NULL && scheme > 0 && strcasecmp(origin + scheme, host) == 0;
}

/* Following a link to the dashboard is no attack; all else from another site's page may be one. */
static struct problem *check_site(const struct check *check)
{
    const struct head *head = check->head;
    const char *origin = head->values[HEADER_ORIGIN], *site = head->values[HEADER_SEC_FETCH_SITE];
    const char *mode = head->values[HEADER_SEC_FETCH_MODE];

    if (origin != NULL && !origin_is_ours(origin, head->values[HEADER_HOST], check->rules->tls)) {
        return problem_make(PROBLEM_FORBIDDEN, "Pages of other origins may not call this server.");
    }
    if (site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0) {
        return NULL;
    }
    if (check->request->navigates_to_page && mode != NULL && strcmp(mode, "navigate") == 0) {
        return NULL;
    }
    return problem_make(PROBLEM_FORBIDDEN, "Pages of other sites may not call this server.");
}

struct problem *guard_check(const struct head *head, const struct guard_rules *rules,
                            const struct guard_request *request)
{
    static struct problem *(*const checks[])(const struct check *check) = {
        check_headers, check_framing, check_host, check_site};
    struct check check = {head, rules, request};

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct problem *problem = checks[i](&check);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}
