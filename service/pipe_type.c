/*
 * What a pipe is as an object: its configuration, its durable form, its end. What it does is in
 * pipe.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/pipe.h"
#include "service/queue.h"
#include "service/service.h"
#include "service/spec.h"

static struct pipe *pipe_of(struct object *object)
{
    return (struct pipe *)object;
}

static const struct pipe *const_pipe_of(const struct object *object)
{
    return (const struct pipe *)object;
}

/* ---- configuration ---- */

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct pipe *pipe = pipe_of(object);
    const json_t *max_bytes = json_object_get(config, "max_bytes");
    (void)service;
    pipe->duplex = !json_is_false(json_object_get(config, "duplex"));
    pipe->max_bytes = json_is_integer(max_bytes) ? (uint64_t)json_integer_value(max_bytes)
                                                 : PIPE_BYTES_STANDARD;
    return NULL;
}

static void write_config(struct text *text, const struct object *object)
{
    text_json_key(text, "duplex");
    text_json_bool(text, const_pipe_of(object)->duplex);
    text_json_key(text, "max_bytes");
    text_unsigned(text, const_pipe_of(object)->max_bytes);
}

static void write_state(struct text *text, const struct object *object)
{
    text_json_key(text, "ends");
    text_putc(text, '{');
    for (int side = 0; side < PIPE_SIDES; side++) {
        text_json_key(text, pipe_side_name((enum pipe_side)side));
        pipe_end_json(text, const_pipe_of(object), (enum pipe_side)side);
    }
    text_putc(text, '}');
}

/* ---- waiting ---- */

static bool side_of(const struct object_point *point, enum pipe_side *side)
{
    return point->end && pipe_side_from_name(point->end, strlen(point->end), side);
}

static struct problem *begin_wait(const struct object *object, struct object_point *point,
                                  const char *place)
{
    enum pipe_side side;
    char pointer[64];
    if (side_of(point, &side)) {
        return pipe_cannot_receive(const_pipe_of(object), side);
    }
    snprintf(pointer, sizeof pointer, "%.50s/end", place);
    return problem_add(NULL, point->end ? PROBLEM_INVALID_VALUE : PROBLEM_MISSING_FIELD,
                       FAULT_POINTER, pointer, "It must be the end that receives, a or b.");
}

/* A receive would not wait: there is a message, or never will be one. */
static bool ready(const struct object *object, const struct object_point *point)
{
    const struct pipe *pipe = const_pipe_of(object);
    enum pipe_side side = PIPE_A;
    side_of(point, &side);
    return pipe->ends[side].closed || pipe_readable(pipe, side);
}

/* ---- the durable form ---- */
/* {"a":{"closed":…,"sent":…,"waiting":[{"seq":…,"at":…,"type":…,"body":…}]},"b":…} */

static void save_message(struct text *text, const struct message *message)
{
    text_json_comma(text);
    text_printf(text, "{\"seq\":%lld,\"at\":%lld,\"type\":", (long long)message->seq,
                (long long)message->enqueued_at_us);
    text_json_string(text, message_content_type(message));
    text_json_key(text, "body");
    text_json_base64(text, message_body(message), message->body_bytes);
    text_putc(text, '}');
}

static void save(struct text *text, const struct object *object)
{
    for (int side = 0; side < PIPE_SIDES; side++) {
        const struct pipe_end *end = &const_pipe_of(object)->ends[side];
        text_json_key(text, pipe_side_name((enum pipe_side)side));
        text_printf(text, "{\"closed\":%s,\"sent\":%llu,\"waiting\":[",
                    end->closed ? "true" : "false", (unsigned long long)end->sent);
        for (const struct message *at = end->first; at; at = at->next) {
            save_message(text, at);
        }
        text_put(text, "]}");
    }
}

