/*
 * How ends become facts: peek at the zombie, drain its pipes, write FACT_EXITED, and only then
 * reap.
 *
 * So whatever is killed when, an end is either still there to be peeked at or is in the spool. A
 * child whose end finds no room in the ring stays a zombie until there is. Children adopted from
 * a killed keeper are not ours to wait for: their pidfd tells that they ended, and the kernel
 * (6.15 and later) or the zombie's /proc entry tells how; where neither can, the end is LOST,
 * never guessed.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"
#include "service/keeper/proc.h"

#define RECHECK_US 100000
#define ORPHANS_US 20000 /* one may have been the last of a tree; many end together */

/* linux/pidfd.h since 6.13 and 6.15; the build machine's may be older than the running kernel. */
struct pidfd_exit_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_EXIT_INFO (1u << 3)
#define PIDFD_GET_EXIT_INFO _IOWR(0xff, 11, struct pidfd_exit_info)

static int wait_raw(idtype_t type, pid_t pid, siginfo_t *info, int options, struct rusage *usage)
{
    info->si_pid = 0;
    return (int)syscall(SYS_waitid, type, pid, info, options, usage);
}

static int64_t time_us(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

/* Writes the end. False: no room, nothing has happened. */
static bool end_publish(struct keeper *keeper, struct child *child, struct fact_exited *exited)
{
    pipes_drain(keeper, child);
    child->owed |= pipes_dropped(child);
    if (!owed_publish(keeper, child) || (keeper->ring_waits && pipes_hold(child))) {
        return false;
    }
    exited->reason = child->stop_reason;
    exited->killed = (child->marks & ENTRY_KILL_SENT) != 0;
    exited->oom = cgroup_oom_kills(keeper, child->slot) > child->oom_before;
    exited->descendants = tree_count(keeper, child);
    exited->open_streams = (child->output[0] >= 0 ? 1u : 0u) | (child->output[1] >= 0 ? 2u : 0u);
    FAULT_POINT("keeper_before_exited");
    if (spool_append(&keeper->spool, FACT_EXITED, STREAM_NONE, &child->process, keeper->now_us,
                     exited, sizeof *exited, NULL, 0) != 0) {
        ring_wait(keeper);
        return false;
    }
    FAULT_POINT("keeper_after_exited");
    return true;
}

/* Found at its end right after its exec: nobody watches its pipes yet, and where all is over nobody
   has to. A server that has not been told of all entries gets this one too. */
static void attend_late(struct keeper *keeper, struct child *child)
{
    bool over = child->state == CHILD_ENDED && child->output[0] < 0 && child->output[1] < 0 &&
                child->stdin_fd < 0 && !(child->marks & MARK_TREE);
    if (!over || keeper->server.done_due) {
        spawn_attend(keeper, child);
    }
}

/* The main process is gone; what is left of the entry are pipes and perhaps descendants. */
static void end_settle(struct keeper *keeper, struct child *child, uint32_t descendants)
{
    child->state = CHILD_ENDED;
    child->timeout_deadline_us = 0;
    table_set_pid(keeper, child, 0);
    if (child->marks & ENTRY_ADOPTED) {
        epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, child->pidfd, NULL);
    }
    close_one(&child->pidfd);
    if (descendants > 0) {
        tree_outlives(keeper, child);
        tree_thaw(keeper, child); /* a record that has ended is not paused, nor is its tree */
    } else {
        child->stop_deadline_us = 0;
        cgroup_give(&child->slot);
    }
    child_release(keeper, child);
}

static bool reap_child(struct keeper *keeper, struct child *child, const siginfo_t *info,
                       const struct rusage *usage)
{
    siginfo_t ignored;
    loop_take_time(keeper); /* it may have begun in this very turn */
    bool starts = child->state == CHILD_STARTING;
    if (starts && !spawn_settle(keeper, child)) {
        return false;
    }
    if (child->state == CHILD_FAILED) {
        wait_raw(P_PID, info->si_pid, &ignored, WEXITED | WNOHANG, NULL);
        table_set_pid(keeper, child, 0);
        spawn_reaped(keeper, child);
        return true;
    }
    struct fact_exited exited = {
        .kind = info->si_code == CLD_EXITED ? EXIT_EXITED : EXIT_SIGNALED,
        .status = info->si_status, .core_dumped = info->si_code == CLD_DUMPED,
        .user_us = time_us(&usage->ru_utime), .system_us = time_us(&usage->ru_stime),
        .max_rss_bytes = (int64_t)usage->ru_maxrss * 1024, .usage_known = 1};
    bool ends = end_publish(keeper, child, &exited);
    if (ends) {
        wait_raw(P_PID, info->si_pid, &ignored, WEXITED | WNOHANG, NULL);
        end_settle(keeper, child, exited.descendants);
    }
    if (starts) {
        attend_late(keeper, child);
    }
    return ends;
}

