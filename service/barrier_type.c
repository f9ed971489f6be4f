/*
 * Barriers as objects: configuration, what GET shows, what outlives the server. Places come back with their
 * holds; those that nobody owns ended with their calls.
 */
#include "service/barrier_internal.h"

#include <stdlib.h>
#include <string.h>

#include "service/service.h"

static struct barrier *barrier_of(struct object *object)
{
    return (struct barrier *)object;
}

static const struct barrier *const_barrier_of(const struct object *object)
{
    return (const struct barrier *)object;
}

/* ---- configuration ---- */

/* What is there already, or comes from the database, may name processes whose records are gone. */
static bool is_new(struct service *service, const struct object *object)
{
    return !object->inserted && !object_find(service, OBJECT_BARRIER, object->name);
}

static struct problem *read_members(struct service *service, struct barrier *barrier,
                                    const json_t *members)
{
    struct problem *problem = NULL;
    size_t count = json_array_size(members);
    barrier->any_members = json_is_array(members);
    barrier->members = calloc(count + 1, sizeof *barrier->members);
    if (!barrier->members) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the members");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(members, i);
        struct fact_id *id = &barrier->members[barrier->member_count];
        bool fits = id_parse(json_string_value(one), json_string_length(one), 'p', id);
        if (fits && is_new(service, &barrier->object)) {
            fits = process_table_find(&service->processes, id) != NULL;
        }
        if (!fits) {
            char pointer[32];
            snprintf(pointer, sizeof pointer, "/members/%zu", i);
            problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                                  "There is no process %.64s.", json_string_value(one));
        }
        barrier->member_count += fits;
    }
    return problem;
}

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct barrier *barrier = barrier_of(object);
    barrier->parties = json_integer_value(json_object_get(config, "parties"));
    barrier->timeout_us =
        (int64_t)(json_number_value(json_object_get(config, "timeout_seconds")) * 1e6 + 0.5);
    return read_members(service, barrier, json_object_get(config, "members"));
}

static void write_config(struct text *text, const struct object *object)
{
    const struct barrier *barrier = const_barrier_of(object);
    text_json_key(text, "parties");
    text_number(text, barrier->parties);
    text_json_key(text, "timeout_seconds");
    if (barrier->timeout_us) {
        text_json_seconds(text, barrier->timeout_us);
    } else {
        text_put(text, "null");
    }
    text_json_key(text, "members");
    text_put(text, barrier->any_members ? "[" : "null");
    for (size_t i = 0; i < barrier->member_count; i++) {
        struct owner member = {PARENT_PROCESS, barrier->members[i]};
        text_json_comma(text);
        owner_json(text, &member);
    }
    text_put(text, barrier->any_members ? "]" : "");
}

/* ---- state ---- */

static void write_state(struct text *text, const struct object *object)
{
    const struct barrier *barrier = const_barrier_of(object);
    text_json_key(text, "n_waiting");
    text_number(text, barrier->places);
    text_json_key(text, "broken");
    text_json_bool(text, barrier->cause.reason != BARRIER_WHOLE);
    text_json_key(text, "generation");
    text_unsigned(text, barrier->generation);
    text_json_key(text, "cause");
    barrier_cause_json(text, &barrier->cause);
    text_json_key(text, "holds");
    text_putc(text, '[');
    for (const struct hold *at = object->holds; at; at = at->next) {
        if (!((const struct barrier_place *)at->item)->leaving) {
            text_json_comma(text);
            hold_json(text, at, NULL);
        }
    }
    text_putc(text, ']');
}

static void save_untold(struct text *text, const struct barrier_untold *untold)
{
    const struct barrier_outcome *outcome = &untold->outcome;
    text_json_comma(text);
    text_put(text, "{\"owner\":");
    owner_json(text, &untold->owner);
    text_json_key(text, "passed");
    text_json_bool(text, outcome->passed);
    text_json_key(text, "index");
    text_number(text, outcome->index);
    text_json_key(text, "generation");
    text_unsigned(text, outcome->generation);
    text_json_key(text, "cause");
    barrier_cause_json(text, &outcome->cause);
    text_putc(text, '}');
}

static void save(struct text *text, const struct object *object)
{
    const struct barrier *barrier = const_barrier_of(object);
    text_json_key(text, "generation");
    text_unsigned(text, barrier->generation);
    text_json_key(text, "cause");
    barrier_cause_json(text, &barrier->cause);
    text_json_key(text, "untold");
    text_putc(text, '[');
    for (const struct barrier_untold *at = barrier->untold; at; at = at->next) {
        save_untold(text, at);
    }
    text_putc(text, ']');
}

