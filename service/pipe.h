/*
 * Pipes: two ends, `a` and `b`, and messages in order from each to the other (multiprocessing.Pipe).
 *
 * The first owner that sends or receives at an end has it from then on: a hold of kind
 * HOLD_PIPE_END. When that hold ends, other than by a release, the end is closed: the other end
 * receives what is still there and then learns of the end, and sends to nobody any more. The bare
 * admin token may use an end that nobody has, and does not get it.
 *
 * What was sent waits at the end that receives it, within a limit of bytes; who sends more waits
 * in `senders` of his own end. While somebody waits in `receivers` of an end nothing waits there. All
 * of it is saved with the object, so the limit is small. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_PIPE_H
#define FORKFUL_SERVICE_PIPE_H

#include "service/claim.h"
#include "service/message.h"
#include "service/pending.h"

#define PIPE_BYTES_STANDARD (64u << 10)
#define PIPE_BYTES_MAX (1u << 20)
#define PIPE_MESSAGES_MAX 1024u        /* of one direction: many small ones are long when saved */

enum pipe_side { PIPE_A, PIPE_B, PIPE_SIDES };

struct pipe_end {
    struct hold *hold;                 /* whose it is; NULL: nobody's yet */
    bool closed;
    struct hold closed_by;             /* a copy of the hold that closed it; end HOLD_LIVE: none did */
    struct message *first, *last;      /* to be received here, by seq */
    size_t count;
    uint64_t bytes;                    /* of their bodies */
    uint64_t sent;                     /* messages sent from here so far */
    struct wait_list receivers;        /* claims in a struct pipe_receiver */
    struct wait_list senders;          /* claims in a struct pipe_sender */
    struct wait_list pollers;          /* claims: GRANTED means that it has become readable or closed */
};

struct pipe {
    struct object object;
    bool duplex;                       /* else `a` receives only and `b` sends only */
    uint64_t max_bytes;                /* waiting at one end; a larger message goes in alone */
    struct pipe_end ends[PIPE_SIDES];
    struct pending pending;
};

extern const struct object_type pipe_type;

const char *pipe_side_name(enum pipe_side side);   /* "a" */
/* False: there is no such end. */
bool pipe_side_from_name(const char *name, size_t bytes, enum pipe_side *out);

/* NULL: `owner` may use that end, and has it from now on. Else end_claimed, closed, or why not. */
struct problem *pipe_claim(struct pipe *pipe, enum pipe_side side, const struct owner *owner);

struct pipe_sender {
    struct claim claim;                /* GRANTED: it is in */
    enum pipe_side side;
    struct message *message;           /* his until `in` */
    bool in;
    uint64_t sequence;                 /* set when it is in: 1, 2, 3 … from this end */
    int64_t sent_at_us;
    size_t bytes;
};
/* NULL: done (`in`), or there is no room, and the sender may be parked in `senders` of his end. Else
   why not: wrong_direction, broken_pipe … */
struct problem *pipe_send(struct pipe *pipe, struct pipe_sender *sender);
struct problem *pipe_full_problem(const struct pipe *pipe, enum pipe_side side); /* 429 */

struct pipe_receiver {
    struct claim claim;
    enum pipe_side side;
    uint64_t max_bytes;                /* a longer one is refused, and stays */
    struct message *message;           /* GRANTED: his; he gives it to pipe_put_back or queue_drop */
};
/* NULL: done (`message`), or there is none, and the receiver may be parked in `receivers` of his
   end. Else why not: wrong_direction, eof, payload_too_large. */
struct problem *pipe_receive(struct pipe *pipe, struct pipe_receiver *receiver);
/* Nobody got it: as if it had not been received. */
void pipe_put_back(struct pipe *pipe, enum pipe_side side, struct message *message);

/* NULL: it is closed now, or was. */
struct problem *pipe_close(struct pipe *pipe, enum pipe_side side, const struct owner *owner);

/* Whether a receive at that end would not wait. */
bool pipe_readable(const struct pipe *pipe, enum pipe_side side);
/* NULL: it can receive; else wrong_direction. */
struct problem *pipe_cannot_receive(const struct pipe *pipe, enum pipe_side side);
/* {"end":…,"owner":…,…} */
void pipe_end_json(struct text *text, const struct pipe *pipe, enum pipe_side side);
/* More waits in it than the journal should be bothered with: answers wait for the commit. */
bool pipe_is_large(const struct pipe *pipe);
/* What it shows cannot be taken back by a crash. False: answer after the commit. */
bool pipe_settled(struct pipe *pipe);

/* ---- for pipe_type.c ---- */
void pipe_enter(struct pipe_end *end, struct message *message);     /* behind the last */
void pipe_hold_ended(struct service *service, struct object *object, struct hold *hold);
void pipe_claim_left(struct object *object);

#endif
