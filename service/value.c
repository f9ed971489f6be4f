/*
 * Values; see value.h: their types, their configuration and their durable form.
 *
 * What a value was made with is part of its configuration, so that a PUT that asks for another one
 * is refused. A long one is kept as a hash, unless it is needed: a value that is not durable begins
 * with it again after a restart.
 */
#include "service/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"
#include "service/spec.h"

#define INITIAL_BYTES 1024             /* of a durable value: longer ones are kept as a hash */
#define SHOWN_BYTES 4096               /* weight up to which lists show a value */
#define JOURNALED_BYTES (16u << 10)   /* weight up to which the journal has room for a value */
#define LENGTH_MOST 1000000000         /* of an array that is made of zeros */

const char *const value_type_names[VALUE_TYPES + 1] = {
    [VALUE_JSON] = "json", [VALUE_STRING] = "string", [VALUE_STRING_ARRAY] = "string[]",
    [VALUE_INT32] = "int32", [VALUE_INT32_ARRAY] = "int32[]", [VALUE_INT64] = "int64",
    [VALUE_INT64_ARRAY] = "int64[]", [VALUE_DOUBLE] = "double", [VALUE_DOUBLE_ARRAY] = "double[]",
    [VALUE_BOOL] = "bool", [VALUE_BOOL_ARRAY] = "bool[]", [VALUE_BYTES] = "bytes",
};

static const struct {
    enum cell_type cells;
    bool array;
} types[VALUE_TYPES] = {
    [VALUE_JSON] = {CELL_NONE, false}, [VALUE_STRING] = {CELL_NONE, false},
    [VALUE_STRING_ARRAY] = {CELL_NONE, true}, [VALUE_INT32] = {CELL_INT32, false},
    [VALUE_INT32_ARRAY] = {CELL_INT32, true}, [VALUE_INT64] = {CELL_INT64, false},
    [VALUE_INT64_ARRAY] = {CELL_INT64, true}, [VALUE_DOUBLE] = {CELL_DOUBLE, false},
    [VALUE_DOUBLE_ARRAY] = {CELL_DOUBLE, true}, [VALUE_BOOL] = {CELL_BOOL, false},
    [VALUE_BOOL_ARRAY] = {CELL_BOOL, true}, [VALUE_BYTES] = {CELL_BYTE, true},
};

static struct value *value_of(struct object *object)
{
    return (struct value *)object;
}

static const struct value *const_value_of(const struct object *object)
{
    return (const struct value *)object;
}

enum cell_type value_cell_type(const struct value *value)
{
    return types[value->type].cells;
}

bool value_is_array(const struct value *value)
{
    return types[value->type].array;
}

bool value_is_bytes(const struct value *value)
{
    return value->type == VALUE_BYTES;
}

static struct problem *no_memory(const struct value *value)
{
    return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for %s", value->object.resource);
}

/* ---- size ---- */

size_t value_weight(const struct value *value)
{
    return value->cells.type ? value->cells.count * cell_weight(value->cells.type) : value->weight;
}

static struct problem *too_large(const struct value *value)
{
    return problem_make(PROBLEM_PAYLOAD_TOO_LARGE,
                        "A value may have %" PRIu64 " bytes at most (max_payload_bytes).",
                        value->object.service->config->max_payload_bytes);
}

struct problem *value_has_room(const struct value *value, size_t removed, size_t added)
{
    uint64_t most = value->object.service->config->max_payload_bytes;
    uint64_t rest = value_weight(value) - removed;
    bool grows = added > removed;
    return grows && (added > most || rest > most - added) ? too_large(value) : NULL;
}

/* ---- all of it ---- */

static struct problem *refuse_strings(const json_t *item, const char *place)
{
    size_t i;
    const json_t *string;
    bool right = json_is_array(item);
    json_array_foreach(item, i, string) {
        right = right && json_is_string(string);
    }
    return right ? NULL
                 : problem_add(NULL, PROBLEM_TYPE_MISMATCH, FAULT_POINTER, place,
                               "It must be an array of strings.");
}

