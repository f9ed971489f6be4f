/*
 * The life of a process as a table: fact → what it does to the record. See service.h.
 *
 * Facts come in order, each exactly once (recorder.h). What a fact changes is changed here in
 * memory, marked to be stored in the open batch, and told (joiners, followers) after the commit.
 */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/bonds.h"
#include "service/coordination.h"
#include "service/pool.h"
#include "service/resume.h"
#include "service/service.h"

/* The keeper tells a monotonic deadline in wall-clock time: a repeat of the same differs by a
   hair. */
#define SAME_DEADLINE_US 1000

/* ---- storing ---- */

void process_touch(struct service *service, struct process *process, bool changed)
{
    process->revision += changed;
    if (!process->dirty) {
        process->dirty = true;
        process->next_dirty = service->dirty;
        service->dirty = process;
    }
    if (changed) {
        recorder_urgent(service->recorder);
    }
}

static void store(struct service *service, struct process *process)
{
    struct batch *batch = recorder_batch(service->recorder);
    struct process_row row;
    process_row(process, &row);
    bool stored = !process->inserted      ? process_row_insert(batch, &row)
                  : process->spec_changed ? process_row_rewrite(batch, &row)
                                          : process_row_update(batch, &row);
    if (!stored) {
        recorder_fatal("out of memory for a row");
    }
    process->inserted = true;
    process->spec_changed = false;
    if (!process_waits(process)) {
        free(process->spec_text);
        process->spec_text = NULL;
    }
}

void service_store_dirty(void *context)
{
    struct service *service = context;
    while (service->dirty) {
        struct process *process = service->dirty;
        service->dirty = process->next_dirty;
        process->dirty = false;
        store(service, process);
    }
    coordination_store(service);
    if (service->config->sync == CONFIG_SYNC_FULL) {
        recorder_durable(service->recorder);
    }
}

static void must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a log operation");
    }
}

/* ---- telling ---- */

/* The spool may have told of all this before the keeper's duplicates came by its socket. */
static void release_closed_pipes(const struct process *process)
{
    struct executor *executor = process->service->executor;
    for (enum fact_stream stream = STREAM_STDOUT; stream <= STREAM_STDERR; stream++) {
        if (!(process->open_streams & (stream == STREAM_STDOUT ? 1u : 2u))) {
            executor->type->pipe_closed(executor, &process->id, stream);
        }
    }
}

void process_custody_came(struct service *service, const struct fact_id *id)
{
    const struct process *process = process_table_find(&service->processes, id);
    if (process && process->end_stored) {
        release_closed_pipes(process);
        service->executor->type->forget(service->executor, id);
    }
}

static void end_stored(struct after_commit *after)
{
    struct process *process =
        (struct process *)((char *)after - offsetof(struct process, tell_end));
    struct executor *executor = process->service->executor;
    process->end_stored = true;
    release_closed_pipes(process);
    executor->type->forget(executor, &process->id);
    wait_list_wake_all(&process->joiners);
    wait_list_wake_all(&process->followers);
}

static void quiet_stored(struct after_commit *after)
{
    struct process *process =
        (struct process *)((char *)after - offsetof(struct process, tell_quiet));
    process->quiet_stored = true;
    service_upkeep_soon(process->service);
    wait_list_wake_all(&process->followers);
}

/* Where nothing was written and nothing lost, the writer knows of no log to finish. */
static bool has_log(const struct process *process, uint64_t end)
{
    return process->stdout_bytes > 0 || process->stderr_bytes > 0 || end == 0;
}

static void when_quiet(struct service *service, struct process *process, uint64_t end)
{
    if (!process_ended(process) || (process->open_streams & 3u) || process->quiet_stored) {
        return;
    }
    if (has_log(process, end)) {
        must(log_finished(recorder_batch(service->recorder), process->num, end));
    }
    process->tell_quiet.run = quiet_stored;
    recorder_after(service->recorder, &process->tell_quiet);
}

/* ---- facts ---- */

/* Of a process that is started as it is made, nothing was told before. */
static void tell_created(struct service *service, struct process *process)
{
    process_set_state(&service->processes, process, STATE_CREATED);
    process_touch(service, process, true);
    service_change_process(service, "process.created", process);
}

