/*
 * Tasks of a pool: given (apply, apply_async), looked at, waited for, listed.
 */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/page.h"
#include "api/param_value.h"
#include "api/payload.h"
#include "api/pools.h"

struct task_wait {
    struct pool_wait wait;
    struct task *task;                 /* good while the call waits: what ends it ends the wait */
};

static const struct task *task_of(const struct pool_wait *wait)
{
    return ((const struct task_wait *)wait)->task;
}

static bool over(const struct pool_wait *wait)
{
    return task_ended(task_of(wait));
}

static void show(struct text *body, const struct pool_wait *wait)
{
    task_json(body, task_of(wait));
}

static void wait_for(struct request *request, struct task *task, int status_late)
{
    struct task_wait *self = request_alloc(request, sizeof *self);
    if (!self) {
        respond_no_memory(request);
        return;
    }
    self->task = task;
    self->wait = (struct pool_wait){.pool = task->pool, .list = &task->waiters, .over = over,
                                    .show = show, .status = 200, .status_late = status_late,
                                    .deadline_us = request_patience(request, 0)};
    pool_wait_begin(&self->wait, request);
}

/* ---- one is given ---- */

/* Stored with the task itself: when the server dies before a call that waits has its answer, which takes the place
   of this one, a repeat gets what was promised, that the task is there. */
static void keep_promise(struct request *request, const struct task *task, const char *location)
{
    const struct answer_key *key = idempotency_key(request);
    struct text body = {0};
    if (!key) {
        return;
    }
    task_json(&body, task);
    struct answer_row row = {.principal = key->principal, .key = key->key,
                             .request_hash = key->request_hash, .at_us = time_now_us(),
                             .status = 202, .location = location,
                             .content_type = "application/json", .body = body.data,
                             .body_bytes = body.bytes};
    if (body.failed ||
        !answer_insert(recorder_batch(request_app(request)->service.recorder), &row)) {
        recorder_fatal("out of memory for a stored answer");
    }
    text_free(&body);
}

static void respond_given(struct request *request, struct task *task)
{
    char location[OBJECT_NAME_BYTES + 80], id[ID_TEXT_BYTES];
    struct text body = {0};
    id_format(&task->id, 't', id);
    snprintf(location, sizeof location, "/v1/%s/tasks/%s", task->pool->object.resource, id);
    answer_header(request, "Location", location);
    if (request_patience(request, 0)) {
        keep_promise(request, task, location);
        wait_for(request, task, 202);
        return;
    }
    task_json(&body, task);
    respond_when_stored(request, 202, &body);
}

void handle_submit_task(struct request *request)
{
    struct message_content content = {.content_type = request_header(request, "Content-Type")};
    struct pool_payload payload = {.content_type = content.content_type};
    struct task *task = NULL;
    content.body = request_body(request, &content.body_bytes);
    struct problem *problem = payload_check(request, &content);
    struct pool *pool = problem ? NULL : request_pool_to_change(request);
    if (!problem && !pool) {
        return;
    }
    if (!problem) {
        payload.data = pool_payload_make(pool, content.content_type, content.body,
                                         content.body_bytes, &problem);
    }
    if (!problem) {
        problem = pool_submit(pool, payload, &task);
    }
    if (problem) {
        answer_problem(request, problem);
    } else {
        respond_given(request, task);
    }
}

/* ---- looking ---- */

void handle_get_task(struct request *request)
{
    struct pool *pool = request_pool(request);
    struct task *task = pool ? request_task(request, pool) : NULL;
    if (task) {
        wait_for(request, task, 200);
    }
}

/* Bits 1 << enum task_state. */
static unsigned read_states(const struct request *request, struct problem **problem)
{
    const char *at = request_param(request, "state"), *item;
    unsigned states = 0;
    size_t bytes;
    if (!at) {
        return ~0u;
    }
    while ((item = param_list_next(&at, &bytes))) {
        enum task_state state;
        if (task_state_from_name(item, bytes, &state)) {
            states |= 1u << state;
        } else {
            param_refuse(problem, "state",
                         "must be of queued, running, done, failed, buried, cancelled");
            return 0;
        }
    }
    return states;
}

void handle_list_tasks(struct request *request)
{
    struct problem *problem = request_take_faults(request);
    unsigned states = read_states(request, &problem);
    struct pool *pool = problem ? NULL : request_pool(request);
    struct fact_id last = {{0}};
    struct text body = {0};
    struct page page;
    if (!problem && !pool) {
        return;
    }
    if (!problem) {
        uint64_t hash = page_hash(PAGE_HASH_START, &states, sizeof states);
        hash = page_hash(hash, pool->object.name, strlen(pool->object.name));
        problem = page_from_request(request, hash, &page);
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    const struct task *at = pool->first;
    text_put(&body, "{\"items\":[");
    for (size_t shown = 0; at && shown < page.limit; at = at->next) {
        if ((states >> at->state & 1u) &&
            (!page.goes_on || memcmp(&at->id, &page.after, sizeof at->id) > 0)) {
            text_json_comma(&body);
            task_json(&body, at);
            last = at->id;
            shown++;
        }
    }
    page_end(&body, &page, at ? &last : NULL);
    respond_when_kept(request, 200, &body);
}
