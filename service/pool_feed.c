/*
 * Lasting workers: one line to stdin, one line from stdout.
 *
 * Whom a task was given to, and how much of its line is written, goes into the journal before and after
 * each write. A server that is killed in between leaves a task marked `unsure`: whether those bytes are in the pipe
 * nobody can tell. If no answer comes out of the spool either, its worker is killed and the attempt has
 * failed as `unsure`; a line is never written twice and never guessed to have arrived.
 *
 * Answers are counted, not named: a worker answers one line a task, in order. What it writes while it has
 * nothing to do is no answer, and only stands in its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "service/coordination.h"
#include "service/fault.h"
#include "service/pool_internal.h"

#define AWAY_US 1000                   /* there is no descriptor for its pipe yet; then twice as long each time */
#define AWAY_MOST_US 100000
#define MUTE_US 1000000                /* who has closed its stdout may end by itself for so long */

static void feed(struct pool_worker *worker);

/* ---- waiting for something ---- */

static void set_timer(struct pool_worker *worker, void (*due)(struct timer *timer),
                      int64_t delay_us)
{
    worker->timer.due = due;
    timer_set(worker->pool->object.service->loop, &worker->timer, time_monotonic_us() + delay_us);
}

static void cancel_timer(struct pool_worker *worker)
{
    timer_cancel(worker->pool->object.service->loop, &worker->timer);
}

static void unwatch(struct pool_worker *worker)
{
    if (worker->room.fd >= 0) {
        loop_unwatch(worker->pool->object.service->loop, &worker->room);
        close(worker->room.fd);
        worker->room.fd = -1;
    }
}

static void feed_again(struct timer *timer)
{
    feed((struct pool_worker *)((char *)timer - offsetof(struct pool_worker, timer)));
}

static void room(struct watch *watch, uint32_t events)
{
    struct pool_worker *worker =
        (struct pool_worker *)((char *)watch - offsetof(struct pool_worker, room));
    (void)events;
    unwatch(worker);
    feed(worker);
}

static void wait_for_pipe(struct pool_worker *worker)
{
    worker->away_us = worker->away_us ? worker->away_us * 2 : AWAY_US;
    worker->away_us = worker->away_us > AWAY_MOST_US ? AWAY_MOST_US : worker->away_us;
    set_timer(worker, feed_again, worker->away_us);
}

static void wait_for_room(struct pool_worker *worker)
{
    unwatch(worker);
    struct executor *executor = worker->pool->object.service->executor;
    int fd = executor->type->stdin_fd(executor, &worker->process->id);
    worker->room.ready = room;
    worker->room.fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (worker->room.fd < 0 ||
        loop_watch(worker->pool->object.service->loop, &worker->room, EPOLLOUT) < 0) {
        if (worker->room.fd >= 0) {
            close(worker->room.fd);
            worker->room.fd = -1;
        }
        wait_for_pipe(worker);
    }
}

void pool_feed_stop(struct pool_worker *worker)
{
    unwatch(worker);
    cancel_timer(worker);
}

/* ---- marks ---- */

static bool put_mark(struct task *task)
{
    struct service *service = task->pool->object.service;
    struct task_mark mark;
    task_mark_of(task, &mark);
    task_touch(task, false);
    return service->journal &&
           journal_put(service->journal, JOURNAL_TASK, &mark, sizeof mark, NULL, 0);
}

static void mark_stored(struct after_commit *after)
{
    struct pool_worker *worker =
        (struct pool_worker *)((char *)after - offsetof(struct pool_worker, after));
    worker->held = true;
    feed(worker);
}

/* The mark outlives the server. False: after the next commit, when the feeding goes on. */
static bool keep_mark(struct pool_worker *worker, struct task *task)
{
    struct service *service = task->pool->object.service;
    task->unsure = true;
    if (put_mark(task) || worker->held) {
        worker->held = false;
        return true;
    }
    worker->after.run = mark_stored;
    if (!worker->after.queued) {
        recorder_after(service->recorder, &worker->after);
    }
    return false;
}

/* ---- writing ---- */

