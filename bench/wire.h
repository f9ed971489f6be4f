/*
 * One connection of a load program: a request goes out, an answer comes back, then the next. No
 * pipelining. An answer is a head and a body that fit one fixed buffer; how long they are is told by a
 * framing, so that the same code talks to forkful (http.h) and to its peers (load_brokers.c).
 *
 * Sockets block. A caller that has many of them reads one only when epoll says so; each
 * wire_receive is a single recv, so it never waits for more than what woke it. What a benchmark
 * cannot go on without (a connection, a complete send) ends the program with a message.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { WIRE_BUFFER_BYTES = 65536 };

enum wire_progress {
    WIRE_PARTIAL,  /* more bytes of this answer are to come */
    WIRE_COMPLETE, /* status, body and body_bytes are valid until the next wire_send */
    WIRE_BROKEN,   /* closed, unreadable, not framed, or larger than the buffer */
};

struct wire;

struct framing {
    const char *head_end; /* what a head ends with */
    /* Reads body_bytes (and status, where there is one) out of a complete head. False: not framed. */
    int (*parse)(struct wire *wire, const char *end);
};

struct wire {
    const struct framing *framing;
    int fd;
    int status;        /* of the answer; 0 until its head is complete */
    size_t received;   /* bytes in buffer; a NUL always follows them */
    size_t head_bytes; /* with its end; 0 until that has come */
    size_t body_bytes;
    char *body;        /* points into buffer */
    char *buffer;
};

/* Whom to ask: a TCP port on 127.0.0.1, or the path of a Unix socket. */
struct target {
    const char *address;
    const char *token; /* goes into every HTTP request; "" sends none */
};

/* Writes the message and errno's text to stderr and exits 1. */
_Noreturn void die(const char *what);

/* A decimal argument from 1 to `max`, or exit 2. */
unsigned long number_argument(const char *text, unsigned long max);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* FORKFUL_TOKEN, or "". */
const char *token_of_environment(void);

/* So that many connections can be open; exits when `count` is too many. */
void allow_files(size_t count);

/* Connects, with a receive time-out of 60 s. */
void wire_open(struct wire *wire, const struct target *target, const struct framing *framing);
void wire_close(struct wire *wire);

/* Sends one request and forgets the answer before it. */
void wire_send(struct wire *wire, const char *request, size_t bytes);

/* One recv. */
enum wire_progress wire_receive(struct wire *wire);

/* Waits until the answer is complete or broken; true when it is complete. */
int wire_finish(struct wire *wire);

#endif
