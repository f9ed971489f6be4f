/* Pools at the start: tasks, batches and workers come back, and go on; see pool.h. */
#include <stdlib.h>
#include <string.h>

#include "service/pool_internal.h"

struct loading {
    struct service *service;
    struct db *db;
    struct pool *pool;                 /* of the last row */
    bool failed;
};

static struct pool *find_pool(struct loading *loading, int64_t num)
{
    struct object *at = loading->pool ? &loading->pool->object : NULL;
    if (!at || at->num != num) {
        at = loading->service->objects.first[OBJECT_POOL];
    }
    while (at && at->num != num) {
        at = at->next;
    }
    return (struct pool *)at;
}

/* ---- batches ---- */

static bool load_batch(void *context, const struct task_batch_row *row)
{
    struct loading *loading = context;
    loading->pool = find_pool(loading, row->pool);
    if (!loading->pool || row->total < 1 || row->total > TASK_BATCH_MAX) {
        return true;
    }
    struct task_batch *batch = task_batch_new(loading->pool, (size_t)row->total);
    if (!batch) {
        loading->failed = true;
        return false;
    }
    memcpy(batch->id.bytes, row->id, sizeof row->id);
    batch->num = row->num;
    batch->submitted_at_us = row->submitted_at_us;
    for (size_t i = 0; i < batch->total; i++) {
        batch->order[i] = SIZE_MAX;
    }
    id_not_before(&batch->id);
    loading->service->tasks.last_batch_num = row->num;
    if (!pool_batch_enter(loading->pool, batch)) {
        task_batch_free(batch);
        loading->failed = true;
    }
    return !loading->failed;
}

/* Batches and their tasks come in the same order, so that of a pool's last row is never far. */
static struct task_batch *find_batch(struct pool *pool, int64_t num)
{
    struct task_batch *at = pool->loading ? pool->loading : pool->first_batch;
    while (at && at->num < num && at->next) {
        at = at->next;
    }
    pool->loading = at;
    return at && at->num == num ? at : NULL;
}

/* What has no row any more was dropped, which happens to the oldest ends first. */
static void settle_batch(struct task_batch *batch)
{
    size_t at = 0;
    for (size_t index = 0; index < batch->total; index++) {
        if (batch->tasks[index]) {
            continue;
        }
        while (at < batch->total && batch->order[at] != SIZE_MAX) {
            at++;
        }
        batch->order[at++] = index;
        batch->dropped++;
        batch->ended++;
    }
}

/* ---- tasks ---- */

static void take_place(struct task_batch *batch, const struct task *task)
{
    if (task_ended(task) && task->place && task->place <= batch->total) {
        batch->order[task->place - 1] = task->index;
        batch->ended++;
    }
}

static bool enter(struct loading *loading, struct task *task)
{
    struct pool *pool = loading->pool;
    if (!pool_task_enter(pool, task)) {
        return false;
    }
    id_not_before(&task->id);
    loading->service->tasks.last_num = task->num;
    if (task->batch) {
        take_place(task->batch, task);
    }
    if (task_ended(task)) {
        pool_kept_add(task);
    } else if (task->state == TASK_QUEUED) {
        pool_task_wait(task);
    }
    return true;
}

static bool load_task(void *context, const struct task_row *row)
{
    struct loading *loading = context;
    loading->pool = find_pool(loading, row->pool);
    if (!loading->pool || row->mark.state < 0 || row->mark.state >= TASK_STATES) {
        return true;
    }
    struct task_batch *batch = row->batch ? find_batch(loading->pool, row->batch) : NULL;
    struct task *task = task_from_row(row);
    if (task && batch && task->index < batch->total) {
        task->batch = batch;
    }
    if (!task || !enter(loading, task)) {
        task_free(task);
        loading->failed = true;
    }
    return !loading->failed;
}

/* ---- workers ---- */

static bool load_worker_row(void *context, const struct pool_worker_row *row)
{
    struct loading *loading = context;
    struct process *process =
        process_table_find_num(&loading->service->processes, row->process);
    if (process && process->worker) {
        process->worker->line_start = row->line_start;
        process->worker->served = row->served;
        process->worker->turn = row->turn;
        process->worker->retiring = row->retiring;
    }
    return true;
}

static bool make_workers(struct service *service)
{
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        struct pool *pool = p->pool_num ? pool_of_process(p) : NULL;
        struct pool_worker *worker = pool ? pool_worker_make(pool, p) : NULL;
        if (pool && !worker) {
            return false;
        }
        if (worker) {
            worker->ready = true;
            worker->seen = p->stdout_bytes;
        }
    }
    return true;
}

