/*
 * Pipes: send, receive, look and close, each at one end.
 *
 * What was sent is told when it is stored, what was received when it is stored that it is gone: so a
 * message that is answered is received once. A client that has gone meanwhile has got nothing, and the
 * message is back in its place. Who only looks, or is refused, waits only where what he is told could be
 * taken back by a crash.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/bodies.h"
#include "api/coordination.h"
#include "api/handlers.h"
#include "api/payload.h"
#include "service/pipe.h"
#include "service/queue.h"

const struct field pipe_fields[] = {
    {.name = "duplex", .type = FIELD_BOOL | FIELD_NULL},
    {.name = "max_bytes", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = PIPE_BYTES_MAX},
    {0}};

struct pipe_call {
    struct claim_call call;
    struct pipe_sender sender;         /* of these three one is used */
    struct pipe_receiver receiver;
    struct claim poller;
    enum pipe_side side;
    char name[OBJECT_NAME_BYTES];      /* of the pipe, which may be deleted meanwhile */
    int64_t num;
    bool raw;                          /* the body as it is, the rest in headers */
    bool answered;
    struct problem *problem;           /* the answer: this, or */
    struct text body;                  /* … this; ours until it goes */
    char content_type[MESSAGE_TYPE_BYTES + 1];
};

static struct service *service_of(const struct pipe_call *self)
{
    return &request_app(self->call.request)->service;
}

/* ---- the end of a call ---- */

/* What nobody got goes back, into the same pipe if it is still there. An answer to a request with an
   Idempotency-Key is kept: it can still be had. */
static void undo(struct claim_call *call)
{
    struct pipe_call *self = (struct pipe_call *)call;
    struct object *object = object_find(service_of(self), OBJECT_PIPE, self->name);
    struct message *message = self->receiver.message;
    bool kept = self->answered && request_header(call->request, "Idempotency-Key");
    self->receiver.message = NULL;
    if (message && !kept && object && object->num == self->num) {
        pipe_put_back((struct pipe *)object, self->side, message);
    } else {
        queue_drop(service_of(self), message);
    }
}

/* However it has ended. */
static void sent(struct request *request, void *context, bool ok)
{
    struct pipe_call *self = context;
    (void)request;
    if (!ok) {
        undo(&self->call);
    }
    queue_drop(service_of(self), self->receiver.message);
    queue_drop(service_of(self), self->sender.message);
    self->receiver.message = self->sender.message = NULL;
    problem_free(self->problem);
    text_free(&self->body);
}

static void answer(struct claim_call *call)
{
    struct pipe_call *self = (struct pipe_call *)call;
    self->answered = true;
    if (self->problem) {
        struct problem *problem = self->problem;
        self->problem = NULL;
        answer_problem(call->request, problem);
    } else if (self->raw) {
        answer_text(call->request, 200, self->content_type, &self->body);
    } else {
        answer_json(call->request, 200, &self->body);
    }
}

/* `changed`: by this call. */
static void conclude(struct pipe_call *self, struct pipe *pipe, bool changed)
{
    if (self->body.failed && self->receiver.message) {
        undo(&self->call);
        respond_no_memory(self->call.request);
    } else if (changed && !pipe_is_large(pipe)) {
        claim_call_kept(&self->call);
    } else if (changed || !pipe_settled(pipe)) {
        claim_call_stored(&self->call);
    } else {
        answer(&self->call);
    }
}

static void answer_no(struct pipe_call *self, struct pipe *pipe, struct problem *problem)
{
    self->problem = problem;
    conclude(self, pipe, false);
}

/* Ends of a wait that all kinds of calls have in common. */
static void fail(struct pipe_call *self, enum claim_result result)
{
    struct claim *claim = self->call.claim;
    if (result == CLAIM_FAILED) {
        answer_no(self, (struct pipe *)claim->object, claim->problem);
    } else {
        answer_claim_failed(&self->call, result);
    }
}

/* ---- the request ---- */

/* The pipe and the end of the path, or NULL after answering. */
static struct pipe *find(struct request *request, enum pipe_side *side)
{
    size_t bytes;
    const char *name = request_segment(request, 1, &bytes);
    struct object *object = request_object(request);
    if (object && !pipe_side_from_name(name, bytes, side)) {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "a pipe has the ends a and b"));
        return NULL;
    }
    return (struct pipe *)object;
}

