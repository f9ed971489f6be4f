/*
 * Pipes; see pipe.h. What a pipe is as an object (configuration, start, end) is in pipe_type.c.
 */
#include "service/pipe.h"

#include <stdlib.h>
#include <string.h>

#include "service/queue.h"
#include "service/service.h"

/* Of bodies; in base64, and with the rest, JOURNAL_ENTRY_MAX is near. */
#define LARGE_BYTES (40u << 10)

static const char *const side_names[PIPE_SIDES] = {[PIPE_A] = "a", [PIPE_B] = "b"};

const char *pipe_side_name(enum pipe_side side)
{
    return side_names[side];
}

bool pipe_side_from_name(const char *name, size_t bytes, enum pipe_side *out)
{
    for (int side = 0; side < PIPE_SIDES; side++) {
        if (bytes == 1 && *name == *side_names[side]) {
            *out = (enum pipe_side)side;
            return true;
        }
    }
    return false;
}

static enum pipe_side other(enum pipe_side side)
{
    return side == PIPE_A ? PIPE_B : PIPE_A;
}

static struct service *service_of(const struct pipe *pipe)
{
    return pipe->object.service;
}

static void changed(struct pipe *pipe)
{
    object_touch(&pipe->object);
    pending_mark(&pipe->pending, service_of(pipe));
}

bool pipe_is_large(const struct pipe *pipe)
{
    return pipe->ends[PIPE_A].bytes + pipe->ends[PIPE_B].bytes > LARGE_BYTES;
}

bool pipe_settled(struct pipe *pipe)
{
    return pending_settled(&pipe->pending, pipe_is_large(pipe));
}

/* ---- what is refused ---- */

/* With the end that is gone as the cause. */
static struct problem *ended_problem(enum problem_code code, const struct pipe *pipe,
                                     enum pipe_side closed, const char *what)
{
    struct problem *problem = problem_make(code, "end %s of %s is closed%s", side_names[closed],
                                           pipe->object.resource, what);
    struct text members = {0};
    if (problem->code != code) {
        return problem;                /* no memory: the one that stands for all */
    }
    text_put(&members, "\"cause\":");
    hold_end_json(&members, &pipe->ends[closed].closed_by);
    problem->members = text_take(&members, NULL);
    return problem;
}

static struct problem *closed_problem(const struct pipe *pipe, enum pipe_side side)
{
    return ended_problem(PROBLEM_CLOSED, pipe, side, "");
}

static struct problem *eof_problem(const struct pipe *pipe, enum pipe_side side)
{
    return ended_problem(PROBLEM_EOF, pipe, other(side), ", and nothing is left of what it sent");
}

static struct problem *broken_problem(const struct pipe *pipe, enum pipe_side side)
{
    return ended_problem(PROBLEM_BROKEN_PIPE, pipe, other(side), ": nobody will receive");
}

static struct problem *too_long(const struct pipe_receiver *receiver, const struct message *message)
{
    return problem_make(PROBLEM_PAYLOAD_TOO_LARGE,
                        "the next message has %zu bytes, max_bytes is %llu; it stays where it is",
                        message->body_bytes, (unsigned long long)receiver->max_bytes);
}

struct problem *pipe_full_problem(const struct pipe *pipe, enum pipe_side side)
{
    const struct pipe_end *to = &pipe->ends[other(side)];
    struct problem *problem = problem_make(
        PROBLEM_FULL, "%zu messages with %llu bytes wait at end %s of %s", to->count,
        (unsigned long long)to->bytes, side_names[other(side)], pipe->object.resource);
    problem->retry_after_seconds = 1;
    return problem;
}

struct problem *pipe_cannot_receive(const struct pipe *pipe, enum pipe_side side)
{
    return pipe->duplex || side == PIPE_A
               ? NULL
               : problem_make(PROBLEM_WRONG_DIRECTION, "end %s of %s sends only", side_names[side],
                              pipe->object.resource);
}