/* The worker does not read any more: its end, which follows, ends the attempt. */
static void pipe_broken(struct pool_worker *worker)
{
    service_log(worker->pool->object.service, LEVEL_WARNING, worker->process,
                "worker of pool %s has closed its stdin: it is stopped", worker->pool->object.name);
    pool_worker_stop(worker, 0);
}

static void feed(struct pool_worker *worker)
{
    struct task *task = worker->last;
    struct executor *executor = worker->pool->object.service->executor;
    while (task && !worker->stopping && (size_t)task->fed < task->payload->bytes) {
        if (!keep_mark(worker, task)) {
            return;
        }
        ssize_t n = executor->type->stdin_write(executor, &worker->process->id,
                                                task->payload->data + task->fed,
                                                task->payload->bytes - (size_t)task->fed);
        FAULT_POINT("pool_after_write");
        task->unsure = false;
        task->fed += n > 0 ? n : 0;
        put_mark(task);
        if (n == 0) {
            wait_for_room(worker);
            return;
        }
        if (n == -EMFILE) {
            wait_for_pipe(worker);
            return;
        }
        worker->away_us = 0;
        if (n < 0) {
            pipe_broken(worker);
            return;
        }
    }
}

bool pool_feed_is_unread(const struct pool_worker *worker, const struct task *task)
{
    struct executor *executor = worker->pool->object.service->executor;
    int fd = executor->type->stdin_fd(executor, &worker->process->id), unread = 0;
    if (task->unsure) {                /* more may have arrived than is noted */
        return false;
    }
    return task->fed == 0 ||
           (fd >= 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread >= task->fed);
}

/* ---- giving ---- */

bool pool_worker_idle(const struct pool_worker *worker)
{
    return worker->ready && !worker->first && !worker->retiring && !worker->stopping &&
           worker->process->state == STATE_RUNNING;
}

void pool_worker_give(struct pool_worker *worker, struct task *task)
{
    cancel_timer(worker);
    task_begin_attempt(task, &worker->process->id);
    pool_set_state(task, TASK_RUNNING);
    task->turn = worker->turn++;
    pool_worker_assign(worker, task);
    feed(worker);
}

/* ---- going ---- */

static void grace_over(struct timer *timer)
{
    pool_worker_stop((struct pool_worker *)((char *)timer - offsetof(struct pool_worker, timer)),
                     0);
}

/* The end of its input asks it to end; one that does not is stopped. */
void pool_worker_retire(struct pool_worker *worker)
{
    struct controlled nobody = {0};
    worker->retiring = true;
    pool_worker_touch(worker);
    problem_free(service_stdin_close(worker->process->service, worker->process, nobody, NULL));
    set_timer(worker, grace_over, worker->process->grace_us);
}

static void idle_over(struct timer *timer)
{
    struct pool_worker *worker =
        (struct pool_worker *)((char *)timer - offsetof(struct pool_worker, timer));
    if (pool_worker_idle(worker) && !worker->pool->first_queued &&
        worker->pool->worker_count > (size_t)worker->pool->min_processes) {
        pool_worker_retire(worker);
    }
}

void pool_worker_rest(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    if (pool->max_tasks && worker->served >= (uint64_t)pool->max_tasks && pool_worker_idle(worker)) {
        pool_worker_retire(worker);
    } else if (pool_worker_idle(worker) && pool->worker_count > (size_t)pool->min_processes) {
        set_timer(worker, idle_over, pool->idle_us);
    }
    pool_work_soon(pool);
}

/* ---- answers ---- */

/* Written before the task could be read to its end, it is no answer to it. (What a former server was writing may
   have arrived: then there is one.) */
static bool is_too_early(const struct task *task)
{
    return !task->unsure && (size_t)task->fed < task->payload->bytes;
}

