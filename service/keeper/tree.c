/*
 * The tree of a child: the process and all that descends from it, in whatever session.
 *
 * With a cgroup slot the kernel knows it. Without, /proc is walked: descendants by parent, the
 * session of the main process, and orphans that came back to the keeper (it is the subreaper) and
 * carry the child's FORKFUL_PROCESS_ID. Signals go through pidfds, opened before membership is
 * looked at again, so they never hit a stranger who has got the number of one that just ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/keeper/keeper.h"
#include "service/keeper/proc.h"

#define WALK_MAX 32768u
#define ROUNDS_MAX 50
#define RECHECK_US 1000000

#define PIDS_MAX (1u << 22) /* the kernel's bound for pid_max */

struct walked {
    pid_t pid, parent, session;
    bool member;
    uint64_t start_ticks;            /* with the pid: who it is; 0 in a slot */
};

static struct walked walk[WALK_MAX]; /* all of /proc by ascending pid, or a slot's members */
static uint8_t signalled[PIDS_MAX / 8]; /* a bit per pid; all zero between two calls */

static int compare_pids(const void *left, const void *right)
{
    pid_t a = ((const struct walked *)left)->pid, b = ((const struct walked *)right)->pid;
    return (a > b) - (a < b);
}

static bool is_member(size_t count, pid_t pid)
{
    struct walked key = {.pid = pid};
    const struct walked *found = bsearch(&key, walk, count, sizeof key, compare_pids);
    return found != NULL && found->member;
}

/* Never part of a tree, whatever an entry says: init, ourselves, the server, who is no process. */
static bool is_untouchable(const struct keeper *keeper, pid_t pid)
{
    return pid <= 1 || pid == keeper->pid || pid == keeper->server.pid || pid == getpid();
}

/* What belongs to the tree by itself, not through its parent. An orphan's session may have been
   somebody else's pid before, so there a marker that names another process decides. */
static bool is_root(const struct keeper *keeper, const struct child *child,
                    const struct walked *one)
{
    bool alive = child->state != CHILD_ENDED;
    if (child->pid <= 1 || keeper->pid <= 0 || is_untouchable(keeper, one->pid)) {
        return false;
    }
    if (alive && (one->pid == child->pid || one->session == child->pid)) {
        return true;
    }
    if ((one->parent != keeper->pid && !(child->marks & ENTRY_ADOPTED)) ||
        table_find_pid((struct keeper *)(uintptr_t)keeper, one->pid) != NULL) {
        return false;
    }
    int marked = proc_marked(one->pid, &child->process);
    return marked == 1 || (marked == 0 && one->session == child->pid &&
                           !(child->marks & ENTRY_ADOPTED));
}

static size_t walk_proc(void)
{
    static int32_t pids[WALK_MAX];
    int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t listed = directory < 0 ? 0 : proc_numbers(directory, "", pids, WALK_MAX), count = 0;
    for (size_t i = 0; i < listed; i++) {
        struct proc_stat stat;
        if (proc_stat_read(pids[i], &stat) && stat.state != 'Z' && stat.state != 'X') {
            walk[count++] = (struct walked){pids[i], stat.parent, stat.session, false,
                                            stat.start_ticks};
        }
    }
    if (directory >= 0) {
        close(directory);
    }
    return count;
}

/* Marks the tree's living processes in walk[]; gives how many were looked at. */
static size_t walk_tree(const struct keeper *keeper, const struct child *child)
{
    size_t count = walk_proc();
    for (size_t i = 0; i < count; i++) {
        walk[i].member = is_root(keeper, child, &walk[i]);
    }
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < count; i++) {
            if (!walk[i].member && is_member(count, walk[i].parent) &&
                !is_untouchable(keeper, walk[i].pid)) {
                grown = walk[i].member = true;
            }
        }
    }
    return count;
}

static size_t walk_slot(int32_t slot)
{
    static char text[256u << 10];
    size_t count = 0;
    if (cgroup_read(slot, "cgroup.procs", text, sizeof text) <= 0) {
        return 0;
    }
    for (char *at = text; *at != 0 && count < WALK_MAX; at++) {
        pid_t pid = (pid_t)strtol(at, &at, 10);
        if (pid > 0) {
            walk[count++] = (struct walked){.pid = pid, .member = true};
        }
    }
    return count;
}

