/*
 * POST /v1/processes/actions: one order to many processes, one result for each.
 *
 * All are asked in one turn; the answer is made when the last of them has its result. Results
 * stand in the order of `ids`, or oldest first. A process is held by its id, for it may be deleted
 * meanwhile.
 */
#include <stddef.h>
#include <string.h>

#include "api/bodies.h"
#include "api/filter.h"
#include "api/handlers.h"
#include "api/order.h"
#include "api/problem_json.h"
#include "api/respond.h"
#include "api/schema.h"

struct actions;

struct item {
    struct actions *actions;
    const char *id_text;               /* as it was given; lives as long as the request */
    struct fact_id id;
    struct control_ticket *ticket;     /* asked, not done */
    struct waiter ended;               /* delete: the end is observed but not stored yet */
    struct problem *problem;           /* NULL: done well */
};

struct actions {
    struct request *request;
    struct order order;
    struct item *items;
    size_t count, pending;
    bool deletes;                      /* a deletion waits for its commit */
    struct stored stored;
    struct timer next_turn;
};

/* ---- the answer ---- */

static void item_json(struct text *body, const struct actions *actions, const struct item *item)
{
    struct service *service = &request_app(actions->request)->service;
    const struct process *process = process_table_find(&service->processes, &item->id);
    int status = item->problem ? problem_status(item->problem) : order_status(&actions->order);
    text_json_comma(body);
    text_put(body, "{\"id\":");
    text_json_string(body, item->id_text);
    text_printf(body, ",\"status\":%d,\"process\":", status);
    if (process && process->state != STATE_STARTING) {
        process_json(body, process);
    } else {
        text_put(body, "null");
    }
    text_put(body, ",\"problem\":");
    if (item->problem) {
        const char *target = request_target(actions->request);
        problem_write(body, item->problem, target, strcspn(target, "?"),
                      request_id_text(actions->request));
    } else {
        text_put(body, "null");
    }
    text_putc(body, '}');
}

static void free_problems(struct actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        problem_free(actions->items[i].problem);
        actions->items[i].problem = NULL;
    }
}

static void answer(struct actions *actions)
{
    struct text body = {0};
    text_put(&body, "{\"items\":[");
    for (size_t i = 0; i < actions->count; i++) {
        item_json(&body, actions, &actions->items[i]);
    }
    text_put(&body, "]}");
    free_problems(actions);
    answer_json(actions->request, 200, &body);
}

static void answer_stored(struct stored *stored)
{
    answer((struct actions *)((char *)stored - offsetof(struct actions, stored)));
}

static void one_is_done(struct actions *actions)
{
    if (--actions->pending) {
        return;
    }
    if (actions->deletes) {
        http_audit(actions->request, 200);
        stored_then(request_app(actions->request), &actions->stored, answer_stored);
    } else {
        answer(actions);
    }
}

/* ---- one process ---- */

static void done(void *context, struct problem *problem)
{
    struct item *item = context;
    item->ticket = NULL;
    item->problem = order_forgive(&item->actions->order, problem);
    one_is_done(item->actions);
}

static void delete_one(struct item *item, struct process *process)
{
    item->problem = service_delete(&request_app(item->actions->request)->service, process);
    item->actions->deletes |= !item->problem;
}

/* Deleting inside the waking of joiners would take them their process: it is done a turn later. */
static void delete_the_ended(struct timer *timer)
{
    struct actions *actions =
        (struct actions *)((char *)timer - offsetof(struct actions, next_turn));
    struct service *service = &request_app(actions->request)->service;
    for (size_t i = 0; i < actions->count; i++) {
        struct item *item = &actions->items[i];
        struct process *process = process_table_find(&service->processes, &item->id);
        if (process && process->end_stored && !item->problem && !item->ended.list) {
            delete_one(item, process);
        }
    }
    one_is_done(actions);
}

static void end_is_stored(struct waiter *waiter, bool woken)
{
    struct item *item = (struct item *)((char *)waiter - offsetof(struct item, ended));
    struct actions *actions = item->actions;
    struct loop *loop = request_app(actions->request)->service.loop;
    if (!woken) {
        item->problem = problem_make(PROBLEM_UNAVAILABLE, "its end could not be stored");
    } else if (!actions->next_turn.place) {
        actions->next_turn.due = delete_the_ended;
        if (timer_set(loop, &actions->next_turn, time_monotonic_us())) {
            actions->pending++;
        } else {
            item->problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a timer");
        }
    }
    one_is_done(actions);
}

