/*
 * Tunnels: what a connection with TLS is, up to the library. TLS ends here, and the rest of the
 * bytes' way is a pair of sockets whose other end MHD gets; to all that lies above it is a
 * connection as others are, with the same deadlines, parking and watching.
 *
 * MHD could do TLS itself. But with epoll it asks for the next byte of an unfinished handshake again
 * and again without waiting (0.9.75): one silent client would take a whole processor.
 *
 * Both sockets are watched edge-triggered for all that can happen to them, and at each event what
 * can be moved is moved: one buffer each way, so who does not read holds up the other. The end of
 * one side is passed on behind its last byte. A tunnel outlives neither of its sides for long. Loop
 * thread.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/http_internal.h"

enum {
    BUFFER_BYTES = 16384, /* what a record may hold */
    STEPS_AT_ONCE = 16,   /* then the rest of the loop has its turn */
    STEPS_AT_END = 64
};
#define LINGER_US 1000000 /* for the client's end: unread bytes would make the kernel reset */
#define ALL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

enum state {
    SHAKING,   /* the handshake; MHD knows nothing of it yet */
    OPEN,      /* bytes go both ways */
    ENDING,    /* MHD has closed, all was sent: TLS is ended */
    LINGERING, /* so is TCP, on our side */
    DEAD       /* the client's side; MHD may still have to see that */
};

struct half { /* one way */
    size_t at, end; /* what is not moved on yet of `data` */
    bool ended;     /* nothing more comes */
    bool refused;   /* nobody takes it any more */
    char data[BUFFER_BYTES];
};

struct tunnel {
    struct http_port *port;
    struct tunnel *previous, *next; /* all of them, oldest first */
    enum state state;
    int fd, inner;                  /* the client's socket; our end of the pair, -1: none */
    int given;                      /* MHD's end until it has taken it up; else -1 */
    struct peer *peer;              /* which has taken it up; NULL: not yet, or no longer */
    bool known;                     /* as it was when MHD closed */
    struct watch outer_watch, inner_watch;
    struct timer deadline;
    int64_t begun_us;
    gnutls_session_t session;
    struct tls_identity *identity;
    struct tls_subject subject;
    bool subject_read;
    struct half in, out;            /* to MHD, from MHD */
};

/* ---- the list and the end ---- */

static void list_add(struct http *http, struct tunnel *tunnel)
{
    tunnel->previous = http->last_tunnel;
    *(http->last_tunnel != NULL ? &http->last_tunnel->next : &http->tunnels) = tunnel;
    http->last_tunnel = tunnel;
    http->tunnel_count++;
    http->open[0]++;
}

static void list_take(struct http *http, struct tunnel *tunnel)
{
    *(tunnel->previous != NULL ? &tunnel->previous->next : &http->tunnels) = tunnel->next;
    *(tunnel->next != NULL ? &tunnel->next->previous : &http->last_tunnel) = tunnel->previous;
    http->tunnel_count--;
    http->open[0]--;
}

static void close_inner(struct tunnel *tunnel)
{
    if (tunnel->inner >= 0) {
        loop_unwatch(tunnel->port->http->loop, &tunnel->inner_watch);
        close(tunnel->inner);
        tunnel->inner = -1;
    }
}

/* The client's socket stays open for as long as somebody may ask where it came from. */
static void die(struct tunnel *tunnel)
{
    struct http *http = tunnel->port->http;

    if (tunnel->state == DEAD) {
        return;
    }
    tunnel->state = DEAD;
    timer_cancel(http->loop, &tunnel->deadline);
    loop_unwatch(http->loop, &tunnel->outer_watch);
    close_inner(tunnel);
}

static void tunnel_free(struct tunnel *tunnel)
{
    struct http *http = tunnel->port->http;

    die(tunnel);
    list_take(http, tunnel);
    gnutls_deinit(tunnel->session);
    close(tunnel->fd);
    tls_identity_drop(tunnel->identity);
    tls_subject_free(&tunnel->subject);
    free(tunnel);
    accept_resume(http);
}

static void bury_dead(struct tunnel *tunnel)
{
    if (tunnel->state == DEAD && tunnel->peer == NULL && tunnel->given < 0) {
        tunnel_free(tunnel);
    }
}

/* ---- the handshake ---- */

static bool is_to_wait(ssize_t result)
{
    return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED;
}

static bool join(struct tunnel *tunnel)
{
    struct http *http = tunnel->port->http;
    const struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        return false;
    }
    tunnel->inner = pair[0];
    tunnel->given = pair[1];
    tunnel->inner_watch.fd = pair[0];
    tunnel->state = OPEN;
    timer_cancel(http->loop, &tunnel->deadline);
    if (loop_watch(http->loop, &tunnel->inner_watch, ALL_EVENTS) < 0) {
        close(pair[1]);
        tunnel->given = -1;
        return false;
    }
    /* Takes the descriptor, also when it fails: then our end shows it. */
    MHD_add_connection(tunnel->port->daemon, pair[1], (const struct sockaddr *)&nowhere,
                       sizeof nowhere);
    port_wake(tunnel->port);
    return true;
}

