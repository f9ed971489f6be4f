/* The small HTTP client of the load programs; http.h tells what it can and cannot do. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

unsigned long number_argument(const char *text, unsigned long max)
{
    char *end;

    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 || number > max) {
        fprintf(stderr, "%s: not a number from 1 to %lu\n", text, max);
        exit(2);
    }
    return number;
}

uint64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

void http_open(struct http *http, const struct http_target *target)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(target->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct timeval patience = {.tv_sec = 60};
    int yes = 1;

    http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (http->fd < 0)
        die("socket");
    if (connect(http->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    if (setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
        die("TCP_NODELAY");
    if (setsockopt(http->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        die("SO_RCVTIMEO");
}

size_t http_format(char *out, const struct http_target *target, const char *method,
                   const char *path, const char *body)
{
    char authorization[256] = "", content[96] = "";

    if (target->token[0] != '\0')
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s\r\n",
                 target->token);
    if (body != NULL)
        snprintf(content, sizeof content,
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    else if (strcmp(method, "POST") == 0)
        snprintf(content, sizeof content, "Content-Length: 0\r\n");
    int bytes = snprintf(out, HTTP_REQUEST_BYTES,
                         "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s\r\n%s", method, path,
                         target->port, authorization, content, body != NULL ? body : "");
    if (bytes < 0 || bytes >= HTTP_REQUEST_BYTES) {
        errno = EMSGSIZE;
        die("request");
    }
    return (size_t)bytes;
}

void http_send(struct http *http, const char *request, size_t bytes)
{
    http->status = 0;
    http->received = 0;
    http->header_bytes = 0;
    http->body_bytes = 0;
    http->body = NULL;
    while (bytes > 0) {
        ssize_t sent = send(http->fd, request, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            die("send");
        request += sent;
        bytes -= (size_t)sent;
    }
}

/* Reads status and Content-Length out of a complete header. False: an answer we cannot frame. */
static int parse_header(struct http *http, const char *end)
{
    static const char length_name[] = "content-length:";
    const char *line = http->buffer;
    int has_length = 0;

    if (sscanf(line, "HTTP/1.1 %3d", &http->status) != 1)
        return 0;
    while (line < end && (line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if (strncasecmp(line, length_name, sizeof length_name - 1) == 0) {
            http->body_bytes = strtoul(line + sizeof length_name - 1, NULL, 10);
            has_length = 1;
        }
    }
    http->header_bytes = (size_t)(end - http->buffer);
    http->body = http->buffer + http->header_bytes;
    return (has_length || http->status == 204) &&
           http->body_bytes < sizeof http->buffer - http->header_bytes;
}

enum http_progress http_receive(struct http *http)
{
    size_t room = sizeof http->buffer - 1 - http->received;
    ssize_t got = recv(http->fd, http->buffer + http->received, room, 0);

    if (got < 0 && errno == EINTR)
        return HTTP_PARTIAL;
    if (got <= 0)
        return HTTP_BROKEN;
    http->received += (size_t)got;
    http->buffer[http->received] = '\0';
    if (http->header_bytes == 0) {
        char *blank = memmem(http->buffer, http->received, "\r\n\r\n", 4);
        if (blank == NULL)
            return http->received < sizeof http->buffer - 1 ? HTTP_PARTIAL : HTTP_BROKEN;
        if (!parse_header(http, blank + 4))
            return HTTP_BROKEN;
    }
    return http->received >= http->header_bytes + http->body_bytes ? HTTP_COMPLETE : HTTP_PARTIAL;
}

int http_finish(struct http *http)
{
    enum http_progress progress;

    do
        progress = http_receive(http);
    while (progress == HTTP_PARTIAL);
    return progress == HTTP_COMPLETE;
}

const char *json_value(const char *json, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = strchr(json, '"'); at != NULL; at = strchr(at + 1, '"')) {
        if (strncmp(at + 1, key, length) != 0 || at[1 + length] != '"')
            continue;
        const char *value = at + 2 + length;
        value += strspn(value, " \t\r\n");
        if (*value != ':')
            continue;
        value++;
        return value + strspn(value, " \t\r\n");
    }
    return NULL;
}
