/*
 * From a request's first header to its handler.
 *
 * MHD calls `dispatch` once when the header is complete, then for each piece of body, then once at
 * the end, and again whenever a suspended request was resumed. What is decided at the header is
 * decided before a byte of body is kept (http_head.c).
 *
 * A refusal by the guard is sent at once and closes the connection. Other refusals wait for the end
 * of the body, which is thrown away: closing with unread bytes would make the kernel reset the
 * connection and the client would not see the answer. Two kinds do not wait: a client that sends
 * `Expect: 100-continue` has not sent the body, and a body beyond DISCARD_BYTES is not read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/auth.h"
#include "api/coordination.h"
#include "api/body.h"
#include "api/http_internal.h"
#include "api/idempotency.h"

enum { CHUNKED_START = 4096, TARGET_MOST = 24576, KEY_RECORD = 64 };

static const struct {
    const char *word;
    enum method method;
} methods[] = {
    {"GET", METHOD_GET},       {"POST", METHOD_POST}, {"PUT", METHOD_PUT},
    {"DELETE", METHOD_DELETE}, {"HEAD", METHOD_HEAD}, {"OPTIONS", METHOD_OPTIONS},
};

static enum method method_of(const char *word)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].word, word) == 0) {
            return methods[i].method;
        }
    }
    return METHOD_OTHER;
}

/* Where MHD lets us answer nothing this goes past it. All earlier answers of the connection are
   out, or this request would not be read. */
static void answer_past(const struct peer *peer, const char *status)
{
    char answer[128];
    int bytes = snprintf(answer, sizeof answer,
                         "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
    ssize_t sent = send(peer->fd, answer, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)sent;
}

/* MHD keeps a record of each key beside the target; when its memory is out it just hangs up. */
static bool is_too_long(const char *target)
{
    size_t bytes = strlen(target);

    for (const char *at = strchr(target, '?'); at != NULL; at = strchr(at + 1, '&')) {
        bytes += KEY_RECORD;
    }
    return bytes > TARGET_MOST;
}

void *dispatch_target(void *port, const char *target, struct MHD_Connection *connection)
{
    struct peer *peer = peer_of(connection);

    (void)port;
    if (peer != NULL && target != NULL && is_too_long(target)) {
        answer_past(peer, "414 URI Too Long");
        shutdown(peer->fd, SHUT_WR);
        return NULL;
    }
    return peer != NULL ? request_new(peer, connection, target != NULL ? target : "") : NULL;
}

/* ---- what MHD is told ---- */

static mhd_result queue_answer(struct request *request)
{
    request->stage = STAGE_ANSWERED;
    if (request->cut) {
        return MHD_NO;
    }
    peer_wait(request->peer,
              request->stream != NULL ? stream_deadline(request->stream) : DEADLINE_SEND);
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* Sends a refusal before the body: MHD closes the connection after it. */
static mhd_result refuse_at_once(struct request *request, struct problem *problem)
{
    answer_problem(request, problem);
    return queue_answer(request);
}

static bool is_worth_discarding(const struct request *request)
{
    return request->head.values[HEADER_EXPECT] == NULL &&
           request->head.content_length <= DISCARD_BYTES;
}

static mhd_result await_body(struct request *request)
{
    bool answered = request->response != NULL;

    if (answered && head_has_body(&request->head) && !is_worth_discarding(request)) {
        return queue_answer(request);
    }
    request->stage = answered                        ? STAGE_DISCARD
                     : head_has_body(&request->head) ? STAGE_COLLECT
                                                     : STAGE_READY;
    if (head_has_body(&request->head)) {
        peer_wait(request->peer, DEADLINE_BODY);
    }
    return MHD_YES;
}

static mhd_result on_head(struct request *request, const char *url, const char *method,
                          const char *version)
{
    struct uri uri;

    request->method = method_of(method);
    request->http_1_0 = strcmp(version, "HTTP/1.1") != 0;
    request->owes = true;
    request->http->owing++;
    peer_wait(request->peer, DEADLINE_NONE);
    struct problem *problem = head_guard(request, url, version);
    if (problem != NULL) {
        return refuse_at_once(request, problem);
    }
    if (head_asks_for_server(request)) {
        return await_body(request);
    }
    char *target = request_alloc(request, request->target_bytes + 1);
    if (target == NULL) {
        return refuse_at_once(request, problem_make(PROBLEM_OUT_OF_MEMORY, "x"));
    }
    memcpy(target, request->target, request->target_bytes);
    const char *refusal = uri_parse(target, request->target_bytes, &uri);
    if (refusal != NULL) {
        return refuse_at_once(request, problem_make(PROBLEM_BAD_REQUEST, "%s", refusal));
    }
    problem = head_check(request, &uri);
    if (problem != NULL) {
        answer_problem(request, problem);
    }
    return await_body(request);
}

/* ---- the body ---- */

static bool body_grow(struct request *request, size_t bytes)
{
    size_t wanted = request->body_bytes + bytes, room = request->body_room;

    if (wanted <= room) {
        return true;
    }
    if (room == 0) {
        room = request->head.chunked ? CHUNKED_START : (size_t)request->head.content_length;
    }
    while (room < wanted) {
        room *= 2;
    }
    char *body = realloc(request->body, room + 1);
    if (body == NULL) {
        return false;
    }
    request->body = body;
    request->body_room = room;
    return true;
}

static void discard_from_here(struct request *request, struct problem *problem)
{
    free(request->body);
    request->body = NULL;
    request->body_bytes = request->body_room = 0;
    answer_problem(request, problem);
    request->stage = STAGE_DISCARD;
}

static void collect(struct request *request, const char *data, size_t bytes)
{
    if (request->body_bytes + bytes > head_body_limit(request)) {
        discard_from_here(request, head_too_large(request));
    } else if (!body_grow(request, bytes)) {
        discard_from_here(request, problem_make(PROBLEM_OUT_OF_MEMORY, "x"));
    } else {
        memcpy(request->body + request->body_bytes, data, bytes);
        request->body_bytes += bytes;
        request->body[request->body_bytes] = '\0';
    }
}

/* A body without end. */
static mhd_result give_up(const struct request *request)
{
    answer_past(request->peer, "413 Content Too Large");
    return MHD_NO;
}

static bool has_broken_length(const struct request *request)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct head head = {0};

    if (value != NULL) {
        head_add(&head, MHD_HTTP_HEADER_CONTENT_LENGTH, strlen(MHD_HTTP_HEADER_CONTENT_LENGTH),
                 value);
    }
    return head.refusal != NULL;
}

void dispatch_broken_length(struct http *http)
{
    static const enum deadline lists[] = {DEADLINE_HEADER, DEADLINE_IDLE};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (struct peer *peer = http->waiting[lists[i]].first; peer != NULL; peer = peer->next) {
            const struct request *request = peer->request;
            if (request != NULL && request->stage == STAGE_HEAD && has_broken_length(request)) {
                answer_past(peer, "400 Bad Request");
                shutdown(peer->fd, SHUT_WR);
            }
        }
    }
}

