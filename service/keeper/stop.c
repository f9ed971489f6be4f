/*
 * Stops, time limits and everything else that happens at a time.
 *
 * A stop signals the whole tree, and its deadline kills it; both live here, so a server that
 * crashes in the middle changes nothing. There is one bound, `next_deadline_us`, that is never
 * later than any deadline: when it passes, the table is looked through and the bound is set anew.
 * A deadline that is dropped just leaves an early bound, which costs one look.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "service/keeper/keeper.h"

/* Ends the tree for certain: the stop's grace has run out. */
static void stop_kill(struct keeper *keeper, struct child *child)
{
    child->stop_deadline_us = 0;
    if (tree_signal(keeper, child, SIGKILL) == -EPERM) {
        return;
    }
    child->marks |= ENTRY_KILL_SENT;
    owe(keeper, child, OWED_KILLED);
}

int stop_begin(struct keeper *keeper, struct child *child, const struct command_stop *stop)
{
    int64_t deadline_us = keeper->mono_us + stop->grace_us;
    if (child->state == CHILD_ENDED && !(child->marks & MARK_TREE)) {
        return -ESRCH;
    }
    if (!tree_is_ours(child)) {
        keeper_log("process %d belongs to another user, whom only root can stop", (int)child->pid);
        if (stop->reason == STOP_SHUTDOWN) {
            reap_give_up(keeper, child);
        }
        return -EPERM;
    }
    if (child->stop_reason == STOP_NONE) {
        child->stop_reason = stop->reason;
    }
    if (!(child->marks & ENTRY_KILL_SENT) &&
        (child->stop_deadline_us == 0 || deadline_us < child->stop_deadline_us)) {
        child->stop_deadline_us = deadline_us;
    }
    child->stopping_signal = stop->signal;
    deadline_at(keeper, child->stop_deadline_us);
    owe(keeper, child, OWED_STOPPING); /* before the signal: it may end the child at once */
    tree_wake(keeper, child, stop->signal); /* who was stopped by SIGSTOP sees no signal before */
    if ((child->marks & ENTRY_PAUSED) && stop->signal != SIGKILL) {
        tree_freeze(keeper, child, false);
    }
    return 0;
}

static void child_deadlines(struct keeper *keeper, struct child *child)
{
    int64_t now_us = keeper->mono_us;
    if (child->state == CHILD_RUNNING && child->timeout_deadline_us != 0 &&
        child->timeout_deadline_us <= now_us) {
        struct command_stop stop = {STOP_TIMEOUT, child->stop_signal, child->grace_us};
        child->timeout_deadline_us = 0;
        stop_begin(keeper, child, &stop);
    }
    if (child->stop_deadline_us != 0 && child->stop_deadline_us <= now_us) {
        stop_kill(keeper, child);
    }
}

static void next_deadlines(struct keeper *keeper, const struct child *child)
{
    if (child->state == CHILD_RUNNING) {
        deadline_at(keeper, child->timeout_deadline_us);
    }
    if (child->state != CHILD_FREE) {
        deadline_at(keeper, child->stop_deadline_us);
    }
}

/* Trees without a cgroup of their own, and adopted zombies, tell nobody when they end. */
static void check_quiet_ones(struct keeper *keeper, struct child *child)
{
    if (child->state == CHILD_RUNNING && (child->marks & MARK_ZOMBIE_SEEN)) {
        reap_adopted(keeper, child);
    } else if (child->state == CHILD_ENDED && (child->marks & MARK_TREE)) {
        tree_check(keeper, child);
    }
}

static bool due(int64_t *deadline_us, int64_t now_us)
{
    bool is_due = *deadline_us != 0 && *deadline_us <= now_us;
    if (is_due) {
        *deadline_us = 0;
    }
    return is_due;
}

/* Looks at those again in `delay_us`, or when that is due anyway. Without cgroups each look walks
   /proc, so that with many trees looks take no more than a tenth of the time. */
void check_later(struct keeper *keeper, int64_t delay_us)
{
    int64_t pause_us = 9 * keeper->check_took_us;
    int64_t deadline_us = keeper->mono_us + (delay_us > pause_us ? delay_us : pause_us);
    if (keeper->check_deadline_us == 0 || deadline_us < keeper->check_deadline_us) {
        keeper->check_deadline_us = deadline_us;
    }
    deadline_at(keeper, keeper->check_deadline_us);
}

void deadlines_run(struct keeper *keeper)
{
    server_deadlines(keeper);
    alone_run(keeper);
    if (!due(&keeper->next_deadline_us, keeper->mono_us)) {
        return;
    }
    bool checks = due(&keeper->check_deadline_us, keeper->mono_us);
    bool drops = due(&keeper->drop_deadline_us, keeper->mono_us);
    int64_t began_us = keeper->mono_us;
    for (uint32_t i = 1; i <= keeper->used; i++) {
        struct child *child = &keeper->children[i];
        if (child->state == CHILD_FREE) {
            continue;
        }
        child_deadlines(keeper, child);
        if (checks) {
            check_quiet_ones(keeper, child);
        }
        if (drops) {
            owe(keeper, child, pipes_dropped(child));
        }
        next_deadlines(keeper, child);
    }
    if (checks) {
        loop_take_time(keeper);
        keeper->check_took_us = keeper->mono_us - began_us;
    }
    deadline_at(keeper, keeper->check_deadline_us);
    deadline_at(keeper, keeper->drop_deadline_us);
    oom_deadline(keeper);
}

int deadlines_timeout(const struct keeper *keeper)
{
    int64_t next_us = keeper->next_deadline_us;
    const int64_t others[] = {keeper->server.start_deadline_us, keeper->server.kill_deadline_us,
                              keeper->server.pid == 0 ? keeper->upgrade_deadline_us : 0,
                              alone_deadline(keeper)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i] != 0 && (next_us == 0 || others[i] < next_us)) {
            next_us = others[i];
        }
    }
    if (next_us == 0) {
        return -1;
    }
    int64_t wait_ms = (next_us - keeper->mono_us + 999) / 1000;
    return wait_ms < 0 ? 0 : wait_ms > 60000 ? 60000 : (int)wait_ms;
}
