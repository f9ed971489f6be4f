/*
 * `forkful run`: a program of the daemon's, in the foreground of this terminal or script.
 *
 * One thread, one poll loop over some calls (api/client.h), our own three streams and a signalfd.
 * Everything that is asked of the daemon is one row of a table of calls (run_calls.c), and a call
 * that breaks is asked again: the start has an Idempotency-Key, output goes on at the byte it has
 * come to, join can be repeated, so a killed server changes nothing of what is seen.
 *
 * run_options.c reads the command line, run_streams.c moves bytes, run_calls.c speaks to the daemon,
 * run.c holds it together.
 */
#ifndef FORKFUL_API_RUN_H
#define FORKFUL_API_RUN_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "api/client_target.h"
#include "service/text.h"

enum {
    RUN_USAGE = 2,
    RUN_UNREACHABLE = 3,
    RUN_REFUSED = 125,                /* by the daemon, or it failed */
    RUN_NOT_EXECUTABLE = 126,
    RUN_NOT_FOUND = 127
};

/* ---- the command line ---- */

struct run_options {
    struct client_place place;
    json_t *spec;                     /* the body of POST /v1/processes; owned */
    bool help, detach, feed;          /* feed: our standard input is the program's */
};

/* False: a refusal. What was made is freed by run_options_free either way. */
bool run_options_take(struct run_options *options, int argc, char **argv, struct refusal *refusal);
void run_options_free(struct run_options *options);
void run_options_usage(FILE *out);

/* ---- what is under way ---- */

enum run_call_number { RUN_START, RUN_JOIN, RUN_STDOUT, RUN_STDERR, RUN_FEED, RUN_ORDER,
                       RUN_CALLS };

struct run_call {
    enum { CALL_IDLE, CALL_DUE, CALL_OPEN } state;
    struct client_call client;
    struct text body;                 /* of an answer that is not a stream */
    int64_t due_us;                   /* CALL_DUE: not before */
    int64_t opened_us;                /* CALL_OPEN: since then */
    int64_t broken_us;                /* since when it is in vain; 0: it is not */
    uint64_t bytes;                   /* of the body, in this attempt */
};

/* One of the program's two streams on its way to ours. */
struct run_output {
    int fd;
    const char *data;                 /* what is not yet written, in the call's buffer */
    size_t left;
    uint64_t received;                /* bytes from the beginning, which is where to go on */
    uint64_t total;                   /* when the program has ended: what it wrote */
    bool ended, broken;               /* nothing more comes; nobody reads it */
};

#define RUN_INPUT_BYTES 65536

struct run_input {
    bool open, eof;                   /* the program may get more; ours has ended */
    bool full;                        /* its pipe had no room */
    size_t at, end;                   /* what is not yet taken of `data` */
    char data[RUN_INPUT_BYTES];
};

struct run_order {
    const char *call;                 /* "signal", "stop" */
    char body[64];
};

#define RUN_ORDERS 16

struct run {
    struct client client;
    const struct run_options *options;
    struct run_call calls[RUN_CALLS];
    struct run_output outputs[2];     /* stdout, stderr */
    struct run_input input;
    struct run_order orders[RUN_ORDERS];
    unsigned order_count, interrupts; /* interrupts: SIGINTs so far */
    int signal_fd;
    char id[40];                      /* "": not started yet */
    char *spec;                       /* the body; owned */
    char key[48];                     /* its Idempotency-Key */
    bool tried;                       /* the daemon has had the request */
    bool ended;                       /* the program has */
    bool held;                        /* it left somebody behind who may write to them */
    bool over;                        /* so is all */
    int status;                       /* then: our exit status */
};

/* "forkful run: …" on standard error, and the end. */
void run_fail(struct run *run, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- run_calls.c ---- */

void run_call_due(struct run *run, enum run_call_number number);
/* Sends those that are due; the time of the next one, INT64_MAX: none. */
int64_t run_calls_send(struct run *run);
/* Takes what has come, up to a piece that our own streams must have first. */
void run_call_pump(struct run *run, enum run_call_number number);

/* ---- run_streams.c ---- */

/* POLLOUT or POLLIN was told. */
void run_output_write(struct run *run, enum run_call_number number);
void run_input_read(struct run *run);
/* For the output's table rows. */
void run_output_take(struct run *run, enum run_call_number number,
                     const struct client_piece *piece);
void run_output_ended(struct run *run, enum run_call_number number);
/* The program has ended: all of its output is written. What is missing is said. */
bool run_outputs_done(struct run *run);
struct run_output *run_output_of(struct run *run, enum run_call_number number);

/* ---- run.c ---- */

/* The command: gets what follows the word `run`, returns the exit status. */
int run_command(int argc, char **argv);

/* Has a signal sent, or the program stopped, as soon as there is one. */
void run_order(struct run *run, const char *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