static void fact_started(struct service *service, struct process *process, const struct fact *fact,
                         uint64_t end)
{
    (void)end;
    struct fact_started started;
    if (process_alive(process) || process_ended(process)) {
        return;
    }
    memcpy(&started, fact_payload(fact), sizeof started);
    if (process->state == STATE_STARTING) {
        tell_created(service, process);
    }
    process->launched = false;
    process->pid = started.pid;
    process->ppid = started.ppid;
    process->pidfd_inode = started.pidfd_inode;
    process->start_ticks = started.start_ticks;
    process->in_cgroup = started.in_cgroup;
    process->started_at_us = fact->at_us;
    service_log(service, LEVEL_INFO, process, "child process calling %s", process_program(process));
    process_set_state(&service->processes, process, STATE_RUNNING);
    session_count_process(service, &process->parent, true);
    process_touch(service, process, true);
    service_change_process(service, "process.started", process);
    launch_started(service, process);
}

/* What the process has written to this stream, stored or not. */
static uint64_t *written(struct process *process, const struct fact *fact)
{
    return fact->stream == STREAM_STDERR ? &process->stderr_bytes : &process->stdout_bytes;
}

static void fact_output(struct service *service, struct process *process, const struct fact *fact,
                        uint64_t end)
{
    size_t bytes = fact_payload_bytes(fact);
    uint64_t limit = process->when_full == FULL_DROP_OLDEST ? process->max_output_bytes : 0;
    *written(process, fact) += bytes;
    must(log_append(recorder_batch(service->recorder), process->num, end,
                    (enum log_stream)fact->stream, fact->at_us, fact_payload(fact), bytes, limit));
    process_touch(service, process, false);
    if (process->worker && fact->stream != STREAM_STDERR) {
        pool_worker_output(process->worker, fact_payload(fact), bytes);
    }
    if (process->followers.count) {
        recorder_urgent(service->recorder);
    }
}

static void fact_dropped(struct service *service, struct process *process, const struct fact *fact,
                         uint64_t end)
{
    struct fact_dropped dropped;
    memcpy(&dropped, fact_payload(fact), sizeof dropped);
    process->dropped_bytes += dropped.bytes;
    *written(process, fact) += dropped.bytes;
    /* Others than drop_newest lose bytes only with a keeper that ends while their pipe is full. */
    enum log_gap_reason reason = process->when_full == FULL_DROP_NEWEST ? LOG_GAP_DROP_NEWEST
                                                                        : LOG_GAP_KEEPER_LOST;
    must(log_gap(recorder_batch(service->recorder), process->num, end,
                 (enum log_stream)fact->stream, fact->at_us, dropped.bytes, reason));
    process_touch(service, process, true);
    if (process->worker && fact->stream != STREAM_STDERR) {
        pool_worker_output_lost(process->worker);
    }
}

static void fact_pipe_closed(struct service *service, struct process *process,
                             const struct fact *fact, uint64_t end)
{
    process->open_streams &= fact->stream == STREAM_STDERR ? ~2u : ~1u;
    if (*written(process, fact) > 0) {
        must(log_close_stream(recorder_batch(service->recorder), process->num, end,
                              (enum log_stream)fact->stream, fact->at_us));
    }
    service->executor->type->pipe_closed(service->executor, &process->id,
                                         (enum fact_stream)fact->stream);
    process_touch(service, process, true);
    if (process->worker && fact->stream != STREAM_STDERR) {
        pool_worker_mute(process->worker);
    }
    if (process_ended(process)) {
        service_change_process(service, "process.output_closed", process);
    }
    when_quiet(service, process, end);
}

static void fact_stdin_closed(struct service *service, struct process *process,
                              const struct fact *fact, uint64_t end)
{
    (void)fact;
    (void)end;
    process->open_streams &= ~4u;
    service->executor->type->pipe_closed(service->executor, &process->id, STREAM_STDIN);
    process_touch(service, process, true);
}

