/*
 * What is decided about a request from its head alone, before a byte of body is kept: guard, path, route, token, query,
 * kind and size of the body.
 */
#include <string.h>

#include "api/auth.h"
#include "api/body.h"
#include "api/http_internal.h"

enum { STANDARD_BODY = 1 << 20 };

/* ---- NULs ---- */

/* MHD hands out C strings into its read buffer: a NUL in the head shows only in where the next
   string begins. Later libraries refuse it themselves. */
static bool holds_nul(const char *end, const char *next)
{
#if MHD_VERSION < 0x01000000
    return next != end + 1 && !(next == end + 2 && end[1] == '\0');
#else
    (void)end, (void)next;
    return false;
#endif
}

struct walk {
    struct head *head;
    const char *end; /* the NUL behind what was read last */
    bool broken;     /* it was not the end of its line */
};

static mhd_result collect_header(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_bytes, const char *value, size_t value_bytes)
{
    struct walk *walk = context;

    (void)kind;
    walk->broken = walk->broken || holds_nul(walk->end, name);
    walk->end = value != NULL ? value + value_bytes : name + name_bytes;
    head_add(walk->head, name, name_bytes, value);
    return MHD_YES;
}

/* Behind the last line there is the empty one: two NULs, whichever way the lines end. */
static struct problem *collect_headers(struct request *request, const char *url,
                                       const char *version)
{
    struct walk walk = {&request->head, version + strlen(version), false};
    int count = MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect_header,
                                            &walk);

    if (version[0] != '\0' && holds_nul(url + request->target_bytes, version)) {
        return problem_make(PROBLEM_BAD_REQUEST, "The request target holds a NUL.");
    }
    if (walk.broken || (count > 0 && holds_nul(walk.end, walk.end + 2))) {
        return problem_make(PROBLEM_BAD_REQUEST,
                            "A header holds a NUL or goes on in a second line.");
    }
    return NULL;
}

/* ---- the guard ---- */

/* "http://HOST/path": HOST is the one that counts, and /path the target (RFC 9112 section 3.2.2).
   False: no memory. */
static bool take_authority(struct request *request)
{
    size_t scheme = uri_scheme_bytes(request->target);
    const char *authority = request->target + scheme;
    size_t bytes = strcspn(authority, "/?#");
    bool bare = authority[bytes] != '/';

    if (scheme == 0) {
        return true;
    }
    char *host = request_alloc(request, bytes + 1);
    char *target = request_alloc(request, request->target_bytes + 2);
    if (host == NULL || target == NULL) {
        return false;
    }
    memcpy(host, authority, bytes);
    request->target_bytes -= scheme + bytes;
    target[0] = '/';
    memcpy(target + bare, authority + bytes, request->target_bytes);
    request->target_bytes += bare;
    request->target = target;
    request->head.values[HEADER_HOST] = host;
    request->path_bytes = strcspn(target, "?");
    return true;
}

static bool is_api(const struct request *request)
{
    return strncmp(request->target, "/v1/", 4) == 0;
}

static struct problem *check_guard(struct request *request)
{
    bool reads = (request->method & (METHOD_GET | METHOD_HEAD)) != 0;
    struct guard_request facts = {
        .http_1_0 = request->http_1_0,
        .reads = reads,
        .navigates_to_page = reads && !is_api(request),
    };

    struct guard_rules rules = request->peer->port->rules;
    char address[ADDRESS_BYTES];

    if (!rules.is_unix && *rules.address == '\0') {
        address_name(peer_socket(request->peer), address);
        rules.address = address;
    }
    return guard_check(&request->head, &rules, &facts);
}

struct problem *head_guard(struct request *request, const char *url, const char *version)
{
    struct problem *problem = collect_headers(request, url, version);

    if (problem == NULL && !take_authority(request)) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "x");
    }
    return problem != NULL ? problem : check_guard(request);
}

/* ---- path, route, query ---- */