static void ask_to_delete(struct item *item, struct process *process)
{
    struct loop *loop = request_app(item->actions->request)->service.loop;
    if (!process_ended(process) || process->end_stored) {
        delete_one(item, process);
    } else if (waiter_park(loop, &process->joiners, &item->ended,
                           time_monotonic_us() + JOIN_STANDARD_US, end_is_stored)) {
        item->actions->pending++;
    } else {
        item->problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a timer");
    }
}

static struct process *find_item(struct item *item)
{
    const struct request *request = item->actions->request;
    struct app *app = request_app(request);
    const struct principal *caller = request_principal(request);
    struct process *process =
        process_table_find_text(&app->service.processes, item->id_text, strlen(item->id_text));
    if (!process) {
        item->problem = problem_make(PROBLEM_NOT_FOUND, "there is no process %.64s", item->id_text);
    } else if (!principal_may_act_on(app, caller, process)) {
        item->problem = problem_make(PROBLEM_FORBIDDEN, "process %s was not made by the caller",
                                     process->id_text);
    } else {
        item->id = process->id;
    }
    return item->problem ? NULL : process;
}

static void ask(struct item *item)
{
    struct actions *actions = item->actions;
    const struct order *order = &actions->order;
    struct process *process = find_item(item);
    if (!process || order_is_vain(order, process)) {
        return;
    }
    if (order->verb == ORDER_DELETE) {
        ask_to_delete(item, process);
        return;
    }
    item->problem = order_give(order, &request_app(actions->request)->service, process,
                               (struct controlled){done, item}, &item->ticket);
    if (item->problem) {
        item->ticket = NULL;
    } else {
        actions->pending++;
    }
}

/* ---- all of them ---- */

static void gone(struct request *request, void *context)
{
    struct actions *actions = context;
    for (size_t i = 0; i < actions->count; i++) {
        struct item *item = &actions->items[i];
        if (item->ticket) {
            control_abandon(item->ticket);
        }
        waiter_cancel(&item->ended);
    }
    timer_cancel(request_app(request)->service.loop, &actions->next_turn);
    stored_cancel(&actions->stored);
    free_problems(actions);
}

/* `pending` counts this function too, so that nothing answers before all were asked. */
static void ask_all(struct actions *actions)
{
    actions->pending = 1;
    for (size_t i = 0; i < actions->count; i++) {
        ask(&actions->items[i]);
    }
    if (actions->pending > 1 || actions->deletes) {
        http_park(actions->request, (struct park){gone, actions});
    }
    one_is_done(actions);
}

static bool items_from_ids(struct actions *actions, const json_t *ids)
{
    actions->count = json_array_size(ids);
    actions->items = request_alloc(actions->request, actions->count * sizeof *actions->items);
    for (size_t i = 0; actions->items && i < actions->count; i++) {
        actions->items[i].actions = actions;
        actions->items[i].id_text = json_string_value(json_array_get(ids, i));
    }
    return actions->items;
}

static bool items_from_filter(struct actions *actions, const struct process_filter *filter)
{
    const struct process_table *table = &request_app(actions->request)->service.processes;
    size_t at = 0;
    for (struct process *p = table->first; p; p = p->next) {
        actions->count += process_matches(p, filter);
    }
    actions->items = request_alloc(actions->request, (actions->count + 1) * sizeof *actions->items);
    for (struct process *p = table->first; p && actions->items; p = p->next) {
        char *copy = process_matches(p, filter) ? request_alloc(actions->request, ID_TEXT_BYTES)
                                                : NULL;
        if (copy) {                   /* a copy: a deleted record is still named */
            memcpy(copy, p->id_text, ID_TEXT_BYTES);
            actions->items[at].actions = actions;
            actions->items[at++].id_text = copy;
        }
    }
    return actions->items && at == actions->count;
}

void handle_act_on_processes(struct request *request)
{
    const json_t *body = request_json(request);
    const json_t *filter = field_value(body, "filter");
    struct process_filter wanted = {0};
    struct order order;
    struct problem *problem = actions_body_read(body, &order);
    if (!problem && filter) {
        problem = filter_from_json(request, filter, &wanted);
    }
    struct actions *actions = problem ? NULL : request_alloc(request, sizeof *actions);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    if (actions) {
        *actions = (struct actions){.request = request, .order = order};
    }
    if (actions && (filter ? items_from_filter(actions, &wanted)
                           : items_from_ids(actions, field_value(body, "ids")))) {
        ask_all(actions);
    } else {
        respond_no_memory(request);
    }
}
