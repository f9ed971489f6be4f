/* The small bodies; see bodies.h. */
#include "api/bodies.h"

#include <string.h>

#include "api/schema.h"
#include "api/spawn_body.h"
#include "service/scope.h"

#define LEAST_SECONDS 1e-6             /* more than none */
#define DAY_SECONDS 86400
#define TEN_YEARS_SECONDS 315360000
#define CODE_SECONDS 60
#define CODE_MOST_SECONDS 600

const char *must_be_signal(const json_t *value)
{
    return signal_from_json(value) ? NULL : "a signal, as SIGTERM, TERM or 15";
}

static const char *must_be_parent(const json_t *value)
{
    struct fact_id id;
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    bool known = strcmp(text, "me") == 0 || id_parse(text, bytes, 'p', &id) ||
                 id_parse(text, bytes, 's', &id);
    return known ? NULL : "the id of a process or session, or \"me\"";
}

/* ---- tables ---- */

#define SIGNAL .name = "signal", .type = FIELD_STRING | FIELD_INTEGER, .check = must_be_signal
#define GRACE .name = "grace_seconds", .type = FIELD_NUMBER, .min = 0, .max = DAY_SECONDS
#define SCOPE .name = "scope", .type = FIELD_STRING, .words = scopes

static const char *const scopes[] = {"main", "group", "tree", NULL};
static const char *const states[] = {"created", "pending", "running", "stopping",
                                     "exited",  "failed",  "lost",    NULL};
static const char *const verbs[] = {"stop",      "kill",  "signal", "delete",
                                    "terminate", "pause", "resume", NULL};

/* Nothing in it would mean all. */
static const char *must_choose(const json_t *value)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item) {
        if (json_is_null(item)) {
            return "an object without null";
        }
    }
    return NULL;
}

static const struct field nothing_fields[] = {{0}};
static const struct field signal_fields[] = {{SIGNAL, .required = true}, {SCOPE}, {0}};
static const struct field stop_fields[] = {{SIGNAL}, {GRACE}, {0}};

static const struct field session_fields[] = {
    {.name = "ttl_seconds", .type = FIELD_NUMBER, .min = LEAST_SECONDS, .max = DAY_SECONDS},
    {0}};

static const struct field scope_items[] = {
    {.name = "scope", .type = FIELD_STRING, .words = scope_words}};
static const struct field token_fields[] = {
    {.name = "scopes", .type = FIELD_ARRAY, .required = true, .min = 1, .max = 5,
     .items = scope_items},
    {.name = "label", .type = FIELD_STRING, .min = 1, .max = 255, .check = must_be_name},
    {.name = "expires_in_seconds", .type = FIELD_NUMBER, .min = LEAST_SECONDS,
     .max = TEN_YEARS_SECONDS},
    {0}};

static const struct field login_code_fields[] = {
    {.name = "scopes", .type = FIELD_ARRAY, .min = 1, .max = 5, .items = scope_items},
    {.name = "expires_in_seconds", .type = FIELD_NUMBER, .min = LEAST_SECONDS,
     .max = CODE_MOST_SECONDS},
    {0}};

static const struct field login_fields[] = {
    {.name = "code", .type = FIELD_STRING, .required = true, .min = 1, .max = 255}, {0}};

static const struct field shutdown_fields[] = {
    {.name = "wait_seconds", .type = FIELD_NUMBER, .min = 0, .max = DAY_SECONDS},
    {0}};

static const struct field one_id = {
    .name = "id", .type = FIELD_STRING, .min = 1, .max = 128};
static const struct field one_state = {.name = "state", .type = FIELD_STRING, .words = states};
static const struct field one_label = {.name = "label", .type = FIELD_STRING};

static const struct field filter_fields[] = {
    {.name = "state", .type = FIELD_STRING | FIELD_ARRAY, .words = states, .items = &one_state},
    {.name = "name", .type = FIELD_STRING, .min = 1, .max = 255},
    {.name = "label", .type = FIELD_STRING | FIELD_OBJECT | FIELD_ARRAY, .open = true, .items = &one_label},
    {.name = "parent", .type = FIELD_STRING, .check = must_be_parent},
    {0}};