static bool shake(struct tunnel *tunnel)
{
    int result = gnutls_handshake(tunnel->session);

    if (is_to_wait(result)) {
        return false;
    }
    if (result < 0 && !gnutls_error_is_fatal(result)) {
        return true;
    }
    if (result < 0) {
        gnutls_alert_send_appropriate(tunnel->session, result);
    }
    if (result < 0 || !join(tunnel)) {
        die(tunnel);
    }
    return true;
}

/* ---- moving; each function is true when it has done something ---- */

static void take_in(struct tunnel *tunnel, ssize_t result)
{
    struct half *in = &tunnel->in;

    if (result > 0) {
        in->at = 0;
        in->end = (size_t)result;
    } else if (result == 0 || result == GNUTLS_E_PREMATURE_TERMINATION) {
        in->ended = true;
    } else if (gnutls_error_is_fatal((int)result) || result == GNUTLS_E_REHANDSHAKE) {
        die(tunnel); /* nobody needs to shake hands twice */
    }
}

static bool receive(struct tunnel *tunnel)
{
    struct half *in = &tunnel->in;

    if (tunnel->state != OPEN || in->at < in->end || in->ended) {
        return false;
    }
    ssize_t result = gnutls_record_recv(tunnel->session, in->data, sizeof in->data);
    if (is_to_wait(result)) {
        return false;
    }
    take_in(tunnel, result);
    if (in->ended && tunnel->state == OPEN) {
        shutdown(tunnel->inner, SHUT_WR);
    }
    return true;
}

static bool pass_in(struct tunnel *tunnel)
{
    struct half *in = &tunnel->in;

    if (tunnel->state != OPEN || in->at == in->end) {
        return false;
    }
    ssize_t count = in->refused ? (ssize_t)(in->end - in->at)
                                : send(tunnel->inner, in->data + in->at, in->end - in->at,
                                       MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    in->refused = count < 0;
    in->at += count > 0 ? (size_t)count : 0;
    return true;
}

static bool fetch(struct tunnel *tunnel)
{
    struct half *out = &tunnel->out;

    if (tunnel->state != OPEN || out->at < out->end || out->ended) {
        return false;
    }
    ssize_t count = recv(tunnel->inner, out->data, sizeof out->data, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    out->at = 0;
    out->end = count > 0 ? (size_t)count : 0;
    out->ended = count <= 0;
    return true;
}

/* What could not be sent is sent again as it was: the buffer is not touched meanwhile. */
static bool pass_out(struct tunnel *tunnel)
{
    struct half *out = &tunnel->out;

    if (tunnel->state != OPEN || (out->at == out->end && !out->ended)) {
        return false;
    }
    if (out->at == out->end) {
        tunnel->state = ENDING;
        tunnel->given = -1; /* closed by MHD, which may never have taken it up */
        return true;
    }
    ssize_t count = gnutls_record_send(tunnel->session, out->data + out->at, out->end - out->at);
    if (is_to_wait(count)) {
        return false;
    }
    if (count < 0 && gnutls_error_is_fatal((int)count)) {
        die(tunnel);
    }
    out->at += count > 0 ? (size_t)count : 0;
    return true;
}

static bool end_tls(struct tunnel *tunnel)
{
    struct loop *loop = tunnel->port->http->loop;

    if (is_to_wait(gnutls_bye(tunnel->session, GNUTLS_SHUT_WR))) {
        return false;
    }
    shutdown(tunnel->fd, SHUT_WR);
    close_inner(tunnel);
    tunnel->state = LINGERING;
    if (!timer_set(loop, &tunnel->deadline, time_monotonic_us() + LINGER_US)) {
        die(tunnel);
    }
    return true;
}

static bool linger(struct tunnel *tunnel)
{
    ssize_t count = recv(tunnel->fd, tunnel->in.data, sizeof tunnel->in.data, MSG_DONTWAIT);

    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (count <= 0) {
        die(tunnel);
    }
    return true;
}

static bool carry(struct tunnel *tunnel)
{
    static bool (*const ways[])(struct tunnel *tunnel) = {receive, pass_in, fetch, pass_out};
    bool moved = false;

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        moved = ways[i](tunnel) || moved;
    }
    return moved;
}

static bool step(struct tunnel *tunnel)
{
    static bool (*const steps[])(struct tunnel *tunnel) = {
        [SHAKING] = shake, [OPEN] = carry, [ENDING] = end_tls, [LINGERING] = linger};

    return tunnel->state != DEAD && steps[tunnel->state](tunnel);
}

static void move(struct tunnel *tunnel)
{
    struct loop *loop = tunnel->port->http->loop;
    int steps = 0;

    while (steps < STEPS_AT_ONCE && step(tunnel)) {
        steps++;
    }
    if (steps == STEPS_AT_ONCE && tunnel->state != DEAD) {
        /* There may be more to do, of which no edge would tell. */
        loop_rewatch(loop, &tunnel->outer_watch, ALL_EVENTS);
        if (tunnel->inner >= 0) {
            loop_rewatch(loop, &tunnel->inner_watch, ALL_EVENTS);
        }
    }
    bury_dead(tunnel);
}

/* ---- events ---- */

static void outer_ready(struct watch *watch, uint32_t events)
{
    struct tunnel *tunnel =
        (struct tunnel *)((char *)watch - offsetof(struct tunnel, outer_watch));

    if ((events & EPOLLERR) != 0) {
        die(tunnel);
    }
    move(tunnel);
}

static void inner_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    move((struct tunnel *)((char *)watch - offsetof(struct tunnel, inner_watch)));
}

