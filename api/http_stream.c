/*
 * Streams: chunked answers fed by their owner, pulled by MHD.
 *
 * MHD's content reader takes from the buffer when the socket has room; when the buffer is empty it
 * suspends the connection, and the next write resumes it. All open streams stand in one list, for
 * the end of the server; those whose owner wants to hear of room are marked, and told at the end of
 * the turn, so that no owner's code runs inside the library.
 *
 * `gone` is told once, and never after stream_end. The struct lives until MHD has completed the
 * request.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/http_internal.h"
#include "api/stream.h"

enum { KEEP_BYTES = 4096, BLOCK_BYTES = 16384 };

struct stream {
    struct request *request;
    struct stream_events events;
    struct stream *previous, *next; /* of http->streams */
    struct text buffer;
    size_t sent; /* bytes at the buffer's start that MHD has taken */
    enum stream_form form;
    bool suspended;            /* in MHD, for want of bytes */
    bool owned;                /* the owner may still touch it */
    bool wants_room, has_room; /* he asked; there is */
    bool aborted;              /* the owner gave up: what waits is sent, the end is not */
    bool broken;               /* close instead of finishing */
};

static size_t pending(const struct stream *stream)
{
    return stream->buffer.bytes - stream->sent;
}

static void list_add(struct http *http, struct stream *stream)
{
    stream->next = http->streams;
    if (http->streams != NULL) {
        http->streams->previous = stream;
    }
    http->streams = stream;
}

static void list_take(struct http *http, struct stream *stream)
{
    *(stream->previous != NULL ? &stream->previous->next : &http->streams) = stream->next;
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
}

static void wake(struct stream *stream)
{
    if (!stream->suspended) {
        return;
    }
    stream->suspended = false;
    MHD_resume_connection(stream->request->connection);
    port_wake(stream->request->peer->port);
}

/* The owner lets go, told or by his own wish. */
static void disown(struct stream *stream, bool tell)
{
    if (!stream->owned) {
        return;
    }
    stream->owned = false;
    if (tell && stream->events.gone != NULL) {
        stream->events.gone(stream->events.context);
    }
}

/* ---- MHD's side ---- */

/* Room enough to be worth telling: a quarter is left, or all has been taken. */
static void notice_room(struct stream *stream)
{
    struct http *http = stream->request->http;

    if (!stream->wants_room || pending(stream) > STREAM_BYTES / 4) {
        return;
    }
    stream->wants_room = false;
    stream->has_room = true;
    loop_defer(http->loop, &http->tell_rooms);
}

static void forget_sent(struct stream *stream)
{
    if (pending(stream) > 0) {
        return;
    }
    stream->sent = 0;
    if (stream->buffer.capacity > KEEP_BYTES) {
        text_free(&stream->buffer);
    } else {
        text_clear(&stream->buffer);
    }
}

