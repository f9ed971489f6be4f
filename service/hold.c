/*
 * Holds; see hold.h.
 */
#include "service/hold.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db/coordination.h"
#include "service/coordination.h"
#include "service/service.h"

#define ENDED_MAX 10000u               /* whose end stays readable */
#define FENCE_BLOCK (1u << 20)         /* reserved in the database at once */

static const char *const kind_names[HOLD_KINDS] = {
    [HOLD_LOCK] = "lock", [HOLD_SEMAPHORE] = "semaphore", [HOLD_MESSAGE] = "message",
    [HOLD_BARRIER] = "barrier", [HOLD_PIPE_END] = "pipe_end",
    [HOLD_TICKET] = "ticket"};

static const char *const end_names[HOLD_ENDS] = {
    [HOLD_LIVE] = NULL, [HOLD_ACKED] = "acked", [HOLD_RELEASED] = "released",
    [HOLD_EXPIRED] = "expired", [HOLD_OWNER_ENDED] = "owner_ended", [HOLD_BROKEN] = "broken",
    [HOLD_CLOSED] = "closed", [HOLD_BURIED] = "buried"};

const char *hold_kind_name(enum hold_kind kind)
{
    return kind_names[kind];
}

const char *hold_end_name(enum hold_end end)
{
    return end_names[end];
}

static struct hold *from_id(struct fact_id *id)
{
    return id ? (struct hold *)((char *)id - offsetof(struct hold, id)) : NULL;
}

struct hold *hold_find(struct service *service, const struct fact_id *id)
{
    return from_id(id_map_find(&service->holds.by_id, id));
}

struct hold *hold_find_text(struct service *service, const char *text, size_t bytes)
{
    struct fact_id id;
    return id_parse(text, bytes, 'h', &id) ? hold_find(service, &id) : NULL;
}

/* ---- storing ---- */

void hold_changed(struct hold *hold)
{
    struct hold_table *table = &hold->service->holds;
    if (!hold->durable) {
        return;
    }
    if (!hold->dirty) {
        hold->dirty = true;
        hold->next_dirty = table->dirty;
        table->dirty = hold;
        recorder_batch(hold->service->recorder);
    }
    if (!hold->unjournaled) {
        hold->unjournaled = true;
        hold->next_unjournaled = table->unjournaled;
        table->unjournaled = hold;
    }
}

static void fill_row(const struct hold *hold, struct hold_row *row)
{
    *row = (struct hold_row){
        .kind = (int)hold->kind, .resource = hold->resource, .item = hold->item_num,
        .owner_kind = (int)hold->owner.kind, .fence = hold->fence, .depth = hold->depth,
        .granted_at_us = hold->granted_at_us, .expires_at_us = hold->expires_at_us,
        .ttl_us = hold->ttl_us, .ended = (int)hold->end, .ended_at_us = hold->ended_at_us,
        .by_kind = (int)hold->cause.by.kind, .exitcode_known = hold->cause.exitcode_known,
        .exitcode = hold->cause.exitcode,
    };
    memcpy(row->id, hold->id.bytes, sizeof row->id);
    memcpy(row->owner, hold->owner.id.bytes, sizeof row->owner);
    memcpy(row->by, hold->cause.by.id.bytes, sizeof row->by);
}

static bool store(struct hold *hold)
{
    struct hold_row row;
    fill_row(hold, &row);
    return hold_row_put(recorder_batch(hold->service->recorder), &row);
}

bool holds_journal(struct service *service)
{
    while (service->holds.unjournaled) {
        struct hold *hold = service->holds.unjournaled;
        struct hold_row row;
        fill_row(hold, &row);
        row.resource = NULL;           /* follows, with its NUL */
        if (!journal_put(service->journal, JOURNAL_HOLD, &row, sizeof row, hold->resource,
                         strlen(hold->resource) + 1)) {
            return false;
        }
        service->holds.unjournaled = hold->next_unjournaled;
        hold->unjournaled = false;
    }
    return true;
}

/* One that began and ended between two commits, by its holder's own will, leaves nothing: its row
   would tell only who repeats the release after a crash what the answer to the first one told him. */
static bool leaves_nothing(const struct hold *hold)
{
    return !hold->inserted && (hold->end == HOLD_RELEASED || hold->end == HOLD_ACKED);
}

static void forget(struct hold *hold)
{
    if (hold->inserted && hold->service->recorder && /* not while they are being loaded */
        !hold_row_delete(recorder_batch(hold->service->recorder), hold->id.bytes)) {
        recorder_fatal("out of memory for a hold's end");
    }
    id_map_remove(&hold->service->holds.by_id, &hold->id);
    free(hold);
}

