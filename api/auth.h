/*
 * Who asks, and may he: the one gate between the route table and the handlers.
 *
 * Called once per request, before its body is read and only where the route is not SCOPE_PUBLIC.
 * Whether a process or session may act on the one thing that it names is looked at by find.c.
 */
#ifndef FORKFUL_API_AUTH_H
#define FORKFUL_API_AUTH_H

#include "api/http.h"
#include "api/tls.h"

struct credentials {
    const char *authorization;        /* the header's value; NULL: none */
    int peer_fd;                      /* the client's socket, for SO_PEERCRED where is_unix */
    bool is_unix;
    const struct tls_subject *certificate; /* verified; NULL: none */
};

/* The header counts before all else: who shows a token wants to be its bearer. NULL: admitted and
   *out is filled; else 401 or 403, owned by the caller. */
struct problem *auth_check(struct app *app, const struct credentials *shown, enum scope scope,
                           struct principal *out);

/* The body has come since then: NULL, or 401 when the token or session has ended meanwhile. */
struct problem *auth_again(struct app *app, const struct principal *principal);

#define PRINCIPAL_TEXT_BYTES 128
/* "admin", the id of a process, session or token, "uid:1000", "tls:CN=alice"; "" for nobody. */
void principal_text(const struct principal *principal, char out[PRINCIPAL_TEXT_BYTES]);

/* The request of an admitted (or, for its scope, refused) principal is over. */
void auth_done(struct app *app, const struct principal *principal);

#endif
