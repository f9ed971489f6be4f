/*
 * Acting on processes: signals, stops, pause, end of stdin, deletion; see service.h.
 *
 * The keeper does it and replies; what it changed stands in the spool before the reply is sent. So
 * a control is done when the facts behind the reply are committed.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/bonds.h"
#include "service/service.h"

struct control_ticket {
    struct service *service;
    struct fact_id process;
    struct controlled controlled;      /* done NULL: the caller is gone */
    struct after_commit after;
    uint64_t facts_end;                /* the facts that it caused lie before this in the spool */
    bool facts_read;                   /* and all of them are in the batch that `after` waits for */
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

/* Reads what the call caused, as far as the open batch takes it, and waits for that batch. */
static void when_stored(struct control_ticket *ticket)
{
    struct recorder *recorder = ticket->service->recorder;
    recorder_read(recorder);
    ticket->facts_read = recorder_spool(recorder)->position >= ticket->facts_end;
    recorder_after(recorder, &ticket->after);
}

static void stored(struct after_commit *after)
{
    struct control_ticket *ticket =
        (struct control_ticket *)((char *)after - offsetof(struct control_ticket, after));
    if (ticket->facts_read) {
        finish(ticket, NULL);
    } else {
        when_stored(ticket);
    }
}

static struct problem *problem_of(const struct control_ticket *ticket, int error)
{
    if (error == ESRCH) {
        return problem_make(PROBLEM_NOT_RUNNING, "the process has ended and cannot be %s",
                            ticket->verb);
    }
    return problem_make(
        error == EPERM ? PROBLEM_FORBIDDEN : error == ENOTSUP ? PROBLEM_NOT_SUPPORTED
                                                               : PROBLEM_UNAVAILABLE,
        "the process could not be %s: %s", ticket->verb, strerror(error));
}

/* What was refused may be asked again: by a shutdown, which gives up whom it may not stop. */
static void refused(const struct control_ticket *ticket)
{
    struct process *process =
        process_table_find(&ticket->service->processes, &ticket->process);
    if (process) {
        process->stop_asked = false;
    }
}

static void replied(void *context, int error, unsigned stage)
{
    (void)stage;
    struct control_ticket *ticket = context;
    if (error == EPERM) {
        refused(ticket);
    }
    if (error) {
        finish(ticket, problem_of(ticket, error));
        return;
    }
    ticket->facts_end = atomic_load(&recorder_spool(ticket->service->recorder)->header->head);
    ticket->after.run = stored;
    when_stored(ticket);
}

/* `reaches_tree`: what is asked is of use to descendants that have outlived the main process. */
static struct problem *not_alive(const struct process *process, bool reaches_tree)
{
    if (process_waits(process)) {
        return problem_make(PROBLEM_NOT_STARTED, "process %s was not started", process->id_text);
    }
    if (process_alive(process) || (reaches_tree && process->descendants)) {
        return NULL;
    }
    if (process_lives_unheld(process)) {
        return problem_make(PROBLEM_NOT_RUNNING,
                            "process %s is lost: it lives as pid %d, but this daemon has no hold "
                            "of it any more", process->id_text, process->pid);
    }
    return problem_make(PROBLEM_NOT_RUNNING, "process %s has ended", process->id_text);
}

/* Before the call of the executor: NULL, or *problem tells. */
static struct control_ticket *begin(struct service *service, const struct process *process,
                                    const char *verb, bool reaches_tree,
                                    struct controlled controlled, struct problem **problem)
{
    *problem = not_alive(process, reaches_tree);
    if (*problem) {
        return NULL;
    }
    struct control_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket) {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
        return NULL;
    }
    ticket->service = service;
    ticket->process = process->id;
    ticket->controlled = controlled;
    ticket->verb = verb;
    return ticket;
}

/* After it. *out is the ticket, unless nothing was asked. */
static struct problem *end(struct control_ticket *ticket, struct problem *problem,
                           struct control_ticket **out)
{
    if (problem) {
        free(ticket);
        ticket = NULL;
    }
    if (out) {
        *out = ticket;
    }
    return problem;
}

struct problem *service_signal(struct service *service, struct process *process, int signal,
                               enum signal_scope scope, struct controlled controlled,
                               struct control_ticket **out)
{
    char name[16];
    struct problem *problem;
    struct executor *executor = service->executor;
    struct control_ticket *ticket =
        begin(service, process, "signalled", scope == SCOPE_TREE, controlled, &problem);
    if (ticket) {
        signal_name(signal, name);
        service_log(service, LEVEL_DEBUG, process, "sending %s to process", name);
        problem = executor->type->signal(executor, &process->id, signal, scope,
                                         (struct reply){replied, ticket});
    }
    return end(ticket, problem, out);
}

