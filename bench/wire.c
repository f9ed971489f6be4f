/* Connections of the load programs; wire.h tells what they can and cannot do. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
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

const char *token_of_environment(void)
{
    const char *token = getenv("FORKFUL_TOKEN");

    return token != NULL ? token : "";
}

void allow_files(size_t count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
    if (limit.rlim_max < count + 16) {
        errno = EMFILE;
        die("the limit of open files is below the number of connections");
    }
}

static int connect_tcp(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)number_argument(port, UINT16_MAX)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
        die("TCP_NODELAY");
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return fd;
}

void wire_open(struct wire *wire, const struct target *target, const struct framing *framing)
{
    struct timeval patience = {.tv_sec = 60};

    *wire = (struct wire){.framing = framing, .buffer = malloc(WIRE_BUFFER_BYTES)};
    if (wire->buffer == NULL)
        die("malloc");
    wire->fd = target->address[0] == '/' ? connect_unix(target->address)
                                         : connect_tcp(target->address);
    if (setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        die("SO_RCVTIMEO");
}

void wire_close(struct wire *wire)
{
    close(wire->fd);
    free(wire->buffer);
    wire->buffer = NULL;
}

void wire_send(struct wire *wire, const char *request, size_t bytes)
{
    wire->status = 0;
    wire->received = 0;
    wire->head_bytes = 0;
    wire->body_bytes = 0;
    wire->body = NULL;
    while (bytes > 0) {
        ssize_t sent = send(wire->fd, request, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            die("send");
        request += sent;
        bytes -= (size_t)sent;
    }
}

/* Finds the head's end and has the framing read it. False: not framed, or too large. */
static int take_head(struct wire *wire)
{
    size_t bytes = strlen(wire->framing->head_end);
    char *end = memmem(wire->buffer, wire->received, wire->framing->head_end, bytes);

    if (end == NULL)
        return wire->received < WIRE_BUFFER_BYTES - 1;
    end += bytes;
    wire->head_bytes = (size_t)(end - wire->buffer);
    wire->body = end;
    return wire->framing->parse(wire, end) &&
           wire->body_bytes < WIRE_BUFFER_BYTES - wire->head_bytes;
}

enum wire_progress wire_receive(struct wire *wire)
{
    size_t room = WIRE_BUFFER_BYTES - 1 - wire->received;
    ssize_t got = recv(wire->fd, wire->buffer + wire->received, room, 0);

    if (got < 0 && errno == EINTR)
        return WIRE_PARTIAL;
    if (got <= 0)
        return WIRE_BROKEN;
    wire->received += (size_t)got;
    wire->buffer[wire->received] = '\0';
    if (wire->head_bytes == 0 && !take_head(wire))
        return WIRE_BROKEN;
    return wire->head_bytes > 0 && wire->received >= wire->head_bytes + wire->body_bytes
               ? WIRE_COMPLETE
               : WIRE_PARTIAL;
}

int wire_finish(struct wire *wire)
{
    enum wire_progress progress;

    do
        progress = wire_receive(wire);
    while (progress == WIRE_PARTIAL);
    return progress == WIRE_COMPLETE;
}
