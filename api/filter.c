/* Which processes are meant; see filter.h. */
#include "api/filter.h"

#include <string.h>

#include "api/page.h"

#define LABELS_MAX (sizeof((struct process_filter *)0)->labels / sizeof(char *))
#define NAME_BYTES_MAX 255

/* ---- single values, wherever they come from ---- */

static bool add_state(struct process_filter *filter, const char *word, size_t bytes)
{
    enum process_state state;
    if (!process_state_from_name(word, bytes, &state)) {
        return false;
    }
    filter->states |= 1u << state;
    return true;
}

static bool add_label(struct process_filter *filter, const char *term)
{
    const char *equals = strchr(term, '=');
    if (!equals || equals == term || filter->label_count == LABELS_MAX) {
        return false;
    }
    filter->labels[filter->label_count++] = term;
    return true;
}

static bool set_name(struct process_filter *filter, const char *name)
{
    filter->name = name;
    return *name && strlen(name) <= NAME_BYTES_MAX;
}

static bool set_parent(struct process_filter *filter, const struct request *request,
                       const char *term)
{
    size_t bytes = strlen(term);
    filter->by_parent = true;
    if (strcmp(term, "me") == 0) {
        filter->parent = principal_owner(request_principal(request));
        return filter->parent.kind != PARENT_NONE;
    }
    filter->parent.kind = term[0] == 'p' ? PARENT_PROCESS : PARENT_SESSION;
    return id_parse(term, bytes, term[0] == 'p' ? 'p' : 's', &filter->parent.id);
}

/* ---- from the query ---- */

static struct problem *query_fault(struct problem *problem, const char *key, const char *must)
{
    return problem_add(problem, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, key, "%s must be %s",
                       key, must);
}

static bool read_states(struct process_filter *filter, const char *words)
{
    for (;;) {
        size_t bytes = strcspn(words, ",");
        if (!add_state(filter, words, bytes)) {
            return false;
        }
        if (!words[bytes]) {
            return true;
        }
        words += bytes + 1;
    }
}

static bool read_labels(const struct request *request, struct process_filter *filter)
{
    const char *terms[LABELS_MAX + 1];
    size_t count = request_param_all(request, "label", terms, LABELS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        if (i == LABELS_MAX || !add_label(filter, terms[i])) {
            return false;
        }
    }
    return true;
}

struct problem *filter_from_query(const struct request *request, struct problem *problem,
                                  struct process_filter *out)
{
    const char *states = request_param(request, "state");
    const char *name = request_param(request, "name");
    const char *parent = request_param(request, "parent");
    const char *owner = request_param(request, "owner");
    *out = (struct process_filter){0};
    if (states && !read_states(out, states)) {
        problem = query_fault(problem, "state", "states with commas between them");
    }
    if (name && !set_name(out, name)) {
        problem = query_fault(problem, "name", "1 to 255 bytes long");
    }
    if (!read_labels(request, out)) {
        problem = query_fault(problem, "label", "key=value, and not stand too often");
    }
    if (parent && owner) {
        problem = query_fault(problem, "owner", "left out beside parent, which says the same");
    } else if ((parent && !set_parent(out, request, parent)) ||
               (owner && !set_parent(out, request, owner))) {
        problem = query_fault(problem, parent ? "parent" : "owner",
                              "the id of a process or session, or me if the caller is one");
    }
    return problem;
}

/* ---- from JSON ---- */

static struct problem *body_fault(struct problem *problem, const char *field, const char *must)
{
    char place[32];
    snprintf(place, sizeof place, "/filter/%s", field);
    return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, place, "must be %s", must);
}

static bool json_states(struct process_filter *filter, const json_t *value)
{
    size_t i;
    json_t *item;
    if (json_is_string(value)) {
        return add_state(filter, json_string_value(value), json_string_length(value));
    }
    json_array_foreach((json_t *)value, i, item) {
        if (!json_is_string(item) ||
            !add_state(filter, json_string_value(item), json_string_length(item))) {
            return false;
        }
    }
    return json_array_size(value) > 0;
}

/* {"team":"a"} says the same as ["team=a"]. */
static bool json_label_pair(struct request *request, struct process_filter *filter,
                            const char *key, const json_t *value)
{
    size_t bytes = strlen(key) + json_string_length(value) + 2;
    char *term = json_is_string(value) && !strchr(key, '=') ? request_alloc(request, bytes) : NULL;
    if (!term) {
        return false;
    }
    snprintf(term, bytes, "%s=%s", key, json_string_value(value));
    return add_label(filter, term);
}

static bool json_labels(struct request *request, struct process_filter *filter,
                        const json_t *value)
{
    size_t i;
    const char *key;
    json_t *item;
    if (json_is_string(value)) {
        return add_label(filter, json_string_value(value));
    }
    json_array_foreach((json_t *)value, i, item) {
        if (!json_is_string(item) || !add_label(filter, json_string_value(item))) {
            return false;
        }
    }
    json_object_foreach((json_t *)value, key, item) {
        if (!json_label_pair(request, filter, key, item)) {
            return false;
        }
    }
    return json_is_array(value) || json_is_object(value);
}

struct problem *filter_from_json(struct request *request, const json_t *filter,
                                 struct process_filter *out)
{
    struct problem *problem = NULL;
    const json_t *state = json_object_get(filter, "state");
    const json_t *name = json_object_get(filter, "name");
    const json_t *label = json_object_get(filter, "label");
    const json_t *parent = json_object_get(filter, "parent");
    *out = (struct process_filter){0};
    if (state && !json_states(out, state)) {
        problem = body_fault(problem, "state", "a state, or a list of states");
    }
    if (name && !(json_is_string(name) && set_name(out, json_string_value(name)))) {
        problem = body_fault(problem, "name", "a string of 1 to 255 bytes");
    }
    if (label && !json_labels(request, out, label)) {
        problem = body_fault(problem, "label", "an object of strings, key=value, or a list of "
                             "key=value");
    }
    if (parent && !(json_is_string(parent) &&
                    set_parent(out, request, json_string_value(parent)))) {
        problem = body_fault(problem, "parent", "the id of a process or session, or \"me\" if the caller "
                             "is one");
    }
    return problem;
}

/* ---- hash ---- */

uint64_t filter_hash(const struct process_filter *filter)
{
    const char *name = filter->name ? filter->name : "";
    uint32_t kind = filter->by_parent ? (uint32_t)filter->parent.kind + 1 : 0;
    uint64_t hash = page_hash(PAGE_HASH_START, &filter->states, sizeof filter->states);
    hash = page_hash(hash, name, strlen(name));
    hash = page_hash(hash, &kind, sizeof kind);
    hash = page_hash(hash, &filter->parent.id, sizeof filter->parent.id);
    for (size_t i = 0; i < filter->label_count; i++) {
        hash = page_hash(hash, filter->labels[i], strlen(filter->labels[i]));
    }
    return hash;
}