static void fact_stopping(struct service *service, struct process *process,
                          const struct fact *fact, uint64_t end)
{
    (void)end;
    struct fact_stopping stopping;
    char name[16];
    memcpy(&stopping, fact_payload(fact), sizeof stopping);
    if (process->stop_reason == STOP_NONE) {
        process->stop_reason = (enum stop_reason)stopping.reason;
    }
    process->stop_signal_sent = stopping.signal;
    if (!process->stop_deadline_at_us ||
        stopping.deadline_at_us < process->stop_deadline_at_us - SAME_DEADLINE_US) {
        process->stop_deadline_at_us = stopping.deadline_at_us;
    }
    signal_name(stopping.signal, name);
    service_log(service, LEVEL_DEBUG, process, "process is being stopped with %s", name);
    if (process->state == STATE_RUNNING) {
        process_set_state(&service->processes, process, STATE_STOPPING);
    }
    process_touch(service, process, true);
    service_change_process(service, "process.stopping", process);
}

static void fact_killed(struct service *service, struct process *process, const struct fact *fact,
                        uint64_t end)
{
    (void)fact;
    (void)end;
    service_log(service, LEVEL_INFO, process, "the grace is over: SIGKILL to the whole tree");
}

static void fact_paused(struct service *service, struct process *process, const struct fact *fact,
                        uint64_t end)
{
    (void)end;
    process->paused = fact->type == FACT_PAUSED;
    process_touch(service, process, true);
    service_change_process(service, process->paused ? "process.paused" : "process.resumed",
                           process);
}

static void fact_blocked(struct service *service, struct process *process, const struct fact *fact,
                         uint64_t end)
{
    (void)end;
    (void)fact;
    service_log(service, LEVEL_INFO, process, "output is blocked: output.max_bytes is reached");
    service_change_process(service, "process.output_blocked", process);
}

static enum exit_reason reason_of(const struct fact_exited *exited)
{
    static const enum exit_reason by_stop[STOP_REASONS] = {
        [STOP_REQUESTED] = REASON_STOPPED, [STOP_TIMEOUT] = REASON_TIMEOUT,
        [STOP_PARENT_EXIT] = REASON_PARENT_EXIT, [STOP_SHUTDOWN] = REASON_SHUTDOWN};
    if (exited->kind == EXIT_LOST) {
        return REASON_KEEPER_LOST;
    }
    bool was_killed = exited->kind == EXIT_SIGNALED && exited->status == SIGKILL;
    if (exited->oom && was_killed && !exited->killed) {
        return REASON_OOM;
    }
    if (exited->reason > STOP_NONE && exited->reason < STOP_REASONS) {
        return by_stop[exited->reason];
    }
    return exited->kind == EXIT_SIGNALED ? REASON_SIGNAL : REASON_EXIT_CODE;
}

static void log_exit(struct service *service, const struct process *process)
{
    if (process->exit_kind == EXIT_EXITED) {
        service_log(service, LEVEL_INFO, process, "process exiting with exitcode %d",
                    process->exit_status);
    } else if (process->exit_kind == EXIT_SIGNALED) {
        service_log(service, LEVEL_INFO, process, "process exiting with exitcode %d",
                    -process->exit_status);
    } else {
        service_log(service, LEVEL_WARNING, process, "the end of process %s is lost: %s",
                    process->id_text, exit_reason_name(process->exit_reason));
    }
}

/* Everything that an end means, in one batch. */
static void end_process(struct service *service, struct process *process, uint64_t end)
{
    bool lost = process->exit_kind == EXIT_LOST;
    service->ends[process->exit_reason]++;
    service_log(service, LEVEL_DEBUG, process, "process shutting down");
    log_exit(service, process);
    process->paused = false;
    process->open_streams &= ~4u;
    process_set_state(&service->processes, process, lost ? STATE_LOST : STATE_EXITED);
    session_count_process(service, &process->parent, false);
    process_touch(service, process, true);
    service_change_process(service, lost ? "process.lost" : "process.exited", process);
    process->tell_end.run = end_stored;
    recorder_after(service->recorder, &process->tell_end);
    when_quiet(service, process, end);
    struct owner self = {PARENT_PROCESS, process->id};
    bonds_ended(process);
    if (process->has_called) {
        service_caller_ended(service, &process->id, PROBLEM_OWNER_ENDED,
                             "the process of this token has ended");
    }
    owner_ended(service, &self);
    if (process->worker) {
        pool_worker_ended(process->worker);
    }
    if (!process->daemon) { /* those may not make processes */
        service_parent_ended(service, &self);
    }
}

