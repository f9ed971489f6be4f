/*
 * Batches of tasks: given at once (map, starmap), their results read in the order of input or of their
 * ends (imap, imap_unordered), from a cursor on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/page.h"
#include "api/param_value.h"
#include "api/payload.h"
#include "api/pools.h"

#define RESULTS_STANDARD 1000          /* in one answer, which also ends behind so many bytes: */
#define RESULTS_BYTES (8u << 20)

/* ---- payloads ---- */

static const struct field batch_fields[] = {
    {.name = "tasks", .type = FIELD_ARRAY, .required = true, .min = 1, .max = TASK_BATCH_MAX},
    {0}};

/* {"body":…} or {"body_base64":…}, with a content_type or without, is a payload as a queue's; everything else
   is a payload itself. */
static bool is_wrapped(const json_t *item)
{
    bool body = json_object_get(item, "body"), base64 = json_object_get(item, "body_base64");
    size_t others = json_object_get(item, "content_type") ? 1 : 0;
    return body != base64 && json_object_size(item) == 1 + others;
}

struct payload {                       /* of one item */
    const char *type, *data;
    size_t bytes;
    void *owned;
    const char *fault;                 /* or NULL */
};

static void read_base64(const json_t *item, struct payload *out)
{
    const json_t *base64 = json_object_get(item, "body_base64");
    if (!json_is_string(base64) || !base64_decode(json_string_value(base64),
                                                  json_string_length(base64), &out->owned,
                                                  &out->bytes)) {
        out->fault = "body_base64 must be base64.";
    }
    out->data = out->owned;
}

static void read_json(const json_t *value, struct payload *out)
{
    char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    out->type = "application/json";
    out->owned = dump;
    out->data = dump;
    out->bytes = dump ? strlen(dump) : 0;
}

static struct payload read_item(const json_t *item)
{
    struct payload out = {0};
    if (!is_wrapped(item)) {
        read_json(item, &out);
        return out;
    }
    const json_t *type = json_object_get(item, "content_type");
    const json_t *body = json_object_get(item, "body");
    if (type && !json_is_string(type) && !json_is_null(type)) {
        out.fault = "content_type must be a string.";
        return out;
    }
    out.type = json_string_value(type);
    if (!body) {
        read_base64(item, &out);
    } else if (!out.type || message_type_is_json(out.type)) {
        read_json(body, &out);
    } else if (json_is_string(body)) {
        out.data = json_string_value(body);
        out.bytes = json_string_length(body);
    } else {
        out.fault = "body must be a string, as the content type is not JSON.";
    }
    return out;
}

static struct problem *add_fault(struct problem *problem, size_t index, const char *fault)
{
    char pointer[40];
    snprintf(pointer, sizeof pointer, "/tasks/%zu", index);
    return problem && problem->fault_count >= SCHEMA_FAULTS
               ? problem
               : problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer, "%s", fault);
}

static struct problem *make_payload(struct request *request, const struct pool *pool,
                                    const struct payload *item, struct pool_payload *out)
{
    struct message_content content = {item->type, item->data, item->bytes};
    struct problem *problem = payload_check(request, &content);
    if (!problem && !item->data) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a task");
    }
    if (!problem) {
        out->data = pool_payload_make(pool, item->type, item->data, item->bytes, &problem);
    }
    return problem;
}

/* Payloads of all items, or all faults. The content types are borrowed from the request. */
static struct problem *read_tasks(struct request *request, const struct pool *pool,
                                  const json_t *items, struct pool_payload *payloads)
{
    struct problem *faults = NULL, *problem = NULL;
    for (size_t i = 0; i < json_array_size(items) && !problem; i++) {
        struct payload item = read_item(json_array_get(items, i));
        payloads[i].content_type = item.type;
        if (item.fault) {
            faults = add_fault(faults, i, item.fault);
        } else if ((problem = make_payload(request, pool, &item, &payloads[i])) &&
                   problem->code == PROBLEM_UNSUPPORTED_MEDIA_TYPE) {
            faults = add_fault(faults, i, problem->detail);
            problem_free(problem);
            problem = NULL;
        }
        free(item.owned);
    }
    if (faults) {
        problem_free(problem);
    }
    return faults ? faults : problem;
}

/* ---- a batch is given ---- */

static void respond_given(struct request *request, const struct task_batch *batch)
{
    char location[OBJECT_NAME_BYTES + 80], id[ID_TEXT_BYTES];
    struct text body = {0};
    id_format(&batch->id, 'b', id);
    snprintf(location, sizeof location, "/v1/%s/batches/%s", batch->pool->object.resource, id);
    answer_header(request, "Location", location);
    task_batch_json(&body, batch);
    respond_when_stored(request, 202, &body);
}

static struct problem *submit(struct request *request, struct pool *pool,
                              struct task_batch **batch)
{
    const json_t *items = json_object_get(request_json(request), "tasks");
    size_t count = json_array_size(items);
    struct pool_payload *payloads = calloc(count, sizeof *payloads);
    struct problem *problem =
        payloads ? read_tasks(request, pool, items, payloads)
                 : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a batch");
    if (!problem) {
        problem = pool_submit_batch(pool, payloads, count, batch);
    } else {
        for (size_t i = 0; payloads && i < count; i++) {
            free(payloads[i].data);
        }
    }
    free(payloads);
    return problem;
}