/* Of those that ended. What is still to be stored or journaled is on a list, and stays until it was. */
static void forget_oldest(struct hold_table *table)
{
    struct hold *oldest = table->first_ended;
    while (table->ended > ENDED_MAX && !oldest->dirty && !oldest->unjournaled) {
        table->first_ended = oldest->next_ended;
        table->ended--;
        forget(oldest);
        oldest = table->first_ended;
    }
}

/* The batch has them all. */
static void clear_unjournaled(struct hold_table *table)
{
    while (table->unjournaled) {
        table->unjournaled->unjournaled = false;
        table->unjournaled = table->unjournaled->next_unjournaled;
    }
}

void holds_store_dirty(struct service *service)
{
    clear_unjournaled(&service->holds);
    while (service->holds.dirty) {
        struct hold *hold = service->holds.dirty;
        service->holds.dirty = hold->next_dirty;
        hold->dirty = false;
        if (leaves_nothing(hold)) {
            continue;
        }
        if (!store(hold)) {
            recorder_fatal("out of memory for a hold");
        }
        hold->inserted = true;
    }
    forget_oldest(&service->holds);
}

/* ---- fences ---- */

/* Half a block ahead, so that what is given out was committed long before. */
static uint64_t next_fence(struct service *service)
{
    struct hold_table *table = &service->holds;
    if (table->fence_reserved - table->fence < FENCE_BLOCK / 2) {
        table->fence_reserved += FENCE_BLOCK;
        if (!fence_row_put(recorder_batch(service->recorder), table->fence_reserved)) {
            recorder_fatal("out of memory for fences");
        }
    }
    return ++table->fence;
}

/* ---- lists ---- */

static void join_object(struct hold *hold)
{
    struct object *object = hold->object;
    hold->next = NULL;
    hold->previous = object->last_hold;
    *(object->last_hold ? &object->last_hold->next : &object->holds) = hold;
    object->last_hold = hold;
}

static void leave_object(struct hold *hold)
{
    struct object *object = hold->object;
    *(hold->previous ? &hold->previous->next : &object->holds) = hold->next;
    *(hold->next ? &hold->next->previous : &object->last_hold) = hold->previous;
    hold->next = hold->previous = NULL;
}

static void join_owner(struct hold *hold)
{
    struct belongings *belongings = owner_belongings(hold->service, &hold->owner);
    if (belongings) {
        hold->next_of_owner = belongings->holds;
        if (belongings->holds) {
            belongings->holds->previous_of_owner = hold;
        }
        belongings->holds = hold;
    }
}

static void leave_owner(struct hold *hold)
{
    struct belongings *belongings = owner_belongings(hold->service, &hold->owner);
    if (!belongings) {
        return;
    }
    *(hold->previous_of_owner ? &hold->previous_of_owner->next_of_owner : &belongings->holds) =
        hold->next_of_owner;
    if (hold->next_of_owner) {
        hold->next_of_owner->previous_of_owner = hold->previous_of_owner;
    }
    hold->next_of_owner = hold->previous_of_owner = NULL;
}

static void keep_end(struct hold *hold)
{
    struct hold_table *table = &hold->service->holds;
    hold->next_ended = NULL;
    *(table->last_ended ? &table->last_ended->next_ended : &table->first_ended) = hold;
    table->last_ended = hold;
    table->ended++;
    forget_oldest(table);
}

/* ---- life ---- */

static void expired(struct timer *timer)
{
    hold_end((struct hold *)((char *)timer - offsetof(struct hold, expiry)), HOLD_EXPIRED, NULL);
}

static bool arm(struct hold *hold)
{
    int64_t left_us = hold->expires_at_us - time_now_us();
    return !hold->expires_at_us ||
           timer_set(hold->service->loop, &hold->expiry,
                     time_monotonic_us() + (left_us > 0 ? left_us : 0));
}

static struct problem *refuse_grant(struct service *service, const struct hold_request *request)
{
    if (request->owner.kind != PARENT_NONE && !owner_lives(service, &request->owner)) {
        return problem_make(PROBLEM_OWNER_ENDED, "the owner has ended meanwhile");
    }
    if (service->holds.live >= service->config->max_holds) {
        struct problem *problem =
            problem_make(PROBLEM_LIMIT_REACHED, "max_holds (%llu) are live",
                         (unsigned long long)service->config->max_holds);
        problem->retry_after_seconds = 1;
        return problem;
    }
    return NULL;
}

