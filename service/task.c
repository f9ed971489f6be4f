/* Tasks; see task.h. */
#include "service/task.h"

#include <stdlib.h>
#include <string.h>

#include "service/pool.h"
#include "service/service.h"

bool task_ended(const struct task *task)
{
    return task->state > TASK_RUNNING;
}

struct blob *blob_make(const void *data, size_t bytes)
{
    struct blob *blob = malloc(sizeof *blob + bytes + 1);
    if (blob) {
        blob->bytes = bytes;
        memcpy(blob->data, data, bytes);
        blob->data[bytes] = '\0';
    }
    return blob;
}

/* ---- one task ---- */

struct task *task_new(struct pool *pool, struct blob *payload, const char *content_type)
{
    struct task *task = calloc(1, sizeof *task);
    char *type = content_type ? strdup(content_type) : NULL;
    if (!task || (content_type && !type)) {
        free(task);
        free(type);
        free(payload);
        return NULL;
    }
    task->id = id_make();
    task->pool = pool;
    task->payload = payload;
    task->content_type = type;
    task->submitted_at_us = time_now_us();
    return task;
}

void task_free(struct task *task)
{
    if (task) {
        free(task->payload);
        free(task->content_type);
        free(task->result);
        free(task->former);
        free(task);
    }
}

/* Without memory for it, it is what is missing in the history. */
void task_remember_attempt(struct task *task)
{
    if (!task->former && !(task->former = calloc(1, sizeof *task->former))) {
        return;
    }
    struct task_attempts *former = task->former;
    if (former->count == TASK_ATTEMPTS) {
        memmove(former->items, former->items + 1, (TASK_ATTEMPTS - 1) * sizeof *former->items);
        former->count--;
    }
    former->items[former->count++] = task->last;
}

/* The newest in the history, or NULL. */
static const struct task_attempt *newest(const struct task *task)
{
    const struct task_attempts *former = task->former;
    return former && former->count ? &former->items[former->count - 1] : NULL;
}

bool task_remembers_last(const struct task *task)
{
    return newest(task) && newest(task)->number == task->last.number;
}

void task_begin_attempt(struct task *task, const struct fact_id *process)
{
    task->last = (struct task_attempt){
        .number = task->last.number + 1, .process = *process, .started_at_us = time_now_us()};
    task->fed = 0;
    task->unsure = false;
}

static size_t blob_bytes(const struct blob *blob)
{
    return blob ? blob->bytes : 0;
}

size_t task_bytes(const struct task *task)
{
    return TASK_BYTES + blob_bytes(task->payload) + blob_bytes(task->result) +
           (task->content_type ? strlen(task->content_type) : 0) +
           (task->former ? sizeof *task->former : 0);
}

void task_end_attempt(struct task *task, const struct task_outcome *outcome)
{
    task->last.ended_at_us = time_now_us();
    task->last.outcome = *outcome;
}

void task_undo_attempt(struct task *task)
{
    unsigned number = task->last.number;
    task->last = newest(task) ? *newest(task) : (struct task_attempt){0};
    task->last.number = number ? number - 1 : 0;
}

/* ---- batches ---- */

struct task_batch *task_batch_new(struct pool *pool, size_t total)
{
    struct task_batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        return NULL;
    }
    batch->id = id_make();
    batch->pool = pool;
    batch->total = total;
    batch->submitted_at_us = time_now_us();
    batch->tasks = calloc(total + 1, sizeof(struct task *));
    batch->order = calloc(total + 1, sizeof *batch->order);
    if (!batch->tasks || !batch->order) {
        task_batch_free(batch);
        return NULL;
    }
    return batch;
}

void task_batch_free(struct task_batch *batch)
{
    if (batch) {
        free(batch->tasks);
        free(batch->order);
        free(batch);
    }
}

bool task_batch_complete(const struct task_batch *batch)
{
    return batch->ended == batch->total;
}

void task_batch_ended(struct task_batch *batch, struct task *task)
{
    batch->order[batch->ended++] = task->index;
    task->place = batch->ended;
}

/* ---- the durable form ---- */

void task_touch(struct task *task, bool changed)
{
    struct service *service = task->pool->object.service;
    if (!task->dirty) {
        task->next_dirty = service->tasks.dirty;
        service->tasks.dirty = task;
        recorder_batch(service->recorder);
    }
    if (changed || !task->dirty) {
        task->dirty = changed ? TASK_CHANGED : TASK_MARKED;
    }
    if (changed) {
        recorder_urgent(service->recorder);
    }
}

