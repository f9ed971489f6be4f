/*
 * Accepting connections: ours, because libmicrohttpd takes a listener out of its epoll when a limit
 * is reached or descriptors are short, and puts it back only when one of its own connections closes
 * and somebody then happens to run it.
 *
 * All TCP listeners share one limit, and the Unix socket has one for itself, so that a crowd on one
 * cannot lock out the other. A listener at its limit is not watched: who wants in waits in the
 * kernel's queue until a connection closes, and those that have shown no token are made to close
 * soon. Where the machine is short of something it is tried again after a while. Loop thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "api/http_internal.h"
#include "service/fault.h"

enum { AT_ONCE = 64 }; /* then the rest of the loop has its turn */
#define AGAIN_US 100000

/* Nobody is let in where we could not say who we are. */
static bool is_mute(const struct http_port *port)
{
    return port->rules.tls && port->http->identity == NULL;
}

static bool is_full(const struct http_port *port)
{
    const struct http *http = port->http;

    /* A tunnel takes three descriptors. */
    unsigned places = port->rules.is_unix ? http->open[1] : http->open[0] + 2 * http->tunnel_count;

    return places >= http->limits.connections[port->rules.is_unix];
}

static void rest(struct http_port *port)
{
    if (port->listening) {
        loop_unwatch(port->http->loop, &port->listener);
    }
    port->listening = false;
}

static void try_later(struct http *http)
{
    timer_set(http->loop, &http->accept_again, time_monotonic_us() + AGAIN_US);
}

/* Negative: an errno. */
static int accept_one(const struct http_port *port, struct sockaddr_storage *address,
                      socklen_t *bytes)
{
    int error = FAULT_ERRNO("accept");

    if (error != 0) {
        return -error;
    }
    int fd = accept4(port->listen_fd, (struct sockaddr *)address, bytes,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

/* Takes one. False: there is none, or none can be taken now. */
static bool take(struct http_port *port)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    int fd = accept_one(port, &address, &bytes);

    if (fd >= 0 && port->rules.tls) {
        tunnel_begin(port, fd);
        return true;
    }
    if (fd >= 0) {
        /* Takes the descriptor, also when it fails. */
        MHD_add_connection(port->daemon, fd, (struct sockaddr *)&address, bytes);
        port_wake(port);
        return true;
    }
    if (fd == -ECONNABORTED || fd == -EINTR || fd == -EPROTO) {
        return true;
    }
    if (fd != -EAGAIN) {
        rest(port);
        try_later(port->http);
    }
    return false;
}

static void ready(struct watch *watch, uint32_t events)
{
    struct http_port *port =
        (struct http_port *)((char *)watch - offsetof(struct http_port, listener));

    (void)events;
    for (int i = 0; i < AT_ONCE && !is_full(port) && take(port); i++) {
    }
    if (is_full(port)) {
        rest(port);
        try_later(port->http);
    }
}

int accept_start(struct http_port *port)
{
    int flags = fcntl(port->listen_fd, F_GETFL);

    if (flags < 0 || fcntl(port->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -errno;
    }
    if (is_mute(port)) {
        return 0;
    }
    port->listener = (struct watch){.fd = port->listen_fd, .ready = ready};
    int error = loop_watch(port->http->loop, &port->listener, EPOLLIN);
    port->listening = error == 0;
    return error;
}

void accept_stop(struct http_port *port)
{
    rest(port);
    port->quiesced = true;
}

void accept_resume(struct http *http)
{
    for (size_t i = 0; i < http->port_count; i++) {
        struct http_port *port = &http->ports[i];
        if (port->listening || port->quiesced || port->daemon == NULL || is_full(port)) {
            continue;
        }
        if (accept_start(port) != 0) {
            try_later(http);
        }
    }
}

static bool somebody_waits(const struct http_port *port)
{
    struct pollfd door = {.fd = port->listen_fd, .events = POLLIN};

    return poll(&door, 1, 0) > 0;
}

void accept_again(struct timer *timer)
{
    struct http *http = (struct http *)((char *)timer - offsetof(struct http, accept_again));

    for (size_t i = 0; i < http->port_count; i++) {
        const struct http_port *port = &http->ports[i];
        if (port->listening || port->quiesced || port->daemon == NULL || !is_full(port)) {
            continue;
        }
        try_later(http);
        if (somebody_waits(port)) {
            peers_make_room(http, port->rules.is_unix);
        }
    }
    accept_resume(http);
}
