/*
 * The HTTP client; see client.h. The parser of answers is one function per state, each of which
 * takes from the buffer what it understands or says that it needs more.
 */
#include "api/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/text.h"

#define SEND_SECONDS 10               /* a daemon that takes nothing for so long is not there */

/* ---- where the daemon is ---- */

bool client_at_socket(struct client *client, const char *path, struct refusal *refusal)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return refuse(refusal, "the path of the socket is longer than %zu bytes, use --url: %.200s",
                      sizeof address.sun_path - 1, path);
    }
    memcpy(address.sun_path, path, strlen(path));
    *client = (struct client){.address_bytes = sizeof address, .host = "localhost"};
    memcpy(&client->address, &address, sizeof address);
    snprintf(client->place, sizeof client->place, "%s", path);
    return true;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* "127.0.0.1", "8717": numbers only, so nothing is looked up. */
static bool resolve(struct client *client, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &hints, &found)) {
        return false;
    }
    client->address_bytes = found->ai_addrlen;
    memcpy(&client->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return is_loopback(&client->address);
}

bool client_at_url(struct client *client, const char *url, struct refusal *refusal)
{
    char host[64] = "", port[6] = "";
    int bytes = 0;
    *client = (struct client){0};
    if (strncmp(url, "https:", 6) == 0) {
        return refuse(refusal, "%.200s: commands speak HTTP on loopback addresses and on the Unix "
                      "socket, not TLS; name the socket's directory with --state-dir", url);
    }
    bool six = sscanf(url, "http://[%63[0-9a-fA-F:]]:%5[0-9]%n", host, port, &bytes) == 2;
    bool good = six || sscanf(url, "http://%63[0-9a-z.]:%5[0-9]%n", host, port, &bytes) == 2;
    const char *rest = url + bytes;
    if (!good || strcmp(rest + (*rest == '/'), "") != 0 || !resolve(client, host, port)) {
        return refuse(refusal, "%.200s is not a URL like http://127.0.0.1:8717, with a loopback "
                      "address as the daemon's listeners have", url);
    }
    snprintf(client->place, sizeof client->place, "%s", url);
    snprintf(client->host, sizeof client->host, six ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

/* ---- the connection ---- */

void client_init(struct client_call *call)
{
    call->fd = -1;
    call->status = 0;
    call->state = 0;
    call->at = call->end = 0;
}

void client_close(struct client_call *call)
{
    if (call->fd >= 0) {
        close(call->fd);
    }
    client_init(call);
}

static int open_connection(const struct client *client, struct client_call *call)
{
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    call->fd = socket(client->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (call->fd < 0) {
        return -errno;
    }
    setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const struct sockaddr *address = (const struct sockaddr *)&client->address;
    return connect(call->fd, address, client->address_bytes) < 0 ? -errno : 0;
}

/* A kept connection is of no use when the other side has closed it or says what nobody asked. */
static bool is_fresh(const struct client_call *call)
{
    char byte;
    return call->fd >= 0 && call->at == call->end &&
           recv(call->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void put_head(struct text *head, const struct client *client,
                     const struct client_request *request)
{
    text_printf(head, "%s %s HTTP/1.1\r\nHost: %s\r\n", request->method, request->path,
                client->host);
    if (*client->token) {
        text_printf(head, "Authorization: Bearer %s\r\n", client->token);
    }
    if (request->body || strcmp(request->method, "GET") != 0) {
        text_printf(head, "Content-Length: %zu\r\n", request->bytes);
    }
    text_put(head, request->fields ? request->fields : "");
    text_put(head, "\r\n");
}

static int send_all(int fd, struct iovec parts[2])
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        for (size_t i = 0; n > 0 && i < 2; i++) {
            size_t sent = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + sent;
            parts[i].iov_len -= sent;
            n -= (ssize_t)sent;
        }
    }
    return 0;
}

int client_send(const struct client *client, struct client_call *call,
                const struct client_request *request)
{
    struct text head = {0};
    int error = 0;
    if (!is_fresh(call)) {
        client_close(call);
        error = open_connection(client, call);
    }
    call->state = 0;
    call->status = 0;
    put_head(&head, client, request);
    if (!error) {
        struct iovec parts[2] = {{head.data, head.bytes}, {(void *)request->body, request->bytes}};
        error = head.failed ? -ENOMEM : send_all(call->fd, parts);
    }
    text_free(&head);
    if (error) {
        client_close(call);
    }
    return error;
}

/* ---- the parser ---- */

enum { NEED = CLIENT_BROKEN + 1, AGAIN }; /* more bytes; the next state has its turn */
enum state { STATUS, FIELD, DATA, CHUNK, CHUNK_END, TRAILER, WHOLE };

/* The next line without its end, NUL-terminated in place; NULL: it is not whole. */
static char *take_line(struct client_call *call)
{
    char *line = call->in + call->at;
    char *end = memchr(line, '\n', call->end - call->at);
    if (!end) {
        return NULL;
    }
    call->at = (size_t)(end + 1 - call->in);
    end -= end > line && end[-1] == '\r';
    *end = '\0';
    return line;
}

static int go(struct client_call *call, enum state state)
{
    call->state = state;
    return AGAIN;
}

static int take_status(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    char *line = take_line(call), *end;
    if (!line) {
        return NEED;
    }
    call->last = strncmp(line, "HTTP/1.1 ", 9) != 0;
    call->chunked = false;
    call->left = 0;
    long status = strncmp(line, "HTTP/1.", 7) == 0 ? strtol(line + 8, &end, 10) : 0;
    call->status = status >= 100 && status <= 599 ? (int)status : 0;
    return call->status ? go(call, FIELD) : CLIENT_BROKEN;
}

static void field_length(struct client_call *call, const char *value)
{
    call->left = strtoull(value, NULL, 10);
}

static void field_encoding(struct client_call *call, const char *value)
{
    call->chunked = strcasecmp(value, "chunked") == 0;
}

static void field_connection(struct client_call *call, const char *value)
{
    call->last = call->last || strcasecmp(value, "close") == 0;
}

static const struct {
    const char *name;
    void (*take)(struct client_call *call, const char *value);
} fields[] = {
    {"Content-Length", field_length},
    {"Transfer-Encoding", field_encoding},
    {"Connection", field_connection},
};

/* The header is over. An interim answer (1xx) is followed by the real one. What has no length has
   no body. */
static int begin_body(struct client_call *call)
{
    if (call->status < 200) {
        return go(call, STATUS);
    }
    return go(call, call->chunked ? CHUNK : DATA);
}

static int take_field(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    char *line = take_line(call);
    if (!line || !*line) {
        return line ? begin_body(call) : NEED;
    }
    size_t bytes = strcspn(line, ":");
    const char *value = line + bytes + (line[bytes] == ':');
    value += strspn(value, " \t");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].name) == bytes && strncasecmp(line, fields[i].name, bytes) == 0) {
            fields[i].take(call, value);
        }
    }
    return AGAIN;
}

