/* Orders; see order.h. */
#include "api/order.h"

#include <signal.h>
#include <string.h>

typedef struct problem *order_giver(const struct order *, struct service *, struct process *,
                                    struct controlled, struct control_ticket **);

static struct problem *give_signal(const struct order *order, struct service *service,
                                   struct process *process, struct controlled controlled,
                                   struct control_ticket **ticket)
{
    return service_signal(service, process, order->signal, order->scope, controlled, ticket);
}

static struct problem *give_stop(const struct order *order, struct service *service,
                                 struct process *process, struct controlled controlled,
                                 struct control_ticket **ticket)
{
    int signal = order->signal ? order->signal : process->stop_signal;
    int64_t grace_us = order->grace_us >= 0 ? order->grace_us : process->grace_us;
    return service_stop(service, process, STOP_REQUESTED, signal, grace_us, controlled, ticket);
}

static struct problem *give_pause(const struct order *order, struct service *service,
                                  struct process *process, struct controlled controlled,
                                  struct control_ticket **ticket)
{
    return service_pause(service, process, order->verb == ORDER_PAUSE, controlled, ticket);
}

static const struct {
    const char *word;
    int signal;                       /* when the body names none */
    int status;
    bool lenient;                     /* no effect on an ended process, instead of 409 */
    order_giver *give;
} verbs[ORDER_VERBS] = {
    [ORDER_SIGNAL] = {"signal", 0, 202, false, give_signal},
    [ORDER_TERMINATE] = {"terminate", SIGTERM, 200, true, give_signal},
    [ORDER_KILL] = {"kill", SIGKILL, 200, true, give_signal},
    [ORDER_STOP] = {"stop", 0, 202, false, give_stop},
    [ORDER_PAUSE] = {"pause", 0, 200, false, give_pause},
    [ORDER_RESUME] = {"resume", 0, 200, false, give_pause},
    [ORDER_DELETE] = {"delete", 0, 204, false, NULL},
};

static const char *const scope_names[SCOPES] = {
    [SCOPE_MAIN] = "main", [SCOPE_GROUP] = "group", [SCOPE_TREE] = "tree"};

const char *order_scope_name(enum signal_scope scope)
{
    return scope_names[scope];
}

bool order_verb_from_word(const char *word, enum order_verb *out)
{
    for (int verb = 0; verb < ORDER_VERBS; verb++) {
        if (strcmp(word, verbs[verb].word) == 0) {
            *out = (enum order_verb)verb;
            return true;
        }
    }
    return false;
}

struct order order_plain(enum order_verb verb)
{
    return (struct order){.verb = verb, .signal = verbs[verb].signal, .scope = SCOPE_MAIN,
                          .grace_us = -1};
}

int order_status(const struct order *order)
{
    return verbs[order->verb].status;
}

bool order_is_vain(const struct order *order, const struct process *process)
{
    return verbs[order->verb].lenient && process_ended(process) &&
           !process_lives_unheld(process);
}

struct problem *order_forgive(const struct order *order, struct problem *problem)
{
    if (problem && problem->code == PROBLEM_NOT_RUNNING && verbs[order->verb].lenient) {
        problem_free(problem);
        return NULL;
    }
    return problem;
}

struct problem *order_give(const struct order *order, struct service *service,
                           struct process *process, struct controlled controlled,
                           struct control_ticket **ticket)
{
    return verbs[order->verb].give(order, service, process, controlled, ticket);
}