/* NULL after answering. */
static struct pipe_call *make(struct request *request, struct pipe *pipe, enum pipe_side side,
                              void (*ended)(struct claim_call *call, enum claim_result result))
{
    struct pipe_call *self = request_alloc(request, sizeof *self);
    if (!self || !http_on_sent(request, sent, self)) {
        respond_no_memory(request);
        return NULL;
    }
    self->call = (struct claim_call){.claim = &self->poller, .request = request, .ended = ended,
                                     .answer = answer, .undo = undo};
    self->side = self->sender.side = self->receiver.side = side;
    self->num = pipe->object.num;
    memcpy(self->name, pipe->object.name, sizeof self->name);
    return self;
}

/* ---- send ---- */

static void write_sent(struct pipe_call *self)
{
    const struct pipe_sender *sender = &self->sender;
    text_printf(&self->body, "{\"sequence\":%llu,\"size_bytes\":%zu,\"sent_at\":",
                (unsigned long long)sender->sequence, sender->bytes);
    text_json_time(&self->body, sender->sent_at_us);
    text_putc(&self->body, '}');
}

static void send_ended(struct claim_call *call, enum claim_result result)
{
    struct pipe_call *self = (struct pipe_call *)call;
    struct pipe *pipe = (struct pipe *)call->claim->object;
    if (result == CLAIM_GRANTED) {
        write_sent(self);
        conclude(self, pipe, true);
    } else if (result == CLAIM_TIMED_OUT) {
        answer_no(self, pipe, pipe_full_problem(pipe, self->side));
    } else {
        fail(self, result);
    }
}

static void send_or_wait(struct pipe_call *self, struct pipe *pipe)
{
    int64_t deadline_us = request_patience(self->call.request, 0);
    struct problem *problem = pipe_send(pipe, &self->sender);
    if (problem) {
        answer_no(self, pipe, problem);
    } else if (self->sender.in) {
        write_sent(self);
        conclude(self, pipe, true);
    } else if (deadline_us == 0) {
        answer_no(self, pipe, pipe_full_problem(pipe, self->side));
    } else {
        claim_call_park(&self->call, &pipe->ends[self->side].senders, &pipe->object, deadline_us);
    }
}

static struct problem *read_message(struct request *request, struct message **out)
{
    struct message_content content = {.content_type = request_header(request, "Content-Type")};
    content.body = request_body(request, &content.body_bytes);
    struct problem *problem = payload_check(request, &content);
    if (!problem) {
        problem = recorder_refuses(request_app(request)->service.recorder);
    }
    *out = problem ? NULL
                   : queue_message_new(&request_app(request)->service, &content, &problem);
    return problem;
}

void handle_send_to_pipe(struct request *request)
{
    enum pipe_side side;
    struct pipe *pipe = find(request, &side);
    struct pipe_call *self = pipe ? make(request, pipe, side, send_ended) : NULL;
    if (!self) {
        return;
    }
    struct problem *problem = read_message(request, &self->sender.message);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    self->call.claim = &self->sender.claim;
    self->call.asks = true;
    self->sender.claim.owner = request_owner(request);
    send_or_wait(self, pipe);
}

/* ---- receive ---- */

static void write_json(struct pipe_call *self, const struct message *message)
{
    text_printf(&self->body, "{\"sequence\":%lld,\"size_bytes\":%zu,\"sent_at\":",
                (long long)message->seq, message->body_bytes);
    text_json_time(&self->body, message->enqueued_at_us);
    message_write_body(&self->body, message);
    text_putc(&self->body, '}');
}

static void write_raw(struct pipe_call *self, const struct message *message)
{
    const char *type = message_content_type(message);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)message->seq);
    answer_header(self->call.request, "X-Sequence", text);
    time_format(message->enqueued_at_us, text);
    answer_header(self->call.request, "X-Sent-At", text);
    snprintf(self->content_type, sizeof self->content_type, "%s", type ? type : PAYLOAD_TYPE);
    text_room(&self->body, 1);
    text_add(&self->body, message_body(message), message->body_bytes);
}

static void received(struct pipe_call *self, struct pipe *pipe)
{
    if (self->raw) {
        write_raw(self, self->receiver.message);
    } else {
        write_json(self, self->receiver.message);
    }
    conclude(self, pipe, true);
}