/* What is there of the `left` bytes that belong together: the body, or a chunk of it. */
static int take_data(struct client_call *call, struct client_piece *piece)
{
    if (!call->left) {
        return go(call, call->chunked ? CHUNK_END : WHOLE);
    }
    size_t there = call->end - call->at;
    size_t bytes = there < call->left ? there : (size_t)call->left;
    *piece = (struct client_piece){call->in + call->at, bytes};
    call->at += bytes;
    call->left -= bytes;
    return bytes ? CLIENT_PIECE : NEED;
}

static int take_chunk(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    char *line = take_line(call), *end;
    if (!line) {
        return NEED;
    }
    call->left = strtoull(line, &end, 16);
    return end == line ? CLIENT_BROKEN : go(call, call->left ? DATA : TRAILER);
}

static int take_chunk_end(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    const char *line = take_line(call);
    return !line ? NEED : *line ? CLIENT_BROKEN : go(call, CHUNK);
}

static int take_trailer(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    const char *line = take_line(call);
    return !line ? NEED : *line ? AGAIN : go(call, WHOLE);
}

static int take_whole(struct client_call *call, struct client_piece *piece)
{
    (void)piece;
    if (call->last) {
        close(call->fd);
        call->fd = -1;
    }
    return CLIENT_END;
}

static int (*const takers[])(struct client_call *call, struct client_piece *piece) = {
    [STATUS] = take_status, [FIELD] = take_field, [DATA] = take_data, [CHUNK] = take_chunk,
    [CHUNK_END] = take_chunk_end, [TRAILER] = take_trailer, [WHOLE] = take_whole,
};

/* Bytes that came, or 0, or a negative errno. */
static ssize_t receive(struct client_call *call)
{
    memmove(call->in, call->in + call->at, call->end - call->at);
    call->end -= call->at;
    call->at = 0;
    if (call->end == sizeof call->in) {
        return -EMSGSIZE;
    }
    ssize_t n = recv(call->fd, call->in + call->end, sizeof call->in - call->end, MSG_DONTWAIT);
    call->end += n > 0 ? (size_t)n : 0;
    return n < 0 ? -errno : n;
}

enum client_news client_next(struct client_call *call, struct client_piece *piece)
{
    for (;;) {
        int news = takers[call->state](call, piece);
        if (news < NEED) {
            return (enum client_news)news;
        }
        ssize_t n = news == NEED ? receive(call) : 1;
        if (n == -EAGAIN || n == -EINTR) {
            return CLIENT_WAIT;
        }
        if (n <= 0) {
            return CLIENT_BROKEN;
        }
    }
}
