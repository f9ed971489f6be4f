/*
 * DELETE /v1/processes/{id}: takes a record away, with kill=true its living tree first.
 *
 * The answer comes when the end is stored and the deletion too. A record whose end is observed but
 * not committed yet is waited for as well: what refers to it in the open batch goes first.
 */
#include <signal.h>
#include <stddef.h>

#include "api/handlers.h"
#include "api/respond.h"

#define START_LOOK_US 1000

struct deletion {
    struct request *request;
    struct fact_id process;
    struct waiter ended;               /* among the process's joiners */
    struct timer next_turn;            /* the other joiners are told first */
    struct control_ticket *stopping;
    bool parked;
    struct stored stored;
};

static void answer_deleted(struct stored *stored)
{
    struct deletion *deletion =
        (struct deletion *)((char *)stored - offsetof(struct deletion, stored));
    answer_empty(deletion->request, 204);
}

/* Deletes now; the answer follows, or a problem at once. True: it follows. */
static bool delete_now(struct deletion *deletion)
{
    struct app *app = request_app(deletion->request);
    struct process *process = process_table_find(&app->service.processes, &deletion->process);
    struct problem *problem = process ? service_delete(&app->service, process) : NULL;
    if (problem) {
        answer_problem(deletion->request, problem);
        return false;
    }
    http_audit(deletion->request, 204);
    stored_then(app, &deletion->stored, answer_deleted);
    return true;
}

/* ---- waiting for the end ---- */

static void end_is_told(struct timer *timer)
{
    delete_now((struct deletion *)((char *)timer - offsetof(struct deletion, next_turn)));
}

static void waiting_over(struct deletion *deletion, struct problem *problem)
{
    if (deletion->stopping) {
        control_abandon(deletion->stopping);
        deletion->stopping = NULL;
    }
    if (problem) {
        waiter_cancel(&deletion->ended);
        answer_problem(deletion->request, problem);
    }
}

static void wake(struct waiter *waiter, bool woken)
{
    struct deletion *deletion =
        (struct deletion *)((char *)waiter - offsetof(struct deletion, ended));
    struct loop *loop = request_app(deletion->request)->service.loop;
    deletion->next_turn.due = end_is_told;
    if (!woken) {
        waiting_over(deletion, problem_make(PROBLEM_PROCESS_ALIVE, "it was killed and lives on"));
    } else if (timer_set(loop, &deletion->next_turn, time_monotonic_us())) {
        waiting_over(deletion, NULL);
    } else {
        waiting_over(deletion, problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a timer"));
    }
}

/* The kill was taken, or it came too late: then the end is on its way all the same. */
static void stopped(void *context, struct problem *problem)
{
    struct deletion *deletion = context;
    deletion->stopping = NULL;
    if (problem && problem->code != PROBLEM_NOT_RUNNING) {
        waiting_over(deletion, problem);
    } else {
        problem_free(problem);
    }
}

static void gone(struct request *request, void *context)
{
    struct deletion *deletion = context;
    waiter_cancel(&deletion->ended);
    timer_cancel(request_app(request)->service.loop, &deletion->next_turn);
    stored_cancel(&deletion->stored);
    waiting_over(deletion, NULL);
}

/* ---- asking ---- */

/* What an ended main process left behind is nobody's to wait for. */
static void kill_leftovers(struct service *service, const struct process *process)
{
    struct reply nobody = {0};
    if (process->descendants) {
        problem_free(service->executor->type->stop(service->executor, &process->id, STOP_REQUESTED,
                                                   SIGKILL, 0, nobody));
    }
}

static struct problem *kill_first(struct deletion *deletion, struct process *process)
{
    struct service *service = &request_app(deletion->request)->service;
    if (!process_alive(process)) {
        kill_leftovers(service, process);
        return NULL;
    }
    return service_stop(service, process, STOP_REQUESTED, SIGKILL, 0,
                        (struct controlled){stopped, deletion}, &deletion->stopping);
}

static bool wait_for_end(struct deletion *deletion, struct process *process)
{
    struct loop *loop = request_app(deletion->request)->service.loop;
    return waiter_park(loop, &process->joiners, &deletion->ended,
                       time_monotonic_us() + WAIT_MOST_US, wake);
}

static void begin(struct deletion *deletion, struct process *process, bool kills);

/* Its start was under way: when that is over it can be killed, or has failed. */
static void start_is_over(struct timer *timer)
{
    struct deletion *deletion =
        (struct deletion *)((char *)timer - offsetof(struct deletion, next_turn));
    struct process *process = process_table_find(
        &request_app(deletion->request)->service.processes, &deletion->process);
    if (process) {
        begin(deletion, process, true);
    } else {
        delete_now(deletion);
    }
}

static bool wait_for_start(struct deletion *deletion)
{
    deletion->next_turn.due = start_is_over;
    return timer_set(request_app(deletion->request)->service.loop, &deletion->next_turn,
                     time_monotonic_us() + START_LOOK_US);
}

static void park(struct deletion *deletion)
{
    if (!deletion->parked) {
        deletion->parked = true;
        http_park(deletion->request, (struct park){gone, deletion});
    }
}

static void begin(struct deletion *deletion, struct process *process, bool kills)
{
    if (kills && process->launched && wait_for_start(deletion)) {
        park(deletion);
        return;
    }
    struct problem *problem = NULL;
    bool wait = (process_alive(process) && kills) ||
                (process_ended(process) && !process->end_stored);
    bool parks = true;
    if (wait && !wait_for_end(deletion, process)) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a timer");
    } else if (kills) {
        problem = kill_first(deletion, process);
    }
    if (problem) {
        waiter_cancel(&deletion->ended);
        answer_problem(deletion->request, problem);
        parks = false;
    } else if (!wait) {
        parks = delete_now(deletion);
    }
    if (parks) {
        park(deletion);
    }
}

void handle_delete_process(struct request *request)
{
    struct process *process = find_process_to_act_on(request);
    struct deletion *deletion = process ? request_alloc(request, sizeof *deletion) : NULL;
    if (!deletion) {
        if (process) {
            respond_no_memory(request);
        }
        return;
    }
    deletion->request = request;
    deletion->process = process->id;
    begin(deletion, process, request_param_bool(request, "kill"));
}
