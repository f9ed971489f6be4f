/*
 * Which daemon a command asks, and which token it shows there: what its options name, else what a
 * child of a daemon has in its environment, else the state directory of this user. Spoken are the
 * Unix socket and plain HTTP on loopback addresses.
 */
#ifndef FORKFUL_API_CLIENT_TARGET_H
#define FORKFUL_API_CLIENT_TARGET_H

#include "api/client.h"

struct client_place {                 /* options; NULL: not given */
    const char *state_dir, *url, *socket;
};

/* False: the refusal says why nothing can be asked. Nothing is connected yet. */
bool client_target(struct client *client, const struct client_place *place,
                   struct refusal *refusal);

#endif
