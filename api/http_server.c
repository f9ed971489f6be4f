/*
 * The MHD daemons: one per listener, external epoll, run by the loop. They get their connections
 * from http_accept.c.
 *
 * MHD_run is owed in three cases: its epoll fd is ready (the watch), a connection was resumed
 * (MHD's own time-out does not know of that), and MHD says it has more to do at once. The last two
 * are paid before the loop sleeps, so that all resumes of a turn share one MHD_run: each one that
 * resumes walks all suspended connections. After such a run the loop goes round once more without
 * sleeping, because handlers have run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "api/http_internal.h"

enum {
    RUNS_AT_ONCE = 4,              /* of MHD_run in a row, then the rest of the loop has its turn */
    MEMORY_PER_CONNECTION = 32768, /* most of a header; touched as far as it is used */
    STOP_RUNS = 16,                /* of MHD_run to get rid of what was suspended */
};
#define COMPLAINTS_US (10 * 1000000ll)

/* ---- running ---- */

void port_wake(struct http_port *port)
{
    port->resumed = true;
}

/* True when there is more to do at once. */
static bool port_run_once(struct http_port *port)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    port->resumed = false;
    MHD_run(port->daemon);
    bool bounded = MHD_get_timeout(port->daemon, &timeout_ms) == MHD_YES;
    return port->resumed || (bounded && timeout_ms == 0);
}

static void port_run(struct http_port *port)
{
    port->unfinished = true;
    for (int i = 0; i < RUNS_AT_ONCE && port->unfinished; i++) {
        port->unfinished = port_run_once(port);
    }
}

static void port_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    port_run((struct http_port *)((char *)watch - offsetof(struct http_port, watch)));
}

static int64_t run_before_sleep(void *context)
{
    struct http *http = context;
    int64_t sleep_us = -1;

    for (size_t i = 0; i < http->port_count; i++) {
        struct http_port *port = &http->ports[i];
        if (port->daemon == NULL || !(port->resumed || port->unfinished)) {
            continue;
        }
        port_run(port);
        sleep_us = 0;
    }
    return sleep_us;
}

/* ---- what MHD says and asks ---- */

/* One message in ten seconds, and how many there were between. How we close the connection of a
   client that has gone is an error to the library only. */
__attribute__((format(printf, 2, 0))) static void complain(void *context, const char *format,
                                                           va_list arguments)
{
    struct http *http = context;
    int64_t now = time_monotonic_us();

    char text[256];

    vsnprintf(text, sizeof text, format, arguments);
    if (strstr(text, "Content-Length' header") != NULL) {
        dispatch_broken_length(http);
    }
    if (strcasestr(text, "application reported") != NULL ||
        strcasestr(text, "application error generating response") != NULL) {
        return;
    }
    if (http->complained_us != 0 && now - http->complained_us < COMPLAINTS_US) {
        http->complaints++;
        return;
    }
    fprintf(stderr, "forkful: libmicrohttpd (and %u more): %s", http->complaints, text);
    http->complained_us = now;
    http->complaints = 0;
}

/* The library's state is broken: nothing but a new process helps, and the keeper makes one. */
static void panic(void *context, const char *file, unsigned line, const char *reason)
{
    (void)context;
    fprintf(stderr, "forkful: libmicrohttpd gave up at %s:%u: %s\n", file, line,
            reason != NULL ? reason : "no reason given");
    abort();
}

/* Targets stay as they came: uri.c decodes them. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

/* ---- starting ---- */

/* On all addresses of the machine: then Host must be the one that a connection came to. */
static bool is_wildcard(const struct sockaddr_in *in, const struct sockaddr_in6 *in6)
{
    return in->sin_family == AF_INET ? in->sin_addr.s_addr == htonl(INADDR_ANY)
                                     : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

void address_name(int fd, char out[ADDRESS_BYTES])
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage storage;
    } address = {.storage = {0}};
    socklen_t bytes = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";

    *out = '\0';
    if (getsockname(fd, &address.any, &bytes) != 0 || is_wildcard(&address.in, &address.in6)) {
        return;
    }
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.in6.sin6_addr, text, sizeof text);
        snprintf(out, ADDRESS_BYTES, "[%s]", text);
    } else {
        inet_ntop(AF_INET, &address.in.sin_addr, text, sizeof text);
        snprintf(out, ADDRESS_BYTES, "%s", text);
    }
}

static void port_name(struct http_port *port, const struct http_listener *listener)
{
    port->rules.is_unix = listener->is_unix;
    port->rules.tls = listener->tls;
    port->rules.address = port->address;
    if (!listener->is_unix) {
        address_name(port->listen_fd, port->address);
    }
}

static struct MHD_Daemon *daemon_start(struct http_port *port)
{
    struct http *http = port->http;
    struct MHD_OptionItem options[] = {
        /* First: later ones may already have something to say. */
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)complain, http},
        /* Beyond ours, which is the one that acts. */
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)http->limits.connections[port->rules.is_unix] + 1,
         NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_PER_CONNECTION, NULL},
        /* What it would refuse more, the guard refuses in our words. */
        {MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)dispatch_target, port},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)dispatch_completed, port},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)peer_notify, port},
        {MHD_OPTION_END, 0, NULL},
    };

    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                                MHD_USE_ERROR_LOG,
                            0, NULL, NULL, dispatch, port, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