/* False: no memory, or not understood. */
static bool restore_message(struct service *service, struct pipe_end *end, const json_t *saved)
{
    const json_t *body = json_object_get(saved, "body");
    void *data = NULL;
    struct message_content content = {
        .content_type = json_string_value(json_object_get(saved, "type"))};
    if (!json_is_string(body) || !base64_decode(json_string_value(body), json_string_length(body),
                                                &data, &content.body_bytes)) {
        return false;
    }
    content.body = data;
    struct message *message = message_new(&content);
    free(data);
    if (!message) {
        return false;
    }
    message->seq = json_integer_value(json_object_get(saved, "seq"));
    message->enqueued_at_us = json_integer_value(json_object_get(saved, "at"));
    queue_message_count(service, message);
    pipe_enter(end, message);
    return true;
}

static bool restore_end_of(struct service *service, struct pipe_end *end, const json_t *saved)
{
    const json_t *item;
    size_t index;
    end->closed = json_is_true(json_object_get(saved, "closed"));
    end->sent = (uint64_t)json_integer_value(json_object_get(saved, "sent"));
    json_array_foreach(json_object_get(saved, "waiting"), index, item) {
        if (!restore_message(service, end, item)) {
            return false;
        }
    }
    return true;
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct pipe *pipe = pipe_of(object);
    if (!saved) {                      /* it is being made */
        pending_mark(&pipe->pending, service);
    }
    for (int side = 0; side < PIPE_SIDES; side++) {
        const json_t *one = json_object_get(saved, pipe_side_name((enum pipe_side)side));
        if (!restore_end_of(service, &pipe->ends[side], one)) {
            return false;
        }
    }
    return true;
}

/* ---- holds ---- */

static struct pipe_end *end_of(struct object *object, const struct hold *hold)
{
    bool known = hold->item_num > 0 && hold->item_num <= PIPE_SIDES;
    return known ? &pipe_of(object)->ends[hold->item_num - 1] : NULL;
}

static bool restore_hold(struct service *service, struct object *object, struct hold *hold)
{
    struct pipe_end *end = end_of(object, hold);
    (void)service;
    if (!end || end->closed || end->hold) {
        return false;
    }
    end->hold = hold;
    hold->item = end;
    return true;
}

static void restore_end(struct object *object, const struct hold *hold)
{
    struct pipe_end *end = end_of(object, hold);
    if (end && end->closed && hold->end != HOLD_RELEASED) {
        end->closed_by = *hold;
    }
}

/* A release gives the end back: open, and the next one's. */
static struct problem *act_on_hold(struct hold *hold, const struct hold_order *order)
{
    struct hold_cause cause = {.by = order->by};
    if (order->action != HOLD_ACTION_RELEASE || order->delay_us) {
        return problem_make(PROBLEM_INVALID_VALUE, "an end of %s is released, and at once",
                            hold->resource);
    }
    hold_end(hold, HOLD_RELEASED, &cause);
    return NULL;
}

/* ---- the end ---- */

static void closed(struct service *service, struct object *object)
{
    (void)service;
    for (int side = 0; side < PIPE_SIDES; side++) {
        struct pipe_end *end = &pipe_of(object)->ends[side];
        claims_finish_all(&end->receivers, CLAIM_DELETED);
        claims_finish_all(&end->senders, CLAIM_DELETED);
        claims_finish_all(&end->pollers, CLAIM_DELETED);
    }
}

static void release(struct object *object)
{
    struct pipe *pipe = pipe_of(object);
    pending_forget(&pipe->pending);
    for (int side = 0; side < PIPE_SIDES; side++) {
        queue_drop(object->service, pipe->ends[side].first);
        pipe->ends[side].first = NULL;
    }
}

const struct object_type pipe_type = {
    .kind = OBJECT_PIPE, .noun = "pipe", .plural = "pipes", .bytes = sizeof(struct pipe),
    .configure = configure, .write_config = write_config, .write_state = write_state,
    .ready = ready, .point_member = "end", .begin_wait = begin_wait,
    .save = save, .restore = restore,
    .restore_hold = restore_hold, .restore_end = restore_end,
    .hold_ended = pipe_hold_ended, .claim_left = pipe_claim_left, .act_on_hold = act_on_hold, .closed = closed,
    .release = release,
};