static bool take_output(void *context, const struct log_record *record)
{
    struct pool_worker *worker = context;
    text_add(&worker->open, record->data, record->bytes);
    return true;
}

/* What it has written and nobody has taken yet is in its log, as far as the facts that are applied. Each answer
   is at least one record. False: no memory, or the log cannot be read. */
static bool load_output(struct db *db, struct pool_worker *worker)
{
    struct log_result result;
    struct db_error error = {0};
    uint64_t open = worker->seen - worker->line_start;
    struct log_query query = {.process = worker->process->num, .streams = 1u << LOG_STDOUT,
                              .raw = true, .begun = true, .after = worker->served,
                              .raw_stdout = worker->line_start, .max_bytes = (size_t)open};
    if (worker->seen <= worker->line_start) {
        return true;
    }
    if (open > worker->pool->object.service->config->max_payload_bytes) {
        worker->too_large = true;
        return true;
    }
    if (log_read(db, &query, take_output, worker, &result, &error)) {
        return false;
    }
    worker->damaged = worker->open.bytes != open;
    pool_worker_count_open(worker);
    return !worker->open.failed;
}

static bool load_outputs(struct service *service, struct db *db)
{
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p->worker && !load_output(db, p->worker)) {
            return false;
        }
    }
    return true;
}

/* In the order in which they were given. */
static void assign(struct pool_worker *worker, struct task *task)
{
    struct task **at = &worker->first;
    while (*at && (*at)->turn <= task->turn) {
        at = &(*at)->next_assigned;
    }
    task->worker = worker;
    task->next_assigned = *at;
    *at = task;
    worker->last = task->next_assigned ? worker->last : task;
    worker->turn = worker->turn > task->turn ? worker->turn : task->turn + 1;
}

static void assign_all(struct service *service)
{
    for (struct object *at = service->objects.first[OBJECT_POOL]; at; at = at->next) {
        struct pool *pool = (struct pool *)at;
        for (struct task *task = pool->first; task; task = task->next) {
            struct process *process =
                task->state == TASK_RUNNING
                    ? process_table_find_num(&service->processes, task->worker_num)
                    : NULL;
            if (process && process->worker) {
                assign(process->worker, task);
            }
        }
        for (struct task_batch *batch = pool->first_batch; batch; batch = batch->next) {
            settle_batch(batch);
        }
        pool->loading = NULL;
    }
}

struct problem *pools_load(struct service *service, struct db *db)
{
    struct loading loading = {.service = service, .db = db};
    struct db_error error = {0};
    if (task_batch_rows_load(db, load_batch, &loading, &error) ||
        (!loading.failed && task_rows_load(db, load_task, &loading, &error)) ||
        (!loading.failed && make_workers(service) &&
         pool_worker_rows_load(db, load_worker_row, &loading, &error))) {
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    if (loading.failed || !pool_kept_sort(service) || !load_outputs(service, db)) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "the tasks cannot be loaded");
    }
    assign_all(service);
    return NULL;
}

/* ---- going on ---- */

/* Its process is not there any more, and nobody has seen it end with the task. */
static void fail_lost(struct pool *pool)
{
    static const struct task_outcome lost = {.error = TASK_PROCESS_ENDED,
                                             .reason = REASON_KEEPER_LOST};
    for (struct task *at = pool->first, *next; at; at = next) {
        next = at->next;
        if (at->state == TASK_RUNNING && !at->worker) {
            pool_task_failed(at, &lost);
        }
    }
}

static void resume(struct pool *pool)
{
    for (struct pool_worker *at = pool->first_worker; at; at = at->next) {
        if (pool->phase == POOL_TERMINATED) {
            pool_worker_stop(at, 0);
        } else if (pool->mode == POOL_STDIO) {
            pool_feed_resume(at);
        }
    }
    fail_lost(pool);
    if (pool->phase == POOL_TERMINATED) {
        pool_cancel_waiting(pool);
    }
    pool_work_soon(pool);
}

void pools_resume(struct service *service)
{
    service->pools_open = true;
    for (struct object *at = service->objects.first[OBJECT_POOL]; at; at = at->next) {
        resume((struct pool *)at);
    }
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p->pool_num && !p->worker) {
            pool_stop_orphan(p);
        }
    }
}