/* ---- at the start ---- */

static struct owner owner_from(const json_t *id)
{
    struct owner owner = {0};
    const char *text = json_is_string(id) ? json_string_value(id) : "";
    enum parent_kind kind = text[0] == 'p' ? PARENT_PROCESS : PARENT_SESSION;
    if (id_parse(text, strlen(text), text[0], &owner.id)) {
        owner.kind = kind;
    }
    return owner;
}

static struct barrier_cause cause_from(const json_t *saved)
{
    struct barrier_cause cause = {0};
    const char *reason = json_string_value(json_object_get(saved, "reason"));
    const char *at = json_string_value(json_object_get(saved, "at"));
    const json_t *exitcode = json_object_get(saved, "exitcode");
    for (int i = 1; i < BARRIER_REASONS && reason; i++) {
        if (strcmp(reason, barrier_reason_name((enum barrier_reason)i)) == 0) {
            cause.reason = (enum barrier_reason)i;
        }
    }
    cause.by.by = owner_from(json_object_get(saved, "owner"));
    cause.by.exitcode_known = json_is_integer(exitcode);
    cause.by.exitcode = (int)json_integer_value(exitcode);
    if (at) {
        time_parse(at, &cause.at_us);
    }
    return cause;
}

static bool restore_untold(struct barrier *barrier, const json_t *saved)
{
    struct owner owner = owner_from(json_object_get(saved, "owner"));
    struct barrier_outcome outcome = {
        .passed = json_is_true(json_object_get(saved, "passed")),
        .index = json_integer_value(json_object_get(saved, "index")),
        .generation = (uint64_t)json_integer_value(json_object_get(saved, "generation")),
        .cause = cause_from(json_object_get(saved, "cause")),
    };
    return barrier_keep_untold(barrier, &owner, &outcome);
}

/* A new one whose member has ended before is broken from the beginning. */
static void begin(struct barrier *barrier)
{
    struct hold_cause by;
    if (barrier_member_has_ended(barrier, &by)) {
        barrier->cause = (struct barrier_cause){BARRIER_OWNER_ENDED, by, time_now_us()};
    }
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct barrier *barrier = barrier_of(object);
    const json_t *untold = json_object_get(saved, "untold");
    bool good = true;
    (void)service;
    if (!saved) {
        begin(barrier);
    }
    barrier->generation = (uint64_t)json_integer_value(json_object_get(saved, "generation"));
    if (saved) {
        barrier->cause = cause_from(json_object_get(saved, "cause"));
    }
    for (size_t i = 0; i < json_array_size(untold) && good; i++) {
        good = restore_untold(barrier, json_array_get(untold, i));
    }
    return good;
}

/* A place that nobody owns went with its call. */
static bool restore_hold(struct service *service, struct object *object, struct hold *hold)
{
    (void)service;
    return hold->owner.kind != PARENT_NONE && barrier_place_make(barrier_of(object), hold);
}

/* ---- the rest ---- */

static struct problem *act_on_hold(struct hold *hold, const struct hold_order *order)
{
    struct hold_cause cause = {.by = order->by};
    if (order->action != HOLD_ACTION_RELEASE || order->delay_us) {
        return problem_make(PROBLEM_INVALID_VALUE, "a place in %s is released, and at once",
                            hold->resource);
    }
    hold_end(hold, HOLD_RELEASED, &cause);
    return NULL;
}

static void closed(struct service *service, struct object *object)
{
    (void)service;
    claims_finish_all(&barrier_of(object)->claims, CLAIM_DELETED);
}

static void release(struct object *object)
{
    struct barrier *barrier = barrier_of(object);
    free(barrier->members);
    while (barrier->untold) {
        struct barrier_untold *untold = barrier->untold;
        barrier->untold = untold->next;
        free(untold);
    }
}

const struct object_type barrier_type = {
    .kind = OBJECT_BARRIER, .noun = "barrier", .plural = "barriers",
    .bytes = sizeof(struct barrier), .configure = configure, .write_config = write_config,
    .write_state = write_state, .save = save, .restore = restore, .restore_hold = restore_hold,
    .hold_ended = barrier_hold_ended, .act_on_hold = act_on_hold, .closed = closed,
    .release = release,
};