static void answered(struct pool_worker *worker, const char *line, size_t bytes)
{
    if (worker->first && is_too_early(worker->first)) {
        service_log(worker->pool->object.service, LEVEL_WARNING, worker->process,
                    "worker of pool %s writes answers to what it was not asked: it is killed",
                    worker->pool->object.name);
        pool_feed_stop(worker);
        pool_worker_stop(worker, SIGKILL);
        return;
    }
    struct task *task = worker->stopping ? NULL : pool_worker_take_first(worker);
    struct task_outcome outcome = {.error = worker->damaged     ? TASK_OUTPUT_LOST
                                            : worker->too_large ? TASK_RESULT_TOO_LARGE
                                                                : TASK_FINE};
    worker->too_large = false;
    if (!task) {
        return;
    }
    worker->served++;
    worker->pool->useless = 0;
    worker->pool->pause_us = 0;
    if (outcome.error != TASK_FINE) {
        pool_task_failed(task, &outcome);
    } else {
        struct blob *result = blob_make(line, bytes);
        if (!result) {
            recorder_fatal("out of memory for a result");
        }
        task_end_attempt(task, &outcome);
        pool_task_ended(task, TASK_DONE, &outcome, result);
    }
    pool_worker_rest(worker);
}

static void keep_open(struct pool_worker *worker, const char *data, size_t bytes)
{
    size_t most = worker->pool->object.service->config->max_payload_bytes;
    if (worker->too_large || worker->open.bytes + bytes > most) {
        worker->too_large = true;
        text_free(&worker->open);
    } else {
        text_add(&worker->open, data, bytes);
    }
    if (worker->open.failed) {
        recorder_fatal("out of memory for a result");
    }
    pool_worker_count_open(worker);
    pool_work_soon(worker->pool);      /* which makes room */
}

static void complete_line(struct pool_worker *worker, const char *data, size_t bytes)
{
    if (worker->open.bytes || worker->too_large) {
        keep_open(worker, data, bytes);
        answered(worker, worker->open.data ? worker->open.data : "", worker->open.bytes);
        text_free(&worker->open);
        pool_worker_count_open(worker);
    } else if (bytes > worker->pool->object.service->config->max_payload_bytes) {
        worker->too_large = true;
        answered(worker, "", 0);
    } else {
        answered(worker, data, bytes);
    }
}

void pool_worker_output(struct pool_worker *worker, const char *data, size_t bytes)
{
    const char *newline;
    if (worker->pool->mode == POOL_SPAWN) {
        keep_open(worker, data, bytes);
        return;
    }
    worker->seen += bytes;
    while ((newline = memchr(data, '\n', bytes))) {
        size_t length = (size_t)(newline - data);
        worker->line_start = worker->seen - (bytes - length - 1);
        complete_line(worker, data, length);
        bytes -= length + 1;
        data = newline + 1;
    }
    if (bytes) {
        keep_open(worker, data, bytes);
    }
    pool_worker_touch(worker);
}

/* Nothing comes from it any more, and it may live on for long. */
void pool_worker_mute(struct pool_worker *worker)
{
    if (worker->pool->mode == POOL_STDIO && !worker->retiring && !worker->stopping) {
        worker->retiring = worker->mute = true;
        pool_worker_touch(worker);
        set_timer(worker, grace_over, MUTE_US);
    }
}

/* Which answer that was part of cannot be told; from here on its lines cannot be counted. */
void pool_worker_output_lost(struct pool_worker *worker)
{
    worker->damaged = true;
    if (worker->pool->mode == POOL_STDIO) {
        pool_worker_stop(worker, SIGKILL);
    }
}

/* ---- after a restart ---- */

/* All that the former server had done is known now, and what the worker has answered since. */
void pool_feed_resume(struct pool_worker *worker)
{
    struct task *task = worker->last;
    if (worker->damaged) {
        pool_worker_output_lost(worker);
    } else if (worker->retiring) {
        pool_worker_retire(worker);
    } else if (task && task->unsure) {
        static const struct task_outcome unsure = {.error = TASK_UNSURE};
        pool_worker_take_first(worker);
        pool_task_failed(task, &unsure);
        pool_worker_stop(worker, SIGKILL);
    } else if (task) {
        feed(worker);
    } else {
        pool_worker_rest(worker);
    }
}
