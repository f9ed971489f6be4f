/*
 * The keeper's entry and its loop.
 *
 * `forkful --keeper FD` replaces the launcher in the same pid; FD is the resume blob. It takes over
 * descriptors and children, starts the server, and then turns for ever: events, deadlines, what is
 * to be sent. All signals are blocked and at their default, so children inherit nothing to undo;
 * the few that matter come through a signalfd (SIGPIPE too: read and forgotten).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

#define NOFILE_WANTED (1u << 20)
#define OOM_SCORE_ADJ (-900)
#define PIDFS_MAGIC 0x50494446u

static struct keeper the_keeper;

void keeper_log(const char *format, ...)
{
    char line[512];
    va_list values;
    int length = snprintf(line, sizeof line, "forkful keeper: ");
    va_start(values, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, values);
    va_end(values);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length++] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length);
}

int watch_add(int epoll, int fd, uint32_t events, enum source source, int stream, uint32_t index)
{
    struct epoll_event event = {.events = events};
    event.data.u64 = (uint64_t)index << 32 | (uint64_t)(unsigned)stream << 8 | source;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void watch_close(int epoll, int *fd)
{
    if (*fd >= 0)
        epoll_ctl(epoll, EPOLL_CTL_DEL, *fd, NULL);
    close_one(fd);
}

void deadline_at(struct keeper *keeper, int64_t deadline_us)
{
    if (deadline_us != 0 &&
        (keeper->next_deadline_us == 0 || deadline_us < keeper->next_deadline_us))
        keeper->next_deadline_us = deadline_us;
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void take_time(struct keeper *keeper)
{
    keeper->now_us = clock_us(CLOCK_REALTIME);
    keeper->mono_us = clock_us(CLOCK_MONOTONIC);
}

/* ---- events ---- */

static void on_signals(struct keeper *keeper, struct child *child)
{
    static const int forwarded[3] = {SIGHUP, SIGINT, SIGTERM};
    struct signalfd_siginfo infos[8];
    bool child_ended = false;
    (void)child;
    ssize_t got = read(keeper->signals, infos, sizeof infos);
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof *infos; i++) {
        int signal = (int)infos[i].ssi_signo;
        child_ended |= signal == SIGCHLD;
        for (int f = 0; f < 3; f++)
            if (signal == forwarded[f])
                keeper->server.signals[f] =
                    (struct notice_signal){signal, (int32_t)infos[i].ssi_pid};
    }
    if (child_ended)
        reap_children(keeper);
}

static void on_link(struct keeper *keeper, struct child *child)
{
    (void)child;
    if (keeper->server.link >= 0)
        link_receive(keeper);
}

static void on_pipes(struct keeper *keeper, struct child *child)
{
    (void)child;
    if (!keeper->ring_waits)
        pipes_read(keeper);
}

static void on_room(struct keeper *keeper, struct child *child)
{
    uint64_t count;
    (void)child;
    (void)!read(keeper->room_event, &count, sizeof count);
    ring_retry(keeper);
}

static void on_status(struct keeper *keeper, struct child *child)
{
    if (child->status_fd >= 0)
        spawn_settle(keeper, child);
}

/* Only errors are watched for: the last reader is gone. */
static void on_stdin(struct keeper *keeper, struct child *child)
{
    if (child->stdin_fd < 0)
        return;
    watch_close(keeper->epoll, &child->stdin_fd);
    owe(keeper, child, OWED_STDIN_CLOSED);
}

static void on_pidfd(struct keeper *keeper, struct child *child)
{
    if (child->pidfd >= 0)
        reap_adopted(keeper, child);
}

static void on_tree(struct keeper *keeper, struct child *child)
{
    if (child->marks & MARK_EVENTS)
        tree_check(keeper, child);
}

static void (*const on_event[SOURCES])(struct keeper *, struct child *) = {
    [SOURCE_SIGNALS] = on_signals, [SOURCE_LINK] = on_link,     [SOURCE_PIPES] = on_pipes,
    [SOURCE_ROOM] = on_room,       [SOURCE_STATUS] = on_status, [SOURCE_STDIN] = on_stdin,
    [SOURCE_PIDFD] = on_pidfd,     [SOURCE_TREE] = on_tree,
};

static void turn(struct keeper *keeper)
{
    struct epoll_event events[64];
    int count = epoll_wait(keeper->epoll, events, 64, deadlines_timeout(keeper));
    take_time(keeper);
    for (int i = 0; i < count; i++) {
        struct child *child = &keeper->children[events[i].data.u64 >> 32];
        on_event[events[i].data.u64 & 0xff](keeper, child);
    }
    deadlines_run(keeper);
    link_flush(keeper);
    table_collect(keeper);
    if (spool_take_consumer_wake(&keeper->spool))
        (void)!write(keeper->facts_event, &(uint64_t){1}, sizeof(uint64_t));
    if (keeper->upgrade_path[0] != 0 && keeper->server.pid == 0)
        upgrade_run(keeper);
}

/* ---- start ---- */

/* Descriptors 0 to 2 are open, so that no other ever gets these numbers; the rest is ours alone. */
static int begin_fds(struct keeper *keeper)
{
    do {
        keeper->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (keeper->null_fd < 0)
            return -errno;
    } while (keeper->null_fd <= 2 && fcntl(keeper->null_fd, F_SETFD, 0) == 0);
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int begin_signals(struct keeper *keeper)
{
    sigset_t all, wanted;
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&wanted);
    const int ours[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&wanted, ours[i]);
    keeper->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    return keeper->signals < 0 ? -errno : 0;
}

