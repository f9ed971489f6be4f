/*
 * The request object: its memory, and what a handler reads from it.
 *
 * Requests are recycled through a short list, so that an ordinary one costs no malloc: its strings
 * live in an arena inside it. What a client makes large goes into chunks of its own. Only what is
 * before the arena is cleared.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/http_internal.h"
#include "api/idempotency.h"

static void *arena_take(struct request *request, size_t bytes)
{
    size_t padded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

    if (padded < bytes) {
        return NULL;
    }
    if (padded <= REQUEST_ARENA - request->arena_used) {
        void *place = request->arena + request->arena_used;
        request->arena_used += padded;
        return place;
    }
    if (padded > SIZE_MAX - sizeof(struct arena_chunk)) {
        return NULL;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + padded);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = request->chunks;
    request->chunks = chunk;
    return chunk->data;
}

void *request_alloc(struct request *request, size_t bytes)
{
    void *place = arena_take(request, bytes);

    return place != NULL ? memset(place, 0, bytes) : NULL;
}

static struct request *request_blank(struct http *http)
{
    struct request *request = http->free_requests;

    if (request == NULL) {
        request = malloc(sizeof *request);
    } else {
        http->free_requests = request->next_free, http->free_count--;
    }
    if (request != NULL) {
        memset(request, 0, offsetof(struct request, arena));
    }
    return request;
}

struct request *request_new(struct peer *peer, struct MHD_Connection *connection,
                            const char *target)
{
    size_t bytes = strlen(target);
    struct request *request = request_blank(peer->port->http);

    if (request == NULL) {
        return NULL;
    }
    request->peer = peer;
    request->http = peer->port->http;
    request->connection = connection;
    request->last_header_out = &request->headers_out;
    request->last_sent_hook = &request->sent_hooks;
    request->target_bytes = bytes;
    request->path_bytes = strcspn(target, "?");
    request->target = arena_take(request, bytes + 1);
    if (request->target == NULL) {
        request_free(request);
        return NULL;
    }
    memcpy(request->target, target, bytes + 1);
    peer->request = request;
    return request;
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void request_free(struct request *request)
{
    struct http *http = request->http;

    if (request->peer->request == request) {
        request->peer->request = NULL;
    }
    if (request->response != NULL && request->response != http->no_memory) {
        MHD_destroy_response(request->response);
    }
    json_decref(request->json);
    problem_free(request->faults);
    free(request->body);
    chunks_free(request->chunks);
    if (http->free_count >= FREE_REQUESTS) {
        free(request);
        return;
    }
    request->next_free = http->free_requests;
    http->free_requests = request;
    http->free_count++;
}

void requests_free_spare(struct http *http)
{
    while (http->free_requests != NULL) {
        struct request *next = http->free_requests->next_free;
        free(http->free_requests);
        http->free_requests = next;
    }
}

/* ---- what a handler reads ---- */

struct app *request_app(const struct request *request)
{
    return request->http->app;
}

enum method request_method(const struct request *request)
{
    return request->method;
}

const struct principal *request_principal(const struct request *request)
{
    return &request->principal;
}

static bool is_request_id(const char *id)
{
    size_t bytes = strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-");

    return bytes >= 1 && bytes <= 128 && id[bytes] == '\0';
}

const char *request_id_text(const struct request *request)
{
    const char *given = request->head.values[HEADER_X_REQUEST_ID];

    if (given != NULL && is_request_id(given)) {
        return given;
    }
    if (request->id[0] == '\0') {
        /* Made when first asked for; to its reader the request is the same before and after. */
        struct fact_id id = id_make();
        id_format(&id, 'r', ((struct request *)request)->id);
    }
    return request->id;
}

const char *request_segment(const struct request *request, unsigned i, size_t *bytes)
{
    if (bytes != NULL) {
        *bytes = request->segments[i].bytes;
    }
    return request->segments[i].data;
}

const char *request_param(const struct request *request, const char *name)
{
    return query_value(&request->query, name);
}

size_t request_param_all(const struct request *request, const char *name, const char **out,
                         size_t max)
{
    size_t count = 0;

    for (unsigned i = 0; i < request->query.count && count < max; i++) {
        if (strcmp(request->query.pairs[i].name, name) == 0) {
            out[count++] = request->query.pairs[i].value;
        }
    }
    return count;
}

bool request_param_unsigned(const struct request *request, const char *name, uint64_t *out)
{
    const char *value = request_param(request, name);

    return value != NULL && query_unsigned(value, out);
}

bool request_param_bool(const struct request *request, const char *name)
{
    const char *value = request_param(request, name);
    bool is_true;

    return value != NULL && query_bool(value, &is_true) && is_true;
}

bool request_param_time(const struct request *request, const char *name, int64_t *at_us)
{
    const char *value = request_param(request, name);

    return value != NULL && time_parse(value, at_us);
}

bool request_param_seconds(const struct request *request, const char *name, int64_t *out_us)
{
    const char *value = request_param(request, name);

    return value != NULL && query_seconds(value, out_us);
}

struct problem *request_take_faults(struct request *request)
{
    struct problem *faults = request->faults;

    request->faults = NULL;
    return faults;
}

int64_t request_deadline(const struct request *request, int64_t standard_us)
{
    int64_t wait_us = standard_us;

    request_param_seconds(request, "wait", &wait_us);
    return time_monotonic_us() + (wait_us > WAIT_MOST_US ? WAIT_MOST_US : wait_us);
}

const char *request_header(const struct request *request, const char *name)
{
    enum header known = header_find(name, strlen(name));

    if (known != HEADER_COUNT) {
        return request->head.values[known];
    }
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct lines {
    const char *name;
    const char **out;
    size_t count, max;
};

static mhd_result take_line(void *context, enum MHD_ValueKind kind, const char *name,
                            const char *value)
{
    struct lines *lines = context;

    (void)kind;
    if (lines->count < lines->max && strcasecmp(name, lines->name) == 0) {
        lines->out[lines->count++] = value != NULL ? value : "";
    }
    return MHD_YES;
}

size_t request_header_all(const struct request *request, const char *name, const char **out,
                          size_t max)
{
    struct lines lines = {name, out, 0, max};

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, take_line, &lines);
    return lines.count;
}

const char *request_route_path(const struct request *request)
{
    return request->route->path;
}

const char *request_target(const struct request *request)
{
    return request->target;
}

bool request_sends_bytes(const struct request *request)
{
    static const char bytes[] = "application/octet-stream";
    const char *type = request->head.values[HEADER_CONTENT_TYPE];

    return request->route->body == BODY_JSON_OR_BYTES && type != NULL &&
           strncasecmp(type, bytes, sizeof bytes - 1) == 0 &&
           strchr("; \t", type[sizeof bytes - 1]) != NULL;
}

json_t *request_json(const struct request *request)
{
    return request->json;
}

const char *request_body(const struct request *request, size_t *bytes)
{
    *bytes = request->body_bytes;
    return request->body != NULL ? request->body : "";
}

/* ---- for idempotency ---- */

void request_set_idempotent(struct request *request, void *state)
{
    request->idempotent = state;
}

void *request_idempotent(const struct request *request)
{
    return request->idempotent;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_add(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001B3u;
    }
    return hash;
}

uint64_t request_hash(const struct request *request)
{
    unsigned char method = (unsigned char)request->method;
    uint64_t hash = hash_add(0xCBF29CE484222325u, &method, 1);

    hash = hash_add(hash, request->target, request->target_bytes + 1);
    return hash_add(hash, request->body, request->body_bytes);
}