static void refuse_nothing(struct pipe_call *self, struct pipe *pipe)
{
    answer_no(self, pipe,
           problem_make(PROBLEM_NOT_GRANTED, "nothing has come to end %s of %s",
                        pipe_side_name(self->side), pipe->object.resource));
}

static void receive_ended(struct claim_call *call, enum claim_result result)
{
    struct pipe_call *self = (struct pipe_call *)call;
    struct pipe *pipe = (struct pipe *)call->claim->object;
    if (result == CLAIM_GRANTED) {
        received(self, pipe);
    } else if (result == CLAIM_TIMED_OUT) {
        refuse_nothing(self, pipe);
    } else {
        fail(self, result);
    }
}

static void receive_or_wait(struct pipe_call *self, struct pipe *pipe)
{
    int64_t deadline_us = request_patience(self->call.request, 0);
    struct problem *problem = pipe_receive(pipe, &self->receiver);
    if (problem) {
        answer_no(self, pipe, problem);
    } else if (self->receiver.message) {
        received(self, pipe);
    } else if (deadline_us == 0) {
        refuse_nothing(self, pipe);
    } else {
        claim_call_park(&self->call, &pipe->ends[self->side].receivers, &pipe->object,
                        deadline_us);
    }
}

void handle_receive_from_pipe(struct request *request)
{
    enum pipe_side side;
    bool raw;
    struct problem *problem = nothing_body_check(request_json(request));
    problem = problem ? problem : payload_form(request, &raw);
    problem = problem ? problem : recorder_refuses(request_app(request)->service.recorder);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct pipe *pipe = find(request, &side);
    struct pipe_call *self = pipe ? make(request, pipe, side, receive_ended) : NULL;
    if (!self) {
        return;
    }
    self->raw = raw;
    self->call.claim = &self->receiver.claim;
    self->call.asks = true;
    self->receiver.claim.owner = request_owner(request);
    if (!request_param_unsigned(request, "max_bytes", &self->receiver.max_bytes)) {
        self->receiver.max_bytes = UINT64_MAX;
    }
    receive_or_wait(self, pipe);
}

/* ---- look ---- */

static void show(struct pipe_call *self, struct pipe *pipe)
{
    pipe_end_json(&self->body, pipe, self->side);
    conclude(self, pipe, false);
}

static void poll_ended(struct claim_call *call, enum claim_result result)
{
    struct pipe_call *self = (struct pipe_call *)call;
    if (result == CLAIM_GRANTED || result == CLAIM_TIMED_OUT) {
        show(self, (struct pipe *)call->claim->object);
    } else {
        fail(self, result);
    }
}

void handle_get_pipe_end(struct request *request)
{
    enum pipe_side side;
    int64_t deadline_us = request_patience(request, 0);
    struct pipe *pipe = find(request, &side);
    struct pipe_call *self = pipe ? make(request, pipe, side, poll_ended) : NULL;
    if (!self) {
        return;
    }
    struct pipe_end *end = &pipe->ends[side];
    struct problem *problem = deadline_us ? pipe_cannot_receive(pipe, side) : NULL;
    self->poller.owner = request_owner(request);
    if (problem) {
        answer_no(self, pipe, problem);
    } else if (deadline_us == 0 || end->closed || pipe_readable(pipe, side)) {
        show(self, pipe);
    } else {
        claim_call_park(&self->call, &end->pollers, &pipe->object, deadline_us);
    }
}

void handle_get_pipe(struct request *request)
{
    struct pipe *pipe = (struct pipe *)request_object(request);
    struct text body = {0};
    if (!pipe) {
        return;
    }
    object_json(&body, &pipe->object);
    if (pipe_settled(pipe)) {
        answer_json(request, 200, &body);
    } else {
        respond_when_stored(request, 200, &body);
    }
}

/* ---- close ---- */

void handle_close_pipe_end(struct request *request)
{
    enum pipe_side side;
    struct problem *problem = nothing_body_check(request_json(request));
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct pipe *pipe = find(request, &side);
    struct owner owner = request_owner(request);
    struct pipe_call *self = pipe ? make(request, pipe, side, NULL) : NULL;
    if (!self) {
        return;
    }
    problem = pipe_close(pipe, side, &owner);
    if (problem) {
        answer_no(self, pipe, problem);
    } else {
        show(self, pipe);
    }
}
