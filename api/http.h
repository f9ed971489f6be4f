/*
 * The seam over libmicrohttpd: requests in, answers out. No other file of api/ includes
 * microhttpd.h but http_*.c.
 *
 * One MHD daemon per listener, external epoll, all on the loop thread; TLS ends before it. A request goes: guard
 * (framing, limits, deadlines) → route table (raw path, decoded segment by segment) → auth → query
 * and body checked against the route's tables → the route's handler. The handler answers now (one
 * of the answer_ functions), or parks the request (http_park) and answers later, or opens a stream
 * (stream.h).
 *
 * Every answer ends the request's use by its handler. While a request is parked its client's close
 * is noticed at once: the park's `gone` is called, after which the handler must not touch the
 * request again; a request that was answered or given up never calls `gone`. Memory from
 * request_alloc lives as long as the request.
 */
#ifndef FORKFUL_API_HTTP_H
#define FORKFUL_API_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/id.h"
#include "service/loop.h"
#include "service/problem.h"
#include "service/scope.h"
#include "service/text.h"

struct app; /* the whole server: api/app.h */
struct request;

enum method {
    METHOD_GET = 1,
    METHOD_POST = 2,
    METHOD_PUT = 4,
    METHOD_DELETE = 8,
    METHOD_HEAD = 16,
    METHOD_OPTIONS = 32,
    METHOD_OTHER = 64
};

/* Who asks. Filled by auth.c before the handler runs. */
enum principal_kind {
    PRINCIPAL_NONE,
    PRINCIPAL_ADMIN, /* the token of the state directory, or the daemon's own user */
    PRINCIPAL_PROCESS,
    PRINCIPAL_SESSION,
    PRINCIPAL_TOKEN,
    PRINCIPAL_PEER, /* another user on the Unix socket, by the configuration */
    PRINCIPAL_CERTIFICATE /* a client with a certificate, by the configuration */
};
struct principal {
    enum principal_kind kind;
    unsigned scopes;   /* enum scope */
    struct fact_id id; /* of the process, session or token; else zeroes */
    uint32_t uid;      /* PRINCIPAL_PEER */
    const char *subject; /* PRINCIPAL_CERTIFICATE: its name; the connection's */
};

enum body_kind {
    BODY_NONE,
    BODY_JSON,
    BODY_JSON_OPTIONAL,
    BODY_RAW,
    BODY_JSON_OR_BYTES /* of application/octet-stream as it is, else as JSON_OPTIONAL */
};

/* How a query key's value is read. */
enum param_type { PARAM_TEXT, PARAM_UNSIGNED, PARAM_LIMIT, PARAM_SECONDS, PARAM_BOOL, PARAM_TIME };
struct param {
    const char *name; /* NULL ends the table */
    enum param_type type;
    bool repeats; /* may stand more than once (label) */
};

struct route {
    enum method method;
    const char *path; /* "/v1/processes/{id}/join": {x} takes one segment */
    enum scope scope; /* what its caller must have */
    enum body_kind body;
    size_t body_limit;          /* bytes; 0: http_limits.body_bytes */
    const struct param *params; /* NULL: no query keys */
    const char *operation;      /* operationId in openapi.yaml */
    void (*handle)(struct request *request);
    bool adds_faults; /* the handler takes the query's faults and adds its own to them */
    /* It changes something, but so often that no row of the audit is written for it: what programs
       coordinate with, and what they pass to each other. */
    bool quiet;
};

extern const struct route routes[]; /* api/routes.c; ends with path NULL */
extern const size_t route_count;

/* ---- what a handler reads ---- */
struct app *request_app(const struct request *request);
enum method request_method(const struct request *request);
const struct principal *request_principal(const struct request *request);
const char *request_id_text(const struct request *request); /* X-Request-Id */
/* Segment i of the {x} in the route's path, decoded; *bytes may be NULL. Never contains NUL. */
const char *request_segment(const struct request *request, unsigned i, size_t *bytes);
const char *request_param(const struct request *request, const char *name); /* NULL: not given */
size_t request_param_all(const struct request *request, const char *name, const char **out,
                         size_t max);
bool request_param_unsigned(const struct request *request, const char *name, uint64_t *out);
bool request_param_bool(const struct request *request, const char *name); /* false when missing */
bool request_param_time(const struct request *request, const char *name, int64_t *at_us);
bool request_param_seconds(const struct request *request, const char *name, int64_t *out_us);
/* adds_faults: what the table finds wrong with the query, NULL: nothing. Given away; call it
   first. */
struct problem *request_take_faults(struct request *request);
#define WAIT_MOST_US (300 * 1000000ll)
/* `wait=`: seconds clipped to WAIT_MOST_US, as a monotonic deadline; `standard_us` when left
   out. */
