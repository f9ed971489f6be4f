/*
 * What can be done to a value: one function for each operation, and the table of them.
 *
 * Each gets the place to which the path of the request leads. It checks, changes through
 * value_place.h, and leaves the part that it touched for the answer.
 */
#include <math.h>
#include <stdlib.h>

#include "service/service.h"
#include "service/value_place.h"

struct change {
    const json_t *body;
    struct place place;
    bool pointed;                      /* a key or index of its own was given, besides the path */
    json_t *touched;                   /* for the answer; NULL: the whole value */
    int64_t length;                    /* -1: null */
};

/* What was put there, as it is stored: of 1 in a double[] 1.0. The change has been made: when there
   is no memory to show it, the whole is shown. */
static void touch(struct change *change, const struct place *place)
{
    struct problem *problem = NULL;
    change->touched = place->kind == PLACE_WHOLE ? NULL : place_get(place, &problem);
    change->length = place_length(place);
    problem_free(problem);
}

/* ---- numbers ---- */

static struct problem *overflow(void)
{
    return problem_add(NULL, PROBLEM_OUT_OF_RANGE, FAULT_POINTER, "/n",
                       "The sum is out of range; nothing was changed.");
}

/* A new integer when both are, else a real; NULL: *problem tells. */
static json_t *sum_of(const json_t *left, const json_t *right, struct problem **problem)
{
    json_int_t whole;
    json_t *sum = NULL;
    double real = json_number_value(left) + json_number_value(right);
    bool integers = json_is_integer(left) && json_is_integer(right);
    if (!json_is_number(left)) {
        *problem = problem_make(PROBLEM_TYPE_MISMATCH, "What stands there is no number.");
    } else if (integers ? __builtin_add_overflow(json_integer_value(left),
                                                 json_integer_value(right), &whole)
                        : !isfinite(real)) {
        *problem = overflow();
    } else {
        sum = integers ? json_integer(whole) : json_real(real);
        *problem = sum ? NULL : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the sum");
    }
    return sum;
}

static struct problem *run_add(struct change *change)
{
    struct problem *problem = NULL;
    json_t *one = json_integer(1), *n = json_object_get(change->body, "n");
    json_t *now = place_get(&change->place, &problem);
    json_t *sum = now ? sum_of(now, n ? n : one, &problem) : NULL;
    if (sum) {
        problem = place_put(&change->place, sum, "/n");
    }
    if (!problem) {
        touch(change, &change->place);
    }
    json_decref(sum);
    json_decref(now);
    json_decref(one);
    return problem;
}

/* ---- arrays ---- */

static struct problem *insert_one(struct change *change, const struct list *list, size_t at)
{
    json_t *item = json_object_get(change->body, "item");
    struct problem *problem = list_refuses(list, item, "/item");
    json_t *items = problem ? NULL : json_pack("[O]", item);
    if (!problem) {
        problem = items ? list_insert(list, at, items, "/item")
                        : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the item");
    }
    json_decref(items);
    if (!problem) {
        struct place place = list_place(list, at);
        touch(change, &place);
    }
    return problem;
}

static struct problem *run_append(struct change *change)
{
    struct list list;
    struct problem *problem = list_at(&change->place, &list);
    return problem ? problem : insert_one(change, &list, list_size(&list));
}

static struct problem *run_extend(struct change *change)
{
    struct list list;
    json_t *items = json_object_get(change->body, "items");
    struct problem *problem = list_at(&change->place, &list);
    if (!problem) {
        problem = list_insert(&list, list_size(&list), items, "/items");
    }
    if (!problem) {
        change->touched = json_incref(items);
        change->length = (int64_t)list_size(&list);
    }
    return problem;
}

/* Before the item that has this index; the size is the end. */
static struct problem *run_insert(struct change *change)
{
    struct list list;
    struct problem *problem = list_at(&change->place, &list);
    if (problem) {
        return problem;
    }
    int64_t index = json_integer_value(json_object_get(change->body, "index"));
    int64_t size = (int64_t)list_size(&list), at = index < 0 ? index + size : index;
    if (at < 0 || at > size) {
        return problem_add(NULL, PROBLEM_OUT_OF_RANGE, FAULT_POINTER, "/index",
                           "It is not in an array of %lld.", (long long)size);
    }
    return insert_one(change, &list, (size_t)at);
}

static struct problem *take_out(struct change *change, const struct place *place)
{
    struct problem *problem = NULL;
    change->touched = place_get(place, &problem);
    if (!problem) {
        problem = place_remove(place);
    }
    change->length = place_length(place);
    return problem;
}

static struct problem *run_del(struct change *change)
{
    return take_out(change, &change->place);
}

/* The last of an array, as list.pop; what has a key or index of its own, or is no array, itself. */
static struct problem *run_pop(struct change *change)
{
    struct list list;
    struct problem *problem = change->pointed ? NULL : list_at(&change->place, &list);
    bool no_array = problem && problem->code == PROBLEM_TYPE_MISMATCH;
    if (change->pointed || (no_array && change->place.kind != PLACE_WHOLE)) {
        problem_free(problem);
        return take_out(change, &change->place);
    }
    if (problem) {
        return problem;
    }
    if (list_size(&list) == 0) {
        return problem_make(PROBLEM_OUT_OF_RANGE, "The array is empty.");
    }
    struct place last = list_place(&list, list_size(&list) - 1);
    return take_out(change, &last);
}