struct problem *service_stop(struct service *service, struct process *process,
                             enum stop_reason reason, int signal, int64_t grace_us,
                             struct controlled controlled, struct control_ticket **out)
{
    struct problem *problem;
    struct executor *executor = service->executor;
    struct control_ticket *ticket = begin(service, process, "stopped", true, controlled, &problem);
    if (ticket) {
        problem = executor->type->stop(executor, &process->id, reason, signal, grace_us,
                                       (struct reply){replied, ticket});
        process->stop_asked |= !problem;
    }
    return end(ticket, problem, out);
}

struct problem *service_pause(struct service *service, struct process *process, bool paused,
                              struct controlled controlled, struct control_ticket **out)
{
    struct problem *problem;
    struct executor *executor = service->executor;
    struct control_ticket *ticket =
        begin(service, process, paused ? "paused" : "resumed", !paused, controlled, &problem);
    if (ticket) {
        problem = executor->type->freeze(executor, &process->id, paused,
                                         (struct reply){replied, ticket});
    }
    return end(ticket, problem, out);
}

struct problem *service_stdin_close(struct service *service, struct process *process,
                                    struct controlled controlled, struct control_ticket **out)
{
    struct problem *problem;
    struct executor *executor = service->executor;
    struct control_ticket *ticket =
        begin(service, process, "given an end of its stdin", false, controlled, &problem);
    if (ticket) {
        problem = executor->type->stdin_close(executor, &process->id,
                                              (struct reply){replied, ticket});
    }
    return end(ticket, problem, out);
}

/* ---- stops that nobody waits for ---- */

bool process_stop_wanted(const struct process *process)
{
    return process->stop_reason == STOP_NONE && !process->stop_asked;
}

void service_stop_daemon(struct service *service, struct process *process)
{
    struct controlled nobody = {0};
    service_log(service, LEVEL_INFO, process, "calling terminate() for daemon %s", process->name);
    problem_free(service_stop(service, process, STOP_PARENT_EXIT, SIGTERM, process->grace_us,
                              nobody, NULL));
}

bool process_parent_has_ended(struct service *service, const struct process *process)
{
    const struct owner *parent = &process->parent;
    if (parent->kind == PARENT_SESSION) {
        return !session_find(service, &parent->id);
    }
    const struct process *found = parent->kind == PARENT_PROCESS
                                      ? process_table_find(&service->processes, &parent->id)
                                      : NULL;
    return parent->kind == PARENT_PROCESS && (!found || process_ended(found));
}

void service_parent_ended(struct service *service, const struct owner *parent)
{
    for (struct process *p = service->processes.first_daemon; p; p = p->next_daemon) {
        if (p->parent.kind == parent->kind && id_equal(&p->parent.id, &parent->id) &&
            process_stop_wanted(p)) {
            service_stop_daemon(service, p);
        }
    }
}

/* ---- deletion ---- */

static void release(struct deferred *deferred)
{
    process_free((struct process *)((char *)deferred - offsetof(struct process, release)));
}

/* Nobody will make room for it any more: what its pipes still hold is read and thrown away. */
static void unblock(struct service *service, const struct process *process)
{
    if (process->when_full == FULL_BLOCK && (process->open_streams & 3u)) {
        problem_free(
            service->executor->type->credit(service->executor, &process->id, UINT64_MAX));
    }
}

static void not_dirty(struct service *service, const struct process *process)
{
    struct process **at = &service->dirty;
    if (!process->dirty) {
        return;
    }
    while (*at != process) {
        at = &(*at)->next_dirty;
    }
    *at = process->next_dirty;
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
    bonds_cancel(process->bonds);
    if (!process_ended(process)) {     /* it never ran, and never will: who counts on it is told */
        owner_ended(service, &(struct owner){PARENT_PROCESS, process->id});
    }
    service_change(service, "process.deleted", process->id_text, NULL);
    service_log(service, LEVEL_DEBUG, process, "record deleted");
    recorder_forget(service->recorder, &process->tell_end);
    recorder_forget(service->recorder, &process->tell_quiet);
    unblock(service, process);
    not_dirty(service, process);
    process_table_remove(&service->processes, process);
    wait_list_wake_all(&process->joiners);
    wait_list_wake_all(&process->followers);
    process->release.run = release;
    loop_defer(service->loop, &process->release);
    return NULL;
}