static size_t tree_walk(const struct keeper *keeper, const struct child *child)
{
    return child->slot >= 0 ? walk_slot(child->slot) : walk_tree(keeper, child);
}

/* Is the one whose pidfd we hold by now still the one that was found in the tree? */
static bool still_member(const struct child *child, const struct walked *one)
{
    char text[8192], end[32];
    struct proc_stat stat;
    if (child->slot < 0) {
        return proc_stat_read(one->pid, &stat) && stat.start_ticks == one->start_ticks;
    }
    snprintf(end, sizeof end, "/s%d\n", child->slot);
    return proc_read(one->pid, "cgroup", text, sizeof text) > 0 && strstr(text, end) != NULL;
}

static void signal_member(const struct keeper *keeper, const struct child *child,
                          const struct walked *one, const int signals[2])
{
    if (is_untouchable(keeper, one->pid)) {
        return;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, one->pid, 0);
    if (pidfd < 0 && errno != ENOSYS) {
        return;
    }
    if (pidfd < 0) {
        kill(one->pid, signals[0]);
        kill(one->pid, signals[1]);
    } else if (still_member(child, one)) {
        syscall(SYS_pidfd_send_signal, pidfd, signals[0], NULL, 0);
        syscall(SYS_pidfd_send_signal, pidfd, signals[1], NULL, 0);
    }
    if (pidfd >= 0) {
        close(pidfd);
    }
}

/* Members of the walk at hand that had no signal yet get both, of which 0 is none; gives how many.
   [*first, *last]: the bytes of signalled[] that are in use. */
static size_t signal_new(const struct keeper *keeper, const struct child *child, size_t count,
                         const int signals[2], size_t *first, size_t *last)
{
    size_t fresh = 0;
    for (size_t i = 0; i < count; i++) {
        size_t byte = (size_t)walk[i].pid / 8;
        uint8_t bit = (uint8_t)(1u << (walk[i].pid & 7));
        if (!walk[i].member || byte >= sizeof signalled || (signalled[byte] & bit)) {
            continue;
        }
        signalled[byte] |= bit;
        *first = byte < *first ? byte : *first;
        *last = byte > *last ? byte : *last;
        signal_member(keeper, child, &walk[i], signals);
        fresh++;
    }
    return fresh;
}

/* Signals whoever has not been yet, until nobody new appears. Gives how many it found. */
static size_t signal_all(struct keeper *keeper, struct child *child, const int signals[2])
{
    size_t done = 0, fresh = 1, first = sizeof signalled, last = 0;
    for (int round = 0; round < ROUNDS_MAX && fresh > 0; round++) {
        size_t count = tree_walk(keeper, child);
        fresh = signal_new(keeper, child, count, signals, &first, &last);
        done += fresh;
    }
    if (first <= last) {
        memset(signalled + first, 0, last - first + 1);
    }
    return done;
}

bool tree_is_ours(const struct child *child)
{
    return child->pidfd < 0 || geteuid() == 0 ||
           syscall(SYS_pidfd_send_signal, child->pidfd, 0, NULL, 0) == 0 || errno != EPERM;
}

static int signal_tree(struct keeper *keeper, struct child *child, const int signals[2])
{
    if (!tree_is_ours(child)) {
        return -EPERM;
    }
    if (child->state == CHILD_ENDED && !(child->marks & MARK_TREE)) {
        return -ESRCH;
    }
    if (signals[0] == SIGKILL && child->slot >= 0 && (keeper->features & KEEPER_CGROUP_KILL) &&
        cgroup_write(child->slot, "cgroup.kill", "1") == 0) {
        return 0;
    }
    return signal_all(keeper, child, signals) > 0 ? 0 : -ESRCH;
}

int tree_signal(struct keeper *keeper, struct child *child, int signal)
{
    return signal_tree(keeper, child, (const int[2]){signal, 0});
}

/* Would who is stopped not see it, and is it not about stopping itself? */
static bool wants_to_be_seen(int signal)
{
    return signal != SIGKILL && signal != SIGCONT && signal != SIGSTOP && signal != SIGTSTP &&
           signal != SIGTTIN && signal != SIGTTOU;
}

