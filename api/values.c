/*
 * Values: look, wait for a change, and the operations. All operations go one way: the body against the
 * operation's table, If-Hold, If-Match, then service/value_operations.c.
 *
 * The version is the ETag.
 */
#include "api/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/payload.h"
#include "service/value_place.h"

/* ---- tables ---- */

const struct field value_fields[] = {
    {.name = "type", .type = FIELD_STRING, .words = value_type_names},
    {.name = "value", .type = FIELD_ANY},
    {.name = "value_base64", .type = FIELD_STRING | FIELD_NULL},
    {.name = "length", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = 1e9},
    {0}};

#define PATH {.name = "path", .type = FIELD_STRING | FIELD_ARRAY}
#define KEY {.name = "key", .type = FIELD_STRING}
#define INDEX {.name = "index", .type = FIELD_INTEGER}
#define PLACE PATH, KEY, INDEX
#define ITEM {.name = "item", .type = FIELD_ANY, .required = true}
#define VALUE {.name = "value", .type = FIELD_ANY, .required = true}

static const struct field add_fields[] = {{.name = "n", .type = FIELD_NUMBER}, PLACE, {0}};
static const struct field item_fields[] = {ITEM, PLACE, {0}};
static const struct field extend_fields[] = {
    {.name = "items", .type = FIELD_ARRAY, .required = true}, PLACE, {0}};
static const struct field insert_fields[] = {
    {.name = "index", .type = FIELD_INTEGER, .required = true}, ITEM, PATH, KEY, {0}};
static const struct field place_fields[] = {PLACE, {0}};
static const struct field set_fields[] = {VALUE, PLACE, {0}};
static const struct field update_fields[] = {
    {.name = "members", .type = FIELD_OBJECT, .required = true}, PLACE, {0}};
static const struct field compare_fields[] = {
    {.name = "expected", .type = FIELD_ANY, .required = true}, VALUE, PLACE, {0}};
static const struct field put_fields[] = {VALUE, {0}};

static const struct field *const operation_fields[VALUE_OPERATIONS] = {
    [VALUE_ADD] = add_fields,       [VALUE_APPEND] = item_fields,
    [VALUE_EXTEND] = extend_fields, [VALUE_INSERT] = insert_fields,
    [VALUE_POP] = place_fields,     [VALUE_REMOVE] = item_fields,
    [VALUE_SET] = set_fields,       [VALUE_UPDATE] = update_fields,
    [VALUE_DEL] = place_fields,     [VALUE_CLEAR] = place_fields,
    [VALUE_COMPARE_AND_SET] = compare_fields,
};

/* ---- versions ---- */

void value_etag(const struct value *value, char out[VALUE_ETAG_BYTES])
{
    snprintf(out, VALUE_ETAG_BYTES, "\"%" PRIu64 "\"", value->version);
}

/* Is the version in a list of tags (RFC 9110 section 8.8.3), or is the list "*"? `weak`: W/ in front
   of a tag does not matter. */
static bool etag_listed(const char *list, const struct value *value, bool weak)
{
    char etag[VALUE_ETAG_BYTES];
    value_etag(value, etag);
    while (*list) {
        list += strspn(list, ", \t");
        if (weak && strncmp(list, "W/", 2) == 0) {
            list += 2;
        }
        size_t bytes = strcspn(list, ", \t");
        if ((bytes == 1 && *list == '*') ||
            (bytes == strlen(etag) && strncmp(list, etag, bytes) == 0)) {
            return true;
        }
        list += bytes;
    }
    return false;
}

bool value_is_known(const struct request *request, const struct value *value)
{
    const char *known = request_header(request, "If-None-Match");
    return known && etag_listed(known, value, true);
}

/* False: it has another version than If-Match asks for; 412 was answered. */
static bool version_matches(struct request *request, const struct value *value)
{
    const char *wanted = request_header(request, "If-Match");
    if (!wanted || etag_listed(wanted, value, false)) {
        return true;
    }
    struct text members = {0};
    struct problem *problem =
        problem_make(PROBLEM_VERSION_DIFFERS, "%s has version %" PRIu64 ", not %.100s",
                     value->object.resource, value->version, wanted);
    text_json_key(&members, "version");
    text_unsigned(&members, value->version);
    if (problem->code == PROBLEM_VERSION_DIFFERS) {
        problem->members = text_take(&members, NULL);
    }
    text_free(&members);
    answer_problem(request, problem);
    return false;
}