static struct problem *not_allowed(struct request *request, const struct match *match)
{
    if (!match->path_known) {
        return problem_make(PROBLEM_NOT_FOUND, "There is nothing at this address.");
    }
    answer_header(request, "Allow", match->allow);
    if (request->method == METHOD_OPTIONS) {
        answer_empty(request, MHD_HTTP_NO_CONTENT);
        return NULL;
    }
    return problem_make(PROBLEM_METHOD_NOT_ALLOWED, "This address takes %s.", match->allow);
}

static void take_segments(struct request *request, const struct match *match, const struct uri *uri)
{
    for (unsigned i = 0; i < match->captures; i++) {
        request->segments[i] = uri->segments[match->capture[i]];
    }
}

static struct problem *check_query(struct request *request, char *raw)
{
    if (raw == NULL) {
        return NULL;
    }
    request->query.pairs =
        request_alloc(request, query_pairs_most(raw) * sizeof request->query.pairs[0]);
    if (request->query.pairs == NULL) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "x");
    }
    struct problem *problem = query_read(raw, request->route->params, &request->query);
    if (problem != NULL && problem->fault_count > 0 && request->route->adds_faults) {
        request->faults = problem;
        return NULL;
    }
    return problem;
}

static struct problem *check_token(struct request *request)
{
    if (request->route->scope == SCOPE_PUBLIC) {
        return NULL;
    }
    const char *shown = request->head.values[HEADER_AUTHORIZATION];
    struct tunnel *tunnel = request->peer->tunnel;
    struct credentials credentials = {
        .authorization = shown,
        .peer_fd = request->peer->fd,
        .is_unix = request->peer->port->rules.is_unix,
        .certificate = tunnel != NULL ? tunnel_client(tunnel) : NULL,
    };
    struct problem *problem = auth_check(request->http->app, &credentials, request->route->scope,
                                         &request->principal);
    request->peer->known = request->peer->known || problem == NULL;
    bool wrong = shown != NULL && problem != NULL && problem->code == PROBLEM_UNAUTHORIZED;
    return wrong ? http_failed_login(request, problem) : problem;
}

bool head_asks_for_server(struct request *request)
{
    if (request->method != METHOD_OPTIONS || strcmp(request->target, "*") != 0) {
        return false;
    }
    answer_header(request, "Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
    answer_empty(request, MHD_HTTP_NO_CONTENT);
    return true;
}

/* ---- the body's kind and size ---- */

size_t head_body_limit(const struct request *request)
{
    size_t standard = request->http->limits.body_bytes;

    if (request->route->body_limit > 0) {
        return request->route->body_limit;
    }
    return standard > 0 ? standard : STANDARD_BODY;
}

struct problem *head_too_large(const struct request *request)
{
    return problem_make(PROBLEM_PAYLOAD_TOO_LARGE, "The body may have at most %zu bytes here.",
                        head_body_limit(request));
}

static struct problem *check_body(const struct request *request)
{
    enum body_kind kind = request->route->body;

    if (!head_has_body(&request->head)) {
        return NULL;
    }
    if (kind == BODY_NONE) {
        return problem_make(PROBLEM_BAD_REQUEST, "This call takes no body.");
    }
    if (request->head.content_length > head_body_limit(request)) {
        return head_too_large(request);
    }
    if (kind == BODY_RAW || request_sends_bytes(request)) {
        return NULL;
    }
    return body_check_type(request->head.values[HEADER_CONTENT_TYPE]);
}

struct problem *head_check(struct request *request, struct uri *uri)
{
    struct match match;

    router_match(request->http->router, request->method, uri, &match);
    request->route = match.route;
    if (match.route == NULL) {
        return not_allowed(request, &match);
    }
    take_segments(request, &match, uri);
    struct problem *problem = check_token(request);
    if (problem == NULL) {
        problem = check_query(request, uri->query);
    }
    return problem != NULL ? problem : check_body(request);
}
