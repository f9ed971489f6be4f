/*
 * Peers: one struct per connection, for what MHD does not do: deadlines that a trickle of bytes
 * cannot move, and noticing that the client of a suspended request has gone.
 *
 * MHD's own time-out is an idle one and is left off. Each connection stands in at most one list,
 * ordered by deadline; one timer looks at the heads. Too late means shutdown(fd): MHD then finds
 * the end of the stream and closes.
 *
 * The watch is set at a connection's first park and stays until the connection is closed, so a
 * keep-alive client that parks again costs no system call. It asks for EPOLLRDHUP only: bytes of a
 * pipelined request do not fire it. MHD closes the fd after peer_notify, which is therefore the
 * last moment to take it out of the loop's epoll.
 */
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "api/http_internal.h"

enum { CROWD = 1000 };
#define TRIM_AFTER_US 1000000
#define STRANGER_US 1000000 /* for one that has shown no token, while others wait at the door */

struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

int peer_socket(const struct peer *peer)
{
    return peer->tunnel != NULL ? tunnel_socket(peer->tunnel) : peer->fd;
}

static void list_take(struct peer_list *list, struct peer *peer)
{
    *(peer->previous != NULL ? &peer->previous->next : &list->first) = peer->next;
    *(peer->next != NULL ? &peer->next->previous : &list->last) = peer->previous;
}

static void list_add(struct peer_list *list, struct peer *peer)
{
    peer->previous = list->last;
    peer->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = peer;
    list->last = peer;
}

static int64_t time_for(const struct http *http, enum deadline what)
{
    const struct http_limits *limits = &http->limits;

    switch (what) {
    case DEADLINE_HEADER:
        return limits->header_us;
    case DEADLINE_BODY:
        return limits->body_us;
    case DEADLINE_IDLE:
        /* The first byte of the next request is not told to us, so its header's time is in this. */
        return limits->idle_us + limits->header_us;
    case DEADLINE_PING:
        return PING_US;
    default:
        return SEND_US;
    }
}

/* Up to a clock tick behind, at a fifth of the price; three are needed for each request. */
static int64_t coarse_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void peer_wait(struct peer *peer, enum deadline what)
{
    struct http *http = peer->port->http;

    if (peer->waits_for != DEADLINE_NONE) {
        list_take(&http->waiting[peer->waits_for], peer);
    }
    peer->waits_for = what;
    if (what == DEADLINE_NONE) {
        return;
    }
    peer->deadline_us = coarse_now_us() + time_for(http, what);
    list_add(&http->waiting[what], peer);
    /* Without memory for the timer the next one to set it sweeps for all. */
    if (http->sweep.place == 0 || http->sweep.deadline_us > peer->deadline_us) {
        timer_set(http->loop, &http->sweep, peer->deadline_us);
    }
}

static void peer_late(struct peer *peer)
{
    if (peer->waits_for == DEADLINE_PING) {
        stream_ping(peer->request->stream);
        return;
    }
    peer_wait(peer, DEADLINE_NONE);
    shutdown(peer->fd, SHUT_RDWR);
}

void peers_sweep(struct timer *timer)
{
    struct http *http = (struct http *)((char *)timer - offsetof(struct http, sweep));
    int64_t now = time_monotonic_us(), next = INT64_MAX;

    for (unsigned i = 0; i < DEADLINES; i++) {
        struct peer *peer;
        while ((peer = http->waiting[i].first) != NULL && peer->deadline_us <= now) {
            peer_late(peer);
        }
        if (peer != NULL && peer->deadline_us < next) {
            next = peer->deadline_us;
        }
    }
    if (next != INT64_MAX) {
        timer_set(http->loop, &http->sweep, next);
    }
}