struct problem *value_refuses(const struct value *value, const json_t *item, const char *place)
{
    if (value->cells.type) {
        return value_is_array(value) ? cells_refuse(value->cells.type, item, place)
                                     : cell_refuses(value->cells.type, item, place);
    }
    if (value->type == VALUE_STRING_ARRAY) {
        return refuse_strings(item, place);
    }
    if (value->type == VALUE_STRING && !json_is_string(item)) {
        return problem_add(NULL, PROBLEM_TYPE_MISMATCH, FAULT_POINTER, place,
                           "It must be a string.");
    }
    return json_depth(item) <= VALUE_DEPTH
               ? NULL
               : problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, place,
                             "It must not be nested more than %d deep.", VALUE_DEPTH);
}

static bool assign_cells(struct value *value, const json_t *item)
{
    struct cells cells = {.type = value->cells.type};
    if (!value_is_array(value)) {
        cells_set(&value->cells, 0, item);
        return true;
    }
    if (!cells_insert(&cells, 0, item)) {
        return false;
    }
    cells_free(&value->cells);
    value->cells = cells;
    return true;
}

bool value_assign(struct value *value, const json_t *item)
{
    if (value->cells.type) {
        return assign_cells(value, item);
    }
    json_decref(value->tree);
    value->tree = json_incref((json_t *)item);
    value->weight = json_weight(item);
    return true;
}

struct problem *value_assign_bytes(struct value *value, const void *data, size_t count)
{
    struct problem *problem = value_has_room(value, value_weight(value), count);
    return problem || cells_assign_bytes(&value->cells, data, count) ? problem : no_memory(value);
}

struct problem *value_write_bytes(struct value *value, size_t offset, const void *data,
                                  size_t count)
{
    size_t size = value->cells.count;
    if (offset > size || count > size - offset) {
        return problem_add(NULL, PROBLEM_OUT_OF_RANGE, FAULT_PARAMETER, "offset",
                           "%zu bytes from there on would go beyond the %zu that there are.", count,
                           size);
    }
    if (count > 0) {
        memcpy(value->cells.data + offset, data, count);
    }
    return NULL;
}

static void write_cells(struct text *text, const struct cells *cells)
{
    text_putc(text, '[');
    for (size_t at = 0; at < cells->count; at++) {
        if (at > 0) {
            text_putc(text, ',');
        }
        cells_write(text, cells, at);
    }
    text_putc(text, ']');
}

void value_write(struct text *text, const struct value *value)
{
    if (!value->cells.type) {
        text_json_tree(text, value->tree);
    } else if (value_is_bytes(value)) {
        cells_save(text, &value->cells);
    } else if (value_is_array(value)) {
        write_cells(text, &value->cells);
    } else {
        cells_write(text, &value->cells, 0);
    }
}

static const char *member_of(const struct value *value)
{
    return value_is_bytes(value) ? "value_base64" : "value";
}

void value_write_member(struct text *text, const struct value *value)
{
    text_printf(text, "\"%s\":", member_of(value));
    value_write(text, value);
}

void value_write_length(struct text *text, const struct value *value)
{
    text_json_key(text, "length");
    if (value_is_array(value) && value->cells.type) {
        text_unsigned(text, value->cells.count);
    } else if (json_is_array(value->tree) || json_is_object(value->tree)) {
        text_unsigned(text, json_array_size(value->tree) + json_object_size(value->tree));
    } else {
        text_put(text, "null");
    }
}

bool value_settled(struct value *value)
{
    return pending_settled(&value->pending, value_weight(value) > JOURNALED_BYTES);
}

void value_changed(struct value *value)
{
    value->version++;
    object_touch(&value->object);
    if (value->object.durable) {
        pending_mark(&value->pending, value->object.service);
    }
    claims_finish_all(&value->waiters, CLAIM_GRANTED);
    object_ready(&value->object);
}

/* ---- what it is made with ---- */

/* `length` zeros or empty strings; of what is no array the one there is. False: no memory. */
static bool assign_zeros(struct value *value, size_t length)
{
    if (value->cells.type) {
        return cells_grow(&value->cells, value_is_array(value) ? length : 1);
    }
    value->tree = value->type == VALUE_JSON     ? json_null()
                  : value->type == VALUE_STRING ? json_string("")
                                                : json_array();
    bool made = value->tree != NULL;
    for (size_t i = 0; made && value_is_array(value) && i < length; i++) {
        made = json_array_append_new(value->tree, json_string("")) == 0;
    }
    value->weight = made ? json_weight(value->tree) : 0;
    return made;
}

