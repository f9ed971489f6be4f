/*
 * Parked requests: suspended in MHD until somebody answers, or until their client has gone.
 *
 * A park is settled after the handler has returned, so that the handler may go on using the request
 * after http_park. `gone` comes first and the resume after it: whoever counted on the client has
 * taken his hands off before the connection is closed. An answer held back by idempotency.c waits
 * in the same list, but does not end with its client. When the server leaves, who waits is told so; who only
 * awaits the answer to what is done gets that. A client that has shut down its sending side
 * looks like one that has gone, and is treated so.
 */
#include <poll.h>

#include "api/http_internal.h"
#include "api/idempotency.h"

void http_park(struct request *request, struct park park)
{
    request->park = park;
}

static void park_enter(struct request *request)
{
    struct http *http = request->http;

    request->stage = STAGE_PARKED;
    request->previous_parked = NULL;
    request->next_parked = http->parked_first;
    if (http->parked_first != NULL) {
        http->parked_first->previous_parked = request;
    }
    http->parked_first = request;
    http->parked++;
    peer_wait(request->peer, DEADLINE_NONE);
}

void http_park_done(struct request *request)
{
    request->park_done = true;
}

void park_leave(struct request *request)
{
    struct http *http = request->http;

    if (request->stage != STAGE_PARKED) {
        return;
    }
    *(request->previous_parked != NULL ? &request->previous_parked->next_parked
                                       : &http->parked_first) = request->next_parked;
    if (request->next_parked != NULL) {
        request->next_parked->previous_parked = request->previous_parked;
    }
    http->parked--;
    request->park = (struct park){0};
    request->park_done = false;
}

void request_resume(struct request *request)
{
    if (!request->suspended) {
        return;
    }
    request->suspended = false;
    MHD_resume_connection(request->connection);
    port_wake(request->peer->port);
}

/* The owner is told, once; after that the request is the HTTP side's alone. */
static void park_tell_gone(struct request *request)
{
    struct park park = request->park;

    park_leave(request);
    request->stage = STAGE_RUNNING;
    if (park.gone != NULL) {
        park.gone(request, park.context);
    }
}

void park_gone(struct request *request)
{
    park_tell_gone(request);
    request->stage = STAGE_GONE;
    request_resume(request);
}

static void park_refuse(struct request *request, struct problem *problem)
{
    park_tell_gone(request);
    answer_problem(request, problem);
}

struct problem *park_drained(const struct http *http)
{
    return http->upgrading
               ? problem_make(PROBLEM_UNAVAILABLE,
                              "The daemon is being upgraded; the call may be repeated at once.")
               : problem_make(PROBLEM_SHUTTING_DOWN, "The daemon is shutting down.");
}

/* With an Idempotency-Key the effect belongs to the key, not to the connection: it is carried to
   its end, and a repeat gets the answer. */
bool park_outlives_client(const struct request *request)
{
    return request->held || request->idempotent != NULL;
}

/* The kernel knows before the loop's turn comes to it. */
static bool peer_has_left(const struct peer *peer)
{
    struct pollfd asked = {.fd = peer_socket(peer), .events = POLLRDHUP};

    return peer->hung_up || poll(&asked, 1, 0) > 0;
}

bool http_gone(struct request *request)
{
    if (request->stage != STAGE_PARKED || park_outlives_client(request) ||
        !peer_has_left(request->peer)) {
        return false;
    }
    park_gone(request);
    return true;
}

bool http_leaves(const struct request *request)
{
    return request->http->draining;
}

void park_settle(struct request *request)
{
    park_enter(request);
    if (request->held) {
        return;
    }
    if (request->http->draining && !request->park_done) {
        park_refuse(request, park_drained(request->http));
    } else if (park_outlives_client(request)) {
        return;
    } else if (!peer_watch(request->peer)) {
        park_refuse(request, problem_make(PROBLEM_UNAVAILABLE,
                                          "The connection could not be watched."));
    } else if (request->peer->hung_up) {
        park_gone(request);
    }
}

/* Those whose answer is on its way only at the very end: told to repeat what is done, a client would do it twice. */
static struct request *first_to_end(const struct http *http, bool all)
{
    struct request *request = http->parked_first;

    while (request != NULL && (request->held || request->park_done) && !all) {
        request = request->next_parked;
    }
    return request;
}

/* From the start each time: who is told may answer or give up others. */
void parks_end(struct http *http, bool answer)
{
    struct request *request;

    while ((request = first_to_end(http, !answer)) != NULL) {
        if (answer) {
            park_refuse(request, park_drained(http));
        } else {
            park_gone(request);
        }
    }
}

/* An answer that is held was made before the end, and is stored: it goes. What a process asked for ends
   with its belongings, or goes on to its end, which may be the process's own; what it looks at ends here. */
static bool ends_with(const struct request *request, const struct fact_id *caller)
{
    bool asks = request->principal.kind == PRINCIPAL_PROCESS && request->method != METHOD_GET;
    return !request->held && !asks && id_equal(&request->principal.id, caller);
}

static struct request *first_of(const struct http *http, const struct fact_id *caller)
{
    struct request *request = http->parked_first;

    while (request != NULL && !ends_with(request, caller)) {
        request = request->next_parked;
    }
    return request;
}

void http_end_calls(struct http *http, const struct fact_id *caller, enum problem_code code,
                    const char *detail)
{
    struct request *request;

    while ((request = first_of(http, caller)) != NULL) {
        park_refuse(request, problem_make(code, "%s", detail));
    }
    streams_end_of(http, caller);
}

bool http_on_sent(struct request *request,
                  void (*sent)(struct request *request, void *context, bool ok), void *context)
{
    struct sent_hook *hook = request_alloc(request, sizeof *hook);

    if (hook == NULL) {
        return false;
    }
    hook->sent = sent;
    hook->context = context;
    *request->last_sent_hook = hook;
    request->last_sent_hook = &hook->next;
    return true;
}
