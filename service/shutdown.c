/*
 * Shutdown, in the manner of multiprocessing at its parent's exit: daemon processes are ended,
 * the others joined; who still lives when the time is over is stopped with its own signal and
 * grace, reason `shutdown`.
 *
 * The keeper remembers the intent (COMMAND_STATE), so a server killed in the middle does not
 * forget it: the next one takes it up. Where nothing can be stored (a full disk), nobody can see
 * that all have ended: then the shutdown goes on without, the keeper ends who lives, and what was
 * not stored stays in the spool for the next start.
 */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include "service/local_executor.h"
#include "service/service.h"

struct shutdown {
    struct service *service;
    struct timer timer;                /* the joining is over; then: look whether all is stored */
    int64_t deadline_at_us;
    int64_t refused_us;                /* how long storing has failed without a break, after that */
};

#define LOOK_US 20000
#define REFUSED_PATIENCE_US 5000000

static void stop_all(struct service *service, bool daemons)
{
    struct controlled nobody = {0};
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p->daemon == daemons && process_stop_wanted(p)) {
            service_log(service, LEVEL_INFO, p, "calling terminate() for %s%s",
                        daemons ? "daemon " : "", p->name);
            problem_free(service_stop(service, p, STOP_SHUTDOWN,
                                      daemons ? SIGTERM : p->stop_signal, p->grace_us, nobody,
                                      NULL));
        }
    }
}

static bool all_ended(const struct service *service)
{
    return !service->processes.live && !service->processes.states[STATE_STARTING] &&
           recorder_idle(service->recorder);
}

/* Has nothing been stored for so long after the deadline that waiting on has no sense? */
static bool storage_is_lost(struct shutdown *shutdown)
{
    struct problem *problem = recorder_refuses(shutdown->service->recorder);
    bool waits = problem && time_steady_us() >= shutdown->deadline_at_us;
    problem_free(problem);
    shutdown->refused_us = waits ? shutdown->refused_us + LOOK_US : 0;
    return shutdown->refused_us >= REFUSED_PATIENCE_US;
}

static void look(struct timer *timer)
{
    struct shutdown *shutdown =
        (struct shutdown *)((char *)timer - offsetof(struct shutdown, timer));
    struct service *service = shutdown->service;
    if (all_ended(service) || storage_is_lost(shutdown)) {
        service->finished(service->context);
        return;
    }
    stop_all(service, true);           /* also those that were just being started */
    if (time_steady_us() >= shutdown->deadline_at_us) {
        stop_all(service, false);
    }
    timer_set(service->loop, timer, time_monotonic_us() + LOOK_US);
}

void service_shutdown(struct service *service, int64_t deadline_at_us)
{
    struct command_state state = {.shutting_down = 1, .shutdown_deadline_at_us = deadline_at_us};
    if (service->shutdown) {           /* a repeat may only bring it nearer */
        if (deadline_at_us < service->shutdown->deadline_at_us) {
            service->shutdown->deadline_at_us = deadline_at_us;
            local_executor_state(service->executor, &state);
        }
        return;
    }
    struct shutdown *shutdown = calloc(1, sizeof *shutdown);
    if (!shutdown) {
        recorder_fatal("out of memory for a shutdown");
        return;
    }
    shutdown->service = service;
    shutdown->deadline_at_us = deadline_at_us;
    shutdown->timer.due = look;
    service->shutdown = shutdown;
    service->shutting_down = true;
    service->keeper.state = state;
    local_executor_state(service->executor, &state);
    service_log(service, LEVEL_INFO, NULL, "shutting down: joining processes");
    service_change(service, "daemon.shutdown", NULL, NULL);
    stop_all(service, true);
    timer_set(service->loop, &shutdown->timer, time_monotonic_us() + LOOK_US);
}
