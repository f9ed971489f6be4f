/*
 * The link to the keeper: packets out, and which reply belongs to which request.
 *
 * A command goes out at once; one that is in no hurry waits for the next, or for the end of the
 * loop's turn, and shares the packet. What the socket does not take waits until it is writable.
 * Replies are matched by request number in a table of slots: the slot's index and a generation
 * make the number, so a late or forged reply finds nothing. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_KEEPER_LINK_H
#define FORKFUL_SERVICE_KEEPER_LINK_H

#include <sys/uio.h>

#include "service/executor.h"
#include "service/loop.h"

#define GATHER_BYTES 16384u

struct keeper_link {
    struct loop *loop;
    struct watch watch;               /* the socket; `ready` is the owner's */
    struct packet *first, *last;      /* the outgoing queue */
    unsigned char gathered[GATHER_BYTES]; /* behind it */
    size_t gathered_bytes;
    unsigned gathered_commands;
    struct deferred turn_ends;
    struct slot *slots;
    uint32_t slot_count, free_slot;   /* free_slot: index + 1, 0: none */
};

/* A number for a new request; 0: no room. */
uint32_t keeper_link_expect(struct keeper_link *self, struct reply reply);
/* The reply that is expected under this number, once. */
bool keeper_link_take(struct keeper_link *self, uint32_t request, struct reply *out);
/* One command with at most COMMAND_SPAWN_FDS descriptors (borrowed). False: it could not even be queued. A keeper
   that is gone takes everything: the end of its socket tells. */
bool keeper_link_send(struct keeper_link *self, const struct iovec *parts, size_t count,
                      const int *fds, int fd_count);
bool keeper_link_send_patiently(struct keeper_link *self, const struct iovec *part); /* one small one */
bool keeper_link_flush(struct keeper_link *self);  /* what the socket takes now; true: all of it */
void keeper_link_free(struct keeper_link *self);   /* the queue and the slots */

#endif