static void fact_exited(struct service *service, struct process *process, const struct fact *fact,
                        uint64_t end)
{
    struct fact_exited exited;
    if (!process_alive(process)) {
        return;
    }
    memcpy(&exited, fact_payload(fact), sizeof exited);
    process->exit_kind = (enum exit_kind)exited.kind;
    process->exit_status = exited.status;
    process->exit_reason = reason_of(&exited);
    process->core_dumped = exited.core_dumped;
    process->exited_at_us = exited.kind == EXIT_LOST ? 0 : fact->at_us;
    process->usage_known = exited.usage_known;
    process->user_us = exited.user_us;
    process->system_us = exited.system_us;
    process->max_rss_bytes = exited.max_rss_bytes;
    process->descendants = exited.descendants;
    process->open_streams = exited.open_streams & 3u;
    end_process(service, process, end);
}

static void fact_tree_empty(struct service *service, struct process *process,
                            const struct fact *fact, uint64_t end)
{
    (void)fact;
    (void)end;
    process->descendants = 0;
    process_touch(service, process, true);
    service_change_process(service, "process.tree_empty", process);
}

void process_streams_lost(struct service *service, struct process *process)
{
    unsigned open = process->open_streams & 3u;
    must(log_gap(recorder_batch(service->recorder), process->num, 0,
                 open == 3u ? (enum log_stream)0 : (enum log_stream)open, time_now_us(), 0,
                 LOG_GAP_KEEPER_LOST));
    process->open_streams = 0;
    process_touch(service, process, true);
    when_quiet(service, process, 0);
}

void process_lost(struct service *service, struct process *process, enum exit_reason reason)
{
    process->exit_kind = EXIT_LOST;
    process->exit_reason = reason;
    process->open_streams = 0;
    if (reason == REASON_KEEPER_LOST) { /* what its pipes held nobody has read */
        must(log_gap(recorder_batch(service->recorder), process->num, 0, (enum log_stream)0,
                     time_now_us(), 0, LOG_GAP_KEEPER_LOST));
    }
    end_process(service, process, 0);
}

/* ---- the table ---- */

typedef void fact_handler(struct service *, struct process *, const struct fact *, uint64_t end);

static const struct {
    fact_handler *handle;
    size_t payload_bytes;              /* at least */
} handlers[FACT_TYPES] = {
    [FACT_STARTED] = {fact_started, sizeof(struct fact_started)},
    [FACT_OUTPUT] = {fact_output, 0},
    [FACT_DROPPED] = {fact_dropped, sizeof(struct fact_dropped)},
    [FACT_PIPE_CLOSED] = {fact_pipe_closed, 0},
    [FACT_STDIN_CLOSED] = {fact_stdin_closed, 0},
    [FACT_STOPPING] = {fact_stopping, sizeof(struct fact_stopping)},
    [FACT_KILLED] = {fact_killed, 0},
    [FACT_PAUSED] = {fact_paused, 0},
    [FACT_RESUMED] = {fact_paused, 0},
    [FACT_OUTPUT_BLOCKED] = {fact_blocked, 0},
    [FACT_EXITED] = {fact_exited, sizeof(struct fact_exited)},
    [FACT_TREE_EMPTY] = {fact_tree_empty, 0},
};

static void apply_spawn_failed(struct service *service, const struct fact *fact)
{
    struct process *process = process_table_find(&service->processes, &fact->process);
    struct fact_spawn_failed failed;
    if (process && fact_payload_bytes(fact) >= sizeof failed) {
        memcpy(&failed, fact_payload(fact), sizeof failed);
        launch_failed(service, process, failed.error, failed.stage);
    }
}

