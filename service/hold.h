/*
 * Holds: what somebody has while he has something. A lock, a permit, a leased message, a place.
 *
 * A hold has an owner or a time limit, or both. It ends once, and how is kept: the last ends stay
 * readable, so that a late caller learns the cause instead of guessing. The fence is one number for
 * the whole daemon that never goes back, also over restarts. Ends come from everywhere (a release, a
 * timer, an owner's end, the admin), so everything that must follow from an end follows from hold_end.
 * Loop thread only.
 */
#ifndef FORKFUL_SERVICE_HOLD_H
#define FORKFUL_SERVICE_HOLD_H

#include "service/id.h"
#include "service/id_map.h"
#include "service/object.h"
#include "service/waiter.h"

/* Stored in the database: append only. */
enum hold_kind { HOLD_LOCK, HOLD_SEMAPHORE, HOLD_MESSAGE, HOLD_BARRIER, HOLD_PIPE_END, HOLD_TICKET,
    HOLD_KINDS };
enum hold_end {
    HOLD_LIVE, HOLD_ACKED, HOLD_RELEASED, HOLD_EXPIRED, HOLD_OWNER_ENDED, HOLD_BROKEN, HOLD_CLOSED,
    HOLD_BURIED, HOLD_ENDS
};

struct hold_row;

struct hold_cause {                    /* of an end; zeroed = nothing more is known */
    struct owner by;                   /* owner_ended: who; else who asked */
    bool exitcode_known;
    int exitcode;                      /* of the process, as Python tells it */
};

struct hold {
    struct fact_id id;
    char id_text[ID_TEXT_BYTES];
    enum hold_kind kind;
    struct object *object;             /* NULL: it has ended */
    char resource[OBJECT_NAME_BYTES + 16];
    struct owner owner;
    uint64_t fence;
    unsigned depth;                    /* of a reentrant lock; else 1 */
    int64_t granted_at_us, expires_at_us;   /* wall clock; 0: it does not expire */
    int64_t ttl_us;                    /* what touch renews by when it says nothing; 0: none */
    void *item;                        /* the kind's: the message; not owned */
    int64_t item_num;                  /* and its number in the database; 0: none */
    bool revoked;                      /* broken, but it ends with its owner, who is being stopped */
    bool durable;                      /* the kind wants it stored (a message kept in memory: not) */
    enum hold_end end;
    int64_t ended_at_us;
    struct hold_cause cause;
    struct service *service;
    struct timer expiry;
    struct wait_list watchers;         /* who waits for its end (POST /v1/wait) */
    struct hold *next, *previous;                    /* of its object, oldest first */
    struct hold *next_of_owner, *previous_of_owner;
    struct hold *next_ended;                         /* in the order of their ends */
    struct hold *next_dirty, *next_unjournaled;
    bool dirty, inserted;
    bool unjournaled;                  /* it has changed since it was last put into the journal */
};

struct hold_table {
    struct id_map by_id;               /* live ones and the last ended ones */
    size_t live, ended;
    struct hold *first_ended, *last_ended;
    struct hold *dirty, *unjournaled;
    uint64_t fence;                    /* given last */
    uint64_t fence_reserved;           /* up to here the database knows of it */
};

/* Whom, what and for how long. ttl_us 0: without a limit, which needs an owner. */
struct hold_request {
    enum hold_kind kind;
    struct object *object;
    struct owner owner;
    int64_t ttl_us;
    void *item;
    int64_t item_num;
    bool durable;
};
/* NULL: no memory, the limit of holds, or the owner has ended meanwhile (*problem tells). */
struct hold *hold_grant(struct service *service, const struct hold_request *request,
                        struct problem **problem);
/* Ends a live hold and lets its object go on. It stays readable through hold_find; `cause` may be NULL. */
void hold_end(struct hold *hold, enum hold_end end, const struct hold_cause *cause);
/* It was granted to a client that is gone: as if it had never been. */
void hold_undo(struct hold *hold);
/* Renews by ttl_us, or (0) by its own; nothing when it has no limit and gets none. */
void hold_touch(struct hold *hold, int64_t ttl_us);

/* A field of it has changed and must be stored, soon: whoever promises it uses the answers that wait. */
void hold_changed(struct hold *hold);

/* Live or ended; NULL: never was, or too long ago. */
struct hold *hold_find(struct service *service, const struct fact_id *id);
struct hold *hold_find_text(struct service *service, const char *text, size_t bytes);
/* 410 hold_ended with the cause. */
struct problem *hold_ended_problem(const struct hold *hold);

/* {"id":…,"kind":…,"resource":…,"owner":…,…}; `previous`: how the one before on the same thing ended, or NULL. */
void hold_json(struct text *text, const struct hold *hold, const struct hold *previous);
/* "holds":[…]: the live ones of an object. */
void holds_json(struct text *text, const struct object *object);
const char *hold_kind_name(enum hold_kind kind);
const char *hold_end_name(enum hold_end end);
/* With the exit code, when the owner is a process that has one. */
struct hold_cause owner_cause(struct service *service, const struct owner *owner);
/* {"ended":…,"hold":…,"owner":…,"exitcode":…,"at":…} or null. */
void hold_end_json(struct text *text, const struct hold *hold);
/* "p_…", "s_…" or null. */
void owner_json(struct text *text, const struct owner *owner);

/* ---- the durable form ---- */
void holds_store_dirty(struct service *service);
/* Into the journal what has changed. False: no room. */
bool holds_journal(struct service *service);
/* From a row, at the start; `object` may be NULL for one that has ended. False: no memory. */
bool hold_restore(struct service *service, const struct hold_row *row, struct object *object);

#endif
