/*
 * Holds: look, list, and what their holders do with them: ack, release, touch, bury; the admin breaks them.
 *
 * Whoever has a hold's id may act on it: ids cannot be guessed, so a hold is handed on by telling it.
 */
#include <stdlib.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "api/page.h"
#include "api/problem_json.h"
#include "service/bonds.h"

#define MOST_SECONDS (366.0 * 86400)
#define BATCH_MAX 1000

static const struct field end_fields[] = {
    {.name = "delay_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0, .max = MOST_SECONDS},
    {.name = "reason", .type = FIELD_STRING | FIELD_NULL, .max = 1000},
    {0}};

static const struct field touch_fields[] = {
    {.name = "ttl_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0.001, .max = MOST_SECONDS},
    {0}};

static const struct field one_id = {.name = "id", .type = FIELD_STRING, .min = 1, .max = 64};
static const struct field batch_fields[] = {
    {.name = "ack", .type = FIELD_ARRAY, .max = BATCH_MAX, .items = &one_id},
    {.name = "release", .type = FIELD_ARRAY, .max = BATCH_MAX, .items = &one_id},
    {.name = "touch", .type = FIELD_ARRAY, .max = BATCH_MAX, .items = &one_id},
    {.name = "bury", .type = FIELD_ARRAY, .max = BATCH_MAX, .items = &one_id},
    {0}};

/* ---- one ---- */

static struct problem *no_hold(const char *text)
{
    return problem_make(PROBLEM_NOT_FOUND, "there is no hold %.64s", text);
}

static struct hold *find(struct request *request, struct problem **problem)
{
    size_t bytes;
    const char *text = request_segment(request, 0, &bytes);
    struct hold *hold = hold_find_text(&request_app(request)->service, text, bytes);
    *problem = hold ? NULL : no_hold(text);
    return hold;
}

/* Ended, or its end could not be stored now. */
static struct problem *refuse_change(const struct hold *hold)
{
    if (hold->end != HOLD_LIVE) {
        return hold_ended_problem(hold);
    }
    return hold->durable ? recorder_refuses(hold->service->recorder) : NULL;
}

static struct hold *find_live(struct request *request, struct problem **problem)
{
    struct hold *hold = find(request, problem);
    if (hold) {
        *problem = refuse_change(hold);
    }
    return *problem ? NULL : hold;
}

void handle_get_hold(struct request *request)
{
    struct problem *problem;
    const struct hold *hold = find(request, &problem);
    struct text body = {0};
    if (!hold) {
        answer_problem(request, problem);
        return;
    }
    hold_json(&body, hold, NULL);
    answer_json(request, 200, &body);
}

static void respond_hold(struct request *request, const struct hold *hold)
{
    struct text body = {0};
    hold_json(&body, hold, NULL);
    if (hold->durable) {
        respond_when_kept(request, 200, &body);
    } else {
        answer_json(request, 200, &body);
    }
}

/* A release of the last depth ends it: it stays readable, so the pointer stays good. */
static void act(struct request *request, enum hold_action action)
{
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, end_fields);
    struct hold *hold = problem ? NULL : find_live(request, &problem);
    struct hold_order order = {.action = action, .reason = field_text(body, "reason", NULL),
                               .by = request_owner(request),
                               .delay_us = field_seconds_us(body, "delay_seconds", 0)};
    request_param_seconds(request, "delay", &order.delay_us);
    if (hold) {
        problem = hold->object->type->act_on_hold(hold, &order);
    }
    if (problem) {
        answer_problem(request, problem);
    } else if (hold) {
        respond_hold(request, hold);
    }
}

void handle_ack_hold(struct request *request)
{
    act(request, HOLD_ACTION_ACK);
}

void handle_release_hold(struct request *request)
{
    act(request, HOLD_ACTION_RELEASE);
}

void handle_bury_hold(struct request *request)
{
    act(request, HOLD_ACTION_BURY);
}

void handle_touch_hold(struct request *request)
{
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, touch_fields);
    struct hold *hold = problem ? NULL : find_live(request, &problem);
    if (!hold) {
        answer_problem(request, problem);
        return;
    }
    hold_touch(hold, field_seconds_us(body, "ttl_seconds", 0));
    respond_hold(request, hold);
}

void handle_break_hold(struct request *request)
{
    struct problem *problem;
    struct text body = {0};
    struct hold *hold = find_live(request, &problem);
    struct hold_cause cause = {.by = request_owner(request)};
    if (!hold) {
        answer_problem(request, problem);
        return;
    }
    if (!bonds_guard(hold)) {
        hold_end(hold, HOLD_BROKEN, &cause);
    }
    respond_when_stored(request, 204, &body);
}

/* ---- many ---- */

static const struct verb {
    const char *name;
    bool touches;
    enum hold_action action;
} verbs[] = {{"ack", false, HOLD_ACTION_ACK}, {"release", false, HOLD_ACTION_RELEASE},
             {"bury", false, HOLD_ACTION_BURY}, {"touch", true, HOLD_ACTION_ACK}};

static struct problem *act_on(const struct verb *verb, struct hold *hold, const char *id,
                              const struct hold_order *order)
{
    if (!hold) {
        return no_hold(id);
    }
    struct problem *problem = refuse_change(hold);
    if (problem) {
        return problem;
    }
    if (verb->touches) {
        hold_touch(hold, 0);
        return NULL;
    }
    return hold->object->type->act_on_hold(hold, order);
}