void reap_children(struct keeper *keeper)
{
    siginfo_t info;
    struct rusage usage;
    bool orphans = false;
    for (;;) {
        int peek = WEXITED | WNOHANG | WNOWAIT;
        if (wait_raw(P_ALL, 0, &info, peek, &usage) < 0 || info.si_pid == 0) {
            break;
        }
        struct child *child = table_find_pid(keeper, info.si_pid);
        if (info.si_pid == keeper->server.pid) {
            server_reap(keeper);
        } else if (child == NULL) {
            wait_raw(P_PID, info.si_pid, &info, WEXITED | WNOHANG, NULL);
            orphans = true;
        } else if (!reap_child(keeper, child, &info, &usage)) {
            server_reap(keeper); /* its zombie may stand behind this one, and it makes the room */
            break;
        }
    }
    if (orphans) {
        check_later(keeper, ORPHANS_US);
    }
}

/* The status of a zombie that is somebody else's child. The kernel shows 0 to those it does not
   trust, so kcmp, which asks for the same right, has to succeed; and it must be our zombie all
   along. */
static bool zombie_status(const struct child *child, int *status)
{
    struct proc_stat stat;
    bool sure = syscall(SYS_pidfd_send_signal, child->pidfd, 0, NULL, 0) == 0 &&
                syscall(SYS_kcmp, getpid(), child->pid, KCMP_FILES, 0, 0) >= 0 &&
                proc_stat_read(child->pid, &stat) && stat.state == 'Z' &&
                syscall(SYS_pidfd_send_signal, child->pidfd, 0, NULL, 0) == 0;
    if (sure) {
        *status = stat.exit_code;
    }
    return sure;
}

/* What the kernel keeps for holders of a pidfd once the process was reaped. */
static bool reaped_status(int pidfd, int *status)
{
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_INFO};
    bool told = ioctl(pidfd, PIDFD_GET_EXIT_INFO, &info) == 0 && (info.mask & PIDFD_EXIT_INFO);
    if (told) {
        *status = info.exit_code;
    }
    return told;
}

void reap_probe(struct keeper *keeper)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(77);
    }
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    if (pidfd >= 0 && reaped_status(pidfd, &status) && WEXITSTATUS(status) == 77) {
        keeper->features |= KEEPER_PIDFD_EXIT_INFO;
    }
    close_one(&pidfd);
}

/* An adopted child's pidfd is readable, or it is time to look again. */
void reap_adopted(struct keeper *keeper, struct child *child)
{
    int status = 0;
    struct fact_exited exited = {.kind = EXIT_LOST};
    if (child->state != CHILD_RUNNING) {
        return;
    }
    loop_take_time(keeper);
    if (reaped_status(child->pidfd, &status) || zombie_status(child, &status)) {
        exited.kind = WIFEXITED(status) ? EXIT_EXITED : EXIT_SIGNALED;
        exited.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
        exited.core_dumped = WIFSIGNALED(status) && WCOREDUMP(status);
    }
    bool gone = syscall(SYS_pidfd_send_signal, child->pidfd, 0, NULL, 0) < 0 && errno != EPERM;
    if ((exited.kind != EXIT_LOST || gone) && end_publish(keeper, child, &exited)) {
        end_settle(keeper, child, exited.descendants);
        return;
    }
    /* Readable for ever, so out of the epoll: looked at again in a while. */
    if (!(child->marks & MARK_ZOMBIE_SEEN)) {
        epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, child->pidfd, NULL);
    }
    child->marks |= MARK_ZOMBIE_SEEN;
    check_later(keeper, RECHECK_US);
}

void reap_give_up(struct keeper *keeper, struct child *child)
{
    struct fact_exited exited = {.kind = EXIT_LOST};
    if (child->state == CHILD_RUNNING && end_publish(keeper, child, &exited)) {
        end_settle(keeper, child, 0);
    }
}
