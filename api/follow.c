/* Answers fed from the database; see follow.h. */
#include "api/follow.h"

#include <stddef.h>
#include <stdlib.h>

static void next(struct follow *follow);

static struct follow *of_job(struct read_job *job)
{
    return (struct follow *)((char *)job - offsetof(struct follow, job));
}

/* ---- the end ---- */

/* The client has its answer, or has gone. What is still under way comes back and finds nobody. */
static void release(struct follow *follow)
{
    follow->stream = NULL;
    follow->request = NULL;
    waiter_cancel(&follow->waiter);
    if (follow->busy) {
        follow->job.cancelled = true;
    } else if (!follow->again.queued) {
        follow->type->free(follow);
    }
}

static void finish_stream(struct follow *follow)
{
    struct stream *stream = follow->stream;
    size_t written = follow->written;
    if (follow->type->end) {
        follow->type->end(follow);
    }
    if (follow->text.bytes > written) {
        stream_write(stream, follow->text.data + written, follow->text.bytes - written);
    }
    release(follow);
    stream_end(stream);
}

static struct problem *no_memory(void)
{
    return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the answer");
}

static void finish_page(struct follow *follow)
{
    struct request *request = follow->request;
    struct text body;
    if (follow->type->end) {
        follow->type->end(follow);
    }
    body = follow->text;
    follow->text = (struct text){0};
    release(follow);
    if (body.failed) {
        text_free(&body);
        answer_problem(request, no_memory());
    } else {
        answer_json(request, 200, &body);
    }
}

static void finish(struct follow *follow)
{
    (follow->stream ? finish_stream : finish_page)(follow);
}

/* A stream can only break off: the client sees that and comes back with its cursor. */
static void fail(struct follow *follow, struct problem *problem)
{
    struct stream *stream = follow->stream;
    struct request *request = follow->request;
    release(follow);
    if (stream) {
        problem_free(problem);
        stream_abort(stream);
    } else {
        answer_problem(request, problem);
    }
}

struct problem *problem_of_reading(const struct db_error *error)
{
    bool no_memory = error->code == SQLITE_NOMEM || error->code == SQLITE_IOERR_NOMEM;
    return no_memory ? problem_make(PROBLEM_OUT_OF_MEMORY, "no memory to read the database")
                     : problem_make(PROBLEM_INTERNAL, "the database cannot be read: %s", error->text);
}

static void fail_to_read(struct follow *follow)
{
    service_log(&follow->app->service, LEVEL_ERROR, NULL, "the database cannot be read: %s",
                follow->error.text);
    fail(follow, problem_of_reading(&follow->error));
}

static void stream_gone(void *context)
{
    release(context);
}

/* Asked when the daemon ends: what has ended is still told whole. `last` stays what it was: it
   belongs to the read that may be under way. */
static bool stream_ends(void *context)
{
    struct follow *follow = context;
    bool last = follow->last;
    bool ends = !follow->live || !follow->type->source(follow) || follow->last;
    follow->last = last;
    return ends;
}

static void request_gone(struct request *request, void *context)
{
    (void)request;
    release(context);
}

/* ---- reading ---- */

bool follow_full(const struct follow *follow)
{
    size_t most = follow->form == STREAM_FORM_JSON ? FOLLOW_PAGE_BYTES : FOLLOW_PIECE_BYTES;
    return follow->text.bytes >= most || follow->text.failed;
}

static void run_read(struct read_job *job, struct db *reader)
{
    struct follow *follow = of_job(job);
    if (!job->cancelled) {
        follow->failed = !follow->type->read(follow, reader, &follow->error);
    }
}

static void read_done(struct read_job *job)
{
    follow_ready(of_job(job));
}

static void look_again(struct deferred *deferred)
{
    struct follow *follow = (struct follow *)((char *)deferred - offsetof(struct follow, again));
    if (!follow->stream && !follow->request) {
        release(follow);
    } else {
        next(follow);
    }
}

/* Looking is put off to the end of the turn: many commits of one turn are one look, and who is
   woken by a deletion looks when the record is out of the table. */
