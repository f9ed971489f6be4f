/*
 * Messages: what a queue holds. One allocation each: the struct, then the content type, then the body.
 *
 * A message's state and its place in lists belong to its queue (queue.h). Here is what a message is by
 * itself: how it is made, shown, stored, and what is remembered of its former attempts. Loop thread
 * only.
 */
#ifndef FORKFUL_SERVICE_MESSAGE_H
#define FORKFUL_SERVICE_MESSAGE_H

#include "db/messages.h"
#include "service/hold.h"

#define MESSAGE_TYPE_BYTES 255         /* the longest content type */
#define MESSAGE_ATTEMPTS 16            /* so many of the last ones are remembered */

/* Stored in the database: append only. */
enum message_state {
    MESSAGE_READY, MESSAGE_DELAYED, MESSAGE_LEASED, MESSAGE_BURIED, MESSAGE_STATES
};

struct attempt {                       /* one that ended other than by ack */
    int64_t number;                    /* 1 is the first */
    struct fact_id hold;
    struct owner owner;
    int64_t granted_at_us, ended_at_us;
    enum hold_end end;
    bool exitcode_known;
    int exitcode;                      /* of the owner, when it ended */
};

struct attempts {
    size_t count;
    struct attempt items[MESSAGE_ATTEMPTS];   /* oldest first */
};

struct message {
    struct fact_id id;
    int64_t seq;                       /* in the order of all messages; 0: in no queue yet */
    int64_t priority;                  /* larger first */
    enum message_state state;
    unsigned attempts;                 /* times it was leased or taken */
    int64_t enqueued_at_us;            /* wall clock, as all of these */
    int64_t ready_at_us;               /* delayed: until when */
    int64_t expires_at_us;             /* 0: never */
    int64_t delay_us, ttl_us;          /* asked for by who puts, or (delay) gives it back; 0: none */
    struct queue *queue;
    struct hold *hold;                 /* leased: whose it is; NULL only at the start */
    bool undone;                       /* its lease ends because it reached nobody */
    bool doomed;                       /* its lease ends because it is deleted */
    size_t place;                      /* in the heap of ready ones, 1-based; 0: not there */
    struct message *next, *previous;   /* of its queue, by seq; or of a chain to put */
    struct timer timer;                /* of its delay or its ttl */
    struct attempts *history;          /* or NULL */
    char *reason;                      /* buried: why; or NULL */
    int64_t buried_at_us;
    size_t body_bytes;
    unsigned type_bytes;               /* 0: no content type */
    char data[];                       /* content type and NUL, body */
};

struct message_content {               /* borrowed */
    const char *content_type;          /* or NULL */
    const void *body;
    size_t body_bytes;
};

/* NULL: no memory. In no queue. */
struct message *message_new(const struct message_content *content);
/* It is in no list and no timer runs. */
void message_free(struct message *message);

bool message_has_expired(const struct message *message);
/* Copied, where there is memory; NULL: none. */
void message_set_reason(struct message *message, const char *reason);
/* "application/json", "application/problem+json", each with parameters or without; NULL is not. */
bool message_type_is_json(const char *type);
const char *message_content_type(const struct message *message); /* or NULL */
const char *message_body(const struct message *message);
const char *message_state_name(enum message_state state);
/* False: there is no such state. */
bool message_state_from_name(const char *name, size_t bytes, enum message_state *out);

/* ---- attempts ---- */
/* Remembers how this attempt ended, where there is memory. */
void message_note_end(struct message *message, const struct hold *hold);

/* ---- showing; members with a comma before them where one is needed ---- */
/* "content_type":…,"body":… (JSON as it is, text as a string) or "body_base64":…. */
void message_write_body(struct text *text, const struct message *message);
/* "id":…,"state":…, times, numbers. */
void message_write_head(struct text *text, const struct message *message);
/* "owner":…,"exitcode":…,"reason":…,"buried_at":…,"attempts":[…] */
void message_write_history(struct text *text, const struct message *message);

/* ---- the durable form; false: no memory ---- */
bool message_store(struct batch *batch, const struct message *message);
bool message_store_change(struct batch *batch, const struct message *message);
/* NULL: no memory. */
struct message *message_from_row(const struct message_row *row);

/* ---- ready messages: a heap by priority, then seq ---- */
struct message_heap {
    struct message **items;            /* [0] is the first to go */
    size_t count, room;
};

/* Room for so many, so that pushing cannot fail. False: no memory. */
bool message_heap_reserve(struct message_heap *heap, size_t count);
void message_heap_push(struct message_heap *heap, struct message *message);
void message_heap_remove(struct message_heap *heap, struct message *message);

#endif