/* Into all tables. False: no memory, and it is in none. */
static bool enter(struct hold *hold)
{
    struct hold_table *table = &hold->service->holds;
    id_format(&hold->id, 'h', hold->id_text);
    hold->expiry.due = expired;
    if (!id_map_add(&table->by_id, &hold->id)) {
        return false;
    }
    if (hold->end == HOLD_LIVE && !arm(hold)) {
        id_map_remove(&table->by_id, &hold->id);
        return false;
    }
    return true;
}

struct hold *hold_grant(struct service *service, const struct hold_request *request,
                        struct problem **problem)
{
    if ((*problem = refuse_grant(service, request))) {
        return NULL;
    }
    struct hold *hold = calloc(1, sizeof *hold);
    if (hold) {
        hold->id = id_make();
        hold->service = service;
        hold->kind = request->kind;
        hold->object = request->object;
        hold->owner = request->owner;
        hold->ttl_us = request->ttl_us;
        hold->item = request->item;
        hold->item_num = request->item_num;
        hold->durable = request->durable;
        hold->depth = 1;
        hold->granted_at_us = time_now_us();
        hold->expires_at_us = request->ttl_us ? hold->granted_at_us + request->ttl_us : 0;
        memcpy(hold->resource, request->object->resource, sizeof hold->resource);
    }
    if (!hold || !enter(hold)) {
        free(hold);
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a hold");
        return NULL;
    }
    hold->fence = next_fence(service);
    join_object(hold);
    join_owner(hold);
    service->holds.live++;
    hold_changed(hold);
    return hold;
}

/* Ends that nobody asked for by his own name: somebody may wonder. */
static void tell(const struct hold *hold)
{
    struct text data = {0};
    if (hold->end == HOLD_ACKED || hold->end == HOLD_RELEASED || hold->end == HOLD_BURIED) {
        return;
    }
    hold_json(&data, hold, NULL);
    service_change(hold->service, "hold.ended", hold->id_text, data.failed ? NULL : data.data);
    text_free(&data);
}

void hold_end(struct hold *hold, enum hold_end end, const struct hold_cause *cause)
{
    struct service *service = hold->service;
    struct object *object = hold->object;
    if (hold->end != HOLD_LIVE) {
        return;
    }
    timer_cancel(service->loop, &hold->expiry);
    hold->end = end;
    hold->ended_at_us = time_now_us();
    hold->cause = cause ? *cause : (struct hold_cause){0};
    leave_object(hold);
    leave_owner(hold);
    service->holds.live--;
    hold_changed(hold);
    tell(hold);
    object->type->hold_ended(service, object, hold);
    wait_list_wake_all(&hold->watchers);
    hold->object = NULL;
    hold->item = NULL;
    keep_end(hold);
}

void hold_undo(struct hold *hold)
{
    hold_end(hold, HOLD_RELEASED, NULL);
}

void hold_touch(struct hold *hold, int64_t ttl_us)
{
    int64_t by_us = ttl_us ? ttl_us : hold->ttl_us;
    if (hold->end != HOLD_LIVE || !by_us) {
        return;
    }
    hold->ttl_us = by_us;
    hold->expires_at_us = time_now_us() + by_us;
    arm(hold);                         /* its place in the timers is kept, so this cannot fail */
    hold_changed(hold);
}

/* ---- at the start ---- */

/* Its object knows nothing of it, so nothing is given back. Stored with the first batch. */
static void close_unfit(struct hold *hold)
{
    timer_cancel(hold->service->loop, &hold->expiry);
    hold->end = HOLD_CLOSED;
    hold->ended_at_us = time_now_us();
    hold->object = NULL;
    hold->dirty = true;
    hold->next_dirty = hold->service->holds.dirty;
    hold->service->holds.dirty = hold;
    keep_end(hold);
}

