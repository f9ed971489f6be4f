/*
 * Objects of every kind: make, look at, list, delete. A kind brings its table of fields, no more.
 */
#include <stdio.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "api/page.h"

#define FIELDS_MAX 24

static const char *const lifetimes[] = {"permanent", "owner", NULL};

static const struct field *const kind_fields[OBJECT_KINDS] = {
    [OBJECT_QUEUE] = queue_fields,
    [OBJECT_LOCK] = lock_fields,
    [OBJECT_SEMAPHORE] = semaphore_fields,
    [OBJECT_EVENT] = event_fields,
    [OBJECT_VALUE] = value_fields,
    [OBJECT_CONDITION] = condition_fields,
    [OBJECT_BARRIER] = barrier_fields,
    [OBJECT_PIPE] = pipe_fields,
    [OBJECT_POOL] = pool_fields,
};

/* Whose state can be kept in memory only; of the others it always outlives the server. */
static bool may_be_volatile(enum object_kind kind)
{
    return kind == OBJECT_QUEUE || kind == OBJECT_VALUE;
}

/* ---- make ---- */

static struct problem *check(const json_t *body, enum object_kind kind)
{
    struct field fields[FIELDS_MAX] = {
        {.name = "lifetime", .type = FIELD_STRING | FIELD_NULL, .words = lifetimes},
        {.name = "durable", .type = FIELD_BOOL | FIELD_NULL}};
    size_t count = may_be_volatile(kind) ? 2 : 1;
    for (const struct field *at = kind_fields[kind]; at->name && count < FIELDS_MAX - 1; at++) {
        fields[count++] = *at;
    }
    fields[count] = (struct field){0};
    return schema_check(body, fields);
}

static struct problem *read_request(struct request *request, const json_t *config,
                                    struct object_request *out)
{
    size_t bytes;
    out->name = request_segment(request, 0, &bytes);
    out->config = config;
    out->owner = request_owner(request);
    out->account = principal_account(request_principal(request));
    out->ends_with_owner = strcmp(field_text(config, "lifetime", ""), "owner") == 0;
    out->durable = field_bool(config, "durable", true);
    if (!object_name_valid(out->name, bytes)) {
        return problem_make(PROBLEM_BAD_REQUEST, "a name is one letter or digit and up to 127 "
                                                 "letters, digits, '.', '_' and '-'");
    }
    return NULL;
}

/* Not before a crash cannot take back that it is there, also to who has not made it himself. */
static void respond_object(struct request *request, int status, struct object *object)
{
    struct text body = {0};
    object_json(&body, object);
    if (object_settled(object)) {
        answer_json(request, status, &body);
    } else {
        respond_when_stored(request, status, &body);
    }
}

void put_object(struct request *request, const json_t *config)
{
    struct object_request wanted = {0};
    struct object *object = NULL;
    bool made = false;
    struct problem *problem = read_request(request, config, &wanted);
    if (!problem) {
        object = object_put(&request_app(request)->service, request_kind(request), &wanted, &made,
                            &problem);
    }
    if (!object) {
        answer_problem(request, problem);
        return;
    }
    if (made) {
        char location[OBJECT_NAME_BYTES + 32];
        snprintf(location, sizeof location, "/v1/%s", object->resource);
        answer_header(request, "Location", location);
    }
    respond_object(request, made ? 201 : 200, object);
}

void handle_put_object(struct request *request)
{
    json_t *body = request_json(request), *empty = body ? NULL : json_object();
    struct problem *problem = check(body ? body : empty, request_kind(request));
    if (problem) {
        answer_problem(request, problem);
    } else {
        put_object(request, body ? body : empty);
    }
    json_decref(empty);
}

/* ---- look at ---- */

void handle_get_object(struct request *request)
{
    struct object *object = request_object(request);
    if (object) {
        respond_object(request, 200, object);
    }
}

/* Its number as the id that a page token carries. */
static struct fact_id page_id(const struct object *object)
{
    struct fact_id id = {{0}};
    for (size_t i = 0; i < 8; i++) {
        id.bytes[sizeof id.bytes - 1 - i] = (uint8_t)(object->num >> 8 * i);
    }
    return id;
}

void handle_list_objects(struct request *request)
{
    enum object_kind kind = request_kind(request);
    struct object *at = request_app(request)->service.objects.first[kind];
    struct text body = {0};
    struct page page;
    struct fact_id last = {{0}};
    size_t shown = 0;
    bool settled = true;
    struct problem *problem =
        page_from_request(request, page_hash(PAGE_HASH_START, &kind, sizeof kind), &page);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    text_put(&body, "{\"items\":[");
    for (; at && shown < page.limit; at = at->next) {
        struct fact_id id = page_id(at);
        if (!page.goes_on || memcmp(&id, &page.after, sizeof id) > 0) {
            text_json_comma(&body);
            object_json(&body, at);
            settled = object_settled(at) && settled;
            last = id;
            shown++;
        }
    }
    page_end(&body, &page, at && shown ? &last : NULL);
    if (settled) {
        answer_json(request, 200, &body);
    } else {
        respond_when_stored(request, 200, &body);
    }
}

/* ---- delete ---- */

void handle_delete_object(struct request *request)
{
    struct text body = {0};
    struct object *object = request_can_store(request) ? request_object(request) : NULL;
    if (object) {
        object_delete(object, "deleted");
        respond_when_stored(request, 204, &body);
    }
}