int64_t request_deadline(const struct request *request, int64_t standard_us);
const char *request_header(const struct request *request, const char *name);
/* All lines of that name in their order; how many, `max` at most. */
size_t request_header_all(const struct request *request, const char *name, const char **out,
                          size_t max);
const char *request_route_path(const struct request *request); /* "/v1/locks/{name}" */
const char *request_target(const struct request *request); /* raw path and query */
/* BODY_JSON_OR_BYTES: it is bytes (maybe none at all). */
bool request_sends_bytes(const struct request *request);
/* BODY_JSON: the parsed object (borrowed); BODY_JSON_OPTIONAL: NULL when the body was empty. */
json_t *request_json(const struct request *request);
const char *request_body(const struct request *request, size_t *bytes);
void *request_alloc(struct request *request, size_t bytes); /* zeroed; NULL: no memory */

/* ---- answers ---- */
void answer_text(struct request *request, int status, const char *content_type,
                 struct text *body);                                      /* takes body */
void answer_json(struct request *request, int status, struct text *body); /* takes body */
void answer_static(struct request *request, int status, const char *content_type, const void *data,
                   size_t bytes, const char *etag); /* data outlives all */
void answer_empty(struct request *request, int status);
void answer_problem(struct request *request, struct problem *problem); /* takes problem */
/* Before the answer. `name` is a constant; `value` is copied, and cannot end the line. */
void answer_header(struct request *request, const char *name, const char *value);

/* ---- the audit ---- */
/* What an answer tells is told to the audit by itself. Who changes something now and answers after
   the commit calls this, so that both are in one batch: `status` is what the answer will have. */
void http_audit(struct request *request, int status);

/* The request has shown a token or code that is wrong, for which `problem` (given away) is the answer:
   that, or, where its peer has failed too often, 429 instead. */
struct problem *http_failed_login(struct request *request, struct problem *problem);

/* ---- parking ---- */
struct park {
    void (*gone)(struct request *request, void *context);
    void *context;
};
/* From inside the handler, which may go on using the request until it returns. Ends with an answer_
   call (from anywhere on the loop) or `gone`. */
void http_park(struct request *request, struct park park);
/* What a parked request asks for is done, or cannot be taken back: only its answer is awaited (of a commit, of
   the keeper), and a server that leaves awaits it too. */
void http_park_done(struct request *request);
/* A parked request whose client has gone: `gone` is called now, if the loop was not yet told. Costs a system
   call. False: the client is there, or the request goes on without it. */
bool http_gone(struct request *request);
/* Whoever is told `gone` now: it is this server that goes, not the client. */
bool http_leaves(const struct request *request);
/* Called once after the answer went out or failed to; ok false: the client did not get it (or there
   was no answer). The request is freed after that. More than one may be set; they are called in the
   order of setting. False: no memory, it will not be called. */
bool http_on_sent(struct request *request, void (*sent)(struct request *, void *context, bool ok),
                  void *context);

/* ---- the server ---- */
struct http;
struct http_listener {
    int fd;
    bool is_unix, tls;
};
struct http_limits {
    unsigned connections[2]; /* open at once over TCP, and on the Unix socket */
    int64_t header_us;    /* from a connection's start, or a request's, to its header's end */
    int64_t body_us;      /* from there to the body's end */
    int64_t idle_us;      /* between two requests of a connection */
    size_t body_bytes;    /* where the route has no limit of its own; 0: 1 MiB */
    /* Names taken in Host besides localhost and the listeners' addresses; they outlive the
       server. */
    const char *const *hosts;
    size_t host_count;
};
struct http *http_start(struct app *app, struct loop *loop, const struct http_listener *listeners,
                        size_t count, const struct http_limits *limits, struct problem **problem);
/* What listeners with TLS are to connections that come from now on; takes it. Before the first one
   nobody is let in there. */
struct tls_identity;
void http_use_identity(struct http *http, struct tls_identity *identity);
/* New limits for what begins from now on (SIGHUP); `connections` stays as it was. */
void http_set_limits(struct http *http, const struct http_limits *limits);
/* Stops accepting. Parked calls get 503: shutting_down, or, `upgrading`, unavailable, to be asked
   again at once. Streams break off, but for those that are about to end by themselves. */
void http_drain(struct http *http, bool upgrading);
bool http_drained(const struct http *http); /* no connection is left that owes an answer */
void http_stop(struct http *http);          /* after http_drained (or when it no longer matters) */
unsigned http_connections(const struct http *http);
unsigned http_parked(const struct http *http);
/* A session or token has ended: its parked calls are answered with 401, its streams break off. */
void http_end_calls(struct http *http, const struct fact_id *caller, enum problem_code code,
                    const char *detail);

#endif
