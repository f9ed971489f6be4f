/* How long tasks that have ended are kept for their results; see task.h. */
#include <stddef.h>

#include "service/pool_internal.h"

#define SLICE 1000u                    /* dropped at once: some milliseconds */

void pool_task_finished(struct task *task)
{
    struct task_table *table = &task->pool->object.service->tasks;
    task->previous_finished = table->last_finished;
    *(table->last_finished ? &table->last_finished->next_finished : &table->first_finished) = task;
    table->last_finished = task;
    table->finished++;
}

void pool_task_unfinished(struct task *task)
{
    struct task_table *table = &task->pool->object.service->tasks;
    *(task->previous_finished ? &task->previous_finished->next_finished : &table->first_finished) =
        task->next_finished;
    *(task->next_finished ? &task->next_finished->previous_finished : &table->last_finished) =
        task->previous_finished;
    table->finished--;
}

static void must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a task's end");
    }
}

/* A batch of which nothing is left goes too. */
static void leave_batch(struct task_batch *batch, const struct task *task)
{
    batch->tasks[task->index] = NULL;
    batch->counts[task->state]--;
    batch->dropped++;
    if (batch->dropped == batch->total) {
        struct service *service = batch->pool->object.service;
        must(task_batch_row_delete(recorder_batch(service->recorder), batch->num));
        claims_finish_all(&batch->waiters, CLAIM_DELETED);
        pool_batch_leave(batch);
        task_batch_free(batch);
    }
}

static void drop(struct task *task)
{
    struct pool *pool = task->pool;
    struct service *service = pool->object.service;
    must(task_row_delete(recorder_batch(service->recorder), task->num));
    task_forget_dirty(task);
    recorder_forget(service->recorder, &task->after);
    pool_task_unfinished(task);
    id_map_remove(&pool->by_id, &task->id);
    *(task->previous ? &task->previous->next : &pool->first) = task->next;
    *(task->next ? &task->next->previous : &pool->last) = task->previous;
    pool->counts[task->state]--;
    service->tasks.bytes -= task->result ? task->result->bytes : 0;
    if (task->batch) {
        leave_batch(task->batch, task);
    }
    task_free(task);
}

bool pool_make_room(struct service *service, size_t bytes)
{
    struct task_table *table = &service->tasks;
    uint64_t most = service->config->pools_max_total_bytes;
    while (table->bytes + bytes > most && table->first_finished && bytes <= most) {
        drop(table->first_finished);
    }
    return table->bytes + bytes <= most;
}

static bool is_over(const struct service *service, const struct task *task, int64_t now_us)
{
    return service->tasks.finished > service->config->pools_keep_tasks ||
           now_us - task->finished_at_us > service->config->pools_keep_us;
}

void pools_drop_old(struct service *service)
{
    int64_t now_us = time_now_us();
    for (unsigned i = 0; i < SLICE; i++) {
        struct task *oldest = service->tasks.first_finished;
        if (!oldest || !is_over(service, oldest, now_us)) {
            return;
        }
        drop(oldest);
    }
}
