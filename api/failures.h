/*
 * Failed logins: how many each peer may have before it is told to wait.
 *
 * A bucket a peer: so many failures at once, and one more each second. Only failures are counted
 * and only they are refused, never who shows what is right: on a loopback address all users and
 * programs of the machine are one peer, and none of them shall lock out the others. Secrets have
 * 256 random bits, so guessing is hopeless at any rate; what this keeps small is what a guesser
 * costs: each further try takes a connection of its own and leaves no trace but a row of the audit
 * in a second.
 *
 * Plain data of a fixed size: as many peers as there are places have a bucket of their own, and
 * those beyond share one. Times are monotonic microseconds. Loop thread only.
 */
#ifndef FORKFUL_API_FAILURES_H
#define FORKFUL_API_FAILURES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { FAILURE_PEERS = 256 };

/* Who fails: an IPv4 address, an IPv6 network of 64 bits (what one customer has), or a uid. */
struct failure_peer {
    uint8_t bytes[16];
};

struct failure_bucket {
    struct failure_peer peer;
    int64_t full_at_us;                /* when all is forgotten; not later than now: a free place */
};

struct failures {                      /* zeroes: nobody has failed */
    struct failure_bucket buckets[FAILURE_PEERS];
    struct failure_bucket rest;
};

struct failure_peer failure_peer_of_address(const struct sockaddr *address);
struct failure_peer failure_peer_of_user(uint32_t uid);

/* One more. False: these were more than `burst` and one for each second since. */
bool failures_count(struct failures *failures, struct failure_peer peer, uint64_t burst,
                    int64_t now_us);

#endif
