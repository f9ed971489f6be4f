/*
 * Coordination objects: what has a name and is shared. Queues, locks, semaphores, events, values,
 * conditions, barriers, pipes, pools.
 *
 * Each kind's struct begins with a struct object and brings a struct object_type: a table of what
 * differs. Here is what does not: the table of names, making, the deletion that wakes everybody,
 * the durable form. An object is freed only at the end of a turn, so a pointer is good until the
 * function that has it returns. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_OBJECT_H
#define FORKFUL_SERVICE_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/loop.h"
#include "service/owner.h"
#include "service/pending.h"
#include "service/problem.h"
#include "service/text.h"
#include "service/waiter.h"

#define OBJECT_NAME_BYTES 129 /* [A-Za-z0-9][A-Za-z0-9._-]{0,127} and NUL */

/* Stored in the database: append only. */
enum object_kind {
    OBJECT_QUEUE, OBJECT_LOCK, OBJECT_SEMAPHORE, OBJECT_EVENT, OBJECT_VALUE, OBJECT_CONDITION,
    OBJECT_BARRIER, OBJECT_PIPE, OBJECT_POOL, OBJECT_KINDS
};

struct hold;
struct object;
struct object_row;

/* What the holder of a hold asks of it; a release may want its message back later. */
enum hold_action { HOLD_ACTION_ACK, HOLD_ACTION_RELEASE, HOLD_ACTION_BURY };
struct hold_order {
    enum hold_action action;
    int64_t delay_us;                  /* of a release */
    const char *reason;                /* or NULL; borrowed */
    struct owner by;
};

/* From where POST /v1/wait waits for an object, as the entry that names it says. */
struct object_point {
    bool after_given;
    uint64_t after;                    /* a value's version or an event's generation that is known */
    const char *end;                   /* a pipe's: "a" or "b"; NULL: not given; borrowed */
};

struct object_type {
    enum object_kind kind;
    const char *noun, *plural;         /* "queue", "queues" */
    size_t bytes;                      /* of the kind's struct */
    /* Takes what the request says (checked against the kind's table; NULL: nothing) and the defaults
       for the rest. NULL: done. */
    struct problem *(*configure)(struct service *service, struct object *object,
                                 const json_t *config);
    /* Whether one may be made as it is configured; not asked when it is there already. NULL: it may. Or NULL. */
    struct problem *(*admit)(struct service *service, struct object *object);
    /* The configuration with all defaults, always in the same words: two that are equal are the same. Writes
       members ("max":3,…) without braces. */
    void (*write_config)(struct text *text, const struct object *object);
    /* The same as GET shows it, where secrets are in it; or NULL. */
    void (*show_config)(struct text *text, const struct object *object);
    /* What GET shows besides: counters, who waits. Members with text_json_key. */
    void (*write_state)(struct text *text, const struct object *object);
    /* Is there what POST /v1/wait waits for, that is: would a call that takes it not wait? Whenever this may
       have become true the kind calls object_ready. NULL: cannot be waited for. */
    bool (*ready)(const struct object *object, const struct object_point *point);
    const char *point_member;          /* what an entry may say besides the name: "after", "end"; NULL: nothing */
    /* A wait begins: completes the point. NULL: done. `place`: the entry in the request. Or NULL: as it is. */
    struct problem *(*begin_wait)(const struct object *object, struct object_point *point,
                                  const char *place);
    /* What must outlive the server, as members; NULL: nothing. */
    void (*save)(struct text *text, const struct object *object);
    /* From that, at the start; also called (with NULL) for one without any. False: no memory. */
    bool (*restore)(struct service *service, struct object *object, const json_t *saved);
    /* A hold on it was found at the start. False, or NULL: it does not fit, and ends as `closed`. */
    bool (*restore_hold)(struct service *service, struct object *object, struct hold *hold);
    /* One that had ended before, oldest first; or NULL. */
    void (*restore_end)(struct object *object, const struct hold *hold);
    /* One of its holds has ended: gives back what it held and serves who waits. NULL: it never has any. */
    void (*hold_ended)(struct service *service, struct object *object, struct hold *hold);
    /* A claim has left without a grant: it may have been in the way of those behind it. NULL: none ever is. */
    void (*claim_left)(struct object *object);
    /* NULL: done (the hold may live on: one depth less), or what this kind does not do. */
    struct problem *(*act_on_hold)(struct hold *hold, const struct hold_order *order);
    /* It is being deleted: everybody who waits is told. Its holds have ended before. */
    void (*closed)(struct service *service, struct object *object);
    void (*release)(struct object *object); /* frees what the struct points to; or NULL */
};

