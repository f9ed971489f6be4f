/*
 * What `forkful run` asks of the daemon: one row per call, with how it is asked and what its answer
 * means. A call that breaks, or that the daemon puts off (5xx), is asked again.
 *
 * Nothing happens twice but a signal. The start has an Idempotency-Key; output and join only read.
 * Input has no key, on purpose: with one the answer would wait for a commit, and be unknown for that
 * long when the server is killed. Written without waiting, or atomically (PIPE_BUF), it is answered
 * in the same moment in which it was written. A signal whose answer did not come is sent again: no
 * key can tell whether it arrived, and an interrupt that is lost is worse than one that comes twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/run.h"

#define RETRY_US 50000
#define STEADY_US 1000000             /* a connection that lived so long was no vain try */
#define PATIENCE_US (15 * 1000000)
#define BODY_BYTES_MAX (1u << 20)
#define JSON_FIELD "Content-Type: application/json\r\n"

struct row {
    const char *method;
    void (*ask)(struct run *run, struct text *path, struct client_request *request);
    /* The answer's body is taken as it comes; NULL: gathered. */
    void (*piece)(struct run *run, enum run_call_number number, const struct client_piece *piece);
    void (*answered)(struct run *run, int status, const json_t *answer);
    void (*ended)(struct run *run, enum run_call_number number); /* with `piece` */
};

static void put_off(struct run_call *call, int64_t us)
{
    call->state = CALL_DUE;
    call->due_us = time_monotonic_us() + us;
}

void run_call_due(struct run *run, enum run_call_number number)
{
    if (run->calls[number].state == CALL_IDLE) {
        put_off(&run->calls[number], 0);
    }
}

