/* The recorder; see recorder.h. */
#include "service/recorder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/text.h"

#define LINGER_US 20000
#define LOG_LINGER_BYTES (256u << 10)   /* of output that may wait for more */
#define CATCH_UP_US 2000000            /* how long a start waits for one commit */
#define STOP_US 10000000               /* and an end for the last ones */
#define CROWD 4u                       /* so many told by one batch: many clients wait at once */
#define SPACING_US 1000                /* then commits start no closer than this: larger groups */
#define OPEN_OUTPUT_BYTES (4u << 20)   /* of spool that the open batch may hold while another is in flight */
#define OPEN_OPERATIONS 20000u
#define FACTS_PER_TURN 4096u
#define CATCH_UP_PATIENCE_US 2000000ll

struct recorder {
    struct loop *loop;
    struct spool spool;
    struct recorder_fds fds;
    struct recorder_events events;
    struct writer *writer;
    struct watch facts_watch, writer_watch;
    struct deferred read_more, submit;
    struct timer linger;
    struct batch *open;
    struct after_commit *first, *last;         /* of the open batch */
    struct after_commit *flying;               /* of the batch in flight */
    bool flying_clean;                         /* the batch in flight held nothing but what submit added */
    bool urgent;                               /* the open batch must not linger */
    size_t waiting, crowd;                     /* after-commits of the open and of the last batch */
    int64_t submitted_us;                      /* when the last batch went, monotonic */
    int writer_fd;
    struct db_position applied;                /* up to here facts were handed to apply */
    uint64_t start_end;                        /* the spool's head at the start */
};

_Noreturn void recorder_fatal(const char *why)
{
    fprintf(stderr, "forkful server: cannot go on: %s\n", why);
    _exit(3);
}

/* ---- the open batch ---- */

struct batch *recorder_batch(struct recorder *recorder)
{
    if (!recorder->open) {
        recorder->open = batch_new();
        if (!recorder->open) {
            recorder_fatal("out of memory for a batch");
        }
        loop_defer(recorder->loop, &recorder->submit);
    }
    return recorder->open;
}

void recorder_urgent(struct recorder *recorder)
{
    recorder_batch(recorder);
    recorder->urgent = true;
    loop_defer(recorder->loop, &recorder->submit);
}

void recorder_durable(struct recorder *recorder)
{
    recorder_batch(recorder)->durable = true;
    recorder_urgent(recorder);
}

void recorder_after(struct recorder *recorder, struct after_commit *after)
{
    recorder_urgent(recorder);
    if (after->queued) {
        recorder_forget(recorder, after);
    }
    after->queued = true;
    after->next = NULL;
    recorder->waiting++;
    *(recorder->first ? &recorder->last->next : &recorder->first) = after;
    recorder->last = after;
}

static bool list_remove(struct after_commit **list, struct after_commit *after)
{
    for (struct after_commit **at = list; *at; at = &(*at)->next) {
        if (*at == after) {
            *at = after->next;
            return true;
        }
    }
    return false;
}

void recorder_forget(struct recorder *recorder, struct after_commit *after)
{
    if (!after->queued) {
        return;
    }
    after->queued = false;
    if (list_remove(&recorder->flying, after) || !list_remove(&recorder->first, after)) {
        return;
    }
    recorder->last = recorder->first;
    while (recorder->last && recorder->last->next) {
        recorder->last = recorder->last->next;
    }
}

/* ---- submitting and collecting ---- */

static bool open_is_clean(const struct recorder *recorder)
{
    return !recorder->open || (recorder->open->operations == 0 && !recorder->first);
}

bool recorder_is_clean(const struct recorder *recorder)
{
    return open_is_clean(recorder) &&
           (recorder->flying_clean || !writer_busy(recorder->writer));
}

static void submit_now(struct recorder *recorder)
{
    struct batch *batch = recorder->open;
    if (!batch || writer_busy(recorder->writer)) {
        return;
    }
    timer_cancel(recorder->loop, &recorder->linger);
    recorder->flying_clean = open_is_clean(recorder);
    recorder->events.submit(recorder->events.context);
    batch->has_position = true;
    batch->position = recorder->applied;
    recorder->open = NULL;
    recorder->urgent = false;
    recorder->flying = recorder->first;
    recorder->first = recorder->last = NULL;
    recorder->crowd = recorder->waiting;
    recorder->waiting = 0;
    recorder->submitted_us = time_monotonic_us();
    writer_submit(recorder->writer, batch);
}

/* How long the open batch may wait for company; 0: not at all. */
static int64_t linger_until(const struct recorder *recorder)
{
    if (!recorder->urgent && recorder->open->output_bytes < LOG_LINGER_BYTES) {
        return time_monotonic_us() + LINGER_US;
    }
    /* Who was told by the last batch asks again at once. When as many wait as then, nobody is missing. */
    bool is_gathering = recorder->crowd >= CROWD && recorder->waiting < recorder->crowd;
    return is_gathering ? recorder->submitted_us + SPACING_US : 0;
}