static struct problem *refuse_storing(const struct value *value)
{
    return value->object.durable ? recorder_refuses(value->object.service->recorder) : NULL;
}

struct value *value_to_change(struct request *request)
{
    struct value *value = (struct value *)request_object(request);
    if (!value || !version_matches(request, value)) {
        return NULL;
    }
    struct problem *problem = refuse_storing(value);
    if (problem) {
        answer_problem(request, problem);
    }
    return problem ? NULL : value;
}

void respond_value(struct request *request, struct value *value, int status, const char *type,
                   struct text *body)
{
    char etag[VALUE_ETAG_BYTES];
    value_etag(value, etag);
    answer_header(request, "ETag", etag);
    /* The journal would have the change of a keyed request before the batch has its answer. */
    if (idempotency_will_store(request) || !value_settled(value)) {
        respond_bytes_when_stored(request, status, type, body);
    } else if (body->bytes || body->failed || type) {
        answer_text(request, status, type ? type : "application/json", body);
    } else {
        answer_empty(request, status);
    }
}

/* ---- look ---- */

static void write_whole(struct text *body, const struct value *value)
{
    text_putc(body, '{');
    value_write_member(body, value);
    text_json_key(body, "version");
    text_unsigned(body, value->version);
    value_write_length(body, value);
    text_putc(body, '}');
}

static struct problem *write_part(struct text *body, struct value *value, const char *pointer)
{
    struct path path = {0};
    struct place place;
    struct problem *problem = path_from_pointer(&path, pointer, FAULT_PARAMETER, "path");
    json_t *part = NULL;
    if (!problem) {
        problem = place_find(value, &path, &place);
    }
    if (!problem) {
        part = place_get(&place, &problem);
    }
    if (part) {
        text_put(body, "{\"value\":");
        text_json_tree(body, part);
        text_json_key(body, "version");
        text_unsigned(body, value->version);
        text_json_key(body, "length");
        if (json_is_array(part) || json_is_object(part)) {
            text_unsigned(body, json_array_size(part) + json_object_size(part));
        } else {
            text_put(body, "null");
        }
        text_putc(body, '}');
    }
    json_decref(part);
    path_free(&path);
    return problem;
}

static void answer_json_form(struct request *request, struct value *value)
{
    const char *pointer = request_param(request, "path");
    struct text body = {0};
    struct problem *problem = NULL;
    if (pointer && *pointer) {
        problem = write_part(&body, value, pointer);
    } else {
        value_json(&body, value);
    }
    if (problem) {
        answer_problem(request, problem);
    } else {
        respond_value(request, value, 200, NULL, &body);
    }
}

/* With `path` it is JSON in any case. */
void handle_get_value(struct request *request)
{
    struct value *value = (struct value *)request_object(request);
    struct text nothing = {0};
    bool raw = false;
    struct problem *problem =
        value && !request_param(request, "path") ? payload_form(request, &raw) : NULL;
    if (!value) {
        return;
    }
    if (problem) {
        answer_problem(request, problem);
    } else if (value_is_known(request, value)) {
        respond_value(request, value, 304, NULL, &nothing);
    } else if (raw) {
        answer_value_bytes(request, value);
    } else {
        answer_json_form(request, value);
    }
}

/* ---- wait ---- */

struct value_wait {
    struct claim_call call;
    struct claim claim;
    struct text body;                  /* written when it was woken: the value may be gone later */
    char etag[VALUE_ETAG_BYTES];
};

static void answer_wait(struct claim_call *call)
{
    struct value_wait *wait = (struct value_wait *)call;
    answer_header(call->request, "ETag", wait->etag);
    answer_json(call->request, 200, &wait->body);
}

static void undo_wait(struct claim_call *call)
{
    text_free(&((struct value_wait *)call)->body);
}