static struct problem *cannot_send(const struct pipe *pipe, enum pipe_side side)
{
    return pipe->duplex || side == PIPE_B
               ? NULL
               : problem_make(PROBLEM_WRONG_DIRECTION, "end %s of %s receives only",
                              side_names[side], pipe->object.resource);
}

/* ---- whose an end is ---- */

static bool has(const struct hold *hold, const struct owner *owner)
{
    return hold && hold->owner.kind == owner->kind && id_equal(&hold->owner.id, &owner->id);
}

static struct problem *refuse_owner(const struct pipe *pipe, enum pipe_side side,
                                    const struct owner *owner)
{
    const struct hold *hold = pipe->ends[side].hold;
    if (!hold || has(hold, owner)) {
        return NULL;
    }
    char who[ID_TEXT_BYTES];
    id_format(&hold->owner.id, hold->owner.kind == PARENT_PROCESS ? 'p' : 's', who);
    return problem_make(PROBLEM_END_CLAIMED, "end %s of %s belongs to %s", side_names[side],
                        pipe->object.resource, who);
}

struct problem *pipe_claim(struct pipe *pipe, enum pipe_side side, const struct owner *owner)
{
    struct pipe_end *end = &pipe->ends[side];
    struct problem *problem =
        end->closed ? closed_problem(pipe, side) : refuse_owner(pipe, side, owner);
    if (problem || end->hold || owner->kind == PARENT_NONE) {
        return problem;
    }
    struct hold_request request = {.kind = HOLD_PIPE_END, .object = &pipe->object, .owner = *owner,
                                   .item = end, .item_num = (int64_t)side + 1, .durable = true};
    end->hold = hold_grant(service_of(pipe), &request, &problem);
    if (end->hold) {
        changed(pipe);
    }
    return problem;
}

/* ---- messages ---- */

void pipe_enter(struct pipe_end *end, struct message *message)
{
    message->next = NULL;
    *(end->last ? &end->last->next : &end->first) = message;
    end->last = message;
    end->count++;
    end->bytes += message->body_bytes;
}

static struct message *leave(struct pipe_end *end)
{
    struct message *message = end->first;
    end->first = message->next;
    end->last = end->first ? end->last : NULL;
    end->count--;
    end->bytes -= message->body_bytes;
    message->next = NULL;
    return message;
}

static void drop_all(struct pipe *pipe, struct pipe_end *end)
{
    queue_drop(service_of(pipe), end->first);
    end->first = end->last = NULL;
    end->count = 0;
    end->bytes = 0;
}

static bool has_room(const struct pipe *pipe, const struct pipe_end *to,
                     const struct message *message)
{
    return !to->first || (to->count < PIPE_MESSAGES_MAX && to->bytes <= pipe->max_bytes &&
                          message->body_bytes <= pipe->max_bytes - to->bytes);
}

static void let_in(struct pipe *pipe, struct pipe_sender *sender)
{
    struct message *message = sender->message;
    message->seq = (int64_t)++pipe->ends[sender->side].sent;
    message->enqueued_at_us = time_now_us();
    sender->sequence = (uint64_t)message->seq;
    sender->sent_at_us = message->enqueued_at_us;
    sender->bytes = message->body_bytes;
    sender->message = NULL;
    sender->in = true;
    pipe_enter(&pipe->ends[other(sender->side)], message);
    changed(pipe);
}

static void hand_out(struct pipe *pipe, struct pipe_receiver *receiver)
{
    receiver->message = leave(&pipe->ends[receiver->side]);
    changed(pipe);
}

/* The first that waits gets the first message; one that is too long for him is the next one's. */
static void serve_receiver(struct pipe *pipe, struct pipe_end *to)
{
    struct pipe_receiver *receiver = (struct pipe_receiver *)claim_first(&to->receivers);
    if (claim_is_gone(&receiver->claim)) {
        return;
    }
    if (to->first->body_bytes > receiver->max_bytes) {
        receiver->claim.problem = too_long(receiver, to->first);
        claim_finish(&receiver->claim, CLAIM_FAILED);
    } else {
        hand_out(pipe, receiver);
        claim_finish(&receiver->claim, CLAIM_GRANTED);
    }
}

