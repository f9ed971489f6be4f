/*
 * The keeper's entry: what it sets up before it turns for ever, and what it leaves behind.
 *
 * `forkful --keeper FD` replaces the launcher in the same pid; FD is the resume blob. All signals
 * are blocked and at their default, and all descriptors FD_CLOEXEC, so children inherit nothing to
 * undo; the signals that matter come through a signalfd (SIGPIPE too: read and forgotten).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

#define NOFILE_WANTED (1u << 20)
#define PIDFS_MAGIC 0x50494446u
#define END_PATIENCE_US 2000000   /* for the ends of those that are killed at our own end */

static struct keeper the_keeper;

/* ---- start ---- */

/* Descriptors 0 to 2 are open, so that no other ever gets these numbers; the rest is ours alone. */
static int begin_fds(struct keeper *keeper)
{
    do {
        keeper->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (keeper->null_fd < 0) {
            return -errno;
        }
    } while (keeper->null_fd <= 2 && fcntl(keeper->null_fd, F_SETFD, 0) == 0);
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    return 0;
}

/* By raw system calls: the library keeps 32 and 33 to itself, and whoever started us may have
   ignored them. The kernel's struct is all zero for SIG_DFL. */
static void default_signals(void)
{
    static const uint64_t standard[4];
    for (int signal = 1; signal < NSIG; signal++) {
        syscall(SYS_rt_sigaction, signal, standard, NULL, (size_t)8);
    }
}

static int begin_signals(struct keeper *keeper)
{
    sigset_t all, wanted;
    default_signals();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&wanted);
    const int ours[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        sigaddset(&wanted, ours[i]);
    }
    keeper->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    return keeper->signals < 0 ? -errno : 0;
}

/* What we hold is of others: their tokens are in their environments. An exec takes this back, so
   children, and they alone, dump as their limits say. */
static void begin_secrecy(const struct keeper *keeper)
{
    if (!keeper->resume.core_dumps) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

static void begin_limits(struct keeper *keeper)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    struct rlimit more = {NOFILE_WANTED, NOFILE_WANTED};
    if (keeper->resume.soft_nofile == 0) {
        keeper->resume.soft_nofile = limit.rlim_cur;
    }
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= NOFILE_WANTED || setrlimit(RLIMIT_NOFILE, &more) < 0) {
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void begin_features(struct keeper *keeper)
{
    struct statfs info;
    char byte;
    int ends[2], pidfd = (int)syscall(SYS_pidfd_open, keeper->pid, 0);
    keeper->features = KEEPER_CLONE3; /* taken back by the first spawn that finds it missing */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0) {
        keeper->features |= KEEPER_SUBREAPER;
    }
    if (pidfd >= 0) {
        keeper->features |= KEEPER_PIDFD;
        if (fstatfs(pidfd, &info) == 0 && (uint32_t)info.f_type == PIDFS_MAGIC) {
            keeper->features |= KEEPER_PIDFD_INODE;
        }
        close(pidfd);
    }
    if (pipe2(ends, O_CLOEXEC) == 0) {
        keeper->nowait_reads = true;
        keeper->nowait_reads = pipe_take(keeper, ends[0], &byte, 1) < 0 && errno == EAGAIN;
        close(ends[0]);
        close(ends[1]);
    }
    keeper->shares_memory = spawn_can_share();
    reap_probe(keeper);
    prctl(PR_SET_NAME, "forkful", 0, 0, 0);
}

static int begin_spool(struct keeper *keeper)
{
    int error = spool_attach(&keeper->spool, keeper->resume.spool_fd);
    if (error != 0) {
        return error;
    }
    struct spool *spool = &keeper->spool;
    madvise(spool->header, SPOOL_HEADER_BYTES + spool->ring_bytes, MADV_DONTFORK);
    spool_producer_begin(spool);
    struct fact_keeper_started started = {.keeper_pid = keeper->pid,
                                          .occasion = keeper->resume.occasion};
    if (keeper->resume.occasion == RESUME_ADOPT) {
        started.unsure_bytes = spool->header->reading_bytes;
    }
    bool unsure = started.unsure_bytes > 0;
    keeper->begun_at = spool->position;
    error = spool_append(spool, FACT_KEEPER_STARTED,
                         unsure ? (enum fact_stream)spool->header->reading_stream : STREAM_NONE,
                         unsure ? &spool->header->reading_process : NULL, keeper->now_us,
                         &started, sizeof started, NULL, 0);
    keeper->begun_end = spool->position;
    spool->header->reading_bytes = 0;
    return error == -EAGAIN ? 0 : error;
}

