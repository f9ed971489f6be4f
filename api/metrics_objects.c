/*
 * Metrics of coordination objects.
 *
 * Totals are always there. Series of single objects, by name, are for the first so many of each kind
 * (metrics.objects): who makes a queue for each job must not fill the memory of who watches. Names need no
 * escaping (object_name_valid).
 */
#include "api/metrics.h"

#include "service/permit.h"
#include "service/pipe.h"
#include "service/pool.h"
#include "service/queue.h"

/* ---- all together ---- */

void picture_objects(struct picture *picture)
{
    const struct object_table *table = &picture->service->objects;
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        for (const struct object *object = table->first[kind]; object; object = object->next) {
            for (const struct hold *at = object->holds; at; at = at->next) {
                picture->holds[at->kind]++;
            }
        }
    }
}

static void objects(struct text *out, const struct metric *metric, const struct picture *picture)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        if (object_types[kind]) {
            metric_labelled(out, metric, "kind", object_types[kind]->noun,
                            picture->service->objects.counts[kind]);
        }
    }
}

static void holds(struct text *out, const struct metric *metric, const struct picture *picture)
{
    for (int kind = 0; kind < HOLD_KINDS; kind++) {
        metric_labelled(out, metric, "kind", hold_kind_name((enum hold_kind)kind),
                        picture->holds[kind]);
    }
}

static void locks_held(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->holds[HOLD_LOCK]);
}

/* By what they wait for. */
static void waiting(struct text *out, const struct metric *metric, const struct picture *picture)
{
    uint64_t counts[OBJECT_KINDS] = {0}, joins = 0;
    for (const struct wait_note *at = picture->service->waits.first; at; at = at->next) {
        *(at->object ? &counts[at->object->type->kind] : &joins) += 1;
    }
    metric_labelled(out, metric, "kind", "process", joins);
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        if (object_types[kind]) {
            metric_labelled(out, metric, "kind", object_types[kind]->noun, counts[kind]);
        }
    }
}

static const struct queue *first_queue(const struct picture *picture)
{
    return (const struct queue *)picture->service->objects.first[OBJECT_QUEUE];
}

static const struct queue *next_queue(const struct queue *queue)
{
    return (const struct queue *)queue->object.next;
}

static void messages(struct text *out, const struct metric *metric, const struct picture *picture)
{
    uint64_t counts[MESSAGE_STATES] = {0};
    for (const struct queue *at = first_queue(picture); at; at = next_queue(at)) {
        for (int state = 0; state < MESSAGE_STATES; state++) {
            counts[state] += at->counts[state];
        }
    }
    for (int state = 0; state < MESSAGE_STATES; state++) {
        metric_labelled(out, metric, "state", message_state_name((enum message_state)state),
                        counts[state]);
    }
}

static void message_memory(struct text *out, const struct metric *metric,
                           const struct picture *picture)
{
    metric_sample(out, metric, picture->service->queues.bytes);
}

static void put(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->service->queues.put_total);
}

static void acked(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->service->queues.acked_total);
}

/* Waiting, at work, and kept for their results. */
static void tasks(struct text *out, const struct metric *metric, const struct picture *picture)
{
    uint64_t counts[TASK_STATES] = {0};
    const struct object *at = picture->service->objects.first[OBJECT_POOL];
    for (; at; at = at->next) {
        for (int state = 0; state < TASK_STATES; state++) {
            counts[state] += ((const struct pool *)at)->counts[state];
        }
    }
    for (int state = 0; state < TASK_STATES; state++) {
        metric_labelled(out, metric, "state", task_state_name((enum task_state)state),
                        counts[state]);
    }
}

static void task_memory(struct text *out, const struct metric *metric,
                        const struct picture *picture)
{
    metric_sample(out, metric, picture->service->tasks.bytes);
}

static void fences(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->service->holds.fence);
}

static void journal_size_bytes(struct text *out, const struct metric *metric,
                               const struct picture *picture)
{
    metric_sample(out, metric, picture->service->journal ? JOURNAL_RING_BYTES : 0);
}

static void journal_used_bytes(struct text *out, const struct metric *metric,
                               const struct picture *picture)
{
    const struct journal *journal = picture->service->journal;
    metric_sample(out, metric, journal ? journal_used(journal) : 0);
}

/* ---- one by one ---- */

static void each_of(struct text *out, const struct metric *metric, const struct picture *picture,
                    enum object_kind kind,
                    void (*write)(struct text *out, const struct metric *metric,
                                  const struct object *object))
{
    uint64_t left = picture->app->config.metrics_objects;
    const struct object *at = picture->service->objects.first[kind];
    for (; at && left > 0; at = at->next, left--) {
        write(out, metric, at);
    }
}

static void one_depth(struct text *out, const struct metric *metric, const struct object *object)
{
    const struct queue *queue = (const struct queue *)object;
    for (int state = 0; state < MESSAGE_STATES; state++) {
        text_printf(out, "forkful_%s{queue=\"%s\",state=\"%s\"} %zu\n", metric->name, object->name,
                    message_state_name((enum message_state)state), queue->counts[state]);
    }
}

