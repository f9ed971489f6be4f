/*
 * The parent's half of a spawn: entry, pipes, cgroup slot, fork; and what the exec status says.
 *
 * The child begins in the keeper's memory (CLONE_VM), on a stack of its own, for to copy the page
 * tables and then each page either side writes costs more than all else the keeper does for a
 * spawn. Unlike vfork this does not stop the keeper, so an exec that hangs holds up nobody;
 * child.c keeps to what may run beside it. The price: should the OOM killer choose the child in
 * the microseconds before its exec, it takes the keeper along (the server then adopts the
 * children).
 *
 * The child's way to exec ends on the status pipe, which the loop reads: end-of-file means exec
 * worked, 8 bytes are {errno, stage}. The kernel takes the old memory off the child before it
 * closes descriptors, at exec as at exit, so end-of-file also says that nobody runs in the plan
 * any more. Until then the entry is CHILD_STARTING and its output is not read, so that
 * FACT_STARTED stands before all else. A failed child gives its fact when it has been reaped:
 * then nothing of it is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"
#include "service/keeper/plan.h"
#include "service/keeper/raw.h"

static int open_pipe(int *read_end, int *write_end, int flags)
{
    int ends[2];
    int error = FAULT_ERRNO("pipe");
    if (error != 0) {
        return -error;
    }
    if (pipe2(ends, O_CLOEXEC | flags) < 0) {
        return -errno;
    }
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

static int open_output(const struct keeper *keeper, int *read_end, int *write_end)
{
    int error = open_pipe(read_end, write_end, 0);
    if (error == 0 && !keeper->nowait_reads) { /* the child's end has to block, ours must not */
        fcntl(*read_end, F_SETFL, O_NONBLOCK);
    }
    return error;
}

/* ends[i]: what the child gets as descriptor i, to be closed here afterwards; -1: /dev/null. */
static int open_standard(const struct keeper *keeper, struct child *child, int ends[3])
{
    uint32_t flags = child->spawn_flags;
    int error = 0;
    if (flags & SPAWN_STDIN_PIPE) {
        error = open_pipe(&ends[0], &child->stdin_fd, 0);
        if (error == 0) {
            fcntl(child->stdin_fd, F_SETFL, O_NONBLOCK);
        }
    }
    if (error == 0 && !(flags & SPAWN_STDOUT_NULL)) {
        error = open_output(keeper, &child->output[0], &ends[1]);
    }
    if (error == 0 && !(flags & (SPAWN_STDERR_NULL | SPAWN_STDERR_MERGED))) {
        error = open_output(keeper, &child->output[1], &ends[2]);
    }
    return error;
}

/* Linux 5.16 ended the habit of killing all who share the memory of a process that dumps core. */
bool spawn_can_share(void)
{
    struct utsname system;
    unsigned major = 0, minor = 0;
    return KEEPER_SHARES && uname(&system) == 0 &&
           sscanf(system.release, "%u.%u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 16));
}

/* The pid or a negative errno; the child does not come back. One that changes its user is forked:
   as that user's it must not share our memory, and the kernel would make ours undumpable for it. */
static pid_t clone_child(const struct keeper *keeper, struct child *child, struct plan *plan,
                         int cgroup)
{
    struct clone_args arguments = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&child->pidfd,
                                   .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (unsigned)cgroup;
    }
    int error = FAULT_ERRNO("fork");
    if (error != 0) {
        return -error;
    }
    if (keeper->shares_memory && !(plan->fixed.flags & SPAWN_SET_IDS)) {
        arguments.flags |= CLONE_VM;
        arguments.stack = (uintptr_t)plan->stack;
        arguments.stack_size = PLAN_STACK_BYTES;
        return (pid_t)raw_clone(&arguments, child_run, plan);
    }
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        child_run(plan); /* the table, and so *child, does not exist here */
    }
    return pid < 0 ? -errno : (pid_t)pid;
}