static uint64_t hash_of(const struct text *text)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < text->bytes; i++) {
        hash = (hash ^ (unsigned char)text->data[i]) * 0x100000001b3u;
    }
    return hash;
}

static bool keep_initial(struct value *value)
{
    struct text text = {0};
    value_write(&text, value);
    if (text.failed) {
        text_free(&text);
        return false;
    }
    if (value->object.durable && text.bytes > INITIAL_BYTES) {
        value->initial_hash = hash_of(&text);
        text_free(&text);
    } else {
        value->initial = text_take(&text, NULL);
    }
    return true;
}

static struct problem *assign_base64(struct value *value, const json_t *text, const char *place)
{
    void *data;
    size_t count;
    if (!json_is_string(text) ||
        !base64_decode(json_string_value(text), json_string_length(text), &data, &count)) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, place, "It must be base64.");
    }
    struct problem *problem = value_assign_bytes(value, data, count);
    free(data);
    return problem;
}

/* The bytes of a PUT: "value_base64", or "content", which no client can send: a string of any bytes. */
static struct problem *make_of_bytes(struct value *value, const json_t *config)
{
    const json_t *content = json_object_get(config, "content");
    bool more = json_object_get(config, "value") || json_object_get(config, "length");
    if (!value_is_bytes(value) || more) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/value_base64",
                           "It goes with the type bytes, and with no value or length.");
    }
    struct problem *problem =
        content ? value_assign_bytes(value, json_string_value(content), json_string_length(content))
                : assign_base64(value, json_object_get(config, "value_base64"), "/value_base64");
    return problem || keep_initial(value) ? problem : no_memory(value);
}

/* From a PUT: {"type":…, "value":… or "length":…}. */
static struct problem *make(struct value *value, const json_t *config)
{
    const json_t *given = json_object_get(config, "value");
    const json_t *length = json_object_get(config, "length");
    bool nothing = !given || (json_is_null(given) && value->type != VALUE_JSON);
    size_t count = (size_t)json_integer_value(length);
    if (json_is_string(json_object_get(config, "content")) ||
        json_is_string(json_object_get(config, "value_base64"))) {
        return make_of_bytes(value, config);
    }
    struct problem *problem = nothing ? NULL : value_refuses(value, given, "/value");
    if (problem) {
        return problem;
    }
    if (json_is_integer(length) && (!nothing || !value_is_array(value))) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/length",
                           "It makes an array of zeros; a value given has its own length.");
    }
    size_t weight = value->cells.type ? cell_weight(value->cells.type) : 3;
    if (nothing && count > LENGTH_MOST / weight) {
        return too_large(value);
    }
    problem = value_has_room(value, 0, count * weight);
    if (!problem && (!assign_zeros(value, nothing ? count : 0) ||
                     (!nothing && !value_assign(value, given)) || !keep_initial(value))) {
        problem = no_memory(value);
    }
    bool large = value_weight(value) > value->object.service->config->max_payload_bytes;
    return problem ? problem : large ? too_large(value) : NULL;
}

static struct problem *begin_again(struct value *value, const json_t *initial)
{
    struct problem *problem = value_is_bytes(value)
                                  ? assign_base64(value, initial, "/initial")
                                  : value_refuses(value, initial, "/initial");
    if (!problem && !value_is_bytes(value) && !value_assign(value, initial)) {
        problem = no_memory(value);
    }
    return problem || keep_initial(value) ? problem : no_memory(value);
}

/* From what write_config wrote. What does not fit any more is left out, not refused. */
static struct problem *make_again(struct value *value, const json_t *config)
{
    const char *hash = json_string_value(json_object_get(config, "initial_hash"));
    if (!assign_zeros(value, 0)) {
        return no_memory(value);
    }
    value->initial_hash = hash ? strtoull(hash, NULL, 16) : 0;
    return hash ? NULL : begin_again(value, json_object_get(config, "initial"));
}

