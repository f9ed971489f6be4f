/*
 * The loop: where events come from, the function for each source, and one turn.
 *
 * A turn takes what epoll has, acts, then runs deadlines and sends what is due to the server; the
 * consumer of the spool is woken once, at its end. Entries removed in a turn are reused after it.
 * An event carries its source and the child's index, never a pointer.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"

void keeper_log(const char *format, ...)
{
    char line[512];
    va_list values;
    int length = snprintf(line, sizeof line, "forkful keeper: ");
    va_start(values, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, values);
    va_end(values);
    if (length > (int)sizeof line - 2) {
        length = (int)sizeof line - 2;
    }
    line[length++] = '\n';
    struct pollfd stderr_room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&stderr_room, 1, 0) == 1) { /* a pipe that nobody reads must not hold us up */
        (void)!write(STDERR_FILENO, line, (size_t)length);
    }
}

int watch_add(int epoll, int fd, uint32_t events, enum source source, int stream, uint32_t index)
{
    struct epoll_event event = {.events = events};
    event.data.u64 = (uint64_t)index << 32 | (uint64_t)(unsigned)stream << 8 | source;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void watch_close(int epoll, int *fd)
{
    if (*fd >= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, *fd, NULL);
    }
    close_one(fd);
}

void deadline_at(struct keeper *keeper, int64_t deadline_us)
{
    if (deadline_us != 0 &&
        (keeper->next_deadline_us == 0 || deadline_us < keeper->next_deadline_us)) {
        keeper->next_deadline_us = deadline_us;
    }
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void loop_take_time(struct keeper *keeper)
{
    keeper->now_us = clock_us(CLOCK_REALTIME) + FAULT_CLOCK_US();
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
        for (int f = 0; f < 3; f++) {
            if (signal == forwarded[f]) {
                keeper->server.signals[f] =
                    (struct notice_signal){signal, (int32_t)infos[i].ssi_pid};
                keeper->server.signal_told[f] = false;
            }
        }
    }
    if (child_ended) {
        reap_children(keeper);
    }
}

static void on_link(struct keeper *keeper, struct child *child)
{
    (void)child;
    if (keeper->server.link >= 0) {
        link_receive(keeper);
    }
}

static void on_pipes(struct keeper *keeper, struct child *child)
{
    (void)child;
    if (!keeper->ring_waits) {
        pipes_read(keeper);
    }
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
    if (child->status_fd >= 0 && spawn_settle(keeper, child) && child->state == CHILD_RUNNING) {
        spawn_attend(keeper, child);
    }
}

/* Only errors are watched for: the last reader is gone. */
static void on_stdin(struct keeper *keeper, struct child *child)
{
    if (child->stdin_fd < 0) {
        return;
    }
    watch_close(keeper->epoll, &child->stdin_fd);
    owe(keeper, child, OWED_STDIN_CLOSED);
}

static void on_pidfd(struct keeper *keeper, struct child *child)
{
    if (child->pidfd >= 0) {
        reap_adopted(keeper, child);
    }
}

static void on_tree(struct keeper *keeper, struct child *child)
{
    if (child->marks & MARK_EVENTS) {
        tree_check(keeper, child);
    }
}

static void (*const on_event[SOURCES])(struct keeper *, struct child *) = {
    [SOURCE_SIGNALS] = on_signals, [SOURCE_LINK] = on_link,     [SOURCE_PIPES] = on_pipes,
    [SOURCE_ROOM] = on_room,       [SOURCE_STATUS] = on_status, [SOURCE_STDIN] = on_stdin,
    [SOURCE_PIDFD] = on_pidfd,     [SOURCE_TREE] = on_tree,
};

/* A child whose exec and whose end are found in the same turn need not be watched: reap.c. */
static void signals_first(struct epoll_event *events, int count)
{
    for (int i = 1; i < count; i++) {
        if ((events[i].data.u64 & 0xff) == SOURCE_SIGNALS) {
            struct epoll_event signals = events[i];
            events[i] = events[0];
            events[0] = signals;
        }
    }
}

void loop_turn(struct keeper *keeper)
{
    struct epoll_event events[64];
    int count = epoll_wait(keeper->epoll, events, 64, deadlines_timeout(keeper));
    loop_take_time(keeper);
    signals_first(events, count);
    for (int i = 0; i < count; i++) {
        struct child *child = &keeper->children[events[i].data.u64 >> 32];
        on_event[events[i].data.u64 & 0xff](keeper, child);
    }
    deadlines_run(keeper);
    link_flush(keeper);
    table_collect(keeper);
    if (spool_take_consumer_wake(&keeper->spool)) {
        (void)!write(keeper->facts_event, &(uint64_t){1}, sizeof(uint64_t));
    }
    if (keeper->upgrade_path[0] != 0 && keeper->server.pid == 0) {
        upgrade_run(keeper);
    }
}

int loop_begin(struct keeper *keeper)
{
    keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
    keeper->pipes_epoll = epoll_create1(EPOLL_CLOEXEC);
    keeper->facts_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->room_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->epoll < 0 || keeper->pipes_epoll < 0 || keeper->facts_event < 0 ||
        keeper->room_event < 0) {
        return -errno;
    }
    int error = watch_add(keeper->epoll, keeper->signals, EPOLLIN, SOURCE_SIGNALS, 0, 0);
    if (error == 0) {
        error = watch_add(keeper->epoll, keeper->pipes_epoll, EPOLLIN, SOURCE_PIPES, 0, 0);
    }
    if (error == 0) {
        error = watch_add(keeper->epoll, keeper->room_event, EPOLLIN, SOURCE_ROOM, 0, 0);
    }
    return error;
}
