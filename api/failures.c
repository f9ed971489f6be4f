/* Failed logins; see failures.h. */
#include "api/failures.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define EVERY_US INT64_C(1000000) /* one failure is forgiven */
#define NETWORK_BYTES 8

struct failure_peer failure_peer_of_address(const struct sockaddr *address)
{
    struct failure_peer peer = {{0}};

    if (address->sa_family == AF_INET6) {
        memcpy(peer.bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, NETWORK_BYTES);
    } else {
        /* As a mapped address is written; no network of 64 bits has these. */
        memset(peer.bytes + 10, 0xff, 2);
        memcpy(peer.bytes + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    }
    return peer;
}

/* Begins as a multicast address, which no peer has. */
struct failure_peer failure_peer_of_user(uint32_t uid)
{
    struct failure_peer peer = {{0xff}};

    memcpy(peer.bytes + 12, &uid, sizeof uid);
    return peer;
}

static struct failure_bucket *bucket_of(struct failures *failures, const struct failure_peer *peer,
                                        int64_t now_us)
{
    struct failure_bucket *empty = NULL;

    for (size_t i = 0; i < FAILURE_PEERS; i++) {
        struct failure_bucket *bucket = &failures->buckets[i];
        if (bucket->full_at_us <= now_us) {
            empty = empty != NULL ? empty : bucket;
        } else if (memcmp(&bucket->peer, peer, sizeof *peer) == 0) {
            return bucket;
        }
    }
    return empty != NULL ? empty : &failures->rest;
}

bool failures_count(struct failures *failures, struct failure_peer peer, uint64_t burst,
                    int64_t now_us)
{
    struct failure_bucket *bucket = bucket_of(failures, &peer, now_us);
    int64_t from_us = bucket->full_at_us > now_us ? bucket->full_at_us : now_us;

    if (from_us + EVERY_US - now_us > (int64_t)burst * EVERY_US) {
        return false;
    }
    *bucket = (struct failure_bucket){.peer = peer, .full_at_us = from_us + EVERY_US};
    return true;
}