bool hold_restore(struct service *service, const struct hold_row *row, struct object *object)
{
    struct hold *hold = calloc(1, sizeof *hold);
    if (!hold) {
        return false;
    }
    memcpy(hold->id.bytes, row->id, sizeof row->id);
    memcpy(hold->owner.id.bytes, row->owner, sizeof row->owner);
    memcpy(hold->cause.by.id.bytes, row->by, sizeof row->by);
    hold->service = service;
    hold->kind = (enum hold_kind)row->kind;
    hold->object = object;
    hold->owner.kind = (enum parent_kind)row->owner_kind;
    hold->fence = row->fence;
    hold->depth = row->depth;
    hold->granted_at_us = row->granted_at_us;
    hold->expires_at_us = row->expires_at_us;
    hold->ttl_us = row->ttl_us;
    hold->item_num = row->item;
    hold->durable = hold->inserted = true;
    hold->end = (enum hold_end)row->ended;
    hold->ended_at_us = row->ended_at_us;
    hold->cause.by.kind = (enum parent_kind)row->by_kind;
    hold->cause.exitcode_known = row->exitcode_known;
    hold->cause.exitcode = row->exitcode;
    snprintf(hold->resource, sizeof hold->resource, "%s", row->resource);
    if (!enter(hold)) {
        free(hold);
        return false;
    }
    if (hold->end != HOLD_LIVE) {
        if (object && object->type->restore_end) {
            object->type->restore_end(object, hold);
        }
        hold->object = NULL;
        keep_end(hold);
        return true;
    }
    if (!object->type->restore_hold || !object->type->restore_hold(service, object, hold)) {
        close_unfit(hold);
        return true;
    }
    join_object(hold);
    join_owner(hold);
    service->holds.live++;
    return true;
}

/* ---- showing ---- */

void owner_json(struct text *text, const struct owner *owner)
{
    char id[ID_TEXT_BYTES];
    if (owner->kind == PARENT_NONE) {
        text_put(text, "null");
        return;
    }
    id_format(&owner->id, owner->kind == PARENT_PROCESS ? 'p' : 's', id);
    text_json_string(text, id);
}

static void cause_json(struct text *text, const struct hold_cause *cause)
{
    text_json_key(text, "owner");
    owner_json(text, &cause->by);
    text_json_key(text, "exitcode");
    if (cause->exitcode_known) {
        text_number(text, cause->exitcode);
    } else {
        text_put(text, "null");
    }
}

void hold_end_json(struct text *text, const struct hold *hold)
{
    if (!hold || hold->end == HOLD_LIVE) {
        text_put(text, "null");
        return;
    }
    text_printf(text, "{\"hold\":\"%s\",\"ended\":\"%s\",\"ended_at\":", hold->id_text,
                end_names[hold->end]);
    text_json_time(text, hold->ended_at_us);
    cause_json(text, &hold->cause);
    text_putc(text, '}');
}

void hold_json(struct text *text, const struct hold *hold, const struct hold *previous)
{
    text_printf(text, "{\"id\":\"%s\",\"kind\":\"%s\",\"resource\":", hold->id_text,
                kind_names[hold->kind]);
    text_json_string(text, hold->resource);
    text_json_key(text, "owner");
    owner_json(text, &hold->owner);
    text_json_key(text, "granted_at");
    text_json_time(text, hold->granted_at_us);
    text_json_key(text, "expires_at");
    text_json_time(text, hold->expires_at_us);
    text_json_key(text, "fence");
    text_unsigned(text, hold->fence);
    text_json_key(text, "depth");
    text_unsigned(text, hold->depth);
    text_json_key(text, "ended");
    text_json_string(text, end_names[hold->end]);
    text_json_key(text, "ended_at");
    text_json_time(text, hold->ended_at_us);
    text_json_key(text, "cause");
    hold_end_json(text, hold);
    text_json_key(text, "previous");
    hold_end_json(text, previous);
    text_putc(text, '}');
}

void holds_json(struct text *text, const struct object *object)
{
    text_json_key(text, "holds");
    text_putc(text, '[');
    for (const struct hold *at = object->holds; at; at = at->next) {
        text_json_comma(text);
        hold_json(text, at, NULL);
    }
    text_putc(text, ']');
}

struct problem *hold_ended_problem(const struct hold *hold)
{
    char at[32], who[ID_TEXT_BYTES + 24] = "";
    time_format(hold->ended_at_us, at);
    if (hold->cause.by.kind != PARENT_NONE) {
        char id[ID_TEXT_BYTES];
        id_format(&hold->cause.by.id, hold->cause.by.kind == PARENT_PROCESS ? 'p' : 's', id);
        snprintf(who, sizeof who, " by %s", id);
    }
    struct problem *problem = problem_make(PROBLEM_HOLD_ENDED, "hold %s on %s ended at %s: %s%s",
                                           hold->id_text, hold->resource, at,
                                           end_names[hold->end], who);
    if (problem->code != PROBLEM_HOLD_ENDED) {
        return problem;                /* no memory: the one that stands for all */
    }
    struct text members = {0};
    text_put(&members, "\"cause\":");
    hold_end_json(&members, hold);
    problem->members = text_take(&members, NULL);
    return problem;
}
