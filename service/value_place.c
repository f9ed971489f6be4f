/* Places; see value_place.h. */
#include "service/value_place.h"

#include <inttypes.h>
#include <stdio.h>

#include "service/service.h"

static struct problem *no_memory(const struct value *value)
{
    return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for %s", value->object.resource);
}

static bool has_cell_array(const struct value *value)
{
    return value->cells.type && value_is_array(value);
}

/* ---- along a path ---- */

static struct problem *find_index(const struct path_key *key, size_t size, size_t *at)
{
    int64_t count = (int64_t)size;
    int64_t index = key->index < 0 ? key->index + count : key->index;
    if (!key->numeric) {
        return problem_make(PROBLEM_TYPE_MISMATCH, "In an array \"%.100s\" is no index.",
                            key->name);
    }
    if (index < 0 || index >= count) {
        return problem_make(PROBLEM_OUT_OF_RANGE, "The index %" PRId64 " is not in an array of %zu.",
                            key->index, size);
    }
    *at = (size_t)index;
    return NULL;
}

static struct problem *no_such_key(const char *key)
{
    return problem_make(PROBLEM_NO_SUCH_KEY, "There is no key \"%.200s\".", key);
}

static struct problem *no_parts(const char *what)
{
    return problem_make(PROBLEM_TYPE_MISMATCH, "The path leads into %s, which has no parts.", what);
}

static struct problem *find_cell(const struct path *path, struct place *place)
{
    const struct value *value = place->value;
    if (path->count > 1 || !value_is_array(value)) {
        return no_parts("a single number or truth value");
    }
    place->kind = PLACE_CELL;
    return find_index(&path->keys[0], value->cells.count, &place->index);
}

static struct problem *step(struct place *place, json_t *node, const struct path_key *key)
{
    place->container = node;
    place->depth++;
    if (json_is_array(node)) {
        place->kind = PLACE_ITEM;
        return find_index(key, json_array_size(node), &place->index);
    }
    if (!json_is_object(node)) {
        return no_parts("a string, number, truth value or null");
    }
    place->kind = PLACE_MEMBER;
    place->key = key->name;
    return key->name ? NULL
                     : problem_make(PROBLEM_TYPE_MISMATCH, "The keys of an object are strings.");
}

/* Borrowed; NULL: no such key. */
static json_t *node_at(const struct place *place)
{
    return place->kind == PLACE_WHOLE  ? place->value->tree
           : place->kind == PLACE_ITEM ? json_array_get(place->container, place->index)
                                       : json_object_get(place->container, place->key);
}

struct problem *place_find(struct value *value, const struct path *path, struct place *place)
{
    *place = (struct place){.value = value, .kind = PLACE_WHOLE};
    if (value->cells.type && path->count == 0) {
        place->kind = value_is_array(value) ? PLACE_WHOLE : PLACE_CELL;
        return NULL;
    }
    if (value->cells.type) {
        return find_cell(path, place);
    }
    struct problem *problem = NULL;
    for (size_t i = 0; i < path->count && !problem; i++) {
        json_t *node = node_at(place);
        problem = node ? step(place, node, &path->keys[i]) : no_such_key(place->key);
    }
    return problem;
}

/* ---- one place ---- */

