/*
 * A small HTTP/1.1 client over a Unix socket or loopback TCP, for the commands that ask a daemon.
 *
 * One struct client_call is one connection with one request under way. Sending blocks; the answer
 * is pulled: client_next reads what the socket has now and gives the next piece of the body, so
 * that one poll loop may wait for many calls, and who does not pull holds the daemon back. Known
 * are answers with Content-Length and chunked ones, as the daemon gives them. The connection is
 * kept for the next request where both sides allow it.
 */
#ifndef FORKFUL_API_CLIENT_H
#define FORKFUL_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "service/refusal.h"

#define CLIENT_IN_BYTES 65536

struct client {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    char place[300];                  /* the path or URL, for people */
    char host[80];                    /* of the Host field */
    char token[256];                  /* "": none is shown */
};

struct client_request {
    const char *method, *path;
    const char *fields;               /* more header lines, each with its CRLF; NULL: none */
    const void *body;
    size_t bytes;
};

struct client_call {
    int fd;                           /* -1: no connection */
    unsigned state;                   /* of the answer's parser */
    int status;                       /* of the answer, 0 before its first line is there */
    bool chunked, last;               /* last: the connection ends with this answer */
    uint64_t left;                    /* bytes of the body, or of the chunk, still to come */
    size_t at, end;                   /* what is not yet parsed of `in` */
    char in[CLIENT_IN_BYTES];
};

enum client_news {
    CLIENT_WAIT,                      /* nothing now: poll the descriptor */
    CLIENT_PIECE,                     /* some bytes of the body, valid until the next call */
    CLIENT_END,                       /* the answer is whole */
    CLIENT_BROKEN                     /* the connection ended before the answer did */
};

struct client_piece {
    const char *data;
    size_t bytes;
};

/* Where the daemon is. False: the refusal says why that is no place; nothing is connected yet. */
bool client_at_socket(struct client *client, const char *path, struct refusal *refusal);
bool client_at_url(struct client *client, const char *url, struct refusal *refusal);

/* An empty call; before any other use. */
void client_init(struct client_call *call);
/* Connects if need be and sends all of the request. 0, or a negative errno; then it is closed. */
int client_send(const struct client *client, struct client_call *call,
                const struct client_request *request);
enum client_news client_next(struct client_call *call, struct client_piece *piece);
void client_close(struct client_call *call);

#endif
