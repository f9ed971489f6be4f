/*
 * Who has shown a wrong token or code, and what he gets for it; api/failures.h tells the rule.
 *
 * Beyond the burst all that is wrong gets the same 429, so that nothing can be learnt by asking on,
 * and the connection is closed.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "api/app.h"
#include "api/http_internal.h"

/* Of a connection that has gone already: nobody. */
static struct failure_peer failure_peer_of(const struct peer *peer)
{
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct ucred user = {.uid = 0};
    socklen_t bytes = peer->port->rules.is_unix ? sizeof user : sizeof address;

    if (peer->port->rules.is_unix) {
        getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &user, &bytes);
        return failure_peer_of_user(user.uid);
    }
    getpeername(peer_socket(peer), (struct sockaddr *)&address, &bytes);
    return failure_peer_of_address((const struct sockaddr *)&address);
}

struct problem *http_failed_login(struct request *request, struct problem *problem)
{
    struct http *http = request->http;
    const struct config *config = &http->app->config;
    bool is_code = problem->code == PROBLEM_LOGIN_FAILED;

    if (failures_count(is_code ? &http->failed_codes : &http->failed_tokens,
                       failure_peer_of(request->peer),
                       is_code ? config->auth_code_failures : config->auth_failures,
                       time_monotonic_us())) {
        return problem;
    }
    problem_free(problem);
    answer_header(request, "Connection", "close");
    return problem_make(PROBLEM_TOO_MANY_FAILURES,
                        "too many wrong tokens or codes came from here; what is right is let in");
}