int tree_wake(struct keeper *keeper, struct child *child, int signal)
{
    return signal_tree(keeper, child,
                       (const int[2]){signal, wants_to_be_seen(signal) ? SIGCONT : 0});
}

/* A thaw is SIGCONT as well: somebody may have been stopped by SIGSTOP, which the freezer does not
   know. */
static int freeze_or_thaw(struct keeper *keeper, struct child *child, bool freeze)
{
    int error = 0;
    bool by_cgroup = child->slot >= 0 && (keeper->features & KEEPER_CGROUP_FREEZE);
    if (by_cgroup) {
        error = cgroup_write(child->slot, "cgroup.freeze", freeze ? "1" : "0");
    }
    if (error == 0 && !(by_cgroup && freeze)) {
        error = tree_signal(keeper, child, freeze ? SIGSTOP : SIGCONT);
    }
    return error;
}

void tree_thaw(struct keeper *keeper, struct child *child)
{
    if (child->marks & ENTRY_PAUSED) {
        freeze_or_thaw(keeper, child, false);
        child->marks &= ~(uint32_t)ENTRY_PAUSED;
    }
}

int tree_freeze(struct keeper *keeper, struct child *child, bool freeze)
{
    if (child->state == CHILD_ENDED && !(child->marks & MARK_TREE)) {
        return -ESRCH;
    }
    int error = freeze_or_thaw(keeper, child, freeze);
    if (error != 0) {
        return error;
    }
    child->marks &= ~(uint32_t)ENTRY_PAUSED;
    child->marks |= freeze ? ENTRY_PAUSED : 0u;
    child->owed &= ~(uint32_t)(OWED_PAUSED | OWED_RESUMED);
    owe(keeper, child, freeze ? OWED_PAUSED : OWED_RESUMED);
    return 0;
}

/* Has the kernel got any child for us that is not in the table? Then descendants are possible. */
static bool orphans_exist(const struct keeper *keeper)
{
    static char text[256u << 10];
    char file[48];
    snprintf(file, sizeof file, "task/%d/children", (int)keeper->pid);
    if (proc_read(keeper->pid, file, text, sizeof text) == 0) {
        return true; /* not told: walk */
    }
    for (char *at = text; *at != 0; at++) {
        pid_t pid = (pid_t)strtol(at, &at, 10);
        if (pid > 0 && pid != keeper->server.pid &&
            table_find_pid((struct keeper *)(uintptr_t)keeper, pid) == NULL) {
            return true;
        }
    }
    return false;
}

uint32_t tree_count(struct keeper *keeper, struct child *child)
{
    uint32_t count = 0;
    bool possible = child->slot >= 0 ? cgroup_populated(child->slot)
                                     : (child->marks & ENTRY_ADOPTED) || orphans_exist(keeper);
    if (!possible) {
        return 0;
    }
    size_t walked = tree_walk(keeper, child);
    for (size_t i = 0; i < walked; i++) {
        count += walk[i].member && walk[i].pid != child->pid;
    }
    return count;
}

/* The main process has ended and left descendants: learn when the last of them ends. */
void tree_outlives(struct keeper *keeper, struct child *child)
{
    child->marks |= MARK_TREE;
    if (child->slot >= 0 && watch_add(keeper->epoll, cgroup_events(child->slot), EPOLLPRI,
                                      SOURCE_TREE, 0, table_index(keeper, child)) == 0) {
        child->marks |= MARK_EVENTS;
    }
    tree_check(keeper, child);
}

void tree_check(struct keeper *keeper, struct child *child)
{
    if (child->slot >= 0 ? cgroup_populated(child->slot) : tree_count(keeper, child) > 0) {
        if (child->marks & MARK_EVENTS) {
            return;
        }
        check_later(keeper, RECHECK_US);
        return;
    }
    if (child->marks & MARK_EVENTS) {
        epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, cgroup_events(child->slot), NULL);
    }
    child->marks &= ~(uint32_t)(MARK_TREE | MARK_EVENTS);
    child->stop_deadline_us = 0;
    cgroup_give(&child->slot);
    owe(keeper, child, OWED_TREE_EMPTY);
}
