/*
 * A set of ids to find things by: processes, sessions, custody.
 *
 * Holds pointers to the `id` fields of the things; whoever owns a thing comes from the pointer
 * back to it by offsetof, takes it out before it is freed, and never changes its id meanwhile.
 * Adding may move the places, never the things. Not locked: one thread.
 */
#ifndef FORKFUL_SERVICE_ID_MAP_H
#define FORKFUL_SERVICE_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "service/facts.h"

struct id_map {                     /* zeroed = empty */
    struct fact_id **places;        /* not owned; NULL: free */
    size_t size, used;              /* size: a power of two, at least twice `used` */
};

/* `id` is not in it yet. False: no memory, and nothing has changed. */
bool id_map_add(struct id_map *map, struct fact_id *id);
/* The pointer that was added for an equal id, or NULL. */
struct fact_id *id_map_find(const struct id_map *map, const struct fact_id *id);
void id_map_remove(struct id_map *map, const struct fact_id *id); /* harmless when not there */
void id_map_free(struct id_map *map); /* the places; empty afterwards */

#endif
