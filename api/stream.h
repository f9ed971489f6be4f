/*
 * Streams: an answer that goes on. NDJSON, SSE or raw bytes, chunked, one bounded buffer each.
 *
 * The owner opens a stream from a handler and pushes bytes as they come; when the client is slow
 * and `stream_room` is 0 it waits for the `room` callback (pull when there is room, so memory stays
 * bounded). Loop thread only. After `gone`, stream_end or stream_abort it must not be touched.
 * NDJSON and raw have no comments: nothing is sent in silence; a dead peer is found by TCP
 * keepalive.
 */
#ifndef FORKFUL_API_STREAM_H
#define FORKFUL_API_STREAM_H

#include "api/http.h"

enum stream_form { STREAM_FORM_JSON, STREAM_FORM_NDJSON, STREAM_FORM_SSE, STREAM_FORM_RAW };

struct stream;
struct stream_events {
    void (*room)(void *context); /* there is room again */
    void (*gone)(void *context); /* the client is gone; the stream is freed after this call */
    /* All that will ever come is there, only not sent yet. NULL: never so. */
    bool (*ends)(void *context);
    void *context;
};

/* Negotiates Accept: `raw_default` for logs, where none or * / * means raw text.
   PROBLEM_NOT_ACCEPTABLE otherwise. */
struct problem *stream_negotiate(const struct request *request, bool raw_default,
                                 enum stream_form *form, const char **content_type);

/* Answers 200 with an open body. SSE: sends `retry: 2000`, and a comment every 15 s of silence.
   NULL: answered 503, or the client has gone already. */
struct stream *stream_open(struct request *request, enum stream_form form, const char *content_type,
                           struct stream_events events);
size_t stream_room(const struct stream *stream); /* bytes it takes now; 64 KiB at most */
/* Takes all, always: keep to the room. */
void stream_write(struct stream *stream, const void *data, size_t bytes);
void stream_end(struct stream *stream); /* sends what waits, then finishes the answer */
/* The same without the finish: the connection is closed in the middle of the body, so that the
   client cannot take what it has for all there is. */
void stream_abort(struct stream *stream);

#endif
