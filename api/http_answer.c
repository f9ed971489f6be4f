/*
 * Answers: an MHD response with the headers every answer has, put where `dispatch` finds it.
 *
 * An answer made inside the handler is queued when the handler returns; one made later resumes the
 * suspended connection, and MHD asks for it in the next MHD_run. Bodies are given away to the
 * library, not copied. When there is no memory for an answer, a 503 made at the start takes its
 * place; but not where something was done: a client that reads 503 would do it again, so the
 * connection is closed, which says neither.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/http_internal.h"
#include "api/idempotency.h"
#include "api/problem_json.h"

struct pair {
    const char *name, *value;
};

/* Nothing of ours is taken for another type, framed, or loaded by pages of others; errors neither. */
static const struct pair all_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"X-Frame-Options", "DENY"},
};

/* What browsers heed in pages. */
static const struct pair page_headers[] = {
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
};

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_pairs(struct MHD_Response *response, const struct pair *pairs, size_t count)
{
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++) {
        ok = add(response, pairs[i].name, pairs[i].value);
    }
    return ok;
}

#define COUNT_OF(pairs) (sizeof(pairs) / sizeof((pairs)[0]))

struct MHD_Response *answer_no_memory(void)
{
    static char body[] =
        "{\"type\":\"/problems/out_of_memory\",\"title\":\"There is no memory for that now\","
        "\"status\":503,\"detail\":\"There was no memory for the answer; nothing was changed.\","
        "\"instance\":\"\",\"code\":\"out_of_memory\",\"request_id\":\"\",\"errors\":[]}";
    static const struct pair headers[] = {
        {"Content-Type", PROBLEM_CONTENT_TYPE},
        {"Cache-Control", "no-store"},
        {"Retry-After", "1"},
    };
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);

    if (response != NULL && add_pairs(response, headers, COUNT_OF(headers)) &&
        add_pairs(response, all_headers, COUNT_OF(all_headers))) {
        return response;
    }
    if (response != NULL) {
        MHD_destroy_response(response);
    }
    return NULL;
}