static void submit_deferred(struct deferred *deferred)
{
    struct recorder *recorder =
        (struct recorder *)((char *)deferred - offsetof(struct recorder, submit));
    if (!recorder->open || writer_busy(recorder->writer)) {
        return;
    }
    int64_t until_us = linger_until(recorder);
    bool armed = recorder->linger.place && recorder->linger.deadline_us <= until_us;
    if (until_us <= time_monotonic_us() ||
        (!armed && !timer_set(recorder->loop, &recorder->linger, until_us))) {
        submit_now(recorder);
    }
}

static void linger_over(struct timer *timer)
{
    submit_now((struct recorder *)((char *)timer - offsetof(struct recorder, linger)));
}

static void run_after_commits(struct recorder *recorder)
{
    while (recorder->flying) {
        struct after_commit *after = recorder->flying;
        recorder->flying = after->next;
        after->queued = false;
        after->run(after);
    }
}

static void wake_keeper(struct recorder *recorder)
{
    uint64_t one = 1;
    if (write(recorder->fds.room, &one, sizeof one) < 0) {
        /* The counter is at its limit, so the keeper is awake. */
    }
}

static void batch_committed(struct recorder *recorder, struct batch *batch)
{
    FAULT_POINT("server_before_tail");
    if (spool_release(&recorder->spool, batch->position.position)) {
        wake_keeper(recorder);
    }
    for (size_t i = 0; i < batch->progress_count; i++) {
        recorder->events.progress(recorder->events.context, &batch->progress[i]);
    }
    run_after_commits(recorder);
    recorder->events.committed(recorder->events.context);
    batch_free(batch);
}

static void writer_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct recorder *recorder =
        (struct recorder *)((char *)watch - offsetof(struct recorder, writer_watch));
    uint64_t count;
    if (read(watch->fd, &count, sizeof count) < 0) {
        return;
    }
    struct batch *batch;
    while ((batch = writer_collect(recorder->writer))) {
        batch_committed(recorder, batch);
    }
    if (writer_has_news(recorder->writer)) {
        recorder_batch(recorder);
    }
    loop_defer(recorder->loop, &recorder->read_more);
    loop_defer(recorder->loop, &recorder->submit);
}

/* ---- reading facts ---- */

static bool batch_is_full(const struct recorder *recorder)
{
    return recorder->open && (recorder->open->output_bytes > OPEN_OUTPUT_BYTES ||
                              recorder->open->operations > OPEN_OPERATIONS);
}

/* False: nothing is left, or the batch must be stored first. */
static bool read_one(struct recorder *recorder)
{
    int error = 0;
    if (batch_is_full(recorder)) {
        return false;
    }
    const struct fact *fact = spool_next(&recorder->spool, &error);
    if (!fact) {
        if (error) {
            recorder_fatal("the spool is damaged");
        }
        return false;
    }
    recorder->applied.position = recorder->spool.position;
    recorder->applied.sequence = fact->sequence;
    FAULT_POINT("server_after_read");
    recorder->events.apply(recorder->events.context, fact, recorder->spool.position);
    recorder_batch(recorder);
    return true;
}

static void read_facts(struct deferred *deferred)
{
    struct recorder *recorder =
        (struct recorder *)((char *)deferred - offsetof(struct recorder, read_more));
    unsigned count = 0;
    while (count < FACTS_PER_TURN && read_one(recorder)) {
        count++;
    }
    if (count == FACTS_PER_TURN) {
        recorder_urgent(recorder);
        uint64_t one = 1;                      /* come back in the next turn, others first */
        if (write(recorder->fds.facts, &one, sizeof one) < 0) {
            recorder_fatal("eventfd");
        }
    } else if (batch_is_full(recorder)) {
        recorder_urgent(recorder);
    }
    if (recorder->open) {
        loop_defer(recorder->loop, &recorder->submit);
    }
}

static void facts_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct recorder *recorder =
        (struct recorder *)((char *)watch - offsetof(struct recorder, facts_watch));
    uint64_t count;
    if (read(watch->fd, &count, sizeof count) < 0) {
        return;
    }
    loop_defer(recorder->loop, &recorder->read_more);
}

/* Before the loop sleeps: announce it, and stay awake when a fact slipped in. */
static int64_t before_sleep(void *context)
{
    struct recorder *recorder = context;
    if (batch_is_full(recorder) || !spool_consumer_sleep(&recorder->spool)) {
        return -1;
    }
    loop_defer(recorder->loop, &recorder->read_more);
    return 0;
}

void recorder_read(struct recorder *recorder)
{
    while (read_one(recorder)) {
    }
}

/* Stores what is in flight and what is open, or gives up waiting at `until_us`. */
static void commit_now(struct recorder *recorder, int64_t until_us)
{
    while ((recorder->open || writer_busy(recorder->writer)) && time_monotonic_us() < until_us) {
        submit_now(recorder);
        struct batch *batch = writer_collect(recorder->writer);
        if (batch) {
            batch_committed(recorder, batch);
        } else {
            usleep(500);
        }
    }
}

