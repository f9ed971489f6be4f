/* The processes of a pool: how they start, what they hold, what their end means; see pool.h. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/pool_internal.h"

#define PAUSE_US 100000                /* after a start that failed; then twice as long each time */
#define PAUSE_MOST_US 10000000
#define USELESS_MOST 2u

/* ---- making ---- */

static struct pool_worker *make(struct pool *pool)
{
    struct pool_worker *worker = calloc(1, sizeof *worker);
    if (worker) {
        worker->pool = pool;
        worker->room.fd = -1;
        worker->previous = pool->last_worker;
        *(pool->last_worker ? &pool->last_worker->next : &pool->first_worker) = worker;
        pool->last_worker = worker;
        pool->worker_count++;
    }
    return worker;
}

struct pool_worker *pool_worker_make(struct pool *pool, struct process *process)
{
    struct pool_worker *worker = make(pool);
    if (worker) {
        worker->process = process;
        process->worker = worker;
    }
    return worker;
}

static void forget_dirty(struct pool_worker *worker)
{
    struct pool_worker **at = &worker->pool->object.service->tasks.dirty_workers;
    while (worker->dirty && *at != worker) {
        at = &(*at)->next_dirty;
    }
    if (worker->dirty) {
        *at = worker->next_dirty;
    }
}

void pool_worker_free(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    struct service *service = pool->object.service;
    pool_feed_stop(worker);
    forget_dirty(worker);
    recorder_forget(service->recorder, &worker->after);
    if (worker->ticket) {
        launch_abandon(worker->ticket);
    }
    if (worker->process) {
        worker->process->worker = NULL;
    }
    *(worker->previous ? &worker->previous->next : &pool->first_worker) = worker->next;
    *(worker->next ? &worker->next->previous : &pool->last_worker) = worker->previous;
    pool->worker_count--;
    text_free(&worker->open);
    pool_worker_count_open(worker);
    free(worker);
}

/* ---- what it holds ---- */

void pool_worker_assign(struct pool_worker *worker, struct task *task)
{
    task->worker = worker;
    task->next_assigned = NULL;
    *(worker->last ? &worker->last->next_assigned : &worker->first) = task;
    worker->last = task;
}

struct task *pool_worker_take_first(struct pool_worker *worker)
{
    struct task *task = worker->first;
    if (task) {
        worker->first = task->next_assigned;
        worker->last = worker->first ? worker->last : NULL;
        task->next_assigned = NULL;
    }
    return task;
}

void pool_worker_count_open(struct pool_worker *worker)
{
    worker->pool->object.service->tasks.bytes += worker->open.bytes - worker->counted;
    worker->counted = worker->open.bytes;
}

void pool_worker_touch(struct pool_worker *worker)
{
    struct service *service = worker->pool->object.service;
    if (!worker->dirty && worker->pool->mode == POOL_STDIO) {
        worker->dirty = true;
        worker->next_dirty = service->tasks.dirty_workers;
        service->tasks.dirty_workers = worker;
        recorder_batch(service->recorder);
    }
}

void pool_workers_store_dirty(struct service *service)
{
    while (service->tasks.dirty_workers) {
        struct pool_worker *worker = service->tasks.dirty_workers;
        struct pool_worker_row row = {
            .process = worker->process->num, .line_start = worker->line_start,
            .served = worker->served, .turn = worker->turn, .retiring = worker->retiring};
        service->tasks.dirty_workers = worker->next_dirty;
        worker->dirty = false;
        if (!pool_worker_row_put(recorder_batch(service->recorder), &row)) {
            recorder_fatal("out of memory for a worker's row");
        }
    }
}

/* ---- a start that fails ---- */

static bool is_shortage(const struct problem *problem)
{
    return problem->code == PROBLEM_UNAVAILABLE || problem->code == PROBLEM_LIMIT_REACHED ||
           problem->code == PROBLEM_OUT_OF_MEMORY || problem->code == PROBLEM_STORAGE_FULL ||
           problem->code == PROBLEM_SHUTTING_DOWN;
}

