/*
 * POST /v1/wait: waits for several things at once and takes none (multiprocessing.connection.wait). GET
 * /v1/waits: who waits for whom.
 *
 * Whatever wakes one of the entries, all are looked at anew at the end of the turn. What is ready then was
 * perhaps made so by something that is not stored yet; the answer waits until it is.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "api/targets.h"

#define ENTRIES_MAX 1000

struct entry {
    struct waiter waiter;              /* in the list of its target */
    struct several *several;
    const json_t *json;                /* as the request has it; borrowed */
    struct target target;
};

struct several {
    struct request *request;
    struct entry *entries;
    size_t count;
    bool all;                          /* else any */
    bool parked;
    int64_t deadline_us;
    struct deferred look;              /* once, however many have woken it in this turn */
    struct stored stored;
    struct text body;                  /* the answer */
};

/* ---- looking ---- */

static struct service *service_of(const struct several *several)
{
    return &request_app(several->request)->service;
}

static enum target_state look_at(const struct entry *entry, struct wait_list **list)
{
    return target_look(service_of(entry->several), &entry->target, list);
}

static bool is_ready(const struct entry *entry)
{
    struct wait_list *list;
    return look_at(entry, &list) == TARGET_READY;
}

/* NULL: all are there. */
static const struct entry *find_gone(const struct several *several)
{
    struct wait_list *list;
    size_t i = 0;
    while (i < several->count && look_at(&several->entries[i], &list) != TARGET_GONE) {
        i++;
    }
    return i < several->count ? &several->entries[i] : NULL;
}

/* What was waited for has come. */
static bool has_come(const struct several *several)
{
    size_t ready = 0;
    for (size_t i = 0; i < several->count; i++) {
        ready += is_ready(&several->entries[i]);
    }
    return several->all ? ready == several->count : ready > 0;
}

static bool is_over(const struct several *several)
{
    return has_come(several) || several->deadline_us <= time_monotonic_us();
}

/* ---- the answer ---- */

static void cancel_all(struct several *several)
{
    loop_undefer(service_of(several)->loop, &several->look);
    for (size_t i = 0; i < several->count; i++) {
        waiter_cancel(&several->entries[i].waiter);
    }
}

static void gone(struct request *request, void *context)
{
    struct several *several = context;
    (void)request;
    cancel_all(several);
    stored_cancel(&several->stored);
    text_free(&several->body);
}

static void park(struct several *several)
{
    if (!several->parked) {
        several->parked = true;
        http_park(several->request, (struct park){gone, several});
    }
}

static void stored(struct stored *stored)
{
    struct several *several =
        (struct several *)((char *)stored - offsetof(struct several, stored));
    answer_json(several->request, 200, &several->body);
}

/* Some of `all` are not what was waited for: whoever gets any entry need not count them. */
static void write_ready(struct several *several)
{
    bool come = has_come(several);
    text_put(&several->body, "{\"ready\":[");
    for (size_t i = 0; i < several->count; i++) {
        const struct entry *entry = &several->entries[i];
        char *json = come && is_ready(entry) ? json_dumps(entry->json, JSON_COMPACT) : NULL;
        if (json) {
            text_json_comma(&several->body);
            text_put(&several->body, json);
        }
        free(json);
    }
    text_put(&several->body, "]}");
}

static void answer(struct several *several)
{
    cancel_all(several);
    write_ready(several);
    if (request_tells_now(several->request)) {
        answer_json(several->request, 200, &several->body);
    } else {
        stored_then(request_app(several->request), &several->stored, stored);
        park(several);
    }
}

/* ---- waiting ---- */

static void woken(struct waiter *waiter, bool woken)
{
    struct entry *entry = (struct entry *)((char *)waiter - offsetof(struct entry, waiter));
    (void)woken;
    loop_defer(service_of(entry->several)->loop, &entry->several->look);
}

/* False: no memory. What is ready needs no list: it is looked at again with each of the others. */
static bool wait_for(struct entry *entry)
{
    struct wait_list *list;
    return look_at(entry, &list) != TARGET_WAITS || entry->waiter.list ||
           waiter_park(service_of(entry->several)->loop, list, &entry->waiter,
                       entry->several->deadline_us, woken);
}

static void wait_for_all(struct several *several)
{
    size_t i = 0;
    while (i < several->count && wait_for(&several->entries[i])) {
        i++;
    }
    if (i == several->count) {
        park(several);
    } else {
        cancel_all(several);
        respond_no_memory(several->request);
    }
}

static void look(struct deferred *deferred)
{
    struct several *several =
        (struct several *)((char *)deferred - offsetof(struct several, look));
    const struct entry *lost = find_gone(several);
    if (lost) {
        cancel_all(several);
        answer_problem(several->request,
                       problem_make(PROBLEM_DELETED, "%.64s was deleted while this call waited",
                                    lost->target.name));
    } else if (is_over(several)) {
        answer(several);
    } else {
        wait_for_all(several);
    }
}

/* ---- reading ---- */

static struct problem *check(const json_t *body)
{
    struct field entry_fields[TARGET_FIELDS];
    const struct field entry = {.name = "entry", .type = FIELD_OBJECT, .fields = entry_fields};
    const struct field fields[] = {
        {.name = "any", .type = FIELD_ARRAY, .min = 1, .max = ENTRIES_MAX, .items = &entry},
        {.name = "all", .type = FIELD_ARRAY, .min = 1, .max = ENTRIES_MAX, .items = &entry},
        {0}};
    target_fields(entry_fields);
    struct problem *problem = schema_check(body, fields);
    bool any = json_object_get(body, "any"), all = json_object_get(body, "all");
    if (any == all) {
        problem = problem_add(problem, any ? PROBLEM_INVALID_VALUE : PROBLEM_MISSING_FIELD,
                              FAULT_POINTER, "/any", "Either any or all is needed, not both.");
    }
    return problem;
}

/* Faults are told together, what is not there alone. */
static bool is_missing(const struct problem *problem)
{
    return problem && problem->fault_count == 0;
}

static struct problem *read_entries(struct several *several, const json_t *list)
{
    struct problem *problem = NULL;
    several->count = json_array_size(list);
    several->entries =
        request_alloc(several->request, several->count * sizeof *several->entries);
    if (!several->entries) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
    }
    for (size_t i = 0; i < several->count && !is_missing(problem); i++) {
        struct entry *entry = &several->entries[i];
        char place[32];
        snprintf(place, sizeof place, "/%s/%zu", several->all ? "all" : "any", i);
        entry->several = several;
        entry->json = json_array_get(list, i);
        problem = target_read(service_of(several), entry->json, place, &entry->target, problem);
    }
    return problem;
}

static struct problem *read_several(struct several *several, struct request *request)
{
    const json_t *body = request_json(request);
    several->request = request;
    several->all = json_object_get(body, "all");
    several->deadline_us = request_deadline(request, JOIN_STANDARD_US);
    several->look.run = look;
    return read_entries(several, field_value(body, several->all ? "all" : "any"));
}

void handle_wait(struct request *request)
{
    struct problem *problem = check(request_json(request));
    struct several *several = problem ? NULL : request_alloc(request, sizeof *several);
    if (several) {
        problem = read_several(several, request);
    }
    if (problem) {
        answer_problem(request, problem);
    } else if (!several) {
        respond_no_memory(request);
    } else if (is_over(several)) {
        answer(several);
    } else {
        wait_for_all(several);
    }
}

void handle_list_waits(struct request *request)
{
    struct text body = {0};
    waits_json(&body, &request_app(request)->service);
    answer_json(request, 200, &body);
}