struct object {
    const struct object_type *type;
    struct service *service;
    char name[OBJECT_NAME_BYTES];
    char resource[OBJECT_NAME_BYTES + 16]; /* "queues/tasks": as holds name it */
    int64_t num;                       /* in the database */
    int64_t created_at_us;
    bool durable;                      /* its state outlives the server; true where a kind has no choice */
    bool ends_with_owner;              /* lifetime "owner" */
    bool deleted;
    bool dirty, inserted;              /* its row must be written; it has a row */
    struct owner owner;                /* who made it */
    struct fact_id account;            /* to which its processes are charged; see account.h */
    struct pending making;             /* until it is safe, nobody is told that it is there */
    struct wait_list observers;        /* who waits for several: woken by object_ready */
    struct hold *holds;                /* live ones, oldest first */
    struct hold *last_hold;
    struct object *next, *previous;    /* of its kind, in order of creation */
    struct object *next_of_owner, *previous_of_owner;
    struct object *next_in_bucket, *next_dirty, *next_unjournaled;
    bool unjournaled;                  /* it has changed since it was last put into the journal */
    struct deferred free_later;
};

struct object_table {
    struct object *first[OBJECT_KINDS], *last[OBJECT_KINDS];
    struct object **buckets;           /* by kind and name */
    size_t bucket_count, count;        /* a power of two, or 0 */
    size_t counts[OBJECT_KINDS];
    int64_t last_num;
    struct object *dirty, *unjournaled;
    bool journal_waits;                /* one of them has no room in the journal: until the commit */
};

extern const struct object_type *const object_types[OBJECT_KINDS]; /* NULL: not built yet */

bool object_name_valid(const char *name, size_t bytes);
struct object *object_find(struct service *service, enum object_kind kind, const char *name);

struct object_request {
    const char *name;                  /* valid */
    const json_t *config;              /* or NULL */
    bool ends_with_owner, durable;
    struct owner owner;                /* PARENT_NONE: the admin */
    struct fact_id account;
};
/* What PUT asks: *made tells whether it is new. NULL: *problem tells (config_differs, limit_reached …). A new
   one's row is in the open batch: whoever tells of it asks object_settled first. */
struct object *object_put(struct service *service, enum object_kind kind,
                          const struct object_request *request, bool *made,
                          struct problem **problem);
/* That it is there cannot be taken back by a crash. False: answer after the commit of the open batch. */
bool object_settled(struct object *object);
/* Its holds end as `closed`, who waits on it is told `deleted`. */
void object_delete(struct object *object, const char *cause);
/* Its state has changed and must be stored with the open batch. Nothing unless durable. */
void object_touch(struct object *object);
/* The same for what is only told after a commit, and need not be in the journal: totals. */
void object_count(struct object *object);

/* It may have become `ready`: who waits for several looks again. */
void object_ready(struct object *object);

/* {"name":…,"lifetime":…, config, state} */
void object_json(struct text *text, const struct object *object);

/* ---- the durable form ---- */
void objects_store_dirty(struct service *service);
/* Into the journal what has changed. False: no room, or too long for it. */
bool objects_journal(struct service *service);
/* From a row, at the start. NULL: no memory, or not understood. */
struct object *object_restore(struct service *service, const struct object_row *row);

#endif