void handle_submit_batch(struct request *request)
{
    struct problem *problem = schema_check(request_json(request), batch_fields);
    struct pool *pool = problem ? NULL : request_pool_to_change(request);
    struct task_batch *batch = NULL;
    if (pool) {
        problem = submit(request, pool, &batch);
    }
    if (problem) {
        answer_problem(request, problem);
    } else if (batch) {
        respond_given(request, batch);
    }
}

/* ---- looking ---- */

struct batch_wait {
    struct pool_wait wait;
    struct task_batch *batch;          /* good while the call waits: what ends it ends the wait */
    bool by_end;                       /* the results' order */
    size_t from;                       /* the first wanted, in that order */
    size_t limit;
};

static const struct batch_wait *batch_wait_of(const struct pool_wait *wait)
{
    return (const struct batch_wait *)wait;
}

static bool batch_over(const struct pool_wait *wait)
{
    return task_batch_complete(batch_wait_of(wait)->batch);
}

static void show_batch(struct text *body, const struct pool_wait *wait)
{
    task_batch_json(body, batch_wait_of(wait)->batch);
}

static struct batch_wait *wait_make(struct request *request, struct task_batch *batch)
{
    struct batch_wait *self = request_alloc(request, sizeof *self);
    if (self) {
        self->batch = batch;
        self->wait = (struct pool_wait){.pool = batch->pool, .list = &batch->waiters,
                                        .over = batch_over, .show = show_batch, .status = 200,
                                        .status_late = 200,
                                        .deadline_us = request_patience(request, 0)};
    } else {
        respond_no_memory(request);
    }
    return self;
}

void handle_get_batch(struct request *request)
{
    struct pool *pool = request_pool(request);
    struct task_batch *batch = pool ? request_batch(request, pool) : NULL;
    struct batch_wait *self = batch ? wait_make(request, batch) : NULL;
    if (self) {
        pool_wait_begin(&self->wait, request);
    }
}

void handle_list_batches(struct request *request)
{
    struct pool *pool = request_pool(request);
    struct fact_id last = {{0}};
    struct text body = {0};
    struct page page;
    if (!pool) {
        return;
    }
    uint64_t hash = page_hash(PAGE_HASH_START, pool->object.name, strlen(pool->object.name));
    struct problem *problem = page_from_request(request, hash, &page);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    const struct task_batch *at = pool->first_batch;
    text_put(&body, "{\"items\":[");
    for (size_t shown = 0; at && shown < page.limit; at = at->next) {
        if (!page.goes_on || memcmp(&at->id, &page.after, sizeof at->id) > 0) {
            text_json_comma(&body);
            task_batch_json(&body, at);
            last = at->id;
            shown++;
        }
    }
    page_end(&body, &page, at ? &last : NULL);
    respond_when_kept(request, 200, &body);
}

/* ---- results ---- */

/* Of the one at this place of the order: has it ended? */
static bool has_ended(const struct batch_wait *self, size_t place)
{
    const struct task_batch *batch = self->batch;
    if (self->by_end) {
        return place < batch->ended;
    }
    return place < batch->total && (!batch->tasks[place] || task_ended(batch->tasks[place]));
}

static bool results_over(const struct pool_wait *wait)
{
    const struct batch_wait *self = batch_wait_of(wait);
    return has_ended(self, self->from) || self->from >= self->batch->total;
}

static void show_results(struct text *body, const struct pool_wait *wait)
{
    const struct batch_wait *self = batch_wait_of(wait);
    const struct task_batch *batch = self->batch;
    size_t at = self->from, start = body->bytes;
    text_put(body, "{\"items\":[");
    for (; at - self->from < self->limit && has_ended(self, at) &&
           body->bytes - start < RESULTS_BYTES;
         at++) {
        text_json_comma(body);
        task_result_json(body, batch, self->by_end ? batch->order[at] : at);
    }
    text_put(body, "],\"next_after\":");
    /* Ends are counted from 1, as `place`; inputs from 0, as `index`. */
    at ? text_unsigned(body, self->by_end ? at : at - 1) : text_put(body, "null");
    text_put(body, ",\"unfinished\":");
    text_unsigned(body, batch->total - batch->ended);
    text_put(body, ",\"complete\":");
    text_json_bool(body, at >= batch->total);
    text_putc(body, '}');
}

static struct problem *read_cursor(struct request *request, struct batch_wait *self)
{
    const char *order = request_param(request, "order");
    const char *after = request_param(request, "after");
    uint64_t value = 0, limit = RESULTS_STANDARD;
    struct problem *problem = request_take_faults(request);
    if (order && strcmp(order, "input") != 0 && strcmp(order, "done") != 0) {
        param_refuse(&problem, "order", "must be input or done");
    }
    self->by_end = order && strcmp(order, "done") == 0;
    param_unsigned(&problem, "after", after, 0, PARAM_NUMBER_MAX, &value);
    param_unsigned(&problem, "limit", request_param(request, "limit"), 1, TASK_BATCH_MAX, &limit);
    self->from = after && !self->by_end ? (size_t)value + 1 : (size_t)value;
    self->limit = (size_t)limit;
    return problem;
}

void handle_get_results(struct request *request)
{
    struct pool *pool = request_pool(request);
    struct task_batch *batch = pool ? request_batch(request, pool) : NULL;
    struct batch_wait *self = batch ? wait_make(request, batch) : NULL;
    struct problem *problem = self ? read_cursor(request, self) : NULL;
    if (problem) {
        answer_problem(request, problem);
    } else if (self) {
        self->wait.over = results_over;
        self->wait.show = show_results;
        pool_wait_begin(&self->wait, request);
    }
}
