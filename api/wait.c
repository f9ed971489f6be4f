/*
 * POST /v1/wait: waits for several things at once and takes none (multiprocessing.connection.wait). GET
 * /v1/waits: who waits for whom.
 *
 * Things are looked up by name at every look, so one that is deleted meanwhile is 410 and nothing worse.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"

#define ENTRIES_MAX 1000
#define AFTER_MAX 9007199254740991.0

struct entry {
    struct waiter waiter;              /* in the list of what it names */
    struct several *several;
    const json_t *json;                /* as the request has it; borrowed */
    bool is_process;
    enum object_kind kind;
    const char *name;
    struct fact_id process;
    uint64_t after;
};

struct several {
    struct request *request;
    struct entry *entries;
    size_t count;
    bool all;                          /* else any */
    int64_t deadline_us;
    struct deferred look;              /* once, however many have woken it in this turn */
};

static const struct field entry_fields[] = {
    {.name = "process", .type = FIELD_STRING, .max = 64},
    {.name = "queue", .type = FIELD_STRING, .max = 128},
    {.name = "event", .type = FIELD_STRING, .max = 128},
    {.name = "lock", .type = FIELD_STRING, .max = 128},
    {.name = "semaphore", .type = FIELD_STRING, .max = 128},
    {.name = "value", .type = FIELD_STRING, .max = 128},
    {.name = "pool", .type = FIELD_STRING, .max = 128},
    {.name = "after", .type = FIELD_INTEGER, .min = 0, .max = AFTER_MAX},
    {0}};

static const struct field one_entry = {.name = "entry", .type = FIELD_OBJECT, .fields = entry_fields};
static const struct field wait_fields[] = {
    {.name = "any", .type = FIELD_ARRAY, .min = 1, .max = ENTRIES_MAX, .items = &one_entry},
    {.name = "all", .type = FIELD_ARRAY, .min = 1, .max = ENTRIES_MAX, .items = &one_entry},
    {0}};

/* ---- looking ---- */

static struct service *service_of(const struct entry *entry)
{
    return &request_app(entry->several->request)->service;
}

static struct process *find_entry_process(const struct entry *entry)
{
    return process_table_find(&service_of(entry)->processes, &entry->process);
}

static struct object *find_entry_object(const struct entry *entry)
{
    return object_find(service_of(entry), entry->kind, entry->name);
}

/* NULL: it is gone. */
static struct wait_list *list_of(const struct entry *entry)
{
    struct process *process = entry->is_process ? find_entry_process(entry) : NULL;
    struct object *object = entry->is_process ? NULL : find_entry_object(entry);
    return process ? &process->joiners : object ? &object->observers : NULL;
}

static bool entry_ready(const struct entry *entry)
{
    if (entry->is_process) {
        const struct process *process = find_entry_process(entry);
        return process && process_ended(process) && process->end_stored;
    }
    const struct object *object = find_entry_object(entry);
    return object && object->type->ready(object, entry->after);
}

static void cancel_all(struct several *several)
{
    loop_undefer(request_app(several->request)->service.loop, &several->look);
    for (size_t i = 0; i < several->count; i++) {
        waiter_cancel(&several->entries[i].waiter);
    }
}

/* False: one of them is gone, and that was answered. */
static bool all_there(struct several *several)
{
    for (size_t i = 0; i < several->count; i++) {
        if (!list_of(&several->entries[i])) {
            cancel_all(several);
            answer_problem(several->request,
                           problem_make(PROBLEM_DELETED, "%.64s was deleted while this call waited",
                                        several->entries[i].name));
            return false;
        }
    }
    return true;
}

static size_t count_ready(const struct several *several)
{
    size_t ready = 0;
    for (size_t i = 0; i < several->count; i++) {
        ready += entry_ready(&several->entries[i]);
    }
    return ready;
}

static void answer(struct several *several)
{
    struct text body = {0};
    cancel_all(several);
    text_put(&body, "{\"ready\":[");
    for (size_t i = 0; i < several->count; i++) {
        char *entry = entry_ready(&several->entries[i])
                          ? json_dumps(several->entries[i].json, JSON_COMPACT)
                          : NULL;
        if (entry) {
            text_json_comma(&body);
            text_put(&body, entry);
        }
        free(entry);
    }
    text_put(&body, "]}");
    answer_json(several->request, 200, &body);
}

