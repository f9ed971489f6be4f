/*
 * Binding. Each function makes one socket ready and adds it, or says in one sentence why not.
 */
#include "api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3
#define BACKLOG 4096
#define TLS_PREFIX "tls:"

/* ---- addresses ---- */

/* Splits "HOST:PORT" and "[HOST]:PORT"; the port must be there. */
static bool split(const char *text, char host[64], unsigned *port)
{
    const char *colon = strrchr(text, ':');
    bool brackets = *text == '[';
    if (!colon || colon == text || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        colon[1] == '\0' || strlen(colon + 1) > 5) {
        return false;
    }
    size_t bytes = (size_t)(colon - text);
    if (brackets && (bytes < 3 || text[bytes - 1] != ']')) {
        return false;
    }
    bytes -= brackets ? 2 : 0;
    if (bytes >= 64) {
        return false;
    }
    memcpy(host, text + (brackets ? 1 : 0), bytes);
    host[bytes] = '\0';
    *port = (unsigned)strtoul(colon + 1, NULL, 10);
    return *port <= 65535 && brackets == (strchr(host, ':') != NULL);
}

static bool loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static bool refuse_open(struct refusal *refusal, const char *text)
{
    return refuse(refusal,
                  "%s is not a loopback address: other machines are served over TLS only. Listen on "
                  TLS_PREFIX "ADDRESS:PORT, with tls.certificate and tls.key, or on 127.0.0.1 or "
                  "[::1] behind a proxy with TLS", text);
}

bool listen_wants_tls(const char *text)
{
    return strncmp(text, TLS_PREFIX, strlen(TLS_PREFIX)) == 0;
}

bool listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *bytes,
                  struct refusal *refusal)
{
    char host[64];
    unsigned port;
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    bool tls = listen_wants_tls(text);
    refusal->usage = true;
    if (!split(text + (tls ? strlen(TLS_PREFIX) : 0), host, &port)) {
        return refuse(refusal, "\"%.100s\" is not an address to listen on: it must look like "
                      "127.0.0.1:8717, [::1]:8717, localhost:0 or tls:0.0.0.0:8718", text);
    }
    if (strcmp(host, "localhost") == 0) {
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    }
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        *bytes = sizeof *in;
    } else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *bytes = sizeof *in6;
    } else {
        return refuse(refusal, "\"%.100s\": host names are not resolved; give a numeric address or "
                      "localhost", text);
    }
    refusal->usage = false;
    return tls || loopback(address) || refuse_open(refusal, text);
}

static void url_of_4(const struct sockaddr_in *in, const char *scheme, bool reachable, char *url)
{
    char host[INET_ADDRSTRLEN] = "";
    struct in_addr shown = in->sin_addr;
    if (reachable && shown.s_addr == htonl(INADDR_ANY)) {
        shown.s_addr = htonl(INADDR_LOOPBACK);
    }
    inet_ntop(AF_INET, &shown, host, sizeof host);
    snprintf(url, LISTEN_URL_BYTES, "%s://%s:%u", scheme, host, ntohs(in->sin_port));
}

static void url_of_6(const struct sockaddr_in6 *in6, const char *scheme, bool reachable, char *url)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool any = reachable && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
    inet_ntop(AF_INET6, any ? &in6addr_loopback : &in6->sin6_addr, host, sizeof host);
    snprintf(url, LISTEN_URL_BYTES, "%s://[%s]:%u", scheme, host, ntohs(in6->sin6_port));
}

void listen_url(const struct sockaddr_storage *address, bool tls, bool reachable,
                char url[LISTEN_URL_BYTES])
{
    const char *scheme = tls ? "https" : "http";
    if (address->ss_family == AF_INET6) {
        url_of_6((const struct sockaddr_in6 *)address, scheme, reachable, url);
    } else {
        url_of_4((const struct sockaddr_in *)address, scheme, reachable, url);
    }
}

/* What the socket is bound to, as clients write it. */
static void name_listener(struct listener *listener)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_un un;
    } address = {.any = {0}};
    socklen_t bytes = sizeof address;
    getsockname(listener->fd, (struct sockaddr *)&address, &bytes);
    listener->unix_socket = address.any.ss_family == AF_UNIX;
    if (listener->unix_socket) {
        snprintf(listener->url, sizeof listener->url, "unix:%.*s",
                 (int)sizeof address.un.sun_path, address.un.sun_path);
    } else {
        listen_url(&address.any, listener->tls, false, listener->url);
        listen_url(&address.any, listener->tls, true, listener->page);
    }
}

static bool add(struct listeners *listeners, int fd, bool tls, struct refusal *refusal)
{
    if (listeners->count == RESUME_LISTENERS) {
        close(fd);
        return refuse(refusal, "there are more than %d listeners", RESUME_LISTENERS);
    }
    struct listener *listener = &listeners->items[listeners->count++];
    *listener = (struct listener){.fd = fd, .tls = tls};
    name_listener(listener);
    return true;
}

