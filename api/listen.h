/*
 * The sockets a daemon answers on: TCP on loopback addresses, one Unix socket, and those a
 * service manager hands over. Bound and listening when a function has returned true; FD_CLOEXEC
 * and O_NONBLOCK set.
 *
 * Without TLS only addresses of this machine's loopback are taken. Host names are not resolved, but
 * for localhost.
 */
#ifndef FORKFUL_API_LISTEN_H
#define FORKFUL_API_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "service/refusal.h"
#include "service/resume.h"

#define LISTEN_URL_BYTES 128

struct listener {
    int fd;                           /* owned */
    bool unix_socket, tls;
    char url[LISTEN_URL_BYTES];       /* "http://127.0.0.1:80", "https://[::1]:80", "unix:/path" */
    char page[LISTEN_URL_BYTES];      /* the same for a browser of this machine; "" for a Unix socket */
};

struct listeners {
    struct listener items[RESUME_LISTENERS];
    size_t count;
    const char *made_path;            /* the Unix socket's file that we made, or NULL; not owned */
};

/* "tls:0.0.0.0:8718": the listener speaks TLS. */
bool listen_wants_tls(const char *text);
/* "127.0.0.1:8717", "[::1]:0", "localhost:80", "tls:…". What is not an address at all is a usage
   refusal. */
bool listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *bytes,
                  struct refusal *refusal);

/* An address over TCP as clients write it. `reachable`: for all addresses of the machine its loopback
   stands, where somebody can be reached. */
void listen_url(const struct sockaddr_storage *address, bool tls, bool reachable,
                char url[LISTEN_URL_BYTES]);

/* Descriptors passed by a service manager (LISTEN_PID, LISTEN_FDS): 3, 4, … this many. */
int listen_passed(void);

bool listen_take_passed(struct listeners *listeners, int count, struct refusal *refusal);
bool listen_tcp(struct listeners *listeners, const char *text, struct refusal *refusal);
/* `path` is absolute. A socket file that nobody answers on is replaced. `shared`: users other than
   our own may connect (and are asked for their uid or a token). */
bool listen_unix(struct listeners *listeners, const char *path, bool shared,
                 struct refusal *refusal);

bool listeners_have_unix(const struct listeners *listeners);
/* Closes all and removes the file made; for a start that fails. */
void listeners_close(struct listeners *listeners);

#endif
