/*
 * Facts about children, written now or when the ring has room.
 *
 * A fact that is due is a bit in `child->owed`; its content is read from the child when it is
 * written, in the order of the table below. So a full ring needs no queue and loses nothing, and a
 * later fact can never overtake an earlier one. FACT_EXITED is not here: as long as it cannot be
 * written the child stays a zombie (reap.c).
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"
#include "service/keeper/proc.h"

#define RING_ROOM 65536u /* reading goes on when this much is free above the reserve */

static int append(struct keeper *keeper, struct child *child, enum fact_type type,
                  enum fact_stream stream, const void *payload, size_t bytes)
{
    return spool_append(&keeper->spool, type, stream, &child->process, keeper->now_us, payload,
                        bytes, child->record, child->record != NULL ? child->record_bytes : 0);
}

static int publish_started(struct keeper *keeper, struct child *child)
{
    struct fact_started started = {.pid = child->pid, .ppid = keeper->pid,
                                   .in_cgroup = (uint32_t)(child->slot + 1),
                                   .record_bytes = child->record_bytes};
    struct stat info;
    struct proc_stat stat;
    if ((keeper->features & KEEPER_PIDFD_INODE) && fstat(child->pidfd, &info) == 0) {
        started.pidfd_inode = info.st_ino;
    } else if (proc_stat_read(child->pid, &stat)) {
        started.start_ticks = stat.start_ticks;
    }
    int error = spool_append(&keeper->spool, FACT_STARTED, STREAM_NONE, &child->process,
                             child->forked_us, &started, sizeof started, child->record,
                             child->record_bytes);
    if (error == 0) {
        record_drop(child);
        FAULT_POINT("keeper_after_started");
    }
    return error;
}

static int publish_failed(struct keeper *keeper, struct child *child)
{
    struct fact_spawn_failed failed = {.error = child->error, .stage = child->stage,
                                       .record_bytes = child->record_bytes};
    int error = append(keeper, child, FACT_SPAWN_FAILED, STREAM_NONE, &failed, sizeof failed);
    if (error == 0) {
        record_drop(child);
    }
    return error;
}

static int publish_stopping(struct keeper *keeper, struct child *child)
{
    struct fact_stopping stopping = {.reason = child->stop_reason,
                                     .signal = child->stopping_signal,
                                     .deadline_at_us = keeper->now_us};
    if (child->stop_deadline_us != 0) {
        stopping.deadline_at_us += child->stop_deadline_us - keeper->mono_us;
    }
    return append(keeper, child, FACT_STOPPING, STREAM_NONE, &stopping, sizeof stopping);
}

static int publish_dropped(struct keeper *keeper, struct child *child, int stream)
{
    struct fact_dropped dropped = {.bytes = child->dropped[stream]};
    int error = append(keeper, child, FACT_DROPPED, stream == 0 ? STREAM_STDOUT : STREAM_STDERR,
                       &dropped, sizeof dropped);
    if (error == 0) {
        child->dropped[stream] = 0;
    }
    return error;
}

static int publish_dropped_stdout(struct keeper *keeper, struct child *child)
{
    return publish_dropped(keeper, child, 0);
}

static int publish_dropped_stderr(struct keeper *keeper, struct child *child)
{
    return publish_dropped(keeper, child, 1);
}

static const struct {
    uint32_t bit;
    int (*publish)(struct keeper *, struct child *); /* NULL: a fact without payload */
    enum fact_type type;
    enum fact_stream stream;
} owed_rows[] = {
    {OWED_STARTED, publish_started, FACT_STARTED, STREAM_NONE},
    {OWED_FAILED, publish_failed, FACT_SPAWN_FAILED, STREAM_NONE},
    {OWED_PAUSED, NULL, FACT_PAUSED, STREAM_NONE},
    {OWED_RESUMED, NULL, FACT_RESUMED, STREAM_NONE},
    {OWED_STOPPING, publish_stopping, FACT_STOPPING, STREAM_NONE},
    {OWED_KILLED, NULL, FACT_KILLED, STREAM_NONE},
    {OWED_BLOCKED, NULL, FACT_OUTPUT_BLOCKED, STREAM_NONE},
    {OWED_DROPPED_STREAM, publish_dropped_stdout, FACT_DROPPED, STREAM_STDOUT},
    {OWED_DROPPED_STREAM << 1, publish_dropped_stderr, FACT_DROPPED, STREAM_STDERR},
    {OWED_CLOSED_STREAM, NULL, FACT_PIPE_CLOSED, STREAM_STDOUT},
    {OWED_CLOSED_STREAM << 1, NULL, FACT_PIPE_CLOSED, STREAM_STDERR},
    {OWED_STDIN_CLOSED, NULL, FACT_STDIN_CLOSED, STREAM_STDIN},
    {OWED_TREE_EMPTY, NULL, FACT_TREE_EMPTY, STREAM_NONE},
};

bool owed_publish(struct keeper *keeper, struct child *child)
{
    for (size_t i = 0; child->owed != 0 && i < sizeof owed_rows / sizeof *owed_rows; i++) {
        if (!(child->owed & owed_rows[i].bit)) {
            continue;
        }
        int error = owed_rows[i].publish != NULL
                        ? owed_rows[i].publish(keeper, child)
                        : append(keeper, child, owed_rows[i].type, owed_rows[i].stream, NULL, 0);
        if (error != 0) {
            ring_wait(keeper);
            return false;
        }
        child->owed &= ~owed_rows[i].bit;
    }
    return true;
}

void owe(struct keeper *keeper, struct child *child, uint32_t facts)
{
    child->owed |= facts;
    if (owed_publish(keeper, child)) {
        child_release(keeper, child);
    }
}

void child_release(struct keeper *keeper, struct child *child)
{
    bool stored = (child->state == CHILD_FAILED && child->record == NULL) ||
                  (child->state == CHILD_ENDED && (child->marks & ENTRY_FORGOTTEN));
    if (!stored || child->owed != 0 || child->output[0] >= 0 || child->output[1] >= 0 ||
        (child->marks & (MARK_TREE | MARK_CUSTODY))) {
        return;
    }
    watch_close(keeper->epoll, &child->stdin_fd);
    close_one(&child->pidfd);
    cgroup_give(&child->slot);
    record_drop(child);
    table_remove(keeper, child);
}

/* Stops reading until the consumer has made room. Everybody who found the ring full calls this. */
void ring_wait(struct keeper *keeper)
{
    if (keeper->ring_waits) {
        return;
    }
    keeper->ring_waits = true;
    pipes_pause(keeper, true);
    if (spool_producer_wait(&keeper->spool, RING_ROOM, SPOOL_RESERVE_BYTES)) {
        (void)!write(keeper->room_event, &(uint64_t){1}, sizeof(uint64_t));
    }
}

void ring_retry(struct keeper *keeper)
{
    if (!keeper->ring_waits ||
        !spool_producer_wait(&keeper->spool, RING_ROOM, SPOOL_RESERVE_BYTES)) {
        return;
    }
    keeper->ring_waits = false;
    pipes_pause(keeper, false);
    for (uint32_t i = 1; i <= keeper->used && !keeper->ring_waits; i++) {
        if (keeper->children[i].state != CHILD_FREE && keeper->children[i].owed != 0) {
            owe(keeper, &keeper->children[i], 0);
        }
    }
    reap_children(keeper);
}