/* Where clone3 is missing or forbidden (seccomp filters answer ENOSYS or EPERM). */
static pid_t fork_child(struct child *child, struct plan *plan)
{
    pid_t pid = fork();
    if (pid == 0) {
        child_run(plan);
    }
    if (pid < 0) {
        return -errno;
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pid;
}

/* Passes, and says nothing about what the kernel can do. EMFILE and ENFILE come from the pidfd. */
static bool is_shortage(int error)
{
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static pid_t fork_into_slot(struct keeper *keeper, struct child *child, struct plan *plan)
{
    int directory = -1;
    child->slot = cgroup_take(keeper, &directory);
    cgroup_starting(child->slot, true);
    if (!(keeper->features & KEEPER_CLONE3)) {
        return fork_child(child, plan);
    }
    pid_t pid = clone_child(keeper, child, plan, directory);
    if (pid >= 0 || is_shortage(-pid)) {
        return pid;
    }
    if (child->slot >= 0) {
        keeper_log("clone3 into a cgroup: %s; children get none from now on", strerror(-pid));
        keeper->features &= ~(uint32_t)(KEEPER_CGROUP | KEEPER_CGROUP_KILL | KEEPER_CGROUP_FREEZE);
        cgroup_give(&child->slot);
        pid = clone_child(keeper, child, plan, -1);
    }
    if (pid != -ENOSYS && pid != -EPERM) {
        return pid;
    }
    keeper->features &= ~(uint32_t)KEEPER_CLONE3;
    return fork_child(child, plan);
}

static pid_t fork_planned(struct keeper *keeper, struct child *child, const struct spawn *spawn,
                          const int standard[3], int status_fd)
{
    struct plan *plan = child->plan = plan_make(spawn);
    if (plan == NULL) {
        return -ENOMEM;
    }
    plan->status_fd = status_fd;
    plan->soft_nofile = keeper->resume.soft_nofile;
    for (int i = 0; i < 3; i++) {
        plan->standard[i] = standard[i] >= 0 ? standard[i] : keeper->null_fd;
    }
    if (plan->fixed.flags & SPAWN_STDERR_MERGED) {
        plan->standard[2] = plan->standard[1];
    }
    oom_before_fork(keeper);
    loop_take_time(keeper);
    child->forked_us = keeper->now_us;
    return fork_into_slot(keeper, child, plan);
}

static void spawn_failed(struct keeper *keeper, struct child *child, enum spawn_stage stage,
                         int error)
{
    child->state = CHILD_FAILED;
    child->error = error;
    child->stage = stage;
    pipes_close(keeper, child);
    watch_close(keeper->epoll, &child->stdin_fd);
    cgroup_give(&child->slot);
    plan_free(&child->plan);
    owe(keeper, child, OWED_FAILED);
}

/* Everything but the fork that can fail goes first, so that a failure has nobody to kill. */
static void spawn_start(struct keeper *keeper, struct child *child, const struct spawn *spawn)
{
    int ends[3] = {-1, -1, -1}, status_fd = -1;
    enum spawn_stage stage = STAGE_PIPE;
    pid_t pid = 0;
    int error = open_standard(keeper, child, ends);
    if (error == 0) {
        error = open_pipe(&child->status_fd, &status_fd, O_NONBLOCK);
    }
    if (error == 0) {
        error = watch_add(keeper->epoll, child->status_fd, EPOLLIN | EPOLLET, SOURCE_STATUS, 0,
                          table_index(keeper, child));
    }
    if (error == 0) {
        int stdin_end = spawn->stdin_file >= 0 ? spawn->stdin_file : ends[0];
        int standard[3] = {stdin_end, ends[1], ends[2]};
        stage = STAGE_FORK;
        pid = fork_planned(keeper, child, spawn, standard, status_fd);
        error = pid < 0 ? pid : 0;
    }
    for (int i = 0; i < 3; i++) {
        close_one(&ends[i]);
    }
    close_one(&status_fd);
    if (error != 0) {
        watch_close(keeper->epoll, &child->status_fd);
        spawn_failed(keeper, child, stage, -error);
        return;
    }
    FAULT_POINT("keeper_after_fork");
    table_set_pid(keeper, child, pid);
    child->oom_before = cgroup_oom_kills(keeper, child->slot);
    cgroup_rest(child->slot);
    keeper->starting++;
}

int spawn_child(struct keeper *keeper, const struct fact_id *process, const struct spawn *spawn,
                uint32_t *stage)
{
    const struct command_spawn *fixed = &spawn->fixed;
    size_t need = sizeof(struct fact_started) + fixed->record_bytes;
    *stage = STAGE_LIMIT;
    if (table_find(keeper, process) != NULL) {
        return -EEXIST;
    }
    /* Half of what output leaves: a child that floods the ring must not keep others from starting. */
    if (spool_room(&keeper->spool, need, SPOOL_RESERVE_BYTES / 2) < need) {
        return -EAGAIN;
    }
    struct child *child = table_add(keeper, process);
    if (child == NULL) {
        return -ENFILE;
    }
    int error = record_keep(child, spawn->record, fixed->record_bytes);
    if (error != 0) {
        table_remove(keeper, child);
        return error;
    }
    child->spawn_flags = fixed->flags;
    child->stop_signal = fixed->stop_signal;
    child->grace_us = fixed->grace_us;
    child->timeout_deadline_us = fixed->timeout_us; /* counts from exec: spawn_settle */
    child->max_output_bytes = fixed->max_output_bytes;
    spawn_start(keeper, child, spawn);
    *stage = STAGE_NONE;
    return 0;
}

bool spawn_settle(struct keeper *keeper, struct child *child)
{
    int32_t report[2];
    ssize_t got = read(child->status_fd, report, sizeof report);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    /* Closed without taking it out of the epoll: while a child that has yet to exec holds a copy it
       stays there, but edge-triggered it has nothing more to tell. */
    close_one(&child->status_fd);
    keeper->starting--;
    if (got == (ssize_t)sizeof report) {
        child->state = CHILD_FAILED; /* its fact comes when it is reaped */
        child->error = report[0];
        child->stage = (uint32_t)report[1];
        return true;
    }
    child->state = CHILD_RUNNING;
    plan_free(&child->plan);
    if (child->timeout_deadline_us != 0) {
        child->timeout_deadline_us += keeper->mono_us;
        deadline_at(keeper, child->timeout_deadline_us);
    }
    owe(keeper, child, OWED_STARTED);
    return true;
}

void spawn_attend(struct keeper *keeper, struct child *child)
{
    pipes_watch(keeper, child);
    link_custody(keeper, child);
}

/* The zombie of a child that never got to exec was reaped: nothing is left but the fact. */
void spawn_reaped(struct keeper *keeper, struct child *child)
{
    spawn_failed(keeper, child, child->stage, child->error);
}