static void start_again(struct timer *timer)
{
    pool_work_soon((struct pool *)((char *)timer - offsetof(struct pool, again)));
}

/* Nothing is started for a while, which grows from one failure to the next. */
static void pause_starting(struct pool *pool)
{
    struct loop *loop = pool->object.service->loop;
    if (pool->again.place) {           /* of several that failed together one counts */
        return;
    }
    pool->pause_us = pool->pause_us ? pool->pause_us * 2 : PAUSE_US;
    pool->pause_us = pool->pause_us > PAUSE_MOST_US ? PAUSE_MOST_US : pool->pause_us;
    pool->again.due = start_again;
    timer_set(loop, &pool->again, time_monotonic_us() + pool->pause_us);
}

static void remember_error(struct pool *pool, const char *why)
{
    char *copy = strdup(why);
    if (copy) {
        free(pool->last_error);
        pool->last_error = copy;
    }
}

/* The task whose start this was; a stdio worker would have got the first that waits. */
static struct task *victim(struct pool *pool, struct task *task)
{
    static const struct fact_id none;
    if (!task && (task = pool_queue_take(pool))) {
        task_begin_attempt(task, &none);
    }
    return task;
}

/* So that nothing waits for a program that cannot be executed, each start that fails is an attempt. */
static void start_failed(struct pool *pool, struct task *task, const struct problem *problem)
{
    remember_error(pool, problem->detail);
    if (is_shortage(problem)) {
        if (task) {
            task_undo_attempt(task);
            pool_task_back(task);
        }
        pause_starting(pool);
        return;
    }
    task = victim(pool, task);
    if (task) {
        struct task_outcome outcome = {.error = TASK_SPAWN_FAILED, /* EACCES: the policy's, a sandbox's */
                                       .error_number = problem->error ? problem->error : EACCES,
                                       .stage = spawn_stage_from_name(problem->stage)};
        pool_task_failed(task, &outcome);
    } else {
        pause_starting(pool);
    }
    pool_work_soon(pool);
}

/* ---- starting ---- */

static struct problem *read_spec(struct pool *pool, struct spec **out)
{
    const struct config *config = pool->object.service->config;
    struct spec_defaults defaults = {config->stop_grace_us, config->output_max_bytes,
                                     config->output_when_full};
    struct problem *problem = spec_from_json(pool->spec, &defaults, out);
    if (problem) {
        return problem;
    }
    struct spec *spec = *out;
    json_t *labels = spec->labels ? json_copy(spec->labels) : json_object();
    if (labels && !json_object_get(labels, "pool")) {
        json_object_set_new(labels, "pool", json_string(pool->object.name));
    }
    json_decref(spec->labels);
    spec->labels = labels;
    /* As in multiprocessing, unless the spec says otherwise: they end with the daemon, and make no processes. */
    spec->daemon = !json_is_false(json_object_get(pool->spec, "daemon"));
    spec->when_full = FULL_DROP_OLDEST; /* whatever the daemon's standard is: results must not wait for a reader */
    if (!labels) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a worker");
    }
    return privileges_inherit(pool->privileges, spec);
}

static struct problem *set_stdin(const struct pool *pool, const struct task *task,
                                 struct spec *spec)
{
    if (pool->mode == POOL_STDIO) {
        spec->stdin_mode = STDIN_PIPE;
        return NULL;
    }
    spec->stdin_mode = STDIN_DATA;
    spec->stdin_bytes = task->payload->bytes;
    spec->stdin_data = malloc(spec->stdin_bytes + 1);
    if (!spec->stdin_data) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a task");
    }
    memcpy(spec->stdin_data, task->payload->data, spec->stdin_bytes);
    return NULL;
}

/* Its start is stored, or has failed. */
static void launched(void *context, struct process *process, struct problem *problem,
                     const char *stored_answer)
{
    struct pool_worker *worker = context;
    struct pool *pool = worker->pool;
    (void)process;
    (void)stored_answer;
    worker->ticket = NULL;
    if (!problem) {
        worker->ready = true;
        if (pool->mode == POOL_STDIO) {
            pool_worker_rest(worker);
        } else {
            pool->pause_us = 0;
        }
        return;
    }
    struct task *task = pool_worker_take_first(worker);
    worker->process = NULL;
    pool_worker_free(worker);
    start_failed(pool, task, problem);
    problem_free(problem);
}

