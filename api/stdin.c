/*
 * POST /v1/processes/{id}/stdin: the body's bytes into a process's pipe, with backpressure.
 *
 * A call whose bytes the pipe does not take at once joins its process's queue, where writers are
 * served first come, first served: the bytes of two calls never mix. The queue exists while
 * somebody waits, and watches a duplicate of the pipe's write end (the executor may close its own
 * at any time). The duplicate is closed before an end of file is asked for, or the reader would
 * never see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/respond.h"

#define TURN_BYTES (1u << 20)          /* more than this is left for the loop's next turn */
#define AWAY_US 1000                   /* the pipe of a process that has just begun is on its way */
#define AWAY_MOST_US 500000

struct queue {                         /* one per process with waiting writers */
    struct queue *next;
    struct app *app;
    struct fact_id process;
    struct wait_list writers;
    struct watch watch;                /* fd: our duplicate */
};

struct writer_call {
    struct waiter waiter;
    struct queue *queue;               /* while it waits for room */
    struct request *request;
    struct fact_id process;
    const char *data;                  /* the request's body */
    size_t bytes, taken;
    bool eof;
    struct control_ticket *closing;    /* the end of file is asked for */
    struct timer again;                /* the pipe has not come yet */
    int64_t away_until_us;
    bool parked;
};

enum progress { TAKEN_ALL, PIPE_FULL, PIPE_CLOSED, PIPE_AWAY };

static struct queue *queues;           /* a handful at most; loop thread only */

/* ---- answers ---- */

static void answer_taken(struct writer_call *call, bool eof)
{
    struct text body = {0};
    text_put(&body, "{\"taken_bytes\":");
    text_unsigned(&body, call->taken);
    text_put(&body, ",\"eof\":");
    text_json_bool(&body, eof);
    text_putc(&body, '}');
    answer_json(call->request, 202, &body);
}

static struct problem *is_closed(const char *id_text)
{
    return problem_make(PROBLEM_STDIN_CLOSED, "the standard input of process %s is closed",
                        id_text);
}

/* The server has no descriptor of the pipe, because it may open no more; it asks again. */
static struct problem *is_away(void)
{
    struct problem *problem =
        problem_make(PROBLEM_UNAVAILABLE, "the daemon has too many files open to reach the pipe");
    problem->retry_after_seconds = 1;
    return problem;
}

/* What was taken before the reader went away is told; only who got nothing in is refused. */
static void answer_closed(struct writer_call *call)
{
    char id_text[ID_TEXT_BYTES];
    id_format(&call->process, 'p', id_text);
    if (call->taken) {
        answer_taken(call, true);
    } else {
        answer_problem(call->request, is_closed(id_text));
    }
}

/* ---- end of file ---- */

static void closed(void *context, struct problem *problem)
{
    struct writer_call *call = context;
    call->closing = NULL;
    if (problem && problem->code != PROBLEM_NOT_RUNNING) {
        answer_problem(call->request, problem);
    } else {
        problem_free(problem);         /* ended meanwhile: closed as well */
        answer_taken(call, true);
    }
}

/* The answer has been made (false), or follows when the end of file is stored. */
static bool finish(struct writer_call *call, enum progress progress)
{
    struct service *service = &request_app(call->request)->service;
    struct process *process = process_table_find(&service->processes, &call->process);
    if (progress == PIPE_AWAY && !call->taken) {
        answer_problem(call->request, is_away());
    } else if (progress == PIPE_CLOSED || !process) {
        answer_closed(call);
    } else if (!call->eof || progress != TAKEN_ALL) {
        answer_taken(call, false);
    } else {
        struct controlled controlled = {closed, call};
        struct problem *problem =
            service_stdin_close(service, process, controlled, &call->closing);
        if (!problem) {
            return true;
        }
        closed(call, problem);
    }
    return false;
}

/* ---- writing ---- */

static enum progress write_some(struct writer_call *call)
{
    struct executor *executor = request_app(call->request)->service.executor;
    for (size_t turn = 0; call->taken < call->bytes;) {
        ssize_t n = executor->type->stdin_write(executor, &call->process, call->data + call->taken,
                                                call->bytes - call->taken);
        if (n < 0) {
            return n == -EMFILE ? PIPE_AWAY : PIPE_CLOSED;
        }
        call->taken += (size_t)n;
        turn += (size_t)n;
        if (n == 0 || turn > TURN_BYTES) {
            return call->taken < call->bytes ? PIPE_FULL : TAKEN_ALL;
        }
    }
    return TAKEN_ALL;
}

/* ---- the queue ---- */

static struct queue *queue_find(const struct fact_id *process)
{
    struct queue *queue = queues;
    while (queue && !id_equal(&queue->process, process)) {
        queue = queue->next;
    }
    return queue;
}

static void queue_unwatch(struct queue *queue)
{
    if (queue->watch.fd >= 0) {
        loop_unwatch(queue->app->service.loop, &queue->watch);
        close(queue->watch.fd);
        queue->watch.fd = -1;
    }
}

static void queue_free_when_empty(struct queue *queue)
{
    if (queue->writers.count) {
        return;
    }
    struct queue **at = &queues;
    while (*at != queue) {
        at = &(*at)->next;
    }
    *at = queue->next;
    queue_unwatch(queue);
    free(queue);
}

static void leave_queue(struct writer_call *call)
{
    waiter_cancel(&call->waiter);
    call->queue = NULL;
}