static const struct field actions_fields[] = {
    {.name = "action", .type = FIELD_STRING, .required = true, .words = verbs},
    {.name = "ids", .type = FIELD_ARRAY, .min = 1, .max = 1000, .items = &one_id},
    {.name = "filter", .type = FIELD_OBJECT, .min = 1, .max = 4, .fields = filter_fields,
     .check = must_choose},
    {SIGNAL},
    {GRACE},
    {SCOPE},
    {0}};

/* ---- reading ---- */

struct problem *nothing_body_check(const json_t *body)
{
    return schema_check(body, nothing_fields);
}

static void read_order(const json_t *body, struct order *order)
{
    const json_t *signal = field_value(body, "signal");
    if (signal) {
        order->signal = signal_from_json(signal);
    }
    order->grace_us = field_seconds_us(body, "grace_seconds", order->grace_us);
    for (int scope = 0; scope < SCOPES; scope++) {
        if (strcmp(field_text(body, "scope", ""), scopes[scope]) == 0) {
            order->scope = (enum signal_scope)scope;
        }
    }
}

struct problem *order_body_read(const json_t *body, struct order *order)
{
    const struct field *fields = order->verb == ORDER_SIGNAL ? signal_fields
                                 : order->verb == ORDER_STOP ? stop_fields
                                                             : nothing_fields;
    struct problem *problem = schema_check(body, fields);
    if (!problem) {
        read_order(body, order);
    }
    return problem;
}

static struct problem *one_of_both(const json_t *body, struct problem *problem)
{
    const json_t *ids = field_value(body, "ids");
    const json_t *filter = field_value(body, "filter");
    if (!ids && !filter) {
        return problem_add(problem, PROBLEM_MISSING_FIELD, FAULT_POINTER, "/ids",
                           "Either ids or filter is needed.");
    }
    if (ids && filter) {
        return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/filter",
                           "It stands instead of ids, not beside it.");
    }
    return problem;
}

struct problem *actions_body_read(const json_t *body, struct order *order)
{
    enum order_verb verb;
    struct problem *problem = one_of_both(body, schema_check(body, actions_fields));
    const char *word = field_text(body, "action", "");
    if (order_verb_from_word(word, &verb) && verb == ORDER_SIGNAL &&
        !field_value(body, "signal")) {
        problem = problem_add(problem, PROBLEM_MISSING_FIELD, FAULT_POINTER, "/signal",
                              "This action needs it.");
    }
    if (!problem) {
        *order = order_plain(verb);
        read_order(body, order);
    }
    return problem;
}

/* Of a body that was checked; 0 where it names none. */
static unsigned read_scopes(const json_t *body)
{
    const json_t *wanted = field_value(body, "scopes");
    unsigned set = 0;
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const json_t *scope = json_array_get(wanted, i);
        scopes_add(&set, json_string_value(scope), json_string_length(scope));
    }
    return set;
}

struct problem *token_body_read(const json_t *body, struct token_request *out)
{
    struct problem *problem = schema_check(body, token_fields);
    *out = (struct token_request){.label = field_text(body, "label", NULL)};
    if (!problem) {
        out->scopes = read_scopes(body);
        out->lives_us = field_seconds_us(body, "expires_in_seconds", 0);
    }
    return problem;
}

struct problem *login_code_body_read(const json_t *body, struct token_request *out)
{
    struct problem *problem = schema_check(body, login_code_fields);
    *out = (struct token_request){.scopes = SCOPE_ADMIN};
    if (!problem) {
        out->scopes = field_value(body, "scopes") ? read_scopes(body) : SCOPE_ADMIN;
        out->lives_us = field_seconds_us(body, "expires_in_seconds", CODE_SECONDS * SECOND_US);
    }
    return problem;
}

struct problem *login_body_read(const json_t *body, const char **code)
{
    *code = field_text(body, "code", "");
    return schema_check(body, login_fields);
}

struct problem *session_body_read(const json_t *body, int64_t *ttl_us)
{
    *ttl_us = field_seconds_us(body, "ttl_seconds", 30 * SECOND_US);
    return schema_check(body, session_fields);
}

struct problem *shutdown_body_read(const json_t *body, int64_t *wait_us)
{
    *wait_us = field_seconds_us(body, "wait_seconds", *wait_us);
    return schema_check(body, shutdown_fields);
}
