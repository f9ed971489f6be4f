/*
 * The smallest HTTP/1.1 client that can load a server: keep-alive, one request outstanding per
 * connection, answers with a Content-Length that fit one fixed buffer.
 *
 * Sockets block. A caller that has many of them reads one only when epoll says so; each
 * http_receive is a single recv, so it never waits for more than what woke it. What a benchmark
 * cannot go on without (a connection, a complete send) ends the program with a message.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stddef.h>
#include <stdint.h>

enum { HTTP_BUFFER_BYTES = 16384, HTTP_REQUEST_BYTES = 2048 };

enum http_progress {
    HTTP_PARTIAL,  /* more bytes of this answer are to come */
    HTTP_COMPLETE, /* status, body and body_bytes are valid until the next http_send */
    HTTP_BROKEN,   /* closed, unreadable, chunked, or larger than the buffer */
};

struct http {
    int fd;
    int status;          /* of the answer; 0 until its header is complete */
    size_t received;     /* bytes in buffer; a NUL always follows them */
    size_t header_bytes; /* up to and with the blank line; 0 until that has come */
    size_t body_bytes;   /* Content-Length */
    char *body;          /* points into buffer */
    char buffer[HTTP_BUFFER_BYTES];
};

/* Whom to ask. The token goes into every request; "" sends none. */
struct http_target {
    uint16_t port; /* on 127.0.0.1 */
    const char *token;
};

/* Writes the message and errno's text to stderr and exits 1. */
_Noreturn void die(const char *what);

/* A decimal argument from 1 to `max`, or exit 2. */
unsigned long number_argument(const char *text, unsigned long max);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* Connects to target, with a receive time-out of 60 s. */
void http_open(struct http *http, const struct http_target *target);

/* Writes a whole request into out (HTTP_REQUEST_BYTES) and returns its length. body may be NULL. */
size_t http_format(char *out, const struct http_target *target, const char *method,
                   const char *path, const char *body);

/* Sends one request and forgets the answer before it. */
void http_send(struct http *http, const char *request, size_t bytes);

/* One recv. */
enum http_progress http_receive(struct http *http);

/* Waits until the answer is complete or broken; true when it is complete. */
int http_finish(struct http *http);

/*
 * The first character of the value of "key" in a JSON text, or NULL. It looks for the first such
 * key at any depth, which is enough for the fields of a process record: they come first.
 */
const char *json_value(const char *json, const char *key);

#endif