static struct problem *run_remove(struct change *change)
{
    struct list list;
    struct problem *problem = list_at(&change->place, &list);
    if (problem) {
        return problem;
    }
    size_t at = list_find(&list, json_object_get(change->body, "item"));
    if (at == list_size(&list)) {
        return problem_add(NULL, PROBLEM_NO_SUCH_KEY, FAULT_POINTER, "/item",
                           "The array has no such item.");
    }
    struct place found = list_place(&list, at);
    return take_out(change, &found);
}

/* ---- everything else ---- */

static struct problem *put(struct change *change, json_t *item, const char *from)
{
    struct problem *problem = place_put(&change->place, item, from);
    if (!problem) {
        touch(change, &change->place);
    }
    return problem;
}

static struct problem *run_set(struct change *change)
{
    return put(change, json_object_get(change->body, "value"), "/value");
}

static struct problem *run_update(struct change *change)
{
    struct problem *problem = NULL;
    json_t *members = json_object_get(change->body, "members");
    json_t *now = place_get(&change->place, &problem);
    json_t *copy = json_is_object(now) ? json_copy(now) : NULL;
    if (now && !json_is_object(now)) {
        problem = problem_make(PROBLEM_TYPE_MISMATCH, "What stands there is no object.");
    } else if (now) {
        problem = copy && json_object_update(copy, members) == 0
                      ? place_put(&change->place, copy, "/members")
                      : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the object");
    }
    if (!problem) {
        change->touched = json_incref(members);
        change->length = (int64_t)json_object_size(copy);
    }
    json_decref(copy);
    json_decref(now);
    return problem;
}

static struct problem *run_clear(struct change *change)
{
    struct list list;
    struct problem *problem = list_at(&change->place, &list);
    bool is_list = problem == NULL;
    json_t *now = NULL;
    if (!is_list && problem->code == PROBLEM_TYPE_MISMATCH) {
        problem_free(problem);
        problem = NULL;
        now = place_get(&change->place, &problem);
    }
    if (now && !json_is_object(now)) {
        problem = problem_make(PROBLEM_TYPE_MISMATCH, "What stands there is no array and no object.");
    }
    json_decref(now);
    if (!problem) {
        change->touched = is_list ? json_array() : json_object();
        change->length = 0;
        problem = change->touched ? place_put(&change->place, change->touched, "/path")
                                  : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for nothing");
    }
    return problem;
}

/* With what stands there instead, so that the next try needs no GET. */
static struct problem *differs(const struct change *change, const json_t *now)
{
    struct text members = {0};
    struct problem *problem =
        problem_make(PROBLEM_DIFFERS, "What stands there is not what was expected.");
    text_put(&members, "\"value\":");
    text_json_tree(&members, now);
    text_json_key(&members, "version");
    text_unsigned(&members, change->place.value->version);
    if (problem->code == PROBLEM_DIFFERS) {
        problem->members = text_take(&members, NULL);
    }
    text_free(&members);
    return problem;
}

static struct problem *run_compare_and_set(struct change *change)
{
    struct problem *problem = NULL;
    json_t *now = place_get(&change->place, &problem);
    if (now && !json_same(now, json_object_get(change->body, "expected"))) {
        problem = differs(change, now);
    }
    json_decref(now);
    return problem ? problem : run_set(change);
}

/* ---- the table ---- */

static const struct {
    struct problem *(*run)(struct change *change);
    bool own_index;                    /* its `index` does not belong to the path */
} operations[VALUE_OPERATIONS] = {
    [VALUE_ADD] = {run_add, false},
    [VALUE_APPEND] = {run_append, false},
    [VALUE_EXTEND] = {run_extend, false},
    [VALUE_INSERT] = {run_insert, true},
    [VALUE_POP] = {run_pop, false},
    [VALUE_REMOVE] = {run_remove, false},
    [VALUE_SET] = {run_set, false},
    [VALUE_UPDATE] = {run_update, false},
    [VALUE_DEL] = {run_del, false},
    [VALUE_CLEAR] = {run_clear, false},
    [VALUE_COMPARE_AND_SET] = {run_compare_and_set, false},
};

static void write_answer(struct text *text, const struct change *change)
{
    text_putc(text, '{');
    if (change->touched) {
        text_put(text, "\"value\":");
        text_json_tree(text, change->touched);
    } else {
        value_write_member(text, change->place.value);
    }
    text_json_key(text, "version");
    text_unsigned(text, change->place.value->version);
    text_json_key(text, "length");
    if (change->length >= 0) {
        text_number(text, change->length);
    } else {
        text_put(text, "null");
    }
    text_putc(text, '}');
}

static struct problem *run(struct value *value, enum value_operation operation, struct path *path,
                           struct change *change)
{
    struct problem *problem =
        path_from_body(path, change->body, operations[operation].own_index);
    if (!problem) {
        problem = place_find(value, path, &change->place);
    }
    return problem ? problem : operations[operation].run(change);
}

struct problem *value_operate(struct value *value, enum value_operation operation,
                              const json_t *body, struct text *answer)
{
    struct path path = {0};
    struct change change = {.body = body, .length = -1};
    change.pointed = json_object_get(body, "key") || json_object_get(body, "index");
    struct problem *problem = run(value, operation, &path, &change);
    if (!problem) {
        value_changed(value);
        write_answer(answer, &change);
    }
    json_decref(change.touched);
    path_free(&path);
    return problem;
}