/* What goes to the end `side`: everybody who waits is served as far as it goes. Who is answered may
   act at once, so every step looks anew. */
static void serve(struct pipe *pipe, enum pipe_side side)
{
    struct pipe_end *to = &pipe->ends[side], *from = &pipe->ends[other(side)];
    for (;;) {
        struct pipe_sender *sender = (struct pipe_sender *)claim_first(&from->senders);
        if (to->first && to->receivers.first) {
            serve_receiver(pipe, to);
        } else if (!sender || !has_room(pipe, to, sender->message)) {
            break;
        } else if (!claim_is_gone(&sender->claim)) {
            let_in(pipe, sender);
            claim_finish(&sender->claim, CLAIM_GRANTED);
        }
    }
    if (to->first) {
        claims_finish_all(&to->pollers, CLAIM_GRANTED);
    }
    object_ready(&pipe->object);
}

void pipe_claim_left(struct object *object)
{
    struct pipe *pipe = (struct pipe *)object;
    serve(pipe, PIPE_A);
    serve(pipe, PIPE_B);
}

struct problem *pipe_send(struct pipe *pipe, struct pipe_sender *sender)
{
    struct problem *problem = cannot_send(pipe, sender->side);
    if (!problem) {
        problem = pipe_claim(pipe, sender->side, &sender->claim.owner);
    }
    if (!problem && pipe->ends[other(sender->side)].closed) {
        problem = broken_problem(pipe, sender->side);
    }
    if (!problem && !pipe->ends[sender->side].senders.count &&
        has_room(pipe, &pipe->ends[other(sender->side)], sender->message)) {
        let_in(pipe, sender);
        serve(pipe, other(sender->side));
    }
    return problem;
}

struct problem *pipe_receive(struct pipe *pipe, struct pipe_receiver *receiver)
{
    struct pipe_end *end = &pipe->ends[receiver->side];
    struct problem *problem = pipe_cannot_receive(pipe, receiver->side);
    if (!problem) {
        problem = pipe_claim(pipe, receiver->side, &receiver->claim.owner);
    }
    if (problem || (!end->first && !pipe->ends[other(receiver->side)].closed)) {
        return problem;
    }
    if (!end->first) {
        return eof_problem(pipe, receiver->side);
    }
    if (end->first->body_bytes > receiver->max_bytes) {
        return too_long(receiver, end->first);
    }
    hand_out(pipe, receiver);
    serve(pipe, receiver->side);
    return NULL;
}

void pipe_put_back(struct pipe *pipe, enum pipe_side side, struct message *message)
{
    struct pipe_end *end = &pipe->ends[side];
    struct message **at = &end->first;
    if (end->closed) {
        queue_drop(service_of(pipe), message);
        return;
    }
    while (*at && (*at)->seq < message->seq) {
        at = &(*at)->next;
    }
    message->next = *at;
    *at = message;
    end->last = message->next ? end->last : message;
    end->count++;
    end->bytes += message->body_bytes;
    changed(pipe);
    serve(pipe, side);
}

/* ---- the end of an end ---- */

static void fail_all(struct pipe *pipe, struct wait_list *list, enum pipe_side side,
                     struct problem *(*why)(const struct pipe *pipe, enum pipe_side side))
{
    for (size_t left = list->count; left > 0 && list->first; left--) {
        struct claim *claim = claim_first(list);
        claim->problem = why(pipe, side);
        claim_finish(claim, CLAIM_FAILED);
    }
}

/* What waits here nobody can receive. What was sent from here can still be received there; where
   somebody waits there is nothing. */
static void close_end(struct pipe *pipe, enum pipe_side side)
{
    struct pipe_end *end = &pipe->ends[side], *peer = &pipe->ends[other(side)];
    end->closed = true;
    drop_all(pipe, end);
    changed(pipe);
    fail_all(pipe, &end->receivers, side, closed_problem);
    fail_all(pipe, &end->senders, side, closed_problem);
    fail_all(pipe, &peer->receivers, other(side), eof_problem);
    fail_all(pipe, &peer->senders, other(side), broken_problem);
    claims_finish_all(&end->pollers, CLAIM_GRANTED);
    claims_finish_all(&peer->pollers, CLAIM_GRANTED);
    object_ready(&pipe->object);
}