static int begin(struct keeper *keeper, const char *blob_fd)
{
    static char upgrade_path[4096];
    keeper->upgrade_path = upgrade_path;
    keeper->pid = getpid();
    keeper->server.link = -1;
    loop_take_time(keeper);
    int error = begin_fds(keeper);
    if (error == 0) {
        error = table_begin(keeper);
    }
    if (error == 0) {
        error = resume_read(keeper, atoi(blob_fd));
    }
    if (error == 0) {
        error = begin_signals(keeper);
    }
    if (error == 0) {
        error = loop_begin(keeper);
    }
    if (error == 0) {
        error = begin_spool(keeper);
    }
    if (error != 0) {
        return error;
    }
    if (keeper->resume.keeper_started_at_us == 0) {
        keeper->resume.keeper_started_at_us = keeper->now_us;
    }
    keeper->server.restarts = keeper->resume.server_restarts;
    begin_secrecy(keeper);
    begin_limits(keeper);
    oom_begin(keeper);
    begin_features(keeper);
    cgroup_begin(keeper);
    resume_begin(keeper);
    cgroup_probe(keeper);
    reap_children(keeper);
    keeper->server.start_deadline_us = keeper->mono_us;
    server_deadlines(keeper);
    return 0;
}

/* ---- end ---- */

/* Is there a fact that no server has stored? That we began does not count when it stands alone. */
static bool facts_are_left(const struct keeper *keeper)
{
    const struct spool_header *header = keeper->spool.header;
    uint64_t head = atomic_load_explicit(&header->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    return tail != head && !(tail == keeper->begun_at && head == keeper->begun_end);
}

/* The process, or what it has left behind. */
static bool is_living(const struct child *child)
{
    return child->state == CHILD_STARTING || child->state == CHILD_RUNNING ||
           (child->state == CHILD_ENDED && (child->marks & MARK_TREE));
}

/* Kills what is left of the trees. True: somebody had still to be ended. */
static bool kill_trees(struct keeper *keeper)
{
    bool living = false;
    for (uint32_t i = 1; i <= keeper->used; i++) {
        struct child *child = &keeper->children[i];
        if (child->state == CHILD_FREE) {
            continue;
        }
        tree_signal(keeper, child, SIGKILL);
        child->marks |= ENTRY_KILL_SENT;
        child->stop_reason = child->stop_reason == STOP_NONE ? STOP_SHUTDOWN : child->stop_reason;
        living |= is_living(child);
    }
    return living;
}

/* Looks once at those just killed. True: somebody has not ended yet. */
static bool record_now(struct keeper *keeper)
{
    bool living = false;
    loop_take_time(keeper);
    reap_children(keeper);
    for (uint32_t i = 1; i <= keeper->used; i++) {
        struct child *child = &keeper->children[i];
        if (child->state == CHILD_RUNNING && (child->marks & ENTRY_ADOPTED)) {
            reap_adopted(keeper, child);
        } else if (child->state == CHILD_ENDED && (child->marks & MARK_TREE)) {
            tree_check(keeper, child);
        }
        living |= is_living(child);
    }
    return living;
}

/* Writes the ends of those just killed, for a server of the next keeper; gives up after a while. */
static void record_ends(struct keeper *keeper)
{
    int64_t until_us = keeper->mono_us + END_PATIENCE_US;
    while (record_now(keeper) && keeper->mono_us < until_us) {
        usleep(10000);
    }
}

static void close_streams(struct keeper *keeper)
{
    for (uint32_t i = 1; i <= keeper->used; i++) {
        if (keeper->children[i].state != CHILD_FREE) {
            pipes_end(keeper, &keeper->children[i]);
        }
    }
}

/* The spool goes unless facts are left in it: then the next start of the daemon reads on there. */
static void end(struct keeper *keeper)
{
    char path[4096];
    const char *directory = resume_string(keeper, 3);
    if (kill_trees(keeper)) {
        record_ends(keeper);
    }
    close_streams(keeper);
    bool left = facts_are_left(keeper);
    cgroup_end(keeper);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    if (!left && *directory != 0 && users_become_server(keeper) == 0 &&
        snprintf(path, sizeof path, "%s/spool", directory) < (int)sizeof path) {
        unlink(path); /* with no more rights than who may have changed what the path leads to */
    }
}

int main(int count, char **arguments)
{
    struct keeper *keeper = &the_keeper;
    if (count < 3 || strcmp(arguments[1], "--keeper") != 0) {
        keeper_log("started by forkful serve, not by hand");
        return 2;
    }
    int error = begin(keeper, arguments[2]);
    if (error != 0) {
        keeper_log("start: %s", strerror(-error));
        return 1;
    }
    while (!keeper->exiting || keeper->server.pid != 0) {
        loop_turn(keeper);
    }
    end(keeper);
    return keeper->exit_status;
}
