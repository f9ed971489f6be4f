/*
 * Reading the children's output straight into the ring.
 *
 * The read ends sit in an epoll of their own; while the ring is full that epoll is taken out of the
 * loop's, so a full ring costs nothing. One read per ready pipe and turn, for fairness. The spool's
 * header says what is being read before each read and is cleared after it: should the keeper be
 * killed in between, its successor can tell whose bytes may be missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"

#define READ_BYTES (256u << 10)
#define WIDE_PIPE_BYTES (256u << 10)
#define PIPE_BYTES 65536          /* what a pipe holds unless the user has too many of them */
#define FULL_RING_ROOM 4096u      /* less than this is not worth a read */
#define DROP_TELL_US 100000       /* how long counts of dropped bytes are summed up */
#define DROP_BYTES (1u << 20)

static const enum fact_stream streams[2] = {STREAM_STDOUT, STREAM_STDERR};

static bool is_readable(const struct child *child, int s)
{
    return child->output[s] >= 0 && !(child->marks & ((uint32_t)MARK_BLOCKED_STREAM << s));
}

void pipes_watch(struct keeper *keeper, struct child *child)
{
    child->marks |= MARK_WATCHED;
    for (int s = 0; s < 2; s++) {
        if (is_readable(child, s)) {
            watch_add(keeper->pipes_epoll, child->output[s], EPOLLIN, SOURCE_PIPES, s,
                      table_index(keeper, child));
        }
    }
    if (child->stdin_fd >= 0) { /* errors only: the last reader is gone */
        watch_add(keeper->epoll, child->stdin_fd, 0, SOURCE_STDIN, 0, table_index(keeper, child));
    }
}

void pipes_pause(struct keeper *keeper, bool pause)
{
    struct epoll_event event = {.events = pause ? 0 : EPOLLIN, .data.u64 = SOURCE_PIPES};
    epoll_ctl(keeper->epoll, EPOLL_CTL_MOD, keeper->pipes_epoll, &event);
}

static void pipe_close(struct keeper *keeper, struct child *child, int s)
{
    if ((child->marks & MARK_WATCHED) && is_readable(child, s)) {
        watch_close(keeper->pipes_epoll, &child->output[s]);
    } else {
        close_one(&child->output[s]);
    }
}

void pipes_close(struct keeper *keeper, struct child *child)
{
    for (int s = 0; s < 2; s++) {
        pipe_close(keeper, child, s);
    }
}

/* A read that never waits, whether or not the descriptor is O_NONBLOCK. */
ssize_t pipe_take(const struct keeper *keeper, int fd, void *bytes, size_t size)
{
    struct iovec vector = {bytes, size};
    if (keeper->nowait_reads) {
        return preadv2(fd, &vector, 1, -1, RWF_NOWAIT);
    }
    return read(fd, bytes, size);
}

/* The facts that are due for bytes thrown away. */
uint32_t pipes_dropped(const struct child *child)
{
    return (child->dropped[0] > 0 ? (uint32_t)OWED_DROPPED_STREAM : 0u) |
           (child->dropped[1] > 0 ? (uint32_t)OWED_DROPPED_STREAM << 1 : 0u);
}

static void stream_closed(struct keeper *keeper, struct child *child, int s)
{
    pipe_close(keeper, child, s);
    owe(keeper, child, (uint32_t)OWED_CLOSED_STREAM << s | pipes_dropped(child));
}

/* Output beyond the limit of policy `block`: the pipe stays as it is until credit comes. */
static void stream_block(struct keeper *keeper, struct child *child, int s)
{
    bool first = !(child->marks & ENTRY_BLOCKED);
    if (child->marks & MARK_WATCHED) {
        epoll_ctl(keeper->pipes_epoll, EPOLL_CTL_DEL, child->output[s], NULL);
    }
    child->marks |= (uint32_t)MARK_BLOCKED_STREAM << s | ENTRY_BLOCKED;
    if (first) {
        owe(keeper, child, OWED_BLOCKED);
    }
}

/* Output beyond the limit of policy `drop_newest`. Gives what read(2) would. */
static ssize_t stream_drop(struct keeper *keeper, struct child *child, int s)
{
    ssize_t got = splice(child->output[s], NULL, keeper->null_fd, NULL, DROP_BYTES,
                         SPLICE_F_NONBLOCK);
    if (got > 0) {
        child->dropped[s] += (uint64_t)got;
        if (keeper->drop_deadline_us == 0) {
            keeper->drop_deadline_us = keeper->mono_us + DROP_TELL_US;
            deadline_at(keeper, keeper->drop_deadline_us);
        }
    }
    return got;
}

static void reading(struct keeper *keeper, const struct child *child, int s, size_t bytes)
{
    struct spool_header *header = keeper->spool.header;
    header->reading_process = child->process;
    header->reading_stream = streams[s];
    atomic_store_explicit(&header->reading_bytes, bytes, memory_order_release);
}

/* A pipe found full belongs to a heavy writer: a larger one saves it and us many switches. */
static void stream_widen(struct child *child, int s, ssize_t got)
{
    if (got < PIPE_BYTES || (child->marks & ((uint32_t)MARK_WIDE_STREAM << s))) {
        return;
    }
    child->marks |= (uint32_t)MARK_WIDE_STREAM << s;
    fcntl(child->output[s], F_SETPIPE_SZ, WIDE_PIPE_BYTES);
}