static void late(struct timer *timer)
{
    struct tunnel *tunnel = (struct tunnel *)((char *)timer - offsetof(struct tunnel, deadline));

    die(tunnel);
    bury_dead(tunnel);
}

/* ---- beginning ---- */

static bool begin_watching(struct tunnel *tunnel)
{
    struct http *http = tunnel->port->http;
    const int on = 1;

    tunnel->begun_us = time_monotonic_us();
    tunnel->deadline.due = late;
    tunnel->outer_watch = (struct watch){.fd = tunnel->fd, .ready = outer_ready};
    tunnel->inner_watch = (struct watch){.fd = -1, .ready = inner_ready};
    setsockopt(tunnel->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!timer_set(http->loop, &tunnel->deadline, tunnel->begun_us + http->limits.header_us)) {
        return false;
    }
    if (loop_watch(http->loop, &tunnel->outer_watch, ALL_EVENTS) < 0) {
        timer_cancel(http->loop, &tunnel->deadline);
        return false;
    }
    return true;
}

void tunnel_begin(struct http_port *port, int fd)
{
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);

    if (tunnel == NULL) {
        close(fd);
        return;
    }
    tunnel->port = port;
    tunnel->fd = fd;
    tunnel->inner = tunnel->given = -1;
    tunnel->identity = port->http->identity;
    tunnel->session = tls_session_begin(tunnel->identity, fd);
    if (tunnel->session == NULL || !begin_watching(tunnel)) {
        if (tunnel->session != NULL) {
            gnutls_deinit(tunnel->session);
        }
        close(fd);
        free(tunnel);
        return;
    }
    tunnel->identity->users++;
    list_add(port->http, tunnel);
}

/* ---- MHD's end ---- */

/* Most often one of the newest. */
struct tunnel *tunnel_attach(struct http *http, int fd, struct peer *peer)
{
    struct tunnel *tunnel = http->last_tunnel;

    while (tunnel != NULL && tunnel->given != fd) {
        tunnel = tunnel->previous;
    }
    if (tunnel != NULL) {
        tunnel->given = -1;
        tunnel->peer = peer;
    }
    return tunnel;
}

/* What MHD has written is still on its way, to a client that may take its time. */
void tunnel_detach(struct tunnel *tunnel)
{
    struct http *http = tunnel->port->http;
    int64_t most_us = tunnel->peer->known ? SEND_US : http->limits.header_us;

    tunnel->known = tunnel->peer->known;
    tunnel->peer = NULL;
    if (tunnel->state == OPEN &&
        !timer_set(http->loop, &tunnel->deadline, time_monotonic_us() + most_us)) {
        die(tunnel);
    }
    bury_dead(tunnel);
}

int tunnel_socket(const struct tunnel *tunnel)
{
    return tunnel->fd;
}

const struct tls_subject *tunnel_client(struct tunnel *tunnel)
{
    if (!tunnel->identity->asks_clients) {
        return NULL;
    }
    if (!tunnel->subject_read) {
        tunnel->subject_read = true;
        if (!tls_subject_read(tunnel->session, &tunnel->subject)) {
            tls_subject_free(&tunnel->subject);
        }
    }
    return tunnel->subject.name != NULL ? &tunnel->subject : NULL;
}

unsigned tunnels_make_room(struct http *http, unsigned wanted, int64_t begun_before_us)
{
    struct tunnel *next;

    for (struct tunnel *tunnel = http->tunnels; wanted > 0 && tunnel != NULL; tunnel = next) {
        next = tunnel->next;
        bool stranger = tunnel->peer == NULL && tunnel->given < 0 && !tunnel->known;
        if (stranger && tunnel->begun_us < begun_before_us) {
            tunnel_free(tunnel);
            wanted--;
        }
    }
    return wanted;
}

/* MHD is gone, and what it has written goes as far as the kernel takes it now. */
void tunnels_end(struct http *http)
{
    struct tunnel *next;

    for (struct tunnel *tunnel = http->tunnels; tunnel != NULL; tunnel = next) {
        next = tunnel->next;
        for (int i = 0; i < STEPS_AT_END && tunnel->state != SHAKING && step(tunnel); i++) {
        }
        tunnel_free(tunnel);
    }
}

void http_use_identity(struct http *http, struct tls_identity *identity)
{
    tls_identity_drop(http->identity);
    http->identity = identity;
    accept_resume(http);
}
