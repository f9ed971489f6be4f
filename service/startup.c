/*
 * Startup: the records come back from the database, and what nobody knows any more is said to be
 * lost.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db/tokens.h"
#include "service/adoption.h"
#include "service/bonds.h"
#include "service/coordination.h"
#include "service/local_executor.h"
#include "service/pool.h"
#include "service/service.h"

#define RECONCILE_AGAIN_US 100000

struct loading {
    struct service *service;
    struct db *db;
    bool failed;
};

/* What was deleted from the log of a process whose pipes may hold more: the batch that did it may
   have been the last of the former server, which then had no time to count it in the row. */
static bool load_totals(struct loading *loading, struct process *process)
{
    struct log_progress totals = {0};
    struct db_error error = {0};
    if (!process_alive(process) && !(process->open_streams & 3u)) {
        return true;
    }
    if (log_totals(loading->db, process->num, &totals, &error)) {
        return false;
    }
    process->log_trimmed = totals.trimmed_bytes;
    process->log_gone = totals.trimmed_bytes + totals.dropped_bytes;
    if (process->when_full == FULL_DROP_OLDEST) {
        process->dropped_bytes = totals.dropped_bytes;
    }
    return true;
}

static bool load_process(void *context, const struct process_row *row)
{
    struct loading *loading = context;
    struct service *service = loading->service;
    struct fact_id id;
    memcpy(id.bytes, row->id, sizeof id.bytes);
    struct process *process = process_table_add(&service->processes, &id, row->num);
    if (!process || !process_fix_from_text(process, row->spec)) {
        loading->failed = true;
        return false;
    }
    process->service = service;
    process_from_row(process, row);
    process_set_state(&service->processes, process, (enum process_state)row->state);
    process->inserted = true;
    if ((!process_ended(process) && !process_table_charge(&service->processes, process)) ||
        !load_totals(loading, process)) {
        loading->failed = true;
        return false;
    }
    process->end_stored = process_ended(process);
    process->quiet_stored = process->end_stored && !(process->open_streams & 3u);
    if (!process_waits(process)) {
        free(process->spec_text);
        process->spec_text = NULL;
    }
    service->processes.last_num = row->num;
    id_not_before(&id);
    return true;
}

static bool load_session(void *context, const struct session_row *row)
{
    struct loading *loading = context;
    loading->failed |= !session_restore(loading->service, row);
    return !loading->failed;
}

static bool load_token(void *context, const struct token_row *row)
{
    struct loading *loading = context;
    loading->failed |= !token_restore(loading->service, row);
    return !loading->failed;
}

struct problem *service_load(struct service *service, struct db *db)
{
    struct loading loading = {.service = service, .db = db};
    struct db_error error = {0};
    struct feed_bounds changes = {0}, log = {0}, audit = {0};
    if (process_rows_load(db, load_process, &loading, &error) ||
        token_rows_load(db, load_token, &loading, &error) ||
        session_rows_load(db, load_session, &loading, &error) ||
        changes_bounds(db, &changes, &error) || daemon_log_bounds(db, &log, &error) ||
        audit_bounds(db, &audit, &error)) {
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    for (const struct process *p = service->processes.first_live; p; p = p->next_live) {
        session_count_process(service, &p->parent, true);
    }
    service->changes.last = changes.last;
    service->log.last = log.last;
    service->audit.last = audit.last;
    int64_t last_num = process_num_last(db);
    if (last_num > service->processes.last_num) {
        service->processes.last_num = last_num;
    }
    return loading.failed ? problem_make(PROBLEM_OUT_OF_MEMORY, "the records cannot be loaded")
                          : coordination_load(service, db);
}

/* The keeper holds an entry for each process that lives and for each end not yet stored; but it may be
   another keeper than the one that started them. */
static void lose_unknown(struct service *service, int64_t started_before_us)
{
    enum exit_reason reason = service->new_boot ? REASON_REBOOT : REASON_KEEPER_LOST;
    struct process *next;
    for (struct process *p = service->processes.first_live; p; p = next) {
        next = p->next_live;
        bool known = p->started_at_us >= started_before_us ||
                     custody_find(local_executor_custody(service->executor), &p->id);
        if (!known && (service->new_boot || !adoption_take_over(service, p))) {
            process_lost(service, p, reason);
        }
    }
}

/* Of an ended process that the keeper does not know no pipe is held and no descendant looked after,
   whatever the record says. */
static void settle_unknown(struct service *service, struct process *process)
{
    if (process->descendants) {
        process->descendants = 0;
        process_touch(service, process, true);
    }
    if (process->open_streams & 3u) {
        process_streams_lost(service, process);
    }
}

/* An end that was stored by a former server may not have been told to the keeper; room that was
   made in a log neither. */
static void settle_ended(struct service *service)
{
    for (struct process *p = service->processes.first; p; p = p->next) {
        bool known = custody_find(local_executor_custody(service->executor), &p->id) != NULL;
        if (p->log_gone) {
            process_credit(service, p);
        }
        if (p->end_stored && known) {
            service->executor->type->forget(service->executor, &p->id);
        } else if (process_ended(p) && !known) {
            settle_unknown(service, p);
        }
    }
}

static void settle_living(struct service *service)
{
    for (struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p->daemon && process_parent_has_ended(service, p) && process_stop_wanted(p)) {
            service_stop_daemon(service, p);
        }
    }
}

/* Whose end still lies in the spool is not lost: then all of this is put off. */
static void reconcile(struct service *service, int64_t started_before_us)
{
    if (recorder_has_caught_up(service->recorder)) {
        lose_unknown(service, started_before_us);
        settle_ended(service);
        settle_living(service);
        coordination_reconcile(service);
        bonds_resume(service);
        pools_resume(service);
    } else {
        timer_set(service->loop, &service->reconcile, time_monotonic_us() + RECONCILE_AGAIN_US);
    }
}

/* By now processes may have been started of which custody is still on its way. */
static void reconcile_later(struct timer *timer)
{
    struct service *service =
        (struct service *)((char *)timer - offsetof(struct service, reconcile));
    reconcile(service, service->started_at_us);
}

void service_reconcile(struct service *service, bool new_boot)
{
    service->new_boot = new_boot;
    service->reconcile.due = reconcile_later;
    reconcile(service, INT64_MAX);
}

/* ---- what children inherit ---- */

void service_environment(struct service *service, char **environment)
{
    static const char *const hidden[] = {"FORKFUL_", "NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_",
                                         "STATE_DIRECTORY=", "RUNTIME_DIRECTORY="};
    size_t count = 0;
    while (environment[count]) {
        count++;
    }
    service->base_env = calloc(count + 1, sizeof *service->base_env);
    size_t kept = 0;
    for (size_t i = 0; i < count && service->base_env; i++) {
        bool hide = !strchr(environment[i], '=');
        for (size_t h = 0; h < sizeof hidden / sizeof *hidden; h++) {
            hide |= strncmp(environment[i], hidden[h], strlen(hidden[h])) == 0;
        }
        if (!hide) {
            service->base_env[kept++] = environment[i];
        }
    }
}