/* ---- TCP ---- */

static bool refuse_bind(struct refusal *refusal, const char *text)
{
    if (errno == EADDRINUSE) {
        return refuse(refusal, "%s is in use by another program, maybe by another forkful; "
                      "--listen 127.0.0.1:0 takes a free port", text);
    }
    return refuse(refusal, "cannot listen on %s: %s", text, strerror(errno));
}

bool listen_tcp(struct listeners *listeners, const char *text, struct refusal *refusal)
{
    struct sockaddr_storage address;
    socklen_t bytes = 0;
    const int on = 1;
    if (!listen_parse(text, &address, &bytes, refusal)) {
        return false;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return refuse(refusal, "%s: socket: %s", text, strerror(errno));
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, (struct sockaddr *)&address, bytes) < 0 || listen(fd, BACKLOG) < 0) {
        refuse_bind(refusal, text);
        close(fd);
        return false;
    }
    return add(listeners, fd, listen_wants_tls(text), refusal);
}

/* ---- the Unix socket ---- */

/* 0: somebody answers there; else an errno. ECONNREFUSED: the file is all that is left. */
static int knock(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
    close(fd);
    return error == EAGAIN ? 0 : error; /* a full backlog: somebody is there */
}

static bool remove_stale(const struct sockaddr_un *address, struct refusal *refusal)
{
    struct stat status;
    const char *path = address->sun_path;
    if (lstat(path, &status) < 0) {
        return errno == ENOENT || refuse(refusal, "%s: lstat: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(status.st_mode)) {
        return refuse(refusal, "%s is there and is not a socket; it is left alone", path);
    }
    int error = knock(address);
    if (error == 0) {
        return refuse(refusal, "another program answers on %s; --socket names another path", path);
    }
    if (error != ECONNREFUSED) {
        return refuse(refusal, "%s: connect: %s", path, strerror(error));
    }
    return unlink(path) == 0 || errno == ENOENT ||
           refuse(refusal, "%s: unlink: %s", path, strerror(errno));
}

/* The file is 0600, or 0666, from its first instant: connecting needs write permission. */
static bool bind_with_mode(int fd, const struct sockaddr_un *address, bool shared)
{
    mode_t before = umask(shared ? 0111 : 0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof *address);
    umask(before);
    return result == 0 && listen(fd, BACKLOG) == 0;
}

bool listen_unix(struct listeners *listeners, const char *path, bool shared,
                 struct refusal *refusal)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = strlen(path);
    if (bytes >= sizeof address.sun_path) {
        return refuse(refusal, "%s is %zu bytes long, but a socket's path may have %zu at most: "
                      "name a shorter one with --socket, or \"--socket none\"", path, bytes,
                      sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, bytes);
    if (!remove_stale(&address, refusal)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !bind_with_mode(fd, &address, shared)) {
        refuse_bind(refusal, path);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    listeners->made_path = path;
    return add(listeners, fd, false, refusal);
}

/* ---- passed by a service manager: sd_listen_fds(3) ---- */

static long environment_number(const char *name)
{
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : 0;
}

int listen_passed(void)
{
    bool ours = environment_number("LISTEN_PID") == getpid();
    long count = ours ? environment_number("LISTEN_FDS") : 0;
    return count > 0 && count < 1000 ? (int)count : 0;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) < 0 ? -1 : value;
}

static bool take_passed(struct listeners *listeners, int fd, struct refusal *refusal)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof address;
    if (socket_option(fd, SO_ACCEPTCONN) != 1 || socket_option(fd, SO_TYPE) != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) < 0) {
        return refuse(refusal, "descriptor %d of LISTEN_FDS is not a listening stream socket",
                      fd);
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!add(listeners, fd, false, refusal)) {
        return false;
    }
    if (address.ss_family == AF_UNIX) {
        return true;
    }
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6) {
        return refuse(refusal, "descriptor %d of LISTEN_FDS is of an unknown address family",
                      fd);
    }
    return loopback(&address) || refuse_open(refusal, listeners->items[listeners->count - 1].url);
}

bool listen_take_passed(struct listeners *listeners, int count, struct refusal *refusal)
{
    for (int i = 0; i < count; i++) {
        if (!take_passed(listeners, FIRST_PASSED_FD + i, refusal)) {
            return false;
        }
    }
    return true;
}

bool listeners_have_unix(const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].unix_socket) {
            return true;
        }
    }
    return false;
}

void listeners_close(struct listeners *listeners)
{
    while (listeners->count) {
        close(listeners->items[--listeners->count].fd);
    }
    if (listeners->made_path) {
        unlink(listeners->made_path);
        listeners->made_path = NULL;
    }
}