static const char *member(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static void put_process(const struct run *run, struct text *path, const char *rest)
{
    text_printf(path, "/v1/processes/%s%s", run->id, rest);
}

static void refused(struct run *run, int status, const json_t *problem)
{
    const char *detail = member(problem, "detail");
    run_fail(run, RUN_REFUSED, "the daemon refuses (%d): %s", status,
             *detail ? detail : "it does not say why");
}

/* ---- start ---- */

static void ask_start(struct run *run, struct text *path, struct client_request *request)
{
    static char fields[128];
    text_put(path, "/v1/processes");
    snprintf(fields, sizeof fields, JSON_FIELD "Idempotency-Key: %s\r\n", run->key);
    request->fields = fields;
    request->body = run->spec;
    request->bytes = strlen(run->spec);
}

/* As a shell tells them apart. */
static void not_executed(struct run *run, const json_t *problem)
{
    bool in_exec = strcmp(member(problem, "stage"), "exec") == 0;
    bool missing = strcmp(member(problem, "errno"), "ENOENT") == 0;
    run_fail(run, !in_exec ? RUN_REFUSED : missing ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE,
             "%s: %s",
             json_string_value(json_array_get(json_object_get(run->options->spec, "argv"), 0)),
             member(problem, "detail"));
}

static void begin(struct run *run, const char *id)
{
    snprintf(run->id, sizeof run->id, "%s", id);
    if (run->options->detach) {
        run->over = true;
        return;
    }
    run->input.open = run->options->feed;
    run_call_due(run, RUN_JOIN);
    run_call_due(run, RUN_STDOUT);
    run_call_due(run, RUN_STDERR);
    if (run->order_count) {
        run_call_due(run, RUN_ORDER);
    }
}

static void started(struct run *run, int status, const json_t *answer)
{
    const char *code = member(answer, "code");
    if (status == 201 && *member(answer, "id")) {
        begin(run, member(answer, "id"));
    } else if (strcmp(code, "idempotency_in_progress") == 0) {
        put_off(&run->calls[RUN_START], RETRY_US);
    } else if (strcmp(code, "spawn_failed") == 0) {
        not_executed(run, answer);
    } else {
        refused(run, status, answer);
    }
}

/* ---- join ---- */

static void ask_join(struct run *run, struct text *path, struct client_request *request)
{
    (void)request;
    put_process(run, path, "/join?wait=60");
}

static uint64_t count(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void joined(struct run *run, int status, const json_t *process)
{
    const json_t *code = json_object_get(json_object_get(process, "exit"), "shell_code");
    const json_t *output = json_object_get(process, "output");
    if (status != 200) {
        refused(run, status, process);
    } else if (json_is_true(json_object_get(process, "alive"))) {
        run_call_due(run, RUN_JOIN);
    } else {
        run->ended = true;
        run->input.open = false;
        run->status = json_is_integer(code) ? (int)json_integer_value(code) : RUN_REFUSED;
        run->outputs[0].total = count(output, "stdout_bytes");
        run->outputs[1].total = count(output, "stderr_bytes");
        run->held = json_is_true(json_object_get(output, "open"));
        if (!json_is_integer(code)) {
            dprintf(STDERR_FILENO, "forkful run: the end of process %s was not seen\n", run->id);
        }
    }
}

/* ---- output ---- */

static void ask_output(struct run *run, struct text *path, struct client_request *request,
                       enum run_call_number number, const char *name)
{
    const struct run_output *output = run_output_of(run, number);
    put_process(run, path, "/logs?follow=true");
    text_printf(path, "&stream=%s&offset=%" PRIu64, name, output->received);
    request->fields = "Accept: application/octet-stream\r\n";
}

static void ask_stdout(struct run *run, struct text *path, struct client_request *request)
{
    ask_output(run, path, request, RUN_STDOUT, "stdout");
}

static void ask_stderr(struct run *run, struct text *path, struct client_request *request)
{
    ask_output(run, path, request, RUN_STDERR, "stderr");
}

/* ---- input ---- */

static void ask_feed(struct run *run, struct text *path, struct client_request *request)
{
    const struct run_input *input = &run->input;
    size_t left = input->end - input->at;
    put_process(run, path, "/stdin");
    text_put(path, input->eof ? "?eof=true" : input->full ? "?wait=20" : "");
    request->fields = "Content-Type: application/octet-stream\r\n";
    request->body = input->data + input->at;
    request->bytes = input->full && left > PIPE_BUF ? PIPE_BUF : left;
}

/* It was sent, and the answer never came. What waited for room was not written, but for the moment
   in which there was some. */
static void warn_of_input(const struct run_input *input)
{
    if (!input->full && input->at < input->end) {
        dprintf(STDERR_FILENO, "forkful run: the daemon's server ended while it took input: %zu "
                "bytes may have arrived twice\n", input->end - input->at);
    }
}

static void fed(struct run *run, int status, const json_t *answer)
{
    struct run_input *input = &run->input;
    size_t asked = input->end - input->at, taken = (size_t)count(answer, "taken_bytes");
    asked = input->full && asked > PIPE_BUF ? PIPE_BUF : asked;
    if (status == 202 && taken <= asked) {
        input->full = taken < asked;
        input->at += taken;
        input->open = input->open && !json_is_true(json_object_get(answer, "eof"));
    } else if (status == 409) {
        input->open = false;          /* it has closed its input, or ended */
    } else {
        refused(run, status, answer);
    }
    if (input->open && input->at < input->end) {
        run_call_due(run, RUN_FEED);
    }
}

/* ---- signals and stop ---- */

static void ask_order(struct run *run, struct text *path, struct client_request *request)
{
    put_process(run, path, "/");
    text_put(path, run->orders[0].call);
    request->fields = JSON_FIELD;
    request->body = run->orders[0].body;
    request->bytes = strlen(run->orders[0].body);
}

static void ordered(struct run *run, int status, const json_t *answer)
{
    if (status != 202 && status != 409) {
        dprintf(STDERR_FILENO, "forkful run: %s: the daemon refuses (%d): %s\n",
                run->orders[0].call, status, member(answer, "detail"));
    }
    run->order_count--;
    memmove(run->orders, run->orders + 1, run->order_count * sizeof run->orders[0]);
    if (run->order_count) {
        run_call_due(run, RUN_ORDER);
    }
}

/* ---- the table and what is the same for all ---- */

#define OUTPUT(ask) {"GET", ask, run_output_take, refused, run_output_ended}

static const struct row rows[RUN_CALLS] = {
    [RUN_START] = {.method = "POST", .ask = ask_start, .answered = started},
    [RUN_JOIN] = {.method = "GET", .ask = ask_join, .answered = joined},
    [RUN_STDOUT] = OUTPUT(ask_stdout),
    [RUN_STDERR] = OUTPUT(ask_stderr),
    [RUN_FEED] = {.method = "POST", .ask = ask_feed, .answered = fed},
    [RUN_ORDER] = {.method = "POST", .ask = ask_order, .answered = ordered},
};

static bool in_vain(struct run_call *call)
{
    int64_t now_us = time_monotonic_us();
    if (call->bytes || now_us - call->opened_us > STEADY_US) {
        call->broken_us = 0;
    }
    bool first = !call->broken_us;
    call->broken_us = first ? now_us : call->broken_us;
    put_off(call, first ? 0 : RETRY_US);
    return now_us - call->broken_us > PATIENCE_US;
}

static void broke(struct run *run, enum run_call_number number, int error)
{
    struct run_call *call = &run->calls[number];
    if (number == RUN_FEED && call->state == CALL_OPEN) {
        warn_of_input(&run->input);
    }
    client_close(&call->client);
    if (number == RUN_START && !run->tried) {
        run_fail(run, RUN_UNREACHABLE, "no daemon answers at %s: %s", run->client.place,
                 strerror(error));
    } else if (in_vain(call)) {
        run_fail(run, RUN_UNREACHABLE, "the daemon at %s answers no more%s%s", run->client.place,
                 *run->id ? "; it had started process " : "", run->id);
    }
}

static void send_call(struct run *run, enum run_call_number number)
{
    struct run_call *call = &run->calls[number];
    struct client_request request = {.method = rows[number].method};
    struct text path = {0};
    rows[number].ask(run, &path, &request);
    request.path = path.data;
    call->bytes = 0;
    text_clear(&call->body);
    call->opened_us = time_monotonic_us();
    int error = path.failed ? -ENOMEM : client_send(&run->client, &call->client, &request);
    text_free(&path);
    if (error) {
        broke(run, number, -error);
        return;
    }
    call->state = CALL_OPEN;
    run->tried = true;
}

int64_t run_calls_send(struct run *run)
{
    int64_t next_us = INT64_MAX, now_us = time_monotonic_us();
    for (unsigned i = 0; i < RUN_CALLS && !run->over; i++) {
        struct run_call *call = &run->calls[i];
        if (call->state == CALL_DUE && call->due_us <= now_us) {
            send_call(run, (enum run_call_number)i);
        }
        if (call->state == CALL_DUE && call->due_us < next_us) {
            next_us = call->due_us;
        }
    }
    return next_us;
}

static void take_piece(struct run *run, enum run_call_number number,
                       const struct client_piece *piece)
{
    struct run_call *call = &run->calls[number];
    call->bytes += piece->bytes;
    if (rows[number].piece && call->client.status == 200) {
        rows[number].piece(run, number, piece);
    } else if (call->body.bytes + piece->bytes <= BODY_BYTES_MAX) {
        text_add(&call->body, piece->data, piece->bytes);
    }
}

/* Only a start is told at once that the daemon has no room for it. */
static void take_answer(struct run *run, enum run_call_number number)
{
    struct run_call *call = &run->calls[number];
    int status = call->client.status;
    call->state = CALL_IDLE;
    if (rows[number].ended && status == 200) {
        rows[number].ended(run, number);
    } else if (status >= 500 && number != RUN_START) {
        call->bytes = 0;
        broke(run, number, EBUSY);
    } else {
        json_t *answer = json_loadb(call->body.data ? call->body.data : "", call->body.bytes, 0,
                                    NULL);
        call->broken_us = 0;
        rows[number].answered(run, status, answer);
        json_decref(answer);
    }
}

void run_call_pump(struct run *run, enum run_call_number number)
{
    struct run_call *call = &run->calls[number];
    const struct run_output *output = run_output_of(run, number);
    while (call->state == CALL_OPEN && !(output && output->left)) {
        struct client_piece piece;
        enum client_news news = client_next(&call->client, &piece);
        if (news == CLIENT_WAIT) {
            return;
        }
        if (news == CLIENT_PIECE) {
            take_piece(run, number, &piece);
        } else if (news == CLIENT_END) {
            take_answer(run, number);
        } else {
            broke(run, number, ECONNRESET);
        }
    }
}
