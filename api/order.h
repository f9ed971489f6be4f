/*
 * Orders: what may be done to a process, one row per word, the same for the single calls and for
 * actions on many.
 *
 * An order is read from a body once (bodies.h) and then given to any number of processes. Giving it
 * is asynchronous: a problem at once, or later one call of `done` (see service.h).
 */
#ifndef FORKFUL_API_ORDER_H
#define FORKFUL_API_ORDER_H

#include "api/app.h"

enum order_verb { ORDER_SIGNAL, ORDER_TERMINATE, ORDER_KILL, ORDER_STOP, ORDER_PAUSE, ORDER_RESUME,
                  ORDER_DELETE, ORDER_VERBS };

struct order {
    enum order_verb verb;
    int signal;                       /* 0: the process's own (stop) */
    enum signal_scope scope;
    int64_t grace_us;                 /* -1: the process's own (stop) */
};

bool order_verb_from_word(const char *word, enum order_verb *out);

/* The order without a body: a terminate is SIGTERM to main. */
struct order order_plain(enum order_verb verb);
/* The status of the good answer of its own call. */
int order_status(const struct order *order);

/* True: on an ended process it has no effect, and that is a good answer (terminate, kill). */
bool order_is_vain(const struct order *order, const struct process *process);
/* The same when the end came in between: takes such a problem and gives NULL. */
struct problem *order_forgive(const struct order *order, struct problem *problem);

/* Not for ORDER_DELETE, which is service_delete. */
struct problem *order_give(const struct order *order, struct service *service,
                           struct process *process, struct controlled controlled,
                           struct control_ticket **ticket);

const char *order_scope_name(enum signal_scope scope);

#endif
