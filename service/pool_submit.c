/* Tasks come into a pool: their payloads, checked and formed, and their rows; see pool.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/json_valid.h"
#include "service/message.h"
#include "service/pool_internal.h"

/* ---- payloads ---- */

/* Between the tokens of JSON a line break is a blank like others; inside a string it cannot stand. */
static struct blob *as_line(const char *data, size_t bytes)
{
    struct blob *line = malloc(sizeof *line + bytes + 2);
    if (line) {
        line->bytes = bytes + 1;
        memcpy(line->data, data, bytes);
        memcpy(line->data + bytes, "\n", 2);
        for (size_t i = 0; i < bytes; i++) {
            if (line->data[i] == '\n' || line->data[i] == '\r') {
                line->data[i] = ' ';
            }
        }
    }
    return line;
}

static struct blob *as_string(const char *data, size_t bytes)
{
    struct text text = {0};
    text_json_bytes(&text, data, bytes);
    struct blob *line = text.failed ? NULL : as_line(text.data, text.bytes);
    text_free(&text);
    return line;
}

static bool is_text_type(const char *type)
{
    return type && strncasecmp(type, "text/", 5) == 0;
}

/* What curl sends when it is told nothing is a line of JSON as long as it is JSON. */
static struct problem *check_payload(const struct pool *pool, const char *type, const char *data,
                                     size_t bytes)
{
    bool json = message_type_is_json(type), stdio = pool->mode == POOL_STDIO;
    if (json && !json_valid(data, bytes)) {
        return problem_make(PROBLEM_INVALID_JSON, "the payload says it is JSON and is not");
    }
    if (stdio && !json && !(is_text_type(type) ? utf8_valid(data, bytes) : json_valid(data, bytes))) {
        return problem_make(PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                            "a worker in mode stdio gets one line of JSON: the payload must be JSON, "
                            "or text/plain in UTF-8, which becomes a JSON string");
    }
    return NULL;
}

struct blob *pool_payload_make(const struct pool *pool, const char *type, const char *data,
                               size_t bytes, struct problem **problem)
{
    *problem = check_payload(pool, type, data, bytes);
    if (*problem) {
        return NULL;
    }
    struct blob *blob = pool->mode == POOL_SPAWN ? blob_make(data, bytes)
                        : is_text_type(type)     ? as_string(data, bytes)
                                                 : as_line(data, bytes);
    if (!blob) {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a task");
    }
    return blob;
}

/* ---- in ---- */

/* So many with payloads of so many bytes in all. */
static struct problem *refused(struct pool *pool, size_t count, size_t bytes)
{
    struct service *service = pool->object.service;
    if (pool->phase != POOL_OPEN) {
        return problem_make(PROBLEM_CLOSED, "%s takes no more tasks", pool->object.resource);
    }
    if (!pool_make_room(service, count * TASK_BYTES + bytes)) {
        struct problem *problem = problem_make(
            PROBLEM_STORAGE_FULL, "the tasks of all pools have pools.max_total_bytes (%llu)",
            (unsigned long long)service->config->pools_max_total_bytes);
        problem->retry_after_seconds = 1;
        return problem;
    }
    return recorder_refuses(service->recorder);
}

/* With a number and a row; it may be given out when that is committed, and on the disk. */
static void begin(struct task *task)
{
    task->pool->submitted_total++;
    task_insert(task);
    pool_task_wait_stored(task);
}

static struct task *enter_new(struct pool *pool, struct pool_payload payload,
                              struct task_batch *batch, size_t index)
{
    struct task *task = task_new(pool, payload.data, payload.content_type);
    if (!task) {
        return NULL;
    }
    task->num = ++pool->object.service->tasks.last_num;
    task->batch = batch;
    task->index = index;
    if (!pool_task_enter(pool, task)) {
        task_free(task);
        return NULL;
    }
    return task;
}

struct problem *pool_submit(struct pool *pool, struct pool_payload payload, struct task **out)
{
    struct problem *problem = refused(pool, 1, payload.data->bytes);
    if (problem) {
        free(payload.data);
        return problem;
    }
    *out = enter_new(pool, payload, NULL, 0);
    if (!*out) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a task");
    }
    begin(*out);
    recorder_durable(pool->object.service->recorder);
    object_count(&pool->object);
    return NULL;
}

static void free_payloads(struct pool_payload *payloads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(payloads[i].data);
    }
}

static bool enter_all(struct pool *pool, struct pool_payload *payloads, size_t count,
                      struct task_batch *batch)
{
    for (size_t i = 0; i < count; i++) {
        if (!enter_new(pool, payloads[i], batch, i)) {
            free_payloads(payloads + i + 1, count - i - 1);
            while (i-- > 0) {
                struct task *task = batch->tasks[i];
                pool_task_leave(task);
                task_free(task);
            }
            return false;
        }
    }
    return true;
}

static void begin_batch(struct pool *pool, struct task_batch *batch)
{
    struct service *service = pool->object.service;
    struct task_batch_row row = {.pool = pool->object.num, .total = (int64_t)batch->total,
                                 .submitted_at_us = batch->submitted_at_us};
    row.num = batch->num = ++service->tasks.last_batch_num;
    memcpy(row.id, batch->id.bytes, sizeof row.id);
    if (!task_batch_row_insert(recorder_batch(service->recorder), &row)) {
        recorder_fatal("out of memory for a batch of tasks");
    }
    for (size_t i = 0; i < batch->total; i++) {
        begin(batch->tasks[i]);
    }
    recorder_durable(service->recorder);
    object_count(&pool->object);
}

struct problem *pool_submit_batch(struct pool *pool, struct pool_payload *payloads, size_t count,
                                  struct task_batch **out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += payloads[i].data->bytes;
    }
    struct problem *problem = refused(pool, count, bytes);
    struct task_batch *batch = problem ? NULL : task_batch_new(pool, count);
    if (batch && !pool_batch_enter(pool, batch)) {
        task_batch_free(batch);
        batch = NULL;
    }
    if (!batch) {
        free_payloads(payloads, count);
        return problem ? problem : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a batch");
    }
    if (!enter_all(pool, payloads, count, batch)) {
        pool_batch_leave(batch);
        task_batch_free(batch);
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a batch");
    }
    begin_batch(pool, batch);
    *out = batch;
    return NULL;
}