static void room(struct watch *watch, uint32_t events)
{
    struct queue *queue = (struct queue *)((char *)watch - offsetof(struct queue, watch));
    (void)events;
    while (queue->writers.first) {
        struct writer_call *call = (struct writer_call *)((char *)queue->writers.first -
                                                          offsetof(struct writer_call, waiter));
        enum progress progress = write_some(call);
        if (progress == PIPE_FULL && queue->watch.fd >= 0) {
            return;
        }
        leave_queue(call);
        if (call->eof || progress == PIPE_CLOSED) {
            queue_unwatch(queue);      /* whoever is behind finds the pipe closed */
        }
        finish(call, progress);
    }
    queue_free_when_empty(queue);
}

static struct queue *queue_make(struct app *app, const struct fact_id *process)
{
    struct executor *executor = app->service.executor;
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue) {
        return NULL;
    }
    queue->app = app;
    queue->process = *process;
    queue->watch.ready = room;
    queue->watch.fd = fcntl(executor->type->stdin_fd(executor, process), F_DUPFD_CLOEXEC, 3);
    if (queue->watch.fd < 0 || loop_watch(app->service.loop, &queue->watch, EPOLLOUT) < 0) {
        if (queue->watch.fd >= 0) {
            close(queue->watch.fd);
        }
        free(queue);
        return NULL;
    }
    queue->next = queues;
    queues = queue;
    return queue;
}

/* ---- waiting ---- */

static void time_is_up(struct waiter *waiter, bool woken)
{
    struct writer_call *call =
        (struct writer_call *)((char *)waiter - offsetof(struct writer_call, waiter));
    struct queue *queue = call->queue;
    (void)woken;
    call->queue = NULL;
    queue_free_when_empty(queue);
    answer_taken(call, false);
}

static void gone(struct request *request, void *context)
{
    struct writer_call *call = context;
    struct queue *queue = call->queue;
    timer_cancel(request_app(request)->service.loop, &call->again);
    if (call->closing) {
        control_abandon(call->closing);
    }
    if (queue) {
        leave_queue(call);
        queue_free_when_empty(queue);
    }
}

static void park(struct writer_call *call)
{
    if (!call->parked) {
        call->parked = true;
        http_park(call->request, (struct park){gone, call});
    }
}

static void wait_for_room(struct writer_call *call, struct queue *queue, int64_t deadline_us)
{
    struct app *app = request_app(call->request);
    queue = queue ? queue : queue_make(app, &call->process);
    if (queue && waiter_park(app->service.loop, &queue->writers, &call->waiter, deadline_us,
                             time_is_up)) {
        call->queue = queue;
        park(call);
        return;
    }
    if (queue) {
        queue_free_when_empty(queue);
    }
    answer_taken(call, false);         /* no memory to wait, as if there were no time */
}

/* ---- the handler ---- */

static struct problem *refusal(const struct request *request, const struct process *process)
{
    size_t bytes;
    uint64_t most = request_app(request)->config.max_payload_bytes;
    request_body(request, &bytes);
    if (process_waits(process)) {
        return problem_make(PROBLEM_NOT_STARTED, "process %s was not started", process->id_text);
    }
    if (process->worker) {
        return problem_make(PROBLEM_STDIN_CLOSED,
                            "the standard input of process %s belongs to its pool",
                            process->id_text);
    }
    if (!process_alive(process) || process->stdin_mode != STDIN_PIPE ||
        !(process->open_streams & 4u)) {
        return is_closed(process->id_text);
    }
    return bytes <= most ? NULL
                         : problem_make(PROBLEM_PAYLOAD_TOO_LARGE,
                                        "one call may write %llu bytes at most",
                                        (unsigned long long)most);
}

static void begin(struct writer_call *call);

static void try_again(struct timer *timer)
{
    begin((struct writer_call *)((char *)timer - offsetof(struct writer_call, again)));
}

/* False: it has been waited for long enough. */
static bool wait_for_pipe(struct writer_call *call)
{
    int64_t now_us = time_monotonic_us();
    call->away_until_us = call->away_until_us ? call->away_until_us : now_us + AWAY_MOST_US;
    call->again.due = try_again;
    if (now_us >= call->away_until_us ||
        !timer_set(request_app(call->request)->service.loop, &call->again, now_us + AWAY_US)) {
        return false;
    }
    park(call);
    return true;
}

static void begin(struct writer_call *call)
{
    int64_t deadline_us = request_deadline(call->request, 0);
    struct queue *queue = queue_find(&call->process);
    enum progress progress = queue ? PIPE_FULL : write_some(call);
    if (progress == PIPE_AWAY && wait_for_pipe(call)) {
        return;
    }
    if (progress == PIPE_FULL && deadline_us > time_monotonic_us()) {
        wait_for_room(call, queue, deadline_us);
    } else if (finish(call, progress)) {
        park(call);
    }
}

void handle_write_stdin(struct request *request)
{
    struct process *process = find_process_to_act_on(request);
    struct problem *problem = process ? refusal(request, process) : NULL;
    if (problem) {
        answer_problem(request, problem);
    }
    if (problem || !process) {
        return;
    }
    struct writer_call *call = request_alloc(request, sizeof *call);
    if (!call) {
        respond_no_memory(request);
        return;
    }
    call->request = request;
    call->process = process->id;
    call->data = request_body(request, &call->bytes);
    call->eof = request_param_bool(request, "eof");
    begin(call);
}
