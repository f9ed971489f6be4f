/* Pools: close, terminate, join; and what their other handlers share, see pools.h. */
#include "api/pools.h"

#include <string.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "api/spawn_body.h"

#define MOST_SECONDS (366.0 * 86400)
#define MOST_TASKS 1e9

static const char *const modes[] = {"spawn", "stdio", NULL};

const struct field pool_fields[] = {
    {.name = "processes", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = POOL_PROCESSES_MAX},
    {.name = "min", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = POOL_PROCESSES_MAX},
    {.name = "spec", .type = FIELD_OBJECT, .required = true, .fields = spawn_fields},
    {.name = "mode", .type = FIELD_STRING | FIELD_NULL, .words = modes},
    {.name = "max_tasks", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = MOST_TASKS},
    {.name = "max_attempts", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = MOST_TASKS},
    {.name = "idle_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0, .max = MOST_SECONDS},
    {0}};

/* ---- from a request ---- */

struct pool *request_pool(struct request *request)
{
    return (struct pool *)request_object(request);
}

struct pool *request_pool_to_change(struct request *request)
{
    return request_can_store(request) ? request_pool(request) : NULL;
}

static void answer_missing(struct request *request, const struct pool *pool, const char *what)
{
    answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "there is no %s %.64s in %s", what,
                                         request_segment(request, 1, NULL), pool->object.resource));
}

struct task *request_task(struct request *request, struct pool *pool)
{
    size_t bytes;
    struct fact_id id;
    const char *text = request_segment(request, 1, &bytes);
    struct task *task = id_parse(text, bytes, 't', &id) ? pool_find_task(pool, &id) : NULL;
    if (!task) {
        answer_missing(request, pool, "task");
    }
    return task;
}

struct task_batch *request_batch(struct request *request, struct pool *pool)
{
    size_t bytes;
    struct fact_id id;
    const char *text = request_segment(request, 1, &bytes);
    struct task_batch *batch =
        id_parse(text, bytes, 'b', &id) ? pool_find_batch(pool, &id) : NULL;
    if (!batch) {
        answer_missing(request, pool, "batch");
    }
    return batch;
}

/* ---- waiting ---- */

static void answer_wait(struct claim_call *call)
{
    struct pool_wait *wait = (struct pool_wait *)call;
    answer_json(call->request, wait->status, &wait->body);
}

static void drop_answer(struct claim_call *call)
{
    text_free(&((struct pool_wait *)call)->body);
}

static void show(struct pool_wait *wait)
{
    wait->status = wait->over(wait) ? wait->status : wait->status_late;
    wait->show(&wait->body, wait);
}

/* Something has ended; perhaps not what this call waits for. */
static void ended(struct claim_call *call, enum claim_result result)
{
    struct pool_wait *wait = (struct pool_wait *)call;
    if (result == CLAIM_GRANTED && !wait->over(wait)) {
        claim_call_park(call, wait->list, &wait->pool->object, wait->deadline_us);
    } else if (result == CLAIM_GRANTED || result == CLAIM_TIMED_OUT) {
        show(wait);
        claim_call_stored(call);
    } else {
        answer_claim_failed(call, result);
    }
}

void pool_wait_begin(struct pool_wait *wait, struct request *request)
{
    wait->claim.owner = request_owner(request);
    wait->call = (struct claim_call){.claim = &wait->claim, .request = request, .ended = ended,
                                     .answer = answer_wait, .undo = drop_answer};
    if (!wait->over(wait) && wait->deadline_us) {
        claim_call_park(&wait->call, wait->list, &wait->pool->object, wait->deadline_us);
        return;
    }
    show(wait);
    respond_when_kept(request, wait->status, &wait->body);
}

/* ---- close, terminate, join ---- */

static void change(struct request *request, void (*act)(struct pool *pool))
{
    struct text body = {0};
    struct problem *problem = nothing_body_check(request_json(request));
    struct pool *pool = problem ? NULL : request_pool_to_change(request);
    if (problem) {
        answer_problem(request, problem);
    } else if (pool) {
        act(pool);
        object_json(&body, &pool->object);
        respond_when_stored(request, 200, &body);
    }
}

void handle_close_pool(struct request *request)
{
    change(request, pool_close);
}

void handle_terminate_pool(struct request *request)
{
    change(request, pool_terminate);
}

static bool pool_over(const struct pool_wait *wait)
{
    return pool_is_over(wait->pool);
}

static void show_pool(struct text *body, const struct pool_wait *wait)
{
    object_json(body, &wait->pool->object);
}

void handle_join_pool(struct request *request)
{
    struct pool *pool = request_pool(request);
    if (pool && pool->phase == POOL_OPEN) {
        answer_problem(request, problem_make(PROBLEM_NOT_CLOSED,
                                             "%s takes tasks: close or terminate it before joining",
                                             pool->object.resource));
        return;
    }
    struct pool_wait *wait = pool ? request_alloc(request, sizeof *wait) : NULL;
    if (wait) {
        *wait = (struct pool_wait){.pool = pool, .list = &pool->joiners, .over = pool_over,
                                   .show = show_pool, .status = 200, .status_late = 200,
                                   .deadline_us = request_patience(request, JOIN_STANDARD_US)};
        pool_wait_begin(wait, request);
    } else if (pool) {
        respond_no_memory(request);
    }
}