static void begin_limits(struct keeper *keeper)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    struct rlimit more = {NOFILE_WANTED, NOFILE_WANTED};
    if (keeper->resume.soft_nofile == 0)
        keeper->resume.soft_nofile = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= NOFILE_WANTED || setrlimit(RLIMIT_NOFILE, &more) < 0)
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* The kernel's OOM killer should take anybody else first. Children get the old value back. */
static void begin_oom_score(struct keeper *keeper)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!read(fd, text, sizeof text - 1);
    keeper->oom_score_adj = keeper->resume.occasion == RESUME_UPGRADE
                                ? keeper->resume.oom_score_adj : atoi(text);
    int length = snprintf(text, sizeof text, "%d", OOM_SCORE_ADJ);
    keeper->oom_score_lowered = pwrite(fd, text, (size_t)length, 0) == length;
    close(fd);
}

static void begin_features(struct keeper *keeper)
{
    struct statfs info;
    char byte;
    int ends[2], pidfd = (int)syscall(SYS_pidfd_open, keeper->pid, 0);
    keeper->features = KEEPER_CLONE3; /* taken back by the first spawn that finds it missing */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
        keeper->features |= KEEPER_SUBREAPER;
    if (pidfd >= 0) {
        keeper->features |= KEEPER_PIDFD;
        if (fstatfs(pidfd, &info) == 0 && (uint32_t)info.f_type == PIDFS_MAGIC)
            keeper->features |= KEEPER_PIDFD_INODE;
        close(pidfd);
    }
    if (pipe2(ends, O_CLOEXEC) == 0) {
        keeper->nowait_reads = true;
        keeper->nowait_reads = pipe_take(keeper, ends[0], &byte, 1) < 0 && errno == EAGAIN;
        close(ends[0]);
        close(ends[1]);
    }
    reap_probe(keeper);
    prctl(PR_SET_NAME, "forkful", 0, 0, 0);
}

static int begin_loop(struct keeper *keeper)
{
    keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
    keeper->pipes_epoll = epoll_create1(EPOLL_CLOEXEC);
    keeper->facts_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->room_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->epoll < 0 || keeper->pipes_epoll < 0 || keeper->facts_event < 0 ||
        keeper->room_event < 0)
        return -errno;
    int error = watch_add(keeper->epoll, keeper->signals, EPOLLIN, SOURCE_SIGNALS, 0, 0);
    if (error == 0)
        error = watch_add(keeper->epoll, keeper->pipes_epoll, EPOLLIN, SOURCE_PIPES, 0, 0);
    if (error == 0)
        error = watch_add(keeper->epoll, keeper->room_event, EPOLLIN, SOURCE_ROOM, 0, 0);
    return error;
}

static int begin_spool(struct keeper *keeper)
{
    int error = spool_attach(&keeper->spool, keeper->resume.spool_fd);
    if (error != 0)
        return error;
    struct spool *spool = &keeper->spool;
    madvise(spool->header, SPOOL_HEADER_BYTES + spool->ring_bytes, MADV_DONTFORK);
    spool_producer_begin(spool);
    struct fact_keeper_started started = {.keeper_pid = keeper->pid,
                                          .occasion = keeper->resume.occasion};
    if (keeper->resume.occasion == RESUME_ADOPT)
        started.unsure_bytes = spool->header->reading_bytes;
    bool unsure = started.unsure_bytes > 0;
    error = spool_append(spool, FACT_KEEPER_STARTED,
                         unsure ? (enum fact_stream)spool->header->reading_stream : STREAM_NONE,
                         unsure ? &spool->header->reading_process : NULL, keeper->now_us,
                         &started, sizeof started, NULL, 0);
    spool->header->reading_bytes = 0;
    return error == -EAGAIN ? 0 : error;
}

static int begin(struct keeper *keeper, const char *blob_fd)
{
    static char upgrade_path[4096];
    keeper->upgrade_path = upgrade_path;
    keeper->pid = getpid();
    keeper->server.link = -1;
    take_time(keeper);
    int error = begin_fds(keeper);
    if (error == 0)
        error = table_begin(keeper);
    if (error == 0)
        error = resume_read(keeper, atoi(blob_fd));
    if (error == 0)
        error = begin_signals(keeper);
    if (error == 0)
        error = begin_loop(keeper);
    if (error == 0)
        error = begin_spool(keeper);
    if (error != 0)
        return error;
    if (keeper->resume.keeper_started_at_us == 0)
        keeper->resume.keeper_started_at_us = keeper->now_us;
    keeper->server.restarts = keeper->resume.server_restarts;
    begin_limits(keeper);
    begin_oom_score(keeper);
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

static void end(struct keeper *keeper)
{
    char path[4096];
    for (uint32_t i = 1; i <= keeper->used; i++)
        if (keeper->children[i].state != CHILD_FREE)
            tree_signal(keeper, &keeper->children[i], SIGKILL);
    cgroup_end(keeper);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    const char *directory = resume_string(keeper, 3);
    if (*directory != 0 && snprintf(path, sizeof path, "%s/spool", directory) < (int)sizeof path)
        unlink(path);
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
    while (!keeper->exiting || keeper->server.pid != 0)
        turn(keeper);
    end(keeper);
    return keeper->exit_status;
}