static void sign(const struct pool *pool, const struct task *task, struct spec *spec)
{
    struct pool_order *order = &spec->pool_order;
    order->pool = pool->object.num;
    order->pool_at_us = pool->object.created_at_us;
    order->pool_name = pool->object.name;
    if (task) {
        order->task = task->id;
        id_format(&task->id, 't', order->task_id);
    }
}

/* A worker with its process on the way, or NULL: *problem tells. */
static struct pool_worker *launch(struct pool *pool, const struct task *task,
                                  struct problem **problem)
{
    const struct asker asker = {.account = pool->object.account};
    struct spec *spec = NULL;
    *problem = read_spec(pool, &spec);
    *problem = *problem ? *problem : set_stdin(pool, task, spec);
    struct pool_worker *worker = *problem ? NULL : make(pool);
    if (!worker) {
        *problem = *problem ? *problem
                            : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a worker");
        spec_free(spec);
        return NULL;
    }
    sign(pool, task, spec);
    *problem = service_spawn(pool->object.service, spec, NULL, &asker, NULL,
                             (struct spawned){launched, worker, NULL}, &worker->ticket);
    if (*problem) {
        pool_worker_free(worker);
        return NULL;
    }
    worker->process = launch_process(worker->ticket);
    worker->process->worker = worker;
    return worker;
}

bool pool_worker_start(struct pool *pool, struct task *task)
{
    static const struct fact_id none;
    struct problem *problem;
    struct pool_worker *worker = launch(pool, task, &problem);
    if (task) {
        task_begin_attempt(task, worker ? &worker->process->id : &none);
    }
    if (!worker) {
        start_failed(pool, task, problem);
        problem_free(problem);
    } else if (task) {
        pool_set_state(task, TASK_RUNNING);
        pool_worker_assign(worker, task);
    }
    return worker != NULL;
}

/* ---- stopping ---- */

static void stop(struct process *process, int signal)
{
    struct controlled nobody = {0};
    if (process_alive(process)) {
        problem_free(service_stop(process->service, process, STOP_REQUESTED, signal,
                                  process->grace_us, nobody, NULL));
    }
}

void pool_worker_stop(struct pool_worker *worker, int signal)
{
    worker->stopping = true;
    stop(worker->process, signal ? signal : worker->process->stop_signal);
}

void pool_stop_orphan(struct process *process)
{
    stop(process, process->stop_signal);
}

/* ---- it runs ---- */

struct pool *pool_of_process(const struct process *process)
{
    const struct service *service = process->service;
    for (struct object *at = service->objects.first[OBJECT_POOL]; at; at = at->next) {
        if (at->num == process->pool_num && at->created_at_us == process->pool_at_us) {
            return (struct pool *)at;
        }
    }
    return NULL;
}

/* Its task, as the spawn record names it. Only one that nobody else has. */
static void adopt_task(struct pool_worker *worker)
{
    struct task *task = pool_find_task(worker->pool, &worker->process->task_id);
    if (task && task->state == TASK_QUEUED) {
        pool_queue_remove(task);
        timer_cancel(worker->pool->object.service->loop, &task->again);
        task_begin_attempt(task, &worker->process->id);
        pool_set_state(task, TASK_RUNNING);
        pool_worker_assign(worker, task);
    }
}

/* A former server had asked for it, or its pool is gone meanwhile. */
static struct pool_worker *adopt(struct process *process)
{
    struct pool *pool = pool_of_process(process);
    if (!pool) {
        pool_stop_orphan(process);
        return NULL;
    }
    struct pool_worker *worker = pool_worker_make(pool, process);
    if (!worker) {
        recorder_fatal("out of memory for a worker");
        return NULL;
    }
    worker->ready = true;
    adopt_task(worker);
    return worker;
}

