/* Pools: tasks wait, are given out, and end; see pool.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/pool_internal.h"

#define RETRY_US 100000                /* the second retry waits so long, each further one twice as long */
#define RETRY_MOST_US 30000000

static const struct task_outcome terminated = {.error = TASK_TERMINATED};

/* ---- counting ---- */

size_t pool_unfinished(const struct pool *pool)
{
    return pool->counts[TASK_QUEUED] + pool->counts[TASK_RUNNING];
}

bool pool_is_over(const struct pool *pool)
{
    return pool->phase != POOL_OPEN && pool_unfinished(pool) == 0 && pool->worker_count == 0;
}

void pool_set_state(struct task *task, enum task_state state)
{
    struct task_batch *batch = task->batch;
    task->pool->counts[task->state]--;
    task->pool->counts[state]++;
    if (batch) {
        batch->counts[task->state]--;
        batch->counts[state]++;
    }
    task->state = state;
}

struct task *pool_find_task(const struct pool *pool, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&pool->by_id, id);
    return found ? (struct task *)((char *)found - offsetof(struct task, id)) : NULL;
}

struct task_batch *pool_find_batch(const struct pool *pool, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&pool->batches_by_id, id);
    return found ? (struct task_batch *)((char *)found - offsetof(struct task_batch, id)) : NULL;
}

/* In the memory of all pools: when what it has has changed, or (0) it goes. */
static void count_bytes(struct task *task, size_t bytes)
{
    task->pool->object.service->tasks.bytes += bytes - task->counted;
    task->counted = bytes;
}

/* ---- lists ---- */

bool pool_task_enter(struct pool *pool, struct task *task)
{
    if (!id_map_add(&pool->by_id, &task->id)) {
        return false;
    }
    task->pool = pool;
    task->previous = pool->last;
    *(pool->last ? &pool->last->next : &pool->first) = task;
    pool->last = task;
    pool->counts[task->state]++;
    if (task->batch) {
        task->batch->counts[task->state]++;
        task->batch->tasks[task->index] = task;
    }
    count_bytes(task, task_bytes(task));
    return true;
}

void pool_task_forget(struct task *task)
{
    struct service *service = task->pool->object.service;
    recorder_forget(service->recorder, &task->after);
    timer_cancel(service->loop, &task->again);
    task_forget_dirty(task);
    count_bytes(task, 0);
    if (task_ended(task)) {
        pool_kept_remove(task);
    }
}

void pool_task_leave(struct task *task)
{
    struct pool *pool = task->pool;
    pool_task_forget(task);
    pool_queue_remove(task);
    id_map_remove(&pool->by_id, &task->id);
    *(task->previous ? &task->previous->next : &pool->first) = task->next;
    *(task->next ? &task->next->previous : &pool->last) = task->previous;
    pool->counts[task->state]--;
    if (task->batch) {
        task->batch->counts[task->state]--;
        task->batch->tasks[task->index] = NULL;
    }
}

bool pool_batch_enter(struct pool *pool, struct task_batch *batch)
{
    if (!id_map_add(&pool->batches_by_id, &batch->id)) {
        return false;
    }
    batch->previous = pool->last_batch;
    *(pool->last_batch ? &pool->last_batch->next : &pool->first_batch) = batch;
    pool->last_batch = batch;
    return true;
}

void pool_batch_leave(struct task_batch *batch)
{
    struct pool *pool = batch->pool;
    id_map_remove(&pool->batches_by_id, &batch->id);
    *(batch->previous ? &batch->previous->next : &pool->first_batch) = batch->next;
    *(batch->next ? &batch->next->previous : &pool->last_batch) = batch->previous;
}

/* ---- the queue ---- */

/* Nearly always the last; one that is tried again is older than nearly all that wait. */
void pool_queue_add(struct pool *pool, struct task *task)
{
    bool last = pool->last_queued && pool->last_queued->num < task->num;
    struct task *behind = last ? NULL : pool->first_queued;
    while (behind && behind->num < task->num) {
        behind = behind->next_queued;
    }
    task->queued = true;
    task->next_queued = behind;
    task->previous_queued = behind ? behind->previous_queued : pool->last_queued;
    *(task->previous_queued ? &task->previous_queued->next_queued : &pool->first_queued) = task;
    *(behind ? &behind->previous_queued : &pool->last_queued) = task;
    pool_work_soon(pool);
}

