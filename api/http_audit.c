/*
 * The audit: a row for each request that changes something, and for those that were refused.
 *
 * One row a request, written once: with the change where the handler says so in time (http_audit),
 * else when it is answered, and when its client has left without an answer. What programs
 * coordinate with is too frequent (`quiet` in the route table). Refusals (401, 403, too many
 * failures), of whatever route, are bounded: one a second for each caller, who is the peer as long as
 * nobody knows better, and so many in all, because anybody can cause them. A row has the path without its query, and nothing of headers,
 * bodies or answers but the request's id.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/app.h"
#include "api/auth.h"
#include "api/http_internal.h"

enum { REFUSALS_A_SECOND = 64, REMOTE_BYTES = 80, TARGET_BYTES = 256 };

/* ---- who it was ---- */

struct remote {
    char peer[REMOTE_BYTES];  /* all connections of a peer have the same */
    char text[REMOTE_BYTES + 8];
};

static void remote_of_user(int fd, struct remote *out)
{
    struct ucred user;
    socklen_t bytes = sizeof user;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &bytes) == 0) {
        snprintf(out->peer, sizeof out->peer, "unix:uid=%u", user.uid);
        snprintf(out->text, sizeof out->text, "%s,pid=%d", out->peer, user.pid);
    }
}

static void remote_of_address(int fd, struct remote *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    char text[INET6_ADDRSTRLEN];
    socklen_t bytes = sizeof address;

    memset(&address, 0, sizeof address);
    if (getpeername(fd, &address.any, &bytes) < 0) {
        return;
    }
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.in6.sin6_addr, text, sizeof text);
        snprintf(out->peer, sizeof out->peer, "[%s]", text);
        snprintf(out->text, sizeof out->text, "%s:%u", out->peer, ntohs(address.in6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address.in.sin_addr, out->peer, sizeof out->peer);
        snprintf(out->text, sizeof out->text, "%s:%u", out->peer, ntohs(address.in.sin_port));
    }
}

/* Empty strings where the connection is gone already. */
static void remote_of(const struct peer *peer, struct remote *out)
{
    *out = (struct remote){.peer = ""};
    if (peer->port->rules.is_unix) {
        remote_of_user(peer->fd, out);
    } else {
        remote_of_address(peer_socket(peer), out);
    }
}

/* ---- the row ---- */

static const char *or_null(const char *text)
{
    return *text != '\0' ? text : NULL;
}

/* What was made, else the path that was asked for. */
static void find_target(const struct request *request, char out[TARGET_BYTES])
{
    const struct header_out *header = request->headers_out;

    while (header != NULL && strcmp(header->name, "Location") != 0) {
        header = header->next;
    }
    if (header != NULL) {
        snprintf(out, TARGET_BYTES, "%s", header->value);
    } else {
        snprintf(out, TARGET_BYTES, "%.*s", (int)request->path_bytes, request->target);
    }
}

static void write_row(struct request *request, int status, const struct remote *remote)
{
    char principal[PRINCIPAL_TEXT_BYTES], target[TARGET_BYTES];

    principal_text(&request->principal, principal);
    find_target(request, target);
    struct audit_row row = {
        .status = status,
        .principal = or_null(principal),
        .action = request->route != NULL ? request->route->operation : NULL,
        .target = request->route != NULL ? target : NULL,
        .code = request->code,
        .request_id = request_id_text(request),
        .remote = or_null(remote->text),
    };
    request->audited = true;
    service_audit(&request->http->app->service, &row);
}

/* ---- refusals ---- */

static struct {                                  /* loop thread */
    int64_t second;
    unsigned count;
    char callers[REFUSALS_A_SECOND][PRINCIPAL_TEXT_BYTES]; /* that had their row in this second */
} refusals;

/* Notes it. False: that caller, or all together, had their rows in this second. */
static bool refusal_is_due(const char *caller)
{
    int64_t second = time_monotonic_us() / 1000000;

    if (refusals.second != second) {
        refusals.second = second;
        refusals.count = 0;
    }
    for (unsigned i = 0; i < refusals.count; i++) {
        if (strcmp(refusals.callers[i], caller) == 0) {
            return false;
        }
    }
    if (refusals.count == REFUSALS_A_SECOND) {
        return false;
    }
    snprintf(refusals.callers[refusals.count++], PRINCIPAL_TEXT_BYTES, "%s", caller);
    return true;
}

/* ---- when ---- */

/* HEAD has the route of GET, OPTIONS has none. */
static bool is_noted(const struct request *request)
{
    return request->route != NULL && request->route->method != METHOD_GET && !request->route->quiet;
}

void http_audit(struct request *request, int status)
{
    struct remote remote;

    if (!request->audited && is_noted(request)) {
        remote_of(request->peer, &remote);
        write_row(request, status, &remote);
    }
}

static bool is_refusal(const struct request *request, int status)
{
    return status == MHD_HTTP_UNAUTHORIZED || status == MHD_HTTP_FORBIDDEN ||
           (request->code != NULL &&
            strcmp(request->code, problem_word(PROBLEM_TOO_MANY_FAILURES)) == 0);
}

void audit_answered(struct request *request, int status)
{
    struct remote remote;
    char known[PRINCIPAL_TEXT_BYTES];

    if (request->audited) {
        return;
    }
    if (!is_refusal(request, status)) {
        http_audit(request, status);
        return;
    }
    remote_of(request->peer, &remote);
    principal_text(&request->principal, known);
    if (refusal_is_due(*known != '\0' ? known : remote.peer)) {
        write_row(request, status, &remote);
    }
}

void audit_over(struct request *request)
{
    if (request->stage == STAGE_GONE) {
        http_audit(request, 0);
    }
}