static mhd_result on_body(struct request *request, const char *data, size_t *bytes)
{
    size_t count = *bytes;

    *bytes = 0;
    if (request->stage == STAGE_COLLECT) {
        collect(request, data, count);
    } else {
        request->discarded += count;
        if (request->discarded > DISCARD_BYTES) {
            return give_up(request);
        }
    }
    return MHD_YES;
}

/* ---- the handler ---- */

static struct problem *read_json(struct request *request)
{
    enum body_kind kind = request->route->body;

    if (kind == BODY_NONE || kind == BODY_RAW || request_sends_bytes(request)) {
        return NULL;
    }
    if (kind != BODY_JSON && request->body_bytes == 0) {
        return NULL;
    }
    return body_parse(request->body, request->body_bytes, &request->json);
}

static bool is_taken_over(struct request *request)
{
    return request->method == METHOD_POST && request->head.values[HEADER_IDEMPOTENCY_KEY] != NULL &&
           idempotency_begin(request);
}

/* What is replayed under an Idempotency-Key is not asked for its hold again. */
static void handle(struct request *request)
{
    bool reads = request->method & (METHOD_GET | METHOD_HEAD | METHOD_OPTIONS);
    if (reads || request_holds(request)) {
        request->route->handle(request);
    }
}

static void run(struct request *request)
{
    request->stage = STAGE_RUNNING;
    struct problem *problem = auth_again(request->http->app, &request->principal);
    if (problem == NULL) {
        problem = read_json(request);
    }
    if (problem != NULL) {
        answer_problem(request, problem);
    } else if (!is_taken_over(request)) {
        handle(request);
    }
    if (request->stage == STAGE_RUNNING || request->held) {
        park_settle(request);
    }
}

void request_continue(struct request *request)
{
    if (request->stage != STAGE_PARKED) {
        return; /* it was refused meanwhile: the daemon drains, or its caller has ended */
    }
    park_leave(request);
    request->stage = STAGE_RUNNING;
    handle(request);
    if (request->stage == STAGE_RUNNING) {
        park_settle(request);
    }
}

/* All of the request is here, or it was resumed. */
static mhd_result on_whole(struct request *request)
{
    if (request->stage == STAGE_COLLECT) {
        request->stage = STAGE_READY;
    }
    if (request->stage == STAGE_DISCARD) {
        request->stage = STAGE_ANSWERED;
    }
    if (request->stage == STAGE_READY) {
        run(request);
    }
    if (request->stage == STAGE_GONE) {
        return MHD_NO;
    }
    if (request->stage == STAGE_ANSWERED) {
        return queue_answer(request);
    }
    MHD_suspend_connection(request->connection);
    request->suspended = true;
    return MHD_YES;
}

mhd_result dispatch(void *port, struct MHD_Connection *connection, const char *url,
                    const char *method, const char *version, const char *upload,
                    size_t *upload_bytes, void **state)
{
    const struct http *http = ((const struct http_port *)port)->http;
    struct request *request = *state;

    if (request == NULL) {
        return MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, http->no_memory);
    }
    if (request->stage == STAGE_HEAD) {
        return on_head(request, url, method, version);
    }
    if (*upload_bytes > 0) {
        return on_body(request, upload, upload_bytes);
    }
    return on_whole(request);
}

void dispatch_completed(void *port, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode how)
{
    struct request *request = *state;
    struct http *http = ((struct http_port *)port)->http;

    (void)connection;
    *state = NULL;
    if (request == NULL) {
        return;
    }
    if (request->owes) {
        http->owing--;
    }
    for (struct sent_hook *hook = request->sent_hooks; hook != NULL; hook = hook->next) {
        hook->sent(request, hook->context,
                   how == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->stage == STAGE_ANSWERED);
    }
    if (request->stream != NULL) {
        stream_completed(request->stream);
    }
    audit_over(request);
    auth_done(http->app, &request->principal);
    peer_wait(request->peer, DEADLINE_IDLE);
    if (http->draining) {
        shutdown(request->peer->fd, SHUT_RDWR);
    }
    request_free(request);
}