void pool_worker_started(struct process *process)
{
    struct pool_worker *worker = process->worker ? process->worker : adopt(process);
    if (!worker) {
        return;
    }
    worker->pool->workers_total++;
    object_count(&worker->pool->object);
    if (worker->first) {
        task_touch(worker->first, false);
    }
    pool_worker_touch(worker);
    if (worker->pool->phase == POOL_TERMINATED) {
        pool_worker_stop(worker, 0);
    }
}

/* ---- it has ended ---- */

static struct task_outcome outcome_of(const struct process *process)
{
    bool known = process->exit_kind == EXIT_EXITED || process->exit_kind == EXIT_SIGNALED;
    return (struct task_outcome){
        .error = TASK_PROCESS_ENDED, .reason = process->exit_reason, .exitcode_known = known,
        .exitcode = process->exit_kind == EXIT_SIGNALED ? -process->exit_status
                                                        : process->exit_status};
}

static void spawned_ended(struct pool_worker *worker, struct task *task)
{
    struct task_outcome outcome = outcome_of(worker->process);
    bool exited = worker->process->exit_kind == EXIT_EXITED;
    struct blob *result = NULL;
    if (exited && worker->process->exit_status == EXIT_BURY) {
        task_end_attempt(task, &outcome);
        pool_task_ended(task, TASK_BURIED, &outcome, NULL);
        return;
    }
    if (exited && worker->process->exit_status == 0) {
        outcome.error = worker->damaged     ? TASK_OUTPUT_LOST
                        : worker->too_large ? TASK_RESULT_TOO_LARGE
                                            : TASK_FINE;
    }
    if (outcome.error == TASK_FINE &&
        !(result = blob_make(worker->open.data ? worker->open.data : "", worker->open.bytes))) {
        recorder_fatal("out of memory for a result");
    }
    if (result) {
        task_end_attempt(task, &outcome);
        pool_task_ended(task, TASK_DONE, &outcome, result);
    } else {
        pool_task_failed(task, &outcome);
    }
}

static void not_begun(struct task *task)
{
    task_undo_attempt(task);
    pool_task_back(task);
}

/* It works on one at a time, in order: what is behind the first was not begun. Nor was the first, when all of it
   lies unread in its stdin; but one that never answered anything gets no task twice for that. */
static void lasting_ended(struct pool_worker *worker, struct task *task)
{
    struct task_outcome outcome = outcome_of(worker->process);
    outcome.error = worker->damaged ? TASK_OUTPUT_LOST : outcome.error;
    struct task *next;
    if (worker->served && pool_feed_is_unread(worker, task)) {
        not_begun(task);
    } else {
        pool_task_failed(task, &outcome);
    }
    while ((next = pool_worker_take_first(worker))) {
        not_begun(next);
    }
}

/* Once may be chance. But where workers end one after the other before they have answered anything, each end is an
   attempt of the task that waits first, so that nothing waits for a program that cannot do it. */
static void useless(const struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    struct task *task = ++pool->useless > USELESS_MOST ? pool_queue_take(pool) : NULL;
    remember_error(pool, "a worker ended before it had done anything");
    if (task) {
        struct task_outcome outcome = outcome_of(worker->process);
        task_begin_attempt(task, &worker->process->id);
        pool_task_failed(task, &outcome);
    } else {
        pause_starting(pool);
    }
}

static bool was_asked_to_end(const struct pool_worker *worker)
{
    return (worker->retiring || worker->stopping) && !worker->mute;
}

void pool_worker_ended(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    struct service *service = pool->object.service;
    struct task *task = pool_worker_take_first(worker);
    if (task) {
        pool->mode == POOL_SPAWN ? spawned_ended(worker, task) : lasting_ended(worker, task);
    }
    if (pool->mode == POOL_STDIO && !task && !worker->served && !was_asked_to_end(worker)) {
        useless(worker);
    }
    if (pool->mode == POOL_STDIO &&
        !pool_worker_row_delete(recorder_batch(service->recorder), worker->process->num)) {
        recorder_fatal("out of memory for a worker's end");
    }
    pool_worker_free(worker);
    pool_work_soon(pool);
}