static ssize_t stream_store(struct keeper *keeper, struct child *child, int s, size_t want)
{
    size_t room = spool_room(&keeper->spool, want, SPOOL_RESERVE_BYTES);
    if (room < want && room < FULL_RING_ROOM) {
        ring_wait(keeper);
        errno = EAGAIN;
        return -1;
    }
    void *payload = spool_reserve(&keeper->spool, room, SPOOL_RESERVE_BYTES);
    reading(keeper, child, s, room);
    ssize_t got = pipe_take(keeper, child->output[s], payload, room);
    if (got > 0) {
        FAULT_POINT("keeper_after_read");
        spool_publish(&keeper->spool, FACT_OUTPUT, streams[s], &child->process, keeper->now_us,
                      (size_t)got);
        child->output_bytes += (uint64_t)got;
        stream_widen(child, s, got);
    }
    atomic_store_explicit(&keeper->spool.header->reading_bytes, 0, memory_order_release);
    return got;
}

/* Policy `block`, nothing left of the limit: bytes that wait block the stream, an end closes it.
   Looked at without reading, so that not one byte is taken. */
static ssize_t stream_look(struct keeper *keeper, struct child *child, int s)
{
    struct pollfd look = {.fd = child->output[s], .events = POLLIN};
    poll(&look, 1, 0);
    if (look.revents & POLLIN) {
        stream_block(keeper, child, s);
    }
    errno = EAGAIN;
    return !(look.revents & POLLIN) && (look.revents & (POLLHUP | POLLERR)) ? 0 : -1;
}

/* One step of one stream. > 0: bytes taken; <= 0: none now, or it is closed or blocked. */
static ssize_t stream_step(struct keeper *keeper, struct child *child, int s)
{
    uint32_t limited = child->spawn_flags & (SPAWN_OUTPUT_BLOCK | SPAWN_OUTPUT_DROP_NEWEST);
    uint64_t left = READ_BYTES;
    ssize_t got;
    if (limited != 0) {
        left = child->max_output_bytes - child->output_bytes;
    }
    if (limited != 0 && child->max_output_bytes <= child->output_bytes) {
        got = limited & SPAWN_OUTPUT_BLOCK ? stream_look(keeper, child, s)
                                           : stream_drop(keeper, child, s);
    } else {
        got = stream_store(keeper, child, s, left < READ_BYTES ? (size_t)left : READ_BYTES);
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        stream_closed(keeper, child, s);
    }
    return got;
}

void pipes_read(struct keeper *keeper)
{
    struct epoll_event events[64];
    int count = epoll_wait(keeper->pipes_epoll, events, 64, 0);
    for (int i = 0; i < count && !keeper->ring_waits; i++) {
        struct child *child = &keeper->children[events[i].data.u64 >> 32];
        int s = (int)(events[i].data.u64 >> 8 & 1);
        if (child->state != CHILD_FREE && child->output[s] >= 0) {
            stream_step(keeper, child, s);
        }
    }
}

/* What the pipes hold now, so that the end of the process stands behind it. Bounded by what is left
   after the first read, because a descendant may go on writing for ever. */
void pipes_drain(struct keeper *keeper, struct child *child)
{
    for (int s = 0; s < 2; s++) {
        int held = 0;
        if (keeper->ring_waits || !is_readable(child, s) || stream_step(keeper, child, s) <= 0) {
            continue;
        }
        ioctl(child->output[s], FIONREAD, &held);
        while (held >= 0 && !keeper->ring_waits && is_readable(child, s)) {
            ssize_t got = stream_step(keeper, child, s);
            held = got > 0 && got <= held ? held - (int)got : -1;
        }
    }
}

void pipes_end(struct keeper *keeper, struct child *child)
{
    pipes_drain(keeper, child);
    for (int s = 0; s < 2 && child->state != CHILD_FREE; s++) {
        int held = 0;
        if (child->output[s] >= 0) {
            ioctl(child->output[s], FIONREAD, &held); /* blocked, or there is no room in the ring */
            child->dropped[s] += held > 0 ? (uint64_t)held : 0;
            stream_closed(keeper, child, s);
        }
    }
}

/* Do the pipes hold bytes that can be read as soon as the ring has room? */
bool pipes_hold(const struct child *child)
{
    int held[2] = {0, 0};
    for (int s = 0; s < 2; s++) {
        if (is_readable(child, s)) {
            ioctl(child->output[s], FIONREAD, &held[s]);
        }
    }
    return held[0] > 0 || held[1] > 0;
}

void pipes_credit(struct keeper *keeper, struct child *child, uint64_t max_output_bytes)
{
    if (max_output_bytes <= child->max_output_bytes) {
        return;
    }
    child->max_output_bytes = max_output_bytes;
    for (int s = 0; s < 2; s++) {
        if (child->output[s] >= 0 && (child->marks & ((uint32_t)MARK_BLOCKED_STREAM << s))) {
            watch_add(keeper->pipes_epoll, child->output[s], EPOLLIN, SOURCE_PIPES, s,
                      table_index(keeper, child));
        }
    }
    child->marks &= ~(uint32_t)(MARK_BLOCKED_STREAM | MARK_BLOCKED_STREAM << 1 | ENTRY_BLOCKED);
}