static void wake(struct waiter *waiter, bool woken)
{
    struct follow *follow = (struct follow *)((char *)waiter - offsetof(struct follow, waiter));
    follow->woken |= woken;
    follow->expired |= !woken;
    if (!follow->busy && follow->written == follow->text.bytes) {
        follow->again.run = look_again;
        loop_defer(follow->app->service.loop, &follow->again);
    }
}

/* False: it has failed and ended. */
static bool wait_in(struct follow *follow, struct wait_list *source)
{
    if (!follow->live || follow->last || follow->waiter.list || follow->expired ||
        waiter_park(follow->app->service.loop, source, &follow->waiter, follow->deadline_us,
                    wake)) {
        return true;
    }
    fail(follow, no_memory());
    return false;
}

static void source_gone(struct follow *follow)
{
    if (follow->stream) {
        finish(follow);
    } else {
        fail(follow, problem_make(PROBLEM_NOT_FOUND, "what was asked for was deleted meanwhile"));
    }
}

/* Waiting takes no memory for a piece. */
static void rest(struct follow *follow)
{
    if (follow->stream) {
        text_free(&follow->text);
        follow->written = 0;
    }
}

/* One look behind the cursor. Nothing is under way, and the client has all that was read. */
static void look(struct follow *follow, bool idle)
{
    struct wait_list *source = follow->type->source(follow);
    if (!source) {
        source_gone(follow);
        return;
    }
    if (!wait_in(follow, source)) {
        return;
    }
    follow->woken = false;
    if (idle && follow->type->news && !follow->type->news(follow)) {
        rest(follow);
        return;
    }
    if (follow->stream) {
        text_clear(&follow->text);
        follow->written = 0;
    }
    follow->busy = true;
    follow->job.run = run_read;
    follow->job.done = read_done;
    readers_submit(follow->app->service.readers, &follow->job);
}

/* ---- what comes next ---- */

static bool is_over(const struct follow *follow)
{
    bool page_has_items = follow->request && follow->items > 0;
    return follow->complete ||
           (!follow->more &&
            (!follow->live || follow->last || follow->expired || page_has_items));
}

/* A page is not "taken" before its end; so `written` follows it, and wake sees nothing pending. */
static void next(struct follow *follow)
{
    if (follow->request) {
        follow->written = follow->text.bytes;
    }
    if (is_over(follow)) {
        finish(follow);
    } else if (follow->more || follow->woken) {
        look(follow, !follow->more);
    } else {
        rest(follow);
    }
}

/* Gives the stream what it has room for; when it has all, goes on. */
static void pump(struct follow *follow)
{
    struct text *text = &follow->text;
    while (follow->written < text->bytes) {
        size_t left = text->bytes - follow->written, room = stream_room(follow->stream);
        if (room == 0) {
            return;
        }
        size_t bytes = left < room ? left : room;
        stream_write(follow->stream, text->data + follow->written, bytes);
        follow->written += bytes;
    }
    next(follow);
}

static void stream_has_room(void *context)
{
    struct follow *follow = context;
    if (!follow->busy && follow->written < follow->text.bytes) {
        pump(follow);
    }
}

void follow_ready(struct follow *follow)
{
    follow->busy = false;
    if (!follow->stream && !follow->request) {
        release(follow);
    } else if (follow->text.failed) {
        fail(follow, no_memory());
    } else if (follow->failed) {
        fail_to_read(follow);
    } else if (follow->stream) {
        pump(follow);
    } else {
        next(follow);
    }
}

/* ---- the beginning ---- */

bool follow_open(struct follow *follow, struct request *request, const char *content_type)
{
    if (follow->form == STREAM_FORM_JSON) {
        follow->request = request;
        text_put(&follow->text, "{\"items\":[");
        http_park(request, (struct park){request_gone, follow});
        return true;
    }
    struct stream *stream =
        stream_open(request, follow->form, content_type,
                    (struct stream_events){stream_has_room, stream_gone, stream_ends, follow});
    if (stream && request_method(request) == METHOD_HEAD) {
        stream_end(stream);
        stream = NULL;
    }
    follow->stream = stream;
    if (!stream) {
        release(follow);
    }
    return stream;
}

void follow_start(struct follow *follow)
{
    if (follow->complete) {
        finish(follow);
    } else {
        look(follow, false);
    }
}

void follow_hold(struct follow *follow)
{
    follow->busy = true;
}
