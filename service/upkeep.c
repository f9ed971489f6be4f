/*
 * Upkeep: ended records go by age and by number, oldest first, in slices.
 *
 * A timer, once a minute and sooner when there are many. Output has its own limits (db/upkeep).
 */
#include <stddef.h>

#include "service/pool.h"
#include "service/service.h"

#define PERIOD_US (60 * 1000000ll)
#define SOON_US 200000
#define SLICE 500u                     /* records per turn: some milliseconds */

static bool is_over(const struct service *service, const struct process *process, int64_t now_us)
{
    int64_t ended_at_us = process->exited_at_us ? process->exited_at_us : process->created_at_us;
    return service->processes.ended > service->config->retention_ended_count ||
           now_us - ended_at_us > service->config->retention_ended_age_us;
}

static void run(struct timer *timer)
{
    struct service *service = (struct service *)((char *)timer - offsetof(struct service, upkeep));
    int64_t now_us = time_now_us();
    unsigned deleted = 0;
    struct process *next;
    for (struct process *p = service->processes.first; p && deleted < SLICE; p = next) {
        next = p->next;
        if (process_ended(p) && p->quiet_stored && is_over(service, p, now_us)) {
            struct problem *problem = service_delete(service, p);
            deleted += !problem;
            problem_free(problem);
        }
    }
    pools_drop_old(service);
    timer_set(service->loop, timer,
              time_monotonic_us() + (deleted == SLICE ? 20000 : PERIOD_US));
}

/* One more record has ended for good: above the number to keep, the oldest go soon. */
void service_upkeep_soon(struct service *service)
{
    int64_t soon_us = time_monotonic_us() + SOON_US;
    if (service->processes.ended > service->config->retention_ended_count &&
        service->upkeep.due && service->upkeep.deadline_us > soon_us) {
        timer_set(service->loop, &service->upkeep, soon_us);
    }
}

void service_upkeep_start(struct service *service)
{
    service->upkeep.due = run;
    timer_set(service->loop, &service->upkeep, time_monotonic_us() + PERIOD_US);
}