static struct claim *claim_of(const struct wait_list *list, const struct hold *hold)
{
    struct waiter *at = list->first;
    while (at && !has(hold, &((struct claim *)at)->owner)) { /* the waiter is its first member */
        at = at->next;
    }
    return (struct claim *)at;
}

/* The calls of who had it end with it: the next one's are his own. */
static void let_go(struct wait_list *list, const struct hold *hold)
{
    for (struct claim *claim; (claim = claim_of(list, hold));) {
        claim->problem = hold_ended_problem(hold);
        claim_finish(claim, CLAIM_FAILED);
    }
}

void pipe_hold_ended(struct service *service, struct object *object, struct hold *hold)
{
    struct pipe *pipe = (struct pipe *)object;
    enum pipe_side side = (enum pipe_side)(hold->item_num - 1);
    struct pipe_end *end = &pipe->ends[side];
    (void)service;
    end->hold = NULL;
    if (object->deleted) {
        return;
    }
    if (hold->end == HOLD_RELEASED) {
        changed(pipe);
        let_go(&end->receivers, hold);
        let_go(&end->senders, hold);
    } else {
        end->closed_by = *hold;
        close_end(pipe, side);
    }
}

struct problem *pipe_close(struct pipe *pipe, enum pipe_side side, const struct owner *owner)
{
    struct hold_cause cause = {.by = *owner};
    struct pipe_end *end = &pipe->ends[side];
    struct problem *problem = end->closed ? NULL : refuse_owner(pipe, side, owner);
    if (problem || end->closed) {
        return problem;
    }
    if (end->hold) {
        hold_end(end->hold, HOLD_CLOSED, &cause);
    } else {
        close_end(pipe, side);
    }
    return NULL;
}

/* ---- looking ---- */

bool pipe_readable(const struct pipe *pipe, enum pipe_side side)
{
    const struct pipe_end *end = &pipe->ends[side];
    bool receives = pipe->duplex || side == PIPE_A;
    return receives && !end->closed && (end->first || pipe->ends[other(side)].closed);
}

static bool writable(const struct pipe *pipe, enum pipe_side side)
{
    const struct pipe_end *end = &pipe->ends[side], *to = &pipe->ends[other(side)];
    bool sends = pipe->duplex || side == PIPE_B;
    return sends && !end->closed && !to->closed && !end->senders.count &&
           to->count < PIPE_MESSAGES_MAX && (!to->first || to->bytes < pipe->max_bytes);
}

static void write_flag(struct text *text, const char *key, bool value)
{
    text_json_key(text, key);
    text_json_bool(text, value);
}

static void write_count(struct text *text, const char *key, uint64_t value)
{
    text_json_key(text, key);
    text_unsigned(text, value);
}

void pipe_end_json(struct text *text, const struct pipe *pipe, enum pipe_side side)
{
    const struct pipe_end *end = &pipe->ends[side], *peer = &pipe->ends[other(side)];
    static const struct owner nobody = {0};
    text_printf(text, "{\"end\":\"%s\",\"owner\":", side_names[side]);
    owner_json(text, end->hold ? &end->hold->owner : &nobody);
    text_json_key(text, "hold");
    text_json_string(text, end->hold ? end->hold->id_text : NULL);
    write_flag(text, "readable", pipe_readable(pipe, side));
    write_flag(text, "writable", writable(pipe, side));
    write_flag(text, "eof", peer->closed && !end->first);
    write_flag(text, "closed", end->closed);
    write_count(text, "messages", end->count);
    write_count(text, "bytes", end->bytes);
    write_count(text, "sent", end->sent);
    write_count(text, "receivers", end->receivers.count);
    write_count(text, "senders", end->senders.count);
    text_json_key(text, "cause");
    hold_end_json(text, &end->closed_by);
    text_putc(text, '}');
}
