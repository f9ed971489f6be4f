/*
 * One order to one process: signal, terminate, kill, stop, pause, resume.
 *
 * The request is parked until the keeper has carried the order out and what came of it is stored;
 * so the record in the answer shows its effect, as far as it is immediate.
 */
#include "api/bodies.h"
#include "api/handlers.h"
#include "api/order.h"
#include "api/respond.h"

struct call {
    struct request *request;
    struct order order;
    struct fact_id process;
    struct control_ticket *ticket;
};

/* ---- answers ---- */

static void put_common(struct text *body, const struct process *process)
{
    text_put(body, ",\"process\":");
    process_json(body, process);
    text_putc(body, '}');
}

static void put_signal(struct text *body, int signal)
{
    char name[16];
    signal_name(signal, name);
    text_put(body, ",\"signal\":");
    text_json_string(body, name);
}

static void answer_signal(const struct call *call, const struct process *process)
{
    struct text body = {0};
    text_printf(&body, "{\"id\":\"%s\"", process->id_text);
    put_signal(&body, call->order.signal);
    text_printf(&body, ",\"scope\":\"%s\"", order_scope_name(call->order.scope));
    put_common(&body, process);
    answer_json(call->request, 202, &body);
}

static void answer_stop(const struct call *call, const struct process *process)
{
    struct text body = {0};
    int64_t deadline_us = process->stop_deadline_at_us;
    int signal = call->order.signal ? call->order.signal : process->stop_signal;
    text_printf(&body, "{\"id\":\"%s\",\"state\":\"%s\",\"deadline_at\":", process->id_text,
                process_state_name(process->state));
    text_json_time(&body, deadline_us ? deadline_us : time_now_us());
    put_signal(&body, signal);
    put_common(&body, process);
    answer_json(call->request, 202, &body);
}

static void answer_done(const struct call *call)
{
    struct service *service = &request_app(call->request)->service;
    const struct process *process = process_table_find(&service->processes, &call->process);
    if (process && call->order.verb == ORDER_SIGNAL) {
        answer_signal(call, process);
    } else if (process && call->order.verb == ORDER_STOP) {
        answer_stop(call, process);
    } else {
        respond_process_now(call->request, order_status(&call->order), &call->process);
    }
}

/* ---- carrying it out ---- */

static void done(void *context, struct problem *problem)
{
    struct call *call = context;
    problem = order_forgive(&call->order, problem);
    if (problem) {
        answer_problem(call->request, problem);
    } else {
        answer_done(call);
    }
}

static void gone(struct request *request, void *context)
{
    struct call *call = context;
    (void)request;
    control_abandon(call->ticket);
}

static void give(struct call *call, struct process *process)
{
    struct service *service = &request_app(call->request)->service;
    if (order_is_vain(&call->order, process)) {
        answer_done(call);
        return;
    }
    struct problem *problem = order_give(&call->order, service, process,
                                         (struct controlled){done, call}, &call->ticket);
    if (problem) {
        answer_problem(call->request, problem);
    } else {
        http_park(call->request, (struct park){gone, call});
        http_park_done(call->request);
    }
}

static void carry_out(struct request *request, enum order_verb verb)
{
    struct process *process = find_process_to_act_on(request);
    if (!process) {
        return;
    }
    struct order order = order_plain(verb);
    struct problem *problem = order_body_read(request_json(request), &order);
    struct call *call = problem ? NULL : request_alloc(request, sizeof *call);
    if (problem) {
        answer_problem(request, problem);
    } else if (!call) {
        respond_no_memory(request);
    } else {
        *call = (struct call){.request = request, .order = order, .process = process->id};
        give(call, process);
    }
}

void handle_signal_process(struct request *request)
{
    carry_out(request, ORDER_SIGNAL);
}

void handle_terminate_process(struct request *request)
{
    carry_out(request, ORDER_TERMINATE);
}

void handle_kill_process(struct request *request)
{
    carry_out(request, ORDER_KILL);
}

void handle_stop_process(struct request *request)
{
    carry_out(request, ORDER_STOP);
}

void handle_pause_process(struct request *request)
{
    carry_out(request, ORDER_PAUSE);
}

void handle_resume_process(struct request *request)
{
    carry_out(request, ORDER_RESUME);
}