void task_mark_of(const struct task *task, struct task_mark *out)
{
    *out = (struct task_mark){
        .num = task->num, .state = (int)task->state, .attempts = task->last.number,
        .worker = task->worker ? task->worker->process->num : 0, .turn = task->turn,
        .fed = task->unsure ? -1 - task->fed : task->fed,
        .started_at_us = task->last.started_at_us};
    memcpy(out->process, task->last.process.bytes, sizeof out->process);
}

static void fill_row(const struct task *task, struct task_row *row, struct text *history)
{
    const struct task_outcome *outcome = &task->outcome;
    *row = (struct task_row){
        .pool = task->pool->object.num, .batch = task->batch ? task->batch->num : 0,
        .index = (int64_t)task->index, .place = task->place,
        .submitted_at_us = task->submitted_at_us, .finished_at_us = task->finished_at_us,
        .error = (int)outcome->error, .reason = (int)outcome->reason,
        .exitcode_known = outcome->exitcode_known, .exitcode = outcome->exitcode,
        .error_number = outcome->error_number, .stage = outcome->stage,
        .content_type = task->content_type,
        .payload = task->payload ? task->payload->data : NULL,
        .payload_bytes = task->payload ? task->payload->bytes : 0,
        .result = task->result ? task->result->data : NULL,
        .result_bytes = task->result ? task->result->bytes : 0};
    task_mark_of(task, &row->mark);
    memcpy(row->id, task->id.bytes, sizeof row->id);
    if (task->former) {
        task_history_write(history, task);
        row->history = history->data;
    }
}

static void must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a task's row");
    }
}

void task_insert(struct task *task)
{
    struct text history = {0};
    struct task_row row;
    fill_row(task, &row, &history);
    must(!history.failed &&
         task_row_insert(recorder_batch(task->pool->object.service->recorder), &row));
    text_free(&history);
}

static void store(struct batch *batch, struct task *task)
{
    struct text history = {0};
    struct task_row row;
    if (task->dirty == TASK_MARKED) {
        struct task_mark mark;
        task_mark_of(task, &mark);
        must(task_row_mark(batch, &mark));
    } else {
        fill_row(task, &row, &history);
        must(!history.failed && task_row_update(batch, &row));
        text_free(&history);
    }
    task->dirty = TASK_CLEAN;
}

void tasks_store_dirty(struct service *service)
{
    while (service->tasks.dirty) {
        struct task *task = service->tasks.dirty;
        service->tasks.dirty = task->next_dirty;
        store(recorder_batch(service->recorder), task);
    }
}

void task_forget_dirty(struct task *task)
{
    struct task **at = &task->pool->object.service->tasks.dirty;
    while (task->dirty && *at != task) {
        at = &(*at)->next_dirty;
    }
    if (task->dirty) {
        *at = task->next_dirty;
        task->dirty = TASK_CLEAN;
    }
}

static bool contents_from_row(struct task *task, const struct task_row *row)
{
    task->payload = row->payload ? blob_make(row->payload, row->payload_bytes) : NULL;
    task->result = row->result ? blob_make(row->result, row->result_bytes) : NULL;
    task->content_type = row->content_type ? strdup(row->content_type) : NULL;
    return (task->payload || !row->payload) && (task->result || !row->result) &&
           (task->content_type || !row->content_type) && task_history_read(row->history, task);
}

/* While it waits to be tried again the history has it, and behind an end that was not its own. */
static void last_from_row(struct task *task, const struct task_row *row)
{
    task->last = (struct task_attempt){
        .number = row->mark.attempts, .started_at_us = row->mark.started_at_us,
        .ended_at_us = row->finished_at_us, .outcome = task->outcome};
    memcpy(task->last.process.bytes, row->mark.process, sizeof row->mark.process);
    if (task_remembers_last(task)) {
        task->last = *newest(task);
    }
}

struct task *task_from_row(const struct task_row *row)
{
    struct task *task = calloc(1, sizeof *task);
    if (!task || !contents_from_row(task, row)) {
        task_free(task);
        return NULL;
    }
    task->num = row->mark.num;
    task->state = (enum task_state)row->mark.state;
    task->index = (size_t)row->index;
    task->place = (size_t)row->place;
    task->submitted_at_us = row->submitted_at_us;
    task->finished_at_us = row->finished_at_us;
    task->worker_num = row->mark.worker;
    task->turn = row->mark.turn;
    task->unsure = row->mark.fed < 0;
    task->fed = task->unsure ? -1 - row->mark.fed : row->mark.fed;
    task->outcome = (struct task_outcome){
        .error = (enum task_error)row->error, .reason = (enum exit_reason)row->reason,
        .exitcode_known = row->exitcode_known, .exitcode = row->exitcode,
        .error_number = row->error_number, .stage = row->stage};
    memcpy(task->id.bytes, row->id, sizeof row->id);
    last_from_row(task, row);
    return task;
}