void peers_make_room(struct http *http, bool is_unix)
{
    unsigned wanted = http->limits.connections[is_unix] / 8 + 1;

    if (!is_unix) {
        wanted = tunnels_make_room(http, wanted, time_monotonic_us() - STRANGER_US);
    }
    for (unsigned i = 0; i < DEADLINE_PING; i++) {
        int64_t young = coarse_now_us() + time_for(http, i) - STRANGER_US;
        struct peer *next;
        for (struct peer *peer = http->waiting[i].first;
             wanted > 0 && peer != NULL && peer->deadline_us < young; peer = next) {
            next = peer->next;
            if (!peer->known && peer->port->rules.is_unix == is_unix) {
                peer_late(peer);
                wanted--;
            }
        }
    }
}

void peers_close_idle(struct http *http)
{
    struct peer *next;

    for (struct peer *peer = http->waiting[DEADLINE_IDLE].first; peer != NULL; peer = next) {
        next = peer->next;
        peer_late(peer);
    }
}

static void hung_up(struct watch *watch, uint32_t events)
{
    struct peer *peer = (struct peer *)((char *)watch - offsetof(struct peer, watch));
    struct request *request = peer->request;

    (void)events;
    peer->hung_up = true;
    if (request == NULL) {
        return;
    }
    if (request->stream != NULL) {
        stream_gone(request->stream);
    } else if (request->stage == STAGE_PARKED && !park_outlives_client(request)) {
        park_gone(request);
    }
}

bool peer_watch(struct peer *peer)
{
    if (peer->watched) {
        return true;
    }
    peer->watch = (struct watch){.fd = peer->fd, .ready = hung_up};
    peer->watched =
        loop_watch(peer->port->http->loop, &peer->watch, EPOLLRDHUP | EPOLLONESHOT) == 0;
    if (peer->watched) {
        peer_keep_probing(peer);
    }
    return peer->watched;
}

/* A host that vanished sends no FIN: after 30 s of silence it is asked, and given up after three
   questions. */
void peer_keep_probing(const struct peer *peer)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; !peer->port->rules.is_unix && i < sizeof options / sizeof options[0]; i++) {
        setsockopt(peer_socket(peer), options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
}

static void peer_open(struct http_port *port, struct MHD_Connection *connection, void **context)
{
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct peer *peer = calloc(1, sizeof *peer);

    if (!port->rules.tls) {
        port->http->open[port->rules.is_unix]++; /* tunnels count themselves */
    }
    if (http_connections(port->http) > port->http->crowd) {
        port->http->crowd = http_connections(port->http);
    }
    struct tunnel *tunnel = port->rules.tls ? tunnel_attach(port->http, fd, peer) : NULL;
    if (peer == NULL || (port->rules.tls && tunnel == NULL)) {
        shutdown(fd, SHUT_RDWR);
        free(peer);
        return;
    }
    peer->tunnel = tunnel;
    peer->port = port;
    peer->fd = fd;
    peer->waits_for = DEADLINE_NONE;
    peer_wait(peer, DEADLINE_HEADER);
    *context = peer;
}

void peers_trim(struct timer *timer)
{
    struct http *http = (struct http *)((char *)timer - offsetof(struct http, trim));

    http->crowd = http_connections(http);
    malloc_trim(0);
}

/* The C library keeps the 32 KiB of each connection that was: too much after thousands of them. */
static void crowd_leaves(struct http *http)
{
    if (http->crowd >= CROWD && http_connections(http) < http->crowd / 2 &&
        http->trim.place == 0) {
        timer_set(http->loop, &http->trim, time_monotonic_us() + TRIM_AFTER_US);
    }
}

static void peer_close(struct http_port *port, void **context)
{
    struct peer *peer = *context;

    if (!port->rules.tls) {
        port->http->open[port->rules.is_unix]--;
        accept_resume(port->http);
    }
    crowd_leaves(port->http);
    *context = NULL;
    if (peer == NULL) {
        return;
    }
    peer_wait(peer, DEADLINE_NONE);
    if (peer->watched) {
        loop_unwatch(port->http->loop, &peer->watch);
    }
    if (peer->tunnel != NULL) {
        tunnel_detach(peer->tunnel);
    }
    free(peer);
}

void peer_notify(void *port, struct MHD_Connection *connection, void **context,
                 enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        peer_open(port, connection, context);
    } else {
        peer_close(port, context);
    }
}