static ssize_t take(void *context, uint64_t position, char *out, size_t max)
{
    struct stream *stream = context;
    size_t bytes = pending(stream) < max ? pending(stream) : max;

    (void)position;
    if (stream->broken) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (bytes == 0 && !stream->owned) {
        stream->broken = stream->aborted;
        return stream->aborted ? MHD_CONTENT_READER_END_WITH_ERROR
                               : MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (bytes == 0) {
        MHD_suspend_connection(stream->request->connection);
        stream->suspended = true;
        return 0;
    }
    memcpy(out, stream->buffer.data + stream->sent, bytes);
    stream->sent += bytes;
    forget_sent(stream);
    notice_room(stream);
    return (ssize_t)bytes;
}

void stream_gone(struct stream *stream)
{
    stream->broken = true;
    disown(stream, true);
    shutdown(stream->request->peer->fd, SHUT_RDWR);
    wake(stream);
}

/* A connection that ends by what the content reader says is closed by MHD 0.9.75, but put away only
   at its next event, and none comes. One with a time-out is looked at in each run. */
static void put_away(const struct request *request)
{
    MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
    port_wake(request->peer->port);
}

void stream_completed(struct stream *stream)
{
    struct http *http = stream->request->http;

    disown(stream, true);
    if (stream->broken || stream->request->http_1_0) {
        put_away(stream->request);
    }
    list_take(http, stream);
    stream->request->stream = NULL;
    text_free(&stream->buffer);
    free(stream);
}

/* An owner may end or open streams meanwhile, which frees none: that happens inside MHD only. */
void streams_tell_room(struct deferred *deferred)
{
    struct http *http = (struct http *)((char *)deferred - offsetof(struct http, tell_rooms));
    struct stream *stream = http->streams;

    while (stream != NULL) {
        bool tell = stream->has_room && stream->owned;
        stream->has_room = false;
        if (tell && stream->events.room != NULL) {
            stream->events.room(stream->events.context);
        }
        stream = stream->next;
    }
}

static bool ends_by_itself(const struct stream *stream)
{
    return !stream->owned ||
           (stream->events.ends != NULL && stream->events.ends(stream->events.context));
}

static void break_off(struct stream *stream)
{
    stream->aborted = true;
    disown(stream, true);
    peer_wait(stream->request->peer, DEADLINE_SEND);
    wake(stream);
}

void streams_end(struct http *http)
{
    for (struct stream *stream = http->streams; stream != NULL; stream = stream->next) {
        if (!ends_by_itself(stream)) {
            break_off(stream);
        }
    }
}

void streams_end_of(struct http *http, const struct fact_id *caller)
{
    for (struct stream *stream = http->streams; stream != NULL; stream = stream->next) {
        if (stream->owned && id_equal(&stream->request->principal.id, caller)) {
            break_off(stream);
        }
    }
}

void streams_drop(struct http *http)
{
    for (struct stream *stream = http->streams; stream != NULL; stream = stream->next) {
        stream_gone(stream);
    }
}

enum deadline stream_deadline(const struct stream *stream)
{
    if (!stream->owned) {
        return DEADLINE_SEND;
    }
    return stream->form == STREAM_FORM_SSE ? DEADLINE_PING : DEADLINE_NONE;
}

/* A comment when nothing waits to be sent: it keeps proxies from closing the connection. */
void stream_ping(struct stream *stream)
{
    if (pending(stream) == 0) {
        stream_write(stream, ":\n\n", 3);
    }
    peer_wait(stream->request->peer, DEADLINE_PING);
}

/* ---- the owner's side ---- */

static struct MHD_Response *stream_response(struct stream *stream)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, take, stream, NULL);
}

struct stream *stream_open(struct request *request, enum stream_form form, const char *content_type,
                           struct stream_events events)
{
    if (request->peer->hung_up) {
        request->stage = STAGE_GONE; /* seen before the request was: it is not told again */
        return NULL;
    }
    struct stream *stream = calloc(1, sizeof *stream);
    if (request->http->draining || stream == NULL || !peer_watch(request->peer)) {
        free(stream);
        answer_problem(request, request->http->draining
                                    ? park_drained(request->http)
                                    : problem_make(PROBLEM_OUT_OF_MEMORY, "x"));
        return NULL;
    }
    *stream = (struct stream){.request = request, .events = events, .form = form, .owned = true};
    if (form == STREAM_FORM_SSE) {
        answer_header(request, "X-Accel-Buffering", "no");
        stream_write(stream, "retry: 2000\n\n", 13);
    }
    struct MHD_Response *response = stream->buffer.failed ? NULL : stream_response(stream);
    answer_finish(request, MHD_HTTP_OK, content_type, response);
    if (response == NULL || request->response != response) {
        text_free(&stream->buffer);
        free(stream);
        return NULL;
    }
    request->stream = stream;
    list_add(request->http, stream);
    return stream;
}

size_t stream_room(const struct stream *stream)
{
    size_t used = pending(stream);

    /* Whoever sees less than all may wait for more. */
    if (used > 0) {
        ((struct stream *)stream)->wants_room = true;
    }
    return used < STREAM_BYTES ? STREAM_BYTES - used : 0;
}

/* Bytes that MHD has taken are moved over only when they are the larger part. */
static void make_place(struct stream *stream)
{
    size_t left = pending(stream);

    if (stream->sent == 0 || stream->sent < left) {
        return;
    }
    memmove(stream->buffer.data, stream->buffer.data + stream->sent, left);
    stream->buffer.bytes = left;
    stream->sent = 0;
}

void stream_write(struct stream *stream, const void *data, size_t bytes)
{
    struct peer *peer = stream->request->peer;

    if (stream->broken) {
        return;
    }
    make_place(stream);
    text_add(&stream->buffer, data, bytes);
    if (stream->buffer.failed) {
        /* A hole in the stream would go unseen; an end does not. */
        stream->broken = true;
        shutdown(peer->fd, SHUT_RDWR);
    }
    if (peer->waits_for == DEADLINE_PING) {
        peer_wait(peer, DEADLINE_PING);
    }
    wake(stream);
}

void stream_end(struct stream *stream)
{
    disown(stream, false);
    peer_wait(stream->request->peer, DEADLINE_SEND);
    wake(stream);
}

void stream_abort(struct stream *stream)
{
    stream->aborted = true;
    stream_end(stream);
}