static enum value_type type_from_name(const char *name)
{
    int type = VALUE_JSON;
    while (name && type < VALUE_TYPES && strcmp(name, value_type_names[type]) != 0) {
        type++;
    }
    return type < VALUE_TYPES ? (enum value_type)type : VALUE_JSON;
}

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct value *value = value_of(object);
    (void)service;
    value->type = type_from_name(json_string_value(json_object_get(config, "type")));
    value->cells.type = value_cell_type(value);
    value->version = 1;
    return json_object_get(config, "initial_hash") ? make_again(value, config)
                                                   : make(value, config);
}

static void write_config(struct text *text, const struct object *object)
{
    const struct value *value = const_value_of(object);
    text_json_key(text, "type");
    text_json_string(text, value_type_names[value->type]);
    text_json_key(text, "initial");
    text_put(text, value->initial ? value->initial : "null");
    text_json_key(text, "initial_hash");
    if (value->initial) {
        text_put(text, "null");
    } else {
        text_printf(text, "\"%016" PRIx64 "\"", value->initial_hash);
    }
}

/* ---- showing and storing ---- */

static void write_state(struct text *text, const struct object *object)
{
    const struct value *value = const_value_of(object);
    bool shown = value->shown_whole || value_weight(value) <= SHOWN_BYTES;
    text_json_key(text, member_of(value));
    if (shown) {
        value_write(text, value);
    } else {
        text_put(text, "null");
    }
    text_json_key(text, "value_omitted");
    text_json_bool(text, !shown);
    text_json_key(text, "version");
    text_unsigned(text, value->version);
    value_write_length(text, value);
    text_json_key(text, "size_bytes");
    text_unsigned(text, value_weight(value));
    text_json_key(text, "waiters");
    text_unsigned(text, value->waiters.count);
}

void value_json(struct text *text, struct value *value)
{
    value->shown_whole = true;
    object_json(text, &value->object);
    value->shown_whole = false;
}

static void save(struct text *text, const struct object *object)
{
    const struct value *value = const_value_of(object);
    bool as_cells = value->cells.type && value_is_array(value);
    text_json_key(text, "version");
    text_unsigned(text, value->version);
    text_json_key(text, as_cells ? "cells" : "value");
    if (as_cells) {
        cells_save(text, &value->cells);
    } else {
        value_write(text, value);
    }
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct value *value = value_of(object);
    const json_t *version = json_object_get(saved, "version");
    const json_t *cells = json_object_get(saved, "cells"), *tree = json_object_get(saved, "value");
    if (!saved && object->durable) {   /* it is being made */
        pending_mark(&value->pending, service);
    }
    if (!json_is_integer(version)) {
        return true;                   /* as it was made */
    }
    value->version = (uint64_t)json_integer_value(version);
    if (value->cells.type && value_is_array(value)) {
        return cells_restore(&value->cells, json_string_value(cells), json_string_length(cells));
    }
    struct problem *problem = tree ? value_refuses(value, tree, "/value") : NULL;
    bool right = tree && !problem && value_assign(value, tree);
    problem_free(problem);
    return right;
}

/* ---- the rest of the type ---- */

/* Without a version that is known: the next change. */
static struct problem *begin_wait(const struct object *object, struct object_point *point,
                                  const char *place)
{
    (void)place;
    if (!point->after_given) {
        point->after = const_value_of(object)->version;
    }
    return NULL;
}

static bool ready(const struct object *object, const struct object_point *point)
{
    return const_value_of(object)->version != point->after;
}

static void closed(struct service *service, struct object *object)
{
    (void)service;
    claims_finish_all(&value_of(object)->waiters, CLAIM_DELETED);
}

static void release(struct object *object)
{
    struct value *value = value_of(object);
    pending_forget(&value->pending);
    cells_free(&value->cells);
    json_decref(value->tree);
    free(value->initial);
}

const struct object_type value_type = {
    .kind = OBJECT_VALUE, .noun = "value", .plural = "values", .bytes = sizeof(struct value),
    .configure = configure, .write_config = write_config, .write_state = write_state,
    .ready = ready, .point_member = "after", .begin_wait = begin_wait,
    .save = save, .restore = restore,
    .closed = closed, .release = release,
};
