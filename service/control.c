/*
 * Acting on processes: signals, stops, pause, end of stdin, deletion; see service.h.
 *
 * The keeper does it and replies; what it changed stands in the spool before the reply is sent. So
 * a control is done when the facts behind the reply are committed.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"

struct control_ticket {
    struct service *service;
    struct controlled controlled;      /* done NULL: the caller is gone */
    struct after_commit after;
    struct fact_id process;
    const char *verb;                  /* for problems: "signalled" */
};

void control_abandon(struct control_ticket *ticket)
{
    ticket->controlled.done = NULL;
}

static void finish(struct control_ticket *ticket, struct problem *problem)
{
    struct controlled controlled = ticket->controlled;
    free(ticket);
    if (controlled.done) {
        controlled.done(controlled.context, problem);
    } else {
        problem_free(problem);
    }
}

static void stored(struct after_commit *after)
{
    finish((struct control_ticket *)((char *)after - offsetof(struct control_ticket, after)), NULL);
}

static struct problem *problem_of(const struct control_ticket *ticket, int error)
{
    if (error == ESRCH) {
        return problem_make(PROBLEM_NOT_RUNNING, "the process has ended and cannot be %s",
                            ticket->verb);
    }
    struct problem *problem = problem_make(
        error == EPERM ? PROBLEM_FORBIDDEN : error == ENOTSUP ? PROBLEM_NOT_SUPPORTED
                                                               : PROBLEM_UNAVAILABLE,
        "the process could not be %s: %s", ticket->verb, strerror(error));
    problem->retry_after_seconds = problem_status(problem) == 503 ? 1 : 0;
    return problem;
}

static void replied(void *context, int error, unsigned stage)
{
    (void)stage;
    struct control_ticket *ticket = context;
    if (error) {
        finish(ticket, problem_of(ticket, error));
        return;
    }
    recorder_read(ticket->service->recorder);
    ticket->after.run = stored;
    recorder_after(ticket->service->recorder, &ticket->after);
}

static struct control_ticket *ticket_make(struct service *service, const struct process *process,
                                          struct controlled controlled, const char *verb,
                                          struct control_ticket **out)
{
    struct control_ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket) {
        ticket->service = service;
        ticket->controlled = controlled;
        ticket->process = process->id;
        ticket->verb = verb;
    }
    if (out) {
        *out = ticket;
    }
    return ticket;
}

static struct problem *not_alive(const struct process *process)
{
    if (process->state == STATE_CREATED || process->state == STATE_PENDING) {
        return problem_make(PROBLEM_NOT_STARTED, "process %s was not started", process->id_text);
    }
    if (!process_alive(process)) {
        return problem_make(PROBLEM_NOT_RUNNING, "process %s has ended", process->id_text);
    }
    return NULL;
}

/* What every control does around its call of the executor. */
#define CONTROL(process, verb, controlled, out, call)                                          \
    do {                                                                                       \
        struct problem *problem = not_alive(process);                                          \
        if (problem) {                                                                         \
            return problem;                                                                    \
        }                                                                                      \
        struct control_ticket *ticket = ticket_make(service, process, controlled, verb, out);  \
        if (!ticket) {                                                                         \
            return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");           \
        }                                                                                      \
        const struct executor_type *executor = service->executor->type;                        \
        struct reply reply = {replied, ticket};                                                \
        problem = call;                                                                        \
        if (problem) {                                                                         \
            free(ticket);                                                                      \
        }                                                                                      \
        return problem;                                                                        \
    } while (0)

struct problem *service_signal(struct service *service, struct process *process, int signal,
                               enum signal_scope scope, struct controlled controlled,
                               struct control_ticket **out)
{
    char name[16];
    signal_name(signal, name);
    service_log(service, LEVEL_DEBUG, process, "sending %s to process", name);
    CONTROL(process, "signalled", controlled, out,
            executor->signal(service->executor, &process->id, signal, scope, reply));
}

/* A stop works also on what the ended main process left behind. */
struct problem *service_stop(struct service *service, struct process *process,
                             enum stop_reason reason, int signal, int64_t grace_us,
                             struct controlled controlled, struct control_ticket **out)
{
    CONTROL(process, "stopped", controlled, out,
            executor->stop(service->executor, &process->id, reason, signal, grace_us, reply));
}

struct problem *service_pause(struct service *service, struct process *process, bool paused,
                              struct controlled controlled, struct control_ticket **out)
{
    CONTROL(process, paused ? "paused" : "resumed", controlled, out,
            executor->freeze(service->executor, &process->id, paused, reply));
}

struct problem *service_stdin_close(struct service *service, struct process *process,
                                    struct controlled controlled, struct control_ticket **out)
{
    CONTROL(process, "given an end of its stdin", controlled, out,
            executor->stdin_close(service->executor, &process->id, reply));
}

void service_parent_ended(struct service *service, const struct owner *parent)
{
    struct controlled nobody = {0};
    if (!service->processes.live_daemons) {
        return;
    }
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p->daemon && p->parent.kind == parent->kind && id_equal(&p->parent.id, &parent->id) &&
            p->stop_reason == STOP_NONE) {
            service_log(service, LEVEL_INFO, p, "calling terminate() for daemon %s", p->name);
            problem_free(service_stop(service, p, STOP_PARENT_EXIT, SIGTERM, p->grace_us, nobody,
                                      NULL));
        }
    }
}

/* ---- deletion ---- */

static void release(struct deferred *deferred)
{
    process_free((struct process *)((char *)deferred - offsetof(struct process, release)));
}

static void not_dirty(struct service *service, struct process *process)
{
    for (struct process **at = &service->dirty; *at; at = &(*at)->next_dirty) {
        if (*at == process) {
            *at = process->next_dirty;
            return;
        }
    }
}

struct problem *service_delete(struct service *service, struct process *process)
{
    if (process_alive(process) || process->launched || process->ticket ||
        (process_ended(process) && !process->end_stored)) {
        return problem_make(PROBLEM_PROCESS_ALIVE, "process %s is %s", process->id_text,
                            process_state_name(process->state));
    }
    if (!process_row_delete(recorder_batch(service->recorder), process->num)) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the deletion");
    }
    service_change(service, "process.deleted", process->id_text, NULL);
    service_log(service, LEVEL_DEBUG, process, "record deleted");
    recorder_forget(service->recorder, &process->tell_end);
    recorder_forget(service->recorder, &process->tell_quiet);
    not_dirty(service, process);
    process_table_remove(&service->processes, process);
    wait_list_wake_all(&process->joiners);
    wait_list_wake_all(&process->followers);
    process->release.run = release;
    loop_defer(service->loop, &process->release);
    return NULL;
}