/* In the end all of it is stored, for a repeated request is looked for in the database. When nothing
   can be stored now, nothing is started either (recorder_refuses), and the wait is bounded; what is
   left in the spool is applied later. */
void recorder_catch_up(struct recorder *recorder)
{
    int64_t until_us = time_monotonic_us() + CATCH_UP_US;
    while (read_one(recorder) || batch_is_full(recorder)) {
        if (batch_is_full(recorder)) {
            commit_now(recorder, until_us);
            if (recorder->open || writer_busy(recorder->writer)) {
                return;
            }
            until_us = time_monotonic_us() + CATCH_UP_US;
        }
    }
    commit_now(recorder, until_us);
}

/* ---- start and stop ---- */

/* state.db says where to go on: logs.db is committed before it, so what state.db has, logs.db has
   too, and what logs.db has in advance it leaves out by its own position (db/logs.h). */
static int take_position(struct recorder *recorder, struct db *db)
{
    struct db_position position = {0};
    uint64_t spool_id = recorder->spool.header->spool_id;
    db_position_get(db, DB_STATE, &position);
    if (db_unread(db) != SQLITE_OK) {
        return -EIO;
    }
    if (position.spool_id != spool_id) {
        position = (struct db_position){.spool_id = spool_id};
    }
    recorder->applied = position;
    int error = spool_consumer_begin(&recorder->spool, position.position);
    recorder->applied.position = recorder->spool.position;
    recorder->start_end = atomic_load(&recorder->spool.header->head);
    return error;
}

static struct problem *recorder_fail(struct recorder *recorder, const char *what, const char *why)
{
    struct problem *problem = problem_make(PROBLEM_INTERNAL, "%s: %s", what, why);
    if (recorder->writer_fd >= 0) {
        close(recorder->writer_fd);
    }
    free(recorder);
    return problem;
}

struct recorder *recorder_start(struct loop *loop, struct db *db, const struct recorder_fds *fds,
                                const struct recorder_events *events, struct problem **problem)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    struct db_error error = {0};
    if (!recorder) {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the recorder");
        return NULL;
    }
    recorder->loop = loop;
    recorder->fds = *fds;
    recorder->events = *events;
    recorder->read_more.run = read_facts;
    recorder->submit.run = submit_deferred;
    recorder->linger.due = linger_over;
    recorder->facts_watch = (struct watch){.fd = fds->facts, .ready = facts_ready};
    recorder->writer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    recorder->writer_watch = (struct watch){.fd = recorder->writer_fd, .ready = writer_ready};
    if (recorder->writer_fd < 0 || spool_attach(&recorder->spool, fds->spool) < 0 ||
        take_position(recorder, db) < 0) {
        *problem = recorder_fail(recorder, "the spool, or its position in state.db", "cannot be read");
        return NULL;
    }
    recorder->writer = writer_start(db, recorder->writer_fd, &error);
    if (!recorder->writer || loop_watch(loop, &recorder->facts_watch, EPOLLIN) < 0 ||
        loop_watch(loop, &recorder->writer_watch, EPOLLIN) < 0) {
        *problem = recorder_fail(recorder, "writer", error.text);
        return NULL;
    }
    loop_on_sleep(loop, before_sleep, recorder);
    return recorder;
}

/* The loop goes on to the end of its turn, so nothing of ours may stay in it. */
static void leave_loop(struct recorder *recorder)
{
    loop_off_sleep(recorder->loop, before_sleep, recorder);
    loop_unwatch(recorder->loop, &recorder->facts_watch);
    loop_unwatch(recorder->loop, &recorder->writer_watch);
    loop_undefer(recorder->loop, &recorder->read_more);
    loop_undefer(recorder->loop, &recorder->submit);
    timer_cancel(recorder->loop, &recorder->linger);
}

void recorder_stop(struct recorder *recorder)
{
    commit_now(recorder, time_monotonic_us() + STOP_US);
    leave_loop(recorder);
    writer_stop(recorder->writer);
    spool_close(&recorder->spool);
    close(recorder->writer_fd);
    free(recorder);
}

/* ---- what others ask ---- */

struct problem *recorder_refuses(struct recorder *recorder)
{
    struct writer_health health;
    writer_health(recorder->writer, &health);
    if (!health.degraded) {
        return NULL;
    }
    struct problem *problem = problem_make(PROBLEM_STORAGE_FULL, "%s", health.text);
    problem->retry_after_seconds = 1;
    return problem;
}

struct writer *recorder_writer(struct recorder *recorder)
{
    return recorder->writer;
}

const struct spool *recorder_spool(struct recorder *recorder)
{
    return &recorder->spool;
}

bool recorder_has_caught_up(const struct recorder *recorder)
{
    return recorder->spool.position >= recorder->start_end;
}

bool recorder_idle(struct recorder *recorder)
{
    return !recorder->open && !writer_busy(recorder->writer) &&
           atomic_load(&recorder->spool.header->head) == recorder->spool.position;
}
