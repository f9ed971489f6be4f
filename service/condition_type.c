/*
 * Conditions as objects: configuration, what GET shows, what outlives the server. A ticket comes back with
 * its hold; what it was about stands in the condition's own row. When all are loaded, those that queued
 * for the lock queue again, in the same order and before anybody else.
 */
#include "service/condition_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"

static struct condition *condition_of(struct object *object)
{
    return (struct condition *)object;
}

static const struct condition *const_condition_of(const struct object *object)
{
    return (const struct condition *)object;
}

/* ---- configuration ---- */

/* What is there already, or comes from the database, may have lost its lock. */
static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct condition *condition = condition_of(object);
    const json_t *lock = json_object_get(config, "lock");
    bool valid = object_name_valid(json_string_value(lock), json_string_length(lock));
    bool there = object->inserted || object_find(service, OBJECT_CONDITION, object->name);
    if (!valid || (!there && !object_find(service, OBJECT_LOCK, json_string_value(lock)))) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/lock",
                           "There is no lock %.128s.", json_string_value(lock));
    }
    snprintf(condition->lock, sizeof condition->lock, "%s", json_string_value(lock));
    return NULL;
}

static void write_config(struct text *text, const struct object *object)
{
    text_json_key(text, "lock");
    text_json_string(text, const_condition_of(object)->lock);
}

/* ---- state ---- */

static void write_state(struct text *text, const struct object *object)
{
    size_t waiters = 0;
    for (const struct hold *at = object->holds; at; at = at->next) {
        waiters += ticket_of(at)->state == TICKET_WAITS;
    }
    text_json_key(text, "waiters");
    text_unsigned(text, waiters);
    holds_json(text, object);
}

static void save_id(struct text *text, const char *key, const struct fact_id *id)
{
    char id_text[ID_TEXT_BYTES];
    id_format(id, 'h', id_text);
    text_json_key(text, key);
    text_json_string(text, id_text);
}

static void save_number(struct text *text, const char *key, int64_t number)
{
    text_json_key(text, key);
    text_number(text, number);
}

static void save_ticket(struct text *text, const struct ticket *ticket)
{
    text_json_key(text, ticket->hold->id_text);
    text_putc(text, '{');
    save_number(text, "state", (int64_t)ticket->state);
    text_json_key(text, "notified");
    text_json_bool(text, ticket->notified);
    text_json_key(text, "told");
    text_json_bool(text, ticket->told);
    save_id(text, "from", &ticket->from);
    save_number(text, "depth", ticket->depth);
    save_number(text, "ttl_us", ticket->ttl_us);
    save_number(text, "until_us", ticket->until_us);
    save_number(text, "queued_at_us", ticket->queued_at_us);
    save_id(text, "lock_hold", &ticket->lock_hold);
    text_putc(text, '}');
}

static void save(struct text *text, const struct object *object)
{
    text_json_key(text, "tickets");
    text_putc(text, '{');
    for (const struct hold *at = object->holds; at; at = at->next) {
        save_ticket(text, ticket_of(at));
    }
    text_putc(text, '}');
}

/* ---- at the start ---- */

static int compare_queued(const void *a, const void *b)
{
    const struct ticket *one = *(struct ticket *const *)a, *other = *(struct ticket *const *)b;
    return (one->queued_at_us > other->queued_at_us) - (one->queued_at_us < other->queued_at_us);
}

/* In the loop's first turn: all locks and holds are there, nobody has asked for anything yet. */
static void resume_all(struct deferred *deferred)
{
    struct condition *condition =
        (struct condition *)((char *)deferred - offsetof(struct condition, resume));
    size_t count = 0, i = 0;
    for (const struct hold *at = condition->object.holds; at; at = at->next) {
        count++;
    }
    struct ticket **tickets = calloc(count + 1, sizeof(struct ticket *));
    if (!tickets) {
        recorder_fatal("out of memory for tickets");
    }
    for (const struct hold *at = condition->object.holds; at; at = at->next) {
        tickets[i++] = ticket_of(at);
    }
    qsort(tickets, count, sizeof *tickets, compare_queued);
    for (i = 0; i < count; i++) {
        ticket_resume(tickets[i]);
    }
    free(tickets);
    json_decref(condition->saved);
    condition->saved = NULL;
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct condition *condition = condition_of(object);
    json_t *tickets = json_object_get(saved, "tickets");
    if (json_object_size(tickets) > 0) {
        condition->saved = json_incref(tickets);
        condition->resume.run = resume_all;
        loop_defer(service->loop, &condition->resume);
    }
    return true;
}

static void read_id(const json_t *saved, const char *key, struct fact_id *id)
{
    const json_t *text = json_object_get(saved, key);
    if (!json_is_string(text) ||
        !id_parse(json_string_value(text), json_string_length(text), 'h', id)) {
        *id = (struct fact_id){{0}};
    }
}

static int64_t read_number(const json_t *saved, const char *key)
{
    return json_integer_value(json_object_get(saved, key));
}

static bool restore_hold(struct service *service, struct object *object, struct hold *hold)
{
    struct condition *condition = condition_of(object);
    const json_t *saved = json_object_get(condition->saved, hold->id_text);
    struct ticket *ticket = saved ? ticket_make(condition, hold) : NULL;
    int64_t state = read_number(saved, "state");
    (void)service;
    if (!ticket) {
        return false;
    }
    ticket->state = state == TICKET_QUEUES   ? TICKET_QUEUES
                    : state == TICKET_SERVED ? TICKET_SERVED
                                             : TICKET_WAITS;
    ticket->notified = json_is_true(json_object_get(saved, "notified"));
    ticket->told = json_is_true(json_object_get(saved, "told"));
    ticket->depth = (unsigned)read_number(saved, "depth");
    ticket->ttl_us = read_number(saved, "ttl_us");
    ticket->until_us = read_number(saved, "until_us");
    ticket->queued_at_us = read_number(saved, "queued_at_us");
    read_id(saved, "from", &ticket->from);
    read_id(saved, "lock_hold", &ticket->lock_hold);
    if (ticket->state == TICKET_WAITS && !ticket_arm(ticket)) {
        hold->item = NULL;
        free(ticket);
        return false;
    }
    return true;
}

/* ---- the rest ---- */

static struct problem *act_on_hold(struct hold *hold, const struct hold_order *order)
{
    struct hold_cause cause = {.by = order->by};
    if (order->action != HOLD_ACTION_RELEASE || order->delay_us) {
        return problem_make(PROBLEM_INVALID_VALUE, "a ticket of %s is released, and at once",
                            hold->resource);
    }
    hold_end(hold, HOLD_RELEASED, &cause);
    return NULL;
}

static void closed(struct service *service, struct object *object)
{
    (void)service;
    claims_finish_all(&condition_of(object)->calls, CLAIM_DELETED);
}

static void release(struct object *object)
{
    struct condition *condition = condition_of(object);
    if (condition->resume.queued) {
        loop_undefer(object->service->loop, &condition->resume);
    }
    json_decref(condition->saved);
}

const struct object_type condition_type = {
    .kind = OBJECT_CONDITION, .noun = "condition", .plural = "conditions",
    .bytes = sizeof(struct condition), .configure = configure, .write_config = write_config,
    .write_state = write_state, .save = save, .restore = restore, .restore_hold = restore_hold,
    .hold_ended = condition_hold_ended, .act_on_hold = act_on_hold, .closed = closed,
    .release = release,
};
