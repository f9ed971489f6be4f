/*
 * Places in a value: what a path leads to, and arrays, whether of cells or in a tree.
 *
 * A place is good until the value changes. What changes a value through it either does all of it, or
 * returns a problem and has done nothing. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_VALUE_PLACE_H
#define FORKFUL_SERVICE_VALUE_PLACE_H

#include "service/value.h"

struct place {
    struct value *value;
    enum { PLACE_WHOLE, PLACE_CELL, PLACE_ITEM, PLACE_MEMBER } kind;
    json_t *container;                 /* of an ITEM or MEMBER; borrowed */
    size_t index;                      /* of a CELL or ITEM: there is one */
    const char *key;                   /* of a MEMBER, which may not be there yet */
    unsigned depth;
};

/* Everything but the last key must be there: no_such_key, out_of_range, type_mismatch. */
struct problem *place_find(struct value *value, const struct path *path, struct place *place);
/* A new reference, or NULL: *problem tells (no_such_key, no memory). */
json_t *place_get(const struct place *place, struct problem **problem);
/* `from` is where the item stands in the request: "/value". */
struct problem *place_put(const struct place *place, json_t *item, const char *from);
/* The whole, and a single number, cannot be taken out. */
struct problem *place_remove(const struct place *place);
/* How many are in the array or object in which it stands, or of the whole; -1: it is none. */
int64_t place_length(const struct place *place);

struct list {                          /* an array */
    struct value *value;
    bool of_cells;
    json_t *array;                     /* of a tree; borrowed */
    unsigned depth;                    /* of what stands in it */
};

/* The array at a place; 422 when it is none. */
struct problem *list_at(const struct place *place, struct list *list);
size_t list_size(const struct list *list);
struct place list_place(const struct list *list, size_t at);
/* NULL: such an item may stand in it. */
struct problem *list_refuses(const struct list *list, const json_t *item, const char *from);
/* All items of a JSON array, at 0 … size. */
struct problem *list_insert(const struct list *list, size_t at, const json_t *items,
                            const char *from);
/* The first that is the same, or the size. */
size_t list_find(const struct list *list, const json_t *item);

#endif