void pool_queue_remove(struct task *task)
{
    struct pool *pool = task->pool;
    if (!task->queued) {
        return;
    }
    task->queued = false;
    *(task->previous_queued ? &task->previous_queued->next_queued : &pool->first_queued) =
        task->next_queued;
    *(task->next_queued ? &task->next_queued->previous_queued : &pool->last_queued) =
        task->previous_queued;
    task->next_queued = task->previous_queued = NULL;
}

struct task *pool_queue_take(struct pool *pool)
{
    struct task *task = pool->first_queued;
    if (task) {
        pool_queue_remove(task);
    }
    return task;
}

/* ---- the end of a task ---- */

static void tell_joiners(struct pool *pool)
{
    if (pool_is_over(pool)) {
        claims_finish_all(&pool->joiners, CLAIM_GRANTED);
    }
}

void pool_task_ended(struct task *task, enum task_state state, const struct task_outcome *outcome,
                     struct blob *result)
{
    struct pool *pool = task->pool;
    struct service *service = pool->object.service;
    pool_queue_remove(task);
    timer_cancel(service->loop, &task->again);
    task->worker = NULL;
    task->outcome = *outcome;
    task->finished_at_us = time_now_us();
    free(task->payload);
    task->payload = NULL;
    task->result = result;
    count_bytes(task, task_bytes(task));
    pool_set_state(task, state);
    pool->ended_totals[state]++;
    if (task->batch) {
        task_batch_ended(task->batch, task);
    }
    task_touch(task, true);
    object_count(&pool->object);
    pool_kept_add(task);
    claims_finish_all(&task->waiters, CLAIM_GRANTED);
    object_ready(&pool->object);       /* who waits for several may wait for this task, or for the pool */
    if (task->batch) {
        claims_finish_all(&task->batch->waiters, CLAIM_GRANTED);
    }
    tell_joiners(pool);
}

/* ---- waiting, the first time or again ---- */

static void try_again(struct timer *timer)
{
    struct task *task = (struct task *)((char *)timer - offsetof(struct task, again));
    pool_queue_add(task->pool, task);
}

/* The first retry is at once. */
static int64_t retry_delay(const struct task *task)
{
    int64_t delay_us = task->last.number < 2 ? 0 : RETRY_US;
    for (unsigned n = task->last.number; n > 2 && delay_us < RETRY_MOST_US; n--) {
        delay_us *= 2;
    }
    return delay_us < RETRY_MOST_US ? delay_us : RETRY_MOST_US;
}

void pool_task_wait(struct task *task)
{
    struct pool *pool = task->pool;
    int64_t delay_us = retry_delay(task);
    int64_t left_us = task->last.ended_at_us + delay_us - time_now_us();
    left_us = left_us < delay_us ? left_us : delay_us; /* the clock may have been set */
    task->again.due = try_again;
    if (left_us <= 0 ||
        !timer_set(pool->object.service->loop, &task->again, time_monotonic_us() + left_us)) {
        pool_queue_add(pool, task);
    }
}

static void task_stored(struct after_commit *after)
{
    struct task *task = (struct task *)((char *)after - offsetof(struct task, after));
    if (task->state == TASK_QUEUED) {
        pool_task_wait(task);
    }
}

void pool_task_wait_stored(struct task *task)
{
    task->after.run = task_stored;
    recorder_after(task->pool->object.service->recorder, &task->after);
}

void pool_task_back(struct task *task)
{
    if (task->pool->phase == POOL_TERMINATED) {
        pool_task_ended(task, TASK_CANCELLED, &terminated, NULL);
        return;
    }
    task->worker = NULL;
    pool_set_state(task, TASK_QUEUED);
    task_touch(task, true);
    pool_task_wait_stored(task);
}