static void apply_keeper_started(struct service *service, const struct fact *fact, uint64_t end)
{
    struct fact_keeper_started started;
    if (fact_payload_bytes(fact) < sizeof started) {
        return;
    }
    memcpy(&started, fact_payload(fact), sizeof started);
    if (started.occasion != RESUME_ADOPT) {
        return;
    }
    service_log(service, LEVEL_WARNING, NULL, "the keeper was killed; keeper %d took over",
                started.keeper_pid);
    service_change(service, "daemon.keeper_lost", NULL, NULL);
    struct process *process = process_table_find(&service->processes, &fact->process);
    if (process && started.unsure_bytes) {
        must(log_gap(recorder_batch(service->recorder), process->num, end,
                     (enum log_stream)fact->stream, fact->at_us, 0, LOG_GAP_KEEPER_LOST));
    }
    if (process && process->worker && started.unsure_bytes && fact->stream != STREAM_STDERR) {
        pool_worker_output_lost(process->worker);
    }
}

static void apply_server_ended(struct service *service, const struct fact *fact)
{
    struct fact_server_ended ended;
    if (fact_payload_bytes(fact) >= sizeof ended) {
        memcpy(&ended, fact_payload(fact), sizeof ended);
        service_log(service, LEVEL_WARNING, NULL,
                    "server %d ended (status 0x%x) and was started again", ended.pid,
                    (unsigned)ended.status);
        service_change(service, "daemon.server_restarted", NULL, NULL);
    }
}

/* The process a fact speaks of; a STARTED that a former server asked for makes its record. */
static struct process *subject_of(struct service *service, const struct fact *fact)
{
    struct process *process = process_table_find(&service->processes, &fact->process);
    struct fact_started started;
    if (fact->type != FACT_STARTED || fact_payload_bytes(fact) < sizeof started) {
        return process;
    }
    memcpy(&started, fact_payload(fact), sizeof started);
    if (started.record_bytes > fact_payload_bytes(fact) - sizeof started ||
        (process && process->state == STATE_STARTING)) {
        return process;
    }
    return launch_from_record(service, &fact->process,
                              (const char *)fact_payload(fact) + sizeof started,
                              started.record_bytes);
}

void service_apply(void *context, const struct fact *fact, uint64_t end)
{
    struct service *service = context;
    if (fact->type == FACT_SPAWN_FAILED) {
        apply_spawn_failed(service, fact);
    } else if (fact->type == FACT_KEEPER_STARTED) {
        apply_keeper_started(service, fact, end);
    } else if (fact->type == FACT_SERVER_ENDED) {
        apply_server_ended(service, fact);
    } else if (fact->type < FACT_TYPES && handlers[fact->type].handle &&
               fact_payload_bytes(fact) >= handlers[fact->type].payload_bytes) {
        struct process *process = subject_of(service, fact);
        if (process && (fact->type == FACT_STARTED || process->state != STATE_STARTING)) {
            handlers[fact->type].handle(service, process, fact, end);
        }
    }
}

/* A process that its full output blocks may write as much as is gone, also when it has ended and
   its pipes hold the rest. The total is absolute, so
   telling it twice does no harm. */
void process_credit(struct service *service, const struct process *process)
{
    bool may_write = process_alive(process) || (process->open_streams & 3u);
    if (process->when_full == FULL_BLOCK && may_write) {
        problem_free(service->executor->type->credit(service->executor, &process->id,
                                                     process_output_limit(process)));
    }
}

uint64_t process_output_limit(const struct process *process)
{
    return process->max_output_bytes + process->log_gone;
}

void service_log_progress(void *context, const struct log_progress *progress)
{
    struct service *service = context;
    struct process *process = process_table_find_num(&service->processes, progress->process);
    if (!process) {
        return;
    }
    process->log_first = progress->first_seq;
    process->log_last = progress->last_seq;
    process->log_bytes = progress->stored_bytes;
    process->log_trimmed += progress->trimmed_bytes;
    process->log_gone += progress->trimmed_bytes + progress->dropped_bytes;
    if (progress->dropped_bytes) {
        process->dropped_bytes += progress->dropped_bytes;
        process_touch(service, process, true);
    }
    if (progress->trimmed_bytes + progress->dropped_bytes) {
        process_credit(service, process);
    }
    wait_list_wake_all(&process->followers);
}