/* True: something has changed that must be stored. */
static bool act_on_one(struct request *request, const struct verb *verb, const char *id,
                       struct text *body)
{
    struct service *service = &request_app(request)->service;
    const char *target = request_target(request);
    struct hold *hold = hold_find_text(service, id, strlen(id));
    struct hold_order order = {.action = verb->action, .by = request_owner(request)};
    struct problem *problem = act_on(verb, hold, id, &order);
    text_json_comma(body);
    text_put(body, "{\"id\":");
    text_json_string(body, id);
    text_printf(body, ",\"action\":\"%s\",\"status\":%d,\"problem\":", verb->name,
                problem ? problem_status(problem) : 200);
    if (problem) {
        problem_write(body, problem, target, strcspn(target, "?"), request_id_text(request));
    } else {
        text_put(body, "null");
    }
    text_putc(body, '}');
    problem_free(problem);
    return !problem && hold->durable;
}

void handle_act_on_holds(struct request *request)
{
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, batch_fields);
    struct text answer = {0};
    bool changed = false;
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    text_put(&answer, "{\"items\":[");
    for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
        const json_t *ids = field_value(body, verbs[v].name);
        for (size_t i = 0; i < json_array_size(ids); i++) {
            const char *id = json_string_value(json_array_get(ids, i));
            changed = act_on_one(request, &verbs[v], id, &answer) || changed;
        }
    }
    text_put(&answer, "]}");
    if (changed) {
        respond_when_kept(request, 200, &answer);
    } else {
        answer_json(request, 200, &answer);
    }
}

/* ---- list ---- */

struct listing {
    const char *resource;
    bool by_owner;
    struct owner owner;
    const struct hold **holds;
    size_t count, capacity;
    bool failed;
};

static void take(struct listing *listing, const struct hold *hold)
{
    if ((listing->resource && strcmp(listing->resource, hold->resource) != 0) ||
        (listing->by_owner && (listing->owner.kind != hold->owner.kind ||
                               !id_equal(&listing->owner.id, &hold->owner.id)))) {
        return;
    }
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
        const struct hold **grown = realloc(listing->holds, capacity * sizeof *grown);
        if (!grown) {
            listing->failed = true;
            return;
        }
        listing->holds = grown;
        listing->capacity = capacity;
    }
    listing->holds[listing->count++] = hold;
}

static void collect(struct listing *listing, const struct service *service)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        for (const struct object *at = service->objects.first[kind]; at; at = at->next) {
            for (const struct hold *hold = at->holds; hold && !listing->failed; hold = hold->next) {
                take(listing, hold);
            }
        }
    }
}

static int compare_ids(const void *left, const void *right)
{
    const struct hold *const *a = left, *const *b = right;
    return memcmp(&(*a)->id, &(*b)->id, sizeof (*a)->id);
}

static struct problem *read_owner(struct request *request, struct listing *listing)
{
    const char *text = request_param(request, "owner");
    size_t bytes = text ? strlen(text) : 0;
    listing->by_owner = text;
    if (!text) {
        return NULL;
    }
    if (strcmp(text, "me") == 0) {
        listing->owner = request_owner(request);
        return NULL;
    }
    listing->owner.kind = text[0] == 'p' ? PARENT_PROCESS : PARENT_SESSION;
    if (id_parse(text, bytes, 'p', &listing->owner.id) ||
        id_parse(text, bytes, 's', &listing->owner.id)) {
        return NULL;
    }
    return problem_add(NULL, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, "owner",
                       "It must be the id of a process or session, or me.");
}

static void write_page(struct request *request, const struct listing *listing,
                       const struct page *page)
{
    struct text body = {0};
    size_t at = 0, shown = 0;
    while (page->goes_on && at < listing->count &&
           memcmp(&listing->holds[at]->id, &page->after, sizeof page->after) <= 0) {
        at++;
    }
    text_put(&body, "{\"items\":[");
    for (; at < listing->count && shown < page->limit; at++, shown++) {
        text_json_comma(&body);
        hold_json(&body, listing->holds[at], NULL);
    }
    page_end(&body, page, at < listing->count ? &listing->holds[at - 1]->id : NULL);
    answer_json(request, 200, &body);
}

static uint64_t filters_hash(const struct request *request)
{
    static const char *const names[] = {"owner", "resource"};
    uint64_t hash = PAGE_HASH_START;
    for (size_t i = 0; i < 2; i++) {
        const char *value = request_param(request, names[i]);
        hash = page_hash(hash, value ? value : "", value ? strlen(value) : 0);
    }
    return hash;
}

void handle_list_holds(struct request *request)
{
    struct listing listing = {.resource = request_param(request, "resource")};
    struct page page;
    struct problem *problem = read_owner(request, &listing);
    if (!problem) {
        problem = page_from_request(request, filters_hash(request), &page);
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    collect(&listing, &request_app(request)->service);
    if (listing.failed) {
        respond_no_memory(request);
    } else {
        if (listing.count) {
            qsort(listing.holds, listing.count, sizeof *listing.holds, compare_ids);
        }
        write_page(request, &listing, &page);
    }
    free(listing.holds);
}