void pool_task_failed(struct task *task, const struct task_outcome *outcome)
{
    const struct pool *pool = task->pool;
    task_end_attempt(task, outcome);
    if (pool->phase == POOL_TERMINATED) {
        pool_task_ended(task, TASK_CANCELLED, outcome, NULL);
    } else if (pool->max_attempts && task->last.number >= (unsigned)pool->max_attempts) {
        pool_task_ended(task, TASK_FAILED, outcome, NULL);
    } else {
        task_remember_attempt(task);
        count_bytes(task, task_bytes(task));
        pool_task_back(task);
    }
}

/* ---- close and terminate ---- */

void pool_close(struct pool *pool)
{
    if (pool->phase == POOL_OPEN) {
        pool->phase = POOL_CLOSED;
        object_touch(&pool->object);
        service_change(pool->object.service, "pool.closed", pool->object.name, NULL);
        pool_work_soon(pool);
    }
}

void pool_cancel_waiting(struct pool *pool)
{
    struct task *task, *next;
    for (task = pool->first; task; task = next) {
        next = task->next;
        if (task->state == TASK_QUEUED) {
            pool_task_ended(task, TASK_CANCELLED, &terminated, NULL);
        }
    }
}

void pool_terminate(struct pool *pool)
{
    if (pool->phase == POOL_TERMINATED) {
        return;
    }
    pool->phase = POOL_TERMINATED;
    object_touch(&pool->object);
    service_change(pool->object.service, "pool.terminated", pool->object.name, NULL);
    pool_cancel_waiting(pool);
    for (struct pool_worker *at = pool->first_worker; at; at = at->next) {
        pool_worker_stop(at, 0);
    }
    pool_work_soon(pool);
}

/* ---- work ---- */

static bool may_start(const struct pool *pool)
{
    return !pool->again.place && !pool->object.service->shutting_down &&
           pool->phase != POOL_TERMINATED && pool->worker_count < (size_t)pool->processes;
}

static void start_tasks(struct pool *pool)
{
    while (pool->first_queued && may_start(pool)) {
        pool_worker_start(pool, pool_queue_take(pool));
    }
}

static void give_tasks(struct pool *pool)
{
    struct pool_worker *worker = pool->first_worker;
    for (; worker && pool->first_queued; worker = worker->next) {
        if (pool_worker_idle(worker)) {
            pool_worker_give(worker, pool_queue_take(pool));
        }
    }
}

/* So many as have something to do, but the minimum at least while more may come. */
static size_t wanted_workers(const struct pool *pool)
{
    size_t wanted = 0;
    for (const struct task *at = pool->first_queued; at && wanted < (size_t)pool->processes;
         at = at->next_queued) {
        wanted++;
    }
    for (const struct pool_worker *at = pool->first_worker; at; at = at->next) {
        wanted += at->first != NULL || at->retiring || at->stopping;
    }
    if (pool->phase == POOL_OPEN && wanted < (size_t)pool->min_processes) {
        wanted = (size_t)pool->min_processes;
    }
    return wanted < (size_t)pool->processes ? wanted : (size_t)pool->processes;
}

static void start_workers(struct pool *pool)
{
    size_t wanted = wanted_workers(pool);
    while (pool->worker_count < wanted && may_start(pool) && pool_worker_start(pool, NULL)) {
    }
}

/* When nothing can come any more, who waits for it goes. */
static void retire_workers(struct pool *pool)
{
    if (pool->phase == POOL_OPEN || pool_unfinished(pool)) {
        return;
    }
    for (struct pool_worker *at = pool->first_worker; at; at = at->next) {
        if (pool_worker_idle(at)) {
            pool_worker_retire(at);
        }
    }
}

static void work(struct deferred *deferred)
{
    struct pool *pool = (struct pool *)((char *)deferred - offsetof(struct pool, work));
    if (pool->object.deleted || !pool->object.service->pools_open) {
        return;
    }
    pool_make_room(pool->object.service, 0); /* results have come */
    if (pool->mode == POOL_SPAWN) {
        start_tasks(pool);
    } else {
        give_tasks(pool);
        start_workers(pool);
        retire_workers(pool);
    }
    tell_joiners(pool);
}

void pool_work_soon(struct pool *pool)
{
    pool->work.run = work;
    loop_defer(pool->object.service->loop, &pool->work);
}