static void each_depth(struct text *out, const struct metric *metric, const struct picture *picture)
{
    each_of(out, metric, picture, OBJECT_QUEUE, one_depth);
}

static void one_pool(struct text *out, const struct metric *metric, const struct object *object)
{
    const struct pool *pool = (const struct pool *)object;
    for (int state = TASK_DONE; state < TASK_STATES; state++) {
        text_printf(out, "forkful_%s{pool=\"%s\",state=\"%s\"} %llu\n", metric->name, object->name,
                    task_state_name((enum task_state)state),
                    (unsigned long long)pool->ended_totals[state]);
    }
}

static void each_pool_ended(struct text *out, const struct metric *metric,
                            const struct picture *picture)
{
    each_of(out, metric, picture, OBJECT_POOL, one_pool);
}

#define ONE_BY_ONE(series, kind, struct_of, value)                                             \
    static void one_##series(struct text *out, const struct metric *metric,                    \
                               const struct object *object)                                    \
    {                                                                                          \
        const struct_of *self = (const struct_of *)object;                                     \
        metric_labelled(out, metric, object->type->noun, object->name, (uint64_t)(value));     \
    }                                                                                          \
    static void each_##series(struct text *out, const struct metric *metric,                   \
                         const struct picture *picture)                                        \
    {                                                                                          \
        each_of(out, metric, picture, kind, one_##series);                                     \
    }

ONE_BY_ONE(queue_put, OBJECT_QUEUE, struct queue, self->put_total)
ONE_BY_ONE(queue_acked, OBJECT_QUEUE, struct queue, self->acked_total)
ONE_BY_ONE(queue_bytes, OBJECT_QUEUE, struct queue, self->bytes)
ONE_BY_ONE(queue_receivers, OBJECT_QUEUE, struct queue, self->receivers.count)
ONE_BY_ONE(queue_putters, OBJECT_QUEUE, struct queue, self->putters.count)
ONE_BY_ONE(lock_held, OBJECT_LOCK, struct permit, self->value == 0)
ONE_BY_ONE(lock_waiters, OBJECT_LOCK, struct permit, self->claims.count)
ONE_BY_ONE(semaphore_free, OBJECT_SEMAPHORE, struct permit, self->value)
ONE_BY_ONE(semaphore_waiters, OBJECT_SEMAPHORE, struct permit, self->claims.count)
ONE_BY_ONE(pool_queued, OBJECT_POOL, struct pool, self->counts[TASK_QUEUED])
ONE_BY_ONE(pool_running, OBJECT_POOL, struct pool, self->counts[TASK_RUNNING])
ONE_BY_ONE(pool_workers, OBJECT_POOL, struct pool, self->worker_count)

/* ---- the table ---- */

const struct metric object_metrics[] = {
    {"objects", "gauge", "Coordination objects by kind.", objects},
    {"holds", "gauge", "Live holds by kind.", holds},
    {"locks_held", "gauge", "Locks that somebody has.", locks_held},
    {"fences_total", "counter", "Holds granted since the state directory was made.", fences},
    {"waiting_calls", "gauge", "Calls that wait for somebody else, by what they wait for.", waiting},
    {"messages", "gauge", "Messages of all queues by state.", messages},
    {"messages_memory_bytes", "gauge", "Memory of messages in queues and pipes, of queues.max_total_bytes.",
     message_memory},
    {"messages_put_total", "counter", "Messages put into queues since this server began.", put},
    {"messages_acked_total", "counter", "Messages acknowledged since this server began.", acked},
    {"tasks", "gauge", "Tasks of all pools by state; those that have ended as long as they are kept.", tasks},
    {"tasks_memory_bytes", "gauge", "Tasks with payloads and results, of pools.max_total_bytes.", task_memory},
    {"journal_size_bytes", "gauge", "Size of the journal; 0: there is none.", journal_size_bytes},
    {"journal_used_bytes", "gauge", "What in it is not in the database yet.", journal_used_bytes},
    {"queue_messages", "gauge", "Messages of a queue by state.", each_depth},
    {"queue_bytes", "gauge", "Bodies of its messages.", each_queue_bytes},
    {"queue_put_total", "counter", "Messages put into it.", each_queue_put},
    {"queue_acked_total", "counter", "Messages of it acknowledged.", each_queue_acked},
    {"queue_receivers", "gauge", "Calls that wait for a message of it.", each_queue_receivers},
    {"queue_putters", "gauge", "Calls that wait for room in it.", each_queue_putters},
    {"lock_held", "gauge", "1 while somebody has the lock.", each_lock_held},
    {"lock_waiters", "gauge", "Calls that wait for it.", each_lock_waiters},
    {"semaphore_available", "gauge", "Permits that are free.", each_semaphore_free},
    {"semaphore_waiters", "gauge", "Calls that wait for one.", each_semaphore_waiters},
    {"pool_queued", "gauge", "Tasks that wait in a pool.", each_pool_queued},
    {"pool_running", "gauge", "Tasks that are worked on.", each_pool_running},
    {"pool_workers", "gauge", "Processes that it has.", each_pool_workers},
    {"pool_ended_total", "counter", "Tasks of it that have ended, by how.", each_pool_ended},
    {0}};