static struct problem *port_start(struct http_port *port)
{
    port->daemon = daemon_start(port);
    if (port->daemon == NULL) {
        return problem_make(PROBLEM_INTERNAL, "libmicrohttpd could not be started: %s",
                            strerror(errno));
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    port->watch.fd = info->epoll_fd;
    port->watch.ready = port_ready;
    int error = loop_watch(port->http->loop, &port->watch, EPOLLIN);
    if (error == 0) {
        error = accept_start(port);
    }
    if (error != 0) {
        return problem_make(PROBLEM_INTERNAL, "The listener could not be watched: %s",
                            strerror(-error));
    }
    return NULL;
}

static bool http_fill(struct http *http, const struct http_listener *listeners, size_t count)
{
    http->tell_rooms.run = streams_tell_room;
    http->sweep.due = peers_sweep;
    http->trim.due = peers_trim;
    http->accept_again.due = accept_again;
    http->router = router_new(routes, route_count);
    http->no_memory = answer_no_memory();
    http->ports = calloc(count, sizeof *http->ports);
    if (http->router == NULL || http->no_memory == NULL || http->ports == NULL) {
        return false;
    }
    http->port_count = count;
    for (size_t i = 0; i < count; i++) {
        http->ports[i].http = http;
        http->ports[i].listen_fd = listeners[i].fd;
        port_name(&http->ports[i], &listeners[i]);
    }
    return loop_on_sleep(http->loop, run_before_sleep, http);
}

struct http *http_start(struct app *app, struct loop *loop, const struct http_listener *listeners,
                        size_t count, const struct http_limits *limits, struct problem **problem)
{
    struct http *http = calloc(1, sizeof *http);

    *problem = NULL;
    if (http == NULL) {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "x");
        return NULL;
    }
    http->app = app;
    http->loop = loop;
    memcpy(http->limits.connections, limits->connections, sizeof http->limits.connections);
    signal(SIGPIPE, SIG_IGN);
    MHD_set_panic_func(panic, NULL);
    if (!http_fill(http, listeners, count)) {
        *problem = problem_make(PROBLEM_INTERNAL, "The HTTP side could not be set up.");
        http_stop(http);
        return NULL;
    }
    http_set_limits(http, limits);
    for (size_t i = 0; *problem == NULL && i < count; i++) {
        *problem = port_start(&http->ports[i]);
    }
    if (*problem == NULL) {
        return http;
    }
    http_stop(http);
    return NULL;
}

void http_set_limits(struct http *http, const struct http_limits *limits)
{
    struct http_limits before = http->limits;

    http->limits = *limits;
    memcpy(http->limits.connections, before.connections, sizeof before.connections);
    for (size_t i = 0; i < http->port_count; i++) {
        http->ports[i].rules.hosts = limits->hosts;
        http->ports[i].rules.host_count = limits->host_count;
    }
}

/* ---- ending ---- */

static void quiesce(struct http *http)
{
    for (size_t i = 0; i < http->port_count; i++) {
        accept_stop(&http->ports[i]);
    }
}

void http_drain(struct http *http, bool upgrading)
{
    if (http->draining) {
        return;
    }
    http->draining = true;
    http->upgrading = upgrading;
    quiesce(http);
    peers_close_idle(http);
    parks_end(http, true);
    streams_end(http);
}

bool http_drained(const struct http *http)
{
    return http->owing == 0;
}

/* MHD aborts the process when it is stopped with suspended connections: they are let go first. */
static void let_go(struct http *http)
{
    for (int i = 0; i < STOP_RUNS; i++) {
        bool more = false;
        parks_end(http, false);
        streams_drop(http);
        for (size_t k = 0; k < http->port_count; k++) {
            if (http->ports[k].daemon != NULL) {
                more |= port_run_once(&http->ports[k]);
            }
        }
        if (!more && http->parked_first == NULL) {
            break;
        }
    }
}

void http_stop(struct http *http)
{
    if (http == NULL) {
        return;
    }
    http->draining = true;
    quiesce(http);
    let_go(http);
    for (size_t i = 0; i < http->port_count; i++) {
        struct http_port *port = &http->ports[i];
        if (port->daemon == NULL) {
            continue;
        }
        if (port->watch.ready != NULL) {
            loop_unwatch(http->loop, &port->watch);
        }
        MHD_stop_daemon(port->daemon);
    }
    tunnels_end(http);
    timer_cancel(http->loop, &http->sweep);
    timer_cancel(http->loop, &http->trim);
    timer_cancel(http->loop, &http->accept_again);
    loop_undefer(http->loop, &http->tell_rooms);
    loop_off_sleep(http->loop, run_before_sleep, http);
    if (http->no_memory != NULL) {
        MHD_destroy_response(http->no_memory);
    }
    tls_identity_drop(http->identity);
    router_free(http->router);
    requests_free_spare(http);
    free(http->ports);
    free(http);
}

unsigned http_connections(const struct http *http)
{
    return http->open[0] + http->open[1];
}

unsigned http_parked(const struct http *http)
{
    return http->parked;
}
