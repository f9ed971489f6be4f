/*
 * What the load engine (load.c) and the kinds of load (load_*.c) have in common.
 *
 * A kind of load is a row of a table: the request that begins a unit of work, and what to make of
 * each answer. The engine has the connections, the clock and the figures.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "http.h"

enum { LATENCY_LIMIT_US = 200000 };

struct client {
    struct wire wire;
    uint64_t begun_us; /* when the unit of work under way was begun */
    int step;          /* which request of the unit is under way; 0: the first */
    char id[64];       /* of what the unit has made, where later requests need it */
};

struct load {
    const struct mode *mode;
    struct target target;
    struct client *clients;
    size_t client_count;
    size_t active;                    /* clients with a request outstanding */
    const char *subject;              /* PROGRAM, PATH or a name */
    char request[HTTP_REQUEST_BYTES]; /* what begins a unit of work, the same every time */
    size_t request_bytes;
    uint64_t warm_us, deadline_us;
    int warm;                         /* the warm-up is over: units count */
    uint64_t done;                    /* units of work that ended as they should */
    uint64_t wrong;                   /* and that did not; such a client stops */
    uint32_t latency[LATENCY_LIMIT_US + 1]; /* how many units took that many microseconds */
};

enum verdict { WORK_GOES_ON, WORK_DONE, WORK_WRONG };

struct mode {
    const char *name; /* NULL ends a table */
    const struct framing *framing;
    void (*prepare)(struct load *load); /* fills request */
    enum verdict (*answered)(struct load *load, struct client *client);
};

extern const struct mode process_modes[];      /* load_processes.c */
extern const struct mode coordination_modes[]; /* load_coordination.c */
extern const struct mode broker_modes[];       /* load_brokers.c */

/* Sends the next request of a client's unit of work. body may be NULL. */
enum verdict send_next(struct load *load, struct client *client, const char *method,
                       const char *path, const char *body);

#endif