static void ended(struct claim_call *call, enum claim_result result)
{
    struct value_wait *wait = (struct value_wait *)call;
    struct value *value = (struct value *)wait->claim.object;
    if (result != CLAIM_GRANTED && result != CLAIM_TIMED_OUT) {
        answer_claim_failed(call, result);
        return;
    }
    write_whole(&wait->body, value);
    value_etag(value, wait->etag);
    if (value_settled(value)) {
        answer_wait(call);
    } else {
        claim_call_stored(call);
    }
}

static void park(struct request *request, struct value *value, int64_t deadline_us)
{
    struct value_wait *wait = request_alloc(request, sizeof *wait);
    if (!wait) {
        respond_no_memory(request);
        return;
    }
    wait->claim.owner = request_owner(request);
    wait->call = (struct claim_call){.claim = &wait->claim, .request = request, .ended = ended,
                                     .answer = answer_wait, .undo = undo_wait};
    claim_call_park(&wait->call, &value->waiters, &value->object, deadline_us);
}

void handle_wait_for_value(struct request *request)
{
    struct value *value = (struct value *)request_object(request);
    int64_t deadline_us = request_patience(request, JOIN_STANDARD_US);
    uint64_t after;
    struct text body = {0};
    if (!value) {
        return;
    }
    bool moved = request_param_unsigned(request, "after", &after) && value->version != after;
    if (moved || deadline_us == 0) {
        write_whole(&body, value);
        respond_value(request, value, 200, NULL, &body);
    } else {
        park(request, value, deadline_us);
    }
}

/* ---- make and delete ---- */

static struct problem *refuse_param(const struct request *request, const char *name)
{
    return request_param(request, name)
               ? problem_add(NULL, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, name,
                             "It goes with a body of bytes; in JSON it is a member.")
               : NULL;
}

void handle_make_value(struct request *request)
{
    struct problem *problem = NULL;
    if (request_sends_bytes(request)) {
        make_value_of_bytes(request);
    } else if ((problem = refuse_param(request, "durable")) ||
               (problem = refuse_param(request, "lifetime"))) {
        answer_problem(request, problem);
    } else {
        handle_put_object(request);
    }
}

void handle_delete_value(struct request *request)
{
    const char *wanted = request_header(request, "If-Match");
    struct value *value = wanted ? (struct value *)request_object(request) : NULL;
    if (!wanted || (value && version_matches(request, value))) {
        handle_delete_object(request);
    }
}

/* ---- operations ---- */

static void operate(struct request *request, enum value_operation operation,
                    const struct field *fields)
{
    const json_t *body = request_json(request);
    struct text answer = {0};
    struct problem *problem = schema_check(body, fields);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct value *value = value_to_change(request);
    if (!value) {
        return;
    }
    problem = value_operate(value, operation, body, &answer);
    if (problem) {
        answer_problem(request, problem);
    } else {
        respond_value(request, value, 200, NULL, &answer);
    }
}

void handle_put_value(struct request *request)
{
    if (request_sends_bytes(request)) {
        replace_value_by_bytes(request);
    } else {
        operate(request, VALUE_SET, put_fields);
    }
}

#define OPERATION(function, operation)                                                         \
    void function(struct request *request)                                                     \
    {                                                                                          \
        operate(request, operation, operation_fields[operation]);                              \
    }

OPERATION(handle_add_to_value, VALUE_ADD)
OPERATION(handle_append_to_value, VALUE_APPEND)
OPERATION(handle_extend_value, VALUE_EXTEND)
OPERATION(handle_insert_into_value, VALUE_INSERT)
OPERATION(handle_pop_from_value, VALUE_POP)
OPERATION(handle_remove_from_value, VALUE_REMOVE)
OPERATION(handle_set_in_value, VALUE_SET)
OPERATION(handle_update_value, VALUE_UPDATE)
OPERATION(handle_delete_in_value, VALUE_DEL)
OPERATION(handle_clear_value, VALUE_CLEAR)
OPERATION(handle_compare_and_set_value, VALUE_COMPARE_AND_SET)