/* ---- waiting ---- */

static void woken(struct waiter *waiter, bool woken);

static bool park_entry(struct entry *entry)
{
    return entry->waiter.list ||
           waiter_park(service_of(entry)->loop, list_of(entry), &entry->waiter,
                       entry->several->deadline_us, woken);
}

static bool park_all(struct several *several)
{
    for (size_t i = 0; i < several->count; i++) {
        if (!park_entry(&several->entries[i])) {
            cancel_all(several);
            respond_no_memory(several->request);
            return false;
        }
    }
    return true;
}

static bool is_over(const struct several *several)
{
    size_t ready = count_ready(several);
    return (several->all ? ready == several->count : ready > 0) ||
           several->deadline_us <= time_monotonic_us();
}

static void look(struct deferred *deferred)
{
    struct several *several =
        (struct several *)((char *)deferred - offsetof(struct several, look));
    if (!all_there(several)) {
        return;
    }
    if (is_over(several)) {
        answer(several);
    } else {
        park_all(several);
    }
}

static void woken(struct waiter *waiter, bool woken)
{
    struct entry *entry = (struct entry *)((char *)waiter - offsetof(struct entry, waiter));
    (void)woken;
    loop_defer(service_of(entry)->loop, &entry->several->look);
}

static void gone(struct request *request, void *context)
{
    (void)request;
    cancel_all(context);
}

/* ---- reading ---- */

/* The one key besides `after`; NULL: none or several. */
static const char *only_key(const json_t *json)
{
    const char *key, *only = NULL;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)json, key, value) {
        if (strcmp(key, "after") != 0) {
            only = key;
            count++;
        }
    }
    return count == 1 ? only : NULL;
}

static bool kind_of(const char *noun, enum object_kind *kind)
{
    for (int i = 0; i < OBJECT_KINDS; i++) {
        if (object_types[i] && object_types[i]->ready && strcmp(object_types[i]->noun, noun) == 0) {
            *kind = (enum object_kind)i;
            return true;
        }
    }
    return false;
}

static struct problem *read_entry(struct entry *entry, const char *array, size_t index)
{
    const char *key = only_key(entry->json);
    char pointer[40];
    snprintf(pointer, sizeof pointer, "/%s/%zu", array, index);
    entry->is_process = key && strcmp(key, "process") == 0;
    if (!key || (!entry->is_process && !kind_of(key, &entry->kind))) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                           "It must name one thing: a process, queue, event, lock, semaphore, "
                           "value or pool.");
    }
    entry->name = json_string_value(json_object_get(entry->json, key));
    entry->after = (uint64_t)field_integer(entry->json, "after", 0);
    if (entry->is_process &&
        !id_parse(entry->name, strlen(entry->name), 'p', &entry->process)) {
        entry->process = (struct fact_id){{0}};
    }
    return list_of(entry) ? NULL
                          : problem_make(PROBLEM_NOT_FOUND, "there is no %s %.128s", key, entry->name);
}

static struct problem *read_entries(struct several *several, const json_t *body)
{
    const char *array = several->all ? "all" : "any";
    const json_t *list = field_value(body, array);
    struct problem *problem = NULL;
    several->count = json_array_size(list);
    several->entries =
        request_alloc(several->request, several->count * sizeof *several->entries);
    if (!several->entries) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
    }
    for (size_t i = 0; i < several->count && !problem; i++) {
        struct entry *entry = &several->entries[i];
        entry->several = several;
        entry->json = json_array_get(list, i);
        problem = read_entry(entry, array, i);
    }
    return problem;
}

static struct problem *check(const json_t *body)
{
    struct problem *problem = schema_check(body, wait_fields);
    bool any = json_object_get(body, "any"), all = json_object_get(body, "all");
    if (any == all) {
        problem = problem_add(problem, any ? PROBLEM_INVALID_VALUE : PROBLEM_MISSING_FIELD,
                              FAULT_POINTER, "/any", "Either any or all is needed, not both.");
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
    return read_entries(several, body);
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
    } else if (park_all(several)) {
        http_park(request, (struct park){gone, several});
    }
}

void handle_list_waits(struct request *request)
{
    struct text body = {0};
    waits_json(&body, &request_app(request)->service);
    answer_json(request, 200, &body);
}