static json_t *get_cells(const struct cells *cells)
{
    json_t *array = json_array();
    for (size_t at = 0; array && at < cells->count; at++) {
        if (json_array_append_new(array, cells_get(cells, at)) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

json_t *place_get(const struct place *place, struct problem **problem)
{
    const struct value *value = place->value;
    bool whole_cells = place->kind == PLACE_WHOLE && value->cells.type;
    json_t *node = place->kind == PLACE_CELL ? cells_get(&value->cells, place->index)
                   : whole_cells             ? get_cells(&value->cells)
                                             : json_incref(node_at(place));
    if (!node) {
        *problem = place->kind == PLACE_MEMBER ? no_such_key(place->key) : no_memory(value);
    }
    return node;
}

int64_t place_length(const struct place *place)
{
    const struct value *value = place->value;
    const json_t *in = place->kind == PLACE_WHOLE ? value->tree : place->container;
    if (value->cells.type) {
        return value_is_array(value) ? (int64_t)value->cells.count : -1;
    }
    return json_is_array(in)    ? (int64_t)json_array_size(in)
           : json_is_object(in) ? (int64_t)json_object_size(in)
                                : -1;
}

static struct problem *part_refused(const struct value *value, const json_t *item, unsigned depth,
                                    const char *from)
{
    if (value->type == VALUE_STRING_ARRAY && !json_is_string(item)) {
        return problem_add(NULL, PROBLEM_TYPE_MISMATCH, FAULT_POINTER, from, "It must be a string.");
    }
    if (depth + json_depth(item) > VALUE_DEPTH) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, from,
                           "With it the value would be nested more than %d deep.", VALUE_DEPTH);
    }
    return NULL;
}

static struct problem *put_whole(struct value *value, const json_t *item, const char *from)
{
    struct problem *problem = value_refuses(value, item, from);
    size_t weight = value->cells.type ? json_array_size(item) * cell_weight(value->cells.type)
                    : problem         ? 0
                                      : json_weight(item);
    if (!problem) {
        problem = value_has_room(value, value_weight(value), weight);
    }
    return problem || value_assign(value, item) ? problem : no_memory(value);
}

static struct problem *put_cell(const struct place *place, const json_t *item, const char *from)
{
    struct cells *cells = &place->value->cells;
    struct problem *problem = cell_refuses(cells->type, item, from);
    if (!problem) {
        cells_set(cells, place->index, item);
    }
    return problem;
}

static struct problem *put_part(const struct place *place, json_t *item, const char *from)
{
    struct value *value = place->value;
    const json_t *there = node_at(place);
    size_t removed = there ? json_weight(there) : 0;
    size_t added = json_weight(item) + (there ? 0 : json_key_weight(place->key) + 1);
    struct problem *problem = part_refused(value, item, place->depth, from);
    if (!problem) {
        problem = value_has_room(value, removed, added);
    }
    if (problem) {
        return problem;
    }
    if (place->kind == PLACE_ITEM ? json_array_set(place->container, place->index, item)
                                  : json_object_set(place->container, place->key, item)) {
        return no_memory(value);
    }
    value->weight += added - removed;
    return NULL;
}

struct problem *place_put(const struct place *place, json_t *item, const char *from)
{
    return place->kind == PLACE_WHOLE  ? put_whole(place->value, item, from)
           : place->kind == PLACE_CELL ? put_cell(place, item, from)
                                       : put_part(place, item, from);
}

struct problem *place_remove(const struct place *place)
{
    struct value *value = place->value;
    if (place->kind == PLACE_WHOLE || (place->kind == PLACE_CELL && !value_is_array(value))) {
        return problem_make(PROBLEM_TYPE_MISMATCH,
                            "Only what stands in an array or object can be taken out of it.");
    }
    if (place->kind == PLACE_CELL) {
        cells_remove(&value->cells, place->index, 1);
        return NULL;
    }
    const json_t *there = node_at(place);
    if (!there) {
        return no_such_key(place->key);
    }
    value->weight -= json_weight(there) + 1;
    if (place->kind == PLACE_ITEM) {
        json_array_remove(place->container, place->index);
    } else {
        value->weight -= json_key_weight(place->key);
        json_object_del(place->container, place->key);
    }
    return NULL;
}

/* ---- arrays ---- */

struct problem *list_at(const struct place *place, struct list *list)
{
    struct value *value = place->value;
    bool of_cells = place->kind == PLACE_WHOLE && has_cell_array(value);
    json_t *node = of_cells || place->kind == PLACE_CELL ? NULL : node_at(place);
    *list = (struct list){value, of_cells, node, place->depth + 1};
    if (of_cells || json_is_array(node)) {
        return NULL;
    }
    return place->kind == PLACE_MEMBER && !node
               ? no_such_key(place->key)
               : problem_make(PROBLEM_TYPE_MISMATCH, "What stands there is no array.");
}

size_t list_size(const struct list *list)
{
    return list->of_cells ? list->value->cells.count : json_array_size(list->array);
}

struct place list_place(const struct list *list, size_t at)
{
    return (struct place){.value = list->value, .kind = list->of_cells ? PLACE_CELL : PLACE_ITEM,
                          .container = list->array, .index = at, .depth = list->depth};
}

struct problem *list_refuses(const struct list *list, const json_t *item, const char *from)
{
    return list->of_cells ? cell_refuses(list->value->cells.type, item, from)
                          : part_refused(list->value, item, list->depth, from);
}

/* The weight of all, or the problem of the first that may not stand there. */
static struct problem *weigh_items(const struct list *list, const json_t *items, const char *from,
                                   size_t *weight)
{
    size_t i;
    const json_t *item;
    struct problem *problem = NULL;
    *weight = 0;
    json_array_foreach(items, i, item) {
        char at[80];
        snprintf(at, sizeof at, "%.40s/%zu", from, i);
        problem = list_refuses(list, item, at);
        if (problem) {
            break;
        }
        *weight += list->of_cells ? cell_weight(list->value->cells.type) : json_weight(item) + 1;
    }
    return problem;
}

static bool insert_nodes(json_t *array, size_t at, const json_t *items)
{
    size_t count = json_array_size(items), done = 0;
    while (done < count && json_array_insert(array, at + done, json_array_get(items, done)) == 0) {
        done++;
    }
    if (done == count) {
        return true;
    }
    while (done-- > 0) {
        json_array_remove(array, at + done);
    }
    return false;
}

struct problem *list_insert(const struct list *list, size_t at, const json_t *items,
                            const char *from)
{
    struct value *value = list->value;
    size_t weight;
    struct problem *problem = weigh_items(list, items, from, &weight);
    if (!problem) {
        problem = value_has_room(value, 0, weight);
    }
    if (problem) {
        return problem;
    }
    if (list->of_cells) {
        return cells_insert(&value->cells, at, items) ? NULL : no_memory(value);
    }
    if (!insert_nodes(list->array, at, items)) {
        return no_memory(value);
    }
    value->weight += weight;
    return NULL;
}

size_t list_find(const struct list *list, const json_t *item)
{
    size_t at = 0, size = list_size(list);
    if (list->of_cells) {
        return cells_find(&list->value->cells, item);
    }
    while (at < size && !json_same(json_array_get(list->array, at), item)) {
        at++;
    }
    return at;
}