static bool has_header(const struct request *request, const char *name)
{
    for (const struct header_out *out = request->headers_out; out != NULL; out = out->next) {
        if (strcasecmp(out->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *header_value(const struct request *request, const char *name)
{
    for (const struct header_out *out = request->headers_out; out != NULL; out = out->next) {
        if (strcasecmp(out->name, name) == 0) {
            return out->value;
        }
    }
    return NULL;
}

static bool add_own(const struct request *request, struct MHD_Response *response)
{
    bool ok = true;

    for (const struct header_out *out = request->headers_out; ok && out != NULL; out = out->next) {
        ok = add(response, out->name, out->value);
    }
    return ok;
}

static bool add_all(struct request *request, struct MHD_Response *response,
                    const char *content_type)
{
    bool ok = !request->header_lost && add_own(request, response) &&
              (content_type == NULL || add(response, "Content-Type", content_type)) &&
              add(response, "X-Request-Id", request_id_text(request)) &&
              add_pairs(response, all_headers, COUNT_OF(all_headers));

    if (ok && !has_header(request, "Cache-Control")) {
        ok = add(response, "Cache-Control", "no-store");
    }
    if (ok && request->http->draining) {
        ok = add(response, "Connection", "close");
    }
    return ok;
}

static bool reads(const struct request *request)
{
    return (request->method & (METHOD_GET | METHOD_HEAD)) != 0;
}

void answer_finish(struct request *request, int status, const char *content_type,
                   struct MHD_Response *response)
{
    /* A second answer, or one to a client that has gone. */
    if (request->response != NULL || request->stage == STAGE_GONE) {
        if (response != NULL) {
            MHD_destroy_response(response);
        }
        return;
    }
    audit_answered(request, status);
    if (response != NULL && !add_all(request, response, content_type)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    request->status = response != NULL ? (unsigned)status : MHD_HTTP_SERVICE_UNAVAILABLE;
    request->response = response != NULL ? response : request->http->no_memory;
    request->cut = response == NULL && status < 400 && !reads(request);
    park_leave(request);
    if (request->stage == STAGE_RUNNING || request->stage == STAGE_PARKED) {
        request->stage = STAGE_ANSWERED;
    }
    if (request->held && request->suspended) {
        park_settle(request);
    }
    if (!request->held) {
        request_resume(request);
    }
}

void request_release(struct request *request)
{
    if (!request->held) {
        return;
    }
    park_leave(request);
    request->held = false;
    request->stage = STAGE_ANSWERED;
    request_resume(request);
}

/* The answer is looked at before it is given to the library, which takes the body. NULL: there was no
   memory for it. */
static void tell_idempotency(struct request *request, int status, const char *content_type,
                             const void *body, size_t bytes)
{
    if (request->idempotent != NULL && request->response == NULL) {
        request->held = idempotency_answered(request, status, header_value(request, "Location"),
                                             content_type, body, bytes);
    }
}

void answer_text(struct request *request, int status, const char *content_type, struct text *body)
{
    size_t bytes;
    char *data = text_take(body, &bytes);
    struct MHD_Response *response = NULL;

    tell_idempotency(request, status, content_type, data, bytes);
    if (data != NULL) {
        response = MHD_create_response_from_buffer(bytes, data, MHD_RESPMEM_MUST_FREE);
        if (response == NULL) {
            free(data);
        }
    }
    answer_finish(request, status, content_type, response);
}

void answer_json(struct request *request, int status, struct text *body)
{
    answer_text(request, status, "application/json", body);
}

void answer_empty(struct request *request, int status)
{
    static char nothing[1];

    tell_idempotency(request, status, NULL, nothing, 0);
    answer_finish(request, status, NULL,
                  MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT));
}

/* If-None-Match: a list of tags, or *. Ours are strong and have no quote or comma inside. */
static bool is_known_to_client(const struct request *request, const char *etag)
{
    const char *known = request->head.values[HEADER_IF_NONE_MATCH];

    return known != NULL && etag != NULL &&
           (strcmp(known, "*") == 0 || strstr(known, etag) != NULL);
}

void answer_static(struct request *request, int status, const char *content_type, const void *data,
                   size_t bytes, const char *etag)
{
    for (size_t i = 0; i < COUNT_OF(page_headers); i++) {
        if (!has_header(request, page_headers[i].name)) {
            answer_header(request, page_headers[i].name, page_headers[i].value);
        }
    }
    if (etag != NULL) {
        answer_header(request, "ETag", etag);
    }
    if (!has_header(request, "Cache-Control")) {
        answer_header(request, "Cache-Control", "no-cache");
    }
    if (is_known_to_client(request, etag)) {
        answer_empty(request, MHD_HTTP_NOT_MODIFIED);
        return;
    }
    answer_finish(request, status, content_type,
                  MHD_create_response_from_buffer(bytes, (void *)data, MHD_RESPMEM_PERSISTENT));
}

void answer_problem(struct request *request, struct problem *problem)
{
    struct text body = {0};
    char seconds[16];
    int status = problem_status(problem);

    if (status == MHD_HTTP_UNAUTHORIZED) {
        answer_header(request, "WWW-Authenticate", "Bearer");
    }
    if (problem->retry_after_seconds > 0) {
        snprintf(seconds, sizeof seconds, "%d", problem->retry_after_seconds);
        answer_header(request, "Retry-After", seconds);
    }
    request->code = problem_word(problem->code);
    problem_write(&body, problem, request->target, request->path_bytes, request_id_text(request));
    problem_free(problem);
    answer_text(request, status, PROBLEM_CONTENT_TYPE, &body);
}

/* A value from outside cannot end the line: what is not printable becomes a question mark. */
static char *printable_copy(struct request *request, const char *value)
{
    size_t bytes = strlen(value);
    char *copy = request_alloc(request, bytes + 1);

    for (size_t i = 0; copy != NULL && i < bytes; i++) {
        copy[i] = (char)(value[i] >= ' ' && value[i] < 0x7F ? value[i] : '?');
    }
    return copy;
}

void answer_header(struct request *request, const char *name, const char *value)
{
    struct header_out *out = request_alloc(request, sizeof *out);
    char *copy = printable_copy(request, value);

    if (out == NULL || copy == NULL || *copy == '\0') {
        request->header_lost = request->header_lost || out == NULL || copy == NULL;
        return;
    }
    out->name = name;
    out->value = copy;
    *request->last_header_out = out;
    request->last_header_out = &out->next;
}
