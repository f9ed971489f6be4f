/*
 * GET /v1/processes/{id}/join: waits for the end of a process, in the list that its commit wakes.
 *
 * A joiner knows its process by id, so that a record deleted meanwhile is 404 and nothing worse.
 */
#include <stddef.h>

#include "api/handlers.h"
#include "api/respond.h"

struct joiner {
    struct waiter waiter;
    struct request *request;
    struct fact_id process;
    struct wait_note note;             /* for GET /v1/waits */
};

static void wake(struct waiter *waiter, bool woken)
{
    struct joiner *joiner = (struct joiner *)((char *)waiter - offsetof(struct joiner, waiter));
    (void)woken;
    wait_ends(&request_app(joiner->request)->service, &joiner->note);
    respond_process_now(joiner->request, 200, &joiner->process);
}

static void gone(struct request *request, void *context)
{
    struct joiner *joiner = context;
    wait_ends(&request_app(request)->service, &joiner->note);
    waiter_cancel(&joiner->waiter);
}

static struct problem *refusal(const struct request *request, const struct process *process)
{
    const struct principal *principal = request_principal(request);
    if (principal->kind == PRINCIPAL_PROCESS && id_equal(&principal->id, &process->id)) {
        return problem_make(PROBLEM_WOULD_DEADLOCK, "process %s waits for its own end",
                            process->id_text);
    }
    if (process->state == STATE_CREATED) {
        return problem_make(PROBLEM_NOT_STARTED, "process %s was not started", process->id_text);
    }
    return NULL;
}

static void park(struct request *request, struct process *process, int64_t deadline_us)
{
    struct loop *loop = request_app(request)->service.loop;
    struct joiner *joiner = request_alloc(request, sizeof *joiner);
    if (!joiner) {
        respond_no_memory(request);
        return;
    }
    joiner->request = request;
    joiner->process = process->id;
    joiner->note.owner = principal_owner(request_principal(request));
    joiner->note.process = process->id;
    if (waiter_park(loop, &process->joiners, &joiner->waiter, deadline_us, wake)) {
        wait_begins(&request_app(request)->service, &joiner->note);
        http_park(request, (struct park){gone, joiner});
    } else {
        respond_no_memory(request);
    }
}

void handle_join_process(struct request *request)
{
    struct process *process = find_process(request);
    struct problem *problem = process ? refusal(request, process) : NULL;
    if (problem) {
        answer_problem(request, problem);
    } else if (process) {
        int64_t deadline_us = request_deadline(request, JOIN_STANDARD_US);
        bool ended = process_ended(process) && process->end_stored;
        if (ended || deadline_us <= time_monotonic_us()) {
            respond_process(request, 200, process);
        } else {
            park(request, process, deadline_us);
        }
    }
}
