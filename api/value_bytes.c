/*
 * Values of the type "bytes" as they are: made of a body, replaced by one, written in place, and read,
 * also in part (RFC 9110 sections 13 and 14).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/payload.h"
#include "api/range.h"
#include "api/values.h"

/* ---- in ---- */

static struct problem *not_bytes(const struct value *value)
{
    return problem_make(PROBLEM_TYPE_MISMATCH, "%s has the type %s, not bytes",
                        value->object.resource, value_type_names[value->type]);
}

/* What a body of JSON says as members. */
static json_t *config_of(const struct request *request, const char *lifetime)
{
    size_t bytes;
    const char *durable = request_param(request, "durable"), *body = request_body(request, &bytes);
    json_t *config = json_pack("{s:s, s:b}", "type", value_type_names[VALUE_BYTES], "durable",
                               !durable || request_param_bool(request, "durable"));
    if (config &&
        (json_object_set_new(config, "lifetime", json_string(lifetime)) != 0 ||
         json_object_set_new(config, "content", json_stringn_nocheck(body, bytes)) != 0)) {
        json_decref(config);
        return NULL;
    }
    return config;
}

void make_value_of_bytes(struct request *request)
{
    const char *lifetime = request_param(request, "lifetime");
    if (lifetime && strcmp(lifetime, "owner") != 0 && strcmp(lifetime, "permanent") != 0) {
        answer_problem(request, problem_add(NULL, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER,
                                            "lifetime", "It must be permanent or owner."));
        return;
    }
    json_t *config = config_of(request, lifetime ? lifetime : "permanent");
    if (config) {
        put_object(request, config);
    } else {
        respond_no_memory(request);
    }
    json_decref(config);
}

static void respond_written(struct request *request, struct value *value, size_t written)
{
    struct text body = {0};
    text_printf(&body, "{\"written_bytes\":%zu,\"version\":%" PRIu64, written, value->version);
    value_write_length(&body, value);
    text_putc(&body, '}');
    respond_value(request, value, 200, NULL, &body);
}

/* `offset` NULL: all of it is replaced. */
static void take_body(struct request *request, const uint64_t *offset)
{
    size_t count;
    const char *data = request_body(request, &count);
    struct value *value = value_to_change(request);
    if (!value) {
        return;
    }
    struct problem *problem = !value_is_bytes(value) ? not_bytes(value)
                              : offset ? value_write_bytes(value, *offset, data, count)
                                       : value_assign_bytes(value, data, count);
    if (problem) {
        answer_problem(request, problem);
    } else {
        value_changed(value);
        respond_written(request, value, count);
    }
}

void replace_value_by_bytes(struct request *request)
{
    take_body(request, NULL);
}

void handle_write_to_value(struct request *request)
{
    uint64_t offset = 0;
    request_param_unsigned(request, "offset", &offset);
    take_body(request, &offset);
}

/* ---- out ---- */

/* A part is for who has the rest of this very version (If-Range compares strongly). */
static const char *range_header(const struct request *request, const struct value *value)
{
    const char *known = request_header(request, "If-Range");
    char etag[VALUE_ETAG_BYTES];
    value_etag(value, etag);
    return known && strcmp(known, etag) != 0 ? NULL : request_header(request, "Range");
}

static void refuse_range(struct request *request, const struct value *value)
{
    char whole[48];
    snprintf(whole, sizeof whole, "bytes */%zu", value->cells.count);
    answer_header(request, "Content-Range", whole);
    answer_problem(request, problem_make(PROBLEM_RANGE_NOT_SATISFIABLE, "%s has %zu bytes",
                                         value->object.resource, value->cells.count));
}

static void respond_range(struct request *request, struct value *value, enum range_kind kind,
                          const struct range *range)
{
    struct text body = {0};
    if (kind == RANGE_PART) {
        char part[96];
        snprintf(part, sizeof part, "bytes %zu-%zu/%zu", range->first,
                 range->first + range->count - 1, value->cells.count);
        answer_header(request, "Content-Range", part);
    }
    text_room(&body, 1);               /* also when there are no bytes */
    if (range->count > 0) {
        text_add(&body, value->cells.data + range->first, range->count);
    }
    respond_value(request, value, kind == RANGE_PART ? 206 : 200, PAYLOAD_TYPE, &body);
}

void answer_value_bytes(struct request *request, struct value *value)
{
    struct range range;
    if (!value_is_bytes(value)) {
        answer_problem(request,
                       problem_make(PROBLEM_NOT_ACCEPTABLE,
                                    "%s has the type %s; only bytes can be had as " PAYLOAD_TYPE,
                                    value->object.resource, value_type_names[value->type]));
        return;
    }
    enum range_kind kind = range_read(range_header(request, value), value->cells.count, &range);
    answer_header(request, "Accept-Ranges", "bytes");
    if (kind == RANGE_BEYOND) {
        refuse_range(request, value);
    } else {
        respond_range(request, value, kind, &range);
    }
}
