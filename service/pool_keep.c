/* How long tasks that have ended are kept for their results; see task.h. */
#include <stdlib.h>

#include "service/pool_internal.h"

#define SLICE 1000u                    /* dropped at once: some milliseconds */

void pool_kept_add(struct task *task)
{
    struct task_table *table = &task->pool->object.service->tasks;
    task->previous_kept = table->last_kept;
    *(table->last_kept ? &table->last_kept->next_kept : &table->first_kept) = task;
    table->last_kept = task;
    table->kept++;
}

void pool_kept_remove(struct task *task)
{
    struct task_table *table = &task->pool->object.service->tasks;
    *(task->previous_kept ? &task->previous_kept->next_kept : &table->first_kept) =
        task->next_kept;
    *(task->next_kept ? &task->next_kept->previous_kept : &table->last_kept) =
        task->previous_kept;
    table->kept--;
}

static int by_end(const void *left, const void *right)
{
    const struct task *a = *(struct task *const *)left, *b = *(struct task *const *)right;
    int order = (a->finished_at_us > b->finished_at_us) - (a->finished_at_us < b->finished_at_us);
    return order ? order : (a->num > b->num) - (a->num < b->num);
}

bool pool_kept_sort(struct service *service)
{
    struct task_table *table = &service->tasks;
    size_t count = table->kept, at = 0;
    struct task **tasks = calloc(count + 1, sizeof(struct task *));
    if (!tasks) {
        return false;
    }
    while (at < count) {
        tasks[at++] = table->first_kept;
        pool_kept_remove(table->first_kept);
    }
    qsort(tasks, count, sizeof(struct task *), by_end);
    for (at = 0; at < count; at++) {
        pool_kept_add(tasks[at]);
    }
    free(tasks);
    return true;
}

static void must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a task's end");
    }
}

/* A batch of which nothing is left goes too. */
static void drop_from_batch(struct task_batch *batch)
{
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
    struct service *service = task->pool->object.service;
    must(task_row_delete(recorder_batch(service->recorder), task->num));
    pool_task_leave(task);
    if (task->batch) {
        drop_from_batch(task->batch);
    }
    task_free(task);
}

bool pool_make_room(struct service *service, size_t bytes)
{
    struct task_table *table = &service->tasks;
    uint64_t most = service->config->pools_max_total_bytes;
    while (table->bytes + bytes > most && table->first_kept && bytes <= most) {
        drop(table->first_kept);
    }
    return table->bytes + bytes <= most;
}

static bool is_over(const struct service *service, const struct task *task, int64_t now_us)
{
    return service->tasks.kept > service->config->pools_keep_tasks ||
           now_us - task->finished_at_us > service->config->pools_keep_us;
}

void pools_drop_old(struct service *service)
{
    int64_t now_us = time_now_us();
    for (unsigned i = 0; i < SLICE; i++) {
        struct task *oldest = service->tasks.first_kept;
        if (!oldest || !is_over(service, oldest, now_us)) {
            return;
        }
        drop(oldest);
    }
}
